"""Simulated truths and tables for two lists, to hold the model against.

Written from the definition of the model, not from its code: a fourfold table of probabilities is
laid out cell by cell, and every person is put into a cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.simulation.people import draw_size
from hiddenpop.inputs.overlap import Margins, OverlapTable

if TYPE_CHECKING:  # `families.two_list` re-exports `simulate`
    from hiddenpop.families.two_list import Priors

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
    first_of_second, second_of_first
        Chance that somebody on one list is on the other as well.
    odds_ratio
        Between the lists.
    """

    table: OverlapTable | Margins
    N: int
    first_of_second: float
    second_of_first: float
    odds_ratio: float

    def cells(self) -> np.ndarray:
        """Probability of being on no list, on the first only, the second only, and both."""
        both = 1.0
        second = both * (1 - self.first_of_second) / self.first_of_second
        first = both * (1 - self.second_of_first) / self.second_of_first
        sizes = np.array([self.odds_ratio * first * second / both, first, second, both])
        return np.asarray(sizes / sizes.sum())


def draw_truth(data: OverlapTable | Margins, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown of the model from its prior."""
    mean, sigma = priors.log_odds_ratio
    return Truth(
        data, draw_size(data, priors.size_prior, rng),
        max(float(rng.beta(priors.a, priors.b)), 1e-12),
        max(float(rng.beta(priors.a, priors.b)), 1e-12),
        float(np.exp(rng.normal(mean, sigma))),
    )  # fmt: skip


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable | Margins:
    """Put everybody into a cell; those on no list are not in the table."""
    place = np.searchsorted(np.cumsum(truth.cells())[:-1], rng.random(truth.N), side="right")
    seen = place[place > 0]
    if isinstance(truth.table, Margins):
        totals = (int(np.sum(seen != 2)), int(np.sum(seen != 1)))
        return replace(truth.table, totals=totals, distinct=len(seen))
    stratum = rng.integers(len(truth.table.strata), size=len(seen))
    cells, counts = np.unique(np.column_stack([stratum, seen]), axis=0, return_counts=True)
    return replace(
        truth.table, history=np.column_stack([cells[:, 1] != 2, cells[:, 1] != 1]),
        stratum=cells[:, 0], low=counts.astype(float), high=counts.astype(float),
        structural=np.zeros(len(cells), dtype=bool),
    ).sorted()  # fmt: skip
