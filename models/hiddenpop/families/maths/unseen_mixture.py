"""Mixtures of posteriors of the people on no list, one component a model.

The mixture lives on whole numbers of people: all of them where they are few, else some
thousands that stand for their neighbours, equally far apart on the scale of log(n_0 + 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hiddenpop.families.maths.unseen_curves import Curve

__all__ = ["Component", "Normals", "Tilt", "component", "mixture", "whole_numbers"]

OWN_POINTS = 1_000
POINTS = 8_000
COARSE = 1_000
CUT = 1e-8
"""Probability that may be lost at either end of the mixture's support."""


class Tilt(NamedTuple):
    """A prior on N other than 1/N.

    Attributes
    ----------
    log_ratio
        Of unseen people: log of the prior on N over 1/N.
    most
        The most unseen people that it allows; may be inf.
    """

    log_ratio: Callable[[np.ndarray], np.ndarray]
    most: float


class Component(NamedTuple):
    """One model's posterior of the unseen.

    Attributes
    ----------
    curve
        Its log density, up to a constant.
    log_sum
        Log of the sum of its density over whole numbers, with the prior on N.
    log_plain
        The same under 1/N.
    low, median, high, mean
        People; the ends hold 95 %.
    ends
        Least and greatest log(n_0 + 1) with a probability that counts.
    tail
        Probability beyond the last knot of the curve, roughly.
    """

    curve: Curve
    log_sum: float
    log_plain: float
    low: float
    median: float
    high: float
    mean: float
    ends: tuple[float, float]
    tail: float


class Normals(NamedTuple):
    """Components so light that x = log(n_0 + 1) may be taken as normal, each shape (model,)."""

    weight: np.ndarray
    mean: np.ndarray
    scale: np.ndarray


def whole_numbers(low: float, high: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers from `low` to `high`, and how many numbers each stands for.

    All if there are at most `points`; else about so many, evenly on the scale of log(n + 1).
    """
    first, last = max(np.floor(low), 0.0), np.ceil(high)
    if last - first < points:
        numbers = np.arange(first, last + 1)
        return numbers, np.ones_like(numbers)
    x = np.linspace(np.log1p(first), np.log1p(last), points)
    numbers = np.unique(np.round(np.expm1(x)))
    borders = np.concatenate([[first], np.ceil((numbers[1:] + numbers[:-1]) / 2), [last + 1]])
    return numbers, np.diff(borders)


def component(curve: Curve, tilt: Tilt | None = None) -> Component:
    """Sum a curve over whole numbers and read its quantiles.

    A prior on N may move the posterior to where the table alone has next to nothing, so that
    with one the whole line is looked at.
    """
    x, unseen, log_mass = _masses(curve, curve.x[[0, -1]])
    log_plain = log_sum = _log_sum(log_mass)
    if tilt is not None:
        farthest = min(curve.x[-1] + 7.0, np.log1p(tilt.most))
        x, unseen, log_mass = _masses(curve, np.array([0.0, farthest]), tilt)
        counts = np.flatnonzero(log_mass > log_mass.max() - 40.0)
        first, last = max(counts[0] - 1, 0), min(counts[-1] + 1, len(x) - 1)
        x, unseen, log_mass = _masses(curve, x[[first, last]], tilt)
        log_sum = _log_sum(log_mass)
    share = np.exp(log_mass - log_sum)
    to_here = np.cumsum(share)
    low, median, high = (_quantile(unseen, to_here, q) for q in (0.025, 0.5, 0.975))
    counts = np.flatnonzero(share > 1e-14)
    if tilt is None:
        tail = min(curve.tail / np.exp(log_plain), 1.0)
    else:
        tail = share[-1] if np.isinf(tilt.most) else 0.0
    return Component(
        curve, log_sum, log_plain, low, median, high, float(unseen @ share),
        (float(x[counts[0]]), float(x[counts[-1]])), float(tail),
    )  # fmt: skip


def _masses(
    curve: Curve, ends: np.ndarray, tilt: Tilt | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale x = log(n_0 + 1) and whole numbers n_0 between the ends, with their log masses."""
    unseen, stands = whole_numbers(np.expm1(ends[0]), np.expm1(ends[-1]), OWN_POINTS)
    x = np.log1p(unseen)
    ratio = 0.0 if tilt is None else tilt.log_ratio(unseen)
    return x, unseen, curve.at(x) + np.log(stands) + ratio


def mixture(
    weight: np.ndarray,
    components: Sequence[Component],
    rest: Normals,
    tilt: Tilt | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Add components up.

    Parameters
    ----------
    weight
        Of the components, shape (component,); with those of `rest` they sum to 1.

    Returns
    -------
    tuple
        Whole numbers of unseen people, their probabilities, and the probability beyond them.
    """
    ends = np.array([part.ends for part in components])
    x = np.linspace(ends[:, 0].min(), ends[:, 1].max() + 1e-9, COARSE)
    heap = _add(x, weight, components, rest, tilt) * np.exp(x)
    to_here = np.cumsum(heap) / heap.sum()
    first = max(int(np.searchsorted(to_here, CUT)) - 1, 0)
    last = min(int(np.searchsorted(to_here, 1 - CUT)) + 1, COARSE - 1)
    unseen, stands = whole_numbers(np.expm1(x[first]), np.expm1(x[last]), POINTS)
    mass = _add(np.log1p(unseen), weight, components, rest, tilt) * stands
    unseen, mass = unseen[mass > 0], mass[mass > 0]
    tail = float(weight @ [part.tail for part in components])
    return unseen, mass / mass.sum(), max(tail, float(1 - to_here[last]))


def _add(
    x: np.ndarray,
    weight: np.ndarray,
    components: Sequence[Component],
    rest: Normals,
    tilt: Tilt | None,
) -> np.ndarray:
    """Probability per person at unseen people exp(x) - 1, shape of x."""
    ratio = np.zeros_like(x) if tilt is None else tilt.log_ratio(np.expm1(x))
    total = np.zeros_like(x)
    for share, part in zip(weight, components, strict=True):
        if share > 0:
            first, last = np.searchsorted(x, [part.ends[0] - 1e-9, part.ends[1] + 1e-9])
            inside = slice(first, last)
            total[inside] += share * np.exp(part.curve.at(x[inside]) + ratio[inside] - part.log_sum)
    return np.asarray(total + _normals(x, rest))


def _normals(x: np.ndarray, rest: Normals) -> np.ndarray:
    """The light components, on few points and in between by straight lines."""
    if not len(rest.weight):
        return np.zeros_like(x)
    points = np.linspace(x[0], x[-1], 500)
    total = np.zeros_like(points)
    for some in np.array_split(np.arange(len(rest.weight)), -(-len(rest.weight) // 2000)):
        z = (points - rest.mean[some, None]) / rest.scale[some, None]
        total += (rest.weight[some] / rest.scale[some]) @ np.exp(-0.5 * z**2)
    return np.asarray(np.interp(x, points, total) * np.exp(-x) / np.sqrt(2 * np.pi))


def _log_sum(values: np.ndarray) -> float:
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).sum())) if np.isfinite(top) else -np.inf


def _quantile(unseen: np.ndarray, to_here: np.ndarray, q: float) -> float:
    """Smallest number that reaches q; between numbers that stand for many, by a straight line."""
    place = int(np.searchsorted(to_here, q * (1 - 1e-12)))
    place = min(place, len(unseen) - 1)
    if place == 0 or unseen[place] - unseen[place - 1] == 1:
        return float(unseen[place])
    return float(np.interp(q, to_here[place - 1 : place + 1], unseen[place - 1 : place + 1]))
