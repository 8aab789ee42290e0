"""The likelihood of benchmarks with the people who were not counted summed out.

Given the expected share pi of residents in the target, N ~ Binomial(R, pi). The greatest count of
a stratum, C of chance p, then is Binomial(R, pi p), and the others of N are
Binomial(R - C, pi (1 - p) / (1 - pi p)): both exact, so that no wall at N = C is left for the
sampler to hit. Every other number about the stratum is averaged over these others by
Gauss-Hermite quadrature on the scale of their square root, which has their mean exactly and their
variance to an eighth (Anscombe 1948, Biometrika 35:246, for the scale). Without residents
both are Poisson.

Rows are laid out as (stratum, slot), so that no position has to be looked up: a lookup and its
slope take a second to compile. Slots without a row weigh nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from hiddenpop.families import multiplier_areas_rows as rows_of
from hiddenpop.families.multiplier_areas_design import Design, Grid
from hiddenpop.families.multiplier_areas_rates import centre
from hiddenpop.families.multiplier_areas_rows import NOTHING, Ops
from hiddenpop.inputs.multipliers import Benchmark
from hiddenpop.priors import z_score

if TYPE_CHECKING:  # `families.multiplier_areas` calls this module
    from hiddenpop.families.multiplier_areas import Priors

__all__ = ["Looked", "Others", "dims_of", "log_rows", "nodes", "others_of", "values"]

NODES = 11
"""Nodes over those who were not counted. No other count of the stratum tells more of N than
the greatest, given shares, so that what is averaged is at least as wide as their spread."""

FINE_NODES = 25
"""Nodes where there are amounts or figures, which may tell N better than the counts do."""

NARROWEST = 0.01
"""Least relative error of an amount or figure."""

UNKNOWN_SIZE = 0.02
"""The same where the size it speaks of cannot be guessed beforehand."""

Tensor = Any


class Looked(NamedTuple):
    """Logits of shares or logs of rates, and logs of reported / true; both broadcast with N."""

    link: Tensor
    factor: Tensor


class Others(NamedTuple):
    """Those of N beyond the greatest count C, given everything else.

    Attributes
    ----------
    count
        C, 0 where people were not counted, (..., stratum), with points after it for ranges.
    log_density
        Of C, in the same shape, or broadcasting with it.
    mean, rest
        Mean of the others, and 1 less their chance (variance over mean).
    """

    count: Tensor
    log_density: Tensor
    mean: Tensor
    rest: Tensor


def dims_of(name: str, x: np.ndarray) -> tuple[str, ...]:
    """Dimensions of a data variable."""
    if name in ("known_a", "known_b"):
        return ("known",)
    if name == "start":
        return ("number",)
    kind = name.split("_", maxsplit=1)[0]
    slots = () if kind in ("residents", "greatest") else (f"{kind}_slot",)
    known = ("stratum", *slots)
    return known if x.ndim == len(known) else (*known, f"{kind}_point")


def values(design: Design, priors: Priors) -> dict[str, np.ndarray]:
    """Data variables."""
    data = design.data
    found = {"start": design.start}
    if design.known:
        a, b = ([one.a for one in design.known], [one.b for one in design.known])
        found |= {"known_a": np.array(a), "known_b": np.array(b)}
    if design.bounded:
        found["residents"] = np.asarray(data.population, dtype=float)
    if design.has_greatest.any():
        found |= _greatest(design)
    for kind, grid in design.grids.items():
        if kind in ("people", "events"):
            count, weight = rows_of.points(*_ends(grid))
            varies = kind == "people" and grid.factors
            weight = weight if varies else weight - special.gammaln(count + 1)
            found |= {f"{kind}_count": count, f"{kind}_weight": weight}
        elif kind == "survey":
            found |= _surveys(grid)
        else:
            made = grid.fill(lambda row: _errors(row, priors), (0.0, 1.0, 1.0))
            names = (f"{kind}_log", f"{kind}_below", f"{kind}_above")
            found |= {name: made[..., i] for i, name in enumerate(names)}
    return found


def _ends(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    made = grid.fill(lambda row: (row.least, row.most), (0.0, 0.0))
    return made[..., 0], made[..., 1]


def _greatest(design: Design) -> dict[str, np.ndarray]:
    """The greatest counts, with the constants of their density where these are constant."""
    ends = np.zeros((2, len(design.data.strata)))
    for s, row in enumerate(design.greatest):
        if row is not None:
            ends[:, s] = row.least, row.most
    count, weight = rows_of.points(*ends)
    # Where people were not counted there is nothing to sum over.
    if count.ndim > 1:
        weight[~design.has_greatest, 1:] = NOTHING
    if not design.greatest_factors:
        weight = weight - special.gammaln(count + 1)
        if design.bounded:
            residents = design.data.population.reshape(-1, *[1] * (count.ndim - 1))
            weight = weight + special.gammaln(residents + 1)
            weight = weight - special.gammaln(np.maximum(residents - count, 0.0) + 1)
    return {"greatest_count": count, "greatest_weight": weight}


def _surveys(grid: Grid) -> dict[str, np.ndarray]:
    """Counts of respondents, divided by the design effect, with binomial coefficients."""
    made = grid.fill(lambda row: (row.sample or 0.0, row.sample_effect), (0.0, 1.0))
    x, weight = rows_of.points(*_ends(grid))
    sample, effect = made[..., 0] / made[..., 1], made[..., 1]
    more = (slice(None), slice(None), *[None] * (x.ndim - 2))
    x = np.minimum(x / effect[more], sample[more])
    rest = sample[more] - x
    ways = special.gammaln(sample[more] + 1) - special.gammaln(x + 1) - special.gammaln(rest + 1)
    return {"survey_count": x, "survey_weight": weight + ways, "survey_sample": sample}


def _errors(row: Benchmark, priors: Priors) -> tuple[float, float, float]:
    """Log of the value, and sds on the log scale below and above it."""
    if row.interval is None:
        below = above = 0.0
    else:
        low, high, level = row.interval
        z, middle = z_score(level), np.log(row.value)
        mean = np.log(high / low) / 2 / z
        # As in the synthesis: a value at an end of its interval keeps some error.
        below = max((middle - np.log(low)) / z, 0.1 * mean)
        above = max((np.log(high) - middle) / z, 0.1 * mean)
    least = _least_error(row, priors) if row.kind == "amount" else NARROWEST
    return float(np.log(row.value)), max(below, least), max(above, least)


def _least_error(row: Benchmark, priors: Priors) -> float:
    """Half a person's standard deviation in N: quadrature cannot see what is sharper."""
    if row.rate is None:
        return UNKNOWN_SIZE
    people = row.value / np.exp(centre(row, priors.share_a, priors.share_b))
    return max(NARROWEST, 0.5 / float(np.sqrt(max(people, 1.0))))


