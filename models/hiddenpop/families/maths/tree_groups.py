"""How the children of one node share it: the density of their shares given the samples.

The shares p of the sampled children of a node, and the rest R of it (children without a sample,
and members in no child), have a uniform prior on the simplex. A sample with x_i of n in child i and
design effect D has the likelihood

    prod p_i^(x_i / D) (1 - sum p_i)^((n - sum x_i) / D).

With one sample the posterior is Dirichlet(x_1/D + 1, ..., (n - sum x)/D + 1), the last part left
out where the children cover the node. With several it is the product of their Beta or Dirichlet
laws on the condition that the shares add up to at most 1, or to exactly 1 where the children cover
the node. Children without a sample, and the part in no child, split R uniformly: to list such a
child changes nothing for the others.

Source: the branching of Flynn & Gustafson 2025 (arXiv 2506.21020), with their Beta(x + 1,
n - x + 1) and Dirichlet(x + 1), and design effects beside (Kish 1965).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hiddenpop.families.maths.tree_sampling import draw_from
from hiddenpop.inputs.tree import Branch

__all__ = ["Group", "Shares", "draw_shares", "filled_in", "group_of", "parts_of", "shares_of"]


class Group(NamedTuple):
    """A density on a simplex: a product of powers of sums of parts.

    Attributes
    ----------
    sums
        Which parts are in each sum, bool (term, part).
    powers
        Power of each sum, shape (term,).
    """

    sums: np.ndarray
    powers: np.ndarray

    @property
    def size(self) -> int:
        """Number of parts."""
        return int(self.sums.shape[1])

    @property
    def alpha(self) -> np.ndarray | None:
        """Parameters, where this is a Dirichlet distribution."""
        if (self.sums.sum(axis=1) > 1).any():
            return None
        return np.asarray(1 + self.powers @ self.sums)

    def log_density(self, log_parts: np.ndarray) -> np.ndarray:
        """Log density of log p, (draw, part), in log-ratio coordinates; (draw,).

        The coordinates are log(p_i / p_K); their Jacobian is the product of all parts.
        """
        found = log_parts.sum(axis=1)
        for rows, power in zip(self.sums, self.powers, strict=True):
            found = found + power * np.logaddexp.reduce(log_parts[:, rows], axis=1)
        return np.asarray(found)


class Shares(NamedTuple):
    """The children of a node, put into parts.

    Attributes
    ----------
    group
        Density of the parts: the listed children, then, unless they cover the node, the others.
    children
        Names of the listed children, in the order of their parts.
    sampled
        Which parts are sampled children, bool (part,).
    """

    group: Group
    children: tuple[str, ...]
    sampled: np.ndarray


def shares_of(branches: Sequence[Branch], *, covers: bool) -> Shares:
    """The density of the shares of a node's children."""
    size = len(branches) + (not covers)
    sampled = np.zeros(size, dtype=bool)
    sampled[: len(branches)] = [branch.sampled for branch in branches]
    sums, powers = [], []
    for rows in _samples(branches):
        inside = np.zeros(size, dtype=bool)
        inside[rows] = True
        effect = branches[rows[0]].design_effect
        found = np.array([branches[row].x for row in rows], dtype=float) / effect
        left = float(branches[rows[0]].n or 0) / effect - found.sum()
        sums += list(np.eye(size, dtype=bool)[rows])
        powers += list(found)
        if not inside.all():
            sums.append(~inside)
            powers.append(max(left, 0.0))
    if (~sampled).sum() > 1:
        # Parts of R share it uniformly: density (m - 1)! / R^(m - 1).
        sums.append(~sampled)
        powers.append(1.0 - (~sampled).sum())
    group = Group(np.array(sums, dtype=bool).reshape(-1, size), np.array(powers, dtype=float))
    return Shares(group, tuple(branch.child for branch in branches), sampled)


