"""Joint likelihood of several counts of people: against sums over all tables, and limits."""

import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import betaln, expit, gammaln, logsumexp
from scipy.stats import binom, lognorm

from hiddenpop.families.maths.joint_events import fewest_people, joint_log_likelihood
from hiddenpop.families.maths.joint_layout import layout, share_beta
from hiddenpop.families.maths.joint_pairs import covariance, log_both, log_margins, log_tilt
from hiddenpop.families.maths.joint_target import JointTarget
from hiddenpop.families.simulation.fitted_cells import fitted_cells
from hiddenpop.inputs.multipliers import Benchmark, Interval, Overlap, Rate
from hiddenpop.priors import lognormal_from_interval

__all__: list[str] = []

DEFAULT = (1 / 3, 3.0, 0.95)
FIXED = (3.0, 3.0, 0.95)
NONE = (1.0, 1.0, 0.95)
SIZES = [35, 45, 60, 90, 150]

Survey = tuple[float, float]
Three = tuple[float, float, float]


def joint(
    N: object, *rows: Benchmark, prior: Three = DEFAULT, overlaps: tuple[Overlap, ...] = ()
) -> np.ndarray:
    return joint_log_likelihood(np.array(N, dtype=float), rows, overlaps, prior, 1.0, 1.0)


def two(
    counts: tuple[float, float], one: Survey, other: Survey, *, shared: bool = False, **more: object
) -> tuple[Benchmark, Benchmark]:
    """Two rows; `more` are attributes of the first."""
    name = "s" if shared else ""
    return (
        Benchmark.counted("a", counts[0], Rate(*one), survey=name, **more),
        Benchmark.counted("b", counts[1], Rate(*other), survey=name),
    )


def assert_same(found: np.ndarray, wanted: np.ndarray, atol: float) -> None:
    """Equal up to a constant."""
    np.testing.assert_allclose(found - found[0], wanted - wanted[0], rtol=0, atol=atol)


# Two events by brute force: sums over every table, grids over shares and odds ratio


def both_share(p1: np.ndarray, p2: np.ndarray, psi: float) -> np.ndarray:
    if abs(psi - 1) < 1e-9:
        return p1 * p2
    linear = 1 + (p1 + p2) * (psi - 1)
    return (linear - np.sqrt(linear**2 - 4 * psi * (psi - 1) * p1 * p2)) / (2 * (psi - 1))


def log_table(
    y1: int, y2: int, m: int, p1: np.ndarray, p2: np.ndarray, psi: float, both: int | None = None
) -> np.ndarray:
    """Log probability of two margins, or of one fourfold table, of m people."""
    p11 = both_share(p1, p2, psi)
    logs = [np.log(cell) for cell in (p11, p1 - p11, p2 - p11, 1 - p1 - p2 + p11)]
    terms = []
    for j in range(y1 + 1) if both is None else (both,):
        cells = (j, y1 - j, y2 - j, m - y1 - y2 + j)
        if min(cells) >= 0:
            ways = gammaln(m + 1) - sum(gammaln(cell + 1) for cell in cells)
            terms.append(ways + sum(cell * log for cell, log in zip(cells, logs, strict=True)))
    return np.asarray(logsumexp(terms, axis=0)) if terms else np.full(p1.shape, -np.inf)


