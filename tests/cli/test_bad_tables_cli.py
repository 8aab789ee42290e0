"""The bad tables of tests/studies/bad_tables.toml through `hiddenpop check` and `recapture`."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hiddenpop.cli import app

__all__: list[str] = []

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).resolve().parents[1] / "studies" / "bad_tables.toml").read_text("utf-8")
)["case"]

JOINED = {"lists": "--lists", "by": "--by", "ignore": "--ignore", "structural": "--impossible",
          "covariates": "--covariates", "totals": "--margins"}  # fmt: skip
SINGLE = {"count": "--count", "history": "--history", "person": "--person", "times": "--times",
          "list_column": "--list-column", "distinct": "--distinct",
          "population": "--population"}  # fmt: skip
PYTHON_ONLY = {"totals", "names"}
"""Arguments of `read_overlap` without an option: margins given beside a table."""


def options(case: dict[str, Any]) -> list[str] | None:
    """The call as options; None where it can be made in Python only."""
    words: list[str] = []
    for key, value in case["call"].items():
        if key == "path":
            continue
        if key == "suppressed":
            words += [part for mark, range_ in value.items()
                      for part in ("--suppressed", f"{mark}={range_}")]  # fmt: skip
        elif key == "add_duplicates":
            words += ["--add-duplicates"] if value else []
        elif key in JOINED and isinstance(value, list):
            if any("," in str(one) or not str(one).strip() for one in value):
                return None
            words += [JOINED[key], ",".join(map(str, value))]
        elif key in SINGLE and not isinstance(value, dict):
            words += [SINGLE[key], str(value)]
        else:
            return None
    return words


def usable(case: dict[str, Any]) -> bool:
    """Whether the command line can say what the case says."""
    call = case["call"]
    overlap = case.get("reader", "overlap") == "overlap"
    if options(case) is None or (overlap and PYTHON_ONLY & set(call)):
        return False
    population = call.get("population", 1)
    return isinstance(population, int | float)


KEPT = [case for case in CASES if usable(case)]


def test_nearly_all_cases_can_be_said_on_the_command_line() -> None:
    assert len(KEPT) > 0.85 * len(CASES)


@pytest.mark.parametrize("case", KEPT, ids=[f"{case['code']}: {case['kind']}" for case in KEPT])
def test_check_and_recapture_say_the_same_and_write_nothing(
    case: dict[str, Any], tmp_path: Path
) -> None:
    words = options(case) or []
    margins = case.get("reader") == "margins"
    commands = ["recapture"] if margins else ["check", "recapture"]
    if not margins:
        table = tmp_path / case["call"].get("path", "table.csv")
        if "path" not in case["call"]:
            table.write_bytes(case["text"].encode(case.get("encoding", "utf-8")))
        for name, text in case.get("files", {}).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        words = [str(table), *words]
    before = sorted(tmp_path.rglob("*"))
    for command in commands:
        out = ["--out", str(tmp_path / "out")] if command == "recapture" else []
        found = CliRunner().invoke(app, [command, *words, *out])
        assert found.exit_code == 2, found.output
        assert f"[{case['code']}]" in found.output
        assert "Traceback" not in found.output
    assert sorted(tmp_path.rglob("*")) == before
