"""Every kind of bad benchmark has one code and one message, and says where it is.

The cases stand in tests/studies/bad_multipliers.toml.
"""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from hiddenpop.errors import InputError
from hiddenpop.inputs.faults import Fault
from hiddenpop.inputs.multipliers import Interval, Overlap
from hiddenpop.inputs.multipliers_csv import multiplier_from, read_multipliers

__all__: list[str] = []


@dataclass(frozen=True)
class Case:
    """A table of benchmarks or the options of one, and the one fault that it must give."""

    kind: str
    code: str
    text: str = ""
    path: str = "table.csv"
    files: dict[str, str] = field(default_factory=dict)
    population: str | None = None
    overlaps: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] | None = None
    file: str = "table.csv"
    row: int | None = None
    column: str = ""

    def read(self, folder: Path) -> object:
        """Write the files and read them, or read the options."""
        if self.options is not None:
            return multiplier_from(**self.options)
        for name, text in {"table.csv": self.text, **self.files}.items():
            (folder / name).write_text(text, encoding="utf-8")
        pairs = [Overlap(**(pair | _interval(pair))) for pair in self.overlaps]
        return read_multipliers(folder / self.path, overlaps=pairs, population=self.population)


def _interval(pair: dict[str, Any]) -> dict[str, Interval]:
    return {key: Interval(*pair[key]) for key in ("odds_ratio",) if key in pair}


def listed() -> list[Case]:
    folder = Path(__file__).resolve().parents[1] / "studies"
    text = (folder / "bad_multipliers.toml").read_text(encoding="utf-8")
    return [Case(**case) for case in tomllib.loads(text)["case"]]


CASES = listed()


def faults_of(case: Case, folder: Path) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        case.read(folder)
    return caught.value.faults


def words() -> dict[str, dict[str, str]]:
    page = files("hiddenpop.inputs").joinpath("messages", "multipliers.toml")
    return tomllib.loads(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[f"{case.code}: {case.kind}" for case in CASES])
def test_each_kind_gives_one_fault_at_its_place(case: Case, tmp_path: Path) -> None:
    (fault,) = faults_of(case, tmp_path)
    found = fault.code, fault.file, fault.row, fault.column
    assert found == (case.code, case.file, case.row, case.column)
    assert re.fullmatch(r"[^\n]+[.?] [^\n]+\. [^\n]+ \[[a-z0-9-]+\]", str(fault))


def test_every_code_has_a_case_and_every_kind_its_own_words() -> None:
    assert {case.code for case in CASES} >= set(words())
    assert len(words()) >= 30
    for part in ("what", "why"):
        said = Counter(message[part] for message in words().values())
        assert [text for text, times in said.items() if times > 1] == []
    assert max(Counter(case.kind for case in CASES).values()) == 1


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    text = (
        "id,area,count,x,n,design,error\n"
        "treatment,A,-9,144,603,,\n"
        "arrests,A,900,700,603,,2 to 1 at 0.95\n"
        "exchange,A,800,70,603,rds,\n"
        "Total,A,900,700,603,,\n"
    )
    found = [(fault.code, fault.row) for fault in faults_of(Case("", "", text), tmp_path)]
    assert found == [
        ("multiplier-total-row", 5),
        ("multiplier-count-negative", 2),
        ("elicit-order", 3),
        ("multiplier-x-above-n", 3),
        ("multiplier-rds", 4),
    ]


def test_a_respondent_driven_sample_is_told_what_the_literature_says() -> None:
    case = Case("", "", options={"benchmark": "1981", "survey": "144/603", "rds": True})
    (fault,) = faults_of(case, Path())
    assert "design effect of 4" in str(fault)
    assert "2 is what people assume" in str(fault)


def test_a_column_that_there_is_not_is_no_fault_of_the_user() -> None:
    with pytest.raises(TypeError, match="no column colour"):
        multiplier_from("1981", survey="144/603", colour="red")
