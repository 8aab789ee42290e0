"""Tables of repeated captures from known people: the truth that fits are held against.

Written apart from the model: everybody gets covariates, a rate and a number of captures; people
who were never seen are forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiddenpop.families.one_list import Priors
from hiddenpop.inputs.repeats import RepeatTable

__all__ = ["Truth", "draw_truth", "simulate"]

LEAST = np.log(0.02)


@dataclass(frozen=True, eq=False)
class Truth:
    """A population, and how it is seen.

    Attributes
    ----------
    N
        People.
    distribution
        poisson, geometric or negbin.
    inflation
        "" if nobody is limited to one capture; "everybody" if a share of all people is, and is
        then seen; "seen" if a share of those who were seen is.
    once
        That share.
    log_mean
        Mean log rate.
    effects
        By text column the effect of each level on the log rate; by column of numbers the
        effect of one standard deviation, under the name "".
    alpha
        Of the negative binomial.
    people
        The table whose rows have the covariates that people can have, in these proportions.
    """

    N: int
    distribution: str
    inflation: str
    once: float
    log_mean: float
    effects: Mapping[str, Mapping[str, float]]
    alpha: float
    people: RepeatTable


def draw_truth(data: RepeatTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw a truth from the priors; N, whose prior is improper, from the table's own size.

    Mean rates of which fewer than two people in a hundred would be seen are drawn again.
    """
    inflation = ("", "everybody", "seen") if priors.one_inflation else ("",)
    effects: dict[str, dict[str, float]] = {}
    for name, column in data.covariates.items():
        numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        levels = [""] if numbers else sorted(set(map(str, column)))
        effects[str(name)] = {level: rng.normal(0, priors.coefficient_sd) for level in levels}
    log_mean = rng.normal(0, priors.intercept_sd)
    while log_mean < LEAST:
        log_mean = rng.normal(0, priors.intercept_sd)
    return Truth(
        N=int(np.ceil(data.observed * np.exp(rng.uniform(np.log(1.3), np.log(4.0))))),
        distribution=str(rng.choice(list(priors.distributions))),
        inflation=str(rng.choice(inflation)),
        once=rng.uniform(),
        log_mean=log_mean,
        effects=effects,
        alpha=np.exp(rng.normal(0, priors.dispersion_sd)),
        people=data,
    )


def simulate(truth: Truth, rng: np.random.Generator) -> RepeatTable:
    """See everybody of a truth, and write down those who were seen."""
    data = truth.people
    share = data.count / data.count.sum()
    kind = rng.choice(len(share), size=truth.N, p=share)
    rate = np.exp(truth.log_mean + _effects(truth)[kind])
    if truth.distribution == "geometric":
        rate = rate * rng.exponential(size=truth.N)
    elif truth.distribution == "negbin":
        rate = rate * rng.gamma(1 / truth.alpha, truth.alpha, size=truth.N)
    times = rng.poisson(rate)
    limited = rng.random(truth.N) < truth.once
    if truth.inflation == "everybody":
        times[limited] = 1
    elif truth.inflation == "seen":
        times[limited & (times > 0)] = 1
    seen = times > 0
    table = pd.DataFrame({"kind": kind[seen], "times": times[seen]})
    counted = table.value_counts().rename("count").reset_index().sort_values(["kind", "times"])
    return RepeatTable(
        counted["times"].to_numpy(),
        counted["count"].to_numpy(dtype=float),
        data.covariates.iloc[counted["kind"].to_numpy()].reset_index(drop=True),
        data.population,
    )


def _effects(truth: Truth) -> np.ndarray:
    """Distance of each row's log rate from the mean."""
    data = truth.people
    total = np.zeros(len(data.count))
    for name, column in data.covariates.items():
        effects = truth.effects[str(name)]
        if "" in effects and len(effects) == 1:
            values = column.to_numpy(dtype=float)
            mean = np.average(values, weights=data.count)
            sd = np.sqrt(np.average((values - mean) ** 2, weights=data.count))
            total += effects[""] * (values - mean) / sd
        else:
            total += np.array([effects[str(level)] for level in column])
    return total
