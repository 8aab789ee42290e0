"""Trees: the help example of JAGStree 1.0.1 and the vignette of AutoWMM 1.0.2."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from hiddenpop.families import tree as family
from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths.tree_weights import least_variance, weighted_multiplier
from hiddenpop.families.size_prior import P90, SizePrior
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.tree import Branch, Tree

__all__: list[str] = []

VALUES = Path(__file__).parent / "values" / "tree.json"
RECORDS: dict[str, Any] = {
    record["software"]: record
    for record in json.loads(VALUES.read_text(encoding="utf-8"))["records"]
}
QUANTILES = {"q025": 0.025, "q25": 0.25, "median": 0.5, "q75": 0.75, "q975": 0.975}
NODES = {"ABC[1]": "A", "ABC[3]": "C", "DE[2]": "E"}


def tree_of(record: dict[str, Any], *, complete: bool | None = None) -> Tree:
    return Tree(
        tuple(
            Branch(parent, child, x, n, sample=sample, count=count,
                   complete=complete if parent == "Z" else None)
            for parent, child, x, n, sample, count in record["branches"]
        ),
        "Z",
    )  # fmt: skip


@pytest.fixture(scope="module")
def jags() -> xr.DataTree:
    data = RECORDS["JAGStree"]["settings"]["data"]
    spread = data["tau"] ** -0.5
    median = np.exp(data["mu"])
    prior = SizePrior("lognormal", median, median * np.exp(spread * P90))
    return family.posterior(tree_of(RECORDS["JAGStree"]), family.Priors(prior), Sampling())


def test_the_root_of_jagstree_within_four_monte_carlo_errors(jags: xr.DataTree) -> None:
    estimates, ess = RECORDS["JAGStree"]["estimates"], RECORDS["JAGStree"]["ess_Z"]
    group = jags["distribution"]
    found = Discrete(group["unseen"].to_numpy() + 550, group["probability"].to_numpy())
    spread = np.sqrt(found.probability @ (found.unseen - found.mean + 550 - 550) ** 2)
    assert abs(found.mean - estimates["mean"]) < 4 * spread / np.sqrt(ess)
    assert abs(spread - estimates["sd"]) < 4 * spread / np.sqrt(2 * ess)
    for name, level in QUANTILES.items():
        # Monte Carlo error of a quantile, with the density of a normal distribution there.
        error = np.sqrt(level * (1 - level) / ess) * spread / norm.pdf(norm.ppf(level))
        assert abs(float(found.quantile(level)) - estimates[name]) < 4 * error, name


def test_the_other_nodes_of_jagstree(jags: xr.DataTree) -> None:
    """Monte Carlo errors of nodes other than the root were not published: a tenth, or 3 people."""
    nodes = jags["nodes"].to_dataset()
    for row in RECORDS["JAGStree"]["quantiles_all"]:
        if row["_row"] in NODES:
            one = nodes.sel(node=NODES[row["_row"]])
            for key, level in (("low", "2.5%"), ("median", "50%"), ("high", "97.5%")):
                assert float(one[key]) == pytest.approx(row[level], rel=0.1, abs=3)


def test_the_root_of_autowmm_within_the_error_of_twenty_draws() -> None:
    record = RECORDS["AutoWMM"]
    draws = np.array(record["draws"])
    # The published root is the geometric mean of the draws.
    assert np.exp(np.log(draws).mean()) == pytest.approx(record["estimates"]["root"], abs=0.01)
    error = np.log(draws).std(ddof=1) / np.sqrt(len(draws))
    found = weighted_multiplier(tree_of(record, complete=True), np.random.default_rng(1))
    assert abs(np.log(found.root / record["estimates"]["root"])) < 4 * error
    assert found.nodes == ("B", "D")


def test_autowmm_draws_wider_than_its_method() -> None:
    """Its importance weights read the first sibling's survey where the last one's is meant.

    B's share is drawn from what is left by A's, and weighed by A's 4 of 11 again rather than by
    its own 34 of 70. Twenty draws so made vary as the published ones do; draws from the method
    as it is described do not.
    """
    record = RECORDS["AutoWMM"]
    published = np.log(record["draws"]).std(ddof=1)
    rng = np.random.default_rng(1)
    spreads, weights = _twenty(4, 7, rng)
    low, high = np.quantile(spreads, [0.025, 0.975])
    assert low < published < high
    assert np.quantile(weights, 0.025) < record["estimates"]["weights"][0]
    assert record["estimates"]["weights"][0] < np.quantile(weights, 0.975)
    spreads, weights = _twenty(34, 36, rng)
    assert published > np.quantile(spreads, 0.999)
    assert record["estimates"]["weights"][0] > np.quantile(weights, 0.999)


def _twenty(
    x: float, others: float, rng: np.random.Generator, runs: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """Spread of the weighted log root and weight of D, in many runs of twenty draws."""
    first = rng.beta(5, 8, (runs * 20, 100))
    log_weight = x * np.log(1 - first) + others * np.log(first)
    cumulative = np.cumsum(np.exp(log_weight - log_weight.max(axis=1, keepdims=True)), axis=1)
    place = (cumulative < rng.random((len(first), 1)) * cumulative[:, -1:]).sum(axis=1)
    share = first[np.arange(len(first)), place]
    last = rng.dirichlet([10, 2], len(first))[:, 1]
    logs = np.column_stack([np.log(50 / (share * last)), np.log(500 / (1 - share))])
    found = [
        (np.std(part @ least_variance(part), ddof=1), least_variance(part)[0])
        for part in np.split(logs, runs)
    ]
    spreads, weights = np.array(found).T
    return spreads, weights
