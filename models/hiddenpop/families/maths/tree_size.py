"""The size of a tree's root: a negative binomial mixed over the shares, and draws of the shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, gammaln, logsumexp

from hiddenpop.families.maths.integer_sums import (
    Bracket,
    IntegerSums,
    bracket,
    fine_knots,
    posterior_width,
    support,
)
from hiddenpop.families.maths.tree_groups import filled_in
from hiddenpop.families.maths.tree_region import Region
from hiddenpop.families.maths.tree_sampling import resampled, weighted_draws
from hiddenpop.families.maths.unseen_number import UnseenNumber, draw_unseen
from hiddenpop.families.size_prior import SizePrior

__all__ = ["RootSize", "draw_region", "root_size"]

START = 50
"""How many times the counted people the search for the posterior looks at first."""

POINTS, MOST_POINTS = 1500, 8000
"""Odds that a mixture is put together at; at most, where the counts are large."""

FOR_NODES = 2**14
"""Draws of Q for the sizes of the nodes, where that of the root is a closed form."""

LIGHT = 1e-13
"""Weight of a draw that is left out."""

CHUNK = 4_000_000
"""Terms of a mixture that are held at once."""

NARROWER = 4.0
"""The posterior of log N is taken to be at least 1/2 as wide everywhere as its shares' odds."""


class RootSize(NamedTuple):
    """The posterior of N - S.

    Attributes
    ----------
    unseen, probability
        Numbers of people in no counted node, and their probabilities, shape (support,).
    bracket
        Where it lies.
    ess
        Effective draws of the shares; inf where it is a closed form.
    odds, weights
        Weighted draws of U / Q, shape (draw,), and the log ratios they come from, (draw, ratio);
        no ratios where it is a closed form.
    """

    unseen: np.ndarray
    probability: np.ndarray
    bracket: Bracket
    ess: float
    odds: np.ndarray
    weights: np.ndarray
    theta: np.ndarray


def root_size(region: Region, prior: SizePrior, rng: np.random.Generator) -> RootSize:
    """The posterior of the number of people of the root in no counted node."""
    people = float(region.counts.sum())
    if region.beta is None:
        odds, weights, theta, ess = _sampled_odds(region, prior, rng)
        mixture = _mixture(people, prior, odds, weights)
    else:
        first, second = region.beta
        share = np.clip(rng.beta(first, second, FOR_NODES), 1e-300, 1.0)
        odds, theta, ess = (1 - share) / share, np.empty((FOR_NODES, 0)), np.inf
        factor = _factor(people, prior, odds)
        weights = np.exp(factor - logsumexp(factor))
        mixture = partial(_beta_mixture, people, first, second)

    def log_mass(unseen: np.ndarray) -> np.ndarray:
        size = unseen + people
        tilt = prior.log_density(size) + np.log(size)
        return np.asarray(mixture(unseen) + gammaln(size) - gammaln(unseen + 1) + tilt)

    spread = _spread(odds, weights)
    width = posterior_width(people, 1 / (spread / NARROWER + 1 / people), prior.log_density)
    where = bracket(log_mass, width, START * max(people, 10.0), np.floor(prior.most - people))
    knots = fine_knots(where, width)
    logs = log_mass(knots)
    numbers, mass = support(IntegerSums(knots, np.exp(logs - logs.max())[None]))
    return RootSize(numbers, mass / mass.sum(), where, ess, odds, weights, theta)


