"""What the multiplier family reports beside N: each benchmark by itself, and conflict."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.special import expit, logit

from hiddenpop.families.maths.benchmark_terms import is_share
from hiddenpop.families.multiplier_size import Evidence, SizePosterior
from hiddenpop.inputs.multipliers import Benchmark, Interval
from hiddenpop.priors import z_score

__all__ = ["benchmark_rows", "conflict", "plain"]

LEVEL = 0.95
ENDS = np.array([0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2])

Three = tuple[float, float, float]

NOTHING: Three = (np.nan, np.nan, np.nan)


def plain(row: Benchmark, residents: float = np.nan) -> Three:
    """Value / rate, and what the ends of the rate's 95 % (or stated) interval make of it.

    The published method: a survey's interval is p -+ 1.96 sqrt(D p (1 - p) / n), that of a rate
    from x events the Poisson one on the log scale; other errors are left out. nan where there is
    no rate, or none above 0.
    """
    value = (row.least + row.most) / 2
    if row.kind == "survey":
        share = value / row.sample if row.sample else np.nan
        ends = _wald(share, (row.sample or np.nan) / row.sample_effect)
        found = 1.0 if row.rate is None else _middle(row)[0]
        low, high = (end * residents / found for end in ends)
        return share * residents / found, max(low, 0.0), high
    if row.kind == "figure":
        middle = 1.0 if row.rate is None else _middle(row)[0]
        own = row.interval or Interval(np.nan, np.nan, LEVEL)
        return value / middle, own.low / middle, own.high / middle
    middle, low, high = _middle(row)
    if not middle > 0:
        return NOTHING
    return value / middle, value / high, value / low if low > 0 else np.inf


def _middle(row: Benchmark) -> Three:
    """Rate and its ends."""
    rate = row.rate
    if rate is None:
        return NOTHING
    if rate.x is not None and rate.n is not None:
        return _observed(rate.x, rate.n, rate.design_effect, share=is_share(row))
    values = dict(rate.quantiles)
    low, high = rate.quantiles[0][1], rate.quantiles[-1][1]
    # Without a median the middle on the scale of the fit.
    middle = float(expit(logit([low, high]).mean())) if is_share(row) else np.sqrt(low * high)
    return float(values.get(0.5, middle)), low, high


def _observed(x: float, n: float, effect: float, *, share: bool) -> Three:
    """Share or rate of a survey, and its ends; nan for none."""
    middle = x / n
    if not x > 0:
        return NOTHING
    if share:
        return middle, *_wald(middle, n / effect)
    times = float(np.exp(z_score(LEVEL) * np.sqrt(effect / x)))
    return middle, middle / times, middle * times


def _wald(share: float, size: float) -> tuple[float, float]:
    half = z_score(LEVEL) * np.sqrt(share * (1 - share) / size)
    return float(share - half), float(share + half)


def conflict(one: SizePosterior, two: SizePosterior) -> float:
    """2 min(P(N_1 < N_2), P(N_1 > N_2)) of independent posteriors; ties count half.

    Over quantiles of the second, spaced evenly on the logit scale so that tails are seen too.
    """
    logits = np.linspace(-25, 25, 801)
    levels = expit(logits)
    weights = levels * (1 - levels)
    at = two.quantile(levels) - one.observed
    below, up_to = (one.sums.below(at + shift)[0] / one.sums.total[0] for shift in (0, 1))
    less = float(weights @ (below + up_to) / 2 / weights.sum())
    return 2 * min(less, 1 - less)


def benchmark_rows(evidence: Evidence, together: SizePosterior) -> xr.Dataset:
    """Of each row (dim `benchmark`), in the order of the table.

    `plain`, `plain_low`, `plain_high`: the published method. `alone`, `alone_low`, `alone_high`:
    N from this row alone, median and 95 %. `without`, `without_low`, `without_high`: N from all
    other rows. `conflict`: two-sided probability that the two are the same; nan for one row.
    """
    rows = [row for row in evidence.table.rows if row.id in evidence.rows]
    found: dict[str, list[float]] = {}
    for row in rows:
        numbers = {"plain": plain(row, evidence.residents)}
        alone = together if len(rows) == 1 else evidence.posterior([row.id])
        numbers["alone"] = _ends(alone)
        numbers["without"], doubt = NOTHING, np.nan
        if len(rows) > 1:
            others = evidence.posterior([other.id for other in rows if other.id != row.id])
            numbers["without"], doubt = _ends(others), conflict(alone, others)
        for name, three in numbers.items():
            for end, value in zip(("", "_low", "_high"), three, strict=True):
                found.setdefault(f"{name}{end}", []).append(value)
        found.setdefault("conflict", []).append(doubt)
    return xr.Dataset(
        {name: ("benchmark", np.array(values, float)) for name, values in found.items()},
        coords={"benchmark": [row.id for row in rows]},
    )


def _ends(found: SizePosterior) -> Three:
    median, low, high = found.quantile(ENDS)
    return float(median), float(low), float(high)
