"""Tables of overlapping lists that are parts of an evidence synthesis: `[[components]]`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.errors import InputError
from hiddenpop.inputs import periods
from hiddenpop.inputs.derived import ancestors
from hiddenpop.inputs.evidence import UNSTATED, Evidence, Known, parse_rates
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.numbers import LEVELS
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.table_source import TableSource, read_source
from hiddenpop.inputs.toml import Section

__all__ = [
    "Component",
    "check_components",
    "counted_twice",
    "read_components",
]

NAME = r"[A-Za-z]\w*(?:-\w+)*"
"""Pattern of an id: it begins names of variables."""

TABLE_KEYS = (
    "file", "lists", "count", "history", "suppressed", "structural", "ignore", "totals", "distinct",
    "by",
)  # fmt: skip
"""Keys that say how the table is read, as in the section [table] of other studies."""

EVERY = ("order", "list_beta")
PAIRS = (*EVERY, "odds_ratio", "odds_ratio_shared")
SHRUNKEN = (*EVERY, "interaction_scale", "interaction_sd")
"""Priors that two lists or margins have, and tables of more lists (`families.loglinear`)."""


@dataclass(frozen=True, eq=False)
class Component:
    """A table of overlapping lists about users of one area and group.

    Its N, people, is users times rates times drift times the bias of its source, as for a row
    of evidence.

    Attributes
    ----------
    id
        Also its name among the rows of evidence, in variants and in draws.
    source
        A source in `biases.csv`.
    rates
        What turns users into the people whom the lists could see, as in `evidence.csv`.
    use, reason
        Whether it counts in the main analysis, and if not, why.
    instead_of
        Rows of evidence that were computed from the same lists.
    table
        Counts without strata, or published margins.
    dependence
        Priors of `families.loglinear.Priors`, as written.
    exponents
        Power of each rate, shape (rate,).
    path
        The file of the table, None for margins.
    """

    id: str
    source: str
    area: str
    group: str
    rates: str
    period: str
    ages: str
    definition: str
    citation: str
    use: bool
    reason: str
    instead_of: tuple[str, ...]
    table: OverlapTable | Margins
    dependence: Mapping[str, Any]
    exponents: np.ndarray
    path: Path | None

    @property
    def target(self) -> dict[str, Any]:
        """What it is about, in the columns that rows of evidence have for it."""
        return {
            "id": self.id, "area": self.area, "group": self.group, "of": "",
            "period": self.period, "source": self.source, "middle": periods.middle(self.period),
        }  # fmt: skip

    @property
    def observed(self) -> float:
        """Different people on the lists."""
        return self.table.observed


def read_components(
    sections: Iterable[Section], folder: Path, known: Known, faults: Faults
) -> tuple[Component, ...]:
    """Read the components of a study; those with faults are left out.

    Parameters
    ----------
    known
        What they may refer to; parts that are None or empty are not checked.
    """
    found = [_component(section, folder, known, faults) for section in sections]
    return tuple(one for one in found if one is not None)


def _component(section: Section, folder: Path, known: Known, faults: Faults) -> Component | None:
    """One component, None after recording faults."""
    before = len(faults.found)
    words = {key: section.text(key) for key in
             ("id", "source", "area", "group", "period", "definition", "citation")}  # fmt: skip
    words |= {key: section.text(key) if key in section else "" for key in ("rates", "reason")}
    ages = section.text("ages") if "ages" in section else UNSTATED
    use = section.text("use") if "use" in section else "yes"
    instead_of = section.texts("instead_of", optional=True)
    if words["id"] and not re.fullmatch(NAME, words["id"]):
        section.fault("component-id", "id", name=words["id"])
    if use not in ("", "yes", "no"):
        section.fault("component-use", "use", name=use)
    elif use == "no" and not words["reason"]:
        section.fault("component-reason", "reason", name=words["id"])
    _check_names(section, words, known)
    _check_period(section, words["period"], known)
    powers = _powers(section, words["rates"], ages, known)
    source = _source(section, folder)
    dependence = _dependence(section.section("dependence", optional=True))
    section.done()
    table = _table(source, folder, faults) if source is not None else None
    if table is not None:
        _check_dependence(section, table, dependence)
    if len(faults.found) > before or table is None or powers is None:
        return None
    path = folder / source.path if source is not None and source.path else None
    return Component(
        **words, ages=ages, use=use == "yes", instead_of=instead_of, table=table,
        dependence=dependence, exponents=_exponents(powers, known), path=path,
    )  # fmt: skip


def _check_names(section: Section, words: Mapping[str, str], known: Known) -> None:
    """Area, group and source are those of the study."""
    allowed = {
        "component-area": ("area", known.areas.names if known.areas is not None else ()),
        "component-group": ("group", known.groups),
        "component-source": ("source", known.biases.names if known.biases is not None else ()),
    }
    for code, (key, names) in allowed.items():
        if names and words[key] and words[key] not in names:
            section.fault(code, key, name=words[key], fix=choose(words[key], names))


def _check_period(section: Section, period: str, known: Known) -> None:
    """The period can be read, is not in the future and not far from the target's."""
    if not period:
        return
    try:
        start, end = periods.span(period)
    except ValueError:
        section.fault("component-period", "period", period=period)
        return
    years = 0.0 if known.middle is None else abs((start + end) / 2 - known.middle)
    if start >= dt.datetime.now(tz=dt.UTC).year + 1 or years > periods.FARTHEST:
        section.fault("component-period-far", "period", period=period)


