"""Likelihoods of the evidence synthesis: what each kind of row says about its expected value.

The observed numbers become data variables of the model (`observed`), so that one compiled
model serves any study of the same shape: simulated data above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from scipy import special, stats

from hiddenpop.priors import z_score

__all__ = ["BRACKET_POINTS", "DIMS", "Parts", "log_errors", "log_likelihoods", "observed",
           "row_coords"]  # fmt: skip

GUESS_DF = 4.0
"""Degrees of freedom of guesses: speakers without a method understate their error."""

NORMAL_DF = 1e8
"""Degrees of freedom that stand for a normal distribution."""

BRACKET_POINTS = 25
"""Most points at which a bracket for x of n is summed."""

LEAST_PHI = 1e-4
"""Over-dispersion that is always there. Below it log gamma functions of 1 / phi**2 cancel to
noise of thousands, in which chains get stuck; its effect on counts below a million is nil."""

LEAST_UNCOUNTED = -0.9
"""Members less those counted, from which on the density of a benchmark falls in a straight line.
1 / Gamma(N - C + 1), which is 0 where N - C is -1, would be no guide for a sampler that starts
with fewer members than were counted."""

STEEP = float(-special.digamma(LEAST_UNCOUNTED + 1))
"""Slope of that line, per person: the one that log 1 / Gamma has there."""

Tensor = Any  # pytensor has no type stubs


class Parts(NamedTuple):
    """What the log of an expected value is the sum of, (evidence,) each."""

    size: Tensor
    rates: Tensor
    bias: Tensor


KINDS = {
    "measured": ("estimate", "range", "guess"),
    "counted": ("count",),
    "surveyed": ("proportion",),
    "bounded": ("lower", "upper"),
    "benchmarked": ("benchmark",),
}
"""Kinds of row with one likelihood, by the name of their dimension."""

DIMS: dict[str, tuple[str, ...]] = {
    "log_value": ("measured",),
    "error_below": ("measured",),
    "error_above": ("measured",),
    "log_peak": ("measured",),
    "count": ("counted",),
    "log_factorial": ("counted",),
    "successes": ("surveyed", "point"),
    "log_ways": ("surveyed", "point"),
    "log_bound": ("bounded",),
    "people": ("benchmarked", "possible"),
    "log_stands": ("benchmarked", "possible"),
}
"""Data variables of the observed numbers, and their dimensions."""


def _positions(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Rows of each likelihood that has any."""
    kind = frame["kind"].to_numpy()
    found = {dim: np.flatnonzero(np.isin(kind, kinds)) for dim, kinds in KINDS.items()}
    return {dim: at for dim, at in found.items() if at.size}


