"""The overlap table: how many people were seen on which lists, checked and frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

__all__ = ["MAX_LISTS", "Margins", "OverlapTable"]

MAX_LISTS = 20
"""More lists than this no study has had, and 2^20 combinations are the most a fit can hold."""

DENSE_LISTS = 14
"""Up to this many lists all combinations are held in one array."""


@dataclass(frozen=True, eq=False)
class OverlapTable:
    """Counts of people by capture history and stratum; the people on no list are unknown.

    Cells are sparse: a possible combination of lists that has no cell was seen on nobody. The
    cells stand in one order (stratum, then history read as a binary number with the first
    list last), so that the order of the rows of a file changes nothing.

    Attributes
    ----------
    lists
        Names of the L lists, in the order of the columns of `history`.
    factors
        Names of the variables that make the strata, such as ("sex", "age"); empty for one
        table.
    strata
        For each stratum the level of each factor; `((),)` where there are no factors.
    history
        Whether a person of a cell was on a list, bool, shape (cell, list); no row is all
        False.
    stratum
        Index into `strata`, shape (cell,).
    low, high
        Least and greatest number of people in a cell, shape (cell,). They are equal where the
        count is known; 1 and 4 for a count suppressed as "1-4"; 0 and inf where the lists
        could not be linked.
    structural
        True where the combination was impossible (lists that do not cover the same stratum or
        period), shape (cell,): such a cell says nothing about how lists depend on each other.
    population
        Residents at the target's ages, or None: of each stratum, shape (stratum,), or of all
        strata together, shape (1,).
    """

    lists: tuple[str, ...]
    factors: tuple[str, ...]
    strata: tuple[tuple[str, ...], ...]
    history: np.ndarray
    stratum: np.ndarray
    low: np.ndarray
    high: np.ndarray
    structural: np.ndarray
    population: np.ndarray | None = None

    @classmethod
    def from_counts(
        cls,
        lists: Sequence[str],
        counts: Mapping[str, float | tuple[float, float]],
        population: float | None = None,
    ) -> OverlapTable:
        """A table without strata from counts by history, such as {"10": 60, "01": 49, "11": 4}.

        A pair is the least and greatest possible count. Nothing is checked here: files are
        read, and checked, by `read_overlap`.
        """
        pairs = [(c, c) if np.isscalar(c) else c for c in counts.values()]
        ends = np.array(pairs, dtype=float).reshape(-1, 2)
        marks = np.array([[mark == "1" for mark in text] for text in counts], dtype=bool)
        history = marks.reshape(-1, len(lists))  # two dimensions also where nobody was seen
        made = cls(
            tuple(lists), (), ((),), history, np.zeros(len(history), dtype=int),
            ends[:, 0], ends[:, 1], np.zeros(len(history), dtype=bool),
            None if population is None else np.array([float(population)]),
        )  # fmt: skip
        return made.sorted()

    @property
    def code(self) -> np.ndarray:
        """Each cell's history as a number: the j-th list (from 0) counts 2^j, shape (cell,)."""
        return np.asarray(self.history @ (1 << np.arange(len(self.lists))), dtype=np.int64)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Each cell's history as text, the first list first: "1010"."""
        return tuple("".join("1" if seen else "0" for seen in row) for row in self.history)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """Each stratum in words: "female, 15-29", or "all" where there are no factors."""
        return tuple(", ".join(levels) if levels else "all" for levels in self.strata)

    @property
    def exact(self) -> bool:
        """Whether every cell is a known count and none is structural."""
        return bool(np.all(self.low == self.high) and not self.structural.any())

    @property
    def observed(self) -> float:
        """People certainly seen on at least one list: the sum of `low`."""
        return float(self.low.sum())

    @property
    def observed_by_stratum(self) -> np.ndarray:
        """People certainly seen in each stratum, shape (stratum,)."""
        return np.bincount(self.stratum, weights=self.low, minlength=len(self.strata))

    @property
    def list_totals(self) -> np.ndarray:
        """People certainly seen on each list, shape (list,)."""
        return np.asarray(self.low @ self.history, dtype=float)

    @property
    def residents(self) -> float | None:
        """Residents of all strata together, or None."""
        return None if self.population is None else float(self.population.sum())

    @property
    def population_by_stratum(self) -> np.ndarray | None:
        """Residents of each stratum, shape (stratum,), or None if they are not known by stratum."""
        known = self.population is not None and len(self.population) == len(self.strata)
        return self.population if known else None

    def dense(self, values: np.ndarray | None = None) -> np.ndarray:
        """Counts (or other `values` of cells) of every combination, shape (stratum, 2^L).

        Column `code`; column 0, the people on no list, is nan. Combinations without a cell
        are 0.

        Raises
        ------
        ValueError
            With more than 14 lists: a stratum would need more room than it has people.
        """
        if len(self.lists) > DENSE_LISTS:
            raise ValueError(f"{len(self.lists)} lists have too many combinations for one array")
        full = np.zeros((len(self.strata), 2 ** len(self.lists)))
        full[self.stratum, self.code] = self.low if values is None else values
        full[:, 0] = np.nan
        return full

    def sorted(self) -> OverlapTable:
        """The same table with its cells in the one order."""
        order = np.lexsort((self.code, self.stratum))
        return replace(
            self, history=self.history[order], stratum=self.stratum[order], low=self.low[order],
            high=self.high[order], structural=self.structural[order],
        )  # fmt: skip

    def permuted(self, order: Iterable[int]) -> OverlapTable:
        """The same table with its lists in another order."""
        places = list(order)
        return replace(
            self, lists=tuple(self.lists[j] for j in places), history=self.history[:, places]
        ).sorted()

    def total(self) -> OverlapTable:
        """The table of all strata together; ends of censored cells add up.

        A combination that was impossible in one stratum only is counted from the others, which
        makes the lists look less linked than they are: such tables are better kept by stratum.
        """
        if not self.factors:
            return self
        codes, place = np.unique(self.code, return_inverse=True)
        first = np.full(len(codes), -1)
        first[place[::-1]] = np.arange(len(place))[::-1]
        impossible = np.ones(len(codes), dtype=bool)
        np.logical_and.at(impossible, place, self.structural)
        return replace(
            self, factors=(), strata=((),), history=self.history[first],
            stratum=np.zeros(len(codes), dtype=int), low=np.bincount(place, weights=self.low),
            high=np.bincount(place, weights=self.high), structural=impossible,
            population=None if self.population is None else self.population.sum(keepdims=True),
        ).sorted()  # fmt: skip

    def of_stratum(self, index: int) -> OverlapTable:
        """The table of one stratum, without factors."""
        mine, by_stratum = self.stratum == index, self.population_by_stratum
        return replace(
            self, factors=(), strata=((),), history=self.history[mine],
            stratum=np.zeros(int(mine.sum()), dtype=int), low=self.low[mine],
            high=self.high[mine], structural=self.structural[mine],
            population=None if by_stratum is None else by_stratum[[index]],
        )  # fmt: skip


