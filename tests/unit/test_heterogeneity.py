"""People who differ in visibility: against closed forms, sums over people's chances, and papers."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import betaln, gammaln

from hiddenpop.families import heterogeneity
from hiddenpop.families.exact import Discrete
from hiddenpop.families.heterogeneity import MODELS, Priors
from hiddenpop.families.maths.visibility import Seen, log_cells, log_likelihood, mixing
from hiddenpop.families.simulation import heterogeneity as simulation
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table

__all__: list[str] = []

SMALL = OverlapTable.from_counts(
    ("a", "b", "c"), {"100": 9, "010": 7, "110": 4, "001": 8, "101": 3, "011": 4, "111": 3}
)


def fit(table: OverlapTable, **options: object) -> SizeEstimate:
    return fit_table(table, "heterogeneity", options=options, sampling=Sampling(seed=11))


def close(found: SizeEstimate, truth: Discrete, observed: float) -> None:
    """Quantiles within four Monte Carlo errors: of a share p the error is sqrt(p(1-p)/m)."""
    exact = found.distribution
    assert exact is not None
    draws = float(found.tree.attrs["importance_ess"])
    below = np.cumsum(exact.probability)
    for share in (0.025, 0.25, 0.5, 0.75, 0.975):
        place = np.searchsorted(exact.unseen, truth.quantile(share), side="right") - 1
        # The truth's step at its quantile is a whole number wide.
        step = np.interp(truth.quantile(share), truth.unseen, truth.probability)
        assert abs(below[place] - share) < 4 * np.sqrt(share * (1 - share) / draws) + step


def independent(table: OverlapTable, prior: SizePrior, most: int) -> Discrete:
    """Lists alike for everybody, uniform chances: the closed form for k lists."""
    unseen = np.arange(most, dtype=float)
    size = table.observed + unseen
    log = prior.log_density(size) + gammaln(size + 1) - gammaln(unseen + 1)
    for total in table.list_totals:
        log += betaln(total + 1, size - total + 1)
    return Discrete.from_log(unseen, log)


@pytest.mark.parametrize("prior", ["1/N", "gamma:4,30", "lognormal:100,300"])
def test_without_differences_it_is_the_closed_form_of_independent_lists(prior: str) -> None:
    size_prior = SizePrior.parse(prior)
    found = fit(SMALL, models=("Mt",), size_prior=size_prior)
    close(found, independent(SMALL, size_prior, 5_000), SMALL.observed)


def test_the_closed_form_also_on_a_large_table(
    reference_table: Callable[..., OverlapTable],
) -> None:
    table = reference_table("HIV")
    close(fit(table, models=("Mt",)), independent(table, SizePrior(), 60_000), table.observed)


@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_quadrature_agrees_with_a_crowd(kind: str) -> None:
    rng = np.random.default_rng(5)
    beta, sigma = np.array([-0.5, -1.5, -2.0]), 1.3
    z = rng.normal(size=400_000)
    if kind == "skewed":
        z = (np.log(rng.exponential(size=400_000)) + np.euler_gamma) * np.sqrt(6) / np.pi
    chance = 1 / (1 + np.exp(-(beta + sigma * z[:, None])))
    cells = log_cells(beta[None], np.array([sigma]), mixing(kind))[0]
    for history in ([0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1]):
        mark = np.array(history)
        each = np.prod(np.where(mark == 1, chance, 1 - chance), axis=1)
        error = each.std() / np.sqrt(len(each))
        predicted = np.exp(mark @ beta + cells[mark.sum()])
        assert abs(predicted - each.mean()) < 4 * error


@pytest.mark.parametrize("model", ["Mth normal", "Mth skewed", "Mh normal", "Mh beta"])
def test_the_posterior_agrees_with_draws_from_the_prior(model: str) -> None:
    """Likelihood weighting: parameters from the prior, every cell from a crowd's chances."""
    rng = np.random.default_rng(6)
    draws, share = 300_000, (np.arange(120) + 0.5) / 120
    lists = 3
    if model == "Mh beta":
        mean, rho = rng.random(draws), rng.beta(1, 4, draws)
        size = 1 / np.maximum(rho, 1e-6) - 1
        a, b = mean * size, (1 - mean) * size
        cell = [np.exp(betaln(a + k, b + lists - k) - betaln(a, b)) for k in range(lists + 1)]
        log_weight = sum(n * np.log(cell[label.count("1")]) for label, n in
                         zip(SMALL.labels, SMALL.low, strict=True))  # fmt: skip
        unseen = cell[0]
    else:
        from scipy.special import ndtri

        z = np.log(-np.log1p(-share)) if "skewed" in model else ndtri(share)
        z = (z - z.mean()) / z.std()
        centre = rng.random((draws, 1 if model == "Mh normal" else lists))
        logit = np.log(centre / (1 - centre)) * np.ones(lists)
        sigma = np.abs(rng.normal(size=draws))
        log_weight, unseen = np.zeros(draws), np.zeros(draws)
        for start in range(0, draws, 20_000):
            part = slice(start, start + 20_000)
            chance = 1 / (1 + np.exp(-(logit[part, None] + (sigma[part, None] * z)[..., None])))
            for label, count in (*zip(SMALL.labels, SMALL.low, strict=True), ("000", 0)):
                on = np.array([mark == "1" for mark in label])
                p = np.where(on, chance, 1 - chance).prod(axis=2).mean(axis=1)
                if label == "000":
                    unseen[part] = p
                else:
                    log_weight[part] += count * np.log(p)
    log_weight = log_weight - SMALL.observed * np.log1p(-unseen)
    weight = np.exp(log_weight - log_weight.max())
    n0 = rng.negative_binomial(int(SMALL.observed), np.maximum(1 - unseen, 1e-6))
    found = fit(SMALL, models=(model,)).distribution
    assert found is not None
    below = np.cumsum(found.probability)
    ess = weight.sum() ** 2 / (weight**2).sum()
    assert ess > 2_000
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        edge = found.quantile(quantile)
        reached = below[np.searchsorted(found.unseen, edge)]
        other = weight[n0 <= edge].sum() / weight.sum()
        # Two Monte Carlo samples, and 120 quantiles in place of the whole distribution.
        assert abs(reached - other) < 4 * np.sqrt(quantile * (1 - quantile) / ess) + 0.006


