"""What stated figures say of N: their authors share an overconfidence and a spread.

The log of a figure is normal around log(N x rate x r), with variance tau^2 + (c s)^2: s its stated
sd, c the factor by which stated sds are too small, tau the sd between those who state figures. The
spread is that of a random-effects meta-analysis; Fellows et al. 2024 combine estimates of a size
with divided sds and such a tau.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from hiddenpop.families.maths.benchmark_terms import (
    CHUNK,
    RowLikelihood,
    around,
    sides,
    two_piece,
)
from hiddenpop.inputs.multipliers import Benchmark
from hiddenpop.priors import lognormal_from_interval

__all__ = ["figures_likelihood"]

SPREAD_NODES, CONFIDENCE_NODES = 30, 11
"""Nodes of tau and of the logarithm of c."""

REACH = 8.3
"""Scales of tau that are integrated over."""


def figures_likelihood(
    rows: Sequence[Benchmark],
    overconfidence: tuple[float, float, float],
    between_experts: float,
    a: float,
    b: float,
) -> RowLikelihood:
    """What all figures say of N, with the unknowns they share.

    Nodes: tau (half-normal) by Gauss-Legendre up to 8.3 of its scale, log c by Gauss-Hermite.

    Parameters
    ----------
    overconfidence
        Low, high, level of the log-normal prior of c.
    between_experts
        Scale of the half-normal prior of tau, log scale.
    """
    parts = [around(row, a, b, extra=0.1 * between_experts)[0] for row in rows]
    ends = np.array([sides(row) for row in rows])
    values = np.log([row.value for row in rows])
    tau, of_tau = _half_normal(between_experts)
    mean, sd = lognormal_from_interval(*overconfidence)
    at, weight = np.polynomial.hermite_e.hermegauss(CONFIDENCE_NODES if sd > 0 else 1)
    confidence = np.exp(mean + sd * at)
    log_weight = np.log(np.outer(of_tau, weight / weight.sum())).ravel()
    spread, factor = (part.ravel() for part in np.meshgrid(tau, confidence, indexing="ij"))

    def one(log_N: np.ndarray) -> np.ndarray:
        total = log_weight + np.zeros((len(log_N), 1))
        for part, (low, high), value in zip(parts, ends, values, strict=True):
            below = np.sqrt(spread**2 + (factor * low) ** 2 + part.sd**2)[:, None]
            above = np.sqrt(spread**2 + (factor * high) ** 2 + part.sd**2)[:, None]
            gap = log_N[:, None, None] + part.nodes - value
            total = total + logsumexp(
                two_piece(gap, below, above) + np.log(np.maximum(part.weights, 1e-300)), axis=2
            )
        return np.asarray(logsumexp(total, axis=1))

    widest = max(len(part.nodes) for part in parts)

    def log_likelihood(N: np.ndarray) -> np.ndarray:
        pieces = np.array_split(np.log(N), 1 + len(N) * len(spread) * widest // CHUNK)
        return np.concatenate([one(piece) for piece in pieces])

    means = values - np.array([part.mean for part in parts])
    # About as narrow as it can be: experts who agree, and half as overconfident.
    own = np.exp(mean) / 2 * ends.mean(axis=1)
    sds = np.sqrt(own**2 + [part.spread**2 for part in parts] + (between_experts / 4) ** 2)
    sds = np.maximum(sds, 1e-4)
    return RowLikelihood(
        log_likelihood, tuple(row.id for row in rows), 0.0, max(float(np.exp(means.mean())), 1.0),
        float(1 / np.sqrt(np.sum(1 / sds**2))),
    )  # fmt: skip


def _half_normal(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a half-normal; 0 alone where its scale is 0."""
    if scale == 0:
        return np.zeros(1), np.ones(1)
    at, weight = np.polynomial.legendre.leggauss(SPREAD_NODES)
    # Squared: closer together near 0, where the likelihood may be sharp.
    place = (at + 1) / 2
    tau = REACH * scale * place**2
    weight = weight * place * np.exp(-0.5 * (tau / scale) ** 2)
    return tau, weight / weight.sum()
