"""Two lists: classical estimates, the closed form, dependence by brute force, and refusals."""

from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln, gammaln

from hiddenpop.errors import InputError
from hiddenpop.families.maths.two_lists import (
    Overlap,
    UnseenOdds,
    chapman,
    independent_log_mass,
    lincoln_petersen,
)
from hiddenpop.families.simulation.two_list import Truth, draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.families.two_list import Priors, posterior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, Table, fit_table

__all__: list[str] = []

BANGKOK = Overlap(4064 - 171, 1540 - 171, 171)
"""Methadone clients and police urine tests, Bangkok 1991 (Mastro et al. 1994)."""

LEVELS = np.array([0.005, 0.025, 0.25, 0.5, 0.75, 0.975, 0.995])


def table(
    one: float, two: float, both: float | tuple[float, float], names: tuple[str, ...] = ("A", "B")
) -> OverlapTable:
    return OverlapTable.from_counts(names, {"10": one, "01": two, "11": both})


def fit(data: Table, **options: object) -> SizeEstimate:
    return fit_table(data, "two-list", options=options)


def weights(log_mass: np.ndarray) -> np.ndarray:
    mass = np.exp(log_mass - log_mass.max())
    return np.asarray(mass / mass.sum())


# Classical estimates


def test_classical_estimates_of_known_tables() -> None:
    assert chapman(Overlap(400, 200, 600))[0] == pytest.approx(1333.1115, abs=5e-5)
    assert round(lincoln_petersen(BANGKOK)) == 36_600
    # The published 36,418 is 36,418.56 cut off.
    assert int(chapman(BANGKOK)[0]) == 36_418
    assert lincoln_petersen(Overlap(5, 3, 0)) == np.inf
    assert chapman(Overlap(5, 3, 0))[0] == 6 * 4 - 1


def test_chapman_and_its_error_are_unbiased(rng: np.random.Generator) -> None:
    # Exactly so for fixed list sizes that add up to N at least (Seber 1970).
    people, first, second = 900, 500, 450
    both = rng.hypergeometric(first, people - first, second, 40_000)
    found = np.array([chapman(Overlap(first - m, second - m, m)) for m in both])
    assert found[:, 0].mean() == pytest.approx(people, abs=4 * found[:, 0].std() / 200)
    assert np.mean(found[:, 1] ** 2) == pytest.approx(found[:, 0].var(), rel=0.04)


def test_classical_estimates_stand_beside_the_posterior() -> None:
    found = fit(table(*BANGKOK))
    assert found.tree.attrs["lincoln_petersen"] == pytest.approx(36_599.766, abs=1e-3)
    assert found.tree.attrs["chapman"] == pytest.approx(36_418.564, abs=1e-3)
    assert found.tree.attrs["chapman_se"] == pytest.approx(2_554.018, abs=1e-3)
    assert "Lincoln-Petersen gives 36,600, Chapman 36,419 (standard error 2,554)" in found.notes[0]


# Independent lists


@pytest.mark.parametrize("counts", [BANGKOK, Overlap(60, 49, 4), Overlap(200, 400, 600)])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 0.5), (2.0, 7.0)])
@pytest.mark.parametrize("text", ["1/N", "lognormal:3000,9000", "uniform:60000"])
def test_independent_lists_against_a_sum_over_every_number(
    counts: Overlap, a: float, b: float, text: str
) -> None:
    prior = SizePrior.parse(text)
    unseen = np.arange(min(prior.most - counts.observed, 1e6) + 1)
    people = counts.observed + unseen
    # Independent lists, written out.
    log_mass = prior.log_density(people) + gammaln(people + 1) - gammaln(unseen + 1)
    for size in (counts.one + counts.both, counts.two + counts.both):
        log_mass += betaln(size + a, people - size + b)
    share = weights(log_mass)
    found = fit(table(*counts), a=a, b=b, size_prior=prior, independent=True)
    assert found.distribution is not None
    np.testing.assert_array_equal(
        found.distribution.quantile(LEVELS), np.searchsorted(np.cumsum(share), LEVELS)
    )
    assert found.distribution.mean == pytest.approx(float(unseen @ share), rel=1e-4)
    assert found.tree.attrs["independent_median"] == found.N().median
    assert any("Independence was set, not found" in note for note in found.notes)


