"""An overlap table as the likelihood of hierarchical models reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hiddenpop.families.maths import hierarchy
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["MOST_LISTS", "Cells", "cells_of", "refusal_of_cells"]

MOST_LISTS = 10
"""With more, one model takes longer than all of five lists do."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts of all strata together by history, written as a number (list j adds 2^j).

    The lists stand in an order that follows from the counts alone, so that nothing computed
    here, random or rounded, depends on the order of a file; `given` is for what is shown.

    Attributes
    ----------
    given
        Names of the lists as the table has them.
    place
        For each list here its place among those, shape (list,).
    counts
        People, 0 at cell 0, shape (cell,).
    possible
        False for cell 0 and for combinations that were impossible, shape (cell,).
    """

    given: tuple[str, ...]
    place: tuple[int, ...]
    counts: np.ndarray
    possible: np.ndarray

    @property
    def lists(self) -> tuple[str, ...]:
        """Names in the order of the bits."""
        return tuple(self.given[place] for place in self.place)

    @property
    def observed(self) -> float:
        """People seen."""
        return float(self.counts.sum())

    def shown(self, masks: np.ndarray | Sequence[int]) -> np.ndarray:
        """Masks with bit j for the j-th of the lists as given."""
        bits = np.asarray(masks, dtype=np.int64)[:, None] >> np.arange(len(self.place)) & 1
        return np.asarray(bits @ (1 << np.array(self.place)))

    def hidden(self, masks: np.ndarray | Sequence[int]) -> np.ndarray:
        """Masks of this order from those of the lists as given."""
        bits = np.asarray(masks, dtype=np.int64)[:, None] >> np.array(self.place) & 1
        return np.asarray(bits @ (1 << np.arange(len(self.place))))

    def names(self, masks: np.ndarray | Sequence[int]) -> list[str]:
        """Each term's lists, "LA:NG"."""
        return [
            ":".join(name for j, name in enumerate(self.given) if mask >> j & 1)
            for mask in self.shown(masks).tolist()
        ]

    def model_names(self, model: np.ndarray, masks: np.ndarray) -> list[str]:
        """Generators of models, bool, shape (model, term), in brackets."""
        return hierarchy.model_names(model, self.shown(masks), self.given)

    def labels(self, codes: np.ndarray) -> list[str]:
        """Histories as text, the first list as given first."""
        shown = self.shown(codes).tolist()
        return ["".join(str(code >> j & 1) for j in range(len(self.given))) for code in shown]

    def terms(self, order: int | None) -> np.ndarray:
        """Terms that some possible cell holds, shape (term,)."""
        masks = hierarchy.terms(len(self.place), order)
        return masks[hierarchy.hold(np.flatnonzero(self.possible), masks).any(axis=0)]


def cells_of(table: OverlapTable) -> Cells:
    """The table without its strata.

    Raises
    ------
    ValueError
        If a count is not known exactly.
    """
    whole = table.total()
    if (~whole.structural & (whole.low != whole.high)).any():
        raise ValueError(
            "maximum likelihood needs every count: a cell is known between limits only"
        )
    order = _order_of_counts(whole)
    whole = whole.permuted(order)
    counts = whole.dense(np.where(whole.structural, 0.0, whole.low))[0]
    counts[0] = 0.0
    possible = np.arange(len(counts)) > 0
    possible[whole.code[whole.structural]] = False
    return Cells(table.lists, tuple(order), counts, possible)


def _order_of_counts(table: OverlapTable) -> list[int]:
    """Lists by their cells: how many lists a cell is on, its people, whether it was possible."""
    counts = np.where(table.structural, -1.0, table.low)
    told = counts != 0
    sizes = table.history.sum(axis=1)

    def cells(place: int) -> tuple[float, list[tuple[float, float]]]:
        mine = told & table.history[:, place]
        rows = sorted(zip(sizes[mine].tolist(), counts[mine].tolist(), strict=True))
        return float(counts[mine].sum()), rows

    return sorted(range(len(table.lists)), key=cells)


def refusal_of_cells(table: OverlapTable) -> Refusal | None:
    """Why maximum likelihood has nothing to work on in this table."""
    lists = len(table.lists)
    if lists < 3:
        return Refusal("loglinear-average-lists-few", {"lists": lists})
    if lists > MOST_LISTS:
        return Refusal("loglinear-average-lists-many", {"lists": lists, "most": MOST_LISTS})
    uncertain = ~table.structural & (table.low != table.high)
    if uncertain.any():
        return Refusal("loglinear-average-censored", {"cells": int(uncertain.sum())})
    counted = np.where(table.structural, 0.0, table.low)
    if empty := [
        name
        for name, people in zip(table.lists, counted @ table.history, strict=True)
        if not people
    ]:
        return Refusal("loglinear-average-list-empty", {"lists": ", ".join(empty)})
    if not counted[table.history.sum(axis=1) > 1].any():
        return Refusal("loglinear-average-no-overlap")
    return None
