"""Every kind of bad table has one code and one message, and says where it is.

The cases stand in tests/studies/bad_tables.toml.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from hiddenpop.errors import InputError
from hiddenpop.inputs.faults import Fault
from hiddenpop.inputs.margins_text import read_margins
from hiddenpop.inputs.overlap_csv import read_overlap
from hiddenpop.inputs.repeats_csv import read_repeats

__all__: list[str] = []

PAGES = ("overlap", "counts", "repeats")
"""Files of messages whose codes have a case here."""

READERS: Mapping[str, Callable[..., object]] = {
    "overlap": read_overlap,
    "repeats": read_repeats,
    "margins": read_margins,
}


@dataclass(frozen=True)
class Case:
    """A table, how it is read, and the one fault that this must give."""

    kind: str
    code: str
    call: dict[str, Any]
    reader: str = "overlap"
    text: str = ""
    encoding: str = "utf-8"
    files: dict[str, str] = field(default_factory=dict)
    file: str = "table.csv"
    row: int | None = None
    column: str = ""

    def read(self, folder: Path) -> object:
        """Write the files and read them."""
        call = dict(self.call)
        if self.reader == "margins":
            return read_margins(**call)
        (folder / "table.csv").write_bytes(self.text.encode(self.encoding))
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        if str(call.get("population", "")).endswith(".csv"):
            call["population"] = folder / call["population"]
        return READERS[self.reader](folder / call.pop("path", "table.csv"), **call)


def listed() -> list[Case]:
    folder = Path(__file__).resolve().parents[1] / "studies"
    text = (folder / "bad_tables.toml").read_text(encoding="utf-8")
    return [Case(**case) for case in tomllib.loads(text)["case"]]


LONG = [
    Case(
        "ids taken for strata",
        "strata-many",
        {"lists": ["police", "treatment"], "by": ["id"]},
        text="police,treatment,id\n" + "".join(f"{i % 2},1,A{i}\n" for i in range(10_001)),
        column="id",
    ),
]

CASES = [*listed(), *LONG]

OWN_TESTS = {"rows-more"}
"""Codes that come with others; their test stands below."""


def faults_of(case: Case, folder: Path) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        case.read(folder)
    return caught.value.faults


def words() -> dict[str, dict[str, str]]:
    folder = files("hiddenpop.inputs").joinpath("messages")
    pages = [folder.joinpath(f"{page}.toml").read_text(encoding="utf-8") for page in PAGES]
    return {code: said for page in pages for code, said in tomllib.loads(page).items()}


@pytest.mark.parametrize("case", CASES, ids=[f"{case.code}: {case.kind}" for case in CASES])
def test_each_kind_gives_one_fault_at_its_place(case: Case, tmp_path: Path) -> None:
    (fault,) = faults_of(case, tmp_path)
    found = fault.code, fault.file, fault.row, fault.column
    assert found == (case.code, case.file, case.row, case.column)
    assert re.fullmatch(r"[^\n]+\. [^\n]+\. [^\n]+ \[[a-z0-9-]+\]", str(fault))


def test_every_code_has_a_case_and_every_kind_its_own_words() -> None:
    assert {case.code for case in CASES} | OWN_TESTS >= set(words())
    assert len(words()) >= 40
    for part in ("what", "why"):
        said = Counter(message[part] for message in words().values())
        assert [text for text, times in said.items() if times > 1] == []
    assert max(Counter(case.kind for case in CASES).values()) == 1


def test_no_code_stands_in_two_files_of_messages() -> None:
    folder = files("hiddenpop.inputs").joinpath("messages")
    codes = Counter(
        code
        for page in folder.iterdir()
        for code in tomllib.loads(page.read_text(encoding="utf-8"))
    )
    assert [code for code, times in codes.items() if times > 1] == []


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    case = Case(
        "",
        "",
        {"lists": ["a", "b"], "count": "n", "by": ["sex"], "suppressed": {"*": "4-1", "<9": "0-8"}},
        text="a,b,sex,n\n1,0,male,-3\nx,1,Male,4\n1,1,,<5\n1,1,male,*\nTotal,,,9\n0,0,male,\n",
    )
    found = [(fault.code, fault.row) for fault in faults_of(case, tmp_path)]
    assert found == [
        ("rule-upside", None),
        ("rule-unused", None),
        ("total-row", 6),
        ("row-nobody", 7),
        ("count-negative", 2),
        ("list-mark", 3),
        ("level-empty", 4),
        ("count-suppressed", 4),
        ("level-spelling", 3),
    ]


@pytest.mark.parametrize("rows", [150, 200_000])
def test_many_faulty_persons_are_named_up_to_a_number(rows: int, tmp_path: Path) -> None:
    text = "id,a,b\nA,1,0\nB,0,1\nC,1,1\n" + "".join(f"D{i},yes,1\n" for i in range(rows))
    case = Case("", "", {"lists": ["a", "b"], "person": "id"}, text=text)
    *named, last = faults_of(case, tmp_path)
    assert [(fault.code, fault.row) for fault in named] == [
        ("list-mark", row) for row in range(5, 105)
    ]
    assert last.code == "rows-more"
    assert f"{rows - 100} more" in last.what


def test_messages_do_not_repeat_ids_of_persons(tmp_path: Path) -> None:
    for case in CASES:
        if case.code.startswith("person-"):
            (fault,) = faults_of(case, tmp_path)
            assert not re.search(r"\bA\d\b", str(fault))
