"""Likelihoods of benchmarks given N: the same formulas for tensors and for draws.

N is a number of people, whole or not; every function returns a log density of the row's number
and broadcasts. Counts that are known to lie in a range come as points along a last dimension,
with the logarithm of how many numbers each stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from scipy import special

from hiddenpop.families.size_prior import P90, SizePrior

__all__ = [
    "BARRIER", "DRAWS", "LEAST_PEOPLE", "NOTHING", "TENSORS", "Ops", "amount", "events",
    "information", "log_sum", "people", "points", "size", "survey",
]  # fmt: skip

FEWEST_POINTS, MOST_POINTS = 12, 150
"""Points over which a range of counts is summed: each number, or Gauss-Legendre nodes."""

LEAST_PEOPLE = 0.05
"""N is never less, so that its logarithm exists; nobody is a fraction of a person."""

BARRIER = 50.0
"""Slope of the log density, by person, where fewer people exist than were counted."""

CERTAIN = -1e-9
"""Greatest log probability of a respondent: a draw may propose more users than residents."""

NOTHING = -1e10
"""Log weight of what does not exist."""

Tensor = Any  # an array or, as pytensor has no type stubs, a tensor
Log = Callable[..., Any]


@dataclass(frozen=True)
class Ops:
    """Functions of one kind of array."""

    log: Log
    exp: Log
    log1p: Log
    sqrt: Log
    gammaln: Log
    where: Log
    maximum: Log
    minimum: Log
    softplus: Log
    largest: Log
    still: Log


TENSORS = Ops(
    pt.log, pt.exp, pt.log1p, pt.sqrt, pt.gammaln, pt.switch, pt.maximum, pt.minimum,
    pt.softplus, pt.max, disconnected_grad,
)  # fmt: skip
DRAWS = Ops(
    np.log, np.exp, np.log1p, np.sqrt, special.gammaln, np.where, np.maximum, np.minimum,
    lambda x: np.logaddexp(0.0, x), np.max, lambda x: x,
)  # fmt: skip


def points(least: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and log weights to sum a likelihood from `least` to `most`.

    Returns
    -------
    tuple
        Both of the shape of `least` where every count is known, with a dimension for points
        after it where one is not.
    """
    if not np.any(least < most):
        return np.asarray(least, dtype=float), np.zeros(least.shape)
    low, span = least[..., None], (most - least + 1)[..., None]
    # Nodes must be nearer to each other than a Poisson number of this size is wide.
    wanted = np.minimum(span, 8 + 2 * span / np.sqrt(np.maximum(low, 1.0)))
    size = int(np.clip(np.ceil(wanted.max()), FEWEST_POINTS, MOST_POINTS))
    number = np.arange(size)
    nodes, weights = np.polynomial.legendre.leggauss(size)
    few = span <= size
    value = np.where(few, low + np.minimum(number, span - 1), low - 0.5 + span * (nodes + 1) / 2)
    # Places that are not used weigh nothing; an infinity would spoil the gradient.
    weight = np.where(few, 0.0, np.log(span * weights / 2))
    return value, np.where(few & (number >= span), NOTHING, weight)


def people(
    ops: Ops, N: Tensor, true: Tensor, log_weight: Tensor, chances: tuple[Tensor, Tensor],
    ranges: bool,
) -> Tensor:  # fmt: skip
    """Binomial(C; N, p) without its 1 / C!, for a count C that need not be whole.

    Parameters
    ----------
    true, log_weight
        C, and the logarithm of its weight over C!.
    chances
        ln p and ln(1 - p).
    ranges
        Whether C and its weight have a last dimension of points, to be summed over.
    """
    if ranges:
        N, chances = N[..., None], (chances[0][..., None], chances[1][..., None])
    log_p, log_q = chances
    gap = N - true
    others = ops.maximum(gap, -0.5)
    some = (
        ops.gammaln(true + others + 1) - ops.gammaln(others + 1) + true * log_p + others * log_q
        + log_weight + BARRIER * ops.minimum(gap + 0.5, 0.0)
    )  # fmt: skip
    return log_sum(ops, some) if ranges else some


def events(
    ops: Ops, N: Tensor, count: Tensor, log_weight: Tensor, log_rate: Tensor, ranges: bool
) -> Tensor:
    """Poisson(count; N x rate); `log_rate` has the factor r, `log_weight` -ln count!."""
    log_mean = ops.log(ops.maximum(N, LEAST_PEOPLE)) + log_rate
    log_mean = log_mean[..., None] if ranges else log_mean
    some = count * log_mean - ops.exp(log_mean) + log_weight
    return log_sum(ops, some) if ranges else some


def survey(
    ops: Ops, log_share: Tensor, found: Tensor, log_weight: Tensor, sample: Tensor, ranges: bool
) -> Tensor:
    """Binomial(found; sample, share), the share N x rate / residents.

    `found` and `sample` are divided by the design effect; `log_weight` has the binomial
    coefficient.
    """
    log_p = ops.minimum(log_share, CERTAIN)
    log_q = ops.log1p(-ops.exp(log_p))
    if ranges:
        log_p, log_q, sample = log_p[..., None], log_q[..., None], sample[..., None]
    some = log_weight + found * log_p + (sample - found) * log_q
    return log_sum(ops, some) if ranges else some


def amount(
    ops: Ops, N: Tensor, log_value: Tensor, sds: tuple[Tensor, Tensor], log_rate: Tensor
) -> Tensor:
    """Two-piece normal of log value around log(N x rate), with an sd below and one above."""
    below, above = sds
    error = ops.log(ops.maximum(N, LEAST_PEOPLE)) + log_rate - log_value
    z = error / ops.where(error < 0, below, above)
    return -0.5 * z**2 - ops.log((below + above) / 2)


def size(ops: Ops, N: Tensor, prior: SizePrior) -> Tensor:
    """Log of the prior of N over 1/N; nothing where it is 1/N."""
    N = ops.maximum(N, LEAST_PEOPLE)
    if prior.kind == "lognormal":
        spread = np.log(prior.two / prior.one) / P90
        return -0.5 * ((ops.log(N) - np.log(prior.one)) / spread) ** 2
    if prior.kind == "gamma":
        # As `SizePrior.log_density`.
        shape, scale = prior.one, prior.two
        return (
            ops.log(N) + N * (np.log(scale) - np.log1p(scale))
            + ops.gammaln(N + shape) - ops.gammaln(N + 1)
        )  # fmt: skip
    return 0.0 * N


def information(ops: Ops, form: str, at: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """What is known of shares and rates at unbounded numbers; see `multiplier_areas_rates`."""
    if form == "share":
        return -a * ops.softplus(-at) - b * ops.softplus(at)
    if form == "count":
        return a * at - b * ops.exp(at)
    return -0.5 * ((at - a) / b) ** 2


def log_sum(ops: Ops, some: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials over the last dimension."""
    # The largest cancels in the slope. With log in place of log1p pytensor would take the largest
    # out a second time.
    most = ops.still(ops.largest(some, -1))
    return most + ops.log1p(ops.exp(some - most[..., None]).sum(-1) - 1)
