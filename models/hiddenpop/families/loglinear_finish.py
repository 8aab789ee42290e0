"""From draws of the log-linear model's means to people, and to words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hiddenpop.families.loglinear_terms import fitted_labels
from hiddenpop.families.maths.between import draw_between
from hiddenpop.families.maths.independence import independent_unseen
from hiddenpop.inputs.overlap import OverlapTable

if TYPE_CHECKING:  # `families.loglinear` calls this module
    from hiddenpop.families.loglinear import Priors

__all__ = ["MOST_MEAN", "finish", "interval", "replicated", "with_people"]

MOST_MEAN = 1e15
"""Means are cut here before people are drawn: whole numbers are exact up to 9e15 only."""

Ends = tuple[float, float, float]


def finish(
    tree: xr.DataTree, data: OverlapTable, priors: Priors, rng: np.random.Generator
) -> xr.DataTree:
    """As `families.loglinear.finish`, for a table."""
    expected = tree["posterior"]["expected"].to_numpy()
    expected = expected.reshape(*expected.shape[:2], -1, expected.shape[-1])
    unseen = _draw_unseen(expected, data, rng)
    made = with_people(tree, unseen, data.observed_by_stratum)
    made["fitted"] = xr.DataTree(_fitted(expected, data, rng))
    made.attrs = {
        "observed": data.observed,
        "assumption": _assumption(data, priors),
        "notes": json.dumps(_notes(made, data, priors)),
    }
    return made


def with_people(tree: xr.DataTree, unseen: np.ndarray, observed: np.ndarray) -> xr.DataTree:
    """Put people in place of means: `unseen` (chain, draw, stratum), `observed` (stratum,)."""
    posterior = tree["posterior"].to_dataset().drop_vars("expected")
    mean = posterior["N"]
    posterior["unseen"] = (mean.dims, unseen.reshape(mean.shape))
    posterior["N"] = (mean.dims, (unseen + observed).reshape(mean.shape))
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    return xr.DataTree.from_dict(groups | {"posterior": posterior})


def interval(draws: np.ndarray) -> Ends:
    """Median and 95 % interval."""
    low, median, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return float(median), float(low), float(high)


def replicated(mean: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of counts that the model would give again, from means (draw, cell)."""
    low, high = np.quantile(rng.poisson(np.minimum(mean, MOST_MEAN)), [0.025, 0.975], axis=0)
    return low, high


def _draw_unseen(expected: np.ndarray, data: OverlapTable, rng: np.random.Generator) -> np.ndarray:
    """People of each stratum beyond those certainly seen, (chain, draw, stratum)."""
    mean = np.minimum(expected, MOST_MEAN)
    unseen = rng.poisson(mean[..., 0]).astype(float)
    for cell in np.flatnonzero((data.low < data.high) & ~data.structural):
        stratum = data.stratum[cell]
        of_cell = mean[..., stratum, data.code[cell]]
        drawn = draw_between(of_cell, data.low[cell], data.high[cell], rng)
        unseen[..., stratum] += drawn - data.low[cell]
    return np.asarray(unseen)


def _fitted(expected: np.ndarray, data: OverlapTable, rng: np.random.Generator) -> xr.Dataset:
    """Observed counts and what the model gives, all strata together, (history,)."""
    mean = expected.sum(2)[..., 1:].reshape(-1, expected.shape[-1] - 1)
    observed = data.dense().sum(0)[1:]
    uncertain = (data.low < data.high) & ~data.structural
    observed[data.code[uncertain] - 1] = np.nan
    low, high = replicated(mean, rng)
    return xr.Dataset(
        {
            "observed": ("history", observed),
            "expected": ("history", mean.mean(0)),
            "low": ("history", low),
            "high": ("history", high),
        },
        coords={"history": fitted_labels(len(data.lists))},
    )


def _assumption(data: OverlapTable, priors: Priors) -> str:
    inside = "Within each stratum people are" if data.factors else "People are"
    if priors.most_lists == 1:
        return (
            f"{inside} alike, and being on one list says nothing about being on another, for "
            "those whom no list saw as for the others."
        )
    together = "two" if priors.most_lists == 2 else str(priors.most_lists)
    strata = ", the same in every stratum" if data.factors else ""
    return (
        f"{inside} alike but for links between up to {together} lists{strata}, and these links "
        "hold for those whom no list saw as for the others: there is none of more lists."
    )


def _notes(tree: xr.DataTree, data: OverlapTable, priors: Priors) -> list[str]:
    """Sentences that a reader must see."""
    made: list[str] = []
    if priors.most_lists > 1:
        made += _links(tree, data, priors)
    if not data.factors and data.exact and priors.size_prior.kind == "reciprocal":
        alone = independent_unseen(data.list_totals, data.observed, priors.list_beta)
        low, median, high = alone.quantile(np.array([0.025, 0.5, 0.975])) + data.observed
        made.append(
            f"If the lists were independent the same table would give {median:,.0f} "
            f"({low:,.0f} to {high:,.0f})."
        )
    uncertain = (data.low < data.high) & ~data.structural
    if uncertain.any():
        made.append(
            f"{uncertain.sum()} cells were not counted exactly; the "
            f"{data.low[uncertain].sum():,.0f} people who are certainly in them count as "
            "observed, the others as unseen."
        )
    return made


def _links(tree: xr.DataTree, data: OverlapTable, priors: Priors) -> Sequence[str]:
    """What was learned of the links between lists."""
    pairs = [(one, two) for i, one in enumerate(data.lists) for two in data.lists[i + 1 :]]
    # Pairs come first among interactions.
    log_odds = tree["posterior"]["interaction"].to_numpy()[..., : len(pairs)]
    strongest = int(np.argmax(np.abs(np.median(log_odds, axis=(0, 1)))))
    odds = interval(np.exp(log_odds[..., strongest]))
    link = " and ".join(pairs[strongest])
    strength = f"odds ratio {odds[0]:.2g} ({odds[1]:.2g} to {odds[2]:.2g}), shrunk towards 1"
    made = [f"The strongest link is between {link}: {strength}."]
    if priors.most_lists == len(data.lists) - 1:
        made.append(
            "Every link but that of all lists together is in the model, so no cell is left to "
            "check it, and how strongly links are shrunk matters: see interaction_scale."
        )
    return made
