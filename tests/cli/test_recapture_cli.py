"""`hiddenpop recapture` and `check` on tables, in families that need no sampler."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hiddenpop.cli import app
from hiddenpop.replay import replay

__all__: list[str] = []

TABLE = "a,b,c,people\n1,0,0,60\n0,1,0,49\n1,1,0,14\n0,0,1,70\n1,0,1,12\n0,1,1,16\n1,1,1,7\n"
LISTS = ("--lists", "a,b,c", "--count", "people")


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "three.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def result(table: Path) -> Path:
    """A result of two families, with its report."""
    folder = table.parent / "result"
    found = call("recapture", table, *LISTS, "--family", "graphs", "--family", "loglinear-average",
                 "--population", "5000", "--seed", "3", "--out", folder)  # fmt: skip
    assert found.exit_code == 0, found.output
    return folder


def answer(*words: str | Path) -> dict[str, Any]:
    found = call("recapture", *words, "--json", "-")
    assert found.exit_code == 0, found.output
    content: dict[str, Any] = json.loads(found.stdout)
    return content


def test_help_has_an_example() -> None:
    found = call("recapture", "--help")
    assert found.exit_code == 0
    assert "Example: hiddenpop recapture" in found.output


def test_json_has_an_entry_per_family(table: Path) -> None:
    found = answer(table, *LISTS, "--family", "graphs", "--family", "loglinear-average",
                   "--population", "5000")  # fmt: skip
    entries = {entry["family"]: entry for entry in found["families"]}
    assert set(entries) == {"graphs", "loglinear-average", "combined"}
    for entry in entries.values():
        assert entry["observed"] == 228
        for key in ("N", "unseen", "prevalence"):
            assert set(entry[key]) == {"median", "mean", "low", "high", "level"}
        assert entry["N"]["low"] >= 228
        assert entry["N"]["median"] == pytest.approx(228 + entry["unseen"]["median"])
        assert entry["prevalence"]["median"] == pytest.approx(entry["N"]["median"] / 5)
        assert entry["diagnostics"]["passed"] is True
    models = entries["loglinear-average"]["models"]
    assert {"name", "weight", "N"} <= set(models[0])
    assert sum(model["weight"] for model in models) == pytest.approx(1, abs=1e-3)
    assert found["seed"] == 1
    assert found["input_sha256"]
    assert {"pymc", "numpy", "hiddenpop"} <= set(found["versions"])


def test_without_a_family_every_exact_one_that_applies(table: Path) -> None:
    found = answer(table, *LISTS)
    names = [entry["family"] for entry in found["families"]]
    assert {"loglinear-average", "graphs", "heterogeneity", "bounds", "combined"} <= set(names)
    assert "loglinear" not in names
    assert "two-list" in found["refused"]


def test_a_result_holds_everything(result: Path) -> None:
    assert {path.name for path in result.iterdir()} == {
        "report.html", "estimates.csv", "models.csv", "estimate.nc", "run.json", "study",
    }  # fmt: skip
    assert {path.name for path in (result / "study").iterdir()} == {"study.toml", "table.csv"}
    page = (result / "report.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http://www.w3.org", "")
    for text in ("Every family, side by side", "Who was seen where", "Cells against the models"):
        assert text in page


def test_the_command_can_be_typed_again(result: Path) -> None:
    run = json.loads((result / "run.json").read_text(encoding="utf-8"))
    assert run["command"].startswith("hiddenpop recapture three.csv --lists a,b,c")
    assert "--out" not in run["command"]


def test_a_replay_is_identical(result: Path) -> None:
    again = replay(result)
    assert again.outcome == "identical"
    assert again.reasons == ()


def test_a_replay_of_a_set_is_identical(table: Path, tmp_path: Path) -> None:
    """Families that give a set have no mean."""
    folder = tmp_path / "out"
    found = call("recapture", table, *LISTS, "--family", "bounds", "--out", folder)
    assert found.exit_code == 0, found.output
    assert replay(folder).outcome == "identical"


def test_a_changed_table_is_another_result(result: Path, tmp_path: Path) -> None:
    copy = tmp_path / "result"
    copy.mkdir()
    for path in result.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(result)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    toml = copy / "study" / "table.csv"
    toml.write_text(toml.read_text(encoding="utf-8").replace("1,0,0,60", "1,0,0,160"))
    again = replay(copy)
    assert again.outcome == "different"
    assert any("table.csv was changed" in reason for reason in again.reasons)


def test_options_reach_the_families(table: Path) -> None:
    few = answer(table, *LISTS, "--family", "loglinear-average", "--order", "1")
    assert len(few["families"][0]["models"]) == 1
    best = answer(table, *LISTS, "--family", "loglinear-average", "--best")
    assert "Conditional on the selected model" in " ".join(best["families"][0]["notes"])
    sbh = answer(table, *LISTS, "--family", "loglinear-average", "--estimator", "sbh")
    assert sbh["families"][0]["priors"]["estimator"] == "sbh"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--family", "grphs"), "Did you mean 'graphs'"),
        (("--family", "two-list"), "two-list"),
        (("--family", "graphs", "--option", "delte=1"), "Did you mean 'delta'"),
        (("--family", "graphs", "--option", "delta"), "NAME=VALUE"),
        (("--family", "graphs", "--size-prior", "flat"), "no prior on N"),
        (("--family", "loglinear-average", "--estimator", "aic"), "aic"),
        (("--margins", "9,8,7"), "either a table or --margins"),
    ],
)
def test_a_bad_call_is_refused_in_words(table: Path, words: tuple[str, ...], says: str) -> None:
    found = call("recapture", table, *LISTS, *words)
    assert found.exit_code == 2
    assert says in found.output.replace("\n", " ")


def test_check_says_what_is_in_a_table(table: Path) -> None:
    found = call("check", table, *LISTS)
    assert found.exit_code == 0
    assert "228 people seen on 3 lists" in found.output


def test_check_says_what_is_wrong_with_a_table(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(TABLE.replace("1,1,0,14", "1,2,0,14").replace(",49", ",-49"), encoding="utf-8")
    found = call("check", path, *LISTS, "--json", "-")
    assert found.exit_code == 2
    content = json.loads(found.stdout)
    assert content["ok"] is False
    assert len({fault["code"] for fault in content["faults"]}) == 2
    assert call("recapture", path, *LISTS).exit_code == 2


def test_switches_estimate_again_without_referred_people_and_from_new_cases(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sent.csv"
    path.write_text(
        "arrest,treat,people,sent,new\n1,0,60,0,30\n0,1,49,0,20\n1,1,40,12,15\n", encoding="utf-8"
    )
    words = (path, "--lists", "arrest,treat", "--count", "people", "--family", "two-list",
             "--option", "independent=true", "--referred", "sent",
             "--referral", "arrest>treat", "--new", "new")  # fmt: skip
    found = answer(*words)
    others = {name: rows[0]["N"] for name, rows in found["alternatives"].items()}
    assert set(others) == {"without referred people", "new cases only"}
    # Lincoln-Petersen: 100 x 89 / 40 with them, 100 x 77 / 28 without, 45 x 35 / 15 new.
    for size, plain in (
        (found["N"], 100 * 89 / 40),
        (others["without referred people"], 100 * 77 / 28),
        (others["new cases only"], 45 * 35 / 15),
    ):
        assert size["median"] == pytest.approx(plain, rel=0.05)
    folder = tmp_path / "result"
    assert call("recapture", *words, "--out", folder).exit_code == 0
    assert replay(folder).outcome == "identical"


def test_gates_that_fail_stop_the_command_unless_it_is_told_otherwise(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hiddenpop.inference.MIN_ESS", 10**9)
    words = ("recapture", table, *LISTS, "--family", "heterogeneity", "--out", tmp_path / "out")
    stopped = call(*words)
    assert stopped.exit_code == 1
    assert "heterogeneity failed its gates: effective sample size" in stopped.output
    assert "--anyway" in stopped.output
    assert not (tmp_path / "out").exists()
    told = call(*words, "--anyway")
    assert told.exit_code == 1
    assert "heterogeneity cannot be trusted" in told.output
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Its numbers cannot be trusted" in page
    assert "because the command said so" in page
    run = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert run["command"].endswith("--anyway")