def row_coords(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Coordinates of the dimensions in `DIMS`: ids of rows, numbers of points."""
    at = _positions(frame)
    coords = {dim: frame["id"].iloc[rows].tolist() for dim, rows in at.items()}
    if "surveyed" in at:
        coords["point"] = [str(i) for i in range(_width(frame.iloc[at["surveyed"]]))]
    if "benchmarked" in at:
        coords["possible"] = [str(i) for i in range(_width(frame.iloc[at["benchmarked"]]))]
    return coords


def observed(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Numbers that were observed in rows of evidence, as the likelihoods take them.

    Returns
    -------
    Values of the data variables in `DIMS`; those of kinds without rows are left out.
    """
    rows = {dim: frame.iloc[at] for dim, at in _positions(frame).items()}
    found: dict[str, np.ndarray] = {}
    if "measured" in rows:
        centre, below, above = log_errors(rows["measured"])
        peak = stats.t.logpdf(0.0, _df(rows["measured"])) - np.log((below + above) / 2)
        found |= {"log_value": centre, "error_below": below, "error_above": above}
        found["log_peak"] = peak
    if "counted" in rows:
        counts = (rows["counted"]["value"] / rows["counted"]["design_effect"]).to_numpy()
        found |= {"count": counts, "log_factorial": special.gammaln(counts + 1)}
    if "surveyed" in rows:
        found |= _brackets(rows["surveyed"])
    if "bounded" in rows:
        found["log_bound"] = np.log(rows["bounded"]["value"].to_numpy())
    if "benchmarked" in rows:
        people, stands_for = _points(rows["benchmarked"])
        found |= {"people": people, "log_stands": _log_weights(stands_for)}
    return found


def log_likelihoods(
    frame: pd.DataFrame,
    data: Mapping[str, Tensor],
    log_expected: Tensor,
    parts: Parts,
    phi: Tensor | None,
    softness: float,
) -> Tensor:
    """Log likelihood of each row, (evidence,); each kind in one vectorised operation.

    Parameters
    ----------
    frame
        Rows of evidence: kinds, sample sizes, design effects and the softness of bounds are
        read from it.
    data
        The data variables of `observed`.
    log_expected
        Log of what each row would show without its own error, (evidence,).
    parts
        The same in parts: drifted size (or share), rates, bias.
    phi
        Over-dispersion of counts; None makes them Poisson.
    softness
        Sd on the log scale of bounds without an interval.
    """
    at = _positions(frame)
    found = []
    for dim, rows in at.items():
        some, log_mean = frame.iloc[rows], log_expected[rows]
        if dim == "measured":
            found.append(_two_piece(some, data, log_mean))
        elif dim == "counted":
            found.append(_negative_binomial(some, data, log_mean, phi))
        elif dim == "surveyed":
            found.append(_binomial(some, data, log_mean))
        elif dim == "benchmarked":
            found.append(_benchmark(data, Parts(*(part[rows] for part in parts))))
        else:
            found.append(_bound(some, data, log_mean, softness))
    return pt.concatenate(found)[np.argsort(np.concatenate(list(at.values())))]


def log_errors(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre and the two sds of a two-piece log-normal from value, low, high, level.

    The sd below the centre comes from its distance to `low`, the one above from `high`
    (without a value the centre is the middle on the log scale). Neither is less than a
    tenth of their mean, so that a value at the very end of its interval keeps some
    error. A design effect D adds (D - 1) times the mean variance on either side: what
    the interval left out has no reason to be skew as the interval is.
    """
    low, high = np.log(frame["low"].to_numpy()), np.log(frame["high"].to_numpy())
    value = frame["value"].to_numpy()
    centre = np.where(np.isnan(value), (low + high) / 2, np.log(np.where(value > 0, value, 1.0)))
    z = np.array([z_score(level) for level in frame["level"]])
    mean = (high - low) / 2 / z
    extra = (frame["design_effect"].to_numpy() - 1) * mean**2
    below = np.sqrt(np.maximum((centre - low) / z, 0.1 * mean) ** 2 + extra)
    above = np.sqrt(np.maximum((high - centre) / z, 0.1 * mean) ** 2 + extra)
    return centre, below, above


def _df(frame: pd.DataFrame) -> np.ndarray:
    return np.where(frame["kind"] == "guess", GUESS_DF, NORMAL_DF)


def _two_piece(frame: pd.DataFrame, data: Mapping[str, Tensor], log_expected: Tensor) -> Tensor:
    """Two-piece normal (estimates, ranges) or Student-t (guesses) errors on the log scale."""
    error = log_expected - data["log_value"]
    z = error / pt.switch(error < 0, data["error_below"], data["error_above"])
    # One formula for both: with NORMAL_DF degrees of freedom t is normal to eight digits.
    df = _df(frame)
    return data["log_peak"] - (df + 1) / 2 * pt.log1p(z**2 / df)


def _negative_binomial(
    frame: pd.DataFrame, data: Mapping[str, Tensor], log_expected: Tensor, phi: Tensor | None
) -> Tensor:
    """Mean E, variance D E + (phi E)**2 (counts and means divided by the design effect D)."""
    log_mean = log_expected - np.log(frame["design_effect"].to_numpy())
    counts = data["count"]
    if phi is None:
        return counts * log_mean - pt.exp(log_mean) - data["log_factorial"]
    size = 1 / (phi**2 + LEAST_PHI**2)
    return (
        pt.gammaln(counts + size) - pt.gammaln(size) - data["log_factorial"]
        - size * pt.log1p(pt.exp(log_mean) / size)
        + counts * (log_mean - pt.log(size + pt.exp(log_mean)))
    )  # fmt: skip


def _binomial(frame: pd.DataFrame, data: Mapping[str, Tensor], log_expected: Tensor) -> Tensor:
    """x/D successes of n/D; a bracket for x is summed over its whole numbers."""
    size = (frame["n"] / frame["design_effect"]).to_numpy()[:, None]
    x = data["successes"]
    log_p = pt.minimum(log_expected, -1e-9)[:, None]
    return pt.logsumexp(
        data["log_ways"] + x * log_p + (size - x) * pt.log1p(-pt.exp(log_p)), axis=1
    )


def _benchmark(data: Mapping[str, Tensor], parts: Parts) -> Tensor:
    """C ~ Binomial(N, q), reported as C times the bias; a range is summed over its whole numbers.

    The density of the reported number is that of C = reported / bias over the bias, with
    gamma functions for a C that is not whole.
    """
    size, counted = pt.exp(parts.size)[:, None], data["people"] * pt.exp(-parts.bias)[:, None]
    log_q = pt.minimum(parts.rates, -1e-9)[:, None]
    rest = pt.maximum(size - counted, LEAST_UNCOUNTED)
    log_density = (
        pt.gammaln(size + 1) - pt.gammaln(counted + 1) - pt.gammaln(rest + 1)
        + counted * log_q + rest * pt.log1p(-pt.exp(log_q))
        + STEEP * (size - counted - rest)
    )  # fmt: skip
    return pt.logsumexp(data["log_stands"] + log_density, axis=1) - parts.bias


def _width(frame: pd.DataFrame) -> int:
    """Points kept for each count of people: one where no row is a bracket."""
    return BRACKET_POINTS if frame["value"].isna().any() else 1


def _brackets(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Values that x/D can have and the log of their binomial weights, (row, point)."""
    design = frame["design_effect"].to_numpy()[:, None]
    x, stands_for = _points(frame)
    x = x / design
    size = frame["n"].to_numpy()[:, None] / design
    log_choose = special.gammaln(size + 1) - special.gammaln(x + 1) - special.gammaln(size - x + 1)
    return {"successes": x, "log_ways": _log_weights(stands_for, log_choose)}


def _log_weights(stands_for: np.ndarray, log_choose: np.ndarray | float = 0.0) -> np.ndarray:
    """Unused places weigh nothing; a number, as infinities would spoil the gradient."""
    used = stands_for > 0
    return np.where(used, log_choose + np.log(np.where(used, stands_for, 1.0)), -1e10)


def _points(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers that stand for a count or its bracket, and how many each, (row, point).

    A bracket of up to `BRACKET_POINTS` whole numbers is summed over each; a wider one by
    Gauss-Legendre quadrature with so many nodes, which stays right far out in the tails.
    """
    given = frame["value"].notna()
    low = frame["low"].mask(given, frame["value"]).to_numpy()[:, None]
    high = frame["high"].mask(given, frame["value"]).to_numpy()[:, None]
    people = high - low + 1
    pieces = np.floor(np.minimum(people, BRACKET_POINTS))
    number = np.arange(_width(frame))[None, :]
    used = number < pieces
    x = np.where(used, low - 0.5 + (number + 0.5) * people / pieces, low)
    stands_for = np.where(used, people / pieces, 0.0)
    if x.shape[1] > 1:
        nodes, weights = np.polynomial.legendre.leggauss(BRACKET_POINTS)
        wide = people > BRACKET_POINTS
        x = np.where(wide, low - 0.5 + people * (nodes + 1) / 2, x)
        stands_for = np.where(wide, people * weights / 2, stands_for)
    return x, stands_for


def _bound(
    frame: pd.DataFrame, data: Mapping[str, Tensor], log_expected: Tensor, softness: float
) -> Tensor:
    """Probability that a soft bound holds: log of a normal distribution function."""
    sign = np.where(frame["kind"] == "lower", 1.0, -1.0)
    width = np.log((frame["high"] / frame["low"]).to_numpy())
    half = np.array([z_score(level) for level in frame["level"]])
    sd = np.where(np.isnan(width), softness, width / (2 * half))
    z = sign * (log_expected - data["log_bound"]) / sd
    return pm.logcdf(pm.Normal.dist(0.0, 1.0), z)
