"""Sums over all numbers of unseen people, from a mass that is evaluated at few of them.

Posteriors of the unseen are smooth, but reach from 0 to many times what was seen, with tails that
fall as powers. Knots are placed where a posterior could bend; between them the mass is a cubic
spline, whose sum over every whole number is a closed form. With knots a sixteenth of a standard
deviation apart cumulative probabilities are right to about 1e-8: h^4 / 720 times the third
derivative of the mass, in standard deviations, is what integrating a cubic spline leaves out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

__all__ = [
    "CUT",
    "SLOW",
    "Bracket",
    "IntegerSums",
    "Width",
    "bracket",
    "fine_knots",
    "posterior_width",
    "support",
]

SLOW = 2.1
"""A mass that falls more slowly than people to minus this has hardly a mean; at 2 it has none."""

TAIL = 1e-7
"""Posterior beyond the last knot that ends the search for more; a tenth of what is allowed."""

FARTHEST = 1e12
"""No search goes beyond this number of people; what lies there is reported as tail."""

CUT = 1e-12
"""Posterior on either side that is not looked at again once it was found."""

COARSE, FINE, OUTER = 1.0, 1 / 16, 1 / 4
"""Distances of knots, in standard deviations: to find the bulk, inside it, in its tails."""

DENSE = 64
"""Below so many unseen every number is a knot."""

BULK = 1e-5
"""Posterior on either side in which knots may be `OUTER` apart."""

MOST_SUPPORT = 2**16
"""Numbers of people that a distribution lists one by one; beyond, neighbours are put together."""

LEVELS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995)
"""Quantiles that stay right to one person even then: those of the usual intervals."""

type Width = Callable[[np.ndarray], np.ndarray]


def posterior_width(
    observed: float, information: float, log_prior: Callable[[np.ndarray], np.ndarray]
) -> Width:
    """Least standard deviation that a posterior of the unseen could have around a number.

    Given the cell probabilities the unseen are negative binomial with variance
    n_0 + n_0^2 / n, and not knowing the probabilities widens it; `information` stands for n
    where more than the count of people keeps the posterior wide. The prior narrows it by its own
    curvature.
    """

    def width(unseen: np.ndarray) -> np.ndarray:
        people = np.maximum(unseen + observed, 1.0)
        step = np.minimum(np.maximum(1e-3 * people, 0.5), people / 2)
        with np.errstate(invalid="ignore"):
            bend = 2 * log_prior(people) - log_prior(people - step) - log_prior(people + step)
        # Where a prior ends it has no curvature, but the grid ends too.
        bend = np.where(np.isfinite(bend), np.maximum(bend, 0.0) / step**2, 0.0)
        return np.asarray(1 / np.sqrt(1 / (1 + unseen + unseen**2 / information) + bend))

    return width


def _spaced(first: float, last: float, width: Width, distance: float) -> np.ndarray:
    """Whole numbers from `first` to `last`, about `distance` widths apart, and both ends."""
    if last <= first:
        return np.array([float(first)])
    points = np.unique(np.concatenate(
        [first - 1 + np.geomspace(1, last - first + 1, 1000), np.linspace(first, last, 1000)]
    ))  # fmt: skip
    density = 1 / np.maximum(np.where(points < DENSE, 1.0, distance * width(points)), 1.0)
    passed = np.concatenate([[0.0], np.cumsum(np.diff(points) * (density[1:] + density[:-1]) / 2)])
    knots = np.interp(np.linspace(0, passed[-1], int(np.ceil(passed[-1])) + 1), passed, points)
    return np.unique(np.round(knots))


class Bracket(NamedTuple):
    """Where a posterior of the unseen lies.

    Attributes
    ----------
    knots
        Whole numbers, the first 0, about a standard deviation apart, shape (knot,).
    share
        Posterior that each knot stands for, shape (knot,), sum 1.
    tail
        Posterior beyond the last knot, which is not in `share`.
    power
        Beyond the last knot the mass falls as people to minus this power; inf where it ends.
    """

    knots: np.ndarray
    share: np.ndarray
    tail: float
    power: float

    def ends(self, cut: float) -> tuple[float, float]:
        """Knots that have at most `cut` of the posterior outside, on either side."""
        last = len(self.knots) - 1
        low = int(np.searchsorted(np.cumsum(self.share), cut, side="right")) - 1
        high = last + 1 - int(np.searchsorted(np.cumsum(self.share[::-1]), cut, side="right"))
        return float(self.knots[max(low, 0)]), float(self.knots[min(high, last)])


def bracket(
    log_mass: Callable[[np.ndarray], np.ndarray],
    width: Width,
    start: float,
    limit: float = np.inf,
    first: float = 0.0,
) -> Bracket:
    """Look ever farther, by factors of ten, until all but 1e-7 of the posterior is found.

    Parameters
    ----------
    log_mass
        Log of the mass at numbers of unseen people, up to a constant.
    start
        How far to look first.
    limit
        Greatest number of unseen that is possible.
    """
    knots = _spaced(first, min(start, limit), width, COARSE)
    values = log_mass(knots)
    while True:
        gaps = np.diff(knots, prepend=knots[0] - 1, append=knots[-1] + 1)
        log_share = values + np.log((gaps[1:] + gaps[:-1]) / 2)
        total = logsumexp(log_share)
        power = np.inf if knots[-1] >= limit else _fall(knots, values)
        end = float(np.exp(values[-1] - total) * knots[-1])
        tail = min(end / (power - 1), 1.0) if power > 1 else 1.0
        if tail < TAIL or knots[-1] >= FARTHEST:
            return Bracket(knots, np.exp(log_share - total), tail, power)
        more = _spaced(knots[-1] + 1, min(10 * knots[-1], limit), width, COARSE)
        knots, values = np.concatenate([knots, more]), np.concatenate([values, log_mass(more)])


def _fall(knots: np.ndarray, values: np.ndarray) -> float:
    """Power by which a log mass falls at the last knot, from the last third of them."""
    back = min(int(np.searchsorted(knots, 0.7 * knots[-1])), len(knots) - 2)
    if back < 0 or knots[back] <= 0:
        return 0.0
    return float(-(values[-1] - values[back]) / np.log(knots[-1] / knots[back]))


def fine_knots(found: Bracket, width: Width) -> np.ndarray:
    """Knots close enough for quantiles that are right to one person, where the posterior lies."""
    low, high = found.ends(CUT)
    left, right = found.ends(BULK)
    parts = [
        _spaced(low, left, width, OUTER), _spaced(left, right, width, FINE),
        _spaced(right, high, width, OUTER),
    ]  # fmt: skip
    return np.unique(np.concatenate(parts))


class IntegerSums:
    """Masses between knots as cubic splines, and their sums over all whole numbers.

    Attributes
    ----------
    knots
        Increasing whole numbers, shape (knot,).
    total
        Sum over every whole number from the first knot to the last, shape (row,).
    """

    def __init__(self, knots: np.ndarray, mass: np.ndarray) -> None:
        """Take the `mass` at the knots, shape (row, knot)."""
        self.knots, self._last = knots, mass[:, -1]
        # (degree, interval, row), the highest degree first, as scipy has it.
        several = len(knots) > 1
        self._spline = (
            CubicSpline(knots, mass, axis=1).c if several else np.zeros((4, 0, len(mass)))
        )
        self._inside = np.einsum("ki,kir->ri", _powers(np.diff(knots))[1:], self._spline)
        self._before = np.zeros((len(mass), len(knots)))
        np.cumsum(self._inside, axis=1, out=self._before[:, 1:])
        self.total = self._before[:, -1] + self._last

    def below(self, people: np.ndarray) -> np.ndarray:
        """Sum over all numbers from the first knot that are less than `people`, (row, people)."""
        people = np.maximum(np.asarray(people, dtype=float), self.knots[0])
        place = np.searchsorted(self.knots, people, side="right") - 1
        found = self._before[:, place]
        inner = place < len(self.knots) - 1
        sums = _powers(people[inner] - self.knots[place[inner]])[1:]
        found[:, inner] += np.einsum("ki,kir->ri", sums, self._spline[:, place[inner]])
        found[:, people > self.knots[-1]] = self.total[:, None]
        return np.asarray(found)

    def quantile(self, q: float | np.ndarray) -> np.ndarray:
        """Smallest numbers at which each row's share reaches `q`, shape (row, q), or (row,)."""
        levels = np.atleast_1d(q)
        goals = self.total[:, None] * levels * (1 - 1e-12)
        rows = np.repeat(np.arange(len(goals)), len(levels))
        pairs = zip(self._before, goals, strict=True)
        place = np.concatenate([np.searchsorted(sums, goal) - 1 for sums, goal in pairs])
        # One before the first knot means that the first number has it all.
        place, goal = np.maximum(place, 0), goals.ravel()
        end = np.minimum(place + 1, len(self.knots) - 1)
        before, least = self._before[rows, place], self.knots[place]
        low, high = least, self.knots[end]
        while np.any(low < high):
            middle = np.floor((low + high) / 2)
            open_ = np.flatnonzero(low < high)
            sums = _powers(middle[open_] + 1 - least[open_])[1:]
            inside = np.sum(sums * self._spline[:, place[open_], rows[open_]], axis=0)
            reached = np.zeros(len(low), dtype=bool)
            reached[open_] = before[open_] + inside >= goal[open_]
            low, high = (
                np.where(reached | (low >= high), low, middle + 1),
                np.where(reached, middle, high),
            )
        shape = goals.shape if np.ndim(q) else (len(goals),)
        return np.asarray(low.reshape(shape))

    def mean(self) -> np.ndarray:
        """Mean of each row, shape (row,)."""
        within = np.einsum("ki,kir->r", _powers(np.diff(self.knots))[:-1], self._spline)
        starts = self._inside @ self.knots[:-1] + self._last * self.knots[-1]
        return np.asarray((within + starts) / self.total)


