"""What tables and margins share: interactions between lists, brackets, the prior on N."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hiddenpop.families.size_prior import P90, SizePrior

__all__ = [
    "SCALE_SPREAD",
    "Terms",
    "fitted_labels",
    "histories",
    "interactions",
    "list_effects",
    "list_log_prior",
    "log_between",
    "mean_between",
    "size_log_prior",
]

Tensor = Any  # pytensor has no type stubs

SCALE_SPREAD = 0.75
"""Sd of the log of a learned sd: 95 % from a quarter to four times its median."""

TINY = 1e-290
"""Smallest probability whose logarithm is taken; below it the nearest end stands for all."""
CANCELLED = 1e-10
"""Below the bracket both distribution functions are near 1: this little has 6 digits left."""


class Terms(NamedTuple):
    """Interactions between lists.

    Attributes
    ----------
    names
        "A:B" for two lists, "A:B:C" for three.
    order
        Lists in each, shape (interaction,).
    columns
        1 where a history holds all lists of the interaction, (history, interaction).
    """

    names: tuple[str, ...]
    order: np.ndarray
    columns: np.ndarray


def histories(lists: int) -> np.ndarray:
    """Every history, the all-zero one first, in order of code: (2^L, list) of 0 and 1."""
    codes = np.arange(2**lists)
    return ((codes[:, None] >> np.arange(lists)) & 1).astype(float)


def interactions(lists: Sequence[str], order: int) -> Terms:
    """All interactions of 2 to `order` lists."""
    on = histories(len(lists))
    sets = [chosen for size in range(2, order + 1)
            for chosen in combinations(range(len(lists)), size)]  # fmt: skip
    columns = [on[:, list(chosen)].min(1) for chosen in sets]
    return Terms(
        tuple(":".join(lists[j] for j in chosen) for chosen in sets),
        np.array([len(chosen) for chosen in sets], dtype=int),
        np.column_stack(columns) if columns else np.zeros((len(on), 0)),
    )


def fitted_labels(lists: int) -> list[str]:
    """Labels of all histories but the all-zero one, the first list first: "100", "010"."""
    return ["".join("1" if seen else "0" for seen in row) for row in histories(lists)[1:]]


def list_effects(beta: float) -> Tensor:
    """Log odds of each list, (list,), in the model at hand; their chances are Beta(beta, beta)."""
    effect = pm.Flat("list_effect", dims="list")
    pm.Potential("list_prior", list_log_prior(effect, beta))
    return effect


def list_log_prior(effect: Tensor, beta: float) -> Tensor:
    """Log density of log odds whose chances are Beta(beta, beta), all lists, up to a constant."""
    # The density of the logit of a Beta variable is p^a (1 - p)^b: its Jacobian is p (1 - p).
    return beta * (effect - 2 * pt.softplus(effect)).sum()


def log_between(low: Tensor, high: Tensor, log_mean: Tensor) -> Tensor:
    """Log probability that Poisson counts lie in [low, high], natural logarithm.

    P(K <= k) is the regularised upper incomplete gamma function Q(k + 1, mean) (Abramowitz &
    Stegun 26.4.21). Where the difference of two of them has no digits left, the sum over the
    bracket is a geometric series from its nearest end, with the ratio of the first two terms.
    """
    mean = pt.exp(log_mean)
    inside = pt.gammaincc(high + 1, mean) - pt.gammaincc(low, mean)
    is_below = pt.lt(mean, low)
    usable = pt.gt(inside, pt.switch(is_below, CANCELLED, TINY))
    end = pt.switch(is_below, low, high)
    ratio = pt.clip(pt.switch(is_below, mean / (low + 1), high / mean), 0, 0.999)
    at_end = end * log_mean - mean - pt.gammaln(end + 1) - pt.log1p(-ratio)
    return pt.switch(usable, pt.log(pt.switch(usable, inside, 1.0)), at_end)


def mean_between(low: Tensor, high: Tensor, log_mean: Tensor) -> Tensor:
    """Mean of Poisson counts given that they lie in [low, high]: k Poisson(k) shifts k by one."""
    least = pt.maximum(low, 1)
    return pt.exp(
        log_mean + log_between(least - 1, high - 1, log_mean) - log_between(low, high, log_mean)
    )


def size_log_prior(prior: SizePrior, mean_size: Tensor) -> Tensor:
    """Log density of the mean of N, with respect to its logarithm, up to a constant.

    N ~ Poisson(mean): with a flat log mean p(N) is 1/N and with a Gamma mean it is
    `SizePrior`'s `gamma`, both exactly; a log-normal mean gives a log-normal N but for
    Poisson noise, which is small against it.
    """
    if prior.kind == "gamma":
        return prior.one * pt.log(mean_size) - mean_size / prior.two
    sigma = np.log(prior.two / prior.one) / P90
    return -0.5 * (pt.log(mean_size / prior.one) / sigma) ** 2
