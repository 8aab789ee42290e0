"""Decomposable graphs: counts, closed forms, brute force, labels, and what a reader is told."""

import json
from collections.abc import Callable, Mapping
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import betaln, gammaln, logsumexp

from hiddenpop.errors import InputError
from hiddenpop.families.graphs import Priors, posterior, refusal
from hiddenpop.families.maths.chordal import (
    chordal_graphs,
    cliques,
    expected_shares,
    log_evidence_parts,
)
from hiddenpop.families.maths.graph_average import Setting, average_graphs
from hiddenpop.families.maths.integer_sums import (
    IntegerSums,
    bracket,
    fine_knots,
    posterior_width,
    support,
)
from hiddenpop.families.simulation.graphs import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, Table, fit_table

__all__: list[str] = []

COUNTS = {"100": 60, "010": 49, "110": 4, "001": 247, "101": 112, "011": 142, "111": 12}


def table(
    counts: Mapping[str, float | tuple[float, float]] = COUNTS, names: str = "ABCDEFGH"
) -> OverlapTable:
    lists = tuple(names[: len(next(iter(counts)))])
    return OverlapTable.from_counts(lists, counts)


def fit(data: Table, **options: object) -> SizeEstimate:
    return fit_table(data, "graphs", options=options)


def log_reciprocal(people: np.ndarray) -> np.ndarray:
    return -np.log(people)


# Graphs


@pytest.mark.parametrize(("lists", "graphs"), [(2, 2), (3, 8), (4, 61), (5, 822), (6, 18154)])
def test_every_chordal_graph_is_found(lists: int, graphs: int) -> None:
    found = chordal_graphs(lists)
    assert len(found.edges) == graphs
    assert not found.edges[0].any()
    assert found.edges[-1].all()
    # What a graph's law adds up to: every list once.
    sizes = np.bitwise_count(np.arange(2**lists))
    np.testing.assert_array_equal(found.incidence @ sizes, lists)


def acyclic_by_removal(lists: int, edges: set[tuple[int, int]]) -> bool:
    """Chordal if vertices whose neighbours are all joined can be removed one by one."""
    left = set(range(lists))
    while left:
        for here in left:
            near = [j for j in left if (min(here, j), max(here, j)) in edges]
            if all(pair in edges for pair in combinations(sorted(near), 2)):
                left.discard(here)
                break
        else:
            return False
    return True


@pytest.mark.parametrize("lists", [3, 4, 5])
def test_the_graphs_are_the_chordal_ones(lists: int) -> None:
    pairs = list(combinations(range(lists), 2))
    wanted = {
        chosen
        for chosen in product([False, True], repeat=len(pairs))
        if acyclic_by_removal(lists, {p for p, on in zip(pairs, chosen, strict=True) if on})
    }
    assert {tuple(map(bool, row)) for row in chordal_graphs(lists).edges} == wanted


def test_cliques_cover_exactly_the_edges() -> None:
    found = chordal_graphs(5)
    for edges, incidence in zip(found.edges, found.incidence, strict=True):
        inside = {pair for clique in cliques(incidence) for pair in combinations(clique, 2)}
        assert inside == {tuple(pair) for pair in found.pairs[edges].tolist()}


def test_a_chain_has_its_cliques_and_separator() -> None:
    found = chordal_graphs(3)
    chain = found.incidence[
        [row.tolist() == [True, False, True] for row in found.edges].index(True)
    ]
    assert cliques(chain) == [(0, 1), (1, 2)]
    assert np.flatnonzero(chain < 0).tolist() == [0b010]


# Closed forms


@pytest.mark.parametrize("delta", [0.125, 1.0])
def test_probabilities_of_all_tables_add_up_to_one(delta: float) -> None:
    people, cells = 3, 8
    total = np.zeros(8)
    for placed in combinations(range(people + cells - 1), cells - 1):
        ends = np.array([-1, *placed, people + cells - 1])
        counts = np.diff(ends) - 1.0
        unseen, counts[0] = counts[0], 0.0
        margins, rest = log_evidence_parts(counts, delta, np.array([unseen]))
        total += np.exp(chordal_graphs(3).incidence.astype(float) @ margins + rest)[:, 0]
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


