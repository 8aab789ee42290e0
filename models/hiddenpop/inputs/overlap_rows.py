"""Rows of an overlap table: what their cells must be, and what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hiddenpop.inputs.columns import Named
from hiddenpop.inputs.counts import Count, Rules, as_count, count_rule, numbers
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.periods import is_date
from hiddenpop.inputs.schema import Problem, Rule, Schema, check_columns, filled, is_total, key

__all__ = [
    "Cells",
    "Plan",
    "check_levels",
    "check_rows",
    "drop_blank_total",
    "drop_total_rows",
    "histories",
    "levels_of",
    "read_counts",
    "with_lists",
]


@dataclass(frozen=True)
class Plan:
    """What the columns of a file hold; the fields are the options of `read_overlap`.

    Attributes
    ----------
    lists
        Names of the lists; empty where the file itself names or numbers them.
    """

    lists: tuple[str, ...]
    count: str | None
    history: str | None
    by: tuple[str, ...]
    person: str | None
    list_column: str | None
    ignore: tuple[str, ...]

    @property
    def wide(self) -> bool:
        """Whether each list is a column."""
        return self.history is None and self.list_column is None

    @property
    def named(self) -> Named:
        """Columns by the option that names them."""
        single = {
            "--count": self.count, "--history": self.history, "--person": self.person,
            "--list-column": self.list_column,
        }  # fmt: skip
        return {
            "--lists": self.lists if self.wide else (),
            **{option: [column] if column else [] for option, column in single.items()},
            "--by": self.by,
            "--ignore": self.ignore,
        }


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows that were read, before those of one history and stratum are one cell.

    Attributes
    ----------
    line
        Line of each row, shape (row,).
    history
        Whether on a list, bool, shape (row, list).
    levels
        Level of each factor of each row.
    counts
        People of each row.
    """

    lists: tuple[str, ...]
    line: np.ndarray
    history: np.ndarray
    levels: Sequence[tuple[str, ...]]
    counts: Sequence[Count]


def check_rows(frame: pd.DataFrame, plan: Plan, rules: Rules, file: str, faults: Faults) -> None:
    """Record what is wrong with single rows of a table of histories.

    `frame` holds strings, indexed by line.
    """
    words = [*plan.by, *([plan.history] if plan.history else plan.lists)]
    frame = drop_total_rows(frame, words, file, faults)
    if plan.history:
        empty = frame[plan.history].str.fullmatch("0+")
    else:
        empty = (frame[list(plan.lists)] == "0").all(axis=1)
    for row in frame.index[empty]:
        code = "row-nobody" if plan.count else "person-nowhere"
        faults.report(code, {"lists": len(plan.lists)}, file=file, row=int(row))
    schema: Schema = {column: [filled("level-empty"), key(dashes=False)] for column in plan.by}
    schema |= {column: [_mark] for column in plan.lists} if plan.wide else {}
    schema |= {plan.history: [_history_rule(len(plan.lists))]} if plan.history else {}
    schema |= {plan.count: [count_rule(rules)]} if plan.count else {}
    check_columns(frame[~empty], schema, file, faults)


def drop_total_rows(
    frame: pd.DataFrame, columns: Sequence[str], file: str, faults: Faults
) -> pd.DataFrame:
    """Record a fault for each row that calls itself a total in any of the columns; drop them."""
    total = frame[list(columns)].map(is_total)
    for row in frame.index[total.any(axis=1)]:
        column = str(total.columns[total.loc[row]][0])
        values = {"cell": frame.loc[row, column]}
        faults.report("total-row", values, file=file, row=int(row), column=column)
    return frame[~total.any(axis=1)]


