"""Value of the next data: regressions over draws against closed forms and against refits."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from scipy.special import expit, gammaln, logit

from hiddenpop.checks.next_data.benchmarks import next_surveys, next_surveys_of_areas
from hiddenpop.checks.next_data.evidence import linked_study, next_evidence
from hiddenpop.checks.next_data.lists import (
    _drawn,
    _normal_cells,
    another_list,
    linked_summaries,
    seen_before,
    seen_before_if_dependent,
)
from hiddenpop.checks.next_data.rates import draw_rate
from hiddenpop.checks.next_data.table import COLUMNS, _lists, next_data, next_data_sentences
from hiddenpop.checks.next_data.tree import next_samples
from hiddenpop.checks.next_data.width import Width, width_after
from hiddenpop.estimate import Estimate
from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths.independence import independent_unseen
from hiddenpop.families.maths.lattice import tables_with_margins
from hiddenpop.families.multiplier import Priors, size
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.family_fits import fit_families
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Report, Sampling
from hiddenpop.inputs.study import Study
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.inputs.tree import Branch, Tree
from hiddenpop.plots.next_data import next_data as figure_of
from hiddenpop.size import SizeEstimate

__all__: list[str] = []

ENDS = np.array([0.025, 0.975])
DRAWS = 20_000


def near(found: Width, truth: float, slack: float = 0.01) -> None:
    """Within three Monte Carlo errors and what a smooth curve may miss."""
    assert 0 < found.mcse < 0.04
    assert found.ratio == pytest.approx(truth, abs=3 * found.mcse + slack)


def log_width(unseen: Discrete, observed: float) -> float:
    """Width of the interval of log N."""
    return float(np.ptp(np.log(observed + unseen.quantile(ENDS))))


# --- the regression ----------------------------------------------------------------------------


@pytest.mark.parametrize("times", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("draws", [4000, DRAWS])
def test_a_normal_report_narrows_as_conjugacy_says(
    rng: np.random.Generator, times: float, draws: int
) -> None:
    """Prior sd s, error v = `times` s: variance s^2 v^2 / (s^2 + v^2)."""
    log_size = 7 + 0.4 * rng.normal(size=draws)
    report = log_size + 0.4 * times * rng.normal(size=draws)
    found = width_after(np.exp(log_size), np.exp(report))
    near(found, np.sqrt(times**2 / (1 + times**2)))
    half = 1.96 * 0.4 * times / np.sqrt(1 + times**2)
    assert np.log(found.low) == pytest.approx(7 - half, abs=0.05)
    assert np.log(found.high) == pytest.approx(7 + half, abs=0.05)
    assert np.log(found.now_high) == pytest.approx(7 + 1.96 * 0.4, abs=0.05)


def test_two_reports_are_worth_more_than_one(rng: np.random.Generator) -> None:
    log_size = 7 + 0.4 * rng.normal(size=DRAWS)
    reports = log_size[:, None] + 0.4 * rng.normal(size=(DRAWS, 2))
    near(width_after(np.exp(log_size), reports), np.sqrt(1 / 3))


@pytest.mark.parametrize(("draws", "summaries"), [(400, 1), (400, 5), (4000, 3)])
def test_data_that_say_nothing_narrow_nothing(
    rng: np.random.Generator, draws: int, summaries: int
) -> None:
    """A fit whose residuals were its own would find 5 summaries of noise worth a lot."""
    log_size = 6 + 0.5 * rng.standard_t(5, size=draws)
    found = width_after(np.exp(log_size), rng.normal(size=(draws, summaries)))
    assert 1 - 2 * found.mcse - 0.005 < found.ratio < 1.25
    assert width_after(np.exp(log_size), np.ones(draws)).ratio == pytest.approx(1)


def test_a_width_that_depends_on_the_outcome_is_averaged(rng: np.random.Generator) -> None:
    """X says how sure N will be, and nothing of where it is: a mean of two widths."""
    sure = rng.random(DRAWS) < 0.5
    log_size = np.where(sure, 0.1, 0.5) * rng.normal(size=DRAWS)
    truth = np.mean([0.1, 0.5]) * 2 * 1.96 / np.ptp(np.quantile(log_size, ENDS))
    near(width_after(np.exp(log_size), sure + 0.0), float(truth), slack=0.02)


def test_only_the_order_of_a_summary_counts(rng: np.random.Generator) -> None:
    log_size = 7 + 0.4 * rng.normal(size=4000)
    report = log_size + 0.3 * rng.normal(size=4000)
    one, two = (width_after(np.exp(log_size), x) for x in (report, np.exp(report)))
    assert one == pytest.approx(two, rel=1e-6)


def test_the_stated_error_is_that_of_repetitions(rng: np.random.Generator) -> None:
    found = []
    for _ in range(60):
        log_size = 7 + 0.4 * rng.normal(size=1500)
        found.append(width_after(np.exp(log_size), log_size + 0.4 * rng.normal(size=1500)))
    spread = np.std([one.ratio for one in found])
    assert np.mean([one.mcse for one in found]) == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize("bad", [np.ones(3), np.array([1.0, np.nan]), np.array([1.0, np.inf])])
def test_draws_that_do_not_match_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"draws of N|finite"):
        width_after(np.array([10.0, 20.0]), bad)


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [30, 120])
def test_another_list_narrows_as_refits_of_three_lists_do(
    rng: np.random.Generator, length: int
) -> None:
    """Independent lists have a closed form (Darroch), before and after: no regression in it."""
    totals, distinct, beta = [120, 150], 240, 0.02
    before = independent_unseen(totals, distinct, beta)
    drawn = before.draw(DRAWS, rng) + distinct
    again = seen_before(drawn, distinct, length, rng)
    numbers, times = np.unique(again[:1500], return_counts=True)
    after = [
        log_width(
            independent_unseen([*totals, length], distinct + length - m, beta),
            distinct + length - m,
        )
        for m in numbers
    ]
    truth = np.average(after, weights=times) / log_width(before, distinct)
    near(width_after(drawn, again), float(truth), slack=0.015)


def test_an_average_of_disagreeing_families_gains_more(rng: np.random.Generator) -> None:
    """Two peaks that the new list tells apart; the truth by Bayes' theorem over the support."""
    values = np.arange(0, 1500)
    mass = stats.norm.pdf(values, 300, 40) + stats.norm.pdf(values, 800, 60)
    mixed = Discrete(values.astype(float), mass / mass.sum())
    observed, length = 500, 200
    drawn = mixed.draw(DRAWS, rng) + observed
    again = seen_before(drawn, observed, length, rng)
    numbers, times = np.unique(again, return_counts=True)
    widths = []
    for m in numbers:
        chance = stats.hypergeom.pmf(m, values + observed, observed, length)
        after = Discrete.from_log(values, np.log(mass * chance + 1e-300))
        widths.append(log_width(after, observed))
    truth = np.average(widths, weights=times) / log_width(mixed, observed)
    near(width_after(drawn, again), float(truth), slack=0.03)


