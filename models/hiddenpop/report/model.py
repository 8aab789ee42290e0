"""The model in words: what its priors were in this fit, defaults included."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from hiddenpop.estimate import Estimate, summarise
from hiddenpop.families import FAMILIES
from hiddenpop.families.synthesis import OVERDISPERSION_SPREAD
from hiddenpop.words import factor, interval, name_words, percent, plain

__all__ = ["prior_rows", "spans"]

OUTER = 1.96
"""Half-width of a central 95 % interval of a normal distribution, in sds."""


def _prevalence(ends: tuple[float, float, float]) -> str:
    low, high, level = ends
    return (
        f"{percent(level)} of it between {plain(1000 * low)} and {plain(1000 * high)} per 1,000 "
        "residents (normal on the logit scale): users of any group, in a place at the top"
    )


def _composition(sd: float) -> str:
    return (
        f"log ratios between groups at the top: normal, sd {sd:g}; a group may be up to "
        f"{factor(np.exp(OUTER * sd))} times as large as the typical one"
    )


def _between_areas(scale: float) -> str:
    return (
        f"sd of log odds of use between places of one parent: half-normal, scale {scale:g}; at an "
        f"sd of {scale:g} most places lie within a factor of {factor(np.exp(OUTER * scale))} of "
        "the middle"
    )


def _between_compositions(scale: float) -> str:
    return (
        "sd of log ratios between groups from place to place of one parent: half-normal, scale "
        f"{scale:g}"
    )


def _drift(sd: float) -> str:
    if sd == 0:
        return "numbers from other years are taken as if from the reference period"
    return (
        f"change a year on the log scale: normal, sd {sd:g}; a number four years away may be off "
        f"by a factor of {factor(np.exp(OUTER * 4 * sd))} for that alone (95 %)"
    )


def _overdispersion(median: float) -> str:
    if median == 0:
        return "counts vary by chance alone (Poisson)"
    low, high = median * np.exp(OUTER * OVERDISPERSION_SPREAD * np.array([-1, 1]))
    return (
        f"scatter of counts beyond chance, as a share of the count: log-normal, median {median:g} "
        f"(95 %: {plain(low)} to {plain(high)})"
    )


def _bound_softness(sd: float) -> str:
    return f"a bound without an interval may be overstepped by about {percent(sd)} (one sd)"


WORDS: dict[str, Callable[[Any], str]] = {
    "prevalence": _prevalence,
    "composition": _composition,
    "between_areas": _between_areas,
    "between_compositions": _between_compositions,
    "drift": _drift,
    "overdispersion": _overdispersion,
    "bound_softness": _bound_softness,
}
"""How each prior of `families.synthesis.Priors` reads."""


def prior_rows(estimate: Estimate) -> list[dict[str, str]]:
    """Every prior of the family as it was used: name, words, whether the study set it, posterior.

    `posterior` is filled for the scales that the evidence could teach something about.
    """
    default = FAMILIES[estimate.family].module.Priors()
    effects = set(estimate.tree["posterior"]["effect"].to_numpy().tolist())
    rows = []
    for name, value in json.loads(estimate.tree.attrs["priors"]).items():
        usual = getattr(default, name)
        same = tuple(value) == tuple(usual) if isinstance(value, list) else value == usual
        learned = ""
        if name in effects and value > 0:
            found = summarise(estimate.draws("scale", effect=name))
            learned = f"{plain(found.median)} ({interval(found)})"
        rows.append(
            {
                "name": name_words(name),
                "words": WORDS[name](value) if name in WORDS else plain(value),
                "origin": "default of the family" if same else "set by the study",
                "posterior": learned,
            }
        )
    return rows


def spans(estimate: Estimate) -> dict[str, Any]:
    """Sizes of the problem, for the description: rows, sources, areas, years of drift."""
    data = estimate.data.data
    used = data.evidence.rows[data.included.astype(bool)]
    years = (used["middle"] - data.target.middle).abs()
    return {
        "rows": len(used),
        "unused": len(data.evidence.table) - len(used),
        "sources": int(used["source"].nunique()),
        "areas": len(data.areas.names),
        "derived": sum(data.areas.derived),
        "rates": len(data.rates.names),
        "farthest": f"{years.max():.3g}",
    }
