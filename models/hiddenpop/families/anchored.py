"""The anchored multiplier: a prevalence from elsewhere, updated by the estimates of multipliers.

Wesson et al. 2018 (Int J Epidemiol, doi:10.1093/ije/dyy132) describe a Bayesian synthesis of
multiplier estimates with an a priori estimate, the anchor. This is the conjugate form of it: the
anchor is a Beta distribution of the prevalence N / residents, and every multiplier's estimate is
read as so many people found among an effective number examined, so that all are added up. What of
this is assumed rather than published stands in docs/methods/anchored.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import xarray as xr
from scipy.stats import beta as beta_law

from hiddenpop.families.anchored_report import ENDS, Reading, assumption, benchmarks, notes
from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.families.maths.quantile_fit import fit_quantiles
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.simulation.anchored import draw_truth, simulate
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable, Rate
from hiddenpop.inputs.settings import Sampling
from hiddenpop.priors import BetaPrior, beta_from_interval, beta_from_survey, z_score

if TYPE_CHECKING:
    pass

__all__ = ["Priors", "draw_truth", "posterior", "refusal", "simulate"]

Effective = Literal["interval", "respondents"]

WORTH: dict[Effective, str] = {
    "interval": "by its own interval",
    "respondents": "by the respondents of its survey",
}
"""By what an estimate is weighed, in words."""

MOST_SUPPORT = 2**16
"""Numbers of people that the distribution lists one by one; beyond, neighbours are joined."""

OUTSIDE = 1e-10
"""Posterior on either side that is left out of the list."""


@dataclass(frozen=True)
class Priors:
    """Choices of the anchored multiplier.

    Attributes
    ----------
    effective
        How many people a multiplier's estimate is worth. `interval`: m (1 - m) / s^2, with m its
        prevalence and s its standard error from its own 95 % interval, so that a binomial sample
        of that number would have the same interval. `respondents`: those of its survey, over the
        design effect, as if the survey had found the prevalence itself.
    a, b
        Beta(a, b) prior of each multiplier's share before its survey. Positive; 1, 1 is uniform.
    """

    effective: Effective = "interval"
    a: float = 1.0
    b: float = 1.0

    def __post_init__(self) -> None:
        if self.effective not in get_args(Effective):
            known = " or ".join(get_args(Effective))
            raise ValueError(f"effective is '{self.effective}'; it must be {known}")
        if not (0 < self.a < np.inf and 0 < self.b < np.inf):
            raise ValueError(f"a is {self.a:g} and b is {self.b:g}; both must be positive numbers")


def refusal(data: MultiplierTable, priors: Priors) -> Refusal | None:
    """Why the anchored multiplier cannot be used; None where it can."""
    if len(data.strata) > 1:
        return Refusal("anchored-strata", {"strata": len(data.strata)})
    residents = float(data.population[0])
    if not np.isfinite(residents):
        return Refusal("anchored-residents")
    rows = (_refused_row(row, residents, priors) for row in data.rows)
    return _refused_anchor(data) or next((one for one in rows if one is not None), None)


def _refused_anchor(data: MultiplierTable) -> Refusal | None:
    """Whether there is one thing to begin with, and something to update it."""
    anchors = [row.id for row in data.rows if row.kind == "figure"]
    if len(anchors) > 1:
        return Refusal("anchored-anchors", {"anchors": ", ".join(anchors)})
    if not anchors and not any(row.kind == "survey" for row in data.rows):
        return Refusal("anchored-no-anchor")
    if len(data.rows) == len(anchors):
        return Refusal("anchored-nothing", {"anchor": anchors[0]})
    return None


def _refused_row(row: Benchmark, residents: float, priors: Priors) -> Refusal | None:
    """What the method has no place for in one row."""
    if row.kind not in ("people", "survey", "figure"):
        return Refusal("anchored-kind", {"id": row.id, "kind": row.kind})
    if row.least != row.most or not np.isfinite(row.value):
        return Refusal("anchored-range", {"id": row.id})
    if row.selection or row.overcount or row.undercount or row.error:
        return Refusal("anchored-bias", {"id": row.id})
    if row.kind == "people":
        return _refused_multiplier(row, residents, priors)
    if row.rate is not None:
        return Refusal("anchored-rate", {"id": row.id, "kind": row.kind})
    return _refused_figure(row, residents) if row.kind == "figure" else None


def _refused_figure(row: Benchmark, residents: float) -> Refusal | None:
    if row.interval is None:
        return Refusal("anchored-interval", {"id": row.id})
    return Refusal("anchored-no-beta", {"id": row.id}) if _anchor(row, residents) is None else None


def _refused_multiplier(row: Benchmark, residents: float, priors: Priors) -> Refusal | None:
    share = _share(row.rate, priors)
    if share is None or row.rate is None:
        return Refusal("anchored-share", {"id": row.id})
    if priors.effective == "respondents" and row.rate.n is None:
        return Refusal("anchored-respondents", {"id": row.id})
    if row.value == 0:
        return Refusal("anchored-zero", {"id": row.id})
    high = _estimate(row.value, share, residents)[2]
    if high >= 1:
        values = {"id": row.id, "high": high * residents, "residents": residents}
        return Refusal("anchored-above", values)
    return None


def _share(rate: Rate | None, priors: Priors) -> BetaPrior | None:
    """Distribution of a multiplier's share; None where it is not stated or no Beta has it."""
    if rate is None or (rate.x is None and len(rate.quantiles) < 2):
        return None
    if rate.x is not None and rate.n is not None:
        survey = beta_from_survey(rate.x, rate.n, rate.design_effect)
        return BetaPrior(survey.alpha - 1 + priors.a, survey.beta - 1 + priors.b)
    try:
        alpha, beta = fit_quantiles("beta", rate.quantiles)[0].parameters
    except ValueError:
        return None
    return BetaPrior(alpha, beta)


