"""A capture-recapture study: its `study.toml` and table, or a table given on the command line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hiddenpop.errors import InputError
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.margins_text import read_margins
from hiddenpop.inputs.overlap import Margins
from hiddenpop.inputs.overlap_csv import read_overlap
from hiddenpop.inputs.paths import path_fault
from hiddenpop.inputs.repeats_csv import read_repeats
from hiddenpop.inputs.settings import Sampling, read_sampling
from hiddenpop.inputs.table import Table
from hiddenpop.inputs.toml import Section

__all__ = [
    "COMBINED",
    "Published",
    "SizeStudy",
    "SizeTarget",
    "TableSource",
    "as_toml",
    "read_size_study",
]

COMBINED = "combined"
"""Name of the families' average among the families."""

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
class TableSource:
    """How the table is read; the same words as the options of `hiddenpop recapture`.

    Attributes
    ----------
    file
        A CSV, or None where only margins were published.
    lists
        Columns, or names of the lists.
    count, history, person, list_column, times
        Columns that hold numbers of people, histories such as 1010, ids of people, names of
        lists, and how often a person was seen.
    by
        Columns that make strata.
    covariates
        Columns that repeated captures may depend on.
    suppressed
        What marks such as `<5` stand for: {"<5": "0-4"}.
    structural
        Histories that were impossible.
    ignore
        Columns to leave alone.
    totals, distinct
        Published margins: people on each list, and different people.
    """

    file: str | None = None
    lists: tuple[str, ...] = ()
    count: str | None = None
    history: str | None = None
    person: str | None = None
    list_column: str | None = None
    times: str | None = None
    by: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    suppressed: Mapping[str, str] = field(default_factory=dict)
    structural: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    add_duplicates: bool = False
    totals: tuple[int | str, ...] = ()
    distinct: int | str | None = None

    @property
    def kind(self) -> Literal["overlap", "margins", "repeats"]:
        """What is read."""
        if self.distinct is not None or (self.totals and self.file is None):
            return "margins"
        return "repeats" if self.times else "overlap"

    def read(self, folder: Path, population: float | None) -> Table:
        """Read the table, or make it from the margins.

        Raises
        ------
        InputError
            With every fault found.
        """
        if self.kind == "margins":
            distinct = "" if self.distinct is None else self.distinct
            return read_margins(self.totals, distinct, self.lists or None, population)
        path = folder / (self.file or "")
        if self.kind == "repeats":
            return read_repeats(
                path, self.times or "", count=self.count, covariates=self.covariates,
                ignore=self.ignore, add_duplicates=self.add_duplicates, population=population,
            )  # fmt: skip
        return read_overlap(
            path, self.lists or None, count=self.count, history=self.history, by=self.by,
            person=self.person, list_column=self.list_column, suppressed=self.suppressed,
            structural=self.structural, ignore=self.ignore, add_duplicates=self.add_duplicates,
            population=population,
        )  # fmt: skip


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
    threshold: float | None = None
    published: tuple[Published, ...] = ()
    rests_on: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    next_data: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    files: Mapping[str, bytes] = field(default_factory=dict)

    family = "recapture"

    @property
    def sha256(self) -> dict[str, str]:
        """Hash of each file that was read, by its path inside the folder."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}


def read_size_study(
    top: Section, file: Path, families: Collection[str], faults: Faults
) -> SizeStudy | None:
    """Read the sections of a `study.toml` whose family is "recapture", and its table.

    Returns None after recording what is wrong.
    """
    name, title, question = (top.text(key) for key in ("name", "title", "question"))
    if name and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        top.fault("study-name", "name", name=name)
    top.text("family")
    target = _target(top.section("target", optional=True))
    source = _source(top.section("table"), file.parent)
    chosen, headline, options, threshold = _choice(
        top.section("recapture", optional=True), families
    )
    sampling = read_sampling(top.section("sampling", optional=True))
    published = tuple(_published(section) for section in top.sections("published"))
    texts = _texts(top.section("report", optional=True))
    origins = top.section("sources", optional=True)
    sources = {key: origins.text(key) for key in origins}
    top.done()
    table = _table(source, file.parent, target.population, faults)
    if faults.found or table is None:
        return None
    names = [file.name] + ([source.file] if source.file else [])
    files = {name: (file.parent / name).read_bytes() for name in names}
    return SizeStudy(
        name, title, question, target, source, table, chosen, headline, options, sampling,
        threshold, published, **texts, sources=sources, folder=file.parent, files=files,
    )  # fmt: skip


def _table(
    source: TableSource, folder: Path, population: float | None, faults: Faults
) -> Table | None:
    """The table, None after recording what is wrong with it."""
    if source.kind != "margins" and not source.file:
        return None
    try:
        return source.read(folder, population)
    except InputError as error:
        faults.found.extend(error.faults)
        return None


def _target(section: Section) -> SizeTarget:
    """What is said of the target; nothing must be."""
    words = {key: section.text(key) if key in section else "" for key in
             ("behaviour", "ages", "period", "area")}  # fmt: skip
    people = section.number("population", strict=True)
    section.done()
    return SizeTarget(**words, population=people)


def _source(section: Section, folder: Path) -> TableSource:
    """How the table is read."""

    def word(key: str) -> str | None:
        return section.text(key) if key in section else None

    def several(key: str) -> tuple[str, ...]:
        return section.texts(key, optional=True)

    file = word("file")
    marks = section.section("suppressed", optional=True)
    totals = section.section("totals", optional=True)
    margins = {name: totals.whole(name, 0, least=0) for name in totals}
    distinct = section.whole("distinct", 0) if "distinct" in section else None
    if file is not None and (code := path_fault(file, folder / file, folder)):
        section.fault(code, "file", name=file)
        file = None
    elif file is None and not margins:
        section.fault("recapture-no-table", "file")
    lists = several("lists")
    source = TableSource(
        file, tuple(margins) or lists, word("count"), word("history"), word("person"),
        word("list_column"), word("times"), several("by"), several("covariates"),
        {mark: marks.text(mark) for mark in marks}, several("structural"), several("ignore"),
        False, tuple(margins.values()), distinct,
    )  # fmt: skip
    section.done()
    return source


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
        if value and key not in ("totals", "distinct", "add_duplicates")
    }
    if study.source.kind == "margins" and isinstance(study.table, Margins):
        source.pop("lists", None)
        source["totals"] = dict(zip(study.table.lists, study.table.totals, strict=True))
        source["distinct"] = study.table.distinct
    target = {key: value for key, value in vars(study.target).items() if value}
    choice: dict[str, Any] = {"families": list(study.families), "headline": study.headline}
    choice |= {} if study.threshold is None else {"threshold": study.threshold}
    sections = {"target": target, "table": source, "recapture": choice}
    sections |= {"recapture.options": dict(study.options), "sampling": vars(study.sampling)}
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
