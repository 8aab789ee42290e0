"""Chordal graphs on a few vertices, and the probability of a table under each of them.

A decomposable graphical model says that a table's joint distribution is a product over cliques
divided by a product over separators (Dawid & Lauritzen 1993, Ann. Stat. 21:1272). Every
chordal graph needs the same 2^p - 1 marginal tables, so all graphs together are one matrix.

Subsets of the p vertices are numbers: vertex j (from 0) counts 2^j.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

__all__ = ["ChordalGraphs", "chordal_graphs", "cliques", "expected_shares", "log_evidence_parts"]


class ChordalGraphs(NamedTuple):
    """All labelled chordal graphs; the first has no edge, the last has all.

    Attributes
    ----------
    pairs
        Both ends of each possible edge, shape (pair, 2).
    edges
        Whether a graph has an edge, bool, shape (graph, pair).
    incidence
        How often a subset of the vertices is a clique, minus how often it is a separator,
        int8, shape (graph, 2^p). The empty subset counts 0: its margin is 1.
    """

    pairs: np.ndarray
    edges: np.ndarray
    incidence: np.ndarray


@cache
def chordal_graphs(vertices: int) -> ChordalGraphs:
    """All of them by maximum cardinality search, which also yields cliques and separators.

    Number the vertices one after the other, next the one with most numbered neighbours. A graph
    is chordal if and only if at every step these neighbours M(v) are joined to each other
    (Tarjan & Yannakakis 1984, SIAM J. Comput. 13:566). Then the joint distribution is the
    product of p(v | M(v)), that is of the margins of M(v) + v over those of M(v); what cancels
    leaves the cliques and the separators (Blair & Peyton 1993, in Graph Theory and Sparse Matrix
    Computation). There are 8, 61, 822 and 18,154 for 3 to 6 vertices (OEIS A058862).
    """
    pairs = np.array(list(combinations(range(vertices), 2))).reshape(-1, 2)
    codes = np.arange(2 ** len(pairs))
    edges = ((codes[:, None] >> np.arange(len(pairs))) & 1).astype(bool)
    neighbours = np.zeros((len(codes), vertices), dtype=np.int64)
    for place, (one, two) in enumerate(pairs):
        neighbours[edges[:, place], one] |= 1 << two
        neighbours[edges[:, place], two] |= 1 << one
    incidence = np.zeros((len(codes), 2**vertices), dtype=np.int8)
    chordal = np.ones(len(codes), dtype=bool)
    numbered = np.zeros(len(codes), dtype=np.int64)
    own, rows = 1 << np.arange(vertices), np.arange(len(codes))
    for _ in range(vertices):
        taken = (numbered[:, None] & own) != 0
        known = np.where(taken, -1, np.bitwise_count(neighbours & numbered[:, None]).astype(int))
        next_one = np.argmax(known, axis=1)
        joined = neighbours[rows, next_one] & numbered
        inside = (joined[:, None] & own) != 0
        complete = ((neighbours | own) & joined[:, None]) == joined[:, None]
        chordal &= np.all(complete | ~inside, axis=1)
        incidence[rows, joined | own[next_one]] += 1
        incidence[rows, joined] -= 1
        numbered |= own[next_one]
    incidence[:, 0] = 0
    return ChordalGraphs(pairs, edges[chordal], incidence[chordal])


def cliques(incidence: np.ndarray) -> list[tuple[int, ...]]:
    """The vertices of each clique of one graph, in order; `incidence` has shape (2^p,)."""
    subsets = np.flatnonzero(incidence > 0)
    vertices = range(len(incidence).bit_length() - 1)
    return sorted(tuple(j for j in vertices if subset >> j & 1) for subset in subsets)


def log_evidence_parts(
    counts: np.ndarray, delta: float, unseen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What log P(n | N, G) is made of, so that any graph's is `incidence @ margins + rest`.

    The prior is hyper-Dirichlet, from a Dirichlet(delta, ..., delta) on the 2^p cells, so that
    the margin of a subset A is Dirichlet with delta 2^(p - |A|) per cell. With D the margin's
    counts, the unseen in its all-zero cell, d = delta 2^(p - |A|) and alpha = 2^p delta,

        m(A) = Gamma(alpha) / Gamma(alpha + N) prod_x Gamma(D(x) + d) / Gamma(d),
        P(n | N, G) = N! / (n_0! prod n_x!) prod_cliques m(C) / prod_separators m(S).

    Sources: Dawid & Lauritzen 1993; Madigan & York 1997, Biometrika 84:19.

    Parameters
    ----------
    counts
        People with each history, the one with none 0, shape (2^p,).
    delta
        Prior people per cell.
    unseen
        n_0, shape (grid,).

    Returns
    -------
    margins
        log m(A) of each subset, 0 for the empty one, shape (2^p, grid).
    rest
        log of the multinomial coefficient, shape (grid,).
    """
    cells = np.arange(len(counts))
    alpha, people = delta * len(counts), counts.sum() + unseen
    falling = gammaln(alpha) - gammaln(alpha + people)
    margins = np.zeros((len(counts), len(unseen)))
    for subset in cells[1:]:
        size = int(subset).bit_count()
        mine = np.bincount(cells & subset, weights=counts, minlength=len(counts))
        prior = delta * len(counts) / 2**size
        # Only the all-zero cell of the margin changes with the unseen.
        seen = gammaln(mine[(cells & subset == cells) & (cells > 0)] + prior).sum()
        zero = gammaln(mine[0] + prior + unseen)
        margins[subset] = falling + zero + seen - 2**size * gammaln(prior)
    rest = gammaln(people + 1) - gammaln(unseen + 1) - gammaln(counts + 1).sum()
    return margins, rest


def expected_shares(
    counts: np.ndarray, delta: float, unseen: float, incidence: np.ndarray
) -> np.ndarray:
    """Posterior mean of every cell's probability given one graph and the unseen, shape (2^p,).

    The laws of the parts of a junction tree are independent (strong hyper Markov; Dawid &
    Lauritzen 1993), so the mean of the product is the product of the means.
    """
    cells = np.arange(len(counts))
    full = np.where(cells == 0, unseen, counts)
    alpha = delta * len(counts)
    log_share = np.zeros(len(counts))
    for subset in np.flatnonzero(incidence):
        mine = np.bincount(cells & subset, weights=full, minlength=len(counts))
        prior = alpha / 2 ** int(subset).bit_count()
        share = (mine[cells & subset] + prior) / (full.sum() + alpha)
        log_share += incidence[subset] * np.log(share)
    return np.exp(log_share)
