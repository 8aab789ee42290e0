"""What the model of benchmarks over areas and periods looks up: free numbers and where they act.

Every unknown but the miscounts is one of a few flat numbers (levels), or a standard normal times
an sd. What the likelihoods need is linear in them on the log or logit scale, so that one matrix
gives all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hiddenpop.families.maths.benchmark_terms import is_share
from hiddenpop.families.multiplier_areas_rates import Information
from hiddenpop.inputs import periods
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable

__all__ = [
    "AREAS",
    "CHANGE",
    "EXPERTS",
    "OWN_CHANGE",
    "REPORTED",
    "SHARES",
    "SHARE_CHANGE",
    "Design",
    "Grid",
    "Terms",
    "key_of",
    "label",
    "linked",
    "years",
]

AREAS, CHANGE, OWN_CHANGE = "between areas", "change over time", "change within areas"
SHARES, SHARE_CHANGE, EXPERTS = "between shares", "change of shares", "between experts"
"""Names of the sds that are learned."""

REPORTED = ("link", "area", "period", "benchmark")
"""Blocks for readers only."""

type Terms = dict[str, float]


def label(stratum: tuple[str, str]) -> str:
    """Area and period in one name."""
    return ", ".join(part for part in stratum if part)


def years(data: MultiplierTable) -> dict[str, float]:
    """Periods in order of time, with their middles in decimal years."""
    middles = {name: periods.middle(name) if name else 0.0 for _, name in data.strata}
    return dict(sorted(middles.items(), key=lambda pair: pair[1]))


@dataclass(frozen=True, eq=False)
class Grid:
    """Rows of one kind, laid out by stratum.

    Attributes
    ----------
    cells
        Rows of each stratum, filled up with None, (stratum, slot).
    links, factors, ranges
        Whether any row has a share or rate, an error or miscount, a range of counts.
    """

    kind: str
    cells: tuple[tuple[Benchmark | None, ...], ...]
    links: bool
    factors: bool
    ranges: bool

    @property
    def slots(self) -> int:
        """Most rows of a stratum."""
        return len(self.cells[0])

    @cached_property
    def present(self) -> np.ndarray:
        """1 where there is a row, (stratum, slot)."""
        return np.array([[float(row is not None) for row in cell] for cell in self.cells])

    def fill(
        self, number: Callable[[Benchmark], tuple[float, ...]], otherwise: tuple[float, ...]
    ) -> np.ndarray:
        """Numbers of each row, (stratum, slot, number)."""
        return np.array([[otherwise if row is None else number(row) for row in cell]
                         for cell in self.cells], dtype=float)  # fmt: skip

    @cached_property
    def linked(self) -> np.ndarray:
        """1 for rows with a share or rate, (stratum, slot)."""
        return self.fill(lambda row: (float(linked(row)),), (0.0,))[..., 0]

    @cached_property
    def shares(self) -> np.ndarray:
        """1 for rows whose rate is a share, (stratum, slot)."""
        return self.fill(lambda row: (float(is_share(row)),), (1.0,))[..., 0]


@dataclass(frozen=True, eq=False)
class Design:
    """Names and positions.

    Attributes
    ----------
    base
        Flat numbers: the level of all strata, and the mean of each benchmark's shares.
    start
        Where these begin, (base,); the sampler moves around it.
    normals
        Standard normals by name, with the name of their sd, or the sd itself.
    scales
        Half-normal scale of each sd that is learned.
    miscounts
        Beta parameters of over- and undercounts, by name.
    blocks
        Numbers that are looked up, by kind and name: a constant (under "") and coefficients of
        base numbers, normals, and ln(1 - miscount).
    greatest
        The row of the greatest count of people of each stratum.
    grids
        All other rows with a number, by kind; kinds without any are left out.
    known
        What is known of shares and rates, in the order of the block `known`.
    repeated
        Ids of benchmarks one rate of which is stated in several strata.
    """

    data: MultiplierTable
    base: tuple[str, ...]
    start: np.ndarray
    normals: dict[str, str | float]
    scales: dict[str, float]
    miscounts: dict[str, tuple[float, float]]
    blocks: dict[str, dict[str, Terms]]
    greatest: tuple[Benchmark | None, ...]
    grids: dict[str, Grid]
    known: tuple[Information, ...]
    repeated: tuple[str, ...]

    @property
    def pooled(self) -> bool:
        """Whether there is more than one stratum."""
        return len(self.data.strata) > 1

    @property
    def bounded(self) -> bool:
        """Whether residents are known, so that N cannot exceed them."""
        return bool(np.isfinite(self.data.population).all())

    @cached_property
    def matrix(self) -> np.ndarray:
        """Coefficients of all blocks, (looked up, number)."""
        place = {name: i for i, name in enumerate([*self.base, *self.normals, *self.miscounts])}
        rows = [terms for block in self.blocks.values() for terms in block.values()]
        found = np.zeros((len(rows), len(place)))
        for i, terms in enumerate(rows):
            for name, value in terms.items():
                if name:
                    found[i, place[name]] = value
        return found

    @cached_property
    def constant(self) -> np.ndarray:
        """Constants of all blocks, (looked up,)."""
        return np.array([terms.get("", 0.0) for block in self.blocks.values()
                         for terms in block.values()])  # fmt: skip

    def place(self, block: str) -> slice:
        """Where a block lies."""
        sizes = {name: len(block) for name, block in self.blocks.items()}
        names = list(sizes)
        first = sum(sizes[name] for name in names[: names.index(block)])
        return slice(first, first + sizes[block])

    @cached_property
    def own_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Which sd each normal has, (normal, scale), and sds that are known, (normal,)."""
        names = list(self.scales)
        which = np.array([[float(sd == name) for name in names] for sd in self.normals.values()])
        fixed = [0.0 if isinstance(sd, str) else sd for sd in self.normals.values()]
        return which.reshape(len(self.normals), len(names)), np.array(fixed)

    @property
    def needed(self) -> int:
        """Lines of the matrix that the likelihood needs; those for readers come after them."""
        return int(self.place(REPORTED[0]).start)

    @cached_property
    def has_greatest(self) -> np.ndarray:
        """Whether people were counted, (stratum,)."""
        return np.array([row is not None for row in self.greatest])

    @property
    def greatest_factors(self) -> bool:
        """Whether a greatest count has an error or miscount."""
        return bool(self.blocks["greatest factor"])

    @property
    def greatest_ranges(self) -> bool:
        """Whether a greatest count is a range."""
        return any(row is not None and row.least < row.most for row in self.greatest)

    @property
    def link_is_share(self) -> np.ndarray:
        """1 for rows of the block `link` with a share, 0 for rates per person."""
        shares = {key_of(self.data, row): is_share(row) for row in self.data.rows}
        return np.array([float(shares[name]) for name in self.blocks["link"]])


def key_of(data: MultiplierTable, row: Benchmark) -> str:
    """A row's name."""
    where = label(data.strata[row.stratum])
    return f"{row.id}, {where}" if where else row.id


def linked(row: Benchmark) -> bool:
    """Whether a row reaches N through a share or rate."""
    return row.rate is not None or row.kind in ("people", "events", "amount")
