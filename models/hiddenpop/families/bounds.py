"""Every N that stated ranges of dependence between lists allow; no distribution.

Where the overlaps of lists are known but not how the lists depend on each other, N is known up to
a set. The odds ratio of two lists in the whole population, people on neither list among them, is
1 if the lists are independent; above 1 if people on one are likelier to be on the other than
people who are not. Its range is stated for every pair; the family gives the N that some odds
ratios inside the ranges allow, and how far sampling widens that set. Source: Sun, Van Baelen,
Plettinckx & Crawford, arXiv 2008.00127.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.special import chdtri

from hiddenpop.families.maths.moment_test import accepted_interval
from hiddenpop.families.maths.partial_id import (
    Bounds,
    Pairs,
    best_fit,
    pair_intervals,
    profile_interval,
)
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling

if TYPE_CHECKING:
    from hiddenpop.inputs.overlap import Margins

__all__ = ["Priors", "posterior", "ranges", "refusal"]

MOST_LISTS = 6
CONFLICT = 0.001
"""Ranges that a likelihood-ratio test rejects at this level contradict the table."""


@dataclass(frozen=True)
class Priors:
    """Ranges of dependence, and how sampling is allowed for.

    Attributes
    ----------
    odds_ratio
        Least and greatest odds ratio of any two lists. The default, a third to three, is a
        convention: moderate dependence of either sign. Services that send people to each other
        may well exceed it; then state what is credible, such as (1, 5).
    pairs
        Other ranges for named pairs: (list, list, least, greatest); 0 and inf state nothing.
    level
        Confidence level of the ends.
    interval
        `profile` (likelihood) or `test` (inversion of a bootstrap test of the ranges), which
        takes the pairs one by one and is wider, in small tables by up to a third.
    """

    odds_ratio: tuple[float, float] = (1 / 3, 3.0)
    pairs: tuple[tuple[str, str, float, float], ...] = ()
    level: float = 0.95
    interval: str = "profile"

    def __post_init__(self) -> None:
        """Check that the ranges are ranges."""
        ends = self.odds_ratio
        if np.shape(ends) != (2,) or not 0 < ends[0] <= ends[1] < np.inf:
            raise ValueError("odds_ratio must be the least and greatest, above 0 and finite")
        for pair in self.pairs:
            if np.shape(pair) != (4,) or pair[0] == pair[1] or not 0 <= pair[2] <= pair[3]:
                raise ValueError(f"pairs must be (list, list, least, greatest), not {pair}")
        if not 0.5 <= self.level < 1:
            raise ValueError(f"level must be from 0.5 to below 1, not {self.level}")
        if self.interval not in ("profile", "test"):
            raise ValueError(f"interval must be profile or test, not {self.interval}")


def ranges(lists: tuple[str, ...], priors: Priors) -> Pairs:
    """The pairs of lists with their ranges; of two ranges for a pair the later one counts."""
    named = {frozenset(pair[:2]): pair[2:] for pair in priors.pairs}
    stated = [named.get(frozenset(pair), priors.odds_ratio) for pair in combinations(lists, 2)]
    low, high = np.array(stated, dtype=float).T
    return Pairs.of(len(lists), low, high)


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why no set can be given."""
    if not isinstance(data, OverlapTable):
        return Refusal("bounds-table", {})
    if not 2 <= len(data.lists) <= MOST_LISTS:
        return Refusal("bounds-lists", {"lists": len(data.lists), "most": MOST_LISTS})
    if not data.total().exact:
        return Refusal("bounds-inexact", {})
    unknown = {name for pair in priors.pairs for name in pair[:2]} - set(data.lists)
    if unknown:
        values = {"name": ", ".join(sorted(unknown)), "lists": ", ".join(data.lists)}
        return Refusal("bounds-pair", values)
    return _no_set(data.total(), ranges(data.lists, priors))


def _no_set(table: OverlapTable, pairs: Pairs) -> Refusal | None:
    """Why the ranges give no set with two ends."""
    counts = table.dense()[0]
    if not np.isfinite(pair_intervals(counts, pairs)[1]).any():
        return Refusal("bounds-no-overlap", {})
    deviance = best_fit(counts, pairs)[1]
    if deviance > chdtri(len(pairs.low), CONFLICT):
        least, most = _extremes(table, pairs)
        return Refusal("bounds-conflict", {"least": least, "most": most, "deviance": deviance})
    return None


