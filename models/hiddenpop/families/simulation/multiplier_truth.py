"""Truths from which benchmarks are simulated: sizes, shares, factors and odds ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.maths.quantile_fit import Stated, fit_quantiles
from hiddenpop.families.simulation.fitted_cells import fitted_cells
from hiddenpop.families.simulation.people import draw_size
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap
from hiddenpop.priors import BetaPrior, beta_from_interval, lognormal_from_interval

if TYPE_CHECKING:
    from hiddenpop.families.multiplier import Priors

__all__ = ["RowTruth", "Truth", "draw_truth", "event_cells", "events_of", "overlap_of"]

AROUND = 0.5
"""Where the prior on N has no mass to draw from, log N lies so far at most from the estimates."""

TRIES = 200
"""How often odds ratios are drawn until some joint distribution has them."""


@dataclass(frozen=True)
class RowTruth:
    """What is unknown of one row.

    Attributes
    ----------
    rate
        Share, or rate per person, of the target itself; 1 where the row has none.
    selection
        Odds ratio by which the survey over-recruits people with the event.
    factor
        Reported / true.
    """

    rate: float = 1.0
    selection: float = 1.0
    factor: float = 1.0

    @property
    def survey_rate(self) -> float:
        """The share among those that the survey reaches."""
        if self.selection == 1:
            return self.rate
        odds = self.selection * self.rate / (1 - self.rate)
        return odds / (1 + odds)


@dataclass(frozen=True)
class Truth:
    """Everything the model treats as unknown, with known values.

    Attributes
    ----------
    table
        Whose rows are drawn again; its counts and the x of its surveys are not used.
    sizes
        People in each stratum.
    rows
        One for each row of the table.
    odds_ratios
        Between events of kind `people`, by the places of their rows in the table.
    overconfidence, between_experts
        c and tau of the figures, one of each per stratum.
    """

    table: MultiplierTable
    sizes: tuple[int, ...]
    rows: tuple[RowTruth, ...]
    odds_ratios: Mapping[tuple[int, int], float]
    overconfidence: tuple[float, ...]
    between_experts: tuple[float, ...]

    @property
    def N(self) -> int:
        """People in all strata."""
        return sum(self.sizes)


def draw_truth(data: MultiplierTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown from its prior.

    Where that is improper, N is drawn around what the rows give, and a rate that was counted in
    a survey around what was counted.

    Raises
    ------
    ValueError
        If no joint distribution has the odds ratios of the priors.
    """
    strata = range(len(data.strata))
    sizes = tuple(_size(data, index, priors, rng) for index in strata)
    for _ in range(TRIES):
        rows = tuple(_row_truth(row, priors, rng) for row in data.rows)
        ratios = _odds_ratios(data, priors, rng)
        if all(_possible(data, index, rows, ratios) for index in strata):
            break
    else:
        raise ValueError("no joint distribution of the events has such odds ratios")
    mean, sigma = lognormal_from_interval(*priors.overconfidence)
    return Truth(
        data, sizes, rows, ratios,
        tuple(float(np.exp(rng.normal(mean, sigma))) for _ in strata),
        tuple(float(abs(rng.normal(0, priors.between_experts))) for _ in strata),
    )  # fmt: skip


def _size(data: MultiplierTable, index: int, priors: Priors, rng: np.random.Generator) -> int:
    residents = float(data.population[index])
    most = residents if residents > 0 else np.inf
    if priors.size_prior.kind != "reciprocal":
        for _ in range(TRIES):
            # Only the improper prior looks at the data.
            size = draw_size(data, priors.size_prior, rng)
            if size <= most:
                return size
        return int(most)
    rows = [row for row in data.rows if row.stratum == index and row.value > 0]
    logs = [np.log(row.value / _centre(row, residents)) for row in rows]
    middle = float(np.mean(logs)) if logs else np.log(1000.0)
    size = max(np.exp(middle + rng.uniform(-AROUND, AROUND)), 1.0)
    return round(float(min(size, most)))