def test_dependence_follows_the_exact_distribution(rng: np.random.Generator) -> None:
    """Fisher's distribution by simulation, and independence as its special case."""
    n, N, length, odds = 200, 700, 90, 2.5
    sizes = np.full(DRAWS, float(N))
    exact = stats.nchypergeom_fisher(N, n, length, odds)
    mine = seen_before_if_dependent(sizes, n, length, (odds, odds, 0.95), rng)
    assert mine.mean() == pytest.approx(exact.mean(), abs=0.15)
    assert mine.std() == pytest.approx(exact.std(), rel=0.05)
    plain = seen_before_if_dependent(sizes, n, length, (1.0, 1.0, 0.95), rng)
    assert plain.mean() == pytest.approx(length * n / N, abs=0.15)
    drawn = rng.integers(250, 3000, DRAWS).astype(float)
    known = width_after(drawn, seen_before(drawn, n, length, rng))
    unknown = width_after(
        drawn, seen_before_if_dependent(drawn, n, length, (1 / 3, 3.0, 0.95), rng)
    )
    assert known.ratio + 0.1 < unknown.ratio < 1


def test_people_of_a_list_are_seen_people(rng: np.random.Generator) -> None:
    """Nobody unseen: all of the list are known. No list is longer than the people seen."""
    assert (seen_before(np.full(5, 100.0), 100, 40, rng) == 40).all()
    found = seen_before_if_dependent(np.full(50, 110.0), 100, 40, (1 / 3, 3.0, 0.95), rng)
    assert ((found >= 30) & (found <= 40)).all()
    assert seen_before(np.array([1e15]), 100, 40, rng) == 0
    assert [length for _, length in another_list(60, 100)] == [30, 60]
    assert another_list(0.0, 10) == []