def others_of(
    ops: Ops, given: Mapping[str, Tensor], has: np.ndarray, size: Tensor, greatest: Looked | None,
    *, ranges: bool, factors: bool,
) -> Others:  # fmt: skip
    """Those beyond the greatest count.

    Parameters
    ----------
    given
        `greatest_count`, `greatest_weight` (where `has`), and `residents` if they are known.
    has
        1 where people were counted, (stratum,).
    size
        Logit of pi, or log of the expected size, (..., stratum).
    greatest
        Logit of the chance and log of the factor of the greatest count, (..., stratum), 0 where
        there is none; None where there is none anywhere.
    ranges, factors
        Whether counts have points, and whether any has a factor.
    """
    residents = given.get("residents")
    if greatest is None:
        if residents is None:
            return Others(0.0 * size, 0.0 * size, ops.exp(size), 1.0 + 0.0 * size)
        rest = ops.exp(-ops.softplus(size))
        return Others(0.0 * size, 0.0 * size, residents * (1 - rest), rest)
    log_p = -has * ops.softplus(-greatest.link)
    none = has * ops.exp(-ops.softplus(greatest.link)) + (1 - has)
    count, weight = given["greatest_count"], given["greatest_weight"]
    if ranges:
        log_p, none, size = log_p[..., None], none[..., None], size[..., None]
        residents = None if residents is None else residents[..., None]
    if factors:
        factor = greatest.factor[..., None] if ranges else greatest.factor
        count = count * ops.exp(-factor)
        weight = weight - factor
    if residents is None:
        return _poisson(ops, size, log_p, none, count, weight, factors)
    return _binomial(ops, residents, size, log_p, none, count, weight, factors)


