"""Choosing one log-linear model, and a bootstrap that chooses again in every replicate.

For comparison with published analyses; the default of this library averages over models
instead (`loglinear_bic.posterior`).

- `stepwise`: pairs of lists are added one by one, the least likely overlap first (Chan,
  Silverman & Vincent 2021, JASA 116:129), as in the R package SparseMSE;
- `best_by_bic`: the smallest BIC of all hierarchical models, as in MultipleSystemsEstimation
  (Silverman, Chan & Vincent 2024, Statistics and Computing 34) and Rcapture's `closedpMS.t`;
- `bootstrap`: people are drawn again with replacement, the model is chosen again, and the
  quantiles are corrected for bias and acceleration (BCa; DiCiccio & Efron 1996, Statistical
  Science 11:189).

All replicates are carried forward together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, pdtr, pdtrc, xlogy

from hiddenpop.families.averaging.cells import Cells, cells_of
from hiddenpop.families.averaging.models import fit_all, rank_models
from hiddenpop.families.averaging.single import ModelFit, fit_model
from hiddenpop.families.maths.hierarchical_ml import Fits, fit_models
from hiddenpop.families.maths.hierarchy import hold, sizes
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Bootstrap", "Stepwise", "bca", "best_by_bic", "bootstrap", "stepwise"]

LEVELS = (0.025, 0.05, 0.1, 0.16, 0.84, 0.9, 0.95, 0.975)

ROWS = 20_000
"""Models times replicates that are fitted at a time."""


@dataclass(frozen=True)
class Stepwise:
    """What stepwise selection found.

    Attributes
    ----------
    pairs
        Pairs of lists in the order in which they came in, "LA:NG".
    fit
        The model with these pairs; `fit.wald` is SparseMSE's interval.
    """

    pairs: tuple[str, ...]
    fit: ModelFit


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Replicates of an estimate with the model chosen anew in each.

    Attributes
    ----------
    estimate
        N from the table itself.
    replicates
        N of each resampled table, those without an estimate left out, shape (replicate,).
    failed
        Resampled tables without an estimate.
    bias
        z_0, the normal quantile of the share of replicates below the estimate.
    acceleration
        From leaving out one person of each cell in turn.
    levels, quantiles
        BCa quantiles of N; nan where all replicates are on one side of the estimate.
    """

    estimate: float
    replicates: np.ndarray
    failed: int
    bias: float
    acceleration: float
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]


def stepwise(table: OverlapTable, pthresh: float = 0.02) -> Stepwise:
    """Add pairs to the main effects while an overlap is less likely than `pthresh`.

    Under the model so far the overlap of a pair is Poisson; the pair with the smallest
    probability of an overlap as small, or as large, comes in if the model then has an estimate.

    Raises
    ------
    ValueError
        If a count is not known, or the lists have no estimate even when independent.
    """
    cells = cells_of(table)
    steps = _Steps(cells, cells.counts[None], pthresh)
    if steps.fits.code[0]:
        raise ValueError("even independent lists have no estimate on this table")
    steps.run()
    names = cells.names(steps.pairs[np.array(steps.taken[0], dtype=int)])
    return Stepwise(tuple(names), fit_model(table, names))


def best_by_bic(table: OverlapTable, order: int | None = None) -> ModelFit:
    """The hierarchical model with the smallest BIC; `order` limits the lists in one term.

    Raises
    ------
    ValueError
        If no model has an estimate.
    """
    ranked = rank_models(table, order, top=1)
    if not len(ranked):
        raise ValueError("no model has an estimate on this table")
    return fit_model(table, str(ranked["model"].iloc[0]))


