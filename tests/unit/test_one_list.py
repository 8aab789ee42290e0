"""One list: probabilities, the posterior against a grid, invariances, refusals, the simulator."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import logsumexp
from scipy.stats import nbinom, norm

from hiddenpop.families import one_list
from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths import truncated_counts
from hiddenpop.families.maths.adaptive_importance import sample
from hiddenpop.families.maths.repeat_estimates import chao, log_normal_interval
from hiddenpop.families.maths.truncated_counts import (
    MODELS,
    Records,
    gradient,
    log_likelihood,
    log_probability,
    maximise,
    unseen_odds,
)
from hiddenpop.families.maths.unseen_number import UnseenNumber
from hiddenpop.families.one_list_report import likelihood_estimates
from hiddenpop.families.repeat_design import design_of, prior_covariance
from hiddenpop.families.simulation import one_list as simulation
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Sampling

__all__: list[str] = []

PRIORS = one_list.Priors()
PLAIN = RepeatTable(
    np.array([1, 2, 3, 4]), np.array([120.0, 40.0, 12.0, 3.0]), pd.DataFrame(index=range(4))
)
RICH = RepeatTable(
    np.array([1, 1, 1, 2, 2, 2, 3, 1, 4]),
    np.array([80.0, 60, 50, 22, 12, 18, 9, 20, 2]),
    pd.DataFrame(
        {
            "sex": ["f", "m", "m", "f", "m", "m", "f", "f", "m"],
            "age": [20.0, 30, 45, 20, 30, 45, 30, 60, 20],
        }
    ),
)


def posterior(data: RepeatTable, priors: one_list.Priors = PRIORS, seed: int = 1) -> xr.DataTree:
    assert one_list.refusal(data, priors) is None
    return one_list.posterior(data, priors, Sampling(seed=seed))


def unseen_of(tree: xr.DataTree) -> Discrete:
    group = tree["distribution"]
    return Discrete(group["unseen"].to_numpy(), group["probability"].to_numpy())


@pytest.fixture(scope="module")
def rich() -> xr.DataTree:
    return posterior(RICH)


def parameters(name: str, rng: np.random.Generator, columns: int = 2) -> np.ndarray:
    return rng.normal(-0.3, 0.6, size=columns + MODELS[name].extra)


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_of_who_was_seen_sum_to_one(name: str, rng: np.random.Generator) -> None:
    theta = parameters(name, rng)
    times = np.arange(1, 400)
    design = np.tile([1.0, 0.4], (len(times), 1))
    chances = np.exp(log_probability(MODELS[name], theta[None], design, times))
    assert chances.sum() == pytest.approx(1, abs=1e-9)


def test_the_negative_binomial_holds_the_geometric_and_the_poisson(
    rng: np.random.Generator,
) -> None:
    times, design = np.arange(1, 9), np.ones((8, 1))
    for other, log_alpha, tolerance in (("ztgeom", 0.0, 1e-12), ("ztpoisson", -16.0, 1e-5)):
        theta = np.array([[0.3, log_alpha]])
        one = log_probability(MODELS["ztnegbin"], theta, design, times)
        two = log_probability(MODELS[other], theta[:, :1], design, times)
        np.testing.assert_allclose(one, two, rtol=tolerance, atol=tolerance)
    mass = nbinom.pmf(times, 1 / 0.7, 1 / (1 + 0.7 * np.exp(0.3)))
    below = nbinom.pmf(0, 1 / 0.7, 1 / (1 + 0.7 * np.exp(0.3)))
    theta = np.array([[0.3, np.log(0.7)]])
    made = np.exp(log_probability(MODELS["ztnegbin"], theta, design, times))[0]
    np.testing.assert_allclose(made, mass / (1 - below), rtol=1e-12)
    odds = unseen_odds(MODELS["ztnegbin"], theta, design[:1])
    assert odds[0, 0] == pytest.approx(below / (1 - below), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_exact(name: str, rng: np.random.Generator) -> None:
    records = design_of(RICH).records
    target = log_likelihood(MODELS[name], records)
    theta = parameters(name, rng, records.design.shape[1])
    step = 1e-6 * np.eye(len(theta))
    numeric = [(target((theta + s)[None]) - target((theta - s)[None]))[0] / 2e-6 for s in step]
    np.testing.assert_allclose(gradient(target, theta), numeric, rtol=1e-6, atol=1e-5)


def test_no_maximum_is_said_to_exist_where_there_is_none() -> None:
    # Nobody seen twice: the rate runs to 0.
    once = Records(np.array([1]), np.array([9.0]), np.ones((1, 1)))
    with pytest.raises(ArithmeticError):
        maximise(log_likelihood(MODELS["ztpoisson"], once), np.array([-1.0]))


@pytest.mark.parametrize("name", ["ztpoisson", "ztgeom"])
@pytest.mark.parametrize(
    "prior",
    ["1/N", "uniform:300", pytest.param("lognormal:300,500", marks=pytest.mark.slow), "gamma:9,20"],
)
def test_the_posterior_without_covariates_is_that_of_a_grid(name: str, prior: str) -> None:
    """Brute force over the log rate and every number of unseen people."""
    size_prior = SizePrior.parse(prior)
    base = {"ztpoisson": "poisson", "ztgeom": "geometric"}[name]
    tree = posterior(PLAIN, one_list.Priors((base,), size_prior=size_prior))
    eta = np.linspace(-3.5, 3.5, 7001)[:, None]
    likelihood = log_likelihood(MODELS[name], design_of(PLAIN).records)
    log_mass = likelihood(eta) + norm.logpdf(eta[:, 0], 0, 3)
    evidence = logsumexp(log_mass) + np.log(7 / 7000)
    mass = np.exp(log_mass - logsumexp(log_mass))
    odds = unseen_odds(MODELS[name], eta, np.ones((1, 1)))[:, 0]
    kept = mass > 1e-40
    number = np.arange(3000)
    given = nbinom.pmf(number[:, None], 175, 1 / (1 + odds[kept]))
    chances = given @ mass[kept]
    ratio = np.exp(size_prior.log_density(175.0 + number)) * (175.0 + number)
    chances *= ratio
    found = unseen_of(tree)
    cumulative = np.cumsum(chances / chances.sum())
    ess = tree.attrs["importance_ess"]
    for q in (0.025, 0.25, 0.5, 0.75, 0.975):
        at = float(np.interp(found.quantile(q), number, cumulative))
        below = float(np.interp(found.quantile(q) - 1, number, cumulative))
        error = 4 * np.sqrt(q * (1 - q) / ess)
        assert below - error < q < at + error
    if prior != "1/N":
        # The evidence has the prior's own scale, which is common to all models.
        evidence += np.log(chances.sum())
    row = tree["models"].to_dataset().sel(model=name)
    assert float(row["log_evidence"]) == pytest.approx(evidence, abs=0.02)


@pytest.mark.parametrize("prior", ["uniform:150", "lognormal:90,300", "gamma:9,20"])
def test_the_number_of_unseen_given_their_odds_is_that_of_every_number(
    prior: str, rng: np.random.Generator
) -> None:
    size_prior = SizePrior.parse(prior)
    number = UnseenNumber(60.0, size_prior.log_density, size_prior.most)
    every = np.arange(20_000)
    for odds in (0.02, 0.7, 4.0):
        terms = nbinom.pmf(every, 60, 1 / (1 + odds)) * (60 + every)
        terms = terms * np.exp(size_prior.log_density(60.0 + every))
        assert number.log_factor(np.array([odds]))[0] == pytest.approx(
            np.log(terms.sum()), abs=0.03
        )
        drawn = number.draw(np.full(20_000, odds), rng)
        cumulative = np.cumsum(terms / terms.sum())
        for q in (0.05, 0.5, 0.95):
            at = np.quantile(drawn, q, method="inverted_cdf")
            below = cumulative[int(at) - 1] if at else 0.0
            error = 4 * np.sqrt(q * (1 - q) / 20_000) + 0.005
            assert below - error < q < cumulative[int(at)] + error


def test_importance_sampling_finds_a_skewed_integral(rng: np.random.Generator) -> None:
    """A gamma variable on the log scale, and a normal one that leans on it."""

    def target(theta: np.ndarray) -> np.ndarray:
        x, y = theta.T
        return np.asarray(1.5 * x - np.exp(x) - 0.5 * (y - x) ** 2)

    mode, information = maximise(target, np.zeros(2))
    found = sample(target, [(mode, information)], rng)
    truth = np.log(np.sqrt(np.pi) / 2 * np.sqrt(2 * np.pi))
    assert found.log_evidence == pytest.approx(truth, abs=0.01)
    assert found.weights @ np.exp(found.draws[:, 0]) == pytest.approx(1.5, abs=0.03)
    assert 1 / (found.weights @ found.weights) > 5000


def test_splitting_and_shuffling_rows_changes_nothing(rich: xr.DataTree) -> None:
    order = np.array([3, 8, 0, 5, 1, 7, 2, 6, 4, 0])
    count = RICH.count.copy()
    count[0] = 30
    count = np.append(count[order][:-1], 50.0)
    shuffled = RepeatTable(RICH.times[order], count, RICH.covariates.iloc[order])
    np.testing.assert_array_equal(
        posterior(shuffled)["posterior"]["N"].to_numpy(), rich["posterior"]["N"].to_numpy()
    )


def test_names_of_levels_and_units_of_numbers_change_nothing(rich: xr.DataTree) -> None:
    frame = RICH.covariates.copy()
    frame["sex"] = frame["sex"].map({"f": "z", "m": "a"})
    frame["age"] = 1900 + 12 * frame["age"]
    other = posterior(replace(RICH, covariates=frame))
    one, two = (unseen_of(tree).quantile(np.array([0.025, 0.5, 0.975])) for tree in (rich, other))
    np.testing.assert_allclose(one, two, rtol=0.02)
    evidence = [tree["models"]["log_evidence"].to_numpy()[:9] for tree in (rich, other)]
    np.testing.assert_allclose(*evidence, atol=0.05)
    sizes = [{name: made["N"] for name, made in _estimates(tree).items()} for tree in (rich, other)]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-6)


def _estimates(tree: xr.DataTree) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(tree["models"].attrs["maximum_likelihood"])
    return found


def test_the_prior_of_log_rates_does_not_depend_on_the_base() -> None:
    design = design_of(RICH)
    covariance = prior_covariance(RICH, design, 3.0, 1.0)
    spread = design.records.design @ covariance @ design.records.design.T
    age = RICH.covariates["age"].to_numpy()
    mean = np.average(age, weights=RICH.count)
    sd = np.sqrt(np.average((age - mean) ** 2, weights=RICH.count))
    raw_age = (design.raw[:, 2] - mean) / sd
    same_sex = design.raw[:, 1][:, None] == design.raw[:, 1]
    np.testing.assert_allclose(spread, 9 + same_sex + np.outer(raw_age, raw_age), rtol=1e-9)


def test_the_design_has_treatment_contrasts_and_plain_numbers() -> None:
    design = design_of(RICH)
    assert design.names == ("(Intercept)", "sexm", "age")
    np.testing.assert_allclose(design.raw @ design.back, design.records.design)
    assert np.unique(design.raw[:, 2]).tolist() == [20, 30, 45, 60]
    assert design.people.sum() == RICH.observed
    made = _estimates(posterior(RICH))["ztpoisson"]["coefficients"]
    raw = Records(design.records.times, design.records.people, design.raw)
    slope = gradient(log_likelihood(MODELS["ztpoisson"], raw), np.array([*made.values()]))
    assert np.abs(slope).max() < 1e-3


def test_models_are_shown_and_bounds_are_never_averaged(rich: xr.DataTree) -> None:
    rows = rich["models"].to_dataset().to_dataframe()
    assert rows["weight"].sum() == pytest.approx(1)
    assert set(rows.index) == {*MODELS, "chao", "zelterman"}
    kinds = rows["kind"]
    assert set(kinds[kinds == "averaged"].index) == {"ztpoisson", "ztgeom"}
    assert (rows.loc[kinds != "averaged", "weight"] == 0).all()
    assert set(kinds[kinds == "bound"].index) == {"chao", "zelterman"}
    assert (rows["low"] <= rows["median"]).all()
    assert (rows["low"] >= RICH.observed).all()
    inflated = posterior(RICH, one_list.Priors(("poisson", "negbin"), one_inflation=True))
    rows = inflated["models"].to_dataset().to_dataframe()
    used = {name for name in MODELS if not name.endswith("geom")}
    assert set(rows.index[rows["kind"] == "averaged"]) == used
    assert rows["weight"].sum() == pytest.approx(1)
    # A share who can be seen once only leaves fewer unseen.
    assert rows.loc["oiztpoisson", "median"] < rows.loc["ztpoisson", "median"]


def test_the_notes_hold_the_numbers(rich: xr.DataTree) -> None:
    said = " ".join(json.loads(rich.attrs["notes"]))
    rows = rich["models"].to_dataset().to_dataframe()
    assert f"({rows.loc['ztpoisson', 'median']:,.0f}) is a lower bound" in said
    once, twice = (RICH.count[RICH.times == k].sum() for k in (1, 2))
    assert f"{RICH.observed + once * (once - 1) / (2 * (twice + 1)):,.0f} without" in said
    excess = RepeatTable(
        np.array([1, 2, 3, 4, 5, 6]), np.array([400.0, 30, 35, 30, 22, 10]),
        pd.DataFrame(index=range(6)),
    )  # fmt: skip
    said = " ".join(json.loads(posterior(excess).attrs["notes"]))
    assert "There are more people seen once than" in said
    assert "It is not part of the average." in said
    said = " ".join(
        json.loads(posterior(excess, one_list.Priors(one_inflation=True)).attrs["notes"])
    )
    assert "It is part of the average." in said


def test_expected_frequencies_add_up(rich: xr.DataTree) -> None:
    fitted = rich["fitted"].to_dataset().to_dataframe()
    assert fitted.index.tolist() == ["1", "2", "3", "4", "5+"]
    assert fitted["observed"].sum() == RICH.observed
    assert fitted["expected"].sum() == pytest.approx(RICH.observed)
    assert fitted.loc["1", "expected"] == pytest.approx(210, rel=0.05)


def test_a_group_that_was_never_seen_twice_has_a_posterior_but_no_estimate() -> None:
    data = RepeatTable(
        np.array([1, 2, 1]), np.array([50.0, 9, 6]), pd.DataFrame({"who": ["a", "a", "b"]})
    )
    tree = posterior(data)
    assert "ztpoisson" not in _estimates(tree)
    assert "chao" not in tree["models"]["model"].to_numpy()
    assert float(tree["posterior"]["N"].min()) >= 65
    assert tree.attrs["importance_ess"] > 400


@pytest.mark.parametrize(
    ("data", "priors", "code"),
    [
        (RepeatTable(np.array([1, 2]), np.array([9.0, 0]), pd.DataFrame(index=range(2))), PRIORS,
         "one-list-no-repeats"),
        (replace(RICH, covariates=RICH.covariates.assign(years=RICH.covariates["age"])), PRIORS,
         "one-list-collinear"),
        (replace(RICH, covariates=RICH.covariates.assign(always=3.0)), PRIORS,
         "one-list-collinear"),
        (PLAIN, one_list.Priors(size_prior=SizePrior.parse("uniform:175")),
         "one-list-size-prior"),
    ],
)  # fmt: skip
def test_refusals(data: object, priors: one_list.Priors, code: str) -> None:
    refusal = one_list.refusal(data, priors)
    assert refusal is not None
    assert refusal.code == code
    for words in messages()[code]:
        assert words.format(**{"family": "one-list", **refusal.values})


@pytest.mark.parametrize(
    "wrong",
    [
        {"distributions": ()}, {"distributions": ("binomial",)}, {"intercept_sd": 0.0},
        {"coefficient_sd": -1.0}, {"dispersion_sd": np.inf},
    ],
)  # fmt: skip
def test_impossible_priors_are_refused_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        one_list.Priors(**wrong)


def test_bounds_and_intervals_by_hand() -> None:
    assert chao(6, 4) == 3.0
    low, high = log_normal_interval(100, 150, 400)
    assert (low - 100) * (high - 100) == pytest.approx(2500)
    assert np.log((high - 100) / 50) == pytest.approx(1.959964 * np.sqrt(np.log(1.16)), rel=1e-6)
    plain = likelihood_estimates(design_of(PLAIN))
    # Without covariates lambda = 2 f_2 / f_1: Chao adds f_1^2 / (2 f_2), each of the 160 seen
    # once or twice standing for 1 / (lambda + lambda^2 / 2).
    assert plain["chao"].size == pytest.approx(175 + 120**2 / (2 * 40))
    assert plain["zelterman"].size == pytest.approx(175 / (1 - np.exp(-2 * 40 / 120)))


@pytest.mark.parametrize("distribution", ["poisson", "geometric", "negbin"])
@pytest.mark.parametrize("inflation", ["", "everybody", "seen"])
def test_simulated_captures_have_the_models_probabilities(
    distribution: str, inflation: str, rng: np.random.Generator
) -> None:
    truth = simulation.Truth(400_000, distribution, inflation, 0.3, -0.2, {}, 0.6, PLAIN)
    made = simulation.simulate(truth, rng)
    kind = {"": "", "everybody": "before", "seen": "after"}[inflation]
    (model,) = (m for m in MODELS.values() if m.base == distribution and m.inflation == kind)
    extra = [np.log(0.3 / 0.7)] * bool(kind) + [np.log(0.6)] * (distribution == "negbin")
    theta = np.array([[-0.2, *extra]])
    times = np.arange(1, 8)
    chances = np.exp(log_probability(model, theta, np.ones((7, 1)), times))[0]
    found = made.frequencies[1:8] / made.observed
    error = 4 * np.sqrt(chances * (1 - chances) / made.observed)
    assert np.all(np.abs(found - chances) < error)
    unseen = unseen_odds(model, theta, np.ones((1, 1)))[0, 0] * made.observed
    assert truth.N - made.observed == pytest.approx(unseen, rel=0.02)


def test_a_known_population_is_found(rng: np.random.Generator) -> None:
    truth = simulation.Truth(
        3000, "poisson", "", 0.0, -0.6, {"sex": {"f": 0.4, "m": -0.4}, "age": {"": 0.2}}, 1.0, RICH
    )
    tree = posterior(simulation.simulate(truth, rng), one_list.Priors(distributions=("poisson",)))
    low, high = tree.attrs["observed"] + unseen_of(tree).quantile(np.array([0.005, 0.995]))
    assert low < truth.N < high


def test_truths_are_drawn_around_the_table(rng: np.random.Generator) -> None:
    priors = one_list.Priors(one_inflation=True)
    for _ in range(20):
        truth = simulation.draw_truth(RICH, priors, rng)
        made = simulation.simulate(truth, rng)
        assert 1.3 * RICH.observed <= truth.N <= 4 * RICH.observed + 1
        assert made.observed <= truth.N
        assert list(made.covariates) == ["sex", "age"]
        assert set(truth.effects["sex"]) == {"f", "m"}
    assert truncated_counts.MODELS["oiztnegbin"].extra == 2
