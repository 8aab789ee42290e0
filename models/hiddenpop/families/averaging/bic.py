"""Log-linear models averaged with weights exp(-BIC/2) (`average_models`): the posterior of N.

Within a model the coefficients have flat priors and the people on no list are integrated out by
Laplace's method for each number of them (`maths.unseen_curves`): where the posterior is known in
closed form its distribution function is right to 1 in 10,000 on tables of hundreds of people, to
6 in 1,000 on thirty. Models that together have less than 1 in 10,000 of the weight have a normal
curve on the scale of log(n_0 + 1) instead.

Overlaps that nobody was in are handled by the extended estimate; models whose likelihood has no
maximum, or which cannot be identified, have weight 0 and are named in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hiddenpop.families.averaging.cells import Cells, cells_of, refusal_of_cells
from hiddenpop.families.averaging.models import Fitted, fit_all, rank_models
from hiddenpop.families.averaging.notes import assumption, notes
from hiddenpop.families.averaging.single import ModelFit, fit_model
from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.families.maths.hierarchical_ml import Fits, fit_models, prepare
from hiddenpop.families.maths.unseen_curves import curves, normal_scale
from hiddenpop.families.maths.unseen_mixture import (
    Component,
    Normals,
    Tilt,
    component,
    mixture,
)
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling

if TYPE_CHECKING:
    from hiddenpop.families.loglinear_average import Priors

__all__ = ["Fitted", "ModelFit", "fit_all", "fit_model", "posterior", "rank_models", "refusal"]

LIGHT = 1e-4
"""Weight that models with a normal curve may have together."""

MOST_CURVES = 3_000

Z = 1.959963984540054
"""Normal quantile of 0.975."""


def refusal(table: OverlapTable, priors: Priors) -> Refusal | None:
    """Why models cannot be weighed by BIC on this table."""
    if found := refusal_of_cells(table):
        return found
    cells = cells_of(table)
    if priors.size_prior.most < cells.observed:
        values = {"most": priors.size_prior.most, "observed": cells.observed}
        return Refusal("loglinear-average-prior-low", values)
    masks = cells.terms(1)
    independence = np.ones((1, len(masks)), dtype=bool)
    if fit_models(cells.counts, cells.possible, masks, independence).code[0] == 0:
        return None
    # Almost never asked: where independence has no estimate the other models have none either.
    if (fit_all(cells, priors.order, priors.max_models).fits.code > 0).all():
        return Refusal("loglinear-average-no-estimate")
    return None


def posterior(table: OverlapTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """The posterior of N, averaged over models; groups as `families.exact` has them."""
    cells = cells_of(table)
    fitted = fit_all(
        cells, priors.order, priors.max_models,
        search_steps=priors.search_steps, seed=sampling.seed,
    )  # fmt: skip
    weight = fitted.weight
    if priors.best:
        weight = np.eye(1, len(weight), int(weight.argmax()))[0]
    weight, chosen, parts, light = _components(fitted, weight, priors)
    unseen, probability, tail = mixture(weight[chosen], parts, light, _tilt(cells, priors))
    names = fitted.names
    return exact_tree(
        cells.observed,
        Discrete(unseen, probability),
        seed=sampling.seed,
        assumption=assumption(fitted),
        notes=notes(table, fitted, weight, names, best=priors.best),
        models=_models(fitted, weight, names, dict(zip(chosen.tolist(), parts, strict=True))),
        fitted=_cells_expected(fitted, weight),
        attrs={"tail": tail},
    )


def _tilt(cells: Cells, priors: Priors) -> Tilt | None:
    """What the prior on N does to a posterior under 1/N; None for 1/N itself."""
    prior = priors.size_prior
    if prior.kind == "reciprocal":
        return None

    def log_ratio(unseen: np.ndarray) -> np.ndarray:
        N = cells.observed + unseen
        return np.asarray(prior.log_density(N) + np.log(N))

    return Tilt(log_ratio, prior.most - cells.observed)


def _components(
    fitted: Fitted, weight: np.ndarray, priors: Priors
) -> tuple[np.ndarray, np.ndarray, list[Component], Normals]:
    """Weights with the prior on N, the heavy models with their posteriors, and the light ones."""
    tilt = _tilt(fitted.cells, priors)
    mean, scale = normal_scale(fitted.fits.log_unseen, fitted.fits.variance)
    if tilt is not None:
        weight = _tilted(weight, mean, scale, tilt)
    order = np.argsort(-weight, kind="stable")
    heavy = int(np.searchsorted(np.cumsum(weight[order]), 1 - LIGHT)) + 1
    least = weight[order[min(heavy, MOST_CURVES) - 1]]
    # Models of equal weight are treated alike, whatever their order.
    chosen = order[weight[order] >= max(least * (1 - 1e-9), 1e-300)]
    batch = prepare(fitted.cells.counts, fitted.cells.possible, fitted.masks, fitted.model[chosen])
    own = Fits(*(values[chosen] for values in fitted.fits))
    parts = [component(curve, tilt) for curve in curves(batch, np.arange(len(chosen)), own)]
    rest = np.setdiff1d(np.flatnonzero(weight > LIGHT / 1e5), chosen)
    if tilt is not None:
        rest = rest[:0]
        plain = fitted.weight if not priors.best else (weight > 0).astype(float)
        gain = np.array([part.log_sum - part.log_plain for part in parts])
        share = plain[chosen] * np.exp(gain - gain.max())
        weight = np.zeros_like(weight)
        weight[chosen] = share / share.sum()
    return weight, chosen, parts, Normals(weight[rest], mean[rest], scale[rest])


def _tilted(weight: np.ndarray, mean: np.ndarray, scale: np.ndarray, tilt: Tilt) -> np.ndarray:
    """Weights times the mean of prior/(1/N) under normal curves: to choose models by."""
    z, share = np.polynomial.hermite_e.hermegauss(15)
    unseen = np.expm1(np.maximum(mean[:, None] + scale[:, None] * z, 0.0))
    with np.errstate(divide="ignore"):
        log_gain = np.log(np.exp(tilt.log_ratio(unseen)) @ (share / share.sum()))
    found = np.log(np.where(weight > 0, weight, 1e-300)) + log_gain
    found = np.where(weight > 0, found, -np.inf)
    if not np.isfinite(found.max()):  # the prior and the table exclude each other nearly
        return weight
    tilted = np.exp(found - found.max())
    return np.asarray(tilted / tilted.sum())


def _models(
    fitted: Fitted, weight: np.ndarray, names: list[str], parts: Mapping[int, Component]
) -> xr.Dataset:
    """Every model's share, BIC and N; nan where there is no estimate."""
    fits, observed = fitted.fits, fitted.cells.observed
    exists = fits.code == 0
    unseen = np.where(exists, np.exp(fits.log_unseen), np.nan)
    variance = np.where(exists, fits.variance, np.nan)
    mean, scale = normal_scale(fits.log_unseen, variance)
    columns = {
        "median": unseen,
        "mean": np.expm1(mean + scale**2 / 2),
        "low": np.expm1(np.maximum(mean - Z * scale, 0.0)),
        "high": np.expm1(mean + Z * scale),
    }
    columns = {key: np.where(exists, values, np.nan) for key, values in columns.items()}
    for row, part in parts.items():
        for key, values in columns.items():
            values[row] = getattr(part, key)
    se = np.sqrt(unseen + unseen**2 * variance)
    return xr.Dataset(
        {
            "weight": ("model", weight),
            "bic": ("model", np.where(exists, fitted.bic, np.nan)),
            "parameters": ("model", fits.parameters),
            "df": ("model", int(fitted.cells.possible.sum()) - fits.parameters),
            "code": ("model", fits.code),
            "estimate": ("model", observed + unseen),
            "se": ("model", se),
        }
        | {key: ("model", observed + values) for key, values in columns.items()},
        coords={"model": names},
    )


def _cells_expected(fitted: Fitted, weight: np.ndarray) -> xr.Dataset:
    """Observed people of every possible cell, and their means averaged over models."""
    heavy = np.flatnonzero(weight > 0)
    expected = weight[heavy] @ fitted.fits.expected[heavy]
    codes = np.flatnonzero(fitted.cells.possible)
    codes = codes[np.argsort(fitted.cells.shown(codes))]
    return xr.Dataset(
        {
            "observed": ("history", fitted.cells.counts[codes]),
            "expected": ("history", expected[codes]),
        },
        coords={"history": fitted.cells.labels(codes)},
    )
