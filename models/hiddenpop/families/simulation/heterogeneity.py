"""Synthetic overlap tables of people who differ in visibility, drawn person by person.

Written apart from the model: no quadrature and no cell probabilities, only people on lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hiddenpop.families.heterogeneity import Priors
from hiddenpop.families.simulation.people import draw_size
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Truth", "draw_truth", "simulate"]


@dataclass(frozen=True)
class Truth:
    """What a table is simulated from.

    Attributes
    ----------
    N
        Population size, people.
    model
        One of the family's models.
    centre
        Logit of the chance of an average person on each list, shape (list,); for `Mh beta` the
        logit of the mean chance.
    spread
        Sd of visibility on the logit scale; for `Mh beta` the intra-class correlation; 0 for Mt.
    lists
        Their names.
    """

    N: int
    model: str
    centre: np.ndarray
    spread: float
    lists: tuple[str, ...]


def draw_truth(data: OverlapTable, priors: Priors, rng: np.random.Generator) -> Truth:
    """A model and its parameters from the prior; N from the prior, or around the table's size."""
    model = str(rng.choice(priors.models))
    alike = model.startswith("Mh")
    chances = rng.random(1 if alike else len(data.lists))
    centre = np.log(chances) - np.log1p(-chances)
    spread = 0.0
    if model == "Mh beta":
        spread = float(rng.beta(1.0, priors.correlation_beta))
    elif model != "Mt":
        spread = float(abs(rng.normal(0.0, priors.sigma_scale)))
    size = draw_size(data, priors.size_prior, rng)
    return Truth(size, model, np.resize(centre, len(data.lists)), spread, data.lists)


def simulate(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """Everybody's chances, then everybody's lists, then those who were seen."""
    people = truth.N
    if truth.model == "Mh beta":
        mean = 1 / (1 + np.exp(-truth.centre[0]))
        size = 1 / max(truth.spread, 1e-9) - 1
        chance = rng.beta(mean * size, (1 - mean) * size, people)[:, None]
    else:
        visibility = np.zeros(people)
        if "skewed" in truth.model:
            # The log of a waiting time, brought to mean 0 and sd 1.
            visibility = (
                (np.log(rng.exponential(size=people)) + np.euler_gamma) * np.sqrt(6) / np.pi
            )
        elif truth.model != "Mt":
            visibility = rng.normal(size=people)
        logit = truth.centre + truth.spread * visibility[:, None]
        chance = 1 / (1 + np.exp(-logit))
    seen = rng.random((people, len(truth.lists))) < chance
    rows, counts = np.unique(seen[seen.any(axis=1)], axis=0, return_counts=True)
    labels = ["".join("1" if mark else "0" for mark in row) for row in rows]
    return OverlapTable.from_counts(truth.lists, dict(zip(labels, counts.tolist(), strict=True)))
