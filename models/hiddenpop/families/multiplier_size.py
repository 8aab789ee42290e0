"""The posterior of N from benchmarks: likelihoods of rows, multiplied and summed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths.benchmark_curve import Curve, Grid
from hiddenpop.families.maths.benchmark_figures import figures_likelihood
from hiddenpop.families.maths.benchmark_rows import row_likelihood
from hiddenpop.families.maths.benchmark_terms import RowLikelihood
from hiddenpop.families.maths.integer_sums import (
    Bracket,
    IntegerSums,
    Width,
    bracket,
    fine_knots,
    posterior_width,
    support,
)
from hiddenpop.families.maths.joint_events import fewest_people, joint_log_likelihood
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable, Rate

__all__ = ["Evidence", "SizePosterior", "informative"]

AHEAD = 8.0
"""How many times the largest guess the search for the posterior looks at first."""

EXACT = 1e-7
"""Cumulative probability that finer knots may still change."""

FINER = 3
"""How often knots are made finer."""

ROW_ERROR, FIGURE_ERROR = 1e-7, 1e-6
"""Tolerance of the logarithm of the likelihood of a row, and of figures with what they share."""

JOINT_ERROR, JOINT_BATCH = 1e-4, 48
"""Tolerance for counts of the same people, whose likelihood is right to about 1e-3; and how many
sizes are asked for at once, so that each is computed rather than interpolated."""


class Priors(Protocol):
    """What is needed of the family's priors."""

    @property
    def size_prior(self) -> SizePrior: ...
    @property
    def share_a(self) -> float: ...
    @property
    def share_b(self) -> float: ...
    @property
    def odds_ratio(self) -> tuple[float, float, float]: ...
    @property
    def overconfidence(self) -> tuple[float, float, float]: ...
    @property
    def between_experts(self) -> float: ...


class SizePosterior(NamedTuple):
    """Posterior of N - observed.

    Attributes
    ----------
    observed
        Least N that is possible.
    found
        Where the posterior lies.
    sums
        Its masses.
    error
        About the largest error of a cumulative probability from knots that are too far apart.
    """

    observed: float
    found: Bracket
    sums: IntegerSums
    error: float

    @property
    def unseen(self) -> Discrete:
        """The distribution on whole numbers."""
        values, mass = support(self.sums)
        return Discrete(values, mass / mass.sum())

    def quantile(self, q: float | np.ndarray) -> np.ndarray:
        """Quantiles of N."""
        return np.asarray(self.observed + self.sums.quantile(np.atleast_1d(q))[0])


def informative(table: MultiplierTable) -> list[Benchmark]:
    """Rows that have a number: the others say nothing of N."""
    return [row for row in table.rows if np.isfinite(row.value) and np.isfinite(row.least)]


class Evidence:
    """Benchmarks of one population; likelihoods are kept, so that any of them can be left out.

    Attributes
    ----------
    rows
        Those with a number, by id.
    limit
        Greatest N that is possible: of the prior, or the residents.
    """

    def __init__(self, table: MultiplierTable, priors: Priors) -> None:
        self.table, self.priors = table, priors
        # In one order, so that sums are the same to the last digit whatever the table's.
        self.rows = {row.id: row for row in sorted(informative(table), key=lambda row: row.id)}
        self.residents = float(table.population[0])
        known = self.residents if self.residents > 0 else np.inf
        self.limit = float(np.floor(min(priors.size_prior.most, known)))
        self._found: dict[tuple[str, ...], RowLikelihood] = {}

    def posterior(self, ids: Collection[str] | None = None) -> SizePosterior:
        """Posterior of N from the rows with these ids; from all by default."""
        parts = self.parts(self.rows if ids is None else ids)
        return _size_posterior(parts, self.priors.size_prior, self.limit)

    def parts(self, ids: Collection[str]) -> list[RowLikelihood]:
        """Independent likelihoods, whose product is that of these rows."""
        kinds = {name: row.kind for name, row in self.rows.items() if name in ids}
        people = tuple(name for name, kind in kinds.items() if kind == "people")
        figures = tuple(name for name, kind in kinds.items() if kind == "figure")
        single = [(name,) for name in kinds if name not in people + figures]
        return [self._part(group) for group in (people, figures, *single) if group]

    def _part(self, group: tuple[str, ...]) -> RowLikelihood:
        """The likelihood of rows that share unknowns, computed once."""
        if group not in self._found:
            self._found[group] = self._make([self.rows[name] for name in group])
        return self._found[group]

    def _make(self, rows: list[Benchmark]) -> RowLikelihood:
        priors = self.priors
        a, b = priors.share_a, priors.share_b
        if rows[0].kind == "figure":
            part = figures_likelihood(rows, priors.overconfidence, priors.between_experts, a, b)
        elif len(rows) > 1:
            return self._joint(rows)
        else:
            part = row_likelihood(rows[0], self.residents, a, b)
        if part.closed:
            return part
        tolerance = FIGURE_ERROR if rows[0].kind == "figure" else ROW_ERROR
        grid = Grid(part.first, self.limit, part.guess, part.spread, tolerance)
        return part._replace(log_likelihood=Curve(part.log_likelihood, grid))

    def _joint(self, rows: list[Benchmark]) -> RowLikelihood:
        """Counts of people who may be the same people."""
        priors = self.priors
        alone = [self._part((row.id,)) for row in rows]
        # Nobody asked is no survey: the share has its prior.
        rows = [row if row.rate else replace(row, rate=Rate(0.0, 0.0)) for row in rows]

        def log_likelihood(N: np.ndarray) -> np.ndarray:
            # Far from the counts it may lose itself; nothing is possible there.
            with np.errstate(all="ignore"):
                found = joint_log_likelihood(
                    N, rows, self.table.overlaps, priors.odds_ratio, priors.share_a, priors.share_b
                )
            return np.where(np.isnan(found), -np.inf, found)

        def separate(N: np.ndarray) -> np.ndarray:
            return np.asarray(sum(part.log_likelihood(N) for part in alone))

        weight = np.array([1 / part.spread**2 for part in alone])
        linked = fewest_people(rows, self.table.overlaps)
        first = max(linked, *(part.first for part in alone))
        guess = float(np.exp(weight @ np.log([part.guess for part in alone]) / weight.sum()))
        spread = float(1 / np.sqrt(weight.sum()))
        grid = Grid(first, self.limit, max(guess, first), spread, JOINT_ERROR, JOINT_BATCH)
        return RowLikelihood(
            Curve(log_likelihood, grid, separate), tuple(row.id for row in rows), first,
            max(guess, first), spread, any(part.counted for part in alone),
        )  # fmt: skip


