"""Means over correlated draws, and how well they are known."""

from __future__ import annotations

import arviz as az
import numpy as np
from scipy.special import logsumexp

__all__ = ["efficiency", "mean_density"]


def efficiency(draws: np.ndarray, chains: int) -> float:
    """Independent draws that correlated ones are worth, as a share of their number."""
    if np.ptp(draws) == 0:
        return 1.0
    return float(min(az.ess(draws.reshape(chains, -1), method="mean") / len(draws), 1.0))


def mean_density(log_density: np.ndarray, chains: int) -> tuple[float, float]:
    """Log of the mean density over draws, and the Monte Carlo standard error of that log."""
    most = float(log_density.max())
    density = np.exp(log_density - most)
    size = efficiency(density, chains) * len(density)
    found = float(logsumexp(log_density) - np.log(len(log_density)))
    return found, float(density.std() / density.mean() / np.sqrt(size))
