"""Log-linear models of lists and factors, averaged under a proper prior.

    n_c ~ Poisson(mu_c),  log mu = X theta
    intercept flat,  beta | sigma^2 ~ N(0, sigma^2 n_c (X'X)^-1)

The model of the R package conting (Overstall & King 2014, Journal of Statistical Software 58(7))
without its sampler. Estimator `sbh`: sigma^2 ~ InvGamma(a/2, b/2) (Sabanés Bové & Held 2011);
`uip`: sigma^2 = 1 (Dellaportas & Forster 1999). All hierarchical models that hold the main
effects of lists and factors are equally likely beforehand. Cells that could not be observed have
no part in the likelihood, so no data are augmented; a flat intercept is p(N) proportional to 1/N.

The evidence of every model comes from Laplace's approximation (`maths.proper_prior`), or, where
models are too many to list, of those that a search finds (`maths.model_search`). Models that
carry nearly all of it are then sampled (`maths.importance`), which gives their evidence and N
at once. The people on no list, of each draw of the parameters: N = observed + Poisson(sum of mu
over the cells that nothing is known of), and draws of the cells of which a range is known.
"""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from hiddenpop.families.averaging.proper_cells import (
    Layout,
    lay_out,
    order_of,
    variables_of,
)
from hiddenpop.families.averaging.proper_notes import assumption, notes
from hiddenpop.families.averaging.proper_report import (
    Chosen,
    Weighted,
    by_stratum,
    fitted,
    inclusion,
    models_table,
    resample,
)
from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.families.maths.between import draw_between
from hiddenpop.families.maths.hierarchy import (
    count_models,
    hierarchical_models,
    terms,
)
from hiddenpop.families.maths.importance import Particles, draw_particles
from hiddenpop.families.maths.model_search import Found, search_models
from hiddenpop.families.maths.proper_prior import Prior, find_modes, laplace
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling

if TYPE_CHECKING:
    from hiddenpop.families.loglinear_average import Priors

__all__ = ["posterior", "refusal"]

MOST_NUMBERS = 8_000_000
"""Cells times squared coefficients that a table may have at most: ten lists in pairs."""

PARTICLES, ENOUGH, MORE = 60_000, 5_000, 8
"""Draws of the parameters, about; if they are worth less than ENOUGH, so many times as many."""

MASS, SEARCHED_MASS = 0.9999, 0.999
"""Share of Laplace's evidence whose models are sampled, of listed and of searched models."""

MOST_SAMPLED = 4_000
"""Models sampled at most."""

LEAST_SEARCHED, MOST_SEARCHED, WORK = 5_000, 40_000, 1_200_000_000
"""Models that a search scores at most: as many as make WORK cells times coefficients."""

MOST_LOG_MEAN = 80.0
"""Log means are cut here: nothing that is reported reaches as far."""

MOST_POISSON = 1e15
"""Greatest mean that a Poisson number is drawn from; beyond, its own error is below a part in
thirty million of it."""


def refusal(data: OverlapTable, priors: Priors) -> Refusal | None:
    """Why these models cannot be averaged on this table."""
    variables = variables_of(data)
    lists = len(data.lists)
    if lists < (2 if variables.levels else 3):
        return Refusal("loglinear-average-lists-few", {"lists": lists})
    whole = prod(variables.levels)
    if len(data.strata) < whole:
        return Refusal("loglinear-proper-strata", {"all": whole, "strata": len(data.strata)})
    if priors.size_prior.most < data.observed:
        values = {"most": priors.size_prior.most, "observed": data.observed}
        return Refusal("loglinear-average-prior-low", values)
    return _too_large(data, priors) or _without_overlap(data)


def _without_overlap(data: OverlapTable) -> Refusal | None:
    """A proper prior would give an answer here, but it would be the prior's alone."""
    counted = ~data.structural
    reached = data.history[counted & (data.high > 0)].any(axis=0)
    if not reached.all():
        names = [name for name, some in zip(data.lists, reached, strict=True) if not some]
        return Refusal("loglinear-average-list-empty", {"lists": ", ".join(names)})
    if not data.low[counted & (data.history.sum(axis=1) > 1)].any():
        return Refusal("loglinear-average-no-overlap")
    return None


def _too_large(data: OverlapTable, priors: Priors) -> Refusal | None:
    """Computed from numbers of terms alone, before any array is made."""
    variables = variables_of(data)
    order = order_of(variables, priors.order)
    cells = len(data.strata) * 2 ** len(data.lists)
    # Coefficients of terms of each number of variables: elementary symmetric polynomials.
    of_size = [1] + [0] * order
    for contrasts in [1] * len(data.lists) + [count - 1 for count in variables.levels]:
        for size in range(order, 0, -1):
            of_size[size] += contrasts * of_size[size - 1]
    if cells * sum(of_size) ** 2 <= MOST_NUMBERS:
        return None
    return Refusal("loglinear-proper-size", {"cells": cells, "coefficients": sum(of_size)})


