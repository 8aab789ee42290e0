"""Every N that stated ranges of odds ratios between lists allow.

Cell means m_x, x != 0, are free; the population has size M, so that m_0 = M - sum m_x. For a pair
of lists the table of 2 x 2 sums over the other lists, and holds m_0 among the people on neither,
has the odds ratio

    OR = m_11 (M - m_11 - m_10 - m_01) / (m_10 m_01),

the *marginal* odds ratio of the pair in the whole population. Observed cells are Poisson. M is in
the likelihood through the stated ranges only, so that a whole interval of M can fit equally well:
it is identified partially. Source: Sun, Van Baelen, Plettinckx & Crawford, arXiv 2008.00127;
the two intervals here are their profile likelihood and test inversion.

Variables are z = log m over all 2^L cells, cell 0 being the unseen; sums are log-sum-exp, so that
every constraint is of order 1 whatever the counts are.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import chdtri, logsumexp, xlogy

__all__ = [
    "Bounds",
    "Pairs",
    "best_fit",
    "identified",
    "pair_intervals",
    "profile",
    "profile_interval",
]

FLOOR = np.log(1e-6)
CEILING = np.log(1e12)
"""Bounds of log m. A cell of a millionth of a person is empty for every purpose."""

SLACK = 1e-7
"""How far a log odds ratio may be outside its range for a point to count as inside."""


class Pairs(NamedTuple):
    """The pairs of lists and the range of each one's odds ratio.

    Attributes
    ----------
    first, second
        Lists, shape (pair,).
    low, high
        0 and inf where nothing is stated, shape (pair,).
    sums
        Cells of 11, 10, 01 and 00, bool, shape (pair, 4, 2^L).
    """

    first: np.ndarray
    second: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, lists: int, low: np.ndarray, high: np.ndarray) -> Pairs:
        """All pairs in the order (0, 1), (0, 2), ..., (1, 2), ..."""
        first, second = np.array(list(combinations(range(lists), 2))).T
        codes = np.arange(2**lists)
        on, also = ((codes >> which[:, None] & 1).astype(bool) for which in (first, second))
        sums = np.stack([on & also, on & ~also, ~on & also, ~on & ~also], axis=1)
        return cls(first, second, np.asarray(low, float), np.asarray(high, float), sums)


class Bounds(NamedTuple):
    """Ends of an interval of M, and what fits best in it.

    Attributes
    ----------
    low, high
        With sampling uncertainty.
    fit_low, fit_high
        Ends of the M that fit best; equal where there is one.
    deviance
        Of the best fit against cell means equal to the counts; 0 where the ranges allow these.
    """

    low: float
    high: float
    fit_low: float
    fit_high: float
    deviance: float


def pair_intervals(counts: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest M that each pair's range allows if cell means are the counts.

    Parameters
    ----------
    counts
        Shape (2^L,); cell 0 is not used.
    """
    seen = np.where(np.arange(len(counts)) > 0, counts, 0.0)
    both, one, other, _ = np.moveaxis(pairs.sums @ seen, -1, 0)
    total = both + one + other
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = one * other / both
        ends = [np.where(end * cross >= 0, total + end * cross, total + 0 * end)
                for end in (pairs.low, pairs.high)]  # fmt: skip
    return ends[0], ends[1]


def identified(counts: np.ndarray, pairs: Pairs) -> tuple[float, float]:
    """Least and greatest M that all ranges allow if cell means are the counts.

    The first is above the second where there is no such M: the ranges contradict the table,
    perhaps by no more than chance.
    """
    lows, highs = pair_intervals(counts, pairs)
    return max(float(counts[1:].sum()), float(lows.max())), float(highs.min())


class _Problem:
    """Minus log likelihood, log M and the constraints, with gradients, at z = log m."""

    def __init__(self, counts: np.ndarray, pairs: Pairs) -> None:
        self.counts = np.where(np.arange(len(counts)) > 0, counts, 0.0)
        self.pairs = pairs
        self.masks = np.where(pairs.sums, 0.0, -np.inf)
        self.saturated = float((self.counts - xlogy(self.counts, self.counts)).sum())

    def fit(self, z: np.ndarray) -> float:
        """Minus log likelihood above that of the counts themselves; half the deviance."""
        mean = np.exp(z[1:])
        return float((mean - self.counts[1:] * z[1:]).sum()) - self.saturated

    def fit_gradient(self, z: np.ndarray) -> np.ndarray:
        return np.concatenate([[0.0], np.exp(z[1:]) - self.counts[1:]])

    def log_odds_ratios(self, z: np.ndarray) -> np.ndarray:
        both, one, other, neither = logsumexp(self.masks + z, axis=-1).T
        return np.asarray(both + neither - one - other)

    def odds_gradient(self, z: np.ndarray) -> np.ndarray:
        logs = self.masks + z
        shares = np.exp(logs - logsumexp(logs, axis=-1, keepdims=True))
        return np.asarray(shares[:, 0] + shares[:, 3] - shares[:, 1] - shares[:, 2])

    def ranges(self) -> list[dict[str, Any]]:
        """Constraints on the odds ratios, those that are stated."""
        stated = []
        for sign, ends in ((1.0, self.pairs.low), (-1.0, self.pairs.high)):
            with np.errstate(divide="ignore"):
                limit = np.log(ends)
            use = np.isfinite(limit)
            if use.any():
                stated.append({
                    "type": "ineq",
                    "fun": lambda z, s=sign, u=use, e=limit: s * (self.log_odds_ratios(z) - e)[u],
                    "jac": lambda z, s=sign, u=use: s * self.odds_gradient(z)[u],
                })  # fmt: skip
        return stated

    def inside(self, z: np.ndarray) -> bool:
        odds = self.log_odds_ratios(z)
        with np.errstate(divide="ignore"):
            low, high = np.log(self.pairs.low), np.log(self.pairs.high)
        return bool(np.all(odds >= low - SLACK) and np.all(odds <= high + SLACK))


