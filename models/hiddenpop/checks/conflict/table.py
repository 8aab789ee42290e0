"""Conflict between sources: what everything else says that a row of evidence should report.

Each row in use is left out in turn (the model is compiled once), which gives the predictive
distribution of its report, its source's bias and its own error included. The conflict p-value is
2 min(P(predicted < reported), P(predicted > reported)), ties counting half: the cross-validatory
mixed predictive p-value of Marshall & Spiegelhalter 2007 (Bayesian Analysis 2:409). It is uniform
where the model holds, as the report had no part in its own prediction. A table of overlapping
lists is compared by its own N instead (node-splitting: Presanis et al. 2013, Stat Sci 28:376).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import arviz as az
import numpy as np
import pandas as pd

from hiddenpop.checks.conflict.predictive import BOUNDS, Tails, predictive_draws, reported, tails
from hiddenpop.checks.monte_carlo import mean_density
from hiddenpop.checks.row_by_row import OnRow, RowByRow
from hiddenpop.estimate import Estimate, build
from hiddenpop.families import FAMILIES
from hiddenpop.inference import Sampler
from hiddenpop.inputs.components import Component
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table

__all__ = [
    "COMPONENT",
    "conflict_table",
    "leave_out",
    "row_conflict",
    "source_table",
]

SHORT = Sampling(draws=1000, tune=800)
"""Of a fit without a row, if that passes its gates; the main fit's full length otherwise."""

COMPONENT = "overlap table"
"""Kind of a component, beside the kinds of rows."""

ROW_COLUMNS = (
    "id", "source", "kind", "reported", "expected", "expected_low", "expected_high", "ratio",
    "ratio_low", "ratio_high", "p", "p_error", "p_holm", "passed", "elpd", "elpd_error",
    "headline_ratio",
)  # fmt: skip
SOURCE_COLUMNS = (
    "source", "rows", "ratio", "ratio_low", "ratio_high", "p", "p_holm", "passed",
    "headline_ratio",
)  # fmt: skip


def conflict_table(
    estimate: Estimate,
    on_step: Callable[[str], None] | None = None,
    *,
    seed: int | None = None,
    level: float = 0.95,
    done: pd.DataFrame | None = None,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Hold each row of evidence and component in use against the fit without it.

    Parameters
    ----------
    on_step
        Called with the id of each row before its turn.
    seed
        Instead of the estimate's own. A row's numbers depend on it and on the row alone, so that
        a run that was stopped ends as one that was not.
    done
        Rows of an earlier run: they are not looked at again.
    on_row
        Called with all rows so far after each one.

    Returns
    -------
    pandas.DataFrame
        One row for each, in the study's order: `id`, `source`, `kind`; `reported` (people, events
        or pounds; a share for proportions; N of its own for a component) and what everything else
        says it should be (`expected`, its predictive median, and the ends of the interval);
        `ratio`, reported over predicted, with its interval, which holds 1 just when p is above 1 -
        level; `p` (of a bound: the probability that it holds) with its Monte Carlo standard error,
        and `p_holm`; `passed`, whether the fit passed its gates; `elpd`, the log predictive density
        of the row, with its Monte Carlo standard error (nan for a component); `headline_ratio`,
        the headline with the row over that without it: above 1 where the row pulls it up.
    """
    walk = RowByRow("id", ROW_COLUMNS, _counted(estimate), done, on_row)
    estimate = _compiled(estimate)
    for name in walk.left():
        if on_step:
            on_step(name)
        chosen = estimate.sampling.seed if seed is None else seed
        without = leave_out(estimate, [name], seed=chosen)
        found = row_conflict(without, name, seed=chosen, level=level)
        walk.add(found | _density(without, name) | _pull(estimate, without))
    return walk.frame


def source_table(
    estimate: Estimate,
    on_step: Callable[[str], None] | None = None,
    *,
    rows: pd.DataFrame | None = None,
    seed: int | None = None,
    level: float = 0.95,
    done: pd.DataFrame | None = None,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Leave out each source with all its rows and components, which share its bias.

    Rows of one source vouch for each other: what they have wrong together only shows when all are
    left out, and its bias is that of its prior.

    Parameters
    ----------
    rows
        Of `conflict_table`: a source with one row is not fitted a second time.
    on_step, seed, level, done, on_row
        As there.

    Returns
    -------
    pandas.DataFrame
        One row for each source: `source`, `rows` (left out); `ratio`, reported over predicted, of
        several rows the geometric mean (weights: inverse variances of their own errors; bounds and
        components have no part in it), with its interval, `p` and `p_holm` (nan where none has a
        part); `passed` and `headline_ratio` as in `conflict_table`.
    """
    data = estimate.data.data
    of = dict(zip(data.ids, data.targets["source"], strict=True))
    members: dict[str, list[str]] = {}
    for name in _counted(estimate):
        members.setdefault(of[name], []).append(name)
    known = {} if rows is None else {str(row["id"]): row for _, row in rows.iterrows()}
    walk = RowByRow("source", SOURCE_COLUMNS, list(members), done, on_row)
    estimate = _compiled(estimate)
    for source in walk.left():
        if on_step:
            on_step(source)
        chosen = estimate.sampling.seed if seed is None else seed
        names = members[source]
        if len(names) == 1 and names[0] in known:
            found = dict(known[names[0]])
        else:
            without = leave_out(estimate, names, seed=chosen)
            found = (
                row_conflict(without, names[0], seed=chosen, level=level)
                if len(names) == 1
                else _together(without, names, chosen, level)
            ) | _pull(estimate, without)
        walk.add(found | {"source": source, "rows": len(names)})
    return walk.frame


