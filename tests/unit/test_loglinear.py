"""The log-linear model without sampling: densities, people drawn, refusals."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from pytensor.compile.mode import Mode
from scipy import stats
from scipy.special import expit

from hiddenpop.families import loglinear as family
from hiddenpop.families.loglinear import Priors
from hiddenpop.families.loglinear_terms import log_between, mean_between
from hiddenpop.families.maths.between import draw_between
from hiddenpop.families.maths.independence import independent_unseen, size_at_odds_ratio
from hiddenpop.families.maths.lattice import tables_with_margins
from hiddenpop.families.simulation.loglinear import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inference import Sampler
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable

__all__: list[str] = []

Table = Callable[..., OverlapTable]
PLAIN = Mode(linker="py", optimizer=None)
SMALL = Margins(("A", "B", "C"), (30, 20, 10), 50)
LONDON = Margins(("treatment", "arrest", "survey"), (2905, 1188, 531), 4117)


def make_table(rng: np.random.Generator, lists: int = 3) -> OverlapTable:
    """Two sexes by two ages, with bracketed, unknown and impossible cells."""
    strata = tuple(product(("female", "male"), ("young", "old")))
    histories = [h for h in product((False, True), repeat=lists) if any(h)]
    history = np.array([h for _ in strata for h in histories])
    stratum = np.repeat(np.arange(4), len(histories))
    low = rng.poisson(8, len(history)).astype(float)
    high = low.copy()
    structural = np.zeros(len(history), dtype=bool)
    low[0], high[0] = 0, 40
    low[9], high[9] = 1, 4
    low[10], high[10] = 3, np.inf
    low[11], high[11] = 0, np.inf
    structural[14:21] = history[14:21, 0]
    low[structural] = high[structural] = 0
    names = tuple("ABCDE"[:lists])
    return OverlapTable(
        names, ("sex", "age"), strata, history, stratum, low, high, structural
    ).sorted()


def random_point(model: pm.Model, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Values of all random variables on the scale of the sampler."""
    return {
        name: np.asarray(value + 0.5 * rng.normal(size=value.shape))
        for name, value in model.initial_point().items()
    }


def densities(model: pm.Model, points: list[dict[str, np.ndarray]]) -> np.ndarray:
    compute = model.compile_logp(mode=PLAIN)
    return np.array([float(compute(point)) for point in points])


# --- the density of a table, written again cell by cell ----------------------------------------


def effects(
    data: OverlapTable, priors: Priors, point: dict[str, np.ndarray], scale: np.ndarray
) -> tuple[np.ndarray, dict[tuple[int, ...], float], np.ndarray]:
    """Log odds of lists by stratum, interactions by their lists, sds of both."""
    z, sds = iter(point.get("z", ())), []
    log_odds = np.tile(point["list_effect"], (len(data.strata), 1))
    for f in range(len(data.factors)):
        names = np.array([stratum[f] for stratum in data.strata])
        for level in dict.fromkeys(names):
            for j in range(len(data.lists)):
                log_odds[names == level, j] += np.sqrt(scale[f]) * next(z)
                sds.append(scale[f])
    found = {}
    for size in range(2, (priors.order or 2) + 1):
        for chosen in combinations(range(len(data.lists)), size):
            fixed = priors.interaction_sd
            sd = scale[len(data.factors) + size - 2] if fixed is None else fixed / 2 ** (size - 2)
            found[chosen] = np.sqrt(sd) * next(z)
            sds.append(sd)
    return log_odds, found, np.array(sds)


