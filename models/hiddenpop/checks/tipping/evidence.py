"""The bias of a source, or the rate behind a count, at which an evidence synthesis crosses a line.

One quantity at a time is held at a value (`tipping_held`), everything else keeps its prior and is
estimated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from hiddenpop.checks.row_by_row import OnRow
from hiddenpop.checks.tipping.held import Curves, Point, Quantity, known_points, quantities
from hiddenpop.estimate import Estimate
from hiddenpop.inputs.synthesis import SynthesisData

__all__ = ["CROSSES", "HARDLY", "NEVER", "REACH", "TIPPING_COLUMNS", "synthesis_tipping"]

REACH = 10.0
"""Farthest that a bias or factor is moved from where the evidence puts it, as a ratio; of a share
the ratio of its odds."""

STEPS = (1.0, 3.0, REACH)
"""Ratios at which the answer is found, until one is beyond the threshold."""

LEAST_CORRELATION = 0.1
"""A quantity whose log is less correlated with that of the headline, over the posterior, is not
moved: within what is held possible, it explains less than a hundredth of the variance."""

CLOSE = 0.02
"""Largest log ratio of the headline at a crossing to the threshold; otherwise it is looked for
once more."""

MOST_CHECKS = 3
"""Most fits at a presumed crossing."""

CROSSES, NEVER, HARDLY = "crosses", "never", "hardly matters"

TIPPING_COLUMNS = (
    "threshold", "kind", "name", "finding", "value", "held", "median", "low", "high", "passed",
    "crossing", "now", "prior", "posterior", "correlation",
)  # fmt: skip


@dataclass(frozen=True)
class _Now:
    """What the main fit says of a quantity: its draws, and the log headline's."""

    quantity: Quantity
    draws: np.ndarray
    correlation: float

    @property
    def median(self) -> float:
        return float(np.median(self.draws))

    def moved(self, ratio: float) -> float:
        """The median times a ratio; of a share the one with so many times its odds."""
        if self.quantity.kind != "share":
            return self.median * ratio
        return float(special.expit(special.logit(self.median) + np.log(ratio)))


