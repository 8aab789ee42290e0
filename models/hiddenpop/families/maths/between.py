"""A Poisson number known only to lie between two others: its log probability, slopes, draws."""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc, gammaincc, gammaln

__all__ = ["between_slopes", "draw_between", "log_between"]

TINY = 1e-280
"""Probabilities below this are computed from their leading terms."""

MOST = 700.0
"""Greatest exponent that is taken."""

ROUNDS = 8
"""How often draws are proposed from the unrestricted distribution."""

ROWS = 2_000
"""Draws that are made at a time where it seldom hits the range."""


def log_between(log_mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Log P(low <= K <= high) for K ~ Poisson(mu).

    Parameters
    ----------
    log_mean
        Natural logarithm of mu, shape (..., cell).
    low, high
        Whole numbers, low < high; `high` may be inf. Shape (cell,).
    """
    mean = np.exp(np.minimum(log_mean, MOST))
    under = mean < low
    # Of the two forms of the difference, the one that does not subtract two numbers near 1.
    below = np.where(low > 0, gammaincc(np.maximum(low, 1), mean), 0.0)
    probability = np.where(
        under, gammainc(low, mean) - gammainc(high + 1, mean), gammaincc(high + 1, mean) - below
    )
    found = np.log(np.maximum(probability, TINY))
    far = probability <= TINY
    if far.any():
        # Far off one end: the probability of that end, times a geometric series.
        end = np.where(under, low, high)
        ratio = np.where(under, mean / (low + 1), high / np.maximum(mean, 1.0))
        series = -np.log1p(-np.minimum(ratio, 1 - 1e-9))
        found = np.where(far, _log_poisson(log_mean, mean, end) + series, found)
    return np.asarray(found)


def between_slopes(
    log_mean: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First, and minus the second, derivative of `log_between` by log mu; shape (..., cell).

    With f the Poisson probability, dP/dlog mu = low f(low) - mu f(high), since
    d/dmu P(K <= k) = -f(k). The first derivative is E(K | low <= K <= high) - mu. The second is
    never positive: K lies in the range while mu is between two arrival times of a Poisson
    process, whose logarithms have a log-concave density (Prékopa 1973).
    """
    mean = np.exp(np.minimum(log_mean, MOST))
    whole = log_between(log_mean, low, high)
    lower = low * np.exp(np.minimum(_log_poisson(log_mean, mean, low) - whole, MOST))
    upper = np.exp(np.minimum(log_mean + _log_poisson(log_mean, mean, high) - whole, MOST))
    slope = lower - upper
    top = np.where(np.isfinite(high), high + 1, 0.0)
    return slope, slope**2 - lower * (low - mean) + upper * (top - mean)


def draw_between(
    mean: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws of K ~ Poisson(mean) given low <= K <= high; arrays broadcast."""
    mean, low, high = np.broadcast_arrays(mean, low, high)
    drawn = np.asarray(rng.poisson(mean), dtype=float)
    for _ in range(ROUNDS):
        left = (drawn < low) | (drawn > high)
        if not left.any():
            return drawn
        drawn[left] = rng.poisson(mean[left])
    places = np.argwhere((drawn < low) | (drawn > high))
    for start in range(0, len(places), ROWS):
        place = tuple(places[start : start + ROWS].T)
        drawn[place] = _draw_far(mean[place], low[place], high[place], rng)
    return drawn


def _draw_far(
    mean: np.ndarray, low: np.ndarray, high: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws from the probabilities themselves, over the part of the range that holds them."""
    middle = np.clip(mean, low, high)
    reach = 20 + 12 * np.sqrt(middle)
    first = np.maximum(low, np.floor(middle - reach))
    last = np.minimum(high, np.ceil(middle + reach))
    support = first[:, None] + np.arange(int((last - first).max()) + 1)
    log_mean = np.log(np.maximum(mean, 1e-300))
    log_mass = _log_poisson(log_mean[:, None], mean[:, None], support)
    log_mass[support > last[:, None]] = -np.inf
    mass = np.cumsum(np.exp(log_mass - log_mass.max(axis=1, keepdims=True)), axis=1)
    marks = rng.random((len(mean), 1)) * mass[:, -1:]
    return np.asarray(first + (mass <= marks).sum(axis=1))


def _log_poisson(log_mean: np.ndarray, mean: np.ndarray, k: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(k), k, 0.0)
    return np.where(np.isfinite(k), finite * log_mean - mean - gammaln(finite + 1), -np.inf)