def stratum_density(
    data: OverlapTable, s: int, log_seen: float, odds: np.ndarray, links: dict[Any, float]
) -> tuple[float, float]:
    """Log probability of the cells of a stratum, and the log of its mean size."""
    cells = {tuple(data.history[i]): i for i in np.flatnonzero(data.stratum == s)}
    weight = {}
    for history in product((False, True), repeat=len(data.lists)):
        if history not in cells or not data.structural[cells[history]]:
            inside = sum(v for chosen, v in links.items() if all(history[j] for j in chosen))
            weight[history] = float(np.exp(np.array(history) @ odds + inside))
    ends = {h: (data.low[cells[h]], data.high[cells[h]]) if h in cells else (0.0, 0.0)
            for h in weight if any(h)}  # fmt: skip
    exact = [h for h, (low, high) in ends.items() if low == high]
    start = np.log(sum(ends[h][0] for h in exact) + 0.5)
    unseen = np.exp(log_seen + start) / sum(weight[h] for h in exact)
    found = 0.0
    for h, (low, high) in ends.items():
        some = np.arange(low, min(high, 400) + 1)
        found += float(np.log(stats.poisson.pmf(some, unseen * weight[h]).sum()))
    return found, float(np.log(unseen * sum(weight.values())))


def size_density(prior: SizePrior, size: float) -> float:
    """Log density of the log of the mean of N."""
    if prior.kind == "gamma":
        return float(stats.gamma.logpdf(size, prior.one, scale=prior.two) + np.log(size))
    if prior.kind == "lognormal":
        spread = np.log(prior.two / prior.one) / stats.norm.ppf(0.9)
        return float(stats.norm.logpdf(np.log(size), np.log(prior.one), spread))
    return 0.0


def table_density(data: OverlapTable, priors: Priors, point: dict[str, np.ndarray]) -> float:
    """Log posterior density up to a constant, from the formulas and scipy."""
    medians = [priors.between] * len(data.factors)
    if priors.interaction_sd is None:
        orders = range(2, (priors.order or 2) + 1)
        medians += [priors.interaction_scale / 2 ** (m - 2) for m in orders]
    scale = np.array(medians) * np.exp(0.75 * point.get("log_scale", np.zeros(0)))
    log_odds, links, sds = effects(data, priors, point, scale)
    # The sampler moves effects over the roots of their sds: densities of effects, times roots.
    z = point.get("z", np.zeros(0))
    found = float(stats.norm.logpdf(z * np.sqrt(sds), scale=sds).sum() + np.log(sds).sum() / 2)
    found += float(stats.norm.logpdf(point.get("log_scale", np.zeros(0))).sum())
    chance = expit(point["list_effect"])
    found += priors.list_beta * float(np.log(chance * (1 - chance)).sum())
    parts = [stratum_density(data, s, np.atleast_1d(point["log_seen"])[s], log_odds[s], links)
             for s in range(len(data.strata))]  # fmt: skip
    cells, sizes = np.array(parts).T
    apart = (sizes - sizes.mean()) / priors.stratum_spread
    size = size_density(priors.size_prior, np.exp(sizes).sum())
    return found + float(cells.sum()) - 0.5 * float(apart @ apart) + size


@pytest.mark.parametrize(
    "priors",
    [
        Priors(),
        Priors(order=1),
        Priors(order=3, list_beta=1.0),
        Priors(interaction_sd=0.4, between=0.3, stratum_spread=1.0),
        Priors(order=3, interaction_sd=0.4),
        Priors(size_prior=SizePrior.parse("gamma:13,55")),
        Priors(size_prior=SizePrior.parse("lognormal:900,2000")),
    ],
    ids=str,
)
@pytest.mark.parametrize("split", [True, False], ids=["strata", "total"])
def test_density_is_that_of_the_formulas(
    priors: Priors, split: bool, rng: np.random.Generator
) -> None:
    data = make_table(rng, lists=4)
    if not split:
        data = data.of_stratum(1)
    model = family.build_model(data, priors)
    points = [random_point(model, rng) for _ in range(3)]
    ours = densities(model, points)
    plain = np.array([table_density(data, priors, point) for point in points])
    assert np.diff(ours) == pytest.approx(np.diff(plain), rel=1e-9, abs=1e-8)


def test_lists_may_stand_in_any_order(rng: np.random.Generator) -> None:
    data, priors, order = make_table(rng), Priors(order=1), [2, 0, 1]
    model, other = (family.build_model(table, priors) for table in (data, data.permuted(order)))
    point = random_point(model, rng)
    levels = point["z"].reshape(-1, 3)
    moved = point | {"list_effect": point["list_effect"][order], "z": levels[:, order].ravel()}
    assert densities(other, [moved])[0] == pytest.approx(densities(model, [point])[0], rel=1e-12)


