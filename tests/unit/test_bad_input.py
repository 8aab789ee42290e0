"""Every kind of bad input has one code and one message, and says where it is.

Each case spoils a copy of a small good study (tests/studies/tiny) in one way. Most stand in two
tables. In tests/studies/bad_cells.csv the cell of `line` and `column` becomes `becomes`, and `with`
changes other cells of the line where only both together are wrong. In tests/studies/bad_texts.toml
`old` becomes `new`, or `append` is added at the end.
"""

import csv
import re
import shutil
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

import hiddenpop.inputs
from hiddenpop.cli import app
from hiddenpop.errors import InputError
from hiddenpop.families.synthesis import PRIOR_KINDS
from hiddenpop.inputs.faults import Fault, messages
from hiddenpop.inputs.study import Study, read_study

__all__: list[str] = []

STUDIES = Path(__file__).resolve().parents[1] / "studies"
SHIPPED = Path(__file__).resolve().parents[2] / "data" / "hiddenpop_data" / "studies" / "crack-2005"

Edit = Callable[[Path], object]


class Case(NamedTuple):
    """A way to spoil a study, and the one fault that it must give."""

    kind: str
    edit: Edit
    code: str
    file: str
    row: int | None = None
    column: str = ""


def read(path: Path) -> Study:
    return read_study(path, {"synthesis": PRIOR_KINDS})


def change_text(case: dict[str, str]) -> Edit:
    """Replace a text that stands once in a file, or add one at its end."""

    def edit(folder: Path) -> None:
        file = folder / case["file"]
        text = file.read_text(encoding="utf-8")
        if "append" in case:
            text += case["append"]
        else:
            assert text.count(case["old"]) == 1, f"{case['old']!r} must stand once"
            text = text.replace(case["old"], case["new"])
        file.write_text(text, encoding="utf-8")

    return edit


def set_cells(file: str, line: int, cells: dict[str, str]) -> Edit:
    """Change cells of one line of a table."""

    def edit(folder: Path) -> None:
        with (folder / file).open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
        for column, cell in cells.items():
            rows[line - 1][rows[0].index(column)] = cell
        with (folder / file).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)

    return edit


def write(file: str, raw: bytes) -> Edit:
    return lambda folder: (folder / file).write_bytes(raw)


