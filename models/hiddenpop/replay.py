"""Rerunning a result: identical, within Monte Carlo error, or different, and why."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hiddenpop.errors import InputError, ResultError
from hiddenpop.estimate import Estimate, fit
from hiddenpop.inference import versions
from hiddenpop.inputs.study import Study
from hiddenpop.results import STUDY_COPY, read_run
from hiddenpop.studies import load_study, shipped_studies

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
    study = load_study(folder / STUDY_COPY)
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
    if largest <= ERRORS_ALLOWED:
        return Replay("within Monte Carlo error", largest, tuple(reasons))
    return Replay("different", largest, tuple(reasons))


def _changes(folder: Path, run: dict[str, Any], study: Study) -> list[str]:
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
            current = load_study(shipped).sha256
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