def test_absent_and_empty_cells_are_the_same() -> None:
    cells = {"100": 30, "010": 20, "001": 8, "110": 4, "011": 2, "111": 1}
    one = OverlapTable.from_counts("ABC", cells)
    two = OverlapTable.from_counts("ABC", cells | {"101": 0})
    first, second = family.values(one), family.values(two)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_a_model_has_named_sizes_and_data(rng: np.random.Generator) -> None:
    for data in (make_table(rng), make_table(rng).of_stratum(2), SMALL, LONDON):
        model = family.build_model(data)
        for variable in (*model.free_RVs, *model.deterministics):
            assert len(model.named_vars_to_dims.get(variable.name, ())) == variable.ndim
        values = family.values(data)
        assert set(values) == {variable.name for variable in model.data_vars}
        for name, value in values.items():
            np.testing.assert_array_equal(model[name].get_value(), value)


# --- brackets ----------------------------------------------------------------------------------


def test_log_probability_of_brackets() -> None:
    low = np.array([0.0, 1, 5, 0, 3, 1000, 0, 200])
    high = np.array([4.0, 4, 9, 120, 1e12, 2000, 0, 210])
    for mean in (1e-4, 0.3, 4.0, 60.0, 900.0):
        ours = log_between(low, high, np.full(8, np.log(mean))).eval(mode=PLAIN)
        span = np.arange(6000)
        each = stats.poisson.logpmf(span, mean)
        for i in range(8):
            inside = each[(span >= low[i]) & (span <= high[i])]
            exact = np.logaddexp.reduce(inside)
            # Within 1e-6 where a posterior can be, within 5 % of the logarithm beyond.
            loose = exact < -20
            assert ours[i] == pytest.approx(exact, rel=0.05 if loose else 1e-6, abs=1e-6)


def test_mean_within_brackets() -> None:
    low, high = np.array([0.0, 1, 3]), np.array([5.0, 4, 1e12])
    for mean in (0.2, 3.0, 9.0):
        ours = mean_between(low, high, np.full(3, np.log(mean))).eval(mode=PLAIN)
        span = np.arange(200)
        pmf = stats.poisson.pmf(span, mean)
        for i in range(3):
            inside = (span >= low[i]) & (span <= high[i])
            exact = (span * pmf)[inside].sum() / pmf[inside].sum()
            assert ours[i] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("low", "high", "mean"), [(0, 4, 2.5), (1, 4, 9.0), (6, np.inf, 3.0)])
def test_draws_within_brackets(
    low: float, high: float, mean: float, rng: np.random.Generator
) -> None:
    drawn = draw_between(np.full(20_000, mean), np.array(low), np.array(high), rng)
    span = np.arange(low, min(high, 30) + 1)
    pmf = stats.poisson.pmf(span, mean)
    counts = [(drawn == k).sum() for k in span]
    kept = pmf / pmf.sum() * len(drawn) > 5
    expected = (pmf / pmf.sum() * len(drawn))[kept]
    assert ((np.array(counts)[kept] - expected) ** 2 / expected).sum() < 40


def test_draws_far_from_their_brackets_are_at_the_nearest_end(rng: np.random.Generator) -> None:
    drawn = draw_between(np.array([1e5, 1e-3]), np.array([5.0, 500]), np.array([9.0, 510]), rng)
    np.testing.assert_array_equal(drawn, [9, 500])


# --- independent lists, one odds ratio ---------------------------------------------------------


