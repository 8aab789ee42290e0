"""Benchmarks over areas: calibration, and the coverage of areas that have no data of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr
from scipy import stats

from calibrate.regime import Regime, Replicate, Row
from calibrate.sampled import Quantities, doubts, sampled_replicate
from hiddenpop.checks.calibration.scores import LEVELS
from hiddenpop.estimate import summarise
from hiddenpop.families import multiplier_areas as family
from hiddenpop.families.multiplier_areas import Priors
from hiddenpop.families.simulation.multiplier_areas import Truth, draw_truth, simulate
from hiddenpop.inference import Sampler
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable, Rate
from hiddenpop.inputs.settings import Sampling

__all__ = ["areas_regimes", "counted_areas", "coverage_areas"]

# Two chains are enough for ranks; few areas say little of the scales, hence the short steps.
SLOW = Sampling(draws=400, tune=500, chains=2, target_accept=0.98)
CALM = Sampling(draws=500, tune=700, target_accept=0.99)

PRIORS = Priors(prevalence=(0.004, 0.03, 0.95), between_areas=0.4, between_shares=0.4)

EVENT = "treated"
SURVEYED = 200


def counted_areas(surveyed: int, counted: int, silent: int) -> MultiplierTable:
    """Areas with a count and a survey, with a count alone, and with neither; numbers not used."""
    size = surveyed + counted + silent
    # A survey of its own in each area: one that is stated alike in several is taken for one.
    rows = tuple(
        Benchmark.counted(
            EVENT, 300, Rate(x=60, n=SURVEYED) if area < surveyed else None, stratum=area,
            survey=f"survey {area}" if area < surveyed else None,
        )
        for area in range(surveyed + counted)
    )  # fmt: skip
    strata = tuple((f"area {area}", "") for area in range(size))
    return MultiplierTable(rows, (), strata, np.array([40_000.0, 80_000.0, 120_000.0])[
        np.arange(size) % 3
    ])  # fmt: skip


def areas_replicate(template: MultiplierTable) -> Replicate:
    """One compilation for tables of the template's shape."""

    def drawn(rng: np.random.Generator) -> tuple[Truth, MultiplierTable]:
        truth = draw_truth(template, PRIORS, rng)
        return truth, simulate(truth, rng)

    def refusal(data: MultiplierTable) -> str | None:
        found = family.refusal(data, PRIORS)
        return None if found is None else found.code

    def values(data: MultiplierTable) -> Mapping[str, np.ndarray]:
        return family.values(data, PRIORS)

    return sampled_replicate(
        lambda: family.build_model(template, PRIORS), drawn, values, _quantities, refusal, SLOW
    )


def _quantities(
    tree: xr.DataTree, data: MultiplierTable, truth: Truth, rng: np.random.Generator
) -> Quantities:
    posterior = family.finish(tree, data, PRIORS, rng)["posterior"].to_dataset()
    people = posterior["N"].transpose("chain", "draw", "stratum").to_numpy()
    shares = posterior["share"].transpose("chain", "draw", "link").to_numpy()
    known = np.array([truth.rates[row.id, *data.strata[row.stratum]] for row in data.rows])
    last = people.shape[-1] - 1
    draws = {
        "N": people.sum(-1), "N first area": people[..., 0], f"N area {last}": people[..., last],
        "share first area": shares[..., 0],
        "prevalence first area": posterior["prevalence"].to_numpy()[..., 0],
        "log_likelihood": _log_likelihood(data, people, shares),
    }  # fmt: skip
    true = {
        "N": float(truth.sizes.sum()), "N first area": float(truth.sizes[0]),
        f"N area {last}": float(truth.sizes[last]),
        "share first area": float(known[0]),
        "prevalence first area": float(truth.prevalence[0]),
        "log_likelihood": float(_log_likelihood(data, truth.sizes, known)),
    }  # fmt: skip
    return Quantities(draws, true)


def _log_likelihood(data: MultiplierTable, people: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Of counts and surveys, (...,), written apart from the model."""
    total = np.zeros(people.shape[:-1])
    for place, row in enumerate(data.rows):
        p = shares[..., place]
        total = total + stats.binom.logpmf(row.value, people[..., row.stratum], p)
        if row.rate is not None and row.rate.x is not None and row.rate.n is not None:
            total = total + stats.binom.logpmf(row.rate.x, row.rate.n, p)
    return np.asarray(total)


def areas_regimes() -> tuple[Regime, ...]:
    """Three and eight areas; one area is the exact family, which has studies of its own."""
    shapes = (
        ("3 areas", counted_areas(2, 1, 0), (100, 300), "two of them surveyed"),
        ("8 areas", counted_areas(4, 1, 3), (20, 100), "four surveyed, three without data"),
    )
    return tuple(
        Regime("multiplier-areas", name, partial(areas_replicate, table), *counts, about)
        for name, table, counts, about in shapes
    )


# --- coverage --------------------------------------------------------------------------------


def _populations(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Prevalence and shares of eight areas: log odds around 1 % and 35 %, sd 0.4 and 0.3."""
    odds = np.log(0.01 / 0.99) + rng.normal(0, 0.4, 8), np.log(0.35 / 0.65) + rng.normal(0, 0.3, 8)
    one, two = (1 / (1 + np.exp(-x)) for x in odds)
    return one, two


def silent_replicate() -> Replicate:
    """Eight areas, five with a count and a survey of 200; default priors."""
    template, priors = counted_areas(5, 0, 3), Priors()
    sampler = Sampler(family.build_model(template, priors))
    sampler.compile()

    def replicate(rng: np.random.Generator) -> list[Row]:
        prevalence, shares = _populations(rng)
        assert template.population is not None
        N = rng.binomial(template.population.astype(int), prevalence)
        rows = []
        for row in template.rows:
            p = shares[row.stratum]
            count = float(rng.binomial(N[row.stratum], p))
            rate = Rate(x=float(rng.binomial(SURVEYED, p)), n=SURVEYED)
            rows.append(replace(row, value=count, least=count, most=count, rate=rate))
        data = replace(template, rows=tuple(rows))
        begin, seed = time.process_time(), int(rng.integers(2**31 - 1))
        tree = sampler.sample(family.values(data, priors), replace(CALM, seed=seed))
        status = doubts(tree) or "ok"
        seconds = time.process_time() - begin
        people = family.finish(tree, data, priors, rng)["posterior"]["N"]
        drawn = people.transpose("stratum", "chain", "draw").to_numpy().reshape(len(N), -1)
        about = {"status": status, "seconds": seconds}
        parts = (("all eight areas", slice(None)), ("an area with data", slice(0, 1)),
                 ("an area without data", slice(7, 8)))  # fmt: skip
        return [
            about | {"family": f"multiplier-areas: {name}"}
            | _interval(drawn[part].sum(0), int(N[part].sum()))
            for name, part in parts
        ]  # fmt: skip

    return replicate


def _interval(draws: np.ndarray, N: int) -> Row:
    row: Row = {"N": N, "observed": 0.0, "median": float(np.median(draws))}
    for level in LEVELS:
        found = summarise(draws, level)
        row |= {f"low_{100 * level:.0f}": found.low, f"high_{100 * level:.0f}": found.high}
    return row


def coverage_areas() -> tuple[Regime, ...]:
    """Three of eight areas without data."""
    return (
        Regime("coverage areas", "three of eight silent", silent_replicate, 20, 200,
               "five areas with a count and a survey of 200, three with nothing"),
    )  # fmt: skip
