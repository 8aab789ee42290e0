"""Priors from what people can state: a central interval, or survey data.

Every function returns the parameters of a named distribution; nothing here samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

__all__ = [
    "BetaPrior",
    "LogNormalPrior",
    "beta_from_interval",
    "beta_from_survey",
    "logit_normal_from_interval",
    "lognormal_from_interval",
    "z_score",
]


class BetaPrior(NamedTuple):
    """Beta(alpha, beta) on the natural scale."""

    alpha: float
    beta: float


class LogNormalPrior(NamedTuple):
    """Log-normal; `mu` and `sigma` are mean and sd of the logarithm."""

    mu: float
    sigma: float


def z_score(level: float) -> float:
    """Half-width of a central `level` interval of a standard normal, in sds."""
    return float(stats.norm.ppf(0.5 + level / 2))


def lognormal_from_interval(low: float, high: float, level: float) -> LogNormalPrior:
    """Log-normal whose central `level` interval is (low, high), both > 0."""
    mu = (np.log(low) + np.log(high)) / 2
    sigma = (np.log(high) - np.log(low)) / (2 * z_score(level))
    return LogNormalPrior(float(mu), float(sigma))


def logit_normal_from_interval(low: float, high: float, level: float) -> LogNormalPrior:
    """Mean and sd of the logit of a share whose central `level` interval is (low, high)."""
    ends = special.logit([low, high])
    return LogNormalPrior(float(ends.mean()), float(np.diff(ends)[0] / (2 * z_score(level))))


def beta_from_interval(low: float, high: float, level: float) -> BetaPrior:
    """Beta whose central `level` interval is (low, high), 0 < low < high < 1.

    Both quantiles are met exactly, by root-finding on log(alpha), log(beta).

    Raises
    ------
    ValueError
        If no Beta has these two quantiles to a relative accuracy of 1e-6.
    """
    tail = (1 - level) / 2
    # Moment start: the interval read as a normal one.
    mean = (low + high) / 2
    sd = (high - low) / (2 * z_score(level))
    size = max(mean * (1 - mean) / sd**2 - 1, 0.5)
    start = np.log([mean * size, (1 - mean) * size])

    def gap(log_shape: np.ndarray) -> np.ndarray:
        alpha, beta = np.exp(log_shape)
        # Quantiles compared on the logit scale: equally sensitive in both tails.
        reached = stats.beta.ppf([tail, 1 - tail], alpha, beta)
        return np.asarray(special.logit(reached) - special.logit([low, high]))

    found = optimize.root(gap, start, method="hybr", options={"xtol": 1e-12})
    if not np.allclose(gap(found.x), 0, atol=1e-6):
        raise ValueError(f"no Beta distribution has {level:.0%} of its mass in ({low}, {high})")
    alpha, beta = np.exp(found.x)
    return BetaPrior(float(alpha), float(beta))


def beta_from_survey(x: float, n: float, design_effect: float = 1.0) -> BetaPrior:
    """Posterior of a share after x of n under a uniform prior, counts divided by the design effect.

    Source: Kish (1965) for the effective sample size n / design_effect.
    """
    return BetaPrior(1 + x / design_effect, 1 + (n - x) / design_effect)
