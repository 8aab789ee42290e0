"""What an evidence synthesis is about: a target, its groups and all tables, checked and frozen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hiddenpop.inputs import periods
from hiddenpop.inputs.areas import Areas
from hiddenpop.inputs.evidence import Evidence
from hiddenpop.inputs.rates import Biases, Rates

__all__ = ["SynthesisData", "Target"]


@dataclass(frozen=True)
class Target:
    """The population to be sized, apart from its areas.

    Attributes
    ----------
    behaviour
        What its members do, in words.
    ages
        As written in the tables, such as "15-64".
    period
        The reference period; evidence from other years drifts away from it.
    """

    behaviour: str
    ages: str
    period: str

    @property
    def middle(self) -> float:
        """Middle of the reference period in decimal years."""
        return periods.middle(self.period)


@dataclass(frozen=True)
class SynthesisData:
    """Everything `families.synthesis` needs but the priors on its own parameters.

    Attributes
    ----------
    cells
        Disjoint groups of users.
    unions
        Named unions of cells.
    included
        Which rows of the evidence count, shape (evidence,).
    """

    target: Target
    areas: Areas
    cells: tuple[str, ...]
    unions: dict[str, tuple[str, ...]]
    evidence: Evidence
    rates: Rates
    biases: Biases
    included: np.ndarray

    @property
    def groups(self) -> tuple[str, ...]:
        """Unions first, then the cells that are not themselves a union of the same name."""
        return tuple(dict.fromkeys((*self.unions, *self.cells)))

    @property
    def membership(self) -> np.ndarray:
        """True where a cell (column) belongs to a group (row), shape (group, cell)."""
        return np.array(
            [[cell in self.unions.get(group, (group,)) for cell in self.cells]
             for group in self.groups]
        )  # fmt: skip

    def including(self, ids: Iterable[str]) -> SynthesisData:
        """Return the same data with exactly these rows of evidence counted."""
        wanted = set(ids)
        return replace(
            self, included=np.array([name in wanted for name in self.evidence.ids], dtype=bool)
        )

    def with_population(self, changes: dict[str, float]) -> SynthesisData:
        """Return the same data with other residents in some named areas."""
        return replace(self, areas=self.areas.with_population(changes))
