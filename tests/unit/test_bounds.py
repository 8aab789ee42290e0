"""Bounds and sensitivity: closed forms, brute force, invariances, refusals, the simulator."""

import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize
from scipy.special import chdtri, xlogy

from hiddenpop.families import bounds, sensitivity
from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths import moment_test
from hiddenpop.families.maths.partial_id import (
    Pairs,
    best_fit,
    identified,
    pair_intervals,
    profile,
    profile_interval,
)
from hiddenpop.families.simulation import bounds as simulation
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import fit_table

__all__: list[str] = []

PRIORS = bounds.Priors()
TWO = OverlapTable.from_counts(("a", "b"), {"10": 60, "01": 45, "11": 30})
THREE = OverlapTable.from_counts(
    ("a", "b", "c"),
    {"100": 60, "010": 49, "110": 14, "001": 70, "101": 12, "011": 16, "111": 7},
)


def ends(table: OverlapTable, priors: bounds.Priors = PRIORS) -> dict[str, float]:
    assert bounds.refusal(table, priors) is None
    tree = bounds.posterior(table, priors, Sampling(seed=1))
    found = {str(name): float(value) for name, value in tree["set"].data_vars.items()}
    return found | {"observed": tree.attrs["observed"]}


def test_two_lists_have_a_closed_form() -> None:
    found = ends(TWO, bounds.Priors(odds_ratio=(0.5, 2)))
    assert found["identified_low"] == pytest.approx(0.5 * 60 * 45 / 30)
    assert found["identified_high"] == pytest.approx(2 * 60 * 45 / 30)
    assert found["observed"] + found["best"] == pytest.approx(np.sqrt(180 * 315))


def test_the_profile_of_two_lists_is_that_of_brute_force() -> None:
    """One odds ratio, and M: cell means m_11, m_10, then m_01 from the odds ratio, by hand.

    (M - m_11 - m_10 - m_01) m_11 = theta m_10 m_01.
    """
    counts = TWO.dense()[0]
    seen = np.array([30.0, 60, 45])
    saturated = (seen - xlogy(seen, seen)).sum()

    def deviance(size: float, theta: float) -> float:
        def loss(z: np.ndarray) -> float:
            both, one = np.exp(z)
            other = both * (size - both - one) / (theta * one + both)
            if other <= 0:
                return 1e9
            means = np.array([both, one, other])
            return float((means - seen * np.log(means)).sum() - saturated)

        return 2 * minimize(loss, np.log(seen[:2]), method="Nelder-Mead",
                            options={"xatol": 1e-9, "fatol": 1e-11}).fun  # fmt: skip

    found = profile_interval(counts, Pairs.of(2, np.array([0.5]), np.array([2.0])), 0.9)
    low, high = (
        brentq(lambda size, t=theta: deviance(size, t) - chdtri(1, 0.1), *bracket)
        for theta, bracket in ((0.5, (138, 179)), (2.0, (316, 800)))
    )
    assert found.low == pytest.approx(low, rel=1e-4)
    assert found.high == pytest.approx(high, rel=1e-4)


@pytest.mark.parametrize("limits", [(1 / 3, 3.0), (1.0, 5.0), (0.8, 1.25)])
def test_the_ends_are_where_the_profile_crosses(limits: tuple[float, float]) -> None:
    counts = THREE.dense()[0]
    pairs = Pairs.of(3, np.full(3, limits[0]), np.full(3, limits[1]))
    found = profile_interval(counts, pairs, 0.95)
    for end, outside in ((found.low, 0.995), (found.high, 1.005)):
        assert profile(counts, pairs, end) - found.deviance == pytest.approx(
            chdtri(1, 0.05), abs=1e-4
        )
        assert profile(counts, pairs, end * outside) - found.deviance > chdtri(1, 0.05)
    inside = np.geomspace(found.fit_low, found.fit_high, 5)
    assert all(profile(counts, pairs, size) - found.deviance < 1e-5 for size in inside)


def test_many_sparse_lists_agree_between_starts_and_with_the_profile(
    rng: np.random.Generator,
) -> None:
    visible = np.exp(0.4 * rng.normal(size=(200, 1)))
    history = rng.random((200, 4)) < np.array([0.1, 0.2, 0.15, 0.1]) * visible
    counts = np.bincount(history @ (1 << np.arange(4)), minlength=16).astype(float)
    counts[0] = np.nan
    pairs = Pairs.of(4, np.full(6, 0.5), np.full(6, 4.0))
    found = profile_interval(counts, pairs, 0.95)
    for end, outside in ((found.low, 0.98), (found.high, 1.02)):
        assert profile(counts, pairs, end) - found.deviance == pytest.approx(
            chdtri(1, 0.05), abs=0.01
        )
        assert profile(counts, pairs, end * outside) - found.deviance > chdtri(1, 0.05)


