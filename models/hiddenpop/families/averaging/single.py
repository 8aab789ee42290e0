"""One log-linear model at a time by maximum likelihood, as the older programs report it.

Numbers are those of the R package Rcapture (Rivest & Baillargeon 2007, J Stat Softw 19(5);
Baillargeon & Rivest 2007): N = n + exp(u), its standard error with the variation of the unseen,
BIC with the log of the people observed, and the profile likelihood interval of the multinomial.
For comparison with published analyses; an interval that takes a chosen model for granted is too
short (docs/methods/recapture.md), and `averaging.bic.posterior` averages instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from hiddenpop.families.averaging.cells import Cells, cells_of
from hiddenpop.families.maths import hierarchy
from hiddenpop.families.maths.existence import existence_code
from hiddenpop.families.maths.hierarchical_ml import prepare
from hiddenpop.families.maths.poisson_ml import (
    PoissonFit,
    Profile,
    fit_poisson,
    profile_of_total,
    total_log_likelihood,
)
from hiddenpop.inputs.overlap import OverlapTable

__all__ = [
    "HETEROGENEITY",
    "ModelFit",
    "capture_model",
    "chao_free",
    "fit_model",
    "mt_bias_corrected",
]

Z = 1.959963984540054
"""Normal quantile of 0.975."""

type Fitter = Callable[[np.ndarray, np.ndarray], PoissonFit]
"""Fits a model to columns, shape (cell, column), and counts."""

HETEROGENEITY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Poisson": lambda k: 2.0**k - 1,
    "Darroch": lambda k: k**2 / 2,
    "Gamma": lambda k: -np.log(3.5 + k) + np.log(3.5),
}
"""Columns for people who differ in how visible they are, of the number of lists k."""


@dataclass(frozen=True, eq=False)
class ModelFit:
    """A single model's estimate. Where `code` is not 0, the rest means nothing.

    Attributes
    ----------
    name
        Generators in brackets, or the name of a capture model.
    observed
        People seen, n.
    N
        n + exp(intercept).
    se
        Standard error of N: sqrt(n_0 + n_0^2 var(intercept)).
    se_log
        Standard error of the intercept, the log of the unseen.
    log_likelihood
        Poisson, with the factorials of the counts.
    deviance, df
        From the saturated model; cells less parameters.
    parameters
        Coefficients, those at minus infinity too.
    code
        0: estimate; 1: no maximum; 2: not identifiable; 3: both.
    empty
        Overlaps of the model that nobody was in, their coefficients at minus infinity.
    coefficients
        Corner coding, by term: "1" the intercept, "LA", "LA:NG".
    """

    name: str
    observed: float
    N: float
    se: float
    se_log: float
    log_likelihood: float
    deviance: float
    df: int
    parameters: int
    code: int
    empty: tuple[str, ...]
    coefficients: dict[str, float]
    _profile: Callable[[bool, float], Profile]

    @property
    def aic(self) -> float:
        """-2 log likelihood + 2 parameters."""
        return 2 * self.parameters - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """-2 log likelihood + parameters x log of the people observed."""
        return float(self.parameters * np.log(self.observed) - 2 * self.log_likelihood)

    @property
    def wald(self) -> tuple[float, float]:
        """Ends of n + n_0 exp(-+ 1.96 se_log), as the R package SparseMSE has it."""
        unseen, factor = self.N - self.observed, np.exp(Z * self.se_log)
        return self.observed + unseen / factor, self.observed + unseen * float(factor)

    def profile(self, *, stirling: bool = False, drop: float = 3.841458820694124) -> Profile:
        """Maximum of the multinomial likelihood of N, and its interval by profile likelihood.

        Parameters
        ----------
        stirling
            Use Rcapture's approximation of log factorials.
        drop
            Quantile of chi-squared with one degree of freedom; the default is for 95 %.
        """
        return self._profile(stirling, drop)


def fit_model(table: OverlapTable, model: str | Sequence[str]) -> ModelFit:
    """Fit one hierarchical model; overlaps that nobody was in go to minus infinity.

    Parameters
    ----------
    table
        Strata are added up.
    model
        Generators, "[LA NG][GO]" or ["LA:NG", "GO"]; main effects are in every model.

    Raises
    ------
    ValueError
        If a name is not a list, the model has the term of all lists, or a count is unknown.
    """
    text = model if isinstance(model, str) else "".join(
        "[" + term.replace(":", " ") + "]" for term in model
    )  # fmt: skip
    cells = cells_of(table)
    masks = hierarchy.parse_generators(text, cells.given)
    if max(mask.bit_count() for mask in masks) == len(cells.given) > 1:
        raise ValueError("no table can estimate the interaction of all lists: leave it out")
    return _fit_masks(cells, hierarchy.closure(cells.hidden(masks)))


def _fit_masks(cells: Cells, masks: Sequence[int]) -> ModelFit:
    every = np.ones((1, len(masks)), dtype=bool)
    batch = prepare(cells.counts, cells.possible, np.array(masks), every)
    code = int(existence_code(batch)[0])
    names = ["1", *cells.names(masks)]
    empty = tuple(name for name, kept in zip(names, batch.terms[0], strict=True) if not kept)
    free = [name for name, kept in zip(names, batch.terms[0], strict=True) if kept]
    rows = np.flatnonzero(batch.cells[0])
    X = hierarchy.hold(rows, batch.masks[batch.terms[0]]).astype(float)
    return _model_fit(
        hierarchy.model_name(cells.shown(masks).tolist(), cells.given), X, cells.counts[rows], free,
        fit=None if code else fit_poisson, cells=int(cells.possible.sum()),
        parameters=len(names), code=code, empty=empty,
    )  # fmt: skip


def _model_fit(
    name: str,
    X: np.ndarray,
    counts: np.ndarray,
    free: Sequence[str],
    *,
    fit: Fitter | None,
    cells: int,
    parameters: int | None = None,
    code: int = 0,
    empty: tuple[str, ...] = (),
) -> ModelFit:
    """Put a fit's numbers together; without `fit` there is no estimate."""
    observed = float(counts.sum())
    if fit is None:
        lost = float("nan")

        def nothing(stirling: bool, drop: float) -> Profile:  # noqa: ARG001
            return Profile(lost, lost, lost)

        return ModelFit(
            name, observed, lost, lost, lost, lost, lost, cells - int(parameters or 0),
            int(parameters or 0), code, empty, {}, nothing,
        )  # fmt: skip
    found = fit(X, counts)
    used = np.diag(found.covariance) > 0
    unseen, variance = float(np.exp(found.coefficients[0])), float(found.covariance[0, 0])
    count = int(used.sum()) if parameters is None else parameters

    def profile(stirling: bool, drop: float) -> Profile:
        return profile_of_total(
            lambda N: total_log_likelihood(N, X, counts, fit=fit, stirling=stirling),
            observed, observed + unseen, drop=drop,
        )  # fmt: skip

    return ModelFit(
        name, observed, observed + unseen, float(np.sqrt(unseen + unseen**2 * variance)),
        float(np.sqrt(variance)), found.log_likelihood, found.deviance, cells - count, count,
        code, empty, dict(zip(free, found.coefficients.tolist(), strict=True)), profile,
    )  # fmt: skip


