"""Latent classes: against sums over draws from the prior, closed forms, and their own moves."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln, expit, gammaln

from hiddenpop.families import latent_class
from hiddenpop.families.latent_class import Priors
from hiddenpop.families.maths import class_moves, class_sampler
from hiddenpop.families.maths.class_density import ClassModel, Factor, State, log_weights
from hiddenpop.families.maths.class_moves import Level
from hiddenpop.families.maths.class_sampler import sample_classes
from hiddenpop.families.maths.valley import valley
from hiddenpop.families.simulation import latent_class as simulation
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table

__all__: list[str] = []

SMALL = OverlapTable.from_counts(
    ("a", "b", "c"), {"100": 9, "010": 7, "110": 4, "001": 8, "101": 3, "011": 4, "111": 3}
)
SPARSE = OverlapTable.from_counts(
    ("a", "b", "c"), {"100": 40, "010": 35, "110": 1, "001": 30, "101": 1}
)
HISTORY = np.array([[(code >> j) & 1 for j in range(3)] for code in range(1, 8)])
COUNTS = np.array([9.0, 7, 4, 8, 3, 4, 3])
BRIEF = Sampling(draws=600, tune=250, seed=5)
SHORTEST = Sampling(draws=40, tune=30, seed=9)
SHARES = (0.025, 0.25, 0.5, 0.75, 0.975)


@pytest.fixture
def no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chains that have not converged stop."""
    monkeypatch.setattr(class_sampler, "MOST_THIN", 1)


def fit(table: OverlapTable, sampling: Sampling = BRIEF, **options: object) -> SizeEstimate:
    return fit_table(table, "latent-class", options=options, sampling=sampling, check=False)


def effective(found: SizeEstimate) -> float:
    """Effective draws of N, the smaller of bulk and tail."""
    import arviz as az

    size = found.tree["posterior"].to_dataset()[["N"]]
    return float(min(az.ess(size, method=kind)["N"] for kind in ("bulk", "tail")))


def agree(found: SizeEstimate, size: np.ndarray, weight: np.ndarray) -> None:
    """Cumulative probabilities at the truth's quantiles within four Monte Carlo errors."""
    order = np.argsort(size)
    size, weight = size[order], weight[order] / weight.sum()
    draws, known = effective(found), 1 / (weight @ weight)
    assert min(draws, known) > 400
    for share in SHARES:
        # Halves of the probability of the number itself on both sides.
        place = size[np.searchsorted(np.cumsum(weight), share)]
        true = weight[size < place].sum() + weight[size == place].sum() / 2
        mine = np.mean(found.draws() < place) + np.mean(found.draws() == place) / 2
        error = np.sqrt(share * (1 - share) * (1 / draws + 1 / known))
        assert abs(mine - true) < 4 * error, (share, mine, true, error)


