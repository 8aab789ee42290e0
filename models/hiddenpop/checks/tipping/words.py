"""What would have to be true, in words, with the numbers that were computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.checks.tipping.evidence import CROSSES, HARDLY, NEVER, REACH
from hiddenpop.words import (
    Exact,
    capital,
    factor,
    listing,
    name_words,
    people,
    percent,
    probability,
)

__all__ = ["quantity_words", "size_words", "tipping_sentences"]

LEAST = f"1/{REACH:g}"

MOST_PAIRS = 3
"""Pairs of lists that are told, those nearest to independence first; the table has all."""

Row = dict[str, Any]


def tipping_sentences(frame: pd.DataFrame, who: str = "N") -> list[str]:
    """Sentences about rows of tipping points, those of one threshold together.

    Parameters
    ----------
    frame
        Rows of `xi_tipping`, `pair_tipping`, `benchmark_tipping` or `synthesis_tipping`, with a
        column `threshold`.
    who
        What has the threshold as its size, such as "the number of crack users in Ilkeston".
    """
    found: list[str] = []
    for target, part in frame.groupby("threshold", sort=False):
        for column, say in _KINDS.items():
            if column in part and (rows := part[part[column].fillna("").astype(str) != ""]).size:
                found += say(rows, f"{capital(who)} would be {size_words(float(str(target)))}", who)
    if "kind" in frame:
        found += _unmoved(frame)
    return list(dict.fromkeys(found))


def size_words(threshold: float) -> str:
    """A threshold as it was given, or an end of an interval rounded as one."""
    return people(Exact(threshold) if threshold == round(threshold) else threshold)


def _xi(rows: pd.DataFrame, would: str, who: str) -> list[str]:
    """The odds of being on no list, by family."""
    rows = rows[np.isfinite(rows["median"].astype(float))]
    if not len(rows):
        return []
    each = [f"{factor(row['median'])} ({name_words(row['family'])})" for row in _records(rows)]
    told = (
        f"{would} if the odds of being on no list were so many times what a family assumes: "
        f"{listing(each, 'or')}. No data of the table speak about this factor: it is what each "
        "family assumes, 1 being the assumption itself."
    )
    chances = rows["probability"].astype(float)
    low, high = probability(chances.min()), probability(chances.max())
    ends = low if low == high else f"{low} to {high}, by family"
    above = f"With the assumptions as they are, {who} is above that with a probability of {ends}."
    return [told, above]


def _pairs(rows: pd.DataFrame, would: str, who: str) -> list[str]:  # noqa: ARG001
    """Odds ratios of pairs of lists."""
    some = rows[rows["odds_ratio"].notna()].copy()
    some = some.assign(far=np.abs(np.log(some["odds_ratio"]))).sort_values("far")
    found = []
    if len(some):
        each = [f"{factor(row['odds_ratio'])} (being on {row['lists']})"
                for row in _records(some.head(MOST_PAIRS))]  # fmt: skip
        start = people(float(some["N"].iloc[0]))
        found.append(
            f"{would}, where independence of all lists gives {start}, if one pair of lists had "
            f"this odds ratio and the other pairs were independent: {listing(each, 'or')}."
        )
    never = rows.loc[rows["odds_ratio"].isna(), "lists"].tolist()
    if never:
        found.append(f"No odds ratio of this pair alone does it: {'; '.join(never)}.")
    limit = "With two lists, no data of the table speak about their odds ratio."
    if rows["lists"].nunique() > 1:
        limit = (
            "Of how two lists hang together the table says something, by those on a third list; of "
            "whether the same holds for those on no list, no data of the table speak."
        )
    return [*found, limit]


def _benchmarks(rows: pd.DataFrame, would: str, who: str) -> list[str]:  # noqa: ARG001
    """Errors of benchmarks, the rest being exact."""
    found = []
    for row in _records(rows):
        name = f"“{name_words(row['benchmark'])}”"
        told = f"{would} by {name} alone if its number were {factor(row['error'])} times the truth"
        if np.isfinite(float(row["odds_ratio"])):
            told += (
                f", or if {percent(row['share'])} of the target were in it, so that its survey "
                f"{'over' if row['odds_ratio'] > 1 else 'under'}-recruits people in it by an "
                f"odds ratio of {factor(row['odds_ratio'])}"
            )
        found.append(f"{told}. Neither the number nor its survey speaks about such an error.")
    return found


def quantity_words(kind: str, name: str) -> str:
    """A bias or rate in words: "bias of “police”"."""
    said = f"“{name_words(name)}”"
    if kind == "share" and name.startswith("share"):
        return said
    return {"bias": f"bias of {said}", "share": f"share {said}", "factor": f"factor {said}"}[kind]


def _evidence(rows: pd.DataFrame, would: str, who: str) -> list[str]:
    """Crossings of quantities, then those that never get there."""
    first = rows.drop_duplicates(["kind", "name"])
    found = [_crossing(row, would) for row in _records(first[first["finding"] == CROSSES])]
    for row in _records(first[first["finding"] == NEVER]):
        curve = rows[(rows["kind"] == row["kind"]) & (rows["name"] == row["name"])]
        values, sizes = curve["value"].astype(float), curve["median"].astype(float)
        ends = [_value(row["kind"], value) for value in (values.min(), values.max())]
        low, high = people(sizes.min()), people(sizes.max())
        found.append(
            f"The {quantity_words(row['kind'], row['name'])} alone does not do it: from "
            f"{ends[0]} to {ends[1]}, {who} stays between {low} and {high}."
        )
    curves = rows[rows["median"].notna()]
    failed = curves[curves["passed"].astype(str) != "True"].drop_duplicates(["kind", "name"])
    if len(failed):
        names = listing([quantity_words(row["kind"], row["name"]) for row in _records(failed)])
        found.append(f"Some fits failed their gates, so that these are for a look only: {names}.")
    return found


def _crossing(row: Row, would: str) -> str:
    """One crossing."""
    side = "more" if row["crossing"] > row["now"] else "less"
    name = f"“{name_words(row['name'])}”"
    where, now = (_value(row["kind"], row[key]) for key in ("crossing", "now"))
    if row["kind"] == "bias":
        condition = f"{name} reported {where} times the truth (held likely: {now} times)"
    else:
        condition = f"the {row['kind']} {name} were {where} (held likely: {now})"
    return (
        f"{would} if {condition}. Before the evidence, that or {side} has a probability of "
        f"{probability(row['prior'])}; with all evidence, {probability(row['posterior'])}."
    )


def _value(kind: str, value: float) -> str:
    return percent(value) if kind == "share" else factor(value)


def _unmoved(frame: pd.DataFrame) -> list[str]:
    """Quantities that were not moved, of all thresholds."""
    rows = frame[frame["finding"] == HARDLY].drop_duplicates(["kind", "name"])
    if rows.empty:
        return []
    names = listing([quantity_words(row["kind"], row["name"]) for row in _records(rows)])
    most = rows["correlation"].astype(float).abs().max()
    told = (
        f"Not moved, as they hardly matter: {names}. Within what is held possible none has a "
        f"correlation with the answer above {factor(most)}. The others were moved to at most "
        f"{factor(REACH)} times, or {LEAST} of, their value; of a share, its odds."
    )
    return [told]


def _records(frame: pd.DataFrame) -> Iterator[Row]:
    for row in frame.to_dict("records"):
        yield {str(key): value for key, value in row.items()}


_KINDS: dict[str, Callable[[pd.DataFrame, str, str], list[str]]] = {
    "family": _xi,
    "lists": _pairs,
    "benchmark": _benchmarks,
    "kind": _evidence,
}
"""Sentences by the column that names the rows."""