def recode(file: str, codec: str) -> Edit:
    """Save a file in another encoding."""

    def edit(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8").replace("made up", "erfundén")
        (folder / file).write_bytes(text.encode(codec))

    return edit


def separate(file: str, mark: bytes) -> Edit:
    """Separate the columns by another mark."""

    def edit(folder: Path) -> None:
        (folder / file).write_bytes((folder / file).read_bytes().replace(b",", mark))

    return edit


def remove(file: str) -> Edit:
    return lambda folder: (folder / file).unlink()


def link(target: str) -> Edit:
    """Put a link in place of the areas, with a good table at `target`."""

    def edit(folder: Path) -> None:
        path = folder / "areas.csv"
        if target != "areas.csv":
            shutil.move(path, folder / target)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return edit


def cell_cases() -> list[Case]:
    """Spoilt cells from the table beside the studies."""
    with (STUDIES / "bad_cells.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    cases = []
    for line in lines:
        others = dict(part.split("=") for part in line["with"].split("|") if part)
        cells = {line["column"]: line["becomes"], **others}
        edit = set_cells(line["file"], int(line["line"]), cells)
        where = line["file"], int(line["line"]), line["column"]
        cases.append(Case(line["kind"], edit, line["code"], *where))
    return cases


def text_cases() -> list[Case]:
    """Spoilt texts from the file beside the studies."""
    listed = tomllib.loads((STUDIES / "bad_texts.toml").read_text(encoding="utf-8"))["case"]
    return [
        Case(
            case["kind"],
            change_text(case),
            case["code"],
            case.get("fault_file", case["file"]),
            case.get("row"),
            case.get("column", ""),
        )
        for case in listed
    ]


def unuse(folder: Path) -> None:
    """Use no row at all."""
    text = (folder / "evidence.csv").read_text(encoding="utf-8")
    (folder / "evidence.csv").write_text(text.replace(",yes,,", ",no,why not,"), encoding="utf-8")
    text = (folder / "study.toml").read_text(encoding="utf-8").partition("[[variants]]")[0]
    (folder / "study.toml").write_text(text, encoding="utf-8")


def share_root(folder: Path) -> None:
    """Two used rows that were computed from the same unused one, one of them at a remove."""
    set_cells("evidence.csv", 3, {"derived_from": "h_list"})(folder)
    set_cells("evidence.csv", 6, {"derived_from": "s_police_2001"})(folder)


AREAS, EVIDENCE, BIASES, TOML = "areas.csv", "evidence.csv", "biases.csv", "study.toml"
HARD = "\u00a0"
HEADER = b"name,parent,population,low,high,level,period,ages,source\n\n"
NO_LEVEL = b"name,low,high,scope,source,reason\npolice,1,1,Shire,x,y\n"

FILES = [
    Case("a missing folder", shutil.rmtree, "study-missing", "tiny"),
    Case("no study.toml", remove(TOML), "study-toml-missing", TOML),
    Case("a missing table", remove(AREAS), "file-missing", AREAS),
    Case("a byte-order mark", recode(AREAS, "utf-8-sig"), "file-bom", AREAS),
    Case("a byte-order mark in TOML", recode(TOML, "utf-8-sig"), "file-bom", TOML),
    Case("UTF-16", recode(AREAS, "utf-16"), "file-utf16", AREAS),
    Case("UTF-16 without a mark", recode(AREAS, "utf-16-le"), "file-binary", AREAS),
    Case("a workbook", write(AREAS, b"PK\x03\x04\x14\x00"), "file-spreadsheet", AREAS),
    Case("zero bytes", write(AREAS, b"name\x00"), "file-binary", AREAS),
    Case("Latin-1", recode(AREAS, "latin-1"), "file-encoding", AREAS, 2),
    Case("an empty file", write(AREAS, b""), "table-empty", AREAS),
    Case("blank lines alone", write(AREAS, b"\n \n"), "table-empty", AREAS),
    Case("a header alone", write(AREAS, HEADER), "table-no-rows", AREAS),
    Case("an unfinished study.toml", write(TOML, b"name ="), "toml-form", TOML, 1),
    Case("no level", write(BIASES, NO_LEVEL), "column-missing", BIASES, 1, "level"),
    Case("semicolons", separate(AREAS, b";"), "csv-semicolons", AREAS, 1),
    Case("tabs", separate(AREAS, b"\t"), "csv-tabs", AREAS, 1),
    Case("bars", separate(AREAS, b"|"), "header-missing", AREAS, 1),
    Case(
        "a hard space in a name",
        set_cells(EVIDENCE, 3, {"area": f"rest of{HARD}Shire"}),
        *("cell-invisible", EVIDENCE, 3, "area"),
    ),
    Case(
        "a hard space behind an id",
        set_cells(EVIDENCE, 3, {"id": f"n_treated{HARD}"}),
        *("cell-invisible", EVIDENCE, 3, "id"),
    ),
    Case(
        "two lines in a name",
        set_cells(AREAS, 5, {"name": "Har\nbour"}),
        *("cell-invisible", AREAS, 5, "name"),
    ),
    Case(
        "a hard space in a number",
        set_cells(AREAS, 2, {"population": f"400{HARD}000"}),
        *("number-thousands", AREAS, 2, "population"),
    ),
    Case(
        "a space that makes two ids equal",
        set_cells(EVIDENCE, 4, {"id": "n_treated "}),
        *("evidence-twice", EVIDENCE, 4, "id"),
    ),
    Case("no evidence used", unuse, "evidence-none-used", EVIDENCE, None, "use"),
    Case("two from one", share_root, "evidence-shared-root", EVIDENCE, 6, "derived_from"),
    Case("a link outwards", link("../other.csv"), "path-link", TOML, None, "tables.areas"),
    Case("a link to itself", link(AREAS), "path-loop", TOML, None, "tables.areas"),
]

CASES = [*cell_cases(), *text_cases(), *FILES]

PAGES = ("areas", "cells", "evidence", "rates", "study", "tables")
"""Files of messages whose codes have a case here."""

TABLES = ("overlap", "counts", "repeats")
"""Files of messages whose codes have a case in test_bad_tables.py. What a family refuses stands in
the tests of the family."""

OWN_TESTS = {"study-not-toml", "file-unreadable"}
"""Codes that no spoilt study gives; their tests stand below."""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A copy of the good study."""
    return Path(shutil.copytree(STUDIES / "tiny", tmp_path / "tiny"))


def words(page: str) -> dict[str, dict[str, str]]:
    """What the faults of one file of messages say, by code."""
    folder = Path(hiddenpop.inputs.__file__).parent / "messages"
    return tomllib.loads((folder / f"{page}.toml").read_text(encoding="utf-8"))


def faults_of(path: Path) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        read(path)
    return caught.value.faults


def place(fault: Fault) -> tuple[str, str, int | None, str]:
    return fault.code, fault.file, fault.row, fault.column


@pytest.mark.parametrize("case", CASES, ids=[f"{case.code}: {case.kind}" for case in CASES])
def test_each_kind_gives_one_fault_at_its_place(case: Case, tiny: Path) -> None:
    case.edit(tiny)
    (fault,) = faults_of(tiny)
    assert place(fault) == (case.code, case.file, case.row, case.column)
    assert re.fullmatch(r"[^\n]+\. [^\n]+\. [^\n]+ \[[a-z0-9-]+\]", str(fault))


@pytest.mark.parametrize("case", CASES, ids=[f"{case.code}: {case.kind}" for case in CASES])
def test_check_and_run_refuse_each_kind_and_write_nothing(case: Case, tiny: Path) -> None:
    case.edit(tiny)
    out = tiny.parent / "out"
    before = {path for path in tiny.parent.rglob("*") if not path.is_symlink()}
    for words in (["check", str(tiny)], ["run", str(tiny), "--out", str(out)]):
        found = CliRunner().invoke(app, words)
        assert found.exit_code == 2
        # A path that does not exist may have been meant as a shipped study's name.
        code = "study-unknown" if case.code == "study-missing" else case.code
        assert f"[{code}]" in found.output
        assert "Traceback" not in found.output
    assert {path for path in tiny.parent.rglob("*") if not path.is_symlink()} == before


def test_every_fault_of_the_package_has_a_case() -> None:
    assert len({case.code for case in CASES}) >= 50
    codes = {code for page in PAGES for code in words(page)}
    assert {case.code for case in CASES} | OWN_TESTS == codes


def test_every_code_in_the_source_has_words_and_the_other_way_round() -> None:
    folder = Path(hiddenpop.inputs.__file__).parents[1]
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    code = '"([a-z]+(?:-[a-z0-9]+)+)"'
    calls = "fault|report|Problem|filled|one_of|unique|_known|_check_name"
    assert set(messages()) <= set(re.findall(code, source))
    assert set(re.findall(rf"(?:{calls})\(\s*(?:top, )?{code}", source)) <= set(messages())


@pytest.mark.parametrize("part", ["what", "why"])
def test_no_two_faults_say_the_same(part: str) -> None:
    said = Counter(getattr(message, part) for message in messages().values())
    assert [words for words, times in said.items() if times > 1] == []


def test_faults_of_all_files_are_reported_together(tiny: Path) -> None:
    codes = {"toml-count", "area-cycle", "rate-reason", "bias-level-empty", "evidence-group"}
    for case in CASES:
        if case.code in codes:
            case.edit(tiny)
    assert {fault.code for fault in faults_of(tiny)} == codes


def test_a_table_is_not_a_study(tiny: Path) -> None:
    (fault,) = faults_of(tiny / AREAS)
    assert place(fault) == ("study-not-toml", AREAS, None, "")


def test_a_file_that_may_not_be_read(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (fault,) = faults_of(tiny)
    assert place(fault) == ("file-unreadable", TOML, None, "")


def test_a_message_repeats_no_control_characters_and_no_endless_cells(tiny: Path) -> None:
    set_cells(EVIDENCE, 3, {"value": "\x1b[31m" + "9 people " * 1000})(tiny)
    (fault,) = faults_of(tiny)
    assert "\\u001b[31m" in str(fault)
    assert str(fault).isprintable()
    assert len(str(fault)) < 1000


def test_good_studies_have_no_fault(tiny: Path) -> None:
    study = read(tiny)
    assert read(tiny / TOML).sha256 == study.sha256
    assert study.data.areas.names == (
        *("Shire", "Northtown", "Southtown", "Harbour"),
        *("rest of Southtown", "rest of Shire"),
    )
    assert int(study.data.included.sum()) == 6
    assert [len(variant.chosen(study.data)) for variant in study.variants] == [4, 7, 6]
    assert read(SHIPPED).name == "crack-2005"
