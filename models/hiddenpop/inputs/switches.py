"""The same table without referred people, or with new cases only: what an estimate owes to both.

Who is on one list because another sent them there is on both by design and not by chance. Such
people make lists look more linked than they are, and the estimate too low. New cases are people
whose first entry falls into the period; the size is then that of the people who could newly be
counted, not of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from hiddenpop.errors import InputError
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable, Rate
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.overlap_checks import check_table

__all__ = ["Switch", "incident", "switched", "without_referred"]

Switch = Literal["referred", "new"]

SWITCHES: tuple[Switch, ...] = ("referred", "new")

Key = tuple[int, int]
"""Stratum and code of the history of a cell."""


def switched(table: MultiplierTable, switch: Switch) -> MultiplierTable:
    """The benchmarks without referred people, or with new cases only.

    Parameters
    ----------
    switch
        `referred`: people whom another source sent leave the count, and the x of the survey,
        of rows that say how many they are; other rows stay as they are. `new`: count and x are
        those of new cases, which every row must have.

    Returns
    -------
    MultiplierTable
        Without `parts`. Numbers of an overlap between rows that changed are left out, as they
        were those of everybody; the prior of its odds ratio stays.

    Raises
    ------
    InputError
        Where a row lacks what the switch needs, or has nobody left.
    ValueError
        If there is no such switch.
    """
    if switch not in SWITCHES:
        raise ValueError(f"there is no switch '{switch}': {choose(switch, SWITCHES)}")
    faults = Faults()
    rows = tuple(_switched(row, switch, faults) for row in table.rows)
    changed = {row.id for row, old in zip(rows, table.rows, strict=True) if row is not old}
    if not faults.found:
        _check_changed(table, changed, switch, faults)
    if faults.found:
        raise InputError(faults.found)
    pairs = tuple(
        replace(pair, respondents=None, people=None)
        if {pair.first, pair.second} & changed
        else pair
        for pair in table.overlaps
    )
    return replace(table, rows=rows, overlaps=pairs)


def _check_changed(
    table: MultiplierTable, changed: set[str], switch: Switch, faults: Faults
) -> None:
    """Record that nothing changed, or that a benchmark changed in some strata only."""
    if not changed:
        faults.report("switch-no-parts", {"name": switch}, column=switch)
    for row in table.rows:
        # Their shares may be pooled, so they have to be shares of the same event.
        told = row.rate is not None or np.isfinite(row.value)
        if row.id in changed and switch not in row.parts and told:
            faults.report("switch-some-rows", {"id": row.id, "name": switch}, column=switch)
            return


def _switched(row: Benchmark, switch: Switch, faults: Faults) -> Benchmark:
    """A row after a switch; the row itself where nothing changes or after a fault."""
    part = row.parts.get(switch)
    named: dict[str, object] = {"id": row.id, "name": switch}
    if part is None:
        # A number that is about everybody says nothing of those who came anew.
        if switch == "new" and (row.rate is not None or np.isfinite(row.value)):
            code = "switch-new-missing" if row.kind == "people" else "switch-new-kind"
            faults.report(code, named | {"kind": row.kind}, column=switch)
        return row
    people, x = part
    rate = row.rate
    if rate is not None and x is None:
        faults.report("switch-share", named, column=switch)
        return row
    if switch == "referred":
        value, least, most = row.value - people, row.least - people, row.most - people
    else:
        value = least = most = people
    if most <= 0:
        faults.report("switch-nobody", named, column=switch)
        return row
    if rate is not None and x is not None:
        rate = _respondents(rate, x, switch)
        if rate.x == 0:
            faults.report("switch-no-respondent", named | {"n": rate.n}, column=switch)
            return row
    return replace(row, value=value, least=least, most=most, rate=rate, parts={})


def _respondents(rate: Rate, x: float, switch: Switch) -> Rate:
    """The survey with those who have the event, but were not referred or are new."""
    return replace(rate, x=x if switch == "new" or rate.x is None else rate.x - x)


def without_referred(
    table: OverlapTable, referred: OverlapTable, sender: str, receiver: str
) -> OverlapTable:
    """The table without what one list sent to another.

    People who are on `receiver` only because `sender` sent them there are counted as if they
    had not been sent: they move to the history without `receiver`, which they keep `sender` of.

    Parameters
    ----------
    referred
        How many of each cell of `table` were sent; read from the same file, in its cells.
    sender, receiver
        Names of lists.

    Raises
    ------
    InputError
        If there are no such lists, if somebody was sent who is not on both, more were sent than
        there are, people would move to a history that was impossible, or nothing could be
        estimated from what is left.
    ValueError
        If the two tables have other lists or strata.
    """
    faults = Faults()
    _same_form(table, referred)
    _check_direction(table, sender, receiver, faults)
    if not faults.found:
        _check_sent(table, referred, sender, receiver, faults)
    if faults.found:
        raise InputError(faults.found)
    into = 1 << table.lists.index(receiver)
    moves: dict[Key, float] = {}
    for (stratum, code), (people, _) in _cells(referred).items():
        if people > 0:
            target = (stratum, code & ~into)
            moves[stratum, code] = -people
            moves[target] = moves.get(target, 0.0) + people
    return _checked(_moved(table, moves, faults), faults)


def _check_direction(table: OverlapTable, sender: str, receiver: str, faults: Faults) -> None:
    """Record names of a referral that are not two lists."""
    for name in dict.fromkeys((sender, receiver)):
        if name not in table.lists:
            values: dict[str, object] = {"name": name, "fix": choose(name, table.lists)}
            faults.report("switch-list", values, column="referral")
    if sender == receiver and sender in table.lists:
        faults.report("switch-same-list", {"name": sender}, column="referral")


def _check_sent(
    table: OverlapTable, referred: OverlapTable, sender: str, receiver: str, faults: Faults
) -> None:
    """Record people who cannot have been sent from one list to the other."""
    both = sum(1 << table.lists.index(name) for name in (sender, receiver))
    names: dict[str, object] = {"sender": sender, "receiver": receiver}
    sent = {key: ends for key, ends in _cells(referred).items() if ends[1] > 0}
    known = _cells(table)
    for (stratum, code), (low, high) in sent.items():
        values = names | {"history": _label(code, table), "people": high}
        most = known.get((stratum, code), (0.0, 0.0))[0]
        if low != high:
            faults.report("switch-range", values, column="referred")
        elif code & both != both:
            faults.report("switch-not-both", values, column="referred")
        elif high > most:
            faults.report("switch-above", values | {"most": most}, column="referred")
    if not sent:
        faults.report("switch-nobody-sent", names, column="referred")


def incident(table: OverlapTable, new: OverlapTable) -> OverlapTable:
    """The table of new cases only.

    Parameters
    ----------
    new
        How many of each cell of `table` are new; read from the same file, in its cells.

    Raises
    ------
    InputError
        If more are new than there are, or nothing could be estimated from them.
    ValueError
        If the two tables have other lists or strata.
    """
    faults = Faults()
    _same_form(table, new)
    all_of = _cells(table)
    for (stratum, code), (low, _) in _cells(new).items():
        most = all_of.get((stratum, code), (0.0, 0.0))[1]
        if low > most:
            values = {"history": _label(code, table), "people": low, "most": most}
            faults.report("switch-new-above", values, column="new")
    if faults.found:
        raise InputError(faults.found)
    found = _cells(new)
    ends = np.array([found.get(key, (0.0, 0.0)) for key in _keys(table)], dtype=float).reshape(
        -1, 2
    )
    high = np.minimum(ends[:, 1], table.high)
    return _checked(replace(table, low=ends[:, 0], high=high), faults)


def _same_form(table: OverlapTable, other: OverlapTable) -> None:
    if (table.lists, table.factors) != (other.lists, other.factors) or (
        not set(other.strata) <= set(table.strata)
    ):
        raise ValueError("the parts of a table must have its own lists, factors and strata")
    if table.strata != other.strata:
        raise ValueError("the strata of the parts must stand in the order of the table's")


def _keys(table: OverlapTable) -> list[Key]:
    return list(zip(table.stratum.tolist(), table.code.tolist(), strict=True))


def _cells(table: OverlapTable) -> dict[Key, tuple[float, float]]:
    """Least and greatest count of each cell."""
    ends = zip(table.low.tolist(), table.high.tolist(), strict=True)
    return dict(zip(_keys(table), ends, strict=True))


def _label(code: int, table: OverlapTable) -> str:
    """A history as text, the first list first."""
    return "".join("1" if code >> j & 1 else "0" for j in range(len(table.lists)))


def _moved(table: OverlapTable, moves: Mapping[Key, float], faults: Faults) -> OverlapTable:
    """The table with people added to its cells, and cells for those that had none."""
    places = {key: place for place, key in enumerate(_keys(table))}
    for (stratum, code), people in moves.items():
        place = places.get((stratum, code))
        if people > 0 and place is not None and table.structural[place]:
            values = {"history": _label(code, table), "people": people}
            faults.report("switch-impossible", values, column="referred")
    fresh = [key for key in moves if key not in places]
    codes = np.array([code for _, code in fresh], dtype=np.int64)
    blank = np.zeros(len(fresh))
    full = replace(
        table,
        history=np.vstack([table.history, (codes[:, None] >> np.arange(len(table.lists))) & 1 > 0]),
        stratum=np.append(table.stratum, [stratum for stratum, _ in fresh]).astype(int),
        low=np.append(table.low, blank),
        high=np.append(table.high, blank),
        structural=np.append(table.structural, blank > 0),
    )
    added = np.array([moves.get(key, 0.0) for key in _keys(full)])
    return replace(full, low=full.low + added, high=full.high + added).sorted()


def _checked(table: OverlapTable, faults: Faults) -> OverlapTable:
    """The table, if anything can be estimated from it."""
    if not faults.found:
        check_table(table, "", faults)
    if faults.found:
        raise InputError(faults.found)
    return table
