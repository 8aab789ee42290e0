r"""Benchmarks over areas and periods: partially pooled shares and prevalence, and a trend.

On paper, for area a and period t with R_at residents, of whom N_at belong to the target, and
benchmark k:

    N_at ~ Binomial(R_at, pi_at)
    logit pi_at = m + s_1 z_a + w_t + v_at          w, v random walks with sd s_2, s_3 by sqrt(year)
    logit p_kat = m_k + s_4 z_ka + x_kt + y_kat     x, y random walks with sd s_5 / sqrt(2)
    people      C_kat ~ Binomial(N_at, p_kat), reported C x r, r = error (1 - under) / (1 - over)
    events      ~ Poisson(N r rate);  amount: log-normal around N r rate
    survey      x / D ~ Binomial(sample / D, N share / R)
    figure      log value ~ Normal(log(N share) + error, tau^2 + (c sd)^2)
    rates       x / D of n / D have p_s, odds(p_s) = psi odds(p); or quantiles, as a Beta

Rates per person are pooled as shares are, on the log scale. With one stratum nothing is pooled:
N has its prior, shares are independent, and the posterior is that of the exact family
`multiplier`; residents then may be unknown. p(N) proportional to 1/N is N ~ Binomial(R, pi) with
p(pi) proportional to 1/pi, or N ~ Poisson(L) with p(L) proportional to 1/L: the integral of
L^(N - 1) exp(-L) / N! over L is 1/N. Other priors of N are a factor beside this one.

All people who were not counted are summed out (`multiplier_areas_model`) and drawn afterwards,
as whole people. With one stratum the sampler moves ln(N p) of the greatest count rather than
ln N: the count tells it, whatever p is, and a shift has Jacobian 1.

References: Fay & Herriot 1979 (JASA 74:269) for areas without data of their own; Bao, Raftery &
Reddy 2015 (Stat Interface 8:125) for multipliers over areas; Papaspiliopoulos, Roberts & Sköld
2007 (Stat Sci 22:59) for the non-centred form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from hiddenpop.families import multiplier_areas_finish
from hiddenpop.families import multiplier_areas_model as parts
from hiddenpop.families import multiplier_areas_rows as rows_of
from hiddenpop.families.multiplier_areas_design import (
    AREAS,
    CHANGE,
    EXPERTS,
    SHARE_CHANGE,
    SHARES,
    Design,
    Grid,
    label,
)
from hiddenpop.families.multiplier_areas_layout import design_of
from hiddenpop.families.multiplier_areas_rates import FORMS
from hiddenpop.families.multiplier_areas_refusal import refused
from hiddenpop.families.multiplier_areas_rows import TENSORS
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.priors import logit_normal_from_interval

__all__ = ["Priors", "build_model", "finish", "refusal", "values"]

Tensor = Any  # pytensor has no type stubs


@dataclass(frozen=True)
class Priors:
    """Priors of benchmarks over areas and periods.

    Attributes
    ----------
    size_prior
        On N (people), with one stratum only: several have `prevalence`. `uniform` is not
        possible: its edge is no place for a sampler that follows gradients.
    share_a, share_b
        Beta prior of a share; with several strata of the mean share of a benchmark. 1, 1:
        uniform.
    prevalence
        Central interval (low, high, level) of the share of residents in the target, at the
        common level of several strata; normal on the logit scale. 0.01 % to 20 %: from the
        rarest groups that are estimated to the most common ones.
    between_areas
        Half-normal scale of s_1, the sd of log odds between areas. 0.5: an area may have half
        or twice the prevalence of another, rarely five times.
    between_shares
        Half-normal scale of s_4, the same for shares (log scale for rates). 0.5: with a mean of
        30 %, areas from 14 % to 54 %.
    change
        Half-normal scale of s_2 and s_3, the sd of the change of log odds in a year: of all
        areas together, and of an area beside the others. 0.15: a fifth more or fewer within a
        year is as much as is commonly seen.
    share_change
        Half-normal scale of s_5, the same for shares. A count that rises is a larger population
        or a larger share, and only surveys of several periods tell which. 0.1: the odds of a
        share change by a tenth in a year.
    overconfidence
        Central interval (low, high, level) of c, by which stated errors of figures are too
        small; log-normal. 1 to 4 at 95 %: ranges that experts call 90 % hold about half of what
        comes out (Morgan & Henrion 1990, Uncertainty, chapter 6), a factor of 2 or so.
    between_experts
        Half-normal scale of tau, the sd between figures beyond their stated errors, log scale.
        0.5: two experts may well differ by a factor of 2. One figure cannot tell it.
    """

    size_prior: SizePrior = field(default_factory=SizePrior)
    share_a: float = 1.0
    share_b: float = 1.0
    prevalence: tuple[float, float, float] = (0.0001, 0.2, 0.95)
    between_areas: float = 0.5
    between_shares: float = 0.5
    change: float = 0.15
    share_change: float = 0.1
    overconfidence: tuple[float, float, float] = (1.0, 4.0, 0.95)
    between_experts: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values that make no distribution."""
        for name in ("share_a", "share_b", "between_areas", "between_shares", "change",
                     "share_change", "between_experts"):  # fmt: skip
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a positive number, not {getattr(self, name)}")
        low, high, level = self.prevalence
        if not (0 < low < high < 1 and 0 < level < 1):
            raise ValueError(
                "prevalence must be (low, high, level) with 0 < low < high < 1 and a level "
                f"between 0 and 1, not {self.prevalence}"
            )
        low, high, level = self.overconfidence
        if not (0 < low <= high < np.inf and 0 < level < 1):
            raise ValueError(
                "overconfidence must be (low, high, level) with 0 < low <= high and a level "
                f"between 0 and 1, not {self.overconfidence}"
            )


