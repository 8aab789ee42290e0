"""Rows of persons, tallied: which combinations of cells occur, and which row holds which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiddenpop.inputs.bytecells import NotPlain, blocks, mixed
from hiddenpop.inputs.columns import Sheet, each_record
from hiddenpop.inputs.faults import Faults

__all__ = ["Tally", "by_records", "by_words", "check_tally", "tally"]

LARGE = 1 << 20
"""Files of fewer bytes go through the csv module row by row."""

MOST = 100
"""Rows of persons that are named as faulty, one by one."""


@dataclass(frozen=True, eq=False)
class Tally:
    """Rows of a file by what stands in some of their columns.

    Attributes
    ----------
    kinds
        Each combination of cells that occurs, as strings, indexed by the line of the first
        row that has it.
    kind
        Position in `kinds` of each row, shape (row,).
    line
        Line of each row in the file, shape (row,).
    names
        Id of each row's person as integers, shape (row, word): equal where the ids are. No
        words where no column of ids was asked for.
    nameless
        Rows whose id is empty.
    """

    kinds: pd.DataFrame
    kind: np.ndarray
    line: np.ndarray
    names: np.ndarray
    nameless: np.ndarray

    @property
    def people(self) -> np.ndarray:
        """Rows of each kind, shape (kind,)."""
        return np.bincount(self.kind, minlength=len(self.kinds))

    def rows(self, at: np.ndarray) -> pd.DataFrame:
        """Some rows as strings, indexed by their lines."""
        frame: pd.DataFrame = self.kinds.iloc[self.kind[at]]
        return frame.set_axis(pd.Index(self.line[at]), axis="index")

    def persons(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows in an order in which those of a person are together, and where each begins."""
        mark = mixed(self.names)
        order = np.argsort(mark)
        new = np.diff(mark[order], prepend=~mark[order[:1]]) != 0
        # Two persons may share a mark, however unlikely that is.
        if self.names.shape[1] > 1:
            differs = np.zeros(len(order), dtype=bool)
            for word in self.names.T:
                differs[1:] |= np.diff(word[order]) != 0
            if (differs & ~new).any():
                order = np.lexsort(self.names.T)
                new = np.diff(self.names[order], axis=0, prepend=0).any(axis=1)
                new[0] = True
        return order, np.flatnonzero(new)

    def repeated(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows whose person stands in an earlier row, and that row."""
        mark = np.sort(mixed(self.names))
        if not (mark[1:] == mark[:-1]).any():
            return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
        order, begins = self.persons()
        sizes = np.diff(begins, append=len(order))
        first = np.repeat(np.minimum.reduceat(order, begins), sizes)
        again = np.flatnonzero(order != first)
        rows = again[np.argsort(order[again])]
        return order[rows], first[rows]


def tally(sheet: Sheet, columns: Sequence[str], person: str | None, faults: Faults) -> Tally | None:
    """Tally the rows below the header; None after recording faults of form.

    Parameters
    ----------
    columns
        Columns whose cells make the kinds.
    person
        Column of ids, or None.
    """
    found = None
    if len(sheet.raw) >= LARGE:
        with suppress(NotPlain):
            found = by_words(sheet, columns, person)
    if found is None:
        found = by_records(sheet, columns, person, faults)
    if found is not None and not len(found.kind):
        faults.report("table-no-rows", file=sheet.name)
        return None
    return found


def check_tally(found: Tally, check: Callable[[pd.DataFrame, Faults], None], faults: Faults) -> int:
    """Record the faults that `check` finds row by row; return how many rows were not named.

    Each kind is looked at once, then the rows of the bad ones, the first of each kind first.
    """
    trial = Faults()
    check(found.kinds, trial)
    if not trial.found:
        return 0
    bad = np.isin(found.kinds.index, [fault.row or 0 for fault in trial.found])
    rows = np.flatnonzero(bad[found.kind])
    _, first = np.unique(found.kind[rows], return_index=True)
    shown = np.concatenate([rows[first], np.delete(rows, first)])[:MOST]
    check(found.rows(np.sort(shown)), faults)
    return len(rows) - len(shown)


class _Kinds:
    """Combinations of cells, in the order in which they are met."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.places: dict[tuple[str, ...], int] = {}
        self.lines: list[int] = []

    def place(self, cells: tuple[str, ...], line: int) -> int:
        """Position of a combination, which is new or was met before."""
        found = self.places.setdefault(cells, len(self.places))
        if found == len(self.lines):
            self.lines.append(line)
        return found

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(list(self.places), index=self.lines, columns=self.columns, dtype=str)


def by_words(sheet: Sheet, columns: Sequence[str], person: str | None) -> Tally:
    """`tally` of a plain file, in large blocks.

    Raises
    ------
    NotPlain
        If the csv module must read the file, or it has no row.
    """
    header = sheet.header
    wanted = [header.index(column) for column in (*columns, *([person] if person else []))]
    index = _Kinds(columns)
    kinds, lines, ids = [], [], []
    for block in blocks(sheet.raw, *sheet.start, len(header), wanted):
        group, first = _grouped(np.hstack(block.words[: len(columns)]))
        places = [
            index.place(
                tuple(block.text(row, column) for column in range(len(columns))),
                int(block.line[row]),
            )
            for row in first.tolist()
        ]
        kinds.append(np.array(places, dtype=np.int32)[group])
        lines.append(block.line.astype(np.int32))
        ids.append(block.words[-1] if person else block.words[-1][:, :0])
    if not kinds:
        raise NotPlain
    names = _stacked(ids)
    nameless = np.flatnonzero(~names.any(axis=1)) if person else np.zeros(0, dtype=int)
    return Tally(index.frame(), np.concatenate(kinds), np.concatenate(lines), names, nameless)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Rows of words below each other; the parts are given up on the way, as they are large."""
    rows, words = sum(map(len, parts)), max(part.shape[1] for part in parts)
    whole = np.zeros((rows, words), dtype=np.uint64)
    while parts:
        part = parts.pop()
        whole[rows - len(part) : rows, : part.shape[1]] = part
        rows -= len(part)
    return whole


def _grouped(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group of each row of words, numbered by first appearance, and the first row of each."""
    group, names = pd.factorize(mixed(words))
    first = np.empty(len(names), dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    if any((word[first][group] != word).any() for word in words.T):
        # Two kinds of rows share a mark, which hardly ever happens.
        _, begin, place = np.unique(words, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(begin)
        return np.argsort(order)[place.ravel()], begin[order]
    return group, first


def by_records(
    sheet: Sheet, columns: Sequence[str], person: str | None, faults: Faults
) -> Tally | None:
    """`tally` of any file, row by row."""
    before = len(faults.found)
    wanted = [sheet.header.index(column) for column in columns]
    place = sheet.header.index(person) if person else None
    index = _Kinds(columns)
    people: dict[str, int] = {}
    kinds, lines, persons = [], [], []
    for line, cells in each_record(sheet, faults):
        kinds.append(index.place(tuple(cells[column] for column in wanted), line))
        lines.append(line)
        if place is not None:
            persons.append(people.setdefault(cells[place], len(people)))
    if len(faults.found) > before:
        return None
    number = np.array(persons, dtype=np.uint64)
    return Tally(
        index.frame(), np.array(kinds, dtype=np.int32), np.array(lines, dtype=np.int32),
        number[:, None] if person else np.zeros((len(kinds), 0), dtype=np.uint64),
        np.flatnonzero(number == people.get("", len(people))),
    )  # fmt: skip
