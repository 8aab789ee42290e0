"""Where a study's files are; its tables must lie inside its own folder."""

from __future__ import annotations

import errno
from pathlib import Path, PurePosixPath, PureWindowsPath

from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.toml import Section

__all__ = ["STUDY_FILE", "TABLES", "find_study", "path_fault", "table_paths"]

STUDY_FILE = "study.toml"
TABLES = ("areas", "evidence", "rates", "biases")


def find_study(path: Path, faults: Faults) -> Path | None:
    """The `study.toml` of a folder, or of a path to it; None after recording a fault."""
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError:  # a name too long to be one, say
        is_folder = exists = False
    if is_folder:
        file = path / STUDY_FILE
        if not file.exists():
            faults.report("study-toml-missing", {"folder": str(path)}, file=STUDY_FILE)
            return None
        return file
    if not exists:
        faults.report("study-missing", {"path": str(path)}, file=path.name)
        return None
    if path.suffix != ".toml":
        faults.report("study-not-toml", {"path": str(path)}, file=path.name)
        return None
    return path


def table_paths(section: Section, folder: Path) -> dict[str, Path]:
    """Paths of the tables by name, without those that have faults.

    A study is its folder: a copy of the folder must be the whole study, and a study that
    somebody sends must not read other files.
    """
    paths: dict[str, Path] = {}
    for table in TABLES:
        name = section.text(table)
        if not name:
            continue
        path = folder / name
        if code := path_fault(name, path, folder):
            section.fault(code, table, name=name)
        elif path in paths.values():
            section.fault("path-twice", table, name=name)
        else:
            paths[table] = path
    section.done()
    return paths


def path_fault(name: str, path: Path, folder: Path) -> str:
    """Code of what is wrong with the path of a table, "" if nothing is."""
    if not name.isprintable():
        return "path-form"
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
        return "path-absolute"
    if ".." in PurePosixPath(name).parts:
        return "path-outside"
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "path-loop"
    return "" if path.resolve().is_relative_to(folder.resolve()) else "path-link"
