"""Quadratics fitted on Sicily against F12 1999: DN' = c0 + c1 DN + c2 DN^2.

C. D. Elvidge, F.-C. Hsu, K. E. Baugh, T. Ghosh (2014), "National trends in satellite-observed lighting: 1992-2012", in
Q. Weng (ed.), "Global Urban Monitoring and Assessment through Earth Observation", CRC Press, 97-118,
doi:10.1201/b17012-9.  Numbers: the printed table of 33 composites, checked against an image of it.

F182013 is not in the printed table.  Its row is from one public source (AidData, geo-datasets), fitted in the same way,
and was checked against nothing else.
"""

from __future__ import annotations

from nightcore.calibration._method import Method, quadratic
from nightcore.sensors import SATURATED

METHOD = Method(
    name="elvidge2014",
    title="quadratics against F12 1999 in Sicily",
    citation=(
        "C. D. Elvidge, F.-C. Hsu, K. E. Baugh, T. Ghosh (2014), National trends in satellite-observed lighting: "
        "1992-2012, in Global Urban Monitoring and Assessment through Earth Observation, CRC Press, 97-118"
    ),
    doi="10.1201/b17012-9",
    equation="DN' = c0 + c1 DN + c2 DN^2",
    formula=quadratic,
    columns=("c0", "c1", "c2"),
    coefficients={  # c0, c1, c2
        "F101992": (-2.057, 1.5903, -0.009),
        "F101993": (-1.0582, 1.5983, -0.0093),
        "F101994": (-0.3458, 1.4864, -0.0079),
        "F121994": (-0.689, 1.177, -0.0025),
        "F121995": (-0.0515, 1.2293, -0.0038),
        "F121996": (-0.0959, 1.2727, -0.004),
        "F121997": (-0.3321, 1.1782, -0.0026),
        "F121998": (-0.0608, 1.0648, -0.0013),
        "F121999": (0.0, 1.0, 0.0),
        "F141997": (-1.1323, 1.7696, -0.0122),
        "F141998": (-0.1917, 1.6321, -0.0101),
        "F141999": (-0.1557, 1.5055, -0.0078),
        "F142000": (1.0988, 1.3155, -0.0053),
        "F142001": (0.1943, 1.3219, -0.0051),
        "F142002": (1.0517, 1.1905, -0.0036),
        "F142003": (0.739, 1.2416, -0.004),
        "F152000": (0.1254, 1.0452, -0.001),
        "F152001": (-0.7024, 1.1081, -0.0012),
        "F152002": (0.0491, 0.9568, 0.001),
        "F152003": (0.2217, 1.5122, -0.008),
        "F152004": (0.5751, 1.3335, -0.0051),
        "F152005": (0.6367, 1.2838, -0.0041),
        "F152006": (0.8261, 1.279, -0.0041),
        "F152007": (1.3606, 1.2974, -0.0045),
        "F162004": (0.2853, 1.1955, -0.0034),
        "F162005": (-0.0001, 1.4159, -0.0063),
        "F162006": (0.1065, 1.1371, -0.0016),
        "F162007": (0.6394, 0.9114, 0.0014),
        "F162008": (0.5564, 0.9931, 0.0),
        "F162009": (0.9492, 1.0683, -0.0016),
        "F182010": (2.343, 0.5102, 0.0065),
        "F182011": (1.8956, 0.7345, 0.003),
        "F182012": (1.875, 0.6203, 0.0052),
        "F182013": (1.84108, 0.70493, 0.00331362),
    },
    clip=(0, SATURATED),
    checkpoints=(
        ("F101992", 1, -0.4757),
        ("F101992", 30, 37.552),
        ("F101992", 63, 62.4109),
        ("F121999", 30, 30.0),
        ("F152005", 63, 65.2432),
        ("F182010", 1, 2.8597),
        ("F182013", 30, 25.971238),
    ),
    notes={"F182013": "not in the printed table; one source (AidData), not verified elsewhere"},
)