def test_wider_ranges_and_higher_levels_give_wider_sets() -> None:
    narrow, wide = (
        ends(THREE, bounds.Priors(odds_ratio=limits)) for limits in ((0.5, 2.0), (0.25, 4.0))
    )
    sure = ends(THREE, bounds.Priors(odds_ratio=(0.5, 2.0), level=0.99))
    for other in (wide, sure):
        assert other["low"] <= narrow["low"] < narrow["high"] <= other["high"]
    assert wide["identified_low"] <= narrow["identified_low"]


@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_the_order_of_lists_changes_nothing(order: tuple[int, ...]) -> None:
    priors = bounds.Priors(odds_ratio=(1, 5), pairs=(("c", "a", 0.5, 2.0),))
    one, two = ends(THREE, priors), ends(THREE.permuted(order), priors)
    assert one == pytest.approx(two, rel=1e-5, abs=1e-3)


def test_a_range_may_be_stated_for_some_pairs_only() -> None:
    free = (("a", "b", 0.0, np.inf), ("b", "c", 0.0, np.inf))
    found = ends(THREE, bounds.Priors(pairs=free, odds_ratio=(1, 2)))
    both, one, other = 12 + 7, 60 + 14, 70 + 16
    assert found["identified_low"] == pytest.approx(both + one + other + one * other / both - 228)
    tree = bounds.posterior(THREE, bounds.Priors(pairs=free, odds_ratio=(1, 2)), Sampling())
    assert "for a and b anything" in tree.attrs["assumption"]
    rows = tree["pairs"].to_dataset().to_dataframe()
    assert np.isinf(rows.loc["a and b", "high"])
    assert rows.loc["a and c", "high"] == pytest.approx(both + one + other + 2 * one * other / both)


def test_a_set_is_reported_without_a_distribution() -> None:
    estimate = fit_table(THREE, "bounds", options={"odds_ratio": (0.5, 3.0)})
    assert estimate.is_set
    assert estimate.distribution is None
    assert "posterior" not in estimate.tree
    size = estimate.N()
    assert estimate.observed <= size.low < size.median < size.high
    assert np.isnan(size.mean)
    assert any("not a distribution" in note for note in estimate.notes)
    assert "between 0.5 and 3" in estimate.assumption


def test_n_is_never_below_the_people_seen() -> None:
    few = OverlapTable.from_counts(("a", "b"), {"10": 3, "01": 2, "11": 9})
    found = ends(few, bounds.Priors(odds_ratio=(0.05, 1.0)))
    assert found["low"] == 0
    assert found["best"] >= 0


def test_strata_are_added_up_with_a_note() -> None:
    half = THREE.dense()[0, 1:] // 2
    rest = THREE.dense()[0, 1:] - half
    codes = np.arange(1, 8)
    history = (codes[:, None] >> np.arange(3) & 1).astype(bool)
    people = np.concatenate([half, rest])
    table = OverlapTable(
        ("a", "b", "c"), ("sex",), (("f",), ("m",)), np.vstack([history, history]),
        np.repeat([0, 1], 7), people, people, np.zeros(14, dtype=bool),
    )  # fmt: skip
    tree = bounds.posterior(table, PRIORS, Sampling())
    assert "Strata were added up" in tree.attrs["notes"]
    assert float(tree["set"]["high"]) == pytest.approx(ends(THREE)["high"])


def test_a_table_a_little_outside_the_ranges_says_how_far() -> None:
    priors = bounds.Priors(odds_ratio=(1.0, 1.5))
    tree = bounds.posterior(THREE, priors, Sampling())
    counts, pairs = THREE.dense()[0], bounds.ranges(THREE.lists, priors)
    least, most = identified(counts, pairs)
    assert least > most
    note = json.loads(tree.attrs["notes"])[0]
    assert f"at least {least:,.0f}" in note
    assert f"at most {most:,.0f}" in note
    assert float(tree["set"]["identified_low"]) == float(tree["set"]["identified_high"])
    assert best_fit(counts, pairs)[1] > 0


def structural() -> OverlapTable:
    table = OverlapTable.from_counts(("a", "b"), {"10": 9, "01": 5, "11": (1, 4)})
    assert not table.exact
    return table


