"""Overlap tables and margins inside the evidence synthesis: likelihoods, data, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt

from hiddenpop.families import loglinear_component
from hiddenpop.families.loglinear import Priors
from hiddenpop.inputs.components import Component
from hiddenpop.inputs.faults import Fault, Faults

__all__ = [
    "component_coords",
    "component_faults",
    "component_log_likelihoods",
    "component_values",
]

Tensor = Any  # pytensor has no type stubs


def _priors(one: Component) -> Priors:
    return Priors(**one.dependence)


def component_log_likelihoods(
    components: Sequence[Component], log_sizes: Tensor, weights: Tensor
) -> Tensor:
    """Log likelihood of each table, (component,), in the PyMC model at hand.

    Parameters
    ----------
    log_sizes
        Log of the N that each table speaks of, (component,).
    weights
        1 where the likelihood counts, 0 where it does not, (component,).
    """
    return pt.stack(
        [loglinear_component.component(one.table, _priors(one), log_sizes[i], weights[i], one.id)
         for i, one in enumerate(components)]
    )  # fmt: skip


def component_coords(components: Sequence[Component]) -> dict[str, Any]:
    """Coordinates of the components' own dimensions."""
    return {
        name: labels
        for one in components
        for name, labels in loglinear_component.coords(one.table, _priors(one), one.id).items()
    }


def component_values(components: Sequence[Component]) -> dict[str, np.ndarray]:
    """Data variables of the components."""
    return {
        name: x
        for one in components
        for name, x in loglinear_component.values(one.table, _priors(one), one.id).items()
    }


def component_faults(components: Sequence[Component], file: str) -> list[Fault]:
    """Why tables cannot be part of the model; none where they can."""
    faults = Faults()
    for one in components:
        found = loglinear_component.refusal(one.table, _priors(one))
        if found is not None:
            values = {"family": "loglinear", **found.values}
            faults.report(found.code, values, file=file, column=f"components.{one.id}")
    return faults.found
