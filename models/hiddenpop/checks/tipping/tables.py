"""What would have to be true: the dependence at which an estimate crosses a line."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.estimate import Estimate
from hiddenpop.families.sensitivity import odds_ratio_curve, tipping, tipping_odds_ratio, xi_curve
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inputs.multipliers import MultiplierTable, Rate
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.words import name_words

__all__ = ["benchmark_tipping", "pair_tipping", "tipping_curves", "xi_tipping"]

CURVES = ["panel", "line", "x", "median", "low", "high"]

ODDS_UNSEEN = "Odds of being on no list, times what the family assumes"
ODDS_RATIO = "Odds ratio of two lists, the other pairs being independent"
ERROR = "Number of the benchmark over the truth, the rest being exact"
AXES = {
    "bias": "Reported over true of “{}”",
    "share": "Share “{}”",
    "factor": "Factor “{}”",
}
"""What a panel shows, in words."""


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


def tipping_curves(
    fits: Estimate | FamilyFits, frame: pd.DataFrame, points: int = 41
) -> pd.DataFrame:
    """The answer along each assumption of a frame of tipping points, for a figure.

    Parameters
    ----------
    fits
        What the frame was made from.
    frame
        Rows of this module's functions and of `synthesis_tipping`, with `threshold`.
    points
        Of each curve that is computed; those of `synthesis_tipping` have the values that were
        fitted.

    Returns
    -------
    pandas.DataFrame
        Columns `panel` (what is on the axis, in words), `line` (of which family, pair or
        benchmark), `x`, `median`, and `low`, `high` (nan where a panel has several lines).
    """
    if isinstance(fits, Estimate):
        return _evidence_curves(frame)
    found = []
    if isinstance(fits.data, MultiplierTable):
        for row in _once(frame, "benchmark"):
            x = _around([row["error"]], points)
            found.append(_curve(ERROR, name_words(row["benchmark"]), x,
                                row["threshold"] * row["error"] / x))  # fmt: skip
    for row in _once(frame, "family"):
        x = _around(frame["median"].dropna().tolist(), points)
        exact = fits.estimates[row["family"]].unseen_distribution
        drawn = xi_curve(exact, fits.estimates[row["family"]].observed, x.tolist())
        found.append(_curve(ODDS_UNSEEN, name_words(row["family"]), x, drawn["median"]))
    if isinstance(fits.data, OverlapTable):
        for row in _once(frame, "lists"):
            x = _around(frame["odds_ratio"].dropna().tolist(), points)
            one, _, two = row["lists"].partition(" and ")
            drawn = odds_ratio_curve(fits.data.total(), (one, two), x.tolist())
            found.append(_curve(ODDS_RATIO, row["lists"], x, drawn["N"]))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=CURVES)


def _evidence_curves(frame: pd.DataFrame) -> pd.DataFrame:
    """Points that were fitted, one panel for each quantity."""
    rows = frame[frame["median"].notna()].drop_duplicates(["kind", "name", "value"])
    panels = [AXES[kind].format(name_words(name))
              for kind, name in zip(rows["kind"], rows["name"], strict=True)]  # fmt: skip
    return rows.assign(panel=panels, line="", x=rows["value"])[CURVES].reset_index(drop=True)


def _once(frame: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """The first row of each name in a column, none if there is no such column."""
    if column not in frame:
        return []
    rows = frame[frame[column].fillna("").astype(str) != ""].drop_duplicates(column)
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _around(crossings: list[float], points: int) -> np.ndarray:
    """Values around 1 that hold the crossings, even on the log scale; at most 30-fold."""
    known = [abs(np.log(x)) for x in crossings if np.isfinite(x) and x > 0]
    reach = min(max([np.log(2.0), *known]) * 1.15, np.log(30.0))
    return np.asarray(np.exp(np.linspace(-reach, reach, points)))


def _curve(panel: str, line: str, x: np.ndarray, median: Any) -> pd.DataFrame:  # noqa: ANN401
    made = {"panel": panel, "line": line, "x": x, "median": np.asarray(median, dtype=float)}
    return pd.DataFrame(made | {"low": np.nan, "high": np.nan})[CURVES]
