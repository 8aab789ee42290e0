"""Conflict between sources: predictions against simulation, tables against normal algebra."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from hiddenpop.checks.comparison import leave_one_out
from hiddenpop.checks.comparison.leave_one_out import LeftOut
from hiddenpop.checks.conflict.predictive import predictive_draws, reported, tails
from hiddenpop.checks.conflict.table import (
    COMPONENT,
    conflict_table,
    leave_out,
    row_conflict,
    source_table,
)
from hiddenpop.checks.conflict.words import (
    conflict_sentences,
    p_words,
    pull_words,
    source_sentences,
)
from hiddenpop.checks.multiple import adjusted, holm
from hiddenpop.estimate import Estimate
from hiddenpop.families.simulation.synthesis import Truth, simulate
from hiddenpop.families.synthesis import Priors
from hiddenpop.inputs.components import Component
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Report, Sampling
from hiddenpop.inputs.study import Study
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.plots.conflict import conflict
from hiddenpop.priors import z_score

__all__: list[str] = []

MakeData = Callable[..., SynthesisData]

CHAINS = 4
USERS, SHARE, FACTOR, BIAS, PHI = 3000.0, 0.4, 0.05, 1.2, 0.1


def study_of(data: SynthesisData, priors: Mapping[str, Any] | None = None) -> Study:
    """A study around data, about its first area and group."""
    report = Report(data.areas.names[:1], data.groups[:1], data.groups[0], (), (), (), (), ())
    return Study("made", "", "", "synthesis", data, dict(priors or {}),
                 Sampling(draws=1000, tune=500, seed=3), report, (), Path(), {})  # fmt: skip


def tree_of(data: SynthesisData, draws: Mapping[str, np.ndarray]) -> xr.DataTree:
    """A posterior with draws (sample, ...) of named variables."""
    dims = {"without_bias": "evidence", "pointwise": "evidence", "bias": "source",
            "share": "proportion", "factor": "multiplier"}  # fmt: skip
    coords = {"evidence": data.ids, "source": data.biases.names,
              "proportion": data.rates.shares, "multiplier": data.rates.factors,
              "area": data.areas.names, "union": data.groups}  # fmt: skip
    found = {}
    for name, x in draws.items():
        own = ("area", "union") if name == "users" else ((dims[name],) if name in dims else ())
        shaped = x.reshape(CHAINS, -1, *x.shape[1:])
        found[name] = (("chain", "draw", *own), shaped)
    used = {dim for own, _ in found.values() for dim in own if dim in coords}
    dataset = xr.Dataset(found, {dim: list(coords[dim]) for dim in used})
    return xr.DataTree.from_dict({"posterior": dataset})


# --- predictions -------------------------------------------------------------------------------

ROWS: dict[str, dict[str, Any]] = {
    "estimate": {"kind": "estimate", "value": 3300, "low": 2500, "high": 5000, "level": 0.95},
    "estimate-design": {"kind": "estimate", "value": 3300, "low": 2500, "high": 5000,
                        "level": 0.95, "design_effect": 3.0},
    "range": {"kind": "range", "low": 2500, "high": 4000, "level": 0.5},
    "guess": {"kind": "guess", "value": 4200, "low": 3000, "high": 5000, "level": 0.8},
    "count": {"kind": "count", "value": 170, "rates": "events"},
    "count-clusters": {"kind": "count", "value": 200, "rates": "events", "design_effect": 2.0},
    "benchmark": {"kind": "benchmark", "value": 1330, "rates": "known"},
    "benchmark-bias": {"kind": "benchmark", "value": 1400, "rates": "known", "source": "off"},
    "benchmark-range": {"kind": "benchmark", "low": 1200, "high": 1249, "rates": "known"},
    "proportion": {"kind": "proportion", "value": 24, "n": 100, "of": "residents"},
    "proportion-design": {"kind": "proportion", "value": 60, "n": 200, "of": "residents",
                          "design_effect": 4.0},
    "proportion-range": {"kind": "proportion", "low": 28, "high": 33, "n": 100,
                         "of": "residents"},
}  # fmt: skip


def fixed(data: SynthesisData, size: int, phi: float = PHI) -> tuple[Truth, Estimate]:
    """A truth, and a fit that knows it, in `size` draws that are all the same."""
    priors = Priors(overdispersion=phi)
    truth = Truth(
        data, priors, data.areas.population, np.array([[USERS]]), 0.0, 0.0, phi,
        np.array([SHARE, FACTOR]), np.array([1.0, BIAS]), {("Land", "2005"): 0.0},
    )  # fmt: skip
    bias = np.array([truth.bias[data.biases.names.index(x)] for x in data.targets["source"]])
    known = {
        "without_bias": truth.expected() / bias, "bias": truth.bias,
        "share": truth.rates[:1], "factor": truth.rates[1:],
    }  # fmt: skip
    draws = {name: np.tile(x, (size, 1)) for name, x in known.items()}
    draws |= {"overdispersion": np.full(size, phi)} if phi > 0 else {}
    study = study_of(data, {"overdispersion": phi})
    return truth, Estimate(tree_of(data, draws), study, "synthesis")


def one_row(make_data: MakeData, row: Mapping[str, Any], copies: int = 1) -> SynthesisData:
    return make_data(
        [("Land", "", 10_000)], [row] * copies, shares={"known": (0.3, 0.5, 0.95)},
        factors={"events": (0.04, 0.06, 0.95)}, biases={"off": (0.9, 1.6, 0.95)},
    )  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_predictions_are_what_the_simulator_draws(
    make_data: MakeData, name: str, rng: np.random.Generator
) -> None:
    """The simulator draws rows one by one and was written apart."""
    _, estimate = fixed(one_row(make_data, ROWS[name]), 4000)
    mine = predictive_draws(estimate, "row0", rng)
    row, copies = dict(ROWS[name]), 300
    if row["kind"] in ("benchmark", "proportion"):
        # Whole reports also where the row has a range, as the simulator puts those into brackets.
        row["value"] = row.get("value", row.get("low"))
    data = one_row(make_data, row, copies)
    drawn = simulate(fixed(data, CHAINS)[0], rng)
    theirs = np.array([reported(drawn, f"row{i}").value for i in range(copies)])
    if row["kind"] == "benchmark":  # rounded there after a bias, and not here
        theirs += rng.uniform(-0.5, 0.5, copies)
        mine += rng.uniform(-0.5, 0.5, len(mine))
    assert stats.ks_2samp(mine, theirs).pvalue > 1e-3
    error = np.std(theirs) / np.sqrt(copies)
    assert np.mean(mine) == pytest.approx(np.mean(theirs), abs=4.5 * error)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("phi", [PHI, 0.0])
def test_tails_are_those_of_the_predictions(
    make_data: MakeData, name: str, phi: float, rng: np.random.Generator
) -> None:
    data = one_row(make_data, ROWS[name])
    _, estimate = fixed(data, 40_000, phi)
    drawn, number = predictive_draws(estimate, "row0", rng), reported(data, "row0")
    tie = np.mean((drawn >= number.low) & (drawn <= number.high)) / 2
    ends = tails(estimate, "row0")
    for found, exact in (
        (np.mean(drawn < number.low) + tie, ends.below),
        (np.mean(drawn > number.high) + tie, ends.above),
    ):
        assert np.ptp(exact) < 1e-12
        error = np.sqrt(max(found * (1 - found), 1e-4) / len(drawn))
        assert exact[0] == pytest.approx(found, abs=4.5 * error)
    assert ends.below + ends.above == pytest.approx(np.ones(40_000))


def test_a_tie_counts_half(make_data: MakeData) -> None:
    """A count of 0 where nobody is expected is no conflict at all."""
    row = {"kind": "count", "value": 0, "rates": "events"}
    data = one_row(make_data, row)
    _, estimate = fixed(data, 8)
    tree = estimate.tree.copy(deep=True)
    tree["posterior"]["without_bias"].to_numpy()[:] = 1e-9
    ends = tails(replace(estimate, tree=tree), "row0")
    assert ends.below == pytest.approx(0.5)
    assert ends.above == pytest.approx(0.5)


@pytest.mark.parametrize(("kind", "side"), [("lower", "above"), ("upper", "below")])
@pytest.mark.parametrize("width", [None, (2000, 4500)])
def test_of_a_bound_the_probability_that_it_holds(
    make_data: MakeData,
    kind: str,
    side: str,
    width: tuple[float, float] | None,
    rng: np.random.Generator,
) -> None:
    row: dict[str, Any] = {"kind": kind, "value": 3100.0}
    sd = 0.05
    if width is not None:
        row |= {"low": width[0], "high": width[1], "level": 0.9}
        sd = np.log(width[1] / width[0]) / 2 / z_score(0.9)
    data = one_row(make_data, row)
    _, estimate = fixed(data, 40_000)
    sign = 1 if kind == "lower" else -1
    exact = stats.norm.cdf(sign * np.log(USERS / 3100) / sd)
    assert getattr(tails(estimate, "row0"), side)[0] == pytest.approx(exact)
    drawn = predictive_draws(estimate, "row0", rng)
    assert np.mean(sign * (drawn - 3100) >= 0) == pytest.approx(exact, abs=0.01)


# --- Holm --------------------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    found = holm([0.01, np.nan, 0.04, 0.03, 0.005])
    assert found == pytest.approx([0.03, np.nan, 0.06, 0.06, 0.02], nan_ok=True)
    assert holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).size == 0


def test_benchmarks_get_the_same_adjustment() -> None:
    frame = pd.DataFrame({"benchmark": ["a", "b"], "alone": [1, 2], "conflict": [0.04, 0.01]})
    assert adjusted(frame)["conflict_holm"].tolist() == pytest.approx([0.04, 0.02])
    assert "conflict_holm" not in frame
    with pytest.raises(KeyError, match="conflict"):
        adjusted(frame[["alone"]])


# --- tables, by a sampler that draws from the exact posterior ----------------------------------

SDS = {"exact": 0.0, "one": 0.3, "two": 0.2}
PRIOR = (np.log(3000), 1.0)


class Algebra:
    """Stands for the compiled model: draws of a normal model of logs, from its exact posterior."""

    def __init__(self, data: SynthesisData, stuck: int = 0) -> None:
        self.data, self.stuck, self.lengths = data, stuck, list[int]()

    def sample(self, values: Mapping[str, np.ndarray], sampling: Sampling) -> xr.DataTree:
        """Unknowns: log N, then the log bias of each source."""
        sources = list(self.data.biases.names)
        rows, counts = self.data.evidence.rows, np.asarray(values["included"], bool)
        to = np.zeros((len(rows), 1 + len(sources)))
        to[:, 0] = 1
        to[np.arange(len(rows)), [1 + sources.index(x) for x in rows["source"]]] = 1
        every = to, values["log_value"], values["error_below"]
        to, y, sd = (x[counts] for x in every)
        prior = np.array([PRIOR[1], *(max(SDS[name], 1e-9) for name in sources)])
        precision = np.diag(prior**-2) + to.T @ (to / sd[:, None] ** 2)
        start = np.zeros(len(prior))
        start[0] = PRIOR[0] / PRIOR[1] ** 2
        cov = np.linalg.inv(precision)
        rng = np.random.default_rng(sampling.seed)
        size = CHAINS * sampling.draws
        drawn = rng.multivariate_normal(cov @ (start + to.T @ (y / sd**2)), cov, size)
        users = np.exp(drawn[:, :1])
        pointwise = stats.norm.logpdf(every[1], drawn @ every[0].T, every[2])
        self.lengths.append(sampling.draws)
        if len(self.lengths) <= self.stuck:  # a chain that got stuck
            users[: sampling.draws] = users[0]
        return tree_of(self.data, {
            "without_bias": np.repeat(users, len(rows), axis=1),
            "bias": np.exp(drawn[:, 1:]), "users": users[..., None], "pointwise": pointwise,
        })  # fmt: skip


def made(make_data: MakeData, stuck: int = 0) -> tuple[Estimate, Algebra]:
    """Five estimates; `row4` is far off; `row1` and `row2` share a bias."""
    z = z_score(0.95)
    rows = []
    for value, sd, source in (
        (3000, 0.15, "exact"), (2800, 0.2, "one"), (3500, 0.25, "one"), (3300, 0.2, "two"),
        (6000, 0.18, "exact"),
    ):  # fmt: skip
        ends = value * np.exp([-z * sd, z * sd])
        rows.append({"kind": "estimate", "value": value, "low": ends[0], "high": ends[1],
                     "level": 0.95, "source": source})  # fmt: skip
    biases = {name: (*np.exp([-z * sd, z * sd]), 0.95) for name, sd in SDS.items() if sd}
    data = make_data([("Land", "", 1e6)], rows, biases=biases)
    sampler = Algebra(data, stuck)
    study = study_of(data)
    whole = Algebra(data).sample(_values(data), study.sampling)
    whole.attrs["sampling"] = '{"draws": 2000, "tune": 500, "seed": 3}'
    return Estimate(whole, study, "synthesis", sampler), sampler  # type: ignore[arg-type]


def _values(data: SynthesisData) -> dict[str, np.ndarray]:
    from hiddenpop.families.synthesis import values

    return values(data)


def exact_conflict(estimate: Estimate, left_out: list[int]) -> tuple[float, float]:
    """Mean and sd of the log predictive of the first row left out, from one joint covariance."""
    rows = estimate.data.data.evidence.rows
    y, sd = np.log(rows["value"].to_numpy()), np.log((rows["high"] / rows["low"]).to_numpy())
    same = rows["source"].to_numpy()[:, None] == rows["source"].to_numpy()
    tau = np.array([SDS[name] for name in rows["source"]])
    cov = PRIOR[1] ** 2 + same * tau**2 + np.diag((sd / 2 / z_score(0.95)) ** 2)
    kept = [i for i in range(len(rows)) if i not in left_out]
    at = left_out[0]
    weights = np.linalg.solve(cov[np.ix_(kept, kept)], cov[kept, at])
    mean = PRIOR[0] + weights @ (y[kept] - PRIOR[0])
    return float(mean), float(np.sqrt(cov[at, at] - weights @ cov[kept, at]))


def test_rows_match_normal_algebra(make_data: MakeData) -> None:
    estimate, _ = made(make_data)
    frame = conflict_table(estimate)
    assert frame["id"].tolist() == [f"row{i}" for i in range(5)]
    assert frame["passed"].all()
    for i, row in frame.iterrows():
        mean, sd = exact_conflict(estimate, [int(str(i))])
        gap = np.log(row["reported"]) - mean
        exact = 2 * stats.norm.sf(abs(gap) / sd)
        assert row["p"] == pytest.approx(exact, abs=4 * row["p_error"] + 1e-9)
        assert np.log(row["ratio"]) == pytest.approx(gap, abs=0.1 * sd)
        density = stats.norm.logpdf(gap, scale=sd)
        assert row["elpd"] == pytest.approx(density, abs=4 * row["elpd_error"] + 1e-9)
        assert row["elpd_error"] < 0.3
        assert np.log(row["ratio_high"]) == pytest.approx(gap + 1.96 * sd, abs=0.2 * sd)
        assert np.log(row["expected_low"]) == pytest.approx(mean - 1.96 * sd, abs=0.2 * sd)
    assert frame["p_holm"].tolist() == pytest.approx(holm(frame["p"].to_numpy()).tolist())
    assert frame["p"].idxmin() == 4
    assert frame["headline_ratio"].iloc[4] > 1.1
    assert frame["headline_ratio"].iloc[0] < 0.9


def test_fits_without_a_row_serve_leave_one_out_too(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate, sampler = made(make_data)
    rows = conflict_table(estimate)
    monkeypatch.setattr(leave_one_out, "left_out", lambda *_, **__: LeftOut(0.0, 1.0))
    fits = len(sampler.lengths)
    found = leave_one_out.leave_one_out(estimate, rows=rows)
    assert len(sampler.lengths) == fits
    assert found["refitted"].all()
    again = leave_one_out.leave_one_out(estimate)
    assert len(sampler.lengths) == fits + len(rows)
    pd.testing.assert_frame_equal(found, again)


def test_rows_of_a_source_go_together(make_data: MakeData) -> None:
    estimate, sampler = made(make_data)
    rows = conflict_table(estimate)
    fits = len(sampler.lengths)
    frame = source_table(estimate, rows=rows).set_index("source")
    # "two" has one row, whose fit is not repeated.
    assert len(sampler.lengths) - fits == 2
    assert frame["p"]["two"] == rows["p"].iloc[3]
    assert frame["ratio"]["two"] == rows["ratio"].iloc[3]
    afresh = source_table(estimate, done=frame.drop("two").reset_index()).set_index("source")
    pd.testing.assert_frame_equal(afresh, frame)
    assert frame["rows"].to_dict() == {"exact": 2, "one": 2, "two": 1}
    # Own errors weigh the two; bias and N are common to both.
    mean, _ = exact_conflict(estimate, [1, 2])
    sds = np.array([0.2, 0.25])
    weights = sds**-2 / (sds**-2).sum()
    gap = weights @ np.log([2800, 3500]) - mean
    _, one = exact_conflict(estimate, [1, 2])
    sd = np.sqrt(one**2 - sds[0] ** 2 + weights**2 @ sds**2)
    assert np.log(frame["ratio"]["one"]) == pytest.approx(gap, abs=0.1 * sd)
    assert frame["p"]["one"] == pytest.approx(2 * stats.norm.sf(abs(gap) / sd), abs=0.04)


def test_a_stopped_run_ends_as_one_that_was_not(make_data: MakeData, tmp_path: Path) -> None:
    whole = conflict_table(made(make_data)[0])
    shown: list[pd.DataFrame] = []
    steps: list[str] = []
    estimate, sampler = made(make_data)

    def stop(frame: pd.DataFrame) -> None:
        shown.append(frame)
        if len(frame) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conflict_table(estimate, on_row=stop)
    file = tmp_path / "rows.csv"
    shown[-1].to_csv(file, index=False)
    fits = len(sampler.lengths)
    rest = conflict_table(estimate, steps.append, done=pd.read_csv(file))
    assert steps == ["row2", "row3", "row4"]
    assert len(sampler.lengths) - fits == 3
    pd.testing.assert_frame_equal(rest, whole)


def test_a_fit_that_fails_its_gates_is_done_again_at_full_length(make_data: MakeData) -> None:
    estimate, sampler = made(make_data, stuck=1)
    assert leave_out(estimate, ["row4"]).verdict.passed
    assert sampler.lengths == [1000, 2000]
    estimate, sampler = made(make_data, stuck=2)
    frame = conflict_table(estimate.__class__(estimate.tree, replace(
        estimate.data, data=estimate.data.data.including(["row0", "row3"])
    ), estimate.family, estimate.sampler))  # fmt: skip
    assert frame["id"].tolist() == ["row0", "row3"]
    assert frame["passed"].tolist() == [False, True]
    assert "row0" in conflict_sentences(frame)[-1]


def test_a_table_is_compared_by_its_own_size(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Two independent log-normals, N of the table and N of everything else, and their ratio."""
    data = made(make_data)[0].data.data
    one = Component(
        "lists", "two", "Land", "users", "", "2005", "15-64", "", "", True, "", (),
        OverlapTable.from_counts("AB", {"10": 60, "01": 49, "11": 14}), {"list_beta": 2.0},
        np.zeros(0), None,
    )  # fmt: skip
    data = replace(data, components=(one,), joined=np.array([False]))
    implied, own = rng.normal(np.log(400), 0.1, 8000), rng.normal(np.log(250), 0.2, 5000)
    draws = {"without_bias": np.tile(np.exp(implied)[:, None], (1, 6)), "bias": np.ones((8000, 3))}
    asked: list[dict[str, Any]] = []

    def fit_table(table: OverlapTable, family: str, **how: Any) -> SimpleNamespace:  # noqa: ANN401
        assert (table, family) == (one.table, "loglinear")
        asked.append(how["options"])
        return SimpleNamespace(draws=lambda: np.exp(own), verdict=SimpleNamespace(passed=False))

    monkeypatch.setattr("hiddenpop.checks.conflict.table.fit_table", fit_table)
    without = Estimate(tree_of(data, draws), study_of(data), "synthesis")
    found = row_conflict(without, "lists")
    # A fit of the table that fails is done again at full length, and then told.
    assert asked == [{"list_beta": 2.0}] * 2
    assert not found["passed"]
    assert found["kind"] == COMPONENT
    sd = np.hypot(0.1, 0.2)
    assert found["p"] == pytest.approx(2 * stats.norm.cdf(np.log(250 / 400) / sd), abs=0.01)
    assert found["reported"] == pytest.approx(250, rel=0.02)
    assert found["expected"] == pytest.approx(400, rel=0.03)
    assert found["ratio_high"] == pytest.approx(250 / 400 * np.exp(1.96 * sd), rel=0.06)


