"""The log-linear model on published tables: its gates pass, and it lands where others did.

The records come from other models, other priors or more data, so that they are ranges to land
in; what the model itself computes is held to independent truths in tests/recovery.
"""

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hiddenpop.families.loglinear import Priors
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.size import SizeEstimate, fit_table
from hiddenpop.studies import load_size_study

__all__: list[str] = []

RECORDS: dict[str, dict[str, Any]] = {
    record["dataset"]: record
    for record in json.loads(
        (Path(__file__).parent / "values" / "loglinear.json").read_text("utf-8")
    )
}


def fitted(table: OverlapTable | Margins) -> SizeEstimate:
    """With default settings; raises if a gate fails."""
    estimate = fit_table(table, "loglinear")
    assert estimate.verdict.passed
    assert estimate.draws().min() >= estimate.observed
    return estimate


def assert_lands_in(estimate: SizeEstimate, name: str) -> None:
    record = RECORDS[name]
    assert record["low"] < estimate.N().median < record["high"]


@pytest.mark.recovery
@pytest.mark.parametrize("name", ["kosovo", "spina"])
def test_tables_of_the_literature(name: str, reference_table: Callable[..., OverlapTable]) -> None:
    assert_lands_in(fitted(reference_table(name)), name)


@pytest.mark.recovery
@pytest.mark.slow
def test_brighton_by_sex_and_age() -> None:
    table = load_size_study("brighton-2000").table
    assert isinstance(table, OverlapTable)
    assert table.factors == ("sex", "age")
    estimate = fitted(table)
    assert_lands_in(estimate, "brighton-2000")
    strata = estimate.strata()
    assert strata is not None
    assert list(strata["stratum"]) == list(table.stratum_names)
    # Strata are added up draw by draw, so that means add up, and medians only nearly.
    assert strata["mean"].sum() == pytest.approx(estimate.N().mean, rel=1e-9)


@pytest.mark.recovery
def test_brussels() -> None:
    table = load_size_study("brussels-2019").table
    assert isinstance(table, OverlapTable)
    assert_lands_in(fitted(table), "brussels-2019")


@pytest.mark.recovery
@pytest.mark.slow
def test_scotland_with_a_list_of_which_only_a_part_is_of_the_target(
    reference_table: Callable[..., OverlapTable],
) -> None:
    table = reference_table("ScotPWID")
    assert (table.low < table.high).sum() == 8
    estimate = fitted(table)
    assert_lands_in(estimate, "ScotPWID")
    # Without the doubt about that list there are more people: its overlaps count for less.
    assert estimate.N().median < fitted(reference_table("ScotPWID_agg")).N().median


def test_the_prior_of_odds_ratios_is_as_wide_as_published_tables(
    reference_table: Callable[..., OverlapTable],
) -> None:
    """The numbers of docs/methods/loglinear.md: all pairs fitted by maximum likelihood."""
    logs = []
    for table in (
        load_size_study("brighton-2000").table,
        load_size_study("brussels-2019").table,
        reference_table("ScotPWID_agg"),
    ):
        assert isinstance(table, OverlapTable)
        count, lists = table.total().dense()[0, 1:], len(table.lists)
        on = ((np.arange(1, 2**lists)[:, None] >> np.arange(lists)) & 1).astype(float)
        pairs = [on[:, j] * on[:, k] for j, k in combinations(range(lists), 2)]
        X = np.column_stack([np.ones(len(on)), on, *pairs])
        beta = np.linalg.lstsq(X, np.log(count + 0.5), rcond=None)[0]
        for _ in range(50):
            mean = np.exp(X @ beta)
            beta = beta + np.linalg.solve(X.T @ (mean[:, None] * X), X.T @ (count - mean))
        assert abs(X.T @ (count - np.exp(X @ beta))).max() < 1e-6
        logs.append(beta[1 + lists :])
    every = np.concatenate(logs)
    assert len(every) == 15
    assert np.exp([every.min(), every.mean(), every.max()]) == pytest.approx(
        [1.1, 2.1, 8.9], abs=0.05
    )
    assert [pairs.std(ddof=1) for pairs in logs] == pytest.approx([0.3, 0.9, 0.5], abs=0.05)
    low, high, _ = Priors().odds_ratio
    assert np.all((every > np.log(low)) & (every < np.log(high)))


@pytest.mark.recovery
def test_london_from_margins() -> None:
    table = load_size_study("london-2001").table
    assert isinstance(table, Margins)
    estimate, record = fitted(table), RECORDS["london-2001"]
    found = estimate.N()
    assert found.low < record["N"] < found.high
    alone = next(note for note in estimate.notes if "independent" in note)
    assert "10,7" in alone
    assert "prior settles" in estimate.assumption
    # The data say next to nothing about odds ratios: half of the answer's spread is gone once
    # their average is known.
    pairs = estimate.tree["posterior"]["interaction"].mean("link").to_numpy().ravel()
    assert np.corrcoef(pairs, np.log(estimate.draws()))[0, 1] ** 2 > 0.5
