"""What would have to be true: closed forms, fits held at a value, curves and sentences."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pytensor.compile.mode import Mode
from scipy import special, stats

import hiddenpop as hp
from hiddenpop.checks.tipping.evidence import CROSSES, HARDLY, NEVER, synthesis_tipping
from hiddenpop.checks.tipping.held import HELD_SD, Curves, Point, Quantity, holding, quantities
from hiddenpop.checks.tipping.tables import (
    ODDS_RATIO,
    ODDS_UNSEEN,
    pair_tipping,
    tipping_curves,
    xi_tipping,
)
from hiddenpop.checks.tipping.words import tipping_sentences
from hiddenpop.estimate import Estimate, fit
from hiddenpop.family_fits import FamilyFits, fit_families
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Report, Sampling
from hiddenpop.inputs.size_study import SizeStudy, SizeTarget
from hiddenpop.inputs.study import Study
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.inputs.table_source import TableSource
from hiddenpop.plots.tipping import tipping
from hiddenpop.priors import z_score

__all__: list[str] = []

MakeData = Callable[..., SynthesisData]
Answer = Callable[[Quantity, float], float]

TINY = Path(__file__).parents[1] / "studies" / "tiny"
CHAINS, DRAWS = 4, 1000
K = 3000.0
"""Users where every bias is 1."""


@pytest.fixture
def estimate(make_data: MakeData, rng: np.random.Generator) -> Estimate:
    """Users are K / bias of "off" to the power 0.9, whatever "silent" and the share are."""
    rows = [
        {"kind": "estimate", "value": 3000, "low": 2500, "high": 3600, "level": 0.95,
         "source": name, "rates": rate}
        for name, rate in (("off", ""), ("silent", "known"), ("exact", ""))
    ]  # fmt: skip
    data = make_data(
        [("Land", "", 100_000)], rows, selection={"known": (0.8, 2.5, 0.95)},
        shares={"known": (0.3, 0.5, 0.95), "idle": (0.1, 0.2, 0.9)},
        biases={"off": (0.5, 2.0, 0.95), "silent": (0.5, 2.0, 0.95)},
    )  # fmt: skip
    size = CHAINS * DRAWS
    bias = np.exp(0.2 * rng.normal(size=(size, 3)))
    bias[:, 0] = 1.0
    users = K * bias[:, 1] ** -0.9 * np.exp(0.05 * rng.normal(size=size))
    share = special.expit(0.2 * rng.normal(size=(size, 2)))
    names = {"bias": ("source", data.biases.names), "share": ("proportion", data.rates.shares)}
    variables = {
        name: (("chain", "draw", names[name][0]), x.reshape(CHAINS, DRAWS, -1))
        for name, x in (("bias", bias), ("share", share))
    }
    variables["users"] = (("chain", "draw", "area", "union"), users.reshape(CHAINS, DRAWS, 1, 1))
    coords = {dim: list(labels) for dim, labels in names.values()}
    tree = xr.DataTree.from_dict(
        {"posterior": xr.Dataset(variables, coords | {"area": ["Land"], "union": ["users"]})}
    )
    report = Report(("Land",), ("users",), "users", (), (), (), (), ())
    study = Study("made", "", "", "synthesis", data, {}, Sampling(), report, (), Path(), {})
    return Estimate(tree, study, "synthesis")


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[float]]:
    """Give the answer of a formula in place of fits; returns the values that were asked for."""

    def set_up(answer: Answer) -> list[float]:
        asked: list[float] = []

        def found(self: Curves, one: Quantity, value: float) -> Point:
            asked.append(value)
            median = answer(one, value)
            return Point(value, value, median, 0.8 * median, 1.2 * median, True)

        monkeypatch.setattr(Curves, "_fit", found)
        return asked

    return set_up


def inverse(one: Quantity, value: float) -> float:
    """Users if the reported number is right up to the bias."""
    assert one.name == "off"
    return K / value


def crossing(frame: pd.DataFrame, threshold: float, name: str = "off") -> pd.Series:
    """What was found of one quantity."""
    rows = frame[(frame["threshold"] == threshold) & (frame["name"] == name)]
    return rows.iloc[0]


def test_crossing_of_a_power_is_exact(
    estimate: Estimate, answering: Callable[[Answer], list[float]]
) -> None:
    asked = answering(inverse)
    frame = synthesis_tipping(estimate, [2 * K, 5 * K])
    for times in (2, 5):
        row = crossing(frame, times * K)
        assert row["finding"] == CROSSES
        assert row["crossing"] == pytest.approx(1 / times, rel=1e-9)
        prior = stats.norm(0, np.log(2) / z_score(0.95)).cdf(np.log(1 / times))
        assert row["prior"] == pytest.approx(prior, rel=1e-6)
        assert row["posterior"] == pytest.approx(np.mean(estimate.draws("bias")[:, 1] <= 1 / times))
    # The middle, a third, the crossing at 1/2; then a tenth and the crossing at 1/5.
    assert len(asked) == 5
    assert np.log(asked[1] / asked[0]) == pytest.approx(-np.log(3))
    others = frame[frame["name"] != "off"]
    assert set(others["name"]) == {"silent", "known"}
    assert (others["finding"] == HARDLY).all()
    assert others[["value", "median"]].isna().all(axis=None)


def test_crossing_of_a_bent_curve_is_improved_by_fits(
    estimate: Estimate, answering: Callable[[Answer], list[float]]
) -> None:
    asked = answering(lambda one, value: K * np.exp(-np.log(value) + 0.3 * np.log(value) ** 2))
    frame = synthesis_tipping(estimate, [4 * K])
    row, fits = crossing(frame, 4 * K), len(asked)
    # x^2 0.3 - x = log 4, the smaller root.
    exact = np.exp((1 - np.sqrt(1 + 1.2 * np.log(4))) / 0.6)
    straight = np.exp(np.log(1 / 3) * 0.75)
    assert row["crossing"] == pytest.approx(exact, rel=0.03)
    assert abs(straight / exact - 1) > 0.03
    # What is known is enough to say the same again.
    pd.testing.assert_frame_equal(synthesis_tipping(estimate, [4 * K], done=frame), frame)
    assert len(asked) == fits


def test_an_answer_that_never_gets_there_says_so(
    estimate: Estimate, answering: Callable[[Answer], list[float]]
) -> None:
    asked = answering(lambda one, value: K * value**-0.05)
    row = crossing(synthesis_tipping(estimate, [2 * K]), 2 * K)
    assert row["finding"] == NEVER
    assert np.isnan(row["crossing"])
    assert min(asked) == pytest.approx(asked[0] / 10)
    # One that moves away is looked at on the other side too.
    asked = answering(lambda one, value: K * value**0.5)
    row = crossing(synthesis_tipping(estimate, [2 * K]), 2 * K)
    assert row["crossing"] == pytest.approx(4, rel=0.02)


def test_a_stopped_run_goes_on(
    estimate: Estimate, answering: Callable[[Answer], list[float]], tmp_path: Path
) -> None:
    answering(inverse)
    kept: list[pd.DataFrame] = []
    whole = synthesis_tipping(estimate, [2 * K], on_row=kept.append)
    kept[1].to_csv(tmp_path / "kept.csv", index=False)
    asked = answering(inverse)
    again = synthesis_tipping(estimate, [2 * K], done=pd.read_csv(tmp_path / "kept.csv"))
    assert len(asked) == 1
    pd.testing.assert_frame_equal(again, whole)
    assert len(kept) == 3


def test_prior_of_a_share_allows_for_selection(
    estimate: Estimate,
    answering: Callable[[Answer], list[float]],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(lambda one, value: K * 0.5 / value if one.name == "known" else K)
    monkeypatch.setattr("hiddenpop.checks.tipping.evidence.LEAST_CORRELATION", 0.0)
    row = crossing(synthesis_tipping(estimate, [2 * K]), 2 * K, "known")
    assert row["crossing"] == pytest.approx(0.25, rel=0.03)
    rates = estimate.data.data.rates
    mu, sigma = rates.selection["known"]
    found = special.logit(rng.beta(rates.alpha[0], rates.beta[0], 400_000))
    share = special.expit(found - mu - sigma * rng.normal(size=400_000))
    # The prior's tail is small; 400,000 draws know it to a few per cent.
    assert row["prior"] == pytest.approx(np.mean(share <= row["crossing"]), rel=0.05)


def test_one_quantity_at_a_time_is_held_by_a_narrow_normal(estimate: Estimate) -> None:
    held = list(quantities(estimate.data.data))
    assert [one[:2] for one in held] == [("bias", "off"), ("bias", "silent"), ("share", "known")]
    model = holding(estimate, held)
    wanted = [model[one.variable][one.place] for one in held]
    compute = model.compile_fn(
        model.replace_rvs_by_values([*wanted, model["held_there"]]), inputs=model.value_vars,
        mode=Mode(linker="py", optimizer=None), on_unused_input="ignore",
    )  # fmt: skip
    point = model.initial_point()
    point["z"] = np.linspace(-1, 1, len(point["z"]))
    *logs, free = compute(point)
    assert float(free) == 0
    at = np.log(np.array(logs, dtype=float)) + np.linspace(-0.05, 0.05, len(held))
    for i in range(len(held)):
        on = np.eye(len(held))[i]
        model.set_data("held_on", on)
        model.set_data("held_at", on * at)
        gap = (np.log(float(logs[i])) - at[i]) / HELD_SD
        assert float(compute(point)[-1]) == pytest.approx(-(gap**2) / 2, abs=1e-6)


@pytest.mark.slow
def test_fits_agree_with_a_sum_over_a_grid() -> None:
    study = hp.load_study(TINY)
    study = replace(study, data=study.data.including(["shire_any"]))
    main = fit(study, sampling=Sampling(draws=1000, tune=800, seed=3), check=False)
    frame = synthesis_tipping(main, [6000.0], area="Shire", group="any")
    # One estimate of an area at the top: its log odds are normal before, 4,000 (3,000 to 5,600)
    # with a design effect of 2 two-piece log-normal.
    mu, sigma = stats.norm.fit(special.logit([0.002, 0.05]))
    sigma = np.ptp(special.logit([0.002, 0.05])) / 2 / z_score(0.95)
    log_odds = np.linspace(-12, 0, 60_001)
    users = 400_000 * special.expit(log_odds)
    ends = np.log([3000 / 4000, 5600 / 4000]) / z_score(0.95)
    extra = ((ends[1] - ends[0]) / 2) ** 2
    below, above = np.sqrt(ends[0] ** 2 + extra), np.sqrt(ends[1] ** 2 + extra)

    def median(bias: float) -> float:
        gap = np.log(users * bias / 4000)
        log_density = stats.norm.logpdf(log_odds, mu, sigma)
        log_density += stats.norm.logpdf(gap / np.where(gap < 0, below, above))
        mass = np.cumsum(np.exp(log_density - log_density.max()))
        return float(np.interp(0.5, mass / mass[-1], users))

    rows = frame[frame["median"].notna()]
    assert len(rows) >= 3
    for row in rows.to_dict("records"):
        assert row["median"] == pytest.approx(median(row["value"]), rel=0.03)
    found = rows["crossing"].iloc[0]
    assert median(found) == pytest.approx(6000, rel=0.03)


# --- words, curves and figure ------------------------------------------------------------------


def test_sentences_of_evidence(
    estimate: Estimate, answering: Callable[[Answer], list[float]]
) -> None:
    answering(inverse)
    frame = synthesis_tipping(estimate, [2 * K])
    first, last = tipping_sentences(frame, "The number of users in Land")
    assert first.startswith(
        "The number of users in Land would be 6,000 if “off” reported 0.50 times"
    )
    assert "has a probability of 2.5 %" in first
    assert "hardly matter" in last
    assert "share “known”" in last
    assert "bias of “silent”" in last
    answering(lambda one, value: K * value**-0.05)
    said = tipping_sentences(synthesis_tipping(estimate, [2 * K]), "N")
    assert said[0].startswith("The bias of “off” alone does not do it")
    failed = frame.assign(passed=False)
    assert "failed their gates" in " ".join(tipping_sentences(failed))


@pytest.fixture(scope="module")
def sizes() -> FamilyFits:
    """Two exact families on three lists."""
    counts = {"100": 60, "010": 49, "110": 14, "001": 70, "101": 12, "011": 16, "111": 7}
    table = OverlapTable.from_counts(("a", "b", "c"), counts)
    study = SizeStudy(
        "made", "Made", "", SizeTarget(), TableSource("table.csv"), table,
        ("graphs", "loglinear-average"), "graphs", {}, Sampling(),
    )  # fmt: skip
    return fit_families(study)


def test_curves_of_lists_go_through_their_crossings(sizes: FamilyFits) -> None:
    target = 500.0
    frame = pd.concat(
        [xi_tipping(sizes, target), pair_tipping(sizes.data, target)], ignore_index=True
    ).assign(threshold=target)
    curves = tipping_curves(sizes, frame)
    assert set(curves["panel"]) == {ODDS_UNSEEN, ODDS_RATIO}
    for column, panel, key in (
        ("family", ODDS_UNSEEN, "median"), ("lists", ODDS_RATIO, "odds_ratio"),
    ):  # fmt: skip
        for row in frame[frame[column].notna() & frame[key].notna()].to_dict("records"):
            line = curves[(curves["panel"] == panel) & (curves["line"] == row[column])]
            there = np.interp(np.log(row[key]), np.log(line["x"]), np.log(line["median"]))
            assert np.exp(there) == pytest.approx(target, rel=0.01)
    figure = tipping(curves, [target])
    assert figure is not None
    assert len(figure.axes) == 2
    dots = [line.get_xdata() for line in figure.axes[1].lines if line.get_marker() == "o"]
    ratios = frame["odds_ratio"].dropna().sort_values().to_numpy()
    assert np.sort(np.concatenate(dots)) == pytest.approx(ratios, rel=0.02)
    said = " ".join(tipping_sentences(frame))
    assert "N would be 500 if the odds of being on no list" in said
    assert "No data of the table speak about this factor" in said
    assert "where independence of all lists gives" in said


def test_figure_of_evidence_has_a_panel_for_each_quantity(
    estimate: Estimate, answering: Callable[[Answer], list[float]]
) -> None:
    answering(inverse)
    curves = tipping_curves(estimate, synthesis_tipping(estimate, [2 * K]))
    assert curves["panel"].unique().tolist() == ["Reported over true of “off”"]
    figure = tipping(curves, [2 * K])
    assert figure is not None
    figure.canvas.draw()
    (dots,) = [x for x in figure.axes[0].lines if x.get_marker() == "o"]
    assert dots.get_xdata() == pytest.approx([0.5], rel=1e-6)
    assert tipping(curves.head(0), [2 * K]) is None
