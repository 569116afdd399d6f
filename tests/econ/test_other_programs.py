"""The estimators against R's numbers, on a panel with gaps, late starts and text as keys that is made here.

R 4.2.2 with plm 2.6.2, sandwich 3.0.2, clubSandwich 0.5.8, AER 1.2.10 read the same four digits a number; the calls
stand beside what they printed.  `plain` is y ~ x + w + q.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import econ
from econ.errors import EstimationError

R = 1e-8  # R's numbers are copied with twelve digits; its own rounding is below 1e-10 here
R_TEST = 1e-6  # ratios of sums of squares lose digits
SLOPES = ["x", "w", "q"]
ALL = ["Intercept", *SLOPES]
KEYS = {"entity": "country", "time": "year"}
PLAIN = "y ~ x + w + q"


class Draws:
    """Numbers that are the same on every machine and with every NumPy: a congruential generator of 64 bits."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self, *shape):
        drawn = np.empty(int(np.prod(shape)))
        for place in range(drawn.size):
            self.state = (6364136223846793005 * self.state + 1442695040888963407) % 2**64
            drawn[place] = (self.state >> 11) / 2**53
        return drawn.reshape(shape)

    def noise(self, n):
        """(n,) with mean 0 and variance 1, nearly normal."""
        return self.uniform(n, 12).sum(axis=1) - 6


def balanced_panel():
    """14 countries and 9 years, four digits after the point as in a printed table."""
    draw = Draws(20211)
    i, t = (axis.ravel() for axis in np.meshgrid(np.arange(14), np.arange(9), indexing="ij"))
    n = i.size
    a, b, d = draw.noise(14), draw.noise(14), draw.noise(9)
    z1, z2, z3 = draw.noise(n), draw.noise(n) + 0.5 * a[i], draw.noise(n)
    u = draw.noise(n) * (1 + 0.3 * (t % 3))
    x = 0.8 * a[i] + 0.6 * z1 + 0.3 * z3 + 0.5 * u + 0.7 * draw.noise(n)
    w = 0.5 * a[i] + 0.3 * d[t] + 0.5 * z2 - 0.3 * u + draw.noise(n)
    q = draw.noise(n) + 0.2 * t
    y = 1 + 0.5 * x - 0.7 * w + 0.3 * q + 0.4 * a[i] + 1.2 * b[i] + 0.6 * d[t] + u
    table = pd.DataFrame({"y": y, "x": x, "w": w, "q": q, "z1": z1, "z2": z2, "z3": z3})
    table["weight"] = 0.5 + draw.uniform(n)
    table = table.round(4)
    table.insert(0, "country", np.array([f"c{(5 * place) % 14:02d}" for place in range(14)])[i])
    table.insert(1, "year", 1990 + t)
    table["kind"] = np.array(["low", "mid", "high"])[(i + t) % 3]
    table["kept"] = draw.uniform(n) < 0.75
    return table


@pytest.fixture(scope="module")
def balanced():
    return balanced_panel()


@pytest.fixture(scope="module")
def holes(balanced):
    """Without a quarter of the rows, in no order."""
    kept = balanced[balanced["kept"]]
    return kept.iloc[np.argsort(Draws(7).uniform(len(kept)))]


def by(effects):
    return {"estimator": "pooled"} if effects == "pooled" else {"effects": effects}


