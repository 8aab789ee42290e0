"""Scores of an estimate where the size of the population is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from hiddenpop.combine import combine
from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths.integer_sums import CUT
from hiddenpop.size import SizeEstimate

__all__ = [
    "LEVELS",
    "average_against",
    "estimate_against",
    "flag",
    "hidden_scores",
    "interval_score",
    "log_score",
]

LEVELS = (0.5, 0.9, 0.95)
"""Intervals that are scored. Hook & Regal 2000 reported 90 %."""

TOTAL = "all"
"""Name of all strata together among the strata."""

NEAREST = 50
"""Draws that a mass is estimated from, where a posterior is made of draws: right to 14 %."""


def estimate_against(estimate: SizeEstimate, size: float) -> list[dict[str, Any]]:
    """An estimate against the true size (people), one row for each of `LEVELS`.

    Keys are the columns of `hide_a_list` from `level` to `is_set`. A family that gives a set has
    one row, at its own level and without scores.
    """
    score = log_score(estimate, size)
    rows = []
    for level in (None,) if estimate.is_set else LEVELS:
        found = estimate.N() if level is None else estimate.N(level)
        rows.append({
            "level": found.level, "median": found.median, "low": found.low, "high": found.high,
            "covered": found.low <= size <= found.high, "ratio": found.median / size,
            "log_score": score,
            "interval_score": interval_score(found.low, found.high, size, level or np.nan),
            "passed": estimate.verdict.passed, "is_set": estimate.is_set,
        })  # fmt: skip
    return rows


def average_against(
    estimates: Mapping[str, SizeEstimate], size: float, seed: int
) -> list[dict[str, Any]]:
    """The equal average of families as `estimate_against`; empty where fewer than two can be."""
    usable = {k: e for k, e in estimates.items() if not e.is_set and e.verdict.passed}
    if len(usable) < 2:
        return []
    # The mass of an average is the mean of the masses.
    scores = [log_score(estimate, size) for estimate in usable.values()]
    score = float(logsumexp(scores) - np.log(len(scores)))
    rows = estimate_against(combine(usable, seed=seed), size)
    return [row | {"log_score": score} for row in rows]


def hidden_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """How each family did over all lists that it could predict.

    Parameters
    ----------
    frame
        Of `hide_a_list`; those of several tables may be put together.

    Returns
    -------
    pandas.DataFrame
        One row for each family and level, totals apart from strata (`of`): `lists`, how many;
        `refused`, how many more it could not do or failed its gates on; `covered`, how many
        intervals hold the truth, and `coverage`, their share; `mean_log_ratio` of median to
        truth, and `underestimate`, 1 - exp of it: positive where sizes are found too small;
        `mean_error`, the mean of ratio - 1; `mean_log_score` and `mean_interval_score`. Families
        that could not do the same lists are not compared on the same ones: see `refused`.
    """
    of = np.where(frame["stratum"] == TOTAL, "total", "stratum")
    frame = frame.assign(of=of, log_ratio=np.log(frame["ratio"]), error=frame["ratio"] - 1)
    usable = flag(frame, "passed")
    frame = frame.assign(covered=frame["covered"].astype("boolean"))
    found = frame[usable].groupby(["of", "family", "level"], sort=False).agg(
        lists=("ratio", "size"), covered=("covered", "sum"), coverage=("covered", "mean"),
        mean_log_ratio=("log_ratio", "mean"), mean_error=("error", "mean"),
        mean_log_score=("log_score", "mean"), mean_interval_score=("interval_score", "mean"),
    ).reset_index()  # fmt: skip
    # A family that failed its gates has a row for each level.
    one = frame["level"].isna() | (frame["level"] == LEVELS[-1])
    number = frame[~usable & one].groupby(["of", "family"]).size()
    keys = pd.MultiIndex.from_frame(found[["of", "family"]])
    found.insert(4, "refused", number.reindex(keys, fill_value=0).to_numpy())
    found.insert(8, "underestimate", -np.expm1(found["mean_log_ratio"]))
    return found.astype({"covered": int, "coverage": float})


def flag(frame: pd.DataFrame, column: str) -> pd.Series:
    """A column of true, false and missing as true or not, also of a frame read from a file."""
    return frame[column].astype("boolean").fillna(value=False).astype(bool)


def interval_score(low: float, high: float, size: float, level: float) -> float:
    """Interval score of a central interval of N, on the scale of log N; 0 is best.

    log(high / low), plus 2 / (1 - level) times the log distance by which the truth is missed
    (Gneiting & Raftery 2007, J Am Stat Assoc 102:359, eq. 43). On the log scale lists of
    different sizes count alike. nan if the level is.
    """
    missed = max(np.log(low / size), 0.0) + max(np.log(size / high), 0.0)
    return float(np.log(high / low) + 2 / (1 - level) * missed)


def log_score(estimate: SizeEstimate, size: float) -> float:
    """Log of the posterior probability that N is `size` people; nan for a set.

    A computed posterior lists the numbers of people one by one where it lies; where it puts
    neighbours together, their mass is spread over them. What it does not list at all has less
    than 1e-12 and is scored as 1e-12. A posterior made of draws is smoothed over the nearest 50
    of them (by effective number); a truth beyond all draws then scores better than it deserves.
    """
    if estimate.is_set:
        return float("nan")
    posterior, unseen = estimate.unseen_distribution, size - estimate.observed
    drawn = float(estimate.tree.attrs.get("importance_ess", np.inf))
    if estimate.distribution is None:
        drawn = float(estimate.draws().size)
    if np.isfinite(drawn):
        return _drawn(posterior, unseen, drawn)
    return float(np.log(max(_computed(posterior, unseen), CUT)))


def _computed(posterior: Discrete, unseen: float) -> float:
    """Mass at a number: as listed, or the slope of the cumulative mass around it."""
    people, mass = posterior
    place = int(np.searchsorted(people, unseen))
    gaps = np.diff(people[max(place - 2, 0) : place + 3])
    if gaps.size == 0 or gaps.max() <= 1:
        return float(mass[people == unseen].sum())
    reach = 2 * float(gaps.max())
    ends = np.array([max(unseen - reach, -0.5), unseen + reach])
    # A point stands for the numbers around it: half of its mass lies below.
    below = np.interp(ends, people, np.cumsum(mass) - mass / 2, left=0.0, right=1.0)
    return float((below[1] - below[0]) / (ends[1] - ends[0]))


def _drawn(posterior: Discrete, unseen: float, draws: float) -> float:
    """Log mass at a number, from the share of draws nearest to it."""
    far = np.abs(posterior.unseen - unseen)
    order = np.argsort(far, kind="stable")
    share = np.cumsum(posterior.probability[order])
    last = min(int(np.searchsorted(share, min(NEAREST / draws, 1.0))), len(order) - 1)
    reach = far[order[last]]
    inside = float(posterior.probability[far <= reach].sum())
    # Nothing can lie below 0 unseen.
    return float(np.log(inside / (reach + min(reach, unseen) + 1)))
