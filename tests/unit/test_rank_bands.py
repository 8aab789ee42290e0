"""Simultaneous bands of ranks against brute force and simulation, and what they catch."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from hiddenpop.checks.calibration.rank_bands import adjusted_gamma, ecdf_band, rank_p_value

__all__: list[str] = []


def inside(ranks: np.ndarray, level: float = 0.99) -> bool:
    band = ecdf_band(len(ranks), level)
    height = np.searchsorted(np.sort(ranks), band["z"], side="right") / len(ranks)
    return bool(np.all((band["low"] <= height) & (height <= band["high"])))


def test_a_small_band_is_what_enumeration_gives() -> None:
    """Four ranks in three thirds: every way to fall there, with its chance."""
    n, points = 4, 3
    chance: dict[tuple[int, int], float] = {}
    for ways in product(range(points), repeat=n):
        counts = np.bincount(ways, minlength=points).cumsum()[:2]
        key = (int(counts[0]), int(counts[1]))
        chance[key] = chance.get(key, 0.0) + points**-n

    def tail(path: tuple[int, int]) -> float:
        both = [2 * min(stats.binom.cdf(x, n, z), stats.binom.sf(x - 1, n, z))
                for x, z in zip(path, (1 / 3, 2 / 3), strict=True)]  # fmt: skip
        return min(1.0, *both)

    for path in chance:
        # A sample that has these counts.
        ranks = np.repeat([1 / 6, 1 / 2, 5 / 6], np.diff([0, *path, n]))
        expected = sum(p for other, p in chance.items() if tail(other) <= tail(path) + 1e-12)
        assert rank_p_value(ranks, points) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [25, 100])
def test_uniform_ranks_stay_inside_as_often_as_asked(n: int, rng: np.random.Generator) -> None:
    p = np.array([rank_p_value(rng.random(n)) for _ in range(1000)])
    for level in (0.01, 0.1, 0.5):
        # Discrete, so at most as often; five standard errors either way, and 15 % for steps.
        error = 5 * np.sqrt(level * (1 - level) / len(p))
        assert 0.85 * level - error < np.mean(p <= level) < level + error


@pytest.mark.parametrize("n", [30, 500])
def test_leaving_the_band_is_a_small_p_value(n: int, rng: np.random.Generator) -> None:
    found = set()
    for shape in np.linspace(0.7, 1.4, 25):
        ranks = rng.beta(shape, 1.0, size=n)
        found.add(inside(ranks))
        # The band holds at least its level: a p-value between may be inside still.
        assert inside(ranks) or rank_p_value(ranks) <= 0.01 + 1e-12
        assert not inside(ranks) or rank_p_value(ranks) > 0.005
    assert found == {True, False}


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [("too narrow", 0.6, 0.6), ("too wide", 1.7, 1.7), ("too low", 1.5, 1.0), ("too high", 1, 1.5)],
)
def test_distorted_ranks_leave_the_band(name: str, a: float, b: float) -> None:
    rng = np.random.default_rng(3)
    caught = [rank_p_value(rng.beta(a, b, size=300)) <= 0.01 for _ in range(40)]
    assert np.mean(caught) > 0.9, name


def test_the_band_is_symmetric_and_narrows() -> None:
    small, large = ecdf_band(100), ecdf_band(1600)
    np.testing.assert_allclose(small["low"], 1 - small["high"][::-1], atol=1e-12)
    widths = [float((band["high"] - band["low"]).max()) for band in (small, large)]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.1)
    assert adjusted_gamma(100, 0.9) > adjusted_gamma(100, 0.99)


def test_gamma_agrees_with_simulation(rng: np.random.Generator) -> None:
    n, points = 50, 50
    z = np.arange(1, points) / points
    counts = np.array([(rng.random(n)[:, None] <= z).sum(0) for _ in range(20_000)])
    tails = 2 * np.minimum(stats.binom.cdf(counts, n, z), stats.binom.sf(counts - 1, n, z))
    gamma = adjusted_gamma(n, 0.95)
    share = np.mean(tails.min(axis=1) >= gamma * (1 - 1e-9))
    assert 0.95 - 0.005 < share < 0.975


def test_what_is_no_rank_is_refused() -> None:
    for wrong in ([0.1, 1.2], [0.5], [np.nan, 0.5]):
        with pytest.raises(ValueError, match="rank"):
            rank_p_value(wrong)
    with pytest.raises(ValueError, match="level"):
        adjusted_gamma(10, 1.0)
