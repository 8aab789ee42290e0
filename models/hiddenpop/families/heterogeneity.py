"""People differ in how visible they are, on all lists alike (M_h, M_th; Rasch).

    logit P(person i on list j) = beta_j + sigma z_i

Five models: nobody differs (M_t); lists alike with normal or beta-distributed chances (M_h); own
lists with a normal visibility, or with a skewed one that has a long tail of people who are hard to
see (M_th). People are integrated out by quadrature, N in closed form, the few parameters by
importance sampling; the evidence weighs the models.

N leans on the mixing distribution, of which a table shows only its first L moments (Link 2003,
Biometrics 59:1123; Mao 2008): models that fit alike can differ by any factor. So every model's
own N is reported, and Chao's lower bound beside them, which assumes no distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.optimize import minimize
from scipy.special import betaln, log_expit, logsumexp

from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.families.maths.adaptive_importance import Sample, sample
from hiddenpop.families.maths.unseen_number import draw_unseen
from hiddenpop.families.maths.visibility import (
    Mixing,
    Seen,
    beta_binomial,
    chance,
    log_cells,
    log_likelihood,
    mixing,
)
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.words import listing, people

__all__ = ["MODELS", "Priors", "posterior", "refusal"]

MODELS = ("Mt", "Mh normal", "Mh beta", "Mth normal", "Mth skewed")

ASSUMPTION = (
    "People differ in one visibility that works on all lists alike, with a distribution of the "
    "stated kind; given it, lists are independent."
)

UNTOLD = "How visibility is distributed among people hardly seen cannot be read from the table."

MOST_SHOWN = 8
"""Lists of a table whose cells are compared with the model."""

LEAST_RHO = 1e-6
"""Correlations nearer 0 or 1 than this are no different from it, and log beta functions cancel."""

LEAST = 3
"""With two lists a table has three cells, too few for a spread of visibility."""


@dataclass(frozen=True)
class Priors:
    """Priors of the parameters, and the models to average.

    Attributes
    ----------
    models
        Which of Mt, Mh normal, Mh beta, Mth normal and Mth skewed; alike beforehand.
    sigma_scale
        Scale of the half-normal prior on the sd of visibility on the logit scale. At 1 a person
        one sd above the middle has 2.7 times the odds of one in the middle of being on a list.
    correlation_beta
        Mh beta: the intra-class correlation is Beta(1, this); at 4 its mean is 0.2, about that
        of an sd of 1 on the logit scale.
    size_prior
        Prior on N.
    """

    models: tuple[str, ...] = MODELS
    sigma_scale: float = 1.0
    correlation_beta: float = 4.0
    size_prior: SizePrior = field(default_factory=SizePrior)

    def __post_init__(self) -> None:
        unknown = [name for name in self.models if name not in MODELS]
        if unknown or not self.models:
            raise ValueError(f"models must be some of {', '.join(MODELS)}, not {unknown}")
        if not (0 < self.sigma_scale < np.inf and 0 < self.correlation_beta < np.inf):
            raise ValueError("sigma_scale and correlation_beta must be positive numbers")


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why these models cannot be fitted to this data."""
    if not isinstance(data, OverlapTable):
        return Refusal("heterogeneity-table")
    if len(data.lists) < LEAST:
        return Refusal("heterogeneity-lists", {"lists": len(data.lists), "least": LEAST})
    whole = data.total()
    if not whole.exact:
        return Refusal("heterogeneity-inexact")
    return _refused_counts(whole, priors)


def _refused_counts(whole: OverlapTable, priors: Priors) -> Refusal | None:
    """What the counts do not say."""
    empty = [name for name, n in zip(whole.lists, whole.list_totals, strict=True) if n == 0]
    if empty:
        return Refusal("heterogeneity-list-empty", {"names": ", ".join(empty)})
    if not (whole.low[whole.history.sum(axis=1) > 1] > 0).any():
        return Refusal("heterogeneity-no-overlap")
    if priors.size_prior.most < whole.observed:
        values = {"most": priors.size_prior.most, "observed": whole.observed}
        return Refusal("heterogeneity-prior-low", values)
    return None


