"""Result directories appear whole or not at all, and never replace what is not theirs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hiddenpop.errors import ResultError
from hiddenpop.results import read_run, write_text, writing


def finished(folder: Path, text: str) -> None:
    with writing(folder, lambda _: None) as inside:
        (inside / "run.json").write_text(text)


def test_a_result_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with writing(target, lambda _: None) as inside:
        (inside / "run.json").write_text("{}")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["run.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_failure_leaves_the_old_result(tmp_path: Path) -> None:
    target = tmp_path / "result"
    finished(target, "old")

    def fail() -> None:
        with writing(target, lambda _: None) as inside:
            (inside / "run.json").write_text("new")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert (target / "run.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_new_result_replaces_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "result"
    finished(target, "old")
    (target / "leftover.txt").write_text("of the old result")
    finished(target, "new")
    assert {path.name: path.read_text() for path in target.iterdir()} == {"run.json": "new"}


def test_a_killed_run_is_announced_and_removed(tmp_path: Path) -> None:
    remains = tmp_path / "result.unfinished"
    remains.mkdir()
    # No process has this number: Linux gives out at most 2**22.
    (remains / "pid").write_text(str(2**22 + 1))
    notices: list[str] = []
    with writing(tmp_path / "result", notices.append) as inside:
        (inside / "run.json").write_text("{}")
    assert "stopped before its end" in notices[0]
    assert not remains.exists()


def test_a_kill_between_the_renames_brings_the_old_result_back(tmp_path: Path) -> None:
    target = tmp_path / "result"
    finished(target, "old")
    target.rename(tmp_path / "result.old")
    notices: list[str] = []
    with pytest.raises(ZeroDivisionError), writing(target, notices.append):
        _ = 1 / 0
    assert (target / "run.json").read_text() == "old"
    assert "the old result is back" in notices[0]


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    remains = tmp_path / "result.unfinished"
    remains.mkdir()
    (remains / "pid").write_text(str(os.getppid()))
    with (
        pytest.raises(ResultError, match=r"Another run .* is writing"),
        writing(tmp_path / "result", lambda _: None),
    ):
        pass
    assert remains.exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_a_result_is_never_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "thesis"
    if kind == "file":
        target.write_text("ten years of work")
    else:
        target.mkdir()
        (target / "chapter1.txt").write_text("ten years of work")
    with (
        pytest.raises(ResultError, match="is not a result of hiddenpop"),
        writing(target, lambda _: None),
    ):
        pass
    kept = target if kind == "file" else target / "chapter1.txt"
    assert kept.read_text() == "ten years of work"


def test_a_full_disk_says_so_and_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "result"
    finished(target, "old")
    with (
        pytest.raises(ResultError, match=r"could not be written .*No space left"),
        writing(target, lambda _: None),
    ):
        raise OSError(28, "No space left on device")
    assert (target / "run.json").read_text() == "old"


def test_text_is_written_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "{}\n")
    assert (tmp_path / "a.json").read_text() == "{}\n"
    with pytest.raises(ResultError, match="could not be written"):
        write_text(tmp_path / "no" / "a.json", "{}\n")


def test_reading_what_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="is not a result: it has no readable"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ResultError, match="is damaged"):
        read_run(tmp_path)
    (tmp_path / "stopped.unfinished").mkdir()
    with pytest.raises(ResultError, match="was stopped before its end"):
        read_run(tmp_path / "stopped")


GOOD: dict[str, Any] = {
    "study": "tiny", "seed": 7, "versions": {}, "input_sha256": {}, "output_sha256": {},
}  # fmt: skip


def test_reading_a_good_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(GOOD))
    assert read_run(tmp_path) == GOOD


@pytest.mark.parametrize(
    "content",
    [
        [],
        None,
        "text",
        *({key: value for key, value in GOOD.items() if key != lost} for lost in GOOD),
        GOOD | {"versions": []},
        GOOD | {"seed": "7"},
    ],
)
def test_a_damaged_run_is_named(tmp_path: Path, content: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(ResultError, match=r"run\.json is damaged .* Run the study again"):
        read_run(tmp_path)
