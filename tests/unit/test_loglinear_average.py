"""Averaged log-linear models: the parts against slow or closed-form truths, the whole by rules."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import betaln, gammaln

from hiddenpop.families import loglinear_average as family
from hiddenpop.families.averaging import bic, selection
from hiddenpop.families.averaging.cells import Cells, cells_of
from hiddenpop.families.averaging.search import search
from hiddenpop.families.averaging.single import capture_model, fit_model, mt_bias_corrected
from hiddenpop.families.loglinear_average import Priors
from hiddenpop.families.maths import hierarchy
from hiddenpop.families.maths.existence import existence_code, identifiable
from hiddenpop.families.maths.hierarchical_ml import fit_models, prepare
from hiddenpop.families.maths.poisson_ml import fit_poisson
from hiddenpop.families.maths.unseen_curves import curves
from hiddenpop.families.maths.unseen_mixture import component, whole_numbers
from hiddenpop.families.simulation import loglinear_average as simulation
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table

__all__: list[str] = []

SPINA = {"100": 244, "010": 48, "110": 142, "001": 60, "101": 112, "011": 4, "111": 11}
"""Spina bifida in New York: birth certificates, death certificates, rehabilitation records."""

KOSOVO = {
    "1111": 27, "1110": 32, "1101": 42, "1100": 123, "1011": 18, "1010": 31, "1001": 106,
    "1000": 306, "0111": 181, "0110": 217, "0101": 228, "0100": 936, "0011": 177, "0010": 845,
    "0001": 1131,
}  # fmt: skip

SPARSE = {"100": 40, "010": 30, "001": 20, "110": 6}
"""Artificial_3 of Chan, Silverman & Vincent 2021."""


def table(counts: dict[str, float], names: str = "ABCDEFGHIJK") -> OverlapTable:
    return OverlapTable.from_counts(tuple(names[: len(next(iter(counts)))]), counts)


def fit(counts: dict[str, float], **options: object) -> SizeEstimate:
    return fit_table(table(counts), "loglinear-average", options=options)


def random_counts(rng: np.random.Generator, lists: int, mean: float) -> dict[str, float]:
    """Sparse tables in which every list saw somebody and some two lists share somebody."""
    while True:
        chance = rng.uniform(0.02, 0.5, size=lists)
        counts = {}
        for seen in product((0, 1), repeat=lists):
            if any(seen):
                at = np.prod(np.where(seen, chance, 1 - chance))
                counts["".join(map(str, seen))] = float(rng.poisson(mean * at))
        used = [key for key, count in counts.items() if count]
        if all(any(key[j] == "1" for key in used) for j in range(lists)):
            return counts


def every_model(lists: int) -> tuple[np.ndarray, np.ndarray]:
    return hierarchy.terms(lists), hierarchy.hierarchical_models(lists)


def design(cells: Cells, masks: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return hierarchy.hold(codes, np.concatenate([[0], masks])).astype(float)


# Maximum likelihood


def test_one_link_has_the_closed_form() -> None:
    """With [A B][C], being on A or B and being on C are independent."""
    both = {seen: sum(n for key, n in SPINA.items() if ("1" in key[:2], key[2]) == seen)
            for seen in ((True, "0"), (True, "1"))}  # fmt: skip
    unseen = both[True, "0"] * SPINA["001"] / both[True, "1"]
    found = fit_model(table(SPINA), "[A B][C]")
    assert pytest.approx(sum(SPINA.values()) + unseen, rel=1e-12) == found.N
    assert found.name == "[A B][C]"
    assert (found.df, found.parameters, found.code) == (2, 5, 0)


def test_the_saturated_model_has_the_closed_form() -> None:
    """Without a term of all lists the odd cells over the even ones are the unseen."""
    odd = [n for key, n in SPINA.items() if key.count("1") % 2]
    even = [n for key, n in SPINA.items() if key.count("1") % 2 == 0]
    found = fit_model(table(SPINA), ["A:B", "A:C", "B:C"])
    unseen = np.prod(odd) / np.prod(even)
    assert pytest.approx(sum(SPINA.values()) + unseen, rel=1e-9) == found.N
    variance = sum(1 / n for n in SPINA.values())
    assert found.se_log == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert found.deviance == pytest.approx(0, abs=1e-9)


def test_many_models_at_once_are_the_models_one_at_a_time(rng: np.random.Generator) -> None:
    cells = cells_of(table(KOSOVO))
    masks, models = every_model(4)
    fits = fit_models(cells.counts, cells.possible, masks, models)
    codes = np.flatnonzero(cells.possible)
    for row in rng.choice(len(models), 25, replace=False):
        alone = fit_poisson(design(cells, masks[models[row]], codes), cells.counts[codes])
        assert fits.code[row] == 0
        assert fits.log_unseen[row] == pytest.approx(alone.coefficients[0], rel=1e-9)
        assert fits.variance[row] == pytest.approx(alone.covariance[0, 0], rel=1e-7)
        assert fits.log_likelihood[row] == pytest.approx(alone.log_likelihood, rel=1e-11)
        np.testing.assert_allclose(fits.expected[row, codes], alone.expected, rtol=1e-7)


def test_several_tables_are_fitted_as_each_alone(rng: np.random.Generator) -> None:
    masks, models = every_model(3)
    cells = cells_of(table(SPINA))
    counts = np.where(cells.possible, rng.poisson(30, size=(len(models), 8)), 0)
    together = fit_models(counts, cells.possible, masks, models)
    for row in range(len(models)):
        alone = fit_models(counts[row], cells.possible, masks, models[[row]])
        assert together.log_unseen[row] == pytest.approx(alone.log_unseen[0], rel=1e-9)


def test_an_empty_overlap_takes_its_cells_away() -> None:
    counts = KOSOVO | {"1100": 0, "1110": 0, "1101": 0, "1111": 0}
    found = fit_model(table(counts), ["A:B", "C:D"])
    assert found.empty == ("A:B",)
    cells = cells_of(table(counts))
    a_and_b = int(cells.hidden([3])[0])
    codes = np.array([c for c in range(1, 16) if c & a_and_b != a_and_b])
    masks = cells.hidden([1, 2, 4, 8, 12])
    alone = fit_poisson(design(cells, masks, codes), cells.counts[codes])
    assert pytest.approx(found.observed + np.exp(alone.coefficients[0]), rel=1e-9) == found.N
    assert found.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-9)
    # It still counts as a parameter.
    assert found.parameters == 7
    assert found.aic == pytest.approx(14 - 2 * found.log_likelihood)


def test_impossible_combinations_are_no_cells() -> None:
    whole = table(KOSOVO)
    structural = np.array([label.startswith("11") for label in whole.labels])
    cells = cells_of(replace(whole, structural=structural))
    found = fit_model(replace(whole, structural=structural), ["C:D"])
    codes = np.flatnonzero(cells.possible)
    assert len(codes) == 11
    alone = fit_poisson(design(cells, cells.hidden([1, 2, 4, 8, 12]), codes), cells.counts[codes])
    assert pytest.approx(found.observed + np.exp(alone.coefficients[0]), rel=1e-9) == found.N
    assert found.df == 11 - 6
    # No model has a link that no possible combination could show.
    estimate = fit_table(replace(whole, structural=structural), "loglinear-average")
    assert estimate.models is not None
    assert not estimate.models["model"].str.contains("A B").any()
    assert any("4 impossible combinations" in note for note in estimate.notes)


# Existence


@pytest.mark.parametrize(
    ("links", "code"),
    [(["A:B", "A:C", "B:C"], 2), (["A:B"], 1), (["A:B", "A:C"], 1), (["A:C", "B:C"], 0), ([], 0)],
)
def test_existence_has_the_codes_of_sparsemse(links: list[str], code: int) -> None:
    assert fit_model(table(SPARSE), links).code == code


def primal_code(X: np.ndarray, counts: np.ndarray) -> int:
    """max s with X'v = X'n and v >= s >= 0: an estimate exists if and only if s > 0."""
    cells = len(counts)
    found = linprog(
        np.r_[np.zeros(cells), -1.0],
        A_ub=np.hstack([-np.eye(cells), np.ones((cells, 1))]), b_ub=np.zeros(cells),
        A_eq=np.hstack([X.T, np.zeros((X.shape[1], 1))]), b_eq=X.T @ counts,
        bounds=[(None, None)] * cells + [(0, None)], method="highs",
    )  # fmt: skip
    return int(-found.fun < 1e-7) + 2 * int(np.linalg.matrix_rank(X) < X.shape[1])


@pytest.mark.parametrize("seed", range(4))
def test_existence_is_that_of_the_published_linear_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = cells_of(table(random_counts(rng, 4, 40)))
    masks, models = every_model(4)
    batch = prepare(cells.counts, cells.possible, masks, models)
    found = existence_code(batch)
    column = hierarchy.hold(np.arange(16), batch.masks).astype(float)
    for row in range(len(models)):
        kept = np.ix_(batch.cells[row], batch.terms[row])
        assert found[row] == primal_code(column[kept], cells.counts[batch.cells[row]])
    # Fitting finds the same without a linear program for each model.
    fits = fit_models(cells.counts, cells.possible, masks, models)
    np.testing.assert_array_equal(fits.code == 0, found == 0)
    np.testing.assert_array_equal(fits.code == 2, found >= 2)
    assert np.isnan(fits.log_unseen[fits.code > 0]).all()


def test_identifiability_is_full_rank(rng: np.random.Generator) -> None:
    for lists in (3, 4, 4, 4, 5):
        cells = cells_of(table(random_counts(rng, lists, 12)))
        masks, models = every_model(lists)
        some = models[rng.choice(len(models), min(len(models), 200), replace=False)]
        batch = prepare(cells.counts, cells.possible, masks, some)
        column = hierarchy.hold(np.arange(2**lists), batch.masks).astype(float)
        ranks = [
            np.linalg.matrix_rank(column[np.ix_(c, t)]) == t.sum()
            for c, t in zip(batch.cells, batch.terms, strict=True)
        ]
        np.testing.assert_array_equal(identifiable(batch), ranks)


# The posterior


def exact_independence(totals: np.ndarray, observed: float, unseen: np.ndarray) -> np.ndarray:
    """Flat priors on all logits and 1/N: prod B(n_j, N - n_j) N! / (n_0! N)."""
    N = observed + unseen
    return gammaln(N + 1) - gammaln(unseen + 1) - np.log(N) + sum(
        betaln(total, N - total) for total in totals
    )  # fmt: skip


def exact_one_link(unseen: np.ndarray) -> np.ndarray:
    """[A B][C] on SPINA: a free table of A and B, and C apart from it."""
    observed = sum(SPINA.values())
    N = observed + unseen
    c = sum(n for key, n in SPINA.items() if key[2] == "1")
    neither = SPINA["001"] + unseen
    return (
        gammaln(N + 1) - gammaln(unseen + 1) - np.log(N)
        + betaln(c, N - c) + gammaln(neither) - gammaln(N)
    )  # fmt: skip


@pytest.mark.parametrize(("links", "part"), [([], 1), ([], 20), (["A:B"], 1)])
def test_one_models_posterior_is_the_closed_form(links: list[str], part: int) -> None:
    counts = {key: float(max(n // part, 1)) for key, n in SPINA.items()}
    cells = cells_of(table(counts))
    masks = cells.hidden([1, 2, 4] + ([3] if links else []))
    model = np.ones((1, len(masks)), dtype=bool)
    fits = fit_models(cells.counts, cells.possible, masks, model)
    batch = prepare(cells.counts, cells.possible, masks, model)
    found = component(curves(batch, np.array([0]), fits)[0])
    unseen = np.arange(0.0, 20_000.0)
    totals = cells.counts @ hierarchy.hold(np.arange(8), [1, 2, 4])
    exact = exact_one_link(unseen) if links else exact_independence(
        totals, cells.observed, unseen
    )  # fmt: skip
    share = np.exp(exact - exact.max())
    cdf = np.cumsum(share / share.sum())
    computed = np.exp(found.curve.at(np.log1p(unseen)))
    # Laplace's method is wrong by some part of 1/people; more on 30 people than on 600.
    np.testing.assert_allclose(
        np.cumsum(computed / computed.sum()), cdf, atol=1e-4 if part == 1 else 6e-3
    )
    for level, value in ((0.025, found.low), (0.5, found.median), (0.975, found.high)):
        at = np.searchsorted(cdf, level)
        assert abs(value - at) <= 1 if part == 1 else abs(value - at) <= 0.03 * at + 1


def test_the_posterior_is_the_mixture_of_the_models() -> None:
    estimate = fit(SPINA)
    models, exact = estimate.models, estimate.distribution
    assert models is not None
    assert exact is not None
    assert len(models) == 8
    assert models["weight"].sum() == pytest.approx(1)
    bic = models["bic"]
    assert models["weight"].to_numpy() == pytest.approx(
        np.exp(-(bic - bic.min()) / 2) / np.exp(-(bic - bic.min()) / 2).sum(), rel=1e-9
    )
    assert estimate.N().mean == pytest.approx(models["weight"] @ models["mean"], rel=1e-3)
    assert (models["low"] <= models["median"]).all()
    assert (models["median"] <= models["high"]).all()
    assert models["median"].min() <= estimate.N().median <= models["median"].max()


def test_means_of_cells_are_averaged() -> None:
    estimate = fit(SPINA)
    cells = estimate.fitted
    assert cells is not None
    observed = dict(zip(cells["history"], cells["observed"], strict=True))
    assert observed == SPINA
    # Every model keeps the number of people and of the people of each list.
    assert cells["expected"].sum() == pytest.approx(sum(SPINA.values()), rel=1e-6)


def test_the_best_model_alone_is_marked_as_such() -> None:
    estimate = fit(SPINA, best=True)
    models = estimate.models
    assert models is not None
    assert models["weight"].tolist() == [1.0] + [0.0] * 7
    assert estimate.notes[0].startswith("Conditional on the selected model [B C][A]")
    averaged = fit(SPINA).N()
    assert estimate.N().high - estimate.N().low < averaged.high - averaged.low
    assert estimate.N().median == models["median"].iloc[0]


def test_the_order_of_lists_changes_nothing_at_all() -> None:
    one = fit(KOSOVO)
    data = table(KOSOVO).permuted([2, 0, 3, 1])
    other = fit_table(replace(data, lists=("w", "x", "y", "z")), "loglinear-average")
    assert one.N() == other.N()
    np.testing.assert_array_equal(one.draws(), other.draws())
    renamed = {"C": "w", "A": "x", "D": "y", "B": "z"}
    assert one.models is not None
    assert other.models is not None
    links = [
        sorted(sorted(renamed[name] for name in bracket.split())
               for bracket in name[1:-1].split("]["))
        for name in one.models["model"][:5]
    ]  # fmt: skip
    assert links == [
        sorted(sorted(bracket.split()) for bracket in name[1:-1].split("]["))
        for name in other.models["model"][:5]
    ]


def test_names_of_models_have_the_lists_in_the_order_given() -> None:
    models = fit(KOSOVO).models
    assert models is not None
    inside = [bracket.split() for name in models["model"] for bracket in name[1:-1].split("][")]
    assert all(bracket == sorted(bracket) for bracket in inside)


def test_strata_are_added_up_and_a_note_says_so() -> None:
    whole = table(SPINA)
    halves = np.floor(whole.low / 2)
    two = OverlapTable(
        whole.lists, ("sex",), (("f",), ("m",)), np.vstack([whole.history] * 2),
        np.repeat([0, 1], 7), np.r_[halves, whole.low - halves],
        np.r_[halves, whole.low - halves], np.zeros(14, dtype=bool),
    )  # fmt: skip
    estimate = fit_table(two, "loglinear-average")
    assert estimate.N() == fit(SPINA).N()
    assert any("2 strata" in note for note in estimate.notes)


def test_a_smaller_order_leaves_larger_links_out() -> None:
    estimate = fit(KOSOVO, order=2)
    models = estimate.models
    assert models is not None
    assert len(models) == 64
    assert "more than 2 lists" in estimate.assumption
    assert fit(SPINA, order=7).N() == fit(SPINA).N()


@pytest.mark.parametrize("prior", ["uniform:700", "lognormal:700,720", "gamma:13.14,55.17"])
def test_a_prior_on_the_size_is_bayes_rule(prior: str) -> None:
    """On one model: the posterior under 1/N times the prior over 1/N."""
    parsed = SizePrior.parse(prior)
    plain, found = (fit(SPINA, best=True, size_prior=p).distribution for p in (SizePrior(), parsed))
    assert plain is not None
    assert found is not None
    N = sum(SPINA.values()) + plain.unseen
    expected = plain.probability * np.exp(parsed.log_density(N) + np.log(N) - 300)
    expected /= expected.sum()
    assert found.mean == pytest.approx(plain.unseen @ expected, rel=1e-4)
    assert N[0] <= sum(SPINA.values()) + found.unseen[-1] <= parsed.most


def test_a_prior_on_the_size_moves_the_weights_of_models() -> None:
    before, after = fit(KOSOVO), fit(KOSOVO, size_prior=SizePrior.parse("lognormal:18000,19000"))
    assert before.models is not None
    assert after.models is not None
    assert before.models["estimate"].iloc[0] < 11_000 < 17_000 < after.models["estimate"].iloc[0]
    assert after.models["weight"].sum() == pytest.approx(1)
    # Even a prior that the table contradicts has an answer, at its bound.
    assert 4400 < fit(KOSOVO, size_prior=SizePrior.parse("uniform:5000")).N().high <= 5000


def test_models_without_an_estimate_are_counted_and_named() -> None:
    estimate = fit(SPARSE)
    models = estimate.models
    assert models is not None
    lost = models[models["code"] > 0]
    assert len(lost) == 4
    assert (lost["weight"] == 0).all()
    assert lost["estimate"].isna().all()
    assert any(note.startswith("4 models have no estimate") for note in estimate.notes)
    assert any("Nobody was on both A and C; B and C" in note for note in estimate.notes)


@pytest.mark.parametrize("seed", range(12))
def test_sparse_tables_give_an_answer_or_a_refusal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = random_counts(rng, int(rng.integers(3, 5)), float(rng.choice([8, 30, 200])))
    data = table(counts)
    if family.refusal(data, Priors()):
        return
    tree = family.posterior(data, Priors(), Sampling())
    estimate = SizeEstimate(tree, data, "loglinear-average")
    size = estimate.N()
    assert data.observed <= size.low <= size.median <= size.high
    assert json.loads(tree.attrs["notes"])
    assert estimate.distribution is not None
    assert estimate.distribution.probability.sum() == pytest.approx(1)


def test_a_search_finds_what_a_list_of_all_models_has(
    reference_table: Callable[..., OverlapTable],
) -> None:
    data = reference_table("UKdat_5")
    listed, found = (
        fit_table(data, "loglinear-average", options={"order": 2} | rest)
        for rest in ({}, {"max_models": 1000, "search_steps": 30})
    )
    assert listed.models is not None
    assert found.models is not None
    assert "random search" in found.notes[0]
    assert len(found.models) < len(listed.models)
    assert found.models["model"][:12].tolist() == listed.models["model"][:12].tolist()
    for one, other in zip(found.N()[:4], listed.N()[:4], strict=True):
        assert one == pytest.approx(other, rel=3e-3)


def test_a_search_keeps_to_hierarchical_models(rng: np.random.Generator) -> None:
    cells = cells_of(table(KOSOVO))
    masks, models = every_model(4)
    visited, fits = search(cells, masks, 5, rng)
    known = {tuple(row) for row in models.tolist()}
    assert all(tuple(row) in known for row in visited.tolist())
    assert len(np.unique(visited, axis=0)) == len(visited)
    assert len(fits.code) == len(visited)


def test_whole_numbers_stand_for_all_in_between() -> None:
    for low, high in ((0, 30), (3.2, 500.7), (0, 1e6), (1e5, 1e9)):
        numbers, stands = whole_numbers(low, high, 800)
        assert len(numbers) <= 800
        assert numbers[0] == np.floor(low)
        assert stands.sum() == np.ceil(high) - np.floor(low) + 1
        assert (stands >= 1).all()


# Refusals and options

CENSORED = OverlapTable.from_counts(tuple("ABC"), SPINA | {"011": (1, 4)})
EVERYBODY = {"100": 5, "110": 7, "101": 3, "111": 2}
REFUSED: dict[str, tuple[object, Priors]] = {
    "margins": (Margins(tuple("ABC"), (5, 6, 7), 12), Priors()),
    "lists-few": (table({"10": 5, "01": 4, "11": 2}), Priors()),
    "lists-many": (table({"1" * 11: 5, "1" + "0" * 10: 3}), Priors()),
    "censored": (CENSORED, Priors()),
    "list-empty": (table({"100": 5, "010": 4, "110": 2}), Priors()),
    "no-overlap": (table({"100": 5, "010": 4, "001": 2}), Priors()),
    "no-estimate": (table(EVERYBODY), Priors()),
    "prior-low": (table(SPINA), Priors(size_prior=SizePrior.parse("uniform:600"))),
}


@pytest.mark.parametrize("code", REFUSED)
def test_refusals_say_what_would_help(code: str) -> None:
    data, priors = REFUSED[code]
    refusal = family.refusal(data, priors)  # type: ignore[arg-type]
    assert refusal is not None
    assert refusal.code == f"loglinear-average-{code}"
    words = messages()[refusal.code]
    assert all(part.format(family="loglinear-average", **refusal.values) for part in words)


def test_all_messages_of_the_family_are_tested() -> None:
    own = {code for code in messages() if code.startswith("loglinear-average-")}
    assert {f"loglinear-average-{code}" for code in REFUSED} <= own


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"estimator": "aic"}, "bic, sbh, uip"), ({"order": 0}, "at least 1"),
        ({"best": True, "estimator": "sbh"}, "needs estimator bic"), ({"a": 0.0}, "above 0"),
        ({"max_models": 0}, "at least 1"), ({"search_steps": 0}, "at least 1"),
    ],
)  # fmt: skip
def test_impossible_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Priors(**options)  # type: ignore[arg-type]


def test_single_models_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="interaction of all lists"):
        fit_model(table(SPINA), "[A B C]")
    with pytest.raises(ValueError, match="between limits"):
        fit_model(CENSORED, "[A B]")
    with pytest.raises(ValueError, match="M0, Mt"):
        capture_model(table(SPINA), "Mb")
    with pytest.raises(ValueError, match="Chao"):
        capture_model(table(SPINA), "Mh", "Normal")
    possible = replace(table(SPINA), structural=np.arange(7) == 2)
    with pytest.raises(ValueError, match="all combinations"):
        capture_model(possible, "Mt")


# Single models, selection, bootstrap


def test_independent_lists_are_the_capture_model_mt() -> None:
    one, two = fit_model(table(KOSOVO), ""), capture_model(table(KOSOVO), "Mt")
    assert pytest.approx(two.N, rel=1e-10) == one.N
    assert one.bic == pytest.approx(two.bic, rel=1e-12)
    assert one.coefficients == pytest.approx(two.coefficients, rel=1e-9)


def test_two_lists_are_lincoln_petersen_and_chapman() -> None:
    counts = {"10": 700.0, "01": 500.0, "11": 300.0}
    assert pytest.approx(1000 * 800 / 300) == fit_model(table(counts), "").N
    counts = {"10": 400.0, "01": 200.0, "11": 600.0}
    N, _ = mt_bias_corrected(table(counts))
    assert pytest.approx(1001 * 801 / 601 - 1) == N


def test_the_profile_interval_is_where_the_likelihood_has_fallen() -> None:
    """Independence: the multinomial profile of N has a closed form."""
    found = fit_model(table(SPINA), "").profile()
    observed = float(sum(SPINA.values()))
    totals = np.array([sum(n for key, n in SPINA.items() if key[j] == "1") for j in range(3)])

    def loglik(N: float) -> float:
        share = totals / N
        rest = (totals * np.log(share) + (N - totals) * np.log1p(-share)).sum()
        return float(gammaln(N + 1) - gammaln(N - observed + 1) + rest)

    drop = 3.841458820694124 / 2
    assert loglik(found.best) - loglik(found.low) == pytest.approx(drop, abs=1e-6)
    assert loglik(found.best) - loglik(found.high) == pytest.approx(drop, abs=1e-6)
    assert loglik(found.best) >= max(loglik(found.best * x) for x in (0.999, 1.001))


def test_an_estimate_that_does_not_exist_has_no_numbers() -> None:
    lost = fit_model(table(SPARSE), "[A B]")
    assert np.isnan([lost.N, lost.se, lost.bic, lost.profile().low]).all()


def test_stepwise_adds_the_least_likely_overlap_first() -> None:
    found = selection.stepwise(table(SPINA))
    assert found.pairs == ("B:C",)
    assert found.fit.name == "[B C][A]"
    assert selection.stepwise(table(SPINA), 0.0).pairs == ()
    order = [1, 2, 0]
    other = selection.stepwise(table(SPINA).permuted(order))
    assert pytest.approx(found.fit.N, rel=1e-12) == other.fit.N


def test_the_best_model_by_bic_is_the_first_of_the_ranking() -> None:
    ranked = bic.rank_models(table(KOSOVO), top=5)
    best = selection.best_by_bic(table(KOSOVO))
    assert best.name == ranked["model"].iloc[0]
    assert best.bic == pytest.approx(ranked["bic"].iloc[0], rel=1e-10)
    assert pytest.approx(ranked["N"].iloc[0], rel=1e-10) == best.N
    assert best.se == pytest.approx(ranked["se"].iloc[0], rel=1e-6)
    assert ranked["bic"].is_monotonic_increasing


@pytest.mark.parametrize("method", ["stepwise", "bic"])
def test_a_bootstrap_can_be_repeated(method: str) -> None:
    one, two, other = (
        selection.bootstrap(table(SPINA), method, replicates=60, seed=seed)  # type: ignore[arg-type]
        for seed in (4, 4, 5)
    )
    assert one.quantiles == two.quantiles
    assert one.quantiles != other.quantiles
    assert one.acceleration == other.acceleration
    assert list(one.quantiles) == sorted(one.quantiles)
    assert one.failed == 0
    assert len(one.replicates) == 60


def test_stepwise_on_many_tables_is_stepwise_on_each(rng: np.random.Generator) -> None:
    """Replicates are carried forward together; each must be what it is alone."""
    cells = cells_of(table(KOSOVO))
    drawn = rng.multinomial(int(cells.observed), cells.counts / cells.observed, size=5)
    choose = selection._chooser(cells, "stepwise", 0.02, None, 20)
    together = choose(drawn.astype(float))
    for counts, found in zip(drawn, together, strict=True):
        labels = cells.labels(np.arange(16))
        alone = table({labels[c]: float(counts[c]) for c in range(1, 16)})
        assert pytest.approx(found, rel=1e-8) == selection.stepwise(alone).fit.N


def test_bca_without_bias_or_acceleration_is_the_percentile_interval() -> None:
    replicates = np.arange(1.0, 1001.0)
    bias, found = selection.bca(replicates, 500.5, 0.0, (0.025, 0.5, 0.975))
    assert bias == 0
    np.testing.assert_allclose(
        found, np.quantile(replicates, [0.025, 0.5, 0.975], method="median_unbiased")
    )
    bias, found = selection.bca(replicates, 0.0, 0.0, (0.5,))
    assert bias == -np.inf
    assert np.isnan(found).all()


def test_an_unknown_way_to_choose_is_refused() -> None:
    with pytest.raises(ValueError, match="stepwise or bic"):
        selection.bootstrap(table(SPINA), "aic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="even independent"):
        selection.stepwise(table(EVERYBODY))
    with pytest.raises(ValueError, match="no model"):
        selection.best_by_bic(table(EVERYBODY))


# Simulation


def test_simulated_lists_have_the_chances_of_the_truth(rng: np.random.Generator) -> None:
    data = table(SPINA)
    truth = simulation.Truth(
        data, 400_000, ((0,), (1,), (2,), (0, 1)), (-0.5, 0.2, -1.0, 0.4), np.array([1.0])
    )
    made = simulation.simulate(truth, rng)
    log = {
        key: -0.5 * s[0] + 0.2 * s[1] - s[2] + 0.4 * s[0] * s[1]
        for key in ["000", *SPINA]
        if (s := [1 if mark == "1" else -1 for mark in key])
    }
    total = sum(map(np.exp, log.values()))
    for label, count in zip(made.labels, made.low, strict=True):
        mean = truth.N * np.exp(log[label]) / total
        assert abs(count - mean) < 5 * np.sqrt(mean)
    # Odds ratios are e^(4 x link) given the rest; the fit of the true model finds the size.
    found = fit_model(made, "[A B][C]")
    assert abs(found.N - truth.N) < 4 * found.se
    assert found.coefficients["A:B"] == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize("estimator", ["bic", "uip"])
def test_truths_are_hierarchical_and_of_the_tables_size(
    estimator: str, rng: np.random.Generator
) -> None:
    data = table(KOSOVO)
    for _ in range(20):
        truth = simulation.draw_truth(data, Priors(estimator=estimator), rng)
        assert 1.3 * data.observed <= truth.N <= 4 * data.observed + 1
        assert all(
            part in truth.terms
            for term in truth.terms
            for size in range(1, len(term))
            for part in combinations(term, size)
        )
        assert max(map(len, truth.terms)) < 4
