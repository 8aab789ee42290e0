"""Simulated truths and data for the evidence synthesis, to hold the model against.

Written from the mathematics in `families.synthesis`, not from its code: areas are visited one
by one, the users of a parent are divided among its children by iterative proportional fitting
until nothing moves (Deming & Stephan 1940, Ann Math Stat 11:427), and rows of evidence are drawn
one by one. Slow and plain on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from hiddenpop.inputs.areas import MAX_SD
from hiddenpop.inputs.evidence import RESIDENTS, parse_rates
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import logit_normal_from_interval, z_score

if TYPE_CHECKING:  # `families.synthesis` re-exports `simulate`
    from hiddenpop.families.synthesis import Priors

__all__ = ["Truth", "divide_exactly", "draw_truth", "simulate"]

GUESS_DF = 4
SLACK = 1.0
"""Bounds are drawn up to this far, on the log scale, on the safe side of what they bound."""


@dataclass(frozen=True)
class Truth:
    """Everything the model treats as unknown, with known values.

    Attributes
    ----------
    data, priors
        What the values were drawn for.
    residents
        Residents of each area at the target ages, shape (area,).
    users
        Users in each disjoint group, shape (area, cell); not rounded to whole people.
    between_areas, between_compositions, overdispersion
        sigma, s and phi of the model.
    rates
        Values in the order of `data.rates.names`, shape (rate,); of shares among all members, not
        among those whom a survey finds.
    bias
        Reported / true of each source, in the order of `data.biases.names`, shape (source,).
    drift
        Standardised drift e of each area and period that rows of evidence come from.
    """

    data: SynthesisData
    priors: Priors
    residents: np.ndarray
    users: np.ndarray
    between_areas: float
    between_compositions: float
    overdispersion: float
    rates: np.ndarray
    bias: np.ndarray
    drift: dict[tuple[str, str], float]

    def size(self, area: str, group: str) -> float:
        """Users in one area and one disjoint group or union."""
        row = self.users[self.data.areas.index(area)]
        return float(sum(row[self.data.cells.index(cell)] for cell in self._cells(group)))

    def expected(self) -> np.ndarray:
        """What each row of evidence would show without its own error, shape (evidence,)."""
        rows = self.data.evidence.rows
        return np.array(
            [self._expected(row, power)
             for (_, row), power in zip(rows.iterrows(), self.data.evidence.exponents, strict=True)]
        )  # fmt: skip

    def _expected(self, row: pd.Series, power: np.ndarray) -> float:
        size = self.size(row["area"], row["group"])
        if row["of"] == RESIDENTS:
            size /= self.residents[self.data.areas.index(row["area"])]
        elif row["of"]:
            size /= self.size(row["area"], row["of"])
        size *= float(np.prod(self.rates**power))
        size *= self.bias[self.data.biases.names.index(row["source"])]
        # Both parts of a share among users grow alike, so it does not drift.
        if row["of"] in ("", RESIDENTS):
            years = abs(row["middle"] - self.data.target.middle)
            size *= np.exp(self.priors.drift * years * self.drift[row["area"], row["period"]])
        return float(size)

    def _cells(self, group: str) -> tuple[str, ...]:
        return self.data.unions.get(group, (group,))


def draw_truth(data: SynthesisData, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown of the model from its prior."""

    def half_normal(scale: float) -> float:
        return abs(float(rng.normal(0, scale))) if scale > 0 else 0.0

    sigma, s = half_normal(priors.between_areas), half_normal(priors.between_compositions)
    phi = priors.overdispersion * float(np.exp(rng.normal(0, 0.75)))
    residents = _draw_residents(data, rng)
    rates, biases, rows = data.rates, data.biases, data.evidence.rows
    pairs = dict.fromkeys(zip(rows["area"], rows["period"], strict=True))
    return Truth(
        data, priors, residents,
        _draw_users(data, priors, residents, sigma, s, rng),
        sigma, s, phi,
        np.concatenate([_draw_shares(data, rng), np.exp(rng.normal(rates.mu, rates.sigma))]),
        np.exp(rng.normal(biases.mu, biases.sigma)),
        {pair: float(rng.normal()) for pair in pairs},
    )  # fmt: skip