EDGES = [
    BANGKOK, Overlap(60, 49, 4), Overlap(5, 3, 0), Overlap(1, 1, 0), Overlap(0, 5, 2),
    Overlap(0, 0, 3), Overlap(600, 2, 600), Overlap(3, 4000, 2), Overlap(0, 0, 90),
]  # fmt: skip


@pytest.mark.parametrize("counts", EDGES)
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 0.5), (2.0, 7.0)])
def test_an_odds_ratio_of_one_is_independence(counts: Overlap, a: float, b: float) -> None:
    # Quadrature over the cells' probabilities against the closed form.
    unseen = np.unique(np.round(np.geomspace(1, 1e6, 300))) - 1
    wanted = independent_log_mass(counts, a, b, unseen) - np.log(unseen + counts.observed)
    found = UnseenOdds.from_table(counts, a, b, 0.0, 0.0).log_mass(unseen)
    near = wanted > wanted.max() - 18
    assert np.ptp((found - wanted)[near]) < 1e-6


# Dependent lists


@pytest.mark.parametrize("counts", [Overlap(6, 4, 3), Overlap(2, 3, 0), Overlap(0, 7, 2)])
@pytest.mark.parametrize("odds_ratio", [0.3, 4.0])
def test_a_known_odds_ratio_by_brute_force(counts: Overlap, odds_ratio: float) -> None:
    # The fourfold table of independent lists, its empty cell times the odds ratio, integrated
    # over both chances, whose Beta prior is on the share of one list found on the other; 1/N.
    a, b = 2.0, 3.0
    unseen = np.array([0.0, 1, 3, 10, 40, 150])
    nodes, share = np.polynomial.legendre.leggauss(400)
    one, two = np.meshgrid((1 + nodes) / 2, (1 + nodes) / 2)
    cells = np.array([one * (1 - two), (1 - one) * two, one * two])
    empty = odds_ratio * (1 - one) * (1 - two)
    log_p = np.tensordot(np.array(counts), np.log(cells), 1)
    log_p += (a - 1) * np.log(one * two) + (b - 1) * np.log((1 - one) * (1 - two))
    wanted = []
    for missed in unseen:
        people = counts.observed + missed
        full = log_p + missed * np.log(empty) - people * np.log(cells.sum(axis=0) + empty)
        full += gammaln(people) - gammaln(missed + 1)
        wanted.append(share @ np.exp(full) @ share)
    mean = float(np.log(odds_ratio))
    found = UnseenOdds.from_table(counts, a, b, mean, 0.0).log_mass(unseen)
    np.testing.assert_allclose(found - found[0], np.log(wanted) - np.log(wanted[0]), atol=1e-6)


@pytest.mark.parametrize("sigma", [0.05, 0.56])
def test_an_uncertain_odds_ratio_is_an_average(sigma: float) -> None:
    counts, unseen = Overlap(60, 49, 14), np.array([0.0, 20, 100, 200, 400, 2000])
    knots = np.unique(np.concatenate([np.arange(2500), np.geomspace(2500, 1e6, 500).round()]))
    gaps = np.diff(knots, prepend=-1, append=knots[-1] + 1)

    def share(sd: float, mean: float) -> np.ndarray:
        odds = UnseenOdds.from_table(counts, 1, 1, mean, sd)
        log_mass = odds.log_mass(knots)
        total = np.exp(log_mass - log_mass.max()) @ (gaps[1:] + gaps[:-1]) / 2
        return np.asarray(np.exp(odds.log_mass(unseen) - log_mass.max()) / total)

    z = np.arange(-7, 7.1, 0.2)
    mixed = np.average(
        [share(0.0, 0.2 + sigma * x) for x in z], axis=0, weights=np.exp(-(z**2) / 2)
    )
    likely = mixed > 1e-7
    np.testing.assert_allclose(share(sigma, 0.2)[likely], mixed[likely], rtol=2e-5)