def brute(
    N: int, counts: tuple[int, int], surveys: tuple[tuple[int, int], tuple[int, int]], prior: Three,
    *, shared: bool, respondents: int | None = None, people: int | None = None,
    error: Three | None = None, selection: Three | None = None,
) -> float:  # fmt: skip
    """Log-likelihood of N with uniform shares; error and selection are the first row's."""
    logit = np.linspace(-7, 3.8, 55)
    t1, t2 = np.meshgrid(logit, logit, indexing="ij")
    p1, p2 = expit(t1), expit(t2)
    density = np.log(p1 * (1 - p1) * p2 * (1 - p2))
    mean, sigma = lognormal_from_interval(*prior)
    total = []
    for z in np.linspace(-6, 6, 17) if sigma > 0 else [0.0]:
        psi = float(np.exp(mean + sigma * z))
        if error is None:
            counted = log_table(*counts, N, p1, p2, psi, people)
        else:
            mu, sd = lognormal_from_interval(*error)
            # Fewer than 6 would need a factor of more than five.
            parts = [
                log_table(c, counts[1], N, p1, p2, psi)
                + lognorm.logpdf(counts[0] / c, sd, scale=np.exp(mu)) - np.log(c)
                for c in range(6, N)
            ]  # fmt: skip
            counted = logsumexp(parts, axis=0)
        (x1, m1), (x2, m2) = surveys
        if shared:
            asked = log_table(x1, x2, m1, p1, p2, psi, respondents)
        else:
            asked = binom.logpmf(x1, m1, p1) + binom.logpmf(x2, m2, p2)
            if selection is not None:
                asked = _selected(x1, m1, t1, selection) + binom.logpmf(x2, m2, p2)
                asked = asked - np.log(p1 * (1 - p1))
        total.append(logsumexp(density + counted + asked) - z**2 / 2)
    return float(logsumexp(total))


def _selected(x: int, m: int, logit: np.ndarray, selection: Three) -> np.ndarray:
    """Uniform share in the survey, as a density of the logit in the target."""
    mean, sigma = lognormal_from_interval(*selection)
    parts = []
    for z in np.linspace(-6, 6, 17):
        p = expit(logit + mean + sigma * z)
        parts.append(binom.logpmf(x, m, p) + np.log(p * (1 - p)) - z**2 / 2)
    return np.asarray(logsumexp(parts, axis=0))


@pytest.mark.parametrize("prior", [DEFAULT, FIXED, NONE])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("counts", "surveys"),
    [((20, 30), ((8, 20), (10, 20))), ((3, 30), ((1, 20), (10, 20)))],
)
def test_two_events_are_the_sum_over_all_tables(
    counts: tuple[int, int], surveys: tuple[tuple[int, int], tuple[int, int]], prior: Three,
    shared: bool,
) -> None:  # fmt: skip
    found = joint(SIZES, *two(counts, *surveys, shared=shared), prior=prior)
    wanted = [brute(N, counts, surveys, prior, shared=shared) for N in SIZES]
    assert_same(found, np.array(wanted), 2e-4)


@pytest.mark.parametrize("known", [{"respondents": 5}, {"people": 18}, {"respondents": 0},
                                   {"people": 18, "respondents": 6}])  # fmt: skip
def test_what_is_known_of_both_events_is_used(known: dict[str, int]) -> None:
    counts, surveys = (20, 30), ((8, 20), (10, 20))
    rows = two(counts, *surveys, shared=True)
    # The order of a pair's names does not matter.
    found = joint(SIZES, *rows, overlaps=(Overlap("b", "a", **known),))
    wanted = [brute(N, counts, surveys, DEFAULT, shared=True, **known) for N in SIZES]
    assert_same(found, np.array(wanted), 1e-3)
    without = joint(SIZES, *rows)
    assert np.abs((found - found[0]) - (without - without[0])).max() > 0.1


@pytest.mark.parametrize(
    "bias", [{"error": (0.5, 2.0, 0.95)}, {"selection": (1.0, 2.25, 0.95)}], ids=["error", "sel"]
)
def test_biases_are_integrated_out(bias: dict[str, Three]) -> None:
    counts, surveys = (30, 40), ((12, 40), (20, 50))
    rows = two(counts, *surveys, **{name: Interval(*ends) for name, ends in bias.items()})
    sizes = [45, 75, 110]
    wanted = [brute(N, counts, surveys, FIXED, shared=False, **bias) for N in sizes]
    assert_same(joint(sizes, *rows, prior=FIXED), np.array(wanted), 3e-3)


