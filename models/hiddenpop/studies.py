"""Finding studies: shipped with the package, or a folder of the user's."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

from hiddenpop.errors import InputError, ResultError
from hiddenpop.families import FAMILIES
from hiddenpop.families.synthesis_components import component_faults
from hiddenpop.family_fits import check_options, chosen_families
from hiddenpop.inputs.faults import Fault
from hiddenpop.inputs.paths import STUDY_FILE
from hiddenpop.inputs.size_study import SizeStudy
from hiddenpop.inputs.study import STUDY_NAME, Study, read_study

__all__ = [
    "copy_files",
    "copy_study",
    "find_study",
    "load_any",
    "load_size_study",
    "load_study",
    "shipped_studies",
]


def shipped_studies() -> dict[str, Path]:
    """Folders of the studies that come with the package, by name."""
    root = Path(str(resources.files("hiddenpop_data"))) / "studies"
    return {path.parent.name: path.parent for path in sorted(root.glob("*/study.toml"))}


def find_study(name: str | Path) -> Path:
    """Folder or `study.toml` that a name or path stands for.

    A path that exists wins over a shipped study of the same name.

    Raises
    ------
    InputError
        If there is neither.
    """
    path = Path(name)
    if path.exists():
        return path
    shipped = shipped_studies()
    if str(name) in shipped:
        return shipped[str(name)]
    raise InputError(
        [Fault("study-unknown", f"There is no study '{name}'.",
               "It is neither a folder here nor shipped with the package.",
               f"Give a folder, a study.toml, or one of: {', '.join(shipped)}.")]
    )  # fmt: skip


def load_any(name: str | Path) -> Study | SizeStudy:
    """Load a study of either kind by the name of a shipped one, or by its folder or `study.toml`.

    Raises
    ------
    InputError
        With every fault found in any of its files.
    """
    kinds = {
        family.name: family.prior_kinds for family in FAMILIES.values() if family.data == "evidence"
    }
    sizing = [family.name for family in FAMILIES.values() if family.data != "evidence"]
    study = read_study(find_study(name), kinds, sizing)
    if isinstance(study, SizeStudy):
        check_options(study.options, chosen_families(study)[0])
    elif faults := component_faults(study.data.components, STUDY_FILE):
        raise InputError(faults)
    return study


def load_study(name: str | Path) -> Study:
    """Load a study of evidence by the name of a shipped one, or by its folder or `study.toml`.

    Raises
    ------
    InputError
        With every fault found in any of its files.
    ResultError
        If it is a study of one table (`load_size_study`).
    """
    study = load_any(name)
    if isinstance(study, SizeStudy):
        raise ResultError(f"'{study.name}' is a study of one table: use load_size_study.")
    return study


def load_size_study(name: str | Path) -> SizeStudy:
    """Load a study of lists, benchmarks or a tree, as `load_study` does those of evidence.

    Raises
    ------
    InputError
        With every fault found in any of its files.
    ResultError
        If it is a study of evidence (`load_study`).
    """
    study = load_any(name)
    if not isinstance(study, SizeStudy):
        raise ResultError(f"'{study.name}' is a study of evidence: use load_study.")
    return study


def copy_study(source: str | Path, target: Path) -> list[Path]:
    """Copy everything a study reads, and its README, into a new folder that names the copy.

    Returns the files written.

    Raises
    ------
    InputError
        If the source is not a study.
    ResultError
        If the target exists and is not an empty folder, or its name cannot name a study.
    """
    study = load_any(source)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ResultError(
            f"{target} exists already and is not an empty folder: nothing was written. "
            "Name a new folder."
        )
    if not re.fullmatch(STUDY_NAME, target.name):
        raise ResultError(
            f"'{target.name}' cannot name a study: nothing was written. The folder's name becomes "
            "the study's; use lower-case letters, digits and hyphens."
        )
    files = copy_files(study, target)
    # The copy is another study, so that its results do not take the place of the first one's.
    toml = target / files[0].name
    text = toml.read_text(encoding="utf-8")
    toml.write_text(
        re.sub(r'(?m)^name = ".*"', f'name = "{target.name}"', text, count=1), encoding="utf-8"
    )
    readme = study.folder / "README.md"
    if readme.exists():
        files.append(Path(shutil.copyfile(readme, target / readme.name)))
    return files


def copy_files(study: Study | SizeStudy, target: Path) -> list[Path]:
    """Copy every file that a study read to the same place inside `target`."""
    copies = [target / name for name in study.sha256]
    for name, copy in zip(study.sha256, copies, strict=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(study, SizeStudy):
            copy.write_bytes(study.files[name])
        else:
            shutil.copyfile(study.folder / name, copy)
    return copies
