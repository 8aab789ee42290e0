"""People who differ in how visible they are: chances of being seen on k lists, by quadrature.

    logit P(person i on list j) = beta_j + sigma z_i,   z_i of mean 0 and sd 1     (Rasch)

The chance of a history x depends on x only through x . beta and the number of lists |x|,

    p_x = exp(x . beta) M_|x|,   M_k = E exp(k sigma z) prod_j (1 - pi_j(z)),

so that the list totals n_j and the numbers f_k of people on k lists are sufficient (Darroch,
Fienberg, Glonek & Junker 1993, JASA 88:1137; Agresti 1994, Biometrics 50:494):

    log L = sum_j n_j beta_j + sum_k f_k log M_k - n log(1 - p_0),   p_0 = M_0,

with N integrated out under p(N) proportional to 1/N.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, log1p
from scipy.special import expit as inverse_logit

__all__ = [
    "KINDS",
    "Mixing",
    "Seen",
    "beta_binomial",
    "chance",
    "log_cells",
    "log_likelihood",
    "mixing",
]

NODES = 48

EULER = 0.5772156649015329


class Seen(NamedTuple):
    """What of a table the models use.

    Attributes
    ----------
    totals
        People on each list, shape (list,).
    frequency
        People on exactly k lists at place k, shape (list + 1,); place 0 is 0.
    """

    totals: np.ndarray
    frequency: np.ndarray

    @property
    def people(self) -> float:
        """Different people seen."""
        return float(self.frequency.sum())


class Mixing(NamedTuple):
    """Nodes and weights of the distribution of z."""

    z: np.ndarray
    log_weight: np.ndarray


def _normal() -> Mixing:
    """Standard normal, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return Mixing(nodes, np.log(weights / weights.sum()))


def _skewed() -> Mixing:
    """Standardised log of an exponential: a long tail of people who are hard to see.

    Its density exp(t - e^t) by Gauss-Legendre quadrature from t = -16 to 3.5, outside which lies
    less than 2e-7 of it.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    low, high = -16.0, 3.5
    t = low + (nodes + 1) / 2 * (high - low)
    mass = weights * np.exp(t - np.exp(t))
    return Mixing((t + EULER) / (np.pi / np.sqrt(6)), np.log(mass / mass.sum()))


KINDS: dict[str, Callable[[], Mixing]] = {"normal": _normal, "skewed": _skewed}


def mixing(kind: str) -> Mixing:
    """The distribution of visibility by its name."""
    return KINDS[kind]()


def log_cells(beta: np.ndarray, sigma: np.ndarray, distribution: Mixing) -> np.ndarray:
    """Log M_k for k = 0..L, shape (draw, L + 1).

    Parameters
    ----------
    beta
        Shape (draw, list), logit scale.
    sigma
        Shape (draw,); 0 for people who are all alike.
    """
    lists = beta.shape[1]
    place = sigma[:, None] * distribution.z
    # log(1 - pi) = -log(1 + exp(x)), x = beta + sigma z, summed over lists: (draw, node). The
    # product of 1 + exp(-|x|), each at most 2, needs one logarithm for all lists.
    x = beta[:, :, None] + place[:, None, :]
    missed = -np.maximum(x, 0).sum(axis=1) - np.log((1 + np.exp(-np.abs(x))).prod(axis=1))
    k = np.arange(lists + 1)
    inside = k[None, :, None] * place[:, None, :] + (missed + distribution.log_weight)[:, None, :]
    # Written out: scipy's logsumexp looks for infinities first, which takes most of its time.
    top = inside.max(axis=2)
    return np.asarray(top + np.log(np.exp(inside - top[:, :, None]).sum(axis=2)))


def log_likelihood(
    beta: np.ndarray, sigma: np.ndarray, seen: Seen, distribution: Mixing
) -> tuple[np.ndarray, np.ndarray]:
    """Log likelihood up to a constant, and p_0, each of shape (draw,)."""
    cells = log_cells(beta, sigma, distribution)
    unseen = np.exp(cells[:, 0])
    value = beta @ seen.totals + cells @ seen.frequency - seen.people * log1p(-unseen)
    return np.asarray(value), unseen


def beta_binomial(mean: np.ndarray, rho: np.ndarray, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Lists alike, chances Beta with this mean and intra-class correlation (M_h).

    rho = 1 / (a + b + 1); the chance of being on k given lists of L is B(a + k, b + L - k) /
    B(a, b) (Burnham 1972; Dorazio & Royle 2003, Biometrics 59:351). Returns the log likelihood
    and p_0, each of shape (draw,).
    """
    lists = len(seen.totals)
    size = 1 / rho - 1
    a, b = (mean * size)[:, None], ((1 - mean) * size)[:, None]
    k = np.arange(lists + 1)
    cells = betaln(a + k, b + lists - k) - betaln(a, b)
    unseen = np.exp(cells[:, 0])
    return np.asarray(cells @ seen.frequency - seen.people * log1p(-unseen)), unseen


def chance(value: np.ndarray) -> np.ndarray:
    """Inverse logit."""
    return np.asarray(inverse_logit(value))