def test_models_are_weighed_by_their_evidence() -> None:
    """People alike and people who differ, each table under its own truth."""
    rng = np.random.default_rng(8)
    alike = simulation.Truth(3000, "Mt", np.full(4, -1.2), 0.0, tuple("abcd"))
    differ = simulation.Truth(
        3000, "Mth normal", np.array([-1.2, -1.5, -2.0, -1.7]), 1.5, tuple("abcd")
    )
    plain = fit(simulation.simulate(alike, rng)).models
    spread = fit(simulation.simulate(differ, rng)).models
    assert plain is not None
    assert spread is not None
    assert set(plain["model"]) == {*MODELS, "Chao's lower bound"}
    weights = dict(zip(spread["model"], spread["weight"], strict=True))
    assert weights["Mth normal"] + weights["Mth skewed"] > 0.99
    assert plain["weight"].sum() == pytest.approx(1)
    bound = plain.set_index("model").loc["Chao's lower bound"]
    assert (bound["weight"], bound["kind"]) == (0, "bound")


def test_fitted_cells_add_up_to_the_people_seen(
    reference_table: Callable[..., OverlapTable],
) -> None:
    fitted = fit(reference_table("kosovo")).fitted
    assert fitted is not None
    assert fitted["expected"].sum() == pytest.approx(4400)
    assert fitted.set_index("history").loc["1000", "observed"] == 1131


def test_the_order_of_lists_changes_no_draw() -> None:
    other = SMALL.permuted([2, 0, 1])
    one, two = fit(SMALL), fit(other)
    np.testing.assert_array_equal(one.draws(), two.draws())


def test_twenty_lists_are_no_obstacle() -> None:
    rng = np.random.default_rng(9)
    names = tuple(f"list {j}" for j in range(20))
    truth = simulation.Truth(2000, "Mth normal", np.full(20, -2.5), 0.7, names)
    table = simulation.simulate(truth, rng)
    found = fit(table, models=("Mth normal",))
    assert found.N().low < 2000 < found.N().high


