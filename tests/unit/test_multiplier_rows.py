"""Benchmarks written as rows of a synthesis: the same numbers, or a refusal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from hiddenpop.errors import InputError
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.families.synthesis import Priors, build_model
from hiddenpop.inputs.multiplier_rows import as_synthesis, synthesis_priors
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.inputs.synthesis import SynthesisData

__all__: list[str] = []

MakeLook = Callable[..., Any]

PRIOR = SizePrior.parse("lognormal:4000,12000")
SHARE = Rate(x=331, n=591)
LOOSE: dict[str, Any] = {"experts": "estimate", "independent": True}
PLAIN = Benchmark.counted("plain", 1981, SHARE, source="a register")
OTHER = Benchmark.counted("other", 870, Rate(x=144, n=603, design_effect=4))
FIGURE = Benchmark("figure", "figure", 3500, 3500, 3500, None, Interval(2500, 5500, 0.8))
DEATHS = Benchmark("deaths", "events", 24, 24, 24, Rate(quantiles=((0.025, 0.004), (0.975, 0.012))))
SPEND = Benchmark(
    "spend", "amount", 2e6, 2e6, 2e6, Rate(quantiles=((0.1, 300.0), (0.4, 500.0), (0.9, 900.0))),
    Interval(1.5e6, 2.6e6, 0.9),
)  # fmt: skip
HOUSEHOLD = Benchmark("household", "survey", 48, 37, 60, Rate(x=40, n=90), sample=24_197.0)


def made(*rows: Benchmark, population: float = 1.6e6, **more: Any) -> SynthesisData:  # noqa: ANN401
    return as_synthesis(MultiplierTable.of(*rows, population=population), PRIOR, **LOOSE | more)


def test_each_kind_becomes_a_row_of_its_kind() -> None:
    data = made(PLAIN, OTHER, DEATHS, SPEND, HOUSEHOLD, FIGURE)
    rows = data.evidence.rows
    kinds = ["benchmark", "benchmark", "count", "estimate", "proportion", "estimate"]
    assert rows["kind"].tolist() == kinds
    assert rows["value"].tolist()[:4] == [1981, 870, 24, 2e6]
    household = rows.loc["household"]
    assert household[["low", "high", "n", "of"]].tolist() == [37, 60, 24_197, "residents"]
    assert rows.loc["spend", ["low", "high", "level"]].tolist() == [1.5e6, 2.6e6, 0.9]
    assert rows.loc["plain", "citation"] == "a register"
    assert data.included.all()
    assert len(set(rows["source"])) == len(rows)
    assert made(FIGURE, experts="guess").evidence.rows.loc["figure", "kind"] == "guess"


def test_rates_are_those_of_the_table() -> None:
    data = made(PLAIN, OTHER, DEATHS, SPEND, HOUSEHOLD, FIGURE)
    rates = data.rates
    assert rates.shares == ("rate_of_plain", "rate_of_other", "rate_of_household")
    assert rates.alpha == pytest.approx([332, 37, 41])
    assert rates.beta == pytest.approx([261, 1 + 459 / 4, 51])
    assert rates.factors == ("rate_of_deaths", "rate_of_spend")
    log_rates = stats.norm(rates.mu[0], rates.sigma[0])
    assert np.exp(log_rates.ppf([0.025, 0.975])) == pytest.approx([0.004, 0.012])
    slope, mean = np.polyfit(stats.norm.ppf([0.1, 0.4, 0.9]), np.log([300, 500, 900]), 1)
    assert (rates.mu[1], rates.sigma[1]) == pytest.approx((mean, slope))
    assert (data.evidence.exponents.sum(axis=1) == [1, 1, 1, 1, 1, 0]).all()


@pytest.mark.parametrize(
    "quantiles",
    [
        ((0.025, 0.52), (0.975, 0.6)),
        ((0.1, 0.2), (0.5, 0.35)),
        ((0.1, 0.2), (0.5, 0.3), (0.9, 0.45)),
    ],
)
def test_no_beta_comes_nearer_to_the_quantiles_of_a_share(
    quantiles: tuple[tuple[float, float], ...],
) -> None:
    rates = made(replace(PLAIN, rate=Rate(quantiles=quantiles))).rates
    p, value = np.array(quantiles).T

    def misses(alpha: float, beta: float) -> np.ndarray:
        return np.asarray(special.logit(stats.beta.ppf(p, alpha, beta)) - special.logit(value))

    ends = np.array([rates.alpha[0], rates.beta[0]])
    least = misses(*ends)
    if len(p) == 2:
        assert least == pytest.approx(0, abs=1e-5)
    for change in ((1.02, 1), (0.98, 1), (1, 1.02), (1, 0.98), (1.02, 1.02), (0.98, 0.98)):
        assert (misses(*(ends * change)) ** 2).sum() > (least**2).sum()


def test_a_rate_from_events_and_person_years_keeps_mean_and_sd_of_its_logarithm() -> None:
    rates = made(replace(DEATHS, rate=Rate(x=39, n=5000, design_effect=2))).rates
    draws = np.log(np.random.default_rng(1).gamma(20.5, 1 / 2500, 200_000))
    assert rates.mu[0] == pytest.approx(draws.mean(), abs=0.003)
    assert rates.sigma[0] == pytest.approx(draws.std(), rel=0.01)


def test_corrections_become_the_bias_of_a_source_of_its_own(rng: np.random.Generator) -> None:
    row = replace(
        PLAIN,
        error=Interval(0.8, 1.5, 0.95),
        overcount=Interval(0.01, 0.08, 0.95),
        undercount=Interval(0.1, 0.4, 0.9),
    )
    biases = made(row, DEATHS).biases
    sure = made(replace(row, overcount=None, undercount=None)).biases
    assert np.exp(sure.mu[0] + sure.sigma[0] * stats.norm.ppf([0.025, 0.975])) == pytest.approx(
        [0.8, 1.5]
    )
    ends = [made(replace(PLAIN, rate=Rate(quantiles=pair))).rates
            for pair in (((0.025, 0.01), (0.975, 0.08)), ((0.05, 0.1), (0.95, 0.4)))]  # fmt: skip
    over, under = (rng.beta(one.alpha[0], one.beta[0], 100_000) for one in ends)
    error = rng.normal(sure.mu[0], sure.sigma[0], 100_000)
    draws = error + np.log(1 - under) - np.log(1 - over)
    assert biases.mu[0] == pytest.approx(draws.mean(), abs=4 * draws.std() / np.sqrt(100_000))
    assert biases.sigma[0] == pytest.approx(draws.std(), rel=0.01)
    assert (biases.mu[1], biases.sigma[1]) == (0, 0)


def test_selection_and_suppressed_counts_are_carried_over() -> None:
    row = replace(PLAIN, value=np.nan, least=5.0, most=9.0, selection=Interval(1, 2.5, 0.95))
    data = made(row)
    assert data.evidence.rows.loc["plain", ["low", "high"]].tolist() == [5, 9]
    assert np.isnan(data.evidence.rows.loc["plain", "value"])
    prior = data.rates.selection["rate_of_plain"]
    assert np.exp(prior.mu + prior.sigma * stats.norm.ppf([0.025, 0.975])) == pytest.approx(
        [1, 2.5]
    )


@pytest.mark.parametrize("population", [1.6e6, np.nan])
def test_the_prior_on_the_size_is_the_stated_one(look: MakeLook, population: float) -> None:
    data = made(PLAIN, population=population)
    seen = look(build_model(data, Priors(**synthesis_priors(data, PRIOR))))
    for p, size in ((0.1, 4000 / 3), (0.5, 4000), (0.9, 12_000)):
        found = seen.at({"level: top": stats.norm.ppf(p)})["N"][0, 0]
        assert found == pytest.approx(size, rel=0.004 if population < 1e9 else 1e-5)


def test_the_log_density_is_the_multipliers_own(look: MakeLook) -> None:
    """Up to the prior of N: binomial counts, a Poisson count, a normal figure."""
    data = made(PLAIN, DEATHS, FIGURE)
    seen = look(build_model(data, Priors(**synthesis_priors(data, PRIOR))))
    for z, p in ((0.0, 0.5), (0.4, 0.55)):
        found = seen.at({"level: top": z}, share={"rate_of_plain": p})
        N, rate = found["N"][0, 0], found["factor"][0]
        ways = special.gammaln(N + 1) - special.gammaln([1982, N - 1980]).sum()
        above = N > 3500
        sd = np.log(5500 / 3500 if above else 3500 / 2500) / stats.norm.ppf(0.9)
        mean_sd = np.log(5500 / 2500) / 2 / stats.norm.ppf(0.9)
        direct = [
            ways + 1981 * np.log(p) + (N - 1981) * np.log(1 - p),
            stats.poisson.logpmf(24, N * rate),
            stats.norm.logpdf(np.log(N / 3500) / sd) - np.log(mean_sd),
        ]
        assert found["pointwise"] == pytest.approx(direct, rel=1e-6)


def test_areas_that_share_a_survey_share_its_rate() -> None:
    rows = tuple(
        Benchmark.counted("treated", count, SHARE, survey="national", stratum=at)
        for at, count in enumerate((300.0, 500.0))
    )
    more = Benchmark.counted("arrested", 200, Rate(x=30, n=90), stratum=1)
    strata = (("North", "2010"), ("South", "2010"))
    table = MultiplierTable((*rows, more), (), strata, np.array([1e5, 2e5]))
    data = as_synthesis(table, PRIOR, independent=True)
    assert data.evidence.ids == ("treated, North", "treated, South", "arrested, South")
    assert data.rates.shares == ("rate_of_treated__North", "rate_of_arrested__South")
    assert data.evidence.exponents.tolist() == [[1, 0], [1, 0], [0, 1]]
    assert data.areas.names == ("North", "South")
    assert data.target.period == "2010"
    low, high, level = synthesis_priors(data, PRIOR)["prevalence"]
    assert (low * 3e5, high * 3e5, level) == pytest.approx((4000 / 3, 12_000, 0.8))


def test_rows_without_a_number_are_left_out() -> None:
    empty = replace(OTHER, value=np.nan, least=np.nan, most=np.nan)
    assert made(PLAIN, empty, independent=False).evidence.ids == ("plain",)


PAIR = Overlap("plain", "other", odds_ratio=Interval(1, 3, 0.95))

REFUSED: dict[str, tuple[MultiplierTable, dict[str, Any], str]] = {
    "a flat prior": (MultiplierTable.of(PLAIN), {"size_prior": SizePrior()}, "log-normal"),
    "no number": (MultiplierTable.of(), {}, "no benchmark"),
    "several periods": (
        MultiplierTable(
            (PLAIN,), (), (("A", "2009"), ("A", "2010")), np.array([1e5, 1e5])
        ), {}, "several periods",
    ),
    "areas without residents": (
        MultiplierTable((PLAIN,), (), (("A", ""), ("B", "")), np.array([1e5, np.nan])),
        {}, "residents of each",
    ),
    "figures": (MultiplierTable.of(FIGURE), {"experts": None}, "overconfidence"),
    "two counts of the same people": (
        MultiplierTable.of(PLAIN, OTHER), {"independent": False}, "independent=True"
    ),
    "an odds ratio": (MultiplierTable.of(PLAIN, OTHER, overlaps=(PAIR,)), {}, "the overlap of"),
    "linked people": (
        MultiplierTable.of(PLAIN, OTHER, overlaps=(Overlap("plain", "other", people=9),)),
        {}, "the overlap of",
    ),
    "one survey": (
        MultiplierTable.of(replace(PLAIN, survey="s"), replace(OTHER, survey="s")),
        {}, "share the respondents",
    ),
    "a range of events": (MultiplierTable.of(replace(DEATHS, most=30)), {}, "range of events"),
    "no error": (MultiplierTable.of(replace(SPEND, interval=None)), {}, "no error of its own"),
    "no share": (MultiplierTable.of(replace(PLAIN, rate=None)), {}, "no share or rate"),
    "a point": (
        MultiplierTable.of(replace(PLAIN, rate=Rate(quantiles=((0.5, 0.4),)))), {}, "single number"
    ),
    "a share of unknown residents": (MultiplierTable.of(HOUSEHOLD), {}, "share of residents"),
    "an over-counted figure": (
        MultiplierTable.of(replace(FIGURE, overcount=Interval(0.1, 0.2, 0.9))), {}, "correction"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_synthesis_cannot_say_is_refused(case: str) -> None:
    table, more, words = REFUSED[case]
    arguments = {"size_prior": PRIOR, **LOOSE, **more}
    with pytest.raises(ValueError, match=words):
        as_synthesis(table, **arguments)


def test_an_odds_ratio_of_one_is_no_overlap() -> None:
    pair = replace(PAIR, odds_ratio=Interval(1, 1, 0.95))
    data = as_synthesis(MultiplierTable.of(PLAIN, OTHER, overlaps=(pair,)), PRIOR, independent=True)
    assert data.evidence.ids == ("plain", "other")


def test_bad_rows_are_the_faults_of_a_study() -> None:
    with pytest.raises(InputError) as caught:
        made(replace(DEATHS, selection=Interval(1, 2.5, 0.95)), replace(PLAIN, value=1.5, least=1.5,
                                                                       most=1.5))  # fmt: skip
    assert {fault.code for fault in caught.value.faults} >= {"rate-selection-factor"}
    with pytest.raises(InputError) as caught:
        made(replace(PLAIN, value=1.5, least=1.5, most=1.5))
    assert {fault.code for fault in caught.value.faults} == {"evidence-fraction"}


def test_a_prior_that_reaches_the_residents_is_refused() -> None:
    with pytest.raises(ValueError, match="no less than"):
        synthesis_priors(made(PLAIN, population=10_000), PRIOR)
