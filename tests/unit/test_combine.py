"""Averaging families: against the moments of a mixture worked out by hand."""

import numpy as np
import pytest

from hiddenpop.combine import combine, spread, stacking_weights
from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.size import SizeEstimate

__all__: list[str] = []

TABLE = OverlapTable.from_counts(("a", "b"), {"10": 60, "01": 45, "11": 30})


def made(name: str, unseen: list[float], probability: list[float]) -> SizeEstimate:
    distribution = Discrete(np.array(unseen), np.array(probability))
    tree = exact_tree(TABLE.observed, distribution, seed=1, assumption=f"{name}.")
    tree.attrs |= {"family": name, "versions": "{}", "sampling": "{}", "priors": "{}"}
    return SizeEstimate(tree, TABLE, name)


@pytest.fixture
def two() -> dict[str, SizeEstimate]:
    return {"one": made("one", [0, 100], [0.5, 0.5]), "two": made("two", [100, 400], [0.25, 0.75])}


def test_equal_weights_mix_the_distributions(two: dict[str, SizeEstimate]) -> None:
    mixed = combine(two)
    assert mixed.distribution is not None
    np.testing.assert_allclose(mixed.distribution.unseen, [0, 100, 400])
    np.testing.assert_allclose(mixed.distribution.probability, [0.25, 0.375, 0.375])
    assert mixed.unseen().mean == pytest.approx(0.375 * 500)
    assert mixed.N().median == 135 + 100


def test_a_weight_of_one_gives_that_family(two: dict[str, SizeEstimate]) -> None:
    mixed = combine(two, {"one": 0.0, "two": 2.0})
    assert mixed.N() == two["two"].N()


def test_the_spread_adds_up_to_the_variance_of_the_mixture(two: dict[str, SizeEstimate]) -> None:
    weights = {"one": 0.3, "two": 0.7}
    found, mixed = spread(two, weights), combine(two, weights).distribution
    assert mixed is not None
    log_size = np.log(135 + mixed.unseen)
    variance = mixed.probability @ (log_size - mixed.probability @ log_size) ** 2
    assert found.within + found.between == pytest.approx(variance)
    assert (found.lowest, found.highest) == (135.0, 535.0)
    assert 0 < found.share_between < 1


def test_families_that_agree_have_no_spread_between_them() -> None:
    same = {name: made(name, [0, 100], [0.5, 0.5]) for name in ("one", "two")}
    assert combine(same).notes[0].startswith("Less than 1 % of the variance")


def test_weights_that_mean_nothing_are_refused(two: dict[str, SizeEstimate]) -> None:
    with pytest.raises(ValueError, match="negative"):
        combine(two, {"one": -1.0, "two": 2.0})
    with pytest.raises(ValueError, match="fewer than two"):
        combine({"one": two["one"]})


def test_stacking_prefers_the_family_that_predicts_the_table() -> None:
    # Lists a and b share their people far beyond chance: independence predicts badly.
    linked = OverlapTable.from_counts(
        ("a", "b", "c"),
        {"100": 60, "010": 50, "110": 90, "001": 70, "101": 8, "011": 7, "111": 12},
    )
    weights = stacking_weights(
        linked, ["loglinear-average", "graphs"], {"order": 1}, seed=1, folds=4
    )
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["graphs"] > 0.9


def test_stacking_needs_counts() -> None:
    hidden = OverlapTable.from_counts(("a", "b"), {"10": 60, "01": 45, "11": (0, 4)})
    with pytest.raises(ValueError, match="exact counts"):
        stacking_weights(hidden, ["two-list"], {})
