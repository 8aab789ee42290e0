"""Rows of counted people with their unknowns, laid out for the joint likelihood.

Each row has a coordinate for its share and one for each of its biases; each pair of rows has one
for its odds ratio. The share's coordinate is its distance on the logit scale from what the
corrected count makes of N: the count, the share and the biases hold each other within a few per
cent, and this makes that ridge straight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from hiddenpop.families.maths.quantile_fit import fit_quantiles
from hiddenpop.inputs.multipliers import Benchmark, Overlap, Rate
from hiddenpop.priors import beta_from_interval, lognormal_from_interval

__all__ = ["Layout", "Pair", "Part", "Row", "layout", "share_beta"]

NARROWEST = 1e-4
"""Spread on the log or logit scale below which a prior is a fixed value."""


@dataclass(frozen=True)
class Part:
    """An unknown with a prior: normal on its own scale, or a Beta on the logit scale.

    Attributes
    ----------
    column
        Its coordinate; -1 for a fixed value.
    one, two
        Mean and sd of the normal, or alpha and beta.
    start
        Its centre on the unbounded scale, or the fixed value.
    """

    column: int
    one: float
    two: float
    start: float
    beta: bool = False

    def value(self, z: np.ndarray) -> np.ndarray:
        """The unknown on its unbounded scale at points (..., coordinate)."""
        return z[..., self.column] if self.column >= 0 else np.full(z.shape[:-1], self.start)

    def log_prior(self, z: np.ndarray) -> np.ndarray | float:
        """Log density on the unbounded scale, up to a constant."""
        if self.column < 0:
            return 0.0
        x = z[..., self.column]
        if self.beta:
            log_share, log_rest = -np.logaddexp(0, -x), -np.logaddexp(0, x)
            return np.asarray(self.one * log_share + self.two * log_rest)
        return np.asarray(-0.5 * ((x - self.one) / self.two) ** 2)


@dataclass(frozen=True)
class Row:
    """A count of people and what is known of its share.

    Attributes
    ----------
    column
        Coordinate of the share.
    count
        People reported.
    alpha, beta
        Beta distribution of the share among those the survey reached.
    found, asked
        Respondents with the event and all, divided by the design effect; nan where the share was
        not a survey's count.
    selection, error, undercount, overcount
        Log odds ratio, log factor, logit shares; None where there is none.
    """

    column: int
    count: float
    alpha: float
    beta: float
    found: float
    asked: float
    survey: str
    selection: Part | None
    error: Part | None
    undercount: Part | None
    overcount: Part | None


@dataclass(frozen=True)
class Pair:
    """Two rows, the log odds ratio of their events, and what is known of people in both.

    Attributes
    ----------
    respondents, people
        With both events: respondents divided by the design effect, and people who were linked.
    """

    first: int
    second: int
    odds_ratio: Part
    respondents: float | None
    people: float | None


@dataclass(frozen=True)
class Layout:
    """All rows, all pairs, and how many coordinates they have."""

    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    size: int


def layout(
    rows: Sequence[Benchmark],
    counts: Sequence[float],
    overlaps: Sequence[Overlap],
    odds_ratio: tuple[float, float, float],
    share_prior: tuple[float, float],
) -> Layout:
    """Give every unknown its coordinate; `counts` are taken for the rows' values."""
    column = iter(range(10**6))
    laid = []
    for row, count in zip(rows, counts, strict=True):
        rate = row.rate or Rate()
        of_survey = rate.x is not None and rate.n is not None
        alpha, beta = share_beta(rate, *share_prior)
        share = next(column)
        # Nobody reported is nobody truly counted, whatever the factor.
        biased = count > 0
        laid.append(
            Row(
                share, float(count), alpha, beta,
                (rate.x or 0.0) / rate.design_effect if of_survey else np.nan,
                (rate.n or 0.0) / rate.design_effect if of_survey else np.nan,
                row.survey,
                _lognormal(row.selection, column) if row.selection else None,
                _lognormal(row.error, column) if biased and row.error else None,
                _share(row.undercount, column) if biased and row.undercount else None,
                _share(row.overcount, column) if biased and row.overcount else None,
            )
        )  # fmt: skip
    pairs = tuple(
        _pair(rows, first, second, overlaps, odds_ratio, column)
        for first, second in combinations(range(len(rows)), 2)
    )
    return Layout(tuple(laid), pairs, next(column))


def share_beta(rate: Rate, a: float, b: float) -> tuple[float, float]:
    """Parameters of the Beta distribution of a share.

    A survey's counts, divided by its design effect (Kish 1965), add to the prior Beta(a, b);
    two quantiles are met, of more the squared distances on the logit scale are least.
    """
    if rate.x is not None and rate.n is not None:
        return a + rate.x / rate.design_effect, b + (rate.n - rate.x) / rate.design_effect
    return _fitted(rate.quantiles)


@lru_cache(maxsize=1024)
def _fitted(quantiles: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    alpha, beta = fit_quantiles("beta", quantiles)[0].parameters
    return float(alpha), float(beta)


@lru_cache(maxsize=1024)
def _beta(low: float, high: float, level: float) -> tuple[float, float]:
    return tuple(beta_from_interval(low, high, level))  # type: ignore[return-value]


def _lognormal(stated: Sequence[float], column: Iterator[int]) -> Part:
    """A log factor or log odds ratio."""
    low, high, level = stated
    mean, sigma = lognormal_from_interval(low, high, level)
    fixed = sigma < NARROWEST
    return Part(-1 if fixed else next(column), mean, sigma, mean)


def _share(stated: Sequence[float], column: Iterator[int]) -> Part:
    """A logit share with a Beta distribution."""
    low, high, level = stated
    with np.errstate(divide="ignore"):
        ends = np.log([low, high]) - np.log1p([-low, -high])
    if high <= 0 or ends[1] - ends[0] < NARROWEST:
        return Part(-1, 0.0, 0.0, float(ends.mean()))
    alpha, beta = _beta(low, high, level)
    centre = float(np.log(alpha / beta))
    return Part(next(column), alpha, beta, centre, beta=True)


def _pair(
    rows: Sequence[Benchmark], first: int, second: int, overlaps: Sequence[Overlap],
    odds_ratio: tuple[float, float, float], column: Iterator[int],
) -> Pair:  # fmt: skip
    ids = {rows[first].id, rows[second].id}
    known = next((pair for pair in overlaps if {pair.first, pair.second} == ids), None)
    stated = known.odds_ratio if known and known.odds_ratio else odds_ratio
    both = known.respondents if known else None
    rate = rows[first].rate
    if both is not None and rate is not None:
        both /= rate.design_effect
    people = known.people if known else None
    return Pair(first, second, _lognormal(stated, column), both, people)