@pytest.mark.parametrize("beta", [1.0, 0.1])
def test_independent_lists_have_the_beta_binomial_form(beta: float) -> None:
    totals, distinct = (9, 7, 5), 15
    N = np.arange(distinct, 200_000)
    mass = 1 / N * np.exp(
        stats.betabinom.logpmf(np.array(totals)[:, None], N, beta, beta).sum(0)
        # Ways to have these totals and this many distinct people: all that else depends on N.
        + np.cumsum(np.append(0, np.log(N[1:] / (N[1:] - distinct))))
        - sum(np.cumsum(np.append(0, np.log(N[1:] / (N[1:] - t)))) for t in totals)
    )  # fmt: skip
    cumulative = np.cumsum(mass / mass.sum())
    for p in (0.025, 0.5, 0.975):
        exact = N[np.searchsorted(cumulative, p)]
        ours = independent_unseen(totals, distinct, beta).quantile(p) + distinct
        assert ours == pytest.approx(exact, abs=1)


def test_size_at_an_odds_ratio_reproduces_the_margins() -> None:
    rng = np.random.default_rng(3)
    a, psi, N = rng.normal(-1.5, 0.3, 3), 2.5, 5000.0
    on = np.array(list(product((0, 1), repeat=3)))
    weight = np.exp(on @ a) * psi ** (on.sum(1) * (on.sum(1) - 1) / 2)
    mean = N * weight / weight.sum()
    totals, distinct = mean @ on, mean[on.any(1)].sum()
    assert size_at_odds_ratio(totals, distinct, psi) == pytest.approx(N, rel=1e-8)
    assert size_at_odds_ratio(totals, distinct, 1.0) < N


# --- margins -----------------------------------------------------------------------------------


def brute_tables(totals: tuple[int, int, int], distinct: int) -> set[tuple[int, ...]]:
    """All tables of three lists, codes 1 to 7, by trying."""
    found = set()
    a, b, c = totals
    for ab, ac, bc, abc in product(range(min(totals) + max(totals)), repeat=4):
        cells = (a - ab - ac - abc, b - ab - bc - abc, ab, c - ac - bc - abc, ac, bc, abc)
        if min(cells) >= 0 and sum(cells) == distinct:
            found.add(cells)
    return found


@pytest.mark.parametrize(("totals", "distinct"), [((5, 4, 3), 8), ((4, 4, 1), 5), ((3, 2, 2), 7)])
def test_every_table_with_the_margins_is_found(totals: tuple[int, int, int], distinct: int) -> None:
    tables = tables_with_margins(totals, distinct, 10_000)
    assert tables is not None
    assert {tuple(row) for row in tables.tolist()} == brute_tables(totals, distinct)
    assert tables_with_margins(totals, distinct, len(tables) - 1) is None


def test_tables_of_four_lists_have_their_margins() -> None:
    margins = Margins(("A", "B", "C", "D"), (6, 5, 4, 3), 12)
    tables = tables_with_margins(margins.totals, margins.distinct, 100_000)
    assert tables is not None
    assert len(np.unique(tables, axis=0)) == len(tables) > 100
    np.testing.assert_array_equal(tables @ margins.sums.T, np.tile(margins.known, (len(tables), 1)))


def margins_density(data: Margins, priors: Priors, point: dict[str, np.ndarray]) -> float:
    """Log density up to a constant: the sum over tables tried one by one."""
    low, high, level = priors.odds_ratio
    sd = np.log(high / low) / 2 / stats.norm.ppf(0.5 + level / 2)
    r, z = priors.odds_ratio_shared, point["z"]
    link = np.log(low * high) / 2 + sd * (np.sqrt(r) * z[0] + np.sqrt(1 - r) * z[1:])
    a = point["list_effect"]
    u = np.array([a[0], a[1], a[0] + a[1] + link[0], a[2], a[0] + a[2] + link[1],
                  a[1] + a[2] + link[2], a.sum() + link.sum()])  # fmt: skip
    mean = np.exp(point["log_seen"]) * data.distinct * np.exp(u) / np.exp(u).sum()
    tables = brute_tables(data.totals, data.distinct)  # type: ignore[arg-type]
    likelihood = sum(float(np.prod(stats.poisson.pmf(table, mean))) for table in tables)
    chance = expit(a)
    prior = priors.list_beta * np.log(chance * (1 - chance)).sum()
    return float(np.log(likelihood) + prior + stats.norm.logpdf(z).sum())


