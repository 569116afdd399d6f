"""Quadratics fitted on Sicily against F12 1999, 1994-2008: DN' = c0 + c1 DN + c2 DN^2.

C. D. Elvidge et al. (2009), "A fifteen year record of global natural gas flaring derived from satellite data",
Energies 2, 595-622, doi:10.3390/en20300595.  27 composites without F10; one public transcription.
"""

from __future__ import annotations

from nightcore.calibration._method import Method, quadratic
from nightcore.sensors import SATURATED

METHOD = Method(
    name="elvidge2009",
    title="quadratics against F12 1999 in Sicily, 1994-2008",
    citation=(
        "C. D. Elvidge et al. (2009), A fifteen year record of global natural gas flaring derived from satellite data, "
        "Energies 2, 595-622"
    ),
    doi="10.3390/en20300595",
    equation="DN' = c0 + c1 DN + c2 DN^2",
    formula=quadratic,
    columns=("c0", "c1", "c2"),
    coefficients={  # c0, c1, c2
        "F121994": (0.1651, 1.1244, -0.0018),
        "F121995": (0.4103, 1.2116, -0.0035),
        "F121996": (0.2228, 1.27, -0.004),
        "F121997": (-0.0008, 1.1651, -0.0023),
        "F121998": (0.1535, 1.0451, -0.0009),
        "F121999": (0.0, 1.0, 0.0),
        "F141997": (0.0291, 1.6568, -0.0103),
        "F141998": (0.1831, 1.598, -0.0096),
        "F141999": (-0.1674, 1.5116, -0.0078),
        "F142000": (0.1061, 1.3877, -0.0059),
        "F142001": (-0.2595, 1.3467, -0.0053),
        "F142002": (0.4486, 1.1983, -0.0035),
        "F142003": (-0.2768, 1.2838, -0.0044),
        "F152000": (0.1029, 1.0845, -0.001),
        "F152001": (-0.4365, 1.085, -0.0009),
        "F152002": (-0.2173, 0.9715, 0.0008),
        "F152003": (-0.2244, 1.5238, -0.0079),
        "F152004": (-0.3657, 1.3772, -0.0056),
        "F152005": (-0.6201, 1.3504, -0.0049),
        "F152006": (-0.6005, 1.3551, -0.0049),
        "F152007": (-0.1615, 1.396, -0.0054),
        "F152008": (0.5031, 0.937, 0.0004),
        "F162004": (-0.4436, 1.2081, -0.003),
        "F162005": (-0.2375, 1.4249, -0.0063),
        "F162006": (0.0287, 1.1338, -0.0013),
        "F162007": (0.321, 0.9216, 0.0013),
        "F162008": (-0.1203, 1.0155, -0.0001),
    },
    clip=(0, SATURATED),
    checkpoints=(
        ("F121994", 1, 1.2877),
        ("F121994", 30, 32.2771),
        ("F121999", 30, 30.0),
        ("F141997", 63, 63.5268),
        ("F162007", 30, 29.139),
    ),
)
