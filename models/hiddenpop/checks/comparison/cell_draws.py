"""What a fit says of the cells of an overlap table: posterior draws, where it was sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from hiddenpop.families import FAMILIES
from hiddenpop.inference import Sampler
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.size import SizeEstimate, priors_of

__all__ = ["CellDraws", "cell_draws", "cell_words", "known_cells", "of_model", "predicts_cells"]


@dataclass(frozen=True, eq=False)
class CellDraws:
    """Draws of the people expected in each cell.

    Attributes
    ----------
    mean
        People, shape (sample, stratum, 2^L), in the order of `OverlapTable.dense`; the all-zero
        cell first, which is 0 where the family gives people seen only.
    share
        Probability of each history given that a person of the stratum is in a cell whose count is
        known, the same shape; 0 in other cells.
    chains
        That the draws come from, one after the other.
    poisson
        Whether counts are Poisson with these means; if not, they are multinomial given the people
        seen.
    sampler
        The model, where it is one of PyMC.
    """

    mean: np.ndarray
    share: np.ndarray
    chains: int
    poisson: bool
    sampler: Sampler | None = None


def predicts_cells(estimate: SizeEstimate) -> bool:
    """Whether a family gives the people expected in each cell of an overlap table."""
    return isinstance(estimate.data, OverlapTable) and estimate.fitted is not None


def known_cells(table: OverlapTable) -> np.ndarray:
    """Cells whose count is known, bool, shape (stratum, 2^L); those without a row are empty."""
    unknown = table.dense(((table.low < table.high) | table.structural).astype(float))
    return np.asarray(np.nan_to_num(unknown, nan=1.0) == 0)


def cell_words(lists: tuple[str, ...], label: str) -> str:
    """A history in words: "110" is "a & b only"."""
    on = [name for name, mark in zip(lists, label, strict=True) if mark == "1"]
    return " & ".join(on) + ("" if len(on) == len(lists) else " only")


def cell_draws(estimate: SizeEstimate, options: Mapping[str, Any]) -> CellDraws | None:
    """Draws of a sampled family; None for one that is computed.

    Parameters
    ----------
    options
        As `fit_table` takes them: those that the estimate was made with.
    """
    table = estimate.data
    if not isinstance(table, OverlapTable):
        return None
    if "cells" in estimate.tree:
        whole = table.total()
        group = estimate.tree["cells"]["expected"].transpose("sample", "history")
        labels = list(group["history"].to_numpy())
        mean = np.zeros((group.sizes["sample"], 1, 2 ** len(table.lists)))
        codes = [sum(1 << j for j, mark in enumerate(x) if mark == "1") for x in labels]
        mean[:, 0, codes] = group.to_numpy()
        return CellDraws(mean, mean / whole.observed, 1, False)
    module = FAMILIES[estimate.family].module
    if not hasattr(module, "build_model"):
        return None
    priors = priors_of(estimate.family, dict(options))
    sampler = estimate.sampler or Sampler(module.build_model(table, priors))
    names = [str(variable.name) for variable in sampler.model.free_RVs]
    drawn = estimate.tree["posterior"].to_dataset()[names]
    return of_model(sampler.complete(drawn, module.values(table, priors)), table, sampler)


def of_model(posterior: xr.Dataset, table: OverlapTable, sampler: Sampler) -> CellDraws:
    """Draws from the deterministic variable `expected` of a log-linear model."""
    expected = posterior["expected"].to_numpy()
    mean = expected.reshape(-1, len(table.strata), expected.shape[-1])
    inside = mean * known_cells(table)
    share = inside / inside.sum(axis=2, keepdims=True)
    return CellDraws(mean, share, expected.shape[0], True, sampler)
