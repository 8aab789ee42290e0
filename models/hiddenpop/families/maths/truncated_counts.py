"""Counts of repeated captures, cut off below 1: likelihoods, estimates and their variances.

A person with covariates x is seen y times, y ~ f(.; lambda, alpha) with mean
lambda = exp(x beta); people with y = 0 are not in the table. f is

- `poisson`: lambda^y exp(-lambda) / y!;
- `geometric`: lambda^y / (1 + lambda)^(y + 1);
- `negbin`: negative binomial, variance lambda + alpha lambda^2 (geometric is alpha = 1,
  Poisson alpha -> 0).

A share omega may have been seen once because they could not be seen again (arrested and
deported), either of all people (`before` the cut: f(0) becomes (1 - omega) f(0); Godwin &
Böhning 2017, J R Stat Soc C 66:425) or of those seen (`after` the cut; Böhning & van der
Heijden 2019, Ann Appl Stat 13:1198). The names are those of the R package singleRcapture (oizt,
ztoi).

Parameters are one vector: beta, then logit omega, then log alpha, each where the model has it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

__all__ = [
    "MODELS",
    "Model",
    "Records",
    "Target",
    "gradient",
    "hessian",
    "log_likelihood",
    "log_probability",
    "maximise",
    "unseen_odds",
]

STEP = 1e-20
"""Of the complex-step derivative, which has no rounding error however small the step."""


class Model(NamedTuple):
    """A distribution of captures, and where one-inflation acts ("", "before" or "after")."""

    base: str
    inflation: str

    @property
    def name(self) -> str:
        """As singleRcapture calls it: ztpoisson, oiztgeom, ztoinegbin."""
        short = {"geometric": "geom"}.get(self.base, self.base)
        return {"": "zt", "before": "oizt", "after": "ztoi"}[self.inflation] + short

    @property
    def extra(self) -> int:
        """Parameters besides the coefficients."""
        return (self.inflation != "") + (self.base == "negbin")


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(base, inflation)
        for inflation, base in product(("", "before", "after"), ("poisson", "geometric", "negbin"))
    )
}


class Records(NamedTuple):
    """People by number of captures and covariates, equal ones together.

    Attributes
    ----------
    times
        Captures, 1 or more, shape (row,).
    people
        How many, shape (row,).
    design
        Design matrix with the intercept first, shape (row, column).
    """

    times: np.ndarray
    people: np.ndarray
    design: np.ndarray


type Target = Callable[[np.ndarray], np.ndarray]
"""A log density of parameters, shape (draw, parameter), to values of shape (draw,)."""


def _split(
    model: Model, theta: np.ndarray, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, omega and alpha (each (draw, 1)) of parameter vectors."""
    rest = theta[:, columns:]
    omega = 1 / (1 + np.exp(-rest[:, :1])) if model.inflation else np.zeros((len(theta), 1))
    alpha = np.exp(rest[:, -1:]) if model.base == "negbin" else np.ones((len(theta), 1))
    return theta[:, :columns], omega, alpha