def test_two_way_effects_with_a_factor_and_its_products(holes):
    """lm(y ~ x + w + q + kind + x:kind + factor(country) + factor(year)), sandwich's vcovHC."""
    names = [*SLOPES, "C(kind)[T.low]", "C(kind)[T.mid]", "x:C(kind)[T.low]", "x:C(kind)[T.mid]"]
    formula = "y ~ x + w + q + C(kind) + x:C(kind)"
    est = econ.fit(holes, formula, **KEYS)
    assert_allclose(
        est.params[names],
        [
            0.980975514756,
            -0.99493655751,
            0.0553681665255,
            -0.412379738747,
            0.151041262926,
            0.333925979126,
            0.289725251888,
        ],
        rtol=R,
    )
    errors = {
        "classical": [
            0.160035439115,
            0.121313629371,
            0.129347085725,
            0.336135501308,
            0.327226267966,
            0.227684572823,
            0.21226480374,
        ],
        "hc0": [
            0.125904407455,
            0.109343402776,
            0.0924607386449,
            0.271152786966,
            0.311312577896,
            0.166868152752,
            0.249543764586,
        ],
        "hc1": [
            0.153341713376,
            0.133171705955,
            0.112609942499,
            0.330242870609,
            0.379154352538,
            0.203232348797,
            0.30392477275,
        ],
        "hc2": [
            0.159103846183,
            0.138866624893,
            0.114194303645,
            0.331286906006,
            0.395113897352,
            0.208715771284,
            0.34499494494,
        ],
        "hc3": [
            0.202250594783,
            0.178165570024,
            0.141639124949,
            0.406531184269,
            0.509123243092,
            0.262618970513,
            0.481961020274,
        ],
    }
    for cov, expected in errors.items():
        assert_allclose(econ.fit(holes, formula, **KEYS, cov=cov).std_errors[names], expected, rtol=R, err_msg=cov)
    loglik, aic, bic, r2, adjusted = [-113.430757388, 286.861514776, 361.520605868, 0.891225987812, 0.840464782124]
    assert_allclose([est.loglik, est.aic, est.bic, est.rsquareds["lsdv"]], [loglik, aic, bic, r2], rtol=R)
    assert_allclose(1 - (1 - r2) * (est.nobs - 1) / (est.nobs - est.n_coefs), adjusted, rtol=R)


def test_weights(holes):
    """lm(weights = weight), with dummies of country and year in the second half."""
    errors = {
        "classical": [0.227597712509, 0.121541361979, 0.122879265802, 0.147728106442],
        "hc0": [0.220624028414, 0.133946655584, 0.118740103845, 0.142738218257],
        "hc1": [0.225755505706, 0.137062110534, 0.121501870779, 0.146058155487],
        "hc2": [0.227120905965, 0.141167163386, 0.122731528444, 0.148240132085],
        "hc3": [0.233946803576, 0.14895407444, 0.126910412801, 0.15403481611],
        "cluster": [
            0.345019829476,
            0.152643062947,
            0.106950742613,
            0.0972220294139,
        ],  # vcovCL(cluster = country, type = "HC1")
    }
    for cov, expected in errors.items():
        cluster = "country" if cov == "cluster" else None
        est = econ.fit(holes, PLAIN, "pooled", **KEYS, cov=cov, cluster=cluster, weights="weight")
        assert_allclose(est.std_errors[ALL], expected, rtol=R, err_msg=cov)
    assert_allclose(est.params[ALL], [0.961335556796, 1.22593668045, -0.925255391541, 0.00300468390224], rtol=R)
    found = [est.loglik, est.aic, est.bic, est.rsquareds["overall"]]
    assert_allclose(found, [-166.881658716, 343.763317432, 356.206499281, 0.635643070261], rtol=R)
    est = econ.fit(holes, PLAIN, **KEYS, weights="weight")
    assert_allclose(est.params[SLOPES], [1.13097552116, -1.0124973493, 0.0650336320192], rtol=R)
    assert_allclose(est.std_errors[SLOPES], [0.114585287989, 0.116520817926, 0.125831260524], rtol=R)
    found = [est.loglik, est.aic, est.bic, est.rsquareds["lsdv"]]
    assert_allclose(found, [-117.813208042, 287.626416085, 352.330961698, 0.879038519674], rtol=R)
    est = econ.fit(holes, PLAIN, **KEYS, weights="weight", cov="hc3")
    assert_allclose(est.std_errors[SLOPES], [0.142534000012, 0.150602307761, 0.14487244907], rtol=R)


