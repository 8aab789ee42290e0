"""Whether a log-linear model has a maximum likelihood estimate on a sparse table.

After the extended estimate has taken out empty overlaps (`maths.hierarchical_ml.prepare`), two
things can still be missing (Fienberg & Rinaldo 2012, Annals of Statistics 40:996; Chan,
Silverman & Vincent 2021, JASA 116:129):

- a maximum. Write X for the columns of what is left and n for the counts. An estimate exists if
  and only if some table v > 0 has the same totals, X'v = X'n. By Farkas' lemma that fails if
  and only if there is a direction a with (Xa)_c = 0 where n_c > 0, (Xa)_c <= 0 elsewhere, and
  < 0 somewhere: along it the likelihood rises for ever. That is the linear program solved here;
- identifiability: X must have full column rank.

Codes are those of the function `checkident` of the R package SparseMSE: 0 all is well, 1 no
maximum, 2 not identifiable, 3 both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog

from hiddenpop.families.maths.hierarchy import hold, sizes

if TYPE_CHECKING:  # `hierarchical_ml` uses this module
    from hiddenpop.families.maths.hierarchical_ml import Batch

__all__ = ["existence_code", "identifiable", "rising_direction", "without_maximum"]

TINY = 1e-7
"""A linear program's number smaller than this is 0: its true values are far larger."""


def rising_direction(X: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
    """A direction along which the likelihood rises for ever, or None where there is an estimate.

    Parameters
    ----------
    X
        Columns, shape (cell, column).
    counts
        People, shape (cell,).

    Raises
    ------
    RuntimeError
        If the linear program cannot be solved, which its form excludes.
    """
    empty = counts == 0
    if not empty.any():
        return None
    # Unknowns: a (free), then the falls f = -X a of empty cells, 0 <= f <= 1; the largest sum.
    cells, columns = X.shape
    fall = np.zeros((cells, int(empty.sum())))
    fall[empty, np.arange(fall.shape[1])] = 1.0
    found = linprog(
        np.r_[np.zeros(columns), -np.ones(fall.shape[1])],
        A_eq=np.hstack([X, fall]), b_eq=np.zeros(cells),
        bounds=[(None, None)] * columns + [(0.0, 1.0)] * fall.shape[1], method="highs",
    )  # fmt: skip
    if found.x is None:
        raise RuntimeError(f"the linear program of existence failed: {found.message}")
    if -found.fun < TINY:
        return None
    direction = np.asarray(found.x[:columns])
    return np.where(np.abs(direction) < TINY, 0.0, direction)


def identifiable(batch: Batch) -> np.ndarray:
    """Whether each model's columns are independent on the cells it has left, bool, (model,).

    Cells that no empty overlap took away include the cell of every finite term, so that the
    columns without the intercept are triangular there; the only combination of them that is 1
    on all those cells has coefficients -(-1)^|term|. The intercept adds a direction if and only
    if that combination differs from 1 on another cell. Where impossible cells break this
    argument, the rank is computed.
    """
    width = batch.counts.shape[1]
    column = hold(np.arange(width), batch.masks).astype(float)
    if batch.possible[1:].all():
        sign = np.where(sizes(batch.masks) % 2 == 0, 1.0, -1.0)
        # 1 minus the combination: the sum of signs over the terms, intercept too, in a cell.
        rest = batch.terms.astype(float) @ (column * sign).T
        return np.asarray(((np.abs(rest) > 0.5) & batch.cells).any(axis=1))
    found = np.empty(len(batch.model), dtype=bool)
    for first in range(0, len(found), 512):
        some = slice(first, first + 512)
        X = batch.cells[some, :, None] * column * batch.terms[some, None, :]
        found[some] = np.linalg.matrix_rank(X) == batch.terms[some].sum(1)
    return found


def without_maximum(batch: Batch, suspects: np.ndarray) -> np.ndarray:
    """Those of the suspect models, by row, whose likelihood has no maximum.

    A rising direction of one model is one of every model that has its terms and no cell on
    which it rises or, where people were seen, falls; so one linear program settles many models.
    """
    width = batch.counts.shape[1]
    column = hold(np.arange(width), batch.masks).astype(float)
    counts = np.broadcast_to(batch.counts, (len(batch.model), width))
    order = suspects[np.argsort(batch.terms[suspects].sum(1), kind="stable")]
    lost = np.zeros(len(batch.model), dtype=bool)
    waiting = np.ones(len(batch.model), dtype=bool)
    for row in order:
        if not waiting[row]:
            continue
        terms, cells = np.flatnonzero(batch.terms[row]), batch.cells[row]
        own = rising_direction(column[np.ix_(cells, terms)], counts[row, cells])
        waiting[row] = False
        if own is None:
            continue
        direction = np.zeros(len(batch.masks))
        direction[terms] = own
        change = column @ direction
        rest = order[waiting[order]]
        has = ~(~batch.terms[rest][:, direction != 0]).any(axis=1)
        wrong = (change > TINY) | ((change < -TINY) & (counts[rest] > 0))
        falls = (change < -TINY) & batch.cells[rest]
        same = rest[has & ~(wrong & batch.cells[rest]).any(axis=1) & falls.any(axis=1)]
        lost[row] = lost[same] = True
        waiting[same] = False
    return np.flatnonzero(lost)


def existence_code(batch: Batch) -> np.ndarray:
    """Code 0 to 3 of every model, each decided by its own linear program, shape (model,)."""
    column = hold(np.arange(batch.counts.shape[1]), batch.masks).astype(float)
    counts = np.broadcast_to(batch.counts, (len(batch.model), batch.counts.shape[1]))
    lost = np.zeros(len(batch.model), dtype=int)
    for row, (terms, cells) in enumerate(zip(batch.terms, batch.cells, strict=True)):
        X = column[np.ix_(cells, terms)]
        lost[row] = rising_direction(X, counts[row, cells]) is not None
    return np.asarray(lost + 2 * ~identifiable(batch))
