"""From what an expert says of a number to a prior, and back to what that prior implies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from hiddenpop.errors import InputError
from hiddenpop.families.maths.quantile_fit import SHAPES, Stated, fit_quantiles
from hiddenpop.inputs.faults import Fault, Faults
from hiddenpop.inputs.multipliers import Interval
from hiddenpop.inputs.ranges import interval_quantiles
from hiddenpop.inputs.stated import (
    DISTRIBUTIONS,
    METHODS,
    Kind,
    Pair,
    Said,
    check_context,
    check_values,
    known_names,
    read_said,
)
from hiddenpop.words import listing, percent, probability

__all__ = ["DISTRIBUTIONS", "LEVELS", "METHODS", "Candidate", "Elicited", "Kind", "Said", "elicit"]

LEVELS = (0.5, 0.8, 0.95)
"""Levels of the intervals that are shown."""

NOWHERE = (-np.inf, np.inf)

MASS = 1e-4
"""Maximum entropy must meet the probability of the range as nearly as this."""


class Candidate(NamedTuple):
    """A distribution that was fitted to the same quantiles.

    Attributes
    ----------
    misfit
        Largest distance from a quantile, as a factor of the value (of the odds for shares).
    """

    distribution: str
    parameters: dict[str, float]
    misfit: float


@dataclass(frozen=True, eq=False)
class Elicited:
    """A prior, and what it implies in the units in which it was stated.

    Attributes
    ----------
    said
        What was asked for: an interval or quantiles.
    prior
        The distribution.
    method
        `exact` or `maxent`.
    compared
        Every distribution that was fitted, the chosen one first.
    population
        Residents, or None.
    observed
        A number in the same unit to compare with, or None.
    """

    kind: Kind
    said: Interval | tuple[Pair, ...]
    prior: Stated
    method: str
    compared: tuple[Candidate, ...]
    population: float | None = None
    observed: float | None = None

    @property
    def distribution(self) -> str:
        """Name of the distribution."""
        return self.prior.shape.name

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters by their names in PyMC."""
        return _named(self.prior)

    @property
    def misfit(self) -> float:
        """Factor by which the worst quantile is missed (of the odds for shares); 1 for none."""
        return self.compared[0].misfit

    @property
    def asked(self) -> tuple[Pair, ...]:
        """Probabilities and the values that were stated for them."""
        return interval_quantiles(self.said) if isinstance(self.said, Interval) else self.said

    @cached_property
    def reached(self) -> tuple[Pair, ...]:
        """The same probabilities and the values that the prior has for them."""
        return tuple((p, float(self.prior.ppf(p))) for p, _ in self.asked)

    @cached_property
    def mean(self) -> float:
        """Mean, in the user's units."""
        return self.prior.mean

    @cached_property
    def median(self) -> float:
        """Median, in the user's units."""
        return float(self.prior.ppf(0.5))

    def interval(self, level: float) -> Interval:
        """Central interval, in the user's units."""
        low, high = self.prior.ppf([(1 - level) / 2, (1 + level) / 2])
        return Interval(float(low), float(high), level)

    def p_above(self, value: float) -> float:
        """Probability that the truth is above a value."""
        return float(1 - self.prior.cdf(value))

    def density(self, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
        """Values over nearly all of the prior, and its density at them.

        They begin at the 0.1 % quantile. They end at the 99.9 % quantile, or, where a long tail
        would press the rest together, no later than the 99 % quantile or twice what was stated.
        """
        low, tail, high = (float(end) for end in self.prior.ppf([0.001, 0.99, 0.999]))
        at = np.linspace(low, min(high, max(tail, 2 * self.asked[-1][1])), points)
        return at, self.prior.pdf(at)

    @property
    def text(self) -> str:
        """What was said, as a cell of a table: "350 to 400 at 0.8"."""
        if isinstance(self.said, Interval):
            low, high, level = self.said
            return f"{low:.10g} to {high:.10g} at {level:.10g}"
        return "; ".join(f"{p:.10g}: {x:.10g}" for p, x in self.said)

    def pymc(self, name: str = "x") -> str:
        """The prior as a line of a PyMC model."""
        inner = ", ".join(f"{key}={value:.8g}" for key, value in self.parameters.items())
        shape = self.prior.shape.pymc
        if self.prior.bounds == NOWHERE:
            return f'pm.{shape}("{name}", {inner})'
        ends = zip(("lower", "upper"), self.prior.bounds, strict=True)
        limits = ", ".join(f"{key}={end:.10g}" for key, end in ends if np.isfinite(end))
        return f'pm.Truncated("{name}", pm.{shape}.dist({inner}), {limits})'

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a reader of the prior must see."""
        notes = [self._meaning()]
        if len(self.asked) > 2:
            odds = " of the odds" if self.prior.shape.share else ""
            notes.append(
                f"Two parameters cannot meet {len(self.asked)} quantiles: the worst is missed by "
                f"a factor {self.misfit:.3g}{odds}."
            )
        if len(self.compared) > 1:
            others = [f"{one.distribution} {one.misfit:.3g}" for one in self.compared]
            notes.append(f"Worst miss by distribution: {listing(others)}.")
        if self.population is not None and self.p_above(self.population) > 0.001:
            beyond = probability(self.p_above(self.population))
            notes.append(
                f"With {beyond} probability there would be more people than residents: give "
                f"bounds, or ask again."
            )
        if not self._as_in_tables:
            default = DISTRIBUTIONS[self.kind][0]
            notes.append(
                f"A table of benchmarks reads the text as a {default} with these quantiles, not "
                f"as this prior; use the PyMC line for this one."
            )
        return tuple(notes)

    @property
    def _as_in_tables(self) -> bool:
        """Whether the text means the same prior in a table of benchmarks."""
        usual = self.distribution == DISTRIBUTIONS[self.kind][0]
        return usual and self.method == "exact" and self.prior.bounds == NOWHERE

    def _meaning(self) -> str:
        """How what was said was read."""
        if not isinstance(self.said, Interval):
            return "Each number is read as the value that the truth is below with its probability."
        low, high, level = self.said
        if self.method == "exact":
            tail = percent((1 - level) / 2)
            return (
                f"The range is read as a central interval: the truth is below {low:.10g} with "
                f"probability {tail}, and above {high:.10g} with {tail}."
            )
        below, above = (probability(x) for x in (float(self.prior.cdf(low)), self.p_above(high)))
        return (
            f"Of all {self.distribution} priors with {percent(level)} of their probability in the "
            f"range this one has the greatest entropy; {below} is below it and {above} above."
        )

    @property
    def summary(self) -> dict[str, Any]:
        """All of it as plain numbers and texts, for JSON."""
        found: dict[str, Any] = {
            "kind": self.kind, "said": self.text, "method": self.method,
            "distribution": self.distribution, "parameters": self.parameters,
            "bounds": [end if np.isfinite(end) else None for end in self.prior.bounds],
            "quantiles": [
                {"probability": p, "asked": x, "reached": y}
                for (p, x), (_, y) in zip(self.asked, self.reached, strict=True)
            ],
            "misfit": self.misfit,
            "compared": [one._asdict() for one in self.compared],
            "implies": self._scaled(1.0),
            "pymc": self.pymc(), "notes": list(self.notes),
        }  # fmt: skip
        if self.population is not None:
            found["population"] = self.population
            found["per_1000"] = self._scaled(1000 / self.population)
        if self.observed is not None:
            found["observed"] = self.observed
            found["ratio_to_observed"] = self._scaled(1 / self.observed)
            found["p_above_observed"] = self.p_above(self.observed)
        return found

    def _scaled(self, factor: float) -> dict[str, Any]:
        """Mean, median and intervals, times a factor."""
        ends = [self.interval(level) for level in LEVELS]
        return {
            "mean": self.mean * factor, "median": self.median * factor,
            "intervals": [
                {"level": end.level, "low": end.low * factor, "high": end.high * factor}
                for end in ends
            ],
        }  # fmt: skip


def elicit(
    said: Said,
    kind: str,
    distribution: str | None = None,
    *,
    method: str = "exact",
    bounds: Pair | None = None,
    population: float | None = None,
    observed: float | None = None,
) -> Elicited:
    """Turn a range at a stated level, or quantiles, into a prior.

    Parameters
    ----------
    said
        A range such as "350 to 400 at 0.8" or an `Interval`; or two or more quantiles, such as
        "0.1: 300, 0.5: 380, 0.9: 600" or pairs of probability and value. Two numbers are met
        exactly; more by least squares on the log scale (logit scale for shares).
    kind
        `count` or `size` (people), `share` (between 0 and 1) or `factor` (a ratio, above 0).
    distribution
        One of `DISTRIBUTIONS[kind]`. By default the first of them; for three quantiles or more
        the one that misses them least.
    method
        `exact`, or `maxent`: the greatest entropy among the distributions with the level's
        probability inside the range. That leaves open how the rest is split between the sides.
    bounds
        Values that the truth cannot pass; the distribution is cut off there.
    population
        Residents, for numbers of people.
    observed
        A number in the same unit to compare the prior with, such as people counted.

    Raises
    ------
    InputError
        With every fault found.
    """
    faults = Faults()
    read = read_said(said, faults)
    known = known_names(kind, distribution, method, faults)
    if read is not None and known:
        check_values(read, kind, bounds, faults)
        check_context(kind, population, observed, faults)
        if method == "maxent" and not (isinstance(read, Interval) and bounds is None):
            what = "bounds" if isinstance(read, Interval) else "quantiles"
            faults.report("elicit-maxent", {"why_not": what})
    if faults.found or read is None:
        raise InputError(faults.found)
    names = DISTRIBUTIONS[kind] if distribution is None else (distribution,)
    fits = _fits(read, names, method, bounds or NOWHERE)
    chosen = next(iter(fits))
    compared = tuple(Candidate(one.shape.name, _named(one), miss) for one, miss in fits.items())
    return Elicited(kind, read, chosen, method, compared, population, observed)  # type: ignore[arg-type]


def _named(prior: Stated) -> dict[str, float]:
    return dict(zip(prior.shape.parameters, prior.parameters, strict=True))


def _fits(
    said: Interval | tuple[Pair, ...], names: tuple[str, ...], method: str, bounds: Pair
) -> dict[Stated, float]:
    """Each distribution and the factor by which it misses its worst quantile, the chosen first."""
    pairs = interval_quantiles(said) if isinstance(said, Interval) else said
    if len(pairs) == 2:
        names = names[:1]  # each of them meets two quantiles: nothing to compare
    found: dict[Stated, float] = {}
    for name in names:
        try:
            if method == "maxent" and isinstance(said, Interval):
                found[_maxent(name, said)] = 1.0
            else:
                prior, miss = fit_quantiles(name, pairs, bounds)
                found[prior] = float(np.exp(miss))
        except ValueError as error:
            raise InputError([_no_fit(name, pairs)]) from error
    return dict(sorted(found.items(), key=lambda one: one[1]))


def _maxent(name: str, said: Interval) -> Stated:
    """PreliZ's prior: the greatest entropy given the probability of the range.

    Raises
    ------
    ValueError
        If its search does not end at that probability.
    """
    import preliz as pz  # type: ignore[import-untyped,import-not-found,unused-ignore]

    shape = SHAPES[name]
    distribution = getattr(pz, shape.pymc)()
    with warnings.catch_warnings(action="ignore"):  # whether it worked is looked at below
        try:
            pz.maxent(distribution, said.low, said.high, said.level, plot=False)
        except (ArithmeticError, IndexError) as error:  # what its search raises at extremes
            raise ValueError(f"no {name} distribution was found") from error
    first, second = (float(value) for value in distribution.params)
    prior = Stated(shape, (first, second))
    inside = float(prior.cdf(said.high) - prior.cdf(said.low))
    if not (abs(inside - said.level) < MASS and prior.usable):
        raise ValueError(f"no {name} distribution was found")
    return prior


def _no_fit(name: str, pairs: tuple[Pair, ...]) -> Fault:
    faults = Faults()
    said = listing([f"{x:.10g} at {p:.4g}" for p, x in pairs])
    faults.report("elicit-fit", {"name": name, "said": said})
    return faults.found[0]
