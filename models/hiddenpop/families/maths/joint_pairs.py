"""Two events among the same people: their joint table, and what its margins alone say.

People fall into four cells, (both, first only, second only, neither), with the shares p1 and p2
of the events as margins and an odds ratio psi (Plackett 1965, JASA 60:516). Where only the
margins y1 and y2 of m people are known, the sum over the number with both events is

    P(y1, y2) = m! p10^y1 p01^y2 p00^(m - y1 - y2) H(psi),
    H(psi) = sum_j psi^j / (j! (y1 - j)! (y2 - j)! (m - y1 - y2 + j)!),

because p11 p00 / (p10 p01) = psi: H is the normaliser of Fisher's noncentral hypergeometric
distribution and knows nothing of the shares. Everything here is relative to independent events,
where the sum is the product of two binomials.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma, gammaln

__all__ = ["covariance", "log_both", "log_margins", "log_tilt"]

SMALL = 15.0
"""Expected people in the smallest cell above which the sum is taken as an integral."""

TERMS = 64
"""Terms of the sum below: a Poisson mean of 15 and more than ten standard deviations."""

RARE, MANY = 1e-2, 1e8
"""So few expected with both events out of so many people are Poisson."""


def covariance(p1: np.ndarray, p2: np.ndarray, log_psi: np.ndarray) -> np.ndarray:
    """P(both) - p1 p2 (Plackett 1965), the smaller root in a form that loses no digits."""
    psi = np.exp(log_psi)
    linear = 1 + (psi - 1) * (p1 + p2)
    root = np.sqrt(np.maximum(linear**2 - 4 * psi * (psi - 1) * p1 * p2, 0.0))
    return np.asarray(p1 * p2 * (2 * psi - linear - root) / (linear + root))


def log_margins(
    y1: np.ndarray, y2: np.ndarray, m: np.ndarray, shares: tuple[np.ndarray, ...],
    log_psi: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Log of p10^y1 p01^y2 p00^(m - y1 - y2) over the same for independent events.

    `shares` are p1, 1 - p1, p2, 1 - p2.
    """
    p1, q1, p2, q2 = shares
    c = covariance(p1, p2, log_psi)
    # Cells that rounding takes to nothing or below are as good as empty.
    least = -1 + 1e-12
    first = np.log1p(np.maximum(-c / (p1 * q2), least))
    second = np.log1p(np.maximum(-c / (q1 * p2), least))
    neither = np.log1p(np.maximum(c / (q1 * q2), least))
    return np.asarray(y1 * first + y2 * second + (m - y1 - y2) * neither)


def log_both(j: np.ndarray, y1: np.ndarray, y2: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Log probability of j with both events given the margins, for independent events.

    Central hypergeometric; with `j log psi - log_tilt` added, Fisher's noncentral one. -inf
    where a cell would be negative.
    """
    cells = np.broadcast_arrays(j, y1 - j, y2 - j, m - y1 - y2 + j)
    possible = np.all([cell > -1e-9 for cell in cells], axis=0)
    j, a, b, c = (np.where(possible, np.maximum(cell, 0.0), 0.0) for cell in cells)
    # Binomials as Beta functions keep their digits when m is very large.
    value = _log_choose(a + j, j) + _log_choose(b + c, b) - _log_choose(a + b + c + j, b + j)
    return np.where(possible, value, -np.inf)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log1p(n) - betaln(k + 1, n - k + 1))


def log_tilt(y1: np.ndarray, y2: np.ndarray, m: np.ndarray, log_psi: np.ndarray) -> np.ndarray:
    """Log of H(psi) / H(1): the mean of psi^j over the central hypergeometric distribution.

    The smallest cell is summed from 0 upwards if it is small; the sum is as good as an integral
    if it is large, and is taken by Laplace's method with the next term (Tierney & Kadane 1986,
    JASA 81:82): error below 1e-4. Counts need not be whole.
    """
    y1, y2, m, log_psi = np.broadcast_arrays(
        *(np.asarray(value, dtype=float) for value in (y1, y2, m, log_psi))
    )
    both = m * (y1 / m * (y2 / m) + covariance(y1 / m, y2 / m, log_psi))
    both = np.clip(both, np.maximum(0.0, y1 + y2 - m), np.minimum(y1, y2))
    cells = np.array([both, y1 - both, y2 - both, np.maximum(m - y1 - y2 + both, 0.0)])
    small = cells.min(axis=0) < SMALL
    rare = (m > MANY) & (np.exp(np.maximum(log_psi, 0.0)) * y1 * y2 / m < RARE)
    result = np.empty(both.shape)
    result[rare] = (y1 * y2 / m * np.expm1(log_psi))[rare]
    for chosen, way in ((small & ~rare, _summed), (~small & ~rare, _laplace)):
        if chosen.any():
            part = (y1[chosen], y2[chosen], m[chosen])
            result[chosen] = way(cells[:, chosen], *part, log_psi[chosen]) - _log_at_one(*part)
    return result


def _log_at_one(y1: np.ndarray, y2: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Log of H(1), by Vandermonde's identity."""
    return np.asarray(_log_choose(m, y1) + _log_choose(m, y2) - gammaln(m + 1))