def posterior(data: OverlapTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """The set of unseen people: groups `set` and `pairs`, and no distribution.

    Raises
    ------
    ArithmeticError
        If no cell means inside the ranges were found.
    """
    table = data.total()
    pairs = ranges(table.lists, priors)
    counts = table.dense()[0]
    found = profile_interval(counts, pairs, priors.level)
    notes = _notes(data, pairs, found)
    low, high = found.low, found.high
    if priors.interval == "test":
        low, high, said = _tested(counts, pairs, found, priors.level, sampling.seed)
        notes += said
    seen = table.observed
    sizes = {
        "best": float(np.sqrt(found.fit_low * found.fit_high)), "low": low, "high": high,
        "identified_low": found.fit_low, "identified_high": found.fit_high,
    }  # fmt: skip
    unseen: dict[str, Any] = {name: max(0.0, size - seen) for name, size in sizes.items()}
    tree = xr.DataTree.from_dict({
        "set": xr.Dataset(unseen | {"level": priors.level}),
        "pairs": _pair_rows(table, pairs),
    })  # fmt: skip
    tree.attrs = {
        "observed": seen,
        "assumption": _assumption(priors),
        "notes": json.dumps(notes),
    }
    return tree


def _tested(
    counts: np.ndarray, pairs: Pairs, found: Bounds, level: float, seed: int
) -> tuple[float, float, list[str]]:
    """Ends by test inversion, and a note where there are none."""
    try:
        low, high = accepted_interval(counts, pairs, level, np.random.default_rng(seed))
    except ArithmeticError:
        note = "The test rejects every N: the ends are those of the profile likelihood."
        return found.low, found.high, [note]
    best = float(np.sqrt(found.fit_low * found.fit_high))
    return min(low, best), max(high, best), []


def _pair_rows(table: OverlapTable, pairs: Pairs) -> xr.Dataset:
    """What each pair alone says: its range, and the N it allows at the counts."""
    low, high = pair_intervals(table.dense()[0], pairs)
    return xr.Dataset(
        {
            "odds_ratio_low": ("pair", pairs.low), "odds_ratio_high": ("pair", pairs.high),
            "low": ("pair", low), "high": ("pair", high),
        },
        coords={"pair": _names(table, pairs)},
    )  # fmt: skip


def _names(table: OverlapTable, pairs: Pairs) -> list[str]:
    lists = zip(pairs.first, pairs.second, strict=True)
    return [f"{table.lists[one]} and {table.lists[other]}" for one, other in lists]


def _extremes(table: OverlapTable, pairs: Pairs) -> tuple[str, str]:
    """The pair that needs the greatest N, and the one that allows the least, in words."""
    low, high = pair_intervals(table.dense()[0], pairs)
    names = _names(table, pairs)
    first, last = int(np.argmax(low)), int(np.argmin(high))
    return (
        f"{names[first]} need an N of at least {low[first]:,.0f}",
        f"{names[last]} one of at most {high[last]:,.0f}",
    )


def _assumption(priors: Priors) -> str:
    low, high = priors.odds_ratio
    text = (
        f"That the odds ratio of every two lists, over the whole population with the unseen, is "
        f"between {low:.3g} and {high:.3g}"
    )
    for one, other, least, most in priors.pairs:
        limits = f"between {least:.3g} and {most:.3g}"
        free = least == 0 and most == np.inf
        text += f", for {one} and {other} {'anything' if free else limits}"
    return text + "; nothing else is assumed about how lists depend on each other."


def _notes(data: OverlapTable, pairs: Pairs, found: Bounds) -> list[str]:
    table = data.total()
    if found.fit_low < found.fit_high:
        fit = (
            f"Every N from {found.fit_low:,.0f} to {found.fit_high:,.0f} fits equally well: the "
            "number given between the ends is only their geometric middle. The rest of the range "
            "is sampling error."
        )
    else:
        least, most = _extremes(table, pairs)
        fit = (
            f"The counts themselves fit no N inside the ranges: {least}, {most}. The distance is "
            f"that of a deviance of {found.deviance:.2g}; the number given between the ends is "
            "the N nearest to fitting, and a larger distance would make the range too short."
        )
    said = [fit, "This is a range, not a distribution: no N in it is likelier than another."]
    if data.factors:
        said.append("Strata were added up: the ranges are for the table of everybody.")
    return said
