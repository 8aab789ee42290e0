"""Simulated truths and trees, to hold the model against.

Written from the definition of the model, not from its code: every person walks down the tree and
takes a branch at each node; samples are drawn at each node from its shares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.simulation.people import draw_size
from hiddenpop.inputs.tree import Branch, Tree

if TYPE_CHECKING:  # `families.tree` re-exports `simulate`
    from hiddenpop.families.tree import Priors

__all__ = ["Truth", "draw_truth", "simulate"]


@dataclass(frozen=True)
class Truth:
    """Everything the model treats as unknown, with known values.

    Attributes
    ----------
    tree
        Whose branches, sample sizes and choice of counted nodes are kept.
    N
        People.
    shares
        For each node with children: their shares, in the order of its branches; they add up to 1
        where the children cover it.
    """

    tree: Tree
    N: int
    shares: dict[str, np.ndarray]


def draw_truth(data: Tree, priors: Priors, rng: np.random.Generator) -> Truth:
    """Draw every unknown of the model from its prior."""
    parents = dict.fromkeys(branch.parent for branch in data.branches)
    return Truth(
        data,
        draw_size(data, priors.size_prior, rng),
        {name: _shares(data, name, rng) for name in parents},
    )


def _shares(data: Tree, node: str, rng: np.random.Generator) -> np.ndarray:
    """Uniform shares of the sampled children and the rest, the rest divided uniformly."""
    branches = data.children(node)
    known = np.array([branch.x is not None for branch in branches])
    rest = int((~known).sum()) + (0 if data.covers(node) else 1)
    drawn = rng.dirichlet(np.ones(int(known.sum()) + (rest > 0)))
    found = np.empty(len(branches))
    found[known] = drawn[: known.sum()]
    if rest:
        found[~known] = (drawn[-1] * rng.dirichlet(np.ones(rest)))[: (~known).sum()]
    return found


def simulate(truth: Truth, rng: np.random.Generator) -> Tree:
    """Let everybody walk down the tree, and take the samples."""
    tree, at = truth.tree, {truth.tree.root: truth.N}
    made: dict[str, Branch] = {}
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        branches, shares = tree.children(node), truth.shares.get(node)
        if shares is None:
            continue
        ends = np.cumsum(shares)
        if tree.covers(node):
            ends[-1] = 1.0
        # Past the last end: in no listed child.
        taken = np.searchsorted(ends, rng.random(at[node]), side="right")
        sampled = _sampled(branches, shares, rng)
        for place, branch in enumerate(branches):
            at[branch.child] = int((taken == place).sum())
            count = None if branch.count is None else float(at[branch.child])
            made[branch.child] = replace(
                branch, x=sampled[place], count=count, complete=tree.covers(node)
            )
            waiting.append(branch.child)
    return replace(tree, branches=tuple(made[branch.child] for branch in tree.branches))


def _sampled(
    branches: tuple[Branch, ...], shares: np.ndarray, rng: np.random.Generator
) -> list[float | None]:
    """Members of each child in the samples of their parent."""
    found: list[float | None] = [None] * len(branches)
    names = [branch.sample or f"\n{place}" for place, branch in enumerate(branches)]
    for name in dict.fromkeys(names):
        rows = [row for row, other in enumerate(names)
                if other == name and branches[row].n is not None]  # fmt: skip
        if not rows:
            continue
        first = branches[rows[0]]
        # A sample with a design effect D tells as much as n / D people, each seen D times.
        people = round((first.n or 0) / first.design_effect)
        inside = np.append(shares[rows], max(0.0, 1 - shares[rows].sum()))
        drawn = rng.multinomial(people, inside / inside.sum())
        for row, x in zip(rows, drawn, strict=False):
            found[row] = float(x) * first.design_effect
    return found