def test_evidence_of_a_chain_against_its_definition(rng: np.random.Generator) -> None:
    # Lists 1-2 and 2-3 joined: chances drawn from the prior, the table's probability averaged.
    counts = np.array([0.0, 2, 1, 1, 0, 1, 1, 0])
    unseen, delta, draws = 2.0, 0.5, 400_000
    first = rng.dirichlet(np.full(4, 2 * delta), draws)
    third = rng.beta(2 * delta, 2 * delta, (draws, 2))
    full, log_p = counts.copy(), np.zeros(draws)
    full[0] = unseen
    for code in range(8):
        two = code >> 1 & 1
        chance = third[:, two] if code >> 2 else 1 - third[:, two]
        log_p += full[code] * np.log(first[:, code & 3] * chance)
    log_p += gammaln(full.sum() + 1) - gammaln(full + 1).sum()
    margins, rest = log_evidence_parts(counts, delta, np.array([unseen]))
    found = chordal_graphs(3)
    chain = [row.tolist() == [True, False, True] for row in found.edges].index(True)
    exact = float(np.exp(found.incidence[chain].astype(float) @ margins + rest)[0])
    error = np.std(np.exp(log_p)) / np.sqrt(draws)
    assert abs(np.mean(np.exp(log_p)) - exact) < 4 * error


@pytest.mark.parametrize("counts", [{"10": 60, "01": 49, "11": 4}, COUNTS])
def test_no_edges_are_independent_lists_with_beta_chances(counts: dict[str, int]) -> None:
    # Independent lists: p(N) N!/(N - n)! prod_j B(n_j + a, N - n_j + b); a margin of one list
    # has a = b = delta 2^(p - 1).
    data = table(counts)
    delta, unseen = 0.25, np.arange(5000.0)
    dense = np.nan_to_num(data.dense()[0])
    margins, rest = log_evidence_parts(dense, delta, unseen)
    found = chordal_graphs(len(data.lists)).incidence[0].astype(float) @ margins + rest
    people, a = unseen + data.observed, delta * len(dense) / 2
    wanted = gammaln(people + 1) - gammaln(unseen + 1)
    wanted += sum(betaln(size + a, people - size + a) for size in data.list_totals)
    np.testing.assert_allclose(found - found[0], wanted - wanted[0], atol=1e-8)


def test_expected_shares_keep_the_margins_of_cliques() -> None:
    data, delta, unseen = table(), 0.125, 100.0
    counts = np.nan_to_num(data.dense()[0])
    full = counts.copy()
    full[0] = unseen
    for incidence in chordal_graphs(3).incidence:
        shares = expected_shares(counts, delta, unseen, incidence)
        assert shares.sum() == pytest.approx(1, rel=1e-12)
        for clique in cliques(incidence):
            subset = sum(1 << j for j in clique)
            mine = np.bincount(np.arange(8) & subset, weights=full + delta, minlength=8)
            kept = np.bincount(np.arange(8) & subset, weights=shares, minlength=8)
            np.testing.assert_allclose(kept, mine / (full.sum() + 8 * delta), atol=1e-12)


# Sums over whole numbers


@pytest.mark.parametrize(("size", "chance"), [(3.0, 0.01), (40.0, 0.001), (500.0, 0.2), (2.0, 0.9)])
def test_quantiles_of_a_known_law_are_right_to_one_person(size: float, chance: float) -> None:
    law = stats.nbinom(size, chance)
    width = posterior_width(size, size, np.zeros_like)
    found = bracket(law.logpmf, width, 50 * size)
    knots = fine_knots(found, width)
    sums = IntegerSums(knots, law.pmf(knots)[None])
    levels = np.array([0.001, 0.025, 0.25, 0.5, 0.75, 0.975, 0.999])
    np.testing.assert_array_equal(sums.quantile(levels)[0], law.ppf(levels))
    # The search stops where less than 1e-7 is left.
    assert sums.total[0] == pytest.approx(1, abs=1e-7)
    assert sums.mean()[0] == pytest.approx(law.mean(), rel=1e-6)
    at = np.array([0.0, 1, 7, 100, 1000])
    np.testing.assert_allclose(sums.below(at)[0], law.cdf(at - 1), atol=1e-7)


def test_a_wide_support_keeps_common_quantiles_exact() -> None:
    law = stats.nbinom(4.0, 1e-6)
    width = posterior_width(4.0, 4.0, np.zeros_like)
    knots = fine_knots(bracket(law.logpmf, width, 200.0), width)
    sums = IntegerSums(knots, law.pmf(knots)[None])
    unseen, mass = support(sums)
    assert len(unseen) < 80_000
    place = np.searchsorted(np.cumsum(mass) / mass.sum(), [0.025, 0.5, 0.975])
    np.testing.assert_array_equal(unseen[place], sums.quantile(np.array([0.025, 0.5, 0.975]))[0])
    assert unseen @ mass / mass.sum() == pytest.approx(law.mean(), rel=1e-4)


