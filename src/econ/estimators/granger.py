"""Does x Granger-cause y in a panel?  Tests by units, pooled, by GMM, and of all directions in one table.

Arrays are cubes, N units and T periods with NaN where there is no value; K lags.  A row is used where y and all its
lags and those of x are there, so that gaps cost the rows after them and units may have different T_i.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from econ.errors import EstimationError, UsageError
from econ.estimators.dynamic import pseudo_inverse
from econ.estimators.estimate import Test
from econ.estimators.gmm import Cube, lag_limits
from econ.estimators.sample import draw_sample

# Share of its length that columns before it leave of a column that says nothing new.
COLLINEAR = 1e-9

# Periods below which the covariance of the half-panel jackknife is said to be too small: benchmarks/dynamic.md.
LONG = 40

CRITERIA: dict[str, Callable[[float, int, int], float]] = {
    "aic": lambda mean_log, n, k: mean_log + 2 * k / n,
    "bic": lambda mean_log, n, k: mean_log + k * np.log(n) / n,
    "hqic": lambda mean_log, n, k: mean_log + 2 * k * np.log(np.log(n)) / n,
}


@dataclass(frozen=True, eq=False)
class Granger:
    """What a test says of one direction.

    Parameters
    ----------
    cause, effect : str
        x and y: the null is that x does not Granger-cause y.
    method : str
    lags : int
    tests : mapping of name to Test
    nobs, groups : int
        Rows used, and units.
    units : DataFrame
        Of Dumitrescu and Hurlin's test: a row a unit, wald, df, p, nobs.
    estimates : Series
        Coefficients on the lags of x, where the method pools them.
    bootstrap : mapping of name to float
        p-values under dependence between units, where they were asked for.
    notes : tuple of str
    valid : bool
    """

    cause: str
    effect: str
    method: str
    lags: int
    tests: Mapping[str, Test]
    nobs: int
    groups: int
    units: pd.DataFrame = field(default_factory=pd.DataFrame)
    estimates: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    bootstrap: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    valid: bool = True

    @property
    def pvalue(self) -> float:
        """Of the statistic to report: Z-bar tilde, bootstrapped if it was; the Wald test of the other methods."""
        name = "zbar_tilde" if "zbar_tilde" in self.tests else next(iter(self.tests))
        return self.bootstrap.get(name, self.tests[name].pvalue)

    def to_frame(self) -> pd.DataFrame:
        """A row a statistic: stat, law, p, and the bootstrapped p."""
        rows = {
            name: {
                "stat": test.stat,
                "law": test.law if test.law in ("normal", "none") else f"{test.law}({', '.join(map(str, test.df))})",
                "p": test.pvalue,
                "bootstrap_p": self.bootstrap.get(name, float("nan")),
            }
            for name, test in self.tests.items()
        }
        return pd.DataFrame(rows).T.rename_axis("test")

    def summary(self) -> str:
        """The statistics as text, and the null."""
        lines = [
            *([] if self.valid else ["NOT VALID, see the notes"]),
            f"{METHODS[self.method].meaning}",
            f"null: {self.cause} does not Granger-cause {self.effect}; {self.lags} lag{'s' * (self.lags > 1)}, "
            f"{self.groups:,} groups, {self.nobs:,} rows",
            "",
        ]
        for name, test in self.tests.items():
            p = f", bootstrap p = {self.bootstrap[name]:.4f}" if name in self.bootstrap else ""
            stat = f"{test.stat:.4f}" if test.law == "none" else str(test).split(" (")[0]
            lines.append(f"{name}: {stat}{p}")
        if self.estimates.size:
            lines += ["", *self.estimates.round(6).to_string().splitlines()]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])


# --- arrays -----------------------------------------------------------------------------------------------------------


def lagged(values: np.ndarray, lags: int) -> np.ndarray:
    """(N, T, lags) values of 1 to `lags` periods before, NaN at the beginning."""
    found = np.full((*values.shape, lags), np.nan)
    for lag in range(1, lags + 1):
        found[:, lag:, lag - 1] = values[:, :-lag]
    return found


def unit_walds(y: np.ndarray, x: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) Wald statistics that no lag of x stands in the equation of y, and rows T_i of each unit.

    W_i = (RSS0 - RSS1) / (RSS1 / (T_i - 2K - 1)): E. Dumitrescu, C. Hurlin (2012), "Testing for Granger
    non-causality in heterogeneous panels", Econ. Model. 29, 1450-1460, eq. 8.  NaN where a unit has collinear columns.
    """
    own, other = lagged(y, lags), lagged(x, lags)
    used = np.isfinite(y) & np.isfinite(own).all(axis=2) & np.isfinite(other).all(axis=2)
    rows = used.sum(axis=1)
    columns = np.concatenate([np.ones((*y.shape, 1)), own, other], axis=2)
    columns = np.where(used[:, :, None], columns, 0.0)
    target = np.where(used, y, 0.0)
    Q, independent = _bases(columns)
    products = np.einsum("ntp,nt->np", Q, target) ** 2
    total = (target**2).sum(axis=1)
    left0 = _left(target, Q[:, :, : lags + 1])
    left1 = _left(target, Q)
    gained = products[:, lags + 1 :].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        walds = gained / (left1 / (rows - 2 * lags - 1))
    # an exact fit, or a unit that does not vary, has no errors to judge by
    sound = independent & (left1 > COLLINEAR**2 * total) & (left0 > 0) & (rows > 2 * lags + 1)
    return np.where(sound, walds, np.nan), rows


