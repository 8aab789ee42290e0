"""The command line, on the small study with made-up numbers; its model is compiled once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import hiddenpop as hp
from hiddenpop.cli import app
from hiddenpop.report.page import build_report

TINY = Path(__file__).resolve().parents[1] / "studies" / "tiny"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick result of the small study."""
    folder = tmp_path_factory.mktemp("run") / "result"
    found = call("run", TINY, "--out", folder, "--quick", "--json", folder.parent / "answer.json")
    # A quick run may fail its gates (1), but must not be refused (2).
    assert found.exit_code in (0, 1), found.output
    return folder


def test_gates_that_fail_stop_a_run_unless_it_is_told_otherwise(
    result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit with too few draws that is not called a quick one."""
    estimate = hp.Estimate.load(result / "estimate.nc", hp.load_study(result / "study"))
    estimate.tree.attrs["quick"] = 0
    monkeypatch.setattr("hiddenpop.inference.MIN_ESS", 10**9)
    monkeypatch.setattr("hiddenpop.estimate.fit", lambda *_, **__: estimate)
    stopped = call("run", TINY, "--json", "-")
    assert stopped.exit_code == 1
    assert "tiny failed its gates" in stopped.output
    assert not stopped.stdout
    told = call("run", TINY, "--json", "-", "--anyway")
    assert told.exit_code == 1
    assert not json.loads(told.stdout)["diagnostics"]["passed"]
    assert json.loads(told.stdout)["command"] == "hiddenpop run tiny --anyway"
    page = build_report(estimate, None, command="hiddenpop run tiny --anyway")
    assert "because the command said so" in page
    plain = build_report(estimate, None, command="hiddenpop run tiny")
    assert "because the command said so" not in plain


def payload(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return content


def test_every_command_has_help_with_an_example() -> None:
    for command in ("run", "new", "check", "replay", "datasets", "families", "studies"):
        found = call(command, "--help")
        assert found.exit_code == 0
        assert f"Example: hiddenpop {command}" in found.output


def test_a_result_holds_everything(result: Path) -> None:
    assert {path.name for path in result.iterdir()} == {
        "report.html", "estimates.csv", "estimate.nc", "run.json", "study",
    }  # fmt: skip
    assert {path.name for path in (result / "study").iterdir()} == {
        "study.toml", "areas.csv", "evidence.csv", "rates.csv", "biases.csv",
    }  # fmt: skip


def test_a_quick_run_is_marked_everywhere(result: Path) -> None:
    assert payload(result)["quick"] is True
    assert "--quick" in payload(result)["command"]
    assert "quick" in (result / "report.html").read_text(encoding="utf-8").lower()
    header, *rows = (result / "estimates.csv").read_text(encoding="utf-8").splitlines()
    assert header.endswith(",quick")
    assert rows
    assert all(row.endswith(",True") for row in rows)


def test_json_rows(result: Path) -> None:
    answer = json.loads((result.parent / "answer.json").read_text(encoding="utf-8"))
    assert answer["areas"] == payload(result)["areas"]
    pairs = {(row["area"], row["group"]) for row in answer["areas"]}
    assert pairs == {
        (area, group) for area in ("Northtown", "Southtown", "Shire") for group in ("alpha", "any")
    }
    for row in answer["areas"]:
        for quantity in ("N", "prevalence_per_1000"):
            found = row[quantity]
            assert set(found) == {"median", "mean", "low", "high", "level"}
            assert 0 < found["low"] < found["median"] < found["high"]
    assert {gate["name"] for gate in answer["diagnostics"]["gates"]} >= {"R-hat", "chains"}
    assert set(answer["input_sha256"]) == {path.name for path in TINY.glob("*.[ct]*")}


def test_replay_is_identical(result: Path) -> None:
    found = call("replay", result, "--json", "-")
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert answer["outcome"] == "identical"
    assert answer["reasons"] == []


def test_replay_says_what_was_changed(result: Path, tmp_path: Path) -> None:
    copy = tmp_path / "result"
    shutil.copytree(result, copy)
    evidence = copy / "study" / "evidence.csv"
    text = evidence.read_text(encoding="utf-8").replace("count,180,", "count,900,")
    evidence.write_text(text, encoding="utf-8")
    run = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    run["versions"]["numpy"] = "1.0"
    seed, run["seed"] = run["seed"], 12345
    (copy / "run.json").write_text(json.dumps(run), encoding="utf-8")
    (copy / "estimates.csv").write_text("area\n", encoding="utf-8")
    found = call("replay", copy, "--json", "-")
    answer = json.loads(found.stdout)
    assert found.exit_code == 1
    assert answer["outcome"] == "different"
    reasons = " / ".join(answer["reasons"])
    assert "study/evidence.csv was changed after the run" in reasons
    assert "estimates.csv was changed after the run" in reasons
    assert "numpy was 1.0 at the run" in reasons
    assert f"run.json says seed 12345, the draws were made with {seed}" in reasons


def test_replay_without_the_study(result: Path, tmp_path: Path) -> None:
    copy = tmp_path / "result"
    shutil.copytree(result, copy)
    shutil.rmtree(copy / "study")
    found = call("replay", copy)
    assert found.exit_code == 2
    assert "the result has lost its study folder; run the study again" in found.output


def test_replay_of_no_result(tmp_path: Path) -> None:
    found = call("replay", tmp_path)
    assert found.exit_code == 2
    assert "is not a result" in found.output


def test_bad_input_writes_nothing(tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(TINY, study)
    (study / "areas.csv").write_text("name;parent\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    for words in (("check", study), ("run", study, "--out", tmp_path / "out")):
        found = call(*words)
        assert found.exit_code == 2
        assert "1 fault in the input:" in found.output
        assert "areas.csv, line 1" in found.output
        assert "Traceback" not in found.output
    assert sorted(tmp_path.rglob("*")) == before


def test_check_reports_faults_as_json(tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(TINY, study)
    (study / "rates.csv").unlink()
    found = call("check", study, "--json", "-")
    assert found.exit_code == 2
    answer = json.loads(found.stdout)
    assert answer["ok"] is False
    assert answer["faults"][0]["file"] == "rates.csv"
    good = call("check", TINY, "--json", "-")
    assert good.exit_code == 0
    assert json.loads(good.stdout) == {"ok": True, "faults": []}


def test_unknown_study() -> None:
    found = call("run", "atlantis")
    assert found.exit_code == 2
    assert "There is no study 'atlantis'" in found.output


def test_run_refuses_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    found = call("run", TINY, "--out", tmp_path, "--quick")
    assert found.exit_code == 2
    assert "is not a result of hiddenpop" in found.output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_new_writes_an_editable_copy(tmp_path: Path) -> None:
    target = tmp_path / "my-town"
    found = call("new", target, "--from", "crack-2005")
    assert found.exit_code == 0, found.output
    assert {path.name for path in target.iterdir()} >= {"study.toml", "evidence.csv", "areas.csv"}
    assert call("check", target).exit_code == 0
    assert 'name = "my-town"' in (target / "study.toml").read_text(encoding="utf-8")
    unnamed = call("new", tmp_path / "My Town", "--from", "crack-2005")
    assert unnamed.exit_code == 2
    assert "cannot name a study" in unnamed.output
    assert not (tmp_path / "My Town").exists()
    again = call("new", target, "--from", "crack-2005")
    assert again.exit_code == 2
    assert "is not an empty folder" in again.output


@pytest.mark.parametrize("command", ["datasets", "families", "studies"])
def test_lists(command: str) -> None:
    found = call(command, "--json", "-")
    assert found.exit_code == 0
    assert all(row["name"] for row in json.loads(found.stdout))
    assert call(command).exit_code == 0


def test_one_data_set() -> None:
    found = call("datasets", "bcs-last-year-use")
    assert found.exit_code == 0
    assert "Licence" in found.output
    assert call("datasets", "atlantis").exit_code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a POSIX signal")
def test_a_killed_run_leaves_no_result_and_can_be_rerun(tmp_path: Path) -> None:
    out = tmp_path / "result"
    command = [sys.executable, "-c", "from hiddenpop.cli import main; main()",
               "run", str(TINY), "--out", str(out), "--quick"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        unfinished = tmp_path / "result.unfinished"
        deadline = time.monotonic() + 60
        while not (unfinished / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert not out.exists()
    assert unfinished.exists()
    found = call("run", TINY, "--out", out, "--quick")
    assert found.exit_code in (0, 1), found.output
    assert "stopped before its end" in found.output
    assert (out / "run.json").exists()
    assert not unfinished.exists()
