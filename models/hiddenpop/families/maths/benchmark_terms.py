"""What the likelihoods of all kinds of benchmark are made of: sums over nodes, rates, errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from hiddenpop.families.maths.benchmark_factors import (
    LogFactor,
    gamma_nodes,
    normal_factor,
    reported_over_true,
    share_nodes,
)
from hiddenpop.families.maths.joint_layout import share_beta
from hiddenpop.families.maths.quantile_fit import fit_quantiles
from hiddenpop.inputs.multipliers import Benchmark, Rate
from hiddenpop.priors import z_score

__all__ = [
    "CHUNK",
    "RowLikelihood",
    "around",
    "fitted",
    "is_share",
    "log_rate",
    "misfit",
    "pairs",
    "sides",
    "step_of",
    "summed",
    "two_piece",
    "whole_numbers",
]

STEP = 0.8
"""Distance of nodes, in sds of what is left of an integrand: a trapezoidal rule over a normal
density is then right to exp(-2 pi^2 / 0.64), which is 4e-14."""

MOST_NUMBERS = 400
"""A range of whole numbers is summed one by one up to so many, beyond in so many pieces."""

CHUNK = 400_000
"""Numbers held at once; an inner integral counts as so many as it has nodes."""

LEAST_SIDE = 0.1
"""A figure at the very end of its interval keeps this share of the mean sd on that side."""


class RowLikelihood(NamedTuple):
    """Log-likelihood of N from one row, or from rows that share unknowns.

    Attributes
    ----------
    log_likelihood
        Of numbers of people, (number,), up to a constant; -inf where they are impossible.
    ids
        Rows it stands for.
    first
        Least number of people that is possible.
    guess
        About where it is highest.
    spread
        About its sd around there, on the log scale; of the unseen N - first if `counted`.
    counted
        Whether people were counted who belong to the target for certain.
    closed
        Whether it is a closed form, quick at any number of people.
    """

    log_likelihood: Callable[[np.ndarray], np.ndarray]
    ids: tuple[str, ...]
    first: float
    guess: float
    spread: float
    counted: bool = False
    closed: bool = False


def is_share(row: Benchmark) -> bool:
    """Whether the rate of a row is a share, and no rate per person."""
    if row.kind in ("people", "survey"):
        return True
    rate = row.rate
    return row.kind == "figure" and (rate is None or all(value < 1 for _, value in rate.quantiles))


@lru_cache(maxsize=1024)
def fitted(name: str, quantiles: tuple[tuple[float, float], ...]) -> tuple[float, float, float]:
    """Parameters of the distribution through quantiles, and how far it misses them.

    `name` is "beta" for a share, "log-normal" for a rate per person.
    """
    found, gap = fit_quantiles(name, quantiles)
    return *found.parameters, gap


def misfit(row: Benchmark) -> float:
    """Largest distance of quantiles from the fitted distribution, log or logit scale."""
    if row.rate is None or not row.rate.quantiles:
        return 0.0
    return fitted("beta" if is_share(row) else "log-normal", row.rate.quantiles)[2]


def whole_numbers(
    least: float, most: float, pieces: int = MOST_NUMBERS
) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers of a range and how many each stands for; pieces where they are many."""
    count = int(most - least) + 1
    if count <= pieces:
        return least + np.arange(count), np.ones(count)
    width = (most - least + 1) / pieces
    middle = least - 0.5 + width * (np.arange(pieces) + 0.5)
    return middle, np.full(pieces, width)


def summed(
    terms: Callable[[np.ndarray, np.ndarray], np.ndarray],
    nodes: np.ndarray,
    weights: np.ndarray,
    inner: int = 1,
) -> Callable[[np.ndarray], np.ndarray]:
    """Log of the sum over nodes of weight x exp(terms(N, node)), in pieces of memory."""
    log_weights = np.log(weights, where=weights > 0, out=np.full(len(weights), -np.inf))
    # Lagrange weights may be negative; they are tiny where they are.
    keep = weights > 0
    nodes, log_weights = nodes[keep], log_weights[keep]

    def log_likelihood(N: np.ndarray) -> np.ndarray:
        if len(nodes) == 1:
            return np.asarray(terms(N, nodes) + log_weights)
        pieces = np.array_split(N, 1 + inner * len(N) * len(nodes) // CHUNK)
        with np.errstate(divide="ignore"):
            return np.concatenate(
                [logsumexp(terms(piece[:, None], nodes) + log_weights, axis=1) for piece in pieces]
            )

    return log_likelihood


def pairs(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Every node of one with every node of two, shape (pair, 2)."""
    return np.column_stack([np.repeat(one, len(two)), np.tile(two, len(one))])


def step_of(*sds: float) -> float:
    """Step of a rule over a product of densities with these sds."""
    return STEP / float(np.sqrt(sum(1 / sd**2 for sd in sds if sd > 0)))


def log_rate(rate: Rate | None, *, share: bool, a: float, b: float, step: float) -> LogFactor:
    """Log of a rate: normal through quantiles, gamma from counted events, or a Beta share."""
    if rate is None:
        return LogFactor.one()
    if share:
        alpha, beta = share_beta(rate, a, b)
        return share_nodes(alpha, beta, step)
    if rate.x is not None and rate.n is not None:
        return gamma_nodes(1 + rate.x / rate.design_effect, rate.n / rate.design_effect, step)
    mean, sd, _ = fitted("log-normal", rate.quantiles)
    return normal_factor(mean, sd)


def sides(row: Benchmark) -> tuple[float, float]:
    """Sds on the log scale below and above the value, from its distances to its interval.

    As in the evidence synthesis (`synthesis_evidence.log_errors`).
    """
    if row.interval is None:
        return 0.0, 0.0
    low, high, level = row.interval
    z = z_score(level)
    mean = np.log(high / low) / (2 * z)
    return (
        float(max(np.log(row.value / low) / z, LEAST_SIDE * mean)),
        float(max(np.log(high / row.value) / z, LEAST_SIDE * mean)),
    )


def two_piece(gap: np.ndarray, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Log density of a two-piece normal; `gap` is the expected minus the stated logarithm."""
    sd = np.where(gap < 0, below, above)
    return np.asarray(-0.5 * (gap / sd) ** 2 - np.log(below + above))


def around(row: Benchmark, a: float, b: float, extra: float = 0.0) -> tuple[LogFactor, float]:
    """Log of what multiplies N to give a sum or a figure, and the mean sd of its own error."""
    own = float(np.mean(sides(row)))
    least = np.hypot(own, extra)
    step = step_of(least) if least > 0 else 0.05
    rate = log_rate(row.rate, share=is_share(row), a=a, b=b, step=step)
    return reported_over_true(row.undercount, row.overcount, row.error, step).times(rate, step), own