def _estimate(count: float, share: BetaPrior, residents: float) -> np.ndarray:
    """Prevalence by a multiplier: median and 95 % interval, shape (3,)."""
    ends = beta_law.ppf([0.5, 0.975, 0.025], *share)
    with np.errstate(divide="ignore"):
        return np.asarray(count / ends / residents)


def _anchor(row: Benchmark, residents: float) -> BetaPrior | None:
    """The figure's interval as a Beta distribution of the prevalence; None where none has it."""
    if row.interval is None or not 0 < row.interval.low < row.interval.high < residents:
        return None
    low, high = row.interval.low / residents, row.interval.high / residents
    try:
        return beta_from_interval(low, high, row.interval.level)
    except ValueError:
        return None


def _readings(
    data: MultiplierTable, priors: Priors
) -> tuple[BetaPrior, list[Reading]]:  # fmt: skip
    """The anchor (uniform where the anchor is a survey), and what every other row adds."""
    residents, anchor = float(data.population[0]), BetaPrior(1.0, 1.0)
    found = []
    # In the order of the names: the order of rows in the file changes nothing.
    for row in sorted(data.rows, key=lambda one: one.id):
        if row.kind == "figure":
            anchor = _anchor(row, residents) or anchor
        elif row.kind == "survey":
            x, n = row.value / row.sample_effect, float(row.sample or 0) / row.sample_effect
            law = beta_law.ppf(ENDS, x + 1, n - x + 1)
            found.append(Reading(row.id, x, n - x, np.asarray(law)))
        else:
            found.append(_multiplier(row, residents, priors))
    return anchor, found


def _multiplier(row: Benchmark, residents: float, priors: Priors) -> Reading:
    share = _share(row.rate, priors)
    if share is None or row.rate is None:
        raise ValueError(f"the multiplier '{row.id}' has no share")
    estimate = _estimate(row.value, share, residents)
    middle = estimate[0]
    if priors.effective == "respondents":
        people = float(row.rate.n or 0) / row.rate.design_effect
    else:
        error = (estimate[2] - estimate[1]) / (2 * z_score(0.95))
        people = middle * (1 - middle) / error**2
    return Reading(row.id, middle * people, (1 - middle) * people, estimate)


def posterior(data: MultiplierTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """Posterior of N, a Beta distribution of N / residents.

    Returns
    -------
    xarray.DataTree
        As `families.exact` describes; the group `benchmarks` as in the family multiplier, with
        the `effective` number of people that each row stands for. Root attributes: `alpha`,
        `beta`, the parameters of N / residents.
    """
    residents, observed = float(data.population[0]), data.observed
    anchor, readings = _readings(data, priors)
    alpha = anchor.alpha + sum(one.found for one in readings)
    beta = anchor.beta + sum(one.others for one in readings)
    numbers = _numbers(alpha, beta, residents, observed)
    cut = float(beta_law.cdf(max(observed - 0.5, 0.0) / residents, alpha, beta))
    share = BetaPrior(priors.a, priors.b)
    result = exact_tree(
        observed, numbers, seed=sampling.seed, assumption=assumption(data),
        notes=notes(data, anchor, readings, share, WORTH[priors.effective], cut),
        attrs={"alpha": alpha, "beta": beta},
    )  # fmt: skip
    result["benchmarks"] = xr.DataTree(benchmarks(data, anchor, readings))
    return result


def _numbers(alpha: float, beta: float, residents: float, observed: float) -> Discrete:
    """N - observed on whole numbers: the Beta probability of half a person on either side."""
    law = beta_law(alpha, beta)
    low = max(observed, np.floor(residents * law.ppf(OUTSIDE)))
    high = max(low + 1, min(np.ceil(residents * law.isf(OUTSIDE)), residents))
    step = np.ceil((high + 1 - low) / MOST_SUPPORT)
    edges = np.append(np.arange(low, high + 1, step), high + 1)
    mass = np.diff(law.cdf(np.clip((edges - 0.5) / residents, 0, 1)))
    middle = np.floor((edges[:-1] + edges[1:] - 1) / 2)
    if mass.sum() <= 0:
        # All of the posterior is below what was counted for certain.
        mass[0] = 1.0
    return Discrete(middle - observed, mass / mass.sum())
