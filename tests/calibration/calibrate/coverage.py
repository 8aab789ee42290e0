"""The coverage study: how often intervals hold N where the truth is inside and outside the models.

ADEMP (Morris, White & Crowther 2019, Stat Med 38:2074). Aims: what a user may expect of the
intervals when the assumptions hold and when they do not. Data: four lists, `SCENARIOS`.
Estimand: N. Methods: the computed families with their default priors, log-linear models by BIC
and under the SBH prior, their average, and the sampled families on fewer tables. Performance:
`checks.calibration.scores.coverage_table`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from calibrate.populations import Population
from calibrate.regime import Regime, Replicate, Row
from calibrate.sampled import settled
from hiddenpop.checks.calibration.scores import LEVELS
from hiddenpop.combine import combine
from hiddenpop.families import loglinear
from hiddenpop.inference import Sampler
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table, refused

__all__ = ["FAST", "SCENARIOS", "coverage_regimes", "coverage_replicate", "first_two"]

FAST: dict[str, tuple[str, dict[str, Any]]] = {
    "two-list": ("two-list", {}),
    "independence": ("heterogeneity", {"models": ("Mt",)}),
    "loglinear-average": ("loglinear-average", {}),
    "graphs": ("graphs", {}),
}
"""What is fitted to every table, by its name in the study: the family and options. `two-list`
gets the first two lists alone, `independence` is the log-linear model without interactions."""

SBH: tuple[str, dict[str, Any]] = ("loglinear-average", {"estimator": "sbh"})

FIRST, SLOW = "coverage", "coverage slow"
"""Names of the studies: their tables differ, their scenarios do not."""

AVERAGED = ("loglinear-average", "graphs", "heterogeneity")
"""What `combined` is the average of: what a user gets who names no family."""

DEFAULT = Sampling()
SHORT = Sampling(draws=400, tune=500, chains=2, target_accept=0.95)

ODDS = float(np.log(2.5))

SCENARIOS: dict[str, tuple[Population, str]] = {
    "independent": (Population(), "lists independent, people alike"),
    "one pair": (Population(links={(0, 1): ODDS}), "one pair of lists with odds ratio 2.5"),
    "two pairs": (Population(links={(0, 1): ODDS, (2, 3): ODDS}), "two separate pairs"),
    "three pairs": (
        Population(links={(0, 1): ODDS, (1, 2): ODDS, (0, 3): -ODDS}), "three, one negative"
    ),
    "heterogeneity": (Population(spread=1.0), "visibility with sd 1 on the logit scale"),
    "three-way": (Population(links={(0, 1, 2): 0.7}), "three lists with log odds 0.7"),
    "three-way, three lists": (
        Population(N=5000, chances=(0.30, 0.25, 0.20), links={(0, 1, 2): 0.7}),
        "5,000 people, no fourth list: all there are with log odds 0.7",
    ),
    "referral": (Population(referral=0.3), "three in ten of the first list sent to the second"),
    "linkage error": (Population(missed=0.05, false=0.01), "5 % of links missed, 1 % false"),
    "suppressed": (Population(links={(0, 1): ODDS}, most_hidden=7), "one pair; 1 to 7 suppressed"),
    "small": (Population(N=100), "100 people"),
    "sparse": (Population(chances=(0.08, 0.06, 0.05, 0.04)), "a handful on two lists"),
}  # fmt: skip


def coverage_replicate(population: Population) -> Replicate:
    """One table, the families that take milliseconds."""

    def replicate(rng: np.random.Generator) -> list[Row]:
        data = population.draw(rng)
        seed = int(rng.integers(2**31))
        return [
            _timed(name, population.N, first_two(data) if name == "two-list" else data, *what, seed)
            for name, what in FAST.items()
        ]

    return replicate


def slow_replicate(population: Population) -> Replicate:
    """One table, the families that take longer, and the average of families."""
    sampled = None if population.most_hidden else compiled(len(population.chances))

    def replicate(rng: np.random.Generator) -> list[Row]:
        data = population.draw(rng)
        seed = int(rng.integers(2**31))
        fitted, seconds = {}, {}
        for name in AVERAGED:
            begin = time.process_time()
            fitted[name] = _fit(data, name, {}, seed)
            seconds[name] = time.process_time() - begin
        parts = {name: one for name, (one, _) in fitted.items() if one is not None}
        whole = combine(parts, seed=seed) if len(parts) > 1 else None
        slow = "heterogeneity"
        rows = [
            _row(slow, population.N, *fitted[slow], seconds[slow]),
            _row("combined", population.N, whole, "ok" if whole else "too few", 0.0),
            _timed("loglinear-average sbh", population.N, data, *SBH, seed),
        ]
        if sampled is not None:
            rows.append(sampled.row(population.N, data, seed))
        return rows

    return replicate


@cache
def compiled(lists: int) -> Loglinear:
    """One compilation in each process serves all scenarios."""
    return Loglinear(lists)


class Loglinear:
    """The sampled log-linear model with its default priors, compiled once for exact tables."""

    def __init__(self, lists: int) -> None:
        self.marks = [f"{code:0{lists}b}" for code in range(1, 2**lists)]
        template = OverlapTable.from_counts("abcdefgh"[:lists], dict.fromkeys(self.marks, 9.0))
        self.priors = loglinear.Priors()
        self.sampler = Sampler(loglinear.build_model(template, self.priors))
        self.sampler.compile()

    def row(self, N: int, table: OverlapTable, seed: int) -> Row:
        """Fit a table; cells of nobody are counts of 0."""
        seen = {"".join("1" if mark else "0" for mark in history): count
                for history, count in zip(table.history, table.low, strict=True)}  # fmt: skip
        counts = {mark: float(seen.get(mark, 0)) for mark in self.marks}
        data = OverlapTable.from_counts(table.lists, counts)
        if (found := loglinear.refusal(data, self.priors)) is not None:
            return _row("loglinear", N, None, found.code, 0.0)
        begin = time.process_time()
        values = loglinear.values(data, self.priors)
        tree, status = settled(lambda how: self.sampler.sample(values, how), seed, SHORT)
        tree = loglinear.finish(tree, data, self.priors, np.random.default_rng(seed))
        estimate = SizeEstimate(tree, data, "loglinear")
        return _row("loglinear", N, estimate, status, time.process_time() - begin)


def first_two(table: OverlapTable) -> OverlapTable:
    """The table of a study that has the first two lists only."""
    counts: dict[str, tuple[float, float]] = {}
    for label, low, high in zip(table.labels, table.low, table.high, strict=True):
        if label[:2] != "00":
            before = counts.get(label[:2], (0.0, 0.0))
            counts[label[:2]] = before[0] + float(low), before[1] + float(high)
    return OverlapTable.from_counts(table.lists[:2], dict(counts))


def _timed(
    name: str, N: int, data: OverlapTable, family: str, options: dict[str, Any], seed: int,
    sampling: Sampling = DEFAULT,
) -> Row:  # fmt: skip
    begin = time.process_time()
    estimate, status = _fit(data, family, options, seed, sampling)
    return _row(name, N, estimate, status, time.process_time() - begin)


def _fit(
    data: OverlapTable, family: str, options: dict[str, Any], seed: int,
    sampling: Sampling = DEFAULT,
) -> tuple[SizeEstimate | None, str]:  # fmt: skip
    refusal = refused(data, family, options)
    if refusal is not None:
        return None, refusal.code
    sampling = replace(sampling, seed=seed)
    try:
        estimate = fit_table(data, family, options=options, sampling=sampling, check=False)
    except (ArithmeticError, ValueError) as error:  # LinAlgError is a ValueError
        return None, f"error: {type(error).__name__}: {error}".replace("\n", " ")
    if not estimate.verdict.passed:
        return None, str(estimate.verdict)
    return estimate, "ok"


def _row(name: str, N: int, estimate: SizeEstimate | None, status: str, seconds: float) -> Row:
    row: Row = {"family": name, "N": N, "status": status, "seconds": seconds}
    if estimate is None:
        return row
    row |= {"observed": estimate.observed, "median": estimate.N().median}
    for level in LEVELS:
        found = estimate.N(level)
        row |= {f"low_{100 * level:.0f}": found.low, f"high_{100 * level:.0f}": found.high}
    return row


def coverage_regimes() -> tuple[Regime, ...]:
    """Two regimes for each scenario: what takes milliseconds, and what takes a second."""
    kinds = (
        (FIRST, coverage_replicate, 25, 1000),
        (SLOW, slow_replicate, 20, 200),
    )
    return tuple(
        Regime(study, name, partial(make, SCENARIOS[name][0]), quick, full, SCENARIOS[name][1])
        for study, make, quick, full in kinds
        for name in SCENARIOS
    )
