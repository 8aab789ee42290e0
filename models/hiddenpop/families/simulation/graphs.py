"""Simulated truths and tables for decomposable graphs, to hold the model against.

Written from the definition of the model, not from its code: a graph is accepted if vertices whose
neighbours all know each other can be taken away until none is left; every list's chance given
the lists it depends on is a beta variable; and people go through the lists one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.simulation.people import draw_size, tabulate
from hiddenpop.inputs.overlap import OverlapTable

if TYPE_CHECKING:  # `families.graphs` re-exports `simulate`
    from hiddenpop.families.graphs import Priors

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
    joined
        Pairs of lists that the graph joins.
    order
        Lists in an order in which each depends only on earlier ones that it is joined to.
    chances
        For each list of `order` the chance of being on it, by what the earlier lists it is
        joined to say, in their order in `order`.
    """

    table: OverlapTable
    N: int
    joined: frozenset[tuple[int, int]]
    order: tuple[int, ...]
    chances: tuple[dict[tuple[int, ...], float], ...]


def draw_truth(data: OverlapTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown of the model from its prior."""
    lists = range(len(data.lists))
    every = list(combinations(lists, 2))
    while True:
        joined = frozenset(pair for pair in every if rng.random() < 0.5)
        order = _removal(len(data.lists), joined)
        if order is not None and (priors.saturated or len(joined) < len(every)):
            break
    delta = priors.delta if priors.delta is not None else 1 / 2 ** len(data.lists)
    chances = []
    for place, here in enumerate(order):
        parents = _neighbours(here, joined) & set(order[:place])
        # Adding up flat Dirichlet cells over the lists that are not looked at.
        weight = delta * 2 ** (len(data.lists) - len(parents) - 1)
        chances.append(
            {
                tuple(int(mark) for mark in f"{code:0{len(parents)}b}"[: len(parents)]):
                float(rng.beta(weight, weight))
                for code in range(2 ** len(parents))
            }
        )  # fmt: skip
    return Truth(data, draw_size(data, priors.size_prior, rng), joined, order, tuple(chances))


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """Let everybody pass the lists; those on none are not in the table."""
    on = np.zeros((truth.N, len(truth.order)), dtype=bool)
    for place, (here, chance) in enumerate(zip(truth.order, truth.chances, strict=True)):
        earlier = [j for j in truth.order[:place] if j in _neighbours(here, truth.joined)]
        for pattern, p in chance.items():
            alike = np.all(on[:, earlier] == np.array(pattern, dtype=bool), axis=1)
            on[alike, here] = rng.random(int(alike.sum())) < p
    return tabulate(truth.table, on, rng)


def _neighbours(here: int, joined: frozenset[tuple[int, int]]) -> set[int]:
    return {one if two == here else two for one, two in joined if here in (one, two)}


def _removal(lists: int, joined: frozenset[tuple[int, int]]) -> tuple[int, ...] | None:
    """Lists in reverse order of their removal; None if no list can be removed: not chordal."""
    left, removed = set(range(lists)), []
    while left:
        for here in sorted(left):
            near = _neighbours(here, joined) & left
            if all(pair in joined for pair in combinations(sorted(near), 2)):
                removed.append(here)
                left.remove(here)
                break
        else:
            return None
    return tuple(reversed(removed))
