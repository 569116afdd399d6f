"""Quadratics fitted on Jixi against F16 2007, 1992-2008: DN' = c0 + c1 DN + c2 DN^2.

Z. Liu et al. (2012), "Extracting the dynamics of urban expansion in China using DMSP-OLS nighttime light data from 1992
to 2008", Landsc. Urban Plan. 106, 62-72, doi:10.1016/j.landurbplan.2012.02.013.  30 composites; one public
transcription.

The paper writes a DN^2 + b DN + c and prints a, b, c in this order.  A widely used tool reads them as c0, c1, c2 and
makes -371.8 of DN 30 in F101992, where 31.2616 is meant.  Here the order is c0, c1, c2.
"""

from __future__ import annotations

from nightcore.calibration._method import Method, quadratic
from nightcore.sensors import SATURATED

METHOD = Method(
    name="liu2012",
    title="quadratics against F16 2007 in Jixi, 1992-2008",
    citation=(
        "Z. Liu et al. (2012), Extracting the dynamics of urban expansion in China using DMSP-OLS nighttime light data "
        "from 1992 to 2008, Landsc. Urban Plan. 106, 62-72"
    ),
    doi="10.1016/j.landurbplan.2012.02.013",
    equation="DN' = c0 + c1 DN + c2 DN^2",
    formula=quadratic,
    columns=("c0", "c1", "c2"),
    coefficients={  # c0, c1, c2
        "F101992": (-0.4454, 0.9699, 0.0029),
        "F101993": (-0.5829, 1.0904, 0.003),
        "F101994": (-0.0699, 0.9038, 0.0056),
        "F121994": (-0.4794, 1.0569, 0.0028),
        "F121995": (1.6317, 0.5959, 0.0088),
        "F121996": (1.5939, 0.5674, 0.0097),
        "F121997": (1.9491, 0.4851, 0.0092),
        "F121998": (2.3604, 0.3659, 0.0105),
        "F121999": (2.1102, 0.5033, 0.009),
        "F141997": (0.7414, 1.0296, 0.0015),
        "F141998": (0.7931, 0.8389, 0.0056),
        "F141999": (0.7002, 1.0659, 0.001),
        "F142000": (1.3015, 0.7197, 0.0057),
        "F142001": (0.2367, 0.9877, 0.0012),
        "F142002": (0.4874, 1.1597, -0.003),
        "F142003": (-0.5827, 1.5049, -0.0083),
        "F152000": (2.1202, 0.503, 0.0085),
        "F152001": (-0.4446, 0.9849, 0.0019),
        "F152002": (-0.5467, 0.9596, 0.0009),
        "F152003": (-0.9178, 1.7694, -0.0125),
        "F152004": (0.1417, 1.4864, -0.0074),
        "F152005": (0.3526, 1.3075, -0.0041),
        "F152006": (0.8122, 1.315, -0.0049),
        "F152007": (0.4571, 1.2713, -0.004),
        "F152008": (0.2472, 0.8727, 0.0016),
        "F162004": (0.2026, 1.071, -0.0005),
        "F162005": (-0.5429, 1.2913, -0.0032),
        "F162006": (0.0273, 1.2948, -0.0048),
        "F162007": (0.0, 1.0, 0.0),
        "F162008": (0.7329, 0.9151, 0.0014),
    },
    clip=(0, SATURATED),
    checkpoints=(
        ("F101992", 1, 0.5274),
        ("F101992", 30, 31.2616),
        ("F101992", 63, 72.1684),
        ("F162007", 30, 30.0),
        ("F152003", 63, 60.9419),
        ("F162008", 63, 63.9408),
    ),
)
