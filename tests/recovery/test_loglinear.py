"""Posteriors of the log-linear model against closed forms, importance sampling and a simulator."""

from collections.abc import Callable
from itertools import product

import arviz as az
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy import optimize, stats
from scipy.special import betaln, gammaln, logsumexp

from hiddenpop.families import loglinear as family
from hiddenpop.families.loglinear import Priors
from hiddenpop.families.simulation.loglinear import draw_truth, simulate
from hiddenpop.inference import Sampler, judge
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling

__all__: list[str] = []

PROBABILITIES = (0.025, 0.5, 0.975)
LONG = Sampling(draws=2500, tune=1000, target_accept=0.95, seed=11)
PAIRS = ((0, 1), (0, 2), (1, 2))


def sample(
    data: OverlapTable | Margins, priors: Priors, sampler: Sampler | None = None
) -> xr.DataTree:
    """A fit that passed its gates."""
    sampler = sampler or Sampler(family.build_model(data, priors))
    tree = sampler.sample(family.values(data, priors), LONG)
    tree = family.finish(tree, data, priors, np.random.default_rng(LONG.seed))
    assert judge(tree).passed, str(judge(tree))
    return tree


def total(tree: xr.DataTree) -> np.ndarray:
    """N of all strata together, (chain, draw)."""
    drawn = tree["posterior"]["N"]
    return drawn.sum([dim for dim in drawn.dims if dim not in ("chain", "draw")]).to_numpy()


def smooth(people: np.ndarray) -> np.ndarray:
    """Whole numbers spread over the unit around them, so that quantiles do not jump."""
    return people + np.random.default_rng(4).uniform(-0.5, 0.5, people.shape)


def assert_agrees(
    draws: np.ndarray, x: npt.ArrayLike, weight: npt.ArrayLike, error: float = 0.0
) -> None:
    """Mean of log N and quantiles within 4 Monte Carlo errors of points that carry weights.

    `error` is the relative Monte Carlo error of the points themselves, in sds of their mean.
    """
    x, weight = np.asarray(x, dtype=float), np.asarray(weight, dtype=float)
    order = np.argsort(x)
    x, mass = x[order], weight[order] / weight.sum()
    log_mean = mass @ np.log(x)
    log_sd = np.sqrt(mass @ (np.log(x) - log_mean) ** 2)
    gap = np.log(draws).mean() - log_mean
    allowed = 4 * np.hypot(float(az.mcse(np.log(draws), method="mean")), error * log_sd)
    assert abs(gap) < allowed, f"mean of log N is off by {gap}, allowed {allowed}"
    middle = np.cumsum(mass) - mass / 2
    for p in PROBABILITIES:
        exact = np.interp(p, middle, x)
        # The points' own error, from the slope of their quantiles.
        slope = np.diff(np.interp([p - 0.01, p + 0.01], middle, x))[0] / 0.02
        own = error * np.sqrt(p * (1 - p)) * slope
        theirs = float(az.mcse(draws, method="quantile", prob=p))
        allowed = 4 * np.hypot(theirs, own)
        found = np.quantile(draws, p)
        assert abs(found - exact) < allowed, f"{p}: {found} for {exact}, allowed {allowed}"


# --- independent lists -------------------------------------------------------------------------