def _powers(count: np.ndarray) -> np.ndarray:
    """Sums of k^4, k^3, k^2, k and 1 for k from 0 to `count` - 1, shape (5, count)."""
    t = np.asarray(count, dtype=float)
    first = t * (t - 1) / 2
    second = first * (2 * t - 1) / 3
    return np.array([second * (3 * t * (t - 1) - 1) / 5, first**2, second, first, t])


def support(sums: IntegerSums) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of people and their masses, for a single row.

    Between the quantiles 1e-4 and 1 - 1e-4 one by one, as long as these are at most 65,536
    numbers; otherwise, and beyond, neighbours are put together and stand at their middle, but for
    the numbers where quantiles of common use lie.
    """
    knots = sums.knots
    left, *alone, right = sums.quantile(np.array([1e-4, *LEVELS, 1 - 1e-4]))[0]
    step = np.ceil((right + 1 - left) / MOST_SUPPORT)
    edges = np.concatenate([
        knots[knots < left], np.arange(left, right + 1, step), [right + 1],
        knots[knots > right], [knots[-1] + 1],
    ])  # fmt: skip
    if step > 1:
        edges = np.concatenate([edges, alone, np.add(alone, 1)])
    edges = np.unique(edges)
    mass = np.maximum(np.diff(sums.below(edges)[0]), 0.0)
    return np.floor((edges[:-1] + edges[1:] - 1) / 2), mass