def _powers(section: Section, rates: str, ages: str, known: Known) -> dict[str, float] | None:
    """Powers of the rates; None after recording that they cannot be read."""
    try:
        powers = parse_rates(rates)
    except ValueError:
        section.fault("component-rates-form", "rates", rates=rates)
        return None
    if known.rates is None:
        return powers
    for name in powers:
        if name not in known.rates.names:
            fix = choose(name, known.rates.names)
            section.fault("component-rate", "rates", name=name, fix=fix)
    turned = [known.rates.ages[name] for name in powers if name in known.rates.ages]
    if known.ages and ages not in (UNSTATED, known.ages, *turned):
        section.fault("component-ages", "ages", ages=ages, target=known.ages)
    return powers


def _exponents(powers: Mapping[str, float], known: Known) -> np.ndarray:
    names = known.rates.names if known.rates is not None else ()
    return np.array([powers.get(name, 0.0) for name in names])


def _source(section: Section, folder: Path) -> TableSource | None:
    """How the table is read; None after recording faults."""
    part = section.part(TABLE_KEYS)
    if "file" in section and "totals" in section:
        section.fault("component-two-tables", "totals")
    elif "file" not in section and "totals" not in section:
        section.fault("component-no-table", "file")
    elif "by" in section:
        section.fault("component-by", "by")
    elif "file" in section and "count" not in section:
        section.fault("component-count", "count")
    else:
        source = read_source(part, folder)
        # A path with a fault was reported and left out.
        return source if source.path or source.kind == "margins" else None
    return None


def _table(source: TableSource, folder: Path, faults: Faults) -> OverlapTable | Margins | None:
    """The table; None after recording what is wrong with it."""
    try:
        table = source.read(folder, None)
    except InputError as error:
        faults.found.extend(error.faults)
        return None
    return table if isinstance(table, OverlapTable | Margins) else None


def _dependence(section: Section) -> dict[str, Any]:
    """Priors of how lists depend on each other, those that were written."""
    found: dict[str, Any] = {}
    if "order" in section:
        found["order"] = section.whole("order", 2)
    for key in ("interaction_scale", "interaction_sd", "list_beta"):
        if (number := section.number(key, strict=True)) is not None:
            found[key] = number
    if (shared := section.number("odds_ratio_shared", most=1.0)) is not None:
        found["odds_ratio_shared"] = shared
    ends = section.section("odds_ratio", optional=True)
    if "odds_ratio" in section:
        low, high = (ends.number(key, strict=True) for key in ("low", "high"))
        level = ends.number("level", least=LEVELS[0], most=LEVELS[1])
        ends.done()
        if low is None or high is None or level is None or low > high:
            section.fault("component-odds-ratio", "odds_ratio")
        else:
            found["odds_ratio"] = (low, high, level)
    section.done()
    return found


def _check_dependence(
    section: Section, table: OverlapTable | Margins, dependence: Mapping[str, Any]
) -> None:
    """No prior is written that has no part for a table of this kind."""
    pairs = isinstance(table, Margins) or len(table.lists) == 2
    allowed = PAIRS if pairs else SHRUNKEN
    what = "published totals and two lists" if pairs else "a table of three lists or more"
    for key in dependence:
        if key not in allowed:
            section.fault("component-dependence", "dependence", name=key, table=what,
                          allowed=", ".join(allowed))  # fmt: skip


def check_components(
    top: Section, components: Iterable[Component], evidence: Evidence | None
) -> None:
    """No id stands twice, and nothing that is used was computed from a table that is used."""
    rows = [] if evidence is None else list(evidence.table["id"])
    ids: set[str] = set(rows)
    for one in components:
        where = f"components.{one.id}"
        if one.id in ids:
            top.fault("component-twice", where, name=one.id)
        ids.add(one.id)
        if evidence is None:
            continue
        for row in one.instead_of:
            if row not in rows:
                top.fault("component-instead", where, name=row, fix=choose(row, rows))
        used = evidence.rows.loc[evidence.used, "id"]
        for row in counted_twice(one, used, evidence) if one.use else ():
            top.fault("component-double", where, name=one.id, row=row)


def counted_twice(one: Component, used: Iterable[str], evidence: Evidence) -> tuple[str, ...]:
    """Those of the used rows that were computed from the lists of a component."""
    table = evidence.table
    cells = table["derived_from"] if "derived_from" in table else pd.Series("", table.index)
    parents = {
        name: [part.strip() for part in str(cell).split(";") if part.strip()]
        for name, cell in zip(table["id"], cells, strict=True)
    }
    same = set(one.instead_of)
    return tuple(row for row in used if same & {row, *ancestors(row, parents)})
