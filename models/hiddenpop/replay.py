"""Rerunning a result: identical, within Monte Carlo error, or different, and why."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import arviz as az
import numpy as np

from hiddenpop.errors import InputError, ResultError
from hiddenpop.estimate import Estimate, fit
from hiddenpop.family_fits import fit_families
from hiddenpop.inference import versions
from hiddenpop.inputs.size_study import SizeStudy
from hiddenpop.inputs.study import Sampling, Study
from hiddenpop.results import STUDY_COPY, read_run
from hiddenpop.size import SizeEstimate
from hiddenpop.size_results import load_trees
from hiddenpop.studies import load_any, shipped_studies

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
    run = read_run(folder)
    if not (folder / STUDY_COPY).is_dir():
        raise ResultError(
            f"{folder}: the result has lost its {STUDY_COPY} folder; run the study again."
        )
    study = load_any(folder / STUDY_COPY)
    if isinstance(study, SizeStudy):
        return _replay_recapture(folder, run, study)
    reasons = [*_changes(folder, run, study), *_version_changes(run)]
    # The draws belong to the inputs of the run, whatever has become of the copy since.
    before = Estimate.load(folder / "estimate.nc", study, run["input_sha256"])
    drawn = int(before.tree.attrs["seed"])
    if run["seed"] != drawn:
        reasons.append(f"run.json says seed {run['seed']}, the draws were made with {drawn}")
    again = fit(study, sampling=before.sampling, quick=before.quick, check=False)
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


def _replay_recapture(folder: Path, run: dict[str, Any], study: SizeStudy) -> Replay:
    """Rerun every family of a capture-recapture result."""
    reasons = [*_changes(folder, run, study), *_version_changes(run)]
    before = load_trees(folder, study)
    sampling = Sampling(**json.loads(next(iter(before.values())).tree.attrs["sampling"]))
    if run["seed"] != sampling.seed:
        reasons.append(
            f"run.json says seed {run['seed']}, the draws were made with {sampling.seed}"
        )
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
        return 0.0 if one.N() == two.N() else float("inf")
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


def _changes(folder: Path, run: dict[str, Any], study: Study | SizeStudy) -> list[str]:
    """Files of the result, or the shipped study, that are not as they were at the run."""
    found = [
        f"{STUDY_COPY}/{name} was changed after the run"
        for name, digest in run["input_sha256"].items()
        if study.sha256.get(name) != digest
    ]
    for name, digest in run["output_sha256"].items():
        path = folder / name
        if not path.exists():
            found.append(f"{name} is missing from the result")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            found.append(f"{name} was changed after the run")
    shipped = shipped_studies().get(run["study"])
    if shipped is not None and not found:
        try:
            current = load_any(shipped).sha256
        except InputError:
            current = {}
        if current != run["input_sha256"]:
            found.append(f"the shipped study '{run['study']}' is no longer the one that was run")
    return found


def _version_changes(run: dict[str, Any]) -> list[str]:
    """Packages whose version is another one than at the run."""
    now = versions()
    return [
        f"{name} was {then} at the run and is {now.get(name, 'missing')} now"
        for name, then in run["versions"].items()
        if now.get(name) != then
    ]
