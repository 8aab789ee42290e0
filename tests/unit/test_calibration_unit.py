"""Ranks of truths, tables of calibration and coverage, and their figures."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hiddenpop.checks.calibration.scores import (
    calibration_sentences,
    calibration_table,
    coverage_table,
    draw_rank,
    exact_ranks,
    thinned,
)
from hiddenpop.families.exact import Discrete
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.plots.calibration import coverage_figure, rank_figure

__all__: list[str] = []


def test_ranks_among_draws_are_uniform_with_and_without_ties(rng: np.random.Generator) -> None:
    plain = [draw_rank(rng.normal(), rng.normal(size=9), rng) for _ in range(3000)]
    tied = [draw_rank(rng.integers(3), rng.integers(3, size=9), rng) for _ in range(3000)]
    assert stats.kstest(plain, "uniform").pvalue > 0.001
    assert stats.kstest(tied, "uniform").pvalue > 0.001
    assert draw_rank(5.0, np.arange(5.0), rng) > 5 / 6
    with pytest.raises(ValueError, match="draw"):
        draw_rank(0.0, [], rng)


def test_ranks_in_a_distribution_are_uniform_for_N_and_likelihood(
    rng: np.random.Generator,
) -> None:
    """N uniform on 1 to 40 and n ~ Binomial(N, 0.4): the posterior by hand."""
    N, prior, found = np.arange(1, 41), SizePrior("uniform", 40), []
    for _ in range(3000):
        truth = rng.integers(1, 41)
        n = rng.binomial(truth, 0.4)
        possible = N[n <= N]
        mass = stats.binom.pmf(n, possible, 0.4)
        posterior = Discrete(possible - n, mass / mass.sum())
        found.append(exact_ranks(posterior, n, prior, truth, rng))
    frame = pd.DataFrame(found)
    assert stats.kstest(frame["N"], "uniform").pvalue > 0.001
    assert stats.kstest(frame["log_likelihood"], "uniform").pvalue > 0.001
    assert abs(frame.corr().iloc[0, 1]) < 0.8


def test_a_number_that_stands_for_its_neighbours_is_found(rng: np.random.Generator) -> None:
    support = Discrete(np.array([0.0, 1.0, 2.0, 10.0, 20.0]), np.full(5, 0.2))
    ranks = [exact_ranks(support, 100, SizePrior(), N, rng)["N"] for N in (100, 101, 107, 118, 900)]
    # 107 is nearest to 110, 118 to 120; beyond the last its own mass.
    assert [int(rank / 0.2) for rank in ranks] == [0, 1, 3, 4, 4]


def test_the_likelihood_of_an_irregular_support_is_the_density(rng: np.random.Generator) -> None:
    """A flat density in blocks of unequal width: the likelihood has no order, so the tie rules."""
    unseen = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 9.0])
    # 4 stands for 3, 4 and 5; 8 for 6, 7 and 8.
    width = np.array([1.0, 1.0, 1.0, 3.0, 3.0, 1.0])
    even = Discrete(unseen, width / width.sum())
    prior = SizePrior("uniform", 1e6)
    ranks = [exact_ranks(even, 50, prior, 52, rng)["log_likelihood"] for _ in range(400)]
    assert np.ptp(ranks) > 0.5


def test_thinning_keeps_what_the_draws_are_worth(rng: np.random.Generator) -> None:
    noise = rng.normal(size=(4, 1000))
    slow = np.zeros((4, 1000))
    for i in range(1, 1000):
        slow[:, i] = 0.95 * slow[:, i - 1] + noise[:, i]
    assert 350 <= len(thinned(noise)) <= 400
    few = thinned(slow)
    assert 20 < len(few) < 250
    assert len(thinned(np.ones((2, 50)))) == 100
    assert all(a != b for a, b in pairwise(few))


def ranks_frame(rng: np.random.Generator, n: int = 200) -> pd.DataFrame:
    parts = {"good": rng.random(n), "bad": rng.beta(0.5, 0.5, size=n), "few": rng.random(5)}
    return pd.concat(
        pd.DataFrame({"study": "s", "regime": "r", "quantity": name, "rank": values})
        for name, values in parts.items()
    )


def test_the_table_tells_good_from_bad(rng: np.random.Generator) -> None:
    table = calibration_table(ranks_frame(rng)).set_index("quantity")
    assert table["passed"].to_dict() == {"good": True, "bad": False, "few": False}
    assert table.loc["good", "outside"] == 0 < table.loc["bad", "outside"]
    assert np.isnan(table.loc["few", "p_value"])
    # Holm over the two that were judged.
    assert table.loc["bad", "p_holm"] == pytest.approx(2 * table.loc["bad", "p_value"])
    words = calibration_sentences(table.reset_index())
    assert words[0].startswith("1 of 2 quantities")
    assert "bad in s, r" in words[1]
    assert words[2] == "Not judged, with fewer than 20 ranks: 1."


def test_data_sets_that_could_not_be_fitted_fail_the_regime(rng: np.random.Generator) -> None:
    frame = ranks_frame(rng).assign(status="ok")
    lost = {"study": "s", "regime": "r", "quantity": "good", "rank": np.nan, "status": "error: x"}
    table = calibration_table(pd.concat([frame, pd.DataFrame([lost])])).set_index("quantity")
    assert table.loc["good", "replicates"] == 200
    assert table.loc["good", "p_holm"] > 0.01
    assert not table["passed"].any()
    assert "were not: 1." in " ".join(calibration_sentences(table.reset_index()))


def test_a_table_of_nothing_is_empty() -> None:
    nothing = pd.DataFrame(columns=["study", "regime", "quantity", "rank"])
    table = calibration_table(nothing)
    assert table.empty
    assert "passed" in table
    assert calibration_sentences(table)[0].startswith("No quantity")


def intervals_frame(rng: np.random.Generator, n: int = 400) -> pd.DataFrame:
    """Log medians normal about the truth, with the right intervals, and with half as wide ones."""
    rows = []
    for family, shrink in (("right", 1.0), ("narrow", 0.5)):
        for _ in range(n):
            log_median = np.log(1000) + 0.1 * rng.normal()
            row = {"scenario": "s", "family": family, "N": 1000, "median": np.exp(log_median)}
            for level in (0.5, 0.9, 0.95):
                half = shrink * 0.1 * stats.norm.ppf((1 + level) / 2)
                row[f"low_{100 * level:.0f}"] = np.exp(log_median - half)
                row[f"high_{100 * level:.0f}"] = np.exp(log_median + half)
            rows.append(row)
    frame = pd.DataFrame(rows)
    refused = {"scenario": "s", "family": "right", "N": 1000, "median": np.nan}
    return pd.concat([frame, pd.DataFrame([refused])], ignore_index=True)


def test_coverage_bias_and_width_are_scored(rng: np.random.Generator) -> None:
    table = coverage_table(intervals_frame(rng)).set_index("family")
    right, narrow = table.loc["right"], table.loc["narrow"]
    assert (right["replicates"], right["left_out"]) == (400, 1)
    for level in ("50", "90", "95"):
        gap = abs(right[f"cover_{level}"] - float(level) / 100)
        assert gap < 4 * right[f"mcse_cover_{level}"]
    assert narrow["cover_95"] < 0.8
    assert narrow["width_95"] == pytest.approx(right["width_95"] / 2)
    assert right["width_95"] == pytest.approx(2 * 1.96 * 0.1, rel=1e-3)
    assert abs(right["bias"]) < 4 * right["mcse_bias"]
    assert right["mcse_bias"] == pytest.approx(right["spread"] / np.sqrt(400))


def test_a_family_that_always_refuses_has_no_scores() -> None:
    frame = pd.DataFrame({"scenario": ["s"] * 2, "family": "f", "N": 10.0, "median": np.nan})
    for level in ("50", "90", "95"):
        frame = frame.assign(**{f"low_{level}": np.nan, f"high_{level}": np.nan})
    row = coverage_table(frame).iloc[0]
    assert (row["replicates"], row["left_out"]) == (0, 2)
    assert np.isnan(row["cover_95"])


def test_figures_show_every_quantity_and_family(rng: np.random.Generator) -> None:
    figure = rank_figure(ranks_frame(rng))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["good", "bad", "few"]
    assert len(figure.axes[0].collections) == 2  # the band, above and below
    figure = coverage_figure(coverage_table(intervals_frame(rng)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["right", "narrow"]
    for made in (figure, rank_figure(ranks_frame(rng))):
        made.canvas.draw()
    with pytest.raises(ValueError, match="two ranks"):
        rank_figure(pd.DataFrame({"regime": ["r"], "quantity": ["q"], "rank": [0.5]}))
