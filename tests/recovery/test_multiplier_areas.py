"""Benchmarks over areas and periods, sampled: closed forms, the exact family, simulated tables."""

from dataclasses import replace
from typing import Any

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

from hiddenpop.families import multiplier
from hiddenpop.families import multiplier_areas as family
from hiddenpop.families.multiplier_areas import Priors
from hiddenpop.families.simulation.multiplier_areas import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inference import Sampler, judge
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.inputs.settings import Sampling

__all__: list[str] = []

SHORT = Sampling(draws=1500, tune=1000, seed=5)


def fit(
    data: MultiplierTable, priors: Priors | None = None, sampler: Sampler | None = None
) -> xr.DataTree:
    """A fit that passed its gates, with no divergence among them."""
    priors = priors or Priors()
    sampler = sampler or Sampler(family.build_model(data, priors))
    tree = sampler.sample(family.values(data, priors), SHORT)
    tree = family.finish(tree, data, priors, np.random.default_rng(SHORT.seed))
    assert judge(tree).passed, str(judge(tree))
    return tree


def sizes(tree: xr.DataTree) -> np.ndarray:
    """(chain, draw, stratum)."""
    return tree["posterior"]["N"].transpose("chain", "draw", "stratum").to_numpy()


def assert_agrees(N: np.ndarray, exact: np.ndarray) -> None:
    """Quantiles of draws (chain, draw) within 4 Monte Carlo errors, and the step of one person."""
    for q, size in zip((0.025, 0.5, 0.975), exact, strict=True):
        allowed = 4 * float(az.mcse(N, method="quantile", prob=q)) + 1
        assert abs(np.quantile(N, q) - size) < allowed, (q, np.quantile(N, q), size, allowed)


# --- one stratum ---------------------------------------------------------------------------------


@pytest.mark.recovery
def test_one_benchmark_is_beta_negative_binomial() -> None:
    """One program, three tables: large, small, and a survey in which everybody was counted."""
    tables = [(1981, 330, 600), (4, 9, 20), (12, 15, 15)]
    data = [MultiplierTable.of(Benchmark.counted("treated", B, Rate(x=x, n=n)))
            for B, x, n in tables]  # fmt: skip
    sampler = Sampler(family.build_model(data[0]))
    for table, (B, x, n) in zip(data, tables, strict=True):
        N = sizes(fit(table, sampler=sampler))[..., 0]
        unseen = np.arange(200_000)
        # P(u) = C(B + u - 1, u) B(a + B, b + u) / B(a, b), with 1/N and a uniform share.
        a, b = 1 + x, 1 + n - x
        mass = np.exp(special.gammaln(B + unseen) - special.gammaln(unseen + 1)
                      - special.gammaln(B) + special.betaln(a + B, b + unseen)
                      - special.betaln(a, b))  # fmt: skip
        assert mass.sum() == pytest.approx(1, abs=1e-6)
        quantiles = np.searchsorted(np.cumsum(mass), (0.025, 0.5, 0.975)) + B
        assert_agrees(N, quantiles)


def row(kind: str, value: float, rate: Rate | None = None, **more: Any) -> Benchmark:  # noqa: ANN401
    return Benchmark(f"{kind} row", kind, value, value, value, rate, **more)  # type: ignore[arg-type]


TREATED = Benchmark.counted("treated", 400, Rate(x=50, n=150))
BIASED = replace(
    Benchmark.counted("treated", 400, Rate(x=50, n=150, design_effect=2.0)),
    selection=Interval(1, 2, 0.95), overcount=Interval(0.02, 0.1, 0.95),
    undercount=Interval(0.05, 0.2, 0.95), error=Interval(0.8, 1.25, 0.95),
)  # fmt: skip
DEATHS = row("events", 24, Rate(x=12, n=500.0))
STATED = row("figure", 900, interval=Interval(700, 1200, 0.8))
HOUSEHOLDS = row("survey", 40, sample=1000.0)
SPENT = row("amount", 2e6, Rate(quantiles=((0.1, 500.0), (0.9, 1500.0))))

CASES: dict[str, tuple[MultiplierTable, dict[str, Any]]] = {
    "range": (MultiplierTable.of(
        Benchmark("treated", "people", 48.5, 37, 60, Rate(x=20, n=60))), {}),
    "quantiles": (MultiplierTable.of(Benchmark.counted(
        "treated", 1981, Rate(quantiles=((0.025, 0.52), (0.5, 0.55), (0.975, 0.60))))), {}),
    "biases": (MultiplierTable.of(BIASED), {}),
    "events": (MultiplierTable.of(DEATHS), {}),
    "amount": (MultiplierTable.of(SPENT), {}),
    "amount with error": (MultiplierTable.of(
        replace(SPENT, interval=Interval(1.8e6, 2.3e6, 0.9))), {}),
    "survey": (MultiplierTable.of(
        Benchmark("asked", "survey", 48, 37, 60, Rate(quantiles=((0.025, 0.3), (0.975, 0.6))),
                  sample=24_197.0, sample_effect=1.5), population=200_000), {}),
    "figures": (MultiplierTable.of(
        replace(STATED, interval=Interval(850, 950, 0.8)),
        row("figure", 500, interval=Interval(300, 600, 0.9)), ), {}),
    "two counts": (MultiplierTable.of(
        TREATED, Benchmark.counted("arrested", 150, Rate(x=30, n=200))),
        {"odds_ratio": (1.0, 1.0, 0.95)}),
    "lognormal": (MultiplierTable.of(TREATED),
                  {"size_prior": SizePrior.parse("lognormal:900,1500")}),
    "gamma": (MultiplierTable.of(Benchmark.counted("treated", 40, Rate(x=15, n=50))),
              {"size_prior": SizePrior.parse("gamma:2,80")}),
    "all kinds": (MultiplierTable.of(TREATED, DEATHS, STATED, HOUSEHOLDS, population=30_000), {}),
}  # fmt: skip


