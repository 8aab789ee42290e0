"""The share or rate of a benchmark: a survey, an interval, quantiles, or a file of clusters."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

from hiddenpop.inputs.clusters import clusters_of
from hiddenpop.inputs.lines import Line
from hiddenpop.inputs.multipliers import Interval, Kind, Rate
from hiddenpop.inputs.numbers import as_number, number_problem
from hiddenpop.inputs.paths import path_fault
from hiddenpop.inputs.ranges import RangeError, parse_quantiles, parse_range
from hiddenpop.inputs.schema import Problem
from hiddenpop.priors import beta_from_interval

__all__ = ["DESIGNS", "effect_rule", "has_beta", "range_of", "rate_of"]

DESIGNS = ("random", "rds", "clusters")

FORMS = {
    "interval": ("share", "low", "high", "level"),
    "survey": ("x", "n"),
    "quantiles": ("quantiles",),
    "clusters": ("clusters",),
}
"""Columns of each way to state a share or a rate."""

PER_PERSON: tuple[Kind, ...] = ("events", "amount")
"""Kinds whose rate is any positive number per person; of others it is a share."""


def effect_rule(cell: str) -> Problem | None:
    """The cell is empty or a design effect."""
    if problem := number_problem(cell):
        return Problem(problem[0], (("plain", problem[1]),))
    return Problem("multiplier-design-low") if cell and as_number(cell) < 1 else None


@cache
def has_beta(low: float, high: float, level: float) -> bool:
    """Whether a Beta has the central interval (low, high)."""
    try:
        beta_from_interval(low, high, level)
    except ValueError:
        return False
    return True


def range_of(line: Line, column: str) -> Interval | None:
    """The interval in a cell; None where it is empty, and after recording a fault."""
    if not line[column]:
        return None
    try:
        return parse_range(line[column])
    except RangeError as error:
        _record(line, column, error)
        return None


def rate_of(line: Line, kind: Kind, folder: Path | None) -> Rate | None:
    """The rate of a row; None where there is none, and after recording a fault.

    Parameters
    ----------
    folder
        Where files of clusters must lie; None if they may lie anywhere.
    """
    given = [form for form, columns in FORMS.items() if line.filled(*columns)]
    if line.filled(*FORMS["interval"]) == ["level"]:
        line.fault("multiplier-level-alone", "level", level=line["level"])
        return None
    if len(given) > 1:
        columns = [line.filled(*FORMS[form])[0] for form in given]
        line.fault("multiplier-two-forms", columns[1], first=columns[0], second=columns[1])
        return None
    if not given:
        for column in line.filled("design", "design_effect")[:1]:
            line.fault("multiplier-design-alone", column)
        return None
    make = {
        "interval": _from_interval,
        "survey": _from_survey,
        "quantiles": _from_quantiles,
    }
    if given == ["clusters"]:
        return _from_clusters(line, folder)
    return make[given[0]](line, kind)


def _from_interval(line: Line, kind: Kind) -> Rate | None:
    """A share with low and high, at a level."""
    if line["share"] and not line.filled("low", "high"):
        if not _outside(line, "share", kind):
            line.fault("multiplier-share-alone", "share", share=line.number("share"))
        return None
    missing = [column for column in ("low", "high") if not line[column]]
    if missing:
        line.fault("multiplier-end-missing", missing[0], name=missing[0])
        return None
    if any(_outside(line, column, kind) for column in line.filled("share", "low", "high")):
        return None
    low, share, high = (line.number(column) for column in ("low", "share", "high"))
    if not line["level"]:
        line.fault("multiplier-level-missing", "level", low=low, high=high)
    elif low >= high:
        line.fault("multiplier-ends-order", "low", low=low, high=high)
    elif line["share"] and not low < share < high:
        line.fault("multiplier-share-outside", "share", share=share, low=low, high=high)
    else:
        # Rounded: 0.025 is a probability that reads back, 0.025000000000000022 is noise.
        tail = round((1 - line.number("level")) / 2, 12)
        ends = [(tail, low), (0.5, share), (round(1 - tail, 12), high)]
        return _quantiles(
            line, kind, tuple(pair for pair in ends if not math.isnan(pair[1])), "low"
        )
    return None


def _from_quantiles(line: Line, kind: Kind) -> Rate | None:
    try:
        pairs = parse_quantiles(line["quantiles"])
    except RangeError as error:
        _record(line, "quantiles", error)
        return None
    wrong = [value for _, value in pairs if value <= 0 or (kind not in PER_PERSON and value >= 1)]
    if wrong:
        code = "multiplier-rate-zero" if wrong[0] <= 0 else "multiplier-quantiles-share"
        line.fault(code, "quantiles", value=wrong[0])
        return None
    return _quantiles(line, kind, pairs, "quantiles")


def _quantiles(
    line: Line, kind: Kind, pairs: tuple[tuple[float, float], ...], column: str
) -> Rate | None:
    """Quantiles of an interval or of an expert, with which no design effect goes."""
    if line["design_effect"]:
        line.fault("multiplier-design-interval", "design_effect", other=column)
        return None
    (p, low), (q, high) = pairs[0], pairs[-1]
    central = math.isclose(p, 1 - q, abs_tol=1e-9)
    if kind not in PER_PERSON and central and not has_beta(low, high, q - p):
        line.fault("multiplier-no-beta", column, low=low, high=high)
        return None
    return Rate(quantiles=pairs)


def _from_survey(line: Line, kind: Kind) -> Rate | None:
    """X of n respondents, or x events in n person-units."""
    given = line.filled("x", "n")
    if len(given) < 2:
        missing = "n" if given == ["x"] else "x"
        line.fault("multiplier-survey-part", missing, given=given[0], missing=missing)
        return None
    x, n = line.number("x"), line.number("n")
    if n <= 0:
        line.fault("multiplier-n-zero", "n", n=n)
    elif x < 0:
        line.fault("multiplier-x-negative", "x", x=x)
    elif 0 < x < 1:
        line.fault("multiplier-x-share", "x", x=x, people=x * n)
    elif x > n and kind not in PER_PERSON:
        line.fault("multiplier-x-above-n", "x", x=x, n=n)
    else:
        return _with_design(line, Rate(x, n))
    return None


def _with_design(line: Line, rate: Rate) -> Rate | None:
    """The survey with its design effect, which only a random sample may leave unsaid."""
    if line["design_effect"]:
        return replace(rate, design_effect=line.number("design_effect"), stated_effect=True)
    if line["design"] == "rds":
        line.fault("multiplier-rds", "design_effect")
        return None
    if line["design"] == "clusters":
        line.fault("multiplier-clusters-effect", "design_effect")
        return None
    return rate


def _from_clusters(line: Line, folder: Path | None) -> Rate | None:
    """The survey that a file of clusters makes."""
    if line["design_effect"]:
        line.fault("multiplier-clusters-two", "design_effect", file=line["clusters"])
        return None
    if line["design"] not in ("clusters", ""):
        line.fault("multiplier-clusters-design", "design", design=line["design"])
        return None
    path = Path(line["clusters"])
    if folder is not None:
        path = folder / path
        if code := path_fault(line["clusters"], path, folder):
            line.fault(code, "clusters", name=line["clusters"])
            return None
    found = clusters_of(path, line.faults)
    return None if found is None else found.rate


def _outside(line: Line, column: str, kind: Kind) -> bool:
    """Record that a share is not between 0 and 1, or a rate not above 0."""
    value = line.number(column)
    if kind in PER_PERSON:
        if value <= 0:
            line.fault("multiplier-rate-zero", column, value=value)
        return value <= 0
    if 0 < value < 1:
        return False
    if column != "share":
        line.fault("multiplier-end-range", column, value=value, name=column)
    elif value <= 0:
        line.fault("multiplier-share-zero", column, share=value)
    elif value == 1:
        line.fault("multiplier-share-one", column)
    else:
        line.fault("multiplier-share-percent", column, share=value, meant=value / 100)
    return True


def _record(line: Line, column: str, error: RangeError) -> None:
    """Record what is wrong with a text, at its place."""
    fault = replace(error.fault, file=line.file, row=line.row, column=column)
    line.faults.found.append(fault)
