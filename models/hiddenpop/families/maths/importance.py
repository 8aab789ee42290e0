"""Importance sampling of log-linear models under a proper prior, and their evidence.

The prior with sigma^2 integrated out has tails and, in small tables, a spike at 0 that no
elliptical proposal follows. So sigma^2 stays: log sigma^2 is integrated by the trapezoidal rule,
whose error for a smooth density falls as exp(-2 pi^2 (sd / spacing)^2), and at each of its nodes
the posterior of the coefficients is log-concave with Gaussian tails. There the proposal is a
split multivariate t (Geweke 1989, Econometrica 57:1317, section 5): at the mode, with the
curvature of the mode but a width of its own on either side of each axis. It is never too light:
no weight is unbounded. The weights of a model's draws add up to its evidence, and the draws of
all models and nodes together are draws of the average over models.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, logsumexp

from hiddenpop.families.maths.proper_prior import (
    Modes,
    Prior,
    Table,
    batches,
    find_modes,
    laplace,
    log_posterior,
)

__all__ = ["Particles", "draw_particles"]

DEGREES = 4.0
"""Degrees of freedom of the proposals."""

REACH = 10.0
SPACING = 1.2
"""Nodes of log sigma^2 reach this far from their middle, so far apart: in standard deviations."""

MOST_SPACING = 0.5

FLAT = 25.0
"""A table in which all cells are alike is out of the question when it is exp(FLAT) less likely."""

WIDENINGS = 4
MOST_WIDTHS = (0.6, 5.0)
"""Bounds of the widths of a proposal on either side of an axis, and steps towards them."""

NEAR = 1e-4
"""Proposals need not stand exactly at a mode: within this of the log density will do."""

LEAST_SHARE = 1e-7
"""A model's node with a smaller share of all evidence than this has no draws."""

LEAST_DRAWS = 8
"""Draws of each node of a model, at least; numbers of draws are this times powers of 2."""


class Particles(NamedTuple):
    """Weighted draws of parameters from the average over models.

    Attributes
    ----------
    theta
        Shape (particle, column), 0 where the model has not the column.
    model
        Row of the model each belongs to, shape (particle,).
    log_weight
        Those of one model add up to its evidence, shape (particle,).
    """

    theta: np.ndarray
    model: np.ndarray
    log_weight: np.ndarray


class _Nodes(NamedTuple):
    """Pairs of a model and a value of sigma^2."""

    model: np.ndarray
    log_variance: np.ndarray
    log_weight: np.ndarray