REFUSED = [
    (Margins(("a", "b", "c"), (9, 8, 7), 18), "heterogeneity-table"),
    (OverlapTable.from_counts(("a", "b"), {"10": 3, "01": 2, "11": 1}), "heterogeneity-lists"),
    (
        OverlapTable.from_counts(("a", "b", "c"), {"100": 3, "010": (0, 4), "111": 1}),
        "heterogeneity-inexact",
    ),
    (
        OverlapTable.from_counts(("a", "b", "c"), {"100": 3, "010": 4, "001": 1}),
        "heterogeneity-no-overlap",
    ),
    (
        OverlapTable.from_counts(("a", "b", "c"), {"100": 3, "010": 4, "110": 1}),
        "heterogeneity-list-empty",
    ),
]


@pytest.mark.parametrize(("data", "code"), REFUSED, ids=[code for _, code in REFUSED])
def test_what_it_cannot_use_is_refused(data: OverlapTable | Margins, code: str) -> None:
    refusal = heterogeneity.refusal(data, Priors())
    assert refusal is not None
    assert refusal.code == code


def test_a_prior_that_ends_below_the_people_seen_is_refused() -> None:
    refusal = heterogeneity.refusal(SMALL, Priors(size_prior=SizePrior("uniform", 20)))
    assert refusal is not None
    assert refusal.code == "heterogeneity-prior-low"


@pytest.mark.parametrize(
    "options", [{"models": ("Mb",)}, {"models": ()}, {"sigma_scale": 0.0}, {"correlation_beta": -1}]
)
def test_priors_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"models|positive"):
        Priors(**options)  # type: ignore[arg-type]


def test_the_likelihood_of_people_who_are_all_alike_is_that_of_independent_lists() -> None:
    seen = Seen(np.array([14.0, 15.0, 18.0]), np.array([0.0, 24.0, 11.0, 3.0]))
    beta = np.array([[-0.3, 0.2, -1.0]])
    value, unseen = log_likelihood(beta, np.zeros(1), seen, mixing("normal"))
    p = 1 / (1 + np.exp(-beta[0]))
    by_hand = seen.totals @ np.log(p) + (seen.people - seen.totals) @ np.log(1 - p)
    by_hand -= seen.people * np.log(1 - np.prod(1 - p))
    assert unseen[0] == pytest.approx(np.prod(1 - p))
    assert value[0] == pytest.approx(by_hand)


@pytest.mark.slow
@pytest.mark.recovery
def test_intervals_cover_people_who_differ() -> None:
    """60 tables with an sd of 1 on the logit scale: at least 51 of 60 intervals (0.1 % point)."""
    rng = np.random.default_rng(10)
    truth = simulation.Truth(
        2000, "Mth normal", np.array([-1.0, -1.5, -1.2, -2.0]), 1.0, tuple("abcd")
    )
    inside = 0
    for _ in range(60):
        size = fit(simulation.simulate(truth, rng)).N()
        inside += size.low <= truth.N <= size.high
    assert inside >= 51


def test_chaos_bound_holds_where_lists_differ(rng: np.random.Generator) -> None:
    """Where people are alike the bound is N itself; with lists taken for alike it is 40 % above."""
    chance = np.array([0.3, 0.1, 0.03, 0.02])
    on = rng.random((200_000, 4)) < chance
    cells, counts = np.unique(on[on.any(axis=1)].astype(int), axis=0, return_counts=True)
    names = ["".join(map(str, row)) for row in cells]
    table = OverlapTable.from_counts("abcd", dict(zip(names, counts.tolist(), strict=True)))
    assert heterogeneity._chao(table) == pytest.approx(200_000, rel=0.03)
    tired = on & (rng.random((200_000, 1)) < rng.choice([0.3, 1.0], (200_000, 1)))
    cells, counts = np.unique(tired[tired.any(axis=1)].astype(int), axis=0, return_counts=True)
    names = ["".join(map(str, row)) for row in cells]
    table = OverlapTable.from_counts("abcd", dict(zip(names, counts.tolist(), strict=True)))
    assert heterogeneity._chao(table) < 200_000
