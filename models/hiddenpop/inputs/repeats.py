"""How often people were seen on one list, checked and frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["RepeatTable"]


@dataclass(frozen=True, eq=False)
class RepeatTable:
    """People by how many times one list saw them (arrests, episodes of treatment), once at least.

    Attributes
    ----------
    times
        How often, 1 or more, shape (row,).
    count
        People of that row, shape (row,).
    covariates
        What is known of them, one row each; text columns are categories, others numbers.
    population
        Residents at the target's ages, or None.
    """

    times: np.ndarray
    count: np.ndarray
    covariates: pd.DataFrame
    population: float | None = None

    @property
    def observed(self) -> float:
        """People seen."""
        return float(self.count.sum())

    @property
    def residents(self) -> float | None:
        """As `population`, by the name that overlap tables have for it."""
        return self.population

    @property
    def frequencies(self) -> np.ndarray:
        """People seen k times at place k; place 0 is 0, shape (largest + 1,)."""
        return np.bincount(self.times, weights=self.count)