class _Model(NamedTuple):
    """A model as importance sampling needs it.

    Attributes
    ----------
    density
        Log posterior density, up to a constant that is the same for all models, and p_0, of
        parameters on the whole real line, shape (draw, parameter).
    start
        Where to look for the mode.
    """

    density: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    start: np.ndarray


class _Drawn(NamedTuple):
    """Weighted draws of a model; the weights' sum is its evidence, on the log scale."""

    log_weight: np.ndarray
    unseen: np.ndarray
    parameters: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """Weights within the model, which sum to 1."""
        return np.asarray(np.exp(self.log_weight - logsumexp(self.log_weight)))


def posterior(data: OverlapTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """The posterior of N, averaged over models; see `families.exact` for its groups."""
    whole = data.total()
    # Lists in an order that follows from the counts: their order in the file changes nothing.
    table = whole.permuted(np.argsort(whole.list_totals, kind="stable"))
    seen = _sufficient(table)
    rng = np.random.default_rng(sampling.seed)
    drawn = {name: _draw(_model(name, seen, priors), seen, priors, rng) for name in priors.models}
    evidence = np.array([logsumexp(one.log_weight) for one in drawn.values()])
    share = dict(zip(drawn, np.exp(evidence - logsumexp(evidence)), strict=True))
    weight = np.concatenate([share[name] * one.weight for name, one in drawn.items()])
    unseen = np.concatenate([one.unseen for one in drawn.values()])
    bound = _chao(table)
    rows = _rows(drawn, share, seen, bound)
    return exact_tree(
        seen.people, Discrete.from_draws(unseen, weight), seed=sampling.seed,
        assumption=ASSUMPTION, notes=_notes(data, rows, bound), models=rows,
        fitted=_fitted(table, whole, drawn, share),
        attrs={"importance_ess": float(1 / (weight @ weight))},
    )  # fmt: skip


def _sufficient(table: OverlapTable) -> Seen:
    """List totals, and people by number of lists."""
    lists = table.history.sum(axis=1)
    return Seen(
        table.list_totals, np.bincount(lists, weights=table.low, minlength=len(table.lists) + 1)
    )


def _model(name: str, seen: Seen, priors: Priors) -> _Model:
    """Density and start of a model by its name."""
    share = seen.totals / (1.5 * seen.people)
    logits = np.log(share / (1 - np.minimum(share, 0.95)))
    middle = logits.mean(keepdims=True)
    if name == "Mt":
        return _Model(lambda theta: _rasch(theta, None, seen, priors, None), logits)
    if name == "Mh beta":
        return _Model(lambda theta: _beta(theta, seen, priors), np.append(middle, -2.0))
    kind = mixing("skewed" if name == "Mth skewed" else "normal")
    lists = len(seen.totals)
    if name == "Mh normal":
        alike = np.full(lists, seen.totals.mean())
        same = Seen(alike, seen.frequency)
        return _Model(
            lambda theta: _rasch(theta[:, :1], theta[:, 1], same, priors, kind),
            np.append(middle, -0.5),
        )
    return _Model(
        lambda theta: _rasch(theta[:, :-1], theta[:, -1], seen, priors, kind),
        np.append(logits, -0.5),
    )


def _rasch(
    beta: np.ndarray, log_sigma: np.ndarray | None, seen: Seen, priors: Priors,
    kind: Mixing | None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Log posterior of list effects (one for all, or one each) and the log sd of visibility.

    The prior of beta is logistic, so that the chance of a person in the middle is uniform.
    """
    prior = (log_expit(beta) + log_expit(-beta)).sum(axis=1)
    sigma = np.zeros(len(beta))
    if log_sigma is not None:
        sigma = np.exp(log_sigma)
        half_normal = np.log(2 / np.pi) / 2 - np.log(priors.sigma_scale)
        prior = prior + half_normal - 0.5 * (sigma / priors.sigma_scale) ** 2 + log_sigma
    every = np.broadcast_to(beta, (len(beta), len(seen.totals)))
    one = Mixing(np.zeros(1), np.zeros(1))
    value, unseen = log_likelihood(every, sigma, seen, kind or one)
    return value + prior, unseen


def _beta(theta: np.ndarray, seen: Seen, priors: Priors) -> tuple[np.ndarray, np.ndarray]:
    """Log posterior of Mh beta: logit of the mean chance (uniform) and of the correlation."""
    prior = (log_expit(theta) + log_expit(-theta)).sum(axis=1)
    shape = priors.correlation_beta
    prior = prior + np.log(shape) + (shape - 1) * log_expit(-theta[:, 1])
    mean, rho = chance(theta[:, 0]), np.clip(chance(theta[:, 1]), LEAST_RHO, 1 - LEAST_RHO)
    value, unseen = beta_binomial(mean, rho, seen)
    return value + prior, unseen


def _draw(model: _Model, seen: Seen, priors: Priors, rng: np.random.Generator) -> _Drawn:
    """Importance sampling of a model's parameters, and the unseen given them."""

    def target(theta: np.ndarray) -> np.ndarray:
        return model.density(theta)[0]

    def loss(theta: np.ndarray) -> float:
        value = float(target(theta[None, :])[0])
        return -value if np.isfinite(value) else 1e12

    found = minimize(loss, model.start, method="BFGS")
    information = _curvature(target, found.x)
    points: Sample = sample(target, [(found.x, information)], rng, rows=60 * len(seen.totals))
    missed = np.clip(model.density(points.draws)[1], 0.0, 1 - 1e-12)
    unseen = draw_unseen(seen.people, missed / (1 - missed), rng)
    size = seen.people + unseen
    # Another prior on N than 1/N: weights p(N) N.
    log_tilt = priors.size_prior.log_density(size) + np.log(size)
    with np.errstate(divide="ignore"):
        log_weight = np.log(points.weights) + points.log_evidence + log_tilt
    return _Drawn(log_weight, unseen, points.draws)


def _curvature(target: Callable[[np.ndarray], np.ndarray], mode: np.ndarray) -> np.ndarray:
    """Information at the mode by central differences, made positive definite."""
    size, step = len(mode), 1e-3
    steps = step * np.eye(size)
    corners = np.array(
        [mode + a * steps[i] + b * steps[j] for i in range(size) for j in range(size)
         for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    )  # fmt: skip
    values = target(corners).reshape(size, size, 4)
    hessian = (values[..., 0] - values[..., 1] - values[..., 2] + values[..., 3]) / (4 * step**2)
    vectors_of = np.linalg.eigh(-(hessian + hessian.T) / 2)
    kept = np.maximum(vectors_of.eigenvalues, 0.05)
    return np.asarray((vectors_of.eigenvectors * kept) @ vectors_of.eigenvectors.T)


def _rows(
    drawn: dict[str, _Drawn], share: dict[str, float], seen: Seen, bound: float
) -> xr.Dataset:
    """The models' weights and N, and Chao's bound, which is never averaged."""
    names, kinds, weights, sizes = [], [], [], []
    for name, one in drawn.items():
        mine = Discrete.from_draws(one.unseen, one.weight)
        low, median, high = mine.quantile(np.array([0.025, 0.5, 0.975])) + seen.people
        names.append(name)
        kinds.append("model")
        weights.append(share[name])
        sizes.append((median, mine.mean + seen.people, low, high))
    names.append("Chao's lower bound")
    kinds.append("bound")
    weights.append(0.0)
    sizes.append((bound, np.nan, np.nan, np.nan))
    columns = dict(zip(("median", "mean", "low", "high"), np.array(sizes).T, strict=True))
    return xr.Dataset(
        {"weight": ("model", np.array(weights)), "kind": ("model", kinds)}
        | {key: ("model", values) for key, values in columns.items()},
        coords={"model": names},
    )


def _chao(table: OverlapTable) -> float:
    """Lower bound on N for any distribution of visibility: n + (f_1^2 - sum z_j^2) / (2 f_2).

    z_j people were on list j alone. For lists j, k the Cauchy-Schwarz inequality gives
    mu_0 mu_jk >= mu_j mu_k in the Rasch model; its sum over all pairs is the bound. With equal
    z_j it is that of Chao 1987 (Biometrics 43:783), n + (L - 1)/L f_1^2 / (2 f_2), which is no
    bound where lists differ in size. f_2 + 1 makes it exist where nobody is on just two lists.
    """
    lists = table.history.sum(axis=1)
    alone = table.low[lists == 1] @ table.history[lists == 1]
    pairs = (alone.sum() ** 2 - (alone**2).sum()) / 2
    return float(table.observed + pairs / (table.low[lists == 2].sum() + 1))


def _notes(data: OverlapTable, rows: xr.Dataset, bound: float) -> list[str]:
    """What a reader must know."""
    weight = rows["weight"].to_numpy()
    heavy = [str(name) for name in rows["model"].to_numpy()[weight >= 0.05]]
    medians = rows["median"].to_numpy()[weight >= 0.05]
    between = f"between {people(medians.min())} and {people(medians.max())}"
    notes = [
        f"The models that carry weight ({listing(heavy)}) put N {between}. {UNTOLD}",
        f"Chao's lower bound, which assumes no distribution, is {people(bound)}.",
    ]
    if data.factors:
        notes.append(f"The {len(data.strata)} strata were added up; what differs between them "
                     "counts as differences between people.")  # fmt: skip
    return notes


def _fitted(
    table: OverlapTable, shown: OverlapTable, drawn: dict[str, _Drawn], share: dict[str, float]
) -> xr.Dataset | None:
    """Expected people in each cell, averaged over models; None where there are too many cells."""
    lists = len(table.lists)
    if lists > MOST_SHOWN:
        return None
    seen = _sufficient(table)
    codes = np.arange(1, 2**lists)
    history = ((codes[:, None] >> np.arange(lists)) & 1).astype(bool)
    expected = np.zeros(len(codes))
    for name, one in drawn.items():
        heavy = np.argsort(one.weight)[::-1][:400]
        inside = one.weight[heavy] / one.weight[heavy].sum()
        cells = _conditional(name, one.parameters[heavy], history, seen)
        expected += share[name] * seen.people * (inside @ cells)
    place = [table.lists.index(name) for name in shown.lists]
    labels = ["".join("1" if row[j] else "0" for j in place) for row in history]
    return xr.Dataset(
        {"observed": ("history", table.dense()[0, 1:]), "expected": ("history", expected)},
        coords={"history": labels},
    )


def _conditional(name: str, theta: np.ndarray, history: np.ndarray, seen: Seen) -> np.ndarray:
    """p_x / (1 - p_0) in each draw, shape (draw, history)."""
    lists, most = history.sum(axis=1), len(seen.totals)
    if name == "Mh beta":
        size = 1 / np.clip(chance(theta[:, 1]), LEAST_RHO, 1 - LEAST_RHO) - 1
        mean = chance(theta[:, 0])
        a, b = (mean * size)[:, None], ((1 - mean) * size)[:, None]
        k = np.arange(most + 1)
        value = betaln(a + k, b + most - k)[:, lists]
    else:
        sigma = np.zeros(len(theta)) if name == "Mt" else np.exp(theta[:, -1])
        beta = theta if name == "Mt" else theta[:, :-1]
        every = np.broadcast_to(beta, (len(theta), most))
        kind = mixing("skewed" if name == "Mth skewed" else "normal")
        value = every @ history.T + log_cells(every, sigma, kind)[:, lists]
    return np.asarray(np.exp(value - logsumexp(value, axis=1, keepdims=True)))
