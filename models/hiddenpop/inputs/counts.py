"""Cells that count people: a whole number, or the least and greatest that it can be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.numbers import as_number, number_problem
from hiddenpop.inputs.schema import Problem, Rule

__all__ = ["Count", "Rules", "as_count", "count_rule", "numbers", "read_rules", "report_shares"]

LARGEST = 1e10
"""More people than have ever been alive at once."""

_WHOLE = re.compile(r"\d+(?:\.0*)?", re.ASCII)
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)", re.ASCII)
_POWER = re.compile(r"[+-]?[\d.,]+e[+-]?\d+", re.ASCII | re.IGNORECASE)

_CODES = {
    "number-unknown": "count-unknown",
    "number-spreadsheet": "count-spreadsheet",
    "number-suppressed": "count-suppressed",
    "number-bound": "count-bound",
    "number-percent": "count-percent",
    "number-approximate": "count-approximate",
    "number-range": "count-range",
    "number-comma": "count-comma",
    "number-thousands": "count-thousands",
    "number-unit": "count-unit",
    "number-date": "count-date",
    "number-text": "count-text",
}
"""What is wrong with a number, as it is said of counts."""


class Count(NamedTuple):
    """Least and greatest number of people; `impossible` where there could be none."""

    low: float
    high: float
    impossible: bool = False


Rules = Mapping[str, Count]
"""What marks of suppressed counts stand for."""


def as_count(cell: str, rules: Rules) -> Count | Problem:
    """The count in a cell, or what is wrong with it."""
    if cell in rules:
        return rules[cell]
    if cell.casefold() == "unknown":
        return Count(0.0, math.inf)
    if cell.casefold() == "impossible":
        return Count(0.0, 0.0, impossible=True)
    if _WHOLE.fullmatch(cell):
        value = float(cell)
        return Count(value, value) if value <= LARGEST else Problem("count-size")
    if ends := _RANGE.fullmatch(cell):
        low, high = float(ends[1]), float(ends[2])
        return Count(low, high) if low <= high else Problem("count-upside")
    return _problem(cell)


def count_rule(rules: Rules, *, known: bool = False) -> Rule:
    """The cell is a count; with `known` a single number."""

    def find(cell: str) -> Problem | None:
        found = as_count(cell, rules)
        if isinstance(found, Problem):
            return found
        single = found.low == found.high and not found.impossible
        return Problem("count-interval") if known and not single else None

    return find


def read_rules(suppressed: Mapping[str, str], cells: pd.Series, file: str, faults: Faults) -> Rules:
    """The rules for suppressed counts that a user stated, such as {"<5": "0-4"}.

    `cells` are the counts that the rules are for.
    """
    rules: dict[str, Count] = {}
    present = set(cells)
    for mark, text in suppressed.items():
        ends = _RANGE.fullmatch(str(text).strip())
        problem = number_problem(mark)
        if not mark.strip() or problem is None or mark.casefold() in ("unknown", "impossible"):
            faults.report("rule-mark", {"mark": mark}, file=file)
        elif ends is None:
            faults.report("rule-form", {"mark": mark, "text": str(text)}, file=file)
        elif float(ends[1]) > float(ends[2]):
            faults.report("rule-upside", {"mark": mark, "text": str(text)}, file=file)
        elif mark not in present:
            faults.report("rule-unused", {"mark": mark}, file=file)
        # A rule with a fault is a rule: its cells are no further fault.
        rules[mark] = Count(float(ends[1]), float(ends[2])) if ends else Count(0.0, math.inf)
    return rules


def numbers(cells: pd.Series) -> pd.Series:
    """The numbers in cells, nan where there is none."""
    return cells.map(as_number).astype(float)


def report_shares(cells: pd.Series, file: str, faults: Faults) -> bool:
    """Record a fault if the counts are shares or percentages of all; say so."""
    found = numbers(cells)
    parts, known = cells[found % 1 > 0], found.dropna()
    if parts.empty or known.min() < 0 or (known.max() > 1 and abs(known.sum() - 100) > 1):
        return False
    values = {"cell": parts.iloc[0]}
    faults.report("count-shares", values, file=file, column=str(cells.name))
    return True


def _problem(cell: str) -> Problem:
    """Why a cell is not a count."""
    if cell == "":
        return Problem("count-empty")
    if _POWER.fullmatch(cell):
        return Problem("count-scientific")
    if (found := number_problem(cell)) is None:
        return Problem("count-negative" if as_number(cell) < 0 else "count-fraction")
    code, plain = found
    digits = re.sub(r"\D", "", cell, flags=re.ASCII)
    most = int(digits or 5) - (not re.search("[=≤]", cell))
    return Problem(_CODES[code], (("plain", plain), ("example", f"0-{max(most, 0)}")))
