"""Instrumental variables through `econ.fit`: `instruments.py` and `weak.py` on columns net of the effects.

Effects are absorbed, not instruments of their own: they count in the degrees of freedom of every test, as xtivreg2
counts them, or as ivreghdfe with ssc="reghdfe" (docs/decisions/0030-static-panels.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real

import numpy as np
import pandas as pd

from econ.errors import UsageError
from econ.estimators import instruments as arrays
from econ.estimators import weak
from econ.estimators.design import Design
from econ.estimators.estimate import Estimate, Test
from econ.estimators.inference import (
    CovarianceOptions,
    Inference,
    covariance_of,
    effects_beside_instruments,
    with_other_law,
)
from econ.estimators.regression import (
    EFFECTS,
    NO_MODEL_TEST,
    Net,
    at_origin,
    effect_values,
    group_sizes,
    model_name,
    model_test,
    refuse_exact_fit,
    rsquareds,
    take_effects,
)
from econ.estimators.sample import Sample
from econ.estimators.within import absorber, mean


def iv(
    sample: Sample,
    options: CovarianceOptions,
    *,
    effects: str = "none",
    orthogonality: Sequence[str] = (),
    redundant: Sequence[str] = (),
    dofminus: int = 0,
    sdofminus: int = 0,
) -> Estimate:
    """Two-stage least squares; Stata's `ivregress 2sls`, ivreg2, xtivreg2 and ivreghdfe."""
    problem = _Problem.of(sample, options, effects, dofminus, sdofminus)
    return problem.estimate(arrays.two_stage(*problem.columns), "2SLS", "2sls", orthogonality, redundant)


def liml(
    sample: Sample,
    options: CovarianceOptions,
    *,
    effects: str = "none",
    fuller: float = 0.0,
    orthogonality: Sequence[str] = (),
    redundant: Sequence[str] = (),
    dofminus: int = 0,
    sdofminus: int = 0,
) -> Estimate:
    """Limited-information maximum likelihood, or Fuller's estimator with its constant `fuller`, usually 1 or 4."""
    if isinstance(fuller, bool) or not isinstance(fuller, Real) or not 0 <= fuller < float("inf"):
        raise UsageError(f"fuller is {fuller!r}: expected 0 for LIML, or a positive constant such as 1.")
    problem = _Problem.of(sample, options, effects, dofminus, sdofminus)
    absorbed = problem.errors.absorbed + dofminus
    free = problem.rows.n - problem.X1.shape[1] - problem.net.instruments.shape[1] - absorbed
    if fuller >= free:
        raise UsageError(
            f"fuller is {fuller:g}, and the first stages have {free:,} degrees of freedom: expected less, usually 1 "
            f"or 4."
        )
    fit = arrays.liml(*problem.columns, fuller=fuller, absorbed=absorbed)
    name, table = (f"Fuller({fuller:g})", "fuller") if fuller else ("LIML", "liml")
    return problem.estimate(fit, name, table, orthogonality, redundant)


def gmm_iv(
    sample: Sample,
    options: CovarianceOptions,
    *,
    effects: str = "none",
    steps: int | str = 2,
    orthogonality: Sequence[str] = (),
    redundant: Sequence[str] = (),
    dofminus: int = 0,
    sdofminus: int = 0,
) -> Estimate:
    """Efficient GMM of one equation, in two steps from 2SLS or continuously updated ("cue"); weights go by `cov`."""
    if isinstance(steps, bool) or not isinstance(steps, int | str) or steps not in (2, "cue"):
        raise UsageError(f"steps is {steps!r}: expected 2 or 'cue'.")
    if options.cov in ("hc2", "hc3", "cr2", "cr3"):
        raise UsageError(
            f"cov={options.cov!r} has no meaning for estimator='gmm-iv', whose weights are the inverse of a covariance "
            f"of moments: choose among classical, hc0, hc1, cluster, driscoll-kraay, newey-west."
        )
    problem = _Problem.of(sample, options, effects, dofminus, sdofminus)
    name = "two-step GMM" if steps == 2 else "continuously updated GMM"
    return problem.estimate(arrays.gmm(*problem.columns, problem.errors, steps), name, "gmm", orthogonality, redundant)


