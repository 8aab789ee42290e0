"""Distributions of the logarithm of a product of uncertain shares, rates and factors.

A product of Beta shares, their complements and log-normal factors has a logarithm that is a sum.
Beta parts become weighted nodes (a trapezoidal rule on the logit scale, where a Beta is smooth),
log-normal parts add their means and variances: together a mixture of normals with one sd. Where
an integral over it needs plain nodes, these lie on a grid as fine as asked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import betainccinv, betaincinv, gammainccinv, gammaincinv, polygamma

from hiddenpop.inputs.multipliers import Interval
from hiddenpop.priors import beta_from_interval, lognormal_from_interval

__all__ = [
    "LogFactor",
    "complement_nodes",
    "gamma_nodes",
    "interval_beta",
    "normal_factor",
    "reported_over_true",
    "share_nodes",
]

REACH = 8.3
"""Standard deviations of a normal that are kept: 1e-16 lies outside."""

TAIL = 1e-16
"""Probability of a Beta or gamma that is left out at either end."""

MOST = 1200
"""Nodes that two parts may have together before they are put on a grid."""

STENCIL = np.arange(-2, 4)
"""Points of a grid that share the weight of a node."""

CLOSE, WIDEST = 0.6, 0.7
"""Distance of nodes at most: in sds of the density, and on the log or logit scale (a Beta's logit
has a density that is analytic within pi of the real line)."""

NARROWEST = 1e-6
"""Width of an interval, or sd, below which a number is taken as known."""


class LogFactor(NamedTuple):
    """A mixture of normals with one sd, which may be 0.

    Attributes
    ----------
    nodes
        Means, log scale, shape (node,).
    weights
        Sum 1, shape (node,).
    sd
        Of each normal, log scale.
    """

    nodes: np.ndarray
    weights: np.ndarray
    sd: float = 0.0

    @classmethod
    def one(cls) -> LogFactor:
        """The factor 1."""
        return cls(np.zeros(1), np.ones(1))

    @property
    def mean(self) -> float:
        """Mean of the logarithm."""
        return float(self.nodes @ self.weights)

    @property
    def spread(self) -> float:
        """Sd of the logarithm."""
        return float(np.sqrt(self.weights @ (self.nodes - self.mean) ** 2 + self.sd**2))

    def times(self, other: LogFactor, step: float) -> LogFactor:
        """The product with an independent factor.

        Many nodes are spread over a grid of `step` in such a way that integrals of
        polynomials of degree five stay what they are.
        """
        nodes = (self.nodes[:, None] + other.nodes).ravel()
        weights = (self.weights[:, None] * other.weights).ravel()
        if len(nodes) > MOST:
            nodes, weights = _gridded(nodes, weights, step / 5)
        return LogFactor(nodes, weights, float(np.hypot(self.sd, other.sd)))

    def resolved(self, step: float) -> LogFactor:
        """Plain nodes without sd, at most about `step` or the sd's half apart."""
        if self.sd < NARROWEST:
            return self
        apart = min(step, 0.5 * self.sd)
        low = self.nodes.min() - REACH * self.sd
        grid = np.arange(low, self.nodes.max() + REACH * self.sd + apart, apart)
        density = np.zeros(len(grid))
        # In pieces: neither many nodes nor a fine grid may take much memory.
        for some in np.array_split(np.arange(len(self.nodes)), 1 + len(self.nodes) // 100):
            z = (grid[:, None] - self.nodes[some]) / self.sd
            density += np.exp(-0.5 * z**2) @ self.weights[some]
        kept = density > 0
        return LogFactor(grid[kept], density[kept] / density.sum())


def _gridded(nodes: np.ndarray, weights: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights on a grid: each node's is shared by the six points around it.

    By Lagrange's polynomials, so that sums of weight times a polynomial of degree five are kept.
    """
    start = nodes.min() - 3 * step
    place = (nodes - start) / step
    left = np.floor(place).astype(int)
    apart = place - left - STENCIL[:, None]
    found = np.zeros(left.max() + 4)
    for i, shift in enumerate(STENCIL):
        others = np.delete(np.arange(len(STENCIL)), i)
        part = np.prod(apart[others] / (shift - STENCIL[others])[:, None], axis=0)
        found += np.bincount(left + shift, weights * part, len(found))
    return start + step * np.arange(len(found)), found


def normal_factor(mean: float, sd: float) -> LogFactor:
    """A log-normal factor; mean and sd of its logarithm."""
    return LogFactor(np.array([float(mean)]), np.ones(1), float(sd))


@lru_cache(maxsize=1024)
def interval_beta(low: float, high: float, level: float) -> tuple[float, float] | None:
    """Parameters of the Beta with a central interval; None where that has no width."""
    if high - low < NARROWEST:
        return None
    alpha, beta = beta_from_interval(low, high, level)
    return alpha, beta


def _beta_logits(alpha: float, beta: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a Beta share and their weights: evenly spaced, whose weights are the density."""
    low = max(float(betaincinv(alpha, beta, TAIL)), 1e-12)
    left = max(float(betainccinv(alpha, beta, TAIL)), low)
    high = max(1 - left, 1e-12)
    ends = np.log(low) - np.log1p(-low), np.log1p(-high) - np.log(high)
    sd = np.sqrt(polygamma(1, alpha) + polygamma(1, beta))
    count = int(np.ceil((ends[1] - ends[0]) / min(CLOSE * sd, WIDEST, step))) + 1
    at = np.linspace(*ends, min(count, 4 * MOST))
    log_weight = -alpha * np.logaddexp(0, -at) - beta * np.logaddexp(0, at)
    weight = np.exp(log_weight - log_weight.max())
    return at, weight / weight.sum()


@lru_cache(maxsize=256)
def share_nodes(alpha: float, beta: float, step: float) -> LogFactor:
    """Log of a Beta share, in steps of at most `step`."""
    at, weight = _beta_logits(alpha, beta, step)
    return LogFactor(-np.logaddexp(0, -at), weight)


@lru_cache(maxsize=256)
def complement_nodes(alpha: float, beta: float, step: float) -> LogFactor:
    """Log of 1 minus a Beta share, in steps of at most `step`."""
    # The logarithm moves by the share times the step of the logit.
    most = float(betaincinv(alpha, beta, 1 - 1e-4))
    at, weight = _beta_logits(alpha, beta, step / max(most, 1e-3))
    return LogFactor(-np.logaddexp(0, at), weight)


def gamma_nodes(shape: float, rate: float, step: float) -> LogFactor:
    """Log of a gamma rate, in steps of at most `step`."""
    low = np.log(max(float(gammaincinv(shape, TAIL)), 1e-300))
    high = np.log(float(gammainccinv(shape, TAIL)))
    sd = np.sqrt(polygamma(1, shape))
    count = int(np.ceil((high - low) / min(CLOSE * sd, WIDEST, step))) + 1
    at = np.linspace(low, high, min(count, 4 * MOST))
    weight = np.exp(shape * (at - np.log(shape)) - np.exp(at) + shape)
    return LogFactor(at - np.log(rate), weight / weight.sum())


@lru_cache(maxsize=1024)
def _complement(interval: Interval, step: float) -> LogFactor:
    """Log of 1 minus a share that has an interval."""
    found = interval_beta(*interval)
    if found is None:
        return normal_factor(float(np.log1p(-(interval.low + interval.high) / 2)), 0.0)
    return complement_nodes(*found, step)


def reported_over_true(
    undercount: Interval | None, overcount: Interval | None, error: Interval | None, step: float
) -> LogFactor:
    """Log of error x (1 - undercount) / (1 - overcount).

    Parameters
    ----------
    step
        Distance of nodes, log scale; made a power of the square root of 2, so that a repeated
        call finds what was computed before.
    """
    return _reported_over_true(undercount, overcount, error, _rounded(step))


def _rounded(step: float) -> float:
    return float(2 ** (np.floor(2 * np.log2(step)) / 2))


@lru_cache(maxsize=1024)
def _reported_over_true(
    undercount: Interval | None, overcount: Interval | None, error: Interval | None, step: float
) -> LogFactor:
    found = LogFactor.one()
    if undercount is not None:
        found = found.times(_complement(undercount, step), step)
    if overcount is not None:
        over = _complement(overcount, step)
        found = found.times(LogFactor(-over.nodes, over.weights, over.sd), step)
    if error is not None:
        found = found.times(normal_factor(*lognormal_from_interval(*error)), step)
    return found
