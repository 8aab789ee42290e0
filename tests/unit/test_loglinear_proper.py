"""Averages under a proper prior: the parts against slow truths, the whole by its rules."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp
from scipy.stats import nbinom, norm, poisson

from hiddenpop.families import loglinear_average as family
from hiddenpop.families.averaging import proper
from hiddenpop.families.averaging.proper_cells import lay_out, order_of, variables_of
from hiddenpop.families.loglinear_average import Priors
from hiddenpop.families.maths.between import between_slopes, draw_between, log_between
from hiddenpop.families.maths.hierarchy import hierarchical_models, terms
from hiddenpop.families.maths.importance import draw_particles
from hiddenpop.families.maths.model_search import search_models
from hiddenpop.families.maths.proper_prior import Prior, find_modes, laplace
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table, refused

__all__: list[str] = []

Counts = Mapping[str, float]
Reference = Callable[..., OverlapTable]

SPINA = {"100": 244, "010": 48, "110": 142, "001": 60, "101": 112, "011": 4, "111": 11}
"""Spina bifida in New York: birth certificates, death certificates, rehabilitation records."""

ALIKE = {"100": 2, "010": 2, "001": 1, "110": 2, "101": 1, "011": 1, "111": 1}
"""So few people that all cells could be alike: the prior's spike at 0 holds a third."""

FEW = {"100": 20, "010": 12, "001": 14, "110": 4, "101": 3, "011": 2, "111": 0}

PROBABILITIES = np.array([0.025, 0.25, 0.5, 0.75, 0.975])


@pytest.fixture(scope="module")
def spina() -> OverlapTable:
    return OverlapTable.from_counts(("birth", "death", "rehab"), SPINA)


@pytest.fixture(scope="module")
def by_race(reference_table: Reference) -> OverlapTable:
    return reference_table("spina")


def fit(table: OverlapTable, **options: object) -> SizeEstimate:
    """With estimator sbh unless another is given."""
    return fit_table(table, "loglinear-average", options={"estimator": "sbh", **options})


# The prior and the likelihood, one piece at a time.


@pytest.mark.parametrize(("square", "size"), [(0.0, 3), (0.4, 4), (9.0, 10)])
def test_sigma_integrates_out(square: float, size: int) -> None:
    a, b = 0.7, 0.3

    def joint(s: float) -> float:
        """Normal times inverse gamma at sigma^2 = exp(s), with the Jacobian."""
        log_gamma = a / 2 * np.log(b / 2) - gammaln(a / 2) - a / 2 * s - b / 2 * np.exp(-s)
        log_normal = -size / 2 * (np.log(2 * np.pi) + s) - square / 2 * np.exp(-s)
        return float(np.exp(log_gamma + log_normal))

    found = Prior(a, b).log_density(np.array([square]), np.array([size]))
    assert found[0] == pytest.approx(np.log(quad(joint, -25, 60, limit=500, epsabs=0)[0]), abs=1e-6)


def test_known_variance_is_normal() -> None:
    beta = np.array([0.3, -1.1, 2.0])
    found = Prior(variance=np.array([1.7])).log_density(np.array([beta @ beta]), np.array([3]))
    assert found[0] == pytest.approx(norm.logpdf(beta, scale=np.sqrt(1.7)).sum())


@pytest.mark.parametrize(("low", "high"), [(0, 4), (1, 4), (3, 5), (1, 60), (40, 41), (2, np.inf)])
def test_between_is_a_sum(low: float, high: float) -> None:
    means = np.array([0.02, 0.7, 3.0, 11.0, 45.0, 130.0])
    k = np.arange(low, min(high, 2000) + 1)
    direct = logsumexp(poisson.logpmf(k[:, None], means), axis=0)
    ends = np.array([low]), np.array([high])
    found = log_between(np.log(means)[:, None], *ends)[:, 0]
    np.testing.assert_allclose(found, direct, rtol=1e-9, atol=1e-12)
    slope, curve = between_slopes(np.log(means)[:, None], *ends)
    share = np.exp(poisson.logpmf(k[:, None], means) - direct)
    mean = k @ share
    np.testing.assert_allclose(slope[:, 0], mean - means, rtol=1e-7, atol=1e-9)
    variance = (k[:, None] - mean) ** 2 * share
    np.testing.assert_allclose(curve[:, 0], means - variance.sum(0), rtol=1e-6, atol=1e-7)


