"""Figures show the numbers of their tables, and those are right."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import hiddenpop as hp
from hiddenpop import plots

FIGURES: dict[str, Callable[[hp.Estimate], Figure]] = {
    "prevalence": plots.prevalence,
    "prior_posterior": plots.prior_posterior,
    "evidence": plots.evidence,
    "narrow evidence": lambda estimate: plots.evidence(estimate, narrow=True),
    "biases": plots.biases,
    "diagnostics": plots.diagnostics,
    "energy": plots.energy,
}


def texts(figure: Figure) -> list[str]:
    """All text that is drawn, tick labels included."""
    figure.draw_without_rendering()
    return [text.get_text() for axis in figure.axes
            for text in [*axis.get_yticklabels(), *axis.get_xticklabels(), axis.xaxis.label,
                         axis.title]]  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_no_label_is_cut_off_or_small(estimate: hp.Estimate, name: str) -> None:
    figure = FIGURES[name](estimate)
    figure.draw_without_rendering()
    page = figure.bbox
    for axis in figure.axes:
        for text in [*axis.get_yticklabels(), axis.xaxis.label, axis.title]:
            if text.get_text() and text.get_visible():
                box = text.get_window_extent()
                assert box.x0 >= page.x0 - 1
                assert box.x1 <= page.x1 + 1
                assert text.get_fontsize() >= 8


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_stays_open(estimate: hp.Estimate, name: str) -> None:
    before = plt.get_fignums()
    FIGURES[name](estimate)
    assert plt.get_fignums() == before


def test_prevalence_table_agrees_with_the_estimate(estimate: hp.Estimate) -> None:
    table = plots.prevalence_table(estimate)
    row = table[(table["area"] == "Northtown") & (table["group"] == "any")].iloc[0]
    found = estimate.prevalence("Northtown", "any")
    assert (row["median"], row["low"], row["high"]) == (found.median, found.low, found.high)
    assert row["low"] < row["inner_low"] < row["median"] < row["inner_high"] < row["high"]


def test_prior_against_itself_teaches_nothing(estimate: hp.Estimate) -> None:
    table = plots.prior_posterior_table(estimate)
    assert np.allclose(table["narrowing"], 1, atol=0.2)


def test_evidence_is_reported_over_expected(estimate: hp.Estimate) -> None:
    table = plots.evidence_table(estimate).set_index("id")
    expected = np.median(estimate.draws("without_bias", evidence="shire_any"))
    assert table.loc["shire_any", "reported"] == pytest.approx(4000)
    assert table.loc["shire_any", "ratio"] == pytest.approx(4000 / expected)
    assert table.loc["s_survey", "reported"] == pytest.approx(19 / 2000)
    # A range is as probable below its middle on the log scale as above.
    assert table.loc["n_police", "reported"] == pytest.approx(np.sqrt(400 * 900))
    both = np.median(
        estimate.draws("without_bias", evidence="n_police")
        * estimate.draws("bias", source="police")
    )
    assert table.loc["n_police", "biased"] == pytest.approx(both, rel=1e-3)


def test_stated_intervals_come_back(estimate: hp.Estimate) -> None:
    table = plots.evidence_table(estimate, level=0.9).set_index("id")
    row = table.loc["s_police_2001"]
    assert (row["reported_low"], row["reported_high"]) == pytest.approx((300, 800))


def test_counts_scatter_by_chance_and_beyond(estimate: hp.Estimate) -> None:
    row = plots.evidence_table(estimate).set_index("id").loc["n_treated"]
    phi = np.median(estimate.draws("overdispersion"))
    sd = np.log(row["reported_high"] / row["reported_low"]) / (2 * 1.959964)
    assert sd == pytest.approx(np.sqrt(1 / 180 + phi**2))


def test_a_bound_that_holds_is_no_conflict(estimate: hp.Estimate) -> None:
    row = plots.evidence_table(estimate).set_index("id").loc["h_spend"]
    assert row["kind"] == "upper"
    assert row["reported"] > row["biased"]
    assert np.isnan(row["z"])


def test_unused_rows_of_variants_are_shown_as_such(estimate: hp.Estimate) -> None:
    table = plots.evidence_table(estimate).set_index("id")
    assert not table.loc["s_police_2001", "used"]
    assert table["used"].sum() == 6
    assert any("(not used)" in text for text in texts(plots.evidence(estimate)))


def test_bias_prior_is_the_stated_interval(estimate: hp.Estimate) -> None:
    table = plots.biases_table(estimate).set_index("source")
    row = table.loc["police"]
    assert (row["prior_low"], row["prior_high"]) == pytest.approx((0.5, 2))
    assert table.loc["clinic", "fixed"]
    assert "clinic" not in texts(plots.biases(estimate))


def test_variants_have_a_panel_for_each_area(estimate: hp.Estimate, variants: pd.DataFrame) -> None:
    table = plots.variants_table(variants, "any")
    assert table.loc[table["variant"] == "main", "ratio"].eq(1).all()
    figure = plots.variants(variants, "any")
    assert [axis.get_title() for axis in figure.axes] == list(estimate.data.report.areas)


def test_variants_of_an_unknown_group_are_refused(variants: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match="no variant reports 'N' of 'nobody'"):
        plots.variants_table(variants, "nobody", "N")