def drop_blank_total(frame: pd.DataFrame, plan: Plan, file: str, faults: Faults) -> pd.DataFrame:
    """Record a fault for each row of no history that is a sum of the others; drop them.

    Such a row says so in a column that is otherwise left alone, or its count is that sum.
    """
    count = plan.count or ""
    people = numbers(frame[count])
    named = frame[list(plan.ignore)].map(is_total).any(axis=1)
    summed = (people > 0) & (people == people.sum() - people)
    blank = (frame[[plan.history] if plan.history else list(plan.lists)] == "").all(axis=1)
    total = blank & (named | summed)
    for row in frame.index[total]:
        values = {"cell": frame.loc[row, count]}
        faults.report("total-blank", values, file=file, row=int(row), column=count)
    return frame[~total]


def check_levels(
    frame: pd.DataFrame,
    columns: Sequence[str],
    weights: np.ndarray,
    file: str,
    faults: Faults,
    *,
    code: str = "level-spelling",
) -> None:
    """Record a fault for each level that differs from a commoner one by case or spaces only.

    `weights` are the rows that each row of `frame` stands for.
    """
    for column in columns:
        rows = pd.Series(weights, index=frame.index).groupby(frame[column], sort=False).sum()
        common: dict[str, str] = {}
        for level in rows.sort_values(ascending=False, kind="stable").index:
            other = common.setdefault(" ".join(level.casefold().split()), level)
            if other != level:
                row = int(frame.index[frame[column] == level][0])
                values = {"cell": level, "other": other}
                faults.report(code, values, file=file, row=row, column=column)


def with_lists(plan: Plan, frame: pd.DataFrame) -> Plan:
    """The plan with its lists numbered where only the histories of `frame` tell how many."""
    if plan.lists or not plan.history:
        return plan
    cells = frame[plan.history]
    plain = cells[cells.str.fullmatch("[01]+")]
    size = int((plain if len(plain) else cells).str.len().max())
    return replace(plan, lists=tuple(f"list {place + 1}" for place in range(size)))


def levels_of(frame: pd.DataFrame, by: Sequence[str]) -> list[tuple[str, ...]]:
    """The level of each factor, for each row."""
    if not by:
        return [()] * len(frame)
    return list(frame[list(by)].itertuples(index=False, name=None))


def histories(frame: pd.DataFrame, plan: Plan) -> np.ndarray:
    """Whether on a list, bool, shape (row, list)."""
    if not plan.history:
        return np.asarray(frame[list(plan.lists)] == "1", dtype=bool)
    texts = frame[plan.history].to_numpy(dtype=str)
    marks = np.array([list(text) for text in texts])
    return np.asarray(marks.reshape(len(texts), -1) == "1", dtype=bool)


def read_counts(cells: pd.Series, rules: Rules) -> list[Count]:
    """The counts of a column without faults."""
    found = [as_count(cell, rules) for cell in cells]
    return [count for count in found if isinstance(count, Count)]


def _mark(cell: str) -> Problem | None:
    """A cell of a list's column is 0 or 1."""
    if cell in ("0", "1"):
        return None
    if cell == "":
        return Problem("list-mark-empty")
    whole = cell.isascii() and cell.isdigit()
    return Problem("list-mark-times" if whole else "list-mark")


def _history_rule(lists: int) -> Rule:
    """The cell has a 0 or a 1 for each list."""

    def find(cell: str) -> Problem | None:
        if not re.fullmatch("[01]+", cell):
            return Problem(_garbled(cell))
        if len(cell) == lists:
            return None
        # A number has no leading zeros, so what was lost were zeros.
        short = "history-zeros" if cell[0] == "1" else "history-short"
        code = "history-long" if len(cell) > lists else short
        return Problem(code, (("marks", len(cell)), ("lists", lists)))

    return find


def _garbled(cell: str) -> str:
    """Code of why a cell has other marks than 0 and 1."""
    if cell == "":
        return "history-empty"
    if is_date(cell) and not re.fullmatch(r"[01](?:[-/. ][01])+", cell):
        return "history-date"
    number = re.fullmatch(r"\d[\d.,]*(?:e\+?\d+)?", cell, re.ASCII | re.IGNORECASE)
    return "history-number" if number and not cell.isdigit() else "history-marks"
