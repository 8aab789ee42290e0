"""Decomposable graphs of dependence between 3 to 6 lists, averaged in closed form.

Lists that a graph does not join are independent given those between them; lists of a clique
depend on each other in any way. With a hyper-Dirichlet prior every graph's probability of the
table is a closed form for each number of unseen, so that nothing is sampled. Sources: Dawid &
Lauritzen 1993 (Ann. Stat. 21:1272), Madigan & York 1997 (Biometrika 84:19).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.families.maths.chordal import ChordalGraphs, chordal_graphs, cliques, expected_shares
from hiddenpop.families.maths.graph_average import GraphAverage, Setting, average_graphs
from hiddenpop.families.maths.integer_sums import SLOW, support
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.simulation.graphs import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling

if TYPE_CHECKING:
    pass

__all__ = ["Priors", "draw_truth", "posterior", "refusal", "simulate"]

LISTS = (3, 6)

FITTED = 1e-3
"""Graphs with more of the posterior take part in the expected counts."""

ONE_PERSON = 0.999
"""Prior people in the whole table below which a posterior without overlap hardly ends."""

MUCH_SATURATED = 0.15
"""Posterior of the saturated graph above which the table asks for more than a graph can give."""

ASSUMPTION = (
    "Lists that a graph does not join are independent given the lists between them, and at least "
    "two of the lists are not joined directly: that all lists depend on each other in every way "
    "is ruled out beforehand."
)

ASSUMPTION_SATURATED = (
    "Lists that a graph does not join are independent given the lists between them; where all "
    "lists are joined, the number of unseen comes from the priors alone."
)


@dataclass(frozen=True)
class Priors:
    """Settings of the average over graphs, all of which have the same prior probability.

    Attributes
    ----------
    delta
        Prior people in each of the 2^p cells of the whole table, positive. None: 2^-p, one
        prior person in all, which is what the authors of the R package dga recommend; more of
        them pull every cell of every clique, the unseen too, towards the same size.
    size_prior
        Prior on N.
    saturated
        Whether the graph that joins all lists takes part. Left out by default: it says nothing
        about the unseen, so that its answer is the prior's. Its probability is always told.
    max_unseen
        Greatest number of unseen that is considered, or None: as far as the posterior reaches.
        How much of the posterior it cuts off is told.
    """

    delta: float | None = None
    size_prior: SizePrior = field(default_factory=SizePrior)
    saturated: bool = False
    max_unseen: float | None = None

    def __post_init__(self) -> None:
        if self.delta is not None and not 0 < self.delta < np.inf:
            raise ValueError(f"delta is {self.delta:g}; it must be a positive number")
        if self.max_unseen is not None and not self.max_unseen >= 1:
            raise ValueError(f"max_unseen is {self.max_unseen:g}; it must be at least 1")


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why graphs cannot be averaged on a table; None where they can."""
    if isinstance(data, Margins):
        return Refusal("graphs-margins")
    return _refused_lists(data) or _refused_counts(data, priors)


def _refused_lists(data: OverlapTable) -> Refusal | None:
    lists = len(data.lists)
    if not LISTS[0] <= lists <= LISTS[1]:
        return Refusal("graphs-lists", {"lists": lists, "least": LISTS[0], "most": LISTS[1]})
    if data.structural.any():
        return Refusal("graphs-structural", {"cells": int(data.structural.sum())})
    return None


def _refused_counts(data: OverlapTable, priors: Priors) -> Refusal | None:
    if not data.exact:
        return Refusal("graphs-ranges", {"cells": int(np.sum(data.low < data.high))})
    if data.observed == 0:
        return Refusal("graphs-nobody")
    most = priors.size_prior.most
    if most < data.observed:
        return Refusal("graphs-prior", {"most": most, "observed": data.observed})
    # Without overlap the posterior falls about as N to the power -(1 + 2^p delta).
    delta = _delta(data, priors)
    weak = delta * 2 ** len(data.lists) < ONE_PERSON
    if _overlap(data) == 0 and weak and priors.size_prior.kind == "reciprocal":
        return Refusal("graphs-no-overlap", {"delta": delta})
    return None


def _delta(data: OverlapTable, priors: Priors) -> float:
    return 2.0 ** -len(data.lists) if priors.delta is None else priors.delta


def _overlap(data: OverlapTable) -> float:
    """How often somebody was on one more list."""
    return float(data.list_totals.sum() - data.observed)


