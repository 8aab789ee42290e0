"""Counts below one node: what they say of the shares on the way to them, and of its size.

A region is a node whose size is wanted or known, and everything below it down to the first counted
nodes. Given the shares, the counts n_j of these and the people M - S in none of them (S = sum n_j)
are multinomial with probabilities q_j, the products of the shares on the way, and U = 1 - Q,
Q = sum q_j. For the root, whose size N has the prior 1/N,

    N - S | q ~ NegBin(S, Q),        likelihood of the shares: prod (q_j / Q)^n_j;

another prior multiplies the mass of N by p(N) N. For a counted node of M people the likelihood is
prod q_j^n_j U^(M - S).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hiddenpop.families.maths.tree_groups import Group, Shares, group_of, parts_of, shares_of
from hiddenpop.inputs.tree import Tree

__all__ = ["Knot", "Region", "region_of"]


class Knot(NamedTuple):
    """A node of a region that is not counted (or is its top) and has counts below.

    Attributes
    ----------
    group
        Density of its parts: first those with counts below, then others.
    labels
        The part of `shares` that each is, -1 for several put together.
    below
        For each of the first parts, the knot it is, or -1 - j for the j-th count.
    """

    name: str
    shares: Shares
    group: Group
    labels: np.ndarray
    below: tuple[int, ...]


class Region(NamedTuple):
    """A node and what was counted below it.

    Attributes
    ----------
    knots
        The top, then each before those below it.
    seen
        Names of the first counted nodes below the top.
    counts
        Their counts, shape (seen,).
    people
        Size of the top; nan for the root.
    """

    knots: tuple[Knot, ...]
    seen: tuple[str, ...]
    counts: np.ndarray
    people: float

    @property
    def size(self) -> int:
        """Number of free log ratios."""
        return sum(knot.group.size - 1 for knot in self.knots)

    @property
    def covered(self) -> bool:
        """Whether nobody of the top can be outside the counted nodes."""
        return all(knot.group.size == len(knot.below) for knot in self.knots)

    def parts(self, theta: np.ndarray) -> list[np.ndarray]:
        """Log shares of each knot's parts from log ratios, each (draw, part)."""
        ends = np.cumsum([knot.group.size - 1 for knot in self.knots])[:-1]
        return [parts_of(piece) for piece in np.split(theta, ends, axis=1)]

    def paths(self, parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Logs of q, (draw, seen), and of U, (draw,)."""
        draws = len(parts[0])
        log_q = np.zeros((draws, len(self.seen)))
        lost: list[np.ndarray] = [np.zeros(0)] * len(self.knots)
        reach = [np.zeros(draws) for _ in self.knots]
        for place, knot in enumerate(self.knots):
            for part, to in enumerate(knot.below):
                way = reach[place] + parts[place][:, part]
                if to < 0:
                    log_q[:, -1 - to] = way
                else:
                    reach[to] = way
        for place in reversed(range(len(self.knots))):
            knot, logs = self.knots[place], parts[place]
            terms = [logs[:, len(knot.below) :]]
            terms += [(logs[:, part] + lost[to])[:, None]
                      for part, to in enumerate(knot.below) if to >= 0]  # fmt: skip
            joined = np.hstack(terms)
            lost[place] = (
                np.logaddexp.reduce(joined, axis=1) if joined.shape[1] else np.full(draws, -np.inf)
            )
        return log_q, lost[0]

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log posterior density of log ratios, (draw,); for the root under p(N) = 1/N."""
        parts = self.parts(theta)
        log_q, log_unseen = self.paths(parts)
        found = log_q @ self.counts
        for knot, logs in zip(self.knots, parts, strict=True):
            found = found + knot.group.log_density(logs)
        people = self.counts.sum()
        if np.isnan(self.people):
            return np.asarray(found - people * np.logaddexp.reduce(log_q, axis=1))
        left = self.people - people
        return np.asarray(found + left * log_unseen) if left > 0 else found

    def odds(self, theta: np.ndarray) -> np.ndarray:
        """U / Q, (draw,)."""
        log_q, log_unseen = self.paths(self.parts(theta))
        return np.asarray(np.exp(log_unseen - np.logaddexp.reduce(log_q, axis=1)))

    @property
    def beta(self) -> tuple[float, float] | None:
        """Parameters of Q's Beta posterior, where there is one.

        With counts only in children of the root, whose shares are Dirichlet, Q does not depend
        on how it is divided, and the counts say nothing of it.
        """
        alpha = self.knots[0].group.alpha
        if len(self.knots) > 1 or alpha is None or self.covered:
            return None
        seen = len(self.knots[0].below)
        return float(alpha[:seen].sum()), float(alpha[seen:].sum())


def region_of(tree: Tree, top: str) -> Region | None:
    """The region below the root or a counted node; None where nothing below it was counted."""
    if not tree.counted_nodes(top):
        return None
    names = [top]
    seen: list[str] = []
    counts: list[float] = []
    knots: list[Knot] = []
    place = 0
    while place < len(names):
        name = names[place]
        branches = tree.children(name)
        wanted: list[int] = []
        below: list[int] = []
        for row, branch in enumerate(branches):
            if branch.count is not None:
                below.append(-1 - len(seen))
                seen.append(branch.child)
                counts.append(float(branch.count))
            elif tree.counted_nodes(branch.child):
                below.append(len(names))
                names.append(branch.child)
            else:
                continue
            wanted.append(row)
        shares = shares_of(branches, covers=tree.covers(name))
        knots.append(Knot(name, shares, *group_of(shares, wanted), tuple(below)))
        place += 1
    people = next((b.count for b in tree.branches if b.child == top), None)
    return Region(
        tuple(knots), tuple(seen), np.array(counts), np.nan if people is None else float(people)
    )
