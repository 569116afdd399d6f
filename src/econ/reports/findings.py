"""What a check found, and the bench on which checks put it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("contradiction", "doubtful", "note")

# Every code that a finding can have, and the question that it answers.
CODES: dict[str, str] = {
    "stars": "do the stars agree with t, b / se or p under the stated levels?",
    "stars-rule": "are levels stated, and does every mark have one?",
    "b-se-t": "is b = t se within rounding?",
    "sign": "do b and t have one sign?",
    "p-t": "does the printed p belong to the printed t?",
    "lr-against": "which pairs of log-likelihoods give the printed LR?",
    "lr-unmatched": "does any pair of log-likelihoods give the printed LR?",
    "lr-claim": "does the LR belong to the model that it is said to be against?",
    "lr-rounding": "is the LR rounded as the printed log-likelihoods would have it?",
    "lr-p": "does the p-value of the LR belong to it?",
    "lr-stars": "do the stars of the LR belong to it?",
    "ll-nested": "is the log-likelihood of a larger model at least that of a smaller?",
    "r2-range": "is the R2 between 0 and 1?",
    "r2-nested": "is the unadjusted R2 of a larger model at least that of a smaller?",
    "r2-reading": "under which reading of R2 do all columns share one total sum of squares?",
    "r2-label": "is that the reading of the label?",
    "r2-total": "does the total sum of squares agree with the sd of the outcome?",
    "se-kind": "which residual df do t and LR imply, and are the standard errors homoskedastic?",
    "se-claim": "is that what the standard errors are said to be?",
    "n-panel": "is N groups times periods, less the lags?",
    "n-df": "are there more observations than parameters?",
    "n-claim": "is the sample of the text that of the tables?",
    "n-sum": "do the sub-samples add up?",
    "hausman": "is the Hausman statistic a chi-squared, and which df agree with its stars?",
    "hausman-p": "does the p-value of the Hausman test belong to it?",
    "copy": "do two statistics of a column agree to the last place?",
    "index-moments": "which Atkinson epsilon and which Gini would a lognormal law with this Theil have?",
    "index-epsilon": "is that near the stated epsilon?",
    "tobit": "is anything censored, and what is the Tobit if nothing is?",
    "tobit-effects": "does the Tobit have the effects that it is said to have?",
    "mean-range": "does the mean lie between min and max?",
    "sd-range": "can numbers between min and max with this mean have this sd?",
    "units": "can the variable be what it is said to be?",
    "kp-p": "does a Kleibergen-Paap F come with a p-value that it has not?",
    "identified": "are there enough instruments, and more than enough where overidentification is tested?",
    "instruments": "are there fewer instruments than groups?",
    "clusters": "are there enough clusters?",
    "effect-size": "how much of an sd of the outcome is one sd of the regressor?",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was found: `where` names columns or variables, `numbers` holds what was computed."""

    code: str
    severity: str
    where: tuple[str, ...]
    sentence: str
    arithmetic: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "where": list(self.where),
            "sentence": self.sentence,
            "arithmetic": self.arithmetic,
            "numbers": {name: finite(value) for name, value in self.numbers.items()},
        }


def finite(value: Any) -> Any:
    """The value with None, which JSON knows, in place of infinities and NaN."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Bench:
    """Collects findings, and counts what was compared, found or not."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.compared: Counter[str] = Counter()

    def compare(self, code: str) -> None:
        self.compared[code] += 1

    def find(
        self,
        code: str,
        severity: str,
        where: str | tuple[str, ...],
        sentence: str,
        arithmetic: str = "",
        **numbers: Any,
    ) -> None:
        assert code in CODES, code
        assert severity in SEVERITIES, severity
        places = (where,) if isinstance(where, str) else where
        self.findings.append(Finding(code, severity, places, sentence, arithmetic, numbers))
