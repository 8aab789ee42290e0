r"""Log-linear model of overlapping lists, sampled by NUTS: strata, shrinkage, censored cells.

On paper, for people of stratum s with history h (h_j = 1: on list j):

    n_sh ~ Poisson(mu_sh),  independent
    log mu_sh = u_s + sum_j h_j (a_j + sum_f d_jf,level(s,f)) + sum_T b_T prod_{j in T} h_j

    u_s     size of the stratum: with Lambda_s = sum_h mu_sh (the unseen included), flat on the
            mean of log Lambda_s over strata and Normal(., stratum_spread) around it, so that
            p(N) is proportional to 1/N for all strata together
    a_j     logit of the chance of being on list j for those on no other list, which is
            Beta(list_beta, list_beta): with 0.1 all but flat on the logit
    d_jfl   Normal(0, tau_f) for the levels l of a factor f,  tau_f ~ log-normal
    b_T     interactions of 2 to `order` lists, the same in every stratum: Normal(0, s_m) for m
            lists, so of either sign,  s_m ~ log-normal
    tau, s  have the medians between and interaction_scale / 2^(m - 2), and 0.75 as the sd of
            their logarithm; next to 0 no table could tell one value from another
    n_s0    unseen, Poisson(mu_s0), mu_s0 = exp(u_s), drawn as whole people afterwards

A cell known to lie between low and high has probability P(low <= Poisson(mu) <= high), an
unknown one drops out, an impossible one has mu = 0. With one stratum, no interactions and exact
cells the posterior of N is the closed form of `maths.independence`.

The sampler moves log M_s, the log of the people expected in cells known exactly, rather than
u_s: M_s is known to about 1/sqrt(n_s) whatever the rest is, and a shift of u_s given the rest
has Jacobian 1. Published margins have the same model and another likelihood: see
`loglinear_margins`. References: Fienberg 1972 (Biometrika 59:591); Overstall, King, Bird,
Hutchinson & Hay 2014 (Stat Med 33:1564) for censored cells; Papaspiliopoulos, Roberts & Sköld
2007 (Stat Sci 22:59) for half-centred effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pymc as pm
import xarray as xr

from hiddenpop.families import loglinear_finish, loglinear_margins, loglinear_table
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable

__all__ = ["Priors", "build_model", "finish", "refusal", "values"]


@dataclass(frozen=True)
class Priors:
    """Priors of the log-linear model.

    Attributes
    ----------
    size_prior
        On N, all strata together (people). `uniform` is not possible here: its edge is no
        place for a sampler that follows gradients.
    order
        Lists that may interact at most; 1 makes lists independent, None is 2. The interaction
        of all lists together is always 0: nothing in a table tells it.
    interaction_scale
        Median of the sd of log odds ratios between two lists (of each further order half as
        much); log-normal, 95 % from a quarter to four times this. 0.5: in three tables of
        drug users this sd is 0.3, 0.5 and 0.9. The sign of each is free, as people in treatment
        may be arrested less often.
    interaction_sd
        The sd of log odds ratios itself, known, instead of learned from `interaction_scale`
        (of each further order half as much). None learns it.
    list_beta
        Both parameters of the Beta prior of the chance that people on no other list have of
        being on a list. 1, a uniform chance, would not be neutral: with the people seen
        given, a chance is their share of N, so that each list would multiply the prior of N by
        1/N, which pulls weakly identified sizes down. 0.1 leaves a tenth of this pull.
    between
        Median of tau, the sd of log odds of being on a list between levels of a factor;
        log-normal as above. 0.5: sexes may differ threefold, rarely tenfold.
    stratum_spread
        Sd of the log size of strata around their mean, known. 3 leaves sizes free: one
        stratum may be thousands of times another.
    odds_ratio
        For published margins only, which do not tell how lists depend on each other: central
        interval (low, high, level) of the odds ratio of two lists, log-normal. Default 0.25
        to 10 at 95 %, median 1.6: see docs/methods/loglinear.md for the tables behind it.
        Two equal ends fix it.
    odds_ratio_shared
        For margins only: share of the variance of the log odds ratio that all pairs of lists
        have in common (0 to 1). 0.5, as in published tables.
    """

    size_prior: SizePrior = field(default_factory=SizePrior)
    order: int | None = 2
    interaction_scale: float = 0.5
    interaction_sd: float | None = None
    list_beta: float = 0.1
    between: float = 0.5
    stratum_spread: float = 3.0
    odds_ratio: tuple[float, float, float] = (0.25, 10.0, 0.95)
    odds_ratio_shared: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values that make no distribution."""
        if self.order is not None and self.order < 1:
            raise ValueError(f"order must be 1 or more, not {self.order}")
        for name in ("interaction_scale", "list_beta", "between", "stratum_spread"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a positive number, not {getattr(self, name)}")
        if self.interaction_sd is not None and not 0 < self.interaction_sd < np.inf:
            raise ValueError(
                f"interaction_sd must be a positive number, not {self.interaction_sd}; "
                "order 1 has no interactions"
            )
        low, high, level = self.odds_ratio
        if not (0 < low <= high < np.inf and 0 < level < 1):
            raise ValueError(
                f"odds_ratio must be (low, high, level) with 0 < low <= high and level "
                f"between 0 and 1, not {self.odds_ratio}"
            )
        if not 0 <= self.odds_ratio_shared <= 1:
            raise ValueError(
                f"odds_ratio_shared must be between 0 and 1, not {self.odds_ratio_shared}"
            )

    @property
    def most_lists(self) -> int:
        """`order`, its default filled in."""
        return 2 if self.order is None else self.order


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why the model cannot be used on this data; None where it can."""
    if priors.size_prior.kind == "uniform":
        return Refusal("loglinear-size-prior", {"prior": str(priors.size_prior)})
    lists = len(data.lists)
    if lists < 3:
        return Refusal("loglinear-lists", {"lists": lists})
    if priors.most_lists >= lists:
        return Refusal("loglinear-order", {"order": priors.most_lists, "lists": lists})
    if isinstance(data, Margins):
        return loglinear_margins.refusal(data, priors)
    return loglinear_table.refusal(data, priors)


def build_model(data: OverlapTable | Margins, priors: Priors = Priors()) -> pm.Model:
    """Build the model; nothing is sampled.

    Returns
    -------
    pm.Model
        Random variables: `log_seen` (stratum), log M_s less a start value; `list_effect`
        (list); `z` (normal), deviations and interactions over the roots of their sds;
        `log_scale` (effect), standard normals of these sds. Deterministics: `scale` (effect),
        the sds; `interaction` (link), log odds ratios; `expected` (stratum,
        history), mu (0 where impossible), the all-zero history first; `N` (stratum), people,
        with means in place of people who were not counted: `finish` draws those. With one
        stratum only nothing has a dimension for it.
    """
    if isinstance(data, Margins):
        return loglinear_margins.build_model(data, priors)
    return loglinear_table.build_model(data, priors)


def values(data: OverlapTable | Margins, priors: Priors = Priors()) -> dict[str, np.ndarray]:
    """Data variables that a compiled model of the same shape takes in place of its own.

    Of the same shape are the same lists, strata and places of cells that are impossible,
    bracketed or unknown.
    """
    if isinstance(data, Margins):
        return loglinear_margins.values(data, priors)
    return loglinear_table.values(data, priors)


def finish(
    tree: xr.DataTree, data: OverlapTable | Margins, priors: Priors, rng: np.random.Generator
) -> xr.DataTree:
    """Draw the people who were not counted, and say what the estimate rests on.

    Returns
    -------
    xarray.DataTree
        The tree with whole people in `N` and `unseen`, by stratum if there are factors; without
        `expected`; with group `fitted`; with root attrs as `families.exact` describes.
    """
    if isinstance(data, Margins):
        return loglinear_margins.finish(tree, data, priors, rng)
    return loglinear_finish.finish(tree, data, priors, rng)
