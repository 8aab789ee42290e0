r"""How wide an interval would be after data that have yet to come, by regression over draws.

With draws (log N_s, X_s) from today's posterior and the data that it predicts, the regression of
log N on X is the centre of the posterior that each X would give; what is left over is a draw of
log N around that centre:

    log N_s = m(X_s) + s(X_s) r_s,   E(log N | X) = m(X)

No model is fitted anew. m is least squares on cubic B-splines of the summaries, and products of
them (Strong, Oakley, Brennan & Breeze 2015, Med Decis Making 35:570, who use the same regression
for the value of sample information; for variances Heath, Manolopoulou & Baio 2017, Med Decis
Making 37:747). log s is a quadratic in the same summaries, as some outcomes leave more open than
others; the quantiles of r are taken among draws with about the same m, as its shape may change
too (where N has two peaks, the data may take one away). Residuals are those of each draw when it
is left out itself, so that a rich regression does not make intervals narrow by fitting noise.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from scipy.interpolate import BSpline
from scipy.special import ndtri
from scipy.stats import rankdata

__all__ = ["Asked", "Width", "width_after"]

KNOTS = 6
"""Inner knots of each summary's spline, at evenly spaced quantiles."""

BLOCKS = 20
"""Stretches of draws that are left out in turn for the Monte Carlo error."""

GROUP, MOST_GROUPS = 1000, 20
"""Draws at least whose residuals are taken together, and into how many groups at most."""

MIDDLE = (0.4, 0.6)
"""Quantiles of the centre between which an outcome is typical."""

TINY = 1e-12
"""A residual nearer 0 has no logarithm that says anything."""

SAME = 1e-8
"""Singular values below this part of the largest are directions that the summaries do not have."""

EXTREMES = (0.01, 0.99)
"""Quantiles between which log s is kept: beyond them the quadratic is not to be relied on."""


class Asked(NamedTuple):
    """Data that could be had, simulated for each draw of N.

    Attributes
    ----------
    what
        In words.
    about
        Names of what they bear on; may be empty.
    found
        Summaries of what they show, (sample, summary).
    """

    what: str
    about: str
    found: np.ndarray


class Width(NamedTuple):
    """The interval of N after the new data, against today's.

    Attributes
    ----------
    ratio
        Width on the log scale over today's, averaged over what the data may show.
    mcse
        Its Monte Carlo standard error.
    low, high
        Typical interval, people: where the data show what is most expected.
    now_low, now_high
        Today's.
    """

    ratio: float
    mcse: float
    low: float
    high: float
    now_low: float
    now_high: float


def width_after(size: np.ndarray, summaries: np.ndarray, level: float = 0.95) -> Width:
    """Width of the equal-tailed interval of log N after data X, over today's.

    Assumes that the model and today's posterior hold; that the summaries hold what X says of N;
    and that outcomes with the same centre leave the same open, up to a scale.

    Parameters
    ----------
    size
        Draws of N, people, shape (sample,), in the order of the chains.
    summaries
        Of the data simulated for each draw, (sample,) or (sample, summary). Only their order
        counts, so that any monotone transformation of one gives the same answer.
    level
        Of the intervals.

    Raises
    ------
    ValueError
        If the shapes do not match, or a number is not finite and N not positive.
    """
    log_size, X = np.log(size), np.asarray(summaries, dtype=float)
    X = X[:, None] if X.ndim == 1 else X
    if X.shape[:1] != log_size.shape:
        raise ValueError(f"{len(log_size)} draws of N, but {len(X)} of the data")
    if not (np.isfinite(X).all() and np.isfinite(log_size).all()):
        raise ValueError("every draw of N must be positive, every summary a finite number")
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    now = np.quantile(log_size, ends)
    scores = _scores(X)
    if now[1] <= now[0] or scores.shape[1] == 0:
        return Width(1.0, 0.0, *(float(end) for end in np.exp([*now, *now])))
    fitted, left = _left_over(_curves(scores), log_size)
    scale = np.exp(_log_scale(_quadratic(scores), left))
    parts = _Parts(log_size, left / scale, scale, _groups(fitted))
    place = np.quantile(fitted, MIDDLE)
    middle = (fitted >= place[0]) & (fitted <= place[1])
    typical = np.median(fitted) + np.median(scale) * np.quantile(parts.shape[middle], ends)
    return Width(
        _ratio(parts, ends), _error(parts, ends),
        *(float(end) for end in np.exp([*typical, *now])),
    )  # fmt: skip