def bootstrap(
    table: OverlapTable,
    method: Literal["stepwise", "bic"] = "stepwise",
    *,
    replicates: int = 1000,
    seed: int = 1,
    pthresh: float = 0.02,
    order: int | None = None,
    top: int = 20,
    levels: Sequence[float] = LEVELS,
) -> Bootstrap:
    """BCa quantiles of N, the model chosen again in every replicate.

    Parameters
    ----------
    method
        How the model is chosen.
    pthresh
        Of `stepwise`.
    order, top
        Of `bic`: replicates choose among the `top` best models of the table itself, of at most
        `order` lists in one term.
    """
    cells = cells_of(table)
    rng = np.random.default_rng(seed)
    share = cells.counts / cells.observed
    drawn = rng.multinomial(int(cells.observed), share, size=replicates).astype(float)
    filled = np.flatnonzero(cells.counts > 0)
    without = cells.counts - np.eye(len(cells.counts))[filled]
    choose = _chooser(cells, method, pthresh, order, top)
    sizes_found = choose(np.vstack([cells.counts[None], without, drawn]))
    estimate, left_out = float(sizes_found[0]), sizes_found[1 : 1 + len(filled)]
    found = sizes_found[1 + len(filled) :]
    kept = found[np.isfinite(found)]
    acceleration = _acceleration(left_out, cells.counts[filled])
    bias, quantiles = bca(kept, estimate, acceleration, levels)
    return Bootstrap(
        estimate, kept, int(len(found) - len(kept)), bias, acceleration,
        tuple(levels), tuple(quantiles.tolist()),
    )  # fmt: skip


def bca(
    replicates: np.ndarray, estimate: float, acceleration: float, levels: Sequence[float]
) -> tuple[float, np.ndarray]:
    """Bias z_0 and the corrected quantiles (DiCiccio & Efron 1996, equation 2.3).

    Empirical quantiles are of type 8 (Hyndman & Fan 1996, American Statistician 50:361).
    """
    bias = float(ndtri(np.mean(replicates < estimate)))
    if not np.isfinite(bias):
        return bias, np.full(len(levels), np.nan)
    moved = ndtri(np.asarray(levels)) + bias
    corrected = ndtr(bias + moved / (1 - acceleration * moved))
    return bias, np.quantile(replicates, corrected, method="median_unbiased")


def _acceleration(left_out: np.ndarray, people: np.ndarray) -> float:
    """Sum w r^3 / (6 (sum w r^2)^1.5), each cell counting as often as it has people."""
    kept = np.isfinite(left_out)
    left_out, people = left_out[kept], people[kept]
    residual = people @ left_out / people.sum() - left_out
    spread = float(people @ residual**2)
    return float(people @ residual**3) / (6 * spread**1.5) if spread > 0 else 0.0


type Chooser = Callable[[np.ndarray], np.ndarray]
"""From tables, shape (table, cell), N of the model chosen for each, nan where there is none."""