@pytest.mark.parametrize(
    ("data", "priors", "code"),
    [
        (Margins(("a", "b"), (30, 40), 60), PRIORS, "bounds-table"),
        (RepeatTable(np.array([1, 2]), np.array([3.0, 2]), pd.DataFrame(index=range(2))), PRIORS,
         "bounds-table"),
        (OverlapTable.from_counts(tuple("abcdefg"), {"1111111": 3, "1000000": 5}), PRIORS,
         "bounds-lists"),
        (structural(), PRIORS, "bounds-inexact"),
        (THREE, bounds.Priors(pairs=(("a", "police", 1, 2),)), "bounds-pair"),
        (OverlapTable.from_counts(("a", "b"), {"10": 9, "01": 5}), PRIORS, "bounds-no-overlap"),
        (THREE, bounds.Priors(pairs=tuple((x, y, 0.5, np.inf) for x, y in ("ab", "ac", "bc"))),
         "bounds-no-overlap"),
        (OverlapTable.from_counts(
            ("a", "b", "c"),
            {"100": 89, "110": 24, "010": 103, "111": 27, "101": 29, "011": 13, "001": 21}),
         bounds.Priors(odds_ratio=(1, 1)), "bounds-conflict"),
    ],
)  # fmt: skip
def test_refusals(data: object, priors: bounds.Priors, code: str) -> None:
    refusal = bounds.refusal(data, priors)
    assert refusal is not None
    assert refusal.code == code
    for words in messages()[code]:
        assert words.format(**{"family": "bounds", **refusal.values})


@pytest.mark.parametrize(
    "wrong",
    [
        {"odds_ratio": (3.0, 1.0)}, {"odds_ratio": (0.0, 1.0)}, {"odds_ratio": (1.0,)},
        {"level": 0.2}, {"interval": "guess"}, {"pairs": (("a", "a", 1, 2),)},
        {"pairs": (("a", "b", 2, 1),)}, {"pairs": (("a", "b", 2),)},
    ],
)  # fmt: skip
def test_impossible_ranges_are_refused_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        bounds.Priors(**wrong)


def test_moments_and_their_variances_are_unbiased(rng: np.random.Generator) -> None:
    both, one, other, size, odds = 12.0, 30.0, 25.0, 200.0, 3.0
    drawn = rng.poisson([both, one, other], size=(400_000, 3)).astype(float).T[..., None]
    value, error = moment_test._moments(drawn, np.array([odds]), size, 1.0)
    truth = both * (size - both - one - other) - odds * one * other
    assert value.mean() == pytest.approx(truth, abs=4 * value.std() / np.sqrt(400_000))
    assert (error**2).mean() == pytest.approx(value.var(), rel=0.02)


def test_test_inversion_is_near_the_profile_and_reproducible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moment_test, "BOOTSTRAPS", 1000)
    monkeypatch.setattr(moment_test, "GRID", 80)
    one = ends(THREE)
    two, three = (ends(THREE, bounds.Priors(interval="test")) for _ in range(2))
    assert two == three
    assert two["low"] == pytest.approx(one["low"], rel=0.4, abs=20)
    # Three inequalities tested one by one say less than a joint likelihood.
    assert 0.9 * one["high"] < two["high"] < 1.5 * one["high"]
    assert two["identified_high"] == one["identified_high"]


def test_test_inversion_that_accepts_nothing_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> tuple[float, float]:
        raise ArithmeticError

    monkeypatch.setattr(bounds, "accepted_interval", nothing)
    tree = bounds.posterior(THREE, bounds.Priors(interval="test"), Sampling())
    assert float(tree["set"]["low"]) == ends(THREE)["low"]
    assert "rejects every N" in tree.attrs["notes"]


def test_simulated_lists_depend_within_the_ranges(rng: np.random.Generator) -> None:
    priors = bounds.Priors(odds_ratio=(0.5, 3.0))
    for _ in range(5):
        truth = simulation.draw_truth(THREE, priors, rng)
        away = ~np.eye(3, dtype=bool)
        assert np.all((truth.odds_ratio >= 0.5)[away])
        assert np.all((truth.odds_ratio <= 3.0)[away])
        assert truth.probability.sum() == pytest.approx(1)
        made = simulation.simulate(truth, rng)
        assert made.lists == THREE.lists
        assert made.observed <= truth.N
    share = np.array([0.2, 0.4])
    table = simulation.probabilities(share, np.array([[0, np.log(2.5)], [np.log(2.5), 0]]))
    assert table[1].sum() == pytest.approx(0.2)
    assert table[:, 1].sum() == pytest.approx(0.4)
    assert table[1, 1] * table[0, 0] / (table[1, 0] * table[0, 1]) == pytest.approx(2.5)


def test_the_truth_is_inside_the_set_of_its_expected_table(rng: np.random.Generator) -> None:
    """Without sampling error the set always holds the truth."""
    priors = bounds.Priors(odds_ratio=(0.5, 3.0))
    for _ in range(5):
        truth = simulation.draw_truth(THREE, priors, rng)
        counts = 1e5 * truth.probability.transpose().ravel()
        lows, highs = pair_intervals(counts, bounds.ranges(THREE.lists, priors))
        assert lows.max() <= 1e5 * (1 + 1e-9)
        assert highs.min() >= 1e5 * (1 - 1e-9)


