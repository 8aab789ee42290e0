"""Posterior predictive checks: whether a family would give the cells and margins again.

Each observed cell, the total of each list and the overlap of each pair is held against the
distribution of the same number in a table that has yet to come (Gelman, Meng & Stern 1996, Stat
Sinica 6:733). The fit used the cell that it predicts, so that these p-values are conservative:
they crowd around 1 where the family is right, and a small one says more than it seems to. For the
sampled log-linear model the cell is also left out as a whole, and predicted from the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from hiddenpop.checks.comparison.cell_draws import (
    CellDraws,
    cell_draws,
    cell_words,
    known_cells,
    predicts_cells,
)
from hiddenpop.checks.monte_carlo import efficiency
from hiddenpop.checks.multiple import holm
from hiddenpop.checks.reweighting import MOST_K, weigh
from hiddenpop.checks.row_by_row import OnRow, RowByRow
from hiddenpop.combine import seen_shares
from hiddenpop.families.loglinear_terms import fitted_labels
from hiddenpop.family_fits import FamilyFits, check_options, chosen_families
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.size import SizeEstimate, fit_table, refused

__all__ = ["CELL", "COLUMNS", "LIST", "mid_p", "predictive_table", "without_cell"]

COLUMNS = (
    "id", "family", "kind", "name", "observed", "expected", "low", "high", "p", "p_holm",
    "p_left_out", "p_left_out_holm", "k", "refitted", "passed",
)  # fmt: skip

CELL, LIST, PAIR = "cell", "list", "pair"

MOST_MEAN = 1e15
"""Means are cut here before people are drawn."""


@dataclass(frozen=True, eq=False)
class _Predictive:
    """How a family would give a table again.

    Attributes
    ----------
    expected
        People of each cell, all strata together, shape (sample, 2^L); one sample for families
        that are computed, which is the posterior mean.
    people
        Seen; counts are binomial out of them, or Poisson where this is 0.
    """

    expected: np.ndarray
    people: int

    def of(self, cells: np.ndarray) -> Any:  # noqa: ANN401
        """The distribution of the people in some cells together, one for each sample."""
        mean = np.minimum(self.expected[:, cells].sum(axis=1), MOST_MEAN)
        if not self.people:
            return stats.poisson(mean)
        return stats.binom(self.people, np.clip(mean / self.people, 0, 1))


@dataclass(frozen=True, eq=False)
class _Number:
    """A number of the table: a cell, or a sum of cells."""

    kind: str
    name: str
    cells: np.ndarray  # codes


def predictive_table(
    fits: FamilyFits,
    on_step: Callable[[str], object] | None = None,
    *,
    level: float = 0.95,
    done: pd.DataFrame | None = None,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Hold the cells, list totals and pairs of a table against each family's predictions.

    Parameters
    ----------
    fits
        Of an overlap table; all strata together. Families that expect no cells have no rows.
    on_step
        Told family and number before each.
    level
        Of the predictive intervals.
    done, on_row
        Rows of an earlier run, and who is told all rows so far.

    Returns
    -------
    pandas.DataFrame
        One row for each family and number whose cells are all counted. `kind` is `cell` (people
        on just these lists), `list` (its total) or `pair` (people on both, whatever else);
        `observed`, `expected` and the predictive interval `low` to `high`, people; `p`, two-sided,
        ties counting half, and `p_holm` over the numbers of one kind and family. Of cells of the
        family `loglinear` also `p_left_out`, its p under the fit to the other cells, by weights
        where their Pareto `k` is at most 0.7 and else by a fit (`refitted`) that takes the count
        as unknown; nan where the other cells are not enough.

        Of sampled families the predictive distribution has the doubt about the cells' means in
        it; of computed families it is binomial with the posterior means as shares.
    """
    sizes = {k: e for k, e in fits.estimates.items() if k != COMBINED and predicts_cells(e)}
    options = check_options(fits.study.options, chosen_families(fits.study)[0])
    plan = {
        f"{k}: {one.kind} {one.name}": (k, one) for k, e in sizes.items() for one in _numbers(e)
    }
    keep = None if on_row is None else lambda frame: on_row(_adjusted(frame))
    walk = RowByRow("id", [c for c in COLUMNS if "holm" not in c], list(plan), done, keep)
    known: dict[str, tuple[CellDraws | None, _Predictive]] = {}
    for name in walk.left():
        family, number = plan[name]
        if on_step:
            on_step(name)
        estimate = sizes[family]
        if family not in known:
            drawn = cell_draws(estimate, options)
            known[family] = drawn, _predictive(estimate, drawn)
        drawn, predictive = known[family]
        row = {"id": name, "family": family, "kind": number.kind, "name": number.name,
               "refitted": False, "passed": estimate.verdict.passed}  # fmt: skip
        row |= _held_against(estimate, number, predictive, level)
        if drawn is not None and drawn.poisson and number.kind == CELL:
            row |= _left_out(estimate, number, drawn, options, fits.study.sampling)
        walk.add(row)
    return _adjusted(walk.frame)


def _adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """P-values after Holm over the numbers of one kind and family."""
    found = frame.drop(columns=[c for c in frame if "holm" in str(c)])
    for column in ("p", "p_left_out"):
        by_kind = found.groupby(["family", "kind"], sort=False)[column]
        found[f"{column}_holm"] = by_kind.transform(lambda p: holm(p.to_numpy(dtype=float)))
    return found.reindex(columns=list(COLUMNS))


def _table(estimate: SizeEstimate) -> OverlapTable:
    if not isinstance(estimate.data, OverlapTable):
        raise TypeError("cells are those of an overlap table")
    return estimate.data


