"""What a row of evidence would report, given a fit: draws, and probabilities of less and more.

A fit that did not use the row gives its cross-validatory mixed predictive distribution (Marshall &
Spiegelhalter 2007, Bayesian Analysis 2:409): the bias of the row's source and the row's own error
are drawn anew. What a source is expected to report is `without_bias` times `bias`, which every fit
has for every row, counted or not. The errors are those of `families.synthesis_evidence`, read the
other way round: there the report is given, here it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from hiddenpop.estimate import Estimate
from hiddenpop.families import FAMILIES
from hiddenpop.families.synthesis_evidence import GUESS_DF, LEAST_PHI, log_errors
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import z_score

__all__ = ["BOUNDS", "Reported", "Tails", "predictive_draws", "reported", "tails"]

BOUNDS = ("lower", "upper")
"""Kinds of row whose number is not itself an estimate: a prediction is beside them or not."""

ALMOST_ALL = 1 - 1e-9
"""Largest share that is expected, as in the likelihoods."""


class Reported(NamedTuple):
    """The number of a row.

    Attributes
    ----------
    value
        People, events or pounds; a share for a `proportion`.
    low, high
        Predictions from `low` to `high` are the same as the number: a count is a whole number, or
        somewhere in its range. Equal to `value` where the number is continuous.
    """

    value: float
    low: float
    high: float


class Tails(NamedTuple):
    """Probability, in each draw, of a report below or above the one given; ties count half.

    Attributes
    ----------
    below, above
        Shape (sample,), in the order of `Estimate.draws`.
    """

    below: np.ndarray
    above: np.ndarray


@dataclass(frozen=True)
class _Known:
    """A row (a frame of one row of `Evidence.rows`) and what a fit says of it, arrays (sample,)."""

    row: pd.DataFrame
    expected: np.ndarray  # what its source would report but for the row's own error
    bias: np.ndarray
    chance: np.ndarray  # product of the row's rates
    phi: np.ndarray  # 0 where counts are Poisson
    softness: float

    def number(self, column: str) -> float:
        """One number of the row."""
        return float(self.row[column].iloc[0])


def predictive_draws(estimate: Estimate, row: str, rng: np.random.Generator) -> np.ndarray:
    """What a row would report, one prediction for each posterior draw.

    Parameters
    ----------
    estimate
        Where it did not use the row, the predictions are those of everything else. A source
        without another row that counts has the bias of its prior.
    row
        Id of a row of evidence.

    Returns
    -------
    Shape (sample,), in the unit of `reported`. Of a bound: the quantity that is bounded times the
    bound's soft error.
    """
    known = _known(estimate, row)
    return _KINDS[_kind(known)][0](known, rng)


def tails(estimate: Estimate, row: str) -> Tails:
    """Probabilities that a row reports less or more than it does, given each posterior draw.

    Their means are the tail probabilities of `predictive_draws`, without the Monte Carlo error of
    drawing reports.
    """
    known = _known(estimate, row)
    return _KINDS[_kind(known)][1](known)


def reported(data: SynthesisData, row: str) -> Reported:
    """The number of a row, and what is the same number."""
    frame = data.evidence.rows.loc[[row]]
    kind = str(frame["kind"].iloc[0])
    if kind in BOUNDS:
        return Reported(*[float(frame["value"].iloc[0])] * 3)
    if kind in ("estimate", "range", "guess"):
        return Reported(*[float(np.exp(log_errors(frame)[0][0]))] * 3)
    unit = float(frame["n"].iloc[0]) if kind == "proportion" else 1.0
    return Reported(*(x / unit for x in _with_ties(frame)))


def _with_ties(frame: pd.DataFrame) -> Reported:
    """Number of a count and its ties, in people or events also where it is a proportion."""
    one = frame.iloc[0]
    ends = (one["low"], one["high"]) if np.isnan(one["value"]) else (one["value"],) * 2
    # Predictions come in steps of the design effect, a range in whole numbers.
    half = max(ends[1] - ends[0] + 1, _step(frame)) / 2
    middle = float(ends[0] + ends[1]) / 2
    return Reported(middle, float(middle - half), float(middle + half))


def _step(frame: pd.DataFrame) -> float:
    """Distance between neighbouring predictions of a count, in its own unit."""
    design = float(frame["design_effect"].iloc[0])
    if frame["kind"].iloc[0] == "proportion":
        return float(frame["n"].iloc[0]) / _asked(frame)
    return 1.0 if frame["kind"].iloc[0] == "benchmark" else design


def _asked(frame: pd.DataFrame) -> int:
    """People whom a survey with this design effect is worth, a whole number."""
    return max(round(float(frame["n"].iloc[0]) / float(frame["design_effect"].iloc[0])), 1)


def _known(estimate: Estimate, row: str) -> _Known:
    """Collect what a fit says about a row."""
    data: SynthesisData = estimate.data.data
    frame = data.evidence.rows.loc[[row]]
    bias = estimate.draws("bias", source=str(frame["source"].iloc[0]))
    powers = data.exponents[data.ids.index(row)]
    priors = FAMILIES[estimate.family].module.Priors(**estimate.data.priors)
    has_phi = "overdispersion" in estimate.tree["posterior"]
    return _Known(
        frame,
        estimate.draws("without_bias", evidence=row) * bias,
        bias,
        np.exp(_log_rates(estimate, data) @ powers) if powers.any() else np.ones(len(bias)),
        estimate.draws("overdispersion") if has_phi else np.zeros(len(bias)),
        float(priors.bound_softness),
    )


def _log_rates(estimate: Estimate, data: SynthesisData) -> np.ndarray:
    """Logs of all rates, (sample, rate)."""
    names = (("share", data.rates.shares), ("factor", data.rates.factors))
    return np.log(np.concatenate([estimate.draws(name) for name, some in names if some], axis=1))


def _kind(known: _Known) -> str:
    return str(known.row["kind"].iloc[0])


# --- estimates, ranges and guesses -------------------------------------------------------------


def _error(known: _Known) -> tuple[float, float, float, Any]:
    """Log of the number, sds below and above, and the distribution of a standardised error."""
    centre, below, above = (float(x[0]) for x in log_errors(known.row))
    return centre, below, above, stats.t(GUESS_DF) if _kind(known) == "guess" else stats.norm()


def _draw_measured(known: _Known, rng: np.random.Generator) -> np.ndarray:
    """Log report = log expected - error; each half of the error weighs as much as it is wide."""
    _, below, above, shape = _error(known)
    size = np.abs(shape.rvs(len(known.expected), random_state=rng))
    negative = rng.random(len(size)) < below / (below + above)
    return np.asarray(known.expected * np.exp(np.where(negative, below, -above) * size))


def _tails_measured(known: _Known) -> Tails:
    centre, below, above, shape = _error(known)
    gap = np.log(known.expected) - centre  # the error that the report then has
    less = np.where(
        gap < 0,
        2 * below * shape.cdf(gap / below),
        below + above * (2 * shape.cdf(gap / above) - 1),
    ) / (below + above)
    # The report lies below where its error is larger still.
    return Tails(1 - less, less)


# --- counts, proportions, benchmarks -----------------------------------------------------------


def _split(known: _Known, cdf: Callable[[np.ndarray], np.ndarray], unit: np.ndarray) -> Tails:
    """Tails of a whole number in steps of `unit` against a number with its ties."""
    _, low, high = _with_ties(known.row)
    # The small shift keeps 25 / 0.1 and the like from being a hair beside a whole number.
    under = cdf(np.ceil(low / unit - 1e-9) - 1)
    over = 1 - cdf(np.floor(high / unit + 1e-9))
    tie = np.clip(1 - under - over, 0, 1)
    return Tails(under + tie / 2, over + tie / 2)


def _draw_count(known: _Known, rng: np.random.Generator) -> np.ndarray:
    """Poisson with a gamma mean, in clusters of the design effect."""
    design = known.number("design_effect")
    squared = known.phi**2 + LEAST_PHI**2
    mean = known.expected / design * rng.gamma(1 / squared, squared)
    return np.asarray(rng.poisson(mean) * design)


def _tails_count(known: _Known) -> Tails:
    design = known.number("design_effect")
    size = 1 / (known.phi**2 + LEAST_PHI**2)
    chance = size / (size + known.expected / design)
    return _split(known, lambda k: stats.nbinom.cdf(k, size, chance), np.array(design))


def _draw_proportion(known: _Known, rng: np.random.Generator) -> np.ndarray:
    asked = _asked(known.row)
    return np.asarray(rng.binomial(asked, np.minimum(known.expected, ALMOST_ALL)) / asked)


def _tails_proportion(known: _Known) -> Tails:
    asked, share = _asked(known.row), np.minimum(known.expected, ALMOST_ALL)
    unit = np.array(_step(known.row))
    return _split(known, lambda k: stats.binom.cdf(k, asked, share), unit)


def _members(known: _Known) -> tuple[np.ndarray, np.ndarray]:
    """Members of the target, not a whole number, and the chance that each is counted."""
    return known.expected / known.bias / known.chance, np.minimum(known.chance, ALMOST_ALL)


def _draw_benchmark(known: _Known, rng: np.random.Generator) -> np.ndarray:
    """Each member is counted or not; then the source gets the number wrong by its factor."""
    members, chance = _members(known)
    whole = np.floor(members + rng.random(len(members))).astype(np.int64)
    return np.asarray(rng.binomial(whole, chance) * known.bias)


def _tails_benchmark(known: _Known) -> Tails:
    members, chance = _members(known)

    def cdf(k: np.ndarray) -> np.ndarray:
        """Binomial with a number of trials that need not be whole."""
        inside = np.clip(k, 0, np.maximum(members - 1e-9, 1e-9))
        found = special.betainc(np.maximum(members - inside, 1e-9), inside + 1, 1 - chance)
        return np.where(k < 0, 0.0, np.where(k >= members, 1.0, found))

    return _split(known, cdf, known.bias)


# --- bounds ------------------------------------------------------------------------------------


def _softness(known: _Known) -> float:
    """Sd on the log scale of a bound, as its likelihood has it."""
    low, high = known.number("low"), known.number("high")
    if np.isnan(low):
        return known.softness
    return float(np.log(high / low)) / (2 * z_score(known.number("level")))


def _draw_bound(known: _Known, rng: np.random.Generator) -> np.ndarray:
    error = _softness(known) * rng.normal(size=len(known.expected))
    return np.asarray(known.expected * np.exp(error))


def _tails_bound(known: _Known) -> Tails:
    gap = (np.log(known.number("value")) - np.log(known.expected)) / _softness(known)
    return Tails(stats.norm.cdf(gap), stats.norm.sf(gap))


_Draw = Callable[[_Known, np.random.Generator], np.ndarray]
_MEASURED = (_draw_measured, _tails_measured)
_BOUND = (_draw_bound, _tails_bound)
_KINDS: dict[str, tuple[_Draw, Callable[[_Known], Tails]]] = {
    "estimate": _MEASURED,
    "range": _MEASURED,
    "guess": _MEASURED,
    "count": (_draw_count, _tails_count),
    "benchmark": (_draw_benchmark, _tails_benchmark),
    "proportion": (_draw_proportion, _tails_proportion),
    "lower": _BOUND,
    "upper": _BOUND,
}
