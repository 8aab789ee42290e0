"""Whether posteriors are what they say: ranks of truths, and how often intervals hold them.

Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788; Modrák et al. 2023, Bayesian
Analysis): draw a truth from the prior, data from the truth, and the posterior from the data. The
rank of the truth in its posterior is then uniform, for every quantity, the log likelihood among
them, which sees faults that no parameter shows. Data sets that a family refuses are left out;
ranks stay uniform, as refusing looks at the data alone.

A coverage study (ADEMP: Morris, White & Crowther 2019, Stat Med 38:2074) keeps the truth fixed
and may put it outside the model.

One rank serves N and log N: a rank is the same under every increasing function.
"""

from __future__ import annotations

from collections.abc import Sequence

import arviz as az
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hiddenpop.checks.calibration.rank_bands import LEVEL, ecdf_band, rank_p_value
from hiddenpop.checks.multiple import holm
from hiddenpop.families.exact import Discrete
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.words import listing

__all__ = [
    "KEYS",
    "LEVELS",
    "calibration_sentences",
    "calibration_table",
    "coverage_table",
    "draw_rank",
    "exact_ranks",
    "thinned",
]

KEYS = ("study", "regime")
"""What ranks are grouped by, beside the quantity."""

LEVELS = (0.5, 0.9, 0.95)
"""Of the intervals that the coverage study looks at."""

MOST_DRAWS = 400
"""Draws that a rank is taken among, at most."""

FEWEST = 20
"""Ranks below which no band is drawn."""


def draw_rank(truth: float, draws: ArrayLike, rng: np.random.Generator) -> float:
    """Rank of a truth among independent draws of its posterior, in [0, 1].

    Randomised inside its step and among ties, so that under calibration it is uniform exactly,
    whatever the number of draws.

    Raises
    ------
    ValueError
        If there are no draws.
    """
    values = np.asarray(draws, dtype=float).ravel()
    if not values.size:
        raise ValueError("a rank needs at least one draw")
    below, equal = np.sum(values < truth), np.sum(values == truth)
    return float((below + rng.random() * (equal + 1)) / (len(values) + 1))


def thinned(draws: np.ndarray, most: int = MOST_DRAWS) -> np.ndarray:
    """Draws of a scalar thinned until about independent.

    Parameters
    ----------
    draws
        Shape (chain, draw).

    Returns
    -------
    At most `most` and about as many as the bulk effective sample size, evenly spaced, chain after
    chain, shape (sample,).
    """
    chains, length = draws.shape
    worth = float(az.ess(draws, method="bulk")) if np.ptp(draws) > 0 else float(draws.size)
    wanted = int(np.clip(min(worth, most, draws.size) / chains, 1, length))
    places = np.floor((np.arange(wanted) + 0.5) * length / wanted).astype(int)
    return np.asarray(draws[:, places].ravel())


def exact_ranks(
    distribution: Discrete,
    observed: float,
    prior: SizePrior,
    truth: float,
    rng: np.random.Generator,
    *,
    likelihood: bool = True,
) -> dict[str, float]:
    """Probability integral transforms of N and of its log likelihood, in [0, 1].

    Both are randomised inside the mass of the number that the truth is or that stands for it, so
    that under calibration they are uniform although N is discrete. The likelihood of N is the
    posterior over the prior, both of which are known.

    Parameters
    ----------
    distribution
        Of the unseen.
    observed
        People certainly seen.
    prior
        On N, as the posterior has it.
    truth
        N, people.
    likelihood
        Whether `probability` is smooth in N. Where it is a histogram of weighted draws the
        posterior over the prior is noise.

    Returns
    -------
    dict
        `N` and, unless `likelihood` is False, `log_likelihood`.
    """
    mass = distribution.probability / distribution.probability.sum()
    borders = np.concatenate([
        [-np.inf], np.ceil((distribution.unseen[1:] + distribution.unseen[:-1]) / 2), [np.inf]
    ])  # fmt: skip
    place = int(np.searchsorted(borders, truth - observed, side="right")) - 1
    jitter = float(rng.random())
    found = {"N": float(mass[:place].sum() + jitter * mass[place])}
    if likelihood:
        width = np.diff(borders)
        ends = np.where(np.isinf(width), 1.0, width)
        N = np.maximum(distribution.unseen + observed, 1.0)
        with np.errstate(divide="ignore"):
            height = np.log(mass) - np.log(ends) - prior.log_density(N)
        # Likelihoods that are equal differ in their last digits.
        height = np.round(height, 9)
        lower, tied = height < height[place], height == height[place]
        found["log_likelihood"] = float(mass[lower].sum() + rng.random() * mass[tied].sum())
    return {name: float(np.clip(value, 0.0, 1.0)) for name, value in found.items()}


