"""Distributions with two parameters that have stated quantiles, within bounds if there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

__all__ = ["SHAPES", "Shape", "Stated", "fit_quantiles"]

Pair = tuple[float, float]

EXACT = 1e-6
"""Two quantiles are met when both are this near on the log or logit scale."""

TINY = 1e-300
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)
WIDEST = 12.0
"""Standard deviations from the centre beyond which a normal density is left out of a mean."""


@dataclass(frozen=True)
class Shape:
    """A distribution by its name.

    Attributes
    ----------
    parameters
        Names of its two parameters, as PyMC has them.
    pymc
        Name of PyMC's class.
    share
        Whether its values lie between 0 and 1, rather than above 0.
    frozen
        The scipy distribution with these parameters: of the value itself, or for the
        logit-normal of the value's logit.
    partial_mean
        Integral of x times the density up to x, divided by the mean over everything: the
        distribution function of the size-biased distribution. None for the logit-normal.
    parameters_of
        Parameters of two unbounded numbers, in which the search goes on.
    start
        The unbounded numbers at which it begins, from the mean and sd of the logarithm or logit.
    """

    name: str
    parameters: tuple[str, str]
    pymc: str
    share: bool
    frozen: Callable[[float, float], stats.rv_continuous]
    partial_mean: Callable[[float, float], stats.rv_continuous] | None
    parameters_of: Callable[[float, float], Pair]
    start: Callable[[float, float], Pair]

    @property
    def normal(self) -> bool:
        """Whether the logarithm or logit of a value is normal."""
        return self.start is _same

    @property
    def of_logits(self) -> bool:
        """Whether `frozen` is the distribution of the logit."""
        return self.share and self.normal

    def natural(self, x: ArrayLike) -> np.ndarray:
        """Values on the unbounded scale: their logits for shares, else their logarithms."""
        value = np.asarray(x, float)
        return np.asarray(special.logit(value) if self.share else np.log(value))


def _same(mean: float, sd: float) -> Pair:
    return float(mean), float(np.log(sd))


def _lognormal_biased(mu: float, sigma: float) -> stats.rv_continuous:
    # x f(x) is log-normal with mu + sigma^2 (Aitchison and Brown 1957, section 2.4).
    return stats.lognorm(sigma, scale=np.exp(mu + sigma**2))


def _gamma_start(mean: float, sd: float) -> Pair:
    """Log mean and log alpha whose logarithm has this mean and, about, this sd.

    The variance of the logarithm is trigamma(alpha), about 1/alpha + 1/(2 alpha^2)
    (Abramowitz and Stegun 1964, 6.4.12).
    """
    alpha = (1 + np.sqrt(1 + 2 * sd**2)) / (2 * sd**2)
    return float(mean - special.digamma(alpha) + np.log(alpha)), float(np.log(alpha))


def _beta_start(mean: float, sd: float) -> Pair:
    """Logit of the mean and log(alpha + beta), by the delta method."""
    share = special.expit(mean)
    return mean, float(np.log(max(1 / (sd**2 * share * (1 - share)), 0.5)))


def _beta_parameters(logit: float, log_size: float) -> Pair:
    size = np.exp(log_size)
    return float(size * special.expit(logit)), float(size * special.expit(-logit))


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            "log-normal", ("mu", "sigma"), "LogNormal", False,
            lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)), _lognormal_biased,
            lambda mean, log_sd: (float(mean), float(np.exp(log_sd))), _same,
        ),
        Shape(
            "gamma", ("alpha", "beta"), "Gamma", False,
            lambda alpha, beta: stats.gamma(alpha, scale=1 / beta),
            lambda alpha, beta: stats.gamma(alpha + 1, scale=1 / beta),
            lambda log_mean, log_alpha: (float(np.exp(log_alpha)),
                                         max(float(np.exp(log_alpha - log_mean)), TINY)),
            _gamma_start,
        ),
        Shape(
            "beta", ("alpha", "beta"), "Beta", True,
            stats.beta, lambda alpha, beta: stats.beta(alpha + 1, beta),
            _beta_parameters, _beta_start,
        ),
        Shape(
            "logit-normal", ("mu", "sigma"), "LogitNormal", True,
            stats.norm, None, lambda mean, log_sd: (float(mean), float(np.exp(log_sd))), _same,
        ),
    )
}  # fmt: skip
"""All distributions, by name."""


@dataclass(frozen=True)
class Stated:
    """One distribution with its parameters, cut off at bounds if there are any.

    Attributes
    ----------
    parameters
        In the order of `Shape.parameters`.
    bounds
        Values outside have probability 0, those inside keep their relative density.
    """

    shape: Shape
    parameters: Pair
    bounds: Pair = (-np.inf, np.inf)

    def _inside(self) -> Pair:
        """Probability below the lower and the upper bound, before anything is cut off."""
        low, high = self._whole_cdf(np.array(self.bounds))
        return float(low), float(high)

    def _whole_cdf(self, x: np.ndarray) -> np.ndarray:
        top = 1.0 if self.shape.share else np.inf
        value = np.clip(x, 0.0, top)
        of = self.shape.natural(value) if self.shape.of_logits else value
        return np.asarray(self.shape.frozen(*self.parameters).cdf(of))

    def ppf(self, probability: ArrayLike) -> np.ndarray:
        """Values that the truth is below with these probabilities."""
        low, high = self._inside()
        p = low + np.asarray(probability, float) * (high - low)
        value = np.asarray(self.shape.frozen(*self.parameters).ppf(p))
        value = special.expit(value) if self.shape.of_logits else value
        return np.clip(value, *self.bounds)

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Probabilities that the truth is below these values."""
        low, high = self._inside()
        share = (self._whole_cdf(np.asarray(x, float)) - low) / (high - low)
        return np.asarray(np.clip(share, 0.0, 1.0))

    def pdf(self, x: ArrayLike) -> np.ndarray:
        """Density at these values."""
        value = np.asarray(x, float)
        low, high = self._inside()
        frozen = self.shape.frozen(*self.parameters)
        if self.shape.of_logits:
            density = frozen.pdf(special.logit(value)) / (value * (1 - value))
        else:
            density = frozen.pdf(value)
        within = (value >= self.bounds[0]) & (value <= self.bounds[1])
        return np.where(within, density / (high - low), 0.0)

    @property
    def usable(self) -> bool:
        """Whether parameters and mean are numbers that a computer can hold."""
        with np.errstate(all="ignore"):
            return bool(np.isfinite([*self.parameters, self.mean]).all())

    @property
    def mean(self) -> float:
        """The mean."""
        if self.shape.partial_mean is None:
            return self._logit_normal_mean()
        low, high = self._inside()
        biased = self.shape.partial_mean(*self.parameters)
        part = biased.cdf(self.bounds[1]) - biased.cdf(self.bounds[0])
        return float(self.shape.frozen(*self.parameters).mean() * part / (high - low))

    def _logit_normal_mean(self) -> float:
        """By Gauss-Legendre quadrature over the standardised logit: it has no closed form."""
        mu, sigma = self.parameters
        ends = (special.logit(np.clip(self.bounds, 0, 1)) - mu) / sigma
        low, high = np.clip(ends, -WIDEST, WIDEST)
        at = low + (high - low) * (NODES + 1) / 2
        weight = WEIGHTS * stats.norm.pdf(at)
        return float(weight @ special.expit(mu + sigma * at) / weight.sum())


