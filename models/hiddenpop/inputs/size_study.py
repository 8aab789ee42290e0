"""A study of one table: its `study.toml` and the table, or a table given on the command line.

The table holds overlaps of lists, repeated captures, benchmarks or a tree.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hiddenpop.errors import InputError
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import Margins
from hiddenpop.inputs.overlaps_toml import overlap_as_toml
from hiddenpop.inputs.settings import Sampling, read_sampling
from hiddenpop.inputs.table import Table
from hiddenpop.inputs.table_source import TableSource, read_source
from hiddenpop.inputs.toml import Section
from hiddenpop.inputs.tree import Tree

__all__ = [
    "COMBINED",
    "SIZE_STUDIES",
    "Published",
    "SizeStudy",
    "SizeTarget",
    "as_toml",
    "read_size_study",
]

COMBINED = "combined"
"""Name of the families' average among the families."""

SIZE_STUDIES = ("recapture", "multiplier")
"""What the family of a study of one table is called in its `study.toml`."""

TEXTS = ("rests_on", "limits", "next_data")


@dataclass(frozen=True)
class SizeTarget:
    """The population to be sized, in words; empty where the user said nothing.

    Attributes
    ----------
    population
        Residents at the target's ages, or None.
    """

    behaviour: str = ""
    ages: str = ""
    period: str = ""
    area: str = ""
    population: float | None = None


@dataclass(frozen=True)
class Published:
    """A figure that somebody published for the same target.

    Attributes
    ----------
    note
        Why it may differ from ours.
    """

    name: str
    N: float
    low: float | None
    high: float | None
    level: float | None
    source: str
    note: str


