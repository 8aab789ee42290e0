"""What an average under a proper prior hands over besides the distribution of N itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from hiddenpop.families.averaging.proper_cells import Layout
from hiddenpop.families.exact import CHAINS, DRAWS, Discrete
from hiddenpop.families.maths.hierarchy import model_name
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Chosen", "Weighted", "by_stratum", "fitted", "inclusion", "models_table", "resample"]

MOST_LOG_MEAN = 30.0
"""Log means of counted cells are cut here, far above any count."""


class Chosen(NamedTuple):
    """Models that carry nearly all evidence, heaviest first.

    `models` has shape (model, term); `share` is Laplace's, among all `considered`; `agreement`
    is that of the search, None where all models were listed.
    """

    models: np.ndarray
    share: np.ndarray
    considered: int
    agreement: float | None


class Weighted(NamedTuple):
    """Weighted draws: parameters, model, weight (sums to 1), unseen people by stratum.

    `effective` is how many independent draws they are worth (Kish 1965).
    """

    theta: np.ndarray
    model: np.ndarray
    weight: np.ndarray
    unseen: np.ndarray
    effective: float

    @property
    def total(self) -> np.ndarray:
        """Unseen people of all strata, shape (particle,)."""
        return np.asarray(self.unseen.sum(axis=1))


def models_table(layout: Layout, chosen: Chosen, drawn: Weighted, data: OverlapTable) -> xr.Dataset:
    """Shares of the models and N under each, shape (model,)."""
    total = drawn.total
    weight = np.bincount(drawn.model, drawn.weight, minlength=len(chosen.models))
    order = np.lexsort((total, drawn.model))
    ends = np.cumsum(np.bincount(drawn.model, minlength=len(weight)))
    rows = np.full((len(weight), 4), np.nan)
    for place, part in enumerate(np.split(order, ends[:-1])):
        if weight[place] > 0:
            alone = Discrete(total[part], drawn.weight[part] / weight[place])
            rows[place] = alone.mean, *alone.quantile(np.array([0.025, 0.5, 0.975]))
    names = _names(layout, data)
    columns = dict(zip(("mean", "low", "median", "high"), data.observed + rows.T, strict=True))
    return xr.Dataset(
        {"weight": ("model", weight), "weight_laplace": ("model", chosen.share)}
        | {name: ("model", columns[name]) for name in ("median", "mean", "low", "high")},
        coords={"model": [model_name(_masks(layout, row), names) for row in chosen.models]},
    )


def _names(layout: Layout, data: OverlapTable) -> list[str]:
    """Variables in the order of the table."""
    return [*data.lists, *layout.variables.names[len(data.lists) :]]


def _masks(layout: Layout, row: np.ndarray) -> list[int]:
    """Terms of a model, their lists numbered as in the table."""
    return [_as_in_table(layout, mask) for mask in layout.masks[row].tolist()]


def _as_in_table(layout: Layout, mask: int) -> int:
    places = [*layout.variables.lists.tolist()]
    places += range(len(places), len(layout.variables.names))
    return sum(1 << place for j, place in enumerate(places) if mask >> j & 1)


def inclusion(
    layout: Layout, chosen: Chosen, models: xr.Dataset, data: OverlapTable
) -> dict[str, float]:
    """Posterior probability of each interaction, by names such as "A:B"."""
    share = models["weight"].to_numpy() @ chosen.models
    names = _names(layout, data)
    found = {}
    for mask, probability in zip(layout.masks.tolist(), share.tolist(), strict=True):
        own = _as_in_table(layout, mask)
        members = [name for j, name in enumerate(names) if own >> j & 1]
        if len(members) > 1:
            found[":".join(members)] = round(probability, 6)
    return found


def resample(weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places of equally weighted draws (systematic resampling, then shuffled)."""
    size = CHAINS * DRAWS
    marks = (np.arange(size) + rng.random()) / size
    places = np.searchsorted(np.cumsum(weight), marks * (1 - 1e-12))
    return rng.permutation(np.minimum(places, len(weight) - 1))


def fitted(
    layout: Layout, theta: np.ndarray, data: OverlapTable, rng: np.random.Generator
) -> xr.Dataset:
    """Counted cells by history, all strata together, and what the average gives for them."""
    codes, place = np.unique(layout.exact_code, return_inverse=True)
    mean = np.exp(np.minimum(theta @ layout.table.exact.T, MOST_LOG_MEAN))
    expected = np.zeros((len(codes), len(theta)))
    np.add.at(expected, place, mean.T)
    low, high = np.quantile(rng.poisson(expected), [0.025, 0.975], axis=1)
    labels = ["".join(str(code >> j & 1) for j in range(len(data.lists))) for code in codes]
    return xr.Dataset(
        {
            "observed": ("history", np.bincount(place, layout.table.count)),
            "expected": ("history", expected.mean(axis=1)),
            "low": ("history", low),
            "high": ("history", high),
        },
        coords={"history": labels},
    )


def by_stratum(unseen: np.ndarray, data: OverlapTable) -> xr.Dataset:
    """N and unseen of each stratum, from draws (draw, stratum)."""
    dims = ("chain", "draw", "stratum")
    people = unseen.reshape(CHAINS, DRAWS, -1)
    return xr.Dataset(
        {"N": (dims, people + data.observed_by_stratum), "unseen": (dims, people)},
        coords={
            "chain": np.arange(CHAINS),
            "draw": np.arange(DRAWS),
            "stratum": list(data.stratum_names),
        },
    )