# --- totals that are linked --------------------------------------------------------------------

SMALL = Margins(("a", "b", "c"), (12, 9, 8), 23)


def test_linked_tables_have_the_published_totals_and_their_chances(
    rng: np.random.Generator,
) -> None:
    on = SMALL.histories
    effects = np.array([0.2, -0.3, 0.1])
    log_odds = np.tile(on @ effects + 0.8 * on[:, :2].all(axis=1), (DRAWS, 1))
    cells = _drawn(SMALL, log_odds, rng)
    assert (cells @ SMALL.sums.T == SMALL.known).all()
    tables = tables_with_margins(SMALL.totals, SMALL.distinct, 5000)
    assert tables is not None
    log_chance = tables @ log_odds[0] - gammaln(tables + 1).sum(axis=1)
    chance = np.exp(log_chance - log_chance.max())
    chance /= chance.sum()
    assert cells.mean(axis=0) == pytest.approx(chance @ tables, abs=0.05)


def test_many_tables_are_drawn_as_few_are(rng: np.random.Generator) -> None:
    """The normal approximation against the enumeration, where both can be had."""
    margins = Margins(("a", "b", "c"), (60, 45, 40), 115)
    on = margins.histories
    log_odds = np.tile(on @ np.array([0.5, 0.2, 0.1]) - 0.6 * on.sum(axis=1), (4000, 1))
    exact, normal = _drawn(margins, log_odds, rng), _normal_cells(margins, log_odds, rng)
    assert normal @ margins.sums.T == pytest.approx(np.tile(margins.known, (4000, 1)))
    assert normal.mean(axis=0) == pytest.approx(exact.mean(axis=0), abs=0.4)
    assert normal.std(axis=0) == pytest.approx(exact.std(axis=0), rel=0.1)


def of_margins(rng: np.random.Generator, links: np.ndarray) -> SizeEstimate:
    """A posterior of London's published totals, with log odds ratios (sample, pair)."""
    margins = Margins(("a", "b", "c"), (2905, 1188, 531), 4117)
    effect = np.log([0.25, 0.1, 0.04]) + 0.3 * rng.normal(size=(4000, 3))
    unseen = 4000 * np.exp(0.8 * links.mean(axis=1)) * np.exp(0.02 * rng.normal(size=4000))
    draws = {
        "list_effect": (("chain", "draw", "list"), effect.reshape(4, 1000, 3)),
        "interaction": (("chain", "draw", "link"), links.reshape(4, 1000, 3)),
        "N": (("chain", "draw"), 4117 + np.round(unseen).reshape(4, 1000)),
    }
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(draws)})
    tree.attrs = {"priors": '{"size_prior": "reciprocal", "order": 2}', "observed": 4117.0}
    return SizeEstimate(tree, margins, "loglinear")


def test_linking_tells_how_lists_depend(rng: np.random.Generator) -> None:
    links = 0.4 + 0.7 * rng.normal(size=(4000, 3))
    estimate = of_margins(rng, links)
    found = linked_summaries(estimate, rng)
    assert found is not None
    assert found.shape == (4000, 4)
    gained = width_after(estimate.draws(), found)
    mixed = width_after(estimate.draws(), rng.permutation(found))
    assert gained.ratio < 0.8
    assert mixed.ratio > 0.97
    table = OverlapTable.from_counts("ab", {"10": 5, "01": 6, "11": 2})
    assert linked_summaries(replace(estimate, data=table), rng) is None


