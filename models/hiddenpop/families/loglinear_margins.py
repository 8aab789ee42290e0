r"""The log-linear model where only the totals of lists and the distinct people were published.

On paper, with the cells of `families.loglinear` (one stratum, links between two lists only)
and D distinct people, T_j on list j:

    D ~ Poisson(M),  M = sum over h != 0 of mu_h,  log M flat, so that p(N) is proportional to 1/N
    T | D: the sums of a multinomial n with D people and probabilities q_h = mu_h / M
    log odds ratio of lists j, k: m + s (sqrt(r) z + sqrt(1 - r) z_jk),  z ~ Normal(0, 1)

with m, s from the interval `odds_ratio` and r = `odds_ratio_shared`. The multinomial is summed
over every table with these margins where they are few; otherwise T given D is multivariate
normal with its mean D H q and covariance D (H diag(q) H' - H q q' H'), H the 0/1 matrix of
lists by histories, which conditions on D exactly.

L + 1 numbers tell L main effects and the size; nothing is left for the L (L - 1) / 2 odds ratios.
Their posterior is their prior, but for a little that the prior of main effects says: were it
uniform chances (list_beta 1), large sizes would be unlikely beforehand, and odds ratios that
imply them with these totals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from scipy.special import gammaln

from hiddenpop.families.loglinear_finish import MOST_MEAN, interval, with_people
from hiddenpop.families.loglinear_terms import (
    Terms,
    fitted_labels,
    histories,
    interactions,
    list_effects,
    size_log_prior,
)
from hiddenpop.families.maths.independence import independent_unseen, size_at_odds_ratio
from hiddenpop.families.maths.lattice import tables_with_margins
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.overlap import Margins
from hiddenpop.priors import lognormal_from_interval, z_score

if TYPE_CHECKING:  # `families.loglinear` calls this module
    from hiddenpop.families.loglinear import Priors

__all__ = [
    "MOST_TABLES",
    "build_model",
    "finish",
    "pair_links",
    "refusal",
    "totals_log_likelihood",
    "values",
]

MOST_TABLES = 5000
"""Up to this many tables with the published margins the likelihood is their sum, exactly."""

Tensor = Any  # pytensor has no type stubs


def refusal(data: Margins, priors: Priors) -> Refusal | None:
    """Why these margins cannot be used; None where they can."""
    if priors.most_lists > 2:
        return Refusal("loglinear-margins-order", {"order": priors.most_lists})
    shared = sum(data.totals) - data.distinct
    if shared <= 0:
        return Refusal(
            "loglinear-margins-overlap", {"sum": sum(data.totals), "distinct": data.distinct}
        )
    possible = max(data.totals) <= data.distinct
    if not possible or np.isinf(size_at_odds_ratio(data.totals, data.distinct, 1.0)):
        return Refusal("loglinear-margins-impossible", {"distinct": data.distinct})
    return None


def build_model(data: Margins, priors: Priors) -> pm.Model:
    """Build the model; nothing is sampled.

    Returns
    -------
    pm.Model
        Random variables: `log_seen`, log M less a start value; `list_effect` (list); `z`
        (standard), of odds ratios, where they are not fixed. Deterministics: `interaction`
        (link), log odds ratios; `expected` (history), mu, the all-zero history first; `N`,
        with the mean in place of the unseen.
    """
    lists = len(data.lists)
    on, terms = histories(lists), interactions(data.lists, priors.most_lists)
    given_values = values(data, priors)
    with pm.Model(coords=_coords(data, terms)) as model:
        given = {name: pm.Data(name, x, dims=DIMS[name]) for name, x in given_values.items()}
        distinct = given["distinct"]
        log_seen = pm.Flat("log_seen") + pt.log(distinct)
        effects = list_effects(priors.list_beta)
        if terms.names:
            effects = pt.concatenate([effects, pair_links(terms, priors)])
        log_odds = (np.hstack([on, terms.columns])[1:] * effects).sum(-1)
        relative = pt.exp(log_odds)
        log_unseen = log_seen - pt.log(relative.sum())
        pm.Potential("distinct_log_likelihood", distinct * log_seen - pt.exp(log_seen))
        log_ratio = log_unseen - log_seen
        pm.Potential(
            "totals_log_likelihood", totals_log_likelihood(given, log_odds, log_ratio, lists)
        )
        if priors.size_prior.kind != "reciprocal":
            everybody = pt.exp(log_unseen) + pt.exp(log_seen)
            pm.Potential("size", size_log_prior(priors.size_prior, everybody))
        cells = pt.concatenate([pt.ones(1), relative])
        pm.Deterministic("expected", pt.exp(log_unseen) * cells, dims="history")
        pm.Deterministic("N", distinct + pt.exp(log_unseen))
    return model


DIMS: dict[str, tuple[str, ...]] = {
    "totals": ("list",),
    "distinct": (),
    "tables": ("table", "seen_history"),
    "ways": ("table",),
}
"""Dimensions of the data variables."""


def values(data: Margins, priors: Priors, most: int | None = None) -> dict[str, np.ndarray]:
    """Data variables: totals and distinct people, or every table that has them.

    `ways` is the log multinomial coefficient of each table; up to `most` tables are listed,
    `MOST_TABLES` unless given.
    """
    del priors
    found = {"distinct": np.array(float(data.distinct))}
    tables = tables_with_margins(data.totals, data.distinct, MOST_TABLES if most is None else most)
    if tables is None:
        return found | {"totals": np.array(data.totals, dtype=float)}
    ways = gammaln(data.distinct + 1) - gammaln(tables + 1).sum(1)
    return found | {"tables": tables.astype(float), "ways": ways}


def _coords(data: Margins, terms: Terms) -> dict[str, list[str] | np.ndarray]:
    seen = fitted_labels(len(data.lists))
    tables = tables_with_margins(data.totals, data.distinct, MOST_TABLES)
    return {
        "list": list(data.lists),
        "history": ["0" * len(data.lists), *seen],
        "seen_history": seen,
        "link": list(terms.names),
        "standard": ["all pairs", *terms.names],
        "table": np.arange(0 if tables is None else len(tables)),
    }


def pair_links(terms: Terms, priors: Priors, prefix: str = "") -> Tensor:
    """Log odds ratios of pairs, (interaction,), with a part that all pairs share.

    Names and dimensions of its random variables begin with `prefix`.
    """
    low, high, level = priors.odds_ratio
    middle, sd = lognormal_from_interval(low, high, level)
    if sd == 0:
        return np.full(len(terms.names), middle)
    z = pm.Normal(f"{prefix}z", 0, 1, dims=f"{prefix}standard")
    shared = priors.odds_ratio_shared
    link = middle + sd * (np.sqrt(shared) * z[0] + np.sqrt(1 - shared) * z[1:])
    return pm.Deterministic(f"{prefix}interaction", link, dims=f"{prefix}link")


def totals_log_likelihood(
    given: Mapping[str, Tensor], log_odds: Tensor, log_ratio: Tensor, lists: int
) -> Tensor:
    """Log probability of the totals given the distinct people.

    The sum over all tables, or the multivariate normal density less its constant.

    Parameters
    ----------
    given
        Data variables of `values`.
    log_odds
        Of each history against the all-zero one, (history,), the all-zero one left out.
    log_ratio
        Log of the unseen over the seen.
    """
    if "tables" not in given:
        return _normal_totals(given, pt.exp(log_odds) * pt.exp(log_ratio), lists)
    each = (given["tables"] * log_odds).sum(-1) + given["ways"]
    largest = each.max()
    several = largest + pt.log(pt.exp(each - largest).sum())
    return several + given["distinct"] * log_ratio


def _normal_totals(given: Mapping[str, Tensor], share: Tensor, lists: int) -> Tensor:
    """Log density of the totals given the distinct people, multivariate normal.

    One list after the other: the residual of each given those before it, by elimination
    (Cholesky without its square roots), number by number: matrix operations cost seconds to
    compile, sums of numbers none.
    """
    on = histories(lists)[1:].T
    pairs = [(j, k) for j in range(lists) for k in range(j, lists)]
    sums = (np.array([on[j] * on[k] for j, k in pairs]) * share).sum(-1)
    both = dict(zip(pairs, (sums[i] for i in range(len(pairs))), strict=True))
    mean = [both[j, j] for j in range(lists)]
    spread = {(j, k): given["distinct"] * (both[j, k] - mean[j] * mean[k]) for j, k in pairs}
    left = [given["totals"][j] - given["distinct"] * mean[j] for j in range(lists)]
    found: Tensor = 0.0
    for i in range(lists):
        found = found - 0.5 * (pt.log(spread[i, i]) + left[i] ** 2 / spread[i, i])
        for j in range(i + 1, lists):
            slope = spread[i, j] / spread[i, i]
            left[j] = left[j] - slope * left[i]
            for k in range(j, lists):
                spread[j, k] = spread[j, k] - slope * spread[i, k]
    return found


def finish(
    tree: xr.DataTree, data: Margins, priors: Priors, rng: np.random.Generator
) -> xr.DataTree:
    """As `families.loglinear.finish`, for margins."""
    expected = tree["posterior"]["expected"].to_numpy()
    unseen = rng.poisson(np.minimum(expected[..., 0], MOST_MEAN)).astype(float)
    made = with_people(tree, unseen, np.array([data.observed]))
    made["fitted"] = xr.DataTree(_fitted(expected, data, rng))
    made.attrs = {
        "observed": data.observed,
        "assumption": _assumption(data, priors),
        "notes": json.dumps(_notes(made, data, priors)),
    }
    return made


def _fitted(expected: np.ndarray, data: Margins, rng: np.random.Generator) -> xr.Dataset:
    """Published numbers and what the model gives; the sums stand in the place of histories."""
    cells = expected.reshape(-1, expected.shape[-1])[:, 1:]
    sums = data.sums
    drawn = rng.poisson(np.minimum(cells, MOST_MEAN)) @ sums.T
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return xr.Dataset(
        {
            "observed": ("history", data.known),
            "expected": ("history", cells.mean(0) @ sums.T),
            "low": ("history", low),
            "high": ("history", high),
        },
        coords={"history": [*data.lists, "distinct people"]},
    )


def _fixed(priors: Priors) -> float | None:
    """The odds ratio of all pairs where it is not estimated."""
    if priors.most_lists == 1:
        return 1.0
    low, high, _ = priors.odds_ratio
    return low if low == high else None


def _assumption(data: Margins, priors: Priors) -> str:
    fixed = _fixed(priors)
    if fixed is not None:
        odds = f"have an odds ratio of {fixed:g}" if fixed != 1 else "are independent"
        return (
            f"Any two of the lists {', '.join(data.lists)} {odds}, people are alike otherwise, "
            "and no published number says whether this is so."
        )
    low, high, level = priors.odds_ratio
    return (
        f"The odds ratio between any two lists lies between {low:g} and {high:g} (with "
        f"{level:.0%} probability): this prior settles how lists depend on each other, the "
        "published totals do not."
    )


def _notes(tree: xr.DataTree, data: Margins, priors: Priors) -> list[str]:
    """Sentences that a reader must see; every number is computed here."""
    alone = independent_unseen(data.totals, data.distinct, priors.list_beta)
    low, median, high = alone.quantile(np.array([0.025, 0.5, 0.975])) + data.distinct
    entries = sum(data.totals)
    repeats = f"{entries - data.distinct:,} of {entries:,} entries are repeats of a person"
    made = [
        f"All that is known of the overlap: {repeats}.",
        f"If the lists were independent there would be {median:,.0f} ({low:,.0f} to {high:,.0f}).",
    ]
    if _fixed(priors) is not None:
        return made
    ends = [f"{size_at_odds_ratio(data.totals, data.distinct, ratio):,.0f} at {ratio:g}"
            for ratio in sorted({priors.odds_ratio[0], 1.0, priors.odds_ratio[1]})]  # fmt: skip
    made.append(
        f"If all pairs of lists had the same odds ratio, N would be {', '.join(ends)}: the data "
        "fit each of them equally well."
    )
    middle, sd = lognormal_from_interval(*priors.odds_ratio)
    pairs = tree["posterior"].sizes["link"]
    shared = priors.odds_ratio_shared
    reach = z_score(0.95) * sd * np.sqrt(shared + (1 - shared) / pairs)
    before = np.exp([middle, middle - reach, middle + reach])
    drawn = tree["posterior"]["interaction"].mean("link").to_numpy()
    size = np.log(tree["posterior"]["N"].to_numpy())
    part = np.corrcoef(drawn.ravel(), size.ravel())[0, 1] ** 2
    after = interval(np.exp(drawn))
    made.append(
        f"The average odds ratio of pairs was {before[0]:.2g} ({before[1]:.2g} to "
        f"{before[2]:.2g}) before the data and is {after[0]:.2g} ({after[1]:.2g} to "
        f"{after[2]:.2g}) after; it alone accounts for {part:.0%} of the variance of log N."
    )
    return made
