"""One row of a table of benchmarks: its cells checked, and the benchmark that they make."""

from __future__ import annotations

import re
from pathlib import Path

from hiddenpop.inputs import periods
from hiddenpop.inputs.lines import Line
from hiddenpop.inputs.multiplier_counts import Counted, count_of, count_rule, percent_rule
from hiddenpop.inputs.multiplier_rates import DESIGNS, effect_rule, has_beta, range_of, rate_of
from hiddenpop.inputs.multipliers import KINDS, Benchmark, Interval, Kind, Rate
from hiddenpop.inputs.numbers import as_number
from hiddenpop.inputs.schema import Problem, Schema, filled, key, number, one_of

__all__ = ["COLUMNS", "PARTS", "REQUIRED", "SCHEMA", "benchmark_of"]

COLUMNS = (
    "id", "area", "period", "kind", "count", "interval", "sample", "percent",
    "sample_design_effect", "share", "low", "high", "level", "x", "n", "design", "design_effect",
    "clusters", "quantiles", "selection", "overcount", "undercount", "error", "survey",
    "recruited", "referred", "new", "x_referred", "x_new", "residents", "source", "note",
)  # fmt: skip
REQUIRED = ("id",)

PARTS = ("referred", "new")
"""Parts of a count that a switch leaves out or keeps."""

KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "interval": ("amount", "figure"),
    "sample": ("survey",),
    "percent": ("survey",),
    "sample_design_effect": ("survey",),
    "selection": ("people",),
    "overcount": ("people", "events", "amount"),
    "undercount": ("people", "events", "amount"),
    "error": ("people", "events", "amount", "figure"),
    "referred": ("people",),
    "new": ("people",),
    "x_referred": ("people",),
    "x_new": ("people",),
}
"""Kinds that a column means something for, where not for all."""

LOGS = {
    "interval": "multiplier-interval-zero",
    "selection": "multiplier-selection-zero",
    "error": "multiplier-error-zero",
}
RANGES = (*LOGS, "overcount", "undercount")
"""Columns that hold a range: of a positive number, or of a share."""


def _period(cell: str) -> Problem | None:
    """The cell is empty or a period."""
    if cell == "" or periods.is_mangled(cell):
        return None
    try:
        periods.span(cell)
    except ValueError:
        return Problem("multiplier-period")
    return None


def _part(cell: str) -> Problem | None:
    """The cell is empty or a whole number that is not negative."""
    fraction = as_number(cell) % 1 > 0
    return number(least=0)(cell) or (Problem("multiplier-part-whole") if fraction else None)


SCHEMA: Schema = {
    "id": [filled("multiplier-id"), key()],
    "area": [key()],
    "period": [key(dashes=False), _period],
    "kind": [one_of("multiplier-kind", KINDS)],
    "count": [count_rule],
    "sample": [number(above=0)],
    "percent": [percent_rule],
    "sample_design_effect": [effect_rule],
    "share": [number()],
    "low": [number()],
    "high": [number()],
    "level": [number(level=True)],
    "x": [number()],
    "n": [number()],
    "design": [one_of("multiplier-design", DESIGNS)],
    "design_effect": [effect_rule],
    "survey": [key()],
    "referred": [_part],
    "new": [_part],
    "x_referred": [_part],
    "x_new": [_part],
    "residents": [number(above=0)],
}


def benchmark_of(line: Line, stratum: int, folder: Path | None) -> Benchmark | None:
    """The benchmark of a row; None after recording faults.

    Parameters
    ----------
    folder
        Where files of clusters must lie; None if they may lie anywhere.
    """
    before = len(line.faults.found)
    kind: Kind = next((kind for kind in KINDS if kind == line["kind"]), "people")
    _check_kind(line, kind)
    ranges = {column: _range(line, column) for column in RANGES}
    counted = count_of(line, kind, ranges["interval"])
    rate = rate_of(line, kind, folder)
    if len(line.faults.found) > before or counted is None:
        return None
    _check_needs(line, kind, ranges, rate)
    _check_sample(line, counted)
    _check_recruited(line)
    parts = _parts(line, counted, rate)
    if len(line.faults.found) > before:
        return None
    sample, effect = line.number("sample"), line.number("sample_design_effect")
    return Benchmark(
        line["id"], kind, *counted, rate,
        sample=sample if line["sample"] else None,
        sample_effect=effect if line["sample_design_effect"] else 1.0,
        interval=ranges["interval"], selection=ranges["selection"],
        overcount=ranges["overcount"], undercount=ranges["undercount"], error=ranges["error"],
        survey=line["survey"], stratum=stratum, parts=parts, source=line["source"],
    )  # fmt: skip


