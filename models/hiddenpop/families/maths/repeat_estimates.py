"""Estimates of N from repeated captures by maximum likelihood, and lower bounds for it.

These are the numbers of the R package singleRcapture, with its analytic variance:

- N = sum_i 1 / (1 - P_i(0)); its variance is gradient' V gradient, for the coefficients, plus
  sum_i P_i(0) / (1 - P_i(0))^2, for who was seen (van der Heijden et al. 2003, Stat Modelling
  3:305, section 4);
- Zelterman's and Chao's bounds with covariates are logistic regressions on people seen once or
  twice, P(2 | 1 or 2) = lambda / (2 + lambda), lambda = 2 exp(x beta) (Böhning & van der Heijden
  2009, Ann Appl Stat 3:595; Böhning et al. 2013, Biometrics 69:1033).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from hiddenpop.families.maths.truncated_counts import (
    Model,
    Records,
    Target,
    gradient,
    log_likelihood,
    maximise,
    unseen_odds,
)

__all__ = ["BOUNDS", "Estimate", "bound", "chao", "estimate", "log_normal_interval"]

BOUNDS = ("chao", "zelterman")


class Estimate(NamedTuple):
    """An estimate of N by maximum likelihood.

    Attributes
    ----------
    theta
        Parameters, as `truncated_counts` orders them.
    size, variance
        N and its variance, people.
    observed
        People seen.
    log_likelihood
        At the maximum.
    """

    theta: np.ndarray
    size: float
    variance: float
    observed: float
    log_likelihood: float

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2 * len(self.theta) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, with the log of the people seen."""
        return float(len(self.theta) * np.log(self.observed)) - 2 * self.log_likelihood

    def normal(self, level: float = 0.95) -> tuple[float, float]:
        """N plus and minus normal quantiles; never below the people seen."""
        half = float(ndtri((1 + level) / 2)) * np.sqrt(self.variance)
        return max(self.observed, self.size - half), self.size + half

    def log_normal(self, level: float = 0.95) -> tuple[float, float]:
        """As `log_normal_interval`."""
        return log_normal_interval(self.observed, self.size, self.variance, level)


def log_normal_interval(
    observed: float, size: float, variance: float, level: float = 0.95
) -> tuple[float, float]:
    """Interval that is symmetrical in the log of the unseen; a point where there are none.

    Source: Chao 1987, Biometrics 43:783.
    """
    unseen = size - observed
    if unseen <= 1e-9 * observed:
        return observed, observed
    factor = np.exp(float(ndtri((1 + level) / 2)) * np.sqrt(np.log1p(variance / unseen**2)))
    return observed + unseen / factor, observed + unseen * factor


def estimate(model: Model, records: Records) -> Estimate:
    """Fit a distribution by maximum likelihood.

    Raises
    ------
    ArithmeticError
        If the likelihood has no maximum: some group was never seen twice, or the dispersion
        runs away.
    """
    target = log_likelihood(model, records)
    columns = records.design.shape[1]
    theta, information = _best(target, columns, model.extra)

    def size(theta: np.ndarray) -> np.ndarray:
        return np.asarray((1 + unseen_odds(model, theta, records.design)) @ records.people)

    slope = gradient(size, theta)
    odds = unseen_odds(model, theta[None], records.design)[0]
    # P(0) / (1 - P(0))^2 = odds (1 + odds), the variance of one person's share of the unseen.
    variance = slope @ np.linalg.solve(information, slope) + records.people @ (odds * (1 + odds))
    return Estimate(
        theta, float(size(theta[None])[0]), float(variance), float(records.people.sum()),
        float(target(theta[None])[0]),
    )  # fmt: skip


def _best(target: Target, columns: int, extra: int) -> tuple[np.ndarray, np.ndarray]:
    """The higher of the maxima found from two starts."""
    found = []
    for low in (-1.0, 0.5):
        start = np.zeros(columns + extra)
        start[0] = low
        try:
            found.append(maximise(target, start))
        except ArithmeticError:
            continue
    if not found:
        raise ArithmeticError("the likelihood has no maximum")
    return max(found, key=lambda pair: float(target(pair[0][None])[0]))


def bound(name: str, records: Records) -> Estimate:
    """Chao's or Zelterman's lower bound, with covariates.

    Parameters
    ----------
    name
        `chao` or `zelterman`.

    Raises
    ------
    ArithmeticError
        If nobody, or everybody, of some group was seen twice and not once.
    """
    low = records.times <= 2
    twice, count, design = records.times[low] == 2, records.people[low], records.design[low]

    def target(theta: np.ndarray) -> np.ndarray:
        eta = theta @ design.T
        return np.asarray((np.where(twice, eta, 0) - np.log1p(np.exp(eta))) @ count)

    theta, information = maximise(target, np.r_[-1.0, np.zeros(design.shape[1] - 1)])
    observed = float(records.people.sum())
    if name == "zelterman":
        size, slope, spread = _zelterman(theta, records.design, records.people)
    else:
        size, slope, spread = _chao(theta, design, count)
        size += observed
    variance = float(slope @ np.linalg.solve(information, slope)) + spread
    return Estimate(theta, size, variance, observed, float(target(theta[None])[0]))


def _zelterman(
    theta: np.ndarray, design: np.ndarray, count: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """N, its gradient and the variance of who was seen; everybody counts."""
    rate = 2 * np.exp(design @ theta)
    odds = -np.exp(-rate) / np.expm1(-rate)
    slope = -(count * odds * (1 + odds) * rate) @ design
    return float(count @ (1 + odds)), slope, float(count @ (odds * (1 + odds)))


def _chao(
    theta: np.ndarray, design: np.ndarray, count: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Unseen, its gradient and the variance of who was seen once or twice."""
    rate = 2 * np.exp(design @ theta)
    odds = 1 / (rate + rate**2 / 2)
    slope = -(count * odds**2 * (rate + rate**2)) @ design
    seen = np.exp(-rate) * (rate + rate**2 / 2)
    return float(count @ odds), slope, float(count @ ((1 - seen) * (1 + odds) ** 2))


def chao(once: float, twice: float) -> float:
    """Chao's lower bound of the unseen without covariates, corrected for bias.

    Exists also where nobody was seen twice. Source: Chao 1989, Biometrics 45:427.
    """
    return once * (once - 1) / (2 * (twice + 1))
