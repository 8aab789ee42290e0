"""The numbers behind the figures, as data frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from hiddenpop.checks.influence import MAIN
from hiddenpop.estimate import Estimate, Summary, summarise
from hiddenpop.families import FAMILIES
from hiddenpop.families.synthesis_evidence import log_errors
from hiddenpop.inference import Sampler
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import z_score

__all__ = [
    "BOUNDS",
    "biases_table",
    "evidence_table",
    "prevalence_table",
    "prior_draws",
    "prior_posterior_table",
    "variants_table",
]

BOUNDS = ("lower", "upper")
"""Kinds of evidence whose number is not itself an estimate."""

PRIOR_DRAWS = 1000


def prevalence_table(estimate: Estimate, level: float = 0.95) -> pd.DataFrame:
    """Users per 1,000 residents at the target ages: median, `low` to `high`, inner half.

    One row for each reported group and area.
    """
    report, rows = estimate.data.report, []
    for group in report.groups:
        for area in report.areas:
            draws = 1000 * estimate.draws("prevalence", area=area, union=group)
            inner = np.quantile(draws, [0.25, 0.75])
            rows.append(
                {"group": group, "area": area, "inner_low": inner[0], "inner_high": inner[1]}
                | summarise(draws, level)._asdict()
            )
    return pd.DataFrame(rows)


def prior_draws(estimate: Estimate, draws: int = PRIOR_DRAWS) -> xr.Dataset:
    """Draws of all variables from the prior, by the estimate's own seed."""
    module = FAMILIES[estimate.family].module
    sampler = estimate.sampler or Sampler(estimate.model)
    return sampler.prior(module.values(estimate.data.data), draws, estimate.sampling.seed)