def _draw_shares(data: SynthesisData, rng: np.random.Generator) -> np.ndarray:
    """Beta shares of surveys, their odds over the odds ratio with which each survey selects."""
    shares = rng.beta(data.rates.alpha, data.rates.beta)
    for name, prior in data.rates.selection.items():
        at = data.rates.shares.index(name)
        odds = shares[at] / (1 - shares[at]) / np.exp(rng.normal(prior.mu, prior.sigma))
        shares[at] = odds / (1 + odds)
    return np.asarray(shares)


def _draw_residents(data: SynthesisData, rng: np.random.Generator) -> np.ndarray:
    """Log-normal where uncertain, cut at `MAX_SD`; remainders are what is left."""
    areas = data.areas
    residents = np.zeros(len(areas.names))
    for i, parent in enumerate(areas.parent):
        if areas.derived[i]:  # listed after its parent and all its siblings
            siblings = [j for j in range(i) if areas.parent[j] == parent]
            residents[i] = residents[parent] - residents[siblings].sum()
        else:
            error = np.clip(rng.normal(), -MAX_SD, MAX_SD) * areas.log_sd[i]
            residents[i] = areas.population[i] * np.exp(error)
    return residents


def _draw_users(
    data: SynthesisData,
    priors: Priors,
    residents: np.ndarray,
    sigma: float,
    s: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Users of every area, top areas first, then inside each parent, (area, cell)."""
    areas, groups = data.areas, len(data.cells)
    users = np.zeros((len(areas.names), groups))
    start = logit_normal_from_interval(*priors.prevalence)
    level = rng.normal(start.mu, start.sigma)
    mean = priors.composition * _centred(groups, rng)

    def inside(parent: int) -> None:
        children = [j for j, above in enumerate(areas.parent) if above == parent]
        if not children:
            return
        log_odds = np.zeros((len(children), groups))
        for row, child in enumerate(children):
            if not areas.derived[child]:
                log_odds[row] = sigma * rng.normal() + s * _centred(groups, rng)
        users[children] = divide_exactly(residents[children], users[parent], log_odds)
        for child in children:
            inside(child)

    tops = [i for i, above in enumerate(areas.parent) if above < 0]
    for top in tops:
        # A single top is its own mean.
        z, w = (rng.normal(), _centred(groups, rng)) if len(tops) > 1 else (0.0, np.zeros(groups))
        prevalence = special.expit(level + sigma * z)
        users[top] = residents[top] * prevalence * special.softmax(mean + s * w)
        inside(top)
    return users


def _centred(groups: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normals less their mean: how groups move apart from the total, (cell,)."""
    w = rng.normal(size=groups)
    return np.asarray(w - w.mean())


def divide_exactly(residents: np.ndarray, users: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Divide a parent's users among its children with given odds ratios, (child, cell).

    Parameters
    ----------
    residents
        Residents of each child, shape (child,); together the residents of the parent.
    users
        Users of the parent in each group, shape (cell,); together fewer than its residents.
    log_odds
        Log odds of each group against non-use, up to a constant for each group, (child, cell).

    Returns
    -------
    The one table with these margins and odds ratios, by iterative proportional fitting.

    Raises
    ------
    RuntimeError
        If 100,000 rounds do not bring rows and columns to a relative 1e-12.
    """
    table = np.column_stack([np.ones(len(residents)), np.exp(log_odds)])
    columns = np.append(residents.sum() - users.sum(), users)
    for _ in range(100_000):
        table *= (residents / table.sum(1))[:, None]
        table *= columns / table.sum(0)
        if np.allclose(table.sum(1), residents, rtol=1e-12, atol=0):
            return np.asarray(table[:, 1:])
    raise RuntimeError("iterative proportional fitting did not converge")


def simulate(truth: Truth, rng: np.random.Generator) -> SynthesisData:
    """Draw every row of evidence anew, as if `truth` were true.

    Parameters
    ----------
    truth
        Of `draw_truth`, or with values of one's own.

    Returns
    -------
    The same data with other `value`, `low` and `high` in `evidence.rows` (the table as given
    stays as it was). Intervals keep their width on the log scale, brackets theirs in people. A
    bound is a number that lies on the safe side of a noisy view of what it bounds. The
    model reads a bound as "it holds" and not as a number near the truth, so simulated bounds
    say more than it uses: leave them out where the calibration of posteriors is judged.
    """
    evidence = truth.data.evidence
    rows = evidence.rows.copy()
    drawn = [
        _DRAWS[row["kind"]](row, expected, truth, rng)
        for (_, row), expected in zip(rows.iterrows(), truth.expected(), strict=True)
    ]
    rows[["value", "low", "high"]] = np.array(drawn, dtype=float)
    return replace(truth.data, evidence=replace(evidence, rows=rows))


_Numbers = tuple[float, float, float]
"""Value, low, high; nan where a row has none."""


def _draw_error(
    row: pd.Series, expected: float, truth: Truth, rng: np.random.Generator
) -> _Numbers:
    """Two-piece normal error on the log scale, Student-t for guesses; the interval moves along."""
    del truth
    low, high, z = np.log(row["low"]), np.log(row["high"]), z_score(row["level"])
    centre = (low + high) / 2 if np.isnan(row["value"]) else np.log(row["value"])
    typical = (high - low) / (2 * z)
    extra = (row["design_effect"] - 1) * typical**2
    below = np.hypot(max((centre - low) / z, typical / 10), np.sqrt(extra))
    above = np.hypot(max((high - centre) / z, typical / 10), np.sqrt(extra))
    size = abs(rng.standard_t(GUESS_DF) if row["kind"] == "guess" else rng.normal())
    # Each half of a two-piece distribution weighs as much as it is wide.
    truth_is_below = rng.random() < below / (below + above)
    error = -size * below if truth_is_below else size * above
    shift = expected * np.exp(-error) / np.exp(centre)
    return row["value"] * shift, row["low"] * shift, row["high"] * shift


def _draw_count(
    row: pd.Series, expected: float, truth: Truth, rng: np.random.Generator
) -> _Numbers:
    """Poisson count with a gamma mean of relative sd phi, in clusters of the design effect."""
    mean = expected / row["design_effect"]
    phi = truth.overdispersion
    if phi > 0:
        mean = rng.gamma(1 / phi**2, mean * phi**2)
    return float(np.round(rng.poisson(mean) * row["design_effect"])), np.nan, np.nan


def _draw_benchmark(
    row: pd.Series, expected: float, truth: Truth, rng: np.random.Generator
) -> _Numbers:
    """Each member is counted or not; then the source gets the number wrong by its factor."""
    names, powers = truth.data.rates.names, parse_rates(row["rates"])
    chance = np.prod([truth.rates[names.index(name)] ** power for name, power in powers.items()])
    bias = truth.bias[truth.data.biases.names.index(row["source"])]
    members = round(expected / chance / bias)
    reported = float(np.round(rng.binomial(members, chance) * bias))
    if not np.isnan(row["value"]):
        return reported, np.nan, np.nan
    return np.nan, *_bracket(row, reported)


def _bracket(row: pd.Series, number: float) -> tuple[float, float]:
    """The bracket that a number falls into, of those into which the row's own cuts all numbers."""
    width = row["high"] - row["low"] + 1
    low = row["low"] + width * np.floor((number - row["low"] + 0.5) / width)
    return max(low, 0.0), low + width - 1


def _draw_proportion(
    row: pd.Series, expected: float, truth: Truth, rng: np.random.Generator
) -> _Numbers:
    """Binomial out of the effective sample size, scaled back to the people asked.

    A beta-binomial would have the same variance, but the model's statement is that a
    survey with design effect D tells as much as one of n / D people, so that is drawn.
    """
    del truth
    effective = max(round(row["n"] / row["design_effect"]), 1)
    x = rng.binomial(effective, min(expected, 1.0)) * row["n"] / effective
    if not np.isnan(row["value"]):
        return x, np.nan, np.nan
    low, high = _bracket(row, x)
    return np.nan, low, min(high, row["n"])


def _draw_bound(
    row: pd.Series, expected: float, truth: Truth, rng: np.random.Generator
) -> _Numbers:
    """A value that a noisy view of the expected value keeps to."""
    if np.isnan(row["low"]):
        sd = truth.priors.bound_softness
    else:
        sd = np.log(row["high"] / row["low"]) / (2 * z_score(row["level"]))
    slack = rng.uniform(0, SLACK) * (-1 if row["kind"] == "lower" else 1)
    value = expected * np.exp(rng.normal(0, sd) + slack)
    shift = value / row["value"]
    return value, row["low"] * shift, row["high"] * shift


_DRAWS: dict[
    str, Callable[[pd.Series, float, Truth, np.random.Generator], _Numbers]
] = {
    "estimate": _draw_error,
    "range": _draw_error,
    "guess": _draw_error,
    "count": _draw_count,
    "benchmark": _draw_benchmark,
    "proportion": _draw_proportion,
    "lower": _draw_bound,
    "upper": _draw_bound,
}  # fmt: skip