def _counted(estimate: Estimate) -> list[str]:
    """Rows of evidence and components in use."""
    data = estimate.data.data
    return [name for name, counts in zip(data.ids, data.counted, strict=True) if counts]


def _compiled(estimate: Estimate) -> Estimate:
    """The estimate with a sampler, which one read from a file does not have."""
    return replace(estimate, sampler=estimate.sampler or Sampler(build(estimate.data)))


def leave_out(
    estimate: Estimate, ids: Sequence[str], *, seed: int | None = None, short: Sampling = SHORT
) -> Estimate:
    """Fit without some rows or components; at full length where a short fit fails its gates.

    Parameters
    ----------
    estimate
        Of its own fit nothing is used but how it was sampled.
    seed
        Instead of the estimate's own.
    short
        Most draws and warm-up iterations of the short fit.
    """
    estimate = _compiled(estimate)
    kept = [name for name in _counted(estimate) if name not in ids]
    study = replace(estimate.data, data=estimate.data.data.including(kept))
    values = FAMILIES[estimate.family].module.values(study.data)
    full = estimate.sampling if seed is None else replace(estimate.sampling, seed=seed)
    less = replace(full, draws=min(short.draws, full.draws), tune=min(short.tune, full.tune))
    for sampling in dict.fromkeys((less, full)):
        tree = estimate.sampler.sample(values, sampling)  # type: ignore[union-attr]
        tree.attrs = dict(estimate.tree.attrs)
        fitted = Estimate(tree, study, estimate.family, estimate.sampler)
        if fitted.verdict.passed:
            break
    return fitted


def row_conflict(
    without: Estimate, row: str, *, seed: int = 1, level: float = 0.95
) -> dict[str, Any]:
    """Hold one row of evidence or component against a fit that did not use it.

    Returns
    -------
    The columns of `conflict_table` but `p_holm` and `headline_ratio`.
    """
    data = without.data.data
    rng = np.random.default_rng([seed, zlib.crc32(row.encode())])
    source = str(data.targets["source"].loc[row])
    components, passed = {one.id: one for one in data.components}, without.verdict.passed
    if row in components:
        kind, least, alone = COMPONENT, 0.0, _alone(components[row], rng)
        passed = passed and alone.verdict.passed
        value, drawn, ends = _component(without, components[row], alone.draws(), rng)
    else:
        kind = str(data.evidence.rows.loc[row, "kind"])
        number = reported(data, row)
        value, least = number.value, (number.high - number.low) / 2
        drawn, ends = predictive_draws(without, row, rng), tails(without, row)
    p, error = _p(kind, ends, without.tree["posterior"].sizes["chain"])
    low, middle, high = np.quantile(drawn, _ends(level))
    ratio = np.quantile(max(value, least) / np.maximum(drawn, least), _ends(level))
    return {
        "id": row, "source": source, "kind": kind, "reported": value,
        "expected": middle, "expected_low": low, "expected_high": high,
        "ratio": ratio[1], "ratio_low": ratio[0], "ratio_high": ratio[2],
        "p": p, "p_error": error, "passed": passed,
    }  # fmt: skip