@pytest.mark.parametrize(
    ("effects", "cluster", "cov", "expected"),
    [
        ("pooled", "country", "cr2", [0.361753980267, 0.160157005019, 0.127910168753, 0.141404204783]),
        ("pooled", "country", "cr3", [0.396469380514, 0.178043338325, 0.140884110848, 0.156201484337]),
        ("entity", "year", "cr2", [0.113452542698, 0.164333760646, 0.114159208992]),
        ("entity", "year", "cr3", [0.131546884888, 0.195010595303, 0.140047919265]),
        ("time", "country", "cr2", [0.175706788983, 0.0929472847512, 0.16001781174]),
        ("time", "country", "cr3", [0.20055249375, 0.103830996877, 0.183986223846]),
    ],
)
def test_residuals_adjusted_by_leverage(holes, effects, cluster, cov, expected):
    """clubSandwich's vcovCR of lm with dummies, where no block of I - H is singular."""
    est = econ.fit(holes, PLAIN, **by(effects), **KEYS, cov=cov, cluster=cluster)
    assert_allclose(est.std_errors[ALL if effects == "pooled" else SLOPES], expected, rtol=R)


PLM_ERRORS = {  # vcovHC(method = "arellano"), vcovSCC and vcovNW(maxlag = 2), vcovBK(cluster = "time"), vcovDC
    "pooled": {
        "arellano": [0.331213716144, 0.14425609141, 0.116908369665, 0.128313136941],
        "arellano time": [0.260789235871, 0.129597548091, 0.0932478955438, 0.0852714704213],
        "sss": [0.349729710422, 0.15232050672, 0.123443952578, 0.135486285858],
        "SCC2": [0.216941785126, 0.167086520481, 0.0937251588674, 0.0991477206049],
        "SCCsss2": [0.234126915688, 0.180322346249, 0.101149634937, 0.107001747078],
        "NW2": [0.262727832188, 0.133499498132, 0.118091724652, 0.174779498494],
        "BK": [0.28905624744, 0.10646222469, 0.102298173271, 0.150230789787],
    },
    "entity": {
        "arellano": [0.144886498591, 0.0985457875027, 0.123595617645],
        "arellano time": [0.0980633935813, 0.139086302732, 0.0938391862253],
        "sss": [0.152094100685, 0.103448099528, 0.129744072065],
        "SCC2": [0.0941725011202, 0.168407220428, 0.0828966345805],
        "SCCsss2": [0.101039799708, 0.180687903783, 0.0889416682669],
        "NW2": [0.129906303704, 0.125702984396, 0.130041834043],
        "BK": [0.128753398199, 0.12239334016, 0.136830361042],
        "DC": [0.123559852065, 0.109580833797, 0.0962396551136],
    },
    "time": {
        "arellano": [0.154078438527, 0.0833292931702, 0.139372353756],
        "arellano time": [0.139969659975, 0.0608826605382, 0.112110343217],
        "sss": [0.161743307836, 0.0874746372416, 0.146305646219],
        "SCC2": [0.176479031266, 0.0558296503806, 0.154679630569],
        "SCCsss2": [0.189348331622, 0.0599008906542, 0.165959263116],
        "NW2": [0.130436482114, 0.0804458324241, 0.155350256592],
        "BK": [0.100170563152, 0.0942950992333, 0.140165674998],
        "DC": [0.16593297848, 0.0641784946265, 0.101342497874],
    },
    "twoway": {
        "arellano": [0.0956532762352, 0.0950566480342, 0.0875027918626],
        "arellano time": [0.0855342981527, 0.123799551625, 0.091118930315],
        "sss": [0.100411695831, 0.0997853874413, 0.0918557530564],
        "SCC2": [0.0717387313846, 0.141834600811, 0.102184453177],
        "SCCsss2": [0.0769701023569, 0.152177541078, 0.109636003711],
        "NW2": [0.0978524672297, 0.096482968884, 0.106964515802],
        "BK": [0.0907894722828, 0.104122066119, 0.113543290983],
        "DC": [0.0833370070262, 0.120735129032, 0.0735095076523],
    },
}
PLM_OPTIONS = {
    "arellano": {"cov": "cluster", "cluster": "country", "ssc": "plm"},
    "arellano time": {"cov": "cluster", "cluster": "year", "ssc": "plm"},
    "sss": {"cov": "cluster", "cluster": "country", "ssc": "plm-sss"},
    "SCC2": {"cov": "driscoll-kraay", "lags": 2, "ssc": "plm"},
    "SCCsss2": {"cov": "driscoll-kraay", "lags": 2, "ssc": "plm-sss"},
    "NW2": {"cov": "newey-west", "lags": 2, "ssc": "plm"},
    "BK": {"cov": "pcse"},
    "DC": {"cov": "cluster", "cluster": ["country", "year"], "ssc": "plm"},
}


