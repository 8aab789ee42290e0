"""Probabilities of all combinations of events with given shares and pairwise odds ratios."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

__all__ = ["fitted_cells", "pair_share"]

ROUNDS, NEAR = 2000, 1e-10
"""Most rounds of proportional fitting, and how near all margins must come."""


def pair_share(p1: float, p2: float, odds_ratio: float) -> float:
    """P(both events), by bisection between the least and the most that is possible."""
    low, high = max(0.0, p1 + p2 - 1), min(p1, p2)
    for _ in range(200):
        both = (low + high) / 2
        outside = (p1 - both) * (p2 - both)
        if both * (1 - p1 - p2 + both) < odds_ratio * outside:
            low = both
        else:
            high = both
    return (low + high) / 2


def fitted_cells(
    shares: list[float], odds_ratios: Mapping[tuple[int, int], float]
) -> np.ndarray | None:
    """Probabilities of shape (2,) * events; None where no distribution has these odds ratios.

    Iterative proportional fitting to all tables of two events, from equal cells (Deming &
    Stephan 1940, Ann Math Stat 11:427): nothing is put in beyond the pairs. Pairs without an
    odds ratio have 1.
    """
    count = len(shares)
    cells = np.full((2,) * count, 0.5**count)
    if count == 1:
        return np.array([1 - shares[0], shares[0]])
    goals = {}
    for i, j in combinations(range(count), 2):
        both = pair_share(shares[i], shares[j], odds_ratios.get((i, j), 1.0))
        goals[i, j] = np.array(
            [[1 - shares[i] - shares[j] + both, shares[j] - both], [shares[i] - both, both]]
        )
    for _ in range(ROUNDS):
        apart = 0.0
        for (i, j), goal in goals.items():
            others = tuple(k for k in range(count) if k not in (i, j))
            now = cells.sum(axis=others, keepdims=True)
            shape = [2 if k in (i, j) else 1 for k in range(count)]
            apart = max(apart, float(np.abs(now - goal.reshape(shape)).max()))
            cells = cells * goal.reshape(shape) / np.maximum(now, 1e-300)
        if apart < NEAR:
            return np.asarray(cells / cells.sum())
    return None
