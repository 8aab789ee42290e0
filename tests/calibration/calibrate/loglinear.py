"""Calibration of the sampled log-linear model: truths from its priors, strata, censored cells.

The family's own `draw_truth` keeps to ranges of use where the priors are improper. Here all
priors are proper, and every unknown is drawn from them, from the text of `families.loglinear`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import xarray as xr
from scipy import stats
from scipy.special import expit, softmax

from calibrate.regime import Regime, Replicate, around
from calibrate.sampled import Quantities, sampled_replicate
from hiddenpop.families import loglinear as family
from hiddenpop.families.loglinear import Priors
from hiddenpop.families.simulation.loglinear import Truth, simulate
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Drawn", "cells", "draw", "loglinear_regimes", "loglinear_replicate"]

LOG_SD = 0.75
P90 = 1.2815515655


@dataclass(frozen=True)
class Drawn:
    """A truth with what the simulator need not know.

    Attributes
    ----------
    mean
        Expected people of each stratum, (stratum,).
    scales
        Sds that are learned, by name.
    """

    truth: Truth
    mean: np.ndarray
    scales: dict[str, float]


def draw(data: OverlapTable, priors: Priors, rng: np.random.Generator) -> Drawn:
    """Draw every unknown from its prior."""
    lists, strata = len(data.lists), len(data.strata)
    total = priors.size_prior.one * np.exp(
        np.log(priors.size_prior.two / priors.size_prior.one) / P90 * rng.normal()
    )
    mean = total * softmax(priors.stratum_spread * rng.normal(size=strata))
    chance = rng.beta(priors.list_beta, priors.list_beta, size=lists)
    chance = np.clip(chance, 1e-12, 1 - 1e-12)
    log_odds = np.tile(np.log(chance / (1 - chance)), (strata, 1))
    scales: dict[str, float] = {}
    for f, name in enumerate(data.factors):
        scales[name] = priors.between * float(np.exp(LOG_SD * rng.normal()))
        levels = list(dict.fromkeys(levels[f] for levels in data.strata))
        apart = dict(zip(levels, scales[name] * rng.normal(size=(len(levels), lists)), strict=True))
        log_odds += np.array([apart[levels[f]] for levels in data.strata])
    links: dict[tuple[int, ...], float] = {}
    for size in range(2, priors.most_lists + 1):
        sd = priors.interaction_scale / 2 ** (size - 2) * float(np.exp(LOG_SD * rng.normal()))
        scales[f"interactions of {size} lists"] = sd
        links |= {chosen: float(sd * rng.normal()) for chosen in combinations(range(lists), size)}
    return Drawn(Truth(data, rng.poisson(mean), log_odds, links), mean, scales)


def loglinear_replicate(
    template: OverlapTable,
    priors: Priors,
    told: Callable[[OverlapTable], OverlapTable] = lambda data: data,
) -> Replicate:
    """One compilation for tables of the template's shape.

    `told` is what the model is given of the data: another table, to plant a fault.
    """

    def drawn(rng: np.random.Generator) -> tuple[Drawn, OverlapTable]:
        truth = draw(template, priors, rng)
        data = simulate(truth.truth, rng)
        assert isinstance(data, OverlapTable)
        return truth, told(data)

    def refusal(data: OverlapTable) -> str | None:
        found = family.refusal(data, priors)
        return None if found is None else found.code

    return sampled_replicate(
        lambda: family.build_model(template, priors),
        drawn,
        lambda data: family.values(data, priors),
        partial(_quantities, priors),
        refusal,
    )


def _quantities(
    priors: Priors, tree: xr.DataTree, data: OverlapTable, drawn: Drawn, rng: np.random.Generator
) -> Quantities:
    posterior, truth = tree["posterior"], drawn.truth
    lists, links = range(len(data.lists)), list(truth.interaction)
    expected = posterior["expected"].to_numpy()
    expected = expected.reshape(*expected.shape[:2], len(data.strata), -1)
    people = family.finish(tree, data, priors, rng)["posterior"]["N"].to_numpy()
    draws = {"N": people.reshape(*people.shape[:2], -1).sum(-1)}
    known = {"N": float(truth.people.sum())}
    if not data.factors:
        for j in lists:
            draws[f"chance {data.lists[j]}"] = expit(posterior["list_effect"].to_numpy()[..., j])
            known[f"chance {data.lists[j]}"] = float(expit(truth.log_odds[0, j]))
    for k, pair in enumerate(links):
        name = "log odds ratio " + "".join(data.lists[j] for j in pair)
        draws[name] = posterior["interaction"].to_numpy()[..., k]
        known[name] = truth.interaction[pair]
    for k, (name, value) in enumerate(drawn.scales.items()):
        draws[f"sd of {name}"] = posterior["scale"].to_numpy()[..., k]
        known[f"sd of {name}"] = value
    draws["log_likelihood"] = _log_likelihood(expected, data)
    known["log_likelihood"] = float(_log_likelihood(_expected(drawn, data), data))
    return Quantities(draws, known)


def _expected(drawn: Drawn, data: OverlapTable) -> np.ndarray:
    """True means by stratum and history in order of code, list j counting 2^j."""
    found = np.zeros((len(data.strata), 2 ** len(data.lists)))
    for stratum in range(len(data.strata)):
        for history, chance in drawn.truth.chances(stratum).items():
            code = sum(2**j for j, seen in enumerate(history) if seen)
            found[stratum, code] = drawn.mean[stratum] * chance
    return found


def _log_likelihood(expected: np.ndarray, data: OverlapTable) -> np.ndarray:
    """Of all cells of the table; of a range the probability of the range, (...)."""
    mean = expected[..., data.stratum, data.code]
    exact = stats.poisson.logpmf(data.low, mean)
    within = stats.poisson.cdf(data.high, mean) - stats.poisson.cdf(data.low - 1, mean)
    ranged = np.log(np.maximum(within, 1e-300))
    each = np.where(data.low == data.high, exact, ranged)
    return np.asarray(each[..., ~data.structural].sum(-1))


def cells(lists: int, **special: tuple[float, float]) -> dict[str, float | tuple[float, float]]:
    """Every cell, so that a template has the shape of all tables; `h101=(0, 4)` is a range."""
    marks = [f"{code:0{lists}b}" for code in range(1, 2**lists)]
    found: dict[str, float | tuple[float, float]] = dict.fromkeys(marks, 9.0)
    return found | {name.removeprefix("h"): ends for name, ends in special.items()}


def _strata(table: OverlapTable, names: tuple[str, ...]) -> OverlapTable:
    """The same cells in every stratum."""
    count, width = len(names), len(table.low)
    return OverlapTable(
        table.lists, ("area",), tuple((name,) for name in names),
        np.tile(table.history, (count, 1)), np.repeat(np.arange(count), width),
        np.tile(table.low, count), np.tile(table.high, count), np.tile(table.structural, count),
    ).sorted()  # fmt: skip


def loglinear_regimes() -> tuple[Regime, ...]:
    """Sizes, three and four lists, ranges, three areas."""
    three = OverlapTable.from_counts("abc", cells(3))
    four = OverlapTable.from_counts("abcd", cells(4))
    censored = OverlapTable.from_counts(
        "abcd", cells(4, h1111=(0.0, 4.0), h0111=(0.0, 4.0), h1110=(0.0, np.inf))
    )
    shapes = (
        ("N 50", three, 50, 25, 200, "three lists"),
        ("N 300", three, 300, 100, 1000, "three lists"),
        ("N 50000", three, 50_000, 25, 200, "three lists"),
        ("four lists", four, 2_000, 25, 200, "N about 2,000"),
        ("censored", censored, 300, 25, 200, "four lists, two cells in fives, one not linked"),
        ("three areas", _strata(three, ("x", "y", "z")), 2_000, 25, 200, "three lists"),
    )
    return tuple(
        Regime(
            "loglinear", name,
            partial(
                loglinear_replicate, table,
                Priors(size_prior=around(size), list_beta=0.7, stratum_spread=1.0),
            ),
            quick, full, about,
        )
        for name, table, size, quick, full, about in shapes
    )  # fmt: skip
