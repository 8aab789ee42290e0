"""Result directories: written whole or not at all, and what stands in them."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop.errors import ResultError
from hiddenpop.estimate import Estimate
from hiddenpop.files import whole
from hiddenpop.studies import copy_files

__all__ = [
    "STUDY_COPY",
    "as_json",
    "fill",
    "read_run",
    "reseal",
    "seal",
    "summary",
    "write_result",
    "write_text",
    "writing",
]

logger = logging.getLogger(__name__)

STUDY_COPY = "study"
"""Folder inside a result that holds everything the run read."""

RUN = "run.json"

RUN_KEYS = {"study": str, "seed": int, "versions": dict, "input_sha256": dict,
            "output_sha256": dict}  # fmt: skip
"""What `read_run` promises to whoever reads a result again, and of which type."""


def summary(estimate: Estimate, command: str, level: float = 0.95) -> dict[str, Any]:
    """Everything a program would want of an estimate, at full precision."""
    study, attrs = estimate.data, estimate.tree.attrs
    areas = study.data.areas
    return {
        "study": study.name,
        "title": study.title,
        "family": estimate.family,
        "quick": estimate.quick,
        "observed": None,  # a synthesis has no list of people; families with lists have
        "areas": [
            {
                "area": area,
                "group": group,
                "residents": float(areas.population[areas.index(area)]),
                "N": estimate.users(area, group, level)._asdict(),
                "prevalence_per_1000": estimate.prevalence(area, group, level)._asdict(),
            }
            for area in study.report.areas
            for group in study.report.groups
        ],
        "comparisons": [
            {
                "area": area,
                "other": other,
                "group": group,
                "probability": found.probability,
                "ratio": found.ratio._asdict(),
                "difference_per_1000": found.difference_per_1000._asdict(),
            }
            for area, other, group in study.report.compare
            for found in [estimate.compare(area, other, group, level)]
        ],
        "shares": {name: estimate.rate(name, level)._asdict() for name in study.report.shares},
        "diagnostics": {
            "passed": estimate.verdict.passed,
            "gates": [
                {"name": g.name, "found": g.found, "allowed": g.allowed, "passed": g.passed}
                for g in estimate.verdict.gates
            ],
        },
        "command": command,
        "seed": int(attrs["seed"]),
        "sampler": attrs["sampler"],
        "sampling": json.loads(attrs["sampling"]),
        "priors": json.loads(attrs["priors"]),
        "versions": json.loads(attrs["versions"]),
        "input_sha256": json.loads(attrs["input_sha256"]),
    }


def as_json(payload: object) -> str:
    """JSON text with a final newline; numbers that JSON does not know (nan, inf) are null."""
    return json.dumps(_finite(payload), indent=2, ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:  # noqa: ANN401
    """The same with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path, notice: Callable[[str], None]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path` once the block ends well.

    A block that fails leaves `path` as it was. A process that is killed leaves the
    unfinished folder, which the next run announces through `notice` and removes.

    Raises
    ------
    ResultError
        If `path` holds something that is not a result, another run is writing there, or
        the folder cannot be written.
    """
    path = path.absolute()
    partial, old = path.with_name(f"{path.name}.unfinished"), path.with_name(f"{path.name}.old")
    _refuse_foreign(path)
    _refuse_running(partial, path)
    try:
        if old.exists() and not path.exists():
            old.rename(path)  # killed between the two renames below
            notice(f"An earlier run was stopped while it replaced {path}; the old result is back.")
        shutil.rmtree(old, ignore_errors=True)  # killed right after them
        if partial.exists():
            shutil.rmtree(partial)
            notice(f"An earlier run into {path} was stopped before its end; it left no result.")
        partial.mkdir(parents=True)
        (partial / "pid").write_text(str(os.getpid()))
        yield partial
        (partial / "pid").unlink()
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise ResultError(f"{path} could not be written ({error}); nothing was changed.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_foreign(path: Path) -> None:
    """Never replace a folder that is not a result."""
    if path.exists() and (
        not path.is_dir() or (any(path.iterdir()) and not (path / RUN).is_file())
    ):
        raise ResultError(
            f"{path} exists and is not a result of hiddenpop: nothing was written, so that nothing "
            "is lost. Name another folder with --out."
        )


def _refuse_running(partial: Path, path: Path) -> None:
    """Raise if the process that writes `partial` is alive."""
    try:
        pid = int((partial / "pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return
    if pid != os.getpid():
        raise ResultError(
            f"Another run (process {pid}) is writing into {path}. Wait for it, or name another "
            "folder with --out."
        )


def write_result(
    folder: Path,
    estimate: Estimate,
    variants: pd.DataFrame | None = None,
    command: str = "",
    notice: Callable[[str], None] = logger.warning,
) -> None:
    """Write a result directory: report, tables, draws, run.json and a copy of the study.

    Parameters
    ----------
    folder
        Takes the place of an earlier result of the same name; anything else is refused.
    variants
        From `hiddenpop.vary`.
    command
        What a reader can type to get the same result.
    notice
        Told what is found of an earlier run that was stopped.

    Raises
    ------
    ResultError
        As `writing`.
    """
    with writing(folder, notice) as inside:
        fill(inside, estimate, variants, command)


def fill(folder: Path, estimate: Estimate, variants: pd.DataFrame | None, command: str) -> None:
    """Write everything into an empty folder."""
    # Figures need matplotlib, which whoever only fits or reads a result need not wait for.
    from hiddenpop.report import build_report

    study = estimate.data
    report = build_report(estimate, variants, command=command)
    (folder / "report.html").write_text(report, encoding="utf-8")
    marked = estimate.table().assign(quick=estimate.quick)
    marked.to_csv(folder / "estimates.csv", index=False)
    if variants is not None:
        marked = variants.assign(quick=estimate.quick)
        marked.to_csv(folder / "variants.csv", index=False)
    estimate.save(folder / "estimate.nc")
    copy_files(study, folder / STUDY_COPY)
    seal(folder, summary(estimate, command))


def seal(folder: Path, payload: dict[str, Any]) -> None:
    """Write `run.json` with the hashes of all other files; the last thing to be written."""
    text = as_json(payload | {"output_sha256": _hashes(folder)})
    (folder / RUN).write_text(text, encoding="utf-8")


def reseal(folder: Path) -> None:
    """Write the hashes in `run.json` anew, after files were added to a result.

    Raises
    ------
    ResultError
        If it is not a finished result, or cannot be written.
    """
    run = read_run(folder)
    run["output_sha256"] = _hashes(folder)
    write_text(folder / RUN, as_json(run))


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a result but the record itself."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in ("pid", RUN)
    }


def read_run(folder: Path) -> dict[str, Any]:
    """Read the `run.json` of a result.

    Raises
    ------
    ResultError
        If the folder is not a finished result, or its `run.json` is damaged.
    """
    if folder.with_name(f"{folder.name}.unfinished").exists() and not folder.exists():
        raise ResultError(f"The run into {folder} was stopped before its end. Run the study again.")
    try:
        found = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultError(
            f"{folder} is not a result: it has no readable {RUN} ({error}). "
            "Give the folder that `hiddenpop run --out` wrote."
        ) from error
    except ValueError as error:
        raise _damaged(folder, str(error)) from error
    if not isinstance(found, dict):
        raise _damaged(folder, "it is not an object")
    for key, kind in RUN_KEYS.items():
        if not isinstance(found.get(key), kind):
            raise _damaged(folder, f"its '{key}' is missing or of another type")
    return found


def _damaged(folder: Path, why: str) -> ResultError:
    return ResultError(f"{folder / RUN} is damaged ({why}). Run the study again.")
