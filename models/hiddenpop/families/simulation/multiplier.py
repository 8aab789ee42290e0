"""Simulated truths and benchmarks, to hold the multipliers against.

Written from the definition of the model, not from its code: people and respondents are put into
the cells of all events, respondents cluster by cluster where the survey has a design effect, and
every other row is drawn from its distribution. Factors (over- and undercount, error) multiply
what was truly counted, as in the model; the result is rounded to whole people.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hiddenpop.families.simulation.multiplier_truth import (
    RowTruth,
    Truth,
    draw_truth,
    event_cells,
    events_of,
    overlap_of,
)
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.priors import z_score

__all__ = ["RowTruth", "Truth", "draw_truth", "respondents", "simulate"]


def simulate(truth: Truth, rng: np.random.Generator) -> MultiplierTable:
    """Draw every row, and the surveys behind the rates; numbers that were not known stay so."""
    rows = list(truth.table.rows)
    overlaps = list(truth.table.overlaps)
    for index in range(len(truth.table.strata)):
        _counts(truth, index, rows, overlaps, rng)
        _surveys(truth, index, rows, overlaps, rng)
    for i, row in enumerate(truth.table.rows):
        if row.kind != "people":
            rows[i] = _other(truth, i, rng)
    return replace(truth.table, rows=tuple(rows), overlaps=tuple(overlaps))


def _counts(
    truth: Truth, index: int, rows: list[Benchmark], overlaps: list[Overlap],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Everybody falls into one cell of the events; each count is that of one event."""
    people = events_of(truth.table, index)
    if not people:
        return
    cells = event_cells(people, [truth.rows[i].rate for i in people], truth.odds_ratios)
    if cells is None:
        raise ValueError("no joint distribution of the events has these odds ratios")
    drawn = rng.multinomial(truth.sizes[index], cells.ravel()).reshape(cells.shape)
    for place, i in enumerate(people):
        true = int(drawn.take(1, axis=place).sum())
        rows[i] = _reported(truth.table.rows[i], round(true * truth.rows[i].factor))
    for place, i in enumerate(people):
        for other, j in enumerate(people[place + 1 :], start=place + 1):
            known = overlap_of(overlaps, rows[i].id, rows[j].id)
            if known is not None and known.people is not None:
                # Wrong records are linked as often as right ones.
                factor = truth.rows[i].factor * truth.rows[j].factor
                both = int(drawn.take(1, axis=other).take(1, axis=place).sum())
                linked = min(round(both * factor), rows[i].least, rows[j].least)
                overlaps[overlaps.index(known)] = replace(known, people=float(linked))


def _reported(row: Benchmark, value: float) -> Benchmark:
    """A row with a new number, or the range of the same length in which it falls."""
    if not np.isfinite(row.value):
        return row
    width = row.most - row.least
    if width == 0:
        return replace(row, value=float(value), least=float(value), most=float(value))
    least = row.least + np.floor((value - row.least) / (width + 1)) * (width + 1)
    ends = max(least, 0.0), least + width
    return replace(row, value=sum(ends) / 2, least=ends[0], most=ends[1])