def independence(totals: npt.ArrayLike, n: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """p(N) ~ 1/N N!/(N - n)! prod_j B(n_j + beta, N - n_j + beta), every N up to 40 n."""
    N = np.arange(n, 40 * n)
    t = np.asarray(totals, dtype=float)[:, None]
    log_mass = gammaln(N) - gammaln(N - n + 1) + betaln(t + beta, N - t + beta).sum(0)
    return N, np.exp(log_mass - logsumexp(log_mass))


@pytest.mark.recovery
@pytest.mark.parametrize("name", ["spina_agg", "HIV"])
@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_without_interactions_the_posterior_is_the_closed_form(
    name: str, beta: float, reference_table: Callable[..., OverlapTable]
) -> None:
    data = reference_table(name)
    tree = sample(data, Priors(order=1, list_beta=beta))
    assert_agrees(smooth(total(tree)), *independence(data.list_totals, data.observed, beta))


@pytest.mark.recovery
@pytest.mark.parametrize(
    ("totals", "distinct"), [((2905, 1188, 531), 4117), ((40, 22, 15), 66)], ids=["normal", "exact"]
)
def test_independent_margins_have_the_same_closed_form(
    totals: tuple[int, int, int], distinct: int
) -> None:
    data, priors = Margins(("A", "B", "C"), totals, distinct), Priors(order=1)
    tree = sample(data, priors)
    assert_agrees(smooth(total(tree)), *independence(totals, distinct, priors.list_beta))


# --- three lists with fixed normal priors, by importance sampling ------------------------------


def shares(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log shares of the seven seen histories (codes 1 to 7), and log odds of being unseen."""
    on = np.array([[(code >> j) & 1 for j in range(3)] for code in range(1, 8)], dtype=float)
    both = np.array([on[:, j] * on[:, k] for j, k in PAIRS])
    log_odds = a @ on.T + b @ both
    seen = logsumexp(log_odds, axis=-1)
    return log_odds - seen[..., None], -seen


Likelihood = Callable[[np.ndarray, np.ndarray], np.ndarray]


def importance(
    log_posterior: Callable[[np.ndarray], np.ndarray], size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Draws of (a, b) from a t distribution at the mode, log weights, 1 / sqrt(ESS)."""
    fit = optimize.minimize(lambda x: -log_posterior(x[None])[0], np.r_[[-1.0] * 3, [0.0] * 3])
    step = 1e-3
    eye = np.eye(6) * step
    hessian = np.array(
        [[(log_posterior((fit.x + u + v)[None]) - log_posterior((fit.x + u - v)[None])
           - log_posterior((fit.x - u + v)[None]) + log_posterior((fit.x - u - v)[None]))[0]
          / (4 * step**2) for v in eye] for u in eye]
    )  # fmt: skip
    proposal = stats.multivariate_t(fit.x, 1.3 * np.linalg.inv(-hessian), df=5, seed=rng)
    x = proposal.rvs(size)
    log_weight = log_posterior(x) - proposal.logpdf(x)
    weight = np.exp(log_weight - log_weight.max())
    ess = weight.sum() ** 2 / (weight**2).sum()
    assert ess > 0.2 * size
    return x, weight, float(1 / np.sqrt(ess))


@pytest.mark.recovery
def test_a_small_table_with_known_scales_matches_importance_sampling() -> None:
    cells = {"100": 25, "010": 18, "001": 12, "110": 7, "101": 3, "011": 1, "111": 2}
    data, priors = OverlapTable.from_counts("ABC", cells), Priors(interaction_sd=0.5, list_beta=0.5)
    n = np.array([cells["".join(str((code >> j) & 1) for j in range(3))] for code in range(1, 8)])

    def log_posterior(x: np.ndarray) -> np.ndarray:
        a, b = x[:, :3], x[:, 3:]
        log_share, _ = shares(a, b)
        prior = 0.5 * (a - 2 * np.logaddexp(0, a)).sum(1) - 0.5 * ((b / 0.5) ** 2).sum(1)
        return np.asarray(log_share @ n + prior)

    rng = np.random.default_rng(8)
    x, weight, error = importance(log_posterior, 200_000, rng)
    _, log_odds = shares(x[:, :3], x[:, 3:])
    unseen = rng.negative_binomial(n.sum(), 1 / (1 + np.exp(log_odds)))
    tree = sample(data, priors)
    assert_agrees(smooth(total(tree)), smooth(n.sum() + unseen), weight, error)
    links = np.exp(tree["posterior"]["interaction"].to_numpy())
    for k in range(3):
        assert_agrees(links[..., k], np.exp(x[:, 3 + k]), weight, error)


@pytest.mark.recovery
def test_a_bracketed_and_an_unknown_cell_match_importance_sampling() -> None:
    """Given the bracketed count k the table is exact: a mixture over k, with p(N) = 1/N."""
    low, high = 1, 8
    cells = {"100": 40, "010": 30, "001": 16, "110": 12, "101": (low, high), "011": 5,
             "111": (0, np.inf)}  # fmt: skip
    data, priors = OverlapTable.from_counts("ABC", cells), Priors(interaction_sd=0.4)
    n, known = np.array([40, 30, 12, 16, 5]), np.array([0, 1, 2, 3, 5])  # places of codes
    k = np.arange(low, high + 1)

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log weight of each k, (draw, k), and odds of not being in a counted cell, (draw,)."""
        log_share, log_odds = shares(x[:, :3], x[:, 3:])
        inside = logsumexp(log_share[:, [*known, 4]], axis=1)
        of_k = log_share[:, [4]] * k - (n.sum() + k) * inside[:, None]
        ways = gammaln(n.sum() + k) - gammaln(k + 1)
        odds = (np.exp(log_odds) + np.exp(log_share[:, 6])) / np.exp(inside)
        return (log_share[:, known] @ n)[:, None] + of_k + ways, odds

    def log_posterior(x: np.ndarray) -> np.ndarray:
        a, b = x[:, :3], x[:, 3:]
        prior = priors.list_beta * (a - 2 * np.logaddexp(0, a)).sum(1)
        return np.asarray(logsumexp(parts(x)[0], axis=1) + prior - 0.5 * ((b / 0.4) ** 2).sum(1))

    rng = np.random.default_rng(9)
    x, weight, error = importance(log_posterior, 200_000, rng)
    log_k, odds = parts(x)
    chance = np.exp(log_k - logsumexp(log_k, axis=1)[:, None])
    drawn = low + (np.cumsum(chance, axis=1) < rng.random((len(x), 1))).sum(1)
    N = n.sum() + drawn + rng.negative_binomial(n.sum() + drawn, 1 / (1 + odds))
    assert_agrees(smooth(total(sample(data, priors))), smooth(N), weight, error)


@pytest.mark.recovery
def test_few_margins_match_importance_sampling_over_the_lattice() -> None:
    data = Margins(("A", "B", "C"), (24, 15, 9), 38)
    priors = Priors(odds_ratio=(0.5, 6.0, 0.95), odds_ratio_shared=0.0)
    sd, mean = np.log(12) / 2 / stats.norm.ppf(0.975), np.log(3) / 2
    tables = np.array(
        [(24 - ab - ac - abc, 15 - ab - bc - abc, ab, 9 - ac - bc - abc, ac, bc, abc)
         for ab, ac, bc, abc in product(range(16), range(10), range(10), range(10))]
    )  # fmt: skip
    tables = tables[(tables >= 0).all(1) & (tables.sum(1) == data.distinct)]

    def log_posterior(x: np.ndarray) -> np.ndarray:
        a, b = x[:, :3], x[:, 3:]
        log_share, _ = shares(a, b)
        likelihood = logsumexp(log_share @ tables.T - gammaln(tables + 1).sum(1), axis=1)
        prior = priors.list_beta * (a - 2 * np.logaddexp(0, a)).sum(1)
        return np.asarray(likelihood + prior - 0.5 * (((b - mean) / sd) ** 2).sum(1))

    rng = np.random.default_rng(10)
    x, weight, error = importance(log_posterior, 40_000, rng)
    _, log_odds = shares(x[:, :3], x[:, 3:])
    unseen = rng.negative_binomial(data.distinct, 1 / (1 + np.exp(log_odds)))
    drawn = smooth(total(sample(data, priors)))
    assert_agrees(drawn, smooth(data.distinct + unseen), weight, error)


# --- a simulator -------------------------------------------------------------------------------


@pytest.mark.recovery
@pytest.mark.slow
def test_sizes_of_simulated_populations_lie_in_their_intervals(
    reference_table: Callable[..., OverlapTable],
) -> None:
    """Eight tables by stratum with a bracket in each: fewer than 5 hits happen 1 time in 2,700."""
    data, priors = reference_table("ScotPWID"), Priors(interaction_scale=0.3, between=0.3)
    sampler = Sampler(family.build_model(data, priors))
    rng, hits = np.random.default_rng(12), 0
    for _ in range(8):
        truth = draw_truth(data, priors, rng)
        made = simulate(truth, rng)
        tree = sampler.sample(family.values(made, priors), Sampling(draws=1000, tune=1000, seed=3))
        tree = family.finish(tree, made, priors, rng)  # type: ignore[arg-type]
        low, high = np.quantile(total(tree), [0.025, 0.975])
        hits += int(low <= truth.N <= high)
    assert hits >= 5
