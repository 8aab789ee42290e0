"""Reading how often people were seen on one list from CSV files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from hiddenpop.errors import InputError
from hiddenpop.inputs.columns import Sheet, all_rows, check_roles, open_sheet
from hiddenpop.inputs.counts import count_rule, numbers, report_shares
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.numbers import as_number
from hiddenpop.inputs.overlap_rows import check_levels, drop_total_rows
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.residents import one_number
from hiddenpop.inputs.schema import Problem, Schema, check_columns, filled, key
from hiddenpop.inputs.tally import MOST, check_tally, tally

__all__ = ["read_repeats"]

LARGEST = 10_000
"""More often than daily for decades."""


def read_repeats(
    path: str | Path,
    times: str,
    *,
    count: str | None = None,
    covariates: Sequence[str] = (),
    population: float | str | None = None,
    ignore: Sequence[str] = (),
    add_duplicates: bool = False,
) -> RepeatTable:
    """Read how many people were seen once, twice and so on, on one list.

    Parameters
    ----------
    path
        CSV in UTF-8; lines that begin with '#' may stand above the header.
    times
        Column with how often: 1 or more. Who was never seen is what is estimated.
    count
        Column with whole numbers of people; left out where each row is a person.
    covariates
        Columns with what is known of the people. One that holds numbers only is a number,
        others are categories.
    population
        Residents at the target's ages.
    ignore
        Columns to leave alone; others that no option names are a fault.
    add_duplicates
        Add up rows that differ in their count only, which are a fault otherwise.

    Raises
    ------
    InputError
        With every fault found.
    """
    faults, file = Faults(), Path(path).name
    named = {
        "--times": [times],
        "--count": [count] if count else [],
        "--covariates": covariates,
        "--ignore": ignore,
    }
    check_roles(named, file, faults)
    table = None
    if not faults.found and (sheet := open_sheet(Path(path), named, faults)):
        rows = (
            _people(sheet, times, covariates, faults)
            if not count
            else _counts(sheet, times, count, covariates, add_duplicates, faults)
        )
        table = None if rows is None else _table(rows, covariates, file, faults)
    if table is not None:
        residents = one_number(population, table.observed, file, faults)
        table = replace(table, population=residents)
    if faults.found or table is None:
        raise InputError(faults.found)
    return table


def _people(
    sheet: Sheet, times: str, covariates: Sequence[str], faults: Faults
) -> pd.DataFrame | None:
    """Rows of `times`, covariates and `count` from rows of persons; None after faults."""
    before, columns = len(faults.found), [times, *covariates]
    found = tally(sheet, columns, None, faults)
    if found is None:
        return None

    def check(rows: pd.DataFrame, to: Faults) -> None:
        rows = drop_total_rows(rows, columns, sheet.name, to)
        check_columns(rows, _schema(times, covariates), sheet.name, to)

    if left := check_tally(found, check, faults):
        faults.report("rows-more", {"left": left, "most": MOST}, file=sheet.name)
    if len(faults.found) > before:
        return None
    check_levels(found.kinds, covariates, found.people, sheet.name, faults)
    return _rows(found.kinds, times, covariates, found.people)


def _counts(
    sheet: Sheet, times: str, count: str, covariates: Sequence[str], add: bool, faults: Faults
) -> pd.DataFrame | None:
    """Rows of `times`, covariates and `count` from rows with counts; None after faults."""
    before, file = len(faults.found), sheet.name
    frame = all_rows(sheet, faults)
    if frame is None:
        return None
    frame = drop_total_rows(frame, [times, *covariates], file, faults)
    schema = _schema(times, covariates)
    if not report_shares(frame[count], file, faults):
        schema[count] = [count_rule({}, known=True)]
    check_columns(frame, schema, file, faults)
    if len(faults.found) > before:
        return None
    check_levels(frame, covariates, np.ones(len(frame)), file, faults)
    rows = _rows(frame, times, covariates, numbers(frame[count]).to_numpy())
    first: dict[tuple[object, ...], int] = {}
    for line, *cells in rows.drop(columns="count").itertuples(name=None):
        earlier = first.setdefault(tuple(cells), line)
        if earlier != line and not add:
            values = {"first": earlier, "times": cells[0]}
            faults.report("repeats-twice", values, file=file, row=line, column=times)
    return rows


def _schema(times: str, covariates: Sequence[str]) -> Schema:
    known: Schema = {column: [filled("level-empty"), key(dashes=False)] for column in covariates}
    return known | {times: [_times]}


def _rows(
    frame: pd.DataFrame, times: str, covariates: Sequence[str], people: np.ndarray
) -> pd.DataFrame:
    """The rows with numbers where numbers stand, the covariates under other names."""
    made = frame[list(covariates)].set_axis(_places(covariates), axis="columns")
    for place in made:
        if (values := numbers(made[place])).notna().all():
            made[place] = values
    made.insert(0, "times", numbers(frame[times]).astype(int))
    return made.assign(count=people)


def _table(
    rows: pd.DataFrame, covariates: Sequence[str], file: str, faults: Faults
) -> RepeatTable | None:
    """The table; None after recording why nothing could be estimated from it."""
    seen = rows[rows["count"] > 0]
    if seen.empty:
        faults.report("repeats-nobody", file=file)
        return None
    if (seen["times"] == 1).all():
        faults.report("repeats-once", {"people": seen["count"].sum()}, file=file)
    for place, name in zip(_places(covariates), covariates, strict=True):
        column = rows[place]
        if seen[place].nunique() == 1:
            faults.report("covariate-constant", {"name": name}, file=file, column=name)
        elif not pd.api.types.is_numeric_dtype(column):
            _report_mixed(column, name, file, faults)
    if faults.found:
        return None
    keys = ["times", *_places(covariates)]
    joined = seen.groupby(keys, as_index=False)["count"].sum()
    known = pd.DataFrame(index=joined.index)
    for place, name in zip(keys[1:], covariates, strict=True):
        number = pd.api.types.is_numeric_dtype(joined[place])
        known[name] = joined[place] if number else joined[place].astype("category")
    return RepeatTable(
        joined["times"].to_numpy(), joined["count"].to_numpy(dtype=float), known
    )  # fmt: skip


def _places(covariates: Sequence[str]) -> list[str]:
    """Names for the covariates that are not those of other columns."""
    return [f"covariate {place}" for place in range(len(covariates))]


def _report_mixed(column: pd.Series, name: str, file: str, faults: Faults) -> None:
    """Record the cells of the rarer kind where numbers and texts stand in one column."""
    number = numbers(column).notna()
    if not number.any():
        return
    rare = number if number.mean() < 0.5 else ~number
    for row, cell in column[rare].drop_duplicates().items():
        values = {"cell": cell, "name": name}
        faults.report("covariate-mixed", values, file=file, row=int(str(row)), column=name)


def _times(cell: str) -> Problem | None:
    """The cell says how often: 1, 2 and so on."""
    if cell == "":
        return Problem("repeats-times-empty")
    if re.fullmatch(r"(?:[>≥]\s*=?\s*)?\d+\s*(?:\+|or more|and more|and over)|[>≥].*", cell):
        return Problem("repeats-times-open")
    value = as_number(cell)
    if np.isnan(value) or "e" in cell.lower():
        return Problem("repeats-times-number")
    if value % 1:
        return Problem("repeats-times-fraction")
    if value < 1:
        return Problem("repeats-times-zero")
    return Problem("repeats-times-many", (("most", LARGEST),)) if value > LARGEST else None
