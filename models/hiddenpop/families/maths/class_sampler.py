"""Parallel tempering of latent classes, so that chains find all modes and not the nearest.

Each chain of the answer is the coldest of a ladder of chains whose likelihood is raised to powers
from 0 to 1. Neighbours exchange states, even and odd pairs in turn, which carries
states from end to end (non-reversible tempering; Syed, Bouchard-Cote, Deligiannidis & Doucet 2022,
JRSS B 84:321). The hottest is drawn anew each time, so that every arrival at the cold end
that began there is an independent start. Powers are spaced by equal rates of refusal, and step
sizes tuned, while warming up only (their section 5.1). Ladders know nothing of each other
afterwards: their agreement is what R-hat measures.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import numpy as np

from hiddenpop.families.maths.class_density import ClassModel, State
from hiddenpop.families.maths.class_moves import (
    Level,
    fresh,
    refresh,
    relabel,
    renew_alpha,
    slide,
    swap_gain,
    trajectory,
)

__all__ = ["ClassDraws", "sample_classes"]

PER_LOG = 4
FEWEST, MOST = 12, 48
"""Levels are this many times the log of the people seen, within these ends: about three times the
communication barrier of the tables tried (7 at 621 people, 13 at 8,234), so that neighbours
refuse a third of their swaps."""

MOST_THIN = 8

REFRESHES = 3
SWAPS = 3

ACCEPT = 0.8
"""Rate at which trajectories are to be accepted."""

LARGEST_STEP = 2.0

ADAPT = (0.05, 0.1, 0.2, 0.4, 0.7)
"""Shares of the warm-up after which the powers are spaced anew."""


class ClassDraws(NamedTuple):
    """Draws of the coldest chains.

    Attributes
    ----------
    logit, stick, alpha, fit
        As in `State`, with leading dims (chain, draw).
    round_trips
        How often a state came from the hot end to the cold one, for each chain.
    thin
        Iterations for each draw.
    """

    logit: np.ndarray
    stick: np.ndarray
    alpha: np.ndarray
    fit: np.ndarray
    round_trips: np.ndarray
    thin: int


class _Ladder:
    """Powers and step sizes, shared by all replicates, and what tunes them."""

    def __init__(self, people: float) -> None:
        self.levels = int(np.clip(round(PER_LOG * np.log1p(people)), FEWEST, MOST))
        powers = np.geomspace(0.3 / (1 + people), 1, self.levels - 1)
        self.powers = np.concatenate([[0.0], powers])
        self.steps = np.minimum(0.5, 0.5 / np.sqrt(1 + self.powers * people))
        self.refused, self.times = np.zeros(self.levels - 1), 0

    def tune_steps(self, chance: np.ndarray, iteration: int) -> None:
        """Move step sizes towards the rate wanted (Robbins & Monro); `chance` by level."""
        self.steps *= np.exp(2 * (chance - ACCEPT) / (iteration + 10) ** 0.6)
        self.steps = np.minimum(self.steps, LARGEST_STEP)

    def note(self, chance: np.ndarray) -> None:
        """Keep count of refused swaps between neighbours."""
        self.refused += 1 - chance
        self.times += 1

    def space(self) -> None:
        """Place the powers so that all neighbours refuse equally often."""
        barrier = np.cumsum(np.concatenate([[0.0], np.maximum(self.refused / self.times, 1e-3)]))
        powers = np.interp(np.linspace(0, barrier[-1], self.levels), barrier, self.powers)
        powers[[0, -1]] = 0.0, 1.0
        self.steps = np.interp(powers, self.powers, self.steps)
        self.powers = powers
        self.refused, self.times = np.zeros(self.levels - 1), 0


def sample_classes(
    model: ClassModel,
    chains: int,
    tune: int,
    draws: int,
    rng: np.random.Generator,
    enough: Callable[[ClassDraws], bool] = lambda _: True,
) -> ClassDraws:
    """Draw from the posterior.

    Parameters
    ----------
    chains
        Ladders, each of which gives one chain of draws.
    tune, draws
        Iterations to warm up, and draws to keep; in each iteration all levels make all moves.
    enough
        Whether the draws will do. While they do not, every other one is dropped and as many are
        drawn anew, twice as far apart, until they are `MOST_THIN` iterations apart.
    """
    ladder = _Ladder(model.people)
    levels = ladder.levels
    hot = np.arange(chains) * levels
    state = fresh(model, chains * levels, rng)
    from_hot = np.zeros((chains, levels), dtype=bool)
    trips = np.zeros(chains, dtype=int)
    spaced = {int(share * tune) for share in ADAPT} - {0}
    kept: list[State] = []
    thin = 1
    for iteration in count():
        warming = iteration < tune
        if warming and iteration in spaced:
            ladder.space()
        state, chance = _move(model, state, ladder, chains, rng)
        if warming:
            ladder.tune_steps(chance, iteration)
        order = _swaps(state, ladder, iteration % 2, rng)
        state = state.take((order + hot[:, None]).ravel())
        from_hot = np.take_along_axis(from_hot, order, axis=1)
        trips += from_hot[:, -1] & ~np.bool_(warming)
        from_hot[:, -1], from_hot[:, 0] = False, True
        if warming or (iteration - tune + 1) % thin:
            continue
        kept.append(state.take(hot + levels - 1))
        if len(kept) == draws:
            found = _stacked(kept, trips, thin)
            if thin >= MOST_THIN or enough(found):
                break
            kept, thin = kept[1::2], 2 * thin
    return found


def _stacked(kept: list[State], trips: np.ndarray, thin: int) -> ClassDraws:
    logit, stick, alpha, fit = (np.stack(values, axis=1) for values in zip(*kept, strict=True))
    return ClassDraws(logit, stick, alpha, fit, trips, thin)


def _move(
    model: ClassModel, state: State, ladder: _Ladder, chains: int, rng: np.random.Generator
) -> tuple[State, np.ndarray]:
    """All moves within levels; also the mean acceptance of trajectories by level."""
    level = Level.of(np.tile(ladder.powers, chains))
    step = np.tile(ladder.steps, chains) * rng.uniform(0.5, 1.3, chains * ladder.levels)
    state, chance = trajectory(model, state, level, step, rng)
    for _ in range(REFRESHES):
        state = refresh(model, state, level, rng)
    state = slide(model, state, level, rng)
    state = relabel(state, rng, SWAPS)
    state = renew_alpha(model, state, rng)
    hot = np.arange(chains) * ladder.levels
    for old, new in zip(state, fresh(model, chains, rng), strict=True):
        old[hot] = new
    return state, chance.reshape(chains, -1).mean(axis=0)


def _swaps(state: State, ladder: _Ladder, first: int, rng: np.random.Generator) -> np.ndarray:
    """Which level's state each level has next, shape (chain, level); pairs from `first` on."""
    chance = np.exp(np.minimum(0.0, swap_gain(state, ladder.powers)))
    ladder.note(chance.mean(axis=0))
    swapped = rng.random(chance.shape) < chance
    swapped[:, 1 - first :: 2] = False
    order = np.tile(np.arange(ladder.levels), (len(chance), 1))
    row, place = np.nonzero(swapped)
    order[row, place], order[row, place + 1] = place + 1, place
    return order