# --- benchmarks --------------------------------------------------------------------------------

PRIORS = Priors()
TREATED = Benchmark.counted("treated", 400, Rate(x=40, n=200, design_effect=2.0))
DEATHS = Benchmark("deaths", "events", 20, 20, 20, Rate(quantiles=((0.025, 0.005), (0.975, 0.02))))


def test_a_second_survey_narrows_as_refits_do(rng: np.random.Generator) -> None:
    """Every outcome of a second survey refitted exactly, weighed by its predicted chance."""
    table = MultiplierTable.of(TREATED)
    before = size(table, PRIORS)
    drawn = before.unseen.draw(DRAWS, rng) + before.observed
    (asked,) = next_surveys(table, drawn, PRIORS, rng)
    assert asked.about == "treated"
    numbers, times = np.unique(asked.found, return_counts=True)
    widths = []
    for x in numbers:
        rate = Rate(x=40 + 2 * x, n=400, design_effect=2.0)
        after = size(MultiplierTable.of(replace(TREATED, rate=rate)), PRIORS)
        widths.append(float(np.ptp(np.log(after.quantile(ENDS)))))
    truth = np.average(widths, weights=times) / np.ptp(np.log(before.quantile(ENDS)))
    near(width_after(drawn, asked.found), float(truth))
    assert 0.65 < truth < 0.75  # the survey is all the uncertainty there is: about 1 / sqrt(2)


def test_a_survey_among_other_evidence_narrows_as_refits_do(rng: np.random.Generator) -> None:
    """A count with an error, a survey that over-recruits, and deaths beside it."""
    row = replace(TREATED, error=Interval(0.8, 1.4, 0.95), selection=Interval(0.8, 1.5, 0.95))
    table = MultiplierTable.of(row, DEATHS)
    before = size(table, PRIORS)
    drawn = before.unseen.draw(DRAWS, rng) + before.observed
    asked = next_surveys(table, drawn, PRIORS, rng)[0]
    numbers, times = np.unique(asked.found[:250], return_counts=True)
    widths = []
    for x in numbers:
        rate = Rate(x=40 + 2 * x, n=400, design_effect=2.0)
        after = size(MultiplierTable.of(replace(row, rate=rate), DEATHS), PRIORS)
        widths.append(float(np.ptp(np.log(after.quantile(ENDS)))))
    truth = np.average(widths, weights=times) / np.ptp(np.log(before.quantile(ENDS)))
    near(width_after(drawn, asked.found), float(truth), slack=0.015)
    assert truth > 0.8  # the error and the deaths stay as they are


def test_shares_given_the_size_are_beta(rng: np.random.Generator) -> None:
    """Without biases p | N, B is Beta(alpha + B, beta + N - B)."""
    for N in (900.0, 2000.0, 4000.0):
        found = expit(draw_rate(TREATED, np.full(DRAWS, N), PRIORS, np.nan, rng))
        exact = stats.beta(1 + 20 + 400, 1 + 80 + N - 400)
        assert found.mean() == pytest.approx(exact.mean(), rel=0.005)
        assert found.std() == pytest.approx(exact.std(), rel=0.04)


