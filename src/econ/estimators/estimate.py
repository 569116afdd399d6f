"""What every estimator returns, and how it prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import pandas as pd
from scipy import special

from econ.errors import UsageError

# Formulas of the R2s, printed by `Estimate.summary`; e residuals, b slopes, bars are means over one group's rows.
R2_FORMULAS = {
    "within": "1 - S e^2 / S (y - ybar_group)^2, time dummies being regressors: Stata's xtreg",
    "between": "corr(xbar_group b, ybar_group)^2, one point a group",
    "overall": "corr(x b, y)^2",
    "lsdv": "1 - S e^2 / S (y - ybar)^2, every effect being a dummy: Stata's areg",
    "net": "1 - S e^2 / S y_net^2, y_net = y net of all effects: reghdfe's and fixest's within R2",
}


@dataclass(frozen=True)
class Test:
    """A test: its statistic, degrees of freedom, p-value and null hypothesis."""

    __test__ = False  # pytest would collect the class by its name

    stat: float
    df: tuple[int, ...]  # (q, df_resid) of an F test, (q,) of a chi2 test
    null: str

    @property
    def pvalue(self) -> float:
        if len(self.df) == 2:
            return float(special.fdtrc(*self.df, self.stat))
        return float(special.chdtrc(self.df[0], self.stat))

    def __str__(self) -> str:
        law = "F" if len(self.df) == 2 else "chi2"
        return f"{law}({', '.join(map(str, self.df))}) = {self.stat:.2f}, p = {self.pvalue:.4f} ({self.null})"


@dataclass(frozen=True, eq=False)
class Estimate:
    """A fitted equation; p-values are from t(df_resid), or from the normal when it is None.

    Parameters
    ----------
    model : str
        Heading of its column, e.g. "Two-way fixed effects".
    formula, dependent : str
        The equation, and its left side.
    params : Series, (k,)
        Coefficients.
    cov : DataFrame, (k, k)
        Their covariance, labelled as `params`.
    cov_type : str
        What kind of covariance, in words.
    nobs : int
        Rows used.
    df_resid : int or None
        Degrees of freedom of t: n less all coefficients, or clusters less one (Stata's e(df_r)).
    n_coefs : int or None
        All coefficients, absorbed effects included; what the adjusted R2 counts.
    loglik : float or None
        Gaussian log-likelihood at the estimate, every effect being a dummy.
    rsquareds : mapping of name to float
        R2s by the names of `R2_FORMULAS`.
    tests : mapping of name to Test
        "f_model", "f_effects", "f_entity", "f_time".
    effects : tuple of str
        Columns whose effects are in the model.
    groups : DataFrame
        index = key columns; groups, min, mean, max = number of groups, and their rows.
    notes : tuple of str
        Rows and variables left out, singletons, clusters and the small-sample factor.
    """

    model: str
    formula: str
    dependent: str
    params: pd.Series
    cov: pd.DataFrame
    cov_type: str
    nobs: int
    df_resid: int | None = None
    n_coefs: int | None = None
    loglik: float | None = None
    rsquareds: Mapping[str, float] = field(default_factory=dict)
    tests: Mapping[str, Test] = field(default_factory=dict)
    effects: tuple[str, ...] = ()
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()

    @property
    def std_errors(self) -> pd.Series:
        return pd.Series(np.sqrt(np.diag(self.cov)), self.params.index)

    @property
    def tvalues(self) -> pd.Series:
        return self.params / self.std_errors

    @property
    def pvalues(self) -> pd.Series:
        below = -self.tvalues.abs()
        tail = special.ndtr(below) if self.df_resid is None else special.stdtr(self.df_resid, below)
        return pd.Series(2 * tail, self.params.index)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """(k, 2) lower and upper ends of the confidence intervals that cover with probability `level`."""
        if not 0 < level < 1:
            raise UsageError(f"the confidence level is {level}: expected a number between 0 and 1, such as 0.95.")
        upper = (1 + level) / 2
        reach = special.ndtri(upper) if self.df_resid is None else special.stdtrit(self.df_resid, upper)
        return pd.DataFrame(
            {"lower": self.params - reach * self.std_errors, "upper": self.params + reach * self.std_errors}
        )

    @property
    def rsquared(self) -> float:
        """The within R2; that of the regression where nothing is absorbed."""
        return self.rsquareds.get("within", self.rsquareds.get("overall", float("nan")))

    @property
    def rsquared_adj(self) -> float:
        """1 - (1 - R2)(n - 1) / (n - K), K all coefficients with the effects (xtreg's e(r2_a))."""
        if self.n_coefs is None:
            return float("nan")
        return 1 - (1 - self.rsquared) * (self.nobs - 1) / (self.nobs - self.n_coefs)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """(k, 6): coef, se, t, p, lower, upper."""
        frame = pd.DataFrame({"coef": self.params, "se": self.std_errors, "t": self.tvalues, "p": self.pvalues}).join(
            self.conf_int(level)
        )
        frame.index.name = self.dependent
        return frame

    def summary(self, level: float = 0.95) -> str:
        """The whole result as text, laid out as Stata does."""
        lines = [*self._head(), *self._body(level), *(f"Note: {note}" for note in self.notes)]
        return "\n".join(line.rstrip() for line in lines)

    def _head(self) -> list[str]:
        left = [self.model, f"Effects: {', '.join(self.effects) or 'none'}", "", "R-squared:"]
        left += [f"  {name:<8}= {value:.4f}" for name, value in self.rsquareds.items()]
        right = [("Number of obs", f"{self.nobs:,}")]
        right += [(f"Groups of {effect}", f"{self.groups.loc[effect, 'groups']:,}") for effect in self.effects]
        for name in self.groups.index[:1]:
            rows = self.groups.loc[name]
            right += [(f"Obs per {name}, {label}", f"{rows[label]:g}") for label in ("min", "mean", "max")]
        if "f_model" in self.tests:
            test = self.tests["f_model"]
            right += [(f"F({test.df[0]}, {test.df[1]})", f"{test.stat:.2f}"), ("Prob > F", f"{test.pvalue:.4f}")]
        if self.n_coefs is not None:
            right.append(("Adj R-squared", f"{self.rsquared_adj:.4f}"))
        if self.loglik is not None:
            right.append(("Log likelihood", f"{self.loglik:.4f}"))
        width = max(len(name) for name, _ in right)
        values = [f"{name:<{width}} = {value:>10}" for name, value in right]
        return [self.formula, "", *(f"{a:<40}{b}" for a, b in zip_longest(left, values, fillvalue=""))]

    def _body(self, level: float) -> list[str]:
        frame = self.to_frame(level)
        width = max(12, len(self.dependent), *(len(name) for name in frame.index))
        law = ("z", "P>|z|") if self.df_resid is None else ("t", "P>|t|")
        head = (
            f"{self.dependent:>{width}} | Coefficient  Std. err. {law[0]:>8} {law[1]:>7}   [{level:.0%} conf. interval]"
        )
        rule = "-" * (width + 1) + "+" + "-" * (len(head) - width - 2)
        rows = [
            f"{name:>{width}} | {row.coef:>11.5g} {row.se:>10.5g} {row.t:>8.2f} {row.p:>7.3f}"
            f"   {row.lower:>10.5g} {row.upper:>10.5g}"
            for name, row in frame.iterrows()
        ]
        tests = [f"{name}: {test}" for name, test in self.tests.items() if name != "f_model"]
        formulas = [f"R-squared {name}: {R2_FORMULAS[name]}" for name in self.rsquareds]
        kind = f"(Std. err. {self.cov_type})"
        return ["", f"{kind:>{len(head)}}", "-" * len(head), head, rule, *rows, "-" * len(head), *tests, *formulas]

    def to_dict(self) -> dict:
        """Everything in plain Python types, for JSON; what is not defined is None."""
        return _plain(self._parts())

    def _parts(self) -> dict:
        return {
            "model": self.model,
            "formula": self.formula,
            "dependent": self.dependent,
            "coefficients": {name: row.to_dict() for name, row in self.to_frame().iterrows()},
            "covariance": self.cov_type,
            "nobs": self.nobs,
            "df_resid": self.df_resid,
            "loglik": self.loglik,
            "rsquared": dict(self.rsquareds),
            "rsquared_adj": self.rsquared_adj,
            "tests": {
                name: {"stat": test.stat, "df": list(test.df), "p": test.pvalue, "null": test.null}
                for name, test in self.tests.items()
            },
            "groups": {name: int(row["groups"]) for name, row in self.groups.iterrows()},
            "notes": list(self.notes),
        }


def _plain(value):
    """The same without NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value