def test_density_of_few_margins_is_the_sum_over_all_tables(rng: np.random.Generator) -> None:
    data, priors = Margins(("A", "B", "C"), (7, 5, 4), 11), Priors(odds_ratio=(0.5, 6, 0.9))
    model = family.build_model(data, priors)
    points = [random_point(model, rng) for _ in range(3)]
    plain = np.array([margins_density(data, priors, point) for point in points])
    assert np.diff(densities(model, points)) == pytest.approx(np.diff(plain), rel=1e-9)


def test_normal_density_of_margins_is_near_the_sum(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Margins(("A", "B", "C"), (290, 160, 90), 480)
    monkeypatch.setattr("hiddenpop.families.loglinear_margins.MOST_TABLES", 10**6)
    exact = family.build_model(data)
    monkeypatch.setattr("hiddenpop.families.loglinear_margins.MOST_TABLES", 0)
    normal = family.build_model(data)
    assert "tables" in exact.named_vars
    assert "totals" in normal.named_vars
    # Both densities of main effects, the odds ratios fixed at 1, by importance sampling.
    start = {name: np.zeros_like(x) for name, x in exact.initial_point().items()}
    start["z"][0] = -np.log(2.5) / 2 / (np.log(40) / 2 / stats.norm.ppf(0.975)) / np.sqrt(0.5)
    alone = size_at_odds_ratio(data.totals, data.distinct, 1.0)
    totals = np.array(data.totals)
    centre, spread = np.log(totals / (alone - totals)), 0.2
    drawn = centre + spread * rng.standard_t(6, size=(1500, 3))
    points = [start | {"list_effect": x} for x in drawn]
    proposal = stats.t.logpdf((drawn - centre) / spread, 6).sum(1)
    moments = []
    for model in (normal, exact):
        log_weight = densities(model, points) - proposal
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        assert 1 / (weight**2).sum() > 150
        mean = weight @ drawn
        moments.append((mean, np.sqrt(weight @ (drawn - mean) ** 2)))
    (mean, sd), (exact_mean, exact_sd) = moments
    assert abs(mean - exact_mean).max() < 0.1 * exact_sd.min()
    assert sd == pytest.approx(exact_sd, rel=0.05)


# --- people and words --------------------------------------------------------------------------


def prior_like_tree(data: OverlapTable | Margins, priors: Priors, seed: int = 1) -> xr.DataTree:
    """A tree as the sampler makes it, with draws near the start in place of a posterior."""
    sampler = Sampler(family.build_model(data, priors))
    rng = np.random.default_rng(seed)
    drawn = {}
    for variable in sampler.model.free_RVs:
        dims = sampler.model.named_vars_to_dims.get(variable.name, ())
        shape = tuple(len(sampler.model.coords[dim]) for dim in dims)
        x = 0.1 * rng.normal(size=(4, 50, *shape)) - (variable.name == "list_effect")
        drawn[variable.name] = (
            ("chain", "draw", *dims),
            np.abs(x) if "scale" in variable.name else x,
        )
    posterior = sampler.complete(xr.Dataset(drawn), family.values(data, priors))
    return xr.DataTree.from_dict({"posterior": posterior})


def test_people_are_drawn_around_their_means(rng: np.random.Generator) -> None:
    data = make_table(rng)
    before = prior_like_tree(data, Priors())
    tree = family.finish(before, data, Priors(), rng)
    mean, drawn = before["posterior"]["N"], tree["posterior"]["N"]
    assert drawn.dims == ("chain", "draw", "stratum")
    assert list(drawn["stratum"].to_numpy()) == list(data.stratum_names)
    assert (drawn >= data.observed_by_stratum).all()
    np.testing.assert_array_equal(drawn % 1, 0)
    np.testing.assert_array_equal(drawn - data.observed_by_stratum, tree["posterior"]["unseen"])
    gap = (drawn - mean).mean(("chain", "draw"))
    error = (drawn - mean).std(("chain", "draw")) / np.sqrt(200)
    assert (abs(gap) < 4 * error).all()
    assert tree.attrs["observed"] == data.observed
    assert "no list" in tree.attrs["assumption"]
    assert any("not counted exactly" in note for note in json.loads(tree.attrs["notes"]))
    assert "expected" not in tree["posterior"]


def test_fitted_cells_are_observed_and_expected(rng: np.random.Generator) -> None:
    data = OverlapTable.from_counts(
        "ABC", {"100": 30, "010": 20, "001": 8, "110": 4, "101": 2, "011": 2, "111": (0, 3)}
    )
    tree = family.finish(prior_like_tree(data, Priors()), data, Priors(), rng)
    fitted = tree["fitted"].to_dataset()
    assert fitted["observed"].sel(history="110") == 4
    assert np.isnan(fitted["observed"].sel(history="111"))
    assert (fitted["low"] <= fitted["high"]).all()
    # The total of the cells known exactly is what log_seen moves, here near its start value.
    exact = fitted["expected"].where(~np.isnan(fitted["observed"])).sum()
    assert float(exact) == pytest.approx(66.5, rel=0.05)
    assert tree["posterior"]["N"].dims == ("chain", "draw")


@pytest.mark.parametrize("data", [SMALL, LONDON], ids=["few", "many"])
def test_margins_say_that_the_prior_decides(data: Margins, rng: np.random.Generator) -> None:
    tree = family.finish(prior_like_tree(data, Priors()), data, Priors(), rng)
    assert tree["posterior"]["N"].dims == ("chain", "draw")
    assert (tree["posterior"]["N"] >= data.distinct).all()
    assert "prior settles" in tree.attrs["assumption"]
    notes = json.loads(tree.attrs["notes"])
    assert any(note.startswith("If the lists were independent") for note in notes)
    fitted = tree["fitted"]["observed"].to_series().to_dict()
    assert fitted == dict(zip([*data.lists, "distinct people"], data.known, strict=True))


def test_fixed_odds_ratios_are_said(rng: np.random.Generator) -> None:
    for priors, words in (
        (Priors(order=1), "are independent"),
        (Priors(odds_ratio=(2, 2, 0.9)), "have an odds ratio of 2"),
    ):
        tree = family.finish(prior_like_tree(LONDON, priors), LONDON, priors, rng)
        assert words in tree.attrs["assumption"]
    alone = json.loads(tree.attrs["notes"])[1]
    assert alone.startswith("If the lists were independent there would be 10,7")


@pytest.mark.parametrize("order", [1, 2, 3])
def test_words_follow_the_order(order: int, rng: np.random.Generator) -> None:
    data, priors = make_table(rng, lists=4), Priors(order=order)
    tree = family.finish(prior_like_tree(data, priors), data, priors, rng)
    words = {1: "nothing about being on another", 2: "up to two lists", 3: "up to 3 lists"}
    assert words[order] in tree.attrs["assumption"]
    notes = " ".join(json.loads(tree.attrs["notes"]))
    assert ("strongest link" in notes) == (order > 1)
    assert ("no cell is left" in notes) == (order == 3)


# --- refusals ----------------------------------------------------------------------------------


COUNTS = {"100": 9, "010": 8, "001": 7, "110": 2, "101": 1, "011": 1, "111": 1}
FULL = OverlapTable.from_counts("ABC", COUNTS)


def many_strata() -> OverlapTable:
    strata = tuple((str(i),) for i in range(300))
    return replace(
        FULL, factors=("area",), strata=strata, history=np.tile(FULL.history, (300, 1)),
        stratum=np.repeat(np.arange(300), 7), low=np.tile(FULL.low, 300),
        high=np.tile(FULL.high, 300), structural=np.zeros(2100, dtype=bool),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "data", "priors"),
    [
        ("loglinear-lists", OverlapTable.from_counts("AB", {"10": 6, "01": 4, "11": 1}), Priors()),
        ("loglinear-order", FULL, Priors(order=3)),
        ("loglinear-size", many_strata(), Priors()),
        ("loglinear-overlap", OverlapTable.from_counts(
            "ABC", {"100": 9, "010": 8, "001": 7, "110": (0, np.inf)}), Priors()),
        ("loglinear-empty", OverlapTable.from_counts(
            "ABC", {"100": 9, "010": 8, "110": 2}), Priors()),
        ("loglinear-size-prior", FULL, Priors(size_prior=SizePrior.parse("uniform:500"))),
        ("loglinear-margins-order", Margins(("A", "B", "C", "D"), (5, 5, 5, 5), 12),
         Priors(order=3)),
        ("loglinear-margins-overlap", Margins(("A", "B", "C"), (5, 5, 5), 15), Priors()),
        ("loglinear-margins-impossible", Margins(("A", "B", "C"), (9, 1, 1), 8), Priors()),
    ],
)  # fmt: skip
def test_refusals(code: str, data: OverlapTable | Margins | RepeatTable, priors: Priors) -> None:
    found = family.refusal(data, priors)
    assert found is not None
    assert found.code == code
    faults = Faults()
    faults.report(found.code, {"family": "loglinear", **found.values})
    assert faults.found[0].fix


