"""The report: one HTML file that needs nothing else, and every number in it computed."""

from __future__ import annotations

from hiddenpop.report.page import build_report
from hiddenpop.report.sentences import check_sentences

__all__ = ["build_report", "check_sentences"]
