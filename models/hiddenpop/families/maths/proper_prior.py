"""Poisson log-linear models under a proper prior: posterior, its mode, Laplace's evidence.

    y_c ~ Poisson(mu_c), log mu = X theta, theta = (intercept, beta)
    intercept flat,  beta (d of them) | sigma^2 ~ N(0, sigma^2 n_c (X'X)^-1)

(Overstall & King 2014, Journal of Statistical Software 58(7), section 2.2). The columns of X
are orthogonal with mean square 1 over all n_c cells, so that the prior is N(0, sigma^2 I); any
other coding of the same terms gives the same model. Under SBH (Sabanés Bové & Held 2011,
Bayesian Analysis 6:387) sigma^2 ~ InvGamma(a/2, b/2), which integrates out to

    p(beta) = Gamma((a+d)/2) / (Gamma(a/2) pi^(d/2)) b^(a/2) (b + beta'beta)^(-(a+d)/2);

under UIP (unit information; Dellaportas & Forster 1999, Biometrika 86:615) sigma^2 is 1.

Cells that were not observed have no part in the likelihood. A cell known only to lie between two
numbers has the sum of their Poisson probabilities as its factor (Overstall et al. 2014,
Statistics in Medicine 33:1564).

All models of a batch have all columns; those that a model has not are held at 0 by a mask, so
that one product of matrices serves the whole batch. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from hiddenpop.families.maths.between import between_slopes, log_between

__all__ = ["Modes", "Prior", "Table", "batches", "find_modes", "laplace", "log_posterior"]

MOST_STEPS = 100
CLOSE = 1e-9

ROOM = 0.05
"""Where less of the curvature than this is left along beta, the full Hessian is not used."""

NUMBERS = 4_000_000
"""Numbers that one array of a batch may hold."""


class Prior(NamedTuple):
    """The prior of the coefficients.

    Attributes
    ----------
    a, b
        sigma^2 ~ InvGamma(a/2, b/2), integrated out.
    variance
        A known sigma^2 of each model in place of that, shape (model,), or None.
    """

    a: float = 0.001
    b: float = 0.001
    variance: np.ndarray | None = None

    def rows(self, which: np.ndarray | slice) -> Prior:
        """The prior of some of the models."""
        return self if self.variance is None else self._replace(variance=self.variance[which])

    def log_density(self, square: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Log density at `size` coefficients with sum of squares `square`, shape (model, ...)."""
        if self.variance is not None:
            known = self.variance.reshape(-1, *[1] * (square.ndim - 1))
            return np.asarray(-size / 2 * np.log(2 * np.pi * known) - square / (2 * known))
        a, b = self.a, self.b
        return np.asarray(
            gammaln((a + size) / 2) - gammaln(a / 2) - size / 2 * np.log(np.pi)
            + a / 2 * np.log(b) - (a + size) / 2 * np.log(b + square)
        )  # fmt: skip

    def pull(self, square: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its gradient is -k beta and its negative Hessian k I - c beta beta'; returns k and c."""
        if self.variance is not None:
            return 1 / self.variance, np.zeros_like(square)
        k = (self.a + size) / (self.b + square)
        return k, 2 * k / (self.b + square)


@dataclass(frozen=True, eq=False)
class Table:
    """The cells that say something, and the columns of the largest model.

    Attributes
    ----------
    exact, count
        Design, shape (cell, column), column 0 the intercept, and people of the cells that
        were counted, shape (cell,).
    ranged, low, high
        The same for cells of which only the least and the greatest number are known.
    """

    exact: np.ndarray
    count: np.ndarray
    ranged: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @cached_property
    def design(self) -> np.ndarray:
        """Counted, then ranged cells."""
        return np.vstack([self.exact, self.ranged])

    @cached_property
    def sums(self) -> np.ndarray:
        """Sufficient statistics of the counted cells, shape (column,)."""
        return np.asarray(self.count @ self.exact)

    @cached_property
    def products(self) -> tuple[np.ndarray, np.ndarray]:
        """Products of pairs of columns, (cell, product), and which is which, (column * column,).

        Most pairs share theirs with others: of lists A, B and C, AB times BC is A times C.
        """
        rows = self.design
        every = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
        _, first, place = np.unique(
            np.round(every, 9), axis=1, return_index=True, return_inverse=True
        )
        return every[:, first], place.ravel()

    @cached_property
    def constant(self) -> float:
        """The part of the log likelihood that no parameter changes."""
        return -float(gammaln(self.count + 1).sum())

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """Log likelihood of parameters, shape (..., column); result (...)."""
        flat = theta.reshape(-1, theta.shape[-1])
        with np.errstate(over="ignore"):
            total = flat @ self.sums - np.exp(flat @ self.exact.T).sum(-1) + self.constant
        if len(self.low):
            total += log_between(flat @ self.ranged.T, self.low, self.high).sum(-1)
        return np.asarray(total.reshape(theta.shape[:-1]))

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient, (model, column), and negative Hessian, (model, column, column)."""
        mean = np.exp(theta @ self.exact.T)
        left, weight = self.count - mean, mean
        if len(self.low):
            slope, curve = between_slopes(theta @ self.ranged.T, self.low, self.high)
            left = np.concatenate([left, slope], axis=-1)
            weight = np.concatenate([weight, np.maximum(curve, 0.0)], axis=-1)
        size = theta.shape[-1]
        products, place = self.products
        return left @ self.design, (weight @ products)[:, place].reshape(-1, size, size)


class Modes(NamedTuple):
    """Modes of the posteriors of a batch of models.

    Attributes
    ----------
    point
        Shape (model, column), 0 where a model has not the column.
    height
        Log posterior density there, with all constants, shape (model,).
    precision
        Negative Hessian there, the identity in columns that a model has not,
        shape (model, column, column).
    has
        Which columns a model has, bool, shape (model, column).
    """

    point: np.ndarray
    height: np.ndarray
    precision: np.ndarray
    has: np.ndarray

    def rows(self, which: np.ndarray) -> Modes:
        """Some of the models."""
        return Modes(*(part[which] for part in self))


class _Bend(NamedTuple):
    """Slopes of the log posterior; its negative Hessian is `safe` - c beta beta'."""

    gradient: np.ndarray
    safe: np.ndarray
    beta: np.ndarray
    c: np.ndarray

    def step(self) -> np.ndarray:
        """Newton's step where the Hessian allows it (Sherman & Morrison 1950), or a safe one."""
        if not self.c.any():
            return np.asarray(np.linalg.solve(self.safe, self.gradient[..., None])[..., 0])
        both = np.linalg.solve(self.safe, np.stack([self.gradient, self.beta], axis=-1))
        plain, along = both[..., 0], both[..., 1]
        room = 1 - self.c * np.einsum("mp,mp->m", self.beta, along)
        more = self.c * np.einsum("mp,mp->m", self.beta, plain)
        return np.asarray(plain + np.where(room > ROOM, more / room, 0.0)[:, None] * along)

    def precision(self) -> np.ndarray:
        """Negative Hessian; at a mode it is positive definite, elsewhere it is made so."""
        if not self.c.any():
            return self.safe
        along = np.linalg.solve(self.safe, self.beta[..., None])[..., 0]
        filled = self.c * np.einsum("mp,mp->m", self.beta, along)
        c = self.c * np.minimum(1.0, (1 - ROOM) / np.maximum(filled, 1e-300))
        outer = self.beta[:, :, None] * self.beta[:, None, :]
        return np.asarray(self.safe - c[:, None, None] * outer)


def log_posterior(table: Table, prior: Prior, theta: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Log posterior density, not normalised.

    Parameters
    ----------
    theta
        Shape (model, ..., column).
    size
        Coefficients of each model without the intercept, shape (model, ...).
    """
    square = np.einsum("...p,...p->...", theta[..., 1:], theta[..., 1:])
    return np.asarray(table.log_likelihood(theta) + prior.log_density(square, size))


def find_modes(
    table: Table, prior: Prior, has: np.ndarray, start: np.ndarray | None = None,
    close: float = CLOSE,
) -> Modes:  # fmt: skip
    """Newton's method for a batch of models.

    With sigma^2 integrated out the log posterior is not concave: where its Hessian will not
    do, the step comes from the tangent of log(b + beta'beta) in beta'beta, which nowhere
    overstates the posterior. Steps that do not climb are halved.

    Parameters
    ----------
    has
        Which columns a model has, bool, shape (model, column); column 0 always.
    start
        Where to begin, shape (model, column).
    close
        A step that promises a smaller gain of the log posterior than this is the last.
    """
    parts = []
    for rows in batches(len(has), has.shape[1] ** 2 + len(table.design)):
        begin = _start(table, has[rows]) if start is None else start[rows]
        parts.append(_climb(table, prior.rows(rows), has[rows], begin, close))
    return Modes(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def laplace(modes: Modes) -> np.ndarray:
    """Log evidence of each model by Laplace's approximation, shape (model,)."""
    logs = np.linalg.slogdet(modes.precision)[1]
    return np.asarray(modes.height + modes.has.sum(1) / 2 * np.log(2 * np.pi) - logs / 2)


def batches(count: int, width: int) -> Iterator[slice]:
    """Slices of `count` rows of `width` numbers that fit the memory."""
    step = max(1, NUMBERS // width)
    return (slice(start, start + step) for start in range(0, count, step))


def _start(table: Table, has: np.ndarray) -> np.ndarray:
    """Least squares of the log counts, lightly held together; shape (model, column)."""
    weight, rows = table.count + 0.5, table.exact
    square = (rows.T * weight) @ rows * (has[:, :, None] & has[:, None, :])
    diagonal = np.arange(has.shape[1])
    square[:, diagonal, diagonal] += 1.0
    right = np.where(has, (weight * np.log(weight)) @ rows, 0.0)
    return np.asarray(np.linalg.solve(square, right[..., None])[..., 0])


def _climb(table: Table, prior: Prior, has: np.ndarray, theta: np.ndarray, close: float) -> Modes:
    size = has.sum(1) - 1
    theta = np.where(has, theta, 0.0)
    height = log_posterior(table, prior, theta, size)
    precision = np.empty((*has.shape, has.shape[1]))
    going = np.arange(len(has))
    for _ in range(MOST_STEPS):
        bend = _bend(table, prior.rows(going), theta[going], has[going])
        step = bend.step()
        far = np.einsum("mp,mp->m", bend.gradient, step) > close
        precision[going[~far]] = _Bend(*(part[~far] for part in bend)).precision()
        going, step = going[far], step[far]
        if not len(going):
            return Modes(theta, height, precision, has)
        theta[going], height[going] = _uphill(
            table, prior.rows(going), theta[going], step, height[going], size[going]
        )
    bend = _bend(table, prior.rows(going), theta[going], has[going])
    precision[going] = bend.precision()
    return Modes(theta, height, precision, has)


def _bend(table: Table, prior: Prior, theta: np.ndarray, has: np.ndarray) -> _Bend:
    beta = theta.copy()
    beta[:, 0] = 0.0
    k, c = prior.pull(np.einsum("mp,mp->m", beta, beta), has.sum(1) - 1)
    gradient, safe = table.slopes(theta)
    gradient = (gradient - k[:, None] * beta) * has
    safe *= has[:, :, None] & has[:, None, :]
    diagonal = np.arange(has.shape[1])
    safe[:, diagonal, diagonal] += np.where(has, k[:, None] * (diagonal > 0), 1.0)
    return _Bend(gradient, safe, beta, c)


def _uphill(
    table: Table,
    prior: Prior,
    here: np.ndarray,
    step: np.ndarray,
    height: np.ndarray,
    size: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Take steps, halved until they climb; points and heights reached."""
    reached, best = here.copy(), height.copy()
    left, scale = np.arange(len(here)), 1.0
    for _ in range(40):
        there = here[left] + scale * step[left]
        found = log_posterior(table, prior.rows(left), there, size[left])
        # Rounding alone may lower a height this much.
        climbs = found >= height[left] - 1e-9 * (1 + np.abs(height[left]))
        reached[left[climbs]], best[left[climbs]] = there[climbs], found[climbs]
        left, scale = left[~climbs], scale / 2
        if not len(left):
            break
    return reached, best