def calibration_table(ranks: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Hold ranks to uniformity: one row per study, regime and quantity.

    Parameters
    ----------
    ranks
        Columns `study`, `regime`, `quantity`, `rank` (in [0, 1]; nan is left out) and, if there
        were data sets that could not be fitted, `status`, which begins with "error" for these.

    Returns
    -------
    pandas.DataFrame
        Columns `study`, `regime`, `quantity`, `replicates`, `mean` (of the ranks; half under
        calibration), `outside` (greatest distance from the band, on the scale of ranks; 0
        inside it), `p_value`, `p_holm` (over the rows of the same study and regime), `errors`
        (data sets of the regime that should have been fitted and were not) and `passed` (p_holm
        above 1 - level, and no errors). Fewer than 20 ranks have nan, and do not pass.
    """
    names = [*KEYS, "quantity"]
    rows = []
    for key, group in ranks.dropna(subset="rank").groupby(names, sort=False):
        values = group["rank"].to_numpy(dtype=float)
        row = dict(zip(names, key, strict=True)) | {
            "replicates": len(values), "mean": values.mean(), "outside": np.nan,
            "p_value": np.nan,
        }  # fmt: skip
        if len(values) >= FEWEST:
            row |= {"outside": _outside(values, level), "p_value": rank_p_value(values)}
        rows.append(row)
    columns = [*names, "replicates", "mean", "outside", "p_value"]
    frame = pd.DataFrame(rows, columns=columns)
    adjusted = frame.groupby(list(KEYS), sort=False)["p_value"].transform(
        lambda p: holm(p.to_numpy())
    )
    errors = _errors(ranks, frame)
    return frame.assign(
        p_holm=adjusted, errors=errors, passed=(adjusted > 1 - level) & (errors == 0)
    )


def _errors(ranks: pd.DataFrame, frame: pd.DataFrame) -> np.ndarray:
    """Data sets in error of each row's study and regime."""
    if "status" not in ranks:
        return np.zeros(len(frame), dtype=int)
    wrong = ranks[ranks["status"].astype(str).str.startswith("error")]
    count = wrong.groupby(list(KEYS)).size().to_dict()
    keys = zip(frame["study"], frame["regime"], strict=True)
    return np.array([count.get(key, 0) for key in keys], dtype=int)


def _outside(values: np.ndarray, level: float) -> float:
    band = ecdf_band(len(values), level)
    height = np.searchsorted(np.sort(values), band["z"], side="right") / len(values)
    away = np.maximum(band["low"] - height, height - band["high"])
    return float(max(0.0, away.max()))


def calibration_sentences(table: pd.DataFrame, level: float = LEVEL) -> list[str]:
    """What a table of `calibration_table` says, in words."""
    judged = table[table["p_value"].notna()]
    if judged.empty:
        return [f"No quantity has the {FEWEST} ranks that a band needs."]
    failed = judged[~judged["passed"]]
    kept = int((judged["p_holm"] > 1 - level).sum())
    first = (
        f"{kept} of {len(judged)} quantities have ranks inside the simultaneous {level:.0%} band, "
        "after Holm's adjustment over the quantities of each regime."
    )
    found = [first]
    if len(failed):
        names = [f"{row.quantity} in {row.study}, {row.regime}" for row in failed.itertuples()]
        found.append(f"Not passed: {listing(names)}.")
    errors = int(table.groupby(list(KEYS))["errors"].first().sum())
    if errors:
        found.append(f"Data sets that should have been fitted and were not: {errors}.")
    short = len(table) - len(judged)
    if short:
        found.append(f"Not judged, with fewer than {FEWEST} ranks: {short}.")
    return found


def coverage_table(
    intervals: pd.DataFrame,
    by: Sequence[str] = ("scenario", "family"),
    levels: Sequence[float] = LEVELS,
) -> pd.DataFrame:
    """Score intervals against fixed truths: one row per scenario and family.

    Parameters
    ----------
    intervals
        One row per data set and family: the columns of `by`, `N` (true, people), `median`,
        and `low_50`, `high_50` and so on for each level in per cent; nan where the family
        refused the data set or its gates failed.

    Returns
    -------
    pandas.DataFrame
        The columns of `by`, `replicates` (that have an estimate), `left_out` (that have
        none); for each level `cover_50` and so on (share of data sets whose interval holds N),
        `below_50` (share whose interval lies wholly below N), `width_50` (mean of
        log(high / low)); `bias` (mean of log(median / N)) and `spread` (its sd over data sets).
        Each but `spread` has its Monte Carlo standard error in a column `mcse_` and its name
        (Morris, White & Crowther 2019, table 6; of shares from (hits + 1) / (replicates + 2),
        which is not 0 where all or none hit).
    """
    rows = []
    for key, group in intervals.groupby(list(by), sort=False):
        used = group[group["median"].notna()]
        row = dict(zip(by, key, strict=True))
        row |= {"replicates": len(used), "left_out": len(group) - len(used)}
        rows.append(row | _scores(used, levels))
    return pd.DataFrame(rows)


def _scores(used: pd.DataFrame, levels: Sequence[float]) -> dict[str, float]:
    truth = used["N"].to_numpy(dtype=float)
    off = np.log(used["median"].to_numpy(dtype=float) / truth)
    found = {**_mean("bias", off), "spread": float(off.std(ddof=1)) if len(off) > 1 else np.nan}
    for level in levels:
        name = f"{100 * level:.0f}"
        low = used[f"low_{name}"].to_numpy(dtype=float)
        high = used[f"high_{name}"].to_numpy(dtype=float)
        found |= _share(f"cover_{name}", (low <= truth) & (truth <= high))
        found |= _share(f"below_{name}", high < truth)
        found |= _mean(f"width_{name}", np.log(high / low))
    return found


def _mean(name: str, values: np.ndarray) -> dict[str, float]:
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return {name: float(values.mean()) if n else np.nan, f"mcse_{name}": error}


def _share(name: str, hit: np.ndarray) -> dict[str, float]:
    n = len(hit)
    if not n:
        return {name: np.nan, f"mcse_{name}": np.nan}
    p = (hit.sum() + 1) / (n + 2)
    return {name: float(hit.mean()), f"mcse_{name}": float(np.sqrt(p * (1 - p) / n))}
