"""What a reader of an average under a proper prior must know, in sentences."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hiddenpop.families.averaging.proper_cells import Layout
from hiddenpop.families.averaging.proper_report import Chosen
from hiddenpop.families.exact import Discrete
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["assumption", "notes"]

TOP = 0.001
HEAVY = 0.1
"""The mean says little where the top share `TOP` of the posterior carries `HEAVY` of it."""

SAY = 0.05
"""Share of the weight from which on a model has a say."""

APART = 1.25
"""Ratio of medians of N from which on models are said to differ."""

AGREE = 0.8
"""Chains that found a smaller share than this of all weight are said to disagree."""

MOSTLY = 0.95
"""Sampled models with a smaller share of the weight than this are said not to be all."""


def assumption(layout: Layout) -> str:
    """What the number rests on and no data can test."""
    what = "lists or factors" if layout.variables.levels else "lists"
    return (
        f"Being on some lists changes the chance of being on others only through links of at "
        f"most {layout.order} {what}, none of them of all lists together, and those links are "
        "the same among the people on no list."
    )


def notes(
    data: OverlapTable, layout: Layout, unseen: Discrete, models: xr.Dataset, chosen: Chosen
) -> list[str]:
    """Sentences, the most important first."""
    found = [_averaged(layout, models, chosen), *_apart(models)]
    found += _tail(data, unseen)
    found += _cells(data)
    return found + _search(chosen)


def _search(chosen: Chosen) -> list[str]:
    """Whether the models that were sampled can stand for all."""
    share = float(chosen.share.sum())
    if share < MOSTLY:
        text = (
            f"The posterior is spread over very many models; the {len(chosen.share):,} heaviest, "
            f"with {100 * share:.0f} % of the weight that was found, stand for all. A lower order "
            "has fewer."
        )
        return [text]
    if chosen.agreement is not None and chosen.agreement < AGREE:
        text = (
            f"A chain of the search alone found models with {100 * chosen.agreement:.0f} % of the "
            "weight of all that were found: there may be more. Another seed, or more search_steps, "
            "shows it."
        )
        return [text]
    return []


def _averaged(layout: Layout, models: xr.Dataset, chosen: Chosen) -> str:
    weight = models["weight"].to_numpy()
    top = int(weight.argmax())
    how = "all that there are" if chosen.agreement is None else "found by a random search"
    what = "variables" if layout.variables.levels else "lists"
    return (
        f"Average over {chosen.considered:,} hierarchical log-linear models ({how} with links of "
        f"at most {layout.order} {what}). The heaviest, {models['model'].to_numpy()[top]}, has "
        f"{100 * weight[top]:.0f} % of the weight."
    )


def _apart(models: xr.Dataset) -> list[str]:
    """How far apart the models with a say are."""
    say = models["weight"].to_numpy() >= SAY
    medians = models["median"].to_numpy()[say]
    if say.sum() < 2 or medians.max() < APART * medians.min():
        return []
    text = (
        f"The {say.sum()} models with at least {100 * SAY:.0f} % of the weight differ: their "
        f"medians run from {medians.min():,.0f} to {medians.max():,.0f}."
    )
    return [text]


def _tail(data: OverlapTable, unseen: Discrete) -> list[str]:
    """Whether the mean rests on few extreme draws: under 1/N it may not even exist."""
    above = np.cumsum(unseen.probability[::-1])[::-1] <= TOP
    people = data.observed + unseen.unseen
    part = float((people * unseen.probability)[above].sum() / (people @ unseen.probability))
    if part <= HEAVY:
        return []
    text = (
        f"The top {100 * TOP:g} % of the posterior carries {100 * part:.0f} % of its mean, which "
        "may not exist: use the median and the interval."
    )
    return [text]


def _cells(data: OverlapTable) -> list[str]:
    found = []
    uncertain = ~data.structural & (data.low != data.high)
    if uncertain.any():
        found.append(
            f"{uncertain.sum()} cells were not counted exactly; the "
            f"{data.low[uncertain].sum():,.0f} people who are certainly in them count as observed, "
            "the others as unseen."
        )
    if data.structural.any():
        found.append(
            f"{data.structural.sum()} cells were impossible: nobody is counted or estimated there."
        )
    return found
