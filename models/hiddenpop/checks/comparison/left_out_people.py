"""Leave one person out: how well each family predicts on which lists somebody was seen.

People of one cell are alike, so that one of them stands for all: each cell with anybody in it is
fitted again with one person fewer. This is leave-one-out of people, exact but for the cost of as
many fits as cells. Where a family has draws, weights spare the fits whose Pareto k allows it
(Vehtari, Gelman & Gabry 2017, Stat Comput 27:1413).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.checks.comparison.cell_draws import (
    CellDraws,
    cell_draws,
    cell_words,
    known_cells,
    of_model,
    predicts_cells,
)
from hiddenpop.checks.comparison.leave_one_out import LeftOut, elpd_of, left_out
from hiddenpop.checks.row_by_row import OnRow, RowByRow
from hiddenpop.combine import seen_shares
from hiddenpop.families import FAMILIES
from hiddenpop.family_fits import FamilyFits, check_options, chosen_families
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.size import SizeEstimate, fit_table, priors_of, refused

__all__ = ["ALL", "COLUMNS", "leave_people_out", "one_fewer", "people_words", "scored"]

COLUMNS = (
    "id", "family", "stratum", "cell", "people", "elpd", "k", "refitted", "elpd_refit", "passed",
)  # fmt: skip

ALL = "all"
"""Stratum of rows of families that add strata up."""


class _Unit(NamedTuple):
    """A cell with people in it, as one family sees the table."""

    family: str
    place: int  # row of `table`
    table: OverlapTable

    @property
    def stratum(self) -> str:
        return self.table.stratum_names[int(self.table.stratum[self.place])]

    @property
    def cell(self) -> str:
        return cell_words(self.table.lists, self.table.labels[self.place])

    @property
    def name(self) -> str:
        return f"{self.family}: {self.stratum}, {self.cell}"


def leave_people_out(
    fits: FamilyFits,
    on_step: Callable[[str], object] | None = None,
    *,
    done: pd.DataFrame | None = None,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Log probability of the history of a person left out, for each cell and family.

    Parameters
    ----------
    fits
        Of an overlap table. Families that expect no cells (`two-list`, `bounds`) have no rows;
        nor have families without cells by stratum, where other cells are known in one stratum
        than in another: people could then not have been where these families look for them.
    on_step
        Told family and cell before each.
    done, on_row
        Rows of an earlier run, and who is told all rows so far.

    Returns
    -------
    pandas.DataFrame
        One row for each family and cell with a known count of one or more; by stratum for
        families that keep strata apart, `all` for those that add them up. `people` in the cell;
        `elpd`, the log probability of the history of one of them given that they are seen, by
        weights, and their Pareto `k`; `refitted`, and `elpd_refit` of the fit with one person
        fewer (computed families have no other); `passed`, whether the fit passed its gates. nan
        where the family cannot be used with one person fewer.
    """
    sizes = {k: e for k, e in fits.estimates.items() if k != COMBINED and _can_score(e)}
    options = check_options(fits.study.options, chosen_families(fits.study)[0])
    units = {one.name: one for k, e in sizes.items() for one in _units(k, e)}
    walk = RowByRow("id", COLUMNS, list(units), done, on_row)
    known: dict[str, CellDraws | None] = {}
    for name in walk.left():
        unit = units[name]
        if on_step:
            on_step(name)
        if unit.family not in known:
            known[unit.family] = cell_draws(sizes[unit.family], options)
        found = _one(unit, sizes[unit.family], known[unit.family], options, fits.study.sampling)
        people = float(unit.table.low[unit.place])
        walk.add({"id": name, "family": unit.family, "stratum": unit.stratum,
                  "cell": unit.cell, "people": people} | found)  # fmt: skip
    return walk.frame


def _can_score(estimate: SizeEstimate) -> bool:
    """Whether a family says where people of a stratum are, given that their cell is known."""
    table = estimate.data
    if not isinstance(table, OverlapTable) or not predicts_cells(estimate):
        return False
    known = known_cells(table)
    by_stratum = hasattr(FAMILIES[estimate.family].module, "build_model")
    return by_stratum or bool((known == known[0]).all())