@dataclass(frozen=True, eq=False)
class SizeStudy:
    """A table, the families that estimate from it, priors, a seed: everything a rerun needs.

    Attributes
    ----------
    families
        Names; empty for every exact family that applies, ("all",) for every one that does.
    headline
        The family whose number is the answer: one of them, or `combined`.
    options
        Fields of the families' `Priors`, as written.
    alternatives
        The table again without referred people, or of new cases only, by name; each family is
        fitted to these as well.
    threshold
        A size for which the report says what would have to be true, or None.
    rests_on, limits, next_data
        Sentences for the report.
    sources
        Where the numbers come from.
    folder
        Where `study.toml` stands.
    files
        Content of every file that was read, by its path inside the folder.
    """

    name: str
    title: str
    question: str
    target: SizeTarget
    source: TableSource
    table: Table
    families: tuple[str, ...]
    headline: str
    options: Mapping[str, Any]
    sampling: Sampling
    alternatives: Mapping[str, Table] = field(default_factory=dict)
    threshold: float | None = None
    published: tuple[Published, ...] = ()
    rests_on: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    next_data: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """What a `study.toml` calls it, and the name of its section of choices."""
        return "multiplier" if isinstance(self.table, MultiplierTable | Tree) else "recapture"

    @property
    def sha256(self) -> dict[str, str]:
        """Hash of each file that was read, by its path inside the folder."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}


def read_size_study(
    top: Section, file: Path, families: Collection[str], faults: Faults
) -> SizeStudy | None:
    """Read the sections of a `study.toml` whose family is one of `SIZE_STUDIES`, and its table.

    Returns None after recording what is wrong.
    """
    name, title, question = (top.text(key) for key in ("name", "title", "question"))
    if name and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        top.fault("study-name", "name", name=name)
    family = top.text("family")
    target = _target(top.section("target", optional=True))
    source = read_source(top.section("table"), file.parent)
    if (source.kind in ("benchmarks", "tree")) != (family == "multiplier"):
        top.fault("table-family", "table", family=family, kind=source.kind)
    chosen, headline, options, threshold = _choice(top.section(family, optional=True), families)
    sampling = read_sampling(top.section("sampling", optional=True))
    published = tuple(_published(section) for section in top.sections("published"))
    texts = _texts(top.section("report", optional=True))
    origins = top.section("sources", optional=True)
    sources = {key: origins.text(key) for key in origins}
    top.done()
    table, alternatives = _tables(source, file.parent, target.population, faults)
    if faults.found or table is None:
        return None
    names = [file.name] + ([source.path] if source.path else [])
    files = {name: (file.parent / name).read_bytes() for name in names}
    return SizeStudy(
        name, title, question, target, source, table, chosen, headline, options, sampling,
        alternatives, threshold, published, **texts, sources=sources, folder=file.parent,
        files=files,
    )  # fmt: skip


def _tables(
    source: TableSource, folder: Path, population: float | None, faults: Faults
) -> tuple[Table | None, dict[str, Table]]:
    """The table and its alternatives; None after recording what is wrong with it."""
    if faults.found and source.kind != "margins" and not source.path:
        return None, {}
    try:
        table = source.read(folder, population)
        return table, source.alternatives(folder, table)
    except InputError as error:
        faults.found.extend(error.faults)
        return None, {}


def _target(section: Section) -> SizeTarget:
    """What is said of the target; nothing must be."""
    words = {key: section.text(key) if key in section else "" for key in
             ("behaviour", "ages", "period", "area")}  # fmt: skip
    people = section.number("population", strict=True)
    section.done()
    return SizeTarget(**words, population=people)


def _choice(
    section: Section, known: Collection[str]
) -> tuple[tuple[str, ...], str, Mapping[str, Any], float | None]:
    """Families, headline, options, threshold; options are checked with the families."""
    chosen = section.texts("families", optional=True)
    for name in chosen:
        if name not in (*known, "all"):
            section.fault("recapture-family", "families", name=name, fix=choose(name, known))
    headline = section.text("headline") if "headline" in section else COMBINED
    allowed = [*(known if chosen in ((), ("all",)) else chosen), COMBINED]
    if headline and headline not in allowed:
        fix = choose(headline, allowed)
        section.fault("recapture-headline", "headline", name=headline, fix=fix)
    options = section.table("options")
    threshold = section.number("threshold", strict=True)
    section.done()
    return chosen, headline, options, threshold


def _published(section: Section) -> Published:
    name, source, note = (section.text(key) for key in ("name", "source", "note"))
    size, low, high = (section.number(key, strict=True) for key in ("N", "low", "high"))
    level = section.number("level", most=1.0, strict=True)
    section.done()
    if size is None and "N" not in section:
        section.fault("toml-missing", "N", name="N", word="a number")
    return Published(name, size or 0.0, low, high, level, source, note)


def _texts(section: Section) -> dict[str, tuple[str, ...]]:
    found = {key: section.texts(key, optional=True) for key in TEXTS}
    section.done()
    return found


def as_toml(study: SizeStudy) -> str:
    """`study.toml` of a study that was made on the command line."""
    source = {
        key: value
        for key, value in vars(study.source).items()
        if value and key not in ("totals", "distinct", "add_duplicates", "overlaps")
    }
    if study.source.overlaps:
        source["overlaps"] = [overlap_as_toml(pair) for pair in study.source.overlaps]
    if study.source.kind == "margins" and isinstance(study.table, Margins):
        source.pop("lists", None)
        source["totals"] = dict(zip(study.table.lists, study.table.totals, strict=True))
        source["distinct"] = study.table.distinct
    target = {key: value for key, value in vars(study.target).items() if value}
    choice: dict[str, Any] = {"families": list(study.families), "headline": study.headline}
    choice |= {} if study.threshold is None else {"threshold": study.threshold}
    sections = {"target": target, "table": source, study.family: choice}
    sections |= {f"{study.family}.options": dict(study.options), "sampling": vars(study.sampling)}
    head = {"name": study.name, "title": study.title, "question": study.question,
            "family": study.family}  # fmt: skip
    parts = [
        _lines(head),
        *(f"[{name}]\n{_lines(rows)}" for name, rows in sections.items() if rows),
    ]
    return "\n".join(parts)


def _lines(rows: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(key) if not key.replace('_', '').isalnum() else key} = "
                   f"{_value(value)}\n" for key, value in rows.items())  # fmt: skip


def _value(value: object) -> str:
    """A value as TOML; texts, numbers, lists and tables of them."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(str(key))} = {_value(x)}" for key, x in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_value(x) for x in value)}]"
    return (
        json.dumps(value) if isinstance(value, str | bool | int | float) else json.dumps(str(value))
    )