@pytest.mark.parametrize(
    ("effects", "kind"), [(effects, kind) for effects, found in PLM_ERRORS.items() for kind in found]
)
def test_covariances_of_plm(holes, effects, kind):
    est = econ.fit(holes, PLAIN, **by(effects), **KEYS, **PLM_OPTIONS[kind])
    names = ALL if effects == "pooled" else SLOPES
    assert_allclose(est.std_errors[names], PLM_ERRORS[effects][kind], rtol=R)


def test_random_effects_of_an_unbalanced_panel(holes):
    """plm(model = "random"): components by rows; its R2 is a correlation, which the constant makes no difference to."""
    est = econ.fit(holes, PLAIN, "re", **KEYS, variant="plm")
    assert_allclose(est.params[ALL], [0.943859741565, 1.17488194942, -0.859309786479, 0.0524685457986], rtol=R)
    assert_allclose(est.std_errors[ALL], [0.317595611186, 0.118354081506, 0.114568982106, 0.128765121651], rtol=R)
    c = est.components
    assert_allclose([c["sigma_e"] ** 2, c["sigma_u"] ** 2], [1.68005863572, 0.820833520742], rtol=R)
    assert_allclose([c["theta_min"], c["theta_max"]], [0.418201094338, 0.569555668553], rtol=R)
    assert_allclose([est.rsquared, est.rsquared_adj], [0.685618986032, 0.674523185539], rtol=R)
    assert_allclose(est.tests["chi2_model"].stat, 184.277977012, rtol=R_TEST)
    for kind, expected in (
        ("arellano", [0.291290813453, 0.125978267816, 0.0953614772325, 0.123861613652]),
        ("SCC2", [0.402764888313, 0.158769462526, 0.111172215955, 0.0867423300143]),
    ):
        est = econ.fit(holes, PLAIN, "re", **KEYS, variant="plm", **PLM_OPTIONS[kind])
        assert_allclose(est.std_errors[ALL], expected, rtol=R, err_msg=kind)


def test_between(holes):
    est = econ.fit(holes, PLAIN, "between", **KEYS)
    assert_allclose(est.params[ALL], [1.25867207642, 1.79517768614, -1.5493084173, -0.343603437725], rtol=R)
    assert_allclose(est.std_errors[ALL], [0.616468087482, 0.466418574322, 0.404754677778, 0.500669278026], rtol=R)
    assert_allclose([est.rsquared, est.rsquared_adj], [0.649531192363, 0.544390550072], rtol=R)