def test_a_range_is_the_sum_over_its_numbers() -> None:
    rows = two((20, 30), (8, 20), (10, 20), shared=True, most=22, least=19)
    parts = [joint(SIZES, *two((c, 30), (8, 20), (10, 20), shared=True)) for c in range(19, 23)]
    assert_same(joint(SIZES, *rows), logsumexp(parts, axis=0), 1e-9)
    # Longer ranges by quadrature.
    rows = two((150, 300), (20, 60), (30, 60), shared=True, least=100, most=199)
    sizes = [320, 400, 600, 900]
    surveys = (20, 60), (30, 60)
    parts = [joint(sizes, *two((c, 300), *surveys, shared=True)) for c in range(100, 200)]
    assert_same(joint(sizes, *rows), logsumexp(parts, axis=0), 2e-3)


# Limits and closed forms


def test_independent_events_are_a_product() -> None:
    N = np.unique(np.round(np.geomspace(301, 4000, 300)))

    def alone(count: float, x: float, n: float) -> np.ndarray:
        ways = gammaln(N + 1) - gammaln(N - count + 1)
        return np.asarray(ways + betaln(1 + x + count, 1 + n - x + N - count))

    wanted = alone(300, 90, 300) + alone(200, 70, 300)
    near = wanted > wanted.max() - 12
    for shared in (True, False):
        found = joint(N, *two((300, 200), (90, 300), (70, 300), shared=shared), prior=NONE)
        assert_same(found[near], wanted[near], 1e-4)


def test_a_very_large_n_and_tiny_counts_are_no_trouble() -> None:
    N = np.geomspace(10, 1e12, 60).round()
    found = joint(N, *two((3, 0), (1, 20), (0, 20), shared=True))
    assert np.isfinite(found).all()
    # The likelihood falls as N to the power of what the surveys leave open.
    assert np.all(np.diff(found[30:]) < 0)


def test_impossible_numbers_of_people() -> None:
    found = joint([29, 30, 31, 60], *two((20, 30), (8, 20), (10, 20)))
    assert np.isneginf(found[0])
    assert np.isfinite(found[1:]).all()
    linked = joint([45, 46, 60], *two((20, 30), (8, 20), (10, 20)),
                   overlaps=(Overlap("a", "b", people=4),))  # fmt: skip
    assert np.isneginf(linked[0])
    assert np.isfinite(linked[1:]).all()
    rows = two((20, 30), (8, 20), (10, 20))
    assert fewest_people(rows, ()) == 30
    assert fewest_people(rows, (Overlap("b", "a", people=4),)) == 46
    # A count that may be too high or too low leaves the links open.
    for bias in ("error", "overcount", "undercount"):
        wide = two((20, 30), (8, 20), (10, 20), **{bias: Interval(0.1, 0.2, 0.9)})
        assert fewest_people(wide, (Overlap("a", "b", people=4),)) == 30


def test_the_order_of_rows_and_of_numbers_does_not_matter() -> None:
    rows = two((20, 30), (8, 20), (10, 20), shared=True)
    found = joint(SIZES, *rows)
    np.testing.assert_array_equal(joint(SIZES, *rows[::-1]), found)
    np.testing.assert_array_equal(joint(SIZES[::-1], *rows), found[::-1])
    np.testing.assert_array_equal(joint([45, 45], *rows), found[[1, 1]])


def test_rows_without_a_number_are_left_out() -> None:
    rows = two((20, 30), (8, 20), (10, 20))
    empty = Benchmark.counted("c", np.nan, Rate(4, 20))
    np.testing.assert_array_equal(joint(SIZES, *rows, empty), joint(SIZES, *rows))
    np.testing.assert_array_equal(joint(SIZES, empty), np.zeros(5))


def test_a_number_between_nodes_is_as_good_as_a_node() -> None:
    rows = two((300, 200), (90, 300), (70, 300), shared=True)
    N = np.arange(600, 1600, 2.0)
    some = N[7::83]
    found = joint(N, *rows)[7::83]
    exact = joint(some, *rows)
    assert_same(found, exact, 1e-4)


def test_two_benchmarks_are_fast() -> None:
    rows = two((300, 200), (90, 300), (70, 300), shared=True)
    N = np.unique(np.round(np.geomspace(400, 3000, 500)))
    joint(N, *rows)
    start = time.process_time()
    for _ in range(5):
        joint(N, *rows)
    # 0.05 s on the machine where it was written.
    assert (time.process_time() - start) / 5 < 0.3


