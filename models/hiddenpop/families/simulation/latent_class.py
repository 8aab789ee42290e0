"""Simulated truths and tables for latent classes, to hold the model against.

Written from the definition of the model, not from its code: sticks are broken one after the
other, everybody gets a class, and everybody passes the lists of the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.simulation.people import draw_size, tabulate
from hiddenpop.inputs.overlap import OverlapTable

if TYPE_CHECKING:  # `families.latent_class` re-exports `simulate`
    from hiddenpop.families.latent_class import Priors

__all__ = ["Truth", "draw_truth", "simulate"]


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
    size = draw_size(data, priors.size_prior, rng)
    return Truth(data, size, float(alpha), np.array(shares), chances)


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """Let everybody pass the lists; those on none are not in the table."""
    member = rng.choice(len(truth.shares), size=truth.N, p=truth.shares / truth.shares.sum())
    on = rng.random((truth.N, truth.chances.shape[1])) < truth.chances[member]
    return tabulate(truth.table, on, rng)