def test_first_differences(balanced):
    """plm(y ~ x + w + q - 1, model = "fd"), which has no constant: type "sss" counts three columns."""
    errors = {
        "classical": [0.0987762006439, 0.089061803536, 0.109977384324],
        "arellano": [0.088951206561, 0.0761656884884, 0.14306545],
        "sss": [0.0931520518448, 0.0797627197783, 0.149821916203],
        "SCCsss2": [0.093038721356, 0.111719720586, 0.119544933023],
    }
    for kind, expected in errors.items():
        est = econ.fit(balanced, PLAIN, "fd", **KEYS, **PLM_OPTIONS.get(kind, {}))
        assert_allclose(est.std_errors, expected, rtol=R, err_msg=kind)
    assert_allclose(est.params, [1.27118021251, -0.661920106039, -0.101832328678], rtol=R)


def test_two_way_random_effects(balanced):
    """plm(model = "random", effect = "twoways"), phtest(method = "aux")."""
    est = econ.fit(balanced, PLAIN, "re", **KEYS, effects="twoway")
    assert_allclose(est.params[ALL], [0.916351378084, 1.17658620194, -0.977746379561, 0.0811729248856], rtol=R)
    assert_allclose(est.std_errors[ALL], [0.348192085574, 0.084506898721, 0.0859606178273, 0.0969578123534], rtol=R)
    c = est.components
    found = [c[f"sigma_{letter}"] ** 2 for letter in "euv"]
    assert_allclose(found, [1.06255700828, 0.929374768259, 0.283476118731], rtol=R)
    two = econ.hausman(econ.fit(balanced, PLAIN, **KEYS), est, method="auxiliary")
    assert_allclose(two.stat, 2.35710764117, rtol=R_TEST)
    fixed, random = econ.fit(balanced, PLAIN, **KEYS, effects="entity"), econ.fit(balanced, PLAIN, "re", **KEYS)
    for cov, expected in (("classical", 3.2496088232), ("cluster", 5.26688078446)):
        assert_allclose(econ.hausman(fixed, random, method="auxiliary", cov=cov).stat, expected, rtol=R_TEST)


def test_specification_tests(holes):
    """phtest, plmtest(type = "bp", "honda"), pcdtest(test = "cd"), pFtest, each on the panel with gaps."""
    pooled, fixed, both = (econ.fit(holes, PLAIN, **by(effects), **KEYS) for effects in ("pooled", "entity", "twoway"))
    time = econ.fit(holes, PLAIN, **KEYS, effects="time")
    random = econ.fit(holes, PLAIN, "re", **KEYS, variant="plm")
    found = {
        "phtest": econ.hausman(fixed, random),
        "bp": econ.breusch_pagan(pooled),
        "bp time": econ.breusch_pagan(pooled, effects="time"),
        "bp two": econ.breusch_pagan(pooled, effects="twoway"),
        "honda": econ.breusch_pagan(pooled, variant="honda"),
        "honda two": econ.breusch_pagan(pooled, effects="twoway", variant="honda"),
        "cd entity": econ.pesaran_cd(fixed),
        "cd two": econ.pesaran_cd(both),
        "cd pooled": econ.pesaran_cd(pooled),
        "F entity": fixed.tests["f_effects"],
        "F time": time.tests["f_effects"],
        "F two": both.tests["f_effects"],
        "F entity beside time": both.tests["f_entity"],
        "F time beside entity": both.tests["f_time"],
    }
    expected = {
        "phtest": 5.37373358075,
        "bp": 37.3604450634,
        "bp time": 7.58723280619,
        "bp two": 44.9476778696,
        "honda": 6.11231912317,
        "honda two": 6.26978312345,
        "cd entity": 3.06277825025,
        "cd two": -2.83751768828,
        "cd pooled": 4.04066976327,
        "F entity": 4.57786005308,
        "F time": 3.75976787129,
        "F two": 6.14615135308,
        "F entity beside time": 5.75663383305,
        "F time beside entity": 5.21263624871,
    }
    assert_allclose([found[name].stat for name in expected], list(expected.values()), rtol=R_TEST)
    assert [found[f"F {name}"].df for name in ("entity", "time", "two")] == [(13, 72), (8, 77), (21, 64)]
    # plm and we print the two-sided p of CD; far tails lose digits
    assert_allclose(found["cd entity"].pvalue, 0.00219292495774, rtol=R_TEST)
    assert_allclose(found["bp two"].pvalue, 1.73674382507e-10, rtol=R_TEST)


