"""Results as words and rows of tables, each number rounded to what its interval bears."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.checks.influence import MAIN
from hiddenpop.estimate import Estimate, Summary
from hiddenpop.plots.tables import variants_table
from hiddenpop.report.inputs import rate_prior
from hiddenpop.words import (
    capital,
    factor,
    group_words,
    interval,
    listing,
    name_words,
    people,
    percent,
    plain,
    probability,
)

__all__ = [
    "Result",
    "comparisons",
    "influence",
    "results",
    "shares",
    "variant_rows",
    "width_words",
]


class Result(NamedTuple):
    """One area and group in words: numbers of people and rates per 1,000 residents."""

    area: str
    group: str
    words: str
    people: str
    people_interval: str
    rate: str
    rate_interval: str


def results(estimate: Estimate, groups: tuple[str, ...] | None = None) -> list[Result]:
    """Every reported area and group, or only some groups; areas outermost."""
    report = estimate.data.report
    found = []
    for area in report.areas:
        for group in groups or report.groups:
            users, rate = estimate.users(area, group), estimate.prevalence(area, group)
            found.append(
                Result(
                    area, group, name_words(group), people(users.median), interval(users, people),
                    plain(rate.median), interval(rate, plain),
                )
            )  # fmt: skip
    return found


def comparisons(estimate: Estimate) -> list[str]:
    """Sentences on the comparisons that the study asks for."""
    sentences = []
    for area, other, group in estimate.data.report.compare:
        found = estimate.compare(area, other, group)
        sentences.append(
            f"{capital(group_words(group))}: the rate in {area} is {factor(found.ratio.median)} "
            f"times that in {other} (95 % interval {interval(found.ratio, factor)}). The "
            f"probability that {area} has the higher rate is {probability(found.probability)}."
        )
    return sentences


def shares(estimate: Estimate) -> list[dict[str, str]]:
    """Posterior of the rates that the study reports, beside their priors."""
    table = estimate.data.data.rates.table.set_index("name")
    rows = []
    for name in estimate.data.report.shares:
        after, before = estimate.rate(name), rate_prior(estimate, name)
        words = percent if name in estimate.data.data.rates.shares else plain
        rows.append(
            {
                "name": name_words(name),
                "meaning": first_sentence(str(table.loc[name, "reason"])),
                "scope": str(table.loc[name, "scope"]),
                "posterior": words(after.median),
                "posterior_interval": interval(after, words),
                "prior": words(before.median),
                "prior_interval": interval(before, words),
                "learned": width_words(before, after),
            }
        )
    return rows


def first_sentence(text: str) -> str:
    """The text up to its first full stop."""
    return text.split(". ", maxsplit=1)[0].rstrip(".")


def width_words(before: Summary, after: Summary) -> str:
    """What the evidence did to an interval, judged by widths on the log scale."""
    if not (before.low > 0 and after.low > 0 and before.high > before.low):
        return "fixed beforehand"
    ratio = float(np.log(before.high / before.low) / np.log(after.high / after.low))
    if ratio < 1.1:
        return "the evidence says almost nothing about it"
    if ratio < 1.5:
        return "the evidence narrows it a little"
    return f"the evidence makes the interval {factor(ratio)} times narrower (log scale)"


def variant_title(row: pd.Series[Any]) -> str:
    """Title of a variant with names of sources as words."""
    return name_words(str(row["title"]))


def variant_rows(estimate: Estimate, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a variant: title, rows of evidence, cells of areas for the headline group."""
    group = estimate.data.report.headline
    number = variants_table(frame, group, "N").set_index(["variant", "area"])
    rate = variants_table(frame, group).set_index(["variant", "area"])
    rows = []
    for name in frame["variant"].unique():
        first = frame[frame["variant"] == name].iloc[0]
        cells = []
        for area in estimate.data.report.areas:
            users, rates = number.loc[(name, area)], rate.loc[(name, area)]
            cells.append(
                {
                    "people": people(users["median"]),
                    "people_interval": f"{people(users['low'])} to {people(users['high'])}",
                    "rate": plain(rates["median"]),
                    "rate_interval": f"{plain(rates['low'])} to {plain(rates['high'])}",
                }
            )
        rows.append(
            {
                "title": variant_title(first),
                "main": name == MAIN,
                "rows": int(first["rows"]),
                "passed": bool(first["passed"]),
                "cells": cells,
            }
        )
    return rows


def influence(estimate: Estimate, frame: pd.DataFrame, changes: int = 2) -> list[str]:
    """For each area, which variants move the rate of the headline group most."""
    table = variants_table(frame, estimate.data.report.headline)
    sentences = []
    for area in estimate.data.report.areas:
        here = table[table["area"] == area]
        main = here[here["variant"] == MAIN].iloc[0]
        others = here[here["variant"] != MAIN]
        if others.empty:
            continue
        order = np.log(others["ratio"]).abs().sort_values(ascending=False).index[:changes]
        moved = [
            f"“{variant_title(row)}” ({plain(row['median'])})"
            for _, row in others.loc[order].iterrows()
        ]
        sentences.append(
            f"{area}: {plain(main['median'])} per 1,000 with all evidence; farthest from it "
            f"{'lie' if len(moved) > 1 else 'lies'} {listing(moved)}."
        )
    return sentences