def _units(family: str, estimate: SizeEstimate) -> list[_Unit]:
    """Cells with people in them whose number is known."""
    table = estimate.data
    if not isinstance(table, OverlapTable):
        raise TypeError("people are left out of overlap tables")
    if "stratum" not in estimate.tree["posterior"]["N"].dims:
        table = table.total()
    there = (table.low == table.high) & ~table.structural & (table.low > 0)
    return [_Unit(family, int(place), table) for place in np.flatnonzero(there)]


def one_fewer(table: OverlapTable, place: int) -> OverlapTable:
    """The table with one person fewer in a cell."""
    less = np.zeros(len(table.low))
    less[place] = 1.0
    return replace(table, low=table.low - less, high=table.high - less)


def _one(
    unit: _Unit,
    estimate: SizeEstimate,
    drawn: CellDraws | None,
    options: Mapping[str, Any],
    sampling: Sampling,
) -> dict[str, Any]:
    """Numbers of one cell."""
    row: dict[str, Any] = {"elpd": np.nan, "k": np.nan}
    if drawn is not None:
        found = _weighted(unit, drawn)
        row = {"elpd": found.elpd, "k": found.k}
        if found.reliable:
            return row | {"refitted": False, "passed": estimate.verdict.passed}
    row |= {"refitted": True, "elpd_refit": np.nan, "passed": True}
    if refused(one_fewer(unit.table, unit.place), unit.family, dict(options)) is not None:
        return row
    if drawn is not None and drawn.sampler is not None:
        return row | _sampled_again(unit, drawn.sampler, options, sampling)
    again = fit_table(
        one_fewer(unit.table, unit.place), unit.family, options=dict(options),
        sampling=sampling, check=False,
    )  # fmt: skip
    known = known_cells(unit.table)[0]
    among = {x for x, code in zip(unit.table.labels, unit.table.code, strict=True) if known[code]}
    label = unit.table.labels[unit.place]
    share = seen_shares(again, [label], None if unit.table.exact else among)
    if share is None:
        return row
    return row | {"elpd_refit": float(np.log(share[0])), "passed": again.verdict.passed}


def _weighted(unit: _Unit, drawn: CellDraws) -> LeftOut:
    """By weights: a person fewer divides the likelihood by the cell's mean, or by its share."""
    stratum, code = unit.table.stratum[unit.place], unit.table.code[unit.place]
    share, mean = drawn.share[:, stratum, code], drawn.mean[:, stratum, code]
    return left_out(np.log(share), np.log(mean), drawn.chains)


def _sampled_again(
    unit: _Unit, sampler: Any, options: Mapping[str, Any], sampling: Sampling  # noqa: ANN401
) -> dict[str, Any]:  # fmt: skip
    """The same compiled model with one person fewer."""
    table = one_fewer(unit.table, unit.place)
    module = FAMILIES[unit.family].module
    priors = priors_of(unit.family, dict(options))
    tree = sampler.sample(module.values(table, priors), sampling)
    drawn = of_model(tree["posterior"].to_dataset(), table, sampler)
    share = drawn.share[:, table.stratum[unit.place], table.code[unit.place]]
    passed = SizeEstimate(tree, table, unit.family).verdict.passed
    return {"elpd_refit": float(np.log(share.mean())), "passed": passed}


def scored(frame: pd.DataFrame) -> list[str]:
    """Families whose every cell has a log probability."""
    found = frame.assign(known=np.isfinite(elpd_of(frame)))
    by_family = found.groupby("family", sort=False)["known"].all()
    return [str(name) for name, every in by_family.items() if every]


def people_words(frame: pd.DataFrame) -> list[str]:
    """How the log probabilities of one family were found, in words."""
    again = int(frame["refitted"].astype(bool).sum())
    by_weights = len(frame) - again
    total = float(frame["people"] @ elpd_of(frame))
    people, cells = int(frame["people"].sum()), len(frame)
    if np.isnan(total):
        text = "With one person fewer in a cell the family refuses the table: it has no sum."
        return [text]
    how = f"{again} of {cells} cells by a fit with one person fewer"
    if by_weights:
        how = f"{by_weights} of {cells} cells by weights, {again} by a fit with one person fewer"
    said = [f"The log probabilities of {people:,} people add up to {total:.1f}; {how}."]
    if failed := int((~frame["passed"].astype(bool)).sum()):
        said.append(f"{failed} of these fits failed their gates.")
    return said
