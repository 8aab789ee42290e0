r"""Evidence synthesis: many numbers about nested areas and groups, one joint posterior.

On paper, for areas a with P_a residents, disjoint groups g of users and N_ag users:

    top areas        N_ag = P_a pi_a c_ag,   logit pi_a = mu + sigma z_a,
                     c_a = softmax(m + s w_a), m and w_a adding up to 0 over groups
    inside a parent  siblings share its users with log odds of use (against non-use) that
                     differ by sigma z_a + s w_ag; a remainder is the reference (z = w = 0)
    evidence i       log E_i = log(sum of N over its area and groups / its denominator)
                     + sum_r x_ir log(rate_r) + bias_source(i) + drift_i
    drift            delta |t_i - t_0| e, one e for each area and period, delta known; none
                     for a share of a group
    likelihoods      estimate, range: two-piece log-normal; guess: the same with Student-t
                     errors (4 df); count: negative binomial with sd/mean = phi beyond
                     Poisson; benchmark: value / bias is binomial out of the row's users, the
                     product of its rates the chance; proportion: binomial of x/D out of n/D
                     (D the design effect); lower and upper bounds: normal distribution
                     functions of log E_i
    selection        a survey that over-recruits by the odds ratio psi informs p_s, and the
                     rate is p with odds(p) = odds(p_s) / psi

The users of a parent do not depend on how it is divided: splitting an area changes nothing
outside it. References: Ades & Sutton 2006 (JRSS A 169:5); De Angelis, Presanis et al. 2014
(Stat Methods Med Res 23:1); Presanis et al. 2013 (Stat Sci 28:376).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hiddenpop.families.synthesis_components import (
    component_coords,
    component_log_likelihoods,
    component_values,
)
from hiddenpop.families.synthesis_evidence import (
    DIMS,
    Parts,
    log_likelihoods,
    observed,
    row_coords,
)
from hiddenpop.inputs.areas import MAX_SD
from hiddenpop.inputs.evidence import RESIDENTS
from hiddenpop.inputs.rates import Rates
from hiddenpop.inputs.study import PriorKind
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import LogNormalPrior, logit_normal_from_interval

__all__ = ["OVERDISPERSION_SPREAD", "PRIOR_KINDS", "Priors", "build_model", "values"]

ROUNDS = 2
"""Rounds of the fixed point in `_divide`; each shrinks its error by about the prevalence."""

EFFECTS = ("between_areas", "between_compositions")
AREAS, COMPOSITIONS = range(len(EFFECTS))

OVERDISPERSION_SPREAD = 0.75
"""Sd of the log of phi: its 95 % interval reaches from a quarter to four times its median."""

Tensor = Any  # pytensor has no type stubs

PRIOR_KINDS: dict[str, PriorKind] = {
    "prevalence": "interval",
    "composition": "positive",
    "between_areas": "positive",
    "between_compositions": "positive",
    "drift": "nonnegative",
    "overdispersion": "nonnegative",
    "bound_softness": "positive",
}


@dataclass(frozen=True)
class Priors:
    """Priors of the synthesis on its own parameters (rates and biases bring theirs).

    Attributes
    ----------
    prevalence
        Central interval (low, high, level) of the share of residents in any group, in a
        top area (of their common level if there are several); a normal distribution on
        the logit scale. Default: 0.1 % to 5 %, wide enough for any national population of
        problem drug users.
    composition
        Sd of the composition at the top along each orthonormal contrast, so that the log
        ratio of two groups has an sd of sqrt(2) times this. 1.5 lets one group be 60
        times another.
    between_areas
        Half-normal scale of sigma, the sd of log odds between siblings. 0.5: a town may
        have half or twice its neighbours' rate, rarely five times.
    between_compositions
        Half-normal scale of s, the sd of siblings' compositions along each contrast.
    drift
        Sd of the change per year on the log scale, delta; known, as a handful of rows from
        other years cannot estimate it. 0.05: after four years a fifth more or fewer is
        nothing unusual.
    overdispersion
        Median of phi, sd / mean of counts beyond Poisson; log-normal with an sd of 0.75 of
        its log, as a scale next to 0 would turn counts into exact equations that no sampler
        can follow. 0 makes counts Poisson.
    bound_softness
        Sd on the log scale of a bound that is given without an interval.
    """

    prevalence: tuple[float, float, float] = (0.001, 0.05, 0.95)
    composition: float = 1.5
    between_areas: float = 0.5
    between_compositions: float = 0.5
    drift: float = 0.05
    overdispersion: float = 0.12
    bound_softness: float = 0.05


class _Standard:
    """Positions in the one vector of standard normals that all effects are made of.

    Position 0 holds a constant 0, for areas and rows that have no effect of a kind. One
    wide vector compiles in a fraction of the time that a variable for each effect takes.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def block(self, kind: str, names: Sequence[str]) -> np.ndarray:
        """Positions of new normals, one for each name."""
        first = len(self.names) + 1
        self.names += [f"{kind}: {name}" for name in names]
        return np.arange(first, first + len(names))


