"""An overlap table made of its rows, and what makes any estimate from it impossible."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.overlap import MAX_LISTS, OverlapTable
from hiddenpop.inputs.overlap_rows import Cells
from hiddenpop.inputs.residents import Stratum

__all__ = ["check_list_names", "check_table", "check_totals", "join_cells"]

NESTED = 20
"""People on a list that lies inside another; fewer can all be on the other by chance."""

SAME = 3
"""People on two lists that are equal; so few can be the same by chance."""

MOST_STRATA = 10_000


def check_list_names(lists: Sequence[str], file: str, faults: Faults) -> None:
    """Record what is wrong with the names of the lists."""
    for name in dict.fromkeys(lists):
        if not name.strip():
            faults.report("list-blank", {"place": list(lists).index(name) + 1}, file=file)
        elif lists.count(name) > 1:
            faults.report("list-twice", {"name": name}, file=file, column=name)
    if len(lists) < 2:
        faults.report("lists-few", {"lists": len(lists)}, file=file)
    elif len(lists) > MAX_LISTS:
        faults.report("lists-many", {"lists": len(lists), "most": MAX_LISTS}, file=file)


def join_cells(
    cells: Cells,
    factors: tuple[str, ...],
    structural: Sequence[str],
    *,
    add: bool,
    file: str,
    faults: Faults,
) -> OverlapTable | None:
    """The table of some rows; None after recording faults.

    Parameters
    ----------
    structural
        Histories that were impossible; `*` stands for 0 and 1.
    add
        Add up rows of one history and stratum, which are a fault otherwise.
    """
    strata = tuple(sorted(set(cells.levels), key=_natural))
    if len(strata) > MOST_STRATA:
        values = {"strata": len(strata), "most": MOST_STRATA}
        faults.report("strata-many", values, file=file, column=", ".join(factors))
        return None
    lists, combos = len(cells.lists), 1 << len(cells.lists)
    places = {stratum: place for place, stratum in enumerate(strata)}
    stratum = np.array([places[levels] for levels in cells.levels], dtype=np.int64)
    wanted = stratum * combos + cells.history @ (1 << np.arange(lists))
    ruled_out = _codes(structural, lists, file, faults)
    keys = np.concatenate([wanted, (np.arange(len(strata))[:, None] * combos + ruled_out).ravel()])
    low, high, impossible = np.array(cells.counts, dtype=float).reshape(-1, 3).T
    spare = np.zeros(len(keys) - len(wanted))
    key, place = np.unique(keys, return_inverse=True)
    mine = place[: len(wanted)]
    table = OverlapTable(
        cells.lists, factors, strata,
        ((key[:, None] >> np.arange(lists)) & 1).astype(bool), key // combos,
        np.bincount(place, weights=np.concatenate([low, spare])),
        np.bincount(place, weights=np.concatenate([high, spare])),
        np.bincount(place, weights=np.concatenate([impossible, spare + 1])) > 0,
    )  # fmt: skip
    before = len(faults.found)
    if not add:
        _report_twice(table, mine, cells.line, file, faults)
    _report_impossible(table, mine, cells, file, faults)
    low, high = (np.where(table.structural, 0.0, ends) for ends in (table.low, table.high))
    return replace(table, low=low, high=high) if len(faults.found) == before else None


def check_table(table: OverlapTable, file: str, faults: Faults) -> None:
    """Record why no estimate could be made from a table."""
    if not table.high.any():
        faults.report("table-nobody", file=file)
        return
    if not (table.low == table.high)[~table.structural].any():
        faults.report("nothing-known", file=file)
        return
    people = np.bincount(table.stratum, weights=table.high, minlength=len(table.strata))
    for place in np.flatnonzero(people == 0):
        values = {"stratum": table.stratum_names[place]}
        faults.report("stratum-nobody", values, file=file, column=", ".join(table.factors))
    on = _possible(table, table.history)
    for name, seen in zip(table.lists, on, strict=True):
        if not seen:
            faults.report("list-nobody", {"name": name}, file=file, column=name)
    if on.sum() >= 2:
        _check_overlap(table, file, faults)


def check_totals(table: OverlapTable, totals: Mapping[str, int], file: str, faults: Faults) -> None:
    """Record where published totals of lists are not the sums of the table."""
    for name, total in totals.items():
        if name not in table.lists:
            values: dict[str, object] = {"name": name, "fix": choose(name, table.lists)}
            faults.report("totals-list", values, file=file)
            continue
        on = table.history[:, table.lists.index(name)]
        low, high = table.low[on].sum(), table.high[on].sum()
        if not low <= total <= high:
            values = {"name": name, "total": total, "low": low, "high": high}
            faults.report("totals-differ", values, file=file, column=name)


def _check_overlap(table: OverlapTable, file: str, faults: Faults) -> None:
    """Record lists that share nobody, or that say nothing beside another."""
    lists = table.history.sum(axis=1)
    if not table.high[lists >= 2].any():
        faults.report("lists-apart", {"lists": ", ".join(table.lists)}, file=file)
    elif not table.high[lists < len(table.lists)].any() and not table.structural.any():
        faults.report("lists-all", {"people": table.observed}, file=file)
    else:
        for i, j in combinations(range(len(table.lists)), 2):
            _check_pair(table, i, j, file, faults)


def _check_pair(table: OverlapTable, i: int, j: int, file: str, faults: Faults) -> None:
    """Record that a list lies inside another, or is equal to it.

    Where it was impossible to be on one list alone, this is by design.
    """
    first, second = table.history[:, i], table.history[:, j]
    if table.structural[first != second].any():
        return
    people = table.list_totals[[i, j]]
    alone = [table.high[first & ~second].any(), table.high[second & ~first].any()]
    if not any(alone):
        if people.min() >= SAME:
            values = {"first": table.lists[i], "second": table.lists[j], "people": people[0]}
            faults.report("lists-identical", values, file=file, column=table.lists[j])
        return
    for inner, outer in ((0, 1), (1, 0)):
        if not alone[inner] and people[inner] >= NESTED:
            names = [table.lists[k] for k in (i, j)]
            values = {"inner": names[inner], "outer": names[outer], "people": people[inner]}
            faults.report("lists-nested", values, file=file, column=names[inner])


def _possible(table: OverlapTable, chosen: np.ndarray) -> np.ndarray:
    """Whether anybody can be in the chosen cells, shape of the columns of `chosen`."""
    return np.asarray((chosen & (table.high > 0)[:, None]).any(axis=0))


def _codes(structural: Sequence[str], lists: int, file: str, faults: Faults) -> np.ndarray:
    """Codes of the histories that are meant, in increasing order."""
    codes = np.arange(1, 1 << lists)
    meant = np.zeros(len(codes), dtype=bool)
    for text in structural:
        if not re.fullmatch(f"[01*]{{{lists}}}", text):
            faults.report("structural-form", {"text": text, "lists": lists}, file=file)
        elif set(text) <= {"0"}:
            faults.report("structural-nobody", {"text": text}, file=file)
        else:
            ones, fixed = (
                sum(1 << j for j, mark in enumerate(text) if mark in marks) for marks in ("1", "01")
            )
            meant |= codes & fixed == ones
    return codes[meant]


def _report_twice(
    table: OverlapTable, place: np.ndarray, line: np.ndarray, file: str, faults: Faults
) -> None:
    """Record a fault for each row that repeats a history of its stratum."""
    _, first = np.unique(place, return_index=True)
    earlier = np.full(len(table.low), -1)
    earlier[place[first]] = line[first]
    for row in np.setdiff1d(np.arange(len(place)), first):
        values = {
            "history": table.labels[place[row]],
            "stratum": table.stratum_names[table.stratum[place[row]]],
            "first": earlier[place[row]],
        }
        faults.report("history-twice", values, file=file, row=int(line[row]))


def _report_impossible(
    table: OverlapTable, place: np.ndarray, cells: Cells, file: str, faults: Faults
) -> None:
    """Record a fault for each row that counts people where there could be none."""
    for row in np.flatnonzero((table.structural & (table.low > 0))[place]).tolist():
        count = cells.counts[row]
        if count.low > 0:
            values = {"history": table.labels[place[row]], "people": count.low}
            faults.report("structural-count", values, file=file, row=int(cells.line[row]))


def _natural(levels: Stratum) -> list[list[tuple[int, str]]]:
    """Sort key under which 5-9 stands before 10-14."""
    return [
        [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", level)]
        for level in levels
    ]
