"""Panel vector autoregressions by GMM, and Granger's question asked of them.

D. Holtz-Eakin, W. Newey, H. Rosen (1988), "Estimating vector autoregressions with panel data", Econometrica 56,
1371-1395: each variable on lags of all, effects of the units taken out, lags as instruments, all equations weighted
together in the second step (M. Sigmund, R. Ferstl (2021), "Panel vector autoregression in R with the package
panelvar", Q. Rev. Econ. Finance 80, 693-720).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from econ.errors import EstimationError, UsageError
from econ.estimators import dynamic
from econ.estimators.dynamic_moments import TRANSFORMS, GmmStyle, build, without_redundant
from econ.estimators.estimate import Test
from econ.estimators.gmm import REJECTED, Cube, lag_limits, refuse_empty
from econ.estimators.sample import draw_sample


@dataclass(frozen=True, eq=False)
class PanelVar:
    """A fitted panel vector autoregression.

    Parameters
    ----------
    params, std_errors : DataFrame, (q, q lags)
        A row an equation, a column a lag such as "L1.x".
    first : (q, q lags)
        Coefficients of one step.
    cov : DataFrame
        Of all coefficients, labelled by (equation, lag), corrected as F. Windmeijer (2005).
    nobs, groups, instruments : int
        Rows of one equation, units, and moments of all equations together.
    tests : mapping of name to Test
        "hansen".
    notes : tuple of str
    valid : bool
    """

    params: pd.DataFrame
    std_errors: pd.DataFrame
    first: np.ndarray
    cov: pd.DataFrame
    nobs: int
    groups: int
    instruments: int
    lags: int
    tests: Mapping[str, Test] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    valid: bool = True

    def causality(self) -> pd.DataFrame:
        """Wald tests that no lag of `cause` stands in the equation of `effect`, every direction, and of all others.

        Columns cause ("all others" too), effect, stat, df, p.
        """
        names = list(self.params.index)
        rows = []
        for effect in names:
            others = [name for name in names if name != effect]
            for cause in [*([name] for name in others), *([others] if len(others) > 1 else [])]:
                terms = [(effect, f"L{lag}.{name}") for name in cause for lag in range(1, self.lags + 1)]
                b = np.array([self.params.loc[term] for term in terms])
                stat, rank = _wald(b, self.cov.loc[terms, terms].to_numpy())
                label = cause[0] if len(cause) == 1 else "all others"
                rows.append((label, effect, stat, rank, float(special.chdtrc(rank, stat))))
        return pd.DataFrame(rows, columns=["cause", "effect", "stat", "df", "p"])

    def to_frame(self) -> pd.DataFrame:
        """A row a coefficient: equation, term, coef, se, z, p."""
        coef, se = self.params.stack(), self.std_errors.stack()
        z = coef / se
        frame = pd.DataFrame({"coef": coef, "se": se, "z": z, "p": 2 * special.ndtr(-z.abs())})
        return frame.rename_axis(["equation", "term"])

    def summary(self) -> str:
        """The equations, Hansen's test and causality, as text."""
        reasons = [note for note in self.notes if note.startswith("not valid")]
        lines = [
            *(["NOT VALID"] if reasons else []),
            f"Panel VAR of {', '.join(self.params.index)}, {self.lags} lag{'s' * (self.lags > 1)}, two-step GMM",
            f"{self.nobs:,} rows, {self.groups:,} groups, {self.instruments} instruments in all equations",
            "",
            *self.to_frame().round(4).to_string().splitlines(),
            "",
            f"hansen: {self.tests['hansen']}",
            "",
            "Granger causality: lags of the cause have no coefficients",
            *self.causality().round(4).to_string(index=False).splitlines(),
            *(f"Note: {note}" for note in self.notes),
        ]
        return "\n".join(line.rstrip() for line in lines)


