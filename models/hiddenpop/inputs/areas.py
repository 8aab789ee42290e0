"""Areas that nest to any depth; remainders are derived, never typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hiddenpop.inputs.area_checks import MAX_SD, REST, check_lines, check_nesting, log_sd
from hiddenpop.inputs.csvfile import read_cells
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.lines import lines
from hiddenpop.inputs.numbers import as_number
from hiddenpop.inputs.schema import (
    Schema,
    check_columns,
    drop_totals,
    filled,
    key,
    number,
    unique,
)

__all__ = ["MAX_SD", "REST", "Areas", "areas_from_frame", "read_areas"]

COLUMNS = ("name", "parent", "population", "low", "high", "level", "period", "ages", "source")
REQUIRED = ("name", "parent", "population", "period", "ages", "source")
NUMBERS = ("population", "low", "high", "level")

SCHEMA: Schema = {
    "name": [filled("area-name"), key()],
    "parent": [key()],
    "population": [filled("area-population"), number(above=0)],
    "low": [number(above=0)],
    "high": [number(above=0)],
    "level": [number(level=True)],
    "period": [filled("area-period-empty"), key(dashes=False)],
    "ages": [filled("area-ages-empty"), key(dashes=False)],
    "source": [filled("area-source")],
}


@dataclass(frozen=True)
class Areas:
    """A forest of areas, parents before children, remainders included.

    Attributes
    ----------
    names
        All areas; a remainder is called "rest of <parent>".
    parent
        Index of each area's parent, -1 at the top.
    derived
        True for remainders.
    population
        Residents at the target ages (medians where uncertain), shape (area,).
    log_sd
        Sd of the log population; 0 where it is known, and for remainders, which
        follow from the others.
    table
        The table as given, for reports.
    """

    names: tuple[str, ...]
    parent: tuple[int, ...]
    derived: tuple[bool, ...]
    population: np.ndarray
    log_sd: np.ndarray
    table: pd.DataFrame

    def index(self, name: str) -> int:
        """Position of an area; `KeyError` if there is none of this name."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"no area is called '{name}'") from None

    @property
    def siblings(self) -> np.ndarray:
        """True where two areas share a parent (each area is its own sibling), (area, area)."""
        parent = np.array(self.parent)
        same = (parent[:, None] == parent[None, :]) & (parent >= 0)[:, None]
        return np.asarray(same | np.eye(len(parent), dtype=bool))

    @property
    def lineage(self) -> np.ndarray:
        """True where column is the row itself or an ancestor of it, (area, area)."""
        line = np.eye(len(self.names), dtype=bool)
        for i, p in enumerate(self.parent):
            if p >= 0:
                line[i] |= line[p]
        return line

    @property
    def top(self) -> np.ndarray:
        """Index of each area's top-level ancestor, shape (area,)."""
        top = np.arange(len(self.names))
        for i, p in enumerate(self.parent):
            if p >= 0:
                top[i] = top[p]
        return top

    @property
    def remainder_signs(self) -> np.ndarray:
        """How a change of one area's residents changes another's, (area, area).

        The identity for named areas; a remainder gains what its parent gains and
        loses what its siblings gain.
        """
        signs = np.eye(len(self.names))
        for i, p in enumerate(self.parent):
            if self.derived[i]:
                signs[i, i] = 0.0
                signs[i, p] = 1.0
                for j, q in enumerate(self.parent):
                    if q == p and j != i:
                        signs[i, j] = -1.0
        return signs

    def with_population(self, changes: dict[str, float]) -> Areas:
        """Return the same areas with other residents; remainders follow."""
        table = self.table.copy()
        for name, value in changes.items():
            if name not in set(table["name"]):
                raise KeyError(f"no named area is called '{name}'")
            rows = table["name"] == name
            # An interval keeps its width on the log scale.
            factor = value / float(table.loc[rows, "population"].iloc[0])
            table.loc[rows, ["population", "low", "high"]] *= factor
        return areas_from_frame(table)


def read_areas(
    path: Path, ages: str, faults: Faults, *, middle: float | None = None
) -> Areas | None:
    """Read and check `areas.csv`; None after recording faults.

    Parameters
    ----------
    ages
        The target's ages, which the residents must have; "" if they are not known.
    middle
        Middle of the reference period in decimal years, None if it is not known.
    """
    cells = read_cells(path, COLUMNS, REQUIRED, faults)
    if cells is None:
        return None
    before, file = len(faults.found), path.name
    cells = drop_totals(cells, ("name",), "area-total-row", file, faults)
    check_columns(cells, SCHEMA, file, faults)
    unique(cells, "name", "area-twice", file, faults)
    check_lines(lines(cells, file, faults), ages, middle)
    if len(faults.found) > before:
        return None
    table = cells.assign(**{column: cells[column].map(as_number) for column in NUMBERS})
    check_nesting(table, file, faults)
    return areas_from_frame(table) if len(faults.found) == before else None


def areas_from_frame(table: pd.DataFrame) -> Areas:
    """Order the areas parents first and add the remainders.

    `table` is a checked table of `read_areas`, numeric where numbers stand.
    """
    names: list[str] = []
    parent: list[int] = []
    derived: list[bool] = []
    population: list[float] = []
    log_sds: list[float] = []

    def place(line: pd.Series, above: int) -> None:
        here = len(names)
        names.append(line["name"])
        parent.append(above)
        derived.append(False)
        population.append(float(line["population"]))
        log_sds.append(log_sd(line))
        children = table[table["parent"] == line["name"]]
        for _, child in children.iterrows():
            place(child, here)
        left = float(line["population"]) - float(children["population"].sum())
        if len(children) and left > 0:
            names.append(REST + line["name"])
            parent.append(here)
            derived.append(True)
            population.append(left)
            log_sds.append(0.0)

    for _, line in table[table["parent"] == ""].iterrows():
        place(line, -1)
    return Areas(
        tuple(names),
        tuple(parent),
        tuple(derived),
        np.array(population),
        np.array(log_sds),
        table,
    )
