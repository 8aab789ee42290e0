"""Two lists: Lincoln-Petersen, Chapman, and the posterior with a prior on their dependence.

Two lists leave three counts for four unknowns, so that the table says nothing of how the lists
depend on each other. The odds ratio has a prior, which the posterior gives back unchanged, and
which makes most of the width of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.families.maths.integer_sums import (
    SLOW,
    Bracket,
    IntegerSums,
    bracket,
    fine_knots,
    posterior_width,
    support,
)
from hiddenpop.families.maths.two_lists import (
    Overlap,
    UnseenOdds,
    chapman,
    independent_log_mass,
    lincoln_petersen,
)
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.simulation.two_list import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.priors import lognormal_from_interval

if TYPE_CHECKING:
    pass

__all__ = ["Priors", "draw_truth", "posterior", "refusal", "simulate"]

START = 50
"""How many times the observed people the search for the posterior looks at first."""

FEW = 7
"""Below so many people on both lists Lincoln-Petersen is noticeably too high (Robson & Regier
1964, Trans. Am. Fish. Soc. 93:215)."""

NARROWEST = 1e-3
"""Least sd of the log odds ratio that is not taken for a fixed value."""


@dataclass(frozen=True)
class Priors:
    """Priors of two lists.

    Attributes
    ----------
    a, b
        Beta(a, b) prior of the share of each list that is also on the other; where the lists are
        independent these are their capture probabilities. Positive. 1, 1: uniform.
    size_prior
        Prior on N.
    odds_ratio
        Low, high, level: central interval of the log-normal prior of the odds ratio between the
        lists; low = high fixes it. Above 1, people on one list are more often on the other, and
        independence finds too few. A third to three at 95 %: among drug users, people in
        treatment were 7.2 times less often arrested in Liverpool in 1991 (Squires et al.), and
        more often in Brighton in 2000, so that not even the sign is known beforehand.
    independent
        Whether the odds ratio is 1 for certain, instead.
    """

    a: float = 1.0
    b: float = 1.0
    size_prior: SizePrior = field(default_factory=SizePrior)
    odds_ratio: tuple[float, float, float] = (1 / 3, 3.0, 0.95)
    independent: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.a < np.inf and 0 < self.b < np.inf):
            raise ValueError(f"a is {self.a:g} and b is {self.b:g}; both must be positive numbers")
        low, high, level = self.odds_ratio
        if not (0 < low <= high < np.inf and 0 < level < 1):
            raise ValueError(
                f"odds_ratio is {low:g}, {high:g}, {level:g}; it must be low, high, level with "
                "0 < low <= high and a level between 0 and 1"
            )

    @property
    def log_odds_ratio(self) -> tuple[float, float]:
        """Mean and sd of the logarithm of the odds ratio; sd 0 where it is fixed."""
        if self.independent:
            return 0.0, 0.0
        mean, sigma = lognormal_from_interval(*self.odds_ratio)
        return mean, sigma if sigma > NARROWEST else 0.0


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why two lists cannot be used; None where they can."""
    if len(data.lists) != 2:
        return Refusal("two-list-lists", {"lists": len(data.lists)})
    if isinstance(data, OverlapTable):
        if data.structural.any():
            return Refusal("two-list-structural", {"cells": int(data.structural.sum())})
        if not data.exact:
            return Refusal("two-list-ranges", {"cells": int(np.sum(data.low < data.high))})
    return _refused_counts(data, priors)


