"""The report of a study of one table: lists, repeated captures, benchmarks or a tree."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from hiddenpop.checks.tipping.tables import pair_tipping, xi_tipping
from hiddenpop.families import FAMILIES
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inference import versions
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.inputs.tree import Tree
from hiddenpop.plots.overlap import fitted_cells, forest, upset, upset_table, xi_figure, xi_table
from hiddenpop.report.benchmarks import benchmark_parts, benchmark_pictures
from hiddenpop.report.figures import Picture, as_uri
from hiddenpop.size import SizeEstimate
from hiddenpop.words import Exact, interval, people, percent, plain, probability

__all__ = ["size_report"]

HEAVY = 0.001
"""Models of less weight are counted in the report, not listed."""

MOST_MODELS = 12


def size_report(found: FamilyFits, command: str) -> str:
    """Write the report: one HTML page that loads nothing from anywhere.

    Parameters
    ----------
    command
        What made these estimates, to be printed.
    """
    environment = Environment(
        loader=PackageLoader("hiddenpop.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    study = found.study
    page = environment.get_template("size.html.j2").render(
        study=study,
        failed={n: str(v) for n, v in found.verdicts.items() if not v.passed},
        headline=_row(found.headline),
        rows=[_row(estimate) for estimate in found.estimates.values()],
        combined=COMBINED in found.estimates,
        refused=found.refused,
        published=[_published(one) for one in study.published],
        strata={name: _strata(estimate) for name, estimate in found.estimates.items()
                if estimate.strata() is not None},
        models={name: _models(estimate) for name, estimate in found.estimates.items()
                if name != COMBINED and estimate.models is not None},
        tipping=_tipping(found),
        table=_table(found),
        kind=study.source.kind,
        alternatives={switch: [_row(e) for e in estimates.values()]
                      for switch, estimates in found.alternatives.items()},
        **benchmark_parts(found),
        pictures=_pictures(found),
        command=command,
        sampling=study.sampling,
        versions=versions(),
        sha256=study.sha256,
    )  # fmt: skip
    return page.replace(" %", "\u00a0%")


def _row(estimate: SizeEstimate) -> dict[str, Any]:
    """One family in words and numbers."""
    size, unseen, rate = estimate.N(), estimate.unseen(), estimate.prevalence()
    summary = FAMILIES[estimate.family].summary if estimate.family in FAMILIES else (
        "The families above, averaged."
    )  # fmt: skip
    return {
        "family": estimate.family,
        "summary": summary,
        "is_set": estimate.is_set,
        "N": people(size.median),
        "N_interval": interval(size, people),
        "level": percent(size.level),
        "unseen": people(unseen.median),
        "unseen_interval": interval(unseen, people),
        "rate": "" if rate is None else plain(rate.median),
        "rate_interval": "" if rate is None else interval(rate),
        "seen": percent(estimate.completeness["all lists"]),
        "completeness": {k: percent(v) for k, v in estimate.completeness.items()},
        "assumption": estimate.assumption,
        "notes": estimate.notes,
        "priors": _priors(estimate),
        "gates": [{"name": g.name, "found": f"{g.found:,.4g}", "allowed": g.allowed,
                   "passed": g.passed} for g in estimate.verdict.gates],
        "passed": estimate.verdict.passed,
    }  # fmt: skip


def _priors(estimate: SizeEstimate) -> dict[str, str]:
    return {key: "default" if value is None else str(value)
            for key, value in json.loads(estimate.tree.attrs["priors"]).items()}  # fmt: skip


def _published(one: Any) -> dict[str, str]:  # noqa: ANN401
    ends = "" if one.low is None or one.high is None else f"{one.low:,.0f} to {one.high:,.0f}"
    return {"name": one.name, "N": f"{one.N:,.0f}", "interval": ends, "source": one.source,
            "note": one.note}  # fmt: skip


def _strata(estimate: SizeEstimate) -> list[dict[str, str]]:
    frame = estimate.strata()
    if frame is None:
        return []
    return [
        {"stratum": row["stratum"], "observed": f"{row['observed']:,.0f}",
         "N": people(row["median"]), "interval": f"{people(row['low'])} to {people(row['high'])}"}
        for row in frame.to_dict("records")
    ]  # fmt: skip


def _models(estimate: SizeEstimate) -> dict[str, Any]:
    """The heaviest models and how many are not listed."""
    frame = estimate.models
    if frame is None:
        return {}
    shown = frame[(frame["weight"] > HEAVY) | (frame.index < 3)].head(MOST_MODELS)
    rows = [
        {"model": row["model"], "weight": f"{row['weight']:.1%}", "N": people(row["median"]),
         "interval": f"{people(row['low'])} to {people(row['high'])}"}
        for row in shown.to_dict("records")
    ]  # fmt: skip
    return {"rows": rows, "rest": len(frame) - len(shown),
            "rest_weight": percent(max(0.0, 1 - float(shown["weight"].sum())))}  # fmt: skip


def _table(found: FamilyFits) -> dict[str, Any]:
    """The table in words."""
    table = found.data
    short: dict[str, Any] = {"observed": f"{table.observed:,.0f}", "lists": [], "strata": 1}
    if isinstance(table, OverlapTable):
        totals, short["strata"] = table.list_totals, len(table.strata)
        short["rows"] = upset_table(table).to_dict("records")
    elif isinstance(table, Margins):
        totals = np.array(table.totals, dtype=float)
    else:
        return short
    short["lists"] = [
        {"name": name, "people": f"{total:,.0f}", "share": percent(total / table.observed)}
        for name, total in zip(table.lists, totals, strict=True)
    ]
    return short


def _tipping(found: FamilyFits) -> dict[str, Any] | None:
    """What would have to be true for N to be the threshold, in words."""
    threshold, data = found.study.threshold, found.data
    if threshold is None or isinstance(data, MultiplierTable | Tree):
        return None
    rows = [
        {
            "family": row["family"],
            "probability": probability(row["probability"]),
            "median": plain(row["median"]),
            "low": plain(row["low"]),
            "high": plain(row["high"]),
        }
        for row in xi_tipping(found, threshold).to_dict("records")
    ]
    pairs = pair_tipping(data, threshold) if isinstance(data, OverlapTable) else None
    shown = (
        []
        if pairs is None
        else [
            {
                "lists": row["lists"],
                "odds_ratio": "none" if np.isnan(row["odds_ratio"]) else plain(row["odds_ratio"]),
            }
            for row in pairs.to_dict("records")
        ]
    )
    return {"threshold": people(Exact(threshold)), "rows": rows, "pairs": shown}


def _pictures(found: FamilyFits) -> dict[str, Picture]:
    """All figures by their key."""
    if isinstance(found.data, MultiplierTable | Tree):
        return {picture.key: picture for picture in benchmark_pictures(found)}
    pictures = [_forest(found)]
    if isinstance(found.data, OverlapTable):
        pictures.append(_upset(found.data))
    if not all(estimate.is_set for estimate in found.estimates.values()):
        pictures.append(_xi(found))
    drawn = fitted_cells(found.estimates)
    if drawn is not None:
        pictures.append(_fitted(found, as_uri(drawn)))
    return {picture.key: picture for picture in pictures}


def _upset(table: OverlapTable) -> Picture:
    frame = upset_table(table)
    seen = frame[frame["high"] > 0]
    largest = "; ".join(f"{row['lists']}: {row['low']:,.0f}" for _, row in seen.head(8).iterrows())
    return Picture(
        "upset", as_uri(upset(table)),
        f"People by combination of lists, the largest first: {largest}.",
        "Who was seen where",
        "Each column is a combination of lists (the joined dots), its bar the people who were on "
        "exactly those lists; behind each list's name the people on it. Few people on several "
        "lists means that much of the population was on none. A hatched part of a bar is not "
        "known.",
        len(seen) > 16,
    )  # fmt: skip


def _xi(found: FamilyFits) -> Picture:
    curve = xi_table(found.headline if not found.headline.is_set else _first(found))
    ends = curve.iloc[[0, len(curve) // 2, -1]]
    words = [f"xi {plain(row['xi'])}: {people(row['median'])} ({people(row['low'])} to "
             f"{people(row['high'])})" for _, row in ends.iterrows()]  # fmt: skip
    return Picture(
        "xi", as_uri(xi_figure(curve, found.study.threshold)),
        f"N along xi: {'; '.join(words)}.",
        "If the assumption were wrong",
        "N (median and 95 % interval of the answer) if the odds of being on no list were xi times "
        "what the assumption of the families makes them. At 1 the assumption holds; no table can "
        "tell which xi is true."
        + (" The dotted line is the threshold." if found.study.threshold else ""),
    )  # fmt: skip


def _first(found: FamilyFits) -> SizeEstimate:
    """A family with a posterior; where there is none, the headline itself."""
    usable = (estimate for estimate in found.estimates.values() if not estimate.is_set)
    return next(usable, found.headline)


def _forest(found: FamilyFits) -> Picture:
    published = {
        one.name: (one.N, one.low or float("nan"), one.high or float("nan"))
        for one in found.study.published
    }
    rows = [f"{name} {people(e.N().median)} ({interval(e.N(), people)})"
            for name, e in found.estimates.items()]  # fmt: skip
    return Picture(
        "forest", as_uri(forest(found.estimates, published)),
        f"N, median and 95 % interval: {'; '.join(rows)}.",
        "Families and models side by side",
        "Blue: each family's median and 95 % interval; grey: the heaviest models that it averages, "
        "with their weight; orange: published figures; green and hollow: a set of possible values, "
        "not a probability. Families that fit the table equally well can differ, because each "
        "rests on another assumption about people on no list.",
    )  # fmt: skip


def _fitted(found: FamilyFits, source: str) -> Picture:
    worst = []
    for name, estimate in found.estimates.items():
        frame = estimate.fitted
        if frame is not None:
            gap = (np.sqrt(frame["observed"]) - np.sqrt(frame["expected"])).abs()
            row = frame.loc[gap.idxmax()]
            worst.append(f"{name}: {row['history']} with {row['observed']:,.0f} observed and "
                         f"{plain(row['expected'])} expected")  # fmt: skip
    return Picture(
        "fitted", source,
        f"Observed and expected cells. The worst cell of each family: {'; '.join(worst)}.",
        "Cells against the models",
        "Each dot is a combination of lists, on a root scale, where chance moves a dot by about "
        "half a unit either way and the dotted lines are one unit away. A family whose dots stray "
        "does not describe how the lists overlap. A good fit is no proof that the number of people "
        "on no list is right: no cell shows them.",
    )  # fmt: skip