@dataclass(frozen=True)
class _Design:
    """Where everything points: positions of normals, areas, groups, rows.

    Attributes
    ----------
    z_level, z_overdispersion, z_area, z_mean, z_ratio, z_factor, z_residents, z_bias, z_drift
        Positions in the vector of standard normals: level of the top,
        over-dispersion of counts, areas (area,),
        mean composition (contrast,), areas' compositions (area, contrast), factors,
        residents (area,), bias of each row's source and drift of each row (evidence,).
    z_selection
        The same for the survey behind each share, (share,).
    area, numerator, denominator
        Positions of each row's target: area; group; group, residents or "".
    """

    names: tuple[str, ...]
    z_level: int
    z_overdispersion: int
    z_area: np.ndarray
    z_mean: np.ndarray
    z_ratio: np.ndarray
    z_factor: np.ndarray
    z_residents: np.ndarray
    z_bias: np.ndarray
    z_drift: np.ndarray
    z_selection: np.ndarray
    area: np.ndarray
    numerator: np.ndarray
    denominator: np.ndarray


def _design(data: SynthesisData) -> _Design:
    """Look up every position that the model needs."""
    areas, frame, standard = data.areas, data.targets, _Standard()
    level = standard.block("level", ["top"])[0]
    overdispersion = standard.block("overdispersion", ["counts"])[0]
    alone = sum(parent < 0 for parent in areas.parent) == 1
    pooled = np.array(
        [not rest and not (alone and parent < 0)
         for rest, parent in zip(areas.derived, areas.parent, strict=True)]
    )  # fmt: skip
    contrasts = [str(number) for number in range(1, len(data.cells))]
    z_area, z_residents = np.zeros(len(pooled), int), np.zeros(len(pooled), int)
    z_ratio = np.zeros((len(pooled), len(contrasts)), int)
    own = [name for name, pool in zip(areas.names, pooled, strict=True) if pool]
    z_area[pooled] = standard.block("area", own)
    z_mean = standard.block("composition", contrasts)
    z_ratio[pooled] = standard.block(
        "composition", [f"{name} {contrast}" for name in own for contrast in contrasts]
    ).reshape(len(own), len(contrasts))
    uncertain = areas.log_sd > 0
    z_residents[uncertain] = standard.block("residents", np.array(areas.names)[uncertain].tolist())
    z_factor = standard.block("factor", data.rates.factors)
    z_bias = _shared(
        standard, "bias",
        [name if data.biases.sigma[data.biases.names.index(name)] > 0 else ""
         for name in frame["source"]],
    )  # fmt: skip
    # A share of a group does not drift with the size of the population.
    sized = frame["of"].isin(["", RESIDENTS]) & (_years(data) > 0)
    z_drift = _shared(
        standard, "drift", np.where(sized, frame["area"] + " " + frame["period"], "").tolist()
    )
    z_selection = _shared(
        standard, "selection",
        [name if name in data.rates.selection else "" for name in data.rates.shares],
    )  # fmt: skip
    groups = list(data.groups)
    denominators = [*groups, RESIDENTS, ""]
    return _Design(
        tuple(standard.names), int(level), int(overdispersion),
        z_area, z_mean, z_ratio, z_factor, z_residents,
        z_bias, z_drift, z_selection,
        np.array([areas.index(name) for name in frame["area"]]),
        np.array([groups.index(name) for name in frame["group"]]),
        np.array([denominators.index(name) for name in frame["of"]]),
    )  # fmt: skip


def _shared(standard: _Standard, kind: str, keys: Sequence[str]) -> np.ndarray:
    """Positions of one normal for each distinct non-empty key; 0 where the key is empty."""
    distinct = list(dict.fromkeys(key for key in keys if key))
    place = dict(zip(distinct, standard.block(kind, distinct), strict=True))
    return np.array([place.get(key, 0) for key in keys], dtype=int)


def _years(data: SynthesisData) -> np.ndarray:
    """Years between each row's period and the reference period, (evidence,)."""
    return np.abs(data.targets["middle"].to_numpy(float) - data.target.middle)


