"""Numbers in cells: which texts are numbers, and what is wrong with those that are not."""

from __future__ import annotations

import math
import re

from hiddenpop.inputs import periods

__all__ = ["LEVELS", "as_number", "number_problem"]

LEVELS = (0.01, 0.9999)
"""Least and greatest level of an interval; beyond them its width says nothing about its sd."""

_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_GAP = "[ ,'’_\u00a0\u2009\u202f]"

# The first that matches decides, so the order matters: "0,125" is no thousand.
_FORMS = {
    "number-unknown": r"n/?\.?a\.?|nan|null|none|unknown|missing|tbc|\?+",
    "number-spreadsheet": r"#.*|=.*",
    "number-suppressed": rf"[<≤]\s*=?\s*{_PLAIN}|\*+|\.\.+|:|[-–—]+|\[?[cuxz]\]?|suppressed",
    "number-bound": rf"(?:[>≥]\s*=?|over|more than|at least)\s*{_PLAIN}|{_PLAIN}\s*\+",
    "number-percent": rf"(?P<plain>{_PLAIN}|\d+,\d+)\s*(?:%|per ?cent|pct)",
    "number-approximate": rf"(?:~|≈|ca?\.?|circa|about|around|approx\.?)\s*{_PLAIN}",
    "number-range": rf"{_PLAIN}\s*(?:-|–|—|to)\s*{_PLAIN}",
    "number-comma": r"(?P<plain>[+-]?(?:0+,\d+|\d+,(?:\d{1,2}|\d{4,})))",
    "number-thousands": rf"(?P<plain>[+-]?\d{{1,3}}(?:{_GAP}\d{{3}})+(?:\.\d+)?)",
    "number-unit": rf"[£$€]\s*{_PLAIN}.*|{_PLAIN}\s*[£$€a-z].*",
}
_PATTERNS = {code: re.compile(form, re.ASCII | re.IGNORECASE) for code, form in _FORMS.items()}


def as_number(cell: str) -> float:
    """Return the number in a cell, nan where the cell is empty or holds no finite number."""
    try:
        value = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def number_problem(cell: str) -> tuple[str, str] | None:
    """Why a cell is not a number: a code, and the number it may mean ("" if that is not clear).

    None for a number and for an empty cell.
    """
    if cell == "" or not math.isnan(as_number(cell)):
        return None
    if periods.is_date(cell):
        return "number-date", ""
    for code, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(cell):
            return code, _meant(code, match.groupdict().get("plain", ""))
    return "number-text", ""


def _meant(code: str, plain: str) -> str:
    """The number as it should have been written."""
    if code == "number-percent":
        return f"{as_number(plain.replace(',', '.')) / 100:g}"
    if code == "number-comma":
        return plain.replace(",", ".")
    return re.sub(_GAP, "", plain)