def test_dependence_against_simulation(rng: np.random.Generator) -> None:
    # Given the unseen of independent lists, their chances are beta; then theta, then the unseen.
    draws, counts = 400_000, Overlap(60, 49, 14)
    alone = fit(table(*counts), independent=True).distribution
    assert alone is not None
    people = counts.observed + alone.draw(draws, rng)
    sizes = np.array([counts.one + counts.both, counts.two + counts.both])[:, None]
    one, two = rng.beta(sizes + 1, people - sizes + 1)
    empty = (1 - one) * (1 - two)
    priors = Priors()
    odds = np.exp(rng.normal(*priors.log_odds_ratio, draws)) * empty / (1 - empty)
    unseen = rng.negative_binomial(counts.observed, 1 / (1 + odds))
    found = fit(table(*counts)).distribution
    assert found is not None
    share = np.cumsum(found.probability)
    for level in (0.025, 0.25, 0.5, 0.75, 0.975):
        at = found.quantile(level)
        exact = share[np.searchsorted(found.unseen, at)]
        error = np.sqrt(exact * (1 - exact) / draws)
        assert abs(np.mean(unseen <= at) - exact) < 4 * error


def test_the_default_is_wider_than_independence_and_keeps_its_middle() -> None:
    free, fixed = fit(table(*BANGKOK)), fit(table(*BANGKOK), independent=True)
    assert free.N().median == pytest.approx(fixed.N().median, rel=0.01)
    low, high = free.tree.attrs["independent_low"], free.tree.attrs["independent_high"]
    assert (low, high) == (fixed.N().low, fixed.N().high)
    assert free.N().low < low < high < free.N().high
    assert any("odds ratio of 0.333" in note and "15,822" in note for note in free.notes)
    assert "between 0.333 and 3 with probability 95%" in free.assumption


def test_a_fixed_odds_ratio_multiplies_the_unseen() -> None:
    twice, once = (
        fit(table(*BANGKOK), odds_ratio=(ratio, ratio, 0.95)).unseen().median for ratio in (2, 1)
    )
    assert twice / once == pytest.approx(2, rel=1e-3)
    assert once == fit(table(*BANGKOK), independent=True).unseen().median
    assert "is 2;" in fit(table(*BANGKOK), odds_ratio=(2, 2, 0.95)).assumption


def test_a_prior_on_size_replaces_the_customary_one() -> None:
    counts, prior = Overlap(60, 49, 14), SizePrior("lognormal", 400, 700)
    unseen = np.arange(30_000.0)
    odds = UnseenOdds.from_table(counts, 1, 1, *Priors().log_odds_ratio)
    people = unseen + counts.observed
    share = weights(odds.log_mass(unseen) + prior.log_density(people) + np.log(people))
    found = fit(table(*counts), size_prior=prior).distribution
    assert found is not None
    np.testing.assert_array_equal(found.quantile(LEVELS), np.searchsorted(np.cumsum(share), LEVELS))


@pytest.mark.parametrize("counts", EDGES)
def test_the_gate_on_the_tail_is_passed(counts: Overlap) -> None:
    found = fit(table(*counts))
    assert found.verdict.passed
    assert found.draws("N").min() >= counts.observed
    assert found.N().low >= counts.observed


def test_no_overlap_rests_on_the_priors_and_it_is_said() -> None:
    found = fit(table(50, 30, 0))
    assert found.tree.attrs["lincoln_petersen"] == np.inf
    assert "Nobody was on both lists" in found.notes[0]
    assert np.isfinite(found.N().high)
    slow = fit(table(50, 30, 0), a=0.5)
    assert any("about as N to the power -2.0" in note for note in slow.notes)
    assert slow.tree.attrs["tail"] < 1e-6


def test_a_small_overlap_is_noted() -> None:
    assert any("Only 3 people" in note for note in fit(table(50, 30, 3)).notes)


# Tables


def test_the_order_of_lists_changes_nothing() -> None:
    one, two = fit(table(*BANGKOK)), fit(table(*BANGKOK).permuted([1, 0]))
    np.testing.assert_allclose(one.N(), two.N(), rtol=1e-9)
    assert one.N().median == two.N().median


def test_totals_say_as_much_as_the_table() -> None:
    margins = Margins(("A", "B"), (4064, 1540), 4064 + 1540 - 171)
    assert fit(margins).N() == fit(table(*BANGKOK)).N()


