r"""A table of overlapping lists, or published margins, as a part of a larger model.

The larger model knows the size N; the table says which sizes are likely. On paper, for n people
in the cells whose count is known, and p_h the cell probabilities of `families.loglinear` (main
effects a_j, interactions b_T, the same priors):

    L(N, a, b) = N! / ((N - n)! prod_h n_h!)  prod_h p_h^{n_h}  p_0^{N - n}

with gamma functions, as N is not a whole number, and p_0 the probability of all cells without a
count: being on no list, and combinations whose count is unknown. Of margins the first factor is
that of the D distinct people, and the totals given D are those of `loglinear_margins`.

Two lists have three counts for four unknowns: their odds ratio keeps its prior (`odds_ratio`), as
those of margins do. Summed over a and b, L is what the same table says in `families.loglinear`,
where N has a prior of its own.

The sampler moves a_j less its value for independent lists with the totals T_j at this N,
log(T_j / (N - T_j)): a_j moves with N, the difference hardly does. Its Jacobian is 1.
References: Fienberg 1972 (Biometrika 59:591); Sanathanan 1972 (Ann Math Stat 43:142) for the
binomial and conditional parts of L.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import betaln, gammaln

from hiddenpop.families import loglinear_margins, loglinear_table
from hiddenpop.families.loglinear import Priors
from hiddenpop.families.loglinear_terms import (
    fitted_labels,
    histories,
    interactions,
    list_log_prior,
)
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.overlap import Margins, OverlapTable

__all__ = ["MOST_TABLES", "component", "coords", "refusal", "values"]

MOST_TABLES = 500
"""Up to this many tables with the published margins the likelihood is their sum. Fewer than in
`loglinear_margins`, as the likelihood is kept for every draw."""

WALL = 0.5
"""Sd, in roots of the people seen, of the half-normal by which N may fall short of them. A hard
edge would stop a sampler that follows gradients."""

Tensor = Any  # pytensor has no type stubs


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why the table cannot be part of another model; None where it can."""
    if isinstance(data, Margins):
        return loglinear_margins.refusal(data, priors)
    if data.factors:
        return Refusal("component-strata", {"names": ", ".join(data.factors)})
    unknown = (data.low == 0) & np.isinf(data.high)
    bracketed = (data.low < data.high) & ~unknown & ~data.structural
    if bracketed.any():
        return Refusal("component-brackets", {"cells": int(bracketed.sum())})
    lists = len(data.lists)
    if lists > 2 and priors.most_lists >= lists:
        return Refusal("loglinear-order", {"order": priors.most_lists, "lists": lists})
    return loglinear_table.refusal(data, priors)


def component(
    data: OverlapTable | Margins, priors: Priors, log_size: Tensor, weight: Tensor, name: str
) -> Tensor:
    """Log likelihood of a table given the log of N, a scalar, in the PyMC model at hand.

    Parameters
    ----------
    data
        One table without strata, or margins, that `refusal` does not refuse.
    priors
        Of how lists see people and depend on each other. `size_prior`, `between` and
        `stratum_spread` have no part here.
    log_size
        Log of N, people, a scalar.
    weight
        1, or 0 where the caller does not add the likelihood to its density. Then the effects of
        lists, of which nothing else speaks, are standard normal around what fits: their own
        prior is so wide that it would only keep the sampler busy.
    name
        Names and dimensions of all variables that are made begin with it and a full stop.
    """
    prefix = f"{name}."
    given = {
        key: pm.Data(prefix + key, x, dims=tuple(f"{prefix}{dim}" for dim in DIMS[key]))
        for key, x in _own_values(data, priors).items()
    }
    seen = given["distinct"]
    beyond = pt.exp(log_size) - seen
    short = pt.minimum(beyond, 0.0) / (WALL * pt.sqrt(seen))
    unseen = pt.maximum(beyond, 0.0)
    cells = _cells(data, priors, prefix)
    of_lists = _list_effects(given, seen + unseen, len(data.lists), priors, weight, prefix)
    log_odds = _log_odds(cells, of_lists)
    ways = pt.gammaln(seen + unseen + 1) - pt.gammaln(unseen + 1) + given["log_ways"]
    # Of cells: possible; of people without a count. Both sums at once compile in half the time.
    sums = pt.log((np.stack([cells.possible, cells.hidden]) * pt.exp(log_odds)).sum(-1))
    found = ways + unseen * sums[1] - (seen + unseen) * sums[0] - 0.5 * short**2
    if isinstance(data, Margins):
        log_seen = pt.log(pt.exp(log_odds[1:]).sum())
        totals = loglinear_margins.totals_log_likelihood(
            given, log_odds[1:], -log_seen, len(data.lists)
        )
        return found + seen * log_seen + totals
    return found + (given["counts"] * log_odds).sum()


