"""Rerunning a result: identical, within Monte Carlo error, or different, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import arviz as az
import numpy as np

from hiddenpop.estimate import fit
from hiddenpop.family_fits import FamilyFits, fit_families
from hiddenpop.finished import load_finished
from hiddenpop.inputs.study import Sampling
from hiddenpop.size import SizeEstimate

__all__ = ["Replay", "replay"]

ERRORS_ALLOWED = 4.0
"""Two medians agree within this many Monte Carlo standard errors of their difference."""


@dataclass(frozen=True)
class Replay:
    """Outcome of a rerun.

    Attributes
    ----------
    outcome
        `identical` (draw for draw), `within Monte Carlo error`, or `different`.
    largest
        Largest difference of a median, in Monte Carlo standard errors.
    reasons
        What is not as it was: data, priors, seed, versions, code, or files of the result.
    """

    outcome: Literal["identical", "within Monte Carlo error", "different"]
    largest: float
    reasons: tuple[str, ...]


def replay(folder: Path) -> Replay:
    """Rerun a result from the study kept in it, with its seed and sampling.

    Raises
    ------
    ResultError
        If the folder is not a finished result, has lost its study, or its draws cannot be read.
    InputError
        If the study kept in it is no longer usable.
    """
    found = load_finished(folder)
    reasons = found.changed_inputs + found.changed_outputs
    reasons = (reasons or found.changed_study) + found.changed_versions
    before = found.fits
    if isinstance(before, FamilyFits):
        return _replay_sizes(before, int(found.run["seed"]), reasons)
    drawn = int(before.tree.attrs["seed"])
    if found.run["seed"] != drawn:
        reasons.append(f"run.json says seed {found.run['seed']}, the draws were made with {drawn}")
    again = fit(before.data, sampling=before.sampling, quick=before.quick, check=False)
    if again.tree.attrs["priors"] != before.tree.attrs["priors"]:
        reasons.append("the priors are other ones")
    old, new = before.tree["posterior"], again.tree["posterior"]
    same_shape = old["users"].shape == new["users"].shape
    if same_shape and all(np.array_equal(old[str(name)], new[str(name)]) for name in new.data_vars):
        return Replay("identical", 0.0, tuple(reasons))
    one, two = before.table(), again.table()
    gap = np.abs(one["median"] - two["median"]) / np.hypot(one["mcse"], two["mcse"])
    largest = float(gap.max()) if len(one) == len(two) else float("inf")
    return _judged(largest, reasons)


def _judged(largest: float, reasons: list[str]) -> Replay:
    """Outcome of a rerun whose draws are not the same."""
    within = largest <= ERRORS_ALLOWED
    return Replay("within Monte Carlo error" if within else "different", largest, tuple(reasons))


def _replay_sizes(fits: FamilyFits, seed: int, reasons: list[str]) -> Replay:
    """Rerun every family of a study of one table."""
    study, before = fits.study, fits.estimates
    sampling = Sampling(**json.loads(next(iter(before.values())).tree.attrs["sampling"]))
    if seed != sampling.seed:
        reasons.append(f"run.json says seed {seed}, the draws were made with {sampling.seed}")
    after = fit_families(study, sampling=sampling).estimates
    if before.keys() != after.keys():
        return Replay("different", float("inf"), (*reasons, "the families are other ones"))
    if any(before[name].tree.attrs["priors"] != after[name].tree.attrs["priors"] for name in after):
        reasons.append("the priors are other ones")
    gaps = [_gap(before[name], after[name]) for name in after]
    if not any(gaps):
        return Replay("identical", 0.0, tuple(reasons))
    return _judged(max(gaps), reasons)


def _gap(one: SizeEstimate, two: SizeEstimate) -> float:
    """Difference of two medians of N in Monte Carlo errors; 0 only where all draws are equal."""
    if one.is_set:
        # A set has no mean, and nan is not equal to itself.
        ends = [(s.low, s.median, s.high) for s in (one.N(), two.N())]
        return 0.0 if ends[0] == ends[1] else float("inf")
    first, second = one.tree["posterior"]["N"], two.tree["posterior"]["N"]
    if first.shape == second.shape and np.array_equal(first, second):
        return 0.0
    shape = (one.tree["posterior"].sizes["chain"], -1)
    first_error, second_error = (
        float(az.mcse(e.draws().reshape(shape), method="median")) for e in (one, two)
    )
    difference = abs(one.N().median - two.N().median)
    tiny = float(np.finfo(float).tiny)
    return max(tiny, float(difference / np.hypot(first_error, second_error)))
