"""Simulated areas, periods and benchmarks, to hold the model against.

Written from the definition of the model, not from its code: areas and periods are gone through
one by one, people are counted by drawing who has the event, and respondents by drawing who says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.simulation.people import draw_size
from hiddenpop.inputs import periods
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.priors import beta_from_interval, logit_normal_from_interval, z_score

if TYPE_CHECKING:  # `families.multiplier_areas` is not needed to run
    from hiddenpop.families.multiplier_areas import Priors

__all__ = ["Truth", "draw_truth", "simulate"]

UNKNOWN_RESIDENTS = 50_000
"""Residents of a single stratum where the table has none."""

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Truth:
    """Everything the model treats as unknown, with known values.

    Attributes
    ----------
    table
        Whose rows, strata and residents are kept; its numbers are not used.
    sizes
        People of each stratum, (stratum,).
    prevalence
        Their expected share of residents, (stratum,).
    rates
        Share or rate of each row, by (benchmark, area, period); 1 for rows without any.
    factors
        Reported / true, by the same.
    selection
        Odds ratio of the survey behind the rate, by the same.
    figures
        Sd between experts, and overconfidence.
    """

    table: MultiplierTable
    sizes: np.ndarray
    prevalence: np.ndarray
    rates: dict[Key, float]
    factors: dict[Key, float]
    selection: dict[Key, float]
    figures: tuple[float, float]

    @property
    def N(self) -> float:
        """People of the last period, all areas together."""
        return float(self.sizes[self.table.current].sum())


def draw_truth(data: MultiplierTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown of the model from its prior.

    Shares and rates that are stated by quantiles are not drawn from these but like surveyed ones:
    tables with such rows serve recovery, not calibration.
    """
    start = logit_normal_from_interval(*priors.prevalence)
    level = rng.normal(start.mu, start.sigma)
    between, common, own = np.abs(rng.normal(0, [priors.between_areas, priors.change,
                                                 priors.change]))  # fmt: skip
    logits = _field(data.strata, (between, common, own), rng)
    residents = np.where(np.isfinite(data.population), data.population, UNKNOWN_RESIDENTS)
    prevalence = np.array([_expit(level + logits[stratum]) for stratum in data.strata])
    if len(data.strata) == 1:
        size = draw_size(data, priors.size_prior, rng)
        prevalence[:] = min(size / residents[0], 0.9)
    rates = _rates(data, priors, rng)
    drawn: dict[tuple[str, Interval, str], float] = {}

    def once(row: Benchmark, kind: str, draw: Callable[[Interval], float]) -> float:
        """One draw for each benchmark and interval, in whatever stratum it stands."""
        interval = getattr(row, kind)
        if interval is None:
            return 0.0 if kind.endswith("count") else 1.0
        place = (row.id, interval, kind)
        if place not in drawn:
            drawn[place] = draw(interval)
        return drawn[place]

    def ratio(interval: Interval) -> float:
        middle = np.log(interval.low * interval.high) / 2
        sd = np.log(interval.high / interval.low) / 2 / z_score(interval.level)
        return float(np.exp(rng.normal(middle, sd)))

    def part(interval: Interval) -> float:
        return float(rng.beta(*beta_from_interval(*interval)))

    factors, selection = {}, {}
    for row in data.rows:
        under, over = once(row, "undercount", part), once(row, "overcount", part)
        factors[_key(data, row)] = once(row, "error", ratio) * (1 - under) / (1 - over)
        selection[_key(data, row)] = once(row, "selection", ratio)
    tau = abs(rng.normal(0, priors.between_experts))
    return Truth(
        data, rng.binomial(residents.astype(int), prevalence), prevalence, rates, factors,
        selection, (float(tau), ratio(Interval(*priors.overconfidence))),
    )  # fmt: skip


def simulate(truth: Truth, rng: np.random.Generator) -> MultiplierTable:
    """Count, ask and state everything again."""
    data = truth.table
    # One survey that is quoted for several strata is held once, in all of them.
    together: dict[tuple[object, ...], list[Benchmark]] = {}
    for row in data.rows:
        together.setdefault((row.id, row.rate, row.survey, row.selection), []).append(row)
    asked = {key: _ask(truth, rows, rng) for key, rows in together.items()}
    made = []
    for row in data.rows:
        again = replace(row, rate=asked[row.id, row.rate, row.survey, row.selection])
        made.append(_count(truth, again, rng) if np.isfinite(row.least) else again)
    return replace(data, rows=tuple(made))


