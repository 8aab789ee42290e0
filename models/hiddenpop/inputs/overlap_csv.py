"""Reading overlap tables from CSV files, in each form that such tables come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hiddenpop.errors import InputError
from hiddenpop.inputs.columns import Sheet, all_rows, check_roles, open_sheet
from hiddenpop.inputs.counts import read_rules, report_shares
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.overlap_checks import (
    check_list_names,
    check_table,
    check_totals,
    join_cells,
)
from hiddenpop.inputs.overlap_people import read_pairs, read_people
from hiddenpop.inputs.overlap_rows import (
    Cells,
    Plan,
    check_levels,
    check_rows,
    drop_blank_total,
    histories,
    levels_of,
    read_counts,
    with_lists,
)
from hiddenpop.inputs.residents import one_number, read_residents, table_of

__all__ = ["read_overlap"]


def read_overlap(
    path: str | Path,
    lists: Sequence[str] | None = None,
    *,
    count: str | None = None,
    history: str | None = None,
    by: Sequence[str] = (),
    person: str | None = None,
    list_column: str | None = None,
    suppressed: Mapping[str, str] | None = None,
    structural: Sequence[str] = (),
    population: float | str | Path | None = None,
    ignore: Sequence[str] = (),
    add_duplicates: bool = False,
    totals: Mapping[str, int] | None = None,
    part: bool = False,
) -> OverlapTable:
    """Read how many people were seen on which lists.

    The file has one row for each history and stratum with a column `count`, or one row for
    each person (no `count`), or one row for each list that a person is on (`person` and
    `list_column`). A history is a column of 0 and 1 for each list, or one column `history` of
    texts such as 1010. Lines that begin with '#' may stand above the header.

    Parameters
    ----------
    path
        CSV in UTF-8.
    lists
        Columns of the lists; with `history` their names in the order of its marks, with
        `list_column` the names that stand there. May be left out with these two.
    count
        Column with whole numbers of people. A cell may also say `1-7` (least and greatest
        possible number), `unknown` (the lists could not be linked) or `impossible` (nobody can
        have this history).
    history
        Column of histories, one mark for each list.
    by
        Columns whose levels make strata.
    person
        Column of ids. A person who stands twice would be counted twice, so in a file of one
        row for each person that is a fault.
    list_column
        Column with the name of the list that the row's person is on.
    suppressed
        What marks of suppressed counts stand for, such as {"<5": "0-4"}.
    structural
        Histories that were impossible in all strata; `*` stands for 0 and 1.
    population
        Residents at the target's ages: one number for all strata together, or a CSV with the
        columns of `by` and a column `population`.
    ignore
        Columns to leave alone. Others that no option names are a fault, because a row may be
        split by them.
    add_duplicates
        Add up rows of the same history and stratum, which are a fault otherwise.
    totals
        Published numbers of people on the lists, with which the table must agree.
    part
        Whether `count` holds only some of a table's people (those referred, new cases), who
        need not make a table that something can be estimated from.

    Raises
    ------
    InputError
        With every fault found.
    """
    faults, file = Faults(), Path(path).name
    plan = Plan(
        tuple(lists or ()), count or None, history or None, tuple(by), person or None,
        list_column or None, tuple(ignore),
    )  # fmt: skip
    _check_plan(plan, lists, file, faults)
    table = None
    if not faults.found and (cells := _read(Path(path), plan, suppressed or {}, faults)):
        table = join_cells(cells, plan.by, structural, add=add_duplicates, file=file, faults=faults)
    if table is not None:
        if not part:
            check_table(table, file, faults)
        check_totals(table, totals or {}, file, faults)
        table = replace(table, population=_residents(table, population, file, faults))
    if faults.found or table is None:
        raise InputError(faults.found)
    return table


def _check_plan(plan: Plan, lists: Sequence[str] | None, file: str, faults: Faults) -> None:
    """Record options that do not go together."""
    check_roles(plan.named, file, faults)
    if plan.list_column and not plan.person:
        faults.report("form-person", file=file, column=plan.list_column)
    if plan.count and (plan.person or plan.list_column):
        faults.report("form-count", {"count": plan.count}, file=file, column=plan.count)
    if plan.history and plan.list_column:
        faults.report("form-history", file=file, column=plan.history)
    if plan.lists or lists is not None:
        check_list_names(plan.lists, file, faults)
    elif plan.wide:
        faults.report("lists-unnamed", file=file)


def _read(path: Path, plan: Plan, suppressed: Mapping[str, str], faults: Faults) -> Cells | None:
    """The rows of the file, whatever its form; None after recording faults."""
    sheet = open_sheet(path, plan.named, faults)
    if sheet is None:
        return None
    if plan.count:
        return _read_counts(sheet, plan, suppressed, faults)
    for mark in suppressed:
        faults.report("rule-unused", {"mark": mark}, file=sheet.name)
    return read_pairs(sheet, plan, faults) if plan.list_column else read_people(sheet, plan, faults)


def _read_counts(
    sheet: Sheet, plan: Plan, suppressed: Mapping[str, str], faults: Faults
) -> Cells | None:
    """Rows with counts; None after recording faults."""
    before, file, count = len(faults.found), sheet.name, plan.count or ""
    frame = all_rows(sheet, faults)
    if frame is None:
        return None
    plan = with_lists(plan, frame)
    rules = read_rules(suppressed, frame[count], file, faults)
    frame = drop_blank_total(frame, plan, file, faults)
    shares = report_shares(frame[count], file, faults)
    check_rows(frame, replace(plan, count=None) if shares else plan, rules, file, faults)
    check_levels(frame, plan.by, np.ones(len(frame)), file, faults)
    if len(faults.found) == before:
        check_list_names(plan.lists, file, faults)
    if len(faults.found) > before:
        return None
    return Cells(
        plan.lists, frame.index.to_numpy(), histories(frame, plan), levels_of(frame, plan.by),
        read_counts(frame[count], rules),
    )  # fmt: skip


def _residents(
    table: OverlapTable, population: float | str | Path | None, file: str, faults: Faults
) -> np.ndarray | None:
    """Residents by stratum, or of all strata together."""
    if population is None or not (file_ := table_of(population)):
        total = one_number(population, table.observed, file, faults)
        return None if total is None else np.array([total])
    observed = dict(zip(table.strata, table.observed_by_stratum.tolist(), strict=True))
    return read_residents(file_, table.factors, observed, faults)
