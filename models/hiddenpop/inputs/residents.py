"""Residents: the denominator of a rate, as one number or by stratum."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hiddenpop.inputs.csvfile import read_cells
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.lines import lines
from hiddenpop.inputs.numbers import as_number
from hiddenpop.inputs.schema import Problem, check_columns, filled, key

__all__ = ["Stratum", "one_number", "read_residents", "table_of"]

COLUMN = "population"

Stratum = tuple[str, ...]
"""The level of each factor."""


def table_of(population: float | str | Path) -> Path | None:
    """The file that residents are in; None where they are a number, however badly written."""
    if isinstance(population, Path):
        return population
    text = str(population).strip()
    number = re.fullmatch(r"[-+]?[\d., ']*(?:e[-+]?\d+)?|nan|-?inf", text, re.IGNORECASE)
    return None if number else Path(text)


def one_number(population: object, observed: float, file: str, faults: Faults) -> float | None:
    """Residents given as one number; None where there is none, or after recording a fault."""
    if population is None:
        return None
    text = str(population).strip()
    if problem := _residents(text):
        faults.report(problem.code, {"cell": text}, file=file, column=COLUMN)
        return None
    if (value := as_number(text)) < observed:
        values = {"people": observed, "residents": value}
        faults.report("population-less", values, file=file, column=COLUMN)
        return None
    return value


def read_residents(
    path: Path,
    factors: tuple[str, ...],
    observed: Mapping[Stratum, float],
    faults: Faults,
) -> np.ndarray | None:
    """Residents of each stratum from a CSV with the factors and a column `population`.

    Parameters
    ----------
    observed
        People certainly seen in each stratum.

    Returns
    -------
    ndarray of shape (stratum,), in the order of `observed`, or None after recording faults.
    """
    before, file = len(faults.found), path.name
    cells = read_cells(path, (*factors, COLUMN), (*factors, COLUMN), faults)
    if cells is None:
        return None
    schema = {column: [filled("level-empty"), key(dashes=False)] for column in factors}
    check_columns(cells, schema | {COLUMN: [_residents]}, file, faults)
    if len(faults.found) > before:
        return None
    rows: dict[Stratum, int] = {}
    found: dict[Stratum, float] = {}
    for line in lines(cells, file, faults):
        stratum = tuple(line[factor] for factor in factors)
        words, value = ", ".join(stratum) or "all", line.number(COLUMN)
        if stratum not in observed:
            line.fault("population-unknown", (*factors, COLUMN)[0], stratum=words)
        elif stratum in rows:
            line.fault("population-twice", COLUMN, stratum=words, first=rows[stratum])
        elif value < observed[stratum]:
            line.fault("population-less", COLUMN, people=observed[stratum], residents=value)
        rows.setdefault(stratum, line.row)
        found.setdefault(stratum, value)
    _report_missing(observed, found, file, faults)
    return np.array([found[s] for s in observed]) if len(faults.found) == before else None


def _report_missing(
    wanted: Mapping[Stratum, float], found: Mapping[Stratum, float], file: str, faults: Faults
) -> None:
    for stratum in wanted:
        if stratum not in found:
            words = ", ".join(stratum) or "all"
            faults.report("population-missing", {"stratum": words}, file=file, column=COLUMN)


def _residents(cell: str) -> Problem | None:
    """The cell is a positive number."""
    if cell == "":
        return Problem("population-empty")
    value = as_number(cell)
    if np.isnan(value):
        return Problem("population-number")
    return None if value > 0 else Problem("population-zero")
