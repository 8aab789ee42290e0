"""Log densities of a model's parts at many draws at once, in numpy: nothing is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.compile.mode import Mode
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import ancestors

__all__ = ["Parts", "evaluate", "free_draws", "has_parents"]

Tensor = Any  # pytensor has no type stubs


class Parts(NamedTuple):
    """A model at draws of its random variables.

    Attributes
    ----------
    densities
        Log density of each random variable on its natural scale (no Jacobian), (sample, ...).
    potentials
        Each other term of the log density, (sample,).
    wanted
        Deterministic variables that were asked for, (sample, ...).
    """

    densities: dict[str, np.ndarray]
    potentials: dict[str, np.ndarray]
    wanted: dict[str, np.ndarray]

    @property
    def joint(self) -> np.ndarray:
        """Log density of everything, (sample,)."""
        terms = [*self.densities.values(), *self.potentials.values()]
        return np.asarray(sum(x.reshape(len(x), -1).sum(1) for x in terms))


def free_draws(model: pm.Model, posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Draws of a model's random variables, chains joined, (sample, ...)."""
    found = {}
    for variable in model.free_RVs:
        x = posterior[variable.name].to_numpy()
        found[variable.name] = x.reshape(-1, *x.shape[2:])
    return found


def evaluate(
    model: pm.Model,
    values: Mapping[str, np.ndarray],
    free: Mapping[str, np.ndarray],
    wanted: Sequence[str] = (),
) -> Parts:
    """Evaluate a model at draws.

    Parameters
    ----------
    values
        Of its data variables.
    free
        Draws of its random variables on their natural scale, (sample, ...).
    wanted
        Names of deterministic variables to compute too.
    """
    random = model.free_RVs
    draws = {rv: np.asarray(free[rv.name], dtype=float) for rv in random}
    batched = {
        rv: pt.tensor(f"{rv.name}_draws", shape=x.shape, dtype="float64") for rv, x in draws.items()
    }
    # The density of a variable is taken at a stand-in, as its own draws also stand for it
    # wherever it is a parent of others.
    at = {rv: rv.type(f"{rv.name}_at") for rv in random}
    known = {model[name]: pt.constant(np.asarray(x)) for name, x in values.items()}
    outputs = [
        *(pm.logp(rv, at[rv]) for rv in random),
        *model.potentials,
        *(model[name] for name in wanted),
    ]
    replaced = batched | known | {at[rv]: batched[rv] for rv in random}
    with pytensor.config.change_flags(cxx=""):
        compute = pytensor.function(
            list(batched.values()),
            vectorize_graph(outputs, replaced),
            mode=Mode("py", None),
            on_unused_input="ignore",
        )
        found = [np.asarray(x) for x in compute(*draws.values())]
    size = len(next(iter(draws.values())))
    names = [x.name for x in model.potentials]
    other = found[len(random) : len(random) + len(names)]
    return Parts(
        {rv.name: x for rv, x in zip(random, found, strict=False)},
        {name: _by_draw(x, size) for name, x in zip(names, other, strict=True)},
        dict(zip(wanted, found[len(random) + len(names) :], strict=True)),
    )


def _by_draw(x: np.ndarray, size: int) -> np.ndarray:
    """The sum of a term for each draw; a constant one is the same for all."""
    return x.reshape(size, -1).sum(1) if x.ndim else np.full(size, float(x))


def has_parents(model: pm.Model) -> frozenset[str]:
    """Names of random variables whose prior depends on other random variables."""
    random = set(model.free_RVs)
    return frozenset(
        rv.name for rv in model.free_RVs if random & (set(ancestors(rv.owner.inputs)) - {rv})
    )