def refusal(data: MultiplierTable, priors: Priors) -> Refusal | None:
    """Why the model cannot be used on this data; None where it can."""
    return refused(data, priors)


def build_model(data: MultiplierTable, priors: Priors = Priors()) -> pm.Model:
    """Build the model; nothing is sampled.

    Returns
    -------
    pm.Model
        Random variables: `base` (number), levels less a start value; `z` (normal), standard
        normals, but with one period effects of areas over the roots of their sds; `scale`
        (effect), sds that are learned; `miscounted` (miscount), shares counted in excess or
        missing. Deterministics: `terms` (term), all numbers that the likelihoods need, linear
        in the others; `prevalence` (stratum), pi; `share` (link), p or rate of each row;
        `area_effect` (area), `period_effect` (period), `mean_share` (benchmark), on the log
        odds scale; `N` (stratum), its mean before it is drawn.
    """
    design = design_of(data, priors)
    found = values(data, priors)
    with pm.Model(coords=_coords(design, found)) as model:
        # With sizes known beforehand the program is a third smaller.
        given = {
            name: pt.specify_shape(pm.Data(name, x, dims=parts.dims_of(name, x)), x.shape)
            for name, x in found.items()
        }
        vector, tau = _vector(design, given)
        looked = design.constant + (design.matrix * vector).sum(-1)
        # The others are for readers, and never compiled.
        needed = slice(0, design.needed)
        at = design.constant[needed] + (design.matrix[needed] * vector).sum(-1)
        if design.known:
            pm.Potential("rates", _rates(design, given, at[design.place("known")]))
        size = _sizes(design, at, vector[0], priors)
        others = _others(design, given, at, size)
        _likelihood(design, given, at, others, tau, priors)
        pm.Deterministic("terms", looked, dims="term")
        _named(design, looked, size, others)
    return model


def values(data: MultiplierTable, priors: Priors = Priors()) -> dict[str, np.ndarray]:
    """Data variables that a compiled model of the same shape takes in place of its own.

    Of the same shape are the same strata, rows and ways in which they are known, the same
    intervals of errors, and the same rates stated for several strata; counts, surveys and
    residents may differ.
    """
    return parts.values(design_of(data, priors), priors)


