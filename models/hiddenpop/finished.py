"""Reading a finished result back, and seeing what is no longer as it was at the run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hiddenpop.errors import InputError, ResultError
from hiddenpop.estimate import Estimate
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inference import versions
from hiddenpop.inputs.size_study import SizeStudy
from hiddenpop.inputs.study import Study
from hiddenpop.results import STUDY_COPY, read_run
from hiddenpop.size_results import load_trees
from hiddenpop.studies import load_any, shipped_studies

__all__ = ["Finished", "load_finished"]


@dataclass(frozen=True)
class Finished:
    """A result directory.

    Attributes
    ----------
    run
        Its `run.json`.
    study
        From the copy inside it.
    """

    folder: Path
    run: dict[str, Any]
    study: Study | SizeStudy

    @cached_property
    def fits(self) -> Estimate | FamilyFits:
        """The posteriors of the run, read once.

        Raises
        ------
        ResultError
            If they are missing or damaged.
        """
        if isinstance(self.study, SizeStudy):
            return FamilyFits(self.study, load_trees(self.folder, self.study), {})
        # The draws belong to the inputs of the run, whatever has become of the copy since.
        return Estimate.load(self.folder / "estimate.nc", self.study, self.run["input_sha256"])

    @property
    def changed_inputs(self) -> list[str]:
        """Inputs inside the result that were changed after the run, in words."""
        return [
            f"{STUDY_COPY}/{name} was changed after the run"
            for name, digest in self.run["input_sha256"].items()
            if self.study.sha256.get(name) != digest
        ]

    @property
    def changed_outputs(self) -> list[str]:
        """Files of the result that were changed or lost after the run, in words."""
        found = []
        for name, digest in self.run["output_sha256"].items():
            path = self.folder / name
            if not path.exists():
                found.append(f"{name} is missing from the result")
            elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                found.append(f"{name} was changed after the run")
        return found

    @property
    def changed_study(self) -> list[str]:
        """Whether the shipped study of this name is another one now, in words."""
        shipped = shipped_studies().get(self.run["study"])
        if shipped is None:
            return []
        try:
            current = load_any(shipped).sha256
        except InputError:
            current = {}
        if current == self.run["input_sha256"]:
            return []
        return [f"the shipped study '{self.run['study']}' is no longer the one that was run"]

    @property
    def changed_versions(self) -> list[str]:
        """Packages whose version is another one than at the run, in words."""
        now = versions()
        return [
            f"{name} was {then} at the run and is {now.get(name, 'missing')} now"
            for name, then in self.run["versions"].items()
            if now.get(name) != then
        ]


def load_finished(folder: Path) -> Finished:
    """Read the record and the study of a result.

    Raises
    ------
    ResultError
        If the folder is not a finished result, or has lost its study.
    InputError
        If the study kept in it is no longer usable.
    """
    run = read_run(folder)
    if not (folder / STUDY_COPY).is_dir():
        raise ResultError(
            f"{folder}: the result has lost its {STUDY_COPY} folder; run the study again."
        )
    return Finished(folder, run, load_any(folder / STUDY_COPY))
