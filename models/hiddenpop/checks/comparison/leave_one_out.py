"""Leave-one-out: how well everything else predicts each row of evidence in use.

The expected log predictive density of row i is log p(y_i | y_-i). From draws of the fit with all
rows it is found by importance weights 1 / p(y_i | theta), the greatest of which are smoothed
(PSIS; Vehtari, Gelman & Gabry 2017, Stat Comput 27:1413, section 2). Their Pareto k says whether
that can be relied upon; where it is above 0.7 the study is fitted again without the row, and the
density is the mean of p(y_i | theta) over those draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.checks.conflict.table import leave_out
from hiddenpop.checks.monte_carlo import efficiency, mean_density
from hiddenpop.checks.reweighting import MOST_K, weigh
from hiddenpop.checks.row_by_row import OnRow, RowByRow
from hiddenpop.estimate import Estimate, build
from hiddenpop.inference import Sampler
from hiddenpop.words import listing, name_words

__all__ = [
    "COLUMNS",
    "LeftOut",
    "elpd_of",
    "leave_one_out",
    "left_out",
    "left_out_sentences",
]

COLUMNS = ("id", "source", "elpd", "k", "refitted", "elpd_refit", "error", "passed")

MUCH_ERROR = 0.3
"""Monte Carlo error of a log density, in units of its own, that is told."""


class LeftOut(NamedTuple):
    """What was left out, as the rest predicts it.

    Attributes
    ----------
    elpd
        Expected log predictive density.
    k
        Pareto k of the weights; nan where they are all alike.
    most
        Greatest k at which so many draws can be relied upon: min(1 - 1 / log10(draws), 0.7)
        (Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25(72)); 0.7 from 2,200 draws.
    """

    elpd: float
    k: float
    most: float = MOST_K

    @property
    def reliable(self) -> bool:
        """Whether the weights may be used."""
        return bool(np.isfinite(self.elpd)) and not self.k > self.most


def left_out(
    log_density: np.ndarray, log_likelihood: np.ndarray | None = None, chains: int = 1
) -> LeftOut:
    """Leave an observation out of a fit by importance weights.

    Parameters
    ----------
    log_density
        Of the observation, given each draw, shape (sample,), chains one after the other.
    log_likelihood
        What the observation added to the log posterior of each draw, up to a constant, if that is
        not the same, shape (sample,).
    chains
        Of the draws.
    """
    told = log_density if log_likelihood is None else log_likelihood
    most = float(log_density.max())
    density = np.exp(log_density - most)
    found = weigh(density, -told, efficiency(density, chains))
    k = found.k if found.k > -np.inf else np.nan
    limit = min(1 - 1 / np.log10(len(density)), MOST_K)
    return LeftOut(float(most + np.log(found.weights @ density)), float(k), float(limit))


def leave_one_out(
    estimate: Estimate,
    on_step: Callable[[str], None] | None = None,
    *,
    rows: pd.DataFrame | None = None,
    seed: int | None = None,
    done: pd.DataFrame | None = None,
    on_row: OnRow | None = None,
) -> pd.DataFrame:
    """Expected log predictive density of each row of evidence in use.

    Tables of overlapping lists that are components of the study are not left out: the density of
    a whole table under the priors of its own parameters is no mean that draws could find.

    Parameters
    ----------
    on_step
        Told the id of each row before its turn.
    rows
        Of `checks.conflict.table.conflict_table`, which has fitted the study without each row
        already: rows that it has are not fitted again.
    seed
        Of refits, instead of the estimate's own.
    done
        Rows of an earlier run: they are not looked at again.
    on_row
        Called with all rows so far after each one.

    Returns
    -------
    pandas.DataFrame
        One row for each, in the study's order: `id`, `source`; `elpd` by weights and their Pareto
        `k` (nan where they are all alike); `refitted`, whether `k` was above 0.7, and then
        `elpd_refit` of the fit without the row with its Monte Carlo standard error `error`;
        `passed`, whether the fit that was used passed its gates. Densities are those of the
        likelihoods of `families.synthesis`, each in the unit of its own row.
    """
    data = estimate.data.data
    used = data.evidence.ids
    names = [x for x, counts in zip(data.ids, data.counted, strict=True) if counts and x in used]
    source = dict(zip(data.ids, data.targets["source"], strict=True))
    known = {} if rows is None else {str(row["id"]): row for _, row in rows.iterrows()}
    walk = RowByRow("id", COLUMNS, names, done, on_row)
    estimate = replace(estimate, sampler=estimate.sampler or Sampler(build(estimate.data)))
    chains = estimate.tree["posterior"].sizes["chain"]
    for name in walk.left():
        if on_step:
            on_step(name)
        found = left_out(estimate.draws("pointwise", evidence=name), chains=chains)
        row: dict[str, Any] = {"id": name, "source": source[name]}
        row |= {
            "elpd": found.elpd,
            "k": found.k,
            "refitted": not found.reliable,
            "passed": estimate.verdict.passed,
        }
        if not found.reliable:
            chosen = estimate.sampling.seed if seed is None else seed
            row |= _refit(estimate, name, chosen, known.get(name))
        walk.add(row)
    return walk.frame


def _refit(
    estimate: Estimate, name: str, seed: int, known: pd.Series[Any] | None
) -> dict[str, Any]:
    """The density of a row in the fit without it, made now or for the conflict table."""
    if known is not None:
        return {
            "elpd_refit": known["elpd"],
            "error": known["elpd_error"],
            "passed": known["passed"],
        }
    without = leave_out(estimate, [name], seed=seed)
    chains = without.tree["posterior"].sizes["chain"]
    elpd, error = mean_density(without.draws("pointwise", evidence=name), chains)
    return {"elpd_refit": elpd, "error": error, "passed": without.verdict.passed}


def elpd_of(frame: pd.DataFrame) -> np.ndarray:
    """The density that counts: of the refit where there is one, shape (row,)."""
    refitted = frame["refitted"].to_numpy(dtype=bool)
    return np.where(refitted, frame["elpd_refit"].astype(float), frame["elpd"].astype(float))


def left_out_sentences(frame: pd.DataFrame) -> list[str]:
    """The sum with its standard error, and how it was found, in words.

    The standard error is that of a sum over rows drawn from many such: sqrt(n var(elpd_i))
    (Vehtari, Gelman & Gabry 2017, equation 23).
    """
    elpd = elpd_of(frame)
    again = int(frame["refitted"].astype(bool).sum())
    error = np.sqrt(len(elpd) * np.var(elpd, ddof=1)) if len(elpd) > 1 else np.nan
    text = (
        f"Each of the {len(elpd)} numbers in use was left out in turn: the log predictive "
        f"densities add up to {elpd.sum():.1f} (standard error {error:.1f}). The sum has no scale "
        "of its own; it compares models of the same numbers."
    )
    said = [text]
    if again:
        who = listing([name_words(str(x)) for x in frame.loc[frame["refitted"].astype(bool), "id"]])
        said.append(
            f"For {again} of them the Pareto k was above {MOST_K:g}, so that the study was fitted "
            f"again without each: {who}. The fit leans on these, or nothing else speaks of them."
        )
    else:
        said.append(f"No Pareto k was above {MOST_K:g}: no number had to be left out by a refit.")
    rough = frame.loc[frame["error"].astype(float) > MUCH_ERROR, "id"]
    if len(rough):
        said.append(
            f"The density of {listing([name_words(str(x)) for x in rough])} is rough: its Monte "
            f"Carlo standard error is above {MUCH_ERROR:g}, as few draws come near the number."
        )
    failed = frame.loc[~frame["passed"].astype(bool), "id"]
    if len(failed):
        said.append(f"Fits that failed their gates: {listing([str(x) for x in failed])}.")
    return said