@pytest.mark.recovery
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "all kinds" else pytest.mark.slow) for name in CASES],
)
def test_one_stratum_is_the_exact_family(name: str) -> None:
    data, options = CASES[name]
    if name == "figures":
        data = MultiplierTable.of(data.rows[0], replace(data.rows[1], id="other figure"))
    own = {key: value for key, value in options.items() if key != "odds_ratio"}
    N = sizes(fit(data, Priors(**own)))[..., 0]
    exact = multiplier.posterior(data, multiplier.Priors(**options), Sampling())
    group = exact["distribution"]
    cumulative = np.cumsum(group["probability"].to_numpy())
    place = np.searchsorted(cumulative, (0.025, 0.5, 0.975))
    assert_agrees(N, group["unseen"].to_numpy()[place] + exact.attrs["observed"])


# --- areas and periods ---------------------------------------------------------------------------


def counted(
    prevalence: np.ndarray, shares: np.ndarray, surveys: np.ndarray, seed: int
) -> tuple[MultiplierTable, np.ndarray]:
    """One benchmark in areas by years (area, year), with surveys of so many (0: none)."""
    rng = np.random.default_rng(seed)
    areas, years = prevalence.shape
    strata = tuple((f"area {a}", f"{2015 + t}") for a in range(areas) for t in range(years))
    residents = np.repeat(rng.integers(40_000, 120_000, areas), years).astype(float)
    N = rng.binomial(residents.astype(int), prevalence.ravel())
    rows = []
    for s in range(len(strata)):
        p, n = shares.ravel()[s], float(surveys.ravel()[s])
        rate = Rate(x=float(rng.binomial(int(n), p)), n=n) if n else None
        rows.append(Benchmark.counted("treated", float(rng.binomial(N[s], p)), rate, stratum=s))
    return MultiplierTable(tuple(rows), (), strata, residents), N


@pytest.mark.recovery
def test_areas_with_less_are_known_less() -> None:
    """Count and survey, count only, neither: wider in that order, and all near the truth."""
    surveys = np.array([250, 250, 250, 250, 250, 0, 0, 0])[:, None]
    shares = np.array([0.2, 0.5, 0.35, 0.25, 0.45, 0.3, 0.4, 0.3])[:, None]
    prevalence = np.array([0.008, 0.012, 0.018, 0.006, 0.014, 0.01, 0.016, 0.009])[:, None]
    data, N = counted(prevalence, shares, surveys, 3)
    silent = {6, 7}
    data = replace(data, rows=tuple(row for row in data.rows if row.stratum not in silent),
                   strata=tuple((area, "") for area, _ in data.strata))  # fmt: skip
    drawn = np.log(sizes(fit(data)).reshape(-1, 8))
    width = np.diff(np.quantile(drawn, [0.025, 0.975], axis=0), axis=0)[0]
    both, count, neither = width[:5].max(), width[5], width[6:].min()
    assert 1.1 * both < count
    assert 1.1 * count < neither
    low, high = np.quantile(drawn, [0.005, 0.995], axis=0)
    assert np.all((low <= np.log(N)) & (np.log(N) <= high))


@pytest.mark.recovery
def test_a_rise_is_seen_and_no_rise_is_not() -> None:
    """One program for both: one area, four years, a survey in each."""
    level = np.array([[0.01, 0.013, 0.017, 0.022]])
    share, surveys = np.full((1, 4), 0.4), np.full((1, 4), 600)
    rise, _ = counted(level, share, surveys, 1)
    flat, _ = counted(np.full((1, 4), 0.015), share, surveys, 1)
    sampler = Sampler(family.build_model(rise))
    up = fit(rise, sampler=sampler)["trend"].to_dataset()
    still = fit(flat, sampler=sampler)["trend"].to_dataset()
    assert float(up["p_increase"][0]) > 0.98
    assert float(up["ratio_low"][0]) < 2.2 < float(up["ratio_high"][0])
    assert 0.05 < float(still["p_increase"][0]) < 0.95
    assert float(still["ratio_low"][0]) < 1 < float(still["ratio_high"][0])


@pytest.mark.recovery
@pytest.mark.slow
def test_sizes_of_simulated_areas_lie_in_their_intervals() -> None:
    """Twelve tables of 6 areas by 3 years drawn from the prior: 216 sizes, 95 % intervals.

    Sizes of one table go together, so that 12 tables are worth far fewer than 216 sizes: with
    an effective 40 the share inside is above 0.85 in 99 of 100 repeats.
    """
    surveys = np.zeros((6, 3), dtype=int)
    surveys[:4, 0], surveys[::2, 2] = 150, 150
    data, _ = counted(np.full((6, 3), 0.012), np.full((6, 3), 0.35), surveys, 3)
    priors = Priors(prevalence=(0.005, 0.02, 0.95))
    sampler = Sampler(family.build_model(data, priors))
    rng, inside = np.random.default_rng(12), []
    for _ in range(12):
        truth = draw_truth(data, priors, rng)
        made = simulate(truth, rng)
        tree = sampler.sample(family.values(made, priors), SHORT)
        tree = family.finish(tree, made, priors, rng)
        low, high = np.quantile(sizes(tree).reshape(-1, 18), [0.025, 0.975], axis=0)
        inside.append((low <= truth.sizes) & (truth.sizes <= high))
    assert np.mean(inside) > stats.binom.ppf(0.01, 40, 0.95) / 40
