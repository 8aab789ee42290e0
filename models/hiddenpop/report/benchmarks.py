"""What the report of a study of benchmarks or of a tree says beside its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.checks.tipping.tables import benchmark_tipping
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable
from hiddenpop.inputs.tree import Branch, Tree
from hiddenpop.plots import benchmarks as figures
from hiddenpop.report.figures import Picture, as_uri
from hiddenpop.size import SizeEstimate
from hiddenpop.words import Exact, people, percent, plain, probability

__all__ = ["benchmark_parts", "benchmark_pictures"]

type Rows = list[dict[str, str]]

KINDS = {
    "people": "people with the event",
    "events": "events",
    "amount": "amount",
    "survey": "respondents of a survey of residents",
    "figure": "a stated size",
}

BIASES = {
    "selection": "survey over-recruits by an odds ratio of",
    "overcount": "counted wrongly or twice:",
    "undercount": "missing from the count:",
    "error": "reported / true:",
}


def benchmark_parts(found: FamilyFits) -> dict[str, Any]:
    """Tables of the report in words; each is empty where the study has none of the kind."""
    data, estimates = found.data, found.estimates
    table = data if isinstance(data, MultiplierTable) else MultiplierTable(())
    return {
        "benchmarks": [_row(row, table.strata[row.stratum]) for row in table.rows],
        "overlaps": [_overlap(pair) for pair in table.overlaps],
        "branches": [_branch(one) for one in data.branches] if isinstance(data, Tree) else [],
        "says": _frames(estimates, "benchmarks", _says),
        "trend": _frames(estimates, "trend", _trend),
        "nodes": _frames(estimates, "nodes", _nodes),
        "benchmark_tipping": _tipping(found),
    }


def _frames(
    estimates: Mapping[str, SizeEstimate], name: str, words: Callable[[pd.DataFrame], Rows]
) -> dict[str, Rows]:
    """A further table of each estimate that has it, in words."""
    frames = {family: estimate.group(name) for family, estimate in estimates.items()}
    return {family: words(frame) for family, frame in frames.items() if frame is not None}


def _ends(low: float, high: float) -> str:
    return f"{people(low)} to {people(high)}"


def _range(ends: Interval, share: bool) -> str:
    words = percent if share else plain
    return f"{words(ends.low)} to {words(ends.high)} ({percent(ends.level)})"


def _row(row: Benchmark, stratum: tuple[str, str]) -> dict[str, str]:
    """A benchmark as it was given."""
    biases = [
        f"{words} {_range(ends, share=name.endswith('count'))}"
        for name, words in BIASES.items()
        if (ends := getattr(row, name)) is not None
    ]
    return {
        "id": row.id,
        "stratum": ", ".join(part for part in stratum if part),
        "kind": KINDS[row.kind],
        "value": _value(row),
        "rate": _rate(row),
        "biases": "; ".join(biases) or "none stated",
        "source": row.source,
    }


def _value(row: Benchmark) -> str:
    """The number as it was given, or the range where nothing else was."""
    interval = row.interval
    if interval is not None:
        ends = _range(interval, share=False)
        middle = np.isclose(row.value, np.sqrt(interval.low * interval.high))
        return ends if middle else f"{plain(Exact(row.value))} ({ends})"
    if row.least == row.most or np.isnan(row.least):
        value = plain(Exact(row.value))
    else:
        value = f"{row.least:,.0f} to {row.most:,.0f}"
    return value if row.sample is None else f"{value} of {row.sample:,.0f}"


def _rate(row: Benchmark) -> str:
    """The share or rate as it was given."""
    rate = row.rate
    if rate is None:
        return ""
    if rate.x is not None and rate.n is not None:
        effect = f", design effect {plain(Exact(rate.design_effect))}"
        stated = "" if rate.stated_effect else " (a simple random sample; nothing else was stated)"
        return f"{plain(Exact(rate.x))} of {plain(Exact(rate.n))}{effect}{stated}"
    given = ", ".join(f"{plain(Exact(value))} at {100 * q:g} %" for q, value in rate.quantiles)
    return f"quantiles {given}"


def _overlap(pair: Any) -> str:  # noqa: ANN401
    """What is known of two benchmarks together."""
    known = []
    if pair.respondents is not None:
        known.append(f"{pair.respondents:,.0f} respondents had both")
    if pair.people is not None:
        known.append(f"{pair.people:,.0f} people are in both")
    if pair.odds_ratio is not None:
        known.append(f"odds ratio {_range(pair.odds_ratio, share=False)}")
    return f"{pair.first} and {pair.second}: {', '.join(known)}"


def _says(frame: pd.DataFrame) -> Rows:
    """Of each benchmark what it says alone, and what is said without it."""
    return [
        {
            "benchmark": str(row["benchmark"]),
            "conflict": "" if np.isnan(row["conflict"]) else probability(row["conflict"]),
            **{key: "" if np.isnan(row[key]) else people(row[key])
               for key in ("plain", "alone", "without")},
            **{f"{key}_interval": "" if np.isnan(row[f"{key}_low"]) else
               _ends(row[f"{key}_low"], row[f"{key}_high"])
               for key in ("plain", "alone", "without")},
        }
        for row in frame.to_dict("records")
    ]  # fmt: skip


def _trend(frame: pd.DataFrame) -> Rows:
    return [
        {"area": str(row["area"]) or "all", "ratio": plain(row["ratio"]),
         "interval": f"{plain(row['ratio_low'])} to {plain(row['ratio_high'])}",
         "increase": probability(row["p_increase"])}
        for row in frame.to_dict("records")
    ]  # fmt: skip


def _nodes(frame: pd.DataFrame) -> Rows:
    return [
        {"node": str(row["node"]), "N": people(row["median"]),
         "interval": _ends(row["low"], row["high"])}
        for row in frame.to_dict("records")
    ]  # fmt: skip


def _branch(branch: Branch) -> dict[str, str]:
    sampled = (
        "" if branch.x is None else f"{plain(Exact(branch.x))} of {plain(Exact(branch.n or 0))}"
    )
    count = "" if branch.count is None else f"{branch.count:,.0f}"
    return {"parent": branch.parent, "child": branch.child, "sampled": sampled, "count": count}


def _tipping(found: FamilyFits) -> dict[str, Any] | None:
    """Share, odds ratio or miscount at which each benchmark alone would make N the threshold."""
    data, threshold = found.data, found.study.threshold
    if threshold is None or not isinstance(data, MultiplierTable):
        return None
    rows = [
        {"benchmark": row["benchmark"], "error": plain(row["error"]),
         **{key: "" if np.isnan(row[key]) else words(row[key])
            for key, words in (("share", percent), ("odds_ratio", plain))}}
        for row in benchmark_tipping(data, threshold).to_dict("records")
    ]  # fmt: skip
    sizes = {
        name: probability(float((e.draws() > threshold).mean()))
        for name, e in found.estimates.items()
    }
    return {"threshold": people(Exact(threshold)), "rows": rows, "above": sizes}


def benchmark_pictures(found: FamilyFits) -> list[Picture]:
    """Figures of benchmarks, areas and trees."""
    published = {
        one.name: (one.N, one.low or float("nan"), one.high or float("nan"))
        for one in found.study.published
    }
    frame = figures.rows_table(found.estimates, published)
    words = "; ".join(
        f"{row['label']} {people(row['middle'])}"
        + ("" if np.isnan(row["low"]) else f" ({_ends(row['low'], row['high'])})")
        for _, row in frame.iterrows()
    )
    pictures = [
        Picture(
            "forest", as_uri(figures.rows(found.estimates, published)),
            f"N, median and 95 % interval: {words}.",
            "What each number says",
            "Blue: the answer from everything together; grey: from one benchmark alone; hollow: "
            "from all others when it is left out; orange: published figures. Where a grey line "
            "does not meet the rest, the benchmark and the others contradict each other.",
        )
    ]  # fmt: skip
    for name, estimate in found.estimates.items():
        drawn = figures.strata(estimate)
        table = figures.strata_table(estimate)
        if drawn is None or table is None:
            continue
        parts = "; ".join(
            f"{row['stratum']} {people(row['median'])} ({_ends(row['low'], row['high'])})"
            for _, row in table.iterrows()
        )
        pictures.append(Picture(
            "strata", as_uri(drawn), f"N by area and period, {name}: {parts}.",
            "Areas and periods",
            "Median and 95 % interval. Areas with less evidence of their own lean on the others, "
            "and their intervals are wider.",
        ))  # fmt: skip
    return pictures
