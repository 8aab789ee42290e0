"""What would have to be true: the dependence at which an estimate crosses a line."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from hiddenpop.families.sensitivity import tipping, tipping_odds_ratio
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inputs.multipliers import MultiplierTable, Rate
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["benchmark_tipping", "pair_tipping", "xi_tipping"]


def xi_tipping(found: FamilyFits, threshold: float) -> pd.DataFrame:
    """For each family the xi at which its N is the threshold.

    xi multiplies the odds of being on no list that the family's own assumption implies; 1 is the
    assumption itself (Aleshin-Guendel, Sadinle & Wakefield 2024).

    Returns
    -------
    pandas.DataFrame
        Columns `family`, `probability` (that N is above the threshold if xi is 1), `median`,
        `low`, `high` (the xi at which the median, and each end of the interval, is the
        threshold).

    Raises
    ------
    ValueError
        If the threshold is not above the people seen.
    """
    rows = []
    for name, estimate in found.estimates.items():
        if estimate.is_set:
            continue
        exact = estimate.unseen_distribution
        above = exact.unseen + estimate.observed > threshold
        crossing = tipping(exact, estimate.observed, threshold)
        rows.append(
            {"family": name, "probability": float(exact.probability[above].sum())}
            | {key: crossing[key] for key in ("median", "low", "high")}
        )
    return pd.DataFrame(rows)


def pair_tipping(table: OverlapTable, threshold: float) -> pd.DataFrame:
    """For each pair of lists the odds ratio at which N by maximum likelihood is the threshold.

    The other pairs are independent. Pairs for which no odds ratio does it have nan.

    Returns
    -------
    pandas.DataFrame
        Columns `lists`, `odds_ratio`, `N` (at independence). Empty where the table has cells
        that are not counts, or the estimate does not exist.
    """
    whole = table.total()
    if not whole.exact:
        return pd.DataFrame(columns=["lists", "odds_ratio", "N"])
    rows = []
    for pair in combinations(whole.lists, 2):
        try:
            crossing = tipping_odds_ratio(whole, pair, threshold)
        except ArithmeticError:
            continue
        rows.append({"lists": " and ".join(pair), "odds_ratio": crossing["odds_ratio"],
                     "N": crossing["N"]})  # fmt: skip
    return pd.DataFrame(rows, columns=["lists", "odds_ratio", "N"])


def benchmark_tipping(table: MultiplierTable, threshold: float) -> pd.DataFrame:
    """For each benchmark, what would make N the threshold if the rest were exact.

    Returns
    -------
    pandas.DataFrame
        Columns `benchmark`, `error` (reported / true that its number would have to have),
        `share` (that it would have to be of the target) and `odds_ratio` (by which the survey
        would have to over-recruit people in the benchmark); the last two are nan for what is
        no count of people, and where the count is above the threshold. Rows without a number
        or a share, and surveys of residents, are left out.
    """
    rows = []
    for row in table.rows:
        stated = 1.0 if row.rate is None else _central(row.rate)
        if row.kind == "survey" or stated is None or not row.value > 0:
            continue
        needed = row.value / threshold
        found = {"benchmark": row.id, "error": needed / stated}
        if row.kind == "people" and needed < 1:
            odds = stated / (1 - stated) / (needed / (1 - needed))
            found |= {"share": needed, "odds_ratio": odds}
        rows.append(found)
    return pd.DataFrame(rows, columns=["benchmark", "error", "share", "odds_ratio"])


def _central(rate: Rate) -> float | None:
    """The share as stated: x / n, or the quantile nearest to the middle."""
    if rate.x is not None and rate.n:
        return rate.x / rate.n or None
    if not rate.quantiles:
        return None
    below = [value for q, value in rate.quantiles if q <= 0.5]
    above = [value for q, value in rate.quantiles if q >= 0.5]
    return (below[-1] * above[0]) ** 0.5 if below and above else rate.quantiles[0][1]
