"""A multiplier table has one posterior, whether `multiplier` computes it or a synthesis samples it.

The truth is summed over a grid, written here from the mathematics and not from either program:
the likelihood of N of each row, integrated over its own share, odds ratio and bias, times a
log-normal prior on N. One model holds all rows; each case counts some of them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import arviz as az
import numpy as np
import pytest
from scipy import special, stats

from hiddenpop.families.size_prior import SizePrior
from hiddenpop.families.synthesis import Priors, build_model, values
from hiddenpop.inference import Sampler, judge
from hiddenpop.inputs.multiplier_rows import as_synthesis, synthesis_priors
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.inputs.study import Sampling
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import beta_from_interval, lognormal_from_interval, z_score
from hiddenpop.size import fit_table

__all__: list[str] = []

PRIOR = SizePrior.parse("lognormal:4000,12000")
RESIDENTS = 1_600_000.0
PROBABILITIES = (0.025, 0.5, 0.975)
LONG = Sampling(draws=1500, tune=800, seed=11)

TREATED, DESIGN = Rate(x=331, n=591), Rate(x=144, n=603, design_effect=4, stated_effect=True)
DIED, SPENT = (
    Rate(quantiles=((0.025, 0.004), (0.975, 0.012))),
    Rate(quantiles=((0.1, 300), (0.9, 900))),
)
TABLE = MultiplierTable.of(
    Benchmark.counted("plain", 1981, TREATED),
    Benchmark.counted("other", 870, DESIGN),
    Benchmark.counted("selected", 1400, Rate(x=120, n=300), selection=Interval(1, 2.5, 0.95)),
    Benchmark.counted("police", 1500, Rate(x=90, n=200), error=Interval(2 / 3, 1.5, 0.95)),
    Benchmark.counted(
        "corrected", 1900, Rate(quantiles=((0.025, 0.4), (0.975, 0.6))),
        overcount=Interval(0.01, 0.08, 0.95), undercount=Interval(0.05, 0.2, 0.95),
    ),
    Benchmark("suppressed", "people", 7, 5, 9, Rate(x=3, n=900)),
    Benchmark("deaths", "events", 24, 24, 24, DIED),
    Benchmark("household", "survey", 48, 37, 60, Rate(x=40, n=90), sample=24_197),
    Benchmark("spend", "amount", 2e6, 2e6, 2e6, SPENT, Interval(1.5e6, 2.6e6, 0.9)),
    Benchmark("figure", "figure", 3500, 3500, 3500, None, Interval(2500, 5500, 0.8)),
    population=RESIDENTS,
)  # fmt: skip

CASES = {
    "plain": ("plain",),
    "design effect": ("other",),
    "two surveys": ("plain", "other"),
    "selection": ("selected",),
    "police error": ("police",),
    "over- and under-count": ("corrected",),
    "suppressed": ("suppressed",),
    "events": ("deaths",),
    "household survey": ("household",),
    "spend": ("spend",),
    "figure": ("figure",),
    "one of each kind": ("plain", "deaths", "household", "spend", "figure"),
    "all": tuple(row.id for row in TABLE.rows),
}
"""Rows that count, by what they are to show."""

# --- the truth ---------------------------------------------------------------------------------

HERMITE, HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
MIDDLES = (np.arange(500) + 0.5) / 500
LOG_N = np.linspace(np.log(100), np.log(3e5), 2000)


def beta_points(rate: Rate) -> np.ndarray:
    """Values of a share that stand for equal probabilities."""
    if rate.x is not None and rate.n is not None:
        ends = 1 + rate.x / rate.design_effect, 1 + (rate.n - rate.x) / rate.design_effect
    else:
        (p, low), (q, high) = rate.quantiles
        ends = beta_from_interval(low, high, q - p)
    return np.asarray(stats.beta.ppf(MIDDLES, *ends))


def log_rate_points(rate: Rate) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of a log-normal rate, and their weights."""
    (p, low), (q, high) = rate.quantiles
    prior = lognormal_from_interval(low, high, q - p)
    return prior.mu + prior.sigma * HERMITE, HERMITE_WEIGHTS


