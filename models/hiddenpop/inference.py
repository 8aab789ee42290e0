"""Sampling, and whether it can be trusted: the only place that runs a sampler.

What users wait for is compiling, not sampling, so a model is compiled once
(`Sampler`) and sampled as often as wanted with other values of its data variables.
"""

from __future__ import annotations

import hashlib
import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pymc.model.transform.optimization import freeze_dims_and_data
from pytensor.compile.mode import Mode
from pytensor.graph.replace import vectorize_graph

from hiddenpop.inputs.study import Sampling

__all__ = ["Gate", "Sampler", "Verdict", "judge", "versions"]

PACKAGES = ("hiddenpop", "pymc", "pytensor", "nutpie", "arviz", "numpy", "pandas", "xarray")

MAX_RHAT = 1.01
MIN_ESS = 400
MIN_CHAINS = 4
MAX_TAIL = 1e-6


def versions() -> dict[str, str]:
    """Versions of everything that can change a draw, and a hash of this package's own code."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    code = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        code.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return (
        {"python": platform.python_version()}
        | {name: version(name) for name in PACKAGES}
        | {"hiddenpop code": code.hexdigest()[:16]}
    )


@contextmanager
def _compilation() -> Iterator[None]:
    """Let numba compile lightly, and so that the draws do not depend on what was cached.

    Light optimisation takes a quarter less time and is no slower at these sizes. "Fast
    math" lets the compiler reorder sums by what it happens to inline, which is another
    choice when parts come from the cache: the same seed would give other draws in a
    second process than in the first.
    """
    from numba import config

    before = config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE
    config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE = type(config.OPT)(1), 0, 0
    try:
        with pytensor.config.change_flags(numba__fastmath=False):
            yield
    finally:
        config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE = before


class Sampler:
    """A model, compiled on first use, that samples with any values of its data variables.

    Only the random variables are compiled into the sampler; deterministic ones are
    computed afterwards, for all draws at once in numpy, which costs no compiling.
    """

    def __init__(self, model: pm.Model) -> None:
        self.model = model
        self._compiled: Any = None

    def compile(self) -> None:
        """Compile now rather than at the first sampling."""
        if self._compiled is None:
            import nutpie

            # Known sizes give a smaller program; the data stay exchangeable.
            frozen = freeze_dims_and_data(self.model, data=[])
            with _compilation(), warnings.catch_warnings():
                # numba says that one small wrapper cannot be cached; nothing follows from it.
                warnings.filterwarnings("ignore", message="Cannot cache compiled function")
                names = [variable.name for variable in frozen.free_RVs]
                self._compiled = nutpie.compile_pymc_model(frozen, var_names=names)

    def sample(self, values: Mapping[str, np.ndarray], sampling: Sampling) -> xr.DataTree:
        """Draw from the posterior given `values` of the data variables.

        Returns
        -------
        xarray.DataTree
            Groups `posterior` (random and deterministic variables), `sample_stats` and
            `constant_data` (`values`). The same values and sampling give the same draws,
            whatever the number of cores.

        Raises
        ------
        ValueError
            If the values have another shape than those the model was built from.
        """
        import nutpie

        self._check_shapes(values)
        self.compile()
        drawn = nutpie.sample(
            self._compiled.with_data(**values),
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            seed=sampling.seed,
            target_accept=sampling.target_accept,
            adaptation="low_rank",
            progress_bar=False,
        )
        names = [variable.name for variable in self.model.free_RVs]
        posterior = drawn["posterior"].to_dataset()[names]
        kept = ["diverging", "maxdepth_reached", "depth", "n_steps", "energy", "logp",
                "mean_tree_accept", "step_size"]  # fmt: skip
        dims = self.model.named_vars_to_dims
        constants = {name: (tuple(dims[name]), np.asarray(x)) for name, x in values.items()}
        return xr.DataTree.from_dict(
            {
                "posterior": self.complete(posterior, values),
                "sample_stats": drawn["sample_stats"].to_dataset()[kept],
                "constant_data": xr.Dataset(constants),
            }
        )

    def _check_shapes(self, values: Mapping[str, np.ndarray]) -> None:
        """Compiled code trusts the shapes it was made for, and would read other memory."""
        for name, x in values.items():
            built = self.model[name].get_value(borrow=True).shape
            if np.shape(x) != built:
                raise ValueError(
                    f"{name} has shape {np.shape(x)}, but the model was built for {built}: "
                    "build another model for data of another shape"
                )

    def prior(self, values: Mapping[str, np.ndarray], draws: int, seed: int) -> xr.Dataset:
        """Draw from the prior: one chain of `draws`, all variables."""
        with pytensor.config.change_flags(cxx=""):
            drawn = pm.draw(
                self.model.free_RVs, draws=draws, random_seed=seed, mode=Mode("py", None)
            )
        dims = self.model.named_vars_to_dims
        variables = {
            rv.name: (("chain", "draw", *dims.get(rv.name, ())), np.asarray(x)[None])
            for rv, x in zip(self.model.free_RVs, drawn, strict=True)
        }
        return self.complete(xr.Dataset(variables), values)

    def complete(self, drawn: xr.Dataset, values: Mapping[str, np.ndarray]) -> xr.Dataset:
        """Add the deterministic variables to draws (chain, draw, ...) of the random ones."""
        random = self.model.free_RVs
        flat = [drawn[rv.name].to_numpy() for rv in random]
        chains, draws = flat[0].shape[:2]
        flat = [x.reshape(chains * draws, *x.shape[2:]) for x in flat]
        batched = {
            rv: pt.tensor(f"{rv.name}_draws", shape=x.shape, dtype="float64")
            for rv, x in zip(random, flat, strict=True)
        }
        constants = {self.model[name]: pt.constant(np.asarray(x)) for name, x in values.items()}
        outputs = vectorize_graph(self.model.deterministics, batched | constants)
        # numpy itself is fast enough on thousands of draws at once; no compiler is asked.
        with pytensor.config.change_flags(cxx=""):
            compute = pytensor.function(
                list(batched.values()), outputs, mode=Mode("py", None), on_unused_input="ignore"
            )
            found = compute(*flat)
        dims = self.model.named_vars_to_dims
        coords = {
            name: list(labels) for name, labels in self.model.coords.items() if labels is not None
        }
        made = {
            variable.name: (
                ("chain", "draw", *dims.get(variable.name, ())),
                np.asarray(x).reshape(chains, draws, *np.asarray(x).shape[1:]),
            )
            for variable, x in zip(self.model.deterministics, found, strict=True)
        }
        plain = {
            rv.name: (("chain", "draw", *dims.get(rv.name, ())), drawn[rv.name].to_numpy())
            for rv in random
        }
        variables = plain | made
        needed = {dim for dim_names, _ in variables.values() for dim in dim_names}
        return xr.Dataset(
            variables,
            coords={"chain": np.arange(chains), "draw": np.arange(draws)}
            | {name: labels for name, labels in coords.items() if name in needed},
        )


@dataclass(frozen=True)
class Gate:
    """One demand on a sampled fit: what was found, what is allowed."""

    name: str
    found: float
    allowed: str
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """All gates of a fit; a fit is never called good, only not found wanting."""

    gates: tuple[Gate, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(gate.passed for gate in self.gates)

    def __str__(self) -> str:
        failed = [f"{gate.name} is {gate.found:.4g}, allowed {gate.allowed}"
                  for gate in self.gates if not gate.passed]  # fmt: skip
        return "all gates passed" if not failed else "; ".join(failed)


def judge(tree: xr.DataTree) -> Verdict:
    """Hold a fit to the gates.

    Sampled: R-hat (rank-normalised, split) at most 1.01 and bulk and tail effective sample
    size at least 400 for every variable, at least 4 chains, no divergent transition, no
    trajectory cut at the largest tree depth. Source: Vehtari et al. 2021 (Bayesian
    Analysis 16:667), sections 4 and 6.

    Computed (group `distribution` or `set`): where the posterior was computed on a grid, less
    than 1e-6 of it beyond the grid; where by importance sampling, an effective sample size of
    at least 400.
    """
    if "distribution" in tree or "set" in tree:
        return Verdict(tuple(_computed_gates(tree.attrs)))
    return Verdict((*_chain_gates(tree["posterior"].to_dataset()), *_path_gates(tree)))


def _computed_gates(attrs: Mapping[Any, Any]) -> Iterator[Gate]:
    """Gates of a posterior that was computed; none where it is a closed form."""
    if "tail" in attrs:
        tail = float(attrs["tail"])
        yield Gate("posterior beyond the grid", tail, f"at most {MAX_TAIL:g}", tail <= MAX_TAIL)
    if "importance_ess" in attrs:
        ess = float(attrs["importance_ess"])
        yield Gate("effective sample size", ess, f"at least {MIN_ESS}", ess >= MIN_ESS)


def _chain_gates(posterior: xr.Dataset) -> Iterator[Gate]:
    """Gates that need nothing but the chains."""
    chains = posterior.sizes["chain"]
    varying = _varying(posterior)
    rhat = float(_flat(az.rhat(varying)).max()) if chains > 1 else float("inf")
    bulk = float(_flat(az.ess(varying, method="bulk")).min())
    tail = float(_flat(az.ess(varying, method="tail")).min())
    yield Gate("R-hat", rhat, f"at most {MAX_RHAT}", rhat <= MAX_RHAT)
    yield Gate("bulk effective sample size", bulk, f"at least {MIN_ESS}", bulk >= MIN_ESS)
    yield Gate("tail effective sample size", tail, f"at least {MIN_ESS}", tail >= MIN_ESS)
    yield Gate("chains", chains, f"at least {MIN_CHAINS}", chains >= MIN_CHAINS)


def _path_gates(tree: xr.DataTree) -> Iterator[Gate]:
    """Gates of Hamiltonian trajectories; none for a sampler that has no trajectories."""
    if "sample_stats" in tree:
        divergent = int(tree["sample_stats"]["diverging"].sum())
        cut = int(tree["sample_stats"]["maxdepth_reached"].sum())
        yield Gate("divergent transitions", divergent, "none", divergent == 0)
        yield Gate("trajectories cut short", cut, "none", cut == 0)


def _varying(posterior: xr.Dataset) -> xr.Dataset:
    """Drop what does not vary (known residents, biases fixed at 1): it has no R-hat."""
    kept = {}
    for name, x in posterior.data_vars.items():
        draws = x.to_numpy().reshape(*x.shape[:2], -1)
        varies = np.ptp(draws, axis=(0, 1)) > 0
        if varies.any():
            kept[str(name)] = (("chain", "draw", f"{name}_element"), draws[..., varies])
    return xr.Dataset(kept)


def _flat(values: xr.Dataset) -> np.ndarray:
    """All values of all variables in one array."""
    return np.concatenate([x.to_numpy().ravel() for x in values.data_vars.values()])
