"""One line of a table: its cells, and a way to say what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.numbers import as_number

__all__ = ["Line", "lines"]


@dataclass(frozen=True)
class Line:
    """A line of a CSV file.

    Attributes
    ----------
    row
        Line number in the file; the header is line 1.
    cells
        Texts by column.
    """

    row: int
    cells: Mapping[str, str]
    file: str
    faults: Faults

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def number(self, column: str) -> float:
        """The number in a cell, nan where there is none."""
        return as_number(self.cells[column])

    def filled(self, *columns: str) -> list[str]:
        """Those of the columns whose cell is not empty."""
        return [column for column in columns if self.cells[column]]

    def fault(self, code: str, column: str, **values: object) -> None:
        """Record a fault in one cell of this line."""
        self.faults.report(code, values, file=self.file, row=self.row, column=column)


def lines(frame: pd.DataFrame, file: str, faults: Faults) -> list[Line]:
    """The lines of a frame of strings that is indexed by line number."""
    rows = frame.to_dict("records")
    return [
        Line(int(row), {str(column): str(cell) for column, cell in cells.items()}, file, faults)
        for row, cells in zip(frame.index, rows, strict=True)
    ]