def prior_posterior_table(
    estimate: Estimate, prior: xr.Dataset | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Prior and posterior of the reported prevalences per 1,000 residents.

    `narrowing` is the width of the prior interval over that of the posterior one, both
    on the log scale: 1 where the evidence taught nothing.
    """
    prior = prior_draws(estimate) if prior is None else prior
    rows = []
    for group in estimate.data.report.groups:
        for area in estimate.data.report.areas:
            before = summarise(
                1000 * prior["prevalence"].sel(area=area, union=group).to_numpy(), level
            )
            after = estimate.prevalence(area, group, level)
            rows.append(
                {"group": group, "area": area}
                | {f"prior_{key}": x for key, x in before._asdict().items()}
                | after._asdict()
                | {"narrowing": _log_width(before) / _log_width(after)}
            )
    return pd.DataFrame(rows)


def _log_width(ends: Summary) -> float:
    return float(np.log(ends.high / ends.low))


def evidence_table(estimate: Estimate, level: float = 0.95) -> pd.DataFrame:
    """Every row of evidence that the model knows, against what it says the row should be.

    Columns beside those of the row itself:

    used
        Whether it counted in this fit.
    reported, reported_low, reported_high
        What the source says (a share for proportions), with the row's own error at
        `level`: as stated, or from the counts and the over-dispersion that was found.
    model, model_low, model_high
        What an unbiased source would report (posterior).
    biased, biased_low, biased_high
        The same times the source's bias: what this source is expected to report.
    ratio
        `reported` over `model`; on a log scale, 0 where they agree.
    z
        log(reported / biased) in standard deviations of both errors; nan where a bound holds.
    """
    data = estimate.data.data
    rows = data.evidence.rows[["id", "area", "group", "of", "period", "ages", "kind", "source"]]
    frame = rows.reset_index(drop=True).assign(used=data.included.astype(bool))
    centre, below, above = _reported(estimate)
    z = z_score(level)
    frame = frame.assign(
        reported=np.exp(centre),
        reported_low=np.exp(centre - z * below),
        reported_high=np.exp(centre + z * above),
    )
    pure = np.log(_draws(estimate, "without_bias", "evidence", data.evidence.ids))
    bias = np.log(_draws(estimate, "bias", "source", tuple(frame["source"])))
    for name, draws in (("model", pure), ("biased", pure + bias)):
        low, median, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
        frame = frame.assign(
            **{name: np.exp(median), f"{name}_low": np.exp(low), f"{name}_high": np.exp(high)}
        )
    gap = centre - np.log(frame["biased"].to_numpy())
    spread = np.hypot((pure + bias).std(0), np.where(gap > 0, below, above))
    # A bound that holds says nothing about how far away the truth is.
    kind = frame["kind"].to_numpy()
    holds = ((kind == "upper") & (gap >= 0)) | ((kind == "lower") & (gap <= 0))
    return frame.assign(
        ratio=frame["reported"] / frame["model"], z=np.where(holds, np.nan, gap / spread)
    )


def _draws(estimate: Estimate, variable: str, dim: str, names: tuple[str, ...]) -> np.ndarray:
    """Draws of a posterior variable at names in this order, (sample, name)."""
    chosen = estimate.tree["posterior"][variable].sel({dim: list(names)})
    return np.asarray(chosen.transpose("chain", "draw", dim).to_numpy().reshape(-1, len(names)))


def _reported(estimate: Estimate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log of the reported numbers and their own sds below and above, (evidence,)."""
    frame = estimate.data.data.evidence.rows
    kind = frame["kind"].to_numpy()
    centre, below, above = (np.zeros(len(frame)) for _ in range(3))
    measured = np.isin(kind, ("estimate", "range", "guess"))
    if measured.any():
        centre[measured], below[measured], above[measured] = log_errors(frame[measured])
    for at in np.flatnonzero(~measured):
        row = frame.iloc[at]
        if kind[at] == "proportion":
            centre[at], below[at], above[at] = _proportion(row)
        elif kind[at] == "benchmark":
            centre[at], below[at], above[at] = _benchmark(row)
        elif kind[at] in BOUNDS:
            centre[at] = np.log(row["value"])
            below[at] = above[at] = _softness(row, estimate)
        else:
            variance = row["design_effect"] / max(row["value"], 0.5) + _overdispersion(estimate)
            centre[at] = np.log(max(row["value"], 0.5))
            below[at] = above[at] = np.sqrt(variance)
    return centre, below, above


def _proportion(row: pd.Series[Any]) -> tuple[float, float, float]:
    """Log share and its sds, from the quantiles of the Betas at both ends of a bracket."""
    ends = (row["value"],) * 2 if not np.isnan(row["value"]) else (row["low"], row["high"])
    design, n = row["design_effect"], row["n"]
    low, high = (
        np.log(stats.beta.ppf(stats.norm.cdf(side), 1 + x / design, 1 + (n - x) / design))
        for x, side in zip(ends, (-1.0, 1.0), strict=True)
    )
    centre = np.log(max(sum(ends) / 2, 0.5) / n)
    return float(centre), float(max(centre - low, 1e-9)), float(max(high - centre, 1e-9))


def _benchmark(row: pd.Series[Any]) -> tuple[float, float, float]:
    """Log count and its sds, at most those of a Poisson count, from both ends of a range."""
    ends = (row["value"],) * 2 if not np.isnan(row["value"]) else (row["low"], row["high"])
    low, high = (max(x, 0.5) for x in ends)
    centre = np.log((low + high) / 2)
    return (
        float(centre),
        float(centre - np.log(low) + 1 / np.sqrt(low)),
        float(np.log(high) - centre + 1 / np.sqrt(high)),
    )


def _softness(row: pd.Series[Any], estimate: Estimate) -> float:
    if np.isnan(row["low"]):
        priors = FAMILIES[estimate.family].module.Priors(**estimate.data.priors)
        return float(priors.bound_softness)
    return float(np.log(row["high"] / row["low"]) / (2 * z_score(row["level"])))


def _overdispersion(estimate: Estimate) -> float:
    """Median squared over-dispersion of counts, 0 where the priors switch it off."""
    priors = FAMILIES[estimate.family].module.Priors(**estimate.data.priors)
    if priors.overdispersion == 0:
        return 0.0
    return float(np.median(estimate.draws("overdispersion"))) ** 2


def biases_table(estimate: Estimate, level: float = 0.95) -> pd.DataFrame:
    """Reported over true for each source with evidence: prior and posterior.

    `fixed` sources have no bias to learn; `rows` counts their rows in use.
    """
    data: SynthesisData = estimate.data.data
    z, sources, rows = z_score(level), data.targets["source"], []
    for i, name in enumerate(data.biases.names):
        if name not in set(sources):
            continue
        mu, sigma = float(data.biases.mu[i]), float(data.biases.sigma[i])
        rows.append(
            {
                "source": name,
                "scope": data.biases.table.set_index("name").loc[name, "scope"],
                "rows": int(((sources == name).to_numpy() & data.counted).sum()),
                "fixed": sigma == 0,
                "prior_low": np.exp(mu - z * sigma),
                "prior_median": np.exp(mu),
                "prior_high": np.exp(mu + z * sigma),
            }
            | summarise(estimate.draws("bias", source=name), level)._asdict()
        )
    return pd.DataFrame(rows)


def variants_table(
    frame: pd.DataFrame, group: str, quantity: str = "prevalence_per_1000"
) -> pd.DataFrame:
    """Rows of `checks.influence.vary` about one group and quantity.

    `ratio` is each median over that of the unchanged study.

    Raises
    ------
    KeyError
        If the frame has no such group or quantity.
    """
    chosen = frame[(frame["group"] == group) & (frame["quantity"] == quantity)]
    if chosen.empty:
        raise KeyError(f"no variant reports '{quantity}' of '{group}'")
    main = chosen[chosen["variant"] == MAIN].set_index("area")["median"]
    return chosen.assign(ratio=chosen["median"] / chosen["area"].map(main)).reset_index(drop=True)