def synthesis_tipping(
    estimate: Estimate,
    thresholds: Sequence[float],
    on_step: Callable[[str], object] = str,
    *,
    area: str | None = None,
    group: str | None = None,
    level: float = 0.95,
    done: pd.DataFrame | None = None,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """The headline along each bias and rate, and where its median is a threshold.

    Biases are of sources with evidence in use that are not fixed; rates (shares and factors) those
    that evidence in use rests on. From its posterior median a quantity is moved by the ratios of
    `STEPS`, of a share by ratios of its odds, towards the threshold until the headline's median
    is beyond it. Between the two values on either side log headline is linear in log quantity;
    the crossing is fitted, and improved, until the median there is the threshold up to
    `CLOSE`.

    Parameters
    ----------
    thresholds
        People.
    on_step
        Told each fit before its turn.
    area, group
        Default: the first area of the report, and its headline group.
    level
        Of the intervals.
    done
        What an earlier call handed to `on_row`: its points are not fitted again.
    on_row
        Called with all rows so far after each fit.

    Returns
    -------
    pandas.DataFrame
        For each threshold and quantity one row for each fit, by `value`: `kind` ("bias",
        "share" or "factor") and `name`; `value` at which the quantity came to rest (next to
        `held`), and `median`, `low`, `high` of the headline there (people); whether that fit
        `passed` its gates; `finding`,
        `crossing` (the value at which the median is the threshold; nan where `finding` is
        "never" or "hardly matters"), `now` (posterior median of the quantity), `prior` and
        `posterior` (probabilities that it is at the crossing or farther), and `correlation` of
        the logs of quantity and headline over the posterior. Quantities that hardly matter have
        one row without a fit.
    """
    report = estimate.data.report
    where = (area or report.areas[0], group or report.headline)
    headline = estimate.draws("users", area=where[0], union=where[1])
    held = list(quantities(estimate.data.data))
    states = [_now(estimate, one, headline) for one in held]
    states.sort(key=lambda one: -abs(one.correlation))
    curves = Curves(estimate, held, where, level, known_points(done), on_step)

    def table() -> pd.DataFrame:
        rows = [row for target in thresholds for state in states
                for row in _rows(state, target, estimate, curves)]  # fmt: skip
        return pd.DataFrame(rows, columns=list(TIPPING_COLUMNS))

    if on_row is not None:
        curves.after = lambda: on_row(table())
    for target in thresholds:
        for state in states:
            if abs(state.correlation) >= LEAST_CORRELATION:
                _search(state, target, curves)
    return table()


def _now(estimate: Estimate, one: Quantity, headline: np.ndarray) -> _Now:
    drawn = estimate.draws(one.variable)[:, one.place]
    return _Now(one, drawn, float(np.corrcoef(np.log(drawn), np.log(headline))[0, 1]))


def _search(state: _Now, target: float, curves: Curves) -> None:
    """Move a quantity towards the threshold, and fit where the headline crosses it."""
    one, start = state.quantity, curves.at(state.quantity, state.median)
    towards = np.sign(state.correlation) * np.sign(np.log(target / start.median))
    for sign in (towards, -towards):
        last = start
        for step in STEPS[1:]:
            last = curves.at(one, state.moved(step**sign))
            if _between(curves.of(one), target) is not None:
                break
        # Where it moved the right way, the other way is not looked at.
        nearer = abs(np.log(target / last.median)) < abs(np.log(target / start.median))
        if nearer or _between(curves.of(one), target) is not None:
            break
    for _ in range(MOST_CHECKS):
        points = curves.of(one)
        crossing = _between(points, target)
        if crossing is None or min(abs(np.log(x.median / target)) for x in points) < CLOSE:
            return
        curves.at(one, crossing)


def _between(points: list[Point], target: float) -> float | None:
    """Where the headline is the target, next to where it is known best; None if nowhere."""
    goal, found = np.log(target), []
    for one, two in pairwise(points):
        ends = np.log([one.median, two.median]) - goal
        if ends[0] * ends[1] <= 0 and one.median != two.median:
            share = ends[0] / (ends[0] - ends[1])
            log_value = np.log(one.value) + share * np.log(two.value / one.value)
            found.append((float(np.abs(ends).min()), float(np.exp(log_value))))
    return min(found)[1] if found else None


def _rows(
    state: _Now, target: float, estimate: Estimate, curves: Curves
) -> Iterator[dict[str, Any]]:
    """Rows of one quantity for one threshold."""
    one, points = state.quantity, curves.of(state.quantity)
    crossing = _between(points, target)
    row: dict[str, Any] = {
        "threshold": target, "kind": one.kind, "name": one.name, "now": state.median,
        "correlation": state.correlation,
    }  # fmt: skip
    if not points:
        if abs(state.correlation) < LEAST_CORRELATION:
            yield row | {"finding": HARDLY}
        return
    row["finding"] = NEVER if crossing is None else CROSSES
    if crossing is not None:
        sign = 1 if crossing > state.median else -1
        row |= {
            "crossing": crossing,
            "prior": _beyond(estimate.data.data, one, crossing, sign),
            "posterior": float(np.mean(sign * state.draws >= sign * crossing)),
        }
    for point in points:
        yield row | point._asdict()


def _beyond(data: SynthesisData, one: Quantity, value: float, sign: int) -> float:
    """Prior probability that a quantity is at a value or farther: above it if `sign` is 1."""
    if one.kind == "share":
        prior = stats.beta(data.rates.alpha[one.place], data.rates.beta[one.place])
        mu, sigma = data.rates.selection.get(one.name, (0.0, 0.0))
        # The share p is below x where the survey's share has less than psi times the odds of x.
        nodes, weights = np.polynomial.hermite_e.hermegauss(61)
        below = prior.cdf(special.expit(special.logit(value) + mu + sigma * nodes))
        under = float(weights @ below / weights.sum())
    else:
        known: Any = data.biases if one.kind == "bias" else data.rates
        under = float(stats.norm(known.mu[one.place], known.sigma[one.place]).cdf(np.log(value)))
    return 1 - under if sign > 0 else under
