"""How the table of a study is read: which file, which columns, and which form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hiddenpop.inputs.margins_text import read_margins
from hiddenpop.inputs.multipliers import MultiplierTable, Overlap
from hiddenpop.inputs.multipliers_csv import read_multipliers
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.overlap_csv import read_overlap
from hiddenpop.inputs.overlaps_toml import read_overlaps
from hiddenpop.inputs.paths import path_fault
from hiddenpop.inputs.repeats_csv import read_repeats
from hiddenpop.inputs.switches import Switch, incident, switched, without_referred
from hiddenpop.inputs.table import Table
from hiddenpop.inputs.toml import Section
from hiddenpop.inputs.tree_csv import read_tree

__all__ = ["NEW", "REFERRED", "TableSource", "read_source"]

REFERRED, NEW = "without referred people", "new cases only"
"""Names of the tables that a switch gives."""

SWITCHED: dict[Switch, str] = {"referred": REFERRED, "new": NEW}

FILES = ("file", "benchmarks", "tree")
"""Keys of a file, by its form: an overlap table or repeated captures, benchmarks, a tree."""


@dataclass(frozen=True)
class TableSource:
    """How the table is read; the same words as the options of the command line.

    Attributes
    ----------
    file, benchmarks, tree
        A CSV with an overlap table or repeated captures, with benchmarks, or with the branches
        of a tree; none where only margins were published.
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
    overlaps
        What is known of pairs of benchmarks.
    referred, referral
        Column with how many people of a cell are on a list only because another sent them
        there, and from which to which: "arrest>treat".
    new
        Column with the new cases among the people.
    switches
        Benchmarks: "referred", "new", to estimate again without referred people and from new
        cases only.
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
    benchmarks: str | None = None
    tree: str | None = None
    overlaps: tuple[Overlap, ...] = ()
    referred: str | None = None
    referral: str | None = None
    new: str | None = None
    switches: tuple[Switch, ...] = ()

    @property
    def kind(self) -> Literal["overlap", "margins", "repeats", "benchmarks", "tree"]:
        """What is read."""
        if self.benchmarks:
            return "benchmarks"
        if self.tree:
            return "tree"
        if self.distinct is not None or (self.totals and self.file is None):
            return "margins"
        return "repeats" if self.times else "overlap"

    @property
    def path(self) -> str | None:
        """The one file that is read, inside the folder of the study; None for margins."""
        return self.file or self.benchmarks or self.tree

    def read(self, folder: Path, population: float | None) -> Table:
        """Read the table, or make it from the margins.

        Raises
        ------
        InputError
            With every fault found.
        """
        path = folder / (self.path or "")
        if self.kind == "margins":
            distinct = "" if self.distinct is None else self.distinct
            return read_margins(self.totals, distinct, self.lists or None, population)
        if self.kind == "benchmarks":
            return read_multipliers(path, overlaps=self.overlaps, population=population)
        if self.kind == "tree":
            return read_tree(path, population=population)
        if self.kind == "repeats":
            return read_repeats(
                path, self.times or "", count=self.count, covariates=self.covariates,
                ignore=self.ignore, add_duplicates=self.add_duplicates, population=population,
            )  # fmt: skip
        return self._overlap(path, self.count, population)

    def _overlap(
        self, path: Path, count: str | None, population: float | None, *, part: bool = False
    ) -> OverlapTable:
        """The overlap table with the people of one column."""
        others = {self.count, self.referred, self.new} - {count, None}
        return read_overlap(
            path, self.lists or None, count=count, history=self.history, by=self.by,
            person=self.person, list_column=self.list_column,
            suppressed={} if part else self.suppressed, structural=self.structural,
            ignore=(*self.ignore, *sorted(map(str, others))),
            add_duplicates=self.add_duplicates, population=population, part=part,
        )  # fmt: skip

    def alternatives(self, folder: Path, table: Table) -> dict[str, Table]:
        """The table again as each switch makes it, by name.

        Raises
        ------
        InputError
            If a switch cannot be thrown on this table.
        """
        found: dict[str, Table] = {}
        path = folder / (self.path or "")
        if isinstance(table, MultiplierTable):
            return {SWITCHED[one]: switched(table, one) for one in self.switches}
        if isinstance(table, OverlapTable) and self.referred:
            sender, _, receiver = (self.referral or "").partition(">")
            sent = self._overlap(path, self.referred, None, part=True)
            found[REFERRED] = without_referred(table, sent, sender.strip(), receiver.strip())
        if isinstance(table, OverlapTable) and self.new:
            found[NEW] = incident(table, self._overlap(path, self.new, None, part=True))
        return found


def read_source(section: Section, folder: Path) -> TableSource:
    """The section [table] of a `study.toml`."""

    def word(key: str) -> str | None:
        return section.text(key) if key in section else None

    def several(key: str) -> tuple[str, ...]:
        return section.texts(key, optional=True)

    files = {key: name for key in FILES if (name := word(key)) is not None}
    marks = section.section("suppressed", optional=True)
    totals = section.section("totals", optional=True)
    margins = {name: totals.whole(name, 0, least=0) for name in totals}
    distinct = section.whole("distinct", 0) if "distinct" in section else None
    if not files and not margins:
        section.fault("recapture-no-table", "file")
    if len(files) > 1:
        section.fault("table-two-files", list(files)[1], names=" and ".join(files))
    for key, name in list(files.items()):
        if code := path_fault(name, folder / name, folder):
            section.fault(code, key, name=name)
            del files[key]
    lists = several("lists")
    source = TableSource(
        files.get("file"), tuple(margins) or lists, word("count"), word("history"),
        word("person"), word("list_column"), word("times"), several("by"),
        several("covariates"), {mark: marks.text(mark) for mark in marks},
        several("structural"), several("ignore"), False, tuple(margins.values()), distinct,
        files.get("benchmarks"), files.get("tree"), read_overlaps(section.sections("overlaps")),
        word("referred"), word("referral"), word("new"), _switches(section),
    )  # fmt: skip
    section.done()
    return source


def _switches(section: Section) -> tuple[Switch, ...]:
    """The switches that exist; others are recorded."""
    found = section.texts("switches", optional=True)
    for name in found:
        if name not in SWITCHED:
            section.fault("table-switch", "switches", name=name)
    return tuple(switch for switch in SWITCHED if switch in found)