def _samples(branches: Sequence[Branch]) -> list[list[int]]:
    """Which branches were counted in one sample; those without a name are on their own."""
    found: dict[tuple[str, int], list[int]] = {}
    for row, branch in enumerate(branches):
        if branch.sampled:
            found.setdefault((branch.sample, -1 if branch.sample else row), []).append(row)
    return list(found.values())


def group_of(shares: Shares, wanted: Sequence[int]) -> tuple[Group, np.ndarray]:
    """The density of the wanted parts and of the others, put together where that changes nothing.

    Returns
    -------
    Group
        Of the wanted parts in their order, then the other ones.
    ndarray
        The part that each of them is, and -1 for several put together, shape (part,).
    """
    rest = ~shares.sampled
    if rest[list(wanted)].any() and rest.sum() > 1:
        group, labels = shares.group, np.arange(shares.group.size)
    else:
        group, labels = _with_one_rest(shares), np.flatnonzero(shares.sampled)
        if rest.any():
            labels = np.append(labels, np.flatnonzero(rest)[0] if rest.sum() == 1 else -1)
    first = [int(np.flatnonzero(labels == part)[0]) for part in wanted]
    others = np.setdiff1d(np.arange(group.size), first)
    order = np.concatenate([np.array(first, dtype=int), others])
    group, labels = Group(group.sums[:, order], group.powers), labels[order]
    alpha = group.alpha
    if alpha is None or len(others) < 2:
        return group, labels
    # The sum of parts of a Dirichlet distribution is a part of another one.
    merged = np.append(alpha[: len(first)], alpha[len(first) :].sum())
    whole = Group(np.eye(len(merged), dtype=bool), merged - 1)
    return whole, np.append(labels[: len(first)], -1)


def _with_one_rest(shares: Shares) -> Group:
    """The density of the sampled parts and, last, of the rest as one part."""
    rest = ~shares.sampled
    sums = shares.group.sums[:, shares.sampled]
    last = shares.group.sums[:, rest].any(axis=1, keepdims=True)
    alone = (last[:, 0]) & (sums.sum(axis=1) == 0) & (shares.group.powers < 0)
    if not rest.any():
        return Group(sums, shares.group.powers)
    return Group(np.hstack([sums, last])[~alone], shares.group.powers[~alone])


def draw_shares(shares: Shares, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of all parts given the samples alone, (draw, part)."""
    rest = np.flatnonzero(~shares.sampled)
    plain = _with_one_rest(shares)
    alpha = plain.alpha
    if alpha is not None:
        found = rng.dirichlet(alpha, draws)
    else:
        theta = draw_from(
            lambda theta: plain.log_density(parts_of(theta)), plain.size - 1, draws, rng
        )
        found = np.exp(parts_of(theta))
    full = np.empty((draws, shares.group.size))
    full[:, shares.sampled] = found[:, : int(shares.sampled.sum())]
    if len(rest):
        full[:, rest] = found[:, -1:] * rng.dirichlet(np.ones(len(rest)), draws)
    return full


def parts_of(theta: np.ndarray) -> np.ndarray:
    """Log parts from log ratios to the last part, (draw, part)."""
    padded = np.hstack([theta, np.zeros((len(theta), 1))])
    return np.asarray(padded - np.logaddexp.reduce(padded, axis=1)[:, None])


def filled_in(
    shares: Shares, labels: np.ndarray, parts: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws of all parts from draws of those of `group_of`, (draw, part).

    How parts that were put together divide their sum does not depend on it.
    """
    full = np.empty((len(parts), shares.group.size))
    known = labels >= 0
    full[:, labels[known]] = parts[:, known]
    others = np.setdiff1d(np.arange(shares.group.size), labels[known])
    if len(others):
        drawn = draw_shares(shares, len(parts), rng)[:, others]
        full[:, others] = parts[:, ~known] * drawn / drawn.sum(axis=1, keepdims=True)
    return full
