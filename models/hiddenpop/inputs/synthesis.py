"""What an evidence synthesis is about: a target, its groups and all tables, checked and frozen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from hiddenpop.inputs import periods
from hiddenpop.inputs.areas import Areas
from hiddenpop.inputs.components import Component
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
    components
        Tables of overlapping lists that are parts of the model.
    joined
        Which components count, shape (component,).
    """

    target: Target
    areas: Areas
    cells: tuple[str, ...]
    unions: dict[str, tuple[str, ...]]
    evidence: Evidence
    rates: Rates
    biases: Biases
    included: np.ndarray
    components: tuple[Component, ...] = ()
    joined: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

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

    @property
    def ids(self) -> tuple[str, ...]:
        """Rows of evidence, then components."""
        return (*self.evidence.ids, *(one.id for one in self.components))

    @property
    def used(self) -> np.ndarray:
        """Which of `ids` count in the main analysis."""
        return np.array([*self.evidence.used, *(one.use for one in self.components)], dtype=bool)

    @property
    def counted(self) -> np.ndarray:
        """Which of `ids` count here."""
        return np.concatenate([self.included, self.joined]).astype(bool)

    @property
    def targets(self) -> pd.DataFrame:
        """What each of `ids` is about: id, area, group, of, period, source, middle."""
        rows = self.evidence.rows
        if not self.components:
            return rows
        more = pd.DataFrame([one.target for one in self.components])
        return pd.concat([rows[list(more)], more.set_index("id", drop=False)])

    @property
    def exponents(self) -> np.ndarray:
        """Power of each rate in each of `ids`, (evidence, rate)."""
        return np.vstack([self.evidence.exponents, *(one.exponents for one in self.components)])

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources in the main analysis, in order of appearance."""
        own = [one.source for one in self.components if one.use]
        return tuple(dict.fromkeys([*self.evidence.sources, *own]))

    def including(self, ids: Iterable[str]) -> SynthesisData:
        """Return the same data with exactly these rows of evidence and components counted."""
        wanted = set(ids)
        return replace(
            self,
            included=np.array([name in wanted for name in self.evidence.ids], dtype=bool),
            joined=np.array([one.id in wanted for one in self.components], dtype=bool),
        )

    def with_population(self, changes: dict[str, float]) -> SynthesisData:
        """Return the same data with other residents in some named areas."""
        return replace(self, areas=self.areas.with_population(changes))
