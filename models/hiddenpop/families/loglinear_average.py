"""All hierarchical log-linear models of the overlaps between lists, averaged.

    n_h ~ Poisson(mu_h),  log mu_h = u + sum of the terms of a model that history h holds

Main effects of all lists are in every model; the interaction of all lists together is in none,
and the people on no list follow: n_0 ~ Poisson(exp(u)) (Fienberg 1972, Biometrika 59:591;
Bishop, Fienberg & Holland 1975, chapter 6). One model picked from many by a criterion gives
intervals that are far too short; here every model has its share.

- `bic` (`averaging.bic`): maximum likelihood, shares proportional to exp(-BIC/2) (Raftery 1995,
  Sociological Methodology 25:111), 6,893 models of five lists in well under a second;
- `sbh`, `uip` (`averaging.proper`): proper priors on the interactions, shares proportional to
  the evidence; handles strata, censored and impossible cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hiddenpop.families.averaging import bic, proper
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling

if TYPE_CHECKING:
    import xarray as xr


__all__ = ["Priors", "posterior", "refusal"]

ESTIMATORS = ("bic", "sbh", "uip")


@dataclass(frozen=True)
class Priors:
    """Which models are averaged, and how.

    Attributes
    ----------
    estimator
        `bic` weighs models by exp(-BIC/2) with the log of the people observed (flat priors
        within each model); `sbh` and `uip` put normal priors on the interactions, with a scale
        learned from the table or that of one cell's worth of information.
    order
        The most lists in one interaction; None for all but the interaction of all lists. From
        six lists on None means 2: there are 7,785,062 models of six lists otherwise. With
        factors (`sbh` and `uip`) None means 2 too.
    best
        All weight on the model of the smallest BIC, for comparison with papers that did so: its
        interval takes the choice for granted and is too short. `bic` only.
    max_models
        The most models that are fitted one by one; above, a random search visits those that
        matter.
    search_steps
        Moves of each of the eight walkers of that search; twice as many change nothing where the
        posterior sits on few models.
    size_prior
        Prior on N. 1/N, the default, is flat on the log of the mean of the unseen.
    a, b
        `sbh` only: variance of the interactions ~ InvGamma(a/2, b/2), scale-free at 0.001, the
        values of Overstall & King 2014 (J Stat Softw 58(7)).
    """

    estimator: str = "bic"
    order: int | None = None
    best: bool = False
    max_models: int = 32768
    search_steps: int = 200
    size_prior: SizePrior = field(default_factory=SizePrior)
    a: float = 0.001
    b: float = 0.001

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"estimator is one of {', '.join(ESTIMATORS)}, not '{self.estimator}'")
        if self.order is not None and self.order < 1:
            raise ValueError("order, the most lists in one interaction, is at least 1")
        if self.best and self.estimator != "bic":
            raise ValueError("best, one model picked by BIC, needs estimator bic")
        if self.max_models < 1 or self.search_steps < 1:
            raise ValueError("max_models and search_steps are at least 1")
        if not (self.a > 0 and self.b > 0):
            raise ValueError("a and b of the prior on the variance are above 0")


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why these models cannot be averaged on this data."""
    if isinstance(data, Margins):
        return Refusal("loglinear-average-margins")
    if priors.estimator == "bic":
        return bic.refusal(data, priors)
    found: Refusal | None = proper.refusal(data, priors)
    return found


def posterior(data: OverlapTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """The posterior of N, averaged over models; see `families.exact` for its groups."""
    if priors.estimator == "bic":
        return bic.posterior(data, priors, sampling)
    tree: xr.DataTree = proper.posterior(data, priors, sampling)
    return tree
