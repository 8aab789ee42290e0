"""Which priors a result has, and each of them with its spread halved and doubled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import fields, replace
from types import UnionType
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
from scipy import optimize, special

from hiddenpop.families.size_prior import SizePrior
from hiddenpop.priors import BetaPrior

__all__ = [
    "DOUBLED",
    "FACTORS",
    "HALVED",
    "FieldChange",
    "field_changes",
    "size_prior_changes",
    "spread_beta",
    "spread_interval",
]

HALVED, DOUBLED = "halved", "doubled"
FACTORS = {HALVED: 0.5, DOUBLED: 2.0}
"""What each change multiplies a scale or a spread by."""

Interval = tuple[float, float, float]


class FieldChange(NamedTuple):
    """One field of a family's `Priors` with another value.

    Attributes
    ----------
    prior
        The field.
    change
        "halved" or "doubled"; of a prior on N also which other prior.
    value
        The new value.
    """

    prior: str
    change: str
    value: Any


def field_changes(priors: Any, shares: Collection[str] = ()) -> Iterator[FieldChange]:  # noqa: ANN401
    """Every scale of a `Priors` halved and doubled.

    What a field is follows from its type: a positive `float` is a scale, (low, high, level) an
    interval whose sd is changed around its centre. Whole numbers, switches, texts and sets are
    choices of a model and left alone, as are intervals without width, scales of 0 or None, and
    values that the family would refuse.

    Parameters
    ----------
    priors
        An instance of a family's `Priors`.
    shares
        Fields that are intervals of a share (logit scale; all others: log scale), where the
        family does not refuse an interval beyond 1 by itself.
    """
    hints = get_type_hints(type(priors))
    for one in fields(priors):
        value, hint = getattr(priors, one.name), hints[one.name]
        if hint == Interval:
            on_logits = one.name in shares or _is_share(priors, one.name)
            made = _spreads(value, on_logits)
        elif _is_number(hint) and value:
            made = {change: value * factor for change, factor in FACTORS.items()}
        else:
            continue
        for change, new in made.items():
            if _accepts(priors, one.name, new):
                yield FieldChange(one.name, change, new)


def _is_number(hint: Any) -> bool:  # noqa: ANN401
    """Whether a field holds a number that need not be whole (or None)."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return float in kinds


def _is_share(priors: Any, name: str) -> bool:  # noqa: ANN401
    """Whether an interval must lie inside 0..1, by trying one that does not."""
    low, _, level = getattr(priors, name)
    return not _accepts(priors, name, (low, max(2 * low, 2.0), level))


def _accepts(priors: Any, name: str, value: Any) -> bool:  # noqa: ANN401
    try:
        replace(priors, **{name: value})
    except ValueError:
        return False
    return True


def _spreads(ends: Interval, on_logits: bool) -> dict[str, Interval]:
    if not ends[0] < ends[1]:
        return {}
    return {
        change: spread_interval(ends, factor, on_logits=on_logits)
        for change, factor in FACTORS.items()
    }


def spread_interval(ends: Interval, factor: float, *, on_logits: bool) -> Interval:
    """The interval of the same level and centre whose sd is `factor` times as large.

    Centre and sd are those of the logarithm, or of the logit of a share.
    """
    low, high, level = ends
    there: Callable[[Any], Any] = special.logit if on_logits else np.log
    back: Callable[[Any], Any] = special.expit if on_logits else np.exp
    middle, half = (there(low) + there(high)) / 2, (there(high) - there(low)) / 2
    return float(back(middle - factor * half)), float(back(middle + factor * half)), level


def spread_beta(prior: BetaPrior, factor: float) -> BetaPrior:
    """The Beta whose logit has the same mean and an sd `factor` times as large.

    On the logit scale every change has a Beta: the sd of a share itself has a greatest value.
    The logit of Beta(a, b) has mean digamma(a) - digamma(b) and variance
    trigamma(a) + trigamma(b).

    Raises
    ------
    ArithmeticError
        If no such Beta is found to a relative accuracy of 1e-8.
    """
    a, b = prior
    mean = special.digamma(a) - special.digamma(b)
    log_variance = np.log(special.polygamma(1, a) + special.polygamma(1, b)) + 2 * np.log(factor)

    def gap(log_shape: np.ndarray) -> np.ndarray:
        one, two = np.exp(log_shape)
        variance = special.polygamma(1, one) + special.polygamma(1, two)
        return np.array(
            [special.digamma(one) - special.digamma(two) - mean, np.log(variance) - log_variance]
        )

    found = optimize.root(gap, np.log([a, b]) - 2 * np.log(factor), options={"xtol": 1e-13})
    if not np.allclose(gap(found.x), 0, atol=1e-8):
        raise ArithmeticError(f"no Beta found whose logit has {factor:g} times the sd of {prior}")
    return BetaPrior(*(float(x) for x in np.exp(found.x)))


BEYOND = 20.0
"""Where residents are not known, a flat prior ends at so many times the upper end of N."""


def size_prior_changes(
    prior: SizePrior, seen: float, high: float, residents: float | None
) -> dict[str, SizePrior]:
    """Other priors on N that could have been chosen instead of this one, by name.

    1/N, flat, and log-normal over all sizes that are possible (its central 80 % from the people
    seen to the residents, or to `BEYOND` times the upper end); a log-normal or gamma prior also
    with its sd on the log scale halved and doubled, of a gamma that of its mean.

    Parameters
    ----------
    seen
        People certainly seen, below which N cannot be.
    high
        Upper end of the interval of N.
    residents
        Of all ages that count, where known.
    """
    least, most = max(seen, 1.0), max(BEYOND * high, 2.0) if residents is None else residents
    found: dict[str, SizePrior] = {}
    if prior.kind == "lognormal":
        spread = np.log(prior.two / prior.one)
        for change, factor in FACTORS.items():
            p90 = prior.one * np.exp(factor * spread)
            found[f"sd {change}"] = SizePrior("lognormal", prior.one, float(p90))
    if prior.kind == "gamma":
        for change, factor in FACTORS.items():
            shape, scale = prior.one / factor**2, prior.two * factor**2
            found[f"sd {change}"] = SizePrior("gamma", shape, scale)
    if prior.kind != "reciprocal":
        found["1/N"] = SizePrior()
    if prior.kind != "uniform":
        found["flat"] = SizePrior("uniform", most)
    if prior.kind != "lognormal":
        middle = float(np.sqrt(least * most))
        found["log-normal"] = SizePrior("lognormal", middle, most)
    return found