def _expit(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _key(data: MultiplierTable, row: Benchmark) -> Key:
    return (row.id, *data.strata[row.stratum])


def _field(
    strata: tuple[tuple[str, str], ...], sds: tuple[float, float, float], rng: np.random.Generator
) -> dict[tuple[str, str], float]:
    """Deviations of areas, with steps through time of all of them and of each."""
    between, common, own = sds
    areas = sorted({area for area, _ in strata})
    times = {name: periods.middle(name) if name else 0.0 for _, name in strata}
    order = sorted(times, key=lambda name: times[name])
    found = {}
    together = _steps(order, times, common, rng)
    for area in areas:
        alone = len(areas) == 1
        effect = 0.0 if alone else rng.normal(0, between)
        here = [name for name in order if (area, name) in strata]
        apart = _steps(here, times, 0.0 if alone else own, rng)
        for name in here:
            found[area, name] = float(effect + together[name] + apart[name])
    return found


def _steps(
    order: list[str], times: dict[str, float], sd: float, rng: np.random.Generator
) -> dict[str, float]:
    """A random walk from 0 at the first period."""
    found, at = {}, 0.0
    for place, name in enumerate(order):
        if place:
            at += rng.normal(0, sd * np.sqrt(times[name] - times[order[place - 1]]))
        found[name] = at
    return found


def _rates(data: MultiplierTable, priors: Priors, rng: np.random.Generator) -> dict[Key, float]:
    """Shares and rates of all rows, around what the table says of each benchmark."""
    between, change = np.abs(rng.normal(0, [priors.between_shares, priors.share_change]))
    found: dict[Key, float] = {}
    for name in data.benchmarks:
        rows = [row for row in data.rows if row.id == name]
        if all(row.rate is None for row in rows) and rows[0].kind in ("survey", "figure"):
            found |= {_key(data, row): 1.0 for row in rows}
            continue
        share = rows[0].kind not in ("events", "amount")
        mean = rng.beta(priors.share_a, priors.share_b) if share else _typical(rows)
        strata = tuple(data.strata[row.stratum] for row in rows)
        areas = len({area for area, _ in strata})
        # Half of the change of shares is common, half each area's own.
        part = change * (np.sqrt(0.5) if areas > 1 else 1.0)
        moved = _field(strata, (between, part, part), rng)
        for row in rows:
            by = moved[data.strata[row.stratum]]
            odds = np.log(mean / (1 - mean)) if share else 0.0
            found[_key(data, row)] = _expit(odds + by) if share else float(mean * np.exp(by))
    return found


def _typical(rows: list[Benchmark]) -> float:
    """A rate per person that the table speaks of."""
    for row in rows:
        if row.rate is not None and row.rate.quantiles:
            return float(np.exp(np.mean([np.log(value) for _, value in row.rate.quantiles])))
        if row.rate is not None and row.rate.x is not None and row.rate.n is not None:
            return (row.rate.x + 0.5) / row.rate.n
    return 1.0


def _ask(truth: Truth, rows: list[Benchmark], rng: np.random.Generator) -> Rate | None:
    """Ask the survey behind some rows again; quantiles stay, as somebody's knowledge."""
    rate = rows[0].rate
    if rate is None or rate.x is None or rate.n is None:
        return rate
    keys, effect = [_key(truth.table, row) for row in rows], rate.design_effect
    here = np.array([truth.rates[key] for key in keys])
    if rows[0].kind in ("events", "amount"):
        mean = float(np.exp(np.mean(np.log(here))))
        return replace(rate, x=float(rng.poisson(mean * rate.n / effect)) * effect)
    odds = truth.selection[keys[0]] * float(np.exp(np.mean(np.log(here / (1 - here)))))
    has = rng.random(round(rate.n / effect)) < odds / (1 + odds)
    return replace(rate, x=min(float(has.sum()) * effect, rate.n))


def _count(truth: Truth, row: Benchmark, rng: np.random.Generator) -> Benchmark:
    """Count the people, events, money or answers of a row again."""
    key = _key(truth.table, row)
    N, p, factor = int(truth.sizes[row.stratum]), truth.rates[key], truth.factors[key]
    if row.kind == "people":
        return _stated(row, round(float(np.sum(rng.random(N) < p)) * factor))
    if row.kind == "events":
        return _stated(row, int(rng.poisson(N * p * factor)))
    if row.kind == "survey":
        residents = truth.table.population[row.stratum]
        answers = rng.random(round((row.sample or 1.0) / row.sample_effect)) < N * p / residents
        return _stated(row, round(float(answers.sum()) * row.sample_effect))
    sd = 0.0
    if row.interval is not None:
        sd = np.log(row.interval.high / row.interval.low) / 2 / z_score(row.interval.level)
    if row.kind == "figure":
        tau, c = truth.figures
        sd = np.hypot(tau, c * sd)
    value = max(N, 1) * p * factor * float(np.exp(rng.normal(0, sd)))
    interval = row.interval
    if interval is not None:
        moved = value / row.value
        interval = Interval(interval.low * moved, interval.high * moved, interval.level)
    return replace(row, value=value, least=value, most=value, interval=interval)


def _stated(row: Benchmark, number: int) -> Benchmark:
    """The number, or the range of the same length in which it falls."""
    length = row.most - row.least
    if length == 0:
        return replace(row, value=float(number), least=float(number), most=float(number))
    least = float(number - number % int(length + 1))
    return replace(row, value=least + length / 2, least=least, most=least + length)