def _numbers(estimate: SizeEstimate) -> Iterator[_Number]:
    """Cells, list totals and pairs whose counts are known, as far as the family predicts them."""
    table = _table(estimate)
    fitted = estimate.fitted
    told = set() if fitted is None else set(fitted["history"])
    labels = np.array(["0" * len(table.lists), *fitted_labels(len(table.lists))])
    # What is impossible in one stratum is predicted, and counted, from the others.
    uncertain, whole = (table.low < table.high) & ~table.structural, table.total()
    possible = ~np.isin(np.arange(len(labels)), whole.code[whole.structural])
    clear = np.isin(labels, list(told)) & possible
    clear[table.code[uncertain]] = False
    for code in np.flatnonzero(clear):
        yield _Number(CELL, cell_words(table.lists, labels[code]), np.array([code]))
    codes = np.arange(1, len(labels))
    for size, kind in ((1, LIST), (2, PAIR)):
        for chosen in combinations(range(len(table.lists)), size):
            mask = sum(1 << j for j in chosen)
            cells = codes[((codes & mask) == mask) & possible[1:]]
            if len(cells) > 1 and clear[cells].all():
                yield _Number(kind, " & ".join(table.lists[j] for j in chosen), cells)


def _predictive(estimate: SizeEstimate, drawn: CellDraws | None) -> _Predictive:
    table = _table(estimate)
    if drawn is not None:
        seen = 0 if drawn.poisson else int(table.observed)
        return _Predictive(drawn.mean.sum(axis=1), seen)
    labels = fitted_labels(len(table.lists))
    share = seen_shares(estimate, labels)
    if share is None:
        raise TypeError(f"the family '{estimate.family}' expects no cells")
    expected = np.concatenate([[0.0], share * table.observed])[None]
    return _Predictive(expected, int(table.observed))


def _observed(table: OverlapTable, cells: np.ndarray) -> float:
    counts = np.where(table.structural, 0.0, table.low)
    return float(counts[np.isin(table.code, cells)].sum())


def mid_p(below: np.ndarray | float, equal: np.ndarray | float) -> float:
    """Two-sided p, 2 min(P(less), P(more)), from P(less) and P(equal); equal counts half."""
    less = float(np.mean(below) + np.mean(equal) / 2)
    return max(0.0, min(1.0, 2 * min(less, 1 - less)))


def _held_against(
    estimate: SizeEstimate, number: _Number, predictive: _Predictive, level: float
) -> dict[str, Any]:
    """Observed, expected, interval and p."""
    observed = _observed(_table(estimate), number.cells)
    shape = predictive.of(number.cells)
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    if len(predictive.expected) == 1:
        low, high = shape.ppf(ends)
    else:
        rng = np.random.default_rng(zlib.crc32(f"{estimate.family} {number.name}".encode()))
        low, high = np.quantile(shape.rvs(random_state=rng), ends)
    return {
        "observed": observed, "expected": float(np.mean(shape.mean())),
        "low": float(low), "high": float(high),
        "p": mid_p(shape.cdf(observed - 1), shape.pmf(observed)),
    }  # fmt: skip


def without_cell(table: OverlapTable, code: int) -> OverlapTable:
    """The table with the count of a history unknown, in every stratum in which it was known."""
    known = np.flatnonzero(known_cells(table)[:, code])
    others = ~((table.code == code) & np.isin(table.stratum, known))
    history = ((code >> np.arange(len(table.lists))) & 1).astype(bool)
    more = len(known)
    return replace(
        table,
        history=np.vstack([table.history[others], np.tile(history, (more, 1))]),
        stratum=np.append(table.stratum[others], known),
        low=np.append(table.low[others], np.zeros(more)),
        high=np.append(table.high[others], np.full(more, np.inf)),
        structural=np.append(table.structural[others], np.zeros(more, dtype=bool)),
    ).sorted()


def _left_out(
    estimate: SizeEstimate,
    number: _Number,
    drawn: CellDraws,
    options: Mapping[str, Any],
    sampling: Sampling,
) -> dict[str, Any]:
    """P of a cell under the fit to the other cells."""
    table, code = _table(estimate), int(number.cells[0])
    known = known_cells(table)[:, code]
    counts = np.nan_to_num(table.dense())[known, code]
    observed = _observed(table, number.cells)
    mean = np.maximum(drawn.mean[:, known, code], 1e-300)
    log_likelihood = stats.poisson.logpmf(counts, mean).sum(axis=1)
    worth = efficiency(np.exp(log_likelihood - log_likelihood.max()), drawn.chains)
    shape = stats.poisson(mean.sum(axis=1))
    below, equal = shape.cdf(observed - 1), shape.pmf(observed)
    found = weigh(below, -log_likelihood, worth)
    k = found.k if found.k > -np.inf else np.nan
    if np.isfinite(found.weights).all() and not found.k > MOST_K:
        weights = found.weights * len(below)
        return {"k": k, "p_left_out": mid_p(weights * below, weights * equal)}
    rest = without_cell(table, code)
    if refused(rest, estimate.family, dict(options)) is not None:
        return {"k": k}
    again = fit_table(rest, estimate.family, options=dict(options), sampling=sampling, check=False)
    anew = cell_draws(again, options)
    if anew is None:
        return {"k": k}
    shape = stats.poisson(np.minimum(anew.mean[:, known, code].sum(axis=1), MOST_MEAN))
    p = mid_p(shape.cdf(observed - 1), shape.pmf(observed))
    return {"k": k, "p_left_out": p, "refitted": True, "passed": again.verdict.passed}
