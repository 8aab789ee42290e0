"""The log-linear model of a table: strata, shrinkage, censored cells. See `families.loglinear`."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hiddenpop.families.loglinear_terms import (
    SCALE_SPREAD,
    Terms,
    fitted_labels,
    histories,
    interactions,
    list_effects,
    log_between,
    mean_between,
    size_log_prior,
)
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.overlap import OverlapTable

if TYPE_CHECKING:  # `families.loglinear` calls this module
    from hiddenpop.families.loglinear import Priors

__all__ = ["Design", "build_model", "design_of", "deviates", "refusal", "values"]

MAX_TERMS = 200_000
"""Strata times histories times effects: what is computed at each step of the sampler."""

BEYOND = 1e12
"""Stands for "no upper bound": no cell holds this many people."""

Tensor = Any  # pytensor has no type stubs


def refusal(data: OverlapTable, priors: Priors) -> Refusal | None:
    """Why the model cannot be used on this table; None where it can."""
    levels = sum(len(set(column)) for column in zip(*data.strata, strict=True))
    links = sum(comb(len(data.lists), m) for m in range(2, priors.most_lists + 1))
    effects = (1 + levels) * len(data.lists) + links
    terms = len(data.strata) * 2 ** len(data.lists) * effects
    if terms > MAX_TERMS:
        return Refusal("loglinear-size", {"terms": terms, "most": MAX_TERMS})
    # A cell whose count is not known at all says nothing of overlap.
    counted = ~data.structural & np.isfinite(data.high) & (data.high > 0)
    empty = np.flatnonzero(~data.history[counted].any(0))
    if empty.size:
        return Refusal("loglinear-empty", {"list": data.lists[empty[0]]})
    if not np.any(data.history[counted].sum(1) > 1):
        return Refusal("loglinear-overlap")
    return None


@dataclass(frozen=True, eq=False)
class Design:
    """What the model looks up: effects, and what is known of which cell.

    Attributes
    ----------
    factors
        Factors with two levels or more.
    levels
        "sex=female" and so on, level by level of all of these factors.
    factor_of
        Factor of each level, shape (level,).
    terms
        Interactions between lists.
    columns
        1 where an effect is part of a cell's log mean, shape (stratum, history, effect).
        Effects: lists; deviations, level by level, list by list; interactions.
    summed
        1 for cells that M_s adds up: those known exactly or, in a stratum without any, all
        that are possible; (stratum, history).
    possible
        1 but for impossible cells; 1 for the unseen; (stratum, history).
    bracketed, unknown
        Places among the cells of `data` of which something, or nothing, is known.
    """

    data: OverlapTable
    factors: tuple[str, ...]
    levels: tuple[str, ...]
    factor_of: np.ndarray
    terms: Terms
    columns: np.ndarray
    summed: np.ndarray
    possible: np.ndarray
    bracketed: np.ndarray
    unknown: np.ndarray

    @property
    def one(self) -> bool:
        """Whether there is one stratum only, so that no variable has a dimension for it."""
        return len(self.data.strata) == 1

    @property
    def stratum_dims(self) -> tuple[str, ...]:
        """Dimensions of what each stratum has."""
        return () if self.one else ("stratum",)

    @property
    def normals(self) -> list[str]:
        """Names of the normals: deviations, then interactions."""
        deviations = [f"{name} {level}" for level in self.levels for name in self.data.lists]
        return [*deviations, *self.terms.names]

    @property
    def counted(self) -> np.ndarray:
        """Whether a stratum has cells known exactly, (stratum,)."""
        return np.asarray(_known(self.data).any(1))

    def by_stratum(self, x: np.ndarray) -> np.ndarray:
        """Drop the dimension of strata where there is one only."""
        return np.asarray(x[0]) if self.one else x

    def scales(self, priors: Priors) -> dict[str, float]:
        """Medians of the sds that are learned, by name."""
        found = dict.fromkeys(self.factors, priors.between)
        if priors.interaction_sd is None:
            found |= {f"interactions of {m} lists": priors.interaction_scale / 2 ** (m - 2)
                      for m in sorted(set(self.terms.order.tolist()))}  # fmt: skip
        return found


def design_of(data: OverlapTable, priors: Priors) -> Design:
    """Look up every position that the model needs."""
    by_factor = list(zip(*data.strata, strict=True))
    varying = [f for f in range(len(data.factors)) if len(set(by_factor[f])) > 1]
    levels = [(f, level) for f in varying for level in dict.fromkeys(by_factor[f])]
    terms = interactions(data.lists, priors.most_lists)
    on = histories(len(data.lists))
    every = (len(data.strata), *on.shape)
    blocks = [np.broadcast_to(on, every)]
    for f, level in levels:
        has = np.array([float(names[f] == level) for names in data.strata])
        blocks.append(has[:, None, None] * on)
    blocks.append(np.broadcast_to(terms.columns, (*every[:2], len(terms.names))))
    known = _known(data)
    possible = np.nan_to_num(1 - data.dense(data.structural.astype(float)), nan=1.0)
    seen = possible * on.any(1)
    unknown = (data.low == 0) & np.isinf(data.high)
    return Design(
        data,
        tuple(data.factors[f] for f in varying),
        tuple(f"{data.factors[f]}={level}" for f, level in levels),
        np.array([varying.index(f) for f, _ in levels], dtype=int),
        terms,
        np.concatenate(blocks, axis=2),
        np.where(known.any(1)[:, None], known, seen),
        possible,
        np.flatnonzero((data.low < data.high) & ~unknown & ~data.structural),
        np.flatnonzero(unknown & ~data.structural),
    )


def _known(data: OverlapTable) -> np.ndarray:
    """1 for cells known exactly; those that are not in the table are known to be empty."""
    not_known = data.dense(((data.low < data.high) | data.structural).astype(float))
    return np.asarray(np.nan_to_num(1 - not_known, nan=0.0))


def build_model(data: OverlapTable, priors: Priors) -> pm.Model:
    """As `families.loglinear.build_model`, for a table."""
    design = design_of(data, priors)
    dims = design.stratum_dims
    with pm.Model(coords=_coords(design, priors)) as model:
        given = {name: pm.Data(name, x, dims=DIMS[name][-x.ndim :] if x.ndim else ())
                 for name, x in values(data, priors).items()}  # fmt: skip
        log_seen = pm.Flat("log_seen", dims=dims) + given["log_start"]
        effects = list_effects(priors.list_beta)
        if design.normals:
            effects = pt.concatenate([effects, deviates(design, priors)])
        log_odds = (design.by_stratum(design.columns) * effects).sum(-1)
        # Relative to the all-zero cell of the stratum.
        relative = pt.exp(log_odds)
        log_unseen = log_seen - pt.log((design.by_stratum(design.summed) * relative).sum(-1))
        seen = pt.exp(log_seen)
        if not design.counted.all():
            seen = design.by_stratum(design.counted) * seen
        pm.Potential(
            "log_likelihood",
            (given["held"] * effects).sum() + (given["counted"] * log_unseen - seen).sum(),
        )
        _sizes(design, log_seen, log_unseen, relative, priors)
        log_mean = None
        if design.bracketed.size:
            log_mean = _log_means(design, log_unseen, effects)
            pm.Potential("brackets", log_between(given["low"], given["high"], log_mean).sum())
        _people(design, given, log_unseen, effects, log_mean)
    return model


DIMS = {
    "held": ("part",),
    "counted": ("stratum",),
    "log_start": ("stratum",),
    "low": ("bracket",),
    "high": ("bracket",),
}
"""Dimensions of the data variables; none where there is one stratum only."""


def values(data: OverlapTable, priors: Priors) -> dict[str, np.ndarray]:
    """Data variables of a table.

    `held`: people in the cells known exactly that each effect is part of, which with
    `counted`, people in these cells by stratum, is all that the likelihood needs of them;
    `low`, `high`: the brackets.
    """
    design = design_of(data, priors)
    count = np.nan_to_num(data.dense()) * _known(data)
    people = count.sum(1)
    found = {
        "held": np.einsum("sh,she->e", count, design.columns),
        "counted": design.by_stratum(people),
        "log_start": design.by_stratum(np.log(people + 0.5)),
    }
    place = design.bracketed
    if place.size:
        found |= {"low": data.low[place], "high": np.minimum(data.high[place], BEYOND)}
    return found


def _coords(design: Design, priors: Priors) -> dict[str, list[str]]:
    data = design.data
    brackets = [f"{data.stratum_names[data.stratum[i]]}: {data.labels[i]}"
                for i in design.bracketed]  # fmt: skip
    return {
        "list": list(data.lists),
        "stratum": list(data.stratum_names),
        "history": ["0" * len(data.lists), *fitted_labels(len(data.lists))],
        "link": list(design.terms.names),
        "normal": design.normals,
        "part": [*data.lists, *design.normals],
        "effect": list(design.scales(priors)),
        "bracket": brackets,
    }


def deviates(design: Design, priors: Priors, prefix: str = "") -> Tensor:
    """Deviations of lists between levels and interactions, log odds, (normal,).

    Makes their random variables; names and dimensions of these begin with `prefix`.
    """
    lists, order = len(design.data.lists), design.terms.order
    deviations, scales = len(design.levels) * lists, design.scales(priors)
    # Which sd each effect has, as a 0/1 matrix: looking it up takes longer to compile.
    own = np.zeros((len(design.normals), len(scales)))
    own[np.arange(deviations), np.repeat(design.factor_of, lists)] = 1.0
    sd: Tensor = np.zeros(len(own))
    if priors.interaction_sd is None:
        own[np.arange(deviations, len(own)), len(design.factors) + order - 2] = 1.0
    else:
        sd[deviations:] = priors.interaction_sd / 2.0 ** (order - 2)
    if scales:
        log_scale = SCALE_SPREAD * pm.Normal(f"{prefix}log_scale", 0, 1, dims=f"{prefix}effect")
        scale = np.array(list(scales.values())) * pt.exp(log_scale)
        sd = sd + (own * pm.Deterministic(f"{prefix}scale", scale, dims=f"{prefix}effect")).sum(-1)
    # Half centred: effects that the data know well want one form, others the other.
    root = pt.sqrt(sd)
    found = root * pm.Normal(f"{prefix}z", 0, root, dims=f"{prefix}normal")
    if order.size:
        pm.Deterministic(f"{prefix}interaction", found[deviations:], dims=f"{prefix}link")
    return found


def _sizes(
    design: Design, log_seen: Tensor, log_unseen: Tensor, relative: Tensor, priors: Priors
) -> None:
    """Prior of the sizes of strata and of all together; nothing where it is flat."""
    if design.one and priors.size_prior.kind == "reciprocal":
        return
    # A second sum over `relative` takes seconds to compile where it shares cells with the first.
    rest = design.by_stratum(design.possible - design.summed)
    log_size = log_unseen + pt.log(pt.exp(log_seen - log_unseen) + (rest * relative).sum(-1))
    if not design.one:
        strata = len(design.data.strata)
        apart = (log_size**2).sum() - log_size.sum() ** 2 / strata
        pm.Potential("strata", -0.5 * apart / priors.stratum_spread**2)
    if priors.size_prior.kind != "reciprocal":
        everybody = pt.exp(log_size).sum()
        pm.Potential("size", size_log_prior(priors.size_prior, everybody))


def _log_means(design: Design, log_unseen: Tensor, effects: Tensor) -> Tensor:
    """Log means of bracketed cells, (bracket,)."""
    data, place = design.data, design.bracketed
    log_odds = (design.columns[data.stratum[place], data.code[place]] * effects).sum(-1)
    if design.one:
        return log_unseen + log_odds
    of_stratum = (data.stratum[place][:, None] == np.arange(len(data.strata))).astype(float)
    return (of_stratum * log_unseen).sum(-1) + log_odds


def _people(
    design: Design,
    given: dict[str, Tensor],
    log_unseen: Tensor,
    effects: Tensor,
    log_mean: Tensor | None,
) -> None:
    """Deterministics: `expected`, and `N`, people counted and the means of those who were not."""
    data = design.data
    # A product of matrices, as these are computed for all draws at once and never compiled.
    log_odds = pt.dot(design.by_stratum(design.columns), effects)
    expected = design.by_stratum(design.possible) * pt.exp(log_unseen[..., None] + log_odds)
    pm.Deterministic("expected", expected, dims=(*design.stratum_dims, "history"))
    hidden = np.zeros((len(data.strata), 2 ** len(data.lists)))
    hidden[:, 0] = 1.0
    hidden[data.stratum[design.unknown], data.code[design.unknown]] = 1.0
    size = given["counted"] + (design.by_stratum(hidden) * expected).sum(-1)
    if log_mean is not None:
        within = mean_between(given["low"], given["high"], log_mean)
        of_stratum = data.stratum[design.bracketed] == np.arange(len(data.strata))[:, None]
        size = size + (design.by_stratum(of_stratum.astype(float)) * within).sum(-1)
    pm.Deterministic("N", size, dims=design.stratum_dims)
