"""Benchmarks and the shares that turn them into population sizes, checked and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from hiddenpop.inputs import periods

__all__ = ["KINDS", "Benchmark", "Interval", "Kind", "MultiplierTable", "Overlap", "Rate"]

Kind = Literal["people", "events", "amount", "survey", "figure"]

KINDS: tuple[Kind, ...] = ("people", "events", "amount", "survey", "figure")


class Interval(NamedTuple):
    """A central interval at a level, such as (0.52, 0.60, 0.95)."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Rate:
    """What is known of a share (below 1) or of a rate per person (any positive number).

    Exactly one of survey counts and quantiles is given.

    Attributes
    ----------
    x, n
        Respondents with the event, and all respondents.
    design_effect
        Variance of the survey's share over that of a simple random sample of n, 1 or more.
    quantiles
        Pairs (probability, value), increasing in both; an interval at level L is the pair of
        the quantiles (1 - L)/2 and (1 + L)/2. A share stated without a probability is its
        median.
    stated_effect
        Whether somebody stated the design effect (or gave clusters), rather than it being the 1
        of a simple random sample.
    """

    x: float | None = None
    n: float | None = None
    design_effect: float = 1.0
    quantiles: tuple[tuple[float, float], ...] = ()
    stated_effect: bool = False


@dataclass(frozen=True)
class Benchmark:
    """One number that bears on the size of a population, and what links it to that size.

    Attributes
    ----------
    kind
        How N makes the number: `people`, members of the target with some event (in treatment,
        arrested), binomial out of N with the share `rate`; `events` that a person may cause
        more than once or that happen to few (deaths), Poisson with mean N x rate; `amount`,
        such as money spent, N x rate but for the error in `interval`; `survey`, respondents
        out of `sample` residents, binomial with the share N / residents x rate, where the rate
        is the share of the target that such a survey finds; `figure`, a size that somebody
        states or published, log-normal around N x rate.
    value
        The number; nan where it is not known (an area without a benchmark).
    least, most
        Where only a range of whole numbers is known (a suppressed count, a rounded
        percentage), its ends; both equal to `value` otherwise.
    interval
        Of an `amount` or a `figure`: its own error.
    sample, sample_effect
        Of a `survey`: residents who answered, and the design effect of their answers.
    rate
        Share or rate; None for a figure about the whole target, and for a survey that is taken
        to find everybody.
    selection
        Odds ratio by which the survey behind `rate` over-recruits people with the event:
        odds(share in the survey) = odds ratio x odds(share); None for 1.
    overcount
        Share of the counted who do not belong to the target, or are counted twice.
    undercount
        Share of those with the event who are missing from the count.
    error
        Factor reported / true, for figures of unknown making.
    survey
        Name of the survey behind `rate`: rows with the same name share respondents.
    parts
        Of the count and of the survey's x, how many were `referred` by another of the sources,
        and how many were `new` in the period: {"new": (count, x or None)}.
    source
        Where the numbers come from.
    """

    id: str
    kind: Kind
    value: float
    least: float
    most: float
    rate: Rate | None = None
    interval: Interval | None = None
    sample: float | None = None
    sample_effect: float = 1.0
    selection: Interval | None = None
    overcount: Interval | None = None
    undercount: Interval | None = None
    error: Interval | None = None
    survey: str = ""
    stratum: int = 0
    parts: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    source: str = ""

    @classmethod
    def counted(cls, id: str, people: float, rate: Rate, **more: object) -> Benchmark:  # noqa: A002
        """A count of people, not censored; `more` are further attributes. Nothing is checked."""
        return replace(cls(id, "people", people, people, people, rate), **more)  # type: ignore[arg-type]

    @property
    def certain(self) -> float:
        """People who belong to the target for certain: 0 where the count may be too high."""
        sure = self.kind == "people" and self.overcount is None and self.error is None
        return self.least if sure and np.isfinite(self.least) else 0.0


@dataclass(frozen=True)
class Overlap:
    """How two events of kind `people` in the same stratum go together.

    Attributes
    ----------
    first, second
        Ids of benchmarks.
    respondents
        Respondents of their common survey who had both events, or None.
    people
        People counted in both benchmarks, where they were linked, or None.
    odds_ratio
        Prior of the odds ratio between the events, or None for the family's.
    """

    first: str
    second: str
    respondents: float | None = None
    people: float | None = None
    odds_ratio: Interval | None = None


@dataclass(frozen=True, eq=False)
class MultiplierTable:
    """Benchmarks of one population, or of several areas and periods.

    Attributes
    ----------
    rows
        In the order of the file; ids are unique within a stratum.
    overlaps
        What is known of pairs of benchmarks.
    strata
        (area, period) of each stratum, `(("", ""),)` for one population; in the order of the
        file.
    population
        Residents at the target's ages by stratum, shape (stratum,), nan where not known.
    Rows of different strata with the same id are the same kind of benchmark, whose shares may be
    pooled.
    """

    rows: tuple[Benchmark, ...]
    overlaps: tuple[Overlap, ...] = ()
    strata: tuple[tuple[str, str], ...] = (("", ""),)
    population: np.ndarray = field(default_factory=lambda: np.array([np.nan]))

    @classmethod
    def of(
        cls, *rows: Benchmark, overlaps: tuple[Overlap, ...] = (), population: float = np.nan
    ) -> MultiplierTable:
        """One population's benchmarks. Nothing is checked."""
        return cls(tuple(rows), overlaps, population=np.array([float(population)]))

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Distinct ids, in order of appearance."""
        return tuple(dict.fromkeys(row.id for row in self.rows))

    @cached_property
    def observed_by_stratum(self) -> np.ndarray:
        """People who belong to the target for certain: the largest sure count, (stratum,)."""
        found = np.zeros(len(self.strata))
        for row in self.rows:
            found[row.stratum] = max(found[row.stratum], row.certain)
        return found

    @cached_property
    def current(self) -> np.ndarray:
        """Positions of the strata of the last period: their people together are the answer.

        People of different periods are never added up.
        """
        middles = [periods.middle(period) if period else 0.0 for _, period in self.strata]
        return np.flatnonzero(np.array(middles) == max(middles))

    @property
    def observed(self) -> float:
        """People who belong to the target in the last period for certain, all areas together."""
        return float(self.observed_by_stratum[self.current].sum())

    @property
    def residents(self) -> float | None:
        """Residents of all areas in the last period; None where one of them is not known."""
        known = self.population[self.current]
        return float(known.sum()) if np.isfinite(known).all() else None

    def stratum(self, index: int) -> MultiplierTable:
        """One area and period alone."""
        rows = tuple(replace(row, stratum=0) for row in self.rows if row.stratum == index)
        ids = {row.id for row in rows}
        pairs = tuple(pair for pair in self.overlaps if {pair.first, pair.second} <= ids)
        return MultiplierTable(rows, pairs, (self.strata[index],), self.population[[index]])

    def without(self, benchmark: str) -> MultiplierTable:
        """The same table without the rows of one id."""
        rows = tuple(row for row in self.rows if row.id != benchmark)
        pairs = tuple(p for p in self.overlaps if benchmark not in (p.first, p.second))
        return replace(self, rows=rows, overlaps=pairs)

    def only(self, benchmark: str) -> MultiplierTable:
        """The same table with the rows of one id alone."""
        rows = tuple(row for row in self.rows if row.id == benchmark)
        return replace(self, rows=rows, overlaps=())
