"""A random search among hierarchical models that are too many to list.

Shotgun stochastic search (Hans, Dobra & West 2007, JASA 102:507): each walker fits all models
that differ from its own by one term, and moves to one of them with probability proportional to
exp(-BIC/2). Everything ever fitted is kept; models far from the best are forgotten at the end.
"""

from __future__ import annotations

import numpy as np

from hiddenpop.families.averaging.cells import Cells
from hiddenpop.families.maths.hierarchical_ml import Fits, fit_models
from hiddenpop.families.maths.hierarchy import hold, sizes

__all__ = ["search"]

WALKERS = 8

KEPT = 40.0
"""Models whose BIC is this much larger than the best have weights below 1 in 10^8."""


def search(
    cells: Cells, masks: np.ndarray, steps: int, rng: np.random.Generator
) -> tuple[np.ndarray, Fits]:
    """Visit models, and return those near the best.

    Parameters
    ----------
    masks
        Terms, main effects first, shape (term,).
    steps
        Moves of each of eight walkers. The first starts at independence, the others at random.

    Returns
    -------
    tuple
        Models, bool, shape (model, term), in the order of their BIC, and their estimates.
    """
    book = _Book(cells, masks)
    part = hold(masks, masks).T & ~np.eye(len(masks), dtype=bool)
    walkers = _starts(masks, part, rng)
    book.fit(walkers)
    for _ in range(steps):
        around = [_neighbours(row, masks, part) for row in walkers]
        book.fit(np.vstack(around))
        for place, near in enumerate(around):
            bic = book.bic(near)
            if np.isfinite(bic).any():
                share = np.exp(-0.5 * (bic - bic.min()))
                walkers[place] = near[rng.choice(len(near), p=share / share.sum())]
    return book.best()


def _starts(masks: np.ndarray, part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Independence, and random sets of terms without those that lack a part."""
    wanted = rng.random((WALKERS, len(masks))) < np.linspace(0, 0.6, WALKERS)[:, None]
    wanted[:, sizes(masks) == 1] = True
    for term in range(len(masks)):
        wanted[:, term] &= ~(part[:, term] & ~wanted).any(axis=1)
    return wanted


def _neighbours(row: np.ndarray, masks: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Hierarchical models that differ by one term, shape (model, term)."""
    lacks = (part & ~row[:, None]).any(axis=0)
    needed = (part & row).any(axis=1)
    changed = np.flatnonzero((sizes(masks) > 1) & np.where(row, ~needed, ~lacks))
    return np.asarray(np.logical_xor(row, np.eye(len(masks), dtype=bool)[changed]))


class _Book:
    """Everything that was fitted."""

    def __init__(self, cells: Cells, masks: np.ndarray) -> None:
        self._cells, self._masks = cells, masks
        self._place: dict[bytes, int] = {}
        self._rows: list[np.ndarray] = []
        self._fits: list[Fits] = []
        self._bic: list[float] = []

    def fit(self, rows: np.ndarray) -> None:
        """Fit those of the rows that are new."""
        keys = [key.tobytes() for key in np.packbits(rows, axis=1)]
        fresh = [k for k, key in enumerate(keys) if key not in self._place]
        fresh = list({keys[k]: k for k in fresh}.values())
        if not fresh:
            return
        fits = fit_models(self._cells.counts, self._cells.possible, self._masks, rows[fresh])
        bic = fits.parameters * np.log(self._cells.observed) - 2 * fits.log_likelihood
        for k in fresh:
            self._place[keys[k]] = len(self._place)
        self._rows.append(rows[fresh])
        self._fits.append(fits)
        self._bic += np.where(fits.code == 0, bic, np.inf).tolist()

    def bic(self, rows: np.ndarray) -> np.ndarray:
        """BIC of rows that were fitted; inf where there is no estimate."""
        keys = np.packbits(rows, axis=1)
        return np.array([self._bic[self._place[key.tobytes()]] for key in keys])

    def best(self) -> tuple[np.ndarray, Fits]:
        """Models near the best, in order."""
        bic = np.array(self._bic)
        order = np.argsort(bic, kind="stable")
        order = order[bic[order] <= bic.min() + KEPT]
        fits = Fits(*(np.concatenate(values)[order] for values in zip(*self._fits, strict=True)))
        return np.concatenate(self._rows)[order], fits
