"""Decomposable graphs against the R package dga, which computes the same sums.

Every record of values/graphs.json says table, version and settings. dga sums over a grid of whole
numbers that it was given, so the same limits are set here; quantiles are the smallest N whose
cumulative probability reaches the level, and must be equal.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hiddenpop.families.maths.chordal import chordal_graphs, cliques
from hiddenpop.families.maths.graph_average import GraphAverage, Setting, average_graphs
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.size import SizeEstimate, fit_table

__all__: list[str] = []

RECORDS = json.loads((Path(__file__).parent / "values" / "graphs.json").read_text("utf-8"))
FROM_ZERO = [record for record in RECORDS if record["settings"]["least_unseen"] == 0]
"""Twice dga was told that somebody is unseen, which the family does not assume."""

LEVELS = {"q025": 0.025, "q25": 0.25, "median": 0.5, "q75": 0.75, "q975": 0.975}
RTOL = 1e-4

Record = dict[str, Any]
Reader = Callable[..., OverlapTable]


@pytest.fixture(params=RECORDS, ids=[record["id"] for record in RECORDS])
def record(request: pytest.FixtureRequest) -> Record:
    return dict(request.param)


def average(record: Record, data: OverlapTable, *, saturated: bool) -> GraphAverage:
    """With the same least and greatest number of unseen as dga."""
    settings = record["settings"]
    prior = SizePrior.parse(settings["size_prior"])
    limits = settings["least_unseen"], settings["most_unseen"]
    counts = np.nan_to_num(data.dense()[0])
    return average_graphs(
        Setting(counts, settings["delta"], prior.log_density, *limits), saturated=saturated
    )


def fit(record: Record, data: OverlapTable, *, saturated: bool) -> SizeEstimate:
    """With the same greatest number of unseen as dga; the least is always 0."""
    settings = record["settings"]
    return fit_table(
        data,
        "graphs",
        options={
            "delta": settings["delta"],
            "size_prior": SizePrior.parse(settings["size_prior"]),
            "saturated": saturated,
            "max_unseen": settings["most_unseen"],
        },
    )


def parts(name: str) -> frozenset[frozenset[str]]:
    """Cliques of "[A B][B C]", in no order."""
    return frozenset(frozenset(clique.split()) for clique in name.strip("[]").split("]["))


@pytest.mark.parametrize("kind", ["with_saturated", "without_saturated"])
def test_quantiles_and_mean(record: Record, kind: str, reference_table: Reader) -> None:
    data = reference_table(record["dataset"])
    assert data.observed == record["observed"]
    mixture = average(record, data, saturated=kind == "with_saturated").mixture
    found = data.observed + mixture.quantile(np.array(list(LEVELS.values())))[0]
    assert dict(zip(LEVELS, found, strict=True)) == {key: record[kind][key] for key in LEVELS}
    assert data.observed + mixture.mean()[0] == pytest.approx(record[kind]["mean"], rel=RTOL)


@pytest.mark.parametrize("kind", ["with_saturated", "without_saturated"])
@pytest.mark.parametrize("record", FROM_ZERO, ids=[record["id"] for record in FROM_ZERO])
def test_the_family_itself(record: Record, kind: str, reference_table: Reader) -> None:
    estimate = fit(record, reference_table(record["dataset"]), saturated=kind == "with_saturated")
    assert estimate.distribution is not None
    found = estimate.observed + estimate.distribution.quantile(np.array(list(LEVELS.values())))
    assert dict(zip(LEVELS, found, strict=True)) == {key: record[kind][key] for key in LEVELS}
    assert estimate.N().mean == pytest.approx(record[kind]["mean"], rel=RTOL)
    assert estimate.tree.attrs["saturated_probability"] == pytest.approx(
        record["saturated_probability"], rel=RTOL
    )
    assert estimate.verdict.passed


def test_graphs(record: Record, reference_table: Reader) -> None:
    data = reference_table(record["dataset"])
    found = average(record, data, saturated=True)
    assert found.saturated == pytest.approx(record["saturated_probability"], rel=RTOL)
    incidence = chordal_graphs(len(data.lists)).incidence
    place = {
        frozenset(frozenset(data.lists[j] for j in clique) for clique in cliques(row)): graph
        for graph, row in enumerate(incidence)
    }
    medians, means = found.single.quantile(0.5), found.single.mean()
    for wanted in record["graphs"]:
        graph = place[parts(wanted["cliques"])]
        if wanted["weight"] < 1e-6:
            assert found.weights[graph] < 1e-6
            continue
        row = found.shown.tolist().index(graph)
        assert found.weights[graph] == pytest.approx(wanted["weight"], rel=RTOL)
        assert data.observed + medians[row] == wanted["median"]
        assert data.observed + means[row] == pytest.approx(wanted["mean"], rel=RTOL)
    independence = found.weights[0]
    assert independence == pytest.approx(record["independence_probability"], rel=RTOL, abs=1e-11)


def test_edges(record: Record, reference_table: Reader) -> None:
    data = reference_table(record["dataset"])
    graphs = chordal_graphs(len(data.lists))
    found = average(record, data, saturated=True).weights @ graphs.edges
    for (one, two), share in zip(graphs.pairs, found, strict=True):
        wanted = record["edges"][f"{data.lists[one]}:{data.lists[two]}"]
        assert share == pytest.approx(wanted, rel=RTOL, abs=1e-9)


def test_the_heaviest_graph_has_its_name(reference_table: Reader) -> None:
    estimate = fit_table(reference_table("kosovo"), "graphs")
    assert estimate.models is not None
    assert estimate.models["model"][0] == "[EXH ABA OSCE][EXH OSCE HRW]"
    assert json.loads(estimate.tree.attrs["edges"])["EXH:HRW"] == pytest.approx(0.98551, abs=1e-4)
