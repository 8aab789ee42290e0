"""What the anchored multiplier says beside its answer: each row alone, without it, and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import beta as beta_law

from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.priors import BetaPrior

__all__ = ["ENDS", "Reading", "assumption", "benchmarks", "notes"]

ENDS = np.array([0.5, 0.025, 0.975])

CUT = 1e-3
"""A part of the posterior below the certain people that a note must name."""

POINTS = 2000
"""Of the sum that compares two Beta distributions."""


class Reading(NamedTuple):
    """A row as people found to be in the target among people examined.

    Attributes
    ----------
    found, others
        What it adds to the parameters of the Beta distribution.
    estimate
        Prevalence by this row: median and 95 % interval, shape (3,).
    """

    id: str
    found: float
    others: float
    estimate: np.ndarray


def benchmarks(
    data: MultiplierTable, anchor: BetaPrior, readings: Sequence[Reading]
) -> xr.Dataset:  # fmt: skip
    """N from each row by itself (before it, prevalence is uniform), and from all others."""
    residents, first = float(data.population[0]), np.array(anchor)
    total = first + np.sum([(one.found, one.others) for one in readings], axis=0)
    rows: dict[str, dict[str, float]] = {}
    for row in data.rows:
        if row.kind == "figure" and row.interval is not None:
            plain = np.array([row.value, row.interval.low, row.interval.high])
            rows[row.id] = _row(residents, plain, first, total - first + 1) | {
                "effective": float(first.sum())
            }
    for one in readings:
        mine = np.array([one.found, one.others])
        rows[one.id] = _row(residents, residents * one.estimate, mine + 1, total - mine) | {
            "effective": float(mine.sum())
        }
    names = list(next(iter(rows.values())))
    return xr.Dataset(
        {name: ("benchmark", np.array([row[name] for row in rows.values()])) for name in names},
        coords={"benchmark": list(rows)},
    )


def _row(
    residents: float, plain: np.ndarray, mine: np.ndarray, others: np.ndarray
) -> dict[str, float]:
    """Columns of one row, from Beta parameters of itself and of the others, each (2,)."""
    found = {"conflict": _conflict(mine, others)}
    for name, ends in (
        ("plain", plain),
        ("alone", residents * beta_law.ppf(ENDS, *mine)),
        ("without", residents * beta_law.ppf(ENDS, *others)),
    ):
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), map(float, ends), strict=True))
    return found


def _conflict(one: np.ndarray, other: np.ndarray) -> float:
    """Twice the smaller of P(one < other) and P(one > other) for two Beta distributions."""
    levels = (np.arange(POINTS) + 0.5) / POINTS
    higher = float(beta_law.cdf(beta_law.ppf(levels, *one), *other).mean())
    return 2 * min(higher, 1 - higher)


def assumption(data: MultiplierTable) -> str:
    """What the number rests on."""
    anchor = next((row.id for row in data.rows if row.kind == "figure"), None)
    prevalence = f"the prevalence of '{anchor}' holds for these residents, and " if anchor else ""
    return (
        f"That {prevalence}the share that each survey found is that of the whole target at the "
        "time and place of the count, with errors that have nothing to do with each other; no "
        "data can test this."
    )


def notes(
    data: MultiplierTable,
    anchor: BetaPrior,
    readings: Sequence[Reading],
    share: BetaPrior,
    worth: str,
    cut: float,
) -> list[str]:
    """What a reader of the number must know, in numbers that were computed.

    Parameters
    ----------
    share
        Prior of each multiplier's share.
    worth
        How the multipliers are weighed, in words.
    cut
        Posterior below the people counted for certain.
    """
    kinds = {row.id: row.kind for row in data.rows}
    multipliers = [one for one in readings if kinds[one.id] == "people"]
    prior = (
        f"Priors: Beta({anchor.alpha:.4g}, {anchor.beta:.4g}) on N / residents, "
        f"Beta({share.alpha:g}, {share.beta:g}) on each share before its survey."
    )
    said = [prior]
    if multipliers:
        total = sum(one.found + one.others for one in multipliers)
        said.append(
            f"{len(multipliers)} multiplier estimates count as {total:,.0f} people examined for "
            f"being in the target, each weighed {worth}; nobody examined them, and the interval "
            "is too narrow where the estimates share respondents or errors. The family "
            "multiplier uses the counts and shares themselves."
        )
    shared = [row.survey for row in data.rows if row.survey]
    if len(shared) > len(set(shared)) or data.overlaps:
        said.append("Some rows share a survey or people; the method takes them as independent.")
    if cut > CUT:
        said.append(
            f"{cut:.1%} of the Beta distribution lies below the {data.observed:,.0f} people "
            "counted for certain, and was cut off; the anchor or the counts are wrong."
        )
    return said
