"""The posterior of the unseen averaged over all decomposable graphs, streamed over them.

A graph is a row of a matrix product. All rows are looked at on coarse knots, and only those
that matter on fine ones; no matrix of all graphs by all numbers of people is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from hiddenpop.families.maths.chordal import chordal_graphs, log_evidence_parts
from hiddenpop.families.maths.integer_sums import (
    CUT,
    Bracket,
    IntegerSums,
    Width,
    bracket,
    fine_knots,
    posterior_width,
)

__all__ = ["GraphAverage", "Setting", "average_graphs"]

BLOCK = 2**18
"""Numbers in a block of graphs by knots, 2 MB: what a processor keeps at hand."""

NEGLIGIBLE = 1e-12
"""Graphs with less of the posterior on coarse knots are not looked at again."""

SHOWN, MOST_SHOWN = 1e-6, 250
"""Graphs with more of the posterior are summarised, the heaviest first, and so many at most."""

START = 50
"""How many times the observed people the search for the bulk looks at first."""


class Setting(NamedTuple):
    """Data and prior of a posterior over graphs and the unseen.

    Attributes
    ----------
    counts
        People with each history (the first list counts 1), none at the all-zero one, (2^p,).
    delta
        Prior people per cell.
    log_prior
        Log prior of N, up to a constant.
    first, last
        Least and greatest number of unseen that is allowed; `last` may be inf.
    """

    counts: np.ndarray
    delta: float
    log_prior: Callable[[np.ndarray], np.ndarray]
    first: float = 0.0
    last: float = np.inf

    @property
    def width(self) -> Width:
        """Least standard deviation of the posterior around a number of unseen."""
        observed = max(float(self.counts.sum()), 1.0)
        return posterior_width(observed, observed, self.log_prior)

    def at(self, unseen: np.ndarray) -> _Grid:
        """What all graphs share at some numbers of unseen."""
        margins, rest = log_evidence_parts(self.counts, self.delta, unseen)
        return _Grid(unseen, margins, rest + self.log_prior(unseen + self.counts.sum()))

    def bracket(self, incidence: np.ndarray, last: float) -> Bracket:
        """Where the posterior averaged over some graphs lies."""
        start = START * max(float(self.counts.sum()), 10.0)

        def log_mass(unseen: np.ndarray) -> np.ndarray:
            return self.at(unseen).log_mixture(incidence)

        return bracket(log_mass, self.width, start, last, self.first)


class _Grid(NamedTuple):
    """Numbers of unseen, log margins (2^p, unseen), and all else in log p(N) P(n | N, G)."""

    unseen: np.ndarray
    margins: np.ndarray
    rest: np.ndarray

    def blocks(self, incidence: np.ndarray) -> Iterator[np.ndarray]:
        """Log of p(N) P(n | N, G) for all graphs, block by block, each (graph, unseen)."""
        height = max(1, BLOCK // len(self.unseen))
        for place in range(0, len(incidence), height):
            rows = incidence[place : place + height].astype(float) @ self.margins
            rows += self.rest
            yield rows

    def log_mixture(self, incidence: np.ndarray) -> np.ndarray:
        """Log of the sum over graphs, shape (unseen,)."""
        top, total = np.full(len(self.unseen), -np.inf), np.zeros(len(self.unseen))
        for rows in self.blocks(incidence):
            higher = np.maximum(top, rows.max(axis=0))
            added = np.exp(rows - higher).sum(axis=0)
            top, total = higher, total * np.exp(top - higher) + added
        return np.asarray(top + np.log(total))

    def log_weights(self, incidence: np.ndarray) -> np.ndarray:
        """Log of each graph's sum over all numbers of unseen, shape (graph,).

        By the trapezoidal rule, which for bell-shaped masses on evenly spaced knots is right to
        1e-8 even where knots are a standard deviation apart.
        """
        gaps = np.diff(self.unseen, prepend=self.unseen[0] - 1, append=self.unseen[-1] + 1)
        spacing, sums = (gaps[1:] + gaps[:-1]) / 2, []
        for rows in self.blocks(incidence):
            top = rows.max(axis=1, keepdims=True)
            sums.append(top[:, 0] + np.log(np.exp(rows - top) @ spacing))
        return np.concatenate(sums)


class GraphAverage(NamedTuple):
    """The posterior over graphs and the unseen.

    Attributes
    ----------
    mixture
        Masses of the unseen, one row.
    weights
        Posterior probability of each graph among those averaged, shape (graph,).
    shown
        Graphs that were summarised, the heaviest first.
    single
        Masses of the unseen under each graph shown, one row each.
    saturated
        Posterior probability of the saturated graph among all graphs, averaged or not.
    tail
        Posterior beyond the last number of unseen.
    power
        The tail falls as N to minus this power; inf where it ends.
    left_out
        Posterior that would lie beyond `last` if there were no such limit.
    """

    mixture: IntegerSums
    weights: np.ndarray
    shown: np.ndarray
    single: IntegerSums
    saturated: float
    tail: float
    power: float
    left_out: float


def average_graphs(setting: Setting, *, saturated: bool, most: float = np.inf) -> GraphAverage:
    """Average over all decomposable graphs, with or without the saturated one.

    Parameters
    ----------
    most
        Greatest number of unseen that the prior on N allows; `setting.last` may be less.
    """
    every = chordal_graphs(len(setting.counts).bit_length() - 1).incidence
    used = every if saturated else every[:-1]
    found = setting.bracket(used, setting.last)
    low, high = found.ends(CUT)
    coarse = found.knots[(found.knots >= low) & (found.knots <= high)]
    screened = setting.at(coarse).log_weights(used)
    kept = np.flatnonzero(screened > screened.max() + np.log(NEGLIGIBLE))
    fine = setting.at(fine_knots(found, setting.width))
    log_weights = fine.log_weights(used[kept])
    weights = np.zeros(len(used))
    weights[kept] = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    shown = np.argsort(-weights, kind="stable")[:MOST_SHOWN]
    shown = shown[weights[shown] > SHOWN]
    singles = np.vstack(list(fine.blocks(used[shown])))
    mixed = fine.log_mixture(used[kept])
    wider = setting.bracket(used, most) if setting.last < most else found
    log_others = np.logaddexp.reduce(log_weights[kept != len(every) - 1])
    return GraphAverage(
        IntegerSums(fine.unseen, np.exp(mixed - mixed.max())[None]),
        weights, shown,
        IntegerSums(fine.unseen, np.exp(singles - singles.max(axis=1, keepdims=True))),
        _saturated(setting, every[-1:], log_others),
        found.tail, found.power, float(wider.share[wider.knots > setting.last].sum()),
    )  # fmt: skip


def _saturated(setting: Setting, incidence: np.ndarray, log_others: float) -> float:
    """Posterior probability of the saturated graph, on its own knots: it lies elsewhere."""
    found = setting.bracket(incidence, setting.last)
    log_own = float(setting.at(fine_knots(found, setting.width)).log_weights(incidence)[0])
    return float(np.exp(log_own - np.logaddexp(log_own, log_others)))
