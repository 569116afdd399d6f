"""Tables that agree with themselves: really fitted on random panels, printed rounded, in the form of `econ check`."""

import copy

import numpy as np
from hypothesis import strategies as st
from scipy import stats

LEVELS = {"*": 0.1, "**": 0.05, "***": 0.01}
NAMES = ("a", "b", "c", "d")


def mark(p):
    return "***" if p < 0.01 else "**" if p < 0.05 else "*" if p < 0.1 else ""


def demeaned(x, effects):
    """(group, period, k), without the means of the effects."""
    if effects in ("entity", "twoway"):
        x = x - x.mean(axis=1, keepdims=True)
    if effects in ("time", "twoway"):
        x = x - x.mean(axis=0, keepdims=True)
    return x - x.mean(axis=(0, 1)) if effects == "none" else x


def least_squares(y, x, effects, se, df):
    """b, t, RSS and LL; `df` divides the classical variance, and enters the factor of the robust ones."""
    groups, periods, k = x.shape
    n = groups * periods
    X, Y = demeaned(x, effects).reshape(n, k), demeaned(y[..., None], effects).reshape(n)
    inverse = np.linalg.inv(X.T @ X)
    b = inverse @ X.T @ Y
    e = Y - X @ b
    if se == "classical":
        cov = inverse * (e @ e) / df
    else:
        scores = X * e[:, None]
        scores = scores.reshape(groups, periods, k).sum(axis=1) if se == "cluster" else scores
        cov = inverse @ (scores.T @ scores) @ inverse * n / df
    rss = e @ e
    return b, b / np.sqrt(np.diag(cov)), rss, -n / 2 * (np.log(2 * np.pi * rss / n) + 1)


def residual_df(effects, rule, n, groups, periods, k):
    full = {"none": 1, "entity": groups, "time": periods, "twoway": groups + periods - 1}[effects]
    return n - k - {"full": full, "entity": groups if effects == "twoway" else full, "slopes": 1}[rule]


def describe(name, x, decimals):
    low, high = f"{x.min():.{decimals}f}", f"{x.max():.{decimals}f}"
    return {
        "name": name,
        "n": x.size,
        "mean": f"{x.mean():.{decimals}f}",
        "sd": f"{x.std(ddof=1):.{decimals}f}",
        "min": low,
        "max": high,
    }