class _Parts(NamedTuple):
    """What the widths are made of, each (sample,)."""

    log_size: np.ndarray
    shape: np.ndarray  # residuals over their scale
    scale: np.ndarray
    group: np.ndarray  # draws with about the same centre have the same number


def _groups(fitted: np.ndarray) -> np.ndarray:
    """Numbers of groups of draws with about the same centre."""
    count = min(max(len(fitted) // GROUP, 1), MOST_GROUPS)
    order = np.argsort(fitted, kind="stable")
    found = np.empty(len(fitted), dtype=int)
    found[order] = np.arange(len(fitted)) * count // len(fitted)
    return found


def _scores(X: np.ndarray) -> np.ndarray:
    """Normal scores of each summary's ranks, equal numbers alike; constant ones dropped."""
    varying = np.ptp(X, axis=0) > 0
    ranks = rankdata(X[:, varying], axis=0)
    return np.asarray(ndtri((ranks - 0.5) / len(X)))


def _spline(score: np.ndarray) -> np.ndarray:
    """Cubic B-splines of one summary, (sample, function)."""
    low, high = float(score.min()), float(score.max())
    inner = np.unique(np.quantile(score, np.linspace(0, 1, KNOTS + 2)[1:-1]))
    inner = inner[(inner > low) & (inner < high)]
    knots = np.concatenate([np.repeat(low, 4), inner, np.repeat(high, 4)])
    return np.asarray(BSpline.design_matrix(score, knots, 3).toarray())


def _curves(scores: np.ndarray) -> np.ndarray:
    """What the centre is made of: a spline of each summary, and products up to the third degree."""
    count = scores.shape[1]
    parts = [np.ones((len(scores), 1)), *(_spline(scores[:, j]) for j in range(count))]
    degree = 3 if count <= 4 else 2
    for power in range(2, degree + 1):
        for chosen in combinations_with_replacement(range(count), power):
            some = [scores[:, list(chosen)].prod(axis=1, keepdims=True)]
            parts += some if len(set(chosen)) > 1 else []
    return np.hstack(parts)


def _quadratic(scores: np.ndarray) -> np.ndarray:
    count = scores.shape[1]
    pairs = combinations_with_replacement(range(count), 2)
    products = [scores[:, list(pair)].prod(axis=1, keepdims=True) for pair in pairs]
    return np.hstack([np.ones((len(scores), 1)), scores, *products])


def _space(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of what columns span, (sample, rank)."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > SAME * values[0]])


def _left_over(columns: np.ndarray, log_size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fitted values, and the residual of each draw from the fit without it: e / (1 - h)."""
    space = _space(columns)
    fitted = space @ (space.T @ log_size)
    leverage = np.minimum((space**2).sum(axis=1), 1 - 1e-6)
    return fitted, (log_size - fitted) / (1 - leverage)


def _log_scale(columns: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Log of the residuals' scale, up to a constant, from the regression of their logarithms."""
    log_left = np.log(np.maximum(np.abs(left), TINY * np.abs(left).max() + 1e-300))
    space = _space(columns)
    found = space @ (space.T @ log_left)
    return np.asarray(np.clip(found, *np.quantile(found, EXTREMES)))


def _ratio(parts: _Parts, ends: np.ndarray) -> float:
    """Mean width of the residuals' interval over the width of log N."""
    total = 0.0
    for group in np.unique(parts.group):
        mine = parts.group == group
        # The usual quantiles of so few draws lie too far inside.
        some = np.quantile(parts.shape[mine], ends, method="median_unbiased")
        total += parts.scale[mine].sum() * np.ptp(some)
    return float(total / len(parts.shape) / np.ptp(np.quantile(parts.log_size, ends)))


def _error(parts: _Parts, ends: np.ndarray) -> float:
    """Jackknife over stretches of draws, which are long enough for a chain to forget itself.

    Leaving out many at once makes it right for quantiles too (Shao & Wu 1989, Ann Stat 17:1176).
    """
    found = []
    for block in np.array_split(np.arange(len(parts.shape)), BLOCKS):
        kept = np.ones(len(parts.shape), dtype=bool)
        kept[block] = False
        found.append(_ratio(_Parts(*(part[kept] for part in parts)), ends))
    return float(np.sqrt((BLOCKS - 1) * np.var(found)))