def test_a_known_factor_is_that_factor() -> None:
    exact = joint(SIZES, *two((20, 30), (8, 20), (10, 20)))
    twice = joint(SIZES, *two((40, 30), (8, 20), (10, 20), error=Interval(2.0, 2.0, 0.95)))
    assert_same(twice, exact, 1e-6)
    half = joint(SIZES, *two((10, 30), (8, 20), (10, 20), undercount=Interval(0.5, 0.5, 0.95)))
    assert_same(half, exact, 1e-6)
    more = joint(SIZES, *two((25, 30), (8, 20), (10, 20), overcount=Interval(0.2, 0.2, 0.95)))
    assert_same(more, exact, 1e-6)


def test_linked_people_fall_with_both_factors() -> None:
    factors = {"error": Interval(1.25, 1.25, 0.95)}
    rows = two((25, 30), (8, 20), (10, 20), **factors)
    found = joint(SIZES[1:], *rows, overlaps=(Overlap("a", "b", people=15),))
    exact = joint(SIZES[1:], *two((20, 30), (8, 20), (10, 20)),
                  overlaps=(Overlap("a", "b", people=12),))  # fmt: skip
    assert_same(found, exact, 1e-6)


def test_the_design_effect_divides_the_survey() -> None:
    whole = two((20, 30), (8, 20), (10, 20), shared=True)
    four = tuple(
        Benchmark.counted(row.id, row.value, Rate(4 * x, 80, 4.0), survey="s")
        for row, x in zip(whole, (8, 10), strict=True)
    )
    assert_same(joint(SIZES, *four), joint(SIZES, *whole), 1e-9)


# Parts


@pytest.mark.parametrize("log_psi", [-3.0, -1.1, -0.2, 0.0, 1.1, 3.0])
def test_the_sum_over_people_with_both_events(log_psi: float) -> None:
    for y1, y2, m in [(5, 7, 20), (15, 18, 20), (3, 50, 1000), (0, 10, 30), (50, 80, 300),
                      (400, 300, 500), (290, 300, 305), (2000, 3000, 10**5), (16, 40, 4000),
                      (20, 20, 10**9)]:  # fmt: skip
        j = np.arange(max(0, y1 + y2 - m), min(y1, y2) + 1.0)
        terms = -sum(gammaln(cell + 1) for cell in (j, y1 - j, y2 - j, m - y1 - y2 + j))
        wanted = logsumexp(terms + j * log_psi) - logsumexp(terms)
        found = log_tilt(np.array(y1), np.array(y2), np.array(m), np.array(log_psi))
        assert float(found) == pytest.approx(wanted, abs=1e-4)
        given = log_both(j, np.array(y1), np.array(y2), np.array(m))
        assert float(logsumexp(given)) == pytest.approx(0, abs=1e-6)


def test_margins_of_two_events() -> None:
    p1, p2, psi = np.array(0.3), np.array(0.2), 4.0
    c = covariance(p1, p2, np.log(psi))
    p11 = p1 * p2 + c
    assert p11 * (1 - p1 - p2 + p11) / ((p1 - p11) * (p2 - p11)) == pytest.approx(psi)
    found = log_margins(np.array(5), np.array(7), np.array(20), (p1, 1 - p1, p2, 1 - p2),
                        np.log(psi)) + log_tilt(np.array(5), np.array(7), np.array(20),
                                                np.log(psi))  # fmt: skip
    found = found + binom.logpmf(5, 20, p1) + binom.logpmf(7, 20, p2)
    assert float(found) == pytest.approx(float(log_table(5, 7, 20, p1, p2, psi)), abs=1e-10)


def test_shares_from_surveys_and_quantiles() -> None:
    assert share_beta(Rate(8, 20, 2.0), 1, 1) == (5, 7)
    alpha, beta = share_beta(Rate(quantiles=((0.025, 0.52), (0.975, 0.60))), 1, 1)
    assert alpha / (alpha + beta) == pytest.approx(0.56, abs=1e-3)