def _sampled_odds(
    region: Region, prior: SizePrior, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Odds, weights and log ratios of weighted draws of the shares, and how many they are worth."""
    people = float(region.counts.sum())

    def target(theta: np.ndarray) -> np.ndarray:
        return np.asarray(region.log_density(theta) + _factor(people, prior, region.odds(theta)))

    rows = 4 * region.size + len(region.seen)
    found = weighted_draws(target, region.size, rng, rows=rows)
    return region.odds(found.draws), found.weights, found.draws, found.effective


def _beta_mixture(people: float, first: float, second: float, unseen: np.ndarray) -> np.ndarray:
    """Log of the mean of (1 - Q)^u Q^S over Q ~ Beta(first, second)."""
    return np.asarray(betaln(first + people, second + unseen) - betaln(first, second))


def _factor(people: float, prior: SizePrior, odds: np.ndarray) -> np.ndarray:
    """Log mean of p(N) N given the odds: what a prior other than 1/N does to the shares."""
    if prior.kind == "reciprocal":
        return np.zeros(len(odds))
    return np.asarray(_number(people, prior).log_factor(odds))


@lru_cache(maxsize=4)
def _number(people: float, prior: SizePrior) -> UnseenNumber:
    return UnseenNumber(people, prior.log_density, prior.most)


def _spread(odds: np.ndarray, weights: np.ndarray) -> float:
    """Variance of the log of U / Q + 1, that is of N / S."""
    logs = np.log1p(odds)
    mean = float(weights @ logs)
    return float(weights @ (logs - mean) ** 2)


def _mixture(
    people: float, prior: SizePrior, odds: np.ndarray, weights: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Log of the mean over the shares of (1 - Q)^u Q^S, under the prior 1/N.

    The draws are put onto a grid of log odds, each to its two neighbours, so close that the
    negative binomial between them is straight.
    """
    kept = (weights > LIGHT) & (odds > 0)
    logs = np.log(odds[kept])
    log_weight = np.log(weights[kept]) - _factor(people, prior, odds[kept])
    weight = np.exp(log_weight - log_weight.max())
    step = min(np.ptp(logs) / POINTS, 0.5 / np.sqrt(people))
    size = int(min(np.ceil(np.ptp(logs) / max(step, 1e-12)), MOST_POINTS)) + 1
    grid = np.linspace(logs.min(), logs.max() + 1e-12, size)
    place = np.clip(np.searchsorted(grid, logs, side="right") - 1, 0, max(size - 2, 0))
    right = (logs - grid[place]) / (grid[1] - grid[0]) if size > 1 else np.zeros(len(logs))
    mass = np.bincount(place, weight * (1 - right), size)
    mass += np.bincount(np.minimum(place + 1, size - 1), weight * right, size)
    grid, mass = grid[mass > 0], mass[mass > 0]
    log_seen = -np.logaddexp(0.0, grid)
    start, log_unseen = np.log(mass) + people * log_seen, grid + log_seen

    def found(unseen: np.ndarray) -> np.ndarray:
        pieces = np.array_split(unseen, max(1, len(unseen) * len(grid) // CHUNK))
        return np.concatenate(
            [logsumexp(start + piece[:, None] * log_unseen, axis=1) for piece in pieces]
        )

    return found


def draw_region(
    region: Region, size: RootSize | None, draws: int, prior: SizePrior, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """Draws of the shares of all children of the region's knots, and of its unseen people.

    Parameters
    ----------
    size
        As `root_size` found it; None for a counted node, whose unseen are known.

    Returns
    -------
    list
        For each knot the shares of all its parts, (draw, part).
    ndarray
        People of the top in no counted node, (draw,).
    """
    people = float(region.counts.sum())
    if size is None:
        found = weighted_draws(region.log_density, region.size, rng, rows=4 * region.size)
        rows = resampled(found.weights, draws, rng)
        theta, unseen = found.draws[rows], np.full(draws, region.people - people)
    else:
        rows = resampled(size.weights, draws, rng)
        theta = size.theta[rows]
        odds = size.odds[rows]
        plain = prior.kind == "reciprocal"
        unseen = draw_unseen(people, odds, rng) if plain else _number(people, prior).draw(odds, rng)
    if region.beta is None or size is None:
        parts = [np.exp(logs) for logs in region.parts(theta)]
    else:
        parts = [_divided(region, 1 / (1 + size.odds[rows]), rng)]
    full = [
        filled_in(knot.shares, knot.labels, found, rng)
        for knot, found in zip(region.knots, parts, strict=True)
    ]
    return full, unseen


def _divided(region: Region, share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts of the root from Q: its counted children share it as their samples and counts say."""
    knot = region.knots[0]
    alpha, seen = 1 + knot.group.powers @ knot.group.sums, len(knot.below)
    inside = rng.dirichlet(alpha[:seen] + region.counts, len(share)) * share[:, None]
    outside = rng.dirichlet(alpha[seen:], len(share)) * (1 - share[:, None])
    return np.hstack([inside, outside])
