"""Everything a sceptical reader asks of a finished result, kept beside it as it comes.

The checks of a result stand in its folder `trust`, one CSV each, written after every step: a run
that was stopped goes on where it was. When all are done the page `trust.html` joins the report.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop.checks.conflict import conflict_table, source_table
from hiddenpop.checks.hide_a_list import hide_a_list
from hiddenpop.checks.multiple import adjusted
from hiddenpop.checks.power_scaling import power_scaling
from hiddenpop.checks.prior_sensitivity import size_tornado, synthesis_tornado
from hiddenpop.checks.tipping import benchmark_tipping, pair_tipping, xi_tipping
from hiddenpop.errors import ResultError
from hiddenpop.estimate import Estimate
from hiddenpop.family_fits import FamilyFits
from hiddenpop.files import whole
from hiddenpop.finished import Finished, load_finished
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.results import as_json, write_text

__all__ = ["Trust", "parts_of", "trust"]

FOLDER, STATE = "trust", "state.json"

LEAST_LISTS = 3
"""Lists that hide-a-list needs: one to hide, two to estimate it from."""

Frame = pd.DataFrame
Fits = Estimate | FamilyFits
Tell = Callable[[str], None]


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


@dataclass(frozen=True)
class _Bench:
    """Where one check finds what was done before, and leaves what it does."""

    path: Path
    tell: Tell

    @property
    def done(self) -> Frame | None:
        """Rows of a run that was stopped."""
        return _read(self.path) if self.path.exists() else None

    def keep(self, frame: Frame) -> None:
        """Keep the rows so far, whole or not at all."""
        with whole(self.path) as temporary:
            frame.to_csv(temporary, index=False)


type _Part = Callable[[Fits, _Bench, float | None], Frame]


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
    fits = found.fits
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


def parts_of(fits: Fits) -> dict[str, _Part]:
    """The checks that a result can have, by name."""
    if isinstance(fits, Estimate):
        return {"conflict": _conflict, "sources": _sources, "priors": _priors, "power": _power}
    found: dict[str, _Part] = {}
    if isinstance(fits.data, OverlapTable) and len(fits.data.lists) >= LEAST_LISTS:
        found["hide-a-list"] = _hide
    if any(e.benchmarks is not None and len(e.benchmarks) > 1 for e in fits.estimates.values()):
        found["conflict"] = _benchmarks
    return found | {"priors": _size_priors, "power": _size_power, "tipping": _tipping}


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
             "versions": found.run["versions"], "threshold": threshold}  # fmt: skip
    text = as_json(state)
    try:
        known = (place / STATE).read_text(encoding="utf-8") if place.exists() else ""
        if known != text:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            write_text(place / STATE, text)
    except OSError as error:
        raise ResultError(f"{place} could not be written ({error}).") from error
    return place


def _run(
    name: str,
    part: _Part,
    fits: Fits,
    place: Path,
    threshold: float | None,
    on_step: Callable[[str], object],
) -> Frame:
    """One check; read back where it was finished before."""
    path, finished = place / f"{name}.csv", place / f"{name}.done"
    if finished.exists() and path.exists():
        return _read(path)

    def tell(step: str) -> None:
        on_step(f"{name}: {step}")

    bench = _Bench(path, tell)
    bench.tell("begins")
    bench.keep(part(fits, bench, threshold))
    write_text(finished, "")
    return _read(path)


def _read(path: Path) -> Frame:
    """A kept table, digit for digit; empty texts stay texts."""
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    texts = frame.select_dtypes(exclude=["number", "bool"]).columns
    return frame.assign(**{name: frame[name].fillna("") for name in texts})


def _of_evidence(fits: Fits) -> Estimate:
    if not isinstance(fits, Estimate):
        raise TypeError("this check is of a study of evidence")
    return fits


def _of_families(fits: Fits) -> FamilyFits:
    if isinstance(fits, Estimate):
        raise TypeError("this check is of a study of one table")
    return fits


def _conflict(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    return conflict_table(_of_evidence(fits), bench.tell, done=bench.done, on_row=bench.keep)


def _sources(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    earlier = bench.path.with_name("conflict.csv")
    rows = _read(earlier) if earlier.exists() else None
    return source_table(
        _of_evidence(fits), bench.tell, rows=rows, done=bench.done, on_row=bench.keep
    )


def _priors(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    done = bench.done
    rows: list[dict[str, Any]] = [] if done is None else done.to_dict("records")  # type: ignore[assignment]

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        bench.keep(pd.DataFrame(rows))

    return synthesis_tornado(_of_evidence(fits), done=done, on_step=bench.tell, on_row=keep)


def _size_priors(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    """Of the headline, or, where that is an average, of each family."""
    found = []
    for name, estimate in _families(fits):
        bench.tell(name)
        found.append(size_tornado(estimate).assign(family=name))
        bench.keep(pd.concat(found, ignore_index=True))
    return pd.concat(found, ignore_index=True)


def _families(fits: Fits) -> Iterator[tuple[str, Any]]:
    """Families with a posterior of their own: the headline alone, or all behind an average."""
    sizes = _of_families(fits)
    headline = sizes.headline.family
    for name, estimate in sizes.estimates.items():
        if name != COMBINED and not estimate.is_set and headline in (COMBINED, name):
            yield name, estimate


def _power(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    return power_scaling(_of_evidence(fits))


def _size_power(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    frames = [power_scaling(e).assign(family=name) for name, e in _families(fits)]
    return pd.concat(frames, ignore_index=True)


def _hide(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    """List by list, so that a stopped run goes on with the next."""
    sizes = _of_families(fits)
    table, done = sizes.data, bench.done
    if not isinstance(table, OverlapTable):
        raise TypeError("hide-a-list needs an overlap table")
    exact = [name for name, e in _families(fits) if e.distribution is not None]
    families = (*exact, COMBINED) if len(exact) > 1 else tuple(exact) or None
    found = [] if done is None else [done]
    for name in table.lists:
        if done is not None and name in set(done["list"]):
            continue
        frame = hide_a_list(
            table, families, sizes.study.options, sizes.study.sampling, bench.tell, lists=[name]
        )
        found.append(frame)
        bench.keep(pd.concat(found, ignore_index=True))
    return pd.concat(found, ignore_index=True)


def _benchmarks(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    frames = [
        adjusted(estimate.benchmarks).assign(family=name)
        for name, estimate in _of_families(fits).estimates.items()
        if estimate.benchmarks is not None and len(estimate.benchmarks) > 1
    ]
    return pd.concat(frames, ignore_index=True)


def _tipping(fits: Fits, bench: _Bench, threshold: float | None) -> Frame:  # noqa: ARG001
    """Tipping points for the threshold, or for the ends of the headline's interval."""
    sizes = _of_families(fits)
    size = sizes.headline.N()
    wanted = [threshold] if threshold is not None else [size.low, size.high]
    frames = []
    for target in wanted:
        if target <= sizes.data.observed:
            continue
        if isinstance(sizes.data, MultiplierTable):
            frames.append(benchmark_tipping(sizes.data, target).assign(threshold=target))
            continue
        frames.append(xi_tipping(sizes, target).assign(threshold=target))
        if isinstance(sizes.data, OverlapTable):
            frames.append(pair_tipping(sizes.data, target).assign(threshold=target))
    return pd.concat(frames, ignore_index=True) if frames else Frame(columns=["threshold"])