HEAVY = Discrete.from_log(np.arange(1.0, 1e5), -1.5 * np.log(np.arange(1.0, 1e5)))
"""A tail so heavy that the mean is set by where the grid ends."""


def test_xi_scales_the_unseen_and_uses_medians() -> None:
    curve = sensitivity.xi_curve(HEAVY, 50, [0.5, 1, 2])
    middle = HEAVY.quantile(0.5)
    np.testing.assert_allclose(curve["median"], 50 + middle * np.array([0.5, 1, 2]))
    assert HEAVY.mean > 50 * middle
    assert curve.loc[1, "high"] == 50 + HEAVY.quantile(0.975)
    with pytest.raises(ValueError, match="negative"):
        sensitivity.xi_curve(HEAVY, 50, [-1])


def test_at_the_tipping_point_the_curve_crosses_the_threshold() -> None:
    found = sensitivity.tipping(HEAVY, 50, 300)
    for name in ("median", "low", "high"):
        curve = sensitivity.xi_curve(HEAVY, 50, [found[name]])
        assert curve.loc[0, name] == pytest.approx(300)
    assert found["high"] < found["median"] < found["low"]
    none = Discrete(np.array([0.0, 10.0]), np.array([0.6, 0.4]))
    assert sensitivity.tipping(none, 5, 20)["median"] == np.inf
    with pytest.raises(ValueError, match="50 people seen"):
        sensitivity.tipping(HEAVY, 50, 50)


def test_the_curve_of_two_lists_is_closed() -> None:
    curve = sensitivity.odds_ratio_curve(TWO, ("b", "a"), [0.5, 1, 4])
    np.testing.assert_allclose(curve["N"], 135 + np.array([0.5, 1, 4]) * 60 * 45 / 30, rtol=1e-9)
    error = np.sqrt(1 / 60 + 1 / 45 + 1 / 30)
    assert np.log((curve.loc[1, "high"] - 135) / 90) == pytest.approx(1.959964 * error, rel=1e-5)
    found = sensitivity.tipping_odds_ratio(TWO, ("a", "b"), 300)
    assert found["odds_ratio"] == pytest.approx((300 - 135) / 90)
    assert found["N"] == pytest.approx(225)


@pytest.mark.parametrize("others", [False, True])
def test_the_curve_of_three_lists_is_that_of_a_direct_fit(*, others: bool) -> None:
    counts = THREE.dense()[0, 1:]
    codes = np.arange(1, 8)
    on = (codes[:, None] >> np.arange(3) & 1).astype(float)
    columns = [np.ones(7), *on.T]
    columns += [on[:, 0] * on[:, 2], on[:, 1] * on[:, 2]] if others else []
    design = np.array(columns).T
    offset = np.log(2.0) * on[:, 0] * on[:, 1]

    def loss(beta: np.ndarray) -> float:
        eta = design @ beta + offset
        return float((np.exp(eta) - counts * eta).sum())

    start = np.r_[4.0, np.full(design.shape[1] - 1, -1.0)]
    fit = minimize(loss, start, method="BFGS", options={"gtol": 1e-9})
    curve = sensitivity.odds_ratio_curve(THREE, ("a", "b"), [2.0], others=others)
    assert curve.loc[0, "N"] == pytest.approx(228 + np.exp(fit.x[0]), rel=1e-5)
    other = THREE.permuted((2, 0, 1))
    again = sensitivity.odds_ratio_curve(other, ("b", "a"), [2.0], others=others)
    np.testing.assert_allclose(again, curve, rtol=1e-8)


def test_tipping_of_a_pair_comes_back_to_the_curve() -> None:
    found = sensitivity.tipping_odds_ratio(THREE, ("a", "c"), 900, others=True)
    curve = sensitivity.odds_ratio_curve(THREE, ("a", "c"), [found["odds_ratio"]], others=True)
    assert curve.loc[0, "N"] == pytest.approx(900, rel=1e-6)
    assert np.isnan(sensitivity.tipping_odds_ratio(THREE, ("a", "c"), 1e9)["odds_ratio"])


def test_curves_refuse_what_they_cannot_answer() -> None:
    with pytest.raises(ValueError, match="two lists"):
        sensitivity.odds_ratio_curve(TWO, ("a", "z"), [1.0])
    with pytest.raises(ValueError, match="exact"):
        sensitivity.odds_ratio_curve(structural(), ("a", "b"), [1.0])
    with pytest.raises(ValueError, match="above 0"):
        sensitivity.odds_ratio_curve(TWO, ("a", "b"), [0.0])
    with pytest.raises(ValueError, match="people seen"):
        sensitivity.tipping_odds_ratio(TWO, ("a", "b"), 100)
    nobody = OverlapTable.from_counts(("a", "b"), {"10": 9, "01": 5})
    with pytest.raises(ArithmeticError):
        sensitivity.odds_ratio_curve(nobody, ("a", "b"), [1.0])
