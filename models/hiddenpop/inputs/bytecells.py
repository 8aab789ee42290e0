"""Cells of a large, plain CSV as numbers: millions of rows without a Python object for each.

Up to eight bytes of a cell are one 64-bit word, so that cells are compared, hashed and counted as
integers. Whatever is not plain (a quoted comma, a row of wrong length) is left to the csv module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Block", "NotPlain", "blocks", "mixed"]

SIZE = 1 << 24
"""Bytes that are looked at together."""

WORDS = 8
"""Longest cell, in words, that is packed: 64 bytes, more than any id of a person."""

_COMMA, _LINE, _RETURN, _QUOTE, _SPACE, _TAB, _REMARK = b',\n\r" \t#'
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], dtype=np.uint64)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing


class NotPlain(Exception):  # noqa: N818
    """The file must be read by the csv module."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of a part of a file.

    Attributes
    ----------
    line
        Line of each row in the file, shape (row,).
    words
        For each column that was asked for, its cells, zero-padded, shape (row, word).
    """

    line: np.ndarray
    words: list[np.ndarray]

    def text(self, row: int, column: int) -> str:
        """One cell."""
        padded: bytes = self.words[column][row].tobytes()
        return padded.rstrip(b"\0").decode("utf-8")


def blocks(
    raw: bytes, start: int, line: int, width: int, columns: Sequence[int]
) -> Iterator[Block]:
    """The rows of `raw` from byte `start` on, which is on line `line`.

    Parameters
    ----------
    width
        Cells of every row.
    columns
        Places of the cells that are wanted.

    Raises
    ------
    NotPlain
        If a row has another number of cells, begins with '#', or holds quotation marks other
        than those around a whole cell, or a wanted cell is longer than 64 bytes.
    """
    while start < len(raw):
        end = raw.find(b"\n", start + SIZE) + 1 or len(raw)
        size = end - start
        part = np.zeros(size + 1 + 8 * (WORDS + 1), dtype=np.uint8)
        part[:size] = np.frombuffer(raw, np.uint8, size, start)
        if part[size - 1] != _LINE:
            part[size], size = _LINE, size + 1
        begin, stop, full = _cells(part, part[:size], width)
        words = [_packed(part, begin[:, column], stop[:, column]) for column in columns]
        if (part[begin[:, 0]] == _REMARK).any():
            raise NotPlain
        # A row without any content is not a row.
        if not np.any([word.any(axis=1) for word in words], axis=0).all():
            raise NotPlain
        if full.any():
            yield Block(line + np.flatnonzero(full), words)
        start, line = end, line + len(full)


def mixed(words: np.ndarray) -> np.ndarray:
    """One 64-bit number for each row of words; different rows hardly ever share one.

    A single word is told apart from every other, since each step can be undone.
    """
    total = np.zeros(len(words), dtype=np.uint64)
    for word in words.T:
        total ^= word
        total *= _FACTOR
        total ^= total >> np.uint64(32)
    return total


def _cells(
    part: np.ndarray, text: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the cells begin and end, shape (row, column), and which lines are not blank."""
    marks = np.flatnonzero((text == _COMMA) | (text == _LINE))
    quotes = np.zeros(len(marks), dtype=np.int32)
    if (quote := text == _QUOTE).any():
        # A mark behind an odd number of quotes stands inside of them.
        before = np.cumsum(quote, dtype=np.int32)[marks]
        outside = before % 2 == 0
        if not outside[text[marks] == _LINE].all():
            raise NotPlain
        marks, quotes = marks[outside], np.diff(before[outside], prepend=0)
    # A carriage return alone would end a line.
    if (text[np.flatnonzero(text == _RETURN) + 1] != _LINE).any():
        raise NotPlain
    starts = np.concatenate([[0], marks[:-1] + 1])
    last = np.flatnonzero(text[marks] == _LINE)
    cells = np.diff(last, prepend=-1)
    length = (marks - starts)[last]
    empty = (length == 0) | ((length == 1) & (text[starts[last]] == _RETURN))
    blank = (cells == 1) & empty
    if (cells[~blank] != width).any():
        raise NotPlain
    if blank.any():
        keep = np.repeat(~blank, cells)
        starts, marks, quotes = starts[keep], marks[keep], quotes[keep]
    begin, end = starts.reshape(-1, width), marks.reshape(-1, width)
    end[:, -1] -= (part[end[:, -1] - 1] == _RETURN) & (end[:, -1] > begin[:, -1])
    if quotes.any():
        _unquote(part, begin, end, quotes.reshape(-1, width))
    return begin, end, ~blank


def _unquote(part: np.ndarray, begin: np.ndarray, end: np.ndarray, quotes: np.ndarray) -> None:
    """Move the ends of cells past quotation marks, which must enclose them.

    `quotes` are the marks in each cell.
    """
    quoted = quotes == 2
    whole = (part[begin] == _QUOTE) & (part[end - 1] == _QUOTE)
    if not (whole[quoted].all() and (quoted | (quotes == 0)).all()):
        raise NotPlain
    begin += quoted
    end -= quoted


def _packed(part: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Words of the cells of one column, shape (row, word)."""
    window = np.ndarray((len(part) - 8,), dtype="<u8", buffer=part, strides=(1,))
    begin, end = begins.copy(), ends.copy()
    _trim(part, begin, end)
    length = end - begin
    words = -(-int(length.max(initial=1)) // 8) or 1
    if words > WORDS:
        raise NotPlain
    pieces = [(begin + 8 * k, np.clip(length - 8 * k, 0, 8)) for k in range(words)]
    return np.column_stack([window[at] & _MASKS[left] for at, left in pieces])


def _trim(part: np.ndarray, begin: np.ndarray, end: np.ndarray) -> None:
    """Move the ends of cells past spaces and tabs."""

    def blank(at: np.ndarray) -> np.ndarray:
        marks = part[at]
        return np.asarray(((marks == _SPACE) | (marks == _TAB)) & (begin < end))

    while (more := blank(begin)).any():
        begin += more
    while (more := blank(end - 1)).any():
        end -= more