def capture_model(table: OverlapTable, model: str, heterogeneity: str | None = None) -> ModelFit:
    """One of the models of closed populations without order in time.

    Parameters
    ----------
    model
        `M0`: lists are alike; `Mt`: they differ; `Mh`, `Mth`: people differ too.
    heterogeneity
        For `Mh` and `Mth`: `Chao` (a lower bound), `Poisson`, `Darroch` or `Gamma`.

    Raises
    ------
    ValueError
        If there is no such model, or a combination was impossible.
    """
    cells = cells_of(table)
    if not cells.possible[1:].all():
        raise ValueError("these models need all combinations of lists to have been possible")
    codes = np.arange(1, len(cells.counts))
    seen = hierarchy.hold(codes, 1 << np.arange(len(cells.place))).astype(float)
    times = seen.sum(axis=1)
    if model not in ("M0", "Mt", "Mh", "Mth") or (model in ("Mh", "Mth")) != bool(heterogeneity):
        raise ValueError("the model is M0, Mt, or Mh or Mth with a kind of heterogeneity")
    base = seen if "t" in model else times[:, None]
    names = ["1", *(cells.lists if "t" in model else ["lists"])]
    X = np.column_stack([np.ones(len(codes)), base])
    fit: Fitter = fit_poisson
    if heterogeneity == "Chao":
        # eta_3, ..., eta_L of Rivest & Baillargeon 2007 (Biometrics 63:999), none below 0.
        steps = np.arange(3, len(cells.place) + 1)
        X = np.column_stack([X, np.maximum(times[:, None] - steps + 1, 0)])
        fit, names = chao_free(len(names)), [*names, *(f"eta{k}" for k in steps)]
    elif heterogeneity:
        if heterogeneity not in HETEROGENEITY:
            raise ValueError(f"heterogeneity is Chao, {', '.join(HETEROGENEITY)}")
        X = np.column_stack([X, HETEROGENEITY[heterogeneity](times)])
        names.append(heterogeneity)
    title = f"{model} {heterogeneity}" if heterogeneity else model
    return _model_fit(title, X, cells.counts[1:], names, fit=fit, cells=len(codes))