def _centre(row: Benchmark, residents: float) -> float:
    """About what a row's value is, divided by N."""
    rate = 1.0
    if row.rate is not None:
        rate = float(np.mean([value for _, value in row.rate.quantiles] or [0.0]))
        if row.rate.x is not None and row.rate.n is not None:
            rate = (row.rate.x + 1) / (row.rate.n + 2)
    return rate * (row.sample or 1.0) / residents if row.kind == "survey" else rate


def _row_truth(row: Benchmark, priors: Priors, rng: np.random.Generator) -> RowTruth:
    factor = _factor(row.error, rng)
    factor *= 1 - _share(row.undercount, rng)
    factor /= 1 - _share(row.overcount, rng)
    selection = _factor(row.selection, rng)
    rate = _rate(row, priors, rng)
    if row.kind == "people":
        # What is known is the share in the survey.
        rate = RowTruth(rate, 1 / selection).survey_rate
    return RowTruth(rate, selection, factor)


def _factor(stated: Interval | None, rng: np.random.Generator) -> float:
    if stated is None:
        return 1.0
    mean, sigma = lognormal_from_interval(*stated)
    return float(np.exp(rng.normal(mean, sigma)))


def _share(stated: Interval | None, rng: np.random.Generator) -> float:
    if stated is None:
        return 0.0
    if stated.low == stated.high:
        return stated.low
    return float(rng.beta(*_beta(stated)))


@lru_cache(maxsize=1024)
def _beta(stated: Interval) -> BetaPrior:
    return beta_from_interval(*stated)


@lru_cache(maxsize=1024)
def _fitted(name: str, quantiles: tuple[tuple[float, float], ...]) -> Stated:
    return fit_quantiles(name, quantiles)[0]


def _rate(row: Benchmark, priors: Priors, rng: np.random.Generator) -> float:
    rate = row.rate
    if rate is None:
        return 1.0
    share = row.kind in ("people", "survey")
    if rate.quantiles:
        share = share or (row.kind == "figure" and all(value < 1 for _, value in rate.quantiles))
        fitted = _fitted("beta" if share else "log-normal", rate.quantiles)
        return float(np.clip(fitted.ppf(rng.random()), 1e-9, 1 - 1e-9 if share else np.inf))
    if share or row.kind == "figure":
        return float(np.clip(rng.beta(priors.share_a, priors.share_b), 1e-9, 1 - 1e-9))
    x, n = rate.x or 0.0, rate.n or 1.0
    return float(rng.gamma(1 + x / rate.design_effect) * rate.design_effect / n)


def _odds_ratios(
    data: MultiplierTable, priors: Priors, rng: np.random.Generator
) -> dict[tuple[int, int], float]:
    found = {}
    for index in range(len(data.strata)):
        people = events_of(data, index)
        for place, i in enumerate(people):
            for j in people[place + 1 :]:
                known = overlap_of(data.overlaps, data.rows[i].id, data.rows[j].id)
                stated = known.odds_ratio if known is not None else None
                found[i, j] = _factor(stated or Interval(*priors.odds_ratio), rng)
    return found


def overlap_of(overlaps: Sequence[Overlap], one: str, two: str) -> Overlap | None:
    """What is known of two rows, in either order."""
    return next((pair for pair in overlaps if {pair.first, pair.second} == {one, two}), None)


def events_of(data: MultiplierTable, index: int) -> list[int]:
    """Places of a stratum's rows of kind `people`."""
    return [i for i, row in enumerate(data.rows) if row.kind == "people" and row.stratum == index]


def event_cells(
    people: Sequence[int], shares: list[float], ratios: Mapping[tuple[int, int], float]
) -> np.ndarray | None:
    """Probabilities of all combinations of some rows' events; None where there are none."""
    places = {row: place for place, row in enumerate(people)}
    inside = {
        (places[i], places[j]): value
        for (i, j), value in ratios.items()
        if i in places and j in places
    }
    return fitted_cells(shares, inside)


def _possible(
    data: MultiplierTable, index: int, rows: Sequence[RowTruth],
    ratios: Mapping[tuple[int, int], float],
) -> bool:  # fmt: skip
    people = events_of(data, index)
    sets = ([rows[i].rate for i in people], [rows[i].survey_rate for i in people])
    return not people or all(event_cells(people, shares, ratios) is not None for shares in sets)
