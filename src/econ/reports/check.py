"""The report checker: does a published table contradict itself?

Every printed number stands for all numbers that round to it, and a contradiction is claimed only where these exclude
each other.  What each check compares is in docs/report-checker.md and in `CODES`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from econ.reports import cells, likelihoods, samples
from econ.reports.findings import CODES, SEVERITIES, Bench, Finding
from econ.reports.form import read_report

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class ReportCheck:
    """What was found in a report, the gravest first, and what was compared to find it."""

    findings: tuple[Finding, ...]
    compared: Mapping[str, int]  # code -> comparisons made, found or not
    title: str = ""
    source: str = ""
    extracted: bool = True

    def of(self, code: str) -> tuple[Finding, ...]:
        """All findings with this code."""
        return tuple(finding for finding in self.findings if finding.code == code)

    @property
    def contradictions(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "contradiction")

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings of each severity."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def to_frame(self) -> DataFrame:
        """One row a finding: severity, code, where, sentence, arithmetic."""
        import pandas as pd

        columns = ["severity", "code", "where", "sentence", "arithmetic"]
        rows = [
            [finding.severity, finding.code, "; ".join(finding.where), finding.sentence, finding.arithmetic]
            for finding in self.findings
        ]
        return pd.DataFrame(rows, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "title": self.title,
            "source": self.source,
            "counts": self.counts,
            "compared": dict(self.compared),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def summary(self) -> str:
        """One line: how many findings of each severity, and comparisons."""
        counts = self.counts
        return (
            f"{counted(counts['contradiction'], 'contradiction')}, {counts['doubtful']} doubtful, "
            f"{counted(counts['note'], 'note')}; {counted(sum(self.compared.values()), 'comparison')} made"
        )

    def to_text(self) -> str:
        """The findings as plain text, the gravest first, with their arithmetic indented below."""
        lines = [line for line in (self.title, self.source) if line]
        for severity in SEVERITIES:
            for finding in self.findings:
                if finding.severity == severity:
                    lines += [
                        "",
                        f"{severity.upper()} [{finding.code}] {'; '.join(finding.where)}",
                        f"  {finding.sentence}",
                    ]
                    lines += [f"  {finding.arithmetic}"] if finding.arithmetic else []
        return "\n".join([*lines, "", self.summary()]).lstrip("\n") + "\n"

    def to_markdown(self) -> str:
        """The findings as a table of GitHub's Markdown."""
        escape = partial(re.sub, r"([\\`*_\[\]<>|~#&])", r"\\\1")
        lines = [f"# {escape(self.title)}", ""] if self.title else []
        lines += [escape(self.source), ""] if self.source else []
        lines += ["| severity | code | where | finding | arithmetic |", "| :-- | :-- | :-- | :-- | :-- |"]
        for finding in self.findings:
            row = [finding.severity, finding.code, "; ".join(finding.where), finding.sentence, finding.arithmetic]
            lines.append("| " + " | ".join(map(escape, row)) + " |")
        return "\n".join([*lines, "", self.summary()]) + "\n"


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def check_report(report: Mapping[str, Any] | str | os.PathLike) -> ReportCheck:
    """Look for what contradicts itself in a published table.

    `report` is a .toml file of the form in docs/report-checker.md, or the equal dict; numbers are given as they were
    printed ("0.290"), because a contradiction is claimed only where the intervals of rounding exclude each other.

    Raises
    ------
    BadInputError
        The form is not kept: an unknown key, a float without its decimals, a name that occurs twice.
    """
    form = read_report(report)
    bench = Bench()
    for check in (*cells.CHECKS, *likelihoods.CHECKS, *samples.CHECKS):
        check(form, bench)
    order = sorted(bench.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    compared = {code: bench.compared[code] for code in CODES if bench.compared[code]}
    return ReportCheck(tuple(order), compared, form.title, form.source, form.extracted)