def build(
    seed,
    groups=8,
    periods=6,
    effects="twoway",
    se="classical",
    rule="full",
    law="t",
    state_law=True,
    state_df=True,
    adjusted=False,
    against=3,
    scale=1.0,
    decimals=5,
):
    """The report, as a dict: columns (1) to (4) with regressors a, ab, abc, abcd, one extra column with cd."""
    rng = np.random.default_rng(seed)
    n = groups * periods
    x = rng.normal(size=(groups, periods, 4)) + rng.normal(size=(groups, 1, 4)) + rng.normal(size=(1, periods, 4))
    slopes = np.array([0.8, 0.3, 0.0, 0.15])
    y = x @ slopes + rng.normal(size=(groups, 1)) + rng.normal(size=(groups, periods)) * (0.5 + rng.random())
    y = scale * y
    models = [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3), (2, 3)]
    fits = [
        least_squares(y, x[..., list(m)], effects, se, residual_df(effects, rule, n, groups, periods, len(m)))
        for m in models
    ]
    Y = demeaned(y[..., None], "entity" if effects == "twoway" else effects)
    if effects == "twoway" and not adjusted:
        Y = demeaned(y[..., None], "twoway")
    tss = (Y**2).sum()
    show = lambda value, places=decimals: f"{value:.{places}f}"  # noqa: E731
    columns = []
    for i, (model, (b, t, rss, ll)) in enumerate(zip(models, fits, strict=True)):
        k = len(model)
        df = residual_df(effects, rule, n, groups, periods, k)
        df_t = groups - 1 if se == "cluster" else df
        p = 2 * (stats.t(df_t).sf(abs(t)) if law == "t" else stats.norm.sf(abs(t)))
        r2 = 1 - (rss / df) / (tss / (n - 1)) if adjusted else 1 - rss / tss
        lr = 2 * abs(fits[against][3] - ll)
        hausman_df = k + (periods - 1 if i % 2 else 0)
        hausman = float(rng.chisquare(hausman_df))
        column = {
            "name": f"({i + 1})",
            "r2": show(r2),
            "loglik": show(ll),
            "hausman": show(hausman) + mark(stats.chi2(hausman_df).sf(hausman)),
            "hausman_df": hausman_df,
            "hausman_p": show(stats.chi2(hausman_df).sf(hausman)),
            "terms": {
                NAMES[j]: {
                    "b": show(b[m]),
                    "se": show(b[m] / t[m]),
                    "t": show(t[m]),
                    "p": show(p[m]),
                    "stars": mark(p[m]),
                }
                for m, j in enumerate(model)
            },
        }
        if i != against:
            lr_df = abs(len(models[against]) - k)
            column |= {"lr": show(lr), "lr_against": f"({against + 1})"}
            if lr_df and set(model) < set(models[against]):
                lr_p = stats.chi2(lr_df).sf(lr)
                column |= {"lr": show(lr) + mark(lr_p), "lr_p": show(lr_p), "lr_df": lr_df}
        if state_df:
            column["df"] = int(df_t)
        columns.append(column)
    table = {
        "name": "Table",
        "dependent": "y",
        "estimator": "ols" if effects == "none" else "fe",
        "effects": effects,
        "se": se,
        "n": n,
        "groups": groups,
        "periods": periods,
        "balanced": True,
        "r2_label": "adjusted" if adjusted else "within",
        "column": columns,
    }
    half = groups // 2
    parts = [{"name": "north", "n": half * periods, "groups": half}]
    parts.append({"name": "south", "n": (groups - half) * periods, "groups": groups - half})
    tobit = {"name": "tobit", "estimator": "tobit", "lower": show(y.min() - 1), "loglik": columns[3]["loglik"]}
    tobit |= {"terms": {name: {"b": columns[3]["terms"][name]["b"]} for name in NAMES}}
    tobit |= {key: table[key] for key in ("dependent", "n", "groups", "periods", "effects")}
    return {
        "extracted": False,
        "stars": {"levels": LEVELS} | ({"law": law} if state_law else {}),
        "claims": {"n": n, "groups": groups},
        "table": [table, {"name": "Parts", "column": parts}, {"name": "Other", "column": [tobit]}],
        "variable": [describe("y", y, decimals), *(describe(NAMES[j], x[..., j], decimals) for j in range(4))],
        "subsamples": [{"whole": "Table (4)", "parts": ["Parts north", "Parts south"]}],
    }


@st.composite
def reports(draw):
    """Any table that `build` makes; what is stated is true, and what is printed may be coarse."""
    effects = draw(st.sampled_from(["none", "entity", "time", "twoway"]))
    se = draw(st.sampled_from(["classical", "robust", "cluster"]))
    groups, periods = draw(st.integers(4, 12)), draw(st.integers(4, 8))
    report = build(
        draw(st.integers(0, 2**32 - 1)),
        groups,
        periods,
        effects,
        se,
        draw(st.sampled_from(["full", "entity", "slopes"])),
        draw(st.sampled_from(["t", "normal"])),
        state_law=draw(st.booleans()),
        state_df=draw(st.booleans()),
        adjusted=draw(st.booleans()),
        against=draw(st.sampled_from([0, 3])),
        scale=10.0 ** draw(st.integers(-3, 3)),
        decimals=draw(st.integers(1, 6)),
    )
    if draw(st.booleans()):
        del report["table"][0]["se"]
    return report


def planted(report):
    """A copy to spoil, and its first table."""
    spoilt = copy.deepcopy(report)
    return spoilt, spoilt["table"][0]