def test_a_single_possible_number_is_certain() -> None:
    data = table()
    found = fit(data, size_prior=SizePrior("uniform", data.observed))
    assert found.N()[:4] == (data.observed,) * 4


# The posterior


@pytest.mark.parametrize(
    "size_prior",
    ["1/N", "lognormal:700,800", "lognormal:50000,70000", "gamma:13.14,55.17", "uniform:900"],
)
@pytest.mark.parametrize("saturated", [False, True])
def test_posterior_against_a_sum_over_every_number(size_prior: str, saturated: bool) -> None:
    data, prior = table(), SizePrior.parse(size_prior)
    most = min(prior.most - data.observed, 3e5)
    unseen = np.arange(most + 1)
    margins, rest = log_evidence_parts(np.nan_to_num(data.dense()[0]), 0.125, unseen)
    incidence = chordal_graphs(3).incidence[: 8 if saturated else 7].astype(float)
    log_mass = incidence @ margins + rest + prior.log_density(unseen + data.observed)
    mass = np.exp(log_mass - log_mass.max())
    cumulative = np.cumsum(mass.sum(axis=0)) / mass.sum()
    found = fit(data, size_prior=prior, saturated=saturated, max_unseen=3e5)
    assert found.distribution is not None
    levels = np.array([0.005, 0.025, 0.25, 0.5, 0.75, 0.975, 0.995])
    np.testing.assert_array_equal(
        found.distribution.quantile(levels), np.searchsorted(cumulative, levels)
    )
    assert found.distribution.mean == pytest.approx(
        float(unseen @ mass.sum(axis=0) / mass.sum()), rel=1e-4
    )
    assert found.models is not None
    heaviest = np.sort(mass.sum(axis=1))[::-1][: len(found.models)] / mass.sum()
    np.testing.assert_allclose(found.models["weight"], heaviest, rtol=1e-5)


def test_labels_name_the_lists_that_depend(rng: np.random.Generator) -> None:
    # Trap: the R package dga, fed as its help says, names the reverse order of the lists.
    people = 3000
    first = rng.random(people) < 0.4
    second = rng.random(people) < np.where(first, 0.7, 0.2)
    third = rng.random(people) < 0.3
    histories = pd.Series(
        [f"{a:d}{b:d}{c:d}" for a, b, c in zip(first, second, third, strict=True)]
    )
    counts = histories[histories != "000"].value_counts().to_dict()
    data = OverlapTable.from_counts(("first", "second", "third"), counts)
    found = fit(data)
    edges = json.loads(found.tree.attrs["edges"])
    assert edges["first:second"] > 0.999
    assert max(edges["first:third"], edges["second:third"]) < 0.3
    assert found.models is not None
    assert found.models["model"][0] == "[first second][third]"
    turned = fit(data.permuted([2, 0, 1]))
    assert json.loads(turned.tree.attrs["edges"])["first:second"] > 0.999
    assert turned.models is not None
    assert turned.models["model"][0] == "[third][first second]"


@pytest.mark.parametrize("order", [(1, 2, 3, 0), (3, 2, 1, 0)])
def test_the_order_of_lists_changes_nothing(
    order: tuple[int, ...], reference_table: Callable[..., OverlapTable]
) -> None:
    data = reference_table("kosovo")
    one, two = fit(data), fit(data.permuted(order))
    assert one.N()[0] == two.N()[0]
    np.testing.assert_allclose(one.N(), two.N(), rtol=1e-9)
    assert one.models is not None
    assert two.models is not None
    np.testing.assert_allclose(one.models["weight"], two.models["weight"], rtol=1e-7)
    assert one.tree.attrs["saturated_probability"] == pytest.approx(
        two.tree.attrs["saturated_probability"], rel=1e-7
    )


def test_strata_are_added_up_and_it_is_said(reference_table: Callable[..., OverlapTable]) -> None:
    parts, whole = fit(reference_table("spina")), fit(reference_table("spina_agg"))
    assert parts.N() == whole.N()
    assert "3 strata were added up" in parts.notes[0]


