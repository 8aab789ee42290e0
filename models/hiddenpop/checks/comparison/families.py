"""All families side by side: what they say of N, and how well they predict who was seen."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.checks.comparison.cell_draws import cell_words, known_cells, predicts_cells
from hiddenpop.checks.comparison.leave_one_out import elpd_of
from hiddenpop.checks.comparison.left_out_people import ALL, scored
from hiddenpop.combine import best_mixture
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.words import capital, factor, listing, people, percent

__all__ = ["COLUMNS", "families_table", "family_words"]

COLUMNS = (
    "family", "median", "low", "high", "ratio", "is_set", "predicts_cells", "elpd", "elpd_error",
    "behind", "behind_error", "weight", "passed",
)  # fmt: skip

CLEAR = 2.0
"""Standard errors by which a family must be behind to be told apart from the best."""

LITTLE = 4.0
"""Differences smaller than this are too small for their standard errors to be relied upon
(Sivula, Magnusson, Matamoros & Vehtari 2025, arXiv:2008.10296)."""


MOST_PAIRS = 3
"""Pairs whose intervals do not meet that are named."""

BEYOND_CHANCE = "what they assume matters more than chance, and no larger table would settle it."

LIGHT = 0.01
"""Weights below this are not told."""

NEAR = 1.2
"""Ratios below this are told as a percentage."""


def families_table(
    fits: FamilyFits, left: pd.DataFrame | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Compare the families of a table.

    Parameters
    ----------
    left
        Of `left_out_people.leave_people_out`; None where no family expects cells.
    level
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row for each family, and their average where there is one:

        - `median`, `low`, `high` of N, people; `ratio`, median over the headline's; `is_set`,
          whether these are a best value and the ends of a set, without probability;
        - `predicts_cells`, whether it says how many people each combination of lists should have;
        - `elpd`, log probability of the histories of all people, each left out in turn, and
          `elpd_error`, its standard error sqrt(n var(elpd_i)) over the n people (Vehtari, Gelman
          & Gabry 2017, equation 23); `behind`, by how much the best is higher, with the
          standard error of the difference from the same n pairs (equation 24);
        - `weight`, of the mixture of families that predicts best (Yao, Vehtari, Simpson & Gelman
          2018, Bayesian Analysis 13:917, equation 4); nan for those that are not scored, and
          where only one is;
        - `passed`, whether the fit passed its gates.
    """
    middle = fits.headline.N(level).median
    rows: list[dict[str, Any]] = []
    for name, estimate in fits.estimates.items():
        size = estimate.N(level)
        rows.append({
            "family": name, "median": size.median, "low": size.low, "high": size.high,
            "ratio": size.median / middle, "is_set": estimate.is_set,
            "predicts_cells": predicts_cells(estimate), "passed": estimate.verdict.passed,
        })  # fmt: skip
    found = pd.DataFrame(rows).reindex(columns=list(COLUMNS)).set_index("family")
    if left is not None and len(left) and isinstance(fits.data, OverlapTable):
        for name, scores in _scores(fits.data, left).items():
            found.loc[name, list(scores)] = list(scores.values())
    return found.reset_index()


def _scores(table: OverlapTable, left: pd.DataFrame) -> dict[str, dict[str, float]]:
    """`elpd` and what follows from it, by family."""
    families = scored(left)
    if not families:
        return {}
    known = known_cells(table)
    counted = np.flatnonzero(known[table.stratum, table.code] & (table.low > 0))
    number = table.low[counted]
    strata = [table.stratum_names[table.stratum[i]] for i in counted]
    cells = [cell_words(table.lists, table.labels[i]) for i in counted]
    at = left.assign(log=elpd_of(left)).set_index(["family", "stratum", "cell"])["log"].to_dict()
    log_density = np.array([
        [at[name, s, cell] if (name, s, cell) in at else at[name, ALL, cell]
         for s, cell in zip(strata, cells, strict=True)] for name in families
    ])  # fmt: skip
    total = log_density @ number
    behind = log_density[int(total.argmax())] - log_density
    weights = np.full(len(families), np.nan)
    if len(families) > 1:
        weights = best_mixture(np.exp(log_density), number)
    return {
        name: {
            "elpd": float(total[i]), "elpd_error": _error(log_density[i], number),
            "behind": float(behind[i] @ number), "behind_error": _error(behind[i], number),
            "weight": float(weights[i]),
        } for i, name in enumerate(families)
    }  # fmt: skip


