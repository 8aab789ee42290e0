"""`hiddenpop multiplier`, `elicit` and `check` on benchmarks, in families that need no sampler."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import betanbinom
from typer.testing import CliRunner, Result

from hiddenpop.cli import app
from hiddenpop.replay import replay

__all__: list[str] = []

SINGLE = ("--benchmark", "1385", "--survey", "144/603", "--deff", "4")
MANY = (
    "id,kind,count,x,n,design_effect,low,high,level,referred,x_referred,error\n"
    "treated,people,400,40,200,2,,,,40,4,\n"
    "arrested,people,300,30,200,2,,,,,,0.67 to 1.5 at 0.95\n"
    "deaths,events,20,,,,0.005,0.02,0.95,,,\n"
)
TREE = "parent,child,x,n,count\nusers,treated,40,200,400\nusers,arrested only,30,180,\n"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words: str | Path) -> dict[str, Any]:
    found = call(*words, "--json", "-")
    assert found.exit_code == 0, found.output
    content: dict[str, Any] = json.loads(found.stdout)
    return content


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmarks") / "many.csv"
    path.write_text(MANY, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["multiplier", "elicit"])
def test_help_has_an_example(name: str) -> None:
    found = call(name, "--help")
    assert found.exit_code == 0
    assert f"Example: hiddenpop {name}" in found.output


def test_one_benchmark_and_one_survey_are_the_closed_form() -> None:
    found = answer("multiplier", *SINGLE)
    exact = betanbinom(1385, 1 + 144 / 4, 1 + (603 - 144) / 4)
    for key, chance in (("low", 0.025), ("median", 0.5), ("high", 0.975)):
        assert found["N"][key] == pytest.approx(1385 + exact.ppf(chance), abs=1)
    assert found["family"] == "multiplier"
    assert found["observed"] == 1385
    words = " ".join(found["families"][0]["notes"])
    assert "1/N" in words
    assert "uniform" in words.lower()


def test_a_share_with_an_interval_needs_no_level_here() -> None:
    found = answer("multiplier", "--benchmark", "1981", "--share", "0.55", "--low", "0.52",
                   "--high", "0.60")  # fmt: skip
    row = found["families"][0]["benchmarks"][0]
    assert row["plain"] == pytest.approx(1981 / 0.55)
    assert row["plain_low"] == pytest.approx(1981 / 0.60)
    assert row["plain_high"] == pytest.approx(1981 / 0.52)
    assert 3200 < found["N"]["low"] < 3600 < found["N"]["high"] < 3950


def test_many_benchmarks_stand_alone_together_and_left_out(many: Path) -> None:
    found = answer("multiplier", many, "--population", "50000", "--overlap",
                   "treated,arrested=0.5 to 4 at 0.95", "--switch", "referred",
                   "--threshold", "3000")  # fmt: skip
    rows = {row["benchmark"]: row for row in found["families"][0]["benchmarks"]}
    assert set(rows) == {"treated", "arrested", "deaths"}
    for row in rows.values():
        assert row["alone_low"] < row["alone"] < row["alone_high"]
        assert row["without_low"] < row["without"] < row["without_high"]
        assert 0 <= row["conflict"] <= 1
    together = math.log(found["N"]["high"] / found["N"]["low"])
    assert all(together < math.log(r["alone_high"] / r["alone_low"]) for r in rows.values())
    other = found["alternatives"]["without referred people"][0]
    assert other["N"]["median"] != found["N"]["median"]
    tipping = {row["benchmark"]: row for row in found["tipping"]["benchmarks"]}
    assert tipping["treated"]["share"] == pytest.approx(400 / 3000)
    assert tipping["treated"]["error"] == pytest.approx(400 / 3000 / 0.2)
    assert tipping["deaths"]["share"] is None


def test_a_result_has_a_report_and_replays(many: Path) -> None:
    folder = many.parent / "result"
    found = call("multiplier", many, "--population", "50000", "--switch", "referred",
                 "--threshold", "3000", "--out", folder)  # fmt: skip
    assert found.exit_code == 0, found.output
    report = (folder / "report.html").read_text(encoding="utf-8")
    for words in ("The benchmarks", "With and without", "without referred people",
                  "What would have to be true for 3,000", "Conflict"):  # fmt: skip
        assert words in report
    assert "on no list" not in report
    assert (folder / "benchmarks.csv").exists()
    assert replay(folder).outcome == "identical"


def test_a_tree_is_read_and_its_parts_are_sized(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_text(TREE, encoding="utf-8")
    found = answer("multiplier", "--tree", path)
    nodes = {row["node"]: row for row in found["families"][0]["nodes"]}
    assert nodes["users"]["median"] == pytest.approx(found["N"]["median"], rel=0.02)
    assert 1400 < found["N"]["median"] < 2900


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--benchmark", "100", "--survey", "20/10"), "20 of 10"),
        (("--benchmark", "100", "--share", "1.5", "--low", "1.2", "--high", "1.6"), "share"),
        (("--benchmark", "100", "--survey", "10/50", "--rds"), "4"),
        (("--share", "0.5"), "--benchmark"),
        ((), "--benchmark"),
        ((*SINGLE, "--switch", "sent"), "referred"),
        ((*SINGLE, "--family", "multiplyer"), "multiplier"),
        ((*SINGLE, "--size-prior", "uniform:1000"), "1,385"),
        ((*SINGLE, "--population", "1000"), "1000"),
    ],
)
def test_a_bad_call_is_refused_in_words(words: tuple[str, ...], said: str) -> None:
    found = call("multiplier", *words)
    assert found.exit_code == 2, found.output
    assert said.replace(",", "") in found.output.replace(",", "")


def test_elicit_shows_what_a_range_implies(tmp_path: Path) -> None:
    picture = tmp_path / "prior.svg"
    found = answer("elicit", "350 to 400 at 0.8", "--population", "15000", "--observed", "240",
                   "--plot", picture)  # fmt: skip
    assert found["distribution"] == "log-normal"
    assert picture.read_text(encoding="utf-8").lstrip().startswith("<?xml")
    assert call("elicit", "350 to 400").exit_code == 2


def test_check_reads_benchmarks_and_trees(many: Path) -> None:
    found = call("check", many, "--form", "benchmarks")
    assert found.exit_code == 0, found.output
    assert "3 rows of benchmarks" in found.output
    assert call("check", many, "--form", "tables").exit_code == 2