def _laplace(
    cells: np.ndarray, y1: np.ndarray, y2: np.ndarray, m: np.ndarray, log_psi: np.ndarray
) -> np.ndarray:
    """Log of H(psi) from the top of its terms, which lies near the noncentral mean."""
    sign = np.array([1.0, -1.0, -1.0, 1.0])[:, None]
    both = cells[0]
    for _ in range(2):
        at = np.array([both, y1 - both, y2 - both, m - y1 - y2 + both]) + 1
        slope = log_psi - np.sum(sign * digamma(at), axis=0)
        both = both + slope / np.sum(_polygamma(at)[0], axis=0)
    at = np.array([both, y1 - both, y2 - both, m - y1 - y2 + both]) + 1
    first, next_, last = _polygamma(at)
    second, third = np.sum(first, axis=0), -np.sum(sign * next_, axis=0)
    fourth = -np.sum(last, axis=0)
    more = fourth / (8 * second**2) + 5 * third**2 / (24 * second**3)
    top = both * log_psi - np.sum(gammaln(at), axis=0)
    return np.asarray(top + 0.5 * np.log(2 * np.pi / second) + np.log1p(more))


def _polygamma(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first three derivatives of digamma above `SMALL` (Abramowitz & Stegun 1964, 6.4.11)."""
    r = 1 / x
    return (
        r * (1 + r * (1 / 2 + r * (1 / 6 - r**2 / 30))),
        -(r**2) * (1 + r * (1 + r * (1 / 2 - r**2 / 6))),
        r**3 * (2 + r * (3 + r * (2 - r**2))),
    )


def _summed(
    cells: np.ndarray, y1: np.ndarray, y2: np.ndarray, m: np.ndarray, log_psi: np.ndarray
) -> np.ndarray:
    """Log of H(psi), summed over the smallest cell from 0; each term from the one before."""
    place = cells.argmin(axis=0)
    # Events are turned into their opposites until the smallest cell is that of both.
    one = np.isin(place, (2, 3))
    two = np.isin(place, (1, 3))
    a, b = np.where(one, m - y1, y1), np.where(two, m - y2, y2)
    tilt = np.where(one == two, log_psi, -log_psi)
    shift = np.select([one & two, one, two], [y1 + y2 - m, y2, y1], 0.0)
    psi, rest = np.exp(tilt), m - a - b
    term, total = np.ones(a.shape), np.ones(a.shape)
    for j in range(int(min(TERMS, np.ceil(np.minimum(a, b).max())))):
        left = np.maximum(a - j, 0.0) * np.maximum(b - j, 0.0)
        term = term * psi * left / ((j + 1) * np.maximum(rest + j + 1, 1e-9))
        total = total + term
    start = -gammaln(a + 1) - gammaln(b + 1) - gammaln(np.maximum(rest, 0.0) + 1)
    return np.asarray(start + shift * log_psi + np.log(total))