class _Problem:
    """Columns, errors and options of one equation with instruments."""

    def __init__(self, net: Net, options: CovarianceOptions, effects: str, dofminus: int, sdofminus: int) -> None:
        self.net, self.options, self.effects, self.dofminus = net, options, effects, dofminus
        self.absorbs = bool(net.effects)
        # without effects the constant is a regressor like any other
        constant = [] if self.absorbs else [net.root]
        self.X1 = np.column_stack([*constant, net.exogenous]) if constant or net.exogenous.size else net.exogenous
        names = net.sample.exogenous.names if self.absorbs else ("Intercept", *net.sample.exogenous.names)
        self.names = arrays.Names(names, net.sample.endogenous.names, net.sample.instruments.names)
        self.counted = net.rank + sdofminus + (0 if net.rows.clusters else dofminus)
        self.rows = replace(net.rows, rank=self.counted)
        arrays.check(self.X1, net.endogenous, net.instruments, self.names)
        counted = effects_beside_instruments(net.rows, options) if self.absorbs else 0
        # what the errors of the tests look like does not depend on the estimate
        probe = self._covariance(arrays.two_stage(*self.columns), options)
        clusters = probe.clusters
        self.errors = arrays.Errors(
            meat=probe.meat,
            clusters=clusters,
            absorbed=counted + sdofminus,
            dofminus=dofminus,
            small=options.small,
        )
        if options.ssc == "ivreg2" and options.lags is not None and options.kernel != "bartlett":
            # ivreg2 hands its bandwidth to the rank tests but not its kernel, which then is Bartlett's
            lags = options.lags - (options.kernel == "truncated")
            bartlett = replace(options, kernel="bartlett", lags=max(lags, 0))
            probe = self._covariance(arrays.two_stage(*self.columns), bartlett)
            self.errors = replace(self.errors, rank_meat=probe.meat)

    @classmethod
    def of(cls, sample: Sample, options: CovarianceOptions, effects: str, dofminus: int, sdofminus: int) -> _Problem:
        """Check dofminus and sdofminus, coefficients that were taken out before: all variances count the first."""
        for name, value in (("dofminus", dofminus), ("sdofminus", sdofminus)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise UsageError(f"{name} is {value!r}: expected a whole number of coefficients, 0 or more.")
        if options.cov == "pcse":
            raise UsageError(
                "cov='pcse' has no meaning beside instruments, whose tests need a covariance of moments: choose "
                "driscoll-kraay, which allows for errors correlated between entities too."
            )
        net = take_effects(sample, effects, options.ssc)
        coefficients = net.rank + net.exogenous.shape[1] + net.endogenous.shape[1]
        if net.sample.n - coefficients - dofminus - sdofminus <= 0:
            raise UsageError(
                f"dofminus={dofminus} and sdofminus={sdofminus} leave no degree of freedom of {net.sample.n:,} rows "
                f"and {coefficients:,} coefficients: expected less than {net.sample.n - coefficients:,} together."
            )
        return cls(net, options, effects, dofminus, sdofminus)

    @property
    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.net.y, self.X1, self.net.endogenous, self.net.instruments

    def _ordered(self, values: np.ndarray) -> np.ndarray:
        """From the order of `instruments.Fit`, endogenous first, to that of the table: constant, exogenous, endogenous.

        Beside effects there is no constant among the columns, and none in the result.
        """
        k2 = self.net.endogenous.shape[1]
        return np.concatenate([values[..., k2:], values[..., :k2]], axis=-1)

    def _params(self, fit: arrays.Fit) -> tuple[np.ndarray, np.ndarray]:
        """(constant before the slopes, slopes); columns are net of their means, which the constant gives back."""
        net, found = self.net, self._ordered(fit.coefs)
        slopes = found if self.absorbs else found[1:]
        constant = float(mean(net.sample.y - net.regressors.values @ slopes, net.sample.weight))
        if not self.absorbs:
            constant += found[0]  # 0 but for GMM, whose weights need not give residuals of mean 0
        return np.concatenate([[constant], slopes]), slopes

    def _covariance(self, fit: arrays.Fit, options: CovarianceOptions) -> Inference:
        """Covariance of constant and slopes; the constant at the origin, or beside effects at the regressors' means."""
        net, n = self.net, self.rows.n
        centre = mean(net.regressors.values, net.sample.weight)
        W = self._ordered(fit.W)
        bread = self._ordered(self._ordered(fit.bread).T).T
        if self.absorbs:
            W = np.column_stack([net.root, W])
            outer = np.zeros((len(bread) + 1, len(bread) + 1))
            outer[1:, 1:] = bread
        else:
            W[:, 1:] += W[:, :1] * centre
            T = np.eye(len(bread))
            T[0, 1:] = -centre
            outer = T @ bread @ T.T
        names = (*net.sample.exogenous.names, *net.sample.endogenous.names)
        found = covariance_of(W, fit.residuals, self.rows, options, names)
        if fit.weight is not None or (options.cov == "classical" and fit.kappa not in (None, 1)):
            # the weights of GMM and the metric of the k-class are not those of any sandwich
            scale = fit.residuals @ fit.residuals / n if fit.weight is None else 1.0
            V = outer * scale * found.factor
            if self.absorbs:
                V[0, 0] = found.V[0, 0]
            found = replace(found, V=V, variance=None if fit.weight is not None else found.variance)
        if self.dofminus and not options.small and found.clusters is None and fit.weight is None:
            more = n / (n - self.dofminus)
            variance = None if found.variance is None else more * found.variance
            found = replace(found, V=more * found.V, variance=variance)
        return found

    def estimate(
        self, fit: arrays.Fit, name: str, method: str, orthogonality: Sequence[str], redundant: Sequence[str]
    ) -> Estimate:
        net, sample = self.net, self.net.sample
        params, b = self._params(fit)
        refuse_exact_fit(sample.dependent, fit.residuals, net.y)
        found = self._covariance(fit, self.options)
        counted = self._covariance(fit, replace(self.options, small=True))  # the F of the model always counts
        overall = model_test(b, counted.V[1:, 1:], counted.df_resid)
        slopes = (*sample.exogenous.names, *sample.endogenous.names)
        labels = ["Intercept", *slopes]
        V = at_origin(net, found.V)
        rank = weak.rank_tests(self.X1, net.endogenous, net.instruments, self.errors)
        tests = {} if overall is None else {model_name(overall): overall}
        tests |= self._tests(fit, rank, orthogonality, redundant)
        heading = EFFECTS[self.effects][2]
        weak_ones = [f"not valid: {weak.WEAK.format(rank.f)}"] if rank.f < weak.RULE_OF_THUMB else []
        return Estimate(
            model=f"{name}, {heading.lower()}" if heading else name,
            formula=sample.formula,
            dependent=sample.dependent,
            params=pd.Series(params, labels),
            cov=pd.DataFrame(V, labels, labels),
            cov_type=found.cov_type,
            nobs=sample.n,
            df_resid=found.df_resid,
            n_coefs=len(slopes) + self.counted,
            rsquareds=rsquareds(net, b, fit.residuals),
            tests=tests,
            effects=net.effects,
            groups=group_sizes(sample),
            notes=(
                *sample.notes,
                f"endogenous: {', '.join(sample.endogenous.names)}; excluded instruments: "
                f"{', '.join(sample.instruments.names)}",
                *with_other_law(found.notes, f"t({found.df_resid})"),
                *([NO_MODEL_TEST] if overall is None else []),
                *weak.advice(rank, net.endogenous.shape[1], net.instruments.shape[1], method),
                *weak_ones,
            ),
            valid=not weak_ones,
            error_variance=found.variance,
            effect_values=effect_values(net, b, params[0]),
            components={} if fit.kappa is None or method == "2sls" else {"kappa": float(fit.kappa)},
            first_stages=weak.first_stages(
                self.X1, net.endogenous, net.instruments, self.errors, sample.endogenous.names
            ).T,
            design=Design(
                y=sample.y,
                X=net.regressors.values,
                names=slopes,
                residuals=fit.residuals / net.root,
                rows=net.rows,
                keys=sample.keys,
                Z=sample.instruments.values,
                instruments=sample.instruments.names,
                endogenous=len(sample.endogenous),
                errors=self.errors,
            ),
        )

    def _tests(
        self, fit: arrays.Fit, rank: weak.RankTests, orthogonality: Sequence[str], redundant: Sequence[str]
    ) -> dict[str, Test]:
        """Identification, weak instruments, validity and endogeneity."""
        errors, n = self.errors, self.rows.n
        k2, l2 = self.net.endogenous.shape[1], self.net.instruments.shape[1]
        tests = {
            "kp_lm": rank.lm,
            "kp_wald": rank.wald,
            "kp_f": Test(rank.f, (), "not identified", note="Stock and Yogo's values hold for iid errors only"),
            "cragg_donald": Test(rank.cragg_donald, (), "not identified, iid errors"),
        }
        if rank.iid:
            tests["anderson_lm"] = rank.lm
        if rank.effective_f is not None:
            note = f"critical value {rank.effective_critical:.2f} for a bias of 10 % of the worst case"
            tests["effective_f"] = Test(rank.effective_f, (), "weak instruments", note=note)
        tests["anderson_rubin"], tests["anderson_rubin_chi2"] = weak.anderson_rubin(*self.columns, errors)
        tests["stock_wright"] = weak.stock_wright(*self.columns, errors)
        if l2 > k2:
            if fit.kappa not in (None, 1):
                likelihood = arrays.liml_overidentification(
                    arrays.liml_kappa(*self.columns), n, l2 - k2, replace(errors, meat=None)
                )
                tests["anderson_rubin_overid"] = likelihood["lr"]
            if errors.meat is None:
                tests["sargan"] = arrays.overidentification(*self.columns, errors, fit)
            else:
                tests["hansen"] = arrays.overidentification(*self.columns, errors, fit)
        tests["endogeneity"] = arrays.endogeneity(*self.columns, errors)
        if orthogonality:
            known = [*self.names.instruments, *self.names.exogenous]
            wanted, tested = _places("orthogonality", orthogonality, known)
            test = arrays.orthogonality(*self.columns, errors, tested, None if fit.weight is None else fit)
            tests["orthogonality"] = replace(test, null=f"{', '.join(wanted)} uncorrelated with the errors")
        if redundant:
            wanted, tested = _places("redundant", redundant, self.names.instruments)
            test = weak.redundancy(*self.columns[1:], errors, tested)
            tests["redundancy"] = replace(test, null=f"{', '.join(wanted)} add nothing to the first stages")
        return tests


def _places(option: str, names: Sequence[str] | str, known: Sequence[str]) -> tuple[list[str], list[int]]:
    """Instruments that an option names, and where they are among those known."""
    wanted = [names] if isinstance(names, str | int | float) else list(names)
    strange = [name for name in wanted if name not in known]
    if strange:
        raise UsageError(f"{option} names {strange[0]!r}, which is no instrument: choose among {', '.join(known)}.")
    return wanted, [list(known).index(name) for name in wanted]


def _columns_of(est: Estimate) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], arrays.Errors]:
    """Columns of an estimate with instruments, net of its effects, and its errors."""
    if not isinstance(est, Estimate):
        raise UsageError(f"found {est!r:.60}: expected an estimate, what econ.fit returns.")
    design = est.design
    if design is None or design.Z is None or design.errors is None:
        raise UsageError(f"{est.model} has no instruments: fit with estimator='iv', 'liml' or 'gmm-iv' first.")
    rows = design.rows
    entity = rows.entity if "entity" in rows.absorbed else None
    time = rows.time if "time" in rows.absorbed else None
    root = np.ones(rows.n) if rows.weight is None else np.sqrt(rows.weight)

    out_of = absorber(entity, time, rows.weight)

    def net(values: np.ndarray) -> np.ndarray:
        rest = out_of(values)
        return rest * (root if values.ndim == 1 else root[:, None])

    first = design.X.shape[1] - design.endogenous
    X1 = net(design.X[:, :first])
    if not rows.absorbed:
        X1 = np.column_stack([root, X1])
    return (net(design.y), X1, net(design.X[:, first:]), net(design.Z)), design.errors


