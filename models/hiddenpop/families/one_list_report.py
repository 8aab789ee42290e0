"""What the one-list family shows beside its posterior: its models, its fit, and its notes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hiddenpop.families.maths.repeat_estimates import BOUNDS, Estimate, bound, chao, estimate
from hiddenpop.families.maths.truncated_counts import MODELS, Model, log_probability
from hiddenpop.families.repeat_design import Design
from hiddenpop.inputs.repeats import RepeatTable

if TYPE_CHECKING:
    from hiddenpop.families.one_list import Fit

__all__ = ["expected_frequencies", "fitted_rows", "likelihood_estimates", "model_rows", "notes"]

REPLICATES = 400
"""Draws of the parameters over which expected frequencies are averaged."""

NOTABLE = 3.0
"""Ratio of probabilities that is worth a sentence (Kass & Raftery 1995, section 3.2)."""


def likelihood_estimates(design: Design) -> dict[str, Estimate]:
    """Every model and bound whose maximum-likelihood estimate exists, by name."""
    found = {}
    for name in (*MODELS, *BOUNDS):
        try:
            found[name] = (
                bound(name, design.records)
                if name in BOUNDS
                else estimate(MODELS[name], design.records)
            )
        except ArithmeticError:
            continue
    return found


def _record(made: Estimate, name: str, design: Design) -> dict[str, Any]:
    """An estimate in plain numbers, coefficients by the names of the raw design."""
    columns = len(design.names)
    coefficients = dict(zip(design.names, design.back @ made.theta[:columns], strict=True))
    extra = made.theta[columns:]
    if name in MODELS and MODELS[name].inflation:
        coefficients["logit omega"] = extra[0]
    if name in MODELS and MODELS[name].base == "negbin":
        coefficients["log alpha"] = extra[-1]
    return {
        "N": made.size, "variance": made.variance, "normal": made.normal(),
        "log_normal": made.log_normal(), "log_likelihood": made.log_likelihood,
        "aic": made.aic, "bic": made.bic,
        "coefficients": {key: float(value) for key, value in coefficients.items()},
    }  # fmt: skip


def model_rows(
    fits: Sequence[Fit], weights: np.ndarray, averaged: Sequence[bool], design: Design
) -> xr.Dataset:
    """One row per model, then one per lower bound.

    `kind` is `averaged`, `shown` (weight 0 because it was not asked for) or `bound` (a lower
    bound by maximum likelihood: `median` holds the estimate, `low` and `high` its log-normal
    interval, and there is no mean). The attribute `maximum_likelihood` holds the estimates, as
    JSON, of all that exist.
    """
    observed = float(design.records.people.sum())
    rows: dict[str, tuple[float, float, float, float, float, float, str]] = {}
    for fit, weight, used in zip(fits, weights, averaged, strict=True):
        unseen = fit.distribution
        low, median, high = observed + unseen.quantile(np.array([0.025, 0.5, 0.975]))
        kind = "averaged" if used else "shown"
        rows[fit.model.name] = (
            float(weight), median, observed + unseen.mean, low, high, fit.log_evidence, kind,
        )  # fmt: skip
    found = likelihood_estimates(design)
    for name in BOUNDS:
        if made := found.get(name):
            low, high = made.log_normal()
            rows[name] = (0.0, made.size, np.nan, low, high, np.nan, "bound")
    columns = ("weight", "median", "mean", "low", "high", "log_evidence", "kind")
    by_column = dict(zip(columns, zip(*rows.values(), strict=True), strict=True))
    models = xr.Dataset(
        {name: ("model", np.array(values)) for name, values in by_column.items()},
        coords={"model": list(rows)},
    )
    models.attrs["maximum_likelihood"] = json.dumps(
        {name: _record(made, name, design) for name, made in found.items()}
    )
    return models


def expected_frequencies(model: Model, theta: np.ndarray, design: Design, most: int) -> np.ndarray:
    """People seen 1, 2, ..., `most` times that a model expects, shape (draw, most)."""
    times = np.tile(np.arange(1, most + 1), len(design.people))
    rows = np.repeat(design.classes, most, axis=0)
    chances = np.exp(log_probability(model, theta, rows, times))
    by_class = chances.reshape(len(theta), -1, most)
    return np.asarray(np.einsum("dck,c->dk", by_class, design.people))


def fitted_rows(
    frequencies: np.ndarray,
    fits: Sequence[Fit],
    weights: np.ndarray,
    design: Design,
    rng: np.random.Generator,
) -> xr.Dataset:
    """Observed people by times seen, and those the averaged posterior expects.

    The last row are people seen more often than anybody was.
    """
    most = len(frequencies) - 1
    mean = np.zeros(most)
    for fit, weight in zip(fits, weights, strict=True):
        if weight > 0:
            picked = rng.choice(len(fit.weights), size=REPLICATES, p=fit.weights)
            expected = expected_frequencies(fit.model, fit.draws[picked], design, most)
            mean += weight * expected.mean(axis=0)
    labels = [*map(str, range(1, most + 1)), f"{most + 1}+"]
    return xr.Dataset(
        {
            "observed": ("history", np.append(frequencies[1:], 0.0)),
            "expected": ("history", np.append(mean, frequencies.sum() - mean.sum())),
        },
        coords={"history": labels},
    )


def notes(
    data: RepeatTable, fits: Sequence[Fit], models: xr.Dataset, averaged: Sequence[bool]
) -> list[str]:
    """Sentences that a reader of the number must see."""
    sizes = dict(zip(models["model"].to_numpy(), models["median"].to_numpy(), strict=True))
    used = {fit.model.name for fit, mine in zip(fits, averaged, strict=True) if mine}
    exists = set(json.loads(models.attrs["maximum_likelihood"]))
    return [
        _spread(fits, sizes),
        _heterogeneity(sizes),
        _inflation(fits, used, sizes),
        *_dispersion(fits, used, sizes, exists=("ztnegbin" in exists)),
        _lower_bound(data, sizes),
    ]


def _spread(fits: Sequence[Fit], sizes: dict[str, float]) -> str:
    """How far apart distributions are that were fitted to the same people."""
    known = {fit.model.name: sizes[fit.model.name] for fit in fits}
    least, most = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return (
        f"Medians of N run from {known[least]:,.0f} ({least}) to {known[most]:,.0f} ({most}): "
        "the distributions differ in what they say about people seen 0 times, whom nobody counted."
    )


def _heterogeneity(sizes: dict[str, float]) -> str:
    """Poisson against geometric, which lets rates differ."""
    return (
        "Where people differ in how often they are seen by more than the covariates say, the "
        f"Poisson number ({sizes['ztpoisson']:,.0f}) is a lower bound; with rates that vary as an "
        f"exponential distribution N is {sizes['ztgeom']:,.0f}."
    )


def _best(fits: Sequence[Fit]) -> Fit:
    """The most probable model."""
    return max(fits, key=lambda fit: fit.log_evidence)


def _ratio(one: Fit, other: Fit) -> float:
    """How many times as probable the table is under one model as under another."""
    return float(np.exp(np.clip(one.log_evidence - other.log_evidence, -30, 30)))


def _inflation(fits: Sequence[Fit], used: set[str], sizes: dict[str, float]) -> str:
    """Whether people who can be seen once only would explain the table better."""
    plain = _best([fit for fit in fits if not fit.model.inflation and fit.model.name in used])
    inflated = _best([fit for fit in fits if fit.model.inflation])
    ratio = _ratio(inflated, plain)
    if ratio >= NOTABLE:
        how = (
            "It is part of the average."
            if inflated.model.name in used
            else "It is not part of the average."
        )
        return (
            f"There are more people seen once than {plain.model.name} expects. If some can be "
            f"seen once only ({inflated.model.name}), the table is {ratio:,.0f} times as probable "
            f"and N is {sizes[inflated.model.name]:,.0f} in place of "
            f"{sizes[plain.model.name]:,.0f}. {how}"
        )
    return (
        "Whether some people can be seen once only the table does not show "
        f"({inflated.model.name} against {plain.model.name}: {ratio:.2g} times as probable); if "
        f"so, N is {sizes[inflated.model.name]:,.0f} in place of {sizes[plain.model.name]:,.0f}."
    )


def _dispersion(
    fits: Sequence[Fit], used: set[str], sizes: dict[str, float], *, exists: bool
) -> list[str]:
    """Whether the table says how much rates vary, or only the prior of the negative binomial."""
    negbin = next(fit for fit in fits if fit.model.name == "ztnegbin")
    rest = _best([fit for fit in fits if not fit.model.inflation and fit is not negbin])
    said = []
    if (ratio := _ratio(negbin, rest)) >= NOTABLE and "ztnegbin" not in used:
        said.append(
            f"The negative binomial, which is not part of the average, makes the table "
            f"{ratio:,.0f} times as probable as {rest.model.name}; its N is "
            f"{sizes['ztnegbin']:,.0f}."
        )
    if not exists and ("ztnegbin" in used or said):
        said.append(
            "The negative binomial's likelihood has no maximum: it rises as ever more people are "
            f"hardly ever seen. Its N ({sizes['ztnegbin']:,.0f}) comes from the prior of alpha."
        )
    return said


def _lower_bound(data: RepeatTable, sizes: dict[str, float]) -> str:
    """Chao's bounds."""
    once, twice = (float(data.count[data.times == k].sum()) for k in (1, 2))
    without = data.observed + chao(once, twice)
    text = f"Chao's lower bound for N, whatever the rates, is {without:,.0f} without covariates"
    if "chao" in sizes and data.covariates.shape[1]:
        text += f" and {sizes['chao']:,.0f} with them"
    return f"{text}; it holds only if everybody could be seen again."
