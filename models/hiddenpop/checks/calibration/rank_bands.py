"""Whether ranks are uniform: simultaneous bands for their cumulative distribution, and p-values.

Under calibration the rank of the truth among draws of its posterior is uniform. The empirical
distribution function F of n such ranks is looked at in K points z_i = i/K at once: n F(z_i) is
binomial, and how unlikely it is there is

    t_i = 2 min{P(X <= n F(z_i)), P(X >= n F(z_i))},   X ~ Binomial(n, z_i).

The band holds all paths with t_i >= gamma everywhere, gamma such that a share of `level` of
uniform samples lies in it: Säilynoja, Bürkner & Vehtari 2022 (Stat Comput 32:32), section 2 and
their algorithm for finding gamma without simulation. The count at z_i given that at z_(i-1) is
binomial, so that the chance of staying between limits is a product of matrices; no
simulation, and p-values far below what simulation could tell.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import gammaln
from scipy.stats import binom

__all__ = ["LEVEL", "MOST_POINTS", "adjusted_gamma", "ecdf_band", "rank_p_value"]

LEVEL = 0.99
"""Share of calibrated samples that lie inside the band everywhere."""

MOST_POINTS = 100
"""Points at which the distribution function is looked at, at most."""

HALVINGS = 60


def adjusted_gamma(n: int, level: float = LEVEL, points: int | None = None) -> float:
    """The pointwise gamma whose band holds a share of at least `level` of uniform samples.

    Parameters
    ----------
    n
        Ranks.
    points
        K; `min(n, MOST_POINTS)` if None.

    Raises
    ------
    ValueError
        If there are fewer than 2 ranks, or `level` is no probability between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    return _gamma(n, level, _points(n, points))


@lru_cache(maxsize=256)
def _gamma(n: int, level: float, points: int) -> float:
    low, high = -80.0, 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _inside(n, points, float(np.exp(middle)), strict=False) >= level:
            low = middle
        else:
            high = middle
    return float(np.exp(low))


def ecdf_band(n: int, level: float = LEVEL, points: int | None = None) -> pd.DataFrame:
    """The band, one row per point.

    Returns
    -------
    pandas.DataFrame
        Columns `z`, `low` and `high`: between these the empirical distribution function of n
        uniform ranks lies at all z at once with probability `level` at least.
    """
    gamma, places = adjusted_gamma(n, level, points), _points(n, points)
    inside = _tails(n, places) >= gamma
    z = np.arange(1, places) / places
    last = n - np.argmax(inside[:, ::-1], axis=1)
    return pd.DataFrame({"z": z, "low": np.argmax(inside, axis=1) / n, "high": last / n})


def rank_p_value(ranks: ArrayLike, points: int | None = None) -> float:
    """The chance that uniform ranks stray as far, at their worst point.

    Parameters
    ----------
    ranks
        In [0, 1], continuous: ranks among finitely many draws must have been randomised
        within their step (`calibration.draw_rank` does so).

    Returns
    -------
    float
        P(min_i t_i of uniform ranks <= min_i t_i of these), exact up to rounding. At most
        1 - level exactly where the ranks leave the band of that level.

    Raises
    ------
    ValueError
        If there are fewer than 2 ranks, or some are not in [0, 1].
    """
    values = np.asarray(ranks, dtype=float).ravel()
    if not (np.all(values >= 0) and np.all(values <= 1)):
        raise ValueError("ranks must lie in [0, 1]")
    n = len(values)
    places = _points(n, points)
    z = np.arange(1, places) / places
    below = np.searchsorted(np.sort(values), z, side="right")
    worst = float(_tails(n, places)[np.arange(places - 1), below].min())
    return float(np.clip(1 - _inside(n, places, worst, strict=True), 0.0, 1.0))


def _points(n: int, points: int | None) -> int:
    if n < 2:
        raise ValueError(f"a band needs at least 2 ranks, not {n}")
    chosen = min(n, MOST_POINTS) if points is None else points
    if chosen < 2:
        raise ValueError(f"a band needs at least 2 points, not {chosen}")
    return chosen


@lru_cache(maxsize=32)
def _tails(n: int, points: int) -> np.ndarray:
    """T of every count at every point, shape (points - 1, n + 1)."""
    z, counts = np.arange(1, points)[:, None] / points, np.arange(n + 1)
    tails = 2 * np.minimum(binom.cdf(counts, n, z), binom.sf(counts - 1, n, z))
    # The same tail computed from either side differs in its last digits.
    found: np.ndarray = np.minimum(np.round(tails, 15) + 1e-300, 1.0)
    found.setflags(write=False)
    return found


def _inside(n: int, points: int, gamma: float, *, strict: bool) -> float:
    """P(t_i >= gamma at all points), or > gamma, of n uniform ranks."""
    tails = _tails(n, points)
    allowed = tails > gamma if strict else tails >= gamma
    log_factorial = gammaln(np.arange(n + 1) + 1.0)
    counts, mass = np.zeros(1, dtype=int), np.ones(1)
    for step in range(points - 1):
        to = np.flatnonzero(allowed[step])
        if not to.size:
            return 0.0
        p = 1 / (points - step)
        more = to[None, :] - counts[:, None]
        rest = n - to
        possible = more >= 0
        log_step = (
            log_factorial[n - counts][:, None] - log_factorial[np.maximum(more, 0)]
            - log_factorial[rest] + more * np.log(p) + rest * np.log1p(-p)
        )  # fmt: skip
        mass = mass @ np.where(possible, np.exp(np.where(possible, log_step, 0.0)), 0.0)
        counts = to
    return float(mass.sum())