def test_nobody_seen_is_forgotten() -> None:
    found = fit(table())
    assert found.distribution is not None
    assert found.draws("N").min() >= found.observed
    assert found.distribution.unseen.min() >= 0
    assert found.fitted is not None
    assert found.fitted["history"][0] == "100"
    assert found.fitted["observed"].sum() == found.observed


def test_nothing_caps_the_posterior_in_silence(
    reference_table: Callable[..., OverlapTable],
) -> None:
    # The default grid of dga ends at 15 times the observed and cuts off a third of this one.
    data = reference_table("Ned_5")
    whole, cut = fit(data), fit(data, max_unseen=15 * data.observed)
    assert whole.distribution is not None
    beyond = whole.distribution.probability[whole.distribution.unseen > 15 * data.observed].sum()
    assert beyond == pytest.approx(0.331, abs=0.001)
    assert any("33 % of the posterior would lie beyond it" in note for note in cut.notes)
    assert whole.N().high > 16 * data.observed > cut.N().high
    assert whole.tree.attrs["tail"] < 1e-6


def test_a_tail_that_falls_as_a_power_is_followed() -> None:
    # One person on two lists: under some graphs the posterior falls as N^-2.
    data = table({"100": 9, "010": 7, "001": 5, "110": 1})
    found = fit(data, max_unseen=399_999)
    assert fit(data).tree.attrs["tail"] < 1e-6
    assert found.distribution is not None
    unseen = np.arange(400_000.0)
    margins, rest = log_evidence_parts(np.nan_to_num(data.dense()[0]), 0.125, unseen)
    log_mass = chordal_graphs(3).incidence[:-1].astype(float) @ margins + rest
    log_mass = logsumexp(log_mass - np.log(unseen + data.observed), axis=0)
    mass = np.exp(log_mass - log_mass.max())
    levels = np.array([0.025, 0.5, 0.975, 0.99])
    np.testing.assert_array_equal(
        found.distribution.quantile(levels),
        np.searchsorted(np.cumsum(mass) / mass.sum(), levels),
    )


def test_a_tail_without_a_mean_is_told() -> None:
    found = fit(table({"100": 9, "010": 7, "001": 5}))
    assert found.tree.attrs["tail"] < 1e-6
    assert any("about as N to the power -2.0" in note for note in found.notes)


def test_the_saturated_graph_is_told(reference_table: Callable[..., OverlapTable]) -> None:
    data = reference_table("kosovo")
    out, taken = fit(data, delta=1.0), fit(data, delta=1.0, saturated=True)
    assert out.tree.attrs["saturated_probability"] == pytest.approx(0.976, abs=5e-4)
    assert taken.tree.attrs["saturated_probability"] == pytest.approx(
        out.tree.attrs["saturated_probability"], rel=1e-6
    )
    assert out.N().median > 9000 > 5000 > taken.N().median
    assert any("do not rest a decision" in note for note in out.notes)
    assert out.notes[0].endswith("would be 98 %.")
    assert "has posterior probability 98 %" in taken.notes[0]
    assert fit(data).notes[0].endswith("would be less than 0.1 %.")


def test_many_graphs_are_counted_not_listed(reference_table: Callable[..., OverlapTable]) -> None:
    found = fit(reference_table("UKdat"))
    assert found.models is not None
    assert found.tree.attrs["graphs"] == 18_153
    assert len(found.models) + found.tree.attrs["graphs_left_out"] == 18_153
    assert found.models["weight"].sum() == pytest.approx(
        1 - found.tree.attrs["left_out_weight"], abs=1e-12
    )
    assert any("the 250 heaviest are listed" in note for note in found.notes)


def test_lists_without_people_or_overlap_are_noted() -> None:
    found = fit(table({"100": 20, "010": 15, "001": 0}))
    assert any("Nobody was on two lists" in note for note in found.notes)
    assert any("Nobody was on C" in note for note in found.notes)


def test_draws_repeat_with_the_seed() -> None:
    one, two, other = (
        posterior(table(), Priors(), Sampling(seed=seed))["posterior"]["N"] for seed in (1, 1, 2)
    )
    assert one.equals(two)
    assert not one.equals(other)


# Simulation


