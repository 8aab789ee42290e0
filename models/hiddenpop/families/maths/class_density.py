"""Latent classes as a density, and its gradient, for many chains at once.

    z_i ~ Cat(pi),  pi_k = V_k prod_{h<k} (1 - V_h),  V_k ~ Beta(1, alpha),  V_K = 1
    x_ij | z_i = k ~ Bernoulli(lambda_jk),  alpha ~ Gamma(shape, rate)

(Manrique-Vallier 2016, Biometrics 72:1246, section 3.) With p(N) proportional to 1/N the number
of people integrates out, and the likelihood is that of the observed histories given that they
are observed, prod_x (p_x / (1 - p_0))^{n_x}. Another prior on N adds a factor that depends on p_0
alone. Classes are summed over, so that no person is assigned to one.

The coordinates have no bounds: logit lambda, and logit V.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

__all__ = [
    "ClassModel",
    "Factor",
    "Gradient",
    "Parts",
    "State",
    "log_order",
    "log_sticks",
    "log_weights",
]

BOUND = 300.0
"""Logits beyond this are as good as certain."""

TINY = 1e-300


class State(NamedTuple):
    """Where chains stand.

    Attributes
    ----------
    logit
        logit lambda, shape (chain, class, list).
    stick
        logit V, shape (chain, class - 1).
    alpha
        Shape (chain,).
    fit
        Log likelihood, shape (chain,).
    """

    logit: np.ndarray
    stick: np.ndarray
    alpha: np.ndarray
    fit: np.ndarray

    def where(self, accepted: np.ndarray, other: State) -> State:
        """`other` for the chains that accepted it."""
        pairs = zip(self, other, strict=True)
        return State(*(np.where(_wide(accepted, old.ndim), new, old) for old, new in pairs))

    def take(self, rows: np.ndarray) -> State:
        """The chains of these places."""
        return State(*(values[rows] for values in self))


class Parts(NamedTuple):
    """What the likelihood is made of.

    Attributes
    ----------
    joint
        Probability of a class and a history, shape (chain, class, cell).
    cell
        p_x, shape (chain, cell).
    missed, seen
        p_0 and 1 - p_0, each accurate where it is small, shape (chain,).
    weight
        pi, shape (chain, class).
    away
        -log of the chance to be on no list, shape (chain, class).
    odds
        Of being on a list, shape (chain, class, list).
    """

    joint: np.ndarray
    cell: np.ndarray
    missed: np.ndarray
    seen: np.ndarray
    weight: np.ndarray
    away: np.ndarray
    odds: np.ndarray


class Gradient(NamedTuple):
    """Log likelihood and its derivatives, and the chances and sticks that they came with."""

    fit: np.ndarray
    logit: np.ndarray
    stick: np.ndarray
    chance: np.ndarray
    broken: np.ndarray


class Factor:
    """Log of the factor of a prior on N by log odds of being missed, linear between knots.

    Parameters
    ----------
    knots
        Log odds, equally far apart, shape (knot,).
    values
        Shape (knot,).
    """

    def __init__(self, knots: np.ndarray, values: np.ndarray) -> None:
        self._knots, self._values = knots, values
        slopes = np.diff(values) / np.diff(knots)
        self._slopes = np.concatenate([[0.0], slopes, [0.0]])

    def at(self, log_odds: np.ndarray) -> np.ndarray:
        """The factor; beyond the knots as at the last one."""
        return np.asarray(np.interp(log_odds, self._knots, self._values))

    def slope(self, log_odds: np.ndarray) -> np.ndarray:
        """Its derivative."""
        return np.asarray(self._slopes[np.searchsorted(self._knots, log_odds)])


@dataclass(frozen=True, eq=False)
class ClassModel:
    """A table and its prior.

    Attributes
    ----------
    captures
        Histories that were seen, 0/1, shape (cell, list).
    counts
        People of each, shape (cell,).
    classes
        K, 2 or more.
    alpha_shape, alpha_rate
        Of the gamma prior on alpha.
    factor
        For a prior on N other than 1/N.
    """

    captures: np.ndarray
    counts: np.ndarray
    classes: int
    alpha_shape: float
    alpha_rate: float
    factor: Factor | None = None

    @cached_property
    def people(self) -> float:
        """Different people seen, n."""
        return float(self.counts.sum())

    @cached_property
    def _design(self) -> np.ndarray:
        """Histories and a column of ones, shape (cell, list + 1)."""
        return np.hstack([self.captures.astype(float), np.ones((len(self.captures), 1))])

    @cached_property
    def _wide(self) -> np.ndarray:
        return np.ascontiguousarray(self._design.T)

    def on(self, captures: np.ndarray) -> Self:
        """The same model for other histories, without counts."""
        rest = (self.classes, self.alpha_shape, self.alpha_rate)
        return type(self)(captures, np.zeros(len(captures)), *rest)

    def parts(self, logit: np.ndarray, stick: np.ndarray) -> Parts:
        """Probabilities of histories and classes."""
        chains, classes, lists = logit.shape
        logit = np.minimum(logit, BOUND)
        odds = np.exp(logit)
        away = np.log1p(odds) @ np.ones(lists)
        log_weight = log_weights(stick)
        joined = np.empty((chains, classes, lists + 1))
        joined[:, :, :lists] = logit
        joined[:, :, lists] = log_weight - away
        # One product of matrices: log pi_k + sum_j x_j logit lambda_jk + log(1 - lambda_jk).
        joint = np.exp(joined.reshape(-1, lists + 1) @ self._wide).reshape(chains, classes, -1)
        weight = np.exp(log_weight)
        missed = np.einsum("ck,ck->c", weight, np.exp(-away))
        seen = -np.einsum("ck,ck->c", weight, np.expm1(-away))
        cell = np.maximum(np.einsum("ckx->cx", joint), TINY)
        return Parts(
            joint, cell, np.maximum(missed, TINY), np.maximum(seen, TINY), weight, away, odds
        )

    def fit(self, logit: np.ndarray, stick: np.ndarray) -> np.ndarray:
        """Log likelihood, shape (chain,)."""
        return self._fit(self.parts(logit, stick))

    def _fit(self, parts: Parts) -> np.ndarray:
        value = np.log(parts.cell) @ self.counts - self.people * np.log(parts.seen)
        if self.factor is not None:
            value = value + self.factor.at(np.log(parts.missed) - np.log(parts.seen))
        return np.asarray(value)

    def gradient(self, logit: np.ndarray, stick: np.ndarray) -> Gradient:
        """Log likelihood and its gradient."""
        parts = self.parts(logit, stick)
        chains, classes, lists = logit.shape
        # Expected people of each class and history given the observed counts, as in EM.
        share = parts.joint * (self.counts / parts.cell)[:, None, :]
        split = (share.reshape(chains * classes, -1) @ self._design).reshape(chains, classes, -1)
        unseen = (self._unseen(parts)[:, None] * parts.weight) * np.exp(-parts.away)
        people = split[:, :, lists] + unseen
        chance = parts.odds / (1 + parts.odds)
        broken = 1 / (1 + np.exp(-np.maximum(stick, -BOUND)))
        later = np.cumsum(people[:, :0:-1], axis=1)[:, ::-1]
        return Gradient(
            self._fit(parts),
            split[:, :, :lists] - chance * people[:, :, None],
            (1 - broken) * people[:, :-1] - broken * later,
            chance,
            broken,
        )

    def _unseen(self, parts: Parts) -> np.ndarray:
        """Minus the derivative of the log likelihood by 1 - p_0, p_x apart: n / (1 - p_0)."""
        if self.factor is None:
            return np.asarray(self.people / parts.seen)
        slope = self.factor.slope(np.log(parts.missed) - np.log(parts.seen))
        return np.asarray(self.people / parts.seen + slope / (parts.seen * parts.missed))


def _wide(values: np.ndarray, ndim: int) -> np.ndarray:
    return values.reshape(-1, *(1,) * (ndim - 1))


def log_sticks(stick: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logs of V and of 1 - V, from logit V."""
    log_broken = -np.log1p(np.exp(-np.maximum(stick, -BOUND)))
    # Sticks below the bound break off nothing.
    return log_broken, np.minimum(log_broken - stick, 0.0)


def log_weights(stick: np.ndarray) -> np.ndarray:
    """Log of pi, shape (chain, class)."""
    log_broken, log_rest = log_sticks(stick)
    found = np.zeros((len(stick), stick.shape[1] + 1))
    found[:, 1:] = np.cumsum(log_rest, axis=1)
    found[:, :-1] += log_broken
    return found


def log_order(log_weight: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log density of pi in the order given, up to a constant, and logit V.

    With R_k = sum_{h >= k} pi_h the density of a truncated stick is prop. to
    R_K^{alpha - 1} / (R_2 ... R_{K-1}) (a generalised Dirichlet distribution; Connor &
    Mosimann 1969, JASA 64:194).
    """
    rest = np.logaddexp.accumulate(log_weight[:, ::-1], axis=1)[:, ::-1]
    value = (alpha - 1) * rest[:, -1] - rest[:, 1:-1].sum(axis=1)
    return value, log_weight[:, :-1] - rest[:, 1:]
