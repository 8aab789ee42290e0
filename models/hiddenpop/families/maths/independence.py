"""Lists that are independent of each other, or linked by one known odds ratio: closed forms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln, logsumexp

from hiddenpop.families.exact import Discrete

__all__ = ["independent_unseen", "size_at_odds_ratio"]

EVERY = 20_000
"""Every number of unseen people up to this one is a point of the grid, then each 0.05 %."""
STEP = 5e-4
REACH = 1e4
"""The grid ends at this multiple of the people seen: tails are powers of N."""


def independent_unseen(
    totals: Sequence[float] | np.ndarray, distinct: float, beta: float = 1.0
) -> Discrete:
    """Posterior of the unseen where lists are independent and everybody alike.

    With p(N) proportional to 1/N and each chance of being on a list Beta(beta, beta),

        p(N | totals, distinct) ~ 1/N  N!/(N - n)!  prod_j B(n_j + beta, N - n_j + beta).

    It needs the totals of the lists and the distinct people only: how the lists overlap
    beyond that says nothing about N once they are independent (Darroch 1958, Biometrika 45:343).

    Parameters
    ----------
    totals
        People on each list, shape (list,).
    distinct
        Different people on all lists.
    beta
        1 is a uniform chance.

    Returns
    -------
    A distribution on whole numbers; beyond `EVERY`, on numbers that stand for those around
    them.
    """
    n_j = np.asarray(totals, dtype=float)
    far = np.geomspace(EVERY, max(REACH * distinct, 2 * EVERY), int(np.log(1e9) / STEP))
    unseen = np.concatenate([np.arange(EVERY), np.unique(np.round(far))])
    N = distinct + unseen
    log_mass = (
        -np.log(N) + gammaln(N + 1) - gammaln(unseen + 1)
        + (gammaln(N[:, None] - n_j + beta) - gammaln(N[:, None] + 2 * beta)).sum(1)
    )  # fmt: skip
    return Discrete.from_log(unseen, log_mass + np.log(np.gradient(unseen)))


def size_at_odds_ratio(totals: Sequence[float], distinct: float, odds_ratio: float) -> float:
    """N at which totals and distinct people are as expected, all pairs having one odds ratio.

    The totals are then the sufficient statistics of the lists' main effects, so that Newton's
    method on the conditional likelihood (given that a person was seen) finds the one fit.

    Parameters
    ----------
    totals, distinct
        As in `independent_unseen`.
    odds_ratio
        Of any two lists given the others, natural scale.

    Returns
    -------
    People; inf where no main effects fit the totals.
    """
    share = np.asarray(totals, dtype=float) / distinct
    lists = len(share)
    on = ((np.arange(1, 2**lists)[:, None] >> np.arange(lists)) & 1).astype(float)
    pairs = on.sum(1) * (on.sum(1) - 1) / 2
    effect = np.full(lists, -2.0)
    for _ in range(200):
        log_odds = on @ effect + pairs * np.log(odds_ratio)
        log_seen = logsumexp(log_odds)
        p = np.exp(log_odds - log_seen)
        gap = share - p @ on
        if np.abs(gap).max() < 1e-10:
            return float(distinct * (1 + np.exp(-log_seen)))
        spread = (on * p[:, None]).T @ on - np.outer(p @ on, p @ on)
        step = np.linalg.solve(spread + 1e-12 * np.eye(lists), gap)
        effect = effect + step * min(1.0, 2.0 / np.abs(step).max())
    return float("inf")
