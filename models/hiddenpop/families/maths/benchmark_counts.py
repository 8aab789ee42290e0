"""Likelihood of N from a count of people when the share is Beta, its odds may be biased, or both.

Two integrals over the share p of Binomial(C; N, p), at many N and many C at once:

- p ~ Beta(alpha, beta): the beta-binomial, a closed form;
- odds(p) = odds(p_s) / psi with p_s ~ Beta and psi log-normal: a survey that over-recruits
  people with the event. The integrand is log-concave in the logit of p, so that its mode and
  its width are found by Newton's method and a trapezoidal rule around it converges fast.

A count C need not be whole: it may be a reported number divided by a factor. It stands for
C - 1/2 to C + 1/2 and is possible up to N + 1/2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import betaln, gammaln, log_expit, logsumexp, polygamma

__all__ = ["INNER", "BiasedShare", "beta_binomial", "biased_binomial", "log_gamma_ratio"]

LARGE = 20.0
"""From here Stirling's series with five terms is right to 1e-14."""

REACH = 8.3
"""Standard deviations of a normal prior that are integrated over: 1e-16 lies outside."""

DEEP = 40.0
"""Density below its top by this much on the log scale is left out."""

GRID = 400
"""Nodes of the density of a biased share's logit; a cubic spline gives its logarithm between."""

STEPS = 12
"""Of Newton's method; it stops before when it is within a hundredth of the width."""

NODES = np.linspace(-3.5, 3.5, 36)
INNER = len(NODES)
"""Of the trapezoidal rule: its places in sds are their hyperbolic sines, up to 16 sds."""


def log_gamma_ratio(z: np.ndarray, shift: np.ndarray | float) -> np.ndarray:
    """Log Gamma(z + shift) - log Gamma(z), without cancellation where z is large.

    Stirling's series (Abramowitz & Stegun 1964, 6.1.41), whose leading terms are subtracted
    analytically.
    """
    z, shift = np.broadcast_arrays(np.asarray(z, float), np.asarray(shift, float))
    large = (z >= LARGE) & (z + shift >= LARGE)
    if large.all():
        return _stirling_ratio(z, shift)
    found = np.empty(z.shape)
    found[large] = _stirling_ratio(z[large], shift[large])
    found[~large] = gammaln(z[~large] + shift[~large]) - gammaln(z[~large])
    return found


def _stirling_ratio(z: np.ndarray, shift: np.ndarray) -> np.ndarray:
    end = z + shift
    main = (z - 0.5) * np.log1p(shift / z) + shift * (np.log(end) - 1)
    return np.asarray(main + _series(end) - _series(z))


def _series(z: np.ndarray) -> np.ndarray:
    w = 1 / z**2
    return np.asarray((1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w / 1188)))) / z)


