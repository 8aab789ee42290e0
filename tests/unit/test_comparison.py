"""Families compared: leave-one-out against algebra and brute force, predictions of cells."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from hiddenpop.checks.comparison import leave_one_out as module
from hiddenpop.checks.comparison.cell_draws import cell_draws, cell_words
from hiddenpop.checks.comparison.families import families_table, family_words
from hiddenpop.checks.comparison.leave_one_out import (
    elpd_of,
    leave_one_out,
    left_out,
    left_out_sentences,
)
from hiddenpop.checks.comparison.left_out_people import leave_people_out, one_fewer, people_words
from hiddenpop.checks.comparison.predictive_cells import mid_p, predictive_table, without_cell
from hiddenpop.checks.comparison.predictive_words import fit_words
from hiddenpop.checks.monte_carlo import mean_density
from hiddenpop.cli import app
from hiddenpop.combine import stacking_weights
from hiddenpop.estimate import Estimate, fit
from hiddenpop.families.simulation.synthesis import draw_truth, simulate
from hiddenpop.families.synthesis import Priors
from hiddenpop.family_fits import FamilyFits, fit_families
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Report, Sampling
from hiddenpop.inputs.study import Study
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.plots.comparison import families as families_figure
from hiddenpop.plots.comparison import predicted_cells
from hiddenpop.size import fit_table
from hiddenpop.studies import load_size_study

__all__: list[str] = []

MakeData = Callable[..., SynthesisData]

COUNTS = {"100": 60, "010": 49, "110": 14, "001": 70, "101": 12, "011": 16, "111": 7}
LINKED = {"100": 60, "010": 50, "110": 90, "001": 70, "101": 8, "011": 7, "111": 12}
STUDY = """
name = "lists"
title = "Lists"
question = "How many people are on none of the lists?"
family = "recapture"

[table]
file = "table.csv"
lists = [{lists}]
count = "people"

