"""A table with its lists and factors as the variables of log-linear models.

The cells are all combinations of lists and of levels of the factors. Columns of a factor with k
levels are k - 1 contrasts that sum to zero, orthogonal and with mean square 1; a term has the
products of its variables' columns, so that all columns of all terms are orthogonal over the
cells.

Lists, factors and strata are put in an order that depends on the counts and not on how the table
was written, so that the same seed gives the same draws for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from hiddenpop.families.maths.hierarchy import count_models, hold, terms
from hiddenpop.families.maths.proper_prior import Table
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Layout", "Variables", "lay_out", "order_of", "variables_of"]

MOST_LISTED = 32_768
"""Lists alone have interactions of any order as long as that makes no more models than this."""


@dataclass(frozen=True, eq=False)
class Variables:
    """The lists and factors in an order of their own.

    Attributes
    ----------
    names
        Lists, then factors.
    lists
        Place of each list in the table, shape (list,).
    levels
        How many levels each factor has, shape (factor,).
    strata
        Level of each factor in each stratum of the table, shape (stratum, factor).
    """

    names: tuple[str, ...]
    lists: np.ndarray
    levels: tuple[int, ...]
    strata: np.ndarray

    @property
    def all_lists(self) -> int:
        """The term of all lists."""
        return int(2 ** len(self.lists) - 1)


@dataclass(frozen=True, eq=False)
class Layout:
    """What the models of a table need.

    Attributes
    ----------
    variables
        What the bits of `masks` stand for.
    order
        The most variables in one term.
    masks
        Terms, shape (term,).
    term
        Which of them each column belongs to, -1 for the intercept, shape (column,).
    table
        Counted and ranged cells.
    exact_code, ranged_stratum
        History of the counted cells as the table numbers it, and stratum of the ranged cells.
    missing, missing_stratum
        Design, (cell, column), and stratum of the cells that nothing is known of.
    """

    variables: Variables
    order: int
    masks: np.ndarray
    term: np.ndarray
    table: Table
    exact_code: np.ndarray
    ranged_stratum: np.ndarray
    missing: np.ndarray
    missing_stratum: np.ndarray

    def has(self, models: np.ndarray) -> np.ndarray:
        """Columns of models, from terms (model, term) to (model, column)."""
        first = np.ones((len(models), 1), dtype=bool)
        return np.hstack([first, models[:, self.term[1:]]])


def variables_of(data: OverlapTable) -> Variables:
    """The variables of a table; factors with one level are none."""
    people = np.where(data.structural, 0.0, data.low)

    def key(place: int) -> tuple[float, list[float], str]:
        own = people[data.history[:, place]]
        return float(own.sum()), sorted(own.tolist()), data.lists[place]

    lists = sorted(range(len(data.lists)), key=key)
    factors = []
    for place, name in enumerate(data.factors):
        of = [levels[place] for levels in data.strata]
        known = sorted(set(of))
        if len(known) > 1:
            factors.append((len(known), name, [known.index(level) for level in of]))
    factors.sort()
    return Variables(
        tuple(data.lists[j] for j in lists) + tuple(name for _, name, _ in factors),
        np.array(lists),
        tuple(count for count, _, _ in factors),
        np.array([codes for *_, codes in factors], dtype=int).reshape(-1, len(data.strata)).T,
    )


def order_of(variables: Variables, order: int | None) -> int:
    """The most variables in one term: as asked for, but never all lists of a plain table.

    By default two where there are factors or so many lists that other models could not be
    listed, else one less than there are lists.
    """
    lists = len(variables.lists)
    if variables.levels:
        return 2 if order is None else min(order, len(variables.names))
    if order is None and count_models(lists, None, MOST_LISTED) is None:
        return 2
    return lists - 1 if order is None else min(order, lists - 1)


def lay_out(data: OverlapTable, order: int | None) -> Layout:
    """Terms, columns and cells of a table."""
    variables = variables_of(data)
    most = order_of(variables, order)
    low, high, possible = _cells(data)
    strata, codes = (part.ravel() for part in np.indices(low.shape))
    cells = np.hstack([_bits(codes, variables.lists), variables.strata[strata]])
    possible, low, high = possible.ravel(), low.ravel(), high.ravel()
    masks = _terms(variables, most, cells[possible])
    design, term = _columns(cells, variables, masks)
    missing = possible & (low == 0) & np.isinf(high)
    exact = possible & (low == high)
    ranged = possible & ~missing & ~exact
    # In an order of their own, so that the table's order of strata and lists changes nothing.
    places = np.lexsort(cells.T)
    exact, ranged, missing = (places[mark[places]] for mark in (exact, ranged, missing))
    table = Table(design[exact], low[exact], design[ranged], low[ranged], high[ranged])
    return Layout(
        variables, most, masks, term, table, codes[exact], strata[ranged], design[missing],
        strata[missing],
    )  # fmt: skip


def _cells(data: OverlapTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least and greatest count, and whether a cell is possible; shape (stratum, 2^L)."""
    shape = (len(data.strata), 2 ** len(data.lists))
    low, high, possible = np.zeros(shape), np.zeros(shape), np.ones(shape, dtype=bool)
    counted = ~data.structural
    place = data.stratum[counted], data.code[counted]
    np.add.at(low, place, data.low[counted])
    np.add.at(high, place, data.high[counted])
    possible[data.stratum[~counted], data.code[~counted]] = False
    low[:, 0], high[:, 0] = 0.0, np.inf
    return low, high, possible


def _bits(codes: np.ndarray, lists: np.ndarray) -> np.ndarray:
    return np.asarray(codes[:, None] >> lists & 1)


def _terms(variables: Variables, order: int, possible: np.ndarray) -> np.ndarray:
    """Terms without that of all lists, and without those that impossible cells hide."""
    lists = len(variables.lists)
    masks = terms(len(variables.names), order)
    masks = masks[(masks & variables.all_lists) != variables.all_lists]
    on = possible[:, :lists].astype(np.int64) @ (1 << np.arange(lists))
    kept = []
    for mask in masks.tolist():
        own = hold(on, np.array([mask & variables.all_lists]))[:, 0]
        factors = [j for j in range(len(variables.levels)) if mask >> (lists + j) & 1]
        seen = {tuple(row) for row in possible[own][:, [lists + j for j in factors]].tolist()}
        kept.append(len(seen) == prod(variables.levels[j] for j in factors))
    return np.asarray(masks[np.array(kept)])


def _columns(
    cells: np.ndarray, variables: Variables, masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Design of all cells, (cell, column), and the term of each column."""
    sizes = [2] * len(variables.lists) + list(variables.levels)
    own = [_contrasts(size)[cells[:, j]] for j, size in enumerate(sizes)]
    columns, term = [np.ones((len(cells), 1))], [-1]
    for place, mask in enumerate(masks.tolist()):
        made = columns[0]
        for j in range(len(sizes)):
            if mask >> j & 1:
                made = (made[:, :, None] * own[j][:, None, :]).reshape(len(cells), -1)
        columns.append(made)
        term += [place] * made.shape[1]
    return np.hstack(columns), np.array(term)


def _contrasts(levels: int) -> np.ndarray:
    """Helmert contrasts: each level against those before it, shape (level, level - 1)."""
    made = np.zeros((levels, levels - 1))
    for j in range(levels - 1):
        made[: j + 1, j], made[j + 1, j] = -1.0, j + 1.0
    return np.asarray(made / np.sqrt((made**2).mean(axis=0)))