def _left(target: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """(N,) sums of squares that the orthonormal columns leave."""
    rest = target - np.einsum("ntp,np->nt", Q, np.einsum("ntp,nt->np", Q, target))
    return (rest**2).sum(axis=1)


def _bases(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal bases (N, T, p) of the columns of each unit, and whether they are independent."""
    length = np.linalg.norm(columns, axis=1, keepdims=True)
    Q, R = np.linalg.qr(columns / np.where(length > 0, length, 1))
    diagonal = np.abs(np.diagonal(R, axis1=1, axis2=2))
    own = diagonal > COLLINEAR
    # the direction of a column that columns before it explain is arbitrary, and no part of the span
    return np.where(own[:, None, :], Q, 0.0), own.all(axis=1) & (length[:, 0] > 0).all(axis=1)


def zbar(walds: np.ndarray, lags: int) -> float:
    """sqrt(N / 2K) (mean W - K), standard normal as T, then N grow: Dumitrescu and Hurlin (2012), eq. 21."""
    return float(np.sqrt(walds.size / (2 * lags)) * (walds.mean() - lags))


def zbar_tilde(walds: np.ndarray, rows: np.ndarray, lags: int) -> float:
    """The same with the moments of W_i for T_i rows, eqs. 29 to 33: each T_i > 5 + 2K, periods > 5 + 3K."""
    T = rows.astype(float)
    mean = lags * (T - 2 * lags - 1) / (T - 2 * lags - 3)
    variance = 2 * lags * (T - 2 * lags - 1) ** 2 * (T - lags - 3) / ((T - 2 * lags - 3) ** 2 * (T - 2 * lags - 5))
    return float(np.sqrt(walds.size) * (walds.mean() - mean.mean()) / np.sqrt(variance.mean()))


def resampled(y: np.ndarray, x: np.ndarray, lags: int, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(draws,) Z-bar and Z-bar tilde under the null, units as dependent as their residuals.

    Dumitrescu and Hurlin (2012), section 6.2: residuals of y on its own lags, resampled by period for all units at
    once, are added up from a block of y; x stays.  Balanced panels only.
    """
    rng = np.random.default_rng(seed)
    N, T = y.shape
    own = lagged(y, lags)[:, lags:]
    columns = np.concatenate([np.ones((N, T - lags, 1)), own], axis=2)
    b = np.stack([np.linalg.lstsq(c, v, rcond=None)[0] for c, v in zip(columns, y[:, lags:], strict=True)])
    e = y[:, lags:] - np.einsum("ntp,np->nt", columns, b)
    found = np.empty((2, draws))
    for draw in range(draws):
        start = rng.integers(0, T - lags + 1)
        shocks = e[:, rng.integers(0, T - lags, T - lags)]
        made = np.empty_like(y)
        made[:, :lags] = y[:, start : start + lags]
        for t in range(lags, T):
            made[:, t] = b[:, 0] + (b[:, 1:] * made[:, t - lags : t][:, ::-1]).sum(axis=1) + shocks[:, t - lags]
        walds, rows = unit_walds(made, x, lags)
        found[:, draw] = zbar(walds, lags), zbar_tilde(walds, rows, lags)
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Products of each unit's columns net of its constant and own lags: A (N, q, q) and c (N, q); net y and X."""

    A: np.ndarray
    c: np.ndarray
    y: np.ndarray
    X: np.ndarray

    def sound(self, weight: np.ndarray) -> np.ndarray:
        """(draws,) whether the units of each draw (draws, N) identify the coefficients."""
        A = np.tensordot(weight, self.A, 1)
        scale = np.sqrt(np.diagonal(self.A.sum(axis=0)))
        return np.linalg.eigvalsh(A / np.outer(scale, scale))[:, 0] > COLLINEAR

    def slopes(self, weight: np.ndarray | None = None) -> np.ndarray:
        """(..., q) coefficients, units counted `weight` (..., N) times."""
        if weight is None:
            weight = np.ones(len(self.c))
        A, c = np.tensordot(weight, self.A, 1), weight @ self.c
        scale = np.sqrt(np.diagonal(A, axis1=-2, axis2=-1))
        return np.linalg.solve(A / (scale[..., :, None] * scale[..., None, :]), (c / scale)[..., None])[..., 0] / scale


@dataclass(frozen=True, eq=False)
class Jackknife:
    """Pooled coefficients on lags of the causes.

    Parameters
    ----------
    b, V : (q,), (q, q)
        After the half-panel jackknife, and their covariance.
    before : (q,)
        Without the jackknife.
    rows : int
    """

    b: np.ndarray
    V: np.ndarray
    before: np.ndarray
    rows: int


def half_panel_jackknife(
    y: np.ndarray, X: np.ndarray, lags: int, errors: str = "heteroskedastic", draws: int = 0, seed: int = 0
) -> Jackknife:
    """Pooled coefficients on `lags` lags of X (N, T, q), y (N, T), without their bias of order 1/T.

    A. Juodis, Y. Karavias, V. Sarafidis (2021), "A homogeneous approach to testing for Granger non-causality in
    heterogeneous panels", Empir. Econ. 60, 93-112: each unit has its own constant and lags of y, X has one coefficient
    for all, and 2 b - (b_1 + b_2) / 2 of the two halves of the periods is free of the bias.  V is the covariance
    of b, to which the jackknife adds nothing as T grows; with `draws` that of the corrected coefficients of
    resampled units, which counts what it adds in short panels.
    """
    own = lagged(y, lags)
    others = np.concatenate([lagged(X[:, :, j], lags) for j in range(X.shape[2])], axis=2)
    used = np.isfinite(y) & np.isfinite(own).all(axis=2) & np.isfinite(others).all(axis=2)
    whole = _pooled(y, own, others, used)
    _refuse_alike(whole.X, others, used)
    periods = np.flatnonzero(used.any(axis=0))
    # an odd number of periods is halved both ways (G. Dhaene, K. Jochmans (2015), Rev. Econ. Stud. 82, 991-1030)
    halves = []
    for cut in {periods.size // 2, periods.size - periods.size // 2}:
        for part in (periods[:cut], periods[cut:]):
            inside = np.zeros_like(used)
            inside[:, part] = used[:, part]
            halves.append(_pooled(y, own, others, inside))

    if not whole.y.any() or np.linalg.norm(whole.y) <= COLLINEAR * np.linalg.norm(y[used]):
        raise EstimationError("the effect does not vary beside each unit's constant and own lags: check its column.")

    def corrected(weight: np.ndarray | None = None) -> np.ndarray:
        return 2 * whole.slopes(weight) - np.mean([half.slopes(weight) for half in halves], axis=0)

    b, N, q = whole.slopes(), len(y), others.shape[2]
    e = whole.y - whole.X @ b
    n = int(used.sum())
    rows = n - N * (1 + lags)
    flat = whole.X.reshape(-1, q)
    length = np.linalg.norm(flat, axis=0)
    bread = np.linalg.inv((flat / length).T @ (flat / length)) / np.outer(length, length)
    if draws:
        rng = np.random.default_rng(seed)
        weight = rng.multinomial(N, np.full(N, 1 / N), draws).astype(float)
        sound = np.all([part.sound(weight) for part in (whole, *halves)], axis=0)
        if sound.mean() < 0.9 or sound.sum() <= q + 1:
            raise EstimationError(
                f"the causes vary in too few units to resample them ({draws - sound.sum()} of {draws} draws hold none, "
                f"or draws are too few): pass more draws, or bootstrap=0."
            )
        V = np.cov(corrected(weight[sound]), rowvar=False).reshape(q, q)
    elif errors == "homoskedastic":
        V = bread * float((e**2).sum()) / (rows - q)
    else:
        scores = (whole.X * e[:, :, None]).reshape(-1, q)
        V = bread @ (scores.T @ scores) @ bread * (rows / (rows - q))
    return Jackknife(corrected(), V, b, n)


def _pooled(y: np.ndarray, own: np.ndarray, others: np.ndarray, used: np.ndarray) -> _Pooled:
    columns = np.where(used[:, :, None], np.concatenate([np.ones((*y.shape, 1)), own], axis=2), 0.0)
    rows, needed = used.sum(axis=1), own.shape[2] + 2
    if rows.min() < needed:
        raise EstimationError(
            f"a half of the periods of a unit has {rows.min()} rows: expected at least {needed} in each half, more "
            f"than its constant and lags, that is {2 * needed + own.shape[2]} periods; use fewer lags or more periods."
        )
    Q, _ = _bases(columns)

    def net(values: np.ndarray) -> np.ndarray:
        values = np.where(used[:, :, None], values, 0.0)
        return values - Q @ (Q.transpose(0, 2, 1) @ values)

    net_y, net_X = net(y[:, :, None]), net(others)
    Xt = net_X.transpose(0, 2, 1)
    return _Pooled(Xt @ net_X, (Xt @ net_y)[:, :, 0], net_y[:, :, 0], net_X)


def _refuse_alike(net: np.ndarray, others: np.ndarray, used: np.ndarray) -> None:
    flat = net.reshape(-1, net.shape[2])
    length = np.linalg.norm(flat, axis=0)
    whole = np.linalg.norm(np.where(used[:, :, None], others, 0.0).reshape(flat.shape), axis=0)
    vanish = length <= COLLINEAR * whole
    if vanish.any() or np.linalg.matrix_rank(flat / length, tol=COLLINEAR) < length.size:
        raise EstimationError(
            "lags of the causes do not vary independently beside each unit's constant and own lags: leave one out."
        )


# --- through the door -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Data:
    """A panel as cubes: y (N, T), X (N, T, q)."""

    effect: str
    causes: tuple[str, ...]
    y: np.ndarray
    X: np.ndarray
    units: pd.Index
    unit_name: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Method:
    run: Callable[..., Granger]
    meaning: str
    options: tuple[str, ...]


def granger(
    df: pd.DataFrame,
    formula: str,
    lags: int | str = 1,
    method: str = "dumitrescu-hurlin",
    entity: str = "province",
    time: str = "year",
    step: int = 1,
    **options: object,
) -> Granger:
    """Test that x does not Granger-cause y.

    Parameters
    ----------
    df : DataFrame
        One row an (entity, time), in any order; lags go by the calendar.
    formula : str
        "y ~ x"; "juodis" and "hnr" take several x and test them together.
    lags : int or str
        K; or "aic", "bic" or "hqic", which choose among 1 to `max_lags` on the rows that all of them have.
    method : str
        "dumitrescu-hurlin": each unit has its own coefficients; W-bar, Z-bar and Z-bar tilde.
        "juodis": pooled, half-panel jackknife (A. Juodis, Y. Karavias, V. Sarafidis 2021).
        "hnr": GMM of the equation, D. Holtz-Eakin, W. Newey, H. Rosen (1988), and a Wald test.
        "pvar": all equations together by GMM, see `econ.panel_var`.
    **options
        `max_lags` with a criterion; `bootstrap` (draws, 0 for none) and `seed` of "dumitrescu-hurlin", whose units
        may then depend on each other, and of "juodis", whose covariance then holds in short panels; of the latter
        `errors` ("heteroskedastic" or "homoskedastic"); of "hnr" those of estimator "gmm", with `gmm` and `iv` made for
        you from `instruments` = (first, last) lag; of "pvar" `instruments`, `transform` and `collapse`.

    Raises
    ------
    EstimationError
        Too few periods for the lags (T > 5 + 3K for "dumitrescu-hurlin"), or a unit without variation.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise UsageError(f"there is no method {method!r}: choose among {', '.join(METHODS)}.")
    chosen = METHODS[method]
    known = (*chosen.options, "max_lags")
    for option in options:
        if option not in known and not (method == "hnr" and option in ("gmm", "iv")):
            raise UsageError(f"method={method!r} has no option {option!r}: it has {', '.join(known)}.")
    data = _cubes(df, formula, entity, time, step)
    max_lags = options.pop("max_lags", None)
    lags, said = _chosen_lags(data, lags, max_lags, method)
    found = chosen.run(df, data, lags, entity=entity, time=time, step=step, **options)
    notes = (*data.notes, *said, *found.notes)
    return Granger(**{**found.__dict__, "notes": notes})


def granger_table(
    df: pd.DataFrame,
    variables: Sequence[str],
    lags: int | str = 1,
    methods: Sequence[str] = ("dumitrescu-hurlin", "juodis"),
    entity: str = "province",
    time: str = "year",
    step: int = 1,
    **options: object,
) -> pd.DataFrame:
    """Every direction between the variables by every method; a row each.

    Columns cause, effect, method, lags, groups, nobs, stat, p, valid, note: where a test cannot be computed the note
    says why.  `options` go to the methods that have them.
    """
    names = [variables] if isinstance(variables, str) else list(variables)
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"variables are {names}: expected two or more columns, each once.")
    methods = [methods] if isinstance(methods, str) else list(methods)
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"there is no method {method!r}: choose among {', '.join(METHODS)}.")
    accepted = {option for method in methods for option in (*METHODS[method].options, "max_lags")}
    strange = [option for option in options if option not in accepted]
    if strange:
        raise UsageError(f"no method here has the option {strange[0]!r}: they have {', '.join(sorted(accepted))}.")
    rows = []
    for method in methods:
        own = {key: value for key, value in options.items() if key in (*METHODS[method].options, "max_lags")}
        for effect in names:
            for cause in names:
                if cause == effect:
                    continue
                row = {"cause": cause, "effect": effect, "method": method, "lags": lags}
                try:
                    formula = f"`{effect}` ~ `{cause}`"
                    found = granger(df, formula, lags, method, entity, time, step, **own)
                except EstimationError as error:
                    rows.append({**row, "stat": np.nan, "p": np.nan, "valid": False, "note": str(error)})
                    continue
                name = "zbar_tilde" if "zbar_tilde" in found.tests else next(iter(found.tests))
                rows.append(
                    {
                        **row,
                        "lags": found.lags,
                        "groups": found.groups,
                        "nobs": found.nobs,
                        "stat": found.tests[name].stat,
                        "p": found.pvalue,
                        "valid": found.valid,
                        "note": "; ".join(note for note in found.notes if note.startswith("not valid")),
                    }
                )
    columns = ["cause", "effect", "method", "lags", "groups", "nobs", "stat", "p", "valid", "note"]
    return pd.DataFrame(rows, columns=columns)


def _cubes(df: pd.DataFrame, formula: str, entity: str, time: str, step: int) -> _Data:
    """y and the causes on all rows of the panel: lags of a row need no x of its own."""
    left, tilde, right = str(formula).partition("~")
    if not tilde or "[" in right:
        raise UsageError(f"the formula is {formula!r}: expected 'y ~ x'.")
    sample = draw_sample(df, formula, entity, time, step=step, aside=[left.strip(), right.strip()])
    cube = Cube.of(sample, every=True)
    ((effect, y),) = cube.columns(left.strip())
    causes = dict(cube.columns(right.strip()))
    if effect in causes:
        raise UsageError(f"{effect!r} is both cause and effect: name two columns.")
    X = np.stack(list(causes.values()), axis=2)
    there = np.isfinite(y).any(axis=1)
    return _Data(effect, tuple(causes), y[there], X[there], cube.units[there], sample.entity_name, ())


def _chosen_lags(data: _Data, lags: int | str, max_lags: object, method: str) -> tuple[int, tuple[str, ...]]:
    whole = isinstance(lags, int) and not isinstance(lags, bool)
    if whole and lags >= 1:
        if max_lags is not None:
            raise UsageError("max_lags goes with a criterion: pass lags='aic', 'bic' or 'hqic', or leave it out.")
        return int(lags), ()
    if not isinstance(lags, str) or lags not in CRITERIA:
        raise UsageError(f"lags is {lags!r}: expected a whole number, 1 or more, or one of {', '.join(CRITERIA)}.")
    periods = data.y.shape[1]
    most = max((periods - 6) // 3, 1) if max_lags is None else max_lags
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise UsageError(f"max_lags is {max_lags!r}: expected a whole number, 1 or more.")
    values = {K: _criterion(data, K, most, lags) for K in range(1, most + 1)}
    best = min(values, key=lambda K: values[K])
    listed = ", ".join(f"{K}: {value:.4f}" for K, value in values.items())
    return best, (
        f"{lags.upper()} of {best} lag{'s' * (best > 1)} is least ({listed}), on rows that {most} lags leave",
    )


def _criterion(data: _Data, K: int, most: int, name: str) -> float:
    """Mean over the units of the criterion of their regressions with K lags, on the rows that `most` lags leave."""
    every = np.concatenate([lagged(data.y, most), *(lagged(x, most) for x in data.X.transpose(2, 0, 1))], axis=2)
    used = np.isfinite(data.y) & np.isfinite(every).all(axis=2)
    parts = [lagged(data.y, K), *(lagged(x, K) for x in data.X.transpose(2, 0, 1))]
    columns = np.concatenate([np.ones((*data.y.shape, 1)), *parts], axis=2)
    Q, _ = _bases(np.where(used[:, :, None], columns, 0.0))
    rows = used.sum(axis=1)
    k, largest = columns.shape[2], every.shape[2] + 1
    fits = rows > largest  # the same units for each K
    if not fits.any():
        raise EstimationError(
            f"no {data.unit_name} has more than {largest} rows with {most} lags: expected more; pass fewer max_lags."
        )
    left = _left(np.where(used, data.y, 0.0), Q)
    values = [CRITERIA[name](np.log(left[i] / rows[i]), int(rows[i]), k) for i in np.flatnonzero(fits)]
    return float(np.mean(values))


def _dumitrescu_hurlin(df, data: _Data, lags: int, *, entity, time, step, bootstrap: int = 0, seed: int = 0) -> Granger:
    if len(data.causes) > 1:
        raise UsageError(
            f"Dumitrescu and Hurlin's test takes one cause, found {', '.join(data.causes)}: test each by itself, or "
            f"pass method='juodis'."
        )
    if isinstance(bootstrap, bool) or not isinstance(bootstrap, int) or bootstrap < 0:
        raise UsageError(f"bootstrap is {bootstrap!r}: expected the number of draws, such as 999, or 0 for none.")
    if data.y.shape[0] < 2:
        raise EstimationError(
            f"there is one {data.unit_name}: a panel test needs at least two; run a time-series test."
        )
    x = data.X[:, :, 0]
    walds, rows = unit_walds(data.y, x, lags)
    needed = 5 + 2 * lags
    short = rows <= needed
    if short.any():
        name = data.units[int(np.argmin(rows))]
        raise EstimationError(
            f"{short.sum():,} of {rows.size:,} values of {data.unit_name!r} have too few rows for {lags} lags (fewest: "
            f"{name}, {rows.min()}): Z-bar tilde needs more than 5 + 2K = {needed} after lags, that is T > 5 + 3K = "
            f"{5 + 3 * lags} periods without gaps; use fewer lags, or leave them out."
        )
    bad = ~np.isfinite(walds)
    if bad.any():
        name = data.units[int(np.argmax(bad))]
        raise EstimationError(
            f"{data.causes[0]} or {data.effect} does not vary in {bad.sum():,} of {bad.size:,} values of "
            f"{data.unit_name!r}, first {name}, beside its lags: leave them out."
        )
    null = f"{data.causes[0]} does not Granger-cause {data.effect} in any {data.unit_name}"
    tests = {
        "wbar": Test(float(walds.mean()), (), null, "none"),
        "zbar": Test(zbar(walds, lags), (), null, "normal", "for long panels"),
        "zbar_tilde": Test(zbar_tilde(walds, rows, lags), (), null, "normal", "with the moments of T rows"),
    }
    units = pd.DataFrame(
        {"wald": walds, "df": lags, "p": special.chdtrc(lags, walds), "nobs": rows},
        pd.Index(data.units, name=data.unit_name),
    )
    notes, shares = [], {}
    if np.ptp(rows):
        notes.append(f"units have {rows.min()} to {rows.max()} rows, each with the moments of its own number")
    if bootstrap:
        if np.ptp(rows) or not (np.isfinite(data.y).all() and np.isfinite(x).all()):
            raise EstimationError(
                "the bootstrap resamples periods for all units at once, and this panel has gaps or units of different "
                "length: expected a balanced panel; cut it, or pass bootstrap=0."
            )
        plain, tilde = resampled(data.y, x, lags, bootstrap, seed)
        for name, drawn in (("zbar", plain), ("zbar_tilde", tilde)):
            shares[name] = float((1 + np.sum(np.abs(drawn) >= abs(tests[name].stat))) / (bootstrap + 1))
        notes.append(f"{bootstrap:,} draws of the bootstrap under the null, seed {seed}")
    return Granger(
        cause=data.causes[0],
        effect=data.effect,
        method="dumitrescu-hurlin",
        lags=lags,
        tests=tests,
        nobs=int(rows.sum()),
        groups=rows.size,
        units=units,
        bootstrap=shares,
        notes=tuple(notes),
    )


def _juodis(
    df,
    data: _Data,
    lags: int,
    *,
    entity,
    time,
    step,
    errors: str = "heteroskedastic",
    bootstrap: int = 0,
    seed: int = 0,
) -> Granger:
    if errors not in ("heteroskedastic", "homoskedastic"):
        raise UsageError(f"errors is {errors!r}: expected 'heteroskedastic' or 'homoskedastic'.")
    _check_draws(bootstrap)
    found = half_panel_jackknife(data.y, data.X, lags, errors, bootstrap, seed)
    inverse, rank = pseudo_inverse(found.V)
    causes = ", ".join(data.causes)
    null = f"{causes} does not Granger-cause {data.effect}"
    terms = [f"L{lag}.{name}" for name in data.causes for lag in range(1, lags + 1)]
    listed = ", ".join(f"{term} {value:.4g}" for term, value in zip(terms, found.before, strict=True))
    how = f"covariance of {bootstrap:,} draws of units, seed {seed}" if bootstrap else f"{errors} errors"
    notes = [f"before the half-panel jackknife: {listed}"]
    if not bootstrap and data.y.shape[1] < LONG:
        notes.append(
            f"{data.y.shape[1]} periods are few: the jackknife adds variance that its covariance does not count, and "
            f"the test rejects too often (benchmarks/dynamic.md); compare bootstrap=999"
        )
    return Granger(
        cause=causes,
        effect=data.effect,
        method="juodis",
        lags=lags,
        tests={"wald_hpj": Test(float(found.b @ inverse @ found.b), (rank,), null, "chi2", how)},
        nobs=found.rows,
        groups=data.y.shape[0],
        estimates=pd.Series(found.b, terms, name="coef"),
        notes=tuple(notes),
    )


def _check_draws(bootstrap: object) -> None:
    if isinstance(bootstrap, bool) or not isinstance(bootstrap, int) or bootstrap < 0:
        raise UsageError(f"bootstrap is {bootstrap!r}: expected the number of draws, such as 999, or 0 for none.")


def _hnr(df, data: _Data, lags: int, *, entity, time, step, instruments=(2, None), **options) -> Granger:
    from econ.diagnostics import wald
    from econ.estimators import fit

    if "gmm" in options or "iv" in options:
        raise UsageError("gmm and iv are made from instruments=(first, last) lag: leave them out, or call econ.fit.")
    names = [data.effect, *data.causes]
    formula = f"`{data.effect}` ~ " + " + ".join(f"L(1/{lags}).`{name}`" for name in names)
    settings = {"system": False, "collapse": True, **options}
    limits = lag_limits(instruments, "instruments")
    est = fit(df, formula, "gmm", entity, time, step=step, gmm={f"`{name}`": limits for name in names}, **settings)
    terms = [f"L{lag}.{name}" for name in data.causes for lag in range(1, lags + 1)]
    lost = [term for term in terms if term not in est.params.index]
    if lost:
        raise EstimationError(f"{lost[0]} says nothing beside other lags, so that it cannot be tested: leave it out.")
    test = wald(est, np.eye(len(est.params))[[est.params.index.get_loc(term) for term in terms]])
    null = f"{', '.join(data.causes)} does not Granger-cause {data.effect}"
    return Granger(
        cause=", ".join(data.causes),
        effect=data.effect,
        method="hnr",
        lags=lags,
        tests={
            "wald": Test(test.stat, test.df, null, test.law),
            **{name: est.tests[name] for name in ("ar1", "ar2", "hansen")},
        },
        nobs=est.nobs,
        groups=est.counts["groups"],
        estimates=est.params[terms].rename("coef"),
        notes=est.notes,
        valid=est.valid,
    )


def _pvar(df, data: _Data, lags: int, *, entity, time, step, **options) -> Granger:
    from econ.vector_autoregression import panel_var

    found = panel_var(df, [data.effect, *data.causes], lags, entity=entity, time=time, step=step, **options)
    table = found.causality().set_index(["cause", "effect"])
    cause = data.causes[0] if len(data.causes) == 1 else "all others"
    row = table.loc[(cause, data.effect)]
    null = f"{', '.join(data.causes)} does not Granger-cause {data.effect}"
    terms = [f"L{lag}.{name}" for name in data.causes for lag in range(1, lags + 1)]
    return Granger(
        cause=", ".join(data.causes),
        effect=data.effect,
        method="pvar",
        lags=lags,
        tests={"wald": Test(float(row["stat"]), (int(row["df"]),), null), "hansen": found.tests["hansen"]},
        nobs=found.nobs,
        groups=found.groups,
        estimates=found.params.loc[data.effect, terms].rename("coef"),
        notes=found.notes,
        valid=found.valid,
    )


METHODS = {
    "dumitrescu-hurlin": Method(_dumitrescu_hurlin, "Dumitrescu and Hurlin (2012)", ("bootstrap", "seed")),
    "juodis": Method(
        _juodis, "Juodis, Karavias and Sarafidis (2021), half-panel jackknife", ("errors", "bootstrap", "seed")
    ),
    "hnr": Method(
        _hnr,
        "Holtz-Eakin, Newey and Rosen (1988), GMM of one equation",
        ("instruments", "system", "steps", "transform", "collapse", "time_effects", "windmeijer", "small", "h"),
    ),
    "pvar": Method(_pvar, "Panel VAR by GMM of all equations", ("instruments", "transform", "collapse")),
}