def fit_quantiles(
    name: str, quantiles: Sequence[Pair], bounds: Pair = (-np.inf, np.inf)
) -> tuple[Stated, float]:
    """Fit a distribution to quantiles: two are met, more come as near as they can.

    The sum of squared distances on the logarithmic scale (logit scale for shares) is least.

    Parameters
    ----------
    name
        One of `SHAPES`.
    quantiles
        Two or more pairs of probability and value, increasing in both, inside the bounds.

    Returns
    -------
    tuple
        The distribution, and its largest distance from a quantile on that scale.

    Raises
    ------
    ValueError
        If it cannot have the two quantiles, or has them with a mean that is beyond computing.
    """
    shape = SHAPES[name]
    probability, value = np.array(quantiles, float).T
    target = shape.natural(value)
    # A straight line through normal scores: the answer itself for normal logarithms or logits.
    slope, mean = np.polyfit(stats.norm.ppf(probability), target, 1)

    def distance(place: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            reached = Stated(shape, shape.parameters_of(*place), bounds).ppf(probability)
            top = 1 - np.finfo(float).eps if shape.share else np.inf
            gap = shape.natural(np.clip(reached, TINY, top)) - target
        return np.asarray(np.nan_to_num(gap, nan=1e3, posinf=1e3, neginf=-1e3))

    place = np.array(shape.start(mean, slope))
    if not shape.normal or np.isfinite(bounds).any():
        tight = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14}
        place = optimize.least_squares(distance, place, method="lm", **tight).x
    misfit = float(np.abs(distance(place)).max())
    if len(quantiles) == 2 and misfit > EXACT:
        raise ValueError(f"no {name} distribution has these two quantiles")
    found = Stated(shape, shape.parameters_of(*place), bounds)
    if not found.usable:
        raise ValueError(f"the {name} distribution with these quantiles has no finite mean")
    return found, misfit