def log_binomial(x: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    inside = n >= x
    rest = np.where(inside, n - x, 0.0)
    ways = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(rest + 1)
    return np.where(inside, ways + x * np.log(p) + rest * np.log1p(-p), -np.inf)


def people(row: Benchmark, N: np.ndarray) -> np.ndarray:
    """Likelihood of N: shares by odds ratios or by reported over true."""
    assert row.rate is not None
    share = beta_points(row.rate)[:, None]
    factor, weights = np.ones((1, 1)), np.ones((1, 1))
    if row.selection is not None:
        prior = lognormal_from_interval(*row.selection)
        share = special.expit(special.logit(share) - prior.mu - prior.sigma * HERMITE)
        weights = HERMITE_WEIGHTS[None]
    elif row.error is not None:
        factor = np.exp(HERMITE * np.log(row.error.high / row.error.low) / 2 / z_score(0.95))[None]
        weights = HERMITE_WEIGHTS[None]
    elif row.overcount is not None and row.undercount is not None:
        ends = beta_from_interval(*row.undercount), beta_from_interval(*row.overcount)
        missed, extra = (stats.beta.ppf((np.arange(12) + 0.5) / 12, *end) for end in ends)
        factor = ((1 - missed[:, None]) / (1 - extra)).reshape(1, -1)
        weights = np.ones_like(factor)
    found = np.zeros(len(N))
    for i, n in enumerate(N):
        for x in np.arange(row.least, row.most + 1):
            density = np.exp(log_binomial(x / factor, n, share)) / factor
            found[i] += (density * weights).sum() / len(share)
    return found


def events(row: Benchmark, N: np.ndarray) -> np.ndarray:
    assert row.rate is not None
    log_rate, weights = log_rate_points(row.rate)
    return np.asarray(stats.poisson.pmf(row.value, N[:, None] * np.exp(log_rate)) @ weights)


def survey(row: Benchmark, N: np.ndarray) -> np.ndarray:
    assert row.rate is not None
    p = N[:, None] / RESIDENTS * beta_points(row.rate)
    numbers = np.arange(row.least, row.most + 1)
    return np.asarray(sum(stats.binom.pmf(x, row.sample, p).mean(axis=1) for x in numbers))


def measured(row: Benchmark, N: np.ndarray) -> np.ndarray:
    """Two-piece log-normal: the nearer end of the interval has the smaller sd."""
    assert row.interval is not None
    z = z_score(row.interval.level)
    below, above = (
        np.log(row.value / row.interval.low) / z,
        np.log(row.interval.high / row.value) / z,
    )
    shift, weights = log_rate_points(row.rate) if row.rate else (np.zeros(1), np.ones(1))
    error = np.log(N)[:, None] + shift - np.log(row.value)
    return np.asarray(np.exp(-0.5 * (error / np.where(error < 0, below, above)) ** 2) @ weights)


LIKELIHOODS: dict[str, Callable[[Benchmark, np.ndarray], np.ndarray]] = {
    "people": people,
    "events": events,
    "survey": survey,
    "amount": measured,
    "figure": measured,
}


@cache
def likelihood(name: str) -> np.ndarray:
    """Of one row alone, on the grid."""
    row = next(row for row in TABLE.rows if row.id == name)
    return LIKELIHOODS[row.kind](row, np.exp(LOG_N))


def exact(rows: tuple[str, ...]) -> dict[float, float]:
    """Quantiles of N given some rows of the table."""
    N = np.exp(LOG_N)
    # The log-normal prior as a density of log N.
    weight = np.exp(PRIOR.log_density(N)) * N
    for name in rows:
        weight = weight * likelihood(name)
    mass = np.cumsum(weight) - weight / 2
    return {p: float(np.exp(np.interp(p, mass / weight.sum(), LOG_N))) for p in PROBABILITIES}


# --- both --------------------------------------------------------------------------------------


def assert_exact(draws: np.ndarray, case: str) -> None:
    """Quantiles of draws (chain, draw) within 4 Monte Carlo errors of the grid's."""
    for probability, truth in exact(CASES[case]).items():
        found = np.quantile(draws, probability)
        error = float(az.mcse(draws, method="quantile", prob=probability))
        assert abs(found - truth) < 4 * error, f"{probability}: {found} for {truth} +- {error}"


@pytest.fixture(scope="module")
def data() -> SynthesisData:
    return as_synthesis(TABLE, PRIOR, experts="estimate", independent=True)


@pytest.fixture(scope="module")
def sampler(data: SynthesisData) -> Sampler:
    return Sampler(build_model(data, Priors(**synthesis_priors(data, PRIOR))))


@pytest.mark.recovery
@pytest.mark.parametrize(
    "case",
    [name if name == "all" else pytest.param(name, marks=pytest.mark.slow) for name in CASES],
)
def test_a_synthesis_has_the_exact_posterior(
    case: str, data: SynthesisData, sampler: Sampler
) -> None:
    tree = sampler.sample(values(data.including(CASES[case])), LONG)
    assert judge(tree).passed, str(judge(tree))
    assert_exact(tree["posterior"]["N"][..., 0, 0].to_numpy(), case)


@pytest.mark.parametrize(
    "case",
    [pytest.param(name, marks=pytest.mark.slow) if name == "all" else name for name in CASES],
)
def test_the_multiplier_has_the_exact_posterior(case: str) -> None:
    """With events that are independent, and experts who err as they say."""
    rows = tuple(row for row in TABLE.rows if row.id in CASES[case])
    sure = (1.0, 1.0, 0.95)
    options = {"odds_ratio": sure, "overconfidence": sure, "between_experts": 0.0}
    found = fit_table(
        replace(TABLE, rows=rows), "multiplier", options={"size_prior": PRIOR, **options},
        sampling=Sampling(draws=5000, seed=5),
    )  # fmt: skip
    assert_exact(found.tree["posterior"]["N"].to_numpy(), case)
