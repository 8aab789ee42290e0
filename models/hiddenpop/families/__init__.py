"""The model families, one file each, and the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from hiddenpop.families import synthesis, synthesis_simulation
from hiddenpop.inputs.study import PriorKind

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """A family as the rest of the library sees it.

    Attributes
    ----------
    summary
        One line for lists.
    module
        Holds `Priors`, `build_model` and `values`.
    simulation
        Holds `draw_truth` and `simulate`, written apart from the model.
    prior_kinds
        What `study.toml` may set, and in which form.
    """

    name: str
    summary: str
    module: ModuleType
    simulation: ModuleType
    prior_kinds: Mapping[str, PriorKind]


FAMILIES: dict[str, Family] = {
    "synthesis": Family(
        "synthesis",
        "Many numbers about nested areas and groups, with rates, biases and drift, "
        "in one joint posterior.",
        synthesis,
        synthesis_simulation,
        synthesis.PRIOR_KINDS,
    ),
}