def _log_mass(model: Model, eta: np.ndarray, alpha: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Log f(times) before the cut, shape (draw, row)."""
    rate = np.exp(eta)
    if model.base == "poisson":
        return np.asarray(times * eta - rate - gammaln(times + 1))
    if model.base == "geometric":
        return np.asarray(times * eta - (times + 1) * np.log1p(rate))
    # Gamma(y + 1/alpha) alpha^y / Gamma(1/alpha) = prod_{j < y} (1 + j alpha), which does not
    # cancel where alpha is small.
    rising = np.cumsum(np.log1p(alpha * np.arange(int(times.max()))), axis=1)[:, times - 1]
    power = (times + 1 / alpha) * np.log1p(alpha * rate)
    return np.asarray(rising + times * eta - power - gammaln(times + 1))


def _log_zero(model: Model, eta: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Log f(0) before inflation, shape (draw, row)."""
    if model.base == "poisson":
        return np.asarray(-np.exp(eta))
    return np.asarray(-np.log1p(alpha * np.exp(eta)) / alpha)


def log_probability(
    model: Model, theta: np.ndarray, design: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Log P(times | seen at all), shape (draw, row); parameters may be complex."""
    beta, omega, alpha = _split(model, theta, design.shape[1])
    eta = beta @ design.T
    mass = _log_mass(model, eta, alpha, times)
    beyond = -np.expm1(_log_zero(model, eta, alpha))
    if not model.inflation:
        return np.asarray(mass - np.log(beyond))
    if model.inflation == "after":
        mass, seen = mass - np.log(beyond), np.ones((1, 1))
    else:
        seen = omega + (1 - omega) * beyond
    once = np.log(omega + (1 - omega) * np.exp(mass))
    return np.asarray(np.where(times == 1, once, np.log(1 - omega) + mass) - np.log(seen))


def log_likelihood(model: Model, records: Records) -> Target:
    """Log likelihood of parameters given who was seen."""

    def value(theta: np.ndarray) -> np.ndarray:
        terms = log_probability(model, theta, records.design, records.times)
        return np.asarray(terms @ records.people)

    return value


def unseen_odds(model: Model, theta: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Expected unseen for each person seen, P(0) / (1 - P(0)), shape (draw, row).

    With `after`, omega has no part in whether someone is seen.
    """
    beta, omega, alpha = _split(model, theta, design.shape[1])
    log_zero = _log_zero(model, beta @ design.T, alpha)
    if model.inflation == "before":
        left = (1 - omega) * np.exp(log_zero)
        return np.asarray(left / (omega - (1 - omega) * np.expm1(log_zero)))
    return np.asarray(-np.exp(log_zero) / np.expm1(log_zero))


def gradient(target: Target, theta: np.ndarray) -> np.ndarray:
    """Exact gradient of a target at one point by complex steps, shape (parameter,).

    Source: Squire & Trapp 1998, SIAM Rev 40:110.
    """
    return np.asarray(_gradients(target, theta[None])[0])


def _gradients(target: Target, points: np.ndarray) -> np.ndarray:
    """Gradients at several points in one call of the target, shape (point, parameter)."""
    size = points.shape[1]
    moved = points[:, None, :] + 1j * STEP * np.eye(size)
    return np.asarray(target(moved.reshape(-1, size)).imag.reshape(-1, size) / STEP)


def hessian(target: Target, theta: np.ndarray) -> np.ndarray:
    """Central differences of the exact gradient, relative error about 1e-10."""
    steps = 1e-5 * (1 + np.abs(theta))
    moves = np.diag(steps)
    slopes = _gradients(target, np.concatenate([theta + moves, theta - moves]))
    found = (slopes[: len(theta)] - slopes[len(theta) :]) / (2 * steps[:, None])
    return np.asarray((found + found.T) / 2)


def maximise(target: Target, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Point where the target is greatest, and its information (minus the Hessian).

    Raises
    ------
    ArithmeticError
        If there is no such point inside: the target still rises at the edge of what is
        plausible (a rate of exp(-15), a share within exp(-15) of 0 or 1), or is flat.
    """

    def down(theta: np.ndarray) -> float:
        value = -float(target(theta[None])[0].real)
        return value if np.isfinite(value) else 1e300

    with np.errstate(all="ignore"):
        found = minimize(
            down, start, method="trust-exact",
            jac=lambda theta: -gradient(target, theta), hess=lambda theta: -hessian(target, theta),
            options={"gtol": 1e-6, "maxiter": 500},
        )  # fmt: skip
        theta = np.asarray(found.x)
        for _ in range(2):
            theta = theta + _newton(target, theta)
        information = -hessian(target, theta)
        slope = gradient(target, theta)
    if not np.isfinite(slope).all() or np.abs(slope).max() > 1e-4 or np.abs(theta).max() > 15:
        raise ArithmeticError("the likelihood has no maximum inside")
    if np.linalg.eigvalsh(information)[0] <= 1e-6 * np.abs(information).max():
        raise ArithmeticError("the likelihood is flat at its maximum")
    return theta, information


def _newton(target: Target, theta: np.ndarray) -> np.ndarray:
    """One Newton step; none where the Hessian is of no use."""
    try:
        step = np.linalg.solve(-hessian(target, theta), gradient(target, theta))
    except np.linalg.LinAlgError:
        return np.zeros(len(theta))
    return step if np.abs(step).max() < 0.1 else np.zeros(len(theta))
