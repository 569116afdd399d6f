"""Checks of published tables: what contradicts itself."""

from econ.reports.check import ReportCheck, check_report
from econ.reports.findings import CODES, Finding

__all__ = ["CODES", "Finding", "ReportCheck", "check_report"]
