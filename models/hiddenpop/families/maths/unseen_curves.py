"""The posterior of the people on no list under one log-linear model, for many models at once.

With flat priors on all coefficients of a model (flat on the intercept is 1/N on the population
size) the posterior of the unseen n_0 is

    p(n_0 | n) prop. to  integral of prod_c Poisson(n_c | mu_c) Poisson(n_0 | mu_0) d beta,

an integral over the coefficients of the table with n_0 put in as a cell. Laplace's method
(Tierney & Kadane 1986, JASA 81:82) gives it as

    max_beta likelihood(n, n_0; beta)  |information(n_0)|^(-1/2),

one fit per value of n_0, each started from its neighbour; errors that do not depend on n_0
cancel. Unlike a normal curve for log n_0 it has the skewness of the likelihood and stops at 0.
Terms of the extended estimate that are at minus infinity stay there.

The scale of all curves is x = log(n_0 + 1), smooth down to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

from hiddenpop.families.maths.hierarchical_ml import Batch, Fits, Group, batches

__all__ = ["Curve", "curves", "normal_scale"]

LEFT, RIGHT = 8, 15
"""Knots on either side of the estimate."""

FARTHEST = 60.0
"""The last knot, standard errors to the right: tails fall as powers of N, not exponentially."""

FALLEN = 34.0
"""Where log p(n_0) + x is this far below its largest value, a curve ends."""

ROUNDS = 8
CLOSE = 1e-7


@dataclass(frozen=True, eq=False)
class Curve:
    """log p(n_0 | n) of one model, up to a constant, through knots.

    Attributes
    ----------
    x
        log(n_0 + 1) of the knots, increasing, shape (knot,).
    value
        log p(n_0 | n) there, natural logarithm, largest 0 after multiplying by n_0 + 1.
    """

    x: np.ndarray
    value: np.ndarray

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.x, self.value)

    @cached_property
    def fall(self) -> float:
        """How fast log p(n_0) + x falls at the last knot per unit of x; 0 or less: not at all."""
        return -float(self._spline(self.x[-1], 1)) - 1.0

    def at(self, x: np.ndarray) -> np.ndarray:
        """Log density, log p(n_0 | n), at log(n_0 + 1) = x, shape of x.

        Beyond the last knot it goes on as a power of n_0, and before the first as a straight
        line.
        """
        first, last = self.x[0], self.x[-1]
        after = (1.0 + max(self.fall, 0.0)) * np.maximum(x - last, 0.0)
        before = max(float(self._spline(first, 1)), 0.0) * np.maximum(first - x, 0.0)
        return np.asarray(self._spline(np.clip(x, first, last)) - after - before)

    @property
    def tail(self) -> float:
        """What is left beyond the last knot, on the scale of `value`; inf if it does not fall."""
        height = float(self.value[-1] + self.x[-1])
        if height < 2 - FALLEN:
            return float(np.exp(height))
        return float(np.exp(height)) / self.fall if self.fall > 0 else float("inf")


def normal_scale(log_unseen: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of x = log(n_0 + 1) if log n_0 were normal.

    The variance of log n_0 is that of its mean's estimate and 1/mean for the people themselves.
    """
    unseen = np.exp(np.clip(log_unseen, -30.0, 60.0))
    spread = np.sqrt(variance + 1 / unseen) * unseen / (unseen + 1)
    # Nothing is finer than about one person.
    return np.log1p(unseen), np.clip(spread, 0.5 / (unseen + 1), 5.0)


def curves(batch: Batch, rows: np.ndarray, fits: Fits) -> list[Curve]:
    """The curve of each of the models `rows`, which all have an estimate."""
    found: dict[int, Curve] = {}
    for chosen in batches(batch, rows):
        for row, curve in zip(chosen, _of_equal_size(batch, chosen, fits), strict=True):
            found[int(row)] = curve
    return [found[int(row)] for row in rows]


def _of_equal_size(batch: Batch, rows: np.ndarray, fits: Fits) -> list[Curve]:
    group = Group(batch, rows, unseen=True)
    middle, scale = normal_scale(fits.log_unseen[rows], fits.variance[rows])
    beta = np.take_along_axis(fits.coefficients[rows], group.place, axis=1)
    down = np.sinh(np.linspace(0, 1.5, LEFT + 1)) / np.sinh(1.5)
    up = np.sinh(np.linspace(0, 4, RIGHT + 1)) / np.sinh(4)
    left = middle[:, None] - np.minimum(7 * scale, middle)[:, None] * down
    right = middle[:, None] + FARTHEST * scale[:, None] * up
    right = np.minimum(right, 27.0 + middle[:, None])
    below, above = _walk(group, beta, left), _walk(group, beta, right)
    x = np.hstack([left[:, :0:-1], right])
    value = np.hstack([below[:, :0:-1], above])
    top = np.nanmax(np.where(np.isfinite(value), value + x, -np.inf), axis=1)
    value -= top[:, None]
    apart = np.diff(x, axis=1, prepend=-np.inf) > 1e-3 * scale[:, None]
    kept = np.isfinite(value) & apart
    return [
        Curve(points[good], heights[good])
        for points, heights, good in zip(x, value, kept, strict=True)
    ]


def _walk(group: Group, beta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Log density along the knots x, shape (model, knot), each fit started from the last.

    Once a curve has fallen far enough it is not followed further: -inf.
    """
    value = np.full(x.shape, -np.inf)
    beta, slope = beta.copy(), np.zeros_like(beta)
    top = np.full(len(x), -np.inf)
    rows = np.arange(len(x))
    for knot in range(x.shape[1]):
        if knot:
            beta[rows] += slope[rows] * (x[rows, knot] - x[rows, knot - 1])[:, None]
        unseen = np.expm1(x[rows, knot])
        beta[rows], slope[rows], height = _summit(group, rows, beta[rows], unseen)
        slope[rows] *= (unseen + 1)[:, None]
        value[rows, knot] = height
        top[rows] = np.maximum(top[rows], height + x[rows, knot])
        rows = rows[height + x[rows, knot] > top[rows] - FALLEN]
        if not len(rows):
            break
    return value


def _summit(
    group: Group, rows: np.ndarray, beta: np.ndarray, unseen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the table with `unseen` people on no list: beta, its slope in n_0, log p(n_0 | n)."""
    total = np.repeat(group.total, len(rows), 0) if len(group.total) == 1 else group.total[rows]
    total = total.copy()
    total[:, 0] += unseen
    right = np.zeros((*beta.shape, 2))
    right[:, 0, 1] = 1.0
    for _ in range(ROUNDS):
        mean = group.expected(beta, rows)
        sums = mean @ group.holds
        information = group.information(sums, rows)
        right[:, :, 0] = total - np.take_along_axis(sums, group.mask[rows], axis=1)
        solved = np.linalg.solve(information, right)
        gain = (right[:, :, 0] * solved[:, :, 0]).sum(1)
        if gain.max() < 1e-3:
            break
        step = solved[:, :, 0]
        beta = beta + step / np.maximum(1.0, np.abs(step).max(1, keepdims=True) / 3)
    # The last step is taken on paper: half its gain is what it would add.
    height = (total * beta).sum(1) - mean.sum(1) + gain / 2
    return (
        beta + solved[:, :, 0],
        solved[:, :, 1],
        height - gammaln(unseen + 1) - 0.5 * np.linalg.slogdet(information)[1],
    )
