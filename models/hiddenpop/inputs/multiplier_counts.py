"""The number of a benchmark: a count, a suppressed count, or a rounded percentage of a sample."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import NamedTuple

from hiddenpop.inputs.lines import Line
from hiddenpop.inputs.multipliers import Interval, Kind
from hiddenpop.inputs.numbers import as_number, number_problem
from hiddenpop.inputs.schema import LARGEST, Problem

__all__ = ["COUNTED", "Counted", "count_of", "count_rule", "percent_rule", "rounded"]

COUNTED: tuple[Kind, ...] = ("people", "events", "survey")
"""Kinds whose number is whole."""

MOST_PEOPLE = 1e10
"""More people than have ever been alive at once."""

_RANGE = re.compile(r"(\d+)\s*(?:-|–|to)\s*(\d+)", re.ASCII)
_BELOW = re.compile(r"([<≤])\s*(=?)\s*(\d+)", re.ASCII)
_OPEN = re.compile(
    r"\d+\s*(?:-|–|\+|or more)|(?:[>≥]\s*=?|at least|more than|over)\s*\d+", re.ASCII
)
_PERCENT = re.compile(r"(\d+(?:\.(\d*))?)\s*%?", re.ASCII)

_CODES = {
    "number-suppressed": "multiplier-count-suppressed",
    "number-approximate": "multiplier-count-approximate",
    "number-percent": "multiplier-count-percent",
    "number-bound": "multiplier-count-open",
}
"""What is wrong with a number, where it is said otherwise of benchmarks."""


class Counted(NamedTuple):
    """The number of a benchmark and its ends; the middle of the ends where it is a range."""

    value: float
    least: float
    most: float

    @classmethod
    def between(cls, least: float, most: float) -> Counted:
        """A number known between two ends."""
        return cls((least + most) / 2, least, most)


NOTHING = Counted(math.nan, math.nan, math.nan)


def count_rule(cell: str) -> Problem | None:
    """The cell is empty, a number that is not negative, or a range of whole numbers."""
    if cell == "":
        return None
    if ends := _ends(cell):
        return Problem("multiplier-count-upside") if ends[0] > ends[1] else None
    if _OPEN.fullmatch(cell.lower()):
        return Problem("multiplier-count-open")
    if problem := number_problem(cell):
        code, plain = problem
        return Problem(_CODES.get(code, code), (("plain", plain),))
    value = as_number(cell)
    if value < 0:
        return Problem("multiplier-count-negative")
    return Problem("number-size") if value > LARGEST or 0 < value < 1 / LARGEST else None


def percent_rule(cell: str) -> Problem | None:
    """The cell is empty or a percentage, with or without its sign."""
    if cell == "":
        return None
    if not _PERCENT.fullmatch(cell):
        if problem := number_problem(cell.rstrip("% ")):
            code, plain = problem
            return Problem(_CODES.get(code, code), (("plain", plain),))
        return Problem("multiplier-percent-range")
    return Problem("multiplier-percent-range") if float(cell.rstrip("% ")) > 100 else None


def rounded(percent: str, sample: float) -> tuple[int, int] | None:
    """Least and greatest whole number that is `percent` of `sample` after rounding.

    Rounded to as many decimals as are written; halves may have gone either way. None where
    there is no such number.
    """
    match = _PERCENT.fullmatch(percent.strip())
    if match is None:
        raise ValueError(f"'{percent}' is not a percentage")
    half = Fraction(1, 2 * 10 ** len(match[2] or ""))
    share, people = Fraction(match[1].rstrip(".")) / 100, Fraction(sample)
    least = max(math.ceil((share - half / 100) * people), 0)
    most = min(math.floor((share + half / 100) * people), math.floor(people))
    return (least, most) if least <= most else None


def count_of(line: Line, kind: Kind, interval: Interval | None) -> Counted | None:
    """The number of a row, which may be missing; None after recording a fault."""
    if line["count"] and line["percent"]:
        line.fault("multiplier-count-twice", "percent", count=line["count"])
        return None
    if line["percent"]:
        return _of_percent(line)
    if ends := _ends(line["count"]):
        if kind not in COUNTED:
            line.fault("multiplier-count-range", "count", cell=line["count"], kind=kind)
            return None
        return Counted.between(*ends)
    value = line.number("count")
    if kind in COUNTED:
        return _whole(line, kind, value)
    return _sum(line, kind, value, interval)


def _of_percent(line: Line) -> Counted | None:
    """Respondents from a rounded percentage of the sample."""
    sample = line.number("sample")
    if math.isnan(sample):
        return NOTHING  # that the sample is missing is a fault of its own
    ends = rounded(line["percent"], sample)
    if ends is None:
        values = {"cell": line["percent"].rstrip("% "), "sample": sample}
        line.fault("multiplier-percent-none", "percent", **values)
        return None
    return Counted.between(*map(float, ends))


def _whole(line: Line, kind: Kind, value: float) -> Counted | None:
    """People, events or respondents."""
    if value % 1 > 0:
        line.fault("multiplier-count-fraction", "count", cell=line["count"])
    elif value > MOST_PEOPLE:
        line.fault("multiplier-count-many", "count", cell=line["count"], kind=kind)
    else:
        return NOTHING if math.isnan(value) else Counted(value, value, value)
    return None


def _sum(line: Line, kind: Kind, value: float, interval: Interval | None) -> Counted | None:
    """An amount or a figure, which may be the middle (on the log scale) of its own interval."""
    if math.isnan(value):
        if interval is None:
            return NOTHING
        value = math.sqrt(interval.low * interval.high)
    elif value == 0:
        line.fault("multiplier-count-zero", "count", kind=kind)
        return None
    elif interval is not None and not interval.low <= value <= interval.high:
        values = {"value": value, "low": interval.low, "high": interval.high}
        line.fault("multiplier-interval-outside", "interval", **values)
        return None
    return Counted(value, value, value)


def _ends(cell: str) -> tuple[float, float] | None:
    """Ends of a range or of a suppressed count: `<5` is 0 to 4."""
    if match := _RANGE.fullmatch(cell):
        return float(match[1]), float(match[2])
    if match := _BELOW.fullmatch(cell):
        closed = match[1] == "≤" or match[2]
        return 0.0, float(match[3]) - (0.0 if closed else 1.0)
    return None
