"""Periods as the field writes them: 2005, 2004/05, 2000-01, 2003-2006."""

from __future__ import annotations

import re

__all__ = ["FARTHEST", "is_date", "is_mangled", "middle", "span"]

FARTHEST = 60.0
"""Years between evidence and target beyond which a typing error is likelier than a source."""

_YEAR = re.compile(r"(?P<start>\d{4})", re.ASCII)
_FINANCIAL = re.compile(r"(?P<start>\d{4})[/-](?P<end>\d{2})", re.ASCII)
_SPAN = re.compile(r"(?P<start>\d{4})-(?P<end>\d{4})", re.ASCII)

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"\d{{1,4}}[-/ .]{_MONTH}(?:[-/ .]\d{{1,4}})?|{_MONTH}[-/ .]\d{{1,4}}"
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ t]\d\d:\d\d.*)?",
    re.ASCII | re.IGNORECASE,
)


def span(period: str) -> tuple[float, float]:
    """Return the beginning and the end of a period in decimal years.

    `2005` is the calendar year (2005.0 to 2006.0); `2004/05` and `2004-05` run from
    April to March, as British official statistics do (2004.25 to 2005.25); `2003-2006`
    are calendar years, both included (2003.0 to 2007.0).

    Raises
    ------
    ValueError
        If the text is none of these, or ends before it starts.
    """
    text = period.strip()
    if match := _YEAR.fullmatch(text):
        return float(match["start"]), float(match["start"]) + 1
    if match := _FINANCIAL.fullmatch(text):
        start = int(match["start"])
        if (start + 1) % 100 != int(match["end"]):
            raise ValueError(f"'{period}' does not name two years in a row")
        return start + 0.25, start + 1.25
    if match := _SPAN.fullmatch(text):
        start, end = int(match["start"]), int(match["end"])
        if end < start:
            raise ValueError(f"'{period}' ends before it starts")
        return float(start), float(end + 1)
    raise ValueError(f"'{period}' is not a period")


def middle(period: str) -> float:
    """Return the middle of a period in decimal years: 2005.5 for `2005`, 2004.75 for `2004/05`.

    Raises
    ------
    ValueError
        As `span`.
    """
    start, end = span(period)
    return (start + end) / 2


def is_date(cell: str) -> bool:
    """Whether a cell looks like a date that a spreadsheet made: May-04, 14-Oct, 01/05/2004."""
    return _DATE.fullmatch(cell) is not None


def is_mangled(cell: str) -> bool:
    """Whether a period or ages hold a date or a typographic dash, which is a fault by itself."""
    return not cell.isascii() or is_date(cell)
