"""Simulated truths and tables for the anchored multiplier.

Written from the story that the method tells, not from its code: residents belong to the target or
not, members of the target have events or not, and surveys ask some of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import beta

from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable

if TYPE_CHECKING:  # `families.anchored` re-exports `simulate`
    from hiddenpop.families.anchored import Priors

__all__ = ["Truth", "draw_truth", "simulate"]

LARGEST = 0.5
"""Where no figure says how common the target is, its prevalence is uniform up to this."""


@dataclass(frozen=True)
class Truth:
    """Everything the model treats as unknown, with known values.

    Attributes
    ----------
    table
        Whose rows, sample sizes and design effects are kept.
    N
        People.
    shares
        By id of a count: the share of the target that has its event.
    """

    table: MultiplierTable
    N: int
    shares: dict[str, float]


def draw_truth(data: MultiplierTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw the prevalence from the anchor, and the shares from their priors."""
    residents = int(data.population[0])
    figure = next((row for row in data.rows if row.kind == "figure"), None)
    if figure is None or figure.interval is None:
        prevalence = rng.uniform(0, LARGEST)
    else:
        tail = (1 - figure.interval.level) / 2
        ends = (
            (tail, figure.interval.low / residents),
            (1 - tail, figure.interval.high / residents),
        )
        prevalence = _drawn(ends, rng)
    shares = {}
    for row in data.rows:
        if row.kind == "people" and row.rate is not None:
            stated = row.rate.quantiles
            shares[row.id] = _drawn(stated, rng) if stated else rng.beta(priors.a, priors.b)
    return Truth(data, int(rng.binomial(residents, prevalence)), shares)


def _drawn(quantiles: tuple[tuple[float, float], ...], rng: np.random.Generator) -> float:
    """A draw from the Beta distribution that comes nearest to some quantiles."""
    levels, values = np.array(quantiles).T
    middle = float(values.mean())

    def gap(log_shape: np.ndarray) -> np.ndarray:
        reached = np.clip(beta.ppf(levels, *np.exp(log_shape)), 1e-300, 1 - 1e-15)
        return np.asarray(np.log(reached / (1 - reached)) - np.log(values / (1 - values)))

    size = middle * (1 - middle) / (np.ptp(values) / 4) ** 2
    start = np.log([middle * size, (1 - middle) * size])
    return float(rng.beta(*np.exp(least_squares(gap, start).x)))


def simulate(truth: Truth, rng: np.random.Generator) -> MultiplierTable:
    """Count those with the events, and take the surveys; a figure stays as it is."""
    rows = tuple(_row(truth, row, rng) for row in truth.table.rows)
    return replace(truth.table, rows=rows)


def _row(truth: Truth, row: Benchmark, rng: np.random.Generator) -> Benchmark:
    if row.kind == "figure":
        return row
    if row.kind == "survey":
        asked = round((row.sample or 0) / row.sample_effect)
        prevalence = truth.N / float(truth.table.population[0])
        found = float(rng.binomial(asked, prevalence)) * row.sample_effect
        return replace(row, value=found, least=found, most=found)
    share, rate = truth.shares[row.id], row.rate
    count = float((rng.random(truth.N) < share).sum())
    if rate is not None and rate.n is not None:
        # A sample with a design effect D tells as much as n / D people, each seen D times.
        x = float(rng.binomial(round(rate.n / rate.design_effect), share)) * rate.design_effect
        rate = replace(rate, x=min(x, rate.n))
    return replace(row, value=count, least=count, most=count, rate=rate)
