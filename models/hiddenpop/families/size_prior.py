"""Priors on the population size N, the same for every family that has one.

Any model that gives conditional cell probabilities, with p_0 for the all-zero cell, has

    P(n | N, p) = N! / (n_0! prod n_x!) p_0^{n_0} prod p_x^{n_x},

so that a family needs only log p(N), up to a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln

__all__ = ["SizePrior"]

P90 = 1.2815515655446004
"""Normal quantile of 0.9."""


@dataclass(frozen=True)
class SizePrior:
    """A prior on N, people.

    Attributes
    ----------
    kind
        `reciprocal`: p(N) proportional to 1/N, improper, the customary default (flat on log N).
        `uniform`: flat on the whole numbers up to `most`.
        `lognormal`: log-normal with a median and a 90th percentile.
        `gamma`: N ~ Poisson(mu), mu ~ Gamma(shape, rate 1/scale), mean shape x scale; Madigan &
        York 1997 use shape 13.14, scale 55.17.
    one, two
        Parameters: most; median and 90th percentile; shape and scale.
    """

    kind: Literal["reciprocal", "uniform", "lognormal", "gamma"] = "reciprocal"
    one: float = 0.0
    two: float = 0.0

    @classmethod
    def parse(cls, text: str) -> SizePrior:
        """Read `1/N`, `uniform:5000`, `lognormal:2000,5000` or `gamma:13.14,55.17`.

        Raises
        ------
        ValueError
            If it is none of these, or its numbers make no distribution.
        """
        if text in ("1/N", "reciprocal"):
            return cls()
        name, _, rest = text.partition(":")
        numbers = [float(part) for part in rest.split(",")] if rest else []
        wanted = {"uniform": 1, "lognormal": 2, "gamma": 2}
        if len(numbers) != wanted.get(name) or not all(0 < x < np.inf for x in numbers):
            raise ValueError(
                f"'{text}' is no prior on N: write 1/N, uniform:MOST, lognormal:MEDIAN,P90 or "
                "gamma:SHAPE,SCALE, with positive numbers"
            )
        if name == "lognormal" and numbers[1] <= numbers[0]:
            raise ValueError(f"'{text}': the 90th percentile must be above the median")
        return cls(name, *numbers)  # type: ignore[arg-type]

    def __str__(self) -> str:
        if self.kind == "reciprocal":
            return "1/N"
        numbers = [self.one] if self.kind == "uniform" else [self.one, self.two]
        return f"{self.kind}:{','.join(f'{x:.12g}' for x in numbers)}"

    @property
    def most(self) -> float:
        """Greatest N that is possible."""
        return self.one if self.kind == "uniform" else np.inf

    def log_density(self, N: np.ndarray) -> np.ndarray:
        """Log prior of N (positive), up to a constant; -inf where N is impossible."""
        N = np.asarray(N, dtype=float)
        if self.kind == "uniform":
            return np.where(self.one >= N, 0.0, -np.inf)
        if self.kind == "lognormal":
            sigma = np.log(self.two / self.one) / P90
            return np.asarray(-np.log(N) - 0.5 * (np.log(N / self.one) / sigma) ** 2)
        if self.kind == "gamma":
            # Madigan & York 1997, below eq. 6, with b their scale.
            shape, scale = self.one, self.two
            return np.asarray(
                N * np.log(scale) - (N + shape) * np.log1p(scale)
                + gammaln(N + shape) - gammaln(N + 1)
            )  # fmt: skip
        return np.asarray(-np.log(N))
