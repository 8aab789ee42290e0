"""What would have to be true: the dependence at which an estimate crosses a line."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from hiddenpop.families.sensitivity import tipping, tipping_odds_ratio
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["pair_tipping", "xi_tipping"]


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
