"""Prior sensitivity: what is changed, weighted draws, tornados and power scaling against truths."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import special, stats

from hiddenpop.checks.influence import MAIN
from hiddenpop.checks.priors.changes import (
    field_changes,
    size_prior_changes,
    spread_beta,
    spread_interval,
)
from hiddenpop.checks.priors.densities import Parts, evaluate, free_draws, has_parents
from hiddenpop.checks.priors.of_studies import study_changes
from hiddenpop.checks.priors.of_tables import stored_priors
from hiddenpop.checks.priors.power_scaling import (
    ALL_PRIORS,
    CONFLICT,
    FINE,
    HEADLINE,
    WEAK,
    power_scaling,
    power_sentences,
    sense,
)
from hiddenpop.checks.priors.sensitivity import (
    size_tornado,
    synthesis_tornado,
    tornado_sentences,
)
from hiddenpop.checks.priors.tornado import (
    COLUMNS,
    EXACT,
    LEFT_OUT,
    MOST_MOVED,
    NO_PART,
    REFITTED,
    REFUSED,
    REWEIGHTED,
    Answer,
    Change,
    collect,
)
from hiddenpop.checks.reweighting import weigh, weighted_quantile
from hiddenpop.estimate import Estimate, build
from hiddenpop.families import FAMILIES
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inference import Sampler
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.study import Study
from hiddenpop.plots.tornado import tornado
from hiddenpop.priors import BetaPrior, lognormal_from_interval
from hiddenpop.size import SizeEstimate, fit_table
from hiddenpop.studies import load_study

__all__: list[str] = []


def two_lists(**options: object) -> SizeEstimate:
    table = OverlapTable.from_counts(("A", "B"), {"10": 300.0, "01": 200.0, "11": 100.0})
    return fit_table(table, "two-list", options=options)


def rows(frame: pd.DataFrame, prior: str) -> pd.DataFrame:
    return frame[frame["prior"] == prior].set_index("change")


# What is changed


@dataclass(frozen=True)
class Example:
    """A field of every type that families have."""

    scale: float = 0.5
    unset: float | None = None
    nothing: float = 0.0
    order: int | None = 2
    best: bool = True
    name: str = "x"
    ratio: tuple[float, float, float] = (0.5, 2.0, 0.9)
    fixed: tuple[float, float, float] = (2.0, 2.0, 0.9)
    share: tuple[float, float, float] = (0.2, 0.8, 0.95)
    part: float = 0.7
    size_prior: SizePrior = field(default_factory=SizePrior)

    def __post_init__(self) -> None:
        if self.share[1] >= 1 or self.part > 1:
            raise ValueError("beyond 1")


def test_changes_follow_from_types_and_from_what_the_family_accepts() -> None:
    found = {(change.prior, change.change): change.value for change in field_changes(Example())}
    assert set(found) == {
        ("scale", "halved"), ("scale", "doubled"), ("ratio", "halved"), ("ratio", "doubled"),
        ("share", "halved"), ("share", "doubled"), ("part", "halved"),
    }  # fmt: skip
    assert found["scale", "doubled"] == 1.0
    assert found["ratio", "doubled"] == pytest.approx((0.25, 4.0, 0.9))
    # 0.2 to 0.8 is a factor of 4 in odds either way of 1.
    assert found["share", "doubled"] == pytest.approx((1 / 17, 16 / 17, 0.95))


def test_every_family_that_has_priors_has_something_to_change() -> None:
    for name, family in FAMILIES.items():
        if name not in ("bounds", "tree", "graphs"):  # a set; a prior on N only; and no number
            assert list(field_changes(family.module.Priors())), name


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_spread_changes_the_sd_and_not_the_centre(factor: float) -> None:
    before = lognormal_from_interval(0.4, 3.0, 0.9)
    after = lognormal_from_interval(*spread_interval((0.4, 3.0, 0.9), factor, on_logits=False))
    assert after.mu == pytest.approx(before.mu)
    assert after.sigma == pytest.approx(factor * before.sigma)


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 3.0), (40.0, 7.0), (2000.0, 3.0)])
def test_a_spread_beta_has_the_logit_it_should(prior: tuple[float, float], factor: float) -> None:
    def logit_moments(shape: tuple[float, float]) -> tuple[float, float]:
        logit = np.linspace(-300, 300, 120_001)
        density = np.exp(
            shape[0] * special.log_expit(logit) + shape[1] * special.log_expit(-logit)
            - special.betaln(*shape)
        )  # fmt: skip
        weight = density / density.sum()
        mean = float(logit @ weight)
        return mean, float(np.sqrt((logit - mean) ** 2 @ weight))

    mean, sd = logit_moments(prior)
    after_mean, after_sd = logit_moments(spread_beta(BetaPrior(*prior), factor))
    assert after_mean == pytest.approx(mean, abs=1e-6)
    assert after_sd == pytest.approx(factor * sd, rel=1e-6)


def test_other_priors_on_the_size() -> None:
    found = size_prior_changes(SizePrior(), 600.0, 2500.0, None)
    assert found == {
        "flat": SizePrior("uniform", 50_000.0),
        "log-normal": SizePrior("lognormal", np.sqrt(600 * 50_000), 50_000.0),
    }
    wide = size_prior_changes(SizePrior("lognormal", 1000.0, 2000.0), 600.0, 2500.0, 9000.0)
    assert wide["sd doubled"] == SizePrior("lognormal", 1000.0, pytest.approx(4000.0))
    assert wide["flat"].one == 9000.0
    gamma = size_prior_changes(SizePrior("gamma", 4.0, 500.0), 600.0, 2500.0, None)
    # Mean 2,000; sd over mean, 1 / sqrt(shape), is a half and becomes a quarter.
    assert gamma["sd halved"] == SizePrior("gamma", 16.0, 125.0)


# Weighted draws


def test_weighted_draws_of_a_normal_are_those_of_the_other(rng: np.random.Generator) -> None:
    draws = rng.normal(size=40_000)
    target = stats.norm(0.5, 0.8)
    found = weigh(draws, target.logpdf(draws) - stats.norm.logpdf(draws))
    assert found.reliable
    levels = np.array([0.025, 0.5, 0.975])
    np.testing.assert_allclose(weighted_quantile(found, levels), target.ppf(levels), atol=0.04)
    # The same the other way round would weigh by the inverse: another distribution.
    assert abs(weighted_quantile(found, levels)[1]) > 0.4


def test_weights_that_few_draws_carry_are_not_used(rng: np.random.Generator) -> None:
    draws = rng.normal(size=4000)
    for target in (stats.norm(0, 3.0), stats.norm(6.0, 1.0)):
        found = weigh(draws, target.logpdf(draws) - stats.norm.logpdf(draws))
        assert not found.reliable
    assert weigh(draws, np.zeros(4000)).reliable
    # A soft bound that nearly all draws keep: weights are tied at their greatest value.
    assert weigh(draws, stats.norm.logcdf(draws + 1, scale=0.01)).reliable
    assert weigh(draws, -stats.norm.logcdf(np.minimum(draws + 2, 0), scale=0.7)).k > -np.inf
    assert not weigh(draws[:300], np.zeros(300)).reliable
    assert not weigh(draws, np.zeros(4000), efficiency=0.05).reliable
    assert not weigh(draws, np.where(draws > 0, np.nan, 0.0)).reliable


def test_pareto_k_of_a_wider_normal(rng: np.random.Generator) -> None:
    # Weights of N(0, c) against N(0, 1) have tail index 1 / k with k = 1 - 1 / c^2.
    draws = rng.normal(size=100_000)
    found = weigh(draws, stats.norm(0, 1.5).logpdf(draws) - stats.norm.logpdf(draws))
    assert found.k == pytest.approx(1 - 1 / 1.5**2, abs=0.12)


# Densities without compiling


def test_densities_are_those_of_the_model(rng: np.random.Generator) -> None:
    with pm.Model(coords={"i": [0, 1, 2]}) as model:
        scale = pm.HalfNormal("scale", 2.0)
        share = pm.Beta("share", 2.0, 3.0, dims="i")
        z = pm.Normal("z", 0, scale, dims="i")
        y = pm.Data("y", np.zeros(3), dims="i")
        pm.Deterministic("twice", 2 * z, dims="i")
        pm.Potential("told", pm.logp(pm.Normal.dist(z + share, 0.5), y))
    draws = {
        "scale": np.abs(rng.normal(size=5)), "share": rng.uniform(size=(5, 3)),
        "z": rng.normal(size=(5, 3)),
    }  # fmt: skip
    given = np.array([0.1, -1.0, 2.0])
    found = evaluate(model, {"y": given}, draws, ["twice"])
    z_density = stats.norm(0, draws["scale"][:, None]).logpdf(draws["z"])
    told = stats.norm(draws["z"] + draws["share"], 0.5).logpdf(given).sum(1)
    scale_density = stats.halfnorm(scale=2.0).logpdf(draws["scale"])
    shares = stats.beta(2, 3).logpdf(draws["share"])
    np.testing.assert_allclose(found.densities["z"], z_density)
    np.testing.assert_allclose(found.wanted["twice"], 2 * draws["z"])
    np.testing.assert_allclose(found.joint, scale_density + shares.sum(1) + z_density.sum(1) + told)
    assert has_parents(model) == {"z"}


# Tornados of families that are computed


def test_a_tornado_of_two_lists_is_made_of_refits() -> None:
    main = two_lists()
    frame = size_tornado(main)
    assert tuple(frame.columns) == COLUMNS
    assert frame.iloc[0]["prior"] == MAIN
    for change, factor in (("halved", 0.5), ("doubled", 2.0)):
        half = factor * np.log(3.0)
        direct = two_lists(odds_ratio=(np.exp(-half), np.exp(half), 0.95)).N()
        row = rows(frame, "odds_ratio").loc[change]
        assert row["how"] == EXACT
        assert (row["median"], row["low"], row["high"]) == (direct.median, direct.low, direct.high)
        whole = np.log(main.N().high / main.N().low)
        assert row["ratio"] == direct.median / main.N().median
        assert row["moved"] == pytest.approx(abs(np.log(row["ratio"])) / whole)
        ends = [abs(np.log(direct.low / main.N().low)), abs(np.log(direct.high / main.N().high))]
        assert row["ends"] == pytest.approx(max(ends) / whole)
        direct = two_lists(a=factor).N()
        assert rows(frame, "a").loc[change, "median"] == direct.median
    assert set(rows(frame, "size_prior").index) == {"flat", "log-normal"}


def test_a_prior_without_a_part_is_told() -> None:
    frame = size_tornado(two_lists(independent=True))
    assert set(rows(frame, "odds_ratio")["how"]) == {NO_PART}
    assert set(rows(frame, "a")["how"]) == {EXACT}


def test_priors_are_read_back_as_they_were() -> None:
    estimate = two_lists(size_prior=SizePrior("lognormal", 2000.0, 5000.0), a=2.0)
    stored = stored_priors(estimate)
    assert stored == FAMILIES["two-list"].module.Priors(
        size_prior=SizePrior("lognormal", 2000.0, 5000.0), a=2.0
    )


def test_a_prior_that_decides_is_flagged_and_one_that_does_not_is_not() -> None:
    many = OverlapTable.from_counts(("A", "B"), {"10": 300.0, "01": 200.0, "11": 100.0})
    few = OverlapTable.from_counts(("A", "B"), {"10": 6.0, "01": 5.0, "11": 1.0})
    # A prior that is worth 40 people on each list, against 12 people in the data.
    strong = {"independent": True, "a": 20.0, "b": 20.0}
    knowing = size_tornado(fit_table(many, "two-list", options={"independent": True}))
    guessing = size_tornado(fit_table(few, "two-list", options=strong))
    assert not knowing["flagged"].any()
    assert rows(guessing, "a").loc["halved", "flagged"]
    assert "none moves it by more than 25 % of its interval" in " ".join(tornado_sentences(knowing))
    assert 'It rests on a prior: with the prior "a"' in " ".join(tornado_sentences(guessing))


def test_an_interval_that_a_prior_decides_is_told() -> None:
    frame = size_tornado(two_lists())
    row = rows(frame, "odds_ratio").loc["doubled"]
    # The table says nothing of the odds ratio: its prior is the width of the interval.
    assert not row["flagged"]
    assert row["ends"] > 0.5
    said = " ".join(tornado_sentences(frame))
    assert 'How sure it is rests on a prior: with the prior "odds ratio" doubled' in said


def test_sets_and_averages_have_no_tornado() -> None:
    table = OverlapTable.from_counts(("A", "B"), {"10": 300.0, "01": 200.0, "11": 100.0})
    frame = size_tornado(fit_table(table, "bounds"))
    assert frame.empty
    assert tornado_sentences(frame) == []
    with pytest.raises(ValueError, match="no prior to show"):
        tornado(frame)


# Families that are sampled, without sampling them


def drawn_loglinear(rng: np.random.Generator) -> SizeEstimate:
    """An estimate with made-up draws: what does not sample needs no better ones."""
    counts = {"100": 90.0, "010": 70.0, "001": 60.0, "110": 20.0, "101": 15.0, "011": 12.0,
              "111": 4.0}  # fmt: skip
    table = OverlapTable.from_counts(("A", "B", "C"), counts)
    module = FAMILIES["loglinear"].module
    priors = module.Priors()
    model = module.build_model(table, priors)
    dims_of = model.named_vars_to_dims
    sizes = {rv.name: tuple(len(model.coords[dim]) for dim in dims_of.get(rv.name, ()))
             for rv in model.free_RVs}  # fmt: skip
    dims = ("chain", "draw")
    found: dict[str, Any] = {
        name: ((*dims, *(f"{name}{i}" for i in range(len(size)))),
               0.3 * rng.normal(size=(4, 500, *size)))
        for name, size in sizes.items()
    }  # fmt: skip
    unseen = np.exp(rng.normal(6.0, 0.3, size=(4, 500))) * np.exp(found["log_scale"][1][..., 0])
    posterior = xr.Dataset(found | {"unseen": (dims, unseen), "N": (dims, unseen + table.observed)})
    tree = xr.DataTree.from_dict({"posterior": posterior, "sample_stats": quiet_chains(posterior)})
    tree.attrs = {
        "observed": table.observed, "priors": json.dumps(vars(priors), default=str),
        "sampling": json.dumps(vars(Sampling())), "seed": 1,
    }  # fmt: skip
    return SizeEstimate(tree, table, "loglinear")


def test_nothing_is_sampled_for_priors_without_a_part(rng: np.random.Generator) -> None:
    frame = size_tornado(drawn_loglinear(rng), max_refits=0)
    how = {name: set(part["how"]) for name, part in frame.groupby("prior")}
    # No factors, strata or margins in the table; no sampled family takes a flat prior on N.
    assert how["between"] == how["stratum_spread"] == how["odds_ratio"] == {NO_PART}
    assert how["interaction_scale"] == how["list_beta"] == {LEFT_OUT}
    assert rows(frame, "size_prior").loc["flat", "how"] == REFUSED
    assert rows(frame, "size_prior").loc["log-normal", "how"] == LEFT_OUT


def test_power_scaling_of_a_family_sampled_from_a_table(rng: np.random.Generator) -> None:
    frame = power_scaling(drawn_loglinear(rng))
    assert set(frame["quantity"]) == {HEADLINE}
    # Interactions around 0 are part of the model, flat priors are none.
    assert set(frame["part"]) == {ALL_PRIORS, "log_scale", "list_prior"}
    assert power_scaling(two_lists()).empty


# The synthesis: moves of draws


@pytest.fixture(scope="module")
def before_data() -> tuple[Study, Sampler, dict[str, np.ndarray], Parts]:
    """A study, its model, and draws from its prior."""
    study = load_study(Path(__file__).parents[1] / "studies" / "tiny")
    sampler = Sampler(build(study))
    values = FAMILIES[study.family].module.values(study.data)
    values["included"] = np.zeros_like(values["included"])
    free = free_draws(sampler.model, sampler.prior(values, 1500, 4))
    return study, sampler, free, evaluate(sampler.model, values, free)


@pytest.mark.parametrize(
    "prior",
    ["prevalence", "between_areas", "overdispersion", "rate in_treatment", "bias police"],
)
def test_weights_of_moved_draws_average_one(
    before_data: tuple[Study, Sampler, dict[str, np.ndarray], Parts], prior: str
) -> None:
    """Of normalised densities the mean weight is 1: a wrong move or Jacobian gives another."""
    study, sampler, free, main = before_data
    for change in study_changes(study, sampler.model.coords["standard"]):
        if change.prior != prior or change.change != "halved":
            continue
        values = FAMILIES[study.family].module.values(change.study.data)
        values["included"] = np.zeros_like(values["included"])
        model = build(change.study)
        assert len(change.moves) >= 2
        for move in change.moves:
            moved, log_jacobian = move(free)
            weights = np.exp(evaluate(model, values, moved).joint + log_jacobian - main.joint)
            error = weights.std() / np.sqrt(len(weights))
            assert weights.mean() == pytest.approx(1.0, abs=4 * error + 1e-6)


def test_every_prior_of_a_study_is_changed(
    before_data: tuple[Study, Sampler, dict[str, np.ndarray], Parts],
) -> None:
    study, sampler, _, _ = before_data
    found = list(study_changes(study, sampler.model.coords["standard"]))
    names = {change.prior for change in found}
    own = {change.prior for change in field_changes(FAMILIES["synthesis"].module.Priors())}
    assert own <= names
    assert {f"rate {name}" for name in study.data.rates.names} <= names
    assert {"bias study", "bias survey", "bias police"} <= names
    assert all(sum(change.prior == name for change in found) == 2 for name in names), (
        "halved and doubled once each"
    )


def test_answers_without_evidence_are_those_of_the_changed_prior(
    before_data: tuple[Study, Sampler, dict[str, np.ndarray], Parts],
) -> None:
    """With no row included the posterior is the prior, of which fresh draws can be made."""
    study, sampler, _, _ = before_data
    study = replace(study, data=study.data.including([]))
    values = FAMILIES[study.family].module.values(study.data)
    drawn = sampler.prior(values, 2000, 5)
    tree = xr.DataTree.from_dict({"posterior": drawn, "sample_stats": quiet_chains(drawn)})
    frame = synthesis_tornado(
        Estimate(tree, study, study.family, sampler),
        only=("prevalence", "bias police"), max_refits=0,
    )  # fmt: skip
    wide = next(
        change.study
        for change in study_changes(study, sampler.model.coords["standard"])
        if (change.prior, change.change) == ("prevalence", "doubled")
    )
    fresh = Sampler(build(wide)).prior(values, 3000, 6)["users"]
    fresh = fresh.sel(area=study.report.areas[0], union=study.report.headline).to_numpy()
    row = rows(frame, "prevalence").loc["doubled"]
    assert row["how"] == REWEIGHTED
    for name, level in (("low", 0.025), ("median", 0.5), ("high", 0.975)):
        assert np.log(row[name]) == pytest.approx(np.log(np.quantile(fresh, level)), abs=0.25)
    assert row["flagged"] or row["ends"] > MOST_MOVED
    # The same draws, with the evidence looked at.
    told = power_scaling(Estimate(tree, before_data[0], study.family, sampler))
    assert {ALL_PRIORS, "bias police", "rate spend", "between_areas"} <= set(told["part"])
    assert {HEADLINE, "rate in_treatment", "rate spend"} <= set(told["quantity"])
    assert set(rows(frame, "bias police")["how"]) == {NO_PART}


def quiet_chains(drawn: xr.Dataset) -> xr.Dataset:
    """Statistics of chains that did nothing wrong."""
    never = (("chain", "draw"), np.zeros((drawn.sizes["chain"], drawn.sizes["draw"]), dtype=bool))
    return xr.Dataset({"diverging": never, "maxdepth_reached": never})


# Rows that were done, and fits that may not be made


def answers(told: list[bool], medians: dict[str, float], how: str = REFITTED) -> list[Change]:
    def one(median: float) -> Callable[[bool], Answer]:
        def answer(may_sample: bool) -> Answer:
            told.append(may_sample)
            return (
                Answer(how, median / 2, median, 2 * median, True)
                if may_sample
                else Answer(LEFT_OUT)
            )

        return answer

    return [Change(name, "halved", one(median)) for name, median in medians.items()]


MAIN_ANSWER = Answer(MAIN, 50.0, 100.0, 200.0, True)
MEDIANS = {"one": 100.0, "two": 141.0, "three": 145.0}


def test_no_more_fits_than_allowed_and_the_rest_next_time() -> None:
    told: list[bool] = []
    kept: list[dict[str, Any]] = []
    frame = collect(MAIN_ANSWER, answers(told, MEDIANS), 2, None, str, kept.append)
    assert told == [True, True, False]
    assert list(frame["how"]) == [MAIN, REFITTED, REFITTED, LEFT_OUT]
    # A quarter of log 4 is log sqrt 2: 141 is just within, 145 beyond.
    assert not frame["flagged"].any()
    pd.testing.assert_frame_equal(pd.DataFrame(kept), frame)
    told.clear()
    steps: list[str] = []
    again = collect(MAIN_ANSWER, answers(told, MEDIANS), 2, frame, steps.append, kept.append)
    assert steps == ["three halved"]
    assert list(again["flagged"]) == [False, False, False, True]
    whole = collect(MAIN_ANSWER, answers([], MEDIANS), None, None, str, str)
    pd.testing.assert_frame_equal(again, whole)
    assert whole.iloc[3]["moved"] == pytest.approx(np.log(1.45) / np.log(4))
    assert whole.iloc[3]["moved"] > MOST_MOVED


def test_rows_survive_a_file_and_those_of_another_fit_are_not_used(tmp_path: Path) -> None:
    whole = collect(MAIN_ANSWER, answers([], MEDIANS), None, None, str, str)
    whole.to_csv(tmp_path / "rows.csv", index=False)
    read = pd.read_csv(tmp_path / "rows.csv", keep_default_na=False, na_values=[""])
    told: list[bool] = []
    again = collect(MAIN_ANSWER, answers(told, MEDIANS), None, read, str, str)
    assert told == []
    assert list(again["flagged"]) == list(whole["flagged"])
    other = MAIN_ANSWER._replace(median=101.0)
    collect(other, answers(told, MEDIANS), None, read, str, str)
    assert len(told) == 3


def test_reservations_are_told() -> None:
    frame = collect(MAIN_ANSWER, answers([], MEDIANS), 1, None, str, str)
    frame.loc[1, "passed"] = False
    said = " ".join(tornado_sentences(frame))
    assert 'failed a gate and are for a look only: the prior "one" halved' in said
    assert 'Not judged, as no fit was made: the prior "two" halved and the prior "three"' in said
    frame.loc[frame["how"] == LEFT_OUT, "how"] = REFUSED
    assert "the family gives no answer" in " ".join(tornado_sentences(frame))


# The figure


def test_the_figure_shows_what_moves_most_on_top_and_colours_what_is_flagged() -> None:
    frame = collect(MAIN_ANSWER, answers([], MEDIANS), None, None, str, str)
    figure = tornado(frame)
    (axis,) = figure.axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["Three", "Two", "One"]
    marks = {round(float(line.get_xdata()[0])): line.get_color()
             for line in axis.lines if line.get_marker() == "<"}  # fmt: skip
    assert marks[145] != marks[141] == marks[100]
    assert tornado(frame.iloc[:1]).axes


# Power scaling


def test_power_scaling_tells_which_prior(rng: np.random.Generator) -> None:
    tree = conjugate(0.0, 0.1, 1.0, rng)
    logs = tree["log_prior"].to_dataset()
    logs["other"] = (("chain", "draw"), stats.norm.logpdf(rng.normal(size=(4, 5000))))
    logs["constant"] = 0.0 * logs["other"]
    tree["log_prior"] = xr.DataTree(logs)
    frame = sense(tree).set_index("part")
    assert set(frame.index) == {ALL_PRIORS, "part", "other"}
    assert frame.loc["part", "prior"] > 5 * frame.loc["other", "prior"]
    said = power_sentences(frame.reset_index())
    assert 'most sensitive to the priors "part"' in said[0]


def conjugate(
    prior_mean: float, prior_sd: float, sd: float, rng: np.random.Generator
) -> xr.DataTree:
    """Normal mean: one observation at 0 with `sd`."""
    precision = prior_sd**-2 + sd**-2
    mean = prior_mean * prior_sd**-2 / precision
    draws = rng.normal(mean, precision**-0.5, size=(4, 5000))
    logs = {
        "log_prior": stats.norm(prior_mean, prior_sd).logpdf(draws),
        "log_likelihood": stats.norm(draws, sd).logpdf(0.0),
    }
    groups = {name: xr.Dataset({"part": (("chain", "draw"), x)}) for name, x in logs.items()}
    posterior = xr.Dataset({"N": (("chain", "draw"), draws)})
    return xr.DataTree.from_dict({"posterior": posterior, **groups})


@pytest.mark.parametrize(
    ("prior_mean", "prior_sd", "sd", "finding"),
    [
        (0.0, 10.0, 1.0, FINE),
        (0.0, 0.1, 1.0, WEAK),
        (8.0, 1.0, 1.0, CONFLICT),
        (0.0, 1.0, 1.0, FINE),
    ],
)
def test_power_scaling_of_a_normal_mean(
    prior_mean: float, prior_sd: float, sd: float, finding: str, rng: np.random.Generator
) -> None:
    frame = sense(conjugate(prior_mean, prior_sd, sd, rng))
    assert list(frame["part"]) == [ALL_PRIORS, "part"]
    assert set(frame["finding"]) == {finding}
    said = " ".join(power_sentences(frame))
    words = {
        FINE: "hardly move N",
        WEAK: "says little about N",
        CONFLICT: "may pull it in different directions",
    }
    assert words[finding] in said
