"""What was said of a number, read and checked: which kinds there are, and what they allow."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.multipliers import Interval
from hiddenpop.inputs.ranges import (
    RangeError,
    checked_quantiles,
    checked_range,
    parse_quantiles,
    parse_range,
)

__all__ = [
    "DISTRIBUTIONS",
    "METHODS",
    "Kind",
    "Pair",
    "Said",
    "check_context",
    "check_values",
    "known_names",
    "read_said",
]

Pair = tuple[float, float]

Said = str | Interval | tuple[Pair, ...]
"""A range at a level or quantiles, as text or as numbers."""

Kind = Literal["count", "size", "share", "factor"]

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "count": ("log-normal", "gamma"),
    "size": ("log-normal", "gamma"),
    "share": ("beta", "logit-normal"),
    "factor": ("log-normal",),
}
"""Distributions of each kind; the first is the default, and what benchmark tables use."""

METHODS = ("exact", "maxent")


def read_said(said: Said, faults: Faults) -> Interval | tuple[Pair, ...] | None:
    """What was said as numbers, or None with a fault."""
    try:
        if isinstance(said, str):
            return parse_quantiles(said) if ":" in said else parse_range(said)
        if isinstance(said, Interval):
            return checked_range(said)
        return checked_quantiles(tuple((float(p), float(x)) for p, x in said))
    except RangeError as error:
        faults.found.append(error.fault)
        return None


def known_names(kind: str, distribution: str | None, method: str, faults: Faults) -> bool:
    """Whether kind, distribution and method have these names."""
    if method not in METHODS:
        faults.report("elicit-method", {"name": method, "choose": choose(method, METHODS)})
    if kind not in DISTRIBUTIONS:
        faults.report("elicit-kind", {"kind": kind, "choose": choose(kind, DISTRIBUTIONS)})
        return False
    allowed = DISTRIBUTIONS[kind]
    if distribution is not None and distribution not in allowed:
        values = {"kind": kind, "name": distribution, "choose": choose(distribution, allowed)}
        faults.report("elicit-distribution", values)
        return False
    return True


def check_values(
    said: Interval | tuple[Pair, ...], kind: str, bounds: Pair | None, faults: Faults
) -> None:
    """The first value that the kind cannot have, and bounds that cut off what was said."""
    values = said[:2] if isinstance(said, Interval) else tuple(x for _, x in said)
    low, high = float(values[0]), float(values[-1])
    if kind == "share" and not 0 < low < high < 1:
        faults.report("elicit-share", {"value": high if low > 0 else low})
    elif not low > 0:
        word = {"factor": "factor"}.get(kind, "distribution of people")
        faults.report("elicit-positive", {"value": low, "kind": word})
    if bounds is not None and not bounds[0] < low < high < bounds[1]:
        faults.report("elicit-bounds", {"low": bounds[0], "high": bounds[1]})


def check_context(
    kind: str, population: float | None, observed: float | None, faults: Faults
) -> None:
    """Residents and the number to compare with."""
    if population is not None and kind not in ("count", "size"):
        faults.report("elicit-residents", {"kind": kind})
    elif population is not None and not 0 < population < np.inf:
        faults.report("elicit-population", {"value": population})
    most = 1.0 if kind == "share" else np.inf
    if observed is not None and not 0 < observed < most:
        faults.report("elicit-observed", {"value": observed})