@dataclass(frozen=True)
class Margins:
    """Published totals of lists and of distinct people, where the overlaps were not published.

    Attributes
    ----------
    lists
        Names of the lists.
    totals
        People on each list.
    distinct
        Different people on all lists together.
    population
        Residents at the target's ages, or None.
    """

    lists: tuple[str, ...]
    totals: tuple[int, ...]
    distinct: int
    population: float | None = None

    @property
    def observed(self) -> float:
        """Different people seen."""
        return float(self.distinct)

    @property
    def residents(self) -> float | None:
        """As `population`, by the name that overlap tables have for it."""
        return self.population

    @property
    def histories(self) -> np.ndarray:
        """All histories but the all-zero one, bool, shape (2^L - 1, L), in order of code."""
        codes = np.arange(1, 2 ** len(self.lists))
        return ((codes[:, None] >> np.arange(len(self.lists))) & 1).astype(bool)

    @property
    def sums(self) -> np.ndarray:
        """0/1 matrix A with y = A n, shape (L + 1, 2^L - 1): each list, then everybody."""
        return np.vstack([self.histories.T, np.ones(len(self.histories), dtype=bool)]).astype(float)

    @property
    def known(self) -> np.ndarray:
        """y: the totals, then the distinct people, shape (L + 1,)."""
        return np.array([*self.totals, self.distinct], dtype=float)
