"""Poisson counts of which only the least and the greatest possible value are known."""

from __future__ import annotations

import numpy as np
from scipy import stats

__all__ = ["draw_between"]


def draw_between(
    low: np.ndarray, high: np.ndarray, mean: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw Poisson counts with these means, given that they lie in [low, high].

    Inverse distribution function, from the upper tail where the bracket lies above the mean,
    so that no digits are lost. `high` may be inf. Arrays broadcast.
    """
    low, high, mean = np.broadcast_arrays(low, high, mean)
    u = rng.random(mean.shape)
    above, beyond = stats.poisson.sf(low - 1, mean), stats.poisson.sf(high, mean)
    below, reached = stats.poisson.cdf(low - 1, mean), stats.poisson.cdf(high, mean)
    drawn = np.where(
        low > mean,
        stats.poisson.isf(beyond + u * (above - beyond), mean),
        stats.poisson.ppf(below + u * (reached - below), mean),
    )
    # Where the bracket has no mass that a number can hold, all of it is at the nearest end.
    lost = np.where(low > mean, above <= beyond, reached <= below)
    drawn = np.where(lost, np.where(low > mean, low, high), drawn)
    return np.asarray(np.clip(drawn, low, high))