def _refused_counts(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    table = _overlap(data)
    if min(table) < 0:
        return Refusal("two-list-totals", {"distinct": data.observed})
    for name, total in zip(data.lists, (table.one, table.two), strict=True):
        if total + table.both == 0:
            return Refusal("two-list-empty", {"name": name})
    if priors.size_prior.most < table.observed:
        return Refusal(
            "two-list-prior", {"most": priors.size_prior.most, "observed": table.observed}
        )
    # The posterior falls as N to the power -(m + 2a + 1).
    if priors.size_prior.kind == "reciprocal" and table.both + 2 * priors.a < 1:
        return Refusal("two-list-no-overlap", {"a": priors.a})
    return None


def posterior(data: OverlapTable | Margins, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """Posterior of the unseen.

    Returns
    -------
    xarray.DataTree
        As `families.exact` describes. Root attributes: `tail`; `lincoln_petersen`, `chapman`,
        `chapman_se`; and, for comparison, `independent_median`, `independent_low` and
        `independent_high` (95 %), the posterior of N if the odds ratio were 1.
    """
    table = _overlap(data)
    mean, sigma = priors.log_odds_ratio
    alone = _independent(table, priors)
    found, sums = alone if mean == sigma == 0 else _dependent(table, priors, mean, sigma)
    unseen, mass = support(sums)
    ends = [table.observed + float(alone[1].quantile(q)[0]) for q in (0.5, 0.025, 0.975)]
    estimate, error = chapman(table)
    return exact_tree(
        table.observed,
        Discrete(unseen, mass / mass.sum()),
        seed=sampling.seed,
        assumption=_assumption(priors),
        notes=_notes(data, table, priors, ends, found.power),
        attrs={
            "tail": found.tail,
            "lincoln_petersen": lincoln_petersen(table),
            "chapman": estimate,
            "chapman_se": error,
            "independent_median": ends[0],
            "independent_low": ends[1],
            "independent_high": ends[2],
        },
    )


def _overlap(data: OverlapTable | Margins) -> Overlap:
    """The three counts; totals and distinct people say as much as the table of two lists."""
    if isinstance(data, Margins):
        (first, second), distinct = data.totals, data.distinct
        return Overlap(float(distinct - second), float(distinct - first),
                       float(first + second - distinct))  # fmt: skip
    cells = data.total().dense()[0]
    return Overlap(float(cells[1]), float(cells[2]), float(cells[3]))


def _independent(table: Overlap, priors: Priors) -> tuple[Bracket, IntegerSums]:
    def log_mass(unseen: np.ndarray) -> np.ndarray:
        prior = priors.size_prior.log_density(unseen + table.observed)
        return np.asarray(independent_log_mass(table, priors.a, priors.b, unseen) + prior)

    return _summed(log_mass, table, priors.size_prior, table.observed)


def _dependent(
    table: Overlap, priors: Priors, mean: float, sigma: float
) -> tuple[Bracket, IntegerSums]:
    odds = UnseenOdds.from_table(table, priors.a, priors.b, mean, sigma)

    def log_mass(unseen: np.ndarray) -> np.ndarray:
        people = unseen + table.observed
        # The odds come with the prior 1/N, which another one replaces.
        prior = priors.size_prior.log_density(people) + np.log(people)
        return np.asarray(odds.log_mass(unseen) + prior)

    information = 1 / (sigma**2 + 1 / table.observed)
    return _summed(log_mass, table, priors.size_prior, information)


def _summed(
    log_mass: Callable[[np.ndarray], np.ndarray],
    table: Overlap,
    prior: SizePrior,
    information: float,
) -> tuple[Bracket, IntegerSums]:
    """Where the posterior lies, and its masses."""
    width = posterior_width(table.observed, information, prior.log_density)
    last = np.floor(prior.most - table.observed)
    found = bracket(log_mass, width, START * max(table.observed, 10.0), last)
    knots = fine_knots(found, width)
    log_values = log_mass(knots)
    return found, IntegerSums(knots, np.exp(log_values - log_values.max())[None])


def _assumption(priors: Priors) -> str:
    if priors.independent:
        return (
            "Being on one list has nothing to do with being on the other, and everybody is as "
            "likely as anybody else to be on a list; the table cannot show whether this is so."
        )
    low, high, level = priors.odds_ratio
    if low == high:
        return f"The odds ratio between the lists is {low:.3g}; the table says nothing of it."
    return (
        f"The odds ratio between the lists lies between {low:.3g} and {high:.3g} with probability "
        f"{level:.0%}; the table says nothing of it, so that it is as uncertain afterwards."
    )


def _notes(
    data: OverlapTable | Margins,
    table: Overlap,
    priors: Priors,
    alone: list[float],
    power: float,
) -> list[str]:
    """What a reader of the number must know, in numbers that were computed."""
    notes = []
    if isinstance(data, OverlapTable) and data.factors:
        notes.append(
            f"The {len(data.strata)} strata were added up: people of different strata are taken "
            "to be alike."
        )
    estimate, error = chapman(table)
    if table.both == 0:
        notes.append(
            "Nobody was on both lists: Lincoln-Petersen gives no number, and how high N could be "
            "is settled by the priors."
        )
        text = f"Chapman's estimate is {estimate:,.0f} (standard error {error:,.0f})"
    else:
        text = (
            f"Lincoln-Petersen gives {lincoln_petersen(table):,.0f}, Chapman {estimate:,.0f} "
            f"(standard error {error:,.0f})"
        )
    notes.append(
        f"{text}; both take the lists to be independent. The posterior for independent lists is "
        f"{alone[0]:,.0f} ({alone[1]:,.0f} to {alone[2]:,.0f})."
    )
    if 0 < table.both < FEW:
        notes.append(f"Only {table.both:,.0f} people were on both lists; the priors weigh much.")
    if priors.independent:
        notes.append(
            "Independence was set, not found: with two lists no data can test it, and the "
            "interval leaves out the doubt about it."
        )
    elif table.both > 0 and priors.log_odds_ratio[1] > 0:
        low, high, _ = priors.odds_ratio
        product = table.one * table.two / table.both
        notes.append(
            f"With an odds ratio of {low:.3g} between the lists the table gives about "
            f"{table.observed + low * product:,.0f}, with {high:.3g} about "
            f"{table.observed + high * product:,.0f}."
        )
    if power < SLOW:
        notes.append(
            f"The posterior falls so slowly, about as N to the power -{power:.2f}, that its mean "
            "rests on numbers far beyond the interval: read the median and the interval."
        )
    return notes