# Three and more events


def test_three_events_against_the_sum_over_all_tables() -> None:
    """With shares and odds ratios known, the likelihood is the distribution of the three counts.

    Sums of N independent people are powers of their generating function, on a grid that is
    large enough for all of them.
    """
    shares, psi = [0.3, 0.25, 0.4], 3.0
    cells = fitted_cells(shares, {(0, 1): psi, (0, 2): psi, (1, 2): psi})
    assert cells is not None
    counts = (22, 16, 27)
    sizes = [52, 56, 60, 65, 70]
    wanted = []
    for N in sizes:
        grid = np.zeros((N + 1,) * 3)
        grid[:2, :2, :2] = cells
        wanted.append(
            np.log(np.fft.irfftn(np.fft.rfftn(grid) ** N, grid.shape, axes=(0, 1, 2))[counts])
        )
    rows = [
        Benchmark.counted(name, count, Rate(quantiles=((0.025, p - 1e-4), (0.975, p + 1e-4))))
        for name, count, p in zip("abc", counts, shares, strict=True)
    ]
    found = joint(sizes, *rows, prior=(psi, psi, 0.95))
    # The accuracy that the module states; three tiny samples of people, all odds ratios 3.
    assert_same(found, np.array(wanted), 0.03)
    # It is the dependence that is tested: without it the answer is another.
    apart = joint(sizes, *rows, prior=NONE)
    assert np.ptp((apart - apart[2]) - (np.array(wanted) - wanted[2])) > 0.1


def test_the_copula_of_two_events_is_near_the_exact_sum() -> None:
    N = np.unique(np.round(np.geomspace(305, 3000, 40)))
    rows = two((300, 200), (90, 300), (62, 300), shared=True)
    laid = layout(rows, (300, 200), (), FIXED, (1.0, 1.0))
    z = np.zeros((len(N), 2)) + 0.05
    exact, near = (JointTarget(laid, approximate=way)(z, N) for way in (False, True))
    top = exact > exact.max() - 4
    assert np.abs((near - exact)[top] - (near - exact)[top].mean()).max() < 0.03


def test_more_rows_say_more() -> None:
    rng = np.random.default_rng(5)
    N = np.unique(np.round(np.geomspace(500, 2500, 120)))
    rows = []
    for name, p in zip("abcd", (0.2, 0.3, 0.25, 0.35), strict=True):
        count, x = float(rng.binomial(1000, p)), float(rng.binomial(200, p))
        rows.append(Benchmark.counted(name, count, Rate(x, 200), survey=name))
    widths = []
    for some in (2, 3, 4):
        value = joint(N, *rows[:some])
        weight = np.exp(value - value.max()) * np.gradient(N) / N
        below = np.cumsum(weight / weight.sum())
        low, high = np.interp([0.025, 0.975], below, N)
        assert low < 1000 < high
        widths.append(high / low)
    assert all(later < earlier for earlier, later in pairwise(widths))


def test_three_independent_rows_are_a_product() -> None:
    N = [400.0, 500.0, 700.0, 900.0]
    rows = [Benchmark.counted(name, 100.0 * k, Rate(20.0 * k, 120), survey="s")
            for k, name in enumerate("abc", start=1)]  # fmt: skip
    wanted = sum(joint(N, row) for row in rows)
    assert_same(joint(N, *rows, prior=NONE), np.asarray(wanted), 2e-3)


def test_odds_ratios_that_contradict_each_other_are_left_out() -> None:
    rows = [Benchmark.counted(name, 50, Rate(50, 100)) for name in "abc"]
    wild = (
        Overlap("a", "b", odds_ratio=Interval(400, 400, 0.95)),
        Overlap("a", "c", odds_ratio=Interval(400, 400, 0.95)),
        Overlap("b", "c", odds_ratio=Interval(1 / 400, 1 / 400, 0.95)),
    )
    assert np.isneginf(joint([80, 100, 120], *rows, overlaps=wild)).all()
