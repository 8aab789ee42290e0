"""What an exact family hands over: a distribution of the unseen, and draws from it.

Families that need no sampler return a DataTree in the names of those that do:

- `posterior`: `N` and `unseen` (people), dims (chain, draw);
- `distribution`: `unseen` and `probability`, dims (support,): the posterior itself, from which
  every reported number is computed, so that none carries Monte Carlo error;
- `models`, where there are several: `weight` and N's `median`, `mean`, `low`, `high`, dims
  (model,);
- `fitted`, where cells have an expectation: `observed` and `expected`, dims (history,).

Root attributes: `observed` (people), `assumption` (the one that cannot be tested, in words),
`notes` (JSON list of sentences a reader must see), and what the family adds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

__all__ = ["CHAINS", "DRAWS", "Discrete", "exact_tree"]

CHAINS = 4
DRAWS = 1000
"""Draws of each chain; independent, so that chains differ by nothing but their random numbers."""


class Discrete(NamedTuple):
    """A distribution of the unseen on a finite set of numbers of people.

    Attributes
    ----------
    unseen
        Support, increasing, shape (support,).
    probability
        Sums to 1, shape (support,).
    """

    unseen: np.ndarray
    probability: np.ndarray

    @classmethod
    def from_log(cls, unseen: np.ndarray, log_mass: np.ndarray) -> Discrete:
        """From masses on the log scale, up to a constant."""
        mass = np.exp(log_mass - np.max(log_mass))
        return cls(np.asarray(unseen, dtype=float), mass / mass.sum())

    @classmethod
    def from_draws(cls, unseen: np.ndarray, weights: np.ndarray) -> Discrete:
        """From weighted draws, equal ones joined."""
        support, place = np.unique(np.asarray(unseen, dtype=float), return_inverse=True)
        mass = np.bincount(place, weights=weights)
        return cls(support, mass / mass.sum())

    @property
    def mean(self) -> float:
        """Mean; may be infinite for practical purposes where the tail is heavy."""
        return float(self.unseen @ self.probability)

    def quantile(self, q: float | np.ndarray) -> np.ndarray:
        """Smallest number whose cumulative probability reaches `q`."""
        place = np.searchsorted(np.cumsum(self.probability), np.asarray(q) * (1 - 1e-12))
        return np.asarray(self.unseen[np.minimum(place, len(self.unseen) - 1)])

    def draw(self, size: int | tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Independent draws."""
        return self.quantile(rng.random(size))


def exact_tree(
    observed: float,
    unseen: Discrete,
    *,
    seed: int,
    assumption: str,
    notes: Sequence[str] = (),
    models: xr.Dataset | None = None,
    fitted: xr.Dataset | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Put the parts of an exact posterior together, with draws."""
    drawn = unseen.draw((CHAINS, DRAWS), np.random.default_rng(seed))
    dims = ("chain", "draw")
    groups = {
        "posterior": xr.Dataset(
            {"N": (dims, observed + drawn), "unseen": (dims, drawn)},
            coords={"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)},
        ),
        "distribution": xr.Dataset(
            {"unseen": ("support", unseen.unseen), "probability": ("support", unseen.probability)}
        ),
    }
    if models is not None:
        groups["models"] = models
    if fitted is not None:
        groups["fitted"] = fitted
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "observed": observed, "assumption": assumption, "notes": json.dumps(list(notes)),
        **(attrs or {}),
    }  # fmt: skip
    return tree
