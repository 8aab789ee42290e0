"""The numbers of a row of evidence: each kind has those it needs, in order, and no others."""

from __future__ import annotations

import math

from hiddenpop.inputs.lines import Line
from hiddenpop.inputs.terms import RESIDENTS

__all__ = ["check_numbers"]

_WITH_INTERVAL = ("estimate", "range", "guess")
_BOUNDS = ("lower", "upper")


def check_numbers(line: Line) -> None:
    """Record missing, contradictory and superfluous numbers of a row that is used."""
    kind = line["kind"]
    _check_order(line)
    if kind in _WITH_INTERVAL:
        _check_estimate(line)
    elif kind == "count":
        _check_count(line)
    elif kind == "benchmark":
        _check_benchmark(line)
    elif kind in _BOUNDS:
        _check_bound(line)
    elif kind == "proportion":
        _check_proportion(line)
    if kind not in ("", "proportion") and line["n"]:
        line.fault("evidence-n-alone", "n", kind=kind)


def _check_order(line: Line) -> None:
    """Low below high, value between them, and a level where there is an interval."""
    value, low, high = (line.number(column) for column in ("value", "low", "high"))
    leveled = line["kind"] in (*_WITH_INTERVAL, *_BOUNDS)
    if low > high:
        line.fault("evidence-upside-down", "low", low=low, high=high)
    elif leveled and low == high:
        line.fault("evidence-point", "low", low=low)
    elif leveled and (value < low or value > high):
        line.fault("evidence-outside", "value", value=value, low=low, high=high)
    if leveled and low == 0:
        line.fault("evidence-zero-low", "low")
    if leveled and line.filled("low", "high") and not line["level"]:
        line.fault("evidence-level-empty", "level")
    if line["level"] and not (leveled and line.filled("low", "high")):
        line.fault("evidence-level-alone", "level", level=line["level"])


def _check_estimate(line: Line) -> None:
    """Estimates, ranges and guesses have both ends; a range has nothing else."""
    if len(line.filled("low", "high")) < 2:
        line.fault("evidence-interval", "high" if line["low"] else "low", kind=line["kind"])
    if line["kind"] == "range" and line["value"]:
        line.fault("evidence-range-value", "value", value=line["value"])


def _check_count(line: Line) -> None:
    """A whole number of people or events, with no interval and no denominator."""
    value = line.number("value")
    if not line["value"]:
        line.fault("evidence-count-empty", "value")
    elif not math.isnan(value) and not value.is_integer():
        line.fault("evidence-fraction", "value", value=line["value"])
    if line.filled("low", "high"):
        line.fault("evidence-count-interval", line.filled("low", "high")[0])
    if line["of"]:
        line.fault("evidence-count-of", "of", of=line["of"])


def _check_benchmark(line: Line) -> None:
    """A whole number of people, or the range of a suppressed one; the survey has the design."""
    value, ends = line["value"], line.filled("low", "high")
    if (value and ends) or (not value and len(ends) < 2):
        line.fault("evidence-benchmark-x", "value")
    for column in line.filled("value", "low", "high"):
        number = line.number(column)
        if not math.isnan(number) and not number.is_integer():
            line.fault("evidence-fraction", column, value=line[column])
    if line["of"]:
        line.fault("evidence-benchmark-of", "of", of=line["of"])
    if line["design_effect"]:
        line.fault("evidence-benchmark-design", "design_effect")


def _check_bound(line: Line) -> None:
    """A positive number; an interval around it, if any, has both ends."""
    if not line["value"]:
        line.fault("evidence-bound-empty", "value", kind=line["kind"])
    elif line.number("value") == 0:
        line.fault("evidence-bound-zero", "value")
    if len(line.filled("low", "high")) == 1:
        line.fault("evidence-bound-part", line.filled("low", "high")[0])
    if line["design_effect"]:
        line.fault("evidence-bound-design", "design_effect")


def _check_proportion(line: Line) -> None:
    """X of n, or a bracket for x, of a stated denominator."""
    if not line["n"]:
        line.fault("evidence-no-n", "n")
    if not line["of"]:
        line.fault("evidence-no-of", "of", residents=RESIDENTS)
    x, bracket = line["value"], line.filled("low", "high")
    if (x and bracket) or (not x and len(bracket) < 2):
        line.fault("evidence-proportion-x", "value")
    n = line.number("n")
    for column in line.filled("value", "low", "high"):
        number = line.number(column)
        if number > n > 0:
            line.fault("evidence-x-above-n", column, x=number, n=n)
        elif 0 < number < 1:
            line.fault("evidence-x-share", column, x=number)