def _surveys(
    truth: Truth, index: int, rows: list[Benchmark], overlaps: list[Overlap],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Respondents of each survey, with all events that it asked about."""
    groups: dict[str, list[int]] = {}
    for i in events_of(truth.table, index):
        rate = truth.table.rows[i].rate
        if rate is not None and rate.x is not None:
            groups.setdefault(truth.table.rows[i].survey or f"{i}", []).append(i)
    for members in groups.values():
        rates = [truth.table.rows[i].rate or Rate() for i in members]
        asked = [round(rate.n or 0.0) for rate in rates]
        cells = event_cells(
            members, [truth.rows[i].survey_rate for i in members], truth.odds_ratios
        )
        if cells is None:
            raise ValueError("no joint distribution of the events has these odds ratios")
        effect = max(rate.design_effect for rate in rates)
        place = respondents(cells.ravel(), max(asked), effect, rng)
        has = np.array(np.unravel_index(place, cells.shape)).astype(bool)
        # Not everybody answers each question.
        answered = [rng.permutation(max(asked)) < count for count in asked]
        if len(set(asked)) == 1:
            answered = [np.full(count, True) for count in asked]
        for spot, i in enumerate(members):
            x = float(np.sum(has[spot] & answered[spot]))
            rows[i] = replace(rows[i], rate=replace(rates[spot], x=x))
        for pair in list(overlaps):
            spots = [s for s, i in enumerate(members) if rows[i].id in (pair.first, pair.second)]
            if len(spots) == 2 and pair.respondents is not None:
                both = np.all([has[s] & answered[s] for s in spots], axis=0)
                overlaps[overlaps.index(pair)] = replace(pair, respondents=float(both.sum()))


def respondents(
    cells: np.ndarray, count: int, effect: float, rng: np.random.Generator
) -> np.ndarray:
    """Cells in which respondents fall, (respondent,), clustered so as to have a design effect.

    Clusters of m people with the intra-cluster correlation r have the design effect
    1 + (m - 1) r (Kish 1965); the cells' shares in a cluster are Dirichlet around those of all,
    with the sum of parameters 1/r - 1.
    """
    if effect <= 1:
        return np.asarray(rng.choice(len(cells), size=count, p=cells))
    size = max(2, int(np.ceil(3 * effect)))
    within = (effect - 1) / (size - 1)
    # Empty cells stay empty; sums of parameters that are small may leave a cluster without any.
    drawn = rng.gamma(
        np.maximum(cells, 1e-300) * (1 / within - 1), size=(-(-count // size), len(cells))
    )
    drawn = np.where(drawn.sum(axis=1, keepdims=True) > 0, drawn, cells)
    below = np.cumsum(drawn, axis=1) / drawn.sum(axis=1, keepdims=True)
    cluster = np.arange(count) // size
    return np.asarray(np.sum(rng.random((count, 1)) >= below[cluster, :-1], axis=1))


def _other(truth: Truth, place: int, rng: np.random.Generator) -> Benchmark:
    """A row that does not count people of the target one by one."""
    row, of = truth.table.rows[place], truth.rows[place]
    rate = row.rate
    if rate is not None and rate.x is not None and rate.n is not None:
        row = replace(row, rate=replace(rate, x=_found(row, rate, of.rate, rng)))
    mean = truth.sizes[row.stratum] * of.rate
    if row.kind == "events":
        return _reported(row, int(rng.poisson(mean * of.factor)))
    if row.kind == "survey":
        share = min(mean / float(truth.table.population[row.stratum]), 1.0)
        cells = np.array([1 - share, share])
        asked = respondents(cells, round(row.sample or 0.0), row.sample_effect, rng)
        return _reported(row, int(asked.sum()))
    confidence, between = 1.0, 0.0
    if row.kind == "figure":
        confidence = truth.overconfidence[row.stratum]
        between = truth.between_experts[row.stratum]
    return _stated(row, mean * of.factor, confidence, between, rng)


def _found(row: Benchmark, rate: Rate, value: float, rng: np.random.Generator) -> float:
    """A survey's count behind a share or a rate, with its design effect."""
    asked = rate.n or 0.0
    if row.kind in ("survey", "figure"):
        cells = np.array([1 - value, value])
        return float(respondents(cells, round(asked), rate.design_effect, rng).sum())
    mean, extra = value * asked, rate.design_effect - 1
    # A negative binomial has the variance of a Poisson number times the design effect.
    return float(rng.poisson(rng.gamma(mean / extra) * extra if extra > 0 else mean))


def _stated(
    row: Benchmark, truth: float, confidence: float, between: float, rng: np.random.Generator
) -> Benchmark:
    """A number with its own error: on either side of it the truth is a normal log distance off."""
    if not np.isfinite(row.value):
        return row
    sides = np.zeros(2)
    if row.interval is not None:
        ends = np.log(row.value / row.interval.low), np.log(row.interval.high / row.value)
        sides = np.array(ends) / z_score(row.interval.level)
    below, above = np.hypot(between, confidence * sides)
    apart = abs(rng.normal())
    up = rng.random() < above / max(below + above, 1e-300)
    value = truth * float(np.exp(-apart * above if up else apart * below))
    interval = row.interval
    if interval is not None:
        factor = value / row.value
        interval = Interval(interval.low * factor, interval.high * factor, interval.level)
    return replace(row, value=value, least=value, most=value, interval=interval)
