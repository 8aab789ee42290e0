"""Everything that went in, as rows of tables: evidence, rates, biases, areas."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.estimate import Estimate, Summary, summarise
from hiddenpop.inputs.components import Component
from hiddenpop.inputs.numbers import as_number
from hiddenpop.inputs.overlap import Margins
from hiddenpop.plots.tables import biases_table, evidence_table
from hiddenpop.words import Exact, factor, name_words, people, percent, plain, triple

__all__ = ["amount", "area_rows", "bias_rows", "component_rows", "rate_prior", "rate_rows",
           "unused_rows", "used_rows"]  # fmt: skip

KINDS = {
    "count": "counted",
    "benchmark": "members counted, each once",
    "estimate": "estimated",
    "range": "range of an expert",
    "guess": "figure without a stated error; its interval is assumed",
    "proportion": "share of a sample",
    "lower": "at least",
    "upper": "at most",
}


def amount(value: float, share: bool = False) -> str:
    """A number of people, or a share where the row is one."""
    return percent(value) if share else people(value)


def _number(text: str, share: bool = False) -> str:
    """A published number as it stood, with thousands separated, or as a percentage."""
    return (percent if share else plain)(Exact(as_number(text))) if text else ""


def reported(row: pd.Series[Any]) -> tuple[str, str]:
    """What a row of the evidence table says, as published: the number, and its interval."""
    share = row["of"] != "" and row["kind"] != "proportion"
    value, low, high = (_number(row[name], share) for name in ("value", "low", "high"))
    if row["kind"] == "proportion":
        n = _number(row["n"])
        return f"{value or f'{low} to {high}'} of {n}", ""
    ends = f"{low} to {high}" if low and high else low or high
    level = f"; {percent(Exact(as_number(row['level'])))}" if row["level"] and ends else ""
    if not value:
        return ends or "no number", level.removeprefix("; ")
    return value, ends + level


def used_rows(estimate: Estimate) -> list[dict[str, Any]]:
    """Rows in use: as published, what the model expects, where they come from."""
    table = estimate.data.data.evidence.table.set_index("id", drop=False)
    rows = []
    for _, found in evidence_table(estimate).iterrows():
        if not found["used"]:
            continue
        row = table.loc[found["id"]]
        share = row["kind"] == "proportion" or row["of"] != ""
        rows.append(
            _source(row)
            | {
                "kind": KINDS[row["kind"]],
                "expected": amount(found["model"], share),
                "expected_interval": f"{amount(found['model_low'], share)} to "
                f"{amount(found['model_high'], share)}",
                "ratio": factor(found["ratio"]),
                "rates": name_words(row["rates"]).replace(" * ", " × "),
                "design_effect": row["design_effect"],
            }
        )
    return rows


def unused_rows(estimate: Estimate) -> list[dict[str, Any]]:
    """Rows that did not count, each with the reason."""
    data = estimate.data.data
    used = {name for name, yes in zip(data.evidence.ids, data.included, strict=True) if yes}
    rows = data.evidence.table[~data.evidence.table["id"].isin(used)]
    return [_source(row) | {"reason": row["reason"]} for _, row in rows.iterrows()]


def component_rows(estimate: Estimate) -> list[dict[str, Any]]:
    """Tables of overlapping lists: people seen, N that the model finds, where they come from."""
    data = estimate.data.data
    rows = []
    for one, counts in zip(data.components, data.joined, strict=True):
        table = one.table
        totals = table.totals if isinstance(table, Margins) else table.list_totals
        size = summarise(estimate.draws("without_bias", evidence=one.id))
        rows.append(
            {
                "id": one.id,
                "about": f"{one.area}, {name_words(one.group)}",
                "when": f"{one.period}, ages {one.ages}",
                "lists": ", ".join(
                    f"{name_words(name)} {total:,.0f}"
                    for name, total in zip(table.lists, totals, strict=True)
                ),
                "what": "totals only" if isinstance(table, Margins) else "overlaps known",
                "observed": f"{one.observed:,.0f}",
                "expected": triple(size.median, size.low, size.high),
                "odds_ratios": _odds_ratios(estimate, one),
                "rates": name_words(one.rates).replace(" * ", " × "),
                "source": name_words(one.source),
                "definition": one.definition,
                "citation": one.citation,
                "unused": "" if counts else one.reason or "left out of this result",
            }
        )
    return rows


def _odds_ratios(estimate: Estimate, one: Component) -> str:
    """Odds ratios of pairs of lists, their geometric mean in each draw; empty where independent."""
    name = f"{one.id}.interaction"
    if name not in estimate.tree["posterior"]:
        return ""
    dim = f"{one.id}.link"
    # Pairs come first among interactions.
    pairs = estimate.tree["posterior"][name].isel({dim: slice(comb(len(one.table.lists), 2))})
    found = summarise(np.exp(pairs.mean(dim).to_numpy()))
    return triple(found.median, found.low, found.high)


def _source(row: pd.Series[Any]) -> dict[str, Any]:
    group, (number, ends) = name_words(row["group"]), reported(row)
    if row["of"] == "residents":
        group += " as share of residents"
    elif row["of"]:
        group += f" as share of {name_words(row['of'])}"
    return {
        "id": row["id"],
        "about": ", ".join(part for part in (row["area"], group) if part),
        "when": ", ".join(
            part for part in (row["period"], row["ages"] and f"ages {row['ages']}") if part
        ),
        "reported": number,
        "reported_interval": ends,
        "source": name_words(row["source"]),
        "definition": row["definition"],
        "citation": row["citation"],
        "note": row["note"],
        "derived": ", ".join(part.strip() for part in row["derived_from"].split(";") if part),
    }


def rate_prior(estimate: Estimate, name: str, level: float = 0.95) -> Summary:
    """Prior of a share or factor in five numbers."""
    rates, tail = estimate.data.data.rates, (1 - level) / 2
    low, median, high = rates.prior_quantiles(name, [tail, 0.5, 1 - tail])
    return Summary(float(median), rates.prior_mean(name), float(low), float(high), level)


def rate_rows(estimate: Estimate) -> list[dict[str, Any]]:
    """Rates with prior, posterior, source and reason, in the order of the table."""
    rows = []
    for _, row in estimate.data.data.rates.table.iterrows():
        before, after = rate_prior(estimate, row["name"]), estimate.rate(row["name"])
        share = row["kind"] == "share"
        basis = (
            f"{_number(row['x'])} of {_number(row['n'])}"
            if row["x"]
            else f"{percent(Exact(as_number(row['level'])))} of it between {_number(row['low'])} "
            f"and {_number(row['high'])}"
        )
        if row["selection"]:
            basis += f"; the survey may select those with the event, odds ratio {row['selection']}"
        rows.append(
            {
                "name": name_words(row["name"]),
                "kind": row["kind"],
                "basis": basis,
                "ages": row["ages"],
                "prior": triple(before.median, before.low, before.high, share),
                "posterior": triple(after.median, after.low, after.high, share),
                "scope": row["scope"],
                "source": row["source"],
                "reason": row["reason"],
            }
        )
    return rows


def bias_rows(estimate: Estimate) -> list[dict[str, Any]]:
    """Sources with prior and posterior of reported over true, in the order of the table."""
    found = biases_table(estimate).set_index("source")
    rows = []
    for _, row in estimate.data.data.biases.table.iterrows():
        learned = found.loc[row["name"]] if row["name"] in found.index else None
        prior, posterior = "1 (fixed)", "–"
        if row["low"] != row["high"]:
            ends = (_number(row["low"]), _number(row["high"]))
            prior = f"{ends[0]} to {ends[1]}; {percent(Exact(as_number(row['level'])))}"
        elif as_number(row["low"]) != 1:
            prior = f"{_number(row['low'])} (fixed)"
        if learned is not None and not learned["fixed"]:
            posterior = triple(learned["median"], learned["low"], learned["high"])
        rows.append(
            {
                "name": name_words(row["name"]),
                "rows": 0 if learned is None else int(learned["rows"]),
                "prior": prior,
                "posterior": posterior,
                "scope": row["scope"],
                "source": row["source"],
                "reason": row["reason"],
            }
        )
    return rows


def area_rows(estimate: Estimate) -> list[dict[str, Any]]:
    """Areas with residents, parents before children; `depth` is the nesting."""
    areas = estimate.data.data.areas
    table = areas.table.set_index("name")
    rows = []
    for i, name in enumerate(areas.names):
        given = table.loc[name] if name in table.index else None
        spread = "follows from the others" if given is None else "taken as known"
        if given is not None and areas.log_sd[i] > 0:
            low, high, level = (Exact(str(given[column])) for column in ("low", "high", "level"))
            spread = f"{plain(low)} to {plain(high)}; {percent(level)}"
        rows.append(
            {
                "name": name,
                "depth": int(areas.lineage[i].sum()) - 1,
                "derived": bool(areas.derived[i]),
                "residents": f"{areas.population[i]:,.0f}",
                "spread": spread,
                "when": "" if given is None else f"{given['period']}, ages {given['ages']}",
                "source": "" if given is None else given["source"],
            }
        )
    return rows
