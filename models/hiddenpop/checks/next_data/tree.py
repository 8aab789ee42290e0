"""Next data for a tree: each sample that divides it on the way to the counts, once more.

Samples below a counted node say nothing of the whole, and are left out.
"""

from __future__ import annotations

import numpy as np

from hiddenpop.checks.next_data.width import Asked
from hiddenpop.families.maths.tree_region import region_of
from hiddenpop.families.maths.tree_size import draw_region, root_size
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.tree import Branch, Tree
from hiddenpop.words import listing, plain

__all__ = ["next_samples"]


def next_samples(
    data: Tree, prior: SizePrior, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[Asked]]:
    """Draws of the size of the root, and each sample of its region once more, as large.

    Parameters
    ----------
    prior
        On the size of the root, as it was fitted.

    Raises
    ------
    ValueError
        If nothing below the root was counted.
    """
    tree = data.ordered()
    region = region_of(tree, tree.root)
    if region is None:
        raise ValueError(f"nothing below '{tree.root}' was counted")
    size = root_size(region, prior, rng)
    shares, unseen = draw_region(region, size, draws, prior, rng)
    asked = []
    for knot, drawn in zip(region.knots, shares, strict=True):
        part = {child: place for place, child in enumerate(knot.shares.children)}
        for branches in _samples(tree.children(knot.name)):
            chance = drawn[:, [part[branch.child] for branch in branches]]
            first = branches[0]
            asked_of = max(round((first.n or 0) / first.design_effect), 1)
            rest = np.clip(1 - chance.sum(axis=1, keepdims=True), 0, 1)
            every = np.hstack([chance, rest])
            every /= every.sum(axis=1, keepdims=True)
            found = rng.multinomial(asked_of, every)[:, :-1].astype(float)
            what = f"another sample of {plain(first.n or 0, 3)} members of '{knot.name}'"
            names = listing([branch.child for branch in branches])
            asked.append(Asked(what, names, found))
    return unseen + float(region.counts.sum()), asked


def _samples(branches: tuple[Branch, ...]) -> list[list[Branch]]:
    """Branches that were counted in one sample; those without a name are on their own."""
    found: dict[str, list[Branch]] = {}
    for branch in branches:
        if branch.sampled:
            found.setdefault(branch.sample or f" {branch.child}", []).append(branch)
    return list(found.values())
