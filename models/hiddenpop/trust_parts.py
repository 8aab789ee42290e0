"""The checks that a result can have: each reads the fits, and leaves its table at its bench."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop.checks.comparison.cell_draws import predicts_cells
from hiddenpop.checks.comparison.families import families_table
from hiddenpop.checks.comparison.leave_one_out import leave_one_out
from hiddenpop.checks.comparison.left_out_people import leave_people_out
from hiddenpop.checks.comparison.predictive_cells import predictive_table
from hiddenpop.checks.conflict.table import conflict_table, source_table
from hiddenpop.checks.hidden_lists.hide_a_list import hide_a_list
from hiddenpop.checks.multiple import adjusted
from hiddenpop.checks.next_data.table import next_data
from hiddenpop.checks.priors.power_scaling import power_scaling
from hiddenpop.checks.priors.sensitivity import size_tornado, synthesis_tornado
from hiddenpop.checks.tipping.evidence import synthesis_tipping
from hiddenpop.checks.tipping.tables import benchmark_tipping, pair_tipping, xi_tipping
from hiddenpop.estimate import Estimate
from hiddenpop.family_fits import FamilyFits
from hiddenpop.files import whole
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.size_study import COMBINED

__all__ = ["Bench", "Fits", "Frame", "Part", "parts_of", "read_table"]

LEAST_LISTS = 3
"""Lists that hide-a-list needs: one to hide, two to estimate it from."""

Frame = pd.DataFrame
Fits = Estimate | FamilyFits


@dataclass(frozen=True)
class Bench:
    """Where one check finds what was done before, and leaves what it does."""

    path: Path
    tell: Callable[[str], None]
    threshold: float | None = None

    @property
    def done(self) -> Frame | None:
        """Rows of a run that was stopped."""
        return read_table(self.path) if self.path.exists() else None

    def other(self, name: str) -> Frame | None:
        """Rows of another check, if it was run."""
        path = self.path.with_name(f"{name}.csv")
        return read_table(path) if path.exists() else None

    def keep(self, frame: Frame) -> None:
        """Keep the rows so far, whole or not at all."""
        with whole(self.path) as temporary:
            frame.to_csv(temporary, index=False)


type Part = Callable[[Fits, Bench], Frame]


def parts_of(fits: Fits) -> dict[str, Part]:
    """The checks that a result can have, by name."""
    if isinstance(fits, Estimate):
        return {"conflict": _conflict, "sources": _sources, "priors": _priors, "power": _power,
                "tipping": _evidence_tipping, "next-data": _next_data,
                "leave-one-out": _rows_left_out}  # fmt: skip
    found: dict[str, Part] = {}
    if isinstance(fits.data, OverlapTable) and len(fits.data.lists) >= LEAST_LISTS:
        found["hide-a-list"] = _hide
    if any(e.benchmarks is not None and len(e.benchmarks) > 1 for e in fits.estimates.values()):
        found["conflict"] = _benchmarks
    found |= {"priors": _size_priors, "power": _size_power, "tipping": _tipping}
    return found | {"next-data": _next_data} | _comparison(fits)


def _comparison(fits: FamilyFits) -> dict[str, Part]:
    """Comparison of families: how they predict cells, where they do, and what they say of N."""
    own = [e for name, e in fits.estimates.items() if name != COMBINED]
    found: dict[str, Part] = {}
    if any(predicts_cells(estimate) for estimate in own):
        found = {"leave-one-out": _people_left_out, "fit": _cells_predicted}
    return found | ({"families": _compared} if len(own) > 1 else {})


def read_table(path: Path) -> Frame:
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


def _conflict(fits: Fits, bench: Bench) -> Frame:
    return conflict_table(_of_evidence(fits), bench.tell, done=bench.done, on_row=bench.keep)


def _sources(fits: Fits, bench: Bench) -> Frame:
    return source_table(
        _of_evidence(fits), bench.tell, rows=bench.other("conflict"), done=bench.done,
        on_row=bench.keep,
    )  # fmt: skip


def _priors(fits: Fits, bench: Bench) -> Frame:
    done = bench.done
    rows: list[dict[str, Any]] = [] if done is None else done.to_dict("records")  # type: ignore[assignment]

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        bench.keep(pd.DataFrame(rows))

    return synthesis_tornado(_of_evidence(fits), done=done, on_step=bench.tell, on_row=keep)


def _size_priors(fits: Fits, bench: Bench) -> Frame:
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


def _next_data(fits: Fits, bench: Bench) -> Frame:
    return next_data(fits, on_step=bench.tell)


def _power(fits: Fits, bench: Bench) -> Frame:  # noqa: ARG001
    return power_scaling(_of_evidence(fits))


def _size_power(fits: Fits, bench: Bench) -> Frame:  # noqa: ARG001
    frames = [power_scaling(e).assign(family=name) for name, e in _families(fits)]
    return pd.concat(frames, ignore_index=True)


def _hide(fits: Fits, bench: Bench) -> Frame:
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


def _rows_left_out(fits: Fits, bench: Bench) -> Frame:
    return leave_one_out(
        _of_evidence(fits), bench.tell, rows=bench.other("conflict"), done=bench.done,
        on_row=bench.keep,
    )  # fmt: skip


def _people_left_out(fits: Fits, bench: Bench) -> Frame:
    return leave_people_out(_of_families(fits), bench.tell, done=bench.done, on_row=bench.keep)


def _cells_predicted(fits: Fits, bench: Bench) -> Frame:
    return predictive_table(_of_families(fits), bench.tell, done=bench.done, on_row=bench.keep)


def _compared(fits: Fits, bench: Bench) -> Frame:
    """With the scores of people left out, where families have them."""
    sizes = _of_families(fits)
    earlier, done = (bench.path.with_name(f"leave-one-out.{end}") for end in ("csv", "done"))
    if done.exists():
        return families_table(sizes, read_table(earlier))
    scored = any(predicts_cells(estimate) for estimate in sizes.estimates.values())
    return families_table(sizes, leave_people_out(sizes, bench.tell) if scored else None)


def _benchmarks(fits: Fits, bench: Bench) -> Frame:  # noqa: ARG001
    frames = [
        adjusted(estimate.benchmarks).assign(family=name)
        for name, estimate in _of_families(fits).estimates.items()
        if estimate.benchmarks is not None and len(estimate.benchmarks) > 1
    ]
    return pd.concat(frames, ignore_index=True)


def _evidence_tipping(fits: Fits, bench: Bench) -> Frame:
    """Tipping points for the threshold, or for the ends of the headline's interval."""
    estimate = _of_evidence(fits)
    size = estimate.users(estimate.data.report.areas[0], estimate.data.report.headline)
    wanted = [size.low, size.high] if bench.threshold is None else [bench.threshold]
    return synthesis_tipping(estimate, wanted, bench.tell, done=bench.done, on_row=bench.keep)


def _tipping(fits: Fits, bench: Bench) -> Frame:
    """Tipping points for the threshold, or for the ends of the headline's interval."""
    sizes = _of_families(fits)
    size = sizes.headline.N()
    wanted = [size.low, size.high] if bench.threshold is None else [bench.threshold]
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
