"""Column rules: what a single cell must be. Pandera finds the cells that break them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.numbers import LEVELS, as_number, number_problem
from hiddenpop.inputs.periods import is_date

__all__ = [
    "Problem",
    "Rule",
    "Schema",
    "check_columns",
    "drop_totals",
    "filled",
    "is_total",
    "key",
    "number",
    "one_of",
    "unique",
]

LARGEST = 1e15
"""No count, sum of money or factor is larger, and no positive one smaller than its inverse."""

TOTALS = ("total", "totals", "grand total", "subtotal", "sub-total", "sum", "all", "overall")


@dataclass(frozen=True)
class Problem:
    """Code of a fault in one cell, and the values that its words need beside `cell`."""

    code: str
    values: tuple[tuple[str, object], ...] = ()


Rule = Callable[[str], Problem | None]
"""One demand on one cell, given as stripped text: None, or what is wrong with it."""

Schema = dict[str, list[Rule]]


def filled(code: str) -> Rule:
    """The cell may not be empty."""
    return lambda cell: None if cell else Problem(code)


def one_of(code: str, allowed: tuple[str, ...]) -> Rule:
    """The cell is one of a few words, or empty."""
    return lambda cell: (
        None if cell == "" or cell in allowed else Problem(code, (("fix", choose(cell, allowed)),))
    )


def key(*, dashes: bool = True) -> Rule:
    """The cell can be compared with others: nothing invisible in it.

    Without `dashes`, a typographic dash is a fault too, as are dates: spreadsheets turn
    15-64 and 2004/05 into them.
    """

    def find(cell: str) -> Problem | None:
        hidden = [mark for mark in cell if not mark.isprintable()]
        if hidden:
            return Problem("cell-invisible", (("mark", f"U+{ord(hidden[0]):04X}"),))
        if not dashes and re.search("[‐‑‒–—−]", cell):
            return Problem("cell-dash", (("plain", re.sub("[‐‑‒–—−]", "-", cell)),))
        if not dashes and is_date(cell):
            return Problem("cell-date")
        return None

    return find


def number(*, above: float | None = None, least: float | None = None, level: bool = False) -> Rule:
    """The cell is empty or a number inside the limits, of a size that occurs."""

    def find(cell: str) -> Problem | None:
        if problem := number_problem(cell):
            code, plain = problem
            return Problem(code, (("plain", plain),))
        value = as_number(cell)
        if level and not LEVELS[0] <= value <= LEVELS[1] and cell:
            return Problem("level-range", (("least", LEVELS[0]), ("most", LEVELS[1])))
        if abs(value) > LARGEST or 0 < abs(value) < 1 / LARGEST:
            return Problem("number-size")
        if least is not None and value < least:
            return Problem("number-negative" if value < 0 else "number-low", (("least", least),))
        if above is not None and value <= above:
            return Problem("number-zero" if value == 0 else "number-negative")
        return None

    return find


def check_columns(frame: pd.DataFrame, schema: Schema, file: str, faults: Faults) -> None:
    """Record a fault for each cell of `frame` (strings, indexed by line) that breaks a rule.

    Only the first rule that a cell breaks is reported.
    """

    def first(rules: list[Rule], cell: str) -> Problem | None:
        return next((problem for rule in rules if (problem := rule(cell))), None)

    def check(rules: list[Rule]) -> pa.Check:
        return pa.Check(lambda cell: first(rules, cell) is None, element_wise=True)

    columns = {column: pa.Column(str, check(rules)) for column, rules in schema.items()}
    try:
        pa.DataFrameSchema(columns).validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases.sort_values("index", kind="stable")
        for column, cell, row in zip(
            cases["column"], cases["failure_case"], cases["index"], strict=True
        ):
            problem = first(schema[str(column)], str(cell))
            if problem is not None:
                values = {"cell": str(cell), **dict(problem.values)}
                faults.report(problem.code, values, file=file, row=int(row), column=str(column))


def drop_totals(
    frame: pd.DataFrame, columns: tuple[str, ...], code: str, file: str, faults: Faults
) -> pd.DataFrame:
    """Record a fault for each row of totals; return the others.

    Such a row is called "total" or the like in the first of `columns` that is not empty. Its
    other cells would only give more faults.
    """
    cells = frame[list(columns)].replace("", pd.NA).bfill(axis=1).iloc[:, 0].fillna("")
    total = cells.map(is_total).to_numpy(dtype=bool)
    for row in frame.index[total]:
        values = {"cell": cells[row]}
        faults.report(code, values, file=file, row=int(row), column=columns[0])
    return frame[~total]


def is_total(cell: str) -> bool:
    """Whether a cell says that its row is a sum of others."""
    return cell.casefold().rstrip(":") in TOTALS


def unique(frame: pd.DataFrame, column: str, code: str, file: str, faults: Faults) -> None:
    """Record a fault for each row that repeats a non-empty cell of `column`."""
    first: dict[str, int] = {}
    for row, cell in zip(frame.index, frame[column], strict=True):
        if cell in first:
            values = {"cell": cell, "first": first[cell]}
            faults.report(code, values, file=file, row=int(row), column=column)
        elif cell:
            first[cell] = int(row)