# --- words and figure --------------------------------------------------------------------------


def test_sentences_and_figure(make_data: MakeData) -> None:
    estimate, _ = made(make_data)
    frame = conflict_table(estimate)
    sources = source_table(estimate, rows=frame)
    told = conflict_sentences(frame)
    small = int((frame["p"] < 0.05).sum())
    assert small >= 1
    assert told[0].startswith(f"Each of 5 rows was predicted from everything else. {small} ha")
    assert "“row4” (exact) reports 2." in told[1]
    assert "times what everything else implies" in told[1]
    assert "“row4” pulls it up by" in told[-1]
    assert "(2 rows together)" in " ".join(source_sentences(sources.assign(p=0.01)))
    bound = frame.assign(kind="upper", p=0.02, p_holm=0.06).head(1)
    assert "upper bound “row0” (exact) is" in conflict_sentences(bound)[1]
    assert "probability of 2.0 %" in conflict_sentences(bound)[1]
    for table in (frame, sources, bound, sources.assign(ratio=np.nan, p=np.nan)):
        figure = conflict(table)
        labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert len(labels) == len(table)
        figure.canvas.draw()
    nothing = frame.assign(p=np.nan, p_holm=np.nan, headline_ratio=1.0)
    assert conflict_sentences(nothing) == ["No row could be held against the others."]


def test_words_of_numbers() -> None:
    assert [p_words(p) for p in (0.0004, 0.02, 0.31, 1.0)] == ["< .001", "= .02", "= .31", "= 1.00"]
    assert pull_words(1.04) == "pulls it up by 4 %"
    assert pull_words(0.9) == "pulls it down by 10 %"
    assert "less than half" in pull_words(1.001)