def _check_kind(line: Line, kind: Kind) -> None:
    """Record cells that would be ignored in a row of this kind."""
    for column in line.filled(*KINDS_OF):
        if kind not in KINDS_OF[column]:
            kinds = ", ".join(KINDS_OF[column])
            line.fault("multiplier-not-for-kind", column, name=column, kind=kind, kinds=kinds)


def _range(line: Line, column: str) -> Interval | None:
    """A range that its prior can have; None where there is none, and after a fault."""
    found = range_of(line, column)
    if found is None:
        return None
    if column in LOGS:
        if found.low <= 0:
            line.fault(LOGS[column], column, low=found.low)
            return None
    elif not 0 < found.low < found.high < 1:
        line.fault("multiplier-part-share", column, name=column, low=found.low, high=found.high)
    elif not has_beta(found.low, found.high, found.level):
        line.fault("multiplier-no-beta", column, low=found.low, high=found.high)
    return found


def _check_needs(
    line: Line, kind: Kind, ranges: dict[str, Interval | None], rate: Rate | None
) -> None:
    """Record what a row of this kind cannot do without."""
    if kind == "figure" and ranges["interval"] is None and ranges["error"] is None:
        line.fault("multiplier-figure-sure", "interval", figure=line["count"] or "empty")
    if kind == "survey" and not line["sample"]:
        line.fault("multiplier-sample-missing", "sample")
    if line["selection"] and rate is None:
        line.fault("multiplier-selection-alone", "selection")


def _check_sample(line: Line, counted: Counted) -> None:
    """Record more respondents than were asked."""
    if line["sample"] and counted.most > line.number("sample"):
        values = {"count": counted.most, "sample": line.number("sample")}
        line.fault("multiplier-x-above-sample", "count", **values)


def _check_recruited(line: Line) -> None:
    """Record a survey that was drawn from the benchmark itself."""
    places = {_plain(place) for place in re.split("[,;]", line["recruited"])} - {""}
    for name in line.filled("id", "source"):
        if _plain(line[name]) in places:
            values = {"place": line["recruited"], "id": line["id"]}
            line.fault("multiplier-recruited", "recruited", **values)
            return


def _plain(name: str) -> str:
    """A name without what people write now this way and now that: case, signs, articles."""
    words = re.sub(r"[\W_]+", " ", name.casefold()).split()
    return " ".join(word for word in words if word not in ("the", "a", "an"))


def _parts(
    line: Line, counted: Counted, rate: Rate | None
) -> dict[str, tuple[float, float | None]]:
    """The referred and the new among the counted and the respondents, after their checks."""
    parts: dict[str, tuple[float, float | None]] = {}
    for part in PARTS:
        column = f"x_{part}"
        x = line.number(column) if line[column] else None
        if line[part]:
            parts[part] = (line.number(part), x)
            _check_part(line, part, counted, rate)
        elif x is not None:
            line.fault("multiplier-part-count", part, name=part, other=column)
    return parts


def _check_part(line: Line, part: str, counted: Counted, rate: Rate | None) -> None:
    """Record a part that is larger than the whole, or that has no counterpart."""
    people, column = line.number(part), f"x_{part}"
    x = rate.x if rate is not None else None
    if not people <= counted.least:
        values = {"name": part, "part": people, "count": line["count"] or "not given"}
        line.fault("multiplier-part-above", part, **values)
    if x is not None and not line[column]:
        line.fault("multiplier-part-x", column, name=part, other=column)
    elif x is None and line[column]:
        line.fault("multiplier-part-survey", column, name=column)
    elif x is not None and line.number(column) > x:
        values = {"name": column, "part": line.number(column), "x": x}
        line.fault("multiplier-part-x-above", column, **values)
