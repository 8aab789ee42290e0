"""Benchmark multipliers: closed forms, every bias by brute force, conflict, notes, refusals."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats

from hiddenpop.errors import InputError
from hiddenpop.families.maths.benchmark_counts import BiasedShare, log_gamma_ratio
from hiddenpop.families.maths.benchmark_curve import Curve, Grid
from hiddenpop.families.maths.benchmark_rows import row_likelihood
from hiddenpop.families.multiplier import Priors, posterior, refusal, size
from hiddenpop.families.multiplier_report import plain
from hiddenpop.families.multiplier_sensitivity import selection_curve
from hiddenpop.families.multiplier_size import Evidence
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.inputs.settings import Sampling
from hiddenpop.priors import beta_from_interval, lognormal_from_interval
from hiddenpop.size import SizeEstimate, fit_table

__all__: list[str] = []

LEVELS = np.array([0.005, 0.025, 0.25, 0.5, 0.75, 0.975, 0.995])
TREATED = Rate(150, 600)
FACTOR = Interval(1 / 1.5, 1.5, 0.95)
ODDS = Interval(1.0, 2.25, 0.95)
MISSED = Interval(0.05, 0.2, 0.95)


def counted(
    people: float, rate: Rate | None = TREATED, name: str = "a", **more: object
) -> Benchmark:
    return replace(Benchmark(name, "people", people, people, people, rate), **more)


def events(number: float, rate: Rate, name: str = "e", **more: object) -> Benchmark:
    return replace(Benchmark(name, "events", number, number, number, rate), **more)


def amount(value: float, rate: Rate, name: str = "m", **more: object) -> Benchmark:
    return replace(Benchmark(name, "amount", value, value, value, rate), **more)


def figure(value: float, interval: Interval | None, name: str = "f", **more: object) -> Benchmark:
    return replace(Benchmark(name, "figure", value, value, value, interval=interval), **more)


def survey(least: float, most: float, sample: float, name: str = "s", **more: object) -> Benchmark:
    middle = (least + most) / 2
    return replace(Benchmark(name, "survey", middle, least, most, sample=sample), **more)


def quantiles(low: float, high: float, level: float = 0.95) -> Rate:
    return Rate(quantiles=(((1 - level) / 2, low), ((1 + level) / 2, high)))


def fit(*rows: Benchmark, population: float = np.nan, **options: object) -> SizeEstimate:
    table = MultiplierTable.of(*rows, population=population)
    return fit_table(table, "multiplier", options=options)


def cumulative(found: SizeEstimate, people: np.ndarray) -> np.ndarray:
    """P(N <= people) from the computed distribution."""
    exact = found.distribution
    assert exact is not None
    place = np.searchsorted(exact.unseen, people - found.observed, side="right")
    return np.concatenate([[0.0], np.cumsum(exact.probability)])[place]


# Closed forms

CASES = [(1981, 144, 603, 1.0), (3, 1, 10, 1.0), (160_000, 60, 600, 1.0), (12, 3, 3, 1.0),
         (500, 0, 40, 1.0), (160_000, 60, 600, 4.0), (7, 50, 400, 2.5), (1, 0, 1, 1.0)]  # fmt: skip


@pytest.mark.parametrize(("people", "x", "n", "effect"), CASES)
def test_one_survey_is_beta_negative_binomial(
    people: int, x: float, n: float, effect: float
) -> None:
    # N - B | p ~ NegBin(B, p), so P(N - B <= u | p) = I_p(B, u + 1), averaged over the Beta.
    row = counted(people, Rate(x, n, effect))
    found = size(MultiplierTable.of(row), Priors())
    unseen = found.quantile(LEVELS) - people
    a, b = 1 + x / effect, 1 + (n - x) / effect
    logit = np.linspace(-25, 25, 25_001)
    log_weight = a * special.log_expit(logit) + b * special.log_expit(-logit)
    weight = np.exp(log_weight - special.logsumexp(log_weight))
    # The smaller of p and 1 - p, so that neither is rounded.
    wanted = np.array([
        weight @ np.where(logit < 0, special.betainc(people, u + 1, special.expit(logit)),
                          special.betaincc(u + 1, people, special.expit(-logit)))
        for u in unseen
    ])  # fmt: skip
    reached = found.sums.below(unseen + 1)[0] / found.sums.total[0]
    np.testing.assert_allclose(reached, wanted, atol=1e-6)
    # The quantiles are the first numbers that reach their level.
    before = found.sums.below(unseen)[0] / found.sums.total[0]
    assert (reached >= LEVELS - 1e-9).all()
    assert (before < LEVELS).all()


@pytest.mark.parametrize(("people", "x", "n"), [(1981, 144, 603), (3, 1, 10), (12, 3, 3)])
def test_the_reported_distribution_is_that_of_scipy(people: int, x: float, n: float) -> None:
    found = fit(counted(people, Rate(x, n)))
    assert found.distribution is not None
    assert found.observed == people
    law = stats.betanbinom(people, 1 + x, 1 + n - x)
    ends = found.distribution.quantile(LEVELS)
    np.testing.assert_array_equal(ends, law.ppf(LEVELS))
    np.testing.assert_allclose(cumulative(found, people + ends), law.cdf(ends), atol=1e-6)


@pytest.mark.parametrize("text", ["uniform:20000", "lognormal:5000,9000", "gamma:13.14,55.17"])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 2.0)])
def test_other_priors_against_a_sum_over_every_number(text: str, a: float, b: float) -> None:
    prior = SizePrior.parse(text)
    people = np.arange(700, 200_000.0)
    log_mass = prior.log_density(people) + stats.betabinom(people, 40 + a, 160 + b).logpmf(700)
    share = np.exp(log_mass - log_mass.max())
    share = np.cumsum(share / share.sum())
    found = fit(counted(700, Rate(40, 200)), size_prior=prior, share_a=a, share_b=b)
    ends = people[np.searchsorted(share, LEVELS)]
    np.testing.assert_allclose(cumulative(found, ends), share[ends.astype(int) - 700], atol=1e-6)


def test_the_mean_is_infinite_and_a_note_says_so() -> None:
    # P(N > n) falls as n to the power -(1 + x): with x = 0 there is no mean.
    none = fit(counted(500, Rate(0, 40)))
    assert any("its mean is infinite" in note for note in none.notes)
    assert none.verdict.passed
    assert not any("infinite" in note for note in fit(counted(500, Rate(3, 40))).notes)


def test_a_range_is_summed_over() -> None:
    people = np.arange(1, 400_000.0)
    mass = sum(stats.betabinom(people, 13, 29).pmf(k) for k in range(5)) / people
    share = np.cumsum(mass / mass.sum())
    found = fit(replace(counted(2, Rate(12, 40)), least=0, most=4))
    assert found.observed == 0
    ends = people[np.searchsorted(share, LEVELS)]
    np.testing.assert_allclose(cumulative(found, ends), share[ends.astype(int) - 1], atol=2e-6)


def test_a_long_range_is_summed_in_pieces() -> None:
    row = replace(counted(3000, Rate(12, 40)), least=1000, most=5000)
    N = np.array([5000.0, 9000, 20_000, 2000])
    numbers = np.arange(1000, 5001)[:, None]
    wanted = np.log(stats.betabinom(N, 13, 29).pmf(numbers).sum(axis=0))
    found = row_likelihood(row, np.nan, 1, 1).log_likelihood(N)
    np.testing.assert_allclose(found[:3] - found[0], wanted[:3] - wanted[0], atol=1e-4)
    # Where the size itself lies in the range a piece is cut in two.
    assert found[3] - found[0] == pytest.approx(wanted[3] - wanted[0], abs=2e-3)


# Each bias and each kind by brute force


def grid(low: float, high: float, nodes: int = 4001) -> tuple[np.ndarray, float]:
    at = np.linspace(low, high, nodes)
    return at, at[1] - at[0]


def beta_binomial(N: float, C: np.ndarray, a: float, b: float) -> np.ndarray:
    """With gamma functions; 0 where C > N + 1/2."""
    left = np.maximum(N - C, -0.5)
    log = special.gammaln(N + 1) - special.gammaln(C + 1) - special.gammaln(left + 1)
    log += special.betaln(C + a, left + b) - special.betaln(a, b)
    return np.where(N + 0.5 >= C, np.exp(log), 0.0)


def by_error(N: float) -> float:
    mean, sd = lognormal_from_interval(*FACTOR)
    rho, step = grid(mean - 9 * sd, mean + 9 * sd)
    density = stats.norm.pdf(rho, mean, sd)
    return float(density * np.exp(-rho) @ beta_binomial(N, 2000 * np.exp(-rho), 151, 451) * step)


def by_undercount(N: float) -> float:
    u = (np.arange(40_000) + 0.5) / 40_000
    density = stats.beta(*beta_from_interval(*MISSED)).pdf(u)
    return float(density / (1 - u) @ beta_binomial(N, 2000 / (1 - u), 151, 451))


def by_overcount(N: float) -> float:
    u = (np.arange(40_000) + 0.5) / 40_000
    density = stats.beta(*beta_from_interval(*MISSED)).pdf(u)
    return float(density * (1 - u) @ beta_binomial(N, 2000 * (1 - u), 151, 451))


def by_both_counts(N: float) -> float:
    u = (np.arange(750) + 0.5) / 1500
    density = stats.beta(*beta_from_interval(*MISSED)).pdf(u)
    ratio = (1 - u[:, None]) / (1 - u)
    return float(density @ (beta_binomial(N, 2000 / ratio, 151, 451) / ratio) @ density)


def over_odds(N: float, of_binomial: Callable[[np.ndarray], np.ndarray]) -> float:
    """Average over p_s ~ Beta(151, 451) and the odds ratio of a function of p."""
    mean, sd = lognormal_from_interval(*ODDS)
    log_odds, _ = grid(mean - 7 * sd, mean + 7 * sd, 121)
    logit, _ = grid(-2.0, -0.3, 601)
    density = 151 * special.log_expit(logit) + 451 * special.log_expit(-logit)
    weight = np.exp(density - density.max())
    p = special.expit(logit[:, None] - log_odds)
    return float(weight @ of_binomial(p) @ stats.norm.pdf(log_odds, mean, sd))


def by_selection(N: float) -> float:
    return over_odds(N, lambda p: stats.binom.pmf(2000, N, p)) if N >= 2000 else 0.0


def by_selection_and_error(N: float) -> float:
    mean, sd = lognormal_from_interval(*FACTOR)
    rho, _ = grid(mean - 6 * sd, mean + 6 * sd, 81)
    C = 2000 * np.exp(-rho)
    weight = stats.norm.pdf(rho, mean, sd) * np.exp(-rho)
    log_ways = special.gammaln(N + 1) - special.gammaln(C + 1)
    log_ways -= special.gammaln(np.maximum(N - C, -0.5) + 1)
    weight = np.where(N + 0.5 >= C, weight, 0.0)

    def mixed(p: np.ndarray) -> np.ndarray:
        total = np.zeros_like(p)
        for one, ways, share in zip(C, log_ways, weight, strict=True):
            if share > 0:
                total += share * np.exp(ways + one * np.log(p) + (N - one) * np.log1p(-p))
        return total

    return over_odds(N, mixed)


def by_events(N: float) -> float:
    mean, sd = lognormal_from_interval(0.005, 0.02, 0.95)
    log_rate, _ = grid(mean - 9 * sd, mean + 9 * sd)
    return float(stats.poisson.pmf(40, N * np.exp(log_rate)) @ stats.norm.pdf(log_rate, mean, sd))


def by_events_in_a_range(N: float) -> float:
    mean, sd = lognormal_from_interval(0.005, 0.02, 0.95)
    log_rate, _ = grid(mean - 9 * sd, mean + 9 * sd)
    mu = N * np.exp(log_rate)
    share = stats.poisson.cdf(50, mu) - stats.poisson.cdf(29, mu)
    return float(share @ stats.norm.pdf(log_rate, mean, sd))


def by_counted_events(N: float) -> float:
    # 12 events in 1,000 years with a design effect of 2: a gamma rate; 40 events with an error.
    rate = (np.arange(6000) + 0.5) / 6000 * 0.12
    density = stats.gamma.pdf(rate, 7, scale=1 / 500)
    mean, sd = lognormal_from_interval(*FACTOR)
    rho, _ = grid(mean - 8 * sd, mean + 8 * sd, 201)
    share = stats.poisson.pmf(40, N * rate[:, None] * np.exp(rho))
    return float(density @ share @ stats.norm.pdf(rho, mean, sd))


def by_amount(N: float) -> float:
    mean, sd = lognormal_from_interval(800, 1500, 0.8)
    own = np.log(13 / 8) / 2 / stats.norm.ppf(0.95)
    centre = np.log(8e6 * 13e6) / 2
    return float(stats.norm.pdf(centre, np.log(N) + mean, np.hypot(sd, own)))


def by_amount_with_undercount(N: float) -> float:
    mean, sd = lognormal_from_interval(800, 1500, 0.8)
    u = (np.arange(20_000) + 0.5) / 20_000
    density = stats.beta(*beta_from_interval(*MISSED)).pdf(u)
    return float(density @ stats.norm.pdf(np.log(1e7), np.log(N * (1 - u)) + mean, sd))


def by_amount_with_gamma_rate(N: float) -> float:
    return float(stats.gamma.pdf(1e6 / N, 50, scale=1 / 368) * 1e6 / N)


def by_survey(N: float) -> float:
    # 37 to 60 of 24,197, design effect 2; the survey finds 20 to 50 % of the target.
    found = (np.arange(4000) + 0.5) / 4000
    density = stats.beta(*beta_from_interval(0.2, 0.5, 0.95)).pdf(found)
    x, n = np.arange(37, 61)[:, None] / 2, 24_197 / 2
    p = N * found / 500_000
    log = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    return float(np.exp(log + x * np.log(p) + (n - x) * np.log1p(-p)).sum(axis=0) @ density)


BRUTE: dict[str, tuple[Benchmark, Callable[[float], float], list[float]]] = {
    "error": (counted(2000, error=FACTOR), by_error, [3000, 6000, 8000, 11000, 20000]),
    "undercount": (counted(2000, undercount=MISSED), by_undercount, [6500, 9000, 13000]),
    "overcount": (counted(2000, overcount=MISSED), by_overcount, [5000, 7000, 11000]),
    "both counts": (
        counted(2000, undercount=MISSED, overcount=MISSED), by_both_counts, [5500, 8000, 11500],
    ),
    "selection": (counted(2000, selection=ODDS), by_selection, [6000, 8000, 11000, 25000]),
    "selection and error": (
        counted(2000, selection=ODDS, error=FACTOR), by_selection_and_error, [5000, 11000, 24000],
    ),
    "events": (events(40, quantiles(0.005, 0.02)), by_events, [1500, 4000, 9000]),
    "events in a range": (
        replace(events(40, quantiles(0.005, 0.02)), least=30, most=50), by_events_in_a_range,
        [1500, 4000, 9000],
    ),
    "counted events": (
        events(40, Rate(12, 1000, 2.0), error=FACTOR), by_counted_events, [1200, 3000, 9000],
    ),
    "amount": (
        amount((8e6 * 13e6) ** 0.5, quantiles(800, 1500, 0.8), interval=Interval(8e6, 13e6, 0.9)),
        by_amount, [4000, 9000, 20000],
    ),
    "amount with undercount": (
        amount(1e7, quantiles(800, 1500, 0.8), undercount=MISSED), by_amount_with_undercount,
        [5000, 10000, 20000],
    ),
    "survey": (
        survey(37, 60, 24_197, sample_effect=2.0, rate=quantiles(0.2, 0.5)), by_survey,
        [1200, 3000, 7000],
    ),
}  # fmt: skip


def test_an_amount_without_a_normal_part_is_smoothed_a_little() -> None:
    sizes = [5.6e6, 7.5e6, 9.6e6]
    wanted = np.log([by_amount_with_gamma_rate(N) for N in sizes])
    found = row_likelihood(amount(1e6, Rate(49, 368)), np.nan, 1, 1).log_likelihood(np.array(sizes))
    np.testing.assert_allclose(found - found[0], wanted - wanted[0], atol=5e-3)


@pytest.mark.parametrize("name", BRUTE)
def test_likelihood_by_brute_force(name: str) -> None:
    row, brute, sizes = BRUTE[name]
    wanted = np.log([brute(N) for N in sizes])
    exact = row_likelihood(row, 500_000, 1, 1)
    found = exact.log_likelihood(np.array(sizes, float))
    np.testing.assert_allclose(found - found[0], wanted - wanted[0], atol=2e-6)
    # As a spline too.
    curve = Curve(exact.log_likelihood, Grid(exact.first, 5e5, exact.guess, exact.spread))
    np.testing.assert_allclose(curve(np.array(sizes)), found, atol=1e-6)
    assert curve.points < 400


@pytest.mark.parametrize("people", [3.0, 160_000.0])
def test_an_odds_ratio_of_one_is_no_selection(people: float) -> None:
    rate = Rate(2, 10) if people < 10 else Rate(60, 600)
    plainly = fit(counted(people, rate))
    fixed = fit(counted(people, rate, selection=Interval(1.0, 1.0, 0.95)))
    ends = np.quantile(plainly.draws(), [0.03, 0.2, 0.5, 0.8, 0.97])
    ends = np.unique(np.floor(ends))
    np.testing.assert_allclose(cumulative(fixed, ends), cumulative(plainly, ends), atol=1e-6)


def test_a_known_odds_ratio_divides_the_odds() -> None:
    share = BiasedShare.of(151, 451, np.log(1.5), 0.0)
    at = np.linspace(-1.9, -1.1, 7)
    wanted = stats.beta(151, 451).logpdf(special.expit(at + np.log(1.5)))
    wanted += special.log_expit(at + np.log(1.5)) + special.log_expit(-at - np.log(1.5))
    np.testing.assert_allclose(share.log_density(at), wanted, atol=1e-5)


def test_a_known_factor_divides_the_count() -> None:
    # Half of those in treatment are missing from the register: as many as a count of 4,000.
    half = fit(counted(2000, undercount=Interval(0.5, 0.5, 0.95))).N()
    whole = fit(counted(4000)).N()
    assert half.median == pytest.approx(whole.median, rel=1e-3)
    assert half.high == pytest.approx(whole.high, rel=1e-3)
    wrong = fit(counted(2000, error=Interval(0.5, 0.5, 0.95))).N()
    assert wrong.median == pytest.approx(half.median, abs=1)


def test_nobody_reported_is_nobody_counted() -> None:
    # Whatever the factor; the share was found to be 150 of 600, so there are few people.
    plainly, biased = (fit(counted(0, **more)) for more in ({}, {"error": FACTOR}))
    assert plainly.N().median == biased.N().median
    assert plainly.N().high == biased.N().high < 20


# Figures


def test_figures_by_brute_force() -> None:
    # Two figures, symmetric on the log scale: over a dense grid of tau and c.
    rows = (figure(375, Interval(300, 375**2 / 300, 0.8)),
            figure(900, Interval(600, 1350, 0.5), "g", error=FACTOR))  # fmt: skip
    sds = [np.log(375 / 300) / stats.norm.ppf(0.9), np.log(1.5) / stats.norm.ppf(0.75)]
    mean, sd = lognormal_from_interval(1.0, 4.0, 0.95)
    tau = (np.arange(3000) + 0.5) / 3000 * 4
    log_c, _ = grid(mean - 7 * sd, mean + 7 * sd, 201)
    weight = np.outer(stats.norm.pdf(tau, scale=0.5), stats.norm.pdf(log_c, mean, sd))
    extra = [0.0, lognormal_from_interval(*FACTOR)[1]]
    sizes = np.array([200.0, 400, 600, 1000, 3000])
    wanted = []
    for N in sizes:
        density = weight.copy()
        for row, own, more in zip(rows, sds, extra, strict=True):
            wide = np.sqrt(tau[:, None] ** 2 + (np.exp(log_c) * own) ** 2 + more**2)
            density *= stats.norm.pdf(np.log(row.value), np.log(N), wide)
        wanted.append(np.log(density.sum()))
    (part,) = Evidence(MultiplierTable.of(*rows), Priors()).parts(["f", "g"])
    found = part.log_likelihood(sizes)
    np.testing.assert_allclose(found - found[0], np.array(wanted) - wanted[0], atol=2e-4)


def test_overconfidence_and_disagreement_widen_figures() -> None:
    rows = [figure(v, Interval(v / 1.1, v * 1.1, 0.8), n) for v, n in ((400, "f"), (420, "g"))]
    sure = fit(*rows, overconfidence=(1.0, 1.0, 0.95), between_experts=0.0).N()
    default = fit(*rows).N()
    third = fit(*rows, figure(1200, Interval(1100, 1300, 0.8), "h")).N()
    own = np.log(1.1) / stats.norm.ppf(0.9) / np.sqrt(2)
    middle = np.sqrt(400 * 420)
    assert sure.low == pytest.approx(middle * np.exp(-1.96 * own), rel=5e-3)
    assert default.high / default.low > 2 * sure.high / sure.low
    assert third.high > default.high


def test_a_figure_at_an_end_of_its_interval_is_skew() -> None:
    found = fit(figure(350, Interval(350, 500, 0.8)), between_experts=0.0).N()
    assert found.median / found.low < found.high / found.median


# Several rows


def test_rows_multiply() -> None:
    rows = (counted(2000), events(80, Rate(40, 4000)), survey(40, 40, 2000))
    people = np.arange(2000, 60_000.0)
    log_mass = -np.log(people) + stats.betabinom(people, 151, 451).logpmf(2000)
    # Poisson with a gamma rate is negative binomial.
    log_mass += stats.nbinom(41, 4000 / (4000 + people)).logpmf(80)
    log_mass += stats.binom(2000, people / 100_000).logpmf(40)
    share = np.exp(log_mass - log_mass.max())
    share = np.cumsum(share / share.sum())
    found = fit(*rows, population=100_000)
    ends = people[np.searchsorted(share, LEVELS)]
    np.testing.assert_allclose(cumulative(found, ends), share[ends.astype(int) - 2000], atol=1e-6)


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [counted(2000, error=FACTOR), events(80, Rate(40, 4000)), figure(9000, ODDS._replace(
        low=7000.0, high=12_000.0))]  # fmt: skip
    one, two = fit(*rows), fit(*rows[::-1])
    np.testing.assert_array_equal(one.draws(), two.draws())
    assert one.benchmarks is not None
    assert two.benchmarks is not None
    assert one.benchmarks["benchmark"].tolist() == ["a", "e", "f"]
    assert two.benchmarks["benchmark"].tolist() == ["f", "e", "a"]
    for name in ("alone", "without", "conflict"):
        np.testing.assert_array_equal(one.benchmarks[name], two.benchmarks[name][::-1])


def test_alone_and_without_are_fits_of_those_rows() -> None:
    rows = (counted(2000, error=FACTOR), counted(1000, Rate(60, 600), "b"),
            events(80, Rate(40, 4000)))  # fmt: skip
    table = MultiplierTable.of(*rows)
    frame = fit_table(table, "multiplier").benchmarks
    assert frame is not None
    for _, row in frame.iterrows():
        for part, column in ((table.only, "alone"), (table.without, "without")):
            wanted = fit_table(part(row["benchmark"]), "multiplier").N()
            found = (row[column], row[f"{column}_low"], row[f"{column}_high"])
            assert found == (wanted.median, wanted.low, wanted.high)


def test_conflict_is_that_of_independent_draws() -> None:
    rows = (counted(2000), events(80, Rate(40, 4000)))
    found = fit(*rows)
    frame = found.benchmarks
    assert frame is not None
    one, two = (fit(row).draws() for row in rows)
    rng = np.random.default_rng(1)
    two = rng.permutation(two)
    less = np.mean((one < two) + (one == two) / 2)
    wanted = 2 * min(less, 1 - less)
    assert frame["conflict"].tolist() == pytest.approx([wanted, wanted], abs=0.05)
    assert not any("contradicts" in note for note in found.notes)


def test_a_contradiction_is_told() -> None:
    rows = (counted(2000), events(80, Rate(40, 4000)), figure(90_000, Interval(85e3, 95e3, 0.9)))
    found = fit(*rows, between_experts=0.1)
    said = [note for note in found.notes if "contradicts the others" in note]
    assert len(said) == 1
    assert said[0].startswith("'f' contradicts the others: alone it gives 89,")


def test_one_row_has_nothing_to_conflict_with() -> None:
    found = fit(counted(2000))
    frame = found.benchmarks
    assert frame is not None
    assert frame["alone"].tolist() == [found.N().median]
    assert frame[["without", "without_low", "conflict"]].isna().all(axis=None)


def test_independent_counts_of_people_multiply() -> None:
    # With an odds ratio of 1 for certain two counts with surveys of their own are independent.
    rows = (counted(2000), counted(1000, Rate(60, 600), "b"))
    people = np.arange(2000, 100_000.0)
    log_mass = -np.log(people) + stats.betabinom(people, 151, 451).logpmf(2000)
    log_mass += stats.betabinom(people, 61, 541).logpmf(1000)
    share = np.cumsum(np.exp(log_mass - log_mass.max()))
    share /= share[-1]
    found = fit(*rows, odds_ratio=(1.0, 1.0, 0.95))
    ends = people[np.searchsorted(share, LEVELS)]
    np.testing.assert_allclose(cumulative(found, ends), share[ends.astype(int) - 2000], atol=1e-3)
    assert any("may hold the same people" in note for note in found.notes)


def test_people_in_both_counts_are_used() -> None:
    rows = (counted(2000), counted(1000, Rate(60, 600), "b"))
    overlap = Overlap("a", "b", people=500)
    table = MultiplierTable.of(*rows, overlaps=(overlap,))
    found = fit_table(table, "multiplier")
    assert any("counted for a and b" in note for note in found.notes)
    assert found.N().median != fit(*rows).N().median


def test_residents_are_the_most_there_can_be() -> None:
    free, held = fit(counted(500, Rate(3, 40))), fit(counted(500, Rate(3, 40)), population=4000)
    assert free.N().high > 4000
    assert held.draws().max() <= 4000
    assert any("at most the 4,000 residents" in note for note in held.notes)
    # The same distribution, cut off.
    tables = [MultiplierTable.of(counted(500, Rate(3, 40)), population=p) for p in (np.nan, 4000)]
    open_, cut = (size(table, Priors()).sums for table in tables)
    below = open_.below(np.array([1501.0, 3501]))[0]
    reached = cut.below(np.array([1501.0]))[0] / cut.total[0]
    np.testing.assert_allclose(reached, below[0] / below[1], atol=1e-6)


def test_a_count_without_a_share_only_bounds() -> None:
    bare = counted(6000, None, "b")
    found = fit(counted(2000), bare, odds_ratio=(1.0, 1.0, 0.95))
    assert found.observed == 6000
    assert found.draws().min() >= 6000
    assert any("'b' has no survey of its share" in note for note in found.notes)


def test_rows_without_a_number_are_left_out_and_named() -> None:
    empty = counted(np.nan, name="b")
    found = fit(counted(2000), empty)
    assert found.N() == fit(counted(2000)).N()
    assert any("left out: 'b'" in note for note in found.notes)


# What is reported


def test_the_plain_method() -> None:
    assert plain(counted(1981, Rate(quantiles=((0.025, 0.52), (0.5, 0.55), (0.975, 0.6)))))[1:] == (
        pytest.approx(1981 / 0.6), pytest.approx(1981 / 0.52),
    )  # fmt: skip
    middle, low, high = plain(counted(1385, Rate(144, 603, 4.0)))
    half = 1.959964 * np.sqrt(4 * 144 / 603 * 459 / 603 / 603)
    assert middle == pytest.approx(1385 * 603 / 144)
    assert (low, high) == pytest.approx((1385 / (144 / 603 + half), 1385 / (144 / 603 - half)))
    assert plain(counted(1385, Rate(0, 603)))[0] != plain(counted(1385, Rate(0, 603)))[0]
    assert plain(events(40, quantiles(0.01, 0.04)))[0] == pytest.approx(2000)
    assert plain(events(40, Rate(16, 800))) == pytest.approx(
        (2000, 2000 * np.exp(-0.489991), 2000 * np.exp(0.489991)), rel=1e-6
    )
    assert plain(survey(40, 40, 2000), 100_000)[0] == 2000
    assert plain(figure(375, Interval(350, 400, 0.8), rate=quantiles(0.4, 0.6)))[0] == 750


def test_both_priors_and_design_effects_are_stated() -> None:
    notes = fit(counted(2000)).notes
    assert notes[0] == (
        "Prior on the size N: 1/N, flat on the logarithm of N. Prior on a share before its "
        "survey: uniform."
    )
    assert any("taken as a simple random sample" in note for note in notes)
    stated = fit(counted(2000, Rate(150, 600, 4.0, stated_effect=True)), share_a=0.5).notes
    assert "Beta(0.5, 1)" in stated[0]
    assert any("design effect of 4: its 600 count as 150" in note for note in stated)
    sure = fit(counted(2000, Rate(150, 600, 1.0, stated_effect=True))).notes
    assert not any("simple random sample." in note and "No design" in note for note in sure)


@pytest.mark.parametrize(
    ("text", "words"),
    [("uniform:9000", "uniform up to 9,000"), ("gamma:2,5000", "shape 2 and scale 5000"),
     ("lognormal:5000,9000", "median 5,000 and 90th percentile 9,000")],
)  # fmt: skip
def test_other_priors_on_the_size_are_stated(text: str, words: str) -> None:
    assert words in fit(counted(2000), size_prior=SizePrior.parse(text)).notes[0]


def test_quantiles_that_no_beta_has_are_told() -> None:
    skew = Rate(quantiles=((0.025, 0.52), (0.5, 0.55), (0.975, 0.6)))
    said = [note for note in fit(counted(1981, skew)).notes if "No Beta share" in note]
    assert len(said) == 1
    assert "(0.52, 0.55, 0.6)" in said[0]
    rate = Rate(quantiles=((0.1, 800.0), (0.5, 850.0), (0.9, 1500.0)))
    assert any("No log-normal rate" in note for note in fit(amount(1e6, rate)).notes)
    assert not any("No Beta" in note for note in fit(counted(1981, quantiles(0.5, 0.6))).notes)


def test_biases_are_stated() -> None:
    row = counted(2000, selection=ODDS, undercount=MISSED, overcount=MISSED, error=FACTOR)
    notes = " ".join(fit(row).notes)
    for words in ("over-recruit", "Missing from 'a'", "twice", "reported / true"):
        assert words in notes


def test_more_doubt_is_a_wider_answer() -> None:
    def width(row: Benchmark) -> float:
        low, high = size(MultiplierTable.of(row), Priors()).quantile([0.025, 0.975])
        return float(high / low)

    least = width(counted(2000))
    assert width(counted(2000, Rate(150, 600, 4.0))) > 1.25 * least
    assert width(counted(2000, selection=ODDS)) > least
    assert width(counted(2000, error=FACTOR)) > 1.5 * least


def test_draws_are_of_the_seed() -> None:
    table, priors = MultiplierTable.of(counted(2000)), Priors()
    one, two, other = (posterior(table, priors, Sampling(seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one["posterior"]["N"], two["posterior"]["N"])
    assert not np.array_equal(one["posterior"]["N"], other["posterior"]["N"])
    assert one.attrs["tail"] < 1e-6
    assert one.attrs["grid_error"] < 1e-6


def test_what_cannot_be_tested_is_said() -> None:
    assert "at the time and place of its count" in fit(counted(2000)).assumption
    assert "rate" in fit(events(40, Rate(12, 1000))).assumption
    assert "err in either direction" in fit(figure(375, Interval(350, 400, 0.8))).assumption


# Numerics


def test_ratios_of_gamma_functions() -> None:
    for z, shift in ((0.5, 3.2), (19.0, 0.7), (25.0, -3.0), (4000.0, 250.5)):
        wanted = special.gammaln(z + shift) - special.gammaln(z)
        assert log_gamma_ratio(np.array([z]), shift)[0] == pytest.approx(wanted, abs=1e-11)
    # Where the difference of two logarithms has lost all digits: Gamma(z + 2) / Gamma(z).
    z = 1e13
    assert log_gamma_ratio(np.array([z]), 2.0)[0] == pytest.approx(np.log(z) + np.log(z + 1))


def test_a_biased_share_is_a_density() -> None:
    for alpha, beta, sigma in ((1.0, 600.0, 0.4), (3.0, 2.0, 1.5), (151.0, 451.0, 0.02)):
        share = BiasedShare.of(alpha, beta, 0.3, sigma)
        total = integrate.quad(lambda x, s=share: np.exp(s.log_density(x)), share.low, share.high,
                               limit=400, points=[share.mean])[0]  # fmt: skip
        assert total == pytest.approx(1, abs=1e-6)


# Refusals

ONE = counted(2000)
NO_RATE = replace(events(40, TREATED), rate=None)
MEDIAN = Rate(quantiles=((0.5, 0.4),))
SHORT = SizePrior.parse("uniform:1500")
REFUSED: list[tuple[str, MultiplierTable, dict[str, Any]]] = [
    ("multiplier-fit-strata",
     MultiplierTable((ONE, replace(ONE, stratum=1)), (), (("x", ""), ("y", "")),
                     np.array([np.nan, np.nan])), {}),
    ("multiplier-fit-no-count", MultiplierTable.of(counted(np.nan)), {}),
    ("multiplier-fit-no-share", MultiplierTable.of(counted(50, None)), {}),
    ("multiplier-fit-no-rate", MultiplierTable.of(ONE, NO_RATE), {}),
    ("multiplier-fit-bare-share", MultiplierTable.of(counted(50, MEDIAN)), {}),
    ("multiplier-fit-no-residents", MultiplierTable.of(survey(40, 40, 2000)), {}),
    ("multiplier-fit-sample", MultiplierTable.of(survey(40, 40, 30), population=1e5), {}),
    ("multiplier-fit-sure-figure", MultiplierTable.of(figure(375, None)), {"between_experts": 0.0}),
    ("multiplier-fit-not-positive", MultiplierTable.of(amount(0, quantiles(1, 2))), {}),
    ("multiplier-fit-residents", MultiplierTable.of(ONE, population=1500), {}),
    ("multiplier-fit-prior", MultiplierTable.of(ONE), {"size_prior": SHORT}),
    ("multiplier-fit-unbounded", MultiplierTable.of(counted(50, Rate(0, 40))), {"share_a": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "data", "options"), REFUSED, ids=[one[0] for one in REFUSED])
def test_refusals(code: str, data: MultiplierTable, options: dict[str, Any]) -> None:
    with pytest.raises(InputError) as raised:
        fit_table(data, "multiplier", options=options)
    assert [fault.code for fault in raised.value.faults] == [code]
    assert "{" not in str(raised.value)


def test_what_is_not_refused() -> None:
    priors = Priors(share_a=0.5)
    none = MultiplierTable.of(counted(50, Rate(0, 40)), population=5000)
    assert refusal(none, priors) is None
    over = counted(2000, overcount=MISSED)
    assert refusal(MultiplierTable.of(over, population=1900), Priors()) is None
    assert refusal(MultiplierTable.of(figure(375, None)), Priors()) is None


@pytest.mark.parametrize(
    "wrong",
    [{"share_a": 0.0}, {"share_b": -1.0}, {"odds_ratio": (2.0, 1.0, 0.95)},
     {"overconfidence": (1.0, 4.0, 1.0)}, {"between_experts": -0.1}],
)  # fmt: skip
def test_priors_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Priors(**wrong)


# Sensitivity


def test_n_along_the_odds_ratio_of_selection() -> None:
    table = MultiplierTable.of(counted(2000, selection=ODDS), events(300, quantiles(0.01, 0.2)))
    curve = selection_curve(table, [0.5, 1.0, 1.5, 2.0])
    assert list(curve) == ["odds_ratio", "N", "low", "high"]
    # The more the survey over-recruits, the smaller the true share and the larger N.
    assert curve["N"].is_monotonic_increasing
    one = MultiplierTable.of(counted(2000), table.rows[1])
    assert curve["N"][1] == pytest.approx(float(size(one, Priors()).quantile(0.5)[0]), abs=1)


def test_odds_ratios_that_are_none() -> None:
    with pytest.raises(ValueError, match="above 0"):
        selection_curve(MultiplierTable.of(counted(2000)), [0.0])
    with pytest.raises(ValueError, match="no row"):
        selection_curve(MultiplierTable.of(events(40, Rate(12, 1000))), [1.0])


def test_linked_counts_set_the_least_size() -> None:
    # 300 and 200 people of whom 20 are in both are 480 different people.
    rows = (counted(300, Rate(60, 100)), replace(counted(200, Rate(40, 100)), id="other"))
    pair = Overlap(rows[0].id, "other", people=20.0)
    size = fit_table(MultiplierTable.of(*rows, overlaps=(pair,)), "multiplier")
    assert size.N(0.999).low >= 480
    apart = fit_table(MultiplierTable.of(*rows), "multiplier")
    assert apart.N(0.999).low < 480
