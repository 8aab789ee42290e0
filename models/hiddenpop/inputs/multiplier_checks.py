"""What the rows of a table of benchmarks owe each other, the residents and the overlaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.lines import Line
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable, Overlap
from hiddenpop.inputs.residents import one_number, read_residents, table_of

__all__ = ["check_frame", "check_overlaps", "check_rows", "residents_of"]

Place = tuple[str, str]
"""Area and period of a stratum."""

Population = float | str | Path | None


def check_frame(frame: pd.DataFrame, file: str, faults: Faults) -> None:
    """Record rows of one stratum with one id, kinds that differ, and areas named now and then."""
    first: dict[tuple[str, ...], int] = {}
    kinds: dict[str, tuple[str, int]] = {}
    for row, cells in zip(frame.index, frame.to_dict("records"), strict=True):
        name = str(cells["id"])
        kind, earlier = kinds.setdefault(name, (str(cells["kind"]) or "people", int(row)))
        if (cells["kind"] or "people") != kind:
            values = {"id": name, "kind": kind, "first": earlier}
            faults.report("multiplier-kind-differs", values, file=file, row=int(row), column="kind")
        place = (str(cells["area"]), str(cells["period"]), name)
        if first.setdefault(place, int(row)) != row:
            values = {"id": name, "first": first[place]}
            faults.report("multiplier-id-twice", values, file=file, row=int(row), column="id")
    for column in ("area", "period"):
        empty = frame[column] == ""
        if empty.any() and not empty.all():
            values = {"name": column, "other": frame[column][~empty].iloc[0]}
            row = int(frame.index[empty][0])
            faults.report("multiplier-stratum-part", values, file=file, row=row, column=column)


def check_rows(rows: Sequence[Benchmark], table: Sequence[Line]) -> None:
    """Record numbers and rates that stand in no row of an id, and surveys that do not fit."""
    counted = {row.id for row in rows if np.isfinite(row.value)}
    rated = {row.id for row in rows if row.rate is not None}
    names: dict[tuple[int, str], tuple[Benchmark, Line]] = {}
    missing: set[tuple[str, str]] = set()
    for row, line in zip(rows, table, strict=True):
        if row.id not in counted and ("count", row.id) not in missing:
            missing.add(("count", row.id))
            line.fault("multiplier-count-empty", "count", id=row.id)
        needed = row.kind in ("people", "events", "amount")
        if needed and row.id not in rated and ("rate", row.id) not in missing:
            missing.add(("rate", row.id))
            line.fault("multiplier-no-form", "x", id=row.id, kind=row.kind)
        if row.survey and row.rate is not None and row.rate.n is not None:
            other, before = names.setdefault((row.stratum, row.survey), (row, line))
            if other.rate is not None and other.rate.n != row.rate.n:
                values = {"survey": row.survey, "n": row.rate.n, "other": other.rate.n}
                line.fault("multiplier-survey-n", "n", first=before.row, **values)
    _check_zero(rows, table)


def _check_zero(rows: Sequence[Benchmark], table: Sequence[Line]) -> None:
    """Record a count of people of whom the survey met none, where nothing else bounds the size."""
    if any(not _unbounded(row) for row in rows):
        return
    for row, line in zip(rows, table, strict=True):
        if row.value > 0 and row.rate is not None and row.rate.n is not None:
            line.fault("multiplier-x-zero", "x", n=row.rate.n)
            return


def _unbounded(row: Benchmark) -> bool:
    """Whether a row sets no upper end to the size."""
    if row.kind not in ("people", "events"):
        return False
    return row.rate is None or row.rate.x == 0


def residents_of(
    rows: Sequence[Benchmark],
    table: Sequence[Line],
    strata: tuple[Place, ...],
    population: Population,
    faults: Faults,
) -> np.ndarray:
    """Residents by stratum, nan where not known, shape (stratum,), after recording faults."""
    found = np.full(len(strata), np.nan)
    first: dict[int, int] = {}
    for row, line in zip(rows, table, strict=True):
        value, place = line.number("residents"), row.stratum
        if np.isnan(value):
            continue
        if place in first and found[place] != value:
            values = {"residents": value, "first": first[place], "other": found[place]}
            line.fault("multiplier-residents-differ", "residents", **values)
        else:
            found[place] = value
            first[place] = line.row
    file = table[0].file
    if population is not None:
        found = _with_population(found, strata, population, file, faults)
    for row, line in zip(rows, table, strict=True):
        people = found[row.stratum]
        if row.kind == "survey" and np.isnan(people) and population is None:
            line.fault("multiplier-residents-missing", "residents", id=row.id)
        elif row.certain > people:
            more = {"people": row.certain, "residents": people}
            line.fault("multiplier-above-residents", "count", **more)
    return found


def _with_population(
    found: np.ndarray, strata: tuple[Place, ...], population: Population, file: str, faults: Faults
) -> np.ndarray:
    """Residents that are given beside the table, which must agree with those in it."""
    if population is not None and (path := table_of(population)):
        named = [j for j, _ in enumerate(("area", "period")) if strata[0][j]]
        wanted = {tuple(stratum[j] for j in named): 0.0 for stratum in strata}
        factors = tuple(("area", "period")[j] for j in named)
        given = read_residents(path, factors, wanted, faults)
        return found if given is None else given
    total = one_number(population, 0.0, file, faults)
    if total is None:
        return found
    if np.isnan(found).any() and len(strata) > 1:
        code = "multiplier-population-strata"
        faults.report(code, {"strata": len(strata)}, file=file, column="residents")
        return found
    known = MultiplierTable((), strata=strata, population=found).residents
    if known is not None and not np.isclose(known, total, rtol=1e-9):
        values = {"total": total, "known": known}
        faults.report("multiplier-population-differs", values, file=file, column="residents")
    return np.array([total]) if len(strata) == 1 else found


def check_overlaps(
    overlaps: Sequence[Overlap], rows: Sequence[Benchmark], file: str, faults: Faults
) -> None:
    """Record pairs that are none of the table, or whose numbers are impossible."""
    by_id: dict[str, list[Benchmark]] = {}
    for row in rows:
        by_id.setdefault(row.id, []).append(row)
    seen: set[frozenset[str]] = set()

    def fault(code: str, **values: object) -> None:
        faults.report(code, values, file=file, column="overlaps")

    for pair in overlaps:
        names = {"first": pair.first, "second": pair.second}
        unknown = [name for name in (pair.first, pair.second) if name not in by_id]
        if unknown:
            fault("multiplier-overlap-unknown", name=unknown[0], fix=choose(unknown[0], by_id))
        elif pair.first == pair.second:
            fault("multiplier-overlap-self", name=pair.first)
        elif {pair.first, pair.second} in seen:
            fault("multiplier-overlap-twice", **names)
        elif any(by_id[name][0].kind != "people" for name in names.values()):
            fault("multiplier-overlap-kind", **names)
        else:
            seen.add(frozenset(names.values()))
            for code, values in _impossible(pair, by_id):
                fault(code, **names, **values)


def _impossible(
    pair: Overlap, by_id: Mapping[str, Sequence[Benchmark]]
) -> list[tuple[str, dict[str, object]]]:
    """Codes and values of what is wrong with the numbers of a pair."""
    found: list[tuple[str, dict[str, object]]] = []
    both = [(a, b) for a in by_id[pair.first] for b in by_id[pair.second] if a.stratum == b.stratum]
    if pair.odds_ratio is not None and pair.odds_ratio.low <= 0:
        found.append(("multiplier-overlap-odds", {"low": pair.odds_ratio.low}))
    counted = pair.people is not None or pair.respondents is not None
    if counted and len(both) != 1:
        return [*found, ("multiplier-overlap-strata", {"strata": len(both)})]
    for a, b in both if counted else ():
        if pair.people is not None and not _inside(pair.people, a.most, b.most):
            people = min(a.most, b.most)
            found.append(("multiplier-overlap-people", {"people": pair.people, "least": people}))
        if pair.respondents is not None:
            found += _impossible_respondents(pair.respondents, a, b)
    return found


def _impossible_respondents(
    respondents: float, a: Benchmark, b: Benchmark
) -> list[tuple[str, dict[str, object]]]:
    if not a.survey or a.survey != b.survey:
        return [("multiplier-overlap-survey", {})]
    if a.rate is None or b.rate is None or None in (a.rate.x, b.rate.x, a.rate.n):
        return [("multiplier-overlap-counts", {})]
    x, y, n = (float(value or 0) for value in (a.rate.x, b.rate.x, a.rate.n))
    least, most = max(0.0, x + y - n), min(x, y)
    if least <= respondents <= most:
        return []
    values: dict[str, object] = {"respondents": respondents, "least": least, "most": most}
    return [("multiplier-overlap-respondents", values)]


def _inside(people: float, *most: float) -> bool:
    """Whether people can be in all of some counts, as far as these are known."""
    return 0 <= people <= min([value for value in most if np.isfinite(value)], default=np.inf)
