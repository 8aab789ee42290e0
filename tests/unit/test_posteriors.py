"""A result of capture-recapture in the place of a published number."""

import json
import shutil
from pathlib import Path

import pytest

from hiddenpop.errors import InputError
from hiddenpop.families.synthesis import PRIOR_KINDS
from hiddenpop.inputs.study import Study, read_study

__all__: list[str] = []

TINY = Path(__file__).resolve().parents[1] / "studies" / "tiny"
GOOD = {"N": {"median": 5000.0, "mean": 5200.0, "low": 3500.0, "high": 9000.0, "level": 0.9}}
VARIANT = (
    '\n[[variants]]\nname = "ours"\ntitle = "Ours"\nposteriors = {{ {row} = "result.json" }}\n'
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    shutil.copytree(TINY, folder)
    (folder / "result.json").write_text(json.dumps(GOOD), encoding="utf-8")
    return folder


def add(folder: Path, text: str) -> None:
    with (folder / "study.toml").open("a", encoding="utf-8") as file:
        file.write(text)


def read(folder: Path) -> Study:
    study = read_study(folder, {"synthesis": PRIOR_KINDS})
    assert isinstance(study, Study)
    return study


def test_one_line_replaces_the_numbers_of_a_row(tiny: Path) -> None:
    before = read(tiny)
    add(tiny, '\n[posteriors]\nshire_any = "result.json"\n')
    after = read(tiny)
    row = after.data.evidence.rows.loc["shire_any"]
    assert tuple(row[["value", "low", "high", "level"]]) == (5000, 3500, 9000, 0.9)
    others = [name for name in before.data.evidence.ids if name != "shire_any"]
    assert before.data.evidence.rows.loc[others].equals(after.data.evidence.rows.loc[others])
    # A reader sees where the numbers are from, and a rerun that the file is the same.
    table = after.data.evidence.table.set_index("id")
    assert table.loc["shire_any", "note"].startswith("Its numbers are those of result.json")
    assert "result.json" in after.sha256


def test_a_variant_replaces_them_beside_the_published_ones(tiny: Path) -> None:
    add(tiny, VARIANT.format(row="shire_any"))
    study = read(tiny)
    assert study.data.evidence.rows.loc["shire_any", "value"] == 4000
    changed = study.variants[-1].apply(study.data)
    assert changed.evidence.rows.loc["shire_any", "value"] == 5000
    assert "result.json" in study.sha256


@pytest.mark.parametrize(
    ("content", "row", "code"),
    [
        (GOOD, "nobody", "posterior-row"),
        (GOOD, "n_treated", "posterior-row"),
        ({"size": 3}, "shire_any", "posterior-file"),
        ("not JSON", "shire_any", "posterior-file"),
        ({"N": GOOD["N"] | {"median": 10.0}}, "shire_any", "posterior-numbers"),
    ],
)
def test_what_cannot_replace_a_row_is_said(
    tiny: Path, content: object, row: str, code: str
) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tiny / "result.json").write_text(text, encoding="utf-8")
    add(tiny, f'\n[posteriors]\n{row} = "result.json"\n')
    with pytest.raises(InputError) as caught:
        read(tiny)
    assert [fault.code for fault in caught.value.faults] == [code]