INSTRUMENTED = "y ~ q + [x + w ~ z1 + z2 + z3]"


def test_instruments(holes):
    """AER's ivreg(y ~ x + w + q | z1 + z2 + z3 + q) and summary(diagnostics = TRUE)."""
    errors = {
        "classical": [0.281755771388, 0.277055371886, 0.248401709923, 0.165494677757],
        "hc0": [0.259397519307, 0.267723407519, 0.275539835027, 0.187663485118],
        "hc1": [0.265430826238, 0.273950365644, 0.281948594837, 0.192028335671],
        "cluster": [0.373709311203, 0.237446747674, 0.299104799406, 0.167757720489],
    }
    for cov, expected in errors.items():
        cluster = "country" if cov == "cluster" else None
        est = econ.fit(holes, INSTRUMENTED, "iv", **KEYS, cov=cov, cluster=cluster)
        assert_allclose(est.std_errors[ALL], expected, rtol=R, err_msg=cov)
    est = econ.fit(holes, INSTRUMENTED, "iv", **KEYS)
    assert_allclose(est.params[ALL], [1.05488161125, 0.887158536016, -0.549930686995, -0.0425688574431], rtol=R)
    assert_allclose([est.rsquared, est.rsquared_adj], [0.564179650811, 0.548797756133], rtol=R)
    assert_allclose(est.first_stages.loc[["x", "w"], "F"], [11.4838115366477, 13.4342590093228], rtol=R_TEST)
    assert_allclose(est.tests["sargan"].stat, 0.8498249254669, rtol=R_TEST)
    assert_allclose(wu_hausman(est, 83), 2.4015099705836, rtol=R_TEST)


def wu_hausman(est, df):
    """AER's F of two added first-stage residuals, from n R2 of the same regression."""
    chi2 = est.tests["endogeneity"].stat
    return chi2 / (est.nobs - chi2) * df / 2


def test_weighted_instruments(holes):
    est = econ.fit(holes, INSTRUMENTED, "iv", **KEYS, weights="weight")
    assert_allclose(est.params[ALL], [1.03137935898, 0.949239527361, -0.518045625877, -0.066195598849], rtol=R)
    assert_allclose(est.std_errors[ALL], [0.26688828601, 0.261538056014, 0.257903633345, 0.164465427601], rtol=R)
    assert_allclose(est.tests["sargan"].stat, 0.7846358440206, rtol=R_TEST)
    assert_allclose(wu_hausman(est, 83), 2.1426832076660, rtol=R_TEST)
    robust = econ.fit(holes, INSTRUMENTED, "iv", **KEYS, weights="weight", cov="hc1")
    assert_allclose(robust.std_errors[ALL], [0.239884221139, 0.235498560229, 0.287456085168, 0.163872154948], rtol=R)


def test_instruments_beside_two_way_effects(holes):
    """The same with dummies of country and year on both sides."""
    est = econ.fit(holes, INSTRUMENTED, "iv", **KEYS, effects="twoway")
    assert_allclose(est.params[SLOPES], [0.58156096159, -0.70121163335, 0.023000374331], rtol=R)
    assert_allclose(est.std_errors[SLOPES], [0.260403055787, 0.379520310326, 0.173389724852], rtol=R)
    assert_allclose(est.first_stages.loc[["x", "w"], "F"], [8.765551174311, 3.3303571477081], rtol=R_TEST)
    assert_allclose(est.tests["sargan"].stat, 0.1981294497197, rtol=R_TEST)
    assert_allclose(wu_hausman(est, 62), 6.8250982557429, rtol=R_TEST)
    robust = econ.fit(holes, INSTRUMENTED, "iv", **KEYS, effects="twoway", cov="hc1")
    assert_allclose(robust.std_errors[SLOPES], [0.255579681158, 0.343939767772, 0.15821092845], rtol=R)