def test_between_far_from_its_mean() -> None:
    ends = np.array([3.0]), np.array([9.0])
    log_means = np.array([[-400.0], [9.0], [30.0]])
    found = log_between(log_means, *ends)
    assert found[0, 0] == pytest.approx(3 * -400 - np.log(6))
    assert found[1, 0] == pytest.approx(
        logsumexp(poisson.logpmf(np.arange(3, 10), np.exp(9.0))), rel=1e-9
    )
    assert np.isfinite(found).all()
    assert np.isfinite(between_slopes(log_means, *ends)[0]).all()


def test_draws_between(rng: np.random.Generator) -> None:
    low, high = np.array([1.0, 0.0, 50.0, 2.0]), np.array([4.0, 3.0, 60.0, np.inf])
    mean = np.array([2.0, 40.0, 10.0, 0.1])
    drawn = draw_between(np.tile(mean, (4000, 1)), low, high, rng)
    assert (drawn >= low).all()
    assert (drawn <= high).all()
    for j in range(4):
        k = np.arange(low[j], min(high[j], 100) + 1)
        mass = np.exp(poisson.logpmf(k, mean[j]) - logsumexp(poisson.logpmf(k, mean[j])))
        sd = np.sqrt(mass @ k**2 - (mass @ k) ** 2)
        assert abs(drawn[:, j].mean() - mass @ k) < 4.5 * sd / np.sqrt(4000) + 1e-9


def test_columns_are_orthogonal(by_race: OverlapTable) -> None:
    layout = lay_out(by_race, 3)
    design = np.vstack([layout.table.exact, layout.missing])
    np.testing.assert_allclose(design.T @ design / len(design), np.eye(design.shape[1]), atol=1e-12)
    # Three lists with one column, three levels with two, and their products but not all lists.
    assert design.shape[1] == 1 + (3 + 2) + (3 + 3 * 2) + 3 * 2


def test_any_coding_is_the_same_prior(by_race: OverlapTable) -> None:
    """n_c (X'X)^-1 with treatment contrasts of the levels (centred) as the prior's covariance."""
    layout = lay_out(by_race, 1)
    design = np.vstack([layout.table.exact, layout.missing])
    levels = np.unique(design[:, 4:].round(6), axis=0, return_inverse=True)[1].ravel()
    other = np.hstack([design[:, :4], np.eye(3)[levels][:, 1:] - 1 / 3])
    change = np.linalg.lstsq(other, design, rcond=None)[0]
    covariance = len(design) * np.linalg.inv(other[:, 1:].T @ other[:, 1:])
    mine = change[1:, 1:] @ change[1:, 1:].T
    np.testing.assert_allclose(covariance, mine, atol=1e-10)


# Modes, evidence and N against brute force.


