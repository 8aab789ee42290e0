"""Evidence: one published or collected number a row, with all it needs to be used honestly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hiddenpop.inputs import periods
from hiddenpop.inputs.csvfile import read_cells
from hiddenpop.inputs.derived import check_derived
from hiddenpop.inputs.evidence_links import Known, check_links
from hiddenpop.inputs.evidence_numbers import check_numbers
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.lines import lines
from hiddenpop.inputs.numbers import as_number
from hiddenpop.inputs.rates import Rates
from hiddenpop.inputs.schema import (
    Schema,
    check_columns,
    drop_totals,
    filled,
    key,
    number,
    one_of,
    unique,
)
from hiddenpop.inputs.terms import KINDS, RESIDENTS, UNSTATED, parse_rates

__all__ = ["EVIDENCE_COLUMNS", "KINDS", "RESIDENTS", "UNSTATED", "Evidence", "Known", "evidence_of",
           "parse_rates", "read_evidence"]  # fmt: skip

EVIDENCE_COLUMNS = (
    "id", "area", "group", "period", "ages", "kind", "value", "low", "high", "level", "n",
    "design_effect", "of", "rates", "source", "derived_from", "definition", "citation", "use",
    "reason", "note",
)  # fmt: skip
REQUIRED = (
    "id", "area", "group", "period", "ages", "kind", "value", "low", "high", "level", "rates",
    "source", "definition", "citation", "use", "reason",
)  # fmt: skip
NUMBERS = ("value", "low", "high", "level", "n", "design_effect")

SCHEMA: Schema = {
    "id": [filled("evidence-id"), key()],
    "area": [key()],
    "group": [key()],
    "period": [key(dashes=False)],
    "ages": [key(dashes=False)],
    "kind": [one_of("evidence-kind", KINDS)],
    "value": [number(least=0)],
    "low": [number(least=0)],
    "high": [number(above=0)],
    "level": [number(level=True)],
    "n": [number(above=0)],
    "design_effect": [number(least=1)],
    "of": [key()],
    "rates": [key()],
    "source": [key()],
    "derived_from": [key()],
    "definition": [filled("evidence-definition")],
    "citation": [filled("evidence-citation")],
    "use": [filled("evidence-use-empty"), one_of("evidence-use", ("yes", "no"))],
}


@dataclass(frozen=True)
class Evidence:
    """The rows of a study that a model can use, and the table they come from.

    Attributes
    ----------
    ids
        Rows that are used, or that a variant may switch on; shape (evidence,).
    used
        True for rows of the main analysis.
    rows
        The rows of `ids`, in that order, with numbers as floats (nan where empty) and
        `middle`, the middle of the period in decimal years.
    exponents
        Power of each rate (columns as `Rates.names`) in each row, (evidence, rate).
    table
        The whole table as given, for reports.
    """

    ids: tuple[str, ...]
    used: np.ndarray
    rows: pd.DataFrame
    exponents: np.ndarray
    table: pd.DataFrame

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the rows in the main analysis, in order of appearance."""
        return tuple(dict.fromkeys(self.rows.loc[self.used, "source"]))

    def with_interval(
        self, row: str, numbers: tuple[float, float, float, float], origin: str
    ) -> Evidence:
        """The same evidence with another value, low, high and level in one row, and a note."""
        rows, table = self.rows.copy(), self.table.copy()
        mine = table["id"] == row
        for column, value in zip(("value", "low", "high", "level"), numbers, strict=True):
            rows.loc[row, column] = value
            table.loc[mine, column] = f"{value:.12g}"
        note = f"Its numbers are those of {origin}, in place of the published ones. "
        table.loc[mine, "note"] = note + table.loc[mine, "note"]
        return replace(self, rows=rows, table=table)


def read_evidence(
    path: Path, known: Known, also: frozenset[str], faults: Faults
) -> Evidence | None:
    """Read and check `evidence.csv`.

    Parameters
    ----------
    known
        What rows may refer to. Where a part of it is missing, as its own table has
        faults, the rows are checked without it.
    also
        Ids of unused rows that a variant switches on: they must be complete too.

    Returns
    -------
    None after recording faults, and where `known` has no rates.
    """
    cells = read_cells(path, EVIDENCE_COLUMNS, REQUIRED, faults)
    return None if cells is None else evidence_of(cells, path.name, known, also, faults)


def evidence_of(
    cells: pd.DataFrame, file: str, known: Known, also: frozenset[str], faults: Faults
) -> Evidence | None:
    """Check the cells of a table of evidence, texts by line and column: see `read_evidence`."""
    before = len(faults.found)
    cells = drop_totals(cells, ("id", "area"), "evidence-total-row", file, faults)
    check_columns(cells, SCHEMA, file, faults)
    unique(cells, "id", "evidence-twice", file, faults)
    table = lines(cells, file, faults)
    for line in table:
        if line["use"] == "no" and not line["reason"]:
            line.fault("evidence-reason", "reason", id=line["id"])
        if line["use"] == "yes" or line["id"] in also:
            check_links(line, known)
            check_numbers(line)
    check_derived(table)
    if not {"yes", ""} & set(cells["use"]):
        faults.report("evidence-none-used", file=file, column="use")
    if len(faults.found) > before or known.rates is None:
        return None
    return _evidence(cells, (cells["use"] == "yes") | cells["id"].isin(also), known.rates)


def _evidence(cells: pd.DataFrame, needed: pd.Series[bool], rates: Rates) -> Evidence:
    """Checked cells as numbers."""
    rows = cells[needed].copy()
    for column in NUMBERS:
        rows[column] = rows[column].map(as_number)
    rows["design_effect"] = rows["design_effect"].fillna(1.0)
    rows["middle"] = rows["period"].map(periods.middle)
    exponents = np.zeros((len(rows), len(rates.names)))
    for i, text in enumerate(rows["rates"]):
        for name, power in parse_rates(text).items():
            exponents[i, rates.names.index(name)] = power
    used = (rows["use"] == "yes").to_numpy()
    return Evidence(tuple(rows["id"]), used, rows.set_index("id", drop=False), exponents, cells)
