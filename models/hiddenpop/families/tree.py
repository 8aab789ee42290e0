"""A population split into branches with counted nodes: the size of the whole, and of every part.

Samples say how a part of the population divides into others, counts how many some parts hold. The
counts nearest the root scale the whole up; all sizes follow. Beside it stands the weighted
multiplier method, which uses the same numbers without a likelihood for the counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hiddenpop.families.exact import CHAINS, DRAWS, Discrete, exact_tree
from hiddenpop.families.maths.tree_region import region_of
from hiddenpop.families.maths.tree_size import RootSize, root_size
from hiddenpop.families.maths.tree_sizes import node_sizes
from hiddenpop.families.maths.tree_weights import weighted_multiplier
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.simulation.tree import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.families.tree_report import ENDS, assumption, benchmarks, notes
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.tree import Tree

if TYPE_CHECKING:
    pass

__all__ = ["Priors", "draw_truth", "posterior", "refusal", "simulate"]


@dataclass(frozen=True)
class Priors:
    """Priors of a tree.

    Attributes
    ----------
    size_prior
        Prior on the size of the root. The shares of the branches have uniform priors, on the
        simplex of the sampled children of a node and the rest of it; that is what makes
        Dirichlet(x + 1) of a sample.
    """

    size_prior: SizePrior = field(default_factory=SizePrior)


def refusal(data: Tree, priors: Priors) -> Refusal | None:
    """Why a tree cannot be used; None where it can."""
    region = region_of(data, data.root)
    if region is None or data.observed == 0:
        return Refusal("tree-nobody")
    if region.covered:
        return Refusal("tree-all-counted", {"people": data.observed, "root": data.root})
    for node in region.seen:
        if not _informed(data, node):
            return Refusal("tree-path", {"node": node})
    if priors.size_prior.most < data.observed:
        return Refusal(
            "tree-prior", {"most": priors.size_prior.most, "observed": data.observed}
        )  # fmt: skip
    return None


def _informed(data: Tree, node: str) -> bool:
    """Whether some branch on the way to a node was sampled, or what is left of its siblings."""
    above = {branch.child: branch for branch in data.branches}
    while node in above:
        branch = above[node]
        node = branch.parent
        others = any(sibling.sampled for sibling in data.children(node))
        if branch.sampled or (others and data.covers(node)):
            return True
    return False


def posterior(data: Tree, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """Posterior of the people in no counted node.

    Returns
    -------
    xarray.DataTree
        As `families.exact` describes. Extra groups: `nodes` (dim node: `median`, `low`, `high`,
        `count`), the sizes of all nodes; `benchmarks` (dim benchmark: the counted nodes) as in
        the family multiplier, with the `weight` of each in the weighted multiplier method, whose
        estimate is in the root attributes `weighted_multiplier`, `weighted_multiplier_low` and
        `weighted_multiplier_high`.
    """
    # In the order of the names: the order of rows in the file changes nothing.
    tree = data.ordered()
    found = _root(tree, priors, sampling.seed)
    weighted = weighted_multiplier(tree, np.random.default_rng(sampling.seed))
    rows = benchmarks(
        tree, weighted,
        lambda part, prior: _root(part, Priors(prior), sampling.seed), priors.size_prior,
    )  # fmt: skip
    low, high = weighted.interval()
    attrs: dict[str, float] = {
        "tail": found.bracket.tail, "weighted_multiplier": weighted.root,
        "weighted_multiplier_low": low, "weighted_multiplier_high": high,
    }  # fmt: skip
    if np.isfinite(found.ess):
        attrs["importance_ess"] = found.ess
    result = exact_tree(
        tree.observed, Discrete(found.unseen, found.probability), seed=sampling.seed,
        assumption=assumption(tree),
        notes=notes(tree, priors.size_prior, found, weighted, rows),
        attrs=attrs,
    )  # fmt: skip
    result["benchmarks"] = xr.DataTree(rows)
    result["nodes"] = xr.DataTree(_nodes(data, tree, found, priors, sampling.seed))
    return result


def _root(tree: Tree, priors: Priors, seed: int) -> RootSize:
    region = region_of(tree, tree.root)
    if region is None:
        raise ValueError(f"nothing below '{tree.root}' was counted")
    return root_size(region, priors.size_prior, np.random.default_rng(seed))


def _nodes(data: Tree, tree: Tree, found: RootSize, priors: Priors, seed: int) -> xr.Dataset:
    """Sizes of all nodes, in the order of the file; the root's as the posterior itself has it."""
    rng = np.random.default_rng(seed)
    drawn = node_sizes(tree, found, CHAINS * DRAWS, priors.size_prior, rng)
    ends = {name: np.quantile(sizes, ENDS) for name, sizes in drawn.items()}
    ends[tree.root] = tree.observed + Discrete(found.unseen, found.probability).quantile(ENDS)
    counts = dict(zip(data.nodes, [np.nan, *data.counts], strict=True))
    columns = {
        key: ("node", np.array([ends[name][place] for name in data.nodes]))
        for place, key in enumerate(("median", "low", "high"))
    }
    columns["count"] = ("node", np.array(list(counts.values())))
    return xr.Dataset(columns, coords={"node": list(data.nodes)})
