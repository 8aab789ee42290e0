"""Reading benchmarks from CSV files and from the texts of a command line, and writing them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from hiddenpop.errors import InputError
from hiddenpop.inputs.csvfile import read_cells
from hiddenpop.inputs.faults import Fault, Faults
from hiddenpop.inputs.lines import lines
from hiddenpop.inputs.multiplier_cells import COLUMNS, PARTS, REQUIRED, SCHEMA, benchmark_of
from hiddenpop.inputs.multiplier_checks import (
    check_frame,
    check_overlaps,
    check_rows,
    residents_of,
)
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap
from hiddenpop.inputs.overlap_rows import check_levels
from hiddenpop.inputs.schema import check_columns, drop_totals

__all__ = ["benchmark_from", "multiplier_from", "multipliers_csv", "read_multipliers"]

LEVEL = "0.95"
"""Level of an interval on the command line that does not say one."""

_SURVEY = re.compile(r"(?P<x>[^/]+?)\s*(?:/|\s+of\s+|\s+out of\s+)\s*(?P<n>[^/]+)")

OPTIONS = {"count": "benchmark", "x": "survey", "n": "survey", "residents": "population"}
"""Options of the command line that are not called as the column that they fill."""


def read_multipliers(
    path: str | Path,
    *,
    overlaps: Sequence[Overlap] = (),
    population: float | str | Path | None = None,
) -> MultiplierTable:
    """Read benchmarks, one a row, with the share or rate that links each to the population.

    Parameters
    ----------
    path
        CSV in UTF-8; docs/how-to/benchmarks-and-surveys.md has the columns.
    overlaps
        What is known of pairs of benchmarks.
    population
        Residents at the target's ages where no column `residents` gives them: one number for
        one stratum, or a CSV with the columns area, period (those in use) and population. Beside
        that column it must agree with it.

    Raises
    ------
    InputError
        With every fault found.
    """
    faults = Faults()
    frame = read_cells(Path(path), COLUMNS, REQUIRED, faults)
    table = None
    if frame is not None:
        file, folder = Path(path).name, Path(path).parent
        for column in ("id", "area"):
            frame = drop_totals(frame, (column,), "multiplier-total-row", file, faults)
        table = _table(frame, tuple(overlaps), population, file, folder, faults)
    if faults.found or table is None:
        raise InputError(faults.found)
    return table


def multiplier_from(
    benchmark: object = None,
    *,
    survey: object = None,
    rds: bool = False,
    clusters: object = None,
    population: float | str | None = None,
    overlaps: Sequence[Overlap] = (),
    **columns: object,
) -> MultiplierTable:
    """One benchmark from the texts of a command line, checked as a row of a file is.

    Parameters
    ----------
    benchmark
        The count, or another number for another `kind`.
    survey
        Respondents with the event and all of them: "144/603".
    rds
        Whether the survey was respondent-driven.
    clusters
        CSV with the columns cluster, x and n, in place of `survey`.
    population
        Residents at the target's ages.
    columns
        Cells of other columns of such a file, such as share="0.55", low="0.52", high="0.60" or
        error="0.67 to 1.5 at 0.95". None and "" are empty; a `level` that is not given is 0.95.

    Raises
    ------
    InputError
        With every fault found; its `column` is the option's name.
    TypeError
        If there is no such column.
    """
    if unknown := set(columns) - set(COLUMNS):
        raise TypeError(f"there is no column {', '.join(sorted(unknown))} of benchmarks")
    faults = Faults()
    cells = dict.fromkeys(COLUMNS, "") | {name: _text(text) for name, text in columns.items()}
    cells |= {"id": cells["id"] or "benchmark", "clusters": _text(clusters)}
    cells["count"] = _text(benchmark) or cells["count"]
    if rds:
        cells["design"] = "rds"
    if clusters is not None and not cells["design"]:
        cells["design"] = "clusters"
    if cells["low"] or cells["high"]:
        cells["level"] = cells["level"] or LEVEL
    if asked := _text(survey):
        match = _SURVEY.fullmatch(asked)
        if match is None:
            faults.report("multiplier-survey-form", {"text": asked}, column="survey")
        else:
            cells |= {"x": match["x"].strip(), "n": match["n"].strip()}
    table = None
    if not faults.found:
        frame = pd.DataFrame([cells], index=[1], columns=list(COLUMNS), dtype=str)
        table = _table(frame, tuple(overlaps), population, "", None, faults)
    if faults.found or table is None:
        raise InputError([_as_option(fault) for fault in faults.found])
    return table


def benchmark_from(benchmark: object = None, **texts: object) -> Benchmark:
    """The benchmark alone that `multiplier_from` makes of the same texts.

    Raises
    ------
    InputError
        With every fault found.
    """
    return multiplier_from(benchmark, **texts).rows[0]  # type: ignore[arg-type]


def multipliers_csv(table: MultiplierTable) -> str:
    """A table as a CSV that reads back as an equal one, but for the overlaps.

    Surveys stand with their counts and design effect, intervals as quantiles, counts that were
    suppressed or rounded as the least and the greatest possible.
    """
    made = [_cells(row, table) for row in table.rows]
    rows = [{column: text for column, text in row.items() if text} for row in made]
    used = [column for column in COLUMNS if any(column in row for row in rows)]
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, used, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _table(
    frame: pd.DataFrame,
    overlaps: tuple[Overlap, ...],
    population: float | str | Path | None,
    file: str,
    folder: Path | None,
    faults: Faults,
) -> MultiplierTable | None:
    """The table of some cells; None after recording faults."""
    if frame.empty:
        return None
    before = len(faults.found)
    # Most columns are empty in most tables, and only an id may not be.
    used = {name: SCHEMA[name] for name in SCHEMA if name == "id" or (frame[name] != "").any()}
    check_columns(frame, used, file, faults)
    check_levels(frame, ("id", "area"), np.ones(len(frame)), file, faults)
    wrong = {fault.row for fault in faults.found[before:]}
    check_frame(frame, file, faults)
    places = [(str(a), str(p)) for a, p in zip(frame["area"], frame["period"], strict=True)]
    strata = tuple(dict.fromkeys(places))
    index = {place: number for number, place in enumerate(strata)}
    table = lines(frame, file, faults)
    # Cells that are no numbers would only give more faults.
    made = [
        benchmark_of(line, index[place], folder)
        for line, place in zip(table, places, strict=True)
        if line.row not in wrong
    ]
    rows = tuple(row for row in made if row is not None)
    if len(faults.found) > before:
        return None
    check_rows(rows, table)
    residents = residents_of(rows, table, strata, population, faults)
    check_overlaps(overlaps, rows, file, faults)
    return MultiplierTable(rows, overlaps, strata, residents)


def _as_option(fault: Fault) -> Fault:
    """A fault in the only row as one in an option; one in a file of clusters stays there."""
    if fault.file:
        return fault
    return replace(fault, row=None, column=OPTIONS.get(fault.column, fault.column))


def _text(value: object) -> str:
    """What was given on the command line or in Python, as the text of a cell."""
    return "" if value is None else str(value).strip(" \t\r\n")


def _cells(row: Benchmark, table: MultiplierTable) -> dict[str, str]:
    """Cells of a row by column."""
    area, period = table.strata[row.stratum]
    cells = {"id": row.id, "area": area, "period": period, "kind": row.kind}
    cells["count"] = (
        _number(row.value) if row.least == row.most else f"{row.least:.0f}-{row.most:.0f}"
    )
    if np.isnan(row.value):
        cells["count"] = ""
    if row.kind == "survey":
        cells["sample"] = _number(row.sample or np.nan)
        cells["sample_design_effect"] = _number(row.sample_effect)
    if row.rate is not None and row.rate.n is not None:
        cells |= {"x": _number(row.rate.x or 0.0), "n": _number(row.rate.n)}
        if row.rate.stated_effect:
            cells["design_effect"] = _number(row.rate.design_effect)
    elif row.rate is not None:
        cells["quantiles"] = ", ".join(f"{_number(p)}: {_number(v)}" for p, v in row.rate.quantiles)
    for column in ("interval", "selection", "overcount", "undercount", "error"):
        if (found := getattr(row, column)) is not None:
            cells[column] = _range(found)
    for part in PARTS:
        people, x = row.parts.get(part, (np.nan, None))
        cells[part] = _number(people)
        cells[f"x_{part}"] = "" if x is None else _number(x)
    cells["residents"] = _number(float(table.population[row.stratum]))
    return cells | {"survey": row.survey, "source": row.source}


def _range(interval: Interval) -> str:
    low, high, level = (_number(value) for value in interval)
    return f"{low} to {high} at {level}"


def _number(value: float) -> str:
    """A number with every digit that it needs to read back; "" for nan."""
    if np.isnan(value):
        return ""
    return f"{value:.0f}" if float(value).is_integer() else repr(float(value))