def _ends(level: float) -> tuple[float, float, float]:
    return (1 - level) / 2, 0.5, (1 + level) / 2


def _p(kind: str, ends: Tails, chains: int) -> tuple[float, float]:
    """Conflict p-value and its Monte Carlo standard error."""
    if kind in BOUNDS:
        side, times = ends[BOUNDS.index(kind) == 0], 1.0
    else:
        side, times = min(ends, key=lambda one: float(one.mean())), 2.0
    error = float(az.mcse(side.reshape(chains, -1))) if np.ptp(side) > 0 else 0.0
    return min(times * float(side.mean()), 1.0), times * error


def _alone(one: Component, rng: np.random.Generator) -> SizeEstimate:
    """N from a table by itself, flat on its logarithm before, with the dependence of the study."""
    seed = int(rng.integers(2**31))
    for sampling in (SHORT, Sampling()):
        found = fit_table(
            one.table, "loglinear", options=dict(one.dependence), check=False,
            sampling=replace(sampling, seed=seed),
        )  # fmt: skip
        if found.verdict.passed:
            break
    return found


def _component(
    without: Estimate, one: Component, alone: np.ndarray, rng: np.random.Generator
) -> tuple[float, np.ndarray, Tails]:
    """Median N of a table alone, N that everything else implies with the table's error, tails."""
    own, middle = np.sort(alone), float(np.median(alone))
    implied = without.draws("without_bias", evidence=one.id)
    implied = implied * without.draws("bias", source=one.source)
    smaller = (np.searchsorted(own, implied) + np.searchsorted(own, implied, "right")) / 2
    share = smaller / len(own)
    return middle, implied * middle / rng.choice(own, len(implied)), Tails(1 - share, share)


def _pull(estimate: Estimate, without: Estimate) -> dict[str, float]:
    """The headline over the same without what was left out."""
    shown = estimate.data.report
    both = [np.median(fit.draws("users", area=shown.areas[0], union=shown.headline))
            for fit in (estimate, without)]  # fmt: skip
    return {"headline_ratio": float(both[0] / both[1])}


def _density(without: Estimate, row: str) -> dict[str, float]:
    """Log predictive density of a row of evidence, for `checks.comparison.leave_one_out`."""
    if row not in without.data.data.evidence.ids:
        return {"elpd": np.nan, "elpd_error": np.nan}
    chains = without.tree["posterior"].sizes["chain"]
    elpd, error = mean_density(without.draws("pointwise", evidence=row), chains)
    return {"elpd": elpd, "elpd_error": error}


def _together(without: Estimate, ids: Sequence[str], seed: int, level: float) -> dict[str, Any]:
    """Rows of one source at once: its bias is the same factor in all of a draw's predictions."""
    rows = without.data.data.evidence.rows
    ids = [name for name in ids if name in rows.index and rows.loc[name, "kind"] not in BOUNDS]
    if not ids:
        return {"passed": without.verdict.passed}
    gaps, weights = [], []
    for name in ids:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        number = reported(without.data.data, name)
        least = (number.high - number.low) / 2
        drawn = np.log(np.maximum(predictive_draws(without, name, rng), least))
        implied = without.draws("without_bias", evidence=name)
        implied = implied * without.draws("bias", source=str(rows.loc[name, "source"]))
        gaps.append(np.log(max(number.value, least)) - drawn)
        weights.append(1 / np.var(drawn - np.log(implied)))
    mean = np.average(gaps, axis=0, weights=weights)
    # A mean over rows with ties hardly has any itself; draws cannot show a p of 0.
    more = (np.sum(mean > 0) + np.sum(mean == 0) / 2) / len(mean)
    p = max(2 * min(more, 1 - more), 1 / len(mean))
    low, middle, high = np.exp(np.quantile(mean, _ends(level)))
    found = {"ratio": middle, "ratio_low": low, "ratio_high": high, "p": float(p)}
    return found | {"passed": without.verdict.passed}