class Grid:
    """One model with its intercept integrated out, on a grid of its coefficients.

    With S the sum of exp(X beta) over the observed cells, the integral of exp(n u - S exp(u))
    over u is Gamma(n) / S^n. `variance` None is the prior SBH.
    """

    def __init__(
        self, counts: Counts, pairs: tuple[tuple[int, int], ...] = (), variance: float | None = None
    ) -> None:
        codes = np.array([[int(mark) for mark in key] for key in counts])
        signs = np.vstack([2.0 * codes - 1, -np.ones(codes.shape[1])])
        self.columns = np.hstack([signs, *[signs[:, [i]] * signs[:, [j]] for i, j in pairs]])
        self.y = np.array(list(counts.values()), dtype=float)
        self.n = self.y.sum()
        self.variance = variance

    def log_mass(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log of likelihood times prior, and log odds of the all-zero cell; beta (point, d)."""
        d, square = beta.shape[1], (beta**2).sum(axis=1)
        eta = beta @ self.columns.T
        log_sum = logsumexp(eta[:, :-1], axis=1)
        found = eta[:, :-1] @ self.y - self.n * log_sum + gammaln(self.n)
        found -= gammaln(self.y + 1).sum()
        if self.variance is not None:
            found -= d / 2 * np.log(2 * np.pi * self.variance) + square / (2 * self.variance)
        else:
            a = b = 0.001
            found += gammaln((a + d) / 2) - gammaln(a / 2) - d / 2 * np.log(np.pi)
            found += a / 2 * np.log(b) - (a + d) / 2 * np.log(b + square)
        return found, eta[:, -1] - log_sum

    def summed(
        self, axes: list[np.ndarray], place: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> tuple[float, np.ndarray]:
        """Evidence and distribution of the unseen (0..MOST), over the product of the axes."""
        total, odds = [], []
        for first in axes[0]:  # a slice at a time, for the memory
            rest = np.meshgrid([first], *axes[1:], indexing="ij")
            beta, log_volume = place(np.stack(rest, axis=-1).reshape(-1, len(axes)))
            log_mass, log_odds = self.log_mass(beta)
            total.append(log_mass + log_volume)
            odds.append(log_odds)
        log_mass, log_odds = np.concatenate(total), np.concatenate(odds)
        evidence = float(logsumexp(log_mass))
        # Log odds in narrow bins.
        bins, inverse = np.unique(np.round(log_odds * 150), return_inverse=True)
        weight = np.bincount(inverse, np.exp(log_mass - evidence))
        kept = weight > 1e-11
        chance = 1 / (1 + np.exp(bins[kept] / 150))
        unseen = nbinom.pmf(np.arange(MOST + 1)[:, None], self.n, chance) @ weight[kept]
        return evidence, unseen

    def spiked(self, points: int = 121) -> tuple[float, np.ndarray]:
        """Steps even in asinh(beta / 0.005), where the spike at 0 is as smooth as the rest."""
        steps = np.linspace(-1, 1, points) * np.arcsinh(12 / 0.005)

        def place(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            width = 0.005 * np.cosh(u) * (steps[1] - steps[0])
            return 0.005 * np.sinh(u), np.log(width).sum(axis=1)

        return self.summed([steps] * self.columns.shape[1], place)

    def smooth(self) -> tuple[float, np.ndarray]:
        """Steps along the axes of the curvature at the mode, reaching six deviations."""
        d = self.columns.shape[1]
        start = np.append(np.full(3, -0.4), np.zeros(d - 3))
        mode = minimize(lambda beta: -self.log_mass(beta[None])[0][0], start).x
        h = 1e-3 * np.eye(d)
        curve = [
            [
                sum(
                    -s * t * self.log_mass((mode + s * h[i] + t * h[j])[None])[0][0]
                    for s in (1, -1)
                    for t in (1, -1)
                )
                / 4e-6
                for j in range(d)
            ]
            for i in range(d)
        ]
        spread = np.linalg.cholesky(np.linalg.inv(np.array(curve)))
        step = {3: 0.3, 4: 0.55, 5: 0.8, 6: 1.1}[d]
        axis = np.arange(-6, 6 + step, step)
        log_volume = d * np.log(step) + np.linalg.slogdet(spread)[1]
        return self.summed([axis] * d, lambda z: (mode + z @ spread.T, log_volume))


MOST = 1500


CASES: list[tuple[Counts, tuple[tuple[int, int], ...], float | None]] = [
    (ALIKE, (), None),
    (FEW, (), None),
    (FEW, (), 1.0),
    (FEW, ((0, 1),), None),
    (FEW, ((0, 1),), 1.0),
]


@pytest.mark.parametrize(("counts", "pairs", "variance"), CASES)
def test_one_model_against_a_grid(
    counts: Counts, pairs: tuple[tuple[int, int], ...], variance: float | None
) -> None:
    table = OverlapTable.from_counts("ABC", counts)
    layout = lay_out(table, 2)
    names = layout.variables.names
    wanted = {1 << j for j in range(3)}
    wanted |= {(1 << names.index("ABC"[i])) | (1 << names.index("ABC"[j])) for i, j in pairs}
    row = np.isin(layout.masks, list(wanted))[None, :]
    prior = Prior() if variance is None else Prior(variance=np.array([variance]))
    modes = find_modes(layout.table, prior, layout.has(row))
    particles = draw_particles(layout.table, prior, modes, 60_000, np.random.default_rng(4))
    grid = Grid(counts, pairs, variance)
    evidence, unseen = grid.spiked() if counts is ALIKE else grid.smooth()
    weight = np.exp(particles.log_weight - logsumexp(particles.log_weight))
    effective = 1 / (weight**2).sum()
    assert effective > 25_000
    # The relative error of an evidence is 1 / sqrt(effective draws); the grid's is far smaller.
    assert abs(logsumexp(particles.log_weight) - evidence) < 4 / np.sqrt(effective) + 1e-3
    mean = np.exp(particles.theta @ layout.missing.T)[:, 0]
    exact = np.cumsum(unseen)
    for most in (0, 3, 10, 30, 60, 120, 250):
        mine = weight @ poisson.cdf(most, mean)
        error = np.sqrt(exact[most] * (1 - exact[most]) / effective)
        assert abs(mine - exact[most]) < 4 * error + 1e-3, most


def quantiles_agree(found: SizeEstimate, probability: np.ndarray, error: float) -> None:
    """Quantiles found are those of a distribution of the unseen, but for an error of its cdf."""
    exact = np.concatenate([[0.0], np.cumsum(probability)])
    for unseen, q in zip(found.distribution.quantile(PROBABILITIES), PROBABILITIES, strict=True):
        wide = 4 * error * np.sqrt(q * (1 - q)) + 1e-3
        assert exact[int(unseen)] - wide < q < exact[int(unseen) + 1] + wide


def test_an_average_against_grids() -> None:
    """Evidence weighs the eight models of three lists; quantiles of the average follow."""
    found = fit(OverlapTable.from_counts("ABC", FEW), estimator="uip", order=2)
    every = [pairs for count in range(4) for pairs in combinations([(0, 1), (0, 2), (1, 2)], count)]
    evidences, unseen = zip(*[Grid(FEW, pairs, 1.0).smooth() for pairs in every], strict=True)
    share = np.exp(np.array(evidences) - logsumexp(evidences))
    error = 1 / np.sqrt(found.tree.attrs["importance_ess"])
    mine = np.sort(found.models["weight"].to_numpy())
    np.testing.assert_array_less(
        abs(mine - np.sort(share)), 4 * error * np.sqrt(np.sort(share)) + 1e-3
    )
    quantiles_agree(found, share @ np.array(unseen), error)


def test_modes_are_modes(by_race: OverlapTable) -> None:
    layout = lay_out(by_race, 2)
    models = hierarchical_models(4, 2)
    has = layout.has(models)
    modes = find_modes(layout.table, Prior(), has)
    rng = np.random.default_rng(0)
    from hiddenpop.families.maths.proper_prior import log_posterior

    for size in (1e-3, 0.1):
        moved = modes.point + size * rng.normal(size=modes.point.shape) * has
        assert (log_posterior(layout.table, Prior(), moved, has.sum(1) - 1) < modes.height).all()
    assert (np.linalg.eigvalsh(modes.precision) > 0).all()
    assert (modes.point[~has] == 0).all()


def test_precision_is_the_curvature(spina: OverlapTable) -> None:
    from hiddenpop.families.maths.proper_prior import log_posterior

    layout = lay_out(spina, 2)
    has = np.ones((1, 7), dtype=bool)
    modes = find_modes(layout.table, Prior(), has)
    step, size = 1e-4, np.array([6])
    for i in range(7):
        for j in range(7):
            ends = []
            for one, other in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = modes.point.copy()
                moved[0, i] += one * step
                moved[0, j] += other * step
                height = log_posterior(layout.table, Prior(), moved, size)[0]
                ends.append(one * other * height)
            expected = -sum(ends) / (4 * step**2)
            assert modes.precision[0, i, j] == pytest.approx(expected, rel=1e-3, abs=0.02)


# The whole.


def same(one: SizeEstimate, two: SizeEstimate) -> None:
    """To the last digits: the draws are the same."""
    np.testing.assert_allclose(
        one.distribution.quantile(PROBABILITIES), two.distribution.quantile(PROBABILITIES)
    )
    assert one.distribution.mean == pytest.approx(two.distribution.mean, rel=1e-9)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2), (2, 1, 0)])
def test_order_of_lists_changes_nothing(spina: OverlapTable, order: tuple[int, ...]) -> None:
    before, after = fit(spina), fit(spina.permuted(order))
    same(before, after)
    shares = before.models.set_index("model")["weight"]
    for model, weight in after.models.set_index("model")["weight"].items():
        parts = {frozenset(part.split()) for part in model.strip("[]").split("][")}
        twin = [
            other for other in shares.index
            if {frozenset(part.split()) for part in other.strip("[]").split("][")} == parts
        ]  # fmt: skip
        assert shares[twin].tolist() == pytest.approx([weight])


def test_names_change_nothing(spina: OverlapTable) -> None:
    same(fit(spina), fit(replace(spina, lists=("z", "a", "m"))))


def test_order_of_strata_and_rows_changes_nothing(by_race: OverlapTable) -> None:
    other = replace(by_race, strata=by_race.strata[::-1], stratum=2 - by_race.stratum)
    same(fit(by_race), fit(other.sorted()))
    split = replace(
        by_race,
        history=np.vstack([by_race.history] * 2),
        stratum=np.tile(by_race.stratum, 2),
        low=np.concatenate([by_race.low // 2, by_race.low - by_race.low // 2]),
        high=np.concatenate([by_race.high // 2, by_race.high - by_race.high // 2]),
        structural=np.tile(by_race.structural, 2),
    )
    same(fit(by_race), fit(split))


@pytest.mark.parametrize("estimator", ["sbh", "uip"])
def test_what_is_handed_over(spina: OverlapTable, estimator: str) -> None:
    found = fit(spina, estimator=estimator)
    assert found.verdict.passed
    assert found.tree.attrs["importance_ess"] > 20_000
    assert (found.draws("N") >= found.observed).all()
    assert (found.distribution.unseen >= 0).all()
    assert found.distribution.probability.sum() == pytest.approx(1)
    models = found.models
    assert models["weight"].sum() == pytest.approx(1)
    np.testing.assert_allclose(models["weight"], models["weight_laplace"], atol=0.01)
    assert (models["low"] < models["median"]).all()
    assert (models["median"] < models["high"]).all()
    fitted = found.fitted.set_index("history")
    assert fitted["observed"].to_dict() == SPINA
    assert fitted["expected"].sum() == pytest.approx(sum(SPINA.values()), rel=0.01)
    share = json.loads(found.tree.attrs["inclusion"])
    assert share["death:rehab"] > 0.99
    assert set(share) == {"birth:death", "birth:rehab", "death:rehab"}


def test_the_same_seed_gives_the_same(spina: OverlapTable) -> None:
    same(fit(spina), fit(spina))
    other = fit_table(
        spina, "loglinear-average", options={"estimator": "sbh"}, sampling=Sampling(seed=7)
    )
    assert other.distribution.mean != fit(spina).distribution.mean


def test_draws_worth_too_little_are_made_many(
    spina: OverlapTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = fit(spina).tree.attrs["importance_ess"]
    monkeypatch.setattr(proper, "ENOUGH", 10**9)
    assert fit(spina).tree.attrs["importance_ess"] > 5 * once


def test_strata_add_up(by_race: OverlapTable) -> None:
    found = fit(by_race)
    people = found.tree["posterior"]["N"]
    assert people.dims == ("chain", "draw", "stratum")
    assert (people >= by_race.observed_by_stratum).all()
    total = found.draws("N")
    assert np.median(total) == pytest.approx(found.N().median, abs=2)
    assert set(found.strata()["stratum"]) == set(by_race.stratum_names)
    # All three races have as many unseen as lists that do not depend on race would leave.
    assert found.strata()["median"].sum() == pytest.approx(found.N().median, rel=0.02)


def test_a_factor_with_one_level_is_none(by_race: OverlapTable) -> None:
    table = replace(
        by_race, factors=("eth", "year"), strata=tuple((*row, "2004") for row in by_race.strata)
    )
    assert variables_of(table).levels == (3,)
    same(fit(table), fit(by_race))


# Orders and terms.


def test_orders(spina: OverlapTable, by_race: OverlapTable) -> None:
    plain, raced = variables_of(spina), variables_of(by_race)
    assert order_of(plain, None) == 2
    assert order_of(plain, 9) == 2
    assert order_of(plain, 1) == 1
    assert order_of(raced, None) == 2
    assert order_of(raced, 3) == 3
    assert order_of(raced, 9) == 4
    six = OverlapTable.from_counts("ABCDEF", {"110000": 5, "001111": 3})
    assert order_of(variables_of(six), None) == 2


def test_never_all_lists_together(by_race: OverlapTable) -> None:
    layout = lay_out(by_race, 4)
    assert not ((layout.masks & 7) == 7).any()
    assert len(layout.masks) == 4 + 6 + 3


def test_terms_that_impossible_cells_hide(spina: OverlapTable, by_race: OverlapTable) -> None:
    both = spina.history[:, 0] & spina.history[:, 1]
    hidden = replace(
        spina, structural=both, low=np.where(both, 0, spina.low), high=np.where(both, 0, spina.high)
    )
    layout = lay_out(hidden, None)
    names = layout.variables.names
    gone = (1 << names.index("birth")) | (1 << names.index("death"))
    assert set(terms(3, 2)) - set(layout.masks) == {gone}
    assert len(layout.table.count) == 5
    found = fit(hidden)
    assert "2 cells were impossible" in " ".join(found.notes)
    assert set(found.fitted["history"]) == {"100", "010", "001", "101", "011"}
    # One stratum that a list does not reach: how the list and the factor are linked is hidden.
    rehab = by_race.history[:, 2] & (by_race.stratum == 0)
    layout = lay_out(replace(by_race, structural=rehab), 2)
    names = layout.variables.names
    gone = (1 << names.index("S3")) | 8
    assert set(terms(4, 2)) - set(layout.masks) == {gone}


# Cells that were not counted.


def test_a_wide_range_is_an_unknown_cell(spina: OverlapTable) -> None:
    """The range [0, much] says as little as [0, inf]; both draw the people of the cell."""
    cell = spina.labels.index("110")

    def with_high(high: float) -> SizeEstimate:
        low, most = spina.low.copy(), spina.high.copy()
        low[cell], most[cell] = 0.0, high
        return fit(replace(spina, low=low, high=most), order=1)

    wide, unknown = with_high(1e6), with_high(np.inf)
    assert wide.observed == unknown.observed == sum(SPINA.values()) - SPINA["110"]
    assert wide.N().median == pytest.approx(unknown.N().median, rel=0.01)
    assert wide.N().high == pytest.approx(unknown.N().high, rel=0.02)
    assert "1 cells were not counted exactly" in " ".join(wide.notes)
    assert "110" not in set(wide.fitted["history"])


def test_a_narrow_range_is_a_count(spina: OverlapTable) -> None:
    high = spina.high.copy()
    cell = spina.labels.index("100")
    high[cell] += 1
    near, exact = fit(replace(spina, high=high)), fit(spina)
    assert near.N().median == pytest.approx(exact.N().median, abs=2)
    assert near.observed == exact.observed


def test_ranged_cells_against_counts_in_them() -> None:
    """The evidence of a range is the sum of the evidences of the counts in it."""
    table = OverlapTable.from_counts("ABC", {**FEW, "110": (1, 4)})
    row = np.ones((1, 3), dtype=bool)

    def evidence(of: OverlapTable) -> float:
        layout = lay_out(of, 1)
        prior = Prior(variance=np.ones(1))
        modes = find_modes(layout.table, prior, layout.has(row))
        particles = draw_particles(layout.table, prior, modes, 60_000, np.random.default_rng(1))
        assert laplace(modes)[0] == pytest.approx(logsumexp(particles.log_weight), abs=0.1)
        return float(logsumexp(particles.log_weight))

    parts = [evidence(OverlapTable.from_counts("ABC", {**FEW, "110": k})) for k in range(1, 5)]
    assert evidence(table) == pytest.approx(logsumexp(parts), abs=0.02)


# Priors on N, tails, searches.


def test_prior_on_size_against_a_grid() -> None:
    prior = SizePrior.parse("lognormal:90,150")
    found = fit(OverlapTable.from_counts("ABC", FEW), estimator="uip", order=1, size_prior=prior)
    N = found.observed + np.arange(MOST + 1)
    posterior = Grid(FEW, (), 1.0).smooth()[1] * np.exp(prior.log_density(N)) * N
    quantiles_agree(
        found, posterior / posterior.sum(), 1 / np.sqrt(found.tree.attrs["importance_ess"])
    )


def test_a_prior_that_no_draw_meets_fails_its_gate(spina: OverlapTable) -> None:
    options = {"estimator": "sbh", "size_prior": SizePrior.parse(f"uniform:{spina.observed:g}")}
    found = fit_table(spina, "loglinear-average", options=options, check=False)
    assert not found.verdict.passed


def test_a_heavy_tail_is_told() -> None:
    table = OverlapTable.from_counts("ABC", {"100": 40, "010": 35, "001": 30, "110": 1})
    found = fit(table)
    assert any("use the median and the interval" in note for note in found.notes)
    assert not any(
        "use the median" in note for note in fit(replace(table, low=table.low * 1)).notes[:1]
    )


def test_models_that_differ_are_told(reference_table: Reference) -> None:
    notes = " ".join(fit(reference_table("UKdat_5"), order=2).notes)
    assert "differ: their medians run from 11," in notes


def test_a_search_finds_what_a_list_has(reference_table: Reference) -> None:
    table = reference_table("UKdat_5")
    listed = fit(table, order=2)
    searched = fit(table, order=2, max_models=500, search_steps=60)
    assert "found by a random search" in searched.notes[0]
    assert "all that there are" in listed.notes[0]
    one, two = (found.models.set_index("model")["weight"] for found in (listed, searched))
    both = one.index.intersection(two.index)
    assert one[both].sum() > 0.995
    np.testing.assert_allclose(one[both], two[both], atol=0.01)
    assert searched.N().median == pytest.approx(listed.N().median, rel=0.01)


def test_search_of_a_known_posterior(rng: np.random.Generator) -> None:
    """Scores of all 6,893 models of five lists, with two groups of models far apart."""
    masks = terms(5)
    models = hierarchical_models(5)
    centres = models[[100, 6000]]

    def score(rows: np.ndarray) -> np.ndarray:
        far = (rows[:, None, :] != centres).sum(axis=2)
        return np.asarray(logsumexp(-1.5 * far, axis=1))

    found = search_models(score, masks, rng, steps=150)
    assert found.complete
    every = score(models)
    assert logsumexp(found.score) == pytest.approx(logsumexp(every), abs=0.02)
    assert len(np.unique(found.models, axis=0)) == len(found.models)
    kept = {row.tobytes() for row in models}
    assert all(row.tobytes() in kept for row in found.models)
    np.testing.assert_allclose(found.score, score(found.models))
    assert 0 < found.agreement <= 1


def test_search_keeps_to_what_is_allowed(rng: np.random.Generator) -> None:
    masks = terms(4, 2)
    allowed = masks != 3

    def score(rows: np.ndarray) -> np.ndarray:
        return rows.sum(axis=1).astype(float)

    found = search_models(score, masks, rng, allowed=allowed, steps=20)
    assert not found.models[:, ~allowed].any()
    assert len(found.models) == 2**5


def test_a_search_can_be_cut_short(rng: np.random.Generator) -> None:
    def score(rows: np.ndarray) -> np.ndarray:
        return 0.01 * rows.sum(axis=1)

    found = search_models(score, terms(6, 2), rng, steps=1000, most=300)
    assert len(found.models) < 600
    assert not found.complete


def test_a_short_search_says_so(reference_table: Reference) -> None:
    found = fit(reference_table("UKdat_5"), order=2, max_models=500, search_steps=1)
    assert "A chain of the search alone" in found.notes[-1]


# Refusals.


def strata_of(
    table: OverlapTable, factors: tuple[str, ...], *rows: tuple[str, ...]
) -> OverlapTable:
    """The same counts in every stratum."""
    cells, count = len(table.low), len(rows)
    return replace(
        table, factors=factors, strata=rows, history=np.tile(table.history, (count, 1)),
        stratum=np.repeat(np.arange(count), cells), low=np.tile(table.low, count),
        high=np.tile(table.high, count), structural=np.tile(table.structural, count),
    )  # fmt: skip


PLAIN = OverlapTable.from_counts("ABC", SPINA)
TWO = OverlapTable.from_counts("AB", {"10": 30, "01": 20, "11": 10})
HALF = strata_of(PLAIN, ("sex", "age"), ("f", "old"), ("f", "young"), ("m", "old"))
MANY = OverlapTable.from_counts("ABCDEFGHIJKLM", {"1" * 13: 4, "1" + "0" * 12: 2})
NOBODY = OverlapTable.from_counts("ABC", {"110": 5, "010": 3})
APART = OverlapTable.from_counts("ABC", {"100": 5, "010": 3, "001": 9, "110": (0, 4)})

REFUSED: list[tuple[str, OverlapTable, dict[str, object]]] = [
    ("loglinear-average-lists-few", TWO, {}),
    ("loglinear-proper-strata", HALF, {}),
    ("loglinear-proper-size", MANY, {}),
    ("loglinear-average-list-empty", NOBODY, {}),
    ("loglinear-average-no-overlap", APART, {}),
    ("loglinear-average-prior-low", PLAIN, {"size_prior": SizePrior.parse("uniform:600")}),
]


@pytest.mark.parametrize(("code", "table", "options"), REFUSED)
def test_refusals(code: str, table: OverlapTable, options: dict[str, object]) -> None:
    found = refused(table, "loglinear-average", {"estimator": "sbh", **options})
    assert found is not None
    assert found.code == code
    values = {"family": "loglinear-average", **found.values}
    for part in messages()[code]:
        assert "{" not in part.format(**values)


def test_every_own_refusal_has_a_test() -> None:
    own = {code for code in messages() if code.startswith("loglinear-proper-")}
    assert own <= {code for code, *_ in REFUSED}


def test_two_lists_with_a_factor_are_not_refused() -> None:
    table = strata_of(TWO, ("sex",), ("f",), ("m",))
    assert refused(table, "loglinear-average", {"estimator": "uip"}) is None
    found = fit(table, estimator="uip")
    # Both strata are alike and the lists independent: Lincoln and Petersen's 60 in each.
    assert found.N().median == pytest.approx(2 * 40 * 30 / 10, rel=0.25)
    assert proper.refusal(table, Priors(estimator="sbh")) is None
    assert family.refusal(table, Priors(estimator="sbh")) is None
