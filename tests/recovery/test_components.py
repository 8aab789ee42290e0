"""Tables inside the evidence synthesis against closed forms, grids and the family loglinear."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import arviz as az
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy import special, stats
from scipy.special import betaln, gammaln

from hiddenpop.families import loglinear
from hiddenpop.families.size_prior import P90, SizePrior
from hiddenpop.families.synthesis import Priors, build_model, values
from hiddenpop.inference import Sampler, judge
from hiddenpop.inputs.components import Component
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import logit_normal_from_interval

__all__: list[str] = []

MakeData = Callable[..., SynthesisData]

PROBABILITIES = (0.025, 0.5, 0.975)
LONG = Sampling(draws=2500, tune=1500, target_accept=0.99, seed=11)
RESIDENTS = 1e7
WIDE = Priors(prevalence=(2e-6, 2e-3, 0.95), overdispersion=0)
TABLE = OverlapTable.from_counts(
    "ABC", {"100": 25, "010": 18, "001": 12, "110": 7, "101": 3, "011": 1, "111": 2}
)
TWO = OverlapTable.from_counts("AB", {"10": 60, "01": 49, "11": 14})
TOTALS = Margins(("A", "B", "C"), (40, 22, 15), 66)
MANY = Margins(("A", "B", "C"), (2905, 1188, 531), 4117)


def with_table(
    data: SynthesisData,
    table: OverlapTable | Margins,
    **dependence: Any,  # noqa: ANN401
) -> SynthesisData:
    """The data with a table about its first area and group."""
    one = Component(
        "lists", "exact", data.areas.names[0], data.cells[0], "", data.target.period, "15-64", "",
        "", True, "", (), table, dependence, np.zeros(len(data.rates.names)), None,
    )  # fmt: skip
    return replace(data, components=(one,), joined=np.array([True]))


def alone(make_data: MakeData, table: OverlapTable | Margins, **dependence: Any) -> SynthesisData:  # noqa: ANN401
    """One area, one group, and the table; a row of evidence that does not count."""
    row = {"kind": "estimate", "value": 400, "low": 300, "high": 600, "level": 0.95}
    data = make_data([("Land", "", RESIDENTS)], [row])
    return with_table(data, table, **dependence).including(["lists"])


def sample(data: SynthesisData, sampler: Sampler, priors: Priors = WIDE) -> xr.DataTree:
    """A fit that passed its gates."""
    tree = sampler.sample(values(data), LONG)
    assert judge(tree).passed, str(judge(tree))
    return tree


def users(tree: xr.DataTree) -> np.ndarray:
    return tree["posterior"]["N"].to_numpy()[..., 0, 0]


def assert_quantiles(draws: npt.ArrayLike, exact: Mapping[float, float]) -> None:
    """Quantiles of draws (chain, draw) within 4 Monte Carlo errors of what they should be."""
    for probability, value in exact.items():
        found = np.quantile(draws, probability)
        error = float(az.mcse(np.asarray(draws), method="quantile", prob=probability))
        assert abs(found - value) < 4 * error, f"{probability}: {found} for {value} +- {error}"


def quantiles(log_n: np.ndarray, log_mass: np.ndarray) -> dict[float, float]:
    """Quantiles of N from log masses on an even grid of its logarithm."""
    mass = np.exp(log_mass - special.logsumexp(log_mass))
    middle = np.cumsum(mass) - mass / 2
    return {p: float(np.exp(np.interp(p, middle, log_n))) for p in PROBABILITIES}


def log_prior(log_n: np.ndarray, priors: Priors = WIDE) -> np.ndarray:
    """Log density of log N: a normal on the logit of N / residents."""
    start = logit_normal_from_interval(*priors.prevalence)
    share = np.exp(log_n) / RESIDENTS
    return np.asarray(stats.norm.logpdf(special.logit(share), start.mu, start.sigma)
                      - np.log1p(-share))  # fmt: skip


def independent(table: OverlapTable | Margins, log_n: np.ndarray, beta: float = 0.1) -> np.ndarray:
    """log N!/(N - n)! prod_j B(n_j + beta, N - n_j + beta), lists independent."""
    totals = np.array(table.totals) if isinstance(table, Margins) else table.list_totals
    N, t = np.exp(log_n), np.asarray(totals, dtype=float)[:, None]
    inside = gammaln(N + 1) - gammaln(N - table.observed + 1)
    return np.asarray(inside + betaln(t + beta, N - t + beta).sum(0))


# --- independent lists: closed form -------------------------------------------------------------


@pytest.mark.recovery
@pytest.mark.slow
@pytest.mark.parametrize(
    "table",
    [TABLE, TOTALS, MANY],
    ids=["table", "all tables", "normal"],
)
def test_independent_lists_have_the_closed_form(
    make_data: MakeData, table: OverlapTable | Margins
) -> None:
    data = alone(make_data, table, order=1)
    tree = sample(data, Sampler(build_model(data, WIDE)))
    log_n = np.log(np.linspace(table.observed, 40 * table.observed, 200_001))
    # From an even grid of N to masses: d log N = dN / N.
    mass = independent(table, log_n) + log_prior(log_n) - log_n
    assert_quantiles(users(tree), quantiles(log_n, mass))


# --- two lists with a known odds ratio, and an estimate: a grid ----------------------------------

ODDS = 2.0


def two_lists(log_n: np.ndarray, beta: float = 0.1) -> np.ndarray:
    """Log likelihood of N from two lists with odds ratio `ODDS`, summed over both chances."""
    one, two, both = (float(TWO.low[TWO.labels.index(h)]) for h in ("10", "01", "11"))
    n = one + two + both
    found = []
    step = np.linspace(-3.5, 2.0, 250)
    for N in np.exp(log_n):
        first = (np.log((one + both) / (N - one - both)) + step)[:, None]
        second = (np.log((two + both) / (N - two - both)) + step)[None, :]
        total = np.log1p(np.exp(first) + np.exp(second) + ODDS * np.exp(first + second))
        inside = first * (one + both) + second * (two + both) - N * total
        prior = sum(beta * (a - 2 * np.logaddexp(0, a)) for a in (first, second))
        found.append(special.logsumexp(inside + prior))
        # Nothing is left outside of the grid.
        edge = (inside + prior)[[0, -1]].max(), (inside + prior)[:, [0, -1]].max()
        assert max(edge) < (inside + prior).max() - 8
    return np.array(found) + gammaln(np.exp(log_n) + 1) - gammaln(np.exp(log_n) - n + 1)


@pytest.mark.recovery
def test_a_table_and_an_estimate_multiply_and_either_can_be_left_out(make_data: MakeData) -> None:
    """One model, compiled once: both, the table without the estimate, and the other way round."""
    data = alone(make_data, TWO, odds_ratio=(ODDS, ODDS, 0.95))
    sampler = Sampler(build_model(data, WIDE))
    log_n = np.linspace(np.log(TWO.observed) + 1e-3, np.log(20_000), 400)
    error = log_n - np.log(400)
    below, above = np.log(400 / 300) / 1.959964, np.log(600 / 400) / 1.959964
    estimate = stats.norm.logpdf(error / np.where(error < 0, below, above))
    table, prior = two_lists(log_n), log_prior(log_n)
    for ids, likelihood in (
        (("lists", "row0"), table + estimate), (("lists",), table), (("row0",), estimate)
    ):  # fmt: skip
        some = data.including(ids)
        tree = sample(some, sampler)
        assert_quantiles(users(tree), quantiles(log_n, prior + likelihood))
    assert np.isfinite(tree["posterior"]["pointwise"]).all()


# --- the family loglinear on the same table -----------------------------------------------------


@pytest.mark.recovery
@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "dependence"),
    [(TABLE, {}), (TOTALS, {}), (MANY, {"odds_ratio": (1.0, 5.0, 0.95)})],
    ids=["table", "few", "many"],
)
def test_a_table_alone_says_what_the_family_loglinear_says(
    make_data: MakeData, table: OverlapTable | Margins, dependence: dict[str, Any]
) -> None:
    """Under the same prior on N: so wide a normal of logits is one of logarithms."""
    median, spread = 4 * table.observed, 1.2
    low, high = median * np.exp(np.array([-1, 1]) * 1.959964 * spread) / RESIDENTS
    priors = replace(WIDE, prevalence=(low, high, 0.95))
    data = alone(make_data, table, **dependence)
    tree = sample(data, Sampler(build_model(data, priors)))
    size = SizePrior("lognormal", median, median * float(np.exp(P90 * spread)))
    other = loglinear.Priors(size_prior=size, **dependence)
    theirs = Sampler(loglinear.build_model(table, other)).sample(
        loglinear.values(table, other), LONG
    )
    theirs = loglinear.finish(theirs, table, other, np.random.default_rng(3))
    assert judge(theirs).passed, str(judge(theirs))
    people = theirs["posterior"]["N"].to_numpy()
    people = people + np.random.default_rng(4).uniform(-0.5, 0.5, people.shape)
    for p in PROBABILITIES:
        gap = np.quantile(users(tree), p) - np.quantile(people, p)
        errors = [float(az.mcse(x, method="quantile", prob=p)) for x in (users(tree), people)]
        assert abs(gap) < 4 * np.hypot(*errors), f"{p}: {gap}, {errors}"
