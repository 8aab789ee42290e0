"""A table written as a file that reads back as the same table, whatever form it came in.

A result keeps this in place of what the user brought: counts instead of rows of persons.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np

from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.multipliers_csv import multipliers_csv
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.size_study import SizeStudy, as_toml
from hiddenpop.inputs.table_source import REFERRED, TableSource
from hiddenpop.inputs.tree import Tree
from hiddenpop.inputs.tree_csv import tree_csv

__all__ = ["canonical"]

FILE = "table.csv"
COUNT = "people"
TIMES = "times"


def canonical(study: SizeStudy) -> SizeStudy:
    """The same study, with `study.toml` and the table in its canonical form as its files."""
    source, text = _written(study)
    made = replace(study, source=source)
    files = {"study.toml": as_toml(made).encode()}
    if text:
        files[FILE] = text.encode()
    return replace(made, files=files)


def _written(study: SizeStudy) -> tuple[TableSource, str]:
    """How the canonical file is read, and its text; no text where there are only margins."""
    table = study.table
    if isinstance(table, Margins):
        return TableSource(lists=table.lists, totals=table.totals, distinct=table.distinct), ""
    if isinstance(table, MultiplierTable):
        given = study.source
        source = TableSource(benchmarks=FILE, overlaps=given.overlaps, switches=given.switches)
        return source, multipliers_csv(table)
    if isinstance(table, Tree):
        return TableSource(tree=FILE), tree_csv(table)
    if isinstance(table, OverlapTable):
        return _overlap(study, table)
    covariates = tuple(str(name) for name in table.covariates)
    times, count = _free(TIMES, covariates), _free(COUNT, covariates)
    values = table.covariates.to_numpy().tolist()
    rows = [
        [int(k), *value, f"{n:g}"]
        for k, value, n in zip(table.times, values, table.count, strict=True)
    ]
    source = TableSource(FILE, count=count, times=times, covariates=covariates)
    return source, _csv([times, *covariates, count], rows)


def _overlap(study: SizeStudy, table: OverlapTable) -> tuple[TableSource, str]:
    """An overlap table, with columns for the people that its switches leave out or keep."""
    taken = (*table.lists, *table.factors)
    names = [_free(COUNT, taken)]
    columns = [[_cell(*cell) for cell in zip(table.low, table.high, table.structural, strict=True)]]
    source = TableSource(FILE, table.lists, names[0], by=table.factors)
    for name, other in study.alternatives.items():
        if not isinstance(other, OverlapTable):
            continue
        kept = _people(other)
        people = np.array([kept.get(key, 0.0) for key in _keys(table)])
        # Who was referred has left a cell; the cells that these people moved to have gained.
        people = np.maximum(table.low - people, 0.0) if name == REFERRED else people
        names.append(_free("referred" if name == REFERRED else "new", (*taken, *names)))
        columns.append([f"{value:.0f}" for value in people])
        change = {"referred": names[-1], "referral": study.source.referral}
        source = replace(source, **(change if name == REFERRED else {"new": names[-1]}))
    rows = [
        [*row.astype(int).tolist(), *table.strata[stratum], *cells]
        for row, stratum, *cells in zip(table.history, table.stratum, *columns, strict=True)
    ]
    return source, _csv([*taken, *names], rows)


def _keys(table: OverlapTable) -> list[tuple[int, ...]]:
    """Stratum and history of each cell."""
    return [
        (int(stratum), *row) for stratum, row in
        zip(table.stratum, table.history.astype(int).tolist(), strict=True)
    ]  # fmt: skip


def _people(table: OverlapTable) -> dict[tuple[int, ...], float]:
    """Counts by stratum and history."""
    return dict(zip(_keys(table), table.low.tolist(), strict=True))


def _cell(low: float, high: float, impossible: bool) -> str:
    """A cell as `read_overlap` reads it."""
    if impossible:
        return "impossible"
    if low == high:
        return f"{low:.0f}"
    return "unknown" if np.isinf(high) else f"{low:.0f}-{high:.0f}"


def _free(name: str, taken: tuple[str, ...]) -> str:
    """A column name that is not taken."""
    while name in taken:
        name += "_"
    return name


def _csv(header: list[str], rows: list[list[object]]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()
