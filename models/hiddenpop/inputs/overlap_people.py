"""Overlap tables from rows of persons: one row each, or one row for each list a person is on.

No message repeats the id of a person.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd

from hiddenpop.inputs.columns import Sheet
from hiddenpop.inputs.counts import Count
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.overlap_checks import check_list_names
from hiddenpop.inputs.overlap_rows import (
    Cells,
    Plan,
    check_levels,
    check_rows,
    drop_total_rows,
    histories,
    levels_of,
    with_lists,
)
from hiddenpop.inputs.schema import Problem, Rule, Schema, check_columns, filled, key
from hiddenpop.inputs.tally import MOST, Tally, check_tally, tally

__all__ = ["read_pairs", "read_people"]


def read_people(sheet: Sheet, plan: Plan, faults: Faults) -> Cells | None:
    """Tally rows that are a person each; None after recording faults."""
    before = len(faults.found)
    columns = [*([plan.history] if plan.history else plan.lists), *plan.by]
    found = tally(sheet, columns, plan.person, faults)
    if found is None:
        return None
    plan = with_lists(plan, found.kinds)
    _report_nameless(found, plan, sheet.name, faults)
    _report_twice(found, plan, sheet.name, faults)

    def check(rows: pd.DataFrame, to: Faults) -> None:
        check_rows(rows, plan, {}, sheet.name, to)

    _report_left(check_tally(found, check, faults), sheet.name, faults)
    check_levels(found.kinds, plan.by, found.people, sheet.name, faults)
    if len(faults.found) == before:
        check_list_names(plan.lists, sheet.name, faults)
    if len(faults.found) > before:
        return None
    return Cells(
        plan.lists, found.kinds.index.to_numpy(), histories(found.kinds, plan),
        levels_of(found.kinds, plan.by), [Count(n, n) for n in found.people.astype(float)],
    )  # fmt: skip


def read_pairs(sheet: Sheet, plan: Plan, faults: Faults) -> Cells | None:
    """Join rows that are a person on a list; None after recording faults.

    The same person on the same list twice is one person on that list.
    """
    before = len(faults.found)
    column, file = plan.list_column or "", sheet.name
    found = tally(sheet, [column, *plan.by], plan.person, faults)
    if found is None:
        return None
    names = tuple(sorted(set(found.kinds[column]) - {""}))
    plan = replace(plan, lists=plan.lists or names)
    _report_nameless(found, plan, file, faults)
    schema: Schema = {by: [filled("level-empty"), key(dashes=False)] for by in plan.by}
    schema[column] = [filled("pair-list-empty"), key(), _known(plan.lists)]

    def check(rows: pd.DataFrame, to: Faults) -> None:
        check_columns(drop_total_rows(rows, [column, *plan.by], file, to), schema, file, to)

    _report_left(check_tally(found, check, faults), file, faults)
    check_levels(found.kinds, plan.by, found.people, file, faults)
    check_levels(found.kinds, [column], found.people, file, faults, code="pair-list-spelling")
    if len(faults.found) == before:
        check_list_names(plan.lists, file, faults)
    if len(faults.found) > before:
        return None
    return _joined(found, plan, file, faults)


def _joined(found: Tally, plan: Plan, file: str, faults: Faults) -> Cells | None:
    """One history for each person; None after recording persons in two strata."""
    levels = levels_of(found.kinds, plan.by)
    strata = list(dict.fromkeys(levels))
    stratum_of_kind = np.array([strata.index(each) for each in levels])
    places = found.kinds[plan.list_column].map(plan.lists.index).to_numpy()
    order, begins = found.persons()
    kind = found.kind[order]
    stratum = stratum_of_kind[kind]
    sizes = np.diff(begins, append=len(order))
    if (stratum != np.repeat(stratum[begins], sizes)).any():
        _report_levels(found, plan, order, np.repeat(np.arange(len(begins)), sizes), file, faults)
        return None
    code = np.bitwise_or.reduceat((1 << places)[kind], begins)
    combos = 1 << len(plan.lists)
    cell, people = np.unique(stratum[begins] * combos + code, return_counts=True)
    history = (((cell % combos)[:, None] >> np.arange(len(plan.lists))) & 1).astype(bool)
    return Cells(
        plan.lists, np.zeros(len(cell), dtype=int), history,
        [strata[place] for place in cell // combos], [Count(n, n) for n in people.astype(float)],
    )  # fmt: skip


def _report_levels(
    found: Tally, plan: Plan, order: np.ndarray, person: np.ndarray, file: str, faults: Faults
) -> None:
    """Record the rows that put a person into another stratum than the person's first row."""
    rows = pd.DataFrame({"row": order, "person": person}).sort_values("row", ignore_index=True)
    first = rows.groupby("person")["row"].transform("first").to_numpy()
    for column in plan.by:
        level = pd.factorize(found.kinds[column])[0][found.kind]
        other = np.flatnonzero(level[rows["row"]] != level[first])
        for place in other[:MOST]:
            row, line = rows["row"][place], found.line[first[place]]
            here, there = (found.kinds[column].iloc[found.kind[at]] for at in (row, first[place]))
            values = {"cell": here, "other": there, "first": line}
            where = int(found.line[row])
            faults.report("person-levels", values, file=file, row=where, column=column)
        _report_left(len(other[MOST:]), file, faults)


def _report_twice(found: Tally, plan: Plan, file: str, faults: Faults) -> None:
    """Record rows whose person stands in an earlier row."""
    if plan.person is None:
        return
    again, first = found.repeated()
    named = ~np.isin(again, found.nameless)
    lines = zip(found.line[again[named]], found.line[first[named]], strict=True)
    for line, earlier in islice(lines, MOST):
        values, row = {"first": earlier}, int(line)
        faults.report("person-twice", values, file=file, row=row, column=plan.person)
    _report_left(int(named.sum()) - MOST, file, faults)


def _report_nameless(found: Tally, plan: Plan, file: str, faults: Faults) -> None:
    """Record rows without an id."""
    for line in found.line[found.nameless[:MOST]]:
        faults.report("person-empty", file=file, row=int(line), column=plan.person or "")
    _report_left(len(found.nameless[MOST:]), file, faults)


def _report_left(left: int, file: str, faults: Faults) -> None:
    """Record how many faulty rows were not named."""
    if left > 0:
        faults.report("rows-more", {"left": left, "most": MOST}, file=file)


def _known(lists: tuple[str, ...]) -> Rule:
    """The cell names one of the lists."""
    return lambda cell: (
        None if cell in lists else Problem("pair-list-unknown", (("fix", choose(cell, lists)),))
    )