def _chooser(cells: Cells, method: str, pthresh: float, order: int | None, top: int) -> Chooser:
    """What chooses a model for each of many tables, and gives its N."""
    if method == "stepwise":

        def by_steps(counts: np.ndarray) -> np.ndarray:
            steps = _Steps(cells, counts, pthresh)
            steps.run()
            return _size(counts, steps.fits)

        return by_steps
    if method != "bic":
        raise ValueError(f"a model is chosen by stepwise or bic, not by '{method}'")
    fitted = fit_all(cells, order)
    model = fitted.model[np.argsort(fitted.bic, kind="stable")[:top]]

    def by_bic(counts: np.ndarray) -> np.ndarray:
        parts = np.array_split(counts, -(-len(counts) * len(model) // ROWS))
        return np.concatenate([_smallest_bic(cells, part, fitted.masks, model) for part in parts])

    return by_bic


def _smallest_bic(
    cells: Cells, counts: np.ndarray, masks: np.ndarray, model: np.ndarray
) -> np.ndarray:
    """N of the best of the models on each table, shape (table,)."""
    tables, models = len(counts), len(model)
    fits = fit_models(
        np.repeat(counts, models, axis=0), cells.possible, masks, np.tile(model, (tables, 1))
    )
    people = np.repeat(counts.sum(1), models)
    bic = fits.parameters * np.log(people) - 2 * fits.log_likelihood
    bic = np.where(fits.code == 0, bic, np.inf).reshape(tables, models)
    best = np.arange(tables) * models + bic.argmin(1)
    return _size(counts, Fits(*(values[best] for values in fits)))


def _size(counts: np.ndarray, fits: Fits) -> np.ndarray:
    unseen = np.exp(np.minimum(fits.log_unseen, 700.0))
    return np.where(fits.code == 0, counts.sum(1) + unseen, np.nan)


class _Steps:
    """Stepwise selection on many tables in step.

    Attributes
    ----------
    pairs
        Masks of all pairs, shape (pair,).
    taken
        For each table the places in `pairs` of those that came in, in that order.
    fits
        Of the models so far, a row a table.
    """

    def __init__(self, cells: Cells, counts: np.ndarray, pthresh: float) -> None:
        self._cells, self._counts = cells, counts
        self._limit = np.log(pthresh) if pthresh > 0 else -np.inf
        self._masks = cells.terms(2)
        mains = sizes(self._masks) == 1
        self.pairs = self._masks[~mains]
        self._first = int(mains.sum())
        self._hold = hold(np.arange(counts.shape[1]), self.pairs).astype(float)
        self._overlap = counts @ self._hold
        self._model = np.tile(mains, (len(counts), 1))
        self.taken: list[list[int]] = [[] for _ in counts]
        self.fits = self._fit(np.arange(len(counts)), self._model)

    def _fit(self, rows: np.ndarray, model: np.ndarray) -> Fits:
        return fit_models(self._counts[rows], self._cells.possible, self._masks, model)

    def run(self) -> None:
        """Add pairs to each table's model until none is left that comes in."""
        rows = np.flatnonzero(self.fits.code == 0)
        while len(rows):
            rows = self._add(rows)

    def _add(self, rows: np.ndarray) -> np.ndarray:
        """One pair more for each of the tables; those for which one came in."""
        expected = self.fits.expected[rows] * self._cells.possible
        rarity = _log_rarity(self._overlap[rows], expected @ self._hold)
        rarity[self._model[rows, self._first :]] = np.inf
        grown: list[np.ndarray] = []
        open_rows = np.arange(len(rows))
        while len(open_rows := open_rows[rarity[open_rows].min(1) < self._limit]):
            pair = rarity[open_rows].argmin(1)
            model = self._model[rows[open_rows]]
            model[np.arange(len(model)), self._first + pair] = True
            fits = self._fit(rows[open_rows], model)
            good = fits.code == 0
            self._take(rows[open_rows[good]], pair[good], model[good], fits, good)
            grown.append(rows[open_rows[good]])
            rarity[open_rows[~good], pair[~good]] = np.inf
            open_rows = open_rows[~good]
        return np.sort(np.concatenate(grown)) if grown else np.array([], dtype=int)

    def _take(
        self, rows: np.ndarray, pair: np.ndarray, model: np.ndarray, fits: Fits, good: np.ndarray
    ) -> None:
        self._model[rows] = model
        for row, place in zip(rows, pair, strict=True):
            self.taken[row].append(int(place))
        for mine, new in zip(self.fits, fits, strict=True):
            mine[rows] = new[good]


def _log_rarity(overlap: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Log of the smaller of P(Poisson(mean) <= overlap) and P(Poisson(mean) >= overlap)."""
    mean = np.maximum(mean, 1e-300)
    above = np.where(overlap > 0, pdtrc(np.maximum(overlap - 1, 0), mean), 1.0)
    smaller = np.minimum(pdtr(overlap, mean), above)
    # Where both are too small for a number, the tail is its nearest term.
    nearest = xlogy(overlap, mean) - mean - gammaln(overlap + 1)
    return np.asarray(np.where(smaller > 1e-300, np.log(np.maximum(smaller, 1e-300)), nearest))