def panel_var(
    df: pd.DataFrame,
    variables: Sequence[str],
    lags: int = 1,
    instruments: tuple[int, int | None] = (2, None),
    entity: str = "province",
    time: str = "year",
    transform: str = "fd",
    collapse: bool = True,
    step: int = 1,
) -> PanelVar:
    """Fit each variable on `lags` lags of all of them, by two-step GMM with one weighting matrix.

    Parameters
    ----------
    df : DataFrame
        One row an (entity, time).
    variables : sequence of str, q >= 2
        Columns of the panel.
    lags : int
    instruments : (first, last)
        Lags of all variables that instrument, counted from the variable itself; last may be None.
    transform : "fd" or "fod"
    collapse : bool
        One column a lag, not one for each period and lag.

    Raises
    ------
    UsageError, BadInputError, EstimationError
        As `econ.fit`.
    """
    names = [variables] if isinstance(variables, str) else list(variables)
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"variables are {names}: expected two or more columns, each once.")
    if isinstance(lags, bool) or not isinstance(lags, int) or lags < 1:
        raise UsageError(f"lags is {lags!r}: expected a whole number, 1 or more.")
    if transform not in TRANSFORMS:
        raise UsageError(f"transform is {transform!r}: expected 'fd' or 'fod'.")
    if not isinstance(collapse, bool):
        raise UsageError(f"collapse is {collapse!r}: expected True or False.")
    limits = lag_limits(instruments, "instruments")
    right = " + ".join(f"L(1/{lags}).`{name}`" for name in names)
    sample = draw_sample(df, f"`{names[0]}` ~ {right}", entity, time, step=step, aside=[f"`{name}`" for name in names])
    cube = Cube.of(sample)
    levels = [values for name in names for _, values in cube.columns(f"`{name}`")]
    # one sample for all equations: rows that have all variables now, and their lags
    used = np.isfinite(cube.of_sample(sample.y)) & np.isfinite(levels).all(axis=0)
    X = cube.of_sample(sample.exogenous.values)
    styles = [
        GmmStyle(name, values, limits.first, limits.last, collapse) for name, values in zip(names, levels, strict=True)
    ]
    regressors = [f"L{lag}.{name}" for name in names for lag in range(1, lags + 1)]
    equations = []
    for values in levels:
        moments = build(values, X, regressors, styles, [], system=False, transform=transform, used=used)
        refuse_empty(moments, sample, transform)
        moments, dropped, _ = without_redundant(moments)
        if dropped:
            raise EstimationError(f"{dropped[0]} is collinear with other lags: leave a variable or a lag out.")
        equations.append(moments)
    found = dynamic.joint(equations)
    labels = pd.MultiIndex.from_product([names, regressors], names=["equation", "term"])
    shape = (len(names), len(regressors))
    notes, count = list(sample.notes), len(names) * equations[0].Z.shape[2]
    groups = int(equations[0].rows.any(axis=1).sum())
    singular = found.rank_weights < count
    rejected = found.hansen.pvalue < REJECTED
    if rejected:
        notes.append(f"not valid: Hansen's test rejects the instruments, {found.hansen}")
    if singular:
        notes.append(
            f"not valid: the joint weights are singular, of rank {found.rank_weights} for {count} instruments and "
            f"{groups} groups: limit the lags of instruments"
        )
    return PanelVar(
        params=pd.DataFrame(found.b.reshape(shape), names, regressors),
        std_errors=pd.DataFrame(np.sqrt(np.diag(found.V)).reshape(shape), names, regressors),
        first=found.first,
        cov=pd.DataFrame(found.V, labels, labels),
        nobs=int(equations[0].rows.sum()),
        groups=groups,
        instruments=count,
        lags=lags,
        tests={"hansen": found.hansen},
        notes=tuple(notes),
        valid=not (singular or rejected),
    )


def _wald(b: np.ndarray, V: np.ndarray) -> tuple[float, int]:
    inverse, rank = dynamic.pseudo_inverse(V)
    return float(b @ inverse @ b), rank
