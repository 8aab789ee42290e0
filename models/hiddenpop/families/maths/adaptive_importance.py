"""Importance sampling from mixtures of t distributions that learn the target's place and shape.

Proposals are t distributions with 4 degrees of freedom: first at each mode of the target, then at
the weighted mean of all points so far; where that leaves few effective draws, because the target
is bent or far from where it was begun, narrower ones around several of the draws. All points
count, with the density of the whole mixture below (deterministic-mixture weights; Cornuet, Marin,
Mira & Robert 2012, Scand J Stat 39:798). Points are scrambled Sobol numbers, so that smooth
functions of few parameters carry far less error than independent draws would give them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp, ndtri
from scipy.stats import chi2
from scipy.stats.qmc import Sobol

from hiddenpop.families.maths.truncated_counts import Target

__all__ = ["Sample", "evaluate", "sample"]

FREEDOM = 4
FIRST = 2**11
"""Points from each place to begin at; a quarter of them where there are many."""

LEARNT = (2**12, 2**13)
"""Points from the learnt component of each later round."""

KERNELS, KERNEL_POINTS, KERNEL_ROUNDS, KERNEL_WIDTH = 8, 2**8, 10, 0.7
"""Components of a further round, points of each, the most rounds, and the width of a component in
units of the target's."""

ENOUGH = 3000.0
"""Effective draws that need no further round."""

CHUNK = 2_000_000
"""Values of the target's inner arrays that are held at once."""


class Component(NamedTuple):
    """A t distribution, and how many points were drawn from it."""

    centre: np.ndarray
    scale: np.ndarray
    points: int


class Sample(NamedTuple):
    """Weighted draws.

    Attributes
    ----------
    draws
        Shape (draw, parameter).
    weights
        Sum to 1, shape (draw,).
    log_evidence
        Log of the target's integral.
    """

    draws: np.ndarray
    weights: np.ndarray
    log_evidence: float

    @property
    def effective(self) -> float:
        """Effective number of draws (Kong, Liu & Wong 1994)."""
        return 1 / float(self.weights @ self.weights)


class _Mixture:
    """Components, their points, and the target there."""

    def __init__(self, target: Target, size: int, rows: int, rng: np.random.Generator) -> None:
        self.target, self.rows, self.rng = target, rows, rng
        self.parts: list[Component] = []
        self.draws, self.values = np.empty((0, size)), np.empty(0)
        self.below = np.empty((0, 0))

    def add(self, parts: Sequence[Component]) -> Sample:
        """Draw from more components, and weigh all draws again."""
        more = np.vstack([_propose(part, self.rng) for part in parts])
        old = [_log_density(more, part) for part in self.parts]
        self.draws = np.vstack([self.draws, more])
        new = [_log_density(self.draws, part) for part in parts]
        left = np.hstack([self.below, np.array(old)]) if old else np.empty((0, len(more)))
        self.below = np.vstack([left, np.array(new)])
        self.values = np.concatenate([self.values, evaluate(self.target, more, self.rows)])
        self.parts += parts
        points = np.array([part.points for part in self.parts], dtype=float)
        share = (points / points.sum())[:, None]
        log_weights = self.values - logsumexp(self.below, axis=0, b=share)
        if not np.isfinite(log_weights).any():
            flat = np.full(len(self.draws), 1 / len(self.draws))
            return Sample(self.draws, flat, -np.inf)
        total = float(logsumexp(log_weights))
        evidence = total - float(np.log(len(self.draws)))
        return Sample(self.draws, np.exp(log_weights - total), evidence)


def sample(
    target: Target,
    modes: Sequence[tuple[np.ndarray, np.ndarray]],
    rng: np.random.Generator,
    rows: int = 1,
) -> Sample:
    """Draw from a target.

    Parameters
    ----------
    target
        Log density, not normalised.
    modes
        Places to begin at, each with an inverse covariance.
    rows
        Width of the target's inner arrays, which sets how many draws it is given at once.
    """
    mixture = _Mixture(target, len(modes[0][0]), rows, rng)
    first = FIRST if len(modes) < 3 else FIRST // 4
    found = mixture.add([
        Component(mode, np.linalg.cholesky(np.linalg.inv(information)), first)
        for mode, information in modes
    ])  # fmt: skip
    for points in LEARNT:
        _, centre, scale = _shape(found)
        found = mixture.add([Component(centre, scale, points)])
    for _ in range(KERNEL_ROUNDS):
        if found.effective >= ENOUGH:
            break
        flat, _, scale = _shape(found)
        chosen = found.draws[rng.choice(len(flat), size=KERNELS, p=flat)]
        found = mixture.add(
            [Component(centre, KERNEL_WIDTH * scale, KERNEL_POINTS) for centre in chosen]
        )
    return found


def evaluate(target: Target, draws: np.ndarray, rows: int) -> np.ndarray:
    """The target at all draws; -inf where it cannot be computed."""
    pieces = np.array_split(draws, max(1, len(draws) * rows // CHUNK))
    with np.errstate(all="ignore"):
        found = np.concatenate([target(piece) for piece in pieces])
    return np.where(np.isfinite(found), found, -np.inf)


def _propose(part: Component, rng: np.random.Generator) -> np.ndarray:
    """Draws from a component."""
    size = len(part.centre)
    uniform = Sobol(size + 1, rng=rng).random(part.points)
    uniform = np.clip(uniform, 1e-12, 1 - 1e-12)
    width = np.sqrt(FREEDOM / chi2.ppf(uniform[:, -1:], FREEDOM))
    return np.asarray(part.centre + width * (ndtri(uniform[:, :-1]) @ part.scale.T))


def _log_density(draws: np.ndarray, part: Component) -> np.ndarray:
    """Of a multivariate t."""
    size = draws.shape[1]
    away = solve_triangular(part.scale, (draws - part.centre).T, lower=True)
    half = (FREEDOM + size) / 2
    constant = (
        gammaln(half) - gammaln(FREEDOM / 2) - size / 2 * np.log(FREEDOM * np.pi)
        - np.log(np.diag(part.scale)).sum()
    )  # fmt: skip
    return np.asarray(constant - half * np.log1p((away**2).sum(axis=0) / FREEDOM))


def _shape(found: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, their mean, and the Cholesky factor of their covariance.

    Where few draws carry the weight, weights are first raised to a power below 1 that makes
    them many enough to have a covariance: so the proposals walk towards a target that none of
    them has reached.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(found.weights) - np.log(found.weights.max())
    size = found.draws.shape[1]
    for power in (1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.0):
        flat = np.exp(power * logs) if power else np.ones(len(logs))
        flat /= flat.sum()
        if 1 / float(flat @ flat) >= 30 * size:
            break
    centre = flat @ found.draws
    away = found.draws - centre
    covariance = (flat[:, None] * away).T @ away
    covariance += 1e-9 * np.diag(np.diag(covariance))
    return flat, centre, np.linalg.cholesky(covariance)
