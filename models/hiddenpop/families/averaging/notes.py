"""What a reader of an averaged log-linear estimate must know, in sentences."""

from __future__ import annotations

import numpy as np

from hiddenpop.families.averaging.models import Fitted
from hiddenpop.families.maths.hierarchy import sizes
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["assumption", "notes"]

NAMED = 5
"""Models or overlaps that a sentence names at most."""


def assumption(fitted: Fitted) -> str:
    """What the number rests on and no data can test."""
    lists, order = len(fitted.cells.place), fitted.order
    most = "all the lists together" if order is None else f"more than {order} lists together"
    rest = "" if order is None or order < lists - 1 else ", all of them included"
    return (
        f"Being on some lists changes the chance of being on others only through links that do "
        f"not involve {most}{rest}, and those links are the same among the people on no list."
    )


def notes(
    table: OverlapTable, fitted: Fitted, weight: np.ndarray, names: list[str], *, best: bool
) -> list[str]:
    """Sentences, the most important first."""
    found = [_averaged(fitted, weight, names, best=best), *_spread(fitted, weight, best=best)]
    found += _without_estimate(fitted, names)
    found += _empty_overlaps(fitted)
    if table.factors:
        found.append(
            f"The {len(table.strata)} strata of the table were added up; if the lists are linked "
            "differently in them, or reach them differently, this misses it."
        )
    impossible = int(table.total().structural.sum())
    if impossible:
        found.append(f"{impossible} impossible combinations of lists were left out.")
    if int(table.structural.sum()) and not impossible:
        found.append(
            "Some combinations of lists were impossible in some strata only; added up, the strata "
            "make the lists look less linked than they are."
        )
    return found


def _averaged(fitted: Fitted, weight: np.ndarray, names: list[str], *, best: bool) -> str:
    top = int(weight.argmax())
    if best:
        return (
            f"Conditional on the selected model {names[top]}, the best of {len(names):,} by BIC: "
            "the interval takes the choice for granted. In simulated tables of three lists 95 % "
            "intervals of one model chosen by AIC or BIC held the truth 22 to 90 % of the time."
        )
    how = "found by a random search" if fitted.searched else "all there are"
    if fitted.order is not None:
        how += f" with links of at most {fitted.order} lists"
    return (
        f"Average over {len(names):,} hierarchical log-linear models ({how}), weighted by BIC. "
        f"The heaviest, {names[top]}, has {100 * weight[top]:.0f} % of the weight."
    )


def _spread(fitted: Fitted, weight: np.ndarray, *, best: bool) -> list[str]:
    """How far apart the models with a say are."""
    heavy = np.flatnonzero(weight >= 0.01)
    if best or len(heavy) < 2:
        return []
    size = fitted.cells.observed + np.exp(fitted.fits.log_unseen[heavy])
    sentence = (
        f"The estimates of the {len(heavy)} models with at least 1 % of the weight run from "
        f"{size.min():,.0f} to {size.max():,.0f}."
    )
    return [sentence]


def _without_estimate(fitted: Fitted, names: list[str]) -> list[str]:
    lost = np.flatnonzero(fitted.fits.code > 0)
    if not len(lost):
        return []
    # The simplest are the most telling.
    lost = lost[np.argsort(fitted.fits.parameters[lost], kind="stable")]
    some = ", ".join(names[k] for k in lost[:NAMED])
    more = f" and {len(lost) - NAMED:,} more" if len(lost) > NAMED else ""
    have = "model has" if len(lost) == 1 else "models have"
    sentence = (
        f"{len(lost):,} {have} no estimate on this table because of its empty cells, and no "
        f"weight: {some}{more}."
    )
    return [sentence]


def _empty_overlaps(fitted: Fitted) -> list[str]:
    cells, masks = fitted.cells, fitted.masks
    codes = np.arange(len(cells.counts))
    pairs = masks[sizes(masks) == 2]
    empty = np.array([not cells.counts[(codes & mask) == mask].any() for mask in pairs], dtype=bool)
    if not empty.any():
        return []
    named = [name.replace(":", " and ") for name in sorted(cells.names(pairs[empty]))]
    more = f"; and {len(named) - NAMED} more pairs" if len(named) > NAMED else ""
    both = "; ".join(named[:NAMED])
    sentence = (
        f"Nobody was on both {both}{more}. Models that link such lists take the overlap as "
        "impossible."
    )
    return [sentence]
