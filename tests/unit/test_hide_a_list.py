"""Hide-a-list: the table of one list by hand, simulated lists, scores against their formulas."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, nbinom, norm

from hiddenpop.checks.hidden_lists.hide_a_list import hidden, hidden_scores, hide_a_list, sentences
from hiddenpop.checks.hidden_lists.known_size import average_against, interval_score, log_score
from hiddenpop.errors import InputError
from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.plots.hide_a_list import hide_a_list as figure_of
from hiddenpop.plots.hide_a_list import hide_a_list_table
from hiddenpop.size import SizeEstimate

__all__: list[str] = []

BY_HAND = OverlapTable.from_counts(
    ("a", "b", "c"),
    {"100": 30, "010": 20, "001": 10, "110": 7, "101": 5, "011": 3, "111": 2},
    population=5000,
)


def simulated(
    people: int, chances: np.ndarray, spread: float, rng: np.random.Generator
) -> OverlapTable:
    """People who differ by `spread` (sd, logit scale) in how visible they are to all lists."""
    visible = np.log(chances / (1 - chances)) + spread * rng.normal(size=(people, 1))
    seen = rng.random((people, len(chances))) < 1 / (1 + np.exp(-visible))
    names = [chr(97 + j) for j in range(len(chances))]
    counts = Counter("".join(row) for row in np.where(seen, "1", "0"))
    every = [f"{code:0{len(chances)}b}" for code in range(1, 2 ** len(chances))]
    return OverlapTable.from_counts(names, {mark: counts[mark] for mark in every})


def made(unseen: Any, probability: Any, observed: float = 100, **attrs: float) -> SizeEstimate:  # noqa: ANN401
    distribution = Discrete(np.asarray(unseen, float), np.asarray(probability, float))
    tree = exact_tree(observed, distribution, seed=1, assumption="None.", attrs=attrs)
    tree.attrs |= {"family": "made", "versions": "{}", "sampling": "{}", "priors": "{}"}
    return SizeEstimate(tree, BY_HAND, "made")


def test_a_hidden_list_by_hand() -> None:
    part, size = hidden(BY_HAND, "a")
    assert size == 30 + 7 + 5 + 2
    assert part.lists == ("b", "c")
    # b: 7 people of a on b alone; c: 5; both: 2. The 30 of a on no other list are the unseen.
    assert dict(zip(part.labels, part.low, strict=True)) == {"10": 7, "01": 5, "11": 2}
    assert part.residents is None
    assert hidden(BY_HAND, "b").table.lists == ("a", "c")
    np.testing.assert_array_equal(hidden(BY_HAND, "b").table.low, [7, 3, 2])


def test_a_hidden_list_keeps_strata_and_order() -> None:
    by_sex = OverlapTable(
        ("a", "b", "c"), ("sex",), (("female",), ("male",)),
        np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=bool),
        np.array([0, 0, 0, 1, 1]), np.array([4.0, 9, 2, 3, 5]), np.array([4.0, 9, 2, 3, 5]),
        np.zeros(5, dtype=bool), np.array([100.0, 200.0]),
    ).sorted()  # fmt: skip
    part, size = hidden(by_sex, "a")
    assert size == 4 + 9 + 3 + 5
    assert part.labels == ("10", "10", "01")
    np.testing.assert_array_equal(part.observed_by_stratum, [4, 8])
    np.testing.assert_array_equal(hidden(by_sex.of_stratum(1), "a").table.low, [5, 3])
    frame = hide_a_list(by_sex, ["two-list"], lists=["a"], by_stratum=True)
    truth = frame.drop_duplicates("stratum").set_index("stratum")["truth"]
    assert truth.to_dict() == {"all": 21, "female": 13, "male": 8}


def test_independent_lists_are_covered() -> None:
    rng = np.random.default_rng(7)
    chances = np.array([0.3, 0.25, 0.35, 0.2])
    tables = [simulated(1500, chances, 0.0, rng) for _ in range(10)]
    frames = [hide_a_list(table, ["graphs"]) for table in tables]
    scores = hidden_scores(pd.concat(frames)).set_index("level")
    assert (scores["lists"] == 40).all()
    # 40 lists, as if independent (four come from one table): loose binomial bounds.
    low, high = binom.ppf([0.0005, 0.9995], 40, np.array([[0.5], [0.9], [0.95]])).T
    assert (scores["covered"] >= low).all()
    assert (scores["covered"] <= high).all()
    assert abs(scores["mean_log_ratio"].iloc[0]) < 0.05


def test_visible_people_make_lists_look_complete() -> None:
    rng = np.random.default_rng(8)
    chances = np.array([0.15, 0.2, 0.1, 0.2])
    frames = [hide_a_list(simulated(3000, chances, 1.5, rng), ["graphs"]) for _ in range(5)]
    score = hidden_scores(pd.concat(frames)).set_index("level").loc[0.9]
    assert score["underestimate"] > 0.1
    assert score["mean_error"] < -0.1
    assert score["coverage"] < 0.7
    assert "too low" in sentences(frames[0])[0]


def test_competing_lists_make_too_many() -> None:
    # b and c see nobody twice among the people of a as often as chance would have it.
    table = OverlapTable.from_counts(
        ("a", "b", "c"), {"100": 10, "110": 100, "101": 100, "111": 10, "010": 50, "001": 50}
    )
    options = {"two-list": {"independent": True}}
    frame = hide_a_list(table, ["two-list"], options, lists=["a"])
    # By Chapman's formula 111 * 111 / 11 - 1 = 1119, where 220 are known.
    assert frame["ratio"].iloc[0] == pytest.approx(1119 / 220, rel=0.1)
    assert not frame["covered"].any()
    assert "too high" in sentences(frame)[0]


def test_the_interval_score() -> None:
    assert interval_score(80, 125, 100, 0.9) == pytest.approx(np.log(125 / 80))
    assert interval_score(110, 220, 100, 0.5) == pytest.approx(np.log(2) + 4 * np.log(1.1))
    assert interval_score(25, 50, 100, 0.95) == pytest.approx(np.log(2) + 40 * np.log(2))


def test_the_log_score_of_a_posterior_that_lists_every_number() -> None:
    mass = nbinom.pmf(np.arange(4000), 60, 0.2)
    found = made(np.arange(4000), mass / mass.sum())
    for size in (250, 340, 420):
        assert log_score(found, size) == pytest.approx(nbinom.logpmf(size - 100, 60, 0.2), abs=1e-6)
    assert log_score(found, 99) == pytest.approx(np.log(1e-12))
    assert log_score(made([0], [1.0]), 100) == 0.0


def test_the_log_score_where_neighbours_are_put_together() -> None:
    edges = np.arange(0, 120_001, 300)
    whole = np.diff(norm.cdf(edges, 60_000, 3000))
    middle = np.floor((edges[:-1] + edges[1:] - 1) / 2)
    found = made(middle, whole / whole.sum())
    for size in (55_000, 60_103, 65_400):
        assert log_score(found, size) == pytest.approx(
            norm.logpdf(size - 100, 60_000, 3000), abs=0.04
        )


def test_the_log_score_of_draws() -> None:
    draws = np.round(np.random.default_rng(3).normal(5000, 400, 20_000))
    found = made(*Discrete.from_draws(draws, np.ones(20_000)), importance_ess=20_000)
    for unseen in (4300, 5000, 5600):
        # 50 draws: their number is right to 14 %.
        exact = norm.logpdf(unseen, 5000, 400)
        assert log_score(found, 100 + unseen) == pytest.approx(exact, abs=0.45)
    assert log_score(found, 20_000) < -14


def test_the_log_score_of_an_average() -> None:
    one, two = made([0, 1, 2], [0.5, 0.3, 0.2]), made([0, 1, 2], [0.1, 0.1, 0.8])
    rows = average_against({"one": one, "two": two}, 102, seed=1)
    assert rows[0]["log_score"] == pytest.approx(np.log((0.2 + 0.8) / 2))
    assert average_against({"one": one}, 102, seed=1) == []


def test_scores_of_families() -> None:
    frame = hide_a_list(BY_HAND, ["two-list", "bounds", "graphs"])
    scores = hidden_scores(frame)
    posterior = scores[(scores["family"] == "two-list") & (scores["level"] == 0.9)].iloc[0]
    mine = frame[(frame["family"] == "two-list") & (frame["level"] == 0.9)]
    assert posterior["covered"] == mine["covered"].sum()
    expected = np.log(mine["median"] / mine["truth"]).mean()
    assert posterior["mean_log_ratio"] == pytest.approx(expected)
    assert posterior["underestimate"] == pytest.approx(1 - np.exp(expected))
    assert posterior["mean_log_score"] == pytest.approx(mine["log_score"].mean())
    ends = zip(mine["low"], mine["high"], mine["truth"], strict=True)
    known = [interval_score(low, high, size, 0.9) for low, high, size in ends]
    assert posterior["mean_interval_score"] == pytest.approx(np.mean(known))
    given = scores[scores["family"] == "bounds"]
    assert given["level"].tolist() == [0.95]
    assert given["mean_log_score"].isna().all()
    assert "graphs" not in set(scores["family"])


def test_a_family_that_cannot_be_used_is_listed_with_the_reason() -> None:
    frame = hide_a_list(BY_HAND, lists=["a", "b"])
    refused = frame[frame["reason"] != ""]
    assert set(refused["family"]) == {"loglinear-average", "graphs", "heterogeneity", "combined"}
    assert refused["median"].isna().all()
    assert refused["truth"].notna().all()
    said = sentences(frame)
    assert said[0].startswith("two-list: the 95 % interval holds the known size of")
    assert any(s.startswith("graphs could not predict a and b: There are 2 lists") for s in said)


def test_what_is_not_known_cannot_be_predicted() -> None:
    table = OverlapTable.from_counts(
        ("a", "b", "c"),
        {"100": (0, 9), "010": 4, "001": 5, "110": 6, "101": 0, "011": 2, "111": 0},
    )
    with pytest.raises(InputError, match="known only as a range"):
        hidden(table, "a")
    assert hidden(table, "c").size == 7
    frame = hide_a_list(table, ["two-list", "bounds"], lists=["a"])
    assert sentences(frame) == [
        "No family could predict a: List 'a' has cells that are known only as a range."
    ]
    assert figure_of(frame) is None
    alone = OverlapTable.from_counts(("a", "b", "c"), {"100": 9, "010": 4, "011": 2, "110": 3})
    frame = hide_a_list(alone, ["two-list"], lists=["a"])
    reason = "Of the people on list 'a', fewer than two other lists hold any."
    assert frame["reason"].tolist() == [reason]
    assert hidden_scores(frame).empty


def test_a_list_that_holds_nobody_of_the_hidden_one_is_left_out() -> None:
    counts = {"1000": 9, "1100": 7, "1010": 5, "1110": 2, "0101": 8, "0001": 6, "1001": 0}
    with_d = OverlapTable.from_counts(("a", "b", "c", "d"), counts)
    three = {"100": 9, "110": 7, "101": 5, "111": 2, "010": 8}
    without = OverlapTable.from_counts(("a", "b", "c"), three)
    one, other = (hide_a_list(x, ["two-list"], lists=["a"]) for x in (with_d, without))
    pd.testing.assert_frame_equal(one, other)
    assert one["others"].tolist() == [2, 2, 2]


def test_two_lists_are_too_few() -> None:
    table = OverlapTable.from_counts(("a", "b"), {"10": 60, "01": 49, "11": 4})
    for call in (lambda: hidden(table, "a"), lambda: hide_a_list(table)):
        with pytest.raises(InputError, match="at least 3 lists") as caught:
            call()
        assert caught.value.faults[0].code == "hide-lists"
    with pytest.raises(InputError, match="There is no list 'd'"):
        hide_a_list(BY_HAND, lists=["d"])
    with pytest.raises(InputError, match="grphs"):
        hide_a_list(BY_HAND, ["grphs"])


def test_options_about_the_whole_population_are_left_out() -> None:
    plain = hide_a_list(BY_HAND, ["two-list", "bounds"], lists=["a"])
    options: dict[str, Any] = {
        "size_prior": "lognormal:40000,60000",
        "two-list": {"size_prior": "lognormal:40000,60000"},
        "bounds": {"pairs": (("a", "b", 0.9, 1.1),)},
    }
    pd.testing.assert_frame_equal(
        plain, hide_a_list(BY_HAND, ["two-list", "bounds"], options, lists=["a"])
    )
    named = {"bounds": {"pairs": (("b", "c", 0.9, 1.1),)}}
    other = hide_a_list(BY_HAND, ["bounds"], named, lists=["a"])
    assert other["high"].iloc[0] < plain["high"].iloc[-1]


def test_a_frame_that_was_saved_and_read_says_the_same(tmp_path: Path) -> None:
    frame = hide_a_list(BY_HAND, lists=["a", "b"])
    frame.to_csv(tmp_path / "frame.csv", index=False)
    read = pd.read_csv(tmp_path / "frame.csv")
    pd.testing.assert_frame_equal(hidden_scores(read), hidden_scores(frame))
    pd.testing.assert_frame_equal(hide_a_list_table(read), hide_a_list_table(frame))
    assert sentences(read) == sentences(frame)


def test_a_fit_that_failed_its_gates_is_not_scored() -> None:
    frame = hide_a_list(BY_HAND, ["two-list", "bounds"], lists=["a", "b"])
    failed = frame.assign(
        passed=frame["passed"] & ~((frame["list"] == "b") & (frame["family"] == "two-list"))
    )
    scores = hidden_scores(failed).set_index("family")
    assert scores.loc[["two-list"], "lists"].tolist() == [1, 1, 1]
    assert scores.loc[["two-list"], "refused"].tolist() == [1, 1, 1]
    assert scores.loc[["bounds"], "lists"].tolist() == [2]
    assert "two-list: the fit failed its gates for b." in sentences(failed)
    assert len(hide_a_list_table(failed)) == len(hide_a_list_table(frame)) - 1


def test_the_average_and_the_figure() -> None:
    rng = np.random.default_rng(11)
    table = simulated(800, np.array([0.3, 0.4, 0.3, 0.2]), 0.0, rng)
    told: list[str] = []
    families = ["graphs", "loglinear-average", "bounds", "combined"]
    frame = hide_a_list(table, families, on_step=told.append, lists=["a", "d"])
    assert told[:2] == ["a, all: graphs", "a, all: loglinear-average"]
    assert len(frame) == 2 * (3 + 3 + 1 + 3)
    middle = frame[frame["level"] == 0.9].pivot(index="list", columns="family", values="log_score")
    between = np.logaddexp(middle["graphs"], middle["loglinear-average"]) - np.log(2)
    np.testing.assert_allclose(middle["combined"], between)
    shown = hide_a_list_table(frame)
    assert shown["family"].tolist() == families * 2
    assert (shown["low"] <= shown["inner_low"]).all()
    assert (shown["inner_high"] <= shown["high"]).all()
    figure = figure_of(frame)
    assert figure is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == f"a ({frame['truth'].iloc[0]:,.0f} people)"
    assert len(labels) == 2 * (1 + len(families))
    figure.draw_without_rendering()
