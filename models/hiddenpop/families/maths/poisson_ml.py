"""Poisson log-linear models by maximum likelihood, one table at a time, any columns.

    y_c ~ Poisson(mu_c),  log mu = X beta

Newton's method on the log likelihood, which is concave (McCullagh & Nelder 1989, section 2.5;
for this link it is the same as iteratively reweighted least squares). The first column of X is
the intercept: its exponential is the mean of the cell whose other columns are 0, which is the
people on no list. All logarithms are natural. Many models of one table at once:
`maths.hierarchical_ml`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln, xlogy

__all__ = [
    "PoissonFit",
    "Profile",
    "fit_poisson",
    "poisson_deviance",
    "poisson_log_likelihood",
    "profile_of_total",
    "total_log_likelihood",
]

MOST_STEPS = 100
CLOSE = 1e-12
"""A step that promises a smaller relative gain of the log likelihood than this is the last."""

CHI2_1 = 3.841458820694124
"""Quantile 0.95 of chi-squared with one degree of freedom."""


class PoissonFit(NamedTuple):
    """A fitted model.

    Attributes
    ----------
    coefficients
        beta, the intercept first, shape (column,).
    covariance
        Inverse of the information, shape (column, column).
    expected
        mu, shape (cell,).
    log_likelihood
        With the factorials of the counts, as R's `dpois` has them.
    deviance
        Twice the log likelihood ratio to the saturated model.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    expected: np.ndarray
    log_likelihood: float
    deviance: float


def poisson_log_likelihood(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Sum over the last axis of log Poisson(counts | expected); a mean of 0 allows only 0."""
    return np.asarray((xlogy(counts, expected) - expected - gammaln(counts + 1)).sum(-1))


def poisson_deviance(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """2 sum of counts log(counts / expected) - (counts - expected), over the last axis."""
    safe = np.where(counts > 0, expected, 1.0)
    ratio = xlogy(counts, np.where(counts > 0, counts, 1.0) / safe)
    return np.asarray(2 * (ratio - (counts - expected)).sum(-1))


def fit_poisson(X: np.ndarray, counts: np.ndarray, start: np.ndarray | None = None) -> PoissonFit:
    """Maximise the likelihood; where no maximum exists, the limit is only approached.

    Parameters
    ----------
    X
        Columns, the intercept first, shape (cell, column), of full rank.
    counts
        People (fractions are allowed), shape (cell,).
    start
        Coefficients to begin at.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the columns are not independent.
    """
    beta = _first(X, counts) if start is None else start
    value = _kernel(X, counts, beta)
    for _ in range(MOST_STEPS):
        expected = np.exp(X @ beta)
        gradient = X.T @ (counts - expected)
        step = np.linalg.solve((X.T * expected) @ X, gradient)
        gain = float(gradient @ step)
        beta, value = _climb(X, counts, beta, step, value)
        if gain < CLOSE * (1 + abs(value)):
            break
    expected = np.exp(X @ beta)
    return PoissonFit(
        beta,
        np.linalg.inv((X.T * expected) @ X),
        expected,
        float(poisson_log_likelihood(counts, expected)),
        float(poisson_deviance(counts, expected)),
    )


def _first(X: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """One weighted least-squares step from the counts themselves, zeros raised a little."""
    mean = counts + 0.1
    return np.asarray(np.linalg.solve((X.T * mean) @ X, X.T @ (mean * np.log(mean))))


def _kernel(X: np.ndarray, counts: np.ndarray, beta: np.ndarray) -> float:
    eta = X @ beta
    with np.errstate(over="ignore"):
        return float(counts @ eta - np.exp(eta).sum())


def _climb(
    X: np.ndarray, counts: np.ndarray, beta: np.ndarray, step: np.ndarray, value: float
) -> tuple[np.ndarray, float]:
    """Beta after the longest of the steps 1, 1/2, 1/4, ... that loses nothing."""
    for _ in range(40):
        new = beta + step
        reached = _kernel(X, counts, new)
        if reached >= value - 1e-10 * (1 + abs(value)):
            return new, reached
        step = step / 2
    return beta, value


class Profile(NamedTuple):
    """Maximum and ends of the profile likelihood of N; `high` may be infinite."""

    best: float
    low: float
    high: float


def total_log_likelihood(
    N: float,
    X: np.ndarray,
    counts: np.ndarray,
    *,
    fit: Callable[[np.ndarray, np.ndarray], PoissonFit] = fit_poisson,
    stirling: bool = False,
) -> float:
    """Profile log likelihood of N under the multinomial, up to a constant.

    The unseen are put in as a cell of their own and the rest is fitted again:
    -deviance/2 + log(n_0^n_0 N! / (N^N n_0!)) (Cormack 1992, Biometrics 48:567).

    Parameters
    ----------
    N
        People, n <= N.
    X, counts
        Observed cells.
    fit
        What fits a model to columns and counts.
    stirling
        Replace both factorials by Stirling's formula without its 1/12n term, as the R package
        Rcapture does above 100 people: near n it moves the curve by up to 1/(12 n_0).
    """
    unseen = N - counts.sum()
    rows = np.vstack([X, np.eye(1, X.shape[1])])
    found = fit(rows, np.append(counts, unseen))
    if stirling and N > 100:
        seen = N - unseen
        constant = -N + 0.5 * np.log(2 * np.pi * N) if unseen in (0, 1) else (
            -seen - 0.5 * np.log(unseen / N)
        )  # fmt: skip
    else:
        constant = xlogy(unseen, unseen) - gammaln(unseen + 1) + gammaln(N + 1) - N * np.log(N)
    return float(constant - found.deviance / 2)


def profile_of_total(
    loglik: Callable[[float], float],
    seen: float,
    estimate: float,
    *,
    drop: float = CHI2_1,
    reach: float = 1e4,
) -> Profile:
    """Where the profile log likelihood of N is largest, and where it has fallen by drop/2.

    Parameters
    ----------
    loglik
        Of N, defined from `seen` on.
    seen
        People seen: N cannot be below.
    estimate
        A value of N near the maximum.
    drop
        Quantile of chi-squared with one degree of freedom.
    reach
        The upper end is infinite where it is beyond this many times the estimate.
    """
    unseen = max(estimate - seen, 1e-3)
    top = minimize_scalar(
        lambda t: -loglik(seen + unseen * np.exp(t)),
        bounds=(-4.0, 2.0), method="bounded", options={"xatol": 1e-8},
    )  # fmt: skip
    best, highest = seen + unseen * float(np.exp(top.x)), -float(top.fun)
    if loglik(seen) > highest:
        best, highest = seen, loglik(seen)

    def above(N: float) -> float:
        return loglik(N) - highest + drop / 2

    low = seen if above(seen) >= 0 else brentq(above, seen, best, xtol=1e-9, rtol=1e-12)
    width = max(best - seen, 1.0)
    while above(best + width) > 0:
        if width > reach * estimate:
            return Profile(best, float(low), float("inf"))
        width *= 2
    return Profile(best, float(low), float(brentq(above, best, best + width, rtol=1e-12)))