def draw_particles(
    table: Table, prior: Prior, modes: Modes, draws: int, rng: np.random.Generator
) -> Particles:
    """Draw from the posteriors of some models, each as often as Laplace's evidence says.

    Parameters
    ----------
    prior
        Either with sigma^2 to be integrated out, or with sigma^2 known.
    modes
        Modes of the models under that prior.
    draws
        About how many in all; never fewer than `LEAST_DRAWS` for a node that matters.
    """
    nodes = _nodes(table, prior, modes)
    known = prior._replace(variance=np.exp(nodes.log_variance))
    tops = find_modes(table, known, modes.has[nodes.model], modes.point[nodes.model], NEAR)
    mass = laplace(tops) + nodes.log_weight
    share = np.exp(mass - logsumexp(mass))
    widths = _widths(table, known, tops, _heaviest(nodes.model, mass))[nodes.model]
    counts = _counts(share, draws)
    parts = []
    for count in np.unique(counts[counts > 0]):
        which = np.flatnonzero(counts == count)
        for rows in batches(len(which), int(count) * max(tops.has.shape[1], len(table.design))):
            chosen = which[rows]
            theta, log_weight = _propose(
                table, known.rows(chosen), tops.rows(chosen), widths[chosen], int(count), rng
            )
            log_weight += nodes.log_weight[chosen, None]
            owner = np.repeat(nodes.model[chosen], count)
            parts.append((theta.reshape(-1, theta.shape[-1]), owner, log_weight.ravel()))
    return Particles(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _heaviest(model: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Each model's node of the greatest mass, shape (model,)."""
    order = np.lexsort((-mass, model))
    return np.asarray(order[np.unique(model[order], return_index=True)[1]])


def _counts(share: np.ndarray, draws: int) -> np.ndarray:
    """Draws of each node, few different numbers, so that nodes make few batches."""
    doubled = np.ceil(np.log2(np.maximum(share * draws / LEAST_DRAWS, 1.0))).astype(int)
    return np.where(share > LEAST_SHARE, LEAST_DRAWS * 2**doubled, 0)


def _nodes(table: Table, prior: Prior, modes: Modes) -> _Nodes:
    """Where to take sigma^2, around InvGamma((a + d)/2, (b + beta'beta)/2) at each mode."""
    count = len(modes.point)
    if prior.variance is not None:
        return _Nodes(np.arange(count), np.log(prior.variance), np.zeros(count))
    a, b = prior.a, prior.b
    size = modes.has.sum(1) - 1
    spread = np.sqrt(2 / size)
    step = np.minimum(SPACING * spread, MOST_SPACING)
    square = np.einsum("mp,mp->m", modes.point[:, 1:], modes.point[:, 1:])
    middle = np.log((b + square) / (a + size))
    low, high = middle - REACH * spread, middle + REACH * spread
    evidence = laplace(modes)
    flat = _flat(table) > evidence.max() - FLAT
    if flat:
        low, high = np.minimum(low, np.log(b / 2) - 4), np.maximum(high, 4.0)
    many = np.ceil((high - low) / step).astype(int) + 1
    owner = np.repeat(np.arange(count), many)
    place = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    s = low[owner] + step[owner] * place
    density = a / 2 * np.log(b / 2) - gammaln(a / 2) - a / 2 * s - b / 2 * np.exp(-s)
    off = s - middle[owner]
    # The coefficients follow sigma^2, so that the posterior of it falls more slowly than this.
    fall = (a + size[owner]) / 2 * (off + np.exp(-off) - 1)
    share = (evidence - logsumexp(evidence))[owner] - fall / 2
    kept = (share > np.log(LEAST_SHARE) - 2) | (flat & (off < 0))
    return _Nodes(owner[kept], s[kept], (density + np.log(step[owner]))[kept])


def _flat(table: Table) -> float:
    """Greatest log likelihood of a table in which all cells are alike, about."""
    people, cells = table.count.sum(), len(table.count)
    theta = np.zeros((1, table.exact.shape[1]))
    theta[0, 0] = np.log((people + 0.5) / max(cells, 1))
    return float(table.log_likelihood(theta)[0])


def _widths(table: Table, prior: Prior, tops: Modes, nodes: np.ndarray) -> np.ndarray:
    """How far the posterior reaches on both sides of each axis, in standard deviations.

    Where it has fallen by as much as a normal density has two deviations from its mode. An
    empty cell lets it fall slowly on one side only. Shape (node, 2, column), side 0 upwards.
    """
    parts = []
    for rows in batches(len(nodes), 2 * tops.has.shape[1] * len(table.design)):
        chosen = tops.rows(nodes[rows])
        axes = np.linalg.inv(np.linalg.cholesky(chosen.precision))
        axes = np.stack([axes, -axes], axis=1)
        size = chosen.has.sum(1)[:, None, None] - 1
        far = np.full(axes.shape[:3], 2.0)
        for _ in range(WIDENINGS):
            theta = chosen.point[:, None, None, :] + far[..., None] * axes
            height = log_posterior(table, prior.rows(nodes[rows]), theta, size)
            fall = np.maximum(chosen.height[:, None, None] - height, 1e-3)
            far *= np.clip(np.sqrt(2 / fall), 0.3, 2.0)
        parts.append(np.where(chosen.has[:, None, :], np.clip(far / 2, *MOST_WIDTHS), 1.0))
    return np.concatenate(parts)


def _propose(
    table: Table, prior: Prior, tops: Modes, widths: np.ndarray, count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draws from the split t of each node, (node, draw, column), and log weights, (node, draw)."""
    size = tops.has.sum(1)[:, None]
    factor = np.linalg.cholesky(tops.precision)
    shape = (len(tops.point), count)
    z = rng.standard_normal((*shape, tops.has.shape[1])) * tops.has[:, None, :]
    z /= np.sqrt(rng.chisquare(DEGREES, shape) / DEGREES)[..., None]
    wide = np.where(z > 0, widths[:, None, 0], widths[:, None, 1])
    # precision = F F', so that F^-T z has its inverse as covariance.
    theta = tops.point[:, None, :] + (z * wide) @ np.linalg.inv(factor)
    log_volume = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1)[:, None]
    log_proposal = (
        gammaln((DEGREES + size) / 2) - gammaln(DEGREES / 2) - size / 2 * np.log(DEGREES * np.pi)
        - (DEGREES + size) / 2 * np.log1p(np.einsum("mnp,mnp->mn", z, z) / DEGREES)
        + log_volume - np.log(wide).sum(-1)
    )  # fmt: skip
    log_target = log_posterior(table, prior, theta, size - 1)
    return theta, log_target - log_proposal - np.log(count)