def posterior(data: OverlapTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """The posterior of N, averaged over models; see `families.exact` for its groups."""
    rng = np.random.default_rng(sampling.seed)
    layout = lay_out(data, priors.order)
    chosen = _choose(layout, priors, rng)
    prior = _prior(priors, len(chosen.models))
    modes = find_modes(layout.table, prior, layout.has(chosen.models))
    for draws in (PARTICLES, MORE * PARTICLES):
        particles = draw_particles(layout.table, prior, modes, draws, rng)
        drawn = _weigh(layout, particles, data, priors, rng)
        if drawn.effective >= ENOUGH:
            break
    distribution = Discrete.from_draws(drawn.total, drawn.weight)
    models = models_table(layout, chosen, drawn, data)
    places = resample(drawn.weight, rng)
    tree = exact_tree(
        data.observed,
        distribution,
        seed=sampling.seed,
        assumption=assumption(layout),
        notes=notes(data, layout, distribution, models, chosen),
        models=models,
        fitted=fitted(layout, drawn.theta[places], data, rng),
        attrs={
            "importance_ess": drawn.effective,
            "inclusion": json.dumps(inclusion(layout, chosen, models, data)),
        },
    )
    if data.factors:
        tree["posterior"] = xr.DataTree(by_stratum(drawn.unseen[places], data))
    return tree


def _prior(priors: Priors, models: int) -> Prior:
    if priors.estimator == "uip":
        return Prior(variance=np.ones(models))
    return Prior(priors.a, priors.b)


def _choose(layout: Layout, priors: Priors, rng: np.random.Generator) -> Chosen:
    """List all models, or search them, and keep the heavy ones."""

    def score(models: np.ndarray) -> np.ndarray:
        return laplace(find_modes(layout.table, _prior(priors, len(models)), layout.has(models)))

    variables = len(layout.variables.names)
    if count_models(variables, layout.order, priors.max_models) is None:
        most = int(np.clip(WORK / layout.table.design.size, LEAST_SEARCHED, MOST_SEARCHED))
        found = search_models(score, layout.masks, rng, steps=priors.search_steps, most=most)
        return _heavy(found, SEARCHED_MASS, found.agreement)
    every = terms(variables, layout.order)
    allowed = np.isin(every, layout.masks)
    listed = hierarchical_models(variables, layout.order, priors.max_models)
    models = listed[~listed[:, ~allowed].any(axis=1)][:, allowed]
    return _heavy(Found(models, score(models), 1.0, complete=True), MASS, None)


def _heavy(found: Found, mass: float, agreement: float | None) -> Chosen:
    share = np.exp(found.score - logsumexp(found.score))
    order = np.argsort(-share, kind="stable")
    enough = int(np.searchsorted(np.cumsum(share[order]), mass)) + 1
    kept = order[: min(enough, MOST_SAMPLED)]
    return Chosen(found.models[kept], share[kept], len(share), agreement)


def _weigh(
    layout: Layout, particles: Particles, data: OverlapTable, priors: Priors,
    rng: np.random.Generator,
) -> Weighted:  # fmt: skip
    """Draw people, and weigh each draw of them by the prior on N over 1/N."""
    mean = np.exp(np.minimum(particles.theta @ layout.missing.T, MOST_LOG_MEAN))
    people = rng.poisson(np.minimum(mean, MOST_POISSON)).astype(float)
    people = np.where(mean > MOST_POISSON, np.rint(mean), people)
    unseen = np.zeros((len(mean), len(data.strata)))
    np.add.at(unseen.T, layout.missing_stratum, people.T)
    table = layout.table
    if len(table.low):
        log_ranged = np.minimum(particles.theta @ table.ranged.T, np.log(MOST_POISSON))
        people = draw_between(np.exp(log_ranged), table.low, table.high, rng) - table.low
        np.add.at(unseen.T, layout.ranged_stratum, people.T)
    log_weight = particles.log_weight
    if priors.size_prior.kind != "reciprocal":
        size = data.observed + unseen.sum(axis=1)
        log_weight = log_weight + priors.size_prior.log_density(size) + np.log(size)
    top = log_weight.max()
    if not np.isfinite(top):  # no draw that the prior on N allows: nothing to report
        return Weighted(
            particles.theta, particles.model, np.full(len(unseen), 1 / len(unseen)), unseen, 0.0
        )
    weight = np.exp(log_weight - top)
    weight /= weight.sum()
    effective = float(1 / np.sum(weight**2))
    return Weighted(particles.theta, particles.model, weight, unseen, effective)
