"""The shipped studies of capture-recapture give what analyses/*/expected.json says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hiddenpop.families import FAMILIES
from hiddenpop.family_fits import fit_families
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.size import SizeEstimate
from hiddenpop.studies import load_size_study

__all__: list[str] = []

ANALYSES = Path(__file__).resolve().parents[2] / "analyses"
STUDIES = ("brighton-2000", "brussels-2019", "london-2001", "scotland-2006")


def expected(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (ANALYSES / name / "expected.json").read_text(encoding="utf-8")
    )
    return content


def compare(name: str, estimates: dict[str, SizeEstimate]) -> None:
    """Medians within the stated Monte Carlo errors of the recorded ones; to a person if exact."""
    ours = expected(name)["ours"]
    allowed = ours["tolerance_in_monte_carlo_errors"]
    for row in ours["rows"]:
        if row["family"] in estimates and row["quantity"] == "N":
            found = estimates[row["family"]]
            error = (row["mcse"] ** 2 + found.monte_carlo_error**2) ** 0.5
            assert abs(found.N().median - row["median"]) <= allowed * error + 1, row


@pytest.mark.parametrize("name", [name for name in STUDIES if name != "london-2001"])
def test_computed_families_give_the_recorded_sizes(name: str) -> None:
    study = load_size_study(name)
    computed = tuple(family for family in study.families if FAMILIES[family].exact)
    found = fit_families(replace(study, families=computed))
    assert found.passed
    compare(name, {k: e for k, e in found.estimates.items() if k != COMBINED})


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_family_gives_the_recorded_size(name: str) -> None:
    found = fit_families(load_size_study(name))
    assert found.passed
    compare(name, dict(found.estimates))


@pytest.mark.parametrize("name", STUDIES)
def test_the_recorded_result_overlaps_the_published_interval(name: str) -> None:
    rows = expected(name)["ours"]["rows"]
    study = load_size_study(name)
    (headline,) = (r for r in rows if r["quantity"] == "N" and r["family"] == study.headline)
    for one in study.published:
        if one.low is not None and one.high is not None:
            assert headline["low"] < one.high
            assert one.low < headline["high"]
