"""Power law fitted on invariant regions: DN' + 1 = a (DN + 1)**b.

J. Wu, S. He, J. Peng, W. Li, X. Zhong (2013), "Intercalibration of DMSP-OLS night-time light data by the invariant
region method", Int. J. Remote Sens. 34, 7356-7368, doi:10.1080/01431161.2013.820365.  Numbers: table 2, 31 composites
to F18 2010; two independent transcriptions agree.

Fitted against the radiance-calibrated image of 2006, so lights are not limited to 63: DN 63 becomes 64 to 125.
"""

from __future__ import annotations

import numpy as np

from nightcore.calibration._method import Method


def power(dn: np.ndarray, a: float, b: float) -> np.ndarray:
    return a * (dn + 1) ** b - 1


METHOD = Method(
    name="wu2013",
    title="power law against a radiance-calibrated image on invariant regions",
    citation=(
        "J. Wu, S. He, J. Peng, W. Li, X. Zhong (2013), Intercalibration of DMSP-OLS night-time light data by the "
        "invariant region method, Int. J. Remote Sens. 34, 7356-7368"
    ),
    doi="10.1080/01431161.2013.820365",
    equation="DN' + 1 = a (DN + 1)^b",
    formula=power,
    columns=("a", "b"),
    coefficients={  # a, b
        "F101992": (0.8959, 1.031),
        "F101993": (0.6821, 1.1181),
        "F101994": (0.9127, 1.064),
        "F121994": (0.4225, 1.3025),
        "F121995": (0.3413, 1.3604),
        "F121996": (0.9247, 1.0576),
        "F121997": (0.3912, 1.3182),
        "F121998": (0.9734, 1.0312),
        "F121999": (1.2743, 0.9539),
        "F141997": (1.3041, 0.9986),
        "F141998": (0.9824, 1.107),
        "F141999": (1.0347, 1.0904),
        "F142000": (0.9885, 1.0702),
        "F142001": (0.9282, 1.0928),
        "F142002": (0.9748, 1.0857),
        "F142003": (0.9144, 1.1062),
        "F152000": (0.8028, 1.0855),
        "F152001": (0.8678, 1.0646),
        "F152002": (0.7706, 1.092),
        "F152003": (0.9852, 1.1141),
        "F152004": (0.864, 1.1671),
        "F152005": (0.5918, 1.2894),
        "F152006": (0.9926, 1.1226),
        "F152007": (1.1823, 1.085),
        "F162004": (0.7638, 1.1507),
        "F162005": (0.6984, 1.2292),
        "F162006": (0.9028, 1.1306),
        "F162007": (0.8864, 1.1112),
        "F162008": (0.9971, 1.0977),
        "F162009": (1.4637, 0.9858),
        "F182010": (0.8114, 1.0849),
    },
    checkpoints=(
        ("F101992", 1, 0.830718),
        ("F101992", 63, 64.227554),
        ("F152005", 63, 125.201181),
        ("F121998", 30, 32.587952),
        ("F182010", 63, 72.919608),
    ),
)