def anderson_rubin_set(est: Estimate, level: float = 0.95) -> weak.ConfidenceSet:
    """Values of the one endogenous coefficient that the Anderson-Rubin test does not reject.

    It covers with probability `level` however weak the instruments are, and may be an interval, two rays, the whole
    line or empty.  T. Anderson, H. Rubin (1949), Ann. Math. Stat. 20, 46-63.  `est` is what `econ.fit` returns for
    "iv", "liml" or "gmm-iv"; with several endogenous variables a UsageError says to test points instead.
    """
    columns, errors = _columns_of(est)
    return weak.anderson_rubin_set(*columns, errors, level)


def anderson_rubin(est: Estimate, values: float | Sequence[float] = 0.0) -> Test:
    """F test that the endogenous coefficients are `values`, in the formula's order; valid with weak instruments."""
    columns, errors = _columns_of(est)
    try:
        wanted = np.asarray(values, float)
    except (TypeError, ValueError):
        raise UsageError(f"values are {values!r}: expected one number for each endogenous variable.") from None
    if not np.isfinite(wanted).all():
        raise UsageError(f"values are {values!r}: expected finite numbers.")
    if wanted.ndim and wanted.size != columns[2].shape[1]:
        raise UsageError(
            f"there are {wanted.size} values for {columns[2].shape[1]} endogenous variables: give one number each."
        )
    return weak.anderson_rubin(*columns, errors, wanted)[0]
