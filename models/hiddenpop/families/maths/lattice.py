"""All tables of whole numbers that have given totals of lists and a given number of people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["tables_with_margins"]

ROOM = 20
"""Unfinished tables that are held at most, per finished one that is allowed."""


def tables_with_margins(totals: Sequence[int], distinct: int, most: int) -> np.ndarray | None:
    """Every table n with A n = (totals, distinct), where A sums each list, then everybody.

    A person on k lists adds k to the totals and 1 to the people, so cells of two lists and
    more must add up, weighted by k - 1, to the excess of the totals over the people; people
    on one list only are then what is left of its total.

    Parameters
    ----------
    totals
        People on each list, shape (list,).
    distinct
        Different people on all lists.
    most
        Largest number of tables wanted.

    Returns
    -------
    Shape (table, 2^L - 1), columns in order of code (list j is bit 2^j); no rows where no
    table has these margins; None where there are more than `most`.
    """
    lists = len(totals)
    on = ((np.arange(1, 2**lists)[:, None] >> np.arange(lists)) & 1).astype(bool)
    size = on.sum(1)
    # The most crowded cells first: they have the fewest values. A pair comes last, with weight 1.
    shared = sorted(np.flatnonzero(size > 1), key=lambda cell: -size[cell])
    excess = np.array([sum(totals) - distinct])
    left = np.array([totals])
    counts = np.zeros((1, len(on)), dtype=int)
    for cell in shared[:-1]:
        largest = np.minimum(excess // (size[cell] - 1), left[:, on[cell]].min(1))
        if np.maximum(largest + 1, 0).sum() > ROOM * most:
            return None
        row, value = _up_to(largest)
        excess = excess[row] - value * (size[cell] - 1)
        left = left[row] - value[:, None] * on[cell]
        counts = counts[row]
        counts[:, cell] = value
    last = shared[-1]
    fits = (excess >= 0) & (excess <= left[:, on[last]].min(1))
    counts, left, excess = counts[fits], left[fits], excess[fits]
    counts[:, last] = excess
    left = left - excess[:, None] * on[last]
    counts[:, size == 1] = left  # codes 1, 2, 4, ... are the lists in their order
    return counts if len(counts) <= most else None


def _up_to(largest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row with each whole number from 0 to its largest: rows and numbers."""
    times = np.maximum(largest + 1, 0)
    row = np.repeat(np.arange(len(largest)), times)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