def build_model(data: SynthesisData, priors: Priors = Priors()) -> pm.Model:
    """Build the joint model; nothing is sampled.

    Parameters
    ----------
    data
        Checked tables. `values(data)` become data variables, so that one compiled model
        serves every choice of rows and all observed numbers of the same shape.
    priors
        Priors of the model's own parameters.

    Returns
    -------
    pm.Model
        Random variables: `z` (all standard normals), `scale` (half-normal sds), `share`
        (Beta rates; with a selection among them `share_found`, as the surveys find them, and
        `share` is deterministic). Deterministics: `N` (area, group) users in each disjoint group;
        `users` and `prevalence` (area, union), prevalence as a share of residents;
        `factor` (multiplier); `bias` (source); `without_bias` (evidence), what an unbiased
        source would report (of components, the N of its table); `pointwise` (evidence) log
        likelihoods. The variables of a component begin with its id and a full stop.
    """
    areas, design = data.areas, _design(data)
    with pm.Model(coords=_coords(data, design)) as model:
        z = pt.concatenate([pt.zeros(1), pm.Normal("z", 0, 1, dims="standard")])
        scale = pm.HalfNormal(
            "scale", [priors.between_areas, priors.between_compositions], dims="effect"
        )
        residents = _residents(data, design, z)
        log_odds, top_users = _use(data, priors, design, z, scale, residents)
        users = _divide(areas.siblings, areas.lineage, areas.top, residents, log_odds, top_users)
        pm.Deterministic("N", users, dims=("area", "group"))
        united = (users[:, None, :] * data.membership[None].astype(float)).sum(-1)
        pm.Deterministic("users", united, dims=("area", "union"))
        pm.Deterministic("prevalence", united / residents[:, None], dims=("area", "union"))
        # Columns: unions, then residents, then 1 - every numerator and denominator a row can have.
        one = pt.ones_like(residents)
        sizes = pt.log(pt.concatenate([united, residents[:, None], one[:, None]], axis=1))
        target = sizes[design.area, design.numerator] - sizes[design.area, design.denominator]
        drift = priors.drift * _years(data) * z[design.z_drift]
        log_rates = _rates(data, design, z)
        without_bias = target + log_rates + drift
        pm.Deterministic("without_bias", pt.exp(without_bias), dims="evidence")
        given = {
            name: pm.Data(name, x, dims=DIMS[name])
            for name, x in observed(data.evidence.rows).items()
        }
        phi = None
        if priors.overdispersion > 0:
            spread = pt.exp(OVERDISPERSION_SPREAD * z[design.z_overdispersion])
            phi = pm.Deterministic("overdispersion", priors.overdispersion * spread)
        log_bias = _bias(data, design, z)
        pointwise = log_likelihoods(
            data.evidence.rows, given, without_bias + log_bias,
            Parts(target + drift, log_rates, log_bias), phi, priors.bound_softness,
        )  # fmt: skip
        included = pm.Data("included", data.counted.astype(float), dims="evidence")
        if data.components:
            first = len(data.evidence.ids)
            log_sizes = (without_bias + log_bias)[first:]
            tables = component_log_likelihoods(data.components, log_sizes, included[first:])
            pointwise = pt.concatenate([pointwise, tables])
        pm.Deterministic("pointwise", pointwise, dims="evidence")
        pm.Potential("evidence_log_likelihood", (included * pointwise).sum())
    return model


def values(data: SynthesisData) -> dict[str, np.ndarray]:
    """Data variables that a compiled model of the same shape takes in place of its own.

    Of the same shape are the same areas, rates, biases and rows of the same kinds about the
    same targets; which rows are included, the observed numbers and the residents may differ.
    Sample sizes, design effects and the softness of bounds stay those of the model.
    """
    return {
        "included": data.counted.astype(float),
        "residents_given": data.areas.population,
        **observed(data.evidence.rows),
        **component_values(data.components),
    }


def _coords(data: SynthesisData, design: _Design) -> dict[str, Any]:
    return {
        "area": list(data.areas.names),
        "group": list(data.cells),
        "union": list(data.groups),
        "standard": list(design.names),
        "effect": list(EFFECTS),
        "proportion": list(data.rates.shares),
        "multiplier": list(data.rates.factors),
        "source": list(data.biases.names),
        "evidence": list(data.ids),
        **row_coords(data.evidence.rows),
        **component_coords(data.components),
    }


def _residents(data: SynthesisData, design: _Design, z: Tensor) -> Tensor:
    """Residents of each area, (area,); remainders follow from parents and children."""
    areas = data.areas
    given = pm.Data("residents_given", areas.population, dims="area")
    if not areas.log_sd.any():
        return given
    # Cut at 3 sd (checked on input) so that no remainder can become negative.
    error = areas.log_sd * pt.clip(z[design.z_residents], -MAX_SD, MAX_SD)
    change = given * (pt.exp(error) - 1)
    return pm.Deterministic(
        "residents", given + (areas.remainder_signs * change).sum(-1), dims="area"
    )


