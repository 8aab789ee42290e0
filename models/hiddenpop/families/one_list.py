"""One list, repeated captures: how many were never seen, from how often the others were.

Zero-truncated count regressions (`maths.truncated_counts`) under proper priors on their few
parameters, each by importance sampling, averaged by their evidence; Chao's and Zelterman's lower
bounds stand beside them and are never averaged.

With p(N) proportional to 1/N in every class of people with the same covariates, N integrates out
(docs/methods/recapture.md): the likelihood is that of the counts given that they are 1 or more,
and each class of n people seen stands for NegBin(n, 1 - p_0) unseen. The sum over classes is one
negative binomial, NegBin(n, 1 / (1 + O)), whose odds O = sum_c q_c p_0c / (1 - p_0c) have the
shares q ~ Dirichlet(n_c) of classes among those seen; so any other prior on N needs only O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr

from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.families.maths.adaptive_importance import evaluate, sample
from hiddenpop.families.maths.count_modes import places
from hiddenpop.families.maths.truncated_counts import (
    MODELS,
    Model,
    Records,
    Target,
    log_likelihood,
    unseen_odds,
)
from hiddenpop.families.maths.unseen_number import UnseenNumber
from hiddenpop.families.one_list_report import fitted_rows, model_rows, notes
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.repeat_design import Design, design_of, prior_covariance
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Sampling

__all__ = ["Priors", "posterior", "refusal"]

DISTRIBUTIONS = ("poisson", "geometric", "negbin")

MOST_UNSEEN = 1e15
"""Beyond this a Poisson number cannot be drawn; N is unknown for every purpose long before."""

NEGLIGIBLE = 1e-4
"""Weight below which it does not matter how well a model was sampled."""


@dataclass(frozen=True)
class Priors:
    """Priors of the one-list family, and what it averages over.

    Attributes
    ----------
    distributions
        Of captures, any of poisson, geometric and negbin, equally likely before the data. All
        three are always shown. The negative binomial is left out of the average by default: its
        likelihood often rises without end towards more and more people who are hardly ever
        seen, so that its N is that of its prior.
    one_inflation
        Whether distributions in which some people can be seen once only are averaged too. They
        are always shown: they can divide N by several, and the table alone cannot tell a person
        who cannot be seen again from one who will not be.
    intercept_sd
        Standard deviation of the mean log rate of captures, normal around 0 (one capture a
        person): the default allows 0.003 to 350 captures.
    coefficient_sd
        Standard deviation of each level's distance from that mean, and of the effect of one
        standard deviation of a number, both on the log scale: the default allows a factor of 7
        either way.
    dispersion_sd
        Standard deviation of the log of the negative binomial's alpha, normal around 0 (the
        geometric distribution).
    size_prior
        Prior on N.
    """

    distributions: tuple[str, ...] = ("poisson", "geometric")
    one_inflation: bool = False
    intercept_sd: float = 3.0
    coefficient_sd: float = 1.0
    dispersion_sd: float = 1.5
    size_prior: SizePrior = field(default_factory=SizePrior)

    def __post_init__(self) -> None:
        """Check that there is something to average, under proper priors."""
        unknown = set(self.distributions) - set(DISTRIBUTIONS)
        if unknown or not self.distributions:
            raise ValueError(
                f"distributions must be some of {', '.join(DISTRIBUTIONS)}, "
                f"not {', '.join(sorted(unknown)) or 'none'}"
            )
        for name in ("intercept_sd", "coefficient_sd", "dispersion_sd"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {getattr(self, name)}")

    def averages(self, model: Model) -> bool:
        """Whether a model's posterior is part of the answer."""
        return model.base in self.distributions and (self.one_inflation or not model.inflation)


class Fit(NamedTuple):
    """One model's posterior.

    Attributes
    ----------
    draws, weights
        Of the parameters; weights sum to 1.
    unseen
        A draw of the unseen with each draw of the parameters.
    log_evidence
        Up to a constant common to all models.
    """

    model: Model
    draws: np.ndarray
    weights: np.ndarray
    unseen: np.ndarray
    log_evidence: float

    @property
    def distribution(self) -> Discrete:
        """Posterior of the unseen."""
        return Discrete.from_draws(self.unseen, self.weights)


def refusal(data: RepeatTable, priors: Priors) -> Refusal | None:
    """Why captures cannot be counted here, or say nothing about the unseen."""
    if not data.count[data.times > 1].sum() > 0:
        return Refusal("one-list-no-repeats", {"observed": data.observed})
    if priors.size_prior.most <= data.observed:
        values = {"prior": str(priors.size_prior), "observed": data.observed}
        return Refusal("one-list-size-prior", values)
    design = design_of(data)
    if np.linalg.matrix_rank(design.raw) < len(design.names):
        return Refusal("one-list-collinear", {"columns": ", ".join(map(str, data.covariates))})
    return None


