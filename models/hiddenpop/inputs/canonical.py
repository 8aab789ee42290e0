"""A table written as a file that reads back as the same table, whatever form it came in.

A result keeps this in place of what the user brought: counts instead of rows of persons.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np

from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.size_study import SizeStudy, TableSource, as_toml
from hiddenpop.inputs.table import Table

__all__ = ["canonical"]

FILE = "table.csv"
COUNT = "people"
TIMES = "times"


def canonical(study: SizeStudy) -> SizeStudy:
    """The same study, with `study.toml` and the table in its canonical form as its files."""
    source, text = _written(study.table)
    made = replace(study, source=source)
    files = {"study.toml": as_toml(made).encode()}
    if text:
        files[FILE] = text.encode()
    return replace(made, files=files)


def _written(table: Table) -> tuple[TableSource, str]:
    """How the canonical file is read, and its text; no text where there are only margins."""
    if isinstance(table, Margins):
        return TableSource(lists=table.lists, totals=table.totals, distinct=table.distinct), ""
    if isinstance(table, OverlapTable):
        count = _free(COUNT, (*table.lists, *table.factors))
        rows = [
            [*row.astype(int).tolist(), *table.strata[stratum], _cell(low, high, impossible)]
            for row, stratum, low, high, impossible in zip(
                table.history, table.stratum, table.low, table.high, table.structural, strict=True
            )
        ]
        source = TableSource(FILE, table.lists, count, by=table.factors)
        return source, _csv([*table.lists, *table.factors, count], rows)
    covariates = tuple(str(name) for name in table.covariates)
    times, count = _free(TIMES, covariates), _free(COUNT, covariates)
    values = table.covariates.to_numpy().tolist()
    rows = [
        [int(k), *value, f"{n:g}"]
        for k, value, n in zip(table.times, values, table.count, strict=True)
    ]
    source = TableSource(FILE, count=count, times=times, covariates=covariates)
    return source, _csv([times, *covariates, count], rows)


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