def _use(
    data: SynthesisData,
    priors: Priors,
    design: _Design,
    z: Tensor,
    scale: Tensor,
    residents: Tensor,
) -> tuple[Tensor, Tensor]:
    """Log odds of use against siblings, (area, group), and users of top areas, (area, group)."""
    start = logit_normal_from_interval(*priors.prevalence)
    level = pm.Deterministic("logit_prevalence", start.mu + start.sigma * z[design.z_level])
    deviation = (scale[AREAS] * z[design.z_area])[:, None]
    # Orthonormal contrasts: group ratios move apart from overall prevalence.
    basis = _contrasts(len(data.cells))
    ratios = scale[COMPOSITIONS] * (basis[None] * z[design.z_ratio][:, None, :]).sum(-1)
    mean = priors.composition * (basis * z[design.z_mean]).sum(-1)
    split = pt.exp(mean + ratios)
    top = residents[:, None] * pt.sigmoid(level + deviation) * split / split.sum(1)[:, None]
    return deviation + ratios, top


def _contrasts(groups: int) -> np.ndarray:
    """Helmert contrasts with unit columns, each summing to 0, (group, contrast)."""
    basis = np.zeros((groups, groups - 1))
    for j in range(1, groups):
        basis[:j, j - 1] = 1.0
        basis[j, j - 1] = -j
    return basis / np.linalg.norm(basis, axis=0)


def _divide(
    siblings: np.ndarray,
    lineage: np.ndarray,
    top: np.ndarray,
    residents: Tensor,
    log_odds: Tensor,
    top_users: Tensor,
) -> Tensor:
    """Divide the users of each parent among its children, at every depth at once, (area, group).

    Within a parent the table of children by {no use, group 1, ...} has the odds ratios
    exp(log_odds) and both margins given: residents of the children, users of the parent
    (Deming & Stephan 1940, Ann Math Stat 11:427). A child's users are proportional to
    its residents who do not use times exp(log_odds); as non-users depend on users, the
    rule is applied `ROUNDS` times, from "nobody uses". Each group adds up to its parent
    exactly in every round; the error of the odds ratios is of order prevalence**ROUNDS.
    """
    together = siblings.astype(float)[:, :, None]
    above = lineage.astype(float)[:, :, None]
    free: Tensor = residents
    users: Tensor = top_users
    for _ in range(ROUNDS):
        weight = free[:, None] * pt.exp(log_odds)
        share = weight / (together * weight[None]).sum(1)
        users = top_users[top] * pt.exp((above * pt.log(share)[None]).sum(1))
        # At least one resident in a million stays a non-user, whatever a wild draw says.
        free = residents * pt.clip(1 - users.sum(1) / residents, 1e-6, 1.0)
    return users


def _rates(data: SynthesisData, design: _Design, z: Tensor) -> Tensor:
    """Sum of the log rates of each row, (evidence,)."""
    rates, exponents = data.rates, data.exponents
    logs = []
    if rates.shares:
        logs.append(pt.log(_shares(rates, design, z)))
    if rates.factors:
        log_factor = rates.mu + rates.sigma * z[design.z_factor]
        pm.Deterministic("factor", pt.exp(log_factor), dims="multiplier")
        logs.append(log_factor)
    return (exponents * pt.concatenate(logs)).sum(-1) if logs else pt.zeros(len(exponents))


def _shares(rates: Rates, design: _Design, z: Tensor) -> Tensor:
    """Share of the target that each share is, (share,), given what its survey may find too often.

    odds(p) = odds(p_s) / psi, so p = p_s / (p_s + (1 - p_s) psi).
    """
    if not rates.selection:
        return pm.Beta("share", rates.alpha, rates.beta, dims="proportion")
    found = pm.Beta("share_found", rates.alpha, rates.beta, dims="proportion")
    none = LogNormalPrior(0.0, 0.0)
    mu, sigma = np.array([rates.selection.get(name, none) for name in rates.shares]).T
    psi = pt.exp(mu + sigma * z[design.z_selection])
    return pm.Deterministic("share", found / (found + (1 - found) * psi), dims="proportion")


def _bias(data: SynthesisData, design: _Design, z: Tensor) -> Tensor:
    """Systematic log error of each row's source, (evidence,)."""
    biases = data.biases
    of_row = np.array([biases.names.index(name) for name in data.targets["source"]])
    log_bias = biases.mu[of_row] + biases.sigma[of_row] * z[design.z_bias]
    # The first row of each source tells its bias; sources without rows have none to tell.
    rows = [np.flatnonzero(of_row == i) for i in range(len(biases.names))]
    first = np.array([row[0] if row.size else -1 for row in rows])
    padded = pt.concatenate([log_bias, pt.zeros(1)])
    pm.Deterministic("bias", pt.exp(padded[first]), dims="source")
    return log_bias
