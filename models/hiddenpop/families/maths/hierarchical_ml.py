"""Maximum likelihood for many hierarchical log-linear models of one table (or several) at once.

Cells are histories read as numbers (list j adds 2^j), terms are masks in the same bits, so that
a term's column is 1 where the history holds the mask. Two facts make thousands of models cheap:

- the product of the columns of two terms is the column of their union, so that every entry of
  X' diag(mu) X is one of the 2^L sums of mu over the histories that hold a mask;
- models of equal size are solved together.

Extended estimate (Fienberg & Rinaldo 2012, Annals of Statistics 40:996; Chan, Silverman &
Vincent 2021, JASA 116:129): where nobody was on all lists of a term, its coefficient is minus
infinity and all cells that hold it have mean 0. The term and those cells are taken out, the rest
is fitted, and the term still counts as a parameter.

Logarithms are natural; likelihoods are Poisson with the factorials of the counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, xlogy

from hiddenpop.families.maths import existence
from hiddenpop.families.maths.hierarchy import hold

__all__ = ["Batch", "Fits", "Group", "batches", "fit_models", "prepare"]

MOST_STEPS = 60
CLOSE = 1e-9
"""A Newton step that promises a smaller gain of the log likelihood is the last."""

STILL = 0.05
"""At the last step no log mean of a cell moves more than this, unless it drifts to 0 for ever."""

ROOM = 1_500_000
"""Entries of information matrices that are held at a time."""


class Batch(NamedTuple):
    """Models with what the data leave of them.

    Attributes
    ----------
    counts
        People by cell, 0 at cell 0, shape (model or 1, cell).
    masks
        Terms, the intercept 0 first, shape (term,).
    model
        Terms that each model has, the intercept too, bool, shape (model, term).
    terms
        Of those, the ones with a finite coefficient.
    cells
        Cells that each model can fill, bool, shape (model, cell); never cell 0.
    possible
        Cells that were possible at all, bool, shape (cell,); never cell 0.
    """

    counts: np.ndarray
    masks: np.ndarray
    model: np.ndarray
    terms: np.ndarray
    cells: np.ndarray
    possible: np.ndarray


class Fits(NamedTuple):
    """Estimates of many models; where `code` is not 0 the numbers mean nothing.

    Attributes
    ----------
    log_unseen
        Intercept u: log of the mean number of people on no list, shape (model,).
    variance
        Of u, from the inverse information, shape (model,).
    coefficients
        Corner coding, -inf where an overlap is empty, 0 where the model has not the term,
        shape (model, term), the intercept first.
    expected
        Means of cells, shape (model, cell); cell 0 is exp(u).
    log_likelihood
        Poisson, with factorials, shape (model,).
    parameters
        Terms of the model, those at minus infinity too, shape (model,).
    code
        0: there is an estimate; 1: the likelihood has no maximum; 2: the model cannot be
        identified from the cells that are left.
    """

    log_unseen: np.ndarray
    variance: np.ndarray
    coefficients: np.ndarray
    expected: np.ndarray
    log_likelihood: np.ndarray
    parameters: np.ndarray
    code: np.ndarray


def prepare(
    counts: np.ndarray, possible: np.ndarray, masks: np.ndarray, model: np.ndarray
) -> Batch:
    """Take out the terms and cells that the extended estimate sets to minus infinity and 0.

    Parameters
    ----------
    counts
        People by cell, shape (cell,) or (model, cell).
    possible
        False for cell 0 and impossible cells, shape (cell,).
    masks
        Terms without the intercept, shape (term,).
    model
        Terms of each model, bool, shape (model, term).
    """
    masks = np.concatenate([[0], np.asarray(masks)])
    model = np.hstack([np.ones((len(model), 1), dtype=bool), model])
    counts = np.atleast_2d(np.where(possible, counts, 0.0))
    column = hold(np.arange(counts.shape[1]), masks).astype(float)
    empty = model & (counts @ column == 0)
    empty[:, 0] = False
    gone = empty.astype(np.float32) @ column.T.astype(np.float32) > 0
    return Batch(counts, masks, model, model & ~empty, possible & ~gone, possible)


def fit_models(
    counts: np.ndarray, possible: np.ndarray, masks: np.ndarray, model: np.ndarray
) -> Fits:
    """Fit every model; parameters as `prepare`, which see.

    Returns
    -------
    Fits
        In the order of the rows of `model`. Rows of one table may share `counts`.
    """
    batch = prepare(counts, possible, masks, model)
    rows, cells = len(batch.model), batch.counts.shape[1]
    beta = np.zeros(batch.model.shape)
    variance = np.full(rows, np.nan)
    code = np.where(existence.identifiable(batch), 0, 2)
    undecided = np.zeros(rows, dtype=bool)
    for chosen in batches(batch, np.flatnonzero(code == 0)):
        group = Group(batch, chosen)
        found, still = group.climb(group.first())
        np.put_along_axis(part := np.zeros((len(chosen), beta.shape[1])), group.place, found, 1)
        beta[chosen], undecided[chosen] = part, ~still
        variance[chosen] = group.intercept_variance(found)
    code[existence.without_maximum(batch, np.flatnonzero(undecided))] = 1
    column = hold(np.arange(cells), batch.masks).astype(float)
    expected = np.where(batch.cells, np.exp(np.minimum(beta @ column.T, 700.0)), 0.0)
    log_likelihood = (xlogy(batch.counts, expected) - expected - gammaln(batch.counts + 1)).sum(1)
    expected[:, 0] = np.exp(np.minimum(beta[:, 0], 700.0))
    beta[batch.model & ~batch.terms] = -np.inf
    beta[code > 0], variance[code > 0] = np.nan, np.nan
    return Fits(beta[:, 0], variance, beta, expected, log_likelihood, batch.model.sum(1), code)


def batches(batch: Batch, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """Rows with equally many finite coefficients, few enough at a time."""
    size = batch.terms[chosen].sum(1)
    for terms in np.unique(size):
        same = chosen[size == terms]
        yield from np.array_split(same, -(-len(same) * int(terms) ** 2 // ROOM))


class Group:
    """Models with equally many finite coefficients, and their likelihood.

    Attributes
    ----------
    place
        Places of the terms of each model in the batch, shape (model, own term).
    """

    def __init__(self, batch: Batch, rows: np.ndarray, *, unseen: bool = False) -> None:
        """With `unseen` the people on no list are a cell like the others."""
        self.size = int(batch.terms[rows[0]].sum())
        self.place = np.nonzero(batch.terms[rows])[1].reshape(len(rows), self.size)
        self.mask = batch.masks[self.place]
        self.union = self.mask[:, :, None] | self.mask[:, None, :]
        self.counts = batch.counts if len(batch.counts) == 1 else batch.counts[rows]
        self.cells = batch.cells[rows]
        if unseen:
            self.cells[:, 0] = True
        self.width = batch.counts.shape[1]
        every = np.arange(self.width)
        self.holds = hold(every, every).astype(float)
        self.column = hold(every, batch.masks).astype(float)
        self.total = self._own(self.counts @ self.holds)

    def _own(self, sums: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Of sums by mask, shape (model or 1, 2^L), those of each model's own terms."""
        mask = self.mask[rows]
        sums = np.broadcast_to(sums, (len(mask), self.width))
        return np.take_along_axis(sums, mask, axis=1)

    def information(self, sums: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """X' diag(mu) X, shape (model, own term, own term), from sums of mu by mask."""
        union = self.union[rows]
        start = np.arange(len(union))[:, None, None] * self.width
        return np.asarray(np.ascontiguousarray(sums).ravel()[start + union])

    def expected(self, beta: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Means of the cells that a model can fill, shape (model, cell)."""
        return np.where(self.cells[rows], np.exp(np.minimum(self.log_mean(beta, rows), 700.0)), 0.0)

    def log_mean(self, beta: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Linear predictor of every cell, shape (model, cell)."""
        full = np.zeros((len(beta), self.column.shape[1]))
        np.put_along_axis(full, self.place[rows], beta, axis=1)
        return np.asarray(full @ self.column.T)

    def first(self) -> np.ndarray:
        """One weighted least-squares step from the counts themselves, zeros raised a little."""
        mean = np.where(self.cells, self.counts + 0.1, 0.0)
        target = self._own(xlogy(mean, mean) @ self.holds)
        return _solve(self.information(mean @ self.holds), target)

    def climb(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Newton's method from `beta`, shape (model, own term).

        Returns
        -------
        tuple
            Coefficients, and whether the fit came to rest, bool, shape (model,): where it did
            not, means of some cells drift to 0 and there may be no estimate.
        """
        beta, still = beta.copy(), np.zeros(len(beta), dtype=bool)
        value = np.full(len(beta), -np.inf)
        step = np.zeros_like(beta)
        rows = np.arange(len(beta))
        for _ in range(MOST_STEPS):
            mean = self.expected(beta[rows], rows)
            now = (self.total[rows] * beta[rows]).sum(1) - mean.sum(1)
            worse = now < value[rows] - 1e-9 * (1 + np.abs(value[rows]))
            if worse.any():
                step[rows[worse]] /= 2
                beta[rows[worse]] -= step[rows[worse]]
                good = rows[~worse]
                mean, now = mean[~worse], now[~worse]
            else:
                good = rows
            sums = mean @ self.holds
            gradient = self.total[good] - self._own(sums, good)
            step[good] = _solve(self.information(sums, good), gradient)
            beta[good] += step[good]
            value[good] = now
            close = (gradient * step[good]).sum(1) < CLOSE
            moved = np.abs(np.where(self.cells[good], self.log_mean(step[good], good), 0.0)).max(1)
            still[good] = close & (moved < STILL)
            done = np.zeros(len(beta), dtype=bool)
            done[good] = close & ((moved < STILL) | (moved > 10 * STILL))
            rows = rows[~done[rows]]
            if not len(rows):
                break
        return beta, still

    def intercept_variance(self, beta: np.ndarray) -> np.ndarray:
        """Of the intercept, the first diagonal element of the inverse information."""
        unit = np.zeros((len(beta), self.size))
        unit[:, 0] = 1.0
        return _solve(self.information(self.expected(beta) @ self.holds), unit)[:, 0]


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve many symmetric systems; a matrix that is singular to rounding is raised a little."""
    try:
        return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
    except np.linalg.LinAlgError:
        diagonal = np.einsum("mii->mi", matrix := matrix.copy())
        diagonal += 1e-12 * diagonal.max(1, keepdims=True) + 1e-300
        return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