# --- columns and rows that other programs leave out -----------------------------------------------------------------


@pytest.fixture(scope="module")
def lone(holes):
    """The panel with one row of country c03 only."""
    found = holes.sort_values(["country", "year"])
    return found[(found["country"] != "c03") | ~found["country"].duplicated()]


def test_a_singleton_under_the_conventions_of_plm(lone):
    """plm keeps it: its effect fits it exactly."""
    errors = {
        "classical": [0.133667711867, 0.137583928428, 0.137068249366],
        "arellano": [0.144459399534, 0.0919772927661, 0.127500062037],
        "SCC2": [0.0878073370855, 0.187321129512, 0.0805325879795],
    }
    for kind, expected in errors.items():
        options = {"ssc": "plm", **PLM_OPTIONS.get(kind, {})}
        est = econ.fit(lone, PLAIN, **KEYS, effects="entity", **options)
        assert_allclose(est.std_errors[SLOPES], expected, rtol=R, err_msg=kind)
    assert_allclose(est.params[SLOPES], [1.18257747185, -0.756406996623, 0.0977330648572], rtol=R)
    assert any("1 singleton rows kept, as 'plm' does" in note for note in est.notes)


def test_between_drops_what_does_not_vary_between(balanced):
    """A series of the years has one mean for all countries, but for rounding; plm drops it too."""
    table = balanced.assign(world=np.sin(balanced["year"]), double=balanced["x"] + np.cos(balanced["year"]))
    est = econ.fit(table, f"{PLAIN} + world + double", "between", **KEYS)
    assert list(est.params.index) == ALL
    plain = econ.fit(table, PLAIN, "between", **KEYS)
    assert_allclose(est.params, plain.params, rtol=R)
    assert_allclose(est.std_errors, plain.std_errors, rtol=R)
    assert est.df_resid == plain.df_resid
    notes = " ".join(est.notes)
    assert "world dropped: its means are the same for each country" in notes
    assert "double dropped: its means are collinear with those of variables before it" in notes
    with pytest.raises(EstimationError, match=r"no regressor is left \(world dropped: its means are the same"):
        econ.fit(table, "y ~ world", "between", **KEYS)


def test_printed_differences_are_collinear(holes):
    """`gap` is x / 3 less a series of the years, printed with seven digits: 1e-7 is left of it beside x and the years.

    lm drops it (tolerance 1e-7), linearmodels raises an error of its own.
    """
    table = holes.assign(gap=(holes["x"] / 3 - np.sin(holes["year"])).round(7))
    for effects in ("time", "twoway"):
        est = econ.fit(table, f"{PLAIN} + gap", **KEYS, effects=effects)
        assert list(est.params.index) == ALL
        assert_allclose(est.params[SLOPES], econ.fit(holes, PLAIN, **KEYS, effects=effects).params[SLOPES], rtol=R)
        assert "gap dropped: collinear with regressors before it" in est.notes


@pytest.mark.parametrize("effects", ["entity", "twoway"])
def test_little_variation_beside_the_effects_is_enough(holes, effects):
    """linearmodels refuses a column of which less than 1e-5 is left, with an error that names its own options."""
    level = 1e6 * holes["country"].astype("category").cat.codes
    table = holes.assign(stock=level + holes["x"])
    est = econ.fit(table, "y ~ stock + w + q", **KEYS, effects=effects)
    plain = econ.fit(holes, PLAIN, **KEYS, effects=effects)
    # a level of 1e7 costs seven of sixteen digits
    assert_allclose(est.params["stock"], plain.params["x"], rtol=1e-7)
    assert_allclose(est.std_errors["stock"], plain.std_errors["x"], rtol=1e-7)
