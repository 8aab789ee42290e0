"""Results of capture-recapture that take the place of a published number in the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hiddenpop.inputs.evidence import Evidence
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.paths import path_fault
from hiddenpop.inputs.toml import Section

__all__ = ["PosteriorRow", "check_posteriors", "read_posteriors", "with_posteriors"]


class PosteriorRow(NamedTuple):
    """A row of evidence whose numbers come from a result.

    Attributes
    ----------
    row
        Id in `evidence.csv`; a row of kind `estimate`.
    file
        JSON that `hiddenpop run STUDY --json FILE` wrote, inside the study's folder.
    median, low, high, level
        N of that result, people.
    """

    row: str
    file: Path
    median: float
    low: float
    high: float
    level: float


def read_posteriors(section: Section, folder: Path) -> tuple[PosteriorRow, ...]:
    """Read `row = "file.json"` pairs; what is wrong with a pair is recorded."""
    found = []
    for row in section:
        name = section.text(row)
        path = folder / name
        if not name:
            continue
        if code := path_fault(name, path, folder):
            section.fault(code, row, name=name)
            continue
        try:
            size = json.loads(path.read_text(encoding="utf-8"))["N"]
            numbers = [float(size[key]) for key in ("median", "low", "high", "level")]
        except (OSError, ValueError, LookupError, TypeError) as error:
            section.fault(
                "posterior-file", row, name=name, reason=f"{type(error).__name__}: {error}"
            )
            continue
        median, low, high, level = numbers
        if 0 < low < median < high and 0 < level < 1:
            found.append(PosteriorRow(row, path, *numbers))
        else:
            section.fault("posterior-numbers", row, name=name)
    section.done()
    return tuple(found)


def check_posteriors(
    rows: Iterable[PosteriorRow], evidence: Evidence, file: str, faults: Faults
) -> None:
    """Each names a row that is used, and that has an interval to be replaced."""
    for one in rows:
        known = one.row in evidence.ids
        if not known or evidence.rows.loc[one.row, "kind"] != "estimate":
            faults.report("posterior-row", {"row": one.row}, file=file, column="posteriors")


def with_posteriors(evidence: Evidence, rows: Iterable[PosteriorRow]) -> Evidence:
    """The evidence with these rows' numbers replaced."""
    for one in rows:
        numbers = (one.median, one.low, one.high, one.level)
        evidence = evidence.with_interval(one.row, numbers, one.file.name)
    return evidence
