"""Surveys in clusters: the share and the design effect between clusters."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from hiddenpop.errors import InputError
from hiddenpop.inputs.clusters import Clusters, clusters_of, read_clusters
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.multipliers import Rate

__all__: list[str] = []

# Made up: 30 clusters of unequal size, and respondents with the event in each.
SIZES = np.array([5, 6, 3, 3, 2, 3, 3, 3, 4, 4, 3, 2, 7, 4, 3] * 2, float)
FOUND = np.array([5, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1] + [2, 0, 0, 1, 2, 0, 0] + [1] * 8)


def table(rows: list[tuple[float, float]]) -> str:
    cells = [f"c{place},{x:g},{n:g}" for place, (x, n) in enumerate(rows)]
    return "\n".join(["cluster,x,n", *cells]) + "\n"


def test_the_formula_by_hand() -> None:
    x, n = [4, 1, 7], [10, 12, 15]
    p = Fraction(sum(x), sum(n))
    squares = sum((Fraction(a) - p * b) ** 2 for a, b in zip(x, n, strict=True))
    variance = squares / (3 * 2 * Fraction(sum(n), 3) ** 2)
    found = Clusters(np.array(x, float), np.array(n, float))
    assert found.share == pytest.approx(float(p), rel=1e-15)
    assert found.variance == pytest.approx(float(variance), rel=1e-12)
    effect = variance * sum(n) / (p * (1 - p))
    assert found.raw_effect == pytest.approx(float(effect), rel=1e-12)


def test_the_variance_is_that_of_leaving_out_one_cluster_at_a_time() -> None:
    """The jackknife agrees to first order, and is never told the formula."""
    found = Clusters(FOUND, SIZES)
    m = len(SIZES)
    left = (FOUND.sum() - FOUND) / (SIZES.sum() - SIZES)
    jackknife = (m - 1) / m * np.sum((left - left.mean()) ** 2)
    assert found.variance == pytest.approx(jackknife, rel=0.05)


def test_equal_clusters_have_the_variance_of_their_means() -> None:
    x = np.array([3.0, 8, 5, 6, 9, 1])
    found = Clusters(x, np.full(6, 10.0))
    assert found.variance == pytest.approx(stats.sem(x / 10) ** 2, rel=1e-12)


def test_few_clusters_widen_the_interval_to_that_of_t() -> None:
    found = Clusters(np.array([3.0, 8, 5]), np.full(3, 10.0))
    t = stats.t.ppf(0.975, 2) / stats.t.ppf(0.975, 29)
    assert found.design_effect == pytest.approx(max(found.raw_effect, 1) * t**2, rel=1e-12)
    assert "only 3" in found.notes[0]
    many = Clusters(np.tile([3.0, 8, 5], 40), np.full(120, 10.0))
    assert many.few_factor == pytest.approx(1, abs=0.03)


def test_clusters_more_alike_than_chance_are_raised_to_1_and_it_is_said() -> None:
    found = Clusters(np.full(40, 5.0), np.full(40, 10.0))
    assert found.raw_effect == 0
    assert found.design_effect == found.few_factor
    assert "below 1, and 1 was used" in found.notes[1]


def test_a_file_becomes_a_rate_whatever_the_order_of_rows(tmp_path: Path) -> None:
    rows = list(zip(FOUND.tolist(), SIZES.tolist(), strict=True))
    path = tmp_path / "clusters.csv"
    path.write_text(table(rows))
    rate = read_clusters(path)
    assert rate == Rate(
        FOUND.sum(), SIZES.sum(), Clusters(FOUND, SIZES).design_effect, (), stated_effect=True
    )
    path.write_text(table(rows[::-1]))
    assert read_clusters(path).design_effect == pytest.approx(rate.design_effect, rel=1e-12)
    assert isinstance(clusters_of(path, Faults()), Clusters)


def test_a_single_cluster_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clusters.csv"
    path.write_text(table([(3, 10)]))
    with pytest.raises(InputError, match="clusters-one"):
        read_clusters(path)


def test_intervals_from_clusters_cover_the_share() -> None:
    """Nominal 95 %, from 8 clusters whose shares differ: without the effect far fewer."""
    rng = np.random.default_rng(7)
    repeats, m, size, p, spread = 2000, 8, 25, 0.3, 9.0
    shares = rng.beta(p * spread, (1 - p) * spread, size=(repeats, m))
    counts = rng.binomial(size, shares).astype(float)
    covered = {"effect": 0, "none": 0}
    for x in counts:
        found = Clusters(x, np.full(m, float(size)))
        for name, effect in (("effect", found.design_effect), ("none", 1.0)):
            a, b = 1 + x.sum() / effect, 1 + (m * size - x.sum()) / effect
            low, high = stats.beta.ppf([0.025, 0.975], a, b)
            covered[name] += low <= p <= high
    assert covered["effect"] / repeats == pytest.approx(0.95, abs=0.02)
    assert covered["none"] / repeats < 0.8