def chao_free(fixed: int) -> Fitter:
    """A fit whose columns after the first `fixed` have coefficients of at least 0.

    The first negative one is set to 0 and the rest fitted again until none is left, as Rcapture
    does; its row and column of the covariance are 0.
    """

    def fit(X: np.ndarray, counts: np.ndarray) -> PoissonFit:
        used = np.arange(X.shape[1])
        while True:
            found = fit_poisson(X[:, used], counts)
            negative = np.flatnonzero(found.coefficients[fixed:] < 0)
            if not len(negative):
                break
            used = np.delete(used, fixed + negative[0])
        beta, covariance = np.zeros(X.shape[1]), np.zeros((X.shape[1], X.shape[1]))
        beta[used] = found.coefficients
        covariance[np.ix_(used, used)] = found.covariance
        return found._replace(coefficients=beta, covariance=covariance)

    return fit


def mt_bias_corrected(table: OverlapTable) -> tuple[float, float]:
    """N and its standard error under independent lists, corrected for bias.

    Three lists or more: (t + 2)/2t is added to each list total and t/2 to the people seen, and
    Darroch's equation prod(1 - n_j/N) = 1 - n/N is solved (Seber 1982, pages 131 and 133;
    Rivest & Lévesque 2001, Canadian J Stat 29:555). Two lists: Chapman's estimate (page 60).
    """
    cells = cells_of(table)
    lists = len(cells.place)
    hold = hierarchy.hold(np.arange(len(cells.counts)), 1 << np.arange(lists))
    totals, seen = cells.counts @ hold, cells.observed
    if lists == 2:
        both = totals.sum() - seen
        N = (totals + 1).prod() / (both + 1) - 1
        spread = (totals + 1).prod() * (totals - both).prod() / ((both + 2) * (both + 1) ** 2)
        return float(N), float(np.sqrt(spread))
    totals, seen = totals + (lists + 2) / (2 * lists), seen + lists / 2

    def darroch(unseen: float) -> float:
        N = seen + unseen
        return float(np.log1p(-totals / N).sum() - np.log(unseen / N))

    unseen = brentq(darroch, 1e-9, 1e6 * seen, xtol=1e-12, rtol=1e-14)
    N = seen + unseen
    precision = 1 / unseen + (lists - 1) / N - (1 / (N - totals)).sum()
    return float(N - lists / 2), float(1 / np.sqrt(precision))
