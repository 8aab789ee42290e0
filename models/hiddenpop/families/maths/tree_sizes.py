"""Sizes of all nodes, given the shares, the counts and the people in no counted node."""

from __future__ import annotations

import numpy as np

from hiddenpop.families.maths.tree_groups import draw_shares, shares_of
from hiddenpop.families.maths.tree_region import Region, region_of
from hiddenpop.families.maths.tree_size import RootSize, draw_region
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.tree import Tree

__all__ = ["node_sizes"]


def node_sizes(
    tree: Tree, root: RootSize, draws: int, prior: SizePrior, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draws of the people in every node, each (draw,).

    People in no counted node are divided from the top: of those of a knot, each child has its
    share times the chance that somebody in it is in no counted node.
    """
    sizes = {
        branch.child: np.full(draws, float(branch.count))
        for branch in tree.branches
        if branch.count is not None
    }
    for top in (tree.root, *tree.counted_nodes()):
        region = region_of(tree, top)
        if region is None:
            _divide_below(tree, top, sizes, rng)
            continue
        shares, unseen = draw_region(region, root if top == tree.root else None, draws, prior, rng)
        sizes[top] = unseen + region.counts.sum()
        _divide_region(tree, region, shares, unseen, sizes, rng)
    return {name: sizes[name] for name in tree.nodes}


def _divide_region(
    tree: Tree, region: Region, shares: list[np.ndarray], unseen: np.ndarray,
    sizes: dict[str, np.ndarray], rng: np.random.Generator,
) -> None:  # fmt: skip
    """Sizes of the nodes of a region, and of those below that have no counts."""
    # By knot: its parts that are other knots, or counts (negative).
    to_of = [
        {int(knot.labels[row]): to for row, to in enumerate(knot.below)} for knot in region.knots
    ]
    lost = [np.zeros(0)] * len(region.knots)
    for place in reversed(range(len(region.knots))):
        lost[place] = shares[place].copy()
        for part, to in to_of[place].items():
            # A child's loss is that of all its parts together.
            lost[place][:, part] *= lost[to].sum(axis=1) if to >= 0 else 0.0
    left = [unseen] * len(region.knots)
    for place, knot in enumerate(region.knots):
        parts = _multinomial(left[place], lost[place], rng)
        for part, child in enumerate(knot.shares.children):
            if part not in to_of[place]:
                sizes[child] = parts[:, part]
                _divide_below(tree, child, sizes, rng)
            elif to_of[place][part] >= 0:
                left[to_of[place][part]] = parts[:, part]
                sizes[child] = parts[:, part] + tree.counted_below(child)


def _multinomial(people: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """People put into parts in proportion to `weights`, (draw, part)."""
    left = people.copy()
    # Sums from the end: the last part with a chance takes everybody who is left.
    totals = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    found = np.zeros_like(weights)
    for part in range(weights.shape[1]):
        total = totals[:, part]
        share = np.divide(weights[:, part], total, out=np.zeros(len(total)), where=total > 0)
        found[:, part] = _binomial(left, np.clip(share, 0.0, 1.0), rng)
        left = left - found[:, part]
    return found


def _binomial(people: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Binomial draws, also of numbers beyond the range of integers."""
    small = people < 2**62
    drawn = rng.binomial(np.where(small, people, 0).astype(np.int64), share).astype(float)
    return np.asarray(np.where(small, drawn, np.round(people * share)))


def _divide_below(
    tree: Tree, top: str, sizes: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    """Sizes below a node that has no counts below: as the samples say."""
    branches = tree.children(top)
    if not branches:
        return
    shares = shares_of(branches, covers=tree.covers(top))
    parts = _multinomial(sizes[top], draw_shares(shares, len(sizes[top]), rng), rng)
    for part, branch in enumerate(branches):
        sizes[branch.child] = parts[:, part]
        _divide_below(tree, branch.child, sizes, rng)
