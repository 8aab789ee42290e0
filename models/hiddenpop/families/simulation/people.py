"""What simulators of tables share: how many people there are, and the table of the seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.table import Table

__all__ = ["draw_size", "tabulate"]

TIMES = (1.3, 4.0)
"""Where the prior on N has no mass to draw from, N is so many times what the table observed."""


def draw_size(data: Table, prior: SizePrior, rng: np.random.Generator) -> int:
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


def tabulate(table: OverlapTable, on: np.ndarray, rng: np.random.Generator) -> OverlapTable:
    """The table of people on lists, bool (person, list), with the lists and strata of another.

    Those on no list are not in it; the others fall into strata at random.
    """
    seen = on[on.any(axis=1)]
    stratum = rng.integers(len(table.strata), size=len(seen))
    cells, counts = np.unique(
        np.column_stack([stratum, seen.astype(int)]), axis=0, return_counts=True
    )
    return replace(
        table, history=cells[:, 1:].astype(bool), stratum=cells[:, 0],
        low=counts.astype(float), high=counts.astype(float),
        structural=np.zeros(len(cells), dtype=bool),
    ).sorted()  # fmt: skip
