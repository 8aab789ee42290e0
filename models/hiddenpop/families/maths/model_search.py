"""Stochastic search among hierarchical models that are too many to look at one by one.

MC3 (Madigan & York 1995, International Statistical Review 63:215): a Markov chain on models, one
term added or taken at a time, whose stationary distribution is the posterior. Scores are kept, so
that no model is scored twice, and the average afterwards goes over all models that were scored,
by score and not by visits: the chain only has to find them. It looks at all neighbours of where
it stands, and moves to one with locally balanced weights g(t) = t / (1 + t) of the ratio t of
posteriors (Zanella 2020, JASA 115:852, with acceptance min(1, Z(model) / Z(neighbour))). Half of
the chains take the posterior to a power, and so cross between groups of models more easily. At
the end every model of any weight is given its neighbours too, until no new one matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from hiddenpop.families.maths.hierarchy import moves, sizes

__all__ = ["Found", "search_models"]

Score = Callable[[np.ndarray], np.ndarray]

POWERS = (1.0, 1.0, 0.4, 0.4)
"""Powers of the posterior, one a chain."""

STEPS = 400
MOST = 40_000
"""Models that are scored at most."""

MATTERS = 1e-4
"""A model with this share of the posterior must have had its neighbours scored."""


class Found(NamedTuple):
    """Models that a search scored.

    Attributes
    ----------
    models
        Bool, shape (model, term).
    score
        Log posterior probability up to a constant, shape (model,).
    agreement
        The smallest share of all that was found which a chain of the posterior itself found
        alone: near 1 where chains from different starts agree.
    complete
        Whether all neighbours of every model that matters were scored.
    """

    models: np.ndarray
    score: np.ndarray
    agreement: float
    complete: bool


class _Cache:
    """Scores by model, and which models have had all their neighbours scored."""

    def __init__(self, score: Score, masks: np.ndarray, allowed: np.ndarray) -> None:
        self._compute = score
        self._masks = masks
        self._allowed = allowed
        self._place: dict[bytes, int] = {}
        self.rows: list[np.ndarray] = []
        self.scores: list[float] = []
        self.neighbours: dict[int, np.ndarray] = {}

    def add(self, rows: np.ndarray) -> np.ndarray:
        """Score the models that are new; places of all, shape (model,)."""
        keys = [bits.tobytes() for bits in np.packbits(rows, axis=1)]
        new: dict[bytes, int] = {}
        for number, key in enumerate(keys):
            if key not in self._place:
                new.setdefault(key, number)
        if new:
            fresh = rows[list(new.values())]
            start = len(self.rows)
            self._place |= {key: start + i for i, key in enumerate(new)}
            self.rows += list(fresh)
            self.scores += self._compute(fresh).tolist()
        return np.array([self._place[key] for key in keys])

    def expand(self, places: Sequence[int]) -> None:
        """Score all neighbours of some models."""
        wanted = [place for place in dict.fromkeys(places) if place not in self.neighbours]
        if not wanted:
            return
        around = [self._around(self.rows[place]) for place in wanted]
        found = self.add(np.concatenate(around))
        ends = np.cumsum([len(rows) for rows in around])
        for place, part in zip(wanted, np.split(found, ends[:-1]), strict=True):
            self.neighbours[place] = part

    def _around(self, row: np.ndarray) -> np.ndarray:
        which = np.flatnonzero(moves(row, self._masks) & self._allowed)
        rows = np.tile(row, (len(which), 1))
        rows[np.arange(len(which)), which] ^= True
        return rows


def search_models(
    score: Score,
    masks: np.ndarray,
    rng: np.random.Generator,
    *,
    allowed: np.ndarray | None = None,
    steps: int = STEPS,
    most: int = MOST,
) -> Found:
    """Search the hierarchical models that hold all main effects.

    Parameters
    ----------
    score
        Log posterior probability, up to a constant, of models (model, term) as bool.
    masks
        Terms of the columns, parts before wholes (`hierarchy.terms`), shape (term,).
    allowed
        Terms that a model may have, bool, shape (term,); all by default.
    steps
        Steps of each chain.
    most
        Models scored at most, about.
    """
    free = np.ones(len(masks), dtype=bool) if allowed is None else allowed
    cache = _Cache(score, masks, free)
    here = cache.add(_starts(masks, free, len(POWERS), rng))
    trodden: list[set[int]] = [set() for _ in POWERS]
    for _ in range(steps):
        if len(cache.rows) > most:
            break
        here = _move(cache, here, trodden, rng)
    complete = _complete(cache, most)
    scores = np.array(cache.scores)
    share = np.exp(scores - logsumexp(scores))
    agreement = min(
        float(share[_seen(cache, walk)].sum())
        for walk, power in zip(trodden, POWERS, strict=True) if power == 1
    )  # fmt: skip
    return Found(np.array(cache.rows), scores, agreement, complete)


def _starts(
    masks: np.ndarray, allowed: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Main effects alone, all pairs, and pairs at random, shape (count, term)."""
    rows = np.tile(sizes(masks) == 1, (count, 1))
    pairs = np.flatnonzero((sizes(masks) == 2) & allowed)
    rows[1, pairs] = True
    rows[2:, pairs] = rng.random((count - 2, len(pairs))) < 0.5
    return rows


def _move(
    cache: _Cache, here: np.ndarray, trodden: list[set[int]], rng: np.random.Generator
) -> np.ndarray:
    """One step of every chain."""
    cache.expand(here.tolist())
    proposals, totals = [], []
    for place, power, walk in zip(here.tolist(), POWERS, trodden, strict=True):
        walk.add(place)
        weights = _weights(cache, place, power)
        totals.append(weights.sum())
        proposals.append(int(rng.choice(cache.neighbours[place], p=weights / weights.sum())))
    cache.expand(proposals)
    back = [
        _weights(cache, place, power).sum() for place, power in zip(proposals, POWERS, strict=True)
    ]
    accepted = rng.random(len(here)) < np.array(totals) / np.array(back)
    return np.where(accepted, proposals, here)


def _weights(cache: _Cache, place: int, power: float) -> np.ndarray:
    scores = np.array([cache.scores[other] for other in cache.neighbours[place]])
    # A chance that is not 0 keeps the sum positive where every neighbour is far worse.
    return np.asarray(expit(power * (scores - cache.scores[place])) + 1e-300)


def _complete(cache: _Cache, most: int) -> bool:
    """Score the neighbours of every model that matters; False if there was no room for it."""
    while True:
        scores = np.array(cache.scores)
        share = np.exp(scores - logsumexp(scores))
        left = [int(i) for i in np.flatnonzero(share > MATTERS) if int(i) not in cache.neighbours]
        if not left:
            return True
        if len(cache.rows) > most:
            return False
        cache.expand(left)


def _seen(cache: _Cache, walk: set[int]) -> list[int]:
    """Models that a chain stood on or beside."""
    found = set(walk)
    for place in walk:
        found.update(cache.neighbours.get(place, np.array([], dtype=int)).tolist())
    return list(found)
