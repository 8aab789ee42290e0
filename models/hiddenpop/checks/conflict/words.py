"""Conflicts in words, with the numbers that were computed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hiddenpop.checks.conflict.predictive import BOUNDS
from hiddenpop.words import factor, listing, name_words, percent

__all__ = ["ALPHA", "conflict_sentences", "p_words", "pull_words", "source_sentences"]

ALPHA = 0.05
"""Below this a p-value is told by itself."""

SMALLEST = 0.001
"""Smaller p-values rest on tails of which draws know little."""

SLIGHT = 0.005
"""A headline that moves by less is said not to move."""


def p_words(p: float) -> str:
    """A p-value with its sign of comparison: "= .02", "< .001"."""
    if p < SMALLEST:
        return f"< {SMALLEST:g}".replace("0.", ".")
    digits = f"{p:.2g}" if p < 2 * ALPHA else f"{p:.2f}"
    return f"= {digits}".replace("0.", ".", 1)


def pull_words(ratio: float) -> str:
    """Which way something pulls the headline: "pulls it up by 4 %"."""
    if abs(ratio - 1) < SLIGHT:
        return "moves it by less than half a per cent"
    change = abs(ratio - 1)
    return f"pulls it {'up' if ratio > 1 else 'down'} by {percent(change, 1 + (change >= 0.1))}"


def conflict_sentences(frame: pd.DataFrame, headline: str = "") -> list[str]:
    """Sentences about a `conflict_table`: how many conflicts, each in turn, the strongest pull.

    `headline` is what the headline counts, such as "crack users in Ilkeston".
    """
    found = _counted(frame, "row", "rows")
    for _, row in frame[frame["p"] < ALPHA].sort_values("p").iterrows():
        name = f"“{name_words(row['id'])}” ({name_words(row['source'])})"
        found.append(
            _bound(row, name) if row["kind"] in BOUNDS else _report(row, f"The row {name}")
        )
    return [*found, *_pulls(frame, "id", headline), *_failed(frame, "id")]


def source_sentences(frame: pd.DataFrame, headline: str = "") -> list[str]:
    """Sentences about a `source_table`; `headline` as in `conflict_sentences`."""
    found = _counted(frame, "source", "sources")
    for _, row in frame[frame["p"] < ALPHA].sort_values("p").iterrows():
        rows = f"{row['rows']} rows together" if row["rows"] > 1 else "1 row"
        found.append(_report(row, f"The source “{name_words(row['source'])}” ({rows})"))
    return [*found, *_pulls(frame, "source", headline), *_failed(frame, "source")]


def _counted(frame: pd.DataFrame, one: str, many: str) -> list[str]:
    """How many p-values are small, and how many would be by chance."""
    looked = int(frame["p"].notna().sum())
    if not looked:
        return [f"No {one} could be held against the others."]
    small, left = int((frame["p"] < ALPHA).sum()), int((frame["p_holm"] < ALPHA).sum())
    what = f"1 {one} was" if looked == 1 else f"Each of {looked} {many} was"
    level = f"{ALPHA:g}".replace("0.", ".")
    told = (
        f"{what} predicted from everything else. {small} {'has' if small == 1 else 'have'} p below "
        f"{level}, where chance alone would give {factor(ALPHA * looked)} on average; "
        f"{left} {'has' if left == 1 else 'have'} after Holm's adjustment for looking at {looked}."
    )
    return [told]


def _report(row: pd.Series[Any], name: str) -> str:
    return (
        f"{name} reports {factor(row['ratio'])} times what everything else implies (95 % interval "
        f"{factor(row['ratio_low'])} to {factor(row['ratio_high'])}); p {p_words(row['p'])}, "
        f"after adjustment {_after(row)}."
    )


def _bound(row: pd.Series[Any], name: str) -> str:
    return (
        f"The {row['kind']} bound {name} is {factor(row['ratio'])} times what everything else "
        f"implies for what it bounds, and holds with a probability of {percent(row['p'])}; after "
        f"adjustment p {p_words(row['p_holm'])}."
    )


def _after(row: pd.Series[Any]) -> str:
    return p_words(row["p_holm"]).removeprefix("= ")


def _pulls(frame: pd.DataFrame, key: str, headline: str) -> list[str]:
    """What pulls the headline up most, and what down."""
    moving = frame[(frame["headline_ratio"] - 1).abs() >= SLIGHT]
    if moving.empty:
        return []
    ends = moving.loc[[moving["headline_ratio"].idxmax(), moving["headline_ratio"].idxmin()]]
    ends = ends.drop_duplicates(key)
    told = [f"“{name_words(row[key])}” {pull_words(row['headline_ratio'])}"
            for _, row in ends.iterrows()]  # fmt: skip
    name = f"number of {headline}" if headline else "headline number"
    return [f"On the {name}: {listing(told)}."]


def _failed(frame: pd.DataFrame, key: str) -> list[str]:
    """Fits that did not pass their gates."""
    names = [f"“{name_words(name)}”" for name in frame.loc[~frame["passed"].astype(bool), key]]
    if not names:
        return []
    return [f"Without {listing(names, 'or')} the fit did not pass its gates: no trust there."]
