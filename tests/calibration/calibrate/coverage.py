"""The coverage study: how often intervals hold N where the truth is inside and outside the models.

ADEMP (Morris, White & Crowther 2019, Stat Med 38:2074). Aims: what a user may expect of the
intervals when the assumptions hold and when they do not. Data: four lists, `SCENARIOS`.
Estimand: N. Methods: the computed families with their default priors, log-linear models by BIC
and under the SBH prior, and their average. Performance: `checks.calibration.coverage_table`.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from calibrate.populations import Population
from calibrate.regime import Regime, Replicate, Row
from hiddenpop.checks.calibration import LEVELS
from hiddenpop.combine import combine
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table, refused

__all__ = ["FAMILIES", "SCENARIOS", "coverage_regimes", "coverage_replicate", "first_two"]

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "two-list": ("two-list", {}),
    "independence": ("heterogeneity", {"models": ("Mt",)}),
    "loglinear-average": ("loglinear-average", {}),
    "loglinear-average sbh": ("loglinear-average", {"estimator": "sbh"}),
    "graphs": ("graphs", {}),
    "heterogeneity": ("heterogeneity", {}),
}
"""What is fitted, by its name in the study: the family and options. `two-list` gets the first two
lists alone, `independence` is the log-linear model without interactions."""

AVERAGED = ("loglinear-average", "graphs", "heterogeneity")
"""What `combined` is the average of: what a user gets who names no family."""

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
    "referral": (Population(referral=0.3), "three in ten of the first list sent to the second"),
    "linkage error": (Population(missed=0.05, false=0.01), "5 % of links missed, 1 % false"),
    "suppressed": (Population(links={(0, 1): ODDS}, most_hidden=7), "one pair; 1 to 7 suppressed"),
    "small": (Population(N=100), "100 people"),
    "sparse": (Population(chances=(0.08, 0.06, 0.05, 0.04)), "a handful on two lists"),
}  # fmt: skip


def coverage_replicate(population: Population) -> Replicate:
    """One table, all families."""

    def replicate(rng: np.random.Generator) -> list[Row]:
        data = population.draw(rng)
        seed = int(rng.integers(2**31))
        fitted: dict[str, SizeEstimate] = {}
        rows = []
        for name, (family, options) in FAMILIES.items():
            begin = time.process_time()
            table = first_two(data) if name == "two-list" else data
            estimate, status = _fit(table, family, options, seed)
            if estimate is not None:
                fitted[name] = estimate
            rows.append(_row(name, population.N, estimate, status, time.process_time() - begin))
        parts = {name: fitted[name] for name in AVERAGED if name in fitted}
        whole = combine(parts, seed=seed) if len(parts) > 1 else None
        rows.append(_row("combined", population.N, whole, "ok" if whole else "too few", 0.0))
        return rows

    return replicate


def first_two(table: OverlapTable) -> OverlapTable:
    """The table of a study that has the first two lists only."""
    counts: dict[str, tuple[float, float]] = {}
    for label, low, high in zip(table.labels, table.low, table.high, strict=True):
        if label[:2] != "00":
            before = counts.get(label[:2], (0.0, 0.0))
            counts[label[:2]] = before[0] + float(low), before[1] + float(high)
    return OverlapTable.from_counts(table.lists[:2], dict(counts))


def _fit(
    data: OverlapTable, family: str, options: dict[str, Any], seed: int
) -> tuple[SizeEstimate | None, str]:
    refusal = refused(data, family, options)
    if refusal is not None:
        return None, refusal.code
    sampling = Sampling(seed=seed)
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
    """A regime for each scenario."""
    return tuple(
        Regime("coverage", name, partial(coverage_replicate, population), 25, 500, about)
        for name, (population, about) in SCENARIOS.items()
    )
