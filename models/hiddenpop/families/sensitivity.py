"""How N moves with the assumption that cannot be tested, and where it would cross a line.

Two knobs:

- xi, for any family with a posterior of the unseen: the odds p_0 / (1 - p_0) of being on no list
  are xi times what the family's own assumption makes them. For models without the highest-order
  interaction, xi is the odds by which that assumption fails (Aleshin-Guendel, Sadinle &
  Wakefield 2024, arXiv 2101.09304): p_0 = xi prod_{|x| odd} p_x / prod_{|x| even} p_x.
- the odds ratio of two named lists, with all other pairs independent or free: a log-linear model
  whose interaction of that pair is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtri

from hiddenpop.families.exact import Discrete
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["odds_ratio_curve", "tipping", "tipping_odds_ratio", "xi_curve"]

WIDEST = 12.0
"""Log odds ratios beyond this are not searched."""


def xi_curve(
    unseen: Discrete, observed: float, xis: Sequence[float], level: float = 0.95
) -> pd.DataFrame:
    """N along xi: columns xi, median, low, high.

    Given its probabilities the unseen are NegBin(n, 1 - p_0) or Poisson, with a mean in
    proportion to xi. Their number is scaled as a whole: its median and ends are xi times as
    large. That is exact for the uncertainty of the probabilities; the chance variation of the
    number itself is scaled by xi in place of about sqrt(xi), which matters only where the unseen
    are few. Medians, because a mean need not exist.

    Raises
    ------
    ValueError
        If a xi is negative.
    """
    factors = np.asarray(xis, dtype=float)
    if (factors < 0).any():
        raise ValueError("xi is a ratio of odds and cannot be negative")
    low, median, high = unseen.quantile(np.array([(1 - level) / 2, 0.5, (1 + level) / 2]))
    return pd.DataFrame({
        "xi": factors, "median": observed + factors * median,
        "low": observed + factors * low, "high": observed + factors * high,
    })  # fmt: skip


def tipping(
    unseen: Discrete, observed: float, threshold: float, level: float = 0.95
) -> dict[str, float]:
    """The xi at which N's median, and each end of its interval, is `threshold`.

    Returns
    -------
    dict
        `threshold`, `level`, and xi as `median`, `low`, `high`: with a xi above `low` the whole
        interval is above the threshold, with one below `high` the whole interval is below it.
        inf where a quantile of the unseen is 0.

    Raises
    ------
    ValueError
        If the threshold is not above the people seen, which N cannot be below.
    """
    _check(threshold, observed)
    ends = unseen.quantile(np.array([(1 - level) / 2, 0.5, (1 + level) / 2]))
    with np.errstate(divide="ignore"):
        low, median, high = (threshold - observed) / ends
    return {
        "threshold": threshold, "level": level,
        "median": float(median), "low": float(low), "high": float(high),
    }  # fmt: skip


def odds_ratio_curve(
    table: OverlapTable,
    pair: tuple[str, str],
    odds_ratios: Sequence[float],
    *,
    others: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """N by maximum likelihood along the odds ratio of two lists: odds_ratio, N, low, high.

    The odds ratio is that of a log-linear model, given all other lists; with `others` False it
    is also that in the whole population. Intervals are log-normal in the unseen, by the delta
    method, for one odds ratio at a time.

    Parameters
    ----------
    table
        Exact counts; strata are added up.
    others
        Whether all other pairs interact freely; if not they are independent.

    Raises
    ------
    ValueError
        If the counts are not exact, a list is unknown, or an odds ratio is not positive.
    ArithmeticError
        If the estimate does not exist (a list with nobody on it, or no overlaps).
    """
    values = np.asarray(odds_ratios, dtype=float)
    if not (values > 0).all():
        raise ValueError("an odds ratio must be above 0")
    counts, design, offset = _model(table, pair, others=others)
    factor = float(ndtri((1 + level) / 2))
    rows = []
    for value in values:
        intercept, error = _fit(counts, design, np.log(value) * offset)
        unseen, spread = np.exp(intercept), np.exp(factor * error)
        ends = counts.sum() + unseen * np.array([1.0, 1 / spread, spread])
        rows.append((value, *ends))
    return pd.DataFrame(rows, columns=["odds_ratio", "N", "low", "high"])


def tipping_odds_ratio(
    table: OverlapTable, pair: tuple[str, str], threshold: float, *, others: bool = False
) -> dict[str, float]:
    """The odds ratio of two lists at which N by maximum likelihood is `threshold`.

    Returns
    -------
    dict
        `threshold`, `N` at independence of the pair, and `odds_ratio`; nan where no odds ratio
        from exp(-12) to exp(12) gives that N.

    Raises
    ------
    ValueError, ArithmeticError
        As `odds_ratio_curve`, and if the threshold is not above the people seen.
    """
    counts, design, offset = _model(table, pair, others=others)
    _check(threshold, float(counts.sum()))
    goal = np.log(threshold - counts.sum())

    def distance(log_odds: float) -> float:
        return _fit(counts, design, log_odds * offset)[0] - float(goal)

    known = {"threshold": threshold, "N": float(counts.sum() + np.exp(distance(0.0) + goal))}
    if np.sign(distance(-WIDEST)) == np.sign(distance(WIDEST)):
        return known | {"odds_ratio": float("nan")}
    return known | {"odds_ratio": float(np.exp(brentq(distance, -WIDEST, WIDEST, xtol=1e-10)))}


def _check(threshold: float, observed: float) -> None:
    if not threshold > observed:
        raise ValueError(f"the threshold must be above the {observed:g} people seen")


def _model(
    table: OverlapTable, pair: tuple[str, str], *, others: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, design and the pair's column over the observed cells, in order of code."""
    table = table.total()
    if not table.exact:
        raise ValueError("the counts must be exact")
    if len(set(pair)) != 2 or not set(pair) <= set(table.lists):
        raise ValueError(f"{' and '.join(pair)} are not two lists of the table")
    size = len(table.lists)
    history = (np.arange(1, 2**size)[:, None] >> np.arange(size) & 1).astype(float)
    which = tuple(sorted(table.lists.index(name) for name in pair))
    columns = [np.ones(len(history)), *history.T]
    if others:
        columns += [history[:, i] * history[:, j]
                    for i, j in combinations(range(size), 2) if (i, j) != which]  # fmt: skip
    return table.dense()[0, 1:], np.array(columns).T, history[:, which[0]] * history[:, which[1]]


def _fit(counts: np.ndarray, design: np.ndarray, offset: np.ndarray) -> tuple[float, float]:
    """Intercept of a Poisson regression (the log of the unseen mean) and its standard error.

    Iteratively reweighted least squares from the counts.
    """
    log_mean = np.log(counts + 0.5)
    beta = np.zeros(design.shape[1])
    for _ in range(200):
        mean = np.exp(log_mean)
        working = log_mean - offset + (counts - mean) / mean
        information = (design.T * mean) @ design
        if np.linalg.cond(information) > 1e13:
            break
        new = np.linalg.solve(information, design.T @ (mean * working))
        change, beta = float(np.abs(new - beta).max()), new
        log_mean = np.clip(design @ beta + offset, -30, 30)
        if change < 1e-11:
            covariance = np.linalg.inv(information)
            return float(beta[0]), float(np.sqrt(covariance[0, 0]))
    raise ArithmeticError("the maximum-likelihood estimate does not exist")
