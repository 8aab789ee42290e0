"""A small study with every kind of evidence, for the unit tests of the evidence synthesis."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hiddenpop.families.synthesis import build_model
from hiddenpop.inputs.synthesis import SynthesisData

__all__: list[str] = []

Point = dict[str, dict[str, float]]
MakeExample = Callable[..., SynthesisData]

AREAS = [
    ("Land", "", 1_000_000, 900_000, 1_100_000, 0.95),
    ("North", "Land", 300_000, 280_000, 320_000, 0.95),
    ("Town", "North", 100_000),
    ("South", "Land", 200_000, 190_000, 215_000, 0.95),
]
EVIDENCE: list[dict[str, Any]] = [
    {"id": "level", "kind": "estimate", "group": "any", "value": 9000, "low": 8000, "high": 11000,
     "level": 0.95, "design_effect": 3.0},
    {"id": "tight", "kind": "estimate", "group": "any", "area": "North", "value": 2500,
     "low": 2500, "high": 3000, "level": 0.9, "period": "2001", "source": "off"},
    {"id": "spoken", "kind": "range", "area": "Town", "group": "both", "low": 300, "high": 400,
     "level": 0.8, "source": "off", "period": "2001"},
    {"id": "guessed", "kind": "guess", "area": "South", "group": "crack", "value": 900, "low": 600,
     "high": 1500, "level": 0.5, "rates": "young"},
    {"id": "treated", "kind": "count", "group": "opiate", "value": 4000, "rates": "known"},
    {"id": "deaths", "kind": "count", "area": "rest of North", "group": "opiate_only", "value": 24,
     "rates": "known / young * fatal", "design_effect": 2.0, "period": "2003-2006"},
    {"id": "survey", "kind": "proportion", "group": "any", "of": "residents", "value": 60,
     "n": 6000, "design_effect": 1.5, "period": "2003/04"},
    {"id": "rounded", "kind": "proportion", "group": "crack", "of": "any", "low": 4, "high": 12,
     "n": 20, "source": "off", "period": "2001"},
    {"id": "wide", "kind": "proportion", "group": "crack", "of": "residents", "low": 100,
     "high": 199, "n": 40000, "area": "North"},
    {"id": "share", "kind": "estimate", "group": "both", "of": "crack", "value": 0.5, "low": 0.4,
     "high": 0.65, "level": 0.95},
    {"id": "least", "kind": "lower", "area": "Town", "group": "any", "value": 800},
    {"id": "most", "kind": "upper", "area": "South", "group": "crack", "value": 1500, "low": 1200,
     "high": 1900, "level": 0.9},
    {"id": "listed", "kind": "benchmark", "area": "North", "group": "opiate", "value": 60,
     "rates": "known * met", "source": "off", "period": "2001"},
    {"id": "few", "kind": "benchmark", "area": "Town", "group": "crack", "low": 3, "high": 9,
     "rates": "met * met"},
    {"id": "unused", "kind": "count", "group": "opiate", "value": 1, "use": "no"},
]  # fmt: skip
TABLES: dict[str, Any] = {
    "cells": ("opiate_only", "both", "crack_only"),
    "unions": {
        "any": ("opiate_only", "both", "crack_only"),
        "opiate": ("opiate_only", "both"),
        "crack": ("both", "crack_only"),
    },
    "shares": {"known": (0.3, 0.7, 0.95), "young": (0.7, 0.98, 0.95), "met": (0.1, 0.4, 0.95)},
    "selection": {"met": (0.8, 2.5, 0.95)},
    "factors": {"fatal": (0.005, 0.02, 0.9)},
    "biases": {"off": (0.6, 1.2, 0.9), "silent": (0.5, 2.0, 0.95)},
}


@pytest.fixture(scope="session")
def make_example(make_data: Callable[..., SynthesisData]) -> MakeExample:
    """Make the study with `more` areas, with its areas backwards, or its evidence in an `order`."""

    def make(
        more: tuple[tuple[Any, ...], ...] = (),
        *,
        backwards: bool = False,
        order: tuple[int, ...] = tuple(range(len(EVIDENCE))),
    ) -> SynthesisData:
        areas = [*AREAS, *more][:: -1 if backwards else 1]
        return make_data(areas, [{"area": "Land"} | EVIDENCE[i] for i in order], **TABLES)

    return make


@pytest.fixture(scope="session")
def example(make_example: MakeExample) -> SynthesisData:
    """The study."""
    return make_example()


@pytest.fixture(scope="session")
def seen(look: Callable[..., Any], example: SynthesisData) -> Any:  # noqa: ANN401
    """The study's model, to be looked into (`Look` of the other conftest)."""
    return look(build_model(example))


@pytest.fixture(scope="session")
def random_point() -> Callable[..., Point]:
    """A point of the study's model."""

    def draw(names: tuple[str, ...], rng: np.random.Generator) -> Point:
        return {
            "z": dict(zip(names, rng.normal(size=len(names)).tolist(), strict=True)),
            "scale": {"between_areas": 0.4, "between_compositions": 0.6},
            "share": {"known": 0.45, "young": 0.9, "met": 0.2},
        }

    return draw
