"""Posteriors of the evidence synthesis against independent truths: closed form, grid, simulator."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import arviz as az
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy import special, stats

from hiddenpop.families.simulation.synthesis import draw_truth, simulate
from hiddenpop.families.synthesis import Priors, build_model, values
from hiddenpop.inference import Sampler, judge
from hiddenpop.inputs.study import Sampling
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import beta_from_interval, logit_normal_from_interval

__all__: list[str] = []

MakeData = Callable[..., SynthesisData]

PROBABILITIES = (0.025, 0.5, 0.975)
LONG = Sampling(draws=2500, tune=1000, seed=11)


def assert_quantiles(draws: npt.ArrayLike, exact: Mapping[float, float]) -> None:
    """Quantiles of draws (chain, draw) within 4 Monte Carlo errors of what they should be."""
    for probability, value in exact.items():
        found = np.quantile(draws, probability)
        error = float(az.mcse(np.asarray(draws), method="quantile", prob=probability))
        assert abs(found - value) < 4 * error, f"{probability}: {found} for {value} +- {error}"


def weighted_quantiles(x: np.ndarray, weight: np.ndarray) -> dict[float, float]:
    """Quantiles of points `x` that carry weights."""
    order = np.argsort(x, axis=None)
    mass = np.cumsum(weight.ravel()[order])
    middle = (mass - weight.ravel()[order] / 2) / mass[-1]
    return {p: float(np.interp(p, middle, x.ravel()[order])) for p in PROBABILITIES}


MODEST = Priors(prevalence=(0.003, 0.02, 0.95), between_areas=0.4)


@pytest.fixture(scope="module")
def three(make_data: MakeData) -> tuple[SynthesisData, Sampler]:
    """Three areas in a country, and their model, compiled once."""
    data = nested(make_data, 3)
    return data, Sampler(build_model(data, MODEST))


# --- one area, one group, one count, one share -------------------------------------------------

COUNT = 50
SHARE = (0.15, 0.45, 0.95)
RESIDENTS = 1e9
WIDE = Priors(prevalence=(1e-12, 1e-1, 0.95), overdispersion=0)


@pytest.mark.recovery
def test_count_and_share_have_the_closed_form(make_data: MakeData) -> None:
    """With p(N) proportional to 1/N, N p is Gamma(count, 1) and p keeps its Beta prior."""
    row = {"kind": "count", "value": COUNT, "rates": "known"}
    data = make_data([("Land", "", RESIDENTS)], [row], shares={"known": SHARE})
    tree = Sampler(build_model(data, WIDE)).sample(values(data), LONG)
    assert judge(tree).passed, str(judge(tree))
    beta = beta_from_interval(*SHARE)
    share = tree["posterior"]["share"][..., 0]
    users = tree["posterior"]["N"][..., 0, 0]
    log_n = np.linspace(2, 10, 4001)
    p = stats.beta.ppf((np.arange(2000) + 0.5) / 2000, *beta)
    closed = stats.gamma.pdf(np.exp(log_n)[:, None] * p, COUNT).T * p[:, None] * np.exp(log_n)
    flat = weighted_quantiles(np.exp(log_n), closed.sum(0))
    # The model's prior is a wide normal on the logit of N / residents, not quite flat in log N.
    start = logit_normal_from_interval(*WIDE.prevalence)
    prior = stats.norm.pdf(special.logit(np.exp(log_n) / RESIDENTS), start.mu, start.sigma)
    prior /= 1 - np.exp(log_n) / RESIDENTS
    joint = closed * prior
    exact = weighted_quantiles(np.exp(log_n), joint.sum(0))
    assert list(exact.values()) == pytest.approx(list(flat.values()), rel=0.01)
    assert_quantiles(users, exact)
    assert_quantiles(share, weighted_quantiles(np.broadcast_to(p[:, None], closed.shape), joint))
    assert_quantiles(users * share, weighted_quantiles(np.exp(log_n) * p[:, None], joint))


# --- no evidence -------------------------------------------------------------------------------


@pytest.mark.recovery
def test_posterior_without_evidence_is_the_prior(three: tuple[SynthesisData, Sampler]) -> None:
    """Held to draws of the simulator, so that this compares two programs, not one with itself."""
    data, sampler = three
    data = data.including([])
    tree = sampler.sample(values(data), LONG)
    assert judge(tree).passed, str(judge(tree))
    rng = np.random.default_rng(5)
    truths = [draw_truth(data, MODEST, rng) for _ in range(20_000)]
    posterior = tree["posterior"]
    pairs = {
        f"{area}, {group}": (
            np.log(posterior["users"].sel(area=area, union=group)),
            np.log([truth.size(area, group) for truth in truths]),
        )
        for area in data.areas.names
        for group in ("any", "one")
    }
    for i, name in enumerate(data.rates.names):
        kind, dim = ("share", "proportion") if i == 0 else ("factor", "multiplier")
        pairs[name] = (posterior[kind].sel({dim: name}), [truth.rates[i] for truth in truths])
    pairs["bias"] = (posterior["bias"].sel(source="off"), [truth.bias[1] for truth in truths])
    effects = posterior["scale"]
    for name in ("between_areas", "between_compositions"):
        pairs[name] = (effects.sel(effect=name), [getattr(truth, name) for truth in truths])
    phi = [truth.overdispersion for truth in truths]
    pairs["overdispersion"] = (posterior["overdispersion"], phi)
    for name, (found, drawn) in pairs.items():
        for p in PROBABILITIES:
            error = float(az.mcse(found.to_numpy(), method="quantile", prob=p))
            theirs = float(az.mcse(np.array(drawn)[None], method="quantile", prob=p))
            gap = np.quantile(found, p) - np.quantile(drawn, p)
            assert abs(gap) < 4.5 * np.hypot(error, theirs), f"{name} at {p}"


# --- two areas in a parent ---------------------------------------------------------------------


@pytest.mark.recovery
def test_two_areas_in_a_parent_match_a_grid(make_data: MakeData) -> None:
    people = np.array([200_000.0, 800_000.0])
    rows = [
        {"kind": "estimate", "value": 5000, "low": 4000, "high": 6000, "level": 0.95},
        {"kind": "count", "value": 60, "area": "A", "rates": "known", "source": "off"},
    ]
    data = make_data(
        [("Land", "", people.sum()), ("A", "Land", people[0]), ("B", "Land", people[1])],
        rows,
        factors={"known": (0.05, 0.05, 0.95)},
        biases={"off": (0.8, 0.8, 0.95)},
    )
    priors = Priors(overdispersion=0)
    tree = Sampler(build_model(data, priors)).sample(values(data), LONG)
    assert judge(tree).passed, str(judge(tree))
    users, area_a = two_area_grid(people, priors)
    assert_quantiles(tree["posterior"]["N"].sel(area="Land", group="users"), users)
    assert_quantiles(tree["posterior"]["N"].sel(area="A", group="users"), area_a)


def two_area_grid(
    people: np.ndarray, priors: Priors
) -> tuple[dict[float, float], dict[float, float]]:
    """Quantiles of the parent's users and of one child's, summed over a grid.

    The children's log odds ratio is sigma sqrt(2) times a standard normal with half-normal
    sigma: a product of normals, whose density is a Bessel function.
    """
    start = logit_normal_from_interval(*priors.prevalence)
    level = np.linspace(-6.5, -4.0, 1000)[:, None]
    # An even number of points, none at the pole of the density at 0.
    ratio = np.linspace(-3, 4, 3000)[None, :] + 1e-4
    users = people.sum() * special.expit(level)
    # Odds ratio psi of a two by two table with known margins: a quadratic in the child's users.
    psi = np.exp(ratio)
    a = psi - 1
    b = (psi * (people[0] + users)) + people[1] - users
    root = np.sqrt(b**2 - 4 * a * psi * people[0] * users)
    child = 2 * psi * people[0] * users / (b + root)
    width = priors.between_areas * np.sqrt(2)
    sd = [np.log(5000 / 4000) / stats.norm.ppf(0.975), np.log(6000 / 5000) / stats.norm.ppf(0.975)]
    error = np.log(users / 5000)
    weight = (
        stats.norm.pdf(level, start.mu, start.sigma)
        * special.k0(np.abs(ratio) / width)
        * stats.norm.pdf(error / np.where(error < 0, *sd))
        * stats.poisson.pmf(60, child * 0.05 * 0.8)
    )
    assert weight[[0, -1]].max() < 1e-4 * weight.max()
    return (
        weighted_quantiles(np.broadcast_to(users, weight.shape), weight),
        weighted_quantiles(child, weight),
    )


# --- recovery ----------------------------------------------------------------------------------


def nested(make_data: MakeData, size: int) -> SynthesisData:
    """`size` named areas inside one country: 3 flat, 8 flat, or 40 in regions of four towns.

    Every third area has no evidence of its own.
    """
    areas: list[tuple[Any, ...]] = [("Land", "", 4_000_000)]
    if size == 40:
        for r in range(8):
            areas.append((f"region {r}", "Land", 400_000))
            areas += [(f"town {r}{t}", f"region {r}", 60_000 + 10_000 * t) for t in range(4)]
    else:
        areas += [(f"town {t}", "Land", 100_000 * (1 + t % 4)) for t in range(size)]
    rows: list[dict[str, Any]] = [
        {"kind": "estimate", "group": "any", "value": 100, "low": 85, "high": 130, "level": 0.95},
        {"kind": "proportion", "group": "one", "of": "any", "value": 0, "n": 400,
         "design_effect": 2},
    ]  # fmt: skip
    for i, (name, *_) in enumerate(areas[1:]):
        about = {"area": name, "period": "2004" if i % 2 else "2005"}
        if i % 3 == 0:
            rows.append({"kind": "count", "group": "one", "value": 0, "rates": "known", **about})
        if i % 3 == 1:
            rows.append({"kind": "guess" if i % 4 else "range", "group": "any", "source": "off",
                         "value": 100 if i % 4 else np.nan, "low": 70, "high": 150, "level": 0.8,
                         "rates": "events", **about})  # fmt: skip
    return make_data(
        areas,
        rows,
        cells=("one", "two"),
        unions={"any": ("one", "two")},
        shares={"known": (0.3, 0.6, 0.95)},
        factors={"events": (0.8, 1.6, 0.95)},
        biases={"off": (0.6, 1.4, 0.95)},
    )


def mixed(tree: xr.DataTree) -> bool:
    """Whether R-hat and effective sample sizes pass; a stray divergence in thousands may stand."""
    gates = {gate.name: gate.passed for gate in judge(tree).gates}
    sizes = ("bulk effective sample size", "tail effective sample size")
    return gates["R-hat"] and all(gates[name] for name in sizes)


def recover(
    data: SynthesisData, sampler: Sampler, sets: int, seed: int
) -> tuple[np.ndarray, np.ndarray, list[xr.DataTree]]:
    """Fit simulated data sets: coverage (set, area), rank in (0, 1) (set, area), trees."""
    rng = np.random.default_rng(seed)
    covered, ranks, trees = [], [], []
    for number in range(sets):
        truth = draw_truth(data, MODEST, rng)
        drawn = simulate(truth, rng)
        short = Sampling(seed=number, tune=1500, target_accept=0.99)
        tree = sampler.sample(values(drawn), short)
        if not mixed(tree):
            # What a user is told to do. Nothing is dropped, so coverage stays that of all sets.
            tree = sampler.sample(values(drawn), replace(short, tune=3000, draws=6000))
        users = tree["posterior"]["users"].sel(union="any").stack(sample=("chain", "draw"))
        low, high = np.quantile(users, [0.025, 0.975], axis=-1)
        exact = truth.users.sum(1)
        covered.append((low <= exact) & (exact <= high))
        ranks.append((users.to_numpy() < exact[:, None]).mean(1))
        trees.append(tree)
    return np.array(covered), np.array(ranks), trees


def assert_recovered(covered: np.ndarray, ranks: np.ndarray, trees: list[xr.DataTree]) -> None:
    """All fits mixed, and 95 % intervals cover as often as 95 % intervals do.

    Areas of one data set are not independent. The margin holds even if they were all right
    or wrong together: 4 binomial errors of as many trials as there are data sets.
    """
    assert all(mixed(tree) for tree in trees)
    sets = len(covered)
    assert covered.mean() > 0.95 - 4 * np.sqrt(0.95 * 0.05 / sets)
    # The country's total of each data set is one independent uniform rank.
    assert stats.kstest(ranks[:, 0], "uniform").pvalue > 1e-3


@pytest.mark.recovery
def test_three_areas_are_recovered(three: tuple[SynthesisData, Sampler]) -> None:
    assert_recovered(*recover(*three, sets=8, seed=1))


@pytest.mark.slow
@pytest.mark.recovery
@pytest.mark.parametrize(("size", "sets"), [(3, 60), (8, 30), (40, 8)])
def test_areas_are_recovered(make_data: MakeData, size: int, sets: int) -> None:
    data = nested(make_data, size)
    assert_recovered(*recover(data, Sampler(build_model(data, MODEST)), sets=sets, seed=size))
