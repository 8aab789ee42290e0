"""Columns of tables of checks about assumptions, families and further data."""

from __future__ import annotations

import pandas as pd

from hiddenpop.checks.tipping.evidence import CROSSES
from hiddenpop.checks.tipping.words import size_words
from hiddenpop.report.trust_cells import (
    Column,
    Row,
    by_family,
    chance,
    failed,
    joined,
    nothing,
    number,
    p_cell,
    text,
    three,
    two,
    yes,
)
from hiddenpop.words import capital, factor, name_words, people, percent

__all__ = ["families", "fit", "hidden", "left_out", "next_data", "tipping"]


def hidden(frame: pd.DataFrame) -> list[Column]:  # noqa: ARG001
    """Scores of hide-a-list."""

    def covered(row: Row) -> str:
        return f"{int(row['covered'])} of {int(row['lists'])}"

    def off(row: Row) -> str:
        low = float(row["underestimate"])
        return f"{percent(abs(low))} too {'low' if low > 0 else 'high'}"

    return [
        Column("Family", text("family")),
        Column("Interval", number("level", percent)),
        Column("Lists whose known size it holds", covered),
        Column("Middle, on average", off),
        Column("Lists without an answer", lambda row: people(float(row["refused"]))),
    ]


def tipping(frame: pd.DataFrame) -> list[Column]:  # noqa: ARG001
    """What would have to be true."""
    return [
        Column("Size, people", number("threshold", size_words)),
        Column("What would have to differ", _what),
        Column("It would have to be", _needed),
        Column("It is taken to be", _held),
        Column("Prior probability of that or farther", number("prior", chance)),
        Column("Probability with all evidence", number("posterior", chance)),
    ]


def _what(row: Row) -> str:
    if not nothing(row.get("lists")):
        return f"Odds ratio of {row['lists']}, the other pairs independent"
    if not nothing(row.get("benchmark")):
        return f"Number of {name_words(row['benchmark'])} over the truth"
    if not nothing(row.get("family")):
        return f"Odds of being on no list, times what {name_words(row['family'])} assumes"
    kind = {"bias": "Reported over true of", "share": "Share", "factor": "Factor"}
    return f"{kind[row['kind']]} {name_words(row['name'])}"


def _needed(row: Row) -> str:
    if not nothing(row.get("finding")):
        words = percent if row["kind"] == "share" else factor
        return words(float(row["crossing"])) if row["finding"] == CROSSES else "not in reach"
    for key in ("lists", "benchmark"):
        if not nothing(row.get(key)):
            value = row["odds_ratio" if key == "lists" else "error"]
            return "not in reach" if nothing(value) else factor(float(value))
    # The higher end of N needs the smaller factor.
    return joined("median", "high", "low")(row)


def _held(row: Row) -> str:
    if not nothing(row.get("now")):
        return (percent if row["kind"] == "share" else factor)(float(row["now"]))
    return "1"


def next_data(frame: pd.DataFrame) -> list[Column]:  # noqa: ARG001
    """How much narrower the interval would be."""

    def said(row: Row) -> str:
        about = "" if nothing(row["about"]) else f", {row['about']}"
        return capital(f"{row['data']}{about}")

    return [
        Column("Further data", said),
        Column("Family", text("family")),
        Column("Interval narrower by (log scale)", lambda row: _narrower(float(row["narrower"]))),
        Column("Today's interval, people", joined("", "now_low", "now_high", three)),
        Column("Interval if they show what is expected, people", joined("", "low", "high", three)),
    ]


def _narrower(value: float) -> str:
    return percent(value) if value >= 0.005 else "nothing"


def families(frame: pd.DataFrame) -> list[Column]:  # noqa: ARG001
    """Families side by side."""

    def behind(row: Row) -> str:
        if nothing(row["behind"]):
            return ""
        if float(row["behind"]) == 0:
            return "the best"
        return f"{float(row['behind']):.1f} (standard error {float(row['behind_error']):.1f})"

    return [
        Column("Family", text("family")),
        Column("People (95 % interval; of a set its ends)", joined("median", "low", "high", three)),
        Column("Times the headline", number("ratio")),
        Column("Predicts people on lists worse than the best by (log score)", behind),
        Column("Weight in the best mixture", number("weight", chance)),
        Column("Fit passed its gates", lambda row: yes(row["passed"])),
    ]


def fit(frame: pd.DataFrame) -> list[Column]:
    """Counts against what a family expects."""
    kinds = {"cell": "On", "list": "All on", "pair": "On both"}
    names = [str(x) for x in frame.columns]
    own = next((x for x in ("name", "id", "cell", "label") if x in names), "kind")

    def said(row: Row) -> str:
        return f"{kinds.get(str(row['kind']), capital(str(row['kind'])))}: {row[own]}"

    return [
        *by_family(frame),
        Column("People", said),
        Column("Observed", number("observed", people)),
        Column("Expected (95 % interval)", joined("expected", "low", "high", three)),
        Column("p", p_cell("p")),
        Column("p, allowing for those of its kind", p_cell("p_holm")),
        Column("p, predicted from the other cells", p_cell("p_left_out")),
    ]


def left_out(frame: pd.DataFrame) -> list[Column]:
    """How well each row or cell is predicted by the rest."""
    names = [str(x) for x in frame.columns]
    own = next((x for x in ("cell", "history", "lists", "id") if x in names), names[0])
    return [
        *by_family(frame),
        Column("Left out", text(own)),
        Column("Source", text("source")),
        Column("People", number("people", people)),
        Column("Log score (the higher, the better predicted)", _score),
        Column("Pareto k (above 0.7 fitted again)", number("k", two)),
        *failed(frame),
    ]


def _score(row: Row) -> str:
    """By a new fit where there is one."""
    again = row.get("elpd_refit")
    value = row["elpd"] if nothing(again) else again
    if nothing(value):
        return ""
    return f"{float(str(value)):.2f}".replace("-", "−") + ("" if nothing(again) else " (new fit)")
