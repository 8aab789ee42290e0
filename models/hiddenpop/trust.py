"""Everything a sceptical reader asks of a finished result, kept beside it as it comes.

The checks of a result stand in its folder `trust`, one CSV each, written after every step: a run
that was stopped goes on where it was. When all are done the page `trust.html` joins the report.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from hiddenpop.errors import ResultError
from hiddenpop.estimate import Estimate, build
from hiddenpop.family_fits import FamilyFits
from hiddenpop.finished import Finished, load_finished
from hiddenpop.inference import Sampler
from hiddenpop.results import as_json, write_text
from hiddenpop.trust_parts import Bench, Fits, Frame, Part, parts_of, read_table

__all__ = ["Trust", "trust"]

FOLDER, STATE = "trust", "state.json"


@dataclass(frozen=True)
class Trust:
    """The checks of a result.

    Attributes
    ----------
    parts
        Table of each check by its name, in the order in which they are read.
    level
        Of all intervals.
    """

    finished: Finished
    fits: Fits
    parts: dict[str, Frame]
    threshold: float | None
    level: float = 0.95


def trust(
    result: Path | Finished,
    *,
    threshold: float | None = None,
    only: Collection[str] = (),
    anyway: bool = False,
    on_step: Callable[[str], object] = str,
) -> Trust:
    """Run every check of a finished result, or go on with those that were stopped.

    Parameters
    ----------
    result
        A result directory, or what was read of it.
    threshold
        A size for which it is said what would have to be true; default: the study's own.
    only
        Names of checks (`parts_of`); default: all.
    anyway
        Whether to check a result that failed its gates, or was made by another version.
    on_step
        Told each step before its turn.

    Raises
    ------
    ResultError
        If the folder is not a finished result, its inputs were changed, it failed its gates or
        was made by another version (and not `anyway`), a check does not exist, or nothing can
        be written.
    """
    found = load_finished(result) if isinstance(result, Path) else result
    fits = _compilable(found.fits)
    _refuse(found, fits, anyway=anyway)
    chosen = parts_of(fits)
    if unknown := set(only) - set(chosen):
        raise ResultError(
            f"There is no check '{min(unknown)}' of this result: use {', '.join(chosen)}."
        )
    if threshold is None and isinstance(fits, FamilyFits):
        threshold = fits.study.threshold
    place = _begin(found, threshold)
    made = {}
    for name, part in chosen.items():
        if only and name not in only:
            continue
        made[name] = _run(name, part, fits, place, threshold, on_step)
    return Trust(found, fits, made, threshold)


def _compilable(fits: Fits) -> Fits:
    """With one sampler for all checks, compiled by the first that needs it."""
    if isinstance(fits, Estimate) and fits.sampler is None:
        return replace(fits, sampler=Sampler(build(fits.data)))
    return fits


def _refuse(found: Finished, fits: Fits, *, anyway: bool) -> None:
    """Raise where the checks would be about something else than the result."""
    if changed := found.changed_inputs:
        raise ResultError(
            f"{found.folder}: {'; '.join(changed)}. Its numbers are those of other inputs, so that "
            "checks would be about another study. Run the study again."
        )
    if anyway:
        return
    passed = fits.verdict.passed if isinstance(fits, Estimate) else fits.passed
    if not passed:
        raise ResultError(
            f"{found.folder}: the fit failed its gates, so that there is nothing to trust yet. "
            "Run it with more draws; or say --anyway to check it as it is."
        )
    if changed := found.changed_versions:
        raise ResultError(
            f"{found.folder} was made by another version ({'; '.join(changed)}): refits would "
            "differ for that reason alone. Run the study again; or say --anyway."
        )


def _begin(found: Finished, threshold: float | None) -> Path:
    """The folder of the checks, emptied where it belongs to other numbers."""
    place = found.folder / FOLDER
    state = {"draws": found.run["output_sha256"].get("estimate.nc"),
             "versions": found.run["versions"],
             "threshold": None if threshold is None else float(threshold)}  # fmt: skip
    text, path = as_json(state), place / STATE
    try:
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        if known != text:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            write_text(path, text)
    except OSError as error:
        raise ResultError(f"{place} could not be written ({error}).") from error
    return place


def _run(
    name: str,
    part: Part,
    fits: Fits,
    place: Path,
    threshold: float | None,
    on_step: Callable[[str], object],
) -> Frame:
    """One check; read back where it was finished before."""
    path, finished = place / f"{name}.csv", place / f"{name}.done"
    if finished.exists() and path.exists():
        return read_table(path)

    def tell(step: str) -> None:
        on_step(f"{name}: {step}")

    bench = Bench(path, tell, threshold)
    bench.tell("begins")
    bench.keep(part(fits, bench))
    write_text(finished, "")
    return read_table(path)