def _error(each: np.ndarray, number: np.ndarray) -> float:
    """Standard error of a sum over people, `number` of whom have the same value."""
    n = number.sum()
    mean = each @ number / n
    variance = (each - mean) ** 2 @ number / max(n - 1, 1)
    return float(np.sqrt(n * variance))


def family_words(frame: pd.DataFrame) -> list[str]:
    """How far families are apart, and what the table can say of it, in words."""
    own = frame[(frame["family"] != COMBINED) & ~frame["is_set"].astype(bool)]
    said = _spread(own) if len(own) > 1 else []
    said += [
        f"{capital(str(row['family']))} allows {people(row['low'])} to {people(row['high'])}, "
        "without saying what is likely inside."
        for row in frame[frame["is_set"].astype(bool)].to_dict("records")
    ]
    scores = own[own["elpd"].notna()]
    without = own[own["predicts_cells"].astype(bool) & own["elpd"].isna()]
    if len(scores) and len(without):
        said.append(
            f"{capital(listing([str(x) for x in without['family']]))} cannot be scored: one person "
            "fewer, or cells that are known in some strata only, leave it without a prediction."
        )
    if len(scores) > 1:
        said += _predictions(scores)
        every = frame[frame["family"] != COMBINED]
        none = every[~every["predicts_cells"].astype(bool)]
        if len(none):
            who = capital(listing([str(x) for x in none["family"]]))
            said.append(
                f"{who} {'do' if len(none) > 1 else 'does'} not say how many people each "
                "combination of lists should have, and cannot be scored."
            )
    return said


def _spread(own: pd.DataFrame) -> list[str]:
    """Largest over smallest median, and intervals that do not meet."""
    order = own.sort_values("median")
    least, most = order.iloc[0], order.iloc[-1]
    times = float(most["median"] / least["median"])
    by = f"{factor(times)} times the smallest"
    if times < NEAR:
        by = f"{percent(times - 1)} above the smallest" if times > 1 else "the smallest, too"
    text = (
        f"Medians run from {people(least['median'])} ({least['family']}) to "
        f"{people(most['median'])} ({most['family']}): the largest is {by}."
    )
    said = [text]
    rows = order.to_dict("records")
    apart = [f"{a['family']} and {b['family']}" for a, b in combinations(rows, 2)
             if a["high"] < b["low"] or b["high"] < a["low"]]  # fmt: skip
    if len(apart) > MOST_PAIRS:
        said.append(f"Intervals do not meet in {len(apart)} pairs of them: {BEYOND_CHANCE}")
    elif apart:
        said.append(f"The intervals of {'; of '.join(apart)} do not meet: {BEYOND_CHANCE}")
    else:
        said.append("All their intervals overlap.")
    return said


def _predictions(scores: pd.DataFrame) -> list[str]:
    """Which families predict people left out best, and what that is worth."""
    best = scores.iloc[int(scores["elpd"].to_numpy().argmax())]
    first = f"{capital(str(best['family']))} predicts best on which lists people left out were"
    others = scores[scores["family"] != best["family"]]
    told = others[(others["behind"] > CLEAR * others["behind_error"]) & (others["behind"] > LITTLE)]
    if told.empty:
        said = [
            (
                f"{first}, but no other is clearly behind: the table does not choose between these "
                "families, and little would swing their weights."
            )
        ]
    else:
        rows = [f"{row['family']} by {row['behind']:.1f} (standard error {row['behind_error']:.1f})"
                for row in told.to_dict("records")]  # fmt: skip
        heavy = scores[scores["weight"] >= LIGHT].sort_values("weight", ascending=False)
        shares = [f"{row['family']} {percent(row['weight'])}" for row in heavy.to_dict("records")]
        said = [
            f"{first}; clearly behind: {listing(rows)}, in units of log probability.",
            f"The mixture of them that predicts best has {listing(shares)}.",
        ]
    said.append(
        "This is about people who were seen. Families that predict those alike may differ by any "
        "factor about the people on no list."
    )
    return said