def heavy(
    row: Benchmark, N: float, rng: np.random.Generator, residents: float = np.nan
) -> tuple[float, float]:
    """Mean and sd of the logit or log of the surveyed rate given N, from the prior weighed."""
    many = 1_000_000
    rate = row.rate
    assert rate is not None
    ratio, odds = (_log_factor(interval, many, rng) for interval in (row.error, row.selection))
    if row.kind == "events":
        (_, low), (_, high) = rate.quantiles
        sd = np.log(high / low) / (2 * 1.959964)
        theta = np.log(high * low) / 2 + sd * rng.normal(size=many)
        weight = stats.poisson.pmf(row.value, N * np.exp(theta + ratio))
        return _moments(theta, weight)
    assert rate.x is not None
    assert rate.n is not None
    share = rng.beta(1 + rate.x / rate.design_effect,
                     1 + (rate.n - rate.x) / rate.design_effect, many)  # fmt: skip
    theta = logit(share)
    if row.kind == "survey":
        assert row.sample is not None
        weight = stats.binom.pmf(row.value, row.sample, share * N / residents)
    elif row.kind == "figure":
        assert row.interval is not None
        sd = np.log(row.interval.high / row.interval.low) / (2 * 1.959964)
        weight = stats.norm.pdf(np.log(N * share) + ratio, np.log(row.value), sd)
    else:
        p, true = expit(theta - odds), row.value * np.exp(-ratio)
        ways = gammaln(N + 1) - gammaln(true + 1) - gammaln(np.maximum(N - true, 0) + 1)
        chance = ways + true * np.log(p) + (N - true) * np.log1p(-p) - ratio
        weight = np.where(true <= N, np.exp(chance), 0.0)
    return _moments(theta, weight)


def _log_factor(interval: Interval | None, many: int, rng: np.random.Generator) -> np.ndarray:
    if interval is None:
        return np.zeros(many)
    sd = np.log(interval.high / interval.low) / (2 * 1.959964)
    return np.asarray(np.log(interval.high * interval.low) / 2 + sd * rng.normal(size=many))