class _Cells(NamedTuple):
    """The cells of a table, the all-zero history first.

    Attributes
    ----------
    on
        1 where a history holds a list, (history, list).
    possible, hidden
        1 for cells that people can be in; 1 for those without a count; (history,).
    links
        What interactions add to the log odds of each history, (history,); None without any.
    """

    on: np.ndarray
    possible: np.ndarray
    hidden: np.ndarray
    links: Tensor


def _cells(data: OverlapTable | Margins, priors: Priors, prefix: str) -> _Cells:
    """Make the random variables of interactions."""
    lists = len(data.lists)
    on, terms = histories(lists), interactions(data.lists, priors.most_lists)
    possible, hidden = np.ones(len(on)), np.eye(1, len(on))[0]
    if isinstance(data, OverlapTable):
        design = loglinear_table.design_of(data, priors)
        possible = design.by_stratum(design.possible)
        hidden[data.code[design.unknown]] = 1.0
    links = None
    if terms.names:
        if isinstance(data, Margins) or lists == 2:
            effects = loglinear_margins.pair_links(terms, priors, prefix)
        else:
            effects = loglinear_table.deviates(design, priors, prefix)
        links = (terms.columns * effects).sum(-1)
    return _Cells(on, possible, hidden, links)


def _log_odds(cells: _Cells, of_lists: Tensor) -> Tensor:
    """Log odds of each history against the all-zero one, (history,)."""
    log_odds = (cells.on * of_lists).sum(-1)
    return log_odds if cells.links is None else log_odds + cells.links


def _list_effects(
    given: Mapping[str, Tensor],
    size: Tensor,
    lists: int,
    priors: Priors,
    weight: Tensor,
    prefix: str,
) -> Tensor:
    """Log odds of each list, (list,), around those that fit the totals at this size."""
    apart = pm.Normal(f"{prefix}list_deviation", 0, 1, dims=f"{prefix}list")
    totals, beta = given["list_totals"], priors.list_beta
    effect = pt.log(totals + 0.5) - pt.log(size - totals + 0.5) + apart
    usual = list_log_prior(effect, beta) - lists * betaln(beta, beta)
    instead = -0.5 * (apart**2).sum() - lists * 0.5 * np.log(2 * np.pi)
    pm.Potential(f"{prefix}list_prior", weight * (usual - instead))
    return effect


DIMS: dict[str, tuple[str, ...]] = {
    "distinct": (),
    "log_ways": (),
    "list_totals": ("list",),
    "counts": ("history",),
    "totals": ("list",),
    "tables": ("table", "seen_history"),
    "ways": ("table",),
}
"""Dimensions of the data variables, before the prefix."""


def _own_values(data: OverlapTable | Margins, priors: Priors) -> dict[str, np.ndarray]:
    """Data variables without the prefix.

    `distinct`: people in the cells whose count is known; `log_ways`: the constant of the
    likelihood; `list_totals`; `counts` of all histories, 0 where they are not known, or what
    `loglinear_margins` has.
    """
    if isinstance(data, Margins):
        found = loglinear_margins.values(data, priors, MOST_TABLES)
        constant = -gammaln(data.distinct + 1.0)
        if "totals" in found:
            constant -= 0.5 * len(data.lists) * np.log(2 * np.pi)
        totals = np.array(data.totals, dtype=float)
    else:
        known = (data.low == data.high) & ~data.structural
        counts = np.zeros(2 ** len(data.lists))
        counts[data.code[known]] = data.low[known]
        found = {"distinct": np.array(counts.sum()), "counts": counts}
        constant = -gammaln(counts + 1.0).sum()
        totals = data.list_totals
    return found | {"log_ways": np.array(float(constant)), "list_totals": totals}


def values(data: OverlapTable | Margins, priors: Priors, name: str) -> dict[str, np.ndarray]:
    """Data variables that a compiled model of the same shape takes in place of its own."""
    return {f"{name}.{key}": x for key, x in _own_values(data, priors).items()}


def coords(
    data: OverlapTable | Margins, priors: Priors, name: str
) -> dict[str, list[str] | np.ndarray]:
    """Coordinates of the dimensions that the variables of a component have."""
    terms = interactions(data.lists, priors.most_lists)
    own: dict[str, list[str] | np.ndarray] = {
        "list": list(data.lists),
        "link": list(terms.names),
        "standard": ["all pairs", *terms.names],
    }
    if isinstance(data, Margins):
        found = _own_values(data, priors)
        own["seen_history"] = fitted_labels(len(data.lists))
        own["table"] = np.arange(len(found["ways"]) if "ways" in found else 0)
    else:
        design = loglinear_table.design_of(data, priors)
        own["normal"] = design.normals
        own["history"] = ["0" * len(data.lists), *fitted_labels(len(data.lists))]
        own["effect"] = list(design.scales(priors))
    return {f"{name}.{dim}": labels for dim, labels in own.items()}
