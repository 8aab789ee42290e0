"""Simulated truths and tables for latent classes, to hold the model against.

Written from the definition of the model, not from its code: sticks are broken one after the
other, everybody gets a class, and everybody passes the lists of the class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.inputs.overlap import OverlapTable

if TYPE_CHECKING:  # `families.latent_class` re-exports `simulate`
    from hiddenpop.families.latent_class import Priors
    from hiddenpop.families.size_prior import SizePrior

__all__ = ["Truth", "draw_truth", "simulate"]

TIMES = (1.3, 4.0)
"""Where the prior on N has no mass to draw from, N is so many times what the table observed."""


@dataclass(frozen=True)
class Truth:
    """Everything the model treats as unknown, with known values.

    Attributes
    ----------
    table
        Whose lists and strata are kept; its counts are not used.
    N
        People.
    alpha
        Concentration.
    shares
        Of the classes, shape (class,).
    chances
        Of the people of a class to be on a list, shape (class, list).
    """

    table: OverlapTable
    N: int
    alpha: float
    shares: np.ndarray
    chances: np.ndarray


def draw_truth(data: OverlapTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown of the model from its prior."""
    alpha = rng.gamma(priors.alpha_shape, 1 / priors.alpha_rate)
    left, shares = 1.0, []
    for _ in range(priors.classes - 1):
        # With a tiny alpha the first piece is the whole stick.
        piece = left * (rng.beta(1.0, alpha) if alpha > 1e-8 else 1.0)
        shares.append(piece)
        left -= piece
    shares.append(max(left, 0.0))
    chances = rng.uniform(size=(priors.classes, len(data.lists)))
    size = _draw_size(data, priors.size_prior, rng)
    return Truth(data, size, float(alpha), np.array(shares), chances)


def _draw_size(data: OverlapTable, prior: SizePrior, rng: np.random.Generator) -> int:
    """N from its prior, or, where that is improper, around the size of the table."""
    if prior.kind == "uniform":
        return int(rng.integers(1, int(prior.one) + 1))
    if prior.kind == "lognormal":
        # The normal quantile of 0.9 is 1.2816.
        spread = np.log(prior.two / prior.one) / 1.2815515655
        return max(1, round(float(prior.one * np.exp(rng.normal(0, spread)))))
    if prior.kind == "gamma":
        return max(1, int(rng.poisson(rng.gamma(prior.one, prior.two))))
    least, most = (times * max(data.observed, 1) for times in TIMES)
    return round(float(np.exp(rng.uniform(np.log(least), np.log(most)))))


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """Let everybody pass the lists; those on none are not in the table."""
    member = rng.choice(len(truth.shares), size=truth.N, p=truth.shares / truth.shares.sum())
    on = rng.random((truth.N, truth.chances.shape[1])) < truth.chances[member]
    seen = on[on.any(axis=1)]
    stratum = rng.integers(len(truth.table.strata), size=len(seen))
    cells, counts = np.unique(
        np.column_stack([stratum, seen.astype(int)]), axis=0, return_counts=True
    )
    return replace(
        truth.table, history=cells[:, 1:].astype(bool), stratum=cells[:, 0],
        low=counts.astype(float), high=counts.astype(float),
        structural=np.zeros(len(cells), dtype=bool),
    ).sorted()  # fmt: skip
