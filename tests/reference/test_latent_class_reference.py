"""Latent classes against the R package LCMCR, and against an independent sampler of the model.

Every record of values/latent_class.json says table, software, version and settings. LCMCR's
chains are sampled too, and mix slowly: medians are held to 3 %, the tolerance that was
set for them. Where its chains of half a million sweeps disagree with each other (UKdat_5,
ScotPWID_agg, Ned, Ned_5) there is no number to compare with: there the gates have to pass,
and two runs to agree.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table

__all__: list[str] = []

RECORDS = json.loads((Path(__file__).parent / "values" / "latent_class.json").read_text("utf-8"))
TABLES = sorted({record["dataset"] for record in RECORDS})
RTOL = 0.03
ENDS_RTOL = 0.06
"""Of the ends of intervals, which both samplers know less well."""

Reader = Callable[..., OverlapTable]


def records(table: str) -> list[dict[str, Any]]:
    return [record for record in RECORDS if record["dataset"] == table]


def near(found: SizeEstimate, numbers: dict[str, float]) -> None:
    size = found.N()
    assert size.median == pytest.approx(numbers["median"], rel=RTOL)
    assert size.low == pytest.approx(numbers["q025"], rel=ENDS_RTOL)
    assert size.high == pytest.approx(numbers["q975"], rel=ENDS_RTOL)
    posterior = found.tree["posterior"]
    if "classes_used" in numbers:
        assert float(posterior["classes_used"].mean()) == pytest.approx(
            numbers["classes_used"], abs=0.35
        )


def test_a_short_run_is_near(reference_table: Reader) -> None:
    found = fit_table(
        reference_table("spina_agg"), "latent-class",
        sampling=Sampling(draws=500, tune=300), check=False,
    )  # fmt: skip
    for record in records("spina_agg"):
        near(found, record["numbers"])


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_the_default_run_is_near(table: str, reference_table: Reader) -> None:
    found = fit_table(reference_table(table), "latent-class")
    for record in records(table):
        near(found, record["numbers"])


@pytest.mark.slow
@pytest.mark.parametrize("table", ["UKdat_5", "ScotPWID_agg", "Ned", "Ned_5"])
def test_chains_agree_where_those_of_lcmcr_do_not(table: str, reference_table: Reader) -> None:
    data = reference_table(table)
    one, two = (fit_table(data, "latent-class", sampling=Sampling(seed=seed)) for seed in (1, 2))
    for found in (one, two):
        gates = {gate.name: gate.found for gate in found.verdict.gates}
        assert gates["R-hat"] <= 1.01
        assert gates["bulk effective sample size"] >= 400
    # Shares below a third number, with at least 400 effective draws each.
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        place = np.quantile(np.concatenate([one.draws(), two.draws()]), share)
        gap = np.mean(one.draws() <= place) - np.mean(two.draws() <= place)
        assert abs(gap) < 4 * np.sqrt(2 * share * (1 - share) / 400)
    if table.startswith("Ned"):
        # LCMCR refuses such N.
        assert one.N().high > 21 * data.observed