def test_what_can_be_fitted_is_not_refused(rng: np.random.Generator) -> None:
    for data in (FULL, make_table(rng), SMALL, LONDON):
        assert family.refusal(data, Priors()) is None


@pytest.mark.parametrize(
    "options",
    [
        {"order": 0},
        {"interaction_scale": 0.0},
        {"interaction_sd": -1.0},
        {"between": 0.0},
        {"list_beta": 0.0},
        {"stratum_spread": np.inf},
        {"odds_ratio": (2.0, 1.0, 0.95)},
        {"odds_ratio": (0.0, 1.0, 0.95)},
        {"odds_ratio": (1.0, 2.0, 1.0)},
        {"odds_ratio_shared": 1.5},
    ],
)
def test_impossible_priors(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        Priors(**options)


# --- the simulator -----------------------------------------------------------------------------


def test_simulated_tables_keep_their_shape(rng: np.random.Generator) -> None:
    data = make_table(rng)
    truth = draw_truth(data, Priors(), rng)
    assert 1.2 * data.observed < truth.N < 4.1 * data.observed
    made = simulate(truth, rng)
    assert isinstance(made, OverlapTable)
    before, after = family.values(data), family.values(made)
    assert {k: x.shape for k, x in before.items()} == {k: x.shape for k, x in after.items()}
    np.testing.assert_array_equal(data.structural, made.structural)
    np.testing.assert_array_equal(data.low < data.high, made.low < made.high)


def test_simulated_cells_are_those_that_the_model_expects(rng: np.random.Generator) -> None:
    """The model's own `expected` at the truth's parameters is the simulator's chances times N."""
    data = make_table(rng)
    priors = Priors(interaction_sd=0.5)
    truth = draw_truth(data, priors, rng)
    sampler = Sampler(family.build_model(data, priors))
    z = [value / np.sqrt(0.5) for value in truth.interaction.values()]
    # Deviations of strata are put into the list effects, one stratum at a time.
    for s in range(len(data.strata)):
        blank = np.zeros((1, 1, 4 * 3 + 3))
        blank[0, 0, 12:] = z
        dims = sampler.model.named_vars_to_dims
        drawn = {"log_seen": np.zeros((1, 1, 4)), "list_effect": truth.log_odds[s][None, None],
                 "log_scale": np.zeros((1, 1, 2)), "z": blank}  # fmt: skip
        made = sampler.complete(
            xr.Dataset({k: (("chain", "draw", *dims[k]), x) for k, x in drawn.items()}),
            family.values(data, priors),
        )
        ours = made["expected"].isel(chain=0, draw=0, stratum=s).to_series()
        ours = ours[ours > 0] / ours.sum()
        chances = {"".join(map(str, h)): p for h, p in truth.chances(s).items()}
        assert ours.to_dict() == pytest.approx(chances)


def test_simulated_margins_are_sums_of_people(rng: np.random.Generator) -> None:
    truth = draw_truth(LONDON, Priors(), rng)
    made = simulate(truth, rng)
    assert isinstance(made, Margins)
    assert max(made.totals) <= made.distinct <= min(sum(made.totals), truth.N)
    assert draw_truth(LONDON, Priors(order=1), rng).interaction == {}
