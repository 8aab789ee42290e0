"""The number of unseen people given the odds of being unseen, under any prior on N.

With p(N) proportional to 1/N, n people seen at odds O = p_0 / (1 - p_0) leave n_0 ~ NegBin(n,
1 / (1 + O)) unseen. Another prior multiplies that by N p(N): by its mean over the negative
binomial in the posterior of O, by itself in that of n_0 given O.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, logsumexp

__all__ = ["UnseenNumber", "draw_unseen"]

BINS = 250
BELOW, ABOVE = 12.0, 20.0
"""Standard deviations of the negative binomial that the bins reach."""

CHUNK = 5000

LEAST, MOST = 1e-7, 1e8
"""Odds beyond these are taken for them: nobody, or everybody, is unseen."""

NOTHING = -1e5
"""Log of a factor that is 0, finite so that it can be interpolated."""


def draw_unseen(seen: float, odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """n_0 ~ NegBin(n, 1 / (1 + O)) for each of `odds`, under p(N) proportional to 1/N."""
    mean = rng.standard_gamma(seen, len(odds)) * odds
    # Beyond 10^12 people the Poisson part is below the precision of a double.
    drawn = np.where(mean < 1e12, rng.poisson(np.minimum(mean, 1e12)), np.round(mean))
    return np.asarray(drawn)


class UnseenNumber:
    """Sums over n_0 of NegBin(n_0) N p(N), and draws of n_0 from its terms.

    Parameters
    ----------
    seen
        n, people.
    log_prior
        log p(N), vectorised.
    most
        Greatest N that is possible; may be inf.
    """

    def __init__(
        self, seen: float, log_prior: Callable[[np.ndarray], np.ndarray], most: float = np.inf
    ) -> None:
        self.seen, self.log_prior, self.most = seen, log_prior, most
        # A third of the relative spread of n_0 given O, in which a log mean is nearly straight.
        step = min(0.02, 0.3 / np.sqrt(seen))
        self.grid = np.arange(np.log(LEAST), np.log(MOST), step)
        pieces = np.array_split(self.grid, 1 + len(self.grid) // CHUNK)
        sums = [logsumexp(self._bins(np.exp(piece))[1], axis=1) for piece in pieces]
        self.sums = np.maximum(np.concatenate(sums), NOTHING)

    def log_factor(self, odds: np.ndarray) -> np.ndarray:
        """Log mean of N p(N), shape of `odds`."""
        return np.asarray(np.interp(np.log(np.clip(odds, LEAST, MOST)), self.grid, self.sums))

    def draw(self, odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """n_0 for each of `odds`, shape (draw,); 0 where the prior allows none."""
        pieces = np.array_split(odds, 1 + len(odds) // CHUNK)
        return np.concatenate([self._draw(piece, rng) for piece in pieces])

    def _draw(self, odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        edges, logs = self._bins(odds)
        top = logs.max(axis=1, keepdims=True)
        mass = np.cumsum(np.exp(logs - np.where(np.isfinite(top), top, 0.0)), axis=1)
        place = (mass < rng.random((len(odds), 1)) * mass[:, -1:]).sum(axis=1)
        row = np.arange(len(odds))
        left, right = edges[row, place], edges[row, place + 1]
        return np.asarray(np.floor(left + rng.random(len(odds)) * (right - left)))

    def _bins(self, odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Edges of bins of whole numbers, (odds, BINS + 1), and the log mass of each bin."""
        n, each = self.seen, np.clip(odds, LEAST, MOST)[:, None]
        spread = np.sqrt(n * each * (1 + each))
        start = np.maximum(np.floor(n * each - BELOW * spread), 0.0)
        end = np.ceil(n * each + ABOVE * spread + 1)
        edges = np.round(start + (end - start) * np.linspace(0, 1, BINS + 1) ** 1.5)
        edges = np.minimum(edges, np.floor(self.most) - n + 1)
        width = np.diff(edges, axis=1)
        middle = (edges[:, :-1] + np.maximum(edges[:, 1:] - 1, edges[:, :-1])) / 2
        with np.errstate(divide="ignore"):
            logs = (
                gammaln(middle + n) - gammaln(n) - gammaln(middle + 1)
                + middle * (np.log(each) - np.log1p(each)) - n * np.log1p(each)
                + np.log(width) + np.log(n + middle) + self.log_prior(n + middle)
            )  # fmt: skip
        return edges, logs