[recapture]
families = {families}
"""


def study_files(folder: Path, counts: dict[str, float], families: list[str], more: str) -> Path:
    """A study of a table of counts by history."""
    names = [chr(97 + j) for j in range(len(next(iter(counts))))]
    rows = [",".join([*label, str(int(count))]) for label, count in counts.items()]
    folder.mkdir(exist_ok=True)
    (folder / "table.csv").write_text("\n".join([",".join([*names, "people"]), *rows]) + "\n")
    lists = ", ".join(f'"{name}"' for name in names)
    text = STUDY.format(lists=lists, families=json.dumps(families)) + more
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def fits_of(tmp_path: Path) -> Callable[..., FamilyFits]:
    """Families fitted to counts by history."""

    def made(counts: dict[str, float], families: list[str], more: str = "") -> FamilyFits:
        return fit_families(load_size_study(study_files(tmp_path, counts, families, more)))

    return made


# --- weights against algebra -------------------------------------------------------------------


@pytest.mark.parametrize(("held", "prior"), [(40, 1.0), (4, 2.0)])
def test_a_person_left_out_of_a_dirichlet(held: int, prior: float) -> None:
    """The chance of a cell given the other people is (n_i - 1 + a) / (n - 1 + A)."""
    counts = np.array([held, 30, 26])
    share = np.random.default_rng(1).dirichlet(counts + prior, size=20_000)[:, 0]
    found = left_out(np.log(share), chains=4)
    truth = (held - 1 + prior) / (counts.sum() - 1 + 3 * prior)
    assert found.reliable
    assert found.elpd == pytest.approx(np.log(truth), abs=0.004)


def test_one_person_alone_in_a_cell_has_a_bad_k() -> None:
    """With a prior of a half, 1 / share has no mean: weights cannot leave the person out."""
    share = np.random.default_rng(1).dirichlet([1.2, 30.0, 40.0], size=4000)[:, 0]
    assert left_out(np.log(share), chains=4).k > 0.7


def test_numbers_left_out_of_a_normal_mean() -> None:
    """y_i given the others is normal with their posterior mean and one more variance."""
    rng, y = np.random.default_rng(2), np.array([0.3, -0.8, 1.1, 0.4, 0.2])
    precision = len(y) + 0.25
    theta = rng.normal(y.sum() / precision, precision**-0.5, size=40_000)
    for one in range(len(y)):
        log_density = stats.norm.logpdf(y[one], theta)
        rest = np.delete(y, one)
        mean, variance = rest.sum() / (len(rest) + 0.25), 1 / (len(rest) + 0.25)
        truth = stats.norm.logpdf(y[one], mean, np.sqrt(1 + variance))
        found = left_out(log_density, chains=4)
        assert found.reliable
        assert found.elpd == pytest.approx(truth, abs=0.01)
        refit = rng.normal(mean, variance**0.5, size=40_000)
        again, error = mean_density(stats.norm.logpdf(y[one], refit), 4)
        assert error < 0.01
        assert abs(again - truth) < 4 * error


def test_the_likelihood_may_be_another_than_what_is_scored() -> None:
    """Poisson counts: dropping one of n divides by the mean, what is scored is the share."""
    rng = np.random.default_rng(3)
    mean = rng.gamma(np.array([20.0, 50.0]), size=(20_000, 2))
    share = mean[:, 0] / mean.sum(axis=1)
    found = left_out(np.log(share), np.log(mean[:, 0]), chains=4)
    # Without the person the mean is Gamma(19), and the share Beta(19, 50).
    assert found.elpd == pytest.approx(np.log(19 / 69), abs=0.004)


# --- people left out of a table ----------------------------------------------------------------


def test_cells_stand_for_their_people(fits_of: Callable[..., FamilyFits]) -> None:
    """Every person of the table left out by hand, one after the other."""
    counts = {"100": 4, "010": 3, "110": 2, "001": 2, "101": 0, "011": 1, "111": 1}
    fits = fits_of(counts, ["graphs", "loglinear-average"])
    left = leave_people_out(fits)
    table = families_table(fits, left).set_index("family")
    for family in ("graphs", "loglinear-average"):
        each = []
        for label, count in counts.items():
            for _ in range(count):
                rest = OverlapTable.from_counts(("a", "b", "c"), counts | {label: count - 1})
                fitted = fit_table(rest, family).fitted
                assert fitted is not None
                expected = fitted.set_index("history")["expected"]
                each.append(np.log(expected[label] / expected.sum()))
        row = table.loc[family]
        assert row["elpd"] == pytest.approx(sum(each), rel=1e-9)
        assert row["elpd_error"] == pytest.approx(np.sqrt(len(each)) * np.std(each, ddof=1))
    assert "a & c only" not in set(left["cell"])
    assert left["people"].sum() == 2 * sum(counts.values())


def test_stacking_finds_the_family_that_made_the_table(
    fits_of: Callable[..., FamilyFits],
) -> None:
    """Lists that share people beyond chance: independence is not how they were made."""
    more = "[recapture.options]\norder = 1\n"
    fits = fits_of(LINKED, ["loglinear-average", "graphs"], more)
    frame = families_table(fits, leave_people_out(fits)).set_index("family")
    assert frame.loc["graphs", "weight"] > 0.95
    assert frame.loc["graphs", "behind"] == 0
    assert frame.loc["loglinear-average", "behind"] > 20
    folds = stacking_weights(
        OverlapTable.from_counts(("a", "b", "c"), LINKED),
        ["loglinear-average", "graphs"], {"order": 1}, folds=5,
    )  # fmt: skip
    assert frame.loc["graphs", "weight"] == pytest.approx(folds["graphs"], abs=0.05)
    said = " ".join(family_words(frame.reset_index()))
    assert "clearly behind: loglinear-average by" in said
    assert "people who were seen" in said


def test_families_that_predict_alike_are_not_told_apart(
    fits_of: Callable[..., FamilyFits],
) -> None:
    fits = fits_of(COUNTS, ["graphs", "loglinear-average", "bounds"])
    frame = families_table(fits, leave_people_out(fits))
    said = " ".join(family_words(frame))
    assert "does not choose between these families" in said
    assert "Bounds does not say how many people" in said
    own = frame.set_index("family")
    ratio = own.loc["graphs", "median"] / fits.headline.N().median
    assert own.loc["graphs", "ratio"] == pytest.approx(ratio)
    assert bool(own.loc["bounds", "is_set"])
    assert np.isnan(own.loc[["bounds", "combined"], "elpd"].to_numpy(dtype=float)).all()
    assert len(families_figure(frame).axes) == 1


def test_the_spread_is_told_with_the_intervals_that_do_not_meet() -> None:
    rows = {"family": ["low", "high", "combined"], "median": [100.0, 250.0, 150.0],
            "low": [80.0, 200.0, 90.0], "high": [120.0, 300.0, 280.0]}  # fmt: skip
    blank = {"is_set": False, "predicts_cells": False, "elpd": np.nan, "passed": True}
    frame = pd.DataFrame(rows | blank | {"ratio": 1.0})
    assert family_words(frame)[0] == (
        "Medians run from 100 (low) to 250 (high): the largest is 2.5 times the smallest."
    )
    assert "intervals of low and high do not meet" in family_words(frame)[1]
    near = frame.assign(high=[220.0, 300.0, 280.0])
    assert family_words(near)[1] == "All their intervals overlap."


def test_a_stopped_run_goes_on_with_the_next_cell(fits_of: Callable[..., FamilyFits]) -> None:
    fits, kept, steps = fits_of(COUNTS, ["graphs"]), [], []

    def stop(frame: pd.DataFrame) -> None:
        kept.append(frame)
        if len(frame) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave_people_out(fits, on_row=stop)
    again = leave_people_out(fits, steps.append, done=kept[-1])
    assert len(steps) == 4
    pd.testing.assert_frame_equal(again, leave_people_out(fits))
    assert "log probabilities of 228 people" in people_words(again)[0]


def test_a_table_that_one_person_makes_possible_has_no_sum(
    fits_of: Callable[..., FamilyFits],
) -> None:
    """The only person on two lists: without them the family refuses, so that it has no score."""
    counts = COUNTS | {"110": 1, "101": 0, "011": 0, "111": 0}
    fits = fits_of(counts, ["loglinear-average"])
    left = leave_people_out(fits)
    assert left.set_index("cell")["elpd_refit"].isna()["a & b only"]
    assert "has no sum" in people_words(left)[0]
    assert families_table(fits, left)["elpd"].isna().all()


def by_sex(fits: FamilyFits, unknown: list[int]) -> FamilyFits:
    """The family fitted to two strata, the cell "111" of some of which is a range."""
    one = OverlapTable.from_counts(("a", "b", "c"), COUNTS)
    cells = len(one.low)
    table = replace(
        one, factors=("sex",), strata=(("f",), ("m",)), history=np.tile(one.history, (2, 1)),
        stratum=np.repeat([0, 1], cells), low=np.append(one.low, one.low - 3),
        high=np.append(one.high, one.high - 3), structural=np.zeros(2 * cells, dtype=bool),
    )  # fmt: skip
    for stratum in unknown:
        place = np.flatnonzero((table.stratum == stratum) & (table.code == 7))
        table.low[place], table.high[place] = 1, 9
    options = {"loglinear-average": {"estimator": "sbh"}}
    made = fit_table(table, "loglinear-average", options=options)
    study = replace(fits.study, table=table, options=options, families=("loglinear-average",))
    return replace(fits, study=study, estimates={"loglinear-average": made})


def test_people_are_left_out_of_their_stratum(fits_of: Callable[..., FamilyFits]) -> None:
    fits = fits_of(COUNTS, ["graphs"])
    left = leave_people_out(by_sex(fits, [0, 1]))
    assert list(left["stratum"]) == ["f"] * 6 + ["m"] * 6
    by_cell = left.set_index(["stratum", "cell"])["elpd_refit"]
    # Given that the cell is not the unknown one, the cells of a stratum make up everybody.
    assert np.exp(by_cell["f"]).sum() == pytest.approx(1, abs=0.02)
    assert leave_people_out(by_sex(fits, [0])).empty


# --- predictions of cells ----------------------------------------------------------------------


def test_a_cell_against_its_binomial_by_hand(fits_of: Callable[..., FamilyFits]) -> None:
    fits = fits_of(COUNTS, ["graphs"])
    frame = predictive_table(fits).set_index("id")
    fitted = fits.estimates["graphs"].fitted
    assert fitted is not None
    share = fitted.set_index("history")["expected"] / fitted["expected"].sum()
    law = stats.binom(228, share["101"])
    p = 2 * (law.cdf(11) + law.pmf(12) / 2)
    assert frame.loc["graphs: cell a & c only", "p"] == pytest.approx(p)
    on_a = stats.binom(228, share[["100", "110", "101", "111"]].sum())
    row = frame.loc["graphs: list a"]
    assert row["observed"] == 60 + 14 + 12 + 7
    assert (row["low"], row["high"]) == tuple(on_a.ppf([0.025, 0.975]))
    assert frame.loc["graphs: pair a & b", "observed"] == 14 + 7
    assert len(predicted_cells(frame.reset_index()).axes) == 1  # type: ignore[union-attr]


def test_tails_that_count_equal_numbers_half() -> None:
    assert mid_p(0.25, 0.5) == 1.0
    assert mid_p(0.0, 0.1) == pytest.approx(0.1)
    assert mid_p(np.array([0.9, 1.0]), np.array([0.1, 0.0])) == pytest.approx(0.05)


def independent(rng: np.random.Generator, lists: int = 4) -> dict[str, float]:
    """A table of independent lists of 900 people."""
    chances = rng.uniform(0.15, 0.45, size=lists)
    seen = (rng.random((900, lists)) < chances) @ (1 << np.arange(lists))
    counts = np.bincount(seen, minlength=2**lists)
    labels = ("".join("01"[code >> j & 1] for j in range(lists)) for code in range(1, 2**lists))
    return dict(zip(labels, counts[1:].tolist(), strict=True))


def test_a_cell_that_was_planted_is_found(fits_of: Callable[..., FamilyFits]) -> None:
    counts = independent(np.random.default_rng(5))
    counts["1100"] += 120
    fits = fits_of(counts, ["loglinear-average"], "[recapture.options]\norder = 1\n")
    frame = predictive_table(fits)
    worst = frame.loc[frame["p"].idxmin()]
    assert worst["name"] == "a & b only"
    assert worst["p_holm"] < 0.001
    assert any("the people on a & b only" in sentence for sentence in fit_words(frame))


def test_tables_of_the_family_rarely_alarm(fits_of: Callable[..., FamilyFits]) -> None:
    """Of 100 tables the family made itself, few have a cell with an adjusted p below .05."""
    rng, alarms, small = np.random.default_rng(6), 0, 0.0
    fits = fits_of(COUNTS, ["loglinear-average"], "[recapture.options]\norder = 1\n")
    for _ in range(100):
        table = OverlapTable.from_counts(("a", "b", "c"), independent(rng, 3))
        made = fit_table(table, "loglinear-average", options={"order": 1})
        one = replace(fits, estimates={"loglinear-average": made})
        cells = predictive_table(one).query("kind == 'cell'")
        alarms += int((cells["p_holm"] < 0.05).any())
        small += float((cells["p"] < 0.05).mean())
    # 10 of 100 would be as rare as 2 in 100 if the chance were .05; the p-values are conservative.
    assert alarms <= 9
    assert small / 100 < 0.05


def test_a_cell_that_is_taken_as_unknown() -> None:
    table = OverlapTable.from_counts(("a", "b"), {"10": 60, "01": 45, "11": 30})
    without = without_cell(table, 3)
    ends = dict(zip(without.labels, zip(without.low, without.high, strict=True), strict=True))
    assert ends == {"10": (60, 60), "01": (45, 45), "11": (0, np.inf)}
    # A combination without a row was seen on nobody, which is a count too.
    sparse = OverlapTable.from_counts(("a", "b", "c"), {"100": 60, "010": 45, "110": 30})
    assert dict(zip(*(getattr(without_cell(sparse, 7), x) for x in ("labels", "high")),
                    strict=True))["111"] == np.inf  # fmt: skip
    assert one_fewer(table, 0).observed == table.observed - 1
    assert cell_words(("a", "b"), "10") == "a only"
    assert cell_words(("a", "b"), "11") == "a & b"


# --- studies of evidence -----------------------------------------------------------------------


def study_of(data: SynthesisData) -> Study:
    report = Report(data.areas.names[:1], data.groups[:1], data.groups[0], (), (), (), (), ())
    return Study("made", "", "", "synthesis", data, {}, Sampling(seed=3), report, (), Path(), {})


@pytest.fixture
def evidence(make_data: MakeData) -> tuple[Estimate, dict[str, float]]:
    """Normal numbers with one mean, the last far off, as the rows of a study; and the truth."""
    y = np.array([0.2, -0.5, 0.9, 9.0])
    rows = [{"kind": "estimate", "low": 90, "high": 110, "level": 0.95} for _ in y]
    rows.append(rows[0] | {"use": "no"})
    data = make_data([("all", "", 1e6)], rows)
    precision = len(y) + 0.01
    theta = np.random.default_rng(4).normal(y.sum() / precision, precision**-0.5, (4, 2000))
    pointwise = np.append(stats.norm.logpdf(y, theta[..., None]), theta[..., None], axis=-1)
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(
        {"pointwise": (("chain", "draw", "evidence"), pointwise)},
        coords={"evidence": list(data.ids)},
    )})  # fmt: skip
    truth = {}
    for i, name in enumerate(data.ids[: len(y)]):
        rest = np.delete(y, i)
        scale = len(rest) + 0.01
        law = stats.norm(rest.sum() / scale, np.sqrt(1 + 1 / scale))
        truth[name] = float(law.logpdf(y[i]))
    tree.attrs["sampling"] = json.dumps(vars(Sampling(seed=3)))
    return Estimate(tree, study_of(data), "synthesis", SimpleNamespace()), truth  # type: ignore[arg-type]


def test_rows_are_left_out_by_weights_and_by_refits(
    evidence: tuple[Estimate, dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate, truth = evidence
    fitted: list[str] = []

    def refit(whole: Estimate, ids: list[str], *, seed: int) -> Estimate:
        """The exact posterior without the row that is far off."""
        fitted.extend(ids)
        y = np.array([0.2, -0.5, 0.9])
        theta = np.random.default_rng(seed).normal(y.sum() / 3.01, 3.01**-0.5, (4, 200_000))
        log_density = stats.norm.logpdf(9.0, theta)[..., None]
        tree = xr.DataTree.from_dict({"posterior": xr.Dataset(
            {"pointwise": (("chain", "draw", "evidence"), log_density)}, {"evidence": ids},
        )})  # fmt: skip
        return Estimate(tree, whole.data, "synthesis")

    monkeypatch.setattr(module, "leave_out", refit)
    kept: list[int] = []
    frame = leave_one_out(estimate, on_row=lambda rows: kept.append(len(rows)))
    assert kept == [1, 2, 3, 4]
    assert list(frame["id"]) == list(truth)
    assert fitted == list(frame.loc[frame["k"] > 0.7, "id"]) == [list(truth)[-1]]
    found = elpd_of(frame)
    np.testing.assert_allclose(found[:3], list(truth.values())[:3], atol=0.1)
    far = frame.iloc[3]
    assert abs(found[3] - list(truth.values())[3]) < 5 * far["error"]
    said = left_out_sentences(frame)
    assert f"{found.sum():.1f}" in said[0]
    assert "fitted again" in said[1]
    assert not leave_one_out(estimate, done=frame).compare(frame).size
    assert len(fitted) == 1


# --- the whole command -------------------------------------------------------------------------


def test_the_page_compares_the_families(tmp_path: Path) -> None:
    folder = study_files(tmp_path / "study", COUNTS, ["graphs", "loglinear-average"], "")
    runner, out = CliRunner(), tmp_path / "result"
    made = runner.invoke(app, ["run", str(folder), "--out", str(out)])
    assert made.exit_code == 0, made.output
    words = ["trust", str(out)]
    for name in ("leave-one-out", "fit", "families"):
        words += ["--only", name]
    found = runner.invoke(app, words)
    assert found.exit_code == 0, found.output
    assert "does not choose between these families" in found.output
    frame = pd.read_csv(out / "trust" / "families.csv")
    assert list(frame["family"]) == ["graphs", "loglinear-average", "combined"]
    assert frame["weight"].sum() == pytest.approx(1, abs=1e-6)
    cells = pd.read_csv(out / "trust" / "fit.csv")
    assert set(cells["kind"]) == {"cell", "list", "pair"}


# --- sampled fits ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("family", "near"), [("loglinear", 0.03), ("latent-class", 0.06)])
def test_weights_agree_with_refits_of_sampled_families(
    family: str, near: float, fits_of: Callable[..., FamilyFits]
) -> None:
    """In the cells with the fewest people, where one counts for most."""
    fits = fits_of(COUNTS, [family])
    estimate, sampling = fits.estimates[family], fits.study.sampling
    left = leave_people_out(fits).set_index("cell")
    table = estimate.data
    assert isinstance(table, OverlapTable)
    for place in np.argsort(table.low)[:2]:
        again = fit_table(one_fewer(table, int(place)), family, sampling=sampling)
        drawn = cell_draws(again, {})
        assert drawn is not None
        share = drawn.share[:, 0, table.code[place]].mean()
        row = left.loc[cell_words(table.lists, table.labels[place])]
        assert not row["refitted"]
        assert row["elpd"] == pytest.approx(np.log(share), abs=near)


@pytest.mark.slow
def test_weights_agree_with_refits_of_a_study(make_data: MakeData) -> None:
    """Three areas and six rows that were simulated from the model."""
    rows: list[dict[str, Any]] = [
        {"kind": "estimate", "area": name, "low": low, "high": high, "level": 0.95,
         "value": np.sqrt(low * high)}
        for name, low, high in (("all", 900, 1600), ("all", 700, 1900), ("one", 300, 800),
                                ("two", 250, 900), ("one", 350, 700), ("two", 300, 700))
    ]  # fmt: skip
    areas = [("all", "", 2e5), ("one", "all", 1e5), ("two", "all", 1e5)]
    data = make_data(areas, rows)
    rng = np.random.default_rng(1)
    data = simulate(draw_truth(data, Priors(prevalence=(0.004, 0.01, 0.95)), rng), rng)
    estimate = fit(study_of(data))
    frame = leave_one_out(estimate)
    assert (frame["k"] < 0.7).sum() >= 3
    for row in frame[~frame["refitted"]].to_dict("records"):
        without = module.leave_out(estimate, [str(row["id"])], short=Sampling())
        exact, error = mean_density(without.draws("pointwise", evidence=str(row["id"])), 4)
        near = 0.03 if row["k"] < 0.5 else 0.3
        assert row["elpd"] == pytest.approx(exact, abs=near + 3 * error)
