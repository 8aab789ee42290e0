"""Draws of one posterior as weighted draws of another, and whether that can be relied upon.

Given draws x from a density p and a move T, the draws T(x) with weights q(T x) |T'(x)| / p(x) are
draws from q. Few of them may carry all the weight; the Pareto k of the greatest weights tells
(Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25(72)): above 0.7 the result is not used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from arviz_stats.base import array_stats

__all__ = ["MOST_K", "SMALLEST_SAMPLE", "Weighted", "weigh", "weighted_quantile"]

MOST_K = 0.7
"""Greatest Pareto k of weights that are used."""

SMALLEST_SAMPLE = 400.0
"""Least effective number of weighted draws, as for sampled fits."""

SAME = 1e-6
"""Log weights closer than this are alike: sums of thousands of terms have no more digits."""

FLAT = 1e-3
"""Where the greatest fifth of log weights is closer than this there is no tail to speak of."""

BOUNDED = 10.0
"""Where the greatest weights are tied no tail can be fitted: then none may be above so many times
the mean."""


class Weighted(NamedTuple):
    """Weighted draws.

    Attributes
    ----------
    draws, weights
        Shape (sample,); the weights add up to 1.
    k
        Pareto k of the weights; minus infinity where the greatest are alike.
    effective
        Number of independent draws that they are worth.
    """

    draws: np.ndarray
    weights: np.ndarray
    k: float
    effective: float

    @property
    def reliable(self) -> bool:
        """Whether they may be used."""
        return self.k < MOST_K and self.effective >= SMALLEST_SAMPLE

    @property
    def even(self) -> bool:
        """Whether all weights are alike."""
        return bool(np.ptp(self.weights) * len(self.weights) < SAME)


def weigh(draws: np.ndarray, log_weights: np.ndarray, efficiency: float = 1.0) -> Weighted:
    """Smooth the greatest weights and judge them.

    Parameters
    ----------
    draws, log_weights
        Shape (sample,); the weights up to a constant.
    efficiency
        Effective share of the draws before they are weighted: below 1 for Markov chains.
    """
    size = len(draws)
    if not np.isfinite(log_weights).all():
        return Weighted(draws, np.full(size, np.nan), np.inf, 0.0)
    weights, k = _normalised(log_weights), -np.inf
    if np.ptp(np.sort(log_weights)[-size // 5 :]) > FLAT:
        # It weighs by the inverse of what it is given, as leave-one-out does with likelihoods.
        smooth, found = array_stats.psislw(-log_weights, r_eff=efficiency)
        if np.isfinite(found):
            weights, k = _normalised(smooth), float(found)
        elif weights.max() * size > BOUNDED:
            k = np.inf
    return Weighted(draws, weights, k, float(efficiency / (weights**2).sum()))


def _normalised(log_weights: np.ndarray) -> np.ndarray:
    """Weights that add up to 1."""
    weights = np.exp(log_weights - np.max(log_weights))
    return np.asarray(weights / weights.sum())


def weighted_quantile(found: Weighted, probabilities: np.ndarray) -> np.ndarray:
    """Quantiles of weighted draws, linear between the middles of their weights."""
    order = np.argsort(found.draws, kind="stable")
    weights = found.weights[order]
    middles = np.cumsum(weights) - weights / 2
    return np.asarray(np.interp(probabilities, middles, found.draws[order]))
