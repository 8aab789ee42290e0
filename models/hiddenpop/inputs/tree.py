"""A population split into branches, some of whose ends were counted: checked and frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Branch", "Tree"]


@dataclass(frozen=True)
class Branch:
    """One way from a part of the population to a part of that part.

    Attributes
    ----------
    parent, child
        Names of nodes; every node but the root is the child of one branch.
    x, n
        Of n sampled members of the parent, x were in the child; None where nothing is known.
    design_effect
        Of that sample.
    sample
        Name of the sample: branches of one parent with the same name were counted in the same
        sample and are multinomial, others are not; "" for a sample of its own.
    count
        People counted in the child, or None.
    complete
        Whether the children listed for the parent make up the whole of it, where this was said;
        the same for all branches of a parent.
    """

    parent: str
    child: str
    x: float | None = None
    n: float | None = None
    design_effect: float = 1.0
    sample: str = ""
    count: float | None = None
    complete: bool | None = None

    @property
    def sampled(self) -> bool:
        """Whether a survey says something of the branch."""
        return self.x is not None and self.n is not None


@dataclass(frozen=True, eq=False)
class Tree:
    """A population (the root) split into disjoint branches; branches need not cover their parent.

    Attributes
    ----------
    branches
        In the order of the file.
    root
        The node that is nobody's child: the target.
    population
        Residents at the target's ages, or None.
    """

    branches: tuple[Branch, ...]
    root: str
    population: float | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The root, then the children in the order of the branches."""
        return (self.root, *(branch.child for branch in self.branches))

    def children(self, node: str) -> tuple[Branch, ...]:
        """Branches that leave a node."""
        return tuple(branch for branch in self.branches if branch.parent == node)

    def covers(self, node: str) -> bool:
        """Whether the children of a node make up the whole of it.

        As stated; where nothing is stated, if there are several, counted in one sample of which
        nobody was left over.
        """
        branches = self.children(node)
        for branch in branches:
            if branch.complete is not None:
                return branch.complete
        samples = {branch.sample for branch in branches}
        if len(branches) < 2 or len(samples) > 1 or "" in samples:
            return False
        found = [branch.x for branch in branches if branch.x is not None]
        return len(found) == len(branches) and sum(found) == branches[0].n

    def counted_below(self, node: str) -> float:
        """People certainly in a node's children: their own counts, or those of their children."""
        total = sum(
            branch.count if branch.count is not None else self.counted_below(branch.child)
            for branch in self.children(node)
        )
        return float(total)

    def counted_nodes(self, node: str | None = None) -> tuple[str, ...]:
        """Nodes with a count below a node (the root), each before those below it."""
        found: list[str] = []
        for branch in self.children(self.root if node is None else node):
            if branch.count is not None:
                found.append(branch.child)
            found.extend(self.counted_nodes(branch.child))
        return tuple(found)

    def with_counts(self, kept: frozenset[str]) -> Tree:
        """The same tree with the counts of some nodes only."""
        branches = tuple(
            branch if branch.child in kept else replace(branch, count=None)
            for branch in self.branches
        )
        return replace(self, branches=branches)

    def ordered(self) -> Tree:
        """The same tree with its branches in the order of their names."""
        return replace(self, branches=tuple(sorted(self.branches, key=_by_name)))

    @property
    def observed(self) -> float:
        """People counted anywhere, each once."""
        return self.counted_below(self.root)

    @property
    def residents(self) -> float | None:
        """As `population`, by the name that overlap tables have for it."""
        return self.population

    @property
    def counts(self) -> np.ndarray:
        """Counts by branch, nan where there is none, (branch,)."""
        return np.array([np.nan if b.count is None else b.count for b in self.branches])


def _by_name(branch: Branch) -> tuple[str, str]:
    return branch.parent, branch.child
