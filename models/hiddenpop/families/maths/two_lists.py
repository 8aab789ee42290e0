"""The people on neither of two lists: a closed form if they are independent, else quadrature.

With pi_1 the chance that somebody on list 2 is on list 1, pi_2 the other way round, and the odds
ratio theta = mu_11 mu_00 / (mu_10 mu_01), the odds of being on neither list are

    p_00 / (1 - p_00) = theta e^t,   e^t = (1 - pi_1)(1 - pi_2) / (1 - (1 - pi_1)(1 - pi_2)),

so that an odds ratio multiplies the unseen that independent lists would leave. Under p(N)
proportional to 1/N the unseen are negative binomial given these odds (size n, the observed) and
the table says nothing of theta. Any other prior multiplies the mass by p(N) N.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betaln, gammaln, logsumexp

__all__ = ["Overlap", "UnseenOdds", "chapman", "independent_log_mass", "lincoln_petersen"]

DEEP = 45.0
"""Densities below their greatest by this much on the log scale, 3e-20, are left out."""

CLOSE, CLOSE_BINOMIAL = 0.2, 0.6
"""Distances of nodes in standard deviations. The trapezoidal rule on a normal shape is off by
2 exp(-2 pi^2 / distance^2); the first is less, for log-gamma shapes that are skewed."""

CHUNK = 2**20
"""Numbers held at once, 8 MB."""


class Overlap(NamedTuple):
    """People on the first list only, on the second only, and on both."""

    one: float
    two: float
    both: float

    @property
    def observed(self) -> float:
        """Different people on the lists."""
        return self.one + self.two + self.both


def lincoln_petersen(table: Overlap) -> float:
    """n1 n2 / m, inf where nobody was on both lists."""
    first, second = table.one + table.both, table.two + table.both
    return first * second / table.both if table.both else float("inf")


def chapman(table: Overlap) -> tuple[float, float]:
    """(n1 + 1)(n2 + 1) / (m + 1) - 1, and its standard error.

    Sources: Chapman 1951; Seber 1970 (Biometrics 26:13) for the variance,
    (n1 + 1)(n2 + 1)(n1 - m)(n2 - m) / ((m + 1)^2 (m + 2)).
    """
    both = table.both
    first, second = table.one + both, table.two + both
    estimate = (first + 1) * (second + 1) / (both + 1) - 1
    variance = (first + 1) * (second + 1) * table.one * table.two
    variance /= (both + 1) ** 2 * (both + 2)
    return estimate, float(np.sqrt(variance))


def independent_log_mass(table: Overlap, a: float, b: float, unseen: np.ndarray) -> np.ndarray:
    """Log of N!/(N - n)! prod_j B(n_j + a, N - n_j + b), without the prior on N, (unseen,).

    The posterior of two independent lists whose capture probabilities have Beta(a, b) priors.
    """
    people = table.observed + unseen
    lists = (table.one + table.both, table.two + table.both)
    chances = sum(betaln(size + a, people - size + b) for size in lists)
    return np.asarray(gammaln(people + 1) - gammaln(unseen + 1) + chances)


class UnseenOdds(NamedTuple):
    """Posterior of the log odds of being on neither list, on evenly spaced nodes.

    Attributes
    ----------
    observed
        Different people on the lists.
    log_odds
        Nodes, natural logarithm, shape (node,).
    log_density
        Up to a constant, shape (node,).
    """

    observed: float
    log_odds: np.ndarray
    log_density: np.ndarray

    @classmethod
    def from_table(
        cls, table: Overlap, a: float, b: float, mean: float, sigma: float
    ) -> UnseenOdds:
        """Posterior of t + log(theta) under p(N) proportional to 1/N.

        Parameters
        ----------
        a, b
            Beta(a, b) priors on pi_1 and pi_2.
        mean, sigma
            Normal prior of log(theta); sigma 0 fixes theta.
        """
        binomial = CLOSE_BINOMIAL / np.sqrt(table.observed)
        shapes = (table.one + b, table.two + b, table.both + 2 * a)
        nodes, log_density, spread = _independent_odds(
            shapes, a + b, CLOSE_BINOMIAL * sigma if sigma > 0 else binomial
        )
        if sigma == 0:
            return cls(table.observed, nodes + mean, log_density)
        # A sum of independent terms: its density is the convolution of theirs.
        step = min(binomial, CLOSE * np.hypot(sigma, spread))
        reach = np.sqrt(2 * DEEP) * sigma
        odds = np.arange(nodes[0] - reach, nodes[-1] + reach + step, step)
        density = np.exp(log_density - log_density.max())
        log_sum = np.empty(len(odds))
        for part in _chunks(len(odds), len(nodes)):
            gaps = (odds[part, None] - nodes) / sigma
            with np.errstate(divide="ignore"):
                log_sum[part] = np.log(np.exp(-0.5 * gaps**2) @ density)
        kept = log_sum > log_sum.max() - DEEP
        return cls(table.observed, odds[kept] + mean, log_sum[kept])

    def log_mass(self, unseen: np.ndarray) -> np.ndarray:
        """Log mass of numbers of unseen under p(N) proportional to 1/N, up to a constant."""
        log_p = -np.logaddexp(0, -self.log_odds)
        seen = self.log_density - self.observed * np.logaddexp(0, self.log_odds)
        found = np.empty(len(unseen))
        for part in _chunks(len(unseen), len(log_p)):
            found[part] = logsumexp(unseen[part, None] * log_p + seen, axis=1)
        return np.asarray(found + gammaln(unseen + self.observed) - gammaln(unseen + 1))


def _chunks(rows: int, columns: int) -> list[slice]:
    height = max(1, CHUNK // columns)
    return [slice(place, place + height) for place in range(0, rows, height)]


def _independent_odds(
    shapes: tuple[float, float, float], power: float, closest: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Posterior of t: nodes, log density and standard deviation.

    With r the probabilities of the three observed cells, given that somebody is observed, and t
    and d = log(r_10 / r_01) in their place, the density of independent Beta(a, b) chances is

        r_10^(n_10 + b) r_01^(n_01 + b) r_11^(m + 2a) [(1 - r_10)(1 - r_01)]^-(a + b) / (1 + r_11),

    which is integrated over d. (Change of variables twice: from pi_1 = r_11 / (1 - r_10) and
    pi_2 = r_11 / (1 - r_01), with Jacobian r_11 / [(1 - r_10)(1 - r_01)]^2, and to t and d, with
    Jacobian r_10 r_01 r_11 / (1 + r_11).)
    """
    one, two, both = shapes

    def log_kernel(t: np.ndarray, d: np.ndarray) -> np.ndarray:
        # r_10 r_01 / r_11 = e^t and r_10 / r_01 = e^d leave a quadratic equation.
        half = np.logaddexp(d / 2, -d / 2) - np.log(2)
        root = -np.logaddexp(half, np.logaddexp(2 * half, -t) / 2)
        log_one, log_two, log_both = root + d / 2, root - d / 2, 2 * root - t
        shares = np.logaddexp(log_both, log_two) + np.logaddexp(log_both, log_one)
        kernel = one * log_one + two * log_two + both * log_both - power * shares
        return np.asarray(kernel - np.log1p(np.exp(log_both)))

    # Near its middle this is a Dirichlet density, so that log(r) have the variances 1 / shape. d is
    # counted from its regression on t: that leaves a narrow strip to integrate over.
    t0 = np.log(one) + np.log(two) - np.log(both) - np.log(one + two + both)
    variance_t, shared = 1 / one + 1 / two + 1 / both, 1 / one - 1 / two
    slope = shared / variance_t
    sd_t, sd_d = np.sqrt(variance_t), np.sqrt(1 / one + 1 / two - slope * shared)
    step_t, step_d = min(CLOSE * sd_t, closest), CLOSE * sd_d
    reach_t, reach_d = 12 * sd_t, 12 * sd_d
    top = log_kernel(np.array([t0]), np.array([np.log(one / two)]))[0]
    while True:
        t = t0 + np.arange(-np.ceil(reach_t / step_t), np.ceil(reach_t / step_t) + 1) * step_t
        d = np.arange(-np.ceil(reach_d / step_d), np.ceil(reach_d / step_d) + 1) * step_d
        middle = np.log(one / two) + slope * (t - t0)
        ends_t = [log_kernel(t[[k]], middle[k] + d).max() for k in (0, -1)]
        ends_d = [log_kernel(t, middle + d[k]).max() for k in (0, -1)]
        if max(*ends_t, *ends_d) <= top - DEEP:
            break
        reach_t *= 1.5 if max(ends_t) > top - DEEP else 1
        reach_d *= 1.5 if max(ends_d) > top - DEEP else 1
    log_density = np.empty(len(t))
    for part in _chunks(len(t), len(d)):
        log_density[part] = logsumexp(log_kernel(t[part, None], middle[part, None] + d), axis=1)
    kept = log_density > log_density.max() - DEEP
    return t[kept], log_density[kept], float(sd_t)
