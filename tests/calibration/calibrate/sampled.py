"""Calibration of sampled families: ranks among thinned draws, one compilation for each regime."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from calibrate.regime import Replicate, Row
from hiddenpop.checks.calibration.scores import draw_rank, thinned
from hiddenpop.inference import Sampler, judge
from hiddenpop.inputs.settings import Sampling

__all__ = ["Quantities", "doubts", "ranked", "sampled_replicate", "settled"]

QUICK = Sampling(draws=500, tune=700, target_accept=0.95)
LONG = Sampling(draws=800, tune=1200, target_accept=0.995)
"""A fit in doubt is repeated so, and kept whatever comes: leaving it out would bend the ranks of
the others."""


class Quantities(NamedTuple):
    """What is ranked: by name, draws (chain, draw) and the truth."""

    draws: Mapping[str, np.ndarray]
    truth: Mapping[str, float]


Ranked = Callable[[xr.DataTree, Any, Any], Quantities]
"""Of a fit, its data and the truth."""


def ranked(
    quantities: Quantities, rng: np.random.Generator, status: str, seconds: float
) -> list[Row]:
    """Rows of a replicate."""
    return [
        {
            "quantity": name,
            "rank": draw_rank(quantities.truth[name], thinned(draws), rng),
            "truth": quantities.truth[name],
            "status": status,
            "seconds": seconds,
        }
        for name, draws in quantities.draws.items()
    ]


def settled(
    fit: Callable[[Sampling], xr.DataTree], seed: int, first: Sampling = QUICK
) -> tuple[xr.DataTree, str]:
    """A fit, a long one where a short one is in doubt, and what is still wrong with it."""
    tree = fit(replace(first, seed=seed))
    if not doubts(tree):
        return tree, "ok"
    tree = fit(replace(LONG, seed=seed + 1))
    return tree, doubts(tree) or "ok"


def doubts(tree: xr.DataTree) -> str:
    """What bends ranks: chains that disagree, too few effective draws, divergent transitions.

    The limits are those that a few hundred ranks can feel, not those of a result: R-hat 1.03 and
    bulk size 100 for the worst of all variables, and one divergent transition in two hundred.
    """
    size = tree["posterior"].sizes["chain"] * tree["posterior"].sizes["draw"]
    found = {gate.name: gate.found for gate in judge(tree).gates}
    wrong = {
        "R-hat": found["R-hat"] > 1.03,
        "bulk effective sample size": found["bulk effective sample size"] < 100,
        "divergent transitions": found.get("divergent transitions", 0) > size / 200,
    }
    return ", ".join(name for name, bad in wrong.items() if bad)


def sampled_replicate(
    model: Callable[[], Any],
    draw: Callable[[np.random.Generator], tuple[Any, Any]],
    values: Callable[[Any], Mapping[str, np.ndarray]],
    quantities: Callable[[xr.DataTree, Any, Any, np.random.Generator], Quantities],
    refusal: Callable[[Any], str | None] = lambda data: None,
    first: Sampling = QUICK,
) -> Replicate:
    """A function that draws, simulates, samples and ranks; the model is compiled now.

    Parameters
    ----------
    model
        Gives the PyMC model of data of this shape.
    draw
        Gives a truth and data simulated from it.
    values
        The model's data variables.
    quantities
        Of the fit, the data, the truth and random numbers.
    """
    sampler = Sampler(model())
    sampler.compile()

    def replicate(rng: np.random.Generator) -> list[Row]:
        truth, data = draw(rng)
        if (code := refusal(data)) is not None:
            return [{"quantity": "N", "rank": np.nan, "status": code}]
        begin = time.process_time()
        given = values(data)
        tree, status = settled(
            lambda sampling: sampler.sample(given, sampling), int(rng.integers(2**31 - 1)), first
        )
        seconds = time.process_time() - begin
        return ranked(quantities(tree, data, truth, rng), rng, status, seconds)

    return replicate