def posterior(data: RepeatTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """Posterior of the unseen, averaged over distributions of captures.

    Raises
    ------
    ArithmeticError
        If a model's posterior has no mode, which proper priors exclude.
    """
    design = design_of(data)
    covariance = prior_covariance(data, design, priors.intercept_sd, priors.coefficient_sd)
    rng = np.random.default_rng(sampling.seed)
    prior = priors.size_prior
    number = None
    if prior.kind != "reciprocal":
        number = UnseenNumber(data.observed, prior.log_density, prior.most)
    fits = [_fit(model, design, covariance, priors, number, rng) for model in MODELS.values()]
    weights = _model_weights(fits, priors)
    joined = np.concatenate([w * fit.weights for w, fit in zip(weights, fits, strict=True)])
    unseen = Discrete.from_draws(np.concatenate([fit.unseen for fit in fits]), joined)
    averaged = [priors.averages(fit.model) for fit in fits]
    models = model_rows(fits, weights, averaged, design)
    return exact_tree(
        data.observed, unseen, seed=sampling.seed,
        assumption=(
            "That the numbers of times people were seen, 1 or more, also tell how many were seen "
            "0 times: nobody had no chance of being seen, and being seen did not change the "
            "chance of being seen again."
        ),
        notes=notes(data, fits, models, averaged),
        models=models,
        fitted=fitted_rows(data.frequencies, fits, weights, design, rng),
        attrs={"importance_ess": _effective(fits, weights)},
    )  # fmt: skip


def _effective(fits: list[Fit], weights: np.ndarray) -> float:
    """Least effective number of draws of the models that matter."""
    return min(
        1 / float(fit.weights @ fit.weights)
        for fit, weight in zip(fits, weights, strict=True)
        if weight > NEGLIGIBLE
    )


def _model_weights(fits: list[Fit], priors: Priors) -> np.ndarray:
    """Posterior probabilities of the models that are averaged; 0 for the others."""
    evidence = np.array(
        [fit.log_evidence if priors.averages(fit.model) else -np.inf for fit in fits]
    )
    mass = np.exp(evidence - evidence.max())
    return np.asarray(mass / mass.sum())


def _fit(
    model: Model,
    design: Design,
    covariance: np.ndarray,
    priors: Priors,
    number: UnseenNumber | None,
    rng: np.random.Generator,
) -> Fit:
    """Sample one model's parameters and, given them, the unseen.

    With a prior on N other than 1/N the parameters are drawn with the factor of `number` at the
    covariates' shares of those seen, and weighed by it at the drawn shares: one class of people
    has no other shares.
    """
    target = _log_posterior(model, design.records, covariance, priors.dispersion_sd)
    begin = places(target, design.records.design.shape[1], model)
    rows = len(design.records.times)
    share = design.people / design.people.sum()
    if number is None:
        found = sample(target, begin, rng, rows)
        odds = _draw_odds(model, found.draws, design, rng)
        mean = np.minimum(rng.gamma(design.people.sum(), size=len(odds)) * odds, MOST_UNSEEN)
        return Fit(model, found.draws, found.weights, rng.poisson(mean), found.log_evidence)

    def factor(theta: np.ndarray) -> np.ndarray:
        return number.log_factor(unseen_odds(model, theta, design.classes) @ share)

    found = sample(lambda theta: target(theta) + factor(theta), begin, rng, rows)
    odds = _draw_odds(model, found.draws, design, rng)
    away = number.log_factor(odds) - evaluate(factor, found.draws, rows)
    weights = found.weights * np.exp(np.minimum(away, 200.0))
    total = float(weights.sum())
    evidence = found.log_evidence + float(np.log(total))
    return Fit(model, found.draws, weights / total, number.draw(odds, rng), evidence)


def _draw_odds(
    model: Model, theta: np.ndarray, design: Design, rng: np.random.Generator
) -> np.ndarray:
    """Odds of being unseen among all people, one draw for each draw of the parameters.

    The shares of covariates among those seen are Dirichlet(people), the posterior under a prior
    that favours no class.
    """
    odds = np.empty(len(theta))
    size = len(design.people)
    for piece in np.array_split(np.arange(len(theta)), 1 + len(theta) * size // 10**6):
        share = rng.gamma(design.people, size=(len(piece), size))
        share /= share.sum(axis=1, keepdims=True)
        with np.errstate(all="ignore"):
            each = unseen_odds(model, theta[piece], design.classes)
        odds[piece] = (np.nan_to_num(each, nan=MOST_UNSEEN, posinf=MOST_UNSEEN) * share).sum(axis=1)
    return odds


def _log_posterior(
    model: Model, records: Records, covariance: np.ndarray, dispersion_sd: float
) -> Target:
    """Log likelihood and normalised log prior; omega is uniform, so its logit is logistic."""
    columns = len(covariance)
    precision = np.linalg.inv(covariance)
    constant = -0.5 * (np.linalg.slogdet(covariance)[1] + columns * np.log(2 * np.pi))
    likelihood = log_likelihood(model, records)

    def value(theta: np.ndarray) -> np.ndarray:
        beta = theta[:, :columns]
        total = likelihood(theta) + constant - 0.5 * ((beta @ precision) * beta).sum(axis=1)
        if model.inflation:
            logit = theta[:, columns]
            total = total - logit - 2 * np.log1p(np.exp(-logit))
        if model.base == "negbin":
            scaled = theta[:, -1] / dispersion_sd
            total = total - 0.5 * scaled**2 - np.log(dispersion_sd * np.sqrt(2 * np.pi))
        return np.asarray(total)

    return value
