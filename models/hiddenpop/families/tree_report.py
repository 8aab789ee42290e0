"""What is said of a tree beside its size: each count alone and without the others, and notes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths.integer_sums import SLOW
from hiddenpop.families.maths.tree_size import RootSize
from hiddenpop.families.maths.tree_weights import Weighted
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.tree import Tree

__all__ = ["ENDS", "assumption", "benchmarks", "notes"]

ENDS = np.array([0.5, 0.025, 0.975])

UNLIKELY = 0.05
"""A count that disagrees with the others with a smaller probability is named."""

COLUMNS = ("plain", "alone", "without")

type Fit = Callable[[Tree, SizePrior], RootSize]


def benchmarks(tree: Tree, weighted: Weighted, fit: Fit, prior: SizePrior) -> xr.Dataset:
    """N from each counted node by itself, and from all others.

    Whether the two agree is asked under the prior 1/N, so that no prior is counted twice.
    """
    nodes, found = tree.counted_nodes(), {}

    def size(kept: frozenset[str], prior: SizePrior) -> Discrete | None:
        part = tree.with_counts(kept)
        if part.observed == 0 or prior.most < part.observed:
            return None
        if (kept, prior) not in found:
            one = fit(part, prior)
            found[kept, prior] = Discrete(one.unseen + part.observed, one.probability)
        return found[kept, prior]

    rows = []
    for node in nodes:
        mine, others = frozenset({node}), frozenset(nodes) - {node}
        row: dict[str, float] = {}
        for name, ends in zip(
            COLUMNS,
            (_plain(weighted, node), _ends(size(mine, prior)), _ends(size(others, prior))),
            strict=True,
        ):
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
        row["conflict"] = _conflict(size(mine, SizePrior()), size(others, SizePrior()))
        row["weight"] = dict(zip(weighted.nodes, weighted.weights, strict=True)).get(node, 0.0)
        rows.append(row)
    return xr.Dataset(
        {key: ("benchmark", np.array([float(row[key]) for row in rows])) for key in rows[0]},
        coords={"benchmark": list(nodes)},
    )


def _plain(weighted: Weighted, node: str) -> np.ndarray:
    return weighted.single(node) if node in weighted.nodes else np.full(3, np.nan)


def _ends(one: Discrete | None) -> np.ndarray:
    return np.full(3, np.nan) if one is None else one.quantile(ENDS)


def _conflict(one: Discrete | None, other: Discrete | None) -> float:
    """Twice the smaller of P(one < other) and P(one > other), as if they were independent."""
    if one is None or other is None:
        return float("nan")
    below = np.append(0.0, np.cumsum(other.probability))
    under = below[np.searchsorted(other.unseen, one.unseen, side="left")]
    up_to = below[np.searchsorted(other.unseen, one.unseen, side="right")]
    higher, lower = float(one.probability @ under), float(one.probability @ (1 - up_to))
    return min(1.0, 2 * min(higher, lower))


def assumption(tree: Tree) -> str:
    """What the number rests on."""
    return (
        "In every branch that was sampled, the share found is that of all members of the parent "
        "at the time and place of the counts, every count holds all members of its node in "
        f"'{tree.root}' and nobody else, and nobody is in two branches of one parent; no data can "
        "test this."
    )


def notes(
    tree: Tree, prior: SizePrior, found: RootSize, weighted: Weighted, rows: xr.Dataset
) -> list[str]:
    """What a reader of the number must know, in numbers that were computed."""
    low, high = weighted.interval()
    priors = f"Priors: {prior} on the size of '{tree.root}', uniform on the shares of the branches."
    method = (
        f"The weighted multiplier method gives {weighted.root:,.0f} ({low:,.0f} to {high:,.0f}); "
        "it takes the shares from the samples alone, with no prior on the size."
    )
    said = [priors, method, *_on_shares(tree), *_on_conflicts(rows)]
    if found.bracket.power < SLOW:
        said.append(
            "The posterior falls so slowly, about as N to the power "
            f"-{found.bracket.power:.2f}, that its mean rests on numbers far beyond the interval: "
            "read the median and the interval."
        )
    return said


def _on_shares(tree: Tree) -> list[str]:
    """What was taken for granted about children and samples."""
    parents = dict.fromkeys(branch.parent for branch in tree.branches)
    said = [
        f"The children of '{node}' are taken to be the whole of it, so that what one sample says "
        "of one child says as much of the others."
        for node in parents
        if tree.covers(node) and len({b.sample or b.child for b in tree.children(node)}) > 1
    ]
    sampled = [branch for branch in tree.branches if branch.sampled]
    plain = [branch for branch in sampled if branch.design_effect == 1]
    if plain:
        said.append(
            f"{len(plain)} of {len(sampled)} sampled branches have a design effect of 1: their "
            "samples are taken to be simple random ones, and the interval is too narrow where "
            "they were respondent-driven or clustered."
        )
    return said


def _on_conflicts(rows: xr.Dataset) -> list[str]:
    """Counts that disagree with the others."""
    said = []
    for name in rows["benchmark"].to_numpy():
        one = {key: float(value) for key, value in rows.sel(benchmark=name).items()}
        if one["conflict"] < UNLIKELY:
            said.append(
                f"The count of '{name}' and the samples on the way to it point to "
                f"{one['plain']:,.0f} ({one['plain_low']:,.0f} to {one['plain_high']:,.0f}), "
                f"against the other counts (p = {one['conflict']:.2g}): a sample or a count is "
                "wrong, or they are not of the same people, and the interval leaves this out."
            )
    return said