def _solve(
    problem: _Problem, start: np.ndarray, objective: Any, gradient: Any,  # noqa: ANN401
    constraints: list[dict[str, Any]],
) -> np.ndarray | None:  # fmt: skip
    """One run of sequential quadratic programming; None where it ended outside the ranges."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = minimize(
            objective, start, jac=gradient, constraints=problem.ranges() + constraints,
            bounds=[(FLOOR, CEILING)] * len(start), method="SLSQP",
            options={"maxiter": 1000, "ftol": 1e-12},
        )  # fmt: skip
    z = np.asarray(found.x)
    return z if np.isfinite(z).all() and problem.inside(z) else None


def _starts(problem: _Problem, spread: tuple[float, ...] = (0.1, 1.0, 10.0)) -> list[np.ndarray]:
    """The counts, and several numbers of unseen people."""
    seen = np.log(problem.counts + 0.2)
    total = problem.counts.sum()
    return [np.concatenate([[np.log(part * total)], seen[1:]]) for part in spread]


def best_fit(counts: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, float]:
    """Log cell means of the best fit inside the ranges, and its deviance from the counts.

    Where a whole interval of M fits as well, its geometric middle.

    Raises
    ------
    ArithmeticError
        If no point inside the ranges was found.
    """
    problem = _Problem(counts, pairs)
    least, most = identified(counts, pairs)
    if least <= most:
        unseen = np.sqrt(least * most) - problem.counts.sum()
        with np.errstate(divide="ignore"):
            exact = np.log(np.concatenate([[unseen], problem.counts[1:]]))
        return np.maximum(exact, FLOOR), 0.0
    found = [_solve(problem, start, problem.fit, problem.fit_gradient, [])
             for start in _starts(problem)]  # fmt: skip
    inside = [z for z in found if z is not None]
    if not inside:
        raise ArithmeticError("no table inside the ranges of odds ratios was found")
    best = min(inside, key=problem.fit)
    return best, 2 * max(problem.fit(best), 0.0)


def _size(z: np.ndarray) -> float:
    return float(logsumexp(z))


def _size_gradient(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(z - logsumexp(z)))


def profile_interval(counts: np.ndarray, pairs: Pairs, level: float) -> Bounds:
    """Ends of M at which twice the profile log likelihood has fallen by a chi-squared quantile.

    Each end is one optimisation: the least (greatest) M of all points inside the ranges whose
    deviance is at most that of the best plus the quantile, 1 degree of freedom.

    Raises
    ------
    ArithmeticError
        If no point inside the ranges was found.
    """
    problem = _Problem(counts, pairs)
    best, deviance = best_fit(counts, pairs)
    allowed = problem.fit(best) + chdtri(1, 1 - level) / 2
    near = {
        "type": "ineq",
        "fun": lambda z: allowed - problem.fit(z),
        "jac": lambda z: -problem.fit_gradient(z),
    }
    least, most = identified(counts, pairs)
    fits = (least, most) if least <= most else (float(np.exp(_size(best))),) * 2
    ends = []
    for sign in (1.0, -1.0):
        tried = [
            _solve(problem, start, lambda z, s=sign: s * _size(z),
                   lambda z, s=sign: s * _size_gradient(z), [near])
            for start in (best, *_starts(problem, (0.1, 1.0)))
        ]  # fmt: skip
        sizes = [_size(z) for z in tried if z is not None and problem.fit(z) <= allowed + 1e-6]
        sizes.append(np.log(fits[0] if sign > 0 else fits[1]))
        ends.append(float(np.exp(min(sizes) if sign > 0 else max(sizes))))
    return Bounds(ends[0], ends[1], fits[0], fits[1], deviance)


def profile(counts: np.ndarray, pairs: Pairs, size: float) -> float:
    """Twice the fall of the log likelihood, from cell means at the counts, where M is `size`.

    Returns
    -------
    float
        inf if no point inside the ranges with that M was found.
    """
    problem = _Problem(counts, pairs)
    fixed = {
        "type": "eq",
        "fun": lambda z: _size(z) - np.log(size),
        "jac": _size_gradient,
    }
    fits = []
    for start in _starts(problem, (0.1, 1.0)):
        scaled = start - _size(start) + np.log(size)
        z = _solve(problem, scaled, problem.fit, problem.fit_gradient, [fixed])
        if z is not None and abs(_size(z) - np.log(size)) < SLACK:
            fits.append(problem.fit(z))
    return 2 * max(min(fits), 0.0) if fits else np.inf