def beta_binomial(N: np.ndarray, C: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Log of the beta-binomial probability of C out of N, broadcast; -inf where C > N + 1/2.

    Johnson, Kemp & Kotz 2005 (Univariate Discrete Distributions, section 6.2.2), with gamma
    functions for numbers that are not whole.
    """
    N, C = np.broadcast_arrays(np.asarray(N, float), np.asarray(C, float))
    left = N - C + 1
    inside = (left >= 0.5) & (left + beta > 1)
    left = np.where(inside, left, 1.0)
    found = (
        log_gamma_ratio(left, beta - 1) - log_gamma_ratio(N + 1, alpha + beta - 1)
        + log_gamma_ratio(C + 1, alpha - 1) - betaln(alpha, beta)
    )  # fmt: skip
    return np.where(inside, found, -np.inf)


class BiasedShare(NamedTuple):
    """Distribution of the logit of a share after the survey's over-recruiting is taken out.

    Attributes
    ----------
    spline, slope, bend
        Log density, which integrates to 1, and its derivatives.
    low, high
        Where the spline ends, logits; from there the log density is a straight line.
    falls
        Slopes at the two ends.
    mean, sd
        Of the logit.
    """

    spline: CubicSpline
    slope: CubicSpline
    bend: CubicSpline
    low: float
    high: float
    falls: tuple[float, float]
    mean: float
    sd: float

    @classmethod
    def of(cls, alpha: float, beta: float, mu: float, sigma: float) -> BiasedShare:
        """Of logit(p_s) - log(psi): p_s ~ Beta(alpha, beta), log(psi) ~ Normal(mu, sigma).

        The convolution is a trapezoidal rule over log(psi), with steps of half the smaller of
        the two sds.
        """
        centre = float(np.log(alpha / beta))
        of_beta = float(np.sqrt(polygamma(1, alpha) + polygamma(1, beta)))
        low, high = _beta_reach(alpha, beta)
        grid = np.linspace(low - REACH * sigma, high + REACH * sigma, GRID)
        count = int(np.ceil(2 * REACH * sigma / (0.5 * min(sigma, of_beta)))) + 1 if sigma else 1
        steps = np.linspace(-REACH, REACH, count) if count > 1 else np.zeros(1)
        at = grid[:, None] + sigma * steps
        log_beta = alpha * log_expit(at) + beta * log_expit(-at)
        value = logsumexp(log_beta - 0.5 * steps**2, axis=1)
        grid = grid - mu
        # A trapezoidal sum over the whole density: its constant.
        value = value - logsumexp(value) - np.log(grid[1] - grid[0])
        spline = CubicSpline(grid, value)
        slope = spline.derivative()
        falls = float(slope(grid[0])), float(slope(grid[-1]))
        return cls(
            spline, slope, spline.derivative(2), float(grid[0]), float(grid[-1]), falls,
            centre - mu, float(np.hypot(of_beta, sigma)),
        )  # fmt: skip

    def log_density(self, logit: np.ndarray) -> np.ndarray:
        """Log density of the logit."""
        inside = np.clip(logit, self.low, self.high)
        beyond = logit - inside
        fall = np.where(beyond < 0, *self.falls)
        return np.asarray(self.spline(inside) + fall * beyond)

    def bends(self, logit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slope of the log density, and its second derivative, below 0."""
        inside = np.clip(logit, self.low, self.high)
        return self.slope(inside), np.minimum(self.bend(inside), -1e-12)


def _beta_reach(alpha: float, beta: float) -> tuple[float, float]:
    """Logits between which a Beta's density is within `DEEP` of its top, on the logit scale."""
    centre = np.log(alpha / beta)
    top = alpha * log_expit(centre) + beta * log_expit(-centre)
    ends = []
    for sign, power in ((-1.0, alpha), (1.0, beta)):
        # Beyond all bends the log density falls by `power` for each logit.
        reach = np.linspace(0, (DEEP + 2 * (alpha + beta)) / power, 4000)
        reach = np.unique(np.concatenate([reach, np.geomspace(1e-5, reach[-1], 400)]))
        at = centre + sign * reach
        below = alpha * log_expit(at) + beta * log_expit(-at) < top - DEEP
        ends.append(float(at[np.argmax(below)]))
    return ends[0], ends[1]


def biased_binomial(N: np.ndarray, C: np.ndarray, share: BiasedShare) -> np.ndarray:
    """Log of the probability of C out of N, averaged over a biased share, broadcast.

    -inf where C > N + 1/2.
    """
    N, C = np.broadcast_arrays(np.asarray(N, float), np.asarray(C, float))
    left = N - C + 1
    inside = left >= 0.5
    N, C = np.where(inside, N, C), np.where(inside, C, C)
    mode, width = _modes(N, C, share)
    at = mode[..., None] + width[..., None] * np.sinh(NODES)
    value = C[..., None] * at - N[..., None] * np.logaddexp(0, at) + share.log_density(at)
    top = value.max(axis=-1)
    total = np.exp(value - top[..., None]) @ np.cosh(NODES)
    found = top + np.log(total * width * (NODES[1] - NODES[0]))
    ways = log_gamma_ratio(np.where(inside, left, 1.0), C) - gammaln(C + 1)
    return np.where(inside, found + ways, -np.inf)


def _modes(N: np.ndarray, C: np.ndarray, share: BiasedShare) -> tuple[np.ndarray, np.ndarray]:
    """Logit at which the integrand is highest, about, and its width there."""
    clear = np.clip((C + 0.5) / (N + 1), 1e-300, 1 - 1e-12)
    own = np.log(clear) - np.log1p(-clear)
    weight = N * clear * (1 - clear)
    at = (own * weight + share.mean / share.sd**2) / (weight + 1 / share.sd**2)
    width = np.ones_like(at)
    for _ in range(STEPS):
        p = np.exp(log_expit(at))
        slope, bend = share.bends(at)
        width = 1 / np.sqrt(N * p * (1 - p) - bend)
        step = np.clip((C - N * p + slope) * width**2, -2.0, 2.0)
        at = at + step
        if (np.abs(step) < 0.01 * width).all():
            break
    return at, width
