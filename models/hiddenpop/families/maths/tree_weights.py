"""The weighted multiplier method: an estimate from each count, weighted by their variances.

Each counted node gives log root = log count - sum of the logs of the shares on the way to it, with
shares drawn from their samples alone. Weights w = Sigma^-1 1 / (1' Sigma^-1 1), Sigma the
covariance of these logs, make the variance of w' log root least. Source: Flynn & Gustafson 2025
(arXiv 2506.21020) and their R package AutoWMM.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hiddenpop.families.maths.tree_groups import draw_shares, shares_of
from hiddenpop.inputs.tree import Tree

__all__ = ["Weighted", "weighted_multiplier"]

DRAWS = 2**14


class Weighted(NamedTuple):
    """The estimate and what it is made of.

    Attributes
    ----------
    nodes
        Counted nodes with a count above 0.
    log_roots
        Draws of the log of the root from each node, (draw, node).
    weights
        Of the nodes; they sum to 1, and may be negative, shape (node,).
    """

    nodes: tuple[str, ...]
    log_roots: np.ndarray
    weights: np.ndarray

    @property
    def draws(self) -> np.ndarray:
        """Draws of the weighted estimate, (draw,)."""
        return np.asarray(np.exp(self.log_roots @ self.weights))

    @property
    def root(self) -> float:
        """The estimate: the geometric mean of its draws."""
        return float(np.exp((self.log_roots @ self.weights).mean()))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Quantiles of the draws."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def single(self, node: str) -> np.ndarray:
        """Median and 95 % interval of the estimate from one node, shape (3,)."""
        column = self.log_roots[:, self.nodes.index(node)]
        return np.asarray(np.exp(np.quantile(column, [0.5, 0.025, 0.975])))


def weighted_multiplier(tree: Tree, rng: np.random.Generator, draws: int = DRAWS) -> Weighted:
    """The weighted multiplier estimate of the root; some count must be above 0."""
    logs = {tree.root: np.zeros(draws)}
    for node in _parents(tree):
        branches = tree.children(node)
        shares = draw_shares(shares_of(branches, covers=tree.covers(node)), draws, rng)
        for part, branch in enumerate(branches):
            logs[branch.child] = logs[node] + np.log(np.maximum(shares[:, part], 1e-300))
    counts = {b.child: b.count for b in tree.branches if b.count}
    log_roots = np.column_stack([np.log(count) - logs[name] for name, count in counts.items()])
    return Weighted(tuple(counts), log_roots, least_variance(log_roots))


def least_variance(log_roots: np.ndarray) -> np.ndarray:
    """Weights that make the variance of the weighted sum least, shape (node,)."""
    covariance = np.atleast_2d(np.cov(log_roots, rowvar=False))
    raw = np.linalg.pinv(covariance, hermitian=True).sum(axis=1)
    return np.asarray(raw / raw.sum())


def _parents(tree: Tree) -> list[str]:
    """Nodes with children, each before those below it."""
    found = [tree.root]
    for node in found:
        found += [b.child for b in tree.children(node) if tree.children(b.child)]
    return found