def from_the_prior(classes: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Chances of the seven histories and of none, in draws from the prior; plain loops."""
    alpha = rng.gamma(0.25, 4.0, size)
    left, cells, none = np.ones(size), np.zeros((7, size)), np.zeros(size)
    for k in range(classes):
        broken = 1 - rng.random(size) ** (1 / np.maximum(alpha, 1e-12))
        share = left if k == classes - 1 else left * broken
        left = left - share
        chance = rng.random((3, size))
        for cell, history in enumerate(HISTORY):
            on = [chance[j] if mark else 1 - chance[j] for j, mark in enumerate(history)]
            cells[cell] += share * on[0] * on[1] * on[2]
        none += share * (1 - chance[0]) * (1 - chance[1]) * (1 - chance[2])
    return cells, none


@pytest.mark.parametrize("prior", ["1/N", "lognormal:60,80"])
def test_two_classes_are_the_average_over_draws_from_the_prior(prior: str) -> None:
    rng = np.random.default_rng(1)
    cells, none = from_the_prior(2, 1_500_000, rng)
    # Multinomial with N integrated out by one draw of N for each draw of the rest.
    log_weight = COUNTS @ np.log(cells) - COUNTS.sum() * np.log1p(-none)
    size = COUNTS.sum() + rng.negative_binomial(COUNTS.sum(), 1 - none)
    kind = SizePrior.parse(prior)
    log_weight += kind.log_density(size) + np.log(size)
    found = fit(SMALL, classes=2, size_prior=kind)
    agree(found, size, np.exp(log_weight - log_weight.max()))
    some = np.exp(log_weight - log_weight.max())
    expected = (COUNTS.sum() * cells / (1 - none)) @ some / some.sum()
    cells_found = found.fitted
    assert cells_found is not None
    np.testing.assert_allclose(cells_found["expected"], expected, rtol=0.05)
    np.testing.assert_array_equal(cells_found["observed"], COUNTS)


def test_one_class_is_independent_lists() -> None:
    """With alpha next to 0 the first stick is all: chances are beta, in closed form."""
    found = fit(SMALL, alpha_shape=1.0, alpha_rate=1e9)
    unseen = np.arange(3000.0)
    size = SMALL.observed + unseen
    log = gammaln(size) - gammaln(unseen + 1)
    for total in SMALL.list_totals:
        log += betaln(total + 1, size - total + 1)
    weight = np.exp(log - log.max())
    mass = weight / weight.sum()
    draws = effective(found)
    below = np.cumsum(mass)
    for share in SHARES:
        place = int(np.searchsorted(below, share))
        mine = np.mean(found.draws() < size[place]) + np.mean(found.draws() == size[place]) / 2
        true = below[place] - mass[place] / 2
        assert abs(mine - true) < 4 * np.sqrt(share * (1 - share) / draws)
    assert (found.tree["posterior"]["classes_used"] == 1).all()
    assert "100 %" in found.notes[0]


def test_nothing_caps_n() -> None:
    """LCMCR refuses N above 21 times the observed."""
    found = fit(SPARSE)
    assert found.draws().max() > 40 * SPARSE.observed
    above = np.mean(found.draws() > 21 * SPARSE.observed)
    assert above > 0.02
    assert any("21 times the people seen" in note for note in found.notes)


def test_a_prior_with_an_end_is_kept() -> None:
    found = fit(SPARSE, size_prior=SizePrior.parse("uniform:1500"))
    assert found.draws().max() <= 1500
    assert found.draws().max() > 1400


@pytest.fixture(scope="module")
def small() -> SizeEstimate:
    return fit(SMALL)


def test_its_gates_are_those_of_chains(small: SizeEstimate) -> None:
    assert small.verdict.passed
    assert {gate.name for gate in small.verdict.gates} >= {"R-hat", "chains"}
    assert small.distribution is None
    variables = small.tree["posterior"].data_vars
    assert set(variables) == {
        "N", "unseen", "missed", "alpha", "classes_used", "log_likelihood",
    }  # fmt: skip
    assert all(x.dims == ("chain", "draw") and x.shape == (4, 600) for x in variables.values())
    assert small.draws().min() >= SMALL.observed
    used = small.tree["posterior"]["classes_used"]
    assert used.min() >= 1
    assert used.max() <= 10
    assert np.all(np.array(small.draws("missed")) < 1)


@pytest.mark.usefixtures("no_longer")
def test_order_and_names_of_lists_change_nothing() -> None:
    other = replace(SMALL.permuted([2, 0, 1]), lists=("x", "y", "z"))
    one, two = fit(SMALL, SHORTEST), fit(other, SHORTEST)
    np.testing.assert_array_equal(one.draws(), two.draws())
    cells, moved = one.fitted, two.fitted
    assert cells is not None
    assert moved is not None
    expected = dict(zip(cells["history"], cells["expected"], strict=True))
    for history, value in zip(moved["history"], moved["expected"], strict=True):
        back = history[1] + history[2] + history[0]
        assert value == pytest.approx(expected[back])


@pytest.mark.usefixtures("no_longer")
def test_strata_are_added_up() -> None:
    strata = replace(
        SMALL, factors=("sex",), strata=(("f",), ("m",)),
        stratum=np.array([0, 1, 0, 1, 0, 1, 0]),
    ).sorted()  # fmt: skip
    found = fit(strata, SHORTEST)
    np.testing.assert_array_equal(found.draws(), fit(SMALL, SHORTEST).draws())
    assert any("2 strata" in note for note in found.notes)


@pytest.mark.usefixtures("no_longer")
def test_many_lists_report_only_cells_of_the_table() -> None:
    rng = np.random.default_rng(3)
    marks = np.unique(rng.random((30, 10)) < 0.3, axis=0)
    marks = marks[marks.any(axis=1)]
    counts = {"".join("1" if x else "0" for x in row): 5.0 for row in marks}
    table = OverlapTable.from_counts([f"l{j}" for j in range(10)], counts)
    found = fit(table, Sampling(draws=10, tune=5, seed=1))
    assert found.fitted is not None
    assert list(found.fitted["history"]) == list(table.labels)


def suppressed(low: float, high: float) -> OverlapTable:
    return OverlapTable.from_counts(
        ("a", "b", "c"), {"100": 9, "010": 7, "110": (low, high), "001": 8, "111": 3}
    )


@pytest.mark.parametrize(
    ("data", "prior", "code"),
    [
        (Margins(("a", "b", "c"), (5, 6, 7), 15), "1/N", "margins"),
        (OverlapTable.from_counts(("a", "b"), {"10": 6, "01": 4, "11": 3}), "1/N", "lists"),
        (suppressed(1, 4), "1/N", "ranges"),
        (suppressed(0, np.inf), "1/N", "unknown"),
        (replace(SMALL, structural=SMALL.low == 9), "1/N", "structural"),
        (OverlapTable.from_counts(("a", "b", "c"), {"100": 6, "010": 4, "001": 3}), "1/N",
         "no-overlap"),
        (SMALL, "uniform:30", "prior"),
    ],
)  # fmt: skip
def test_refusals(data: OverlapTable | Margins, prior: str, code: str) -> None:
    refusal = latent_class.refusal(data, Priors(size_prior=SizePrior.parse(prior)))
    assert refusal is not None
    assert refusal.code == f"latent-class-{code}"
    words = messages()[refusal.code]
    assert all(part.format(family="latent-class", **refusal.values) for part in words)


@pytest.mark.parametrize(
    "wrong", [{"classes": 1}, {"classes": 2.5}, {"alpha_shape": 0.0}, {"alpha_rate": np.inf}]
)
def test_impossible_priors(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Priors(**wrong)


def test_simulated_people_have_the_chances_of_their_classes(rng: np.random.Generator) -> None:
    truth = simulation.Truth(
        SMALL, 200_000, 1.0, np.array([0.7, 0.3]), np.array([[0.2, 0.1, 0.3], [0.5, 0.8, 0.1]])
    )
    table = simulation.simulate(truth, rng)
    weights = np.log(np.array([0.7, 0.3]))
    stick = (weights[0] - weights[1]).reshape(1, 1)
    model = ClassModel(HISTORY.astype(float), COUNTS, 2, 1.0, 1.0)
    logit = np.log(truth.chances / (1 - truth.chances))[None]
    expected = model.parts(logit, stick).cell[0]
    found = table.dense()[0, 1:] / truth.N
    np.testing.assert_array_less(
        np.abs(found - expected), 4 * np.sqrt(expected * (1 - expected) / truth.N)
    )
    drawn = simulation.draw_truth(SMALL, Priors(), rng)
    assert SMALL.observed <= drawn.N
    assert drawn.shares.sum() == pytest.approx(1)


def factor() -> Factor:
    knots = np.linspace(-20, 20, 4001)
    return Factor(knots, -0.5 * (knots - 1) ** 2)


@pytest.mark.parametrize("with_factor", [False, True])
def test_gradient(with_factor: bool, rng: np.random.Generator) -> None:
    model = ClassModel(
        HISTORY.astype(float), COUNTS, 4, 0.25, 0.25, factor() if with_factor else None
    )
    logit, stick = rng.normal(size=(3, 4, 3)), rng.normal(size=(3, 3))
    found = model.gradient(logit, stick)
    step = 1e-6
    for index in np.ndindex(4, 3):
        moved = logit.copy()
        moved[:, *index] += step
        slope = (model.fit(moved, stick) - found.fit) / step
        np.testing.assert_allclose(
            slope, found.logit[:, *index], atol=2e-2 if with_factor else 1e-3
        )
    for k in range(3):
        moved = stick.copy()
        moved[:, k] += step
        slope = (model.fit(logit, moved) - found.fit) / step
        np.testing.assert_allclose(slope, found.stick[:, k], atol=2e-2 if with_factor else 1e-3)
    np.testing.assert_allclose(found.chance, expit(logit))
    np.testing.assert_allclose(np.exp(log_weights(stick)).sum(axis=1), 1)


def move(
    name: str, model: ClassModel, state: State, level: Level, rng: np.random.Generator
) -> State:
    if name == "trajectory":
        return class_moves.trajectory(model, state, level, np.full(len(state.alpha), 0.2), rng)[0]
    if name == "relabel":
        return class_moves.relabel(state, rng, 3)
    if name == "renew_alpha":
        return class_moves.renew_alpha(model, state, rng)
    done: State = getattr(class_moves, name)(model, state, level, rng)
    return done


def numbers(model: ClassModel, state: State) -> dict[str, np.ndarray]:
    """What the distribution of states is judged by."""
    parts = model.parts(state.logit, state.stick)
    weight = np.exp(log_weights(state.stick))
    return {
        "alpha": state.alpha, "fit": state.fit, "odds": parts.missed / parts.seen,
        "first": weight[:, 0], "last": weight[:, -1], "chance": expit(state.logit[:, 1, 0]),
        "product": weight[:, 1] * expit(state.logit[:, 1, 1]),
    }  # fmt: skip


@pytest.mark.parametrize("power", [0.15, 1.0])
@pytest.mark.parametrize("name", ["trajectory", "refresh", "slide", "relabel", "renew_alpha"])
def test_a_move_leaves_its_distribution_as_it_is(name: str, power: float) -> None:
    """Start from it (draws at level 0, weighed and drawn again), move, and look for a change."""
    rng = np.random.default_rng(17)
    counts = np.array([2.0, 1, 0, 2, 1, 0, 1])
    model = ClassModel(HISTORY[counts > 0].astype(float), counts[counts > 0], 3, 0.6, 0.5)
    pool = class_moves.fresh(model, 150_000, rng)
    # Level 0 has Beta(0.5, 2) chances; the level of this power others.
    one, zero = 1 - 0.5 * (1 - power), 1 + (1 - power)
    chance = expit(pool.logit)
    beta = stats.beta(one, zero).logpdf(chance) - stats.beta(0.5, 2).logpdf(chance)
    log_weight = power * pool.fit + beta.sum(axis=(1, 2))
    weight = np.exp(log_weight - log_weight.max())
    chains = 6000
    start = pool.take(rng.choice(len(weight), chains, p=weight / weight.sum()))
    level = Level.of(np.full(chains, power))
    state = start
    for _ in range(12):
        state = move(name, model, state, level, rng)
    np.testing.assert_allclose(state.fit, model.fit(state.logit, state.stick))
    effective_pool = weight.sum() ** 2 / (weight @ weight)
    changed = 0
    for key, values in numbers(model, state).items():
        before = numbers(model, pool)[key]
        changed += not np.array_equal(values, numbers(model, start)[key])
        order = np.argsort(before)
        below = np.cumsum(weight[order]) / weight.sum()
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            place = before[order][np.searchsorted(below, share)]
            error = np.sqrt(share * (1 - share) * (1 / chains + 1 / effective_pool))
            assert abs(np.mean(values <= place) - share) < 4.5 * error, (key, share)
    assert changed


def test_a_wrong_move_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above must fail for a move that forgets the density of the weights."""

    def flat(log_weight: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, stick = original(log_weight, alpha)
        return np.zeros(len(alpha)), stick

    original = class_moves.log_order
    monkeypatch.setattr(class_moves, "log_order", flat)
    with pytest.raises(AssertionError):
        test_a_move_leaves_its_distribution_as_it_is("relabel", 1.0)


def test_ladders_bring_states_from_the_hot_end() -> None:
    model = ClassModel(HISTORY.astype(float), COUNTS, 5, 0.25, 0.25)
    seen: list[int] = []

    def never(drawn: object) -> bool:
        seen.append(1)
        return False

    found = sample_classes(model, 2, 30, 40, np.random.default_rng(4), never)
    assert found.thin == 8
    assert len(seen) == 3
    assert found.alpha.shape == (2, 40)
    assert found.logit.shape == (2, 40, 5, 3)
    assert found.round_trips.min() >= 1


def test_runaway_trajectories_are_refused(rng: np.random.Generator) -> None:
    model = ClassModel(HISTORY.astype(float), COUNTS * 1e4, 5, 0.25, 0.25)
    state = class_moves.fresh(model, 50, rng)
    level = Level.of(np.ones(50))
    moved, chance = class_moves.trajectory(model, state, level, np.full(50, 5.0), rng)
    assert np.isfinite(moved.fit).all()
    assert (chance >= 0).all()
    np.testing.assert_array_equal(moved.logit[chance == 0], state.logit[chance == 0])


@pytest.mark.usefixtures("no_longer")
def test_combinations_seen_on_nobody_may_have_a_row_or_none() -> None:
    rows = {"100": 9.0, "010": 7.0, "110": 4.0, "001": 8.0, "111": 3.0}
    one = OverlapTable.from_counts(("a", "b", "c"), rows)
    two = OverlapTable.from_counts(("a", "b", "c"), rows | {"101": 0.0, "011": 0.0})
    np.testing.assert_array_equal(fit(one, SHORTEST).draws(), fit(two, SHORTEST).draws())


def test_two_groups_of_draws_are_told(rng: np.random.Generator) -> None:
    one = rng.normal(0, 1, (4, 2000))
    assert valley(one, 400) is None
    assert valley(np.exp(one), 400) is None
    assert valley(np.ones((4, 10)), 400) is None
    two = np.where(rng.random((4, 2000)) < 0.3, one - 5, one)
    split = valley(two, 400)
    assert split is not None
    assert -4 < split < -1
    few = np.where(rng.random((4, 2000)) < 0.02, one - 6, one)
    assert valley(few, 400) is None
    size = np.exp(7 + two)
    note = latent_class._two_groups(size)
    assert "probability 30 %" in note[0] or "probability 31 %" in note[0]
    assert latent_class._two_groups(np.exp(one)) == []