def _moments(theta: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    mean = np.average(theta, weights=weight)
    return float(mean), float(np.sqrt(np.average((theta - mean) ** 2, weights=weight)))


BIASED = {
    "error": (replace(TREATED, error=Interval(0.7, 1.6, 0.95)), 1800.0, PRIORS),
    "selection": (replace(TREATED, selection=Interval(0.8, 2.5, 0.95)), 2500.0, PRIORS),
    "both": (
        replace(TREATED, selection=Interval(0.8, 2.5, 0.95), error=Interval(0.9, 1.3, 0.95)),
        1500.0,
        PRIORS,
    ),
    "deaths": (DEATHS, 1500.0, PRIORS),
    "deaths, error": (replace(DEATHS, error=Interval(0.5, 1.2, 0.95)), 3000.0, PRIORS),
    "residents": (
        Benchmark("home", "survey", 30, 30, 30, Rate(x=20, n=60), sample=3000.0),
        2500.0,
        PRIORS,
    ),
    "figure": (
        Benchmark("told", "figure", 700, 700, 700, Rate(x=20, n=60),
                  interval=Interval(500, 980, 0.95)),
        2000.0,
        Priors(overconfidence=(1.0, 1.0, 0.95), between_experts=0.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BIASED)
def test_shares_of_biased_counts_are_those_of_brute_force(
    name: str, rng: np.random.Generator
) -> None:
    row, N, priors = BIASED[name]
    mine = draw_rate(row, np.full(DRAWS, N), priors, 100_000.0, rng)
    mean, sd = heavy(row, N, rng, 100_000.0)
    assert mine.mean() == pytest.approx(mean, abs=0.06 * sd)
    assert mine.std() == pytest.approx(sd, rel=0.05)


def test_surveys_behind_several_benchmarks_come_once(rng: np.random.Generator) -> None:
    one = replace(TREATED, survey="street")
    two = replace(TREATED, id="arrested", survey="street", value=300, least=300, most=300)
    home = Benchmark("home", "survey", 30, 30, 30, Rate(x=20, n=60), sample=3000.0)
    table = MultiplierTable.of(one, two, DEATHS, home, population=100_000)
    drawn = rng.integers(1000, 3000, 4000).astype(float)
    asked = next_surveys(table, drawn, PRIORS, rng)
    assert [one.about for one in asked] == ["treated, arrested", "deaths", "home", "home"]
    assert asked[0].what == "another survey of 200 people (street)"
    assert asked[-1].what == "another survey of 3,000 residents"
    assert asked[0].found.shape == (4000, 2)
    ratios = [width_after(drawn, one.found).ratio for one in asked]
    assert max(ratios) < 1.02
    assert ratios[0] < 0.97


def test_areas_take_the_shares_of_the_posterior(rng: np.random.Generator) -> None:
    table = MultiplierTable(
        (TREATED, replace(TREATED, stratum=1), replace(DEATHS, selection=Interval(1, 2, 0.9))),
        strata=(("east", ""), ("west", "")), population=np.array([np.nan, np.nan]),
    )  # fmt: skip
    share = expit(logit(0.2) + 0.3 * rng.normal(size=(4, 1000, 1))) * np.ones(2)
    size_drawn = np.round(400 / share)
    posterior = xr.Dataset(
        {"share": (("chain", "draw", "link"), share),
         "N": (("chain", "draw", "stratum"), size_drawn)},
        {"link": ["treated, east", "treated, west"]},
    )  # fmt: skip
    tree = xr.DataTree.from_dict({"posterior": posterior})
    estimate = SizeEstimate(tree, table, "multiplier-areas")
    (asked,) = next_surveys_of_areas(estimate, rng)
    assert asked.about == "treated"
    assert asked.found.mean() == pytest.approx(100 * share.mean(), rel=0.05)
    assert width_after(estimate.draws(), asked.found).ratio < 0.8


# --- trees -------------------------------------------------------------------------------------


def test_a_sample_of_a_tree_narrows_as_refits_do(rng: np.random.Generator) -> None:
    """One branch is a benchmark with a uniform share: the same as the family multiplier."""
    tree = Tree((Branch("users", "treated", 40, 200, 2.0, count=400),), "users")
    drawn, (asked,) = next_samples(tree, SizePrior(), DRAWS, rng)
    table = MultiplierTable.of(TREATED)
    before = size(table, PRIORS)
    assert np.median(drawn) == pytest.approx(before.quantile(0.5)[0], rel=0.02)
    numbers, times = np.unique(asked.found, return_counts=True)
    widths = []
    for x in numbers:
        rate = Rate(x=40 + 2 * x, n=400, design_effect=2.0)
        after = size(MultiplierTable.of(replace(TREATED, rate=rate)), PRIORS)
        widths.append(float(np.ptp(np.log(after.quantile(ENDS)))))
    truth = np.average(widths, weights=times) / np.ptp(np.log(before.quantile(ENDS)))
    near(width_after(drawn, asked.found), float(truth), slack=0.015)
    with pytest.raises(ValueError, match="below 'users' was counted"):
        next_samples(Tree((Branch("users", "treated", 4, 9),), "users"), SizePrior(), 9, rng)


def test_samples_that_divide_a_node_together_are_one(rng: np.random.Generator) -> None:
    tree = Tree(
        (
            Branch("users", "treated", 40, 200, 1.0, "s", 400),
            Branch("users", "arrested", 30, 200, 1.0, "s", 310),
            Branch("users", "others", 130, 200, 1.0, "s"),
        ),
        "users",
    )
    _, asked = next_samples(tree, SizePrior(), 2000, rng)
    assert len(asked) == 1
    assert asked[0].found.shape == (2000, 3)
    assert asked[0].what == "another sample of 200 members of 'users'"


# --- synthesis ---------------------------------------------------------------------------------


def made(data: SynthesisData, log_size: np.ndarray) -> Estimate:
    """A posterior in which every row reports N and sources have biases of 1 or 1.3 at random."""
    rng = np.random.default_rng(5)
    draws, names = len(log_size), data.biases.names
    bias = np.exp(0.3 * rng.normal(size=(draws, len(names))))
    users = np.exp(log_size)[:, None] * np.ones(len(data.ids))
    shares = data.targets["of"].to_numpy() != ""
    users[:, shares] *= 1e-5
    shape = {
        "users": (("area", "union"), np.exp(log_size)[:, None, None]
                  * np.ones((len(data.areas.names), len(data.groups)))),
        "without_bias": (("evidence",), users),
        "bias": (("source",), bias),
        "share": (("proportion",), np.full((draws, len(data.rates.shares)), 0.4)),
        "factor": (("multiplier",), np.full((draws, len(data.rates.factors)), 0.1)),
        "overdispersion": ((), np.full(draws, 0.1)),
    }  # fmt: skip
    found = {name: (("chain", "draw", *dims), x.reshape(4, -1, *x.shape[1:]))
             for name, (dims, x) in shape.items()}  # fmt: skip
    labels = {"evidence": data.ids, "source": names, "area": data.areas.names,
              "union": data.groups, "proportion": data.rates.shares,
              "multiplier": data.rates.factors}  # fmt: skip
    tree = xr.DataTree.from_dict({
        "posterior": xr.Dataset(found, {key: list(x) for key, x in labels.items()})
    })  # fmt: skip
    report = Report(data.areas.names[:1], data.groups[:1], data.groups[0], (), (), (), (), ())
    study = Study("made", "", "", "synthesis", data, {}, Sampling(), report, (), Path(), {})
    return Estimate(tree, study, "synthesis")


def test_every_number_in_use_comes_once_more(
    example: SynthesisData, rng: np.random.Generator
) -> None:
    estimate = made(example, np.log(3000) + 0.4 * rng.normal(size=4000))
    asked = {one.about: one for one in next_evidence(estimate, "Land", "any", rng)}
    used = [name for name, counts in zip(example.ids, example.counted, strict=True) if counts]
    assert len(asked) == len(used) - 2 + 1  # without two bounds, with a linked study
    assert asked["survey"].what == "another survey of 6,000 people, with the same bias"
    assert "without bias" in asked["level"].what
    frame = next_data(estimate)
    assert list(frame.columns) == list(COLUMNS)
    assert (frame["narrower"].diff().dropna() <= 0).all()
    # 8,000 to 11,000 at a design effect of 3 around 9,000, against an sd of 0.4.
    mean = np.log(11 / 8) / (2 * 1.96)
    below, above = (np.sqrt((np.log(x) / 1.96) ** 2 + 2 * mean**2) for x in (9 / 8, 11 / 9))
    error = np.sqrt((below**3 + above**3) / (below + above) - (above - below) ** 2 * 2 / np.pi)
    truth = np.sqrt(1 / (1 + (0.4 / error) ** 2))
    row = frame[frame["about"] == "level"].iloc[0]
    assert row["width_ratio"] == pytest.approx(truth, abs=0.03)
    assert row["family"] == ""


def test_linked_lists_have_the_error_of_lincoln_petersen(rng: np.random.Generator) -> None:
    """Against two lists that are drawn person by person."""
    N, chance = 2000, 0.3
    one, two = (rng.binomial(N, chance, DRAWS) for _ in range(2))
    both = rng.hypergeometric(one, N - one, two)
    drawn = np.log(one * two / both)
    mine = linked_study(np.full(DRAWS, float(N)), rng)
    assert np.std(mine) == pytest.approx(np.std(drawn), rel=0.04)


# --- results -----------------------------------------------------------------------------------

LISTS = {"100": 60, "010": 49, "110": 14, "001": 70, "101": 12, "011": 16, "111": 7}


def study_of(table: OverlapTable, families: tuple[str, ...], headline: str) -> Any:  # noqa: ANN401
    """What `fit_families` needs of a study."""
    return SimpleNamespace(
        table=table, families=families, headline=headline, options={}, threshold=None,
        sampling=Sampling(), alternatives={}, title="",
    )  # fmt: skip


def test_an_average_is_asked_as_a_whole_and_by_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hiddenpop.checks.next_data.table.EXACT_DRAWS", 4000)
    table = OverlapTable.from_counts("abc", LISTS)
    steps: list[str] = []
    fits = fit_families(study_of(table, ("graphs", "loglinear-average"), "combined"))
    frame = next_data(fits, on_step=steps.append)
    assert steps == ["combined", "graphs", "loglinear-average"]
    assert list(frame["family"].unique()) == steps
    assert frame.groupby("family", sort=False).size().tolist() == [4, 4, 4]
    assert ((frame["narrower"] > 0) & (frame["narrower"] < 1)).all()
    assert (frame["low"] >= table.observed).all()
    pd.testing.assert_frame_equal(frame, next_data(fits))
    assert not next_data(fits, seed=2).equals(frame)
    said = next_data_sentences(frame)
    assert said[0].startswith("One more list, twice as long as those there are")
    assert "narrower: typically" in said[0]
    figure = figure_of(frame)
    assert len(figure.axes[0].patches) == 4
    assert figure.axes[0].patches[0].get_width() == pytest.approx(100 * frame["width_ratio"][0])


def test_lists_are_asked_for_in_the_words_of_the_table(rng: np.random.Generator) -> None:
    """Captures on one list, published totals, and a table of benchmarks, which has no list."""
    drawn = rng.integers(300, 900, 4000).astype(float)
    seen = RepeatTable(np.array([1, 2]), np.array([150.0, 50.0]), pd.DataFrame(index=range(2)))
    asked = _lists(seen, drawn, rng)
    half, same, dependent = (one.what for one in asked)
    start = "one more list, as long as the one there is (200 people), linked to it"
    assert half.startswith("one more list, half as long as the one there is (100 people)")
    assert same == f"{start} and independent of it"
    assert dependent == f"{start} but dependent on it, by an unknown odds ratio of 0.33 to 3"
    ratios = [width_after(drawn, one.found).ratio for one in asked]
    assert ratios[1] < ratios[0] < ratios[2] < 1
    assert len(_lists(SMALL, np.full(4000, 60.0), rng)) == 4
    assert _lists(MultiplierTable.of(TREATED), drawn, rng) == []


def test_a_table_that_was_read_back_says_the_same(tmp_path: Path) -> None:
    """Of a column without a text a file keeps nothing."""
    row = {"data": "one more list", "about": "", "width_ratio": 0.77, "mcse": 0.01,
           "narrower": 0.23, "low": 1800.0, "high": 3100.0, "now_low": 1507.0, "now_high": 3900.0,
           "level": 0.95, "family": ""}  # fmt: skip
    frame = pd.DataFrame([row])
    frame.to_csv(tmp_path / "kept.csv", index=False)
    kept = pd.read_csv(tmp_path / "kept.csv")
    assert next_data_sentences(kept) == next_data_sentences(frame)
    assert next_data_sentences(kept)[0].startswith("One more list would make")
    (axis,) = figure_of(kept).axes
    assert axis.get_yticklabels()[0].get_text() == "One more list"


def test_sentences_say_how_much_and_when_nothing_helps() -> None:
    row = {"data": "another survey of 200 people", "about": "treated", "width_ratio": 0.77,
           "mcse": 0.01, "narrower": 0.23, "low": 1800.0, "high": 3100.0, "now_low": 1507.0,
           "now_high": 3900.0, "level": 0.95, "family": "multiplier"}  # fmt: skip
    dull = row | {"data": "a poem", "narrower": 0.01}
    noisy = row | {"data": "a rumour", "narrower": 0.1, "mcse": 0.06}
    said = next_data_sentences(pd.DataFrame([row, noisy, dull]))
    assert said[0] == (
        "Another survey of 200 people (treated) would make the 95 % interval of N 23 % narrower: "
        "typically 1,800 to 3,100 in place of 1,510 to 3,900."
    )
    assert said[1] == "2 more kinds of data were looked at that would hardly make it narrower."
    assert "if the model is right" in said[2]
    assert next_data_sentences(pd.DataFrame([dull]))[0].startswith("None of the further data")
    assert next_data_sentences(pd.DataFrame(columns=list(COLUMNS))) == []
    with pytest.raises(ValueError, match="no further data"):
        figure_of(pd.DataFrame(columns=list(COLUMNS)))
