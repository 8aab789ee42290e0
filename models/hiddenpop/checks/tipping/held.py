"""An evidence synthesis with one bias or rate held at a value, and all else estimated again.

The model is compiled once, with one more factor: a normal distribution of the logarithm of what is
held, so narrow (`HELD_SD`) that nothing else decides it. Which quantity is held, and where, are
data of the compiled model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from hiddenpop.checks.conflict.table import SHORT
from hiddenpop.estimate import Estimate, build, summarise
from hiddenpop.families import FAMILIES
from hiddenpop.inference import Sampler
from hiddenpop.inputs.synthesis import SynthesisData

__all__ = [
    "HELD_SD",
    "Curves",
    "Known",
    "Point",
    "Quantity",
    "holding",
    "known_points",
    "quantities",
]

HELD_SD = 0.01
"""Sd of the log of a quantity that is held: a hundredth of its value."""


class Quantity(NamedTuple):
    """What can be held: an element of a variable of the model."""

    kind: str
    name: str
    place: int

    @property
    def variable(self) -> str:
        """Name of the variable in the model."""
        return self.kind


class Point(NamedTuple):
    """The headline with a quantity held: a row of the table, in the names of its columns.

    Attributes
    ----------
    value
        Where the quantity came to rest, as the evidence pulls a little at what is held.
    held
        Where it was held.
    """

    value: float
    held: float
    median: float
    low: float
    high: float
    passed: bool


type Known = dict[tuple[str, str], list[Point]]
"""Points that were found, by kind and name."""


def quantities(data: SynthesisData) -> Iterator[Quantity]:
    """Biases that are not fixed and rates, of evidence in use."""
    counted = data.counted
    sources = set(data.targets["source"].to_numpy()[counted])
    for i, name in enumerate(data.biases.names):
        if name in sources and data.biases.sigma[i] > 0:
            yield Quantity("bias", name, i)
    needed = (data.exponents[counted] != 0).any(axis=0)
    for i, name in enumerate(data.rates.shares):
        if needed[i]:
            yield Quantity("share", name, i)
    for i, name in enumerate(data.rates.factors):
        if needed[len(data.rates.shares) + i] and data.rates.sigma[i] > 0:
            yield Quantity("factor", name, i)


def known_points(done: pd.DataFrame | None) -> Known:
    """Points of an earlier call."""
    found: Known = {}
    if done is None or done.empty:
        return found
    for row in done[done["median"].notna()].to_dict("records"):
        value, held, median, low, high = (float(row[name]) for name in Point._fields[:-1])
        point = Point(value, held, median, low, high, str(row["passed"]) == "True")
        known = found.setdefault((str(row["kind"]), str(row["name"])), [])
        if point not in known:
            known.append(point)
    return found


class Curves:
    """The headline along each quantity, as far as it is known."""

    def __init__(
        self,
        estimate: Estimate,
        held: list[Quantity],
        where: tuple[str, str],
        level: float,
        known: Known,
        on_step: Callable[[str], object],
    ) -> None:
        self._estimate, self._quantities, self._where = estimate, held, where
        self._level, self._known, self._on_step = level, known, on_step
        self._sampler: Sampler | None = None
        self.after: Callable[[], object] = str

    def of(self, one: Quantity) -> list[Point]:
        """Points by value."""
        return sorted(self._known.get((one.kind, one.name), []))

    def at(self, one: Quantity, value: float) -> Point:
        """The point at a value: known, or fitted now."""
        for point in self.of(one):
            if np.abs(np.log([point.held / value, point.value / value])).min() < HELD_SD / 2:
                return point
        self._on_step(f"{one.kind} {one.name} at {value:.3g}")
        point = self._fit(one, value)
        self._known.setdefault((one.kind, one.name), []).append(point)
        self.after()
        return point

    def _fit(self, one: Quantity, value: float) -> Point:
        """Sample with the quantity held; at full length where a short run fails its gates."""
        if self._sampler is None:
            self._sampler = Sampler(holding(self._estimate, self._quantities))
        on = np.array([float(one == other) for other in self._quantities])
        data = FAMILIES[self._estimate.family].module.values(self._estimate.data.data)
        data |= {"held_on": on, "held_at": on * np.log(value)}
        full = self._estimate.sampling
        short = replace(full, draws=min(SHORT.draws, full.draws), tune=min(SHORT.tune, full.tune))
        for sampling in dict.fromkeys((short, full)):
            tree = self._sampler.sample(data, sampling)
            tree.attrs = dict(self._estimate.tree.attrs)
            fitted = Estimate(tree, self._estimate.data, self._estimate.family)
            if fitted.verdict.passed:
                break
        found = summarise(
            fitted.draws("users", area=self._where[0], union=self._where[1]), self._level
        )
        rest = float(np.exp(np.mean(np.log(fitted.draws(one.variable)[:, one.place]))))
        return Point(rest, value, found.median, found.low, found.high, fitted.verdict.passed)


def holding(estimate: Estimate, held: list[Quantity]) -> pm.Model:
    """The model of a study, with the factor that holds quantities."""
    model = build(estimate.data)
    model.add_coord("held", [f"{one.kind}: {one.name}" for one in held])
    with model:
        logs = pt.stack([pt.log(model[one.variable][one.place]) for one in held])
        on = pm.Data("held_on", np.zeros(len(held)), dims="held")
        at = pm.Data("held_at", np.zeros(len(held)), dims="held")
        pm.Potential("held_there", -(on * ((logs - at) / HELD_SD) ** 2).sum() / 2)
    return model
