"""Weighted draws from a smooth density on the whole space: a mode, its curvature, importance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from hiddenpop.families.maths.adaptive_importance import Sample, sample

__all__ = ["draw_from", "resampled", "weighted_draws"]

type Density = Callable[[np.ndarray], np.ndarray]

STEP = 1e-3
"""Of the differences that give the curvature, in log ratios."""

LEAST = 0.05
"""Least information in any direction: beyond, a normal start is wider than any posterior."""


def weighted_draws(target: Density, size: int, rng: np.random.Generator, rows: int = 8) -> Sample:
    """Draw from a target, as `adaptive_importance.sample`, beginning at its mode.

    Parameters
    ----------
    target
        Log density of (draw, size), not normalised.
    rows
        Width of the target's inner arrays.
    """

    def loss(theta: np.ndarray) -> float:
        value = float(target(theta[None, :])[0])
        return -value if np.isfinite(value) else 1e12

    def slope(theta: np.ndarray) -> np.ndarray:
        steps = STEP * np.eye(size)
        ends = target(np.vstack([theta + steps, theta - steps]))
        found = (ends[size:] - ends[:size]) / (2 * STEP)
        return np.where(np.isfinite(found), found, 0.0)

    mode = minimize(loss, np.zeros(size), jac=slope, method="BFGS", options={"gtol": 1e-3}).x
    return sample(target, [(mode, _information(target, mode))], rng, rows=rows)


def draw_from(
    target: Density, size: int, draws: int, rng: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Draws of equal weight, shape (draw, size)."""
    found = weighted_draws(target, size, rng)
    return np.asarray(found.draws[resampled(found.weights, draws, rng)])


def resampled(weights: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of weighted draws so that each stands for the same weight, in random order."""
    points = (np.arange(draws) + rng.random()) / draws
    rows = np.searchsorted(np.cumsum(weights) / weights.sum(), points)
    return rng.permutation(np.minimum(rows, len(weights) - 1))


def _information(target: Density, mode: np.ndarray) -> np.ndarray:
    """Minus the second derivatives at the mode, made positive definite."""
    size = len(mode)
    steps = STEP * np.eye(size)
    corners = np.array(
        [mode + a * steps[i] + b * steps[j] for i in range(size) for j in range(size)
         for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    )  # fmt: skip
    values = target(corners).reshape(size, size, 4)
    second = (values[..., 0] - values[..., 1] - values[..., 2] + values[..., 3]) / (4 * STEP**2)
    if not np.isfinite(second).all():
        return np.eye(size)
    found = np.linalg.eigh(-(second + second.T) / 2)
    kept = np.maximum(found.eigenvalues, LEAST)
    return np.asarray((found.eigenvectors * kept) @ found.eigenvectors.T)
