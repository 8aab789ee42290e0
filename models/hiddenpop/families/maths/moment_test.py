"""Every N that a test of the stated ranges of odds ratios does not reject.

A range [low, high] for the odds ratio of a pair is two inequalities in the pair's sums a = m_11,
b = m_10, c = m_01 (`partial_id`), for a population of size M:

    a (M - a - b - c) - high b c <= 0   and   low b c - a (M - a - b - c) <= 0.

Both have unbiased estimators, and these unbiased estimators of their variances, because
E[N (N-1) ... (N-k+1)] = m^k for Poisson counts. Which inequalities can bind is decided first, at
a tenth of the level (two-step test of Romano, Shaikh & Wolf 2014, Econometrica 82:1979, as Sun,
Van Baelen, Plettinckx & Crawford, arXiv 2008.00127, use it); the rest of the level is for the
greatest studentised violation. Critical values are from a parametric bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hiddenpop.families.maths.partial_id import Pairs, identified

__all__ = ["accepted_interval"]

BOOTSTRAPS = 4000
GRID = 300
FIRST_STEP = 0.1
"""Share of the level that the choice of binding inequalities may spend."""


def _moments(
    sums: np.ndarray, odds: np.ndarray, size: float, sign: float
) -> tuple[np.ndarray, np.ndarray]:
    """Unbiased estimates of the left sides and their standard errors, shape (..., pair).

    Parameters
    ----------
    sums
        Counts of 11, 10 and 01, shape (3, ..., pair).
    odds
        End of the range, shape (pair,).
    """
    a, b, c = sums
    a2, b2, c2 = (x * (x - 1) for x in sums)
    value = size * a - a2 - a * b - a * c - odds * b * c
    a3, a4 = a2 * (a - 2), a2 * (a - 2) * (a - 3)
    # The square of the expectation, each power as a falling factorial.
    square = (
        size**2 * a2 + a4 + a2 * b2 + a2 * c2
        - 2 * size * (a3 + a2 * b + a2 * c) + 2 * (a3 * b + a3 * c + a2 * b * c)
        - 2 * odds * (size * a * b * c - a2 * b * c - a * b2 * c - a * b * c2) + odds**2 * b2 * c2
    )  # fmt: skip
    return sign * value, np.sqrt(np.maximum(value**2 - square, 1.0))


def _violations(sums: np.ndarray, pairs: Pairs, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors of all inequalities that are stated, last axis."""
    upper, lower = np.isfinite(pairs.high), pairs.low > 0
    above = _moments(sums[..., upper], pairs.high[upper], size, 1.0)
    below = _moments(sums[..., lower], pairs.low[lower], size, -1.0)
    return (
        np.concatenate([above[0], below[0]], axis=-1),
        np.concatenate([above[1], below[1]], axis=-1),
    )


def _test(
    counts: np.ndarray, pairs: Pairs, level: float, rng: np.random.Generator
) -> Callable[[float], bool]:
    """Whether a size is accepted; the same bootstrap tables serve every size."""
    weights = pairs.sums[:, :3].transpose(1, 0, 2).astype(float)
    seen = np.where(np.arange(len(counts)) > 0, counts, 0.0)
    own = weights @ seen
    tables = rng.poisson(seen, size=(2, BOOTSTRAPS, len(seen))).astype(float)
    first, second = (np.einsum("spc,bc->sbp", weights, one) for one in tables)
    alpha = 1 - level
    beta = FIRST_STEP * alpha

    def accepted(size: float) -> bool:
        value, error = _violations(own, pairs, size)
        drawn, errors = _violations(first, pairs, size)
        reach = np.quantile(((value - drawn) / errors).max(axis=1), 1 - beta, method="higher")
        highest = reach * error + value
        if np.all(highest <= 0):
            return True
        drawn, errors = _violations(second, pairs, size)
        shifted = (drawn - value + np.minimum(highest, 0)) / errors
        critical = np.quantile(shifted.max(axis=1), 1 - alpha + beta, method="higher")
        return bool((value / error).max() <= critical)

    return accepted


def accepted_interval(
    counts: np.ndarray, pairs: Pairs, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Least and greatest M that the test accepts.

    Raises
    ------
    ArithmeticError
        If it accepts none: the ranges contradict the table.
    """
    accepted = _test(counts, pairs, level, rng)
    ends = [end for end in identified(counts, pairs) if np.isfinite(end)]
    low, high = min(ends) / 4, max(ends) * 4
    while accepted(high) and high < 1e9:
        high *= 4
    sizes = np.geomspace(low, high, GRID)
    inside = np.flatnonzero([accepted(size) for size in sizes])
    if not len(inside):
        raise ArithmeticError("no size is compatible with the ranges of odds ratios")
    first, last = int(inside[0]), int(inside[-1])
    return (
        _edge(accepted, sizes[max(first - 1, 0)], sizes[first]),
        _edge(accepted, sizes[min(last + 1, GRID - 1)], sizes[last]),
    )


def _edge(accepted: Callable[[float], bool], outside: float, inside: float) -> float:
    """Bisect to a quarter of a person."""
    while abs(outside - inside) > 0.25:
        middle = (outside + inside) / 2
        if accepted(middle):
            inside = middle
        else:
            outside = middle
    return inside
