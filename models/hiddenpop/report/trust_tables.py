"""Tables of the page of checks: columns in words with units, numbers rounded, intervals joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from hiddenpop.checks.conflict.predictive import BOUNDS
from hiddenpop.checks.hidden_lists.hide_a_list import hidden_scores
from hiddenpop.checks.influence import MAIN
from hiddenpop.checks.priors.tornado import LEFT_OUT, NO_PART, REFUSED
from hiddenpop.checks.tipping.evidence import HARDLY
from hiddenpop.report import trust_columns as more
from hiddenpop.report.trust_cells import (
    Column,
    Row,
    by_family,
    failed,
    generic,
    joined,
    number,
    p_cell,
    pull,
    text,
    three,
    two,
    unit,
    yes,
)
from hiddenpop.words import capital, listing, name_words, people, percent, plain

__all__ = ["MOST_ROWS", "Table", "table_of"]

MOST_ROWS = 60
"""Rows of a table that are shown; the CSV has all."""


class Table(NamedTuple):
    """A table as people read it.

    Attributes
    ----------
    head
        Headings.
    rows
        Cells of each row; the first names it.
    note
        What is not in it.
    """

    head: list[str]
    rows: list[list[str]]
    note: str


def table_of(name: str, frame: pd.DataFrame) -> Table:
    """The table of a check; of one that is not known here, every column in words."""
    if frame.empty:
        return Table([], [], "")
    chosen, notes = frame, []
    if name == "priors":
        chosen, note = _moving(frame)
        notes.append(note)
    elif name == "hide-a-list":
        chosen = hidden_scores(frame)
    elif name == "tipping" and "kind" in frame:
        chosen = frame[frame["finding"] != HARDLY].drop_duplicates(["threshold", "kind", "name"])
    if name == "tipping" and "family" in frame:
        notes.append("In brackets: what it would take for either end of the 95 % interval.")
    kind = "benchmarks" if name == "conflict" and "benchmark" in frame else name
    columns = _COLUMNS[kind](chosen) if kind in _COLUMNS else generic(chosen)
    records = [{str(k): x for k, x in row.items()}
               for row in chosen.head(MOST_ROWS).to_dict("records")]  # fmt: skip
    cells = [[column.cell(row) for column in columns] for row in records]
    # Columns without anything in them are not shown.
    kept = [i for i in range(len(columns)) if any(row[i] for row in cells)]
    if len(chosen) > MOST_ROWS:
        notes.append(f"{len(chosen) - MOST_ROWS} more rows are in the file.")
    return Table([columns[i].heading for i in kept], [[row[i] for i in kept] for row in cells],
                 " ".join(note for note in notes if note))  # fmt: skip


# --- checks ------------------------------------------------------------------------------------


def _after(frame: pd.DataFrame, key: str = "p") -> str:
    return f"p, allowing for {int(frame[key].notna().sum())} looked at"


def _conflict(frame: pd.DataFrame) -> list[Column]:
    def named(row: Row) -> str:
        bound = f" ({row['kind']} bound)" if row["kind"] in BOUNDS else ""
        return capital(name_words(str(row["id"]))) + bound

    def expected(row: Row) -> str:
        keys = ("expected", "expected_low", "expected_high")
        return joined(*keys, words=unit(row, "reported"))(row)

    def reported(row: Row) -> str:
        return unit(row, "reported")(float(row["reported"]))

    return [
        Column("Row of evidence", named),
        Column("Source", text("source")),
        Column("Reported, in its own unit", reported),
        Column("Expected by the rest (95 % interval)", expected),
        Column("Reported / expected (95 % interval)", joined("ratio", "ratio_low", "ratio_high")),
        Column("p", p_cell("p")),
        Column(_after(frame), p_cell("p_holm")),
        Column("Pull on the headline", pull),
        *failed(frame),
    ]


def _sources(frame: pd.DataFrame) -> list[Column]:
    return [
        Column("Source", text("source")),
        Column("Rows left out", number("rows", people)),
        Column("Reported / expected (95 % interval)", joined("ratio", "ratio_low", "ratio_high")),
        Column("p", p_cell("p")),
        Column(_after(frame), p_cell("p_holm")),
        Column("Pull on the headline", pull),
        *failed(frame),
    ]


def _benchmarks(frame: pd.DataFrame) -> list[Column]:
    return [
        Column("Benchmark", text("benchmark")),
        *by_family(frame),
        Column("N from it alone (95 % interval)",
                joined("alone", "alone_low", "alone_high", three)),
        Column("N from the others (95 % interval)",
                joined("without", "without_low", "without_high", three)),
        Column("p", p_cell("conflict")),
        Column(_after(frame, "conflict"), p_cell("conflict_holm")),
    ]  # fmt: skip


def _moving(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Priors that have a part, those that move most first, and which have none."""
    idle = frame["how"].isin([NO_PART, REFUSED, LEFT_OUT])
    main = frame["prior"] == MAIN
    chosen = frame[~idle].assign(order=frame["moved"].where(~main, float("inf")))
    chosen = chosen.sort_values("order", ascending=False, kind="stable")
    if "family" in chosen:
        chosen = chosen.assign(place=pd.factorize(chosen["family"])[0])
        chosen = chosen.sort_values("place", kind="stable")
    some = [capital(name_words(x)) for x in frame.loc[frame["how"] == NO_PART, "prior"].unique()]
    return chosen, f"Priors that have no part in an answer: {listing(some)}." if some else ""


def _priors(frame: pd.DataFrame) -> list[Column]:
    def named(row: Row) -> str:
        said = str(row["prior"])
        return "As they are" if said == MAIN else capital(name_words(said))

    def moved(row: Row) -> str:
        if row["prior"] == MAIN:
            return ""
        return percent(float(row["moved"])) + (", flagged" if yes(row["flagged"]) == "yes" else "")

    return [
        *by_family(frame),
        Column("Prior", named),
        Column("Change", text("change")),
        Column("People (95 % interval)", joined("median", "low", "high", three)),
        Column("Times the answer as it is", number("ratio", lambda x: plain(x, 3))),
        Column("Move, share of the interval", moved),
        Column("How found", text("how")),
        *failed(frame),
    ]


def _power(frame: pd.DataFrame) -> list[Column]:
    return [
        *by_family(frame),
        Column("Quantity", text("quantity")),
        Column("Prior that is made stronger", text("part")),
        Column("Answer to the prior (from 0.05 on it counts)", number("prior", two)),
        Column("Answer to the evidence", number("likelihood", two)),
        Column("Finding", text("finding")),
    ]


_COLUMNS: dict[str, Callable[[pd.DataFrame], list[Column]]] = {
    "conflict": _conflict, "sources": _sources, "benchmarks": _benchmarks, "priors": _priors,
    "power": _power, "hide-a-list": more.hidden, "tipping": more.tipping,
    "next-data": more.next_data, "families": more.families, "fit": more.fit,
    "leave-one-out": more.left_out,
}  # fmt: skip
