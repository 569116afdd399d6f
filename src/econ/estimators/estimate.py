"""What every estimator returns, and how it prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from numbers import Real
from textwrap import TextWrapper
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from econ.errors import UsageError

if TYPE_CHECKING:
    from econ.estimators.design import Design
    from econ.estimators.limited import Limited
    from econ.estimators.wild import WildResult

# Formulas of the R2s, printed by `Estimate.summary`; e residuals, b slopes, bars are means over one group's rows.
R2_FORMULAS = {
    "within": "1 - S e^2 / S (y - ybar_group)^2, time dummies being regressors (xtreg, fe)",
    "between": "corr(xbar_group b, ybar_group)^2, one point a group",
    "overall": "corr(x b, y)^2",
    "lsdv": "1 - S e^2 / S (y - ybar)^2, every effect being a dummy: Stata's areg",
    "transformed": "1 - S e*^2 / S (y* - y*bar)^2 of the quasi-demeaned regression, which depends on the origin of y "
    "where the panel is unbalanced; with plm's components corr(y*, y* - e*)^2: plm's R2 of random effects",
    "differences": "1 - S e^2 / S (D.y)^2, no constant",
    "net": "1 - S e^2 / S y_net^2, y_net = y net of all effects: reghdfe's and fixest's within R2",
}
# Where another R2 is the estimator's own, `within` is that of random effects and of the between regression.
WITHIN_BESIDE = "corr(x b - xbar_group b, y - ybar_group)^2 (xtreg, re and be)"
# Alone, without effects, `overall` is the usual one, below zero where instruments make it so.
OVERALL_ALONE = "1 - S e^2 / S (y - ybar)^2 (regress, ivregress)"

COMPONENTS = {
    "sigma": "of the errors",
    "sigma_u": "of the entities",
    "sigma_v": "of the periods",
    "sigma_e": "of the errors",
    "rho": "sigma_u^2 / (sigma_u^2 + sigma_e^2)",
    "theta": "share of the means taken out",
    "theta_min": "share of the means taken out, smallest group",
    "theta_max": "largest group",
    "theta_entity": "share of the entity means taken out",
    "theta_time": "of the time means",
    "theta_total": "share of the overall mean given back",
    "rmse": "of the quasi-demeaned regression",
    "kappa": "of the k-class",
}
# What `summary` shows of the first stages; the others are in `Estimate.first_stages`.
STRENGTH = ["partial R2", "Shea partial R2", "F", "F p", "SW F", "SW F p", "AP F"]


@dataclass(frozen=True)
class Test:
    """A test: its statistic, degrees of freedom, p-value and null hypothesis.

    Parameters
    ----------
    stat : float
    df : tuple of number
        (q, df_resid) of an F test, (q,) of a chi2 test, () of a statistic that is normal or has no law of its own.
    null : str
        The null hypothesis in words.
    law : str, optional
        "F", "chi2", "normal" (two-sided), "none", or "chibar2": zero and chi2(1) with even odds, which a variance on
        the edge of its range follows.  By default as the degrees of freedom tell, "none" without any.
    note : str
        What a reader has to know beside the number.
    """

    __test__ = False  # pytest would collect the class by its name

    stat: float
    df: tuple[float, ...]
    null: str
    law: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.law is None:
            object.__setattr__(self, "law", ("none", "chi2", "F")[len(self.df)])

    @property
    def pvalue(self) -> float:
        """Probability of a statistic as extreme under the null; NaN where there is no law."""
        if not np.isfinite(self.stat) or self.law == "none":
            return float("nan")
        if self.law == "normal":
            return float(2 * special.ndtr(-abs(self.stat)))
        if self.law == "chibar2":
            return 1.0 if self.stat <= 0 else float(special.chdtrc(1, self.stat) / 2)
        if self.stat < 0:  # no value of an F or chi2: the note says how it came about
            return float("nan")
        tail = special.fdtrc(*self.df, self.stat) if self.law == "F" else special.chdtrc(self.df[0], self.stat)
        return float(tail)

    def __str__(self) -> str:
        degrees = ", ".join(f"{value:g}" for value in self.df)
        name = {"F": f"F({degrees})", "chi2": f"chi2({degrees})", "normal": "z"}.get(self.law, self.law)
        name = "statistic" if name == "none" else name
        p = "" if self.law == "none" else f", p = {self.pvalue:.4f}"
        return f"{name} = {self.stat:.2f}{p} ({self.null}{f'; {self.note}' if self.note else ''})"


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
        Log-likelihood at the estimate, Gaussian but for Tobit, every effect being a dummy; None for random effects by
        least squares and with instruments, which maximise none.
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
    error_variance : float or None
        What a classical covariance is a multiple of.
    coefficient_df : Series, (k,), optional
        Degrees of freedom of t of every coefficient by itself, where the covariance has such (CR2).
    bootstrap : mapping of name to WildResult
        Bootstrapped p-values and intervals, which then stand in place of those of t.
    bootstrap_options : mapping of str to object
        How it was drawn.
    effect_values : mapping of str to Series
        Estimated effects by their column; those of the times have mean 0 over the rows, the entities' hold the rest
        less the constant.  Random ones are best linear predictions.
    components : mapping of str to float
        Parameters beside the coefficients: sigma of Tobit, sigma_u, sigma_e, rho, theta of random effects, kappa of
        LIML.
    component_errors : mapping of str to float
        Standard errors of those that have them.
    counts : mapping of str to int
        What is counted beside rows and groups: groups and instruments of GMM.
    first_stages : DataFrame, optional
        Instrumental variables: one row an endogenous variable, its instruments' strength.
    limited : Limited, optional
        Tobit: limits, counts of censored rows, and the covariance of all parameters.
    valid : bool
        Whether the result can be used; a note says why not.
    design : Design, optional
        The arrays behind it, for tests and bootstraps.
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
    error_variance: float | None = None
    coefficient_df: pd.Series | None = None
    bootstrap: Mapping[str, WildResult] = field(default_factory=dict)
    bootstrap_options: Mapping[str, object] = field(default_factory=dict)
    effect_values: Mapping[str, pd.Series] = field(default_factory=dict)
    components: Mapping[str, float] = field(default_factory=dict)
    component_errors: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    first_stages: pd.DataFrame | None = None
    limited: Limited | None = None
    valid: bool = True
    design: Design | None = field(default=None, repr=False)

    @property
    def residuals(self) -> pd.Series:
        """(n,) y less all that the model explains; index = (entity, time).

        Fixed effects are explained, random ones stay in; of first differences, and of means (index = entity), what
        the regression in them leaves; of Tobit the y of the table less X b, censored or not.
        """
        return self._by_key(self._design().residuals, "residual")

    @property
    def fitted(self) -> pd.Series:
        """(n,) y less `residuals`, y being the changes or means where the model is in them."""
        design = self._design()
        return self._by_key(design.y - design.residuals, "fitted")

    @property
    def random(self) -> bool:
        """Whether the effects are random: their variance is a parameter."""
        return "sigma_u" in self.components

    def _design(self) -> Design:
        if self.design is None:
            raise UsageError(f"{self.model} keeps no rows: fit it with econ.fit to have residuals.")
        return self.design

    def _by_key(self, values: np.ndarray, name: str) -> pd.Series:
        design = self._design()
        codes = (design.rows.entity, design.rows.time)[: len(design.keys)]
        levels = [level.take(code) for level, code in zip(design.keys.values(), codes, strict=True)]
        index = levels[0].rename(next(iter(design.keys))) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels)
        return pd.Series(values, index.set_names(list(design.keys)), name=name)

    @property
    def std_errors(self) -> pd.Series:
        return pd.Series(np.sqrt(np.diag(self.cov)), self.params.index)

    @property
    def tvalues(self) -> pd.Series:
        return self.params / self.std_errors

    def _df(self) -> pd.Series | float | None:
        return self.df_resid if self.coefficient_df is None else self.coefficient_df

    @property
    def pvalues(self) -> pd.Series:
        below, df = -self.tvalues.abs(), self._df()
        tail = pd.Series(special.ndtr(below) if df is None else special.stdtr(df, below), self.params.index)
        found = 2 * tail
        for name, result in self.bootstrap.items():
            found[name] = result.pvalue
        return found

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """(k, 2) lower and upper ends of the confidence intervals that cover with probability `level`."""
        if not (isinstance(level, Real) and 0 < level < 1):
            raise UsageError(f"the confidence level is {level}: expected a number between 0 and 1, such as 0.95.")
        upper, df = (1 + level) / 2, self._df()
        reach = special.ndtri(upper) if df is None else special.stdtrit(df, upper)
        ends = pd.DataFrame(
            {"lower": self.params - reach * self.std_errors, "upper": self.params + reach * self.std_errors}
        )
        for name in self.bootstrap:
            ends.loc[name] = self._bootstrapped_interval(name, level)
        return ends

    def _bootstrapped_interval(self, name: str, level: float) -> tuple[float, float]:
        """Nulls that the bootstrap does not reject, drawn anew where another level is wanted; NaN where it has none."""
        from econ.estimators.bootstrap import LEVEL, bootstrapped

        result = self.bootstrap[name]
        if level != LEVEL and result.interval is not None:
            result = bootstrapped(self, level=level, **self.bootstrap_options).bootstrap[name]
        return result.interval or (float("nan"), float("nan"))

    @property
    def aic(self) -> float:
        """-2 loglik + 2 (K + 1): all coefficients with the effects, and sigma (R's AIC of the dummy regression)."""
        return self._information(2.0)

    @property
    def bic(self) -> float:
        """-2 loglik + ln(n) (K + 1), counted as in `aic`."""
        return self._information(float(np.log(self.nobs)))

    def _information(self, price: float) -> float:
        if self.loglik is None or self.n_coefs is None:
            return float("nan")
        return -2 * self.loglik + price * (self.n_coefs + 1)

    @property
    def rsquared(self) -> float:
        """The first of `rsquareds`, the estimator's own: within for fixed effects, transformed for random ones."""
        return next(iter(self.rsquareds.values()), float("nan"))

    @property
    def rsquared_adj(self) -> float:
        """1 - (1 - R2)(n - 1) / (n - K), K all coefficients with the effects (xtreg's e(r2_a)).

        In first differences, which have no constant, n takes the place of n - 1 (regress, noconstant).
        """
        if self.n_coefs is None:
            return float("nan")
        total = self.nobs - ("Intercept" in self.params.index)
        return 1 - (1 - self.rsquared) * total / (self.nobs - self.n_coefs)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """(k, 6): coef, se, t, p, lower, upper."""
        frame = pd.DataFrame({"coef": self.params, "se": self.std_errors, "t": self.tvalues, "p": self.pvalues}).join(
            self.conf_int(level)
        )
        frame.index.name = self.dependent
        return frame

    def summary(self, level: float = 0.95) -> str:
        """The whole result as text, laid out as Stata does."""
        table = self._table(level)
        width = len(table[0])
        kind = [f"{line:>{width}}" for line in _wrapped(f"(Std. err. {self.cov_type})", width)]
        lines = [*self._head(width), "", *kind, *table, *self._below(width)]
        return "\n".join(line.rstrip() for line in lines)

    def _head(self, width: int) -> list[str]:
        label = max((len(name) for name in self.rsquareds), default=0)
        left = [self.model, f"Effects: {', '.join(self.effects) or 'none'}", ""]
        right = [("Number of obs", f"{self.nobs:,}")]
        if self.rsquareds:
            left += ["R-squared:", *(f"  {name:<{label}} = {value:.4f}" for name, value in self.rsquareds.items())]
        if self.limited is not None:
            left += self.limited.lines()
            right += [(name, f"{count:,}") for name, count in self.limited.named_counts().items()]
        right += [(f"Groups of {effect}", f"{self.groups.loc[effect, 'groups']:,}") for effect in self.effects]
        right += [(f"Number of {what}", f"{count:,}") for what, count in self.counts.items()]
        for name in self.groups.index[:1]:
            rows = self.groups.loc[name]
            right += [(f"Obs per {name}, {what}", f"{rows[what]:,g}") for what in ("min", "max")]
            right.insert(-1, (f"Obs per {name}, mean", f"{rows['mean']:,.1f}"))
        for name, law, prefix in (("f_model", "F", ""), ("chi2_model", "chi2", "Wald ")):
            if name in self.tests:
                test = self.tests[name]
                degrees = ", ".join(f"{value:g}" for value in test.df)
                right += [(f"{prefix}{law}({degrees})", f"{test.stat:.2f}"), (f"Prob > {law}", f"{test.pvalue:.4f}")]
        if self.n_coefs is not None and self.rsquareds:
            right.append(("Adj R-squared", f"{self.rsquared_adj:.4f}"))
        if self.loglik is not None:
            right.append(("Log likelihood", f"{self.loglik:.4f}"))
        names, column = max(len(name) for name, _ in right), max(40, *(len(text) + 2 for text in left))
        values = [f"{name:<{names}} = {value:>10}" for name, value in right]
        pairs = zip_longest(left, values, fillvalue="")
        return [*_wrapped(self.formula, width), "", *(f"{a:<{column}}{b}" for a, b in pairs)]

    def _table(self, level: float) -> list[str]:
        frame = self.to_frame(level)
        width = max(12, len(self.dependent), *(len(name) for name in (*frame.index, *self.components)))
        law = ("z", "P>|z|") if self.df_resid is None else ("t", "P>|t|")
        head = (
            f"{self.dependent:>{width}} | Coefficient  Std. err. {law[0]:>8} {law[1]:>7}   "
            f"[{100 * level:.4g}% conf. interval]"
        )
        rule = "-" * (width + 1) + "+" + "-" * (len(head) - width - 2)
        rows = [
            f"{name:>{width}} | {row.coef:>11.5g} {row.se:>10.5g} {row.t:>8.2f} {row.p:>7.3f}"
            f"   {row.lower:>10.5g} {row.upper:>10.5g}"
            for name, row in frame.iterrows()
        ]
        if self.components:
            rows.append(rule)
            rows += [self._component(name, value, width, level) for name, value in self.components.items()]
        return ["-" * len(head), head, rule, *rows, "-" * len(head)]

    def _component(self, name: str, value: float, width: int, level: float) -> str:
        """A line of the table, with a symmetric interval where there is a standard error, as Stata has it."""
        se = self.component_errors.get(name, float("nan"))
        if not np.isfinite(se):
            return f"{name:>{width}} | {value:>11.5g} {COMPONENTS.get(name, '')}"
        reach = special.ndtri((1 + level) / 2) * se
        return f"{name:>{width}} | {value:>11.5g} {se:>10.5g} {'':>19}{value - reach:>10.5g} {value + reach:>10.5g}"

    def _below(self, width: int) -> list[str]:
        lines = []
        if self.first_stages is not None:
            shown = self.first_stages[[name for name in STRENGTH if name in self.first_stages]]
            lines += ["First stages", *shown.map(lambda value: f"{value:.4f}").to_string().splitlines(), ""]
        formulas = dict(R2_FORMULAS)
        if list(self.rsquareds) == ["overall"]:
            formulas["overall"] = OVERALL_ALONE
        elif self.rsquareds and next(iter(self.rsquareds)) != "within":
            formulas["within"] = WITHIN_BESIDE
        texts = [f"{name}: {test}" for name, test in self.tests.items() if name not in ("f_model", "chi2_model")]
        texts += [f"R-squared {name}: {formulas[name]}" for name in self.rsquareds]
        texts += [f"Note: {note}" for note in self.notes]
        return [*lines, *(line for text in texts for line in _wrapped(text, width))]

    def to_dict(self) -> dict:
        """Everything in plain Python types, for JSON; what is not defined is None."""
        return _plain(self._parts())

    def _parts(self) -> dict:
        frame = self.to_frame()
        return {
            "model": self.model,
            "formula": self.formula,
            "dependent": self.dependent,
            "coefficients": {name: row.to_dict() for name, row in frame.iterrows()},
            "covariance": self.cov_type,
            "covariances": {name: row.to_dict() for name, row in self.cov.iterrows()},
            "nobs": self.nobs,
            "df_resid": self.df_resid,
            "df_coefficients": None if self.coefficient_df is None else self.coefficient_df.to_dict(),
            "loglik": self.loglik,
            "aic": self.aic,
            "bic": self.bic,
            "rsquared": dict(self.rsquareds),
            "rsquared_adj": self.rsquared_adj,
            "tests": {
                name: {
                    "stat": test.stat,
                    "df": list(test.df),
                    "law": test.law,
                    "p": test.pvalue,
                    "null": test.null,
                    "note": test.note,
                }
                for name, test in self.tests.items()
            },
            "effects": list(self.effects),
            "groups": {name: int(row["groups"]) for name, row in self.groups.iterrows()},
            "components": dict(self.components),
            "counts": dict(self.counts),
            "component_errors": dict(self.component_errors),
            "limited": None if self.limited is None else self.limited.to_dict(),
            "first_stages": {}
            if self.first_stages is None
            else {name: row.to_dict() for name, row in self.first_stages.iterrows()},
            "bootstrap": {name: asdict(result) for name, result in self.bootstrap.items()},
            "valid": self.valid,
            "notes": list(self.notes),
        }


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, those after the first moved in; words stay whole."""
    lines = TextWrapper(width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    return lines.wrap(text)


def _plain(value):
    """The same in types that JSON knows, without NaN and infinity, which it does not."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