def _poisson(
    ops: Ops, size: Tensor, log_p: Tensor, none: Tensor, count: Tensor, weight: Tensor,
    factors: bool,
) -> Others:  # fmt: skip
    """Residents unknown: N ~ Poisson(exp(size)), and those counted and the others too."""
    density = count * (size + log_p) - ops.exp(size + log_p) + weight
    if factors:
        density = density - ops.gammaln(count + 1)
    return Others(count, density, none * ops.exp(size) + 0 * count, 1.0 + 0 * count)


def _binomial(
    ops: Ops, residents: Tensor, size: Tensor, log_p: Tensor, none: Tensor, count: Tensor,
    weight: Tensor, factors: bool,
) -> Others:  # fmt: skip
    """N ~ Binomial(residents, pi), those counted Binomial(residents, pi p)."""
    if factors:
        over = ops.maximum(count - residents, 0.0)
        count = ops.minimum(count, residents)
        weight = (
            weight - rows_of.BARRIER * over + ops.gammaln(residents + 1)
            - ops.gammaln(count + 1) - ops.gammaln(residents - count + 1)
        )  # fmt: skip
    log_pi, log_not = -ops.softplus(-size), -ops.softplus(size)
    # 1 - pi p = (1 - pi) + pi (1 - p), which keeps its digits at either end.
    uncounted = ops.exp(log_not) + ops.exp(log_pi) * none
    density = count * (log_pi + log_p) + (residents - count) * ops.log(uncounted) + weight
    rest = ops.exp(log_not) / uncounted
    return Others(count, density, (residents - count) * (1 - rest), rest)


def nodes(ops: Ops, others: Others, fine: bool) -> tuple[Tensor, np.ndarray]:
    """N at the nodes, a dimension after those of the count, and log weights, (node,)."""
    z, weight = np.polynomial.hermite_e.hermegauss(FINE_NODES if fine else NODES)
    rest = others.rest[..., None]
    root = ops.sqrt(others.mean[..., None] + 1e-12) + z / 2 * ops.sqrt(rest + 1e-12)
    return others.count[..., None] + root**2 - rest / 4, np.log(weight / weight.sum())


def log_rows(
    ops: Ops, grid: Grid, given: Mapping[str, Tensor], at: Looked, N: Tensor,
    experts: tuple[Tensor, Tensor],
) -> Tensor:  # fmt: skip
    """Log densities of rows of a kind given N.

    Parameters
    ----------
    given
        Data variables of the kind and `residents`, that broadcast with N (points come last).
        `shares` and `linked` are 1 for rows whose link is a logit, and that have a link.
    experts
        tau and c of figures.
    """
    kind = grid.kind
    if kind in ("people", "events"):
        count, weight = given[f"{kind}_count"], given[f"{kind}_weight"]
        if kind == "events":
            rate = at.link + at.factor if grid.factors else at.link
            return rows_of.events(ops, N, count, weight, rate, grid.ranges)
        chances = (-ops.softplus(-at.link), -ops.softplus(at.link))
        if grid.factors:
            factor = at.factor[..., None] if grid.ranges else at.factor
            count = count * ops.exp(-factor)
            weight = weight - factor - ops.gammaln(count + 1)
        return rows_of.people(ops, N, count, weight, chances, grid.ranges)
    if kind == "survey":
        share = ops.log(ops.maximum(N, rows_of.LEAST_PEOPLE)) - ops.log(given["residents"])
        if grid.links:
            share = share - given["linked"] * ops.softplus(-at.link)
        return rows_of.survey(
            ops, share, given["survey_count"], given["survey_weight"], given["survey_sample"],
            grid.ranges,
        )  # fmt: skip
    below, above = given[f"{kind}_below"], given[f"{kind}_above"]
    rate = at.factor if grid.factors else 0.0
    if grid.links:
        shares = given["shares"]
        # Of a share, ln p from its logit.
        rate = rate + given["linked"] * (
            (1 - shares) * at.link - shares * ops.softplus(-at.link)
        )  # fmt: skip
    if kind == "figure":
        tau, c = experts
        below, above = (ops.sqrt(tau**2 + (c * sd) ** 2) for sd in (below, above))
    return rows_of.amount(ops, N, given[f"{kind}_log"], (below, above), rate)
