"""A log-likelihood of N that is dear to compute, as a spline as good as asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

__all__ = ["Curve", "Grid"]

type Function = Callable[[np.ndarray], np.ndarray]

FARTHEST = 1e13
"""Greatest number of people looked at."""

SPACING = 0.4
"""Distance of the first points on the log scale."""

DEEP, GUIDED = 600.0, 60.0
"""So far below its top the curve goes on as a straight line in the logarithm; so far below the top
of its guide it is looked at."""

GUIDED_POINTS = 25
"""First points where there is a guide."""

ROUNDS = 10
MOST = 2000
"""Points at most; a curve with a jump would ask for ever more."""


class Grid(NamedTuple):
    """Where a curve is looked at.

    Attributes
    ----------
    first, limit
        Least and greatest number of people.
    guess, spread
        About where the curve is highest, and its sd there on the log scale.
    tolerance
        Largest error of the logarithm within 5 of the top; farther down it may grow with the cube
        of the distance.
    batch
        Points that are computed at once, at most.
    """

    first: float
    limit: float
    guess: float
    spread: float
    tolerance: float = 1e-7
    batch: int = 500


class Curve:
    """A function of log(N - first + 1), halved between points until that changes nothing.

    Attributes
    ----------
    error
        Largest difference between the spline and the function where it was last halved.
    points
        Number of evaluations.
    """

    def __init__(self, function: Function, grid: Grid, guide: Function | None = None) -> None:
        """Compute the function.

        Parameters
        ----------
        guide
            A function that is cheap and about the same, up to a constant: the spline is of the
            difference, which needs fewer points, and the guide tells where to look.
        """
        self.function, self.grid, self.guide = function, grid, guide
        self.first = max(grid.first, 1.0)
        last = np.log1p(min(grid.limit, FARTHEST) - self.first)
        places = np.arange(0, last + SPACING, SPACING)
        near = np.log1p(max(grid.guess - self.first, 0.0)) + grid.spread * np.linspace(-8, 8, 17)
        places = np.unique(np.clip(np.concatenate([places, near]), 0, last))
        self.x, self.y, self.base = np.empty(0), np.empty(0), np.empty(0)
        self._add(places if guide is None else self._guided(places))
        self._trim()
        self.error = self._refine()
        self.points = len(self.x)

    def __call__(self, N: np.ndarray) -> np.ndarray:
        """The log-likelihood; beyond the points that matter linear in the logarithm."""
        N = np.asarray(N, float)
        at = np.log1p(N - self.first)
        inside = np.clip(at, self.x[0], self.x[-1])
        if self.guide is not None:
            return np.asarray(self.spline(inside) + self.guide(N))
        return np.asarray(self.spline(inside) + self.slope(inside) * (at - inside))

    def _guided(self, places: np.ndarray) -> np.ndarray:
        """Even places where the guide is not too low."""
        if self.guide is None:
            return places
        value = self.guide(np.round(np.expm1(places)) + self.first)
        good = places[np.isfinite(value) & (value > value[np.isfinite(value)].max() - GUIDED)]
        return np.linspace(good[0], good[-1], GUIDED_POINTS)

    def _add(self, places: np.ndarray) -> np.ndarray:
        """Compute at whole numbers of people near `places` that are new; where these lie."""
        new = np.setdiff1d(np.log1p(np.unique(np.round(np.expm1(places)))), self.x)
        N = np.round(np.expm1(new)) + self.first
        pieces = np.array_split(N, max(1, -(-len(N) // self.grid.batch)))
        found = np.concatenate([self.function(piece) for piece in pieces]) if len(N) else N
        guide = np.zeros(len(N)) if self.guide is None or not len(N) else self.guide(N)
        order = np.argsort(np.concatenate([self.x, new]))
        self.x = np.concatenate([self.x, new])[order]
        self.y = np.concatenate([self.y, found])[order]
        self.base = np.concatenate([self.base, guide])[order]
        return new

    def _trim(self) -> None:
        """Keep the points that are not too far below the top, and one on either side."""
        finite = np.isfinite(self.y) & np.isfinite(self.base)
        where = np.flatnonzero(finite & (self.y > self.y[finite].max() - DEEP))
        keep = finite
        keep[: max(where[0] - 1, 0)] = False
        keep[where[-1] + 2 :] = False
        self.x, self.y, self.base = self.x[keep], self.y[keep], self.base[keep]

    def _refine(self) -> float:
        """Halve intervals until the spline foretells what is found there."""
        open_ = np.ones(len(self.x) - 1, dtype=bool)
        worst = 0.0
        for _ in range(ROUNDS):
            self._fit()
            guessed = self.spline
            new = self._add(((self.x[1:] + self.x[:-1]) / 2)[open_])
            if not len(new):
                break
            place = np.searchsorted(self.x, new)
            below = self.y.max() - self.y[place]
            with np.errstate(invalid="ignore"):
                gap = np.abs(guessed(new) - (self.y - self.base)[place])
            wrong = gap > self.grid.tolerance * np.maximum(1, below / 5) ** 3
            worst = float(gap[below < 10].max(initial=0.0))
            self._trim()
            ends = np.isin(self.x, new[wrong & (below < DEEP)])
            open_ = ends[1:] | ends[:-1]
            if not open_.any() or len(self.x) > MOST:
                break
        self._fit()
        return worst

    def _fit(self) -> None:
        x, y = self.x, self.y - self.base
        if len(x) == 1:
            x, y = np.array([x[0], x[0] + 1]), np.repeat(y, 2)
        self.spline = CubicSpline(x, y)
        self.slope = self.spline.derivative()
