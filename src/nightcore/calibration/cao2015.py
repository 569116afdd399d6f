"""Power law fitted on an invariant region against a radiance-calibrated image: DN' = a DN**b.

Z. Cao, Z. Wu, Y. Kuang, N. Huang (2015), "Correction of DMSP/OLS night-time light images and its application in
China", J. Geo-inf. Sci. 17, 1092-1102 (in Chinese), doi:10.3724/SP.J.1047.2015.01092.

The region is the municipal district of Hegang, the reference the radiance-calibrated composite
F16_20051128-20061224_rad_v4.  The paper's own a and b are not public, so the method has to be fitted.
"""

from __future__ import annotations

import numpy as np

from nightcore.calibration._method import Method


def power(dn: np.ndarray, a: float, b: float) -> np.ndarray:
    return a * dn**b


METHOD = Method(
    name="cao2015",
    title="power law against a radiance-calibrated image, fitted in a region",
    citation=(
        "Z. Cao, Z. Wu, Y. Kuang, N. Huang (2015), Correction of DMSP/OLS night-time light images and its application "
        "in China, J. Geo-inf. Sci. 17, 1092-1102"
    ),
    doi="10.3724/SP.J.1047.2015.01092",
    equation="DN' = a DN^b",
    formula=power,
    columns=("a", "b"),
    coefficients={},
)
