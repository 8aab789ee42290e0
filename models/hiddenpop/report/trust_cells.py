"""Cells of the tables of checks: numbers rounded for people, intervals in one cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from hiddenpop.checks.conflict.words import p_words
from hiddenpop.words import capital, factor, name_words, people, percent, plain

__all__ = ["Column", "Row", "by_family", "chance", "failed", "generic", "joined", "nothing",
           "number", "p_cell", "pull", "text", "three", "two", "unit", "yes"]  # fmt: skip

Row = dict[str, Any]


class Column(NamedTuple):
    """A heading, and a row's cell under it."""

    heading: str
    cell: Callable[[Row], str]


def nothing(value: object) -> bool:
    """Whether there is nothing to show."""
    return value is None or value is pd.NA or value == "" or (
        isinstance(value, float) and math.isnan(value)
    )  # fmt: skip


def text(key: str) -> Callable[[Row], str]:
    """A name or finding, its first letter a capital."""
    return lambda row: "" if nothing(row.get(key)) else capital(name_words(str(row[key])))


def number(key: str, words: Callable[[float], str] = factor) -> Callable[[Row], str]:
    """A number in words."""
    return lambda row: "" if nothing(row.get(key)) else words(float(row[key]))


def p_cell(key: str) -> Callable[[Row], str]:
    """A p-value: ".02", "< .001"."""
    return lambda row: "" if nothing(row.get(key)) else p_words(float(row[key])).removeprefix("= ")


def joined(
    middle: str, low: str, high: str, words: Callable[[float], str] = factor
) -> Callable[[Row], str]:
    """A number with its interval in one cell: "1.4 (0.9 to 2.1)"."""

    def cell(row: Row) -> str:
        ends = [row.get(low), row.get(high)]
        span = "" if any(nothing(x) for x in ends) else " to ".join(words(float(x)) for x in ends)  # type: ignore[arg-type]
        if nothing(row.get(middle)):
            return span
        return words(float(row[middle])) + (f" ({span})" if span else "")

    return cell


def yes(value: object) -> str:
    """Say yes or no, also of a value that was read from a file."""
    return "yes" if str(value) in ("True", "1", "1.0") else "no"


def pull(row: Row) -> str:
    """Change of the headline: "+4.0 %"."""
    ratio = row.get("headline_ratio")
    if nothing(ratio):
        return ""
    change = float(ratio) - 1  # type: ignore[arg-type]
    if abs(change) < 0.0005:
        return "none"
    return f"{'+' if change > 0 else '−'}{percent(abs(change))}"


def unit(row: Row, key: str) -> Callable[[float], str]:
    """Words for the numbers of a row: shares as percentages, the rest as people."""
    return percent if row.get("kind") == "proportion" or float(row[key]) < 1 else people


def failed(frame: pd.DataFrame) -> list[Column]:
    """Whether fits passed, where some did not."""
    if "passed" not in frame or all(yes(x) == "yes" for x in frame["passed"]):
        return []
    return [Column("Fit passed its gates", lambda row: yes(row["passed"]))]


def by_family(frame: pd.DataFrame) -> list[Column]:
    """Of which family, where there are several."""
    several = "family" in frame and frame["family"].nunique() > 1
    return [Column("Family", text("family"))] if several else []


def two(value: float) -> str:
    """A number with two decimals."""
    return f"{value:.2f}"


def three(value: float) -> str:
    """People, with a figure more than in prose, as intervals of a table may be narrow."""
    return plain(value, 3) if value >= 100 else people(value)


def chance(value: float) -> str:
    """A probability, also one next to certainty."""
    return "less than 1 %" if value < 0.01 else percent(value)


def generic(frame: pd.DataFrame) -> list[Column]:
    """Every column in words; a number and the ends of its interval in one cell."""
    names, found = [str(name) for name in frame], []
    for name in names:
        base = _base(name, names)
        if base is not None:
            middle = base or ("median" if "median" in names else "")
            if middle in names or name.endswith("high"):
                continue
        low, high = (f"{name}_low", f"{name}_high")
        if name == "median" and "median_low" not in names:
            low, high = "low", "high"
        if low in names and high in names:
            found.append(Column(f"{_heading(name)} (interval)", joined(name, low, high, _plain)))
        elif base is not None:
            heading = f"{_heading(base)} interval" if base else "Interval"
            ends = (name, name.removesuffix("low") + "high")
            found.append(Column(heading.strip(), joined("", *ends, words=_plain)))
        else:
            found.append(Column(_heading(name), _any(name)))
    return found


def _base(name: str, names: list[str]) -> str | None:
    """What a column is an end of the interval of ("" for "low"); None if of nothing."""
    for end, other in (("low", "high"), ("high", "low")):
        if name == end and other in names:
            return ""
        if name.endswith(f"_{end}") and f"{name.removesuffix(end)}{other}" in names:
            return name.removesuffix(f"_{end}")
    return None


def _heading(name: str) -> str:
    return name if len(name) == 1 else capital(name_words(name))


def _plain(value: float) -> str:
    return plain(value, 3)


def _any(name: str) -> Callable[[Row], str]:
    """A value of unknown kind."""

    def cell(row: Row) -> str:
        value = row[name]
        if nothing(value):
            return ""
        if isinstance(value, bool):
            return yes(value)
        if isinstance(value, int | float):
            return p_cell(name)(row) if name in ("p", "p_holm") else _plain(value)
        text = str(value)
        return text if " " in text else name_words(text)

    return cell
