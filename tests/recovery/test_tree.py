"""Trees: does the 95 % interval hold the truth 95 times in 100?"""

from dataclasses import replace

import numpy as np
import pytest

from hiddenpop.families import tree as family
from hiddenpop.families.maths.tree_region import region_of
from hiddenpop.families.maths.tree_size import root_size
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.tree import Branch, Tree

__all__: list[str] = []

REPLICATES = 1000
BOUNDS = (0.931, 0.967)
"""Where 1,000 replicates of a true 95 % are with probability 0.99."""

TREE = Tree(
    (
        Branch("Z", "A", 0, 120, 2.0, sample="s"),
        Branch("Z", "B", 0, 120, 2.0, sample="s", count=0),
        Branch("Z", "C", 0, 60, count=0),
        Branch("A", "D", 0, 60, count=0),
        Branch("A", "E", 0, 40),
        Branch("D", "F", 0, 30, count=0),
    ),
    "Z",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "prior", [SizePrior("lognormal", 2000, 5000), SizePrior()], ids=["drawn", "1/N"]
)
def test_coverage_of_a_tree_with_two_samples_and_two_levels(prior: SizePrior) -> None:
    """Truths from the prior; under 1/N from a log-normal prior that is wide."""
    rng = np.random.default_rng(7)
    drawn = family.Priors(SizePrior("lognormal", 2000, 5000))
    inside = done = 0
    while done < REPLICATES:
        truth = family.draw_truth(TREE, drawn, rng)
        made = replace(family.simulate(truth, rng))
        # A tree on which nobody was counted has no estimate.
        if made.observed == 0:
            continue
        done += 1
        region = region_of(made, "Z")
        assert region is not None
        found = root_size(region, prior, rng)
        cumulative = np.cumsum(found.probability)
        low, high = found.unseen[np.searchsorted(cumulative, [0.025, 0.975])] + made.observed
        inside += low <= truth.N <= high
    assert BOUNDS[0] <= inside / REPLICATES <= BOUNDS[1]
