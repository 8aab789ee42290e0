"""Rows of a tornado: the answer under each changed prior, kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.checks.influence import MAIN
from hiddenpop.estimate import Summary

__all__ = [
    "COLUMNS",
    "EXACT",
    "LEFT_OUT",
    "MOST_MOVED",
    "NO_PART",
    "REFITTED",
    "REFUSED",
    "REWEIGHTED",
    "Answer",
    "Change",
    "Row",
    "answer_of",
    "collect",
]

COLUMNS = ("prior", "change", "how", "median", "low", "high", "ratio", "moved", "ends",
           "flagged", "passed", "pareto_k")  # fmt: skip

EXACT, REWEIGHTED, REFITTED = "exact", "reweighted", "refitted"
NO_PART, REFUSED, LEFT_OUT = "no part", "refused", "left out"

MOST_MOVED = 0.25
"""A prior is flagged that moves the median by more than this share of the interval."""

Row = dict[str, Any]


class Answer(NamedTuple):
    """What a changed prior gives."""

    how: str
    low: float = float("nan")
    median: float = float("nan")
    high: float = float("nan")
    passed: bool = False
    k: float = float("nan")


class Change(NamedTuple):
    """A prior to be changed, and how the answer is found: told whether it may still sample."""

    prior: str
    change: str
    answer: Callable[[bool], Answer]


def collect(
    main: Answer,
    changes: Iterable[Change],
    max_refits: int | None,
    done: pd.DataFrame | None,
    on_step: Callable[[str], object],
    on_row: Callable[[Row], object],
) -> pd.DataFrame:
    """Work through the changes, those that were done before excepted."""
    first = _row(MAIN, "", main, main)
    kept = _kept(done, first)
    rows, refits = [first], 0
    if not kept:
        on_row(first)
    for prior, change, answer in changes:
        if (prior, change) in kept:
            rows.append(kept[prior, change])
            continue
        on_step(f"{prior} {change}")
        row = _row(prior, change, answer(max_refits is None or refits < max_refits), main)
        refits += row["how"] == REFITTED
        rows.append(row)
        on_row(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _kept(done: pd.DataFrame | None, first: Row) -> dict[tuple[str, str], Row]:
    """Rows of an earlier call about the same fit that hold an answer."""
    if done is None or done.empty:
        return {}
    before = done[done["prior"] == MAIN]
    numbers = ["median", "low", "high"]
    same = len(before) > 0 and np.allclose(
        before.iloc[0][numbers].astype(float), [first[name] for name in numbers], rtol=1e-9
    )
    if not same:
        return {}
    answered = done[(done["prior"] != MAIN) & (done["how"] != LEFT_OUT)]
    records = answered[list(COLUMNS)].to_dict("records")
    kept = {(str(row["prior"]), str(row["change"])): dict(row) for row in records}
    # A first row of its own, so that an empty answer is not taken for a first call.
    return {(MAIN, ""): first} | {key: _plain(row) for key, row in kept.items()}


def _plain(row: dict[Any, Any]) -> Row:
    """A row as it was before it was written to a file."""
    logical = {name: str(row[name]) == "True" for name in ("flagged", "passed")}
    return {str(key): value for key, value in row.items()} | logical


def _row(prior: str, change: str, answer: Answer, main: Answer) -> Row:
    """One row of the frame."""
    ratio = answer.median / main.median
    whole = np.log(main.high / main.low)
    moved = _share(abs(np.log(ratio)), whole)
    ends = max(abs(np.log(answer.low / main.low)), abs(np.log(answer.high / main.high)))
    return {
        "prior": prior, "change": change, "how": answer.how, "median": answer.median,
        "low": answer.low, "high": answer.high, "ratio": float(ratio), "moved": moved,
        "ends": _share(ends, whole), "flagged": bool(moved > MOST_MOVED), "passed": answer.passed,
        "pareto_k": answer.k,
    }  # fmt: skip


def _share(step: float, whole: float) -> float:
    """A step as a share of the interval; any step leaves an interval without width."""
    if whole > 0:
        return float(step / whole)
    return float(step) if step == 0 or np.isnan(step) else float("inf")


def answer_of(how: str, found: Summary, passed: bool) -> Answer:
    """A summary of a fit, and whether it passed its gates, as an answer."""
    return Answer(how, found.low, found.median, found.high, passed)