def _size_posterior(
    parts: Sequence[RowLikelihood], prior: SizePrior, limit: float
) -> SizePosterior:
    """Prior times likelihoods, on whole numbers from the least that is possible."""
    observed = max(part.first for part in parts)

    def log_mass(unseen: np.ndarray) -> np.ndarray:
        people = unseen + observed
        total = prior.log_density(people)
        for part in parts:
            total = total + part.log_likelihood(people)
        return np.asarray(total)

    first = 0.0 if observed > 0 else 1.0
    start = AHEAD * max(*(part.guess for part in parts), observed, 10.0)
    width = _width(parts, prior, observed)
    # Masses that vanish do not spoil the sums, but their logarithms would.
    with np.errstate(divide="ignore", invalid="ignore"):
        found = bracket(log_mass, width, start, limit - observed, first)
        for finer in range(FINER + 1):
            closer = width
            if finer:
                closer = _closer(width, found.knots, log_mass(found.knots), 2.0**finer)
            knots = fine_knots(found, closer)
            values = log_mass(knots)
            sums = IntegerSums(knots, np.exp(values - np.max(values))[None])
            error = _error(sums, knots, np.exp(values - np.max(values)))
            if error < EXACT:
                break
    return SizePosterior(observed, found, sums, error)


def _closer(width: Width, knots: np.ndarray, log_values: np.ndarray, times: float) -> Width:
    """A smaller width, and smaller yet where the mass is steep: far out on rows that disagree."""
    if len(knots) < 2:
        return width
    steep = np.nan_to_num(np.abs(np.gradient(log_values, knots)), posinf=0.0)

    def closer(unseen: np.ndarray) -> np.ndarray:
        slope = np.interp(unseen, knots, steep)
        return np.asarray(np.minimum(width(unseen), 1 / np.maximum(slope, 1e-12)) / times)

    return closer


def _error(sums: IntegerSums, knots: np.ndarray, mass: np.ndarray) -> float:
    """Change of cumulative probabilities when every other knot is left out, a sixteenth of it.

    The error of a cubic spline falls with the fourth power of the distance.
    """
    wide = np.diff(knots, prepend=knots[0] - 1) > 1
    kept = ~wide | (np.arange(len(knots)) % 2 == 0)
    kept[[0, -1]] = True
    if kept.all():
        return 0.0
    coarse = IntegerSums(knots[kept], mass[kept][None])
    gap = coarse.below(knots[kept]) / coarse.total - sums.below(knots[kept]) / sums.total
    return float(np.abs(gap).max() / 16)


def _width(
    parts: Sequence[RowLikelihood], prior: SizePrior, observed: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Least sd that the posterior could have around a number of unseen."""
    counted = sum(1 / part.spread**2 for part in parts if part.counted)
    others = sum(1 / part.spread**2 for part in parts if not part.counted)
    # Next to no information stands for none: only the prior bends the width.
    base = posterior_width(observed, max(counted, 1e-9), prior.log_density)

    def width(unseen: np.ndarray) -> np.ndarray:
        people = np.maximum(unseen + observed, 1.0)
        return np.asarray(1 / np.sqrt(1 / base(unseen) ** 2 + others / people**2))

    return width
