"""Simulated truths and tables for the log-linear model, to hold the model against.

Written from the mathematics in `families.loglinear`, not from its code: histories are visited
one by one, the weight of each is a product of odds, and people are dealt out among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.inputs.overlap import Margins, OverlapTable

if TYPE_CHECKING:  # only their fields are needed
    from hiddenpop.families.loglinear import Priors

__all__ = ["Truth", "draw_truth", "simulate"]

SIZES = (1.3, 4.0)
"""N is drawn between these multiples of the people seen: its prior is improper."""
CHANCES = (0.05, 0.5)
"""The chance of being on a list is drawn between these: its prior is all but improper."""

LOG_SD = 0.75
"""Sd of the logarithm of sds that are learned."""

History = tuple[int, ...]


@dataclass(frozen=True)
class Truth:
    """Everything the model treats as unknown, with known values.

    Attributes
    ----------
    data
        The table or margins whose lists, strata, impossible and censored cells are kept.
    people
        N of each stratum, shape (stratum,).
    log_odds
        Of each list in each stratum, for people on no other list, shape (stratum, list).
    interaction
        By the positions of the lists that interact, natural logarithm.
    """

    data: OverlapTable | Margins
    people: np.ndarray
    log_odds: np.ndarray
    interaction: dict[tuple[int, ...], float]

    @property
    def N(self) -> int:
        """People in all strata together."""
        return int(self.people.sum())

    def chances(self, stratum: int) -> dict[History, float]:
        """Chance of each possible history of a person of this stratum, the unseen one included."""
        weight: dict[History, float] = {}
        barred = _impossible(self.data, stratum)
        for history in product((0, 1), repeat=self.log_odds.shape[1]):
            if history in barred:
                continue
            odds = 1.0
            for j, seen in enumerate(history):
                odds *= float(np.exp(self.log_odds[stratum, j])) if seen else 1.0
            for lists, value in self.interaction.items():
                odds *= float(np.exp(value)) if all(history[j] for j in lists) else 1.0
            weight[history] = odds
        everybody = sum(weight.values())
        return {history: odds / everybody for history, odds in weight.items()}


def _impossible(data: OverlapTable | Margins, stratum: int) -> set[History]:
    if isinstance(data, Margins):
        return set()
    rows = data.structural & (data.stratum == stratum)
    return {tuple(int(seen) for seen in row) for row in data.history[rows]}


def draw_truth(data: OverlapTable | Margins, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown: from its prior where that is proper, else from a range of use.

    Sizes of strata are as the table's own counts, times a random factor.
    """
    lists = len(data.lists)
    N = data.observed * np.exp(rng.uniform(*np.log(SIZES)))
    chance = np.exp(rng.uniform(*np.log(CHANCES), size=lists))
    base = np.log(chance) - np.log(1 - chance)
    if isinstance(data, Margins):
        return Truth(
            data, np.array([round(N)]), base[None, :], _draw_odds_ratios(lists, priors, rng)
        )
    share = (data.observed_by_stratum + 1) * np.exp(rng.normal(0, 0.3, size=len(data.strata)))
    log_odds = np.tile(base, (len(data.strata), 1))
    for f in range(len(data.factors)):
        tau = priors.between * np.exp(rng.normal(0, LOG_SD))
        levels = list(dict.fromkeys(names[f] for names in data.strata))
        apart = {level: rng.normal(0, tau, size=lists) for level in levels}
        if len(levels) > 1:
            log_odds += np.array([apart[names[f]] for names in data.strata])
    return Truth(
        data, np.maximum(np.round(N * share / share.sum()), 1).astype(int), log_odds,
        _draw_interactions(lists, priors, rng),
    )  # fmt: skip


def _draw_interactions(
    lists: int, priors: Priors, rng: np.random.Generator
) -> dict[tuple[int, ...], float]:
    found: dict[tuple[int, ...], float] = {}
    for size in range(2, (priors.order or 2) + 1):
        smaller = 0.5 ** (size - 2)
        if priors.interaction_sd is None:
            sd = priors.interaction_scale * smaller * np.exp(rng.normal(0, LOG_SD))
        else:
            sd = priors.interaction_sd * smaller
        for chosen in combinations(range(lists), size):
            found[chosen] = float(rng.normal(0, sd))
    return found


def _draw_odds_ratios(
    lists: int, priors: Priors, rng: np.random.Generator
) -> dict[tuple[int, ...], float]:
    """Log odds ratios of pairs: a common normal and one of each pair's own."""
    from scipy import stats

    low, high, level = priors.odds_ratio
    middle = (np.log(low) + np.log(high)) / 2
    sd = (np.log(high) - np.log(low)) / 2 / stats.norm.ppf((1 + level) / 2)
    common = rng.normal(0, sd * np.sqrt(priors.odds_ratio_shared))
    own = sd * np.sqrt(1 - priors.odds_ratio_shared)
    if priors.order == 1:
        return {}
    return {pair: float(middle + common + rng.normal(0, own))
            for pair in combinations(range(lists), 2)}  # fmt: skip


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable | Margins:
    """Deal the people of each stratum out among the histories, and forget the unseen.

    Returns
    -------
    Data of the same type, lists and strata. Cells that were brackets stay brackets of their
    width: the one that the new count falls into when all numbers from 0 are cut into brackets
    of this width. Unknown cells stay unknown, impossible ones impossible.
    """
    counts: dict[tuple[int, History], int] = {}
    for stratum, people in enumerate(truth.people):
        chances = truth.chances(stratum)
        drawn = rng.multinomial(people, list(chances.values()))
        for history, number in zip(chances, drawn, strict=True):
            counts[stratum, history] = int(number)
    if isinstance(truth.data, Margins):
        return _margins(truth.data, counts)
    return _table(truth.data, counts)


def _margins(data: Margins, counts: dict[tuple[int, History], int]) -> Margins:
    seen = {history: number for (_, history), number in counts.items() if any(history)}
    totals = [sum(number for history, number in seen.items() if history[j])
              for j in range(len(data.lists))]  # fmt: skip
    return replace(data, totals=tuple(totals), distinct=sum(seen.values()))


def _table(data: OverlapTable, counts: dict[tuple[int, History], int]) -> OverlapTable:
    """Every possible cell of the new table, in place of the old one's."""
    old = {
        (int(stratum), tuple(int(seen) for seen in history)): (low, high, bool(never))
        for stratum, history, low, high, never in zip(
            data.stratum, data.history, data.low, data.high, data.structural, strict=True
        )
    }
    rows = []
    for stratum in range(len(data.strata)):
        for history in product((0, 1), repeat=len(data.lists)):
            if any(history):
                low, high, never = old.get((stratum, history), (0.0, 0.0, False))
                number = counts.get((stratum, history), 0)
                ends = (0.0, 0.0) if never else _bracket(low, high, number)
                rows.append((stratum, history, *ends, never))
    stratum_of, history_of, low_of, high_of, never_of = zip(*rows, strict=True)
    return replace(
        data, stratum=np.array(stratum_of), history=np.array(history_of, dtype=bool),
        low=np.array(low_of), high=np.array(high_of), structural=np.array(never_of),
    ).sorted()  # fmt: skip


def _bracket(low: float, high: float, number: int) -> tuple[float, float]:
    """The new ends of a cell that had these."""
    if low == high:
        return float(number), float(number)
    if np.isinf(high):
        # Unknown stays unknown; "at least low" divides all numbers into two brackets.
        return (low, np.inf) if number >= low else (0.0, low - 1)
    width = high - low + 1
    start = float(width * np.floor(number / width))
    return start, start + width - 1
