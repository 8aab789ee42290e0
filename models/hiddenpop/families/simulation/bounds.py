"""Overlap tables of known people whose lists depend on each other within stated ranges.

Written apart from the estimate: a table of probabilities with the drawn dependence and the lists'
own shares is made by iterative proportional fitting, and everybody draws their lists from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hiddenpop.families.bounds import Priors
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Truth", "draw_truth", "probabilities", "simulate"]

ROUNDS = 500
TRIES = 1000


@dataclass(frozen=True, eq=False)
class Truth:
    """A population and its lists.

    Attributes
    ----------
    N
        People.
    probability
        Of each combination of lists, the first list first, shape (2,) * L.
    odds_ratio
        Of each pair in the whole population, shape (L, L), 1 on the diagonal.
    lists
        Names.
    population
        Residents, or None.
    """

    N: int
    probability: np.ndarray
    odds_ratio: np.ndarray
    lists: tuple[str, ...]
    population: np.ndarray | None


def probabilities(share: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Combinations of lists with given shares and log odds ratios between pairs.

    Parameters
    ----------
    share
        Of the population on each list, shape (list,).
    log_odds
        Log odds ratio of each pair given all other lists, symmetrical, shape (list, list).

    Returns
    -------
    np.ndarray
        Shape (2,) * L, sums to 1.
    """
    size = len(share)
    grid = np.indices((2,) * size)
    weight = sum(
        log_odds[i, j] * grid[i] * grid[j] for i in range(size) for j in range(i + 1, size)
    )
    table = np.exp(np.asarray(weight, dtype=float)) * np.ones((2,) * size)
    for _ in range(ROUNDS):
        for j in range(size):
            margin = table.sum(axis=tuple(k for k in range(size) if k != j))
            shape = [1] * size
            shape[j] = 2
            table = table * (np.array([1 - share[j], share[j]]) / margin).reshape(shape)
    return table


def _marginal_odds(table: np.ndarray) -> np.ndarray:
    size = table.ndim
    odds = np.ones((size, size))
    for i in range(size):
        for j in range(i + 1, size):
            pair = table.sum(axis=tuple(k for k in range(size) if k not in (i, j)))
            odds[i, j] = odds[j, i] = pair[1, 1] * pair[0, 0] / (pair[1, 0] * pair[0, 1])
    return odds


def draw_truth(data: OverlapTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Dependence inside the ranges, evenly on the log scale; N from the table's own size.

    Raises
    ------
    ValueError
        If no dependence was found whose odds ratios in the population are all inside.
    """
    table = data.total()
    size = len(table.lists)
    low, high = np.full((2, size, size), np.log(priors.odds_ratio)[:, None, None])
    for one, other, least, most in priors.pairs:
        i, j = table.lists.index(one), table.lists.index(other)
        low[i, j] = low[j, i] = np.log(max(least, 0.01))
        high[i, j] = high[j, i] = np.log(min(most, 100.0))
    people = int(np.ceil(table.observed * np.exp(rng.uniform(np.log(1.3), np.log(4.0)))))
    share = np.clip(table.list_totals / people, 0.01, 0.9)
    for _ in range(TRIES):
        drawn = np.triu(rng.uniform(low, high), 1)
        made = probabilities(share, drawn + drawn.T)
        odds = _marginal_odds(made)
        away = ~np.eye(size, dtype=bool)
        if np.all((np.log(odds) >= low)[away]) and np.all((np.log(odds) <= high)[away]):
            return Truth(people, made, odds, table.lists, table.population)
    raise ValueError("no dependence inside the ranges was found")


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """Everybody draws their lists; people on none are forgotten."""
    cells = rng.choice(truth.probability.size, size=truth.N, p=truth.probability.ravel())
    history = np.array(np.unravel_index(cells, truth.probability.shape)).T.astype(bool)
    history = history[history.any(axis=1)]
    kinds, count = np.unique(history, axis=0, return_counts=True)
    people = count.astype(float)
    return OverlapTable(
        truth.lists, (), ((),), kinds, np.zeros(len(kinds), dtype=int), people, people,
        np.zeros(len(kinds), dtype=bool), truth.population,
    ).sorted()  # fmt: skip
