"""What a study is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hiddenpop.families.size_prior import SizePrior

__all__ = ["SIZES", "Regime", "Replicate", "Row", "around"]

Row = dict[str, Any]

Replicate = Callable[[np.random.Generator], list[Row]]
"""Draws a truth and data, fits them, and says what came of it."""

SIZES = (50, 300, 2_000, 50_000)
"""Medians of the prior on N."""

P90 = 1.5


@dataclass(frozen=True)
class Regime:
    """One setting of a study.

    Attributes
    ----------
    make
        Gives the function that runs a replicate; what is slow (compiling) happens here, once in
        each process.
    quick, full
        Replicates of the quick and of the full run.
    about
        What the regime is, for the table of the run.
    """

    study: str
    name: str
    make: Callable[[], Replicate]
    quick: int
    full: int
    about: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Study and name."""
        return self.study, self.name


def around(size: float) -> SizePrior:
    """A proper prior on N: log-normal, one in ten above one and a half times its median."""
    return SizePrior("lognormal", float(size), P90 * size)


def by_key(regimes: tuple[Regime, ...]) -> Mapping[tuple[str, str], Regime]:
    """Regimes by study and name."""
    return {regime.key: regime for regime in regimes}
