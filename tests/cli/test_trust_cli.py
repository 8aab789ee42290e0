"""`hiddenpop trust` on results that need no sampler, and every way in which it can be stopped."""

import errno
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

from hiddenpop.cli import app
from hiddenpop.errors import ResultError
from hiddenpop.replay import replay
from hiddenpop.trust import trust

__all__: list[str] = []

BENCHMARKS = (
    "id,kind,count,x,n,design_effect,low,high,level\n"
    "treated,people,400,40,200,2,,,\n"
    "deaths,events,20,,,,0.005,0.02,0.95\n"
)
LISTS = "a,b,c,people\n1,0,0,60\n0,1,0,49\n1,1,0,14\n0,0,1,70\n1,0,1,12\n0,1,1,16\n1,1,1,7\n"
TREE = "parent,child,x,n,count\nusers,treated,40,200,400\nusers,arrested only,30,180,300\n"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def made(folder: Path, text: str, *words: str) -> Path:
    """A result of a table."""
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    where = [*words, str(path)] if words[-1] == "--tree" else [words[0], str(path), *words[1:]]
    found = call(*where, "--out", folder / "result")
    assert found.exit_code == 0, found.output
    return folder / "result"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return made(tmp_path, BENCHMARKS, "multiplier", "--threshold", "3000")


def test_checks_of_benchmarks_join_the_report(result: Path) -> None:
    found = call("trust", result)
    assert found.exit_code == 0, found.output
    assert "No benchmark contradicts the others" in found.output
    page = (result / "trust.html").read_text(encoding="utf-8")
    for words in ("Does the evidence contradict itself?", "Would other priors"):
        assert words in page
    assert 'href="trust.html"' in (result / "report.html").read_text(encoding="utf-8")
    conflict = pd.read_csv(result / "trust" / "conflict.csv")
    assert list(conflict["benchmark"]) == ["treated", "deaths"]
    assert (conflict["conflict_holm"] >= conflict["conflict"]).all()
    again = replay(result)
    assert again.outcome == "identical"
    assert again.reasons == ()


def test_checks_of_lists_hide_each_of_them(tmp_path: Path) -> None:
    folder = made(
        tmp_path, LISTS, "recapture", "--lists", "a,b,c", "--count", "people",
        "--family", "graphs", "--family", "loglinear-average",
    )  # fmt: skip
    found = call("trust", folder, "--json", "-")
    assert found.exit_code == 0, found.output
    hidden = pd.DataFrame(json.loads(found.stdout)["hide-a-list"])
    assert set(hidden["list"]) == {"a", "b", "c"}
    assert hidden.loc[hidden["list"] == "a", "truth"].iloc[0] == 60 + 14 + 12 + 7


def test_one_check_alone_makes_no_page(result: Path) -> None:
    assert call("trust", result, "--only", "conflict").exit_code == 0
    assert not (result / "trust.html").exists()
    found = call("trust", result, "--only", "conflicts")
    assert found.exit_code == 2
    assert "conflict, priors" in found.output


def test_a_run_that_was_stopped_goes_on(result: Path) -> None:
    steps: list[str] = []

    def stop(step: str) -> None:
        steps.append(step)
        if step.startswith("priors"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trust(result, on_step=stop)
    assert (result / "trust" / "conflict.done").exists()
    assert not (result / "trust.html").exists()
    later: list[str] = []
    found = trust(result, on_step=later.append)
    assert not any(step.startswith("conflict") for step in later)
    assert any(step.startswith("priors") for step in later)
    assert set(found.parts) == {"conflict", "priors", "power", "tipping", "next-data"}


def in_a_process(*words: str | Path, most_bytes: int | None = None) -> "subprocess.Popen[str]":
    """The command in a process of its own, in which no file may grow beyond `most_bytes`."""
    limit = "" if most_bytes is None else (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, "
        f"({most_bytes}, resource.RLIM_INFINITY)); "
    )  # fmt: skip
    code = f"{limit}from hiddenpop.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a POSIX signal")
def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    folder = made(
        tmp_path, LISTS, "recapture", "--lists", "a,b,c", "--count", "people",
        "--family", "graphs", "--family", "loglinear-average",
    )  # fmt: skip
    other = shutil.copytree(folder, tmp_path / "other")
    first = folder / "trust" / "hide-a-list.csv"
    process = in_a_process("trust", folder)
    deadline = time.monotonic() + 60
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert first.exists()
    assert process.returncode == -signal.SIGKILL, "it had ended before it was killed"
    assert not (folder / "trust.html").exists()
    assert call("trust", folder).exit_code == 0
    assert call("trust", other).exit_code == 0
    names = sorted(path.name for path in (other / "trust").iterdir())
    assert sorted(path.name for path in (folder / "trust").iterdir()) == names
    for name in names:
        assert (folder / "trust" / name).read_bytes() == (other / "trust" / name).read_bytes(), name


@pytest.mark.skipif(sys.platform == "win32", reason="limits a process as POSIX does")
def test_a_disk_that_takes_no_more_is_said_and_loses_nothing(result: Path) -> None:
    before = {path: path.read_bytes() for path in result.rglob("*") if path.is_file()}
    process = in_a_process("trust", result, most_bytes=100)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "could not be written" in " ".join(said.split())
    assert "Traceback" not in said
    assert {path: path.read_bytes() for path in before} == before
    assert call("trust", result).exit_code == 0


def test_inputs_that_were_changed_after_the_run_are_refused(result: Path) -> None:
    path = next((result / "study").glob("*.csv"))
    path.write_text(path.read_text(encoding="utf-8").replace("400", "500"), encoding="utf-8")
    found = call("trust", result)
    assert found.exit_code == 2
    assert "was changed after the run" in found.output
    assert "Run the study again" in found.output


def test_another_version_is_refused_unless_told_otherwise(result: Path) -> None:
    path = result / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    run["versions"]["pymc"] = "1.2.3"
    path.write_text(json.dumps(run), encoding="utf-8")
    found = call("trust", result, "--only", "conflict")
    assert found.exit_code == 2
    assert "pymc was 1.2.3 at the run" in found.output
    assert call("trust", result, "--only", "conflict", "--anyway").exit_code == 0


def test_a_fit_that_failed_its_gates_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, TREE, "multiplier", "--tree")
    with xr.open_datatree(folder / "estimate.nc", engine="h5netcdf") as opened:
        tree = opened.load()
    tree["tree"].attrs["importance_ess"] = 12.0
    tree.to_netcdf(folder / "estimate.nc", engine="h5netcdf")
    found = call("trust", folder)
    assert found.exit_code == 2
    assert "failed its gates" in found.output
    assert "--anyway" in found.output


def test_a_full_disk_loses_nothing(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = (result / "report.html").read_bytes()

    def full(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", full)
        with pytest.raises(ResultError, match="No space left on device"):
            trust(result)
    assert (result / "report.html").read_bytes() == report
    assert not list(result.glob("**/*.tmp"))
    assert call("trust", result).exit_code == 0


def test_a_folder_that_is_no_result_is_refused(tmp_path: Path) -> None:
    found = call("trust", tmp_path)
    assert found.exit_code == 2
    assert "is not a result" in found.output
