"""What the rates of benchmarks say, as log densities of one unbounded number for each.

The number is the logit of a share, or the logarithm of a rate per person. Three forms hold all:

- `share`: a ln p + b ln(1 - p), a Beta(a, b) of the share on the logit scale;
- `count`: a ln rate - b rate, a Gamma(a, rate b) of the rate on the log scale;
- `normal`: -((ln rate - a) / b)^2 / 2, a log-normal rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from hiddenpop.families.maths.benchmark_terms import fitted, is_share
from hiddenpop.inputs.multipliers import Benchmark

__all__ = ["FORMS", "Form", "Information", "base", "centre", "informs"]

Form = Literal["share", "count", "normal"]

FORMS: tuple[Form, ...] = ("share", "count", "normal")


class Information(NamedTuple):
    """One log density; `a` and `b` as the module says."""

    form: Form
    a: float
    b: float


def base(rows: Sequence[Benchmark], share_a: float, share_b: float) -> Information | None:
    """Prior of the mean of one benchmark's shares or rates; None where it is flat on the log.

    A rate from counted events has a flat prior, as in a single stratum.
    """
    if is_share(rows[0]):
        return Information("share", share_a, share_b)
    counted = any(row.rate is not None and row.rate.x is not None for row in rows)
    return Information("count", 1.0, 0.0) if counted else None


def informs(row: Benchmark, share_a: float, share_b: float) -> Information:
    """What the rate of a row adds to the prior of `base`: with it, the prior of `multiplier`."""
    rate = row.rate
    assert rate is not None  # noqa: S101 - only rows with a rate are asked
    if rate.x is not None and rate.n is not None:
        effect = rate.design_effect
        if is_share(row):
            return Information("share", rate.x / effect, (rate.n - rate.x) / effect)
        return Information("count", rate.x / effect, rate.n / effect)
    a, b, _ = fitted("beta" if is_share(row) else "log-normal", rate.quantiles)
    if is_share(row):
        return Information("share", a - share_a, b - share_b)
    return Information("normal", a, b)


def centre(row: Benchmark, share_a: float = 1.0, share_b: float = 1.0) -> float:
    """Where the rate of a row lies, on the unbounded scale."""
    form, a, b = informs(row, share_a, share_b)
    if form == "normal":
        return a
    if form == "count":
        return float(np.log((a + 1) / b))
    share = (a + share_a) / (a + share_a + b + share_b)
    return float(special.logit(share))
