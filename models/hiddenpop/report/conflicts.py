"""Evidence that the model and a source cannot both be right about, in words."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.checks.conflict.table import row_conflict
from hiddenpop.checks.conflict.words import ALPHA, p_words
from hiddenpop.estimate import Estimate, summarise
from hiddenpop.inputs.terms import RESIDENTS
from hiddenpop.plots.tables import BOUNDS, evidence_table
from hiddenpop.priors import z_score
from hiddenpop.report.inputs import amount
from hiddenpop.words import capital, factor, group_words, interval, name_words

__all__ = ["STRONG", "Conflict", "conflicts"]

STRONG = 2.0
"""Standard deviations of both errors from which a difference is called a conflict."""


LEAST_P = 1e-6
"""Draws do not tell smaller p-values apart."""


class Conflict(NamedTuple):
    """A conflict: the rows it is about, how strong it is, and a sentence.

    `z` is in standard deviations; of a row that is not in use, those of a normal distribution with
    the same two-sided p.
    """

    rows: tuple[str, ...]
    z: float
    sentence: str


def conflicts(estimate: Estimate, level: float = 0.95) -> list[Conflict]:
    """Conflicts beyond `STRONG`, rows against the model first, the strongest on top.

    A row is held against what the model expects its source to report, that source's bias
    included; two rows of one source about the same people are held against each other,
    where the bias they share cancels. A row that is not in use had no part in the model: it is
    judged by its predictive p-value (`checks.conflict.table.row_conflict`), below `ALPHA`. Rows in
    use have pulled the model towards themselves, so theirs, beyond `STRONG`, are understated.
    """
    table = evidence_table(estimate, level).set_index("id", drop=False)
    strong = table[(table["z"].abs() > STRONG) & table["used"]]
    alone = [_against_model(row) for _, row in strong.iterrows()]
    for _, row in table[~table["used"]].iterrows():
        found = row_conflict(estimate, str(row["id"]), level=level)
        if found["p"] < ALPHA:
            alone.append(_unused(row, found))
    rows = {str(row["id"]): row for _, row in table.iterrows()}
    pairs = [_pair(estimate, rows[one], rows[two], level) for one, two in _pairs(table)]
    both = [pair for pair in pairs if pair is not None]
    return sorted(alone, key=lambda one: -abs(one.z)) + sorted(both, key=lambda one: -abs(one.z))


def _about(row: pd.Series[Any]) -> str:
    group = group_words(row["group"])
    if row["of"] not in ("", RESIDENTS):
        group += f" as a share of {group_words(row['of'])}"
    return (
        f"{group} in {row['area']}, {row['period']} ({'in use' if row['used'] else 'not in use'})"
    )


def _amounts(row: pd.Series[Any], *names: str) -> tuple[str, ...]:
    """Numbers of a row as people, or as shares where it is one."""
    share = row["kind"] == "proportion" or row["of"] != ""
    return tuple(amount(row[name], share) for name in names)


def _against_model(row: pd.Series[Any]) -> Conflict:
    (said,) = _amounts(row, "reported")
    median, low, high = _amounts(row, "biased", "biased_low", "biased_high")
    pure, pure_low, pure_high = _amounts(row, "model", "model_low", "model_high")
    sentence = (
        f"{capital(_about(row))}: the source “{name_words(row['source'])}” reports {said}. Given "
        f"all that is in use, the model expects {median} from this source (95 % interval {low} to "
        f"{high}); the report is {factor(row['reported'] / row['biased'])} times that, "
        f"{abs(row['z']):.1f} standard deviations away. From a source without bias it expects "
        f"{pure} ({pure_low} to {pure_high}); the report is {factor(row['ratio'])} times that."
    )
    return Conflict((row["id"],), float(row["z"]), sentence)


def _unused(row: pd.Series[Any], found: dict[str, Any]) -> Conflict:
    """A row that is not in use against its prediction."""
    said, median, low, high = (
        _amounts(pd.Series({**row, "x": found[key]}), "x")[0]
        for key in ("reported", "expected", "expected_low", "expected_high")
    )
    p, sign = max(found["p"], LEAST_P), np.sign(np.log(found["ratio"]))
    bound = f" as a bound ({row['kind']})" if row["kind"] in BOUNDS else ""
    sentence = (
        f"{capital(_about(row))}: the source “{name_words(row['source'])}” reports {said}{bound}. "
        f"All that is in use predicts {median} from this source (95 % interval {low} to {high}), "
        f"its bias and its own error included; the report is {factor(found['ratio'])} times that, "
        f"p {p_words(found['p'])}."
    )
    return Conflict((str(row["id"]),), float(sign * z_score(1 - p)), sentence)


def _pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Rows of one source about the same people that are both estimates."""
    chosen = table[~table["kind"].isin(BOUNDS)]
    return [
        pair
        for _, same in chosen.groupby(["source", "area", "group", "of"], sort=False)
        for pair in combinations(same["id"], 2)
    ]


def _pair(
    estimate: Estimate, one: pd.Series[Any], two: pd.Series[Any], level: float
) -> Conflict | None:
    """Compare the ratio of two reports with the ratio that the model expects."""
    if one["z"] > two["z"]:
        one, two = two, one
    draws = [np.log(estimate.draws("without_bias", evidence=row["id"])) for row in (one, two)]
    expected = draws[0] - draws[1]
    reported = np.log(one["reported"] / two["reported"])
    width = 2 * z_score(level)
    own = [np.log(row["reported_high"] / row["reported_low"]) / width for row in (one, two)]
    z = float((reported - np.median(expected)) / np.sqrt(expected.var() + np.square(own).sum()))
    if not abs(z) > STRONG:
        return None
    (first,), (second,) = _amounts(one, "reported"), _amounts(two, "reported")
    ratio = summarise(np.exp(expected), level)
    sentence = (
        f"The source “{name_words(one['source'])}” reports {first} for {_about(one)}, but {second} "
        f"for {_about(two)}: a ratio of {factor(float(np.exp(reported)))}. The model, in which use "
        f"changes slowly, expects {factor(ratio.median)} ({interval(ratio, factor)}), {abs(z):.1f} "
        "standard deviations away. They cannot both be good counts of the same people, and the "
        "data do not say which one is off."
    )
    return Conflict((one["id"], two["id"]), z, sentence)
