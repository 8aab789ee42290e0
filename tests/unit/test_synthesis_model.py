"""The evidence synthesis' model of users and residents, without sampling."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from scipy import stats

from hiddenpop.families.simulation.synthesis import divide_exactly
from hiddenpop.families.synthesis import _divide, build_model
from hiddenpop.inputs.synthesis import SynthesisData

__all__: list[str] = []

Look = Any  # of conftest.py, from which nothing can be imported
MakeLook = Callable[..., Any]
MakeData = Callable[..., SynthesisData]
MakePoint = Callable[..., dict[str, dict[str, float]]]


# --- what must not matter -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "east", "west"),
    [("South", 90_000, 60_000), ("South", 10, 20), ("Town", 55_000, 45_000)],
)
def test_splitting_an_area_changes_nothing_outside_it(
    make_example: MakeData, look: MakeLook, seen: Look, rng: np.random.Generator,
    random_point: MakePoint, parent: str, east: int, west: int,
) -> None:  # fmt: skip
    split = look(build_model(make_example((("East", parent, east), ("West", parent, west)))))
    point = random_point(split.normals, rng)
    before, after = seen.at(**point), split.at(**point)
    new = [point["z"][name] for name in split.normals if name not in seen.normals]
    assert len(new) == 6
    assert after["logp"] == pytest.approx(before["logp"] + stats.norm.logpdf(new).sum(), rel=1e-12)
    assert after["pointwise"] == pytest.approx(before["pointwise"], rel=1e-12)
    place = [split.model.coords["area"].index(name) for name in seen.model.coords["area"]]
    assert after["N"][place] == pytest.approx(before["N"], rel=1e-12)


def test_order_of_evidence_changes_nothing(
    make_example: MakeData,
    look: MakeLook,
    seen: Look,
    rng: np.random.Generator,
    random_point: MakePoint,
) -> None:
    order = rng.permutation(len(seen.model.coords["evidence"]))
    shuffled = look(build_model(make_example(order=tuple(order))))
    point = random_point(seen.normals, rng)
    before, after = seen.at(**point), shuffled.at(**point)
    assert after["logp"] == pytest.approx(before["logp"], rel=1e-12)
    assert after["pointwise"] == pytest.approx(before["pointwise"][order], rel=1e-12)


def test_order_of_areas_changes_nothing(
    make_example: MakeData,
    look: MakeLook,
    seen: Look,
    rng: np.random.Generator,
    random_point: MakePoint,
) -> None:
    shuffled = look(build_model(make_example(backwards=True)))
    point = random_point(seen.normals, rng)
    before, after = seen.at(**point), shuffled.at(**point)
    assert after["logp"] == pytest.approx(before["logp"], rel=1e-12)
    place = [shuffled.model.coords["area"].index(name) for name in seen.model.coords["area"]]
    assert place != sorted(place)
    assert after["N"][place] == pytest.approx(before["N"], rel=1e-12)


def test_one_group_and_two_top_areas_have_a_model(make_data: MakeData, look: MakeLook) -> None:
    rows = [{"kind": "count", "value": 40, "area": name} for name in ("A", "B")]
    model = look(build_model(make_data([("A", "", 1000), ("B", "", 5000)], rows)))
    point = {"z": {"level: top": 0.3, "area: A": 1.0}, "scale": {"between_areas": 0.7}}
    odds = (found := model.at(**point)["prevalence"][:, 0]) / (1 - found)
    assert np.log(odds[0] / odds[1]) == pytest.approx(0.7)


# --- users -------------------------------------------------------------------------------------


def test_children_add_up_to_their_parent(
    seen: Look, example: SynthesisData, rng: np.random.Generator, random_point: MakePoint
) -> None:
    parents = np.array(example.areas.parent)
    for _ in range(20):
        found = seen.at(**random_point(seen.normals, rng))
        for parent in set(parents[parents >= 0]):
            for name in ("N", "residents"):
                together = found[name][parents == parent].sum(0)
                assert together == pytest.approx(found[name][parent], rel=1e-12)


def test_unions_add_up_their_cells(seen: Look, example: SynthesisData) -> None:
    found = seen.at()
    for union, cells in example.unions.items():
        column = [example.cells.index(cell) for cell in cells]
        users = found["users"][:, example.groups.index(union)]
        assert users == pytest.approx(found["N"][:, column].sum(1))
        share = found["prevalence"][:, example.groups.index(union)]
        assert share == pytest.approx(users / found["residents"])


@pytest.mark.parametrize("size", [-10.0, -3.0, 3.0, 10.0])
def test_no_uncertain_population_empties_a_remainder(
    seen: Look, example: SynthesisData, size: float
) -> None:
    z = {name: -size for name in seen.normals if name.startswith("residents: ")}
    found = seen.at(z=z | {"residents: Land": size})
    residents = dict(zip(example.areas.names, found["residents"], strict=True))
    assert min(residents.values()) > 0
    rest = residents["Land"] - residents["North"] - residents["South"]
    assert residents["rest of Land"] == pytest.approx(rest)
    sd = np.log(1.1 / 0.9) / 2 / 1.959964
    assert residents["Land"] == pytest.approx(1e6 * np.exp(sd * np.clip(size, -3, 3)), rel=1e-6)


def divided(prevalence: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Users of two generations by the model's rule and exactly, (area, group)."""
    rng = np.random.default_rng(seed)
    parent = np.array([-1, 0, 0, 0, 1, 1])
    people = np.array([1000.0, 400.0, 250.0, 350.0, 100.0, 300.0])
    log_odds = rng.normal(0, 0.5, (6, 2)) * (parent >= 0)[:, None]
    users = np.outer(people, prevalence * np.array([0.7, 0.3]))
    siblings = (parent[:, None] == parent) & (parent >= 0)[:, None] | np.eye(6, dtype=bool)
    lineage = np.eye(6, dtype=bool)
    for i in range(1, 6):
        lineage[i] |= lineage[parent[i]]
    top = np.zeros(6, dtype=int)
    arguments = (pt.constant(people), pt.constant(log_odds), pt.constant(users))
    found = _divide(siblings, lineage, top, *arguments).eval(mode=Mode("py", None))
    exact = users.copy()
    for above in (0, 1):
        inside = np.flatnonzero(parent == above)
        exact[inside] = divide_exactly(people[inside], exact[above], log_odds[inside])
    return np.asarray(found)[1:], exact[1:]


@pytest.mark.parametrize("prevalence", [0.01, 0.05, 0.2])
def test_division_is_exact_to_the_order_of_prevalence_squared(prevalence: float) -> None:
    found, exact = divided(prevalence)
    assert np.abs(np.log(found / exact)).max() < 2 * prevalence**2


def test_error_of_the_division_falls_with_the_square_of_prevalence() -> None:
    errors = [np.abs(np.log(np.divide(*divided(prevalence)))).max() for prevalence in (0.01, 0.05)]
    order = np.log(errors[1] / errors[0]) / np.log(5)
    assert order == pytest.approx(2, abs=0.15)


def test_exact_division_keeps_margins_and_odds_ratios(rng: np.random.Generator) -> None:
    people, users = np.array([100.0, 300.0, 600.0]), np.array([50.0, 20.0])
    log_odds = rng.normal(size=(3, 2))
    table = divide_exactly(people, users, log_odds)
    assert table.sum(0) == pytest.approx(users)
    odds = np.log(table / (people - table.sum(1))[:, None])
    assert odds - odds[0] == pytest.approx(log_odds - log_odds[0])
