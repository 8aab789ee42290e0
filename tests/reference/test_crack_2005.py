"""The main study, fitted once: gates, published figures, our own recorded results, the script.

These are the slowest of the ordinary tests: one compilation and one full fit.
"""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import hiddenpop as hp
from hiddenpop.cli import app

ROOT = Path(__file__).resolve().parents[2]
ANALYSIS = ROOT / "analyses" / "crack-2005"


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ANALYSIS / "expected.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def study() -> hp.Study:
    return hp.load_study("crack-2005")


@pytest.fixture(scope="module")
def estimate(study: hp.Study) -> hp.Estimate:
    return hp.fit(study, check=False)


def test_gates_pass(estimate: hp.Estimate) -> None:
    assert estimate.verdict.passed, str(estimate.verdict)


def test_agrees_with_published_figures(estimate: hp.Estimate, expected: dict[str, Any]) -> None:
    for claim in expected["published"]:
        found = estimate.users(claim["area"], claim["group"])
        assert claim["expect"] == "overlap"
        assert found.low <= claim["high"], claim
        assert found.high >= claim["low"], claim


def test_agrees_with_what_was_recorded(estimate: hp.Estimate, expected: dict[str, Any]) -> None:
    recorded = pd.DataFrame(expected["ours"]["rows"])
    found = estimate.table().merge(
        recorded, on=["area", "group", "quantity"], suffixes=("", "_recorded"), validate="1:1"
    )
    assert len(found) == len(recorded) == len(estimate.table())
    errors = np.hypot(found["mcse"], found["mcse_recorded"])
    gap = (found["median"] - found["median_recorded"]).abs() / errors
    assert gap.max() <= expected["ours"]["tolerance_in_monte_carlo_errors"], found[gap > 4]


def test_parts_add_up(estimate: hp.Estimate) -> None:
    users = estimate.tree["posterior"]["N"]
    parts = users.sel(area=["Derby", "Erewash", "rest of Derbyshire"]).sum("area")
    np.testing.assert_allclose(parts, users.sel(area="Derbyshire"), rtol=1e-9)
    names = ["London 12 boroughs", "rest of London"]
    np.testing.assert_allclose(
        users.sel(area=names).sum("area"), users.sel(area="London"), rtol=1e-9
    )
    united = estimate.tree["posterior"]["users"].sel(union="crack")
    np.testing.assert_allclose(users.sel(group=["both", "crack_only"]).sum("group"), united)


def test_users_are_residents(estimate: hp.Estimate) -> None:
    prevalence = estimate.tree["posterior"]["prevalence"]
    assert float(prevalence.min()) > 0
    assert float(prevalence.max()) < 1


def test_at_least_twenty_rows_and_every_omission_has_a_reason(study: hp.Study) -> None:
    table = study.data.evidence.table
    assert (table["use"] == "yes").sum() >= 20
    assert (table.loc[table["use"] == "no", "reason"].str.len() > 0).all()


def test_comparison_is_one_joint_posterior(estimate: hp.Estimate) -> None:
    found = estimate.compare("Ilkeston", "Derby", "crack")
    turned = estimate.compare("Derby", "Ilkeston", "crack")
    assert found.probability + turned.probability == pytest.approx(1)
    # Not exactly: a quantile between two draws is a mean of both.
    assert found.ratio.median * turned.ratio.median == pytest.approx(1, rel=1e-3)
    assert found.ratio.low * turned.ratio.high == pytest.approx(1, rel=1e-2)


def test_derived_numbers_of_the_study_are_recomputed() -> None:
    module = load(ROOT / "data" / "raw" / "crack_2005.py")
    assert module.differences() == []


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_and_command_give_the_same(
    tmp_path: Path, estimate: hp.Estimate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in quick mode, with the compiled model of the full fit handed to them."""
    script = load(ANALYSIS / "run.py")
    assert len((ANALYSIS / "run.py").read_text(encoding="utf-8").splitlines()) < 60
    monkeypatch.setattr("hiddenpop.estimate.Sampler", lambda _: estimate.sampler)
    script.main(tmp_path / "script", quick=True)
    found = CliRunner().invoke(
        app, ["run", "crack-2005", "--quick", "--out", str(tmp_path / "command")]
    )
    assert found.exit_code in (0, 1), found.output
    for name in ("estimates.csv", "run.json", "report.html"):
        one = (tmp_path / "script" / name).read_bytes()
        two = (tmp_path / "command" / name).read_bytes()
        if name == "run.json":
            # netCDF files carry no time, but their hash may differ with the HDF5 writer.
            left, right = json.loads(one), json.loads(two)
            left["output_sha256"].pop("estimate.nc")
            right["output_sha256"].pop("estimate.nc")
            assert left == right
        else:
            assert one == two


@pytest.mark.slow
def test_five_seeds_agree(study: hp.Study, estimate: hp.Estimate) -> None:
    tables = [estimate.table()]
    for seed in (11, 12, 13, 14):
        again = hp.fit(study, seed=seed, sampler=estimate.sampler, check=False)
        assert again.verdict.passed, f"seed {seed}: {again.verdict}"
        tables.append(again.table())
    medians = np.array([table["median"] for table in tables])
    errors = np.array([table["mcse"] for table in tables])
    # Each against the mean of all five, of which it is a part itself.
    error = np.sqrt(errors**2 * (1 - 2 / 5) + (errors**2).sum(0) / 25)
    gap = np.abs(medians - medians.mean(0)) / error
    assert gap.max() <= 3, pd.DataFrame(gap)


def test_variants_change_what_they_say(study: hp.Study) -> None:
    evidence = study.data.evidence
    variants = {variant.name: variant for variant in study.variants}
    alone = variants["police-only"].apply(study.data)
    assert set(evidence.rows["source"][alone.included]) == {"police"}
    without = variants["no-police-voice"].apply(study.data)
    assert "police" not in set(evidence.rows["source"][without.included])
    town = variants["town-15000"].apply(study.data)
    change = dict(zip(town.areas.names, town.areas.population - study.data.areas.population,
                      strict=True))  # fmt: skip
    assert {area for area, people in change.items() if people} == {"Ilkeston", "rest of Erewash"}
    assert change["Ilkeston"] == -change["rest of Erewash"] < 0