def test_strata_are_added_up_and_it_is_said() -> None:
    data = OverlapTable(
        ("A", "B"), ("sex",), (("female",), ("male",)),
        np.array([[True, False], [False, True], [True, True]] * 2), np.array([0, 0, 0, 1, 1, 1]),
        np.array([20.0, 30, 4, 40, 19, 10]), np.array([20.0, 30, 4, 40, 19, 10]),
        np.zeros(6, dtype=bool),
    )  # fmt: skip
    found = fit(data)
    assert found.N() == fit(table(60, 49, 14)).N()
    assert "2 strata were added up" in found.notes[0]


def test_draws_repeat_with_the_seed() -> None:
    data = table(60, 49, 14)
    one, two, other = (
        posterior(data, Priors(), Sampling(seed=seed))["posterior"]["N"] for seed in (1, 1, 2)
    )
    assert one.equals(two)
    assert not one.equals(other)


# Simulation


def test_simulated_cells_have_the_odds_ratio() -> None:
    none, first, second, both = Truth(table(1, 1, 1), 10, 0.3, 0.2, 2.5).cells()
    assert none + first + second + both == pytest.approx(1)
    assert none * both / (first * second) == pytest.approx(2.5)
    assert both / (both + second) == pytest.approx(0.3)
    assert both / (both + first) == pytest.approx(0.2)


def test_simulated_tables_contain_their_truth(rng: np.random.Generator) -> None:
    data, inside = table(60, 49, 14), 0
    for _ in range(40):
        truth = draw_truth(data, Priors(), rng)
        drawn = simulate(truth, rng)
        assert isinstance(drawn, OverlapTable)
        assert drawn.observed <= truth.N
        found = fit(drawn)
        inside += found.N().low <= truth.N <= found.N().high
    assert inside >= 34


def test_simulated_counts_follow_the_cells(rng: np.random.Generator) -> None:
    truth = Truth(table(1, 1, 1), 50_000, 0.3, 0.2, 2.5)
    drawn = simulate(truth, rng)
    assert isinstance(drawn, OverlapTable)
    wanted = truth.N * truth.cells()[1:]
    assert (
        stats.chisquare(drawn.dense()[0, 1:], wanted * drawn.observed / wanted.sum()).pvalue > 1e-4
    )
    margins = simulate(Truth(Margins(("A", "B"), (5, 5), 8), 50_000, 0.3, 0.2, 2.5), rng)
    assert isinstance(margins, Margins)
    assert margins.totals[0] == pytest.approx(wanted[0] + wanted[2], rel=0.03)
    assert margins.distinct == pytest.approx(wanted.sum(), rel=0.03)


# Refusals


REFUSED: dict[str, tuple[Table, Mapping[str, object]]] = {
    "two-list-lists": (OverlapTable.from_counts(("A", "B", "C"), {"100": 3, "011": 4}), {}),
    "two-list-ranges": (table(60, 49, (1, 4)), {}),
    "two-list-totals": (Margins(("A", "B"), (10, 20), 31), {}),
    "two-list-empty": (table(60, 0, 0), {}),
    "two-list-prior": (table(60, 49, 14), {"size_prior": SizePrior("uniform", 100)}),
    "two-list-no-overlap": (table(60, 49, 0), {"a": 0.3}),
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSED)
def test_unfit_tables_are_refused_with_a_way_out(code: str) -> None:
    data, options = REFUSED[code]
    with pytest.raises(InputError) as caught:
        fit(data, **options)
    assert [fault.code for fault in caught.value.faults] == [code]


def test_impossible_cells_are_refused() -> None:
    data = table(60, 49, 0)
    spoilt = OverlapTable(
        data.lists, (), ((),), data.history, data.stratum, data.low, data.high, data.code == 3
    )
    with pytest.raises(InputError, match="two-list-structural"):
        fit(spoilt)


def test_a_proper_prior_mends_what_was_refused() -> None:
    assert fit(table(60, 49, 0), a=0.3, size_prior=SizePrior("lognormal", 900, 3000)).N().high > 200


@pytest.mark.parametrize(
    "options",
    [{"a": 0.0}, {"b": np.inf}, {"odds_ratio": (0.0, 3.0, 0.95)}, {"odds_ratio": (3, 1, 0.95)},
     {"odds_ratio": (1, 3, 1.0)}],
)  # fmt: skip
def test_impossible_settings_are_errors(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Priors(**options)  # type: ignore[arg-type]