def test_simulated_tables_contain_their_truth(rng: np.random.Generator) -> None:
    data, inside = table(), 0
    priors = Priors(delta=1.0)
    for _ in range(40):
        truth = draw_truth(data, priors, rng)
        drawn = simulate(truth, rng)
        assert drawn.lists == data.lists
        assert drawn.observed <= truth.N
        assert drawn.sorted().code.tolist() == drawn.code.tolist()
        found = fit(drawn, delta=1.0)
        inside += found.N().low <= truth.N <= found.N().high
    # 40 at 95 %, N from around the data and not from the prior: 33 or fewer are very unlikely.
    assert inside >= 34


def test_simulated_graphs_are_chordal_and_evenly_drawn(rng: np.random.Generator) -> None:
    data = table({"1000": 50, "0100": 50, "0010": 50, "0001": 50})
    drawn = [draw_truth(data, Priors(), rng).joined for _ in range(3000)]
    assert len(set(drawn)) == 60
    assert max(drawn.count(joined) for joined in set(drawn)) < 100
    assert frozenset(combinations(range(4), 2)) not in drawn


@pytest.mark.parametrize("text", ["uniform:900", "lognormal:500,900", "gamma:5,100", "1/N"])
def test_sizes_are_drawn_from_their_prior(text: str, rng: np.random.Generator) -> None:
    priors = Priors(size_prior=SizePrior.parse(text))
    sizes = [draw_truth(table(), priors, rng).N for _ in range(400)]
    middle = {"uniform": 450, "lognormal": 500, "gamma": 467, "1/N": 626 * np.sqrt(1.3 * 4)}
    assert np.median(sizes) == pytest.approx(middle[text.split(":")[0]], rel=0.15)


def test_strata_of_simulated_tables_stay(
    reference_table: Callable[..., OverlapTable], rng: np.random.Generator
) -> None:
    data = reference_table("spina")
    drawn = simulate(draw_truth(data, Priors(), rng), rng)
    assert drawn.strata == data.strata
    assert drawn.exact


# Refusals


REFUSED = {
    "graphs-margins": Margins(("A", "B", "C"), (10, 20, 30), 50),
    "graphs-lists": table({"10": 60, "01": 49, "11": 4}),
    "graphs-ranges": table(COUNTS | {"110": (1, 4)}),
    "graphs-nobody": table(dict.fromkeys(COUNTS, 0)),
}


@pytest.mark.parametrize("code", REFUSED)
def test_unfit_tables_are_refused_with_a_way_out(code: str) -> None:
    with pytest.raises(InputError) as caught:
        fit(REFUSED[code])
    assert [fault.code for fault in caught.value.faults] == [code]


def test_seven_lists_are_refused() -> None:
    found = refusal(table({"1000000": 5, "0000001": 3}), Priors())
    assert found is not None
    assert found.code == "graphs-lists"


def test_impossible_cells_are_refused() -> None:
    data = table()
    spoilt = OverlapTable(
        data.lists, (), ((),), data.history, data.stratum, data.low * (data.code != 3),
        data.high * (data.code != 3), data.code == 3,
    )  # fmt: skip
    with pytest.raises(InputError, match="graphs-structural"):
        fit(spoilt)


def test_no_overlap_and_hardly_a_prior_is_refused() -> None:
    data = table({"100": 20, "010": 15, "001": 8})
    with pytest.raises(InputError, match="graphs-no-overlap"):
        fit(data, delta=0.01)
    assert fit(data, delta=0.01, size_prior=SizePrior("lognormal", 200, 900)).verdict.passed


@pytest.mark.parametrize("text", ["lognormal:700,701", "lognormal:5000,5010"])
def test_a_narrow_prior_is_found(text: str) -> None:
    prior = SizePrior.parse(text)
    found = fit(table(), size_prior=prior).N()
    assert found.median == pytest.approx(prior.one, rel=0.01)
    assert found.high - found.low < 0.01 * prior.one


def test_a_prior_below_what_was_seen_is_refused() -> None:
    with pytest.raises(InputError, match="at most 600 people, but 626 were seen"):
        fit(table(), size_prior=SizePrior("uniform", 600))


@pytest.mark.parametrize("options", [{"delta": 0.0}, {"delta": np.inf}, {"max_unseen": 0.5}])
def test_impossible_settings_are_errors(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Priors(**options)


def test_an_average_can_leave_out_zero_unseen() -> None:
    counts = np.nan_to_num(table().dense()[0])
    found = average_graphs(Setting(counts, 1.0, log_reciprocal, 1.0, 300.0), saturated=True)
    assert found.mixture.knots[0] >= 1
    assert found.mixture.knots[-1] <= 300