def posterior(data: OverlapTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """Average over the graphs.

    Returns
    -------
    xarray.DataTree
        As `families.exact` describes, with group `models` (graphs that carry more than 1e-6 of
        the posterior, at most 250, named by their cliques) and `fitted`. Root attributes:
        `tail`, `saturated_probability`, `edges` (JSON: posterior probability that two lists are
        joined), `graphs` and `graphs_left_out` (of the group `models`), `left_out_weight`.
    """
    whole = data.total()
    counts = np.nan_to_num(whole.dense()[0])
    observed = whole.observed
    delta = _delta(whole, priors)
    most = np.floor(priors.size_prior.most - observed)
    last = most if priors.max_unseen is None else min(most, np.floor(priors.max_unseen))
    setting = Setting(counts, delta, priors.size_prior.log_density, last=last)
    found = average_graphs(setting, saturated=priors.saturated, most=most)
    graphs = chordal_graphs(len(whole.lists))
    unseen, mass = support(found.mixture)
    return exact_tree(
        observed,
        Discrete(unseen, mass / mass.sum()),
        seed=sampling.seed,
        assumption=ASSUMPTION_SATURATED if priors.saturated else ASSUMPTION,
        notes=[*_table_notes(data), *_notes(found, priors)],
        models=_models(found, graphs, whole.lists, observed),
        fitted=_fitted(found, graphs, counts, delta),
        attrs={
            "tail": found.tail,
            "saturated_probability": found.saturated,
            "edges": json.dumps(_edges(found, graphs, whole.lists)),
            "graphs": len(found.weights),
            "graphs_left_out": len(found.weights) - len(found.shown),
            "left_out_weight": float(max(0.0, 1 - found.weights[found.shown].sum())),
        },
    )  # fmt: skip


def _models(
    found: GraphAverage, graphs: ChordalGraphs, lists: tuple[str, ...], observed: float
) -> xr.Dataset:
    """One row per graph shown, named by its cliques: "[A B][B C]"."""
    names = [_name(graphs.incidence[place], lists) for place in found.shown]
    low, median, high = observed + found.single.quantile(np.array([0.025, 0.5, 0.975])).T
    columns = {
        "weight": found.weights[found.shown],
        "median": median,
        "mean": observed + found.single.mean(),
        "low": low,
        "high": high,
    }
    return xr.Dataset(
        {name: ("model", values) for name, values in columns.items()}, coords={"model": names}
    )


def _name(incidence: np.ndarray, lists: tuple[str, ...]) -> str:
    parts = (" ".join(lists[j] for j in clique) for clique in cliques(incidence))
    return "".join(f"[{part}]" for part in parts)


def _edges(found: GraphAverage, graphs: ChordalGraphs, lists: tuple[str, ...]) -> dict[str, float]:
    """Posterior probability that a graph joins two lists, by "A:B"."""
    joined = found.weights @ graphs.edges[: len(found.weights)]
    names = (f"{lists[one]}:{lists[two]}" for one, two in graphs.pairs)
    return {name: min(1.0, float(p)) for name, p in zip(names, joined, strict=True)}


def _fitted(
    found: GraphAverage, graphs: ChordalGraphs, counts: np.ndarray, delta: float
) -> xr.Dataset:
    """Counts, and what the graphs expect, each at the median of its own unseen."""
    heavy = found.weights[found.shown] > FITTED
    heavy[0] = True
    medians = found.single.quantile(0.5)[heavy]
    expected = [
        (counts.sum() + unseen) * expected_shares(counts, delta, unseen, graphs.incidence[place])
        for place, unseen in zip(found.shown[heavy], medians, strict=True)
    ]
    mean = np.average(expected, axis=0, weights=found.weights[found.shown[heavy]])
    lists = len(counts).bit_length() - 1
    labels = ["".join("01"[code >> j & 1] for j in range(lists)) for code in range(len(counts))]
    return xr.Dataset(
        {"observed": ("history", counts[1:]), "expected": ("history", mean[1:])},
        coords={"history": labels[1:]},
    )


def _table_notes(data: OverlapTable) -> list[str]:
    notes = []
    if data.factors:
        notes.append(
            f"The {len(data.strata)} strata were added up: people of different strata are taken "
            "to be alike."
        )
    if _overlap(data) == 0:
        notes.append(
            "Nobody was on two lists: the table does not limit how many were missed, the priors do."
        )
    empty = [name for name, total in zip(data.lists, data.list_totals, strict=True) if total == 0]
    if empty:
        notes.append(f"Nobody was on {', '.join(empty)}: what it says of the unseen is its prior.")
    return notes


def _notes(found: GraphAverage, priors: Priors) -> list[str]:
    """What a reader of the number must know, in numbers that were computed."""
    share = _percent(found.saturated)
    left_out = (
        "The graph that joins all lists is left out, because it leaves N to the priors; with it, "
        f"its posterior probability would be {share}."
    )
    taken_in = (
        f"The graph that joins all lists has posterior probability {share}; that part of the "
        "answer comes from the priors and not from the table."
    )
    notes = [taken_in if priors.saturated else left_out]
    if found.saturated > MUCH_SATURATED:
        notes.append(
            f"With {share} for the graph that joins all lists, the table asks for dependence that "
            "no other graph has: do not rest a decision on this number alone, and compare "
            "families with other assumptions."
        )
    if found.left_out > 0:
        notes.append(
            f"At most {priors.max_unseen:,.0f} unseen were considered; without this limit "
            f"{_percent(found.left_out)} of the posterior would lie beyond it."
        )
    if found.power < SLOW:
        notes.append(
            f"The posterior falls so slowly, about as N to the power -{found.power:.2f}, that its "
            "mean rests on numbers far beyond the interval: read the median and the interval."
        )
    hidden = len(found.weights) - len(found.shown)
    if hidden and found.weights[found.shown].sum() < 1 - 1e-3:
        rest = 1 - found.weights[found.shown].sum()
        notes.append(
            f"Of {len(found.weights):,} graphs the {len(found.shown)} heaviest are listed; the "
            f"rest carry {_percent(rest)} and count in N."
        )
    return notes


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 1e-3 else f"{100 * share:.2g} %"
