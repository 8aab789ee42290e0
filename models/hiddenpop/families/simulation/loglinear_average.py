"""Simulated populations and lists for averaged log-linear models, to hold the families against.

Written from the mathematics, not from the code of the models: people get their lists one by
one, from the chances of all combinations of lists.

The log of the chance of a combination is a sum over the terms of a model of a coefficient times
+1 or -1 for each list of the term, as the person is on it or not (sum-to-zero coding).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.inputs.overlap import OverlapTable

if TYPE_CHECKING:
    from hiddenpop.families.loglinear_average import Priors

__all__ = ["Truth", "draw_truth", "simulate"]

LINK = 0.25
"""Standard deviation of links where the prior has none: an odds ratio of e^(4 x 0.25) at one."""

FEWEST_TIMES, MOST_TIMES = 1.3, 4.0


@dataclass(frozen=True)
class Truth:
    """A population and how it comes to be on lists.

    Attributes
    ----------
    data
        Whose lists, strata and residents the simulated table has.
    N
        People.
    terms
        Terms of the true model, as places of lists: (0,), (1,), (0, 1), ...
    coefficients
        Of the terms, sum-to-zero coding, natural log scale.
    share
        Of each stratum, shape (stratum,); lists reach all strata alike.
    """

    data: OverlapTable
    N: int
    terms: tuple[tuple[int, ...], ...]
    coefficients: tuple[float, ...]
    share: np.ndarray


def draw_truth(data: OverlapTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw a model, its coefficients and N.

    1/N is no distribution, so that N is drawn from 1.3 to 4 times the people seen, evenly on
    the log scale. A term joins the model with chance one half if all its parts are in it.
    Coefficients: under `uip` normal with standard deviation 1, as its prior has them; else main
    effects are those of lists as large as the table's, and links normal around 0.
    """
    people = data.observed
    N = int(np.ceil(people * np.exp(rng.uniform(np.log(FEWEST_TIMES), np.log(MOST_TIMES)))))
    lists = len(data.lists)
    terms: list[tuple[int, ...]] = [(place,) for place in range(lists)]
    for size in range(2, min(priors.order or lists - 1, lists - 1) + 1):
        for term in combinations(range(lists), size):
            parts = combinations(term, size - 1)
            if all(part in terms for part in parts) and rng.random() < 0.5:
                terms.append(term)
    coefficients = []
    for term in terms:
        if priors.estimator == "uip":
            coefficients.append(float(rng.normal()))
        elif len(term) == 1:
            seen = float(np.clip(data.list_totals[term[0]], 0.5, N - 0.5))
            coefficients.append(0.5 * float(np.log(seen / (N - seen))))
        else:
            coefficients.append(float(rng.normal(0.0, LINK)))
    weights = data.observed_by_stratum + 0.5
    return Truth(data, N, tuple(terms), tuple(coefficients), weights / weights.sum())


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """Give every person a stratum and lists, and count those on at least one list."""
    data, lists = truth.data, len(truth.data.lists)
    combos = np.array(list(product((False, True), repeat=lists)))
    signs = np.where(combos, 1.0, -1.0)
    log_chance = np.zeros(len(combos))
    for term, coefficient in zip(truth.terms, truth.coefficients, strict=True):
        log_chance += coefficient * signs[:, list(term)].prod(axis=1)
    chance = np.exp(log_chance - log_chance.max())
    chance /= chance.sum()
    who = rng.choice(len(combos), size=truth.N, p=chance)
    where = rng.choice(len(truth.share), size=truth.N, p=truth.share)
    found: dict[tuple[int, int], int] = {}
    for combo, stratum in zip(who.tolist(), where.tolist(), strict=True):
        if combos[combo].any():
            found[stratum, combo] = found.get((stratum, combo), 0) + 1
    keys = sorted(found)
    counts = np.array([found[key] for key in keys], dtype=float)
    return OverlapTable(
        data.lists, data.factors, data.strata,
        combos[[combo for _, combo in keys]].reshape(-1, lists),
        np.array([stratum for stratum, _ in keys], dtype=int),
        counts, counts.copy(), np.zeros(len(keys), dtype=bool), data.population,
    ).sorted()  # fmt: skip