def finish(
    tree: xr.DataTree, data: MultiplierTable, priors: Priors, rng: np.random.Generator
) -> xr.DataTree:
    """Draw the people who were not counted, and say what the estimate rests on.

    Returns
    -------
    xarray.DataTree
        The tree with whole people in `N` and `unseen` (stratum); without `terms`; with a
        group `trend` (area) where there are several periods; with root attrs as
        `families.exact` describes.
    """
    return multiplier_areas_finish.finish(tree, data, priors, rng)


def _coords(design: Design, found: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    coords = {
        "number": list(design.base),
        "normal": list(design.normals),
        "effect": list(design.scales),
        "miscount": list(design.miscounts),
        "term": [f"{kind}: {name}" for kind, block in design.blocks.items() for name in block],
        "known": list(design.blocks["known"]),
        "stratum": [label(stratum) for stratum in design.data.strata],
        "link": list(design.blocks["link"]),
        "area": list(design.blocks["area"]),
        "period": list(design.blocks["period"]),
        "benchmark": list(design.blocks["benchmark"]),
    }
    for name, x in found.items():
        for dim, size in zip(parts.dims_of(name, x), x.shape, strict=True):
            coords.setdefault(dim, [str(number) for number in range(size)])
    return {dim: labels for dim, labels in coords.items() if labels}


def _vector(design: Design, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """All free numbers in the order of the matrix, and tau."""
    pieces, tau = [given["start"] + pm.Flat("base", dims="number")], 0.0
    which, known = design.own_scale
    # Half centred: differences that the data know well want one form, others the other. It
    # doubles what draws are worth with one period, and halves it with walks through several.
    one = not design.scales.keys() & {CHANGE, SHARE_CHANGE}
    half = np.array([float(one and sd in (AREAS, SHARES)) for sd in design.normals.values()])
    sd: Tensor = known
    if design.scales:
        scale = pm.HalfNormal("scale", list(design.scales.values()), dims="effect")
        sd = known + (which * scale).sum(-1)
        if EXPERTS in design.scales:
            tau = scale[list(design.scales).index(EXPERTS)]
    if half.any():
        root = half * pt.sqrt(sd) + (1 - half)
        z = pm.Normal("z", 0, root, dims="normal")
        pieces.append((half * root + (1 - half) * sd) * z)
    elif design.normals:
        pieces.append(sd * pm.Normal("z", 0, 1, dims="normal"))
    if design.miscounts:
        alpha, beta = np.array(list(design.miscounts.values())).T
        pieces.append(pt.log1p(-pm.Beta("miscounted", alpha, beta, dims="miscount")))
    return pt.concatenate(pieces), tau


def _rates(design: Design, given: Mapping[str, Tensor], at: Tensor) -> Tensor:
    """Log density of shares and rates, all forms together."""
    forms = [one.form for one in design.known]
    total: Tensor = 0.0
    for form in FORMS:
        if form in forms:
            here = slice(forms.index(form), forms.index(form) + forms.count(form))
            a, b = given["known_a"][here], given["known_b"][here]
            total = total + rows_of.information(TENSORS, form, at[here], a, b).sum()
    return total


def _sizes(design: Design, at: Tensor, level: Tensor, priors: Priors) -> Tensor:
    """Log odds (log sizes where residents are unknown) of strata, (stratum,), with their prior."""
    size = at[design.place("size")]
    if design.pooled:
        start = logit_normal_from_interval(*priors.prevalence)
        pm.Potential("level_prior", -0.5 * ((level - start.mu) / start.sigma) ** 2)
        return size
    if design.has_greatest.any():
        size = size + pt.softplus(-at[design.place("greatest link")])
    if design.bounded:
        # 1/pi on the logit scale.
        pm.Potential("size_prior", -pt.softplus(size).sum())
    return size


def _others(design: Design, given: Mapping[str, Tensor], at: Tensor, size: Tensor) -> parts.Others:
    """The greatest counts, and what is known of the others of N."""
    greatest = None
    if design.has_greatest.any():
        factor = at[design.place("greatest factor")] if design.greatest_factors else 0.0
        greatest = parts.Looked(at[design.place("greatest link")], factor)
    return parts.others_of(
        TENSORS, given, design.has_greatest.astype(float), size, greatest,
        ranges=design.greatest_ranges, factors=design.greatest_factors,
    )  # fmt: skip


def _likelihood(
    design: Design, given: Mapping[str, Tensor], at: Tensor, others: parts.Others, tau: Tensor,
    priors: Priors,
) -> None:  # fmt: skip
    """All counts and figures, those of N who were not counted summed out."""
    log_density, strata = others.log_density, len(design.data.strata)
    known = priors.size_prior.kind == "reciprocal" and not design.grids
    if not known:
        N, log_weight = parts.nodes(
            TENSORS, others, bool(design.grids.keys() & {"amount", "figure"})
        )
        log_density = log_density[..., None] + log_weight
        if design.greatest_ranges:
            N, log_density = N.reshape((strata, -1)), log_density.reshape((strata, -1))
        if priors.size_prior.kind != "reciprocal":
            log_density = log_density + rows_of.size(TENSORS, N, priors.size_prior)
        for grid in design.grids.values():
            log_density = log_density + _further(design, given, at, N, tau, grid)
    if not known or design.greatest_ranges:
        log_density = rows_of.log_sum(TENSORS, log_density)
    pm.Potential("counts", log_density.sum())


def _further(
    design: Design, given: Mapping[str, Tensor], at: Tensor, N: Tensor, tau: Tensor, grid: Grid
) -> Tensor:
    """What the rows of one kind say of N, all slots together, (stratum, node)."""
    strata, alone = len(design.data.strata), grid.slots == 1
    # Of a single slot the dimension is left out: fewer shapes, less to compile.
    slot = (slice(None), 0 if alone else slice(None), None)
    own = {name: x[slot] for name, x in given.items() if name.startswith(f"{grid.kind}_")}
    if grid.kind == "survey":
        own["residents"] = given["residents"][(slice(None), *[None] * (1 if alone else 2))]
    own |= {"linked": grid.linked[slot], "shares": grid.shares[slot]}
    blocks: dict[str, Tensor] = {}
    for name, wanted in (("link", grid.links), ("factor", grid.factors)):
        blocks[name] = 0.0
        if wanted:
            shape = (strata, 1) if alone else (strata, grid.slots, 1)
            blocks[name] = at[design.place(f"{grid.kind} {name}")].reshape(shape)
    c = pt.exp(at[design.place("confidence")][0]) if grid.kind == "figure" else 1.0
    some = parts.log_rows(
        TENSORS, grid, own, parts.Looked(**blocks), N if alone else N[:, None, :], (tau, c)
    )
    if not grid.present.all():
        some = grid.present[slot] * some
    return some if alone else some.sum(1)


def _named(design: Design, looked: Tensor, size: Tensor, others: parts.Others) -> None:
    """Deterministic variables by the names that readers look for."""
    N = others.count + others.mean
    pm.Deterministic("N", N[:, 0] if design.greatest_ranges else N, dims="stratum")
    pm.Deterministic("size", size, dims="stratum")
    if design.bounded:
        pm.Deterministic("prevalence", pt.sigmoid(size), dims="stratum")
    if design.blocks["link"]:
        link, shares = looked[design.place("link")], design.link_is_share
        value = shares * pt.sigmoid(link) + (1 - shares) * pt.exp((1 - shares) * link)
        pm.Deterministic("share", value, dims="link")
    for block, name in (("area", "area_effect"), ("period", "period_effect"),
                        ("benchmark", "mean_share")):  # fmt: skip
        if design.pooled and design.blocks[block]:
            pm.Deterministic(name, looked[design.place(block)], dims=block)
