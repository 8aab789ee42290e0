"""Bounds: Brussels 2019 with all odds ratios from 1 to 5, as crc.partialid printed it.

The package minimises sum(m - n log m) at each N, and printed every value on the way, so that its
ends can be held against the exact minimum. It found the lower end (453, the outer end of a bracket
one person wide). Its upper end (748, in another run of the same call 752) and its maximiser (573;
551) are where its optimiser stopped early.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import chdtri, xlogy

from hiddenpop.families import bounds
from hiddenpop.families.maths import moment_test
from hiddenpop.families.maths.partial_id import Bounds, Pairs, profile, profile_interval
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling

__all__: list[str] = []

REFERENCE = json.loads(
    (Path(__file__).parent / "values" / "bounds.json").read_text(encoding="utf-8")
)
TABLE = OverlapTable.from_counts(("fieldwork", "threshold", "crisis"), REFERENCE["counts"])
COUNTS = TABLE.dense()[0]
PAIRS = Pairs.of(3, np.ones(3), np.full(3, 5.0))
SATURATED = float((COUNTS[1:] - xlogy(COUNTS[1:], COUNTS[1:])).sum())
RUNS = REFERENCE["profile"]


@pytest.fixture(scope="module")
def exact() -> Bounds:
    return profile_interval(COUNTS, PAIRS, 0.95)


def objective(size: float) -> float:
    return profile(COUNTS, PAIRS, size) / 2 + SATURATED


@pytest.mark.parametrize(("run", "close"), [("c1c008a", 0), ("0b60f7d", 10)])
def test_the_objective_is_theirs_and_never_above_what_they_printed(run: str, close: int) -> None:
    """The second run came to the minimum at half of its sizes, the first at none."""
    above = np.array([printed - objective(size) for size, printed in RUNS[run]["trace"]])
    assert np.all(above > -5e-5)  # the last digit printed
    assert np.all(above < 2)
    assert np.sum(above < 2e-3) == close


def test_the_maximiser_of_their_second_run_is_ours(exact: Bounds) -> None:
    assert exact.fit_low == exact.fit_high
    second = RUNS["0b60f7d"]
    assert exact.fit_low == pytest.approx(second["maximiser"], abs=0.5)
    assert objective(exact.fit_low) == pytest.approx(second["objective"], abs=2e-3)
    # That of the first run, 573, fits worse, by their own numbers too.
    assert objective(exact.fit_low) < second["objective"] < RUNS["c1c008a"]["objective"]


def test_the_lower_end_is_inside_the_last_bracket_of_both_runs(exact: Bounds) -> None:
    for run in RUNS.values():
        below = max(size for size, _ in run["trace"] if size < exact.low)
        above = min(size for size, _ in run["trace"] if size > exact.low)
        assert run["low"] == below
        assert above - below < 1
        assert round(below) == 453


def test_the_upper_end_lies_above_points_that_their_optimiser_wrongly_rejected(
    exact: Bounds,
) -> None:
    for run in RUNS.values():
        limit = run["objective"] + chdtri(1, 0.05) / 2
        rejected = [s for s, value in run["trace"] if value > limit and 560 < s < exact.high]
        assert run["high"] == min(rejected)
        assert all(objective(size) < limit for size in rejected)
    assert profile(COUNTS, PAIRS, exact.high) - exact.deviance == pytest.approx(chdtri(1, 0.05))
    assert profile(COUNTS, PAIRS, exact.high * 1.002) - exact.deviance > chdtri(1, 0.05)


def test_the_family_gives_the_exact_ends() -> None:
    tree = bounds.posterior(TABLE, bounds.Priors(odds_ratio=(1, 5)), Sampling())
    found = {name: float(value) + 306 for name, value in tree["set"].data_vars.items()}
    assert found["low"] == pytest.approx(453.947, abs=0.01)
    assert found["high"] == pytest.approx(755.689, abs=0.01)
    assert found["best"] == pytest.approx(551.566, abs=0.01)


def test_test_inversion_agrees_within_bootstrap_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs has 500 bootstrap tables; so has this, over several seeds."""
    monkeypatch.setattr(moment_test, "BOOTSTRAPS", REFERENCE["settings"]["bootstraps"])
    monkeypatch.setattr(moment_test, "GRID", 120)
    ends = np.array([
        moment_test.accepted_interval(COUNTS, PAIRS, 0.95, np.random.default_rng(seed))
        for seed in range(8)
    ])  # fmt: skip
    mean, sd = ends.mean(axis=0), ends.std(axis=0, ddof=1)
    assert np.all(sd < 20)
    for run in REFERENCE["test_inversion"].values():
        away = np.abs(np.array([run["low"], run["high"]]) - mean)
        assert np.all(away < 4 * sd + REFERENCE["settings"]["tol"])
