"""Studies of capture-recapture: what can be wrong with their `study.toml`, one code each."""

from pathlib import Path

import pytest

from hiddenpop.errors import InputError, ResultError
from hiddenpop.family_fits import fit_families
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.studies import load_any, load_size_study, load_study, shipped_studies

__all__: list[str] = []

TABLE = "a,b,c,people\n1,0,0,60\n0,1,0,49\n1,1,0,14\n0,0,1,70\n1,0,1,12\n0,1,1,16\n1,1,1,7\n"
STUDY = """
name = "three-lists"
title = "Three lists"
question = "How many people are on none of the lists?"
family = "recapture"

[table]
file = "table.csv"
lists = ["a", "b", "c"]
count = "people"

[recapture]
families = ["graphs", "loglinear-average"]
headline = "combined"

[recapture.options]
order = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def test_a_study_is_its_table_and_settings(folder: Path) -> None:
    study = load_size_study(folder)
    assert isinstance(study.table, OverlapTable)
    assert study.table.observed == 228
    assert study.families == ("graphs", "loglinear-average")
    assert set(study.sha256) == {"study.toml", "table.csv"}


def test_families_stand_side_by_side_and_combined(folder: Path) -> None:
    steps: list[str] = []
    found = fit_families(load_size_study(folder), on_step=steps.append)
    assert list(found.estimates) == ["graphs", "loglinear-average", "combined"]
    assert steps == ["graphs", "loglinear-average", "combined"]
    assert found.headline.family == "combined"
    assert not found.refused
    table = found.table()
    assert list(table["family"].unique()) == list(found.estimates)
    medians = [estimate.N().median for estimate in found.estimates.values()]
    assert min(medians[:2]) <= medians[2] <= max(medians[:2])


CASES = [
    ('file = "table.csv"\n', "", "recapture-no-table", "table.file"),
    ('file = "table.csv"', 'file = "../table.csv"', "path-outside", "table.file"),
    ('"graphs", ', '"grphs", ', "recapture-family", "recapture.families"),
    ('headline = "combined"', 'headline = "bounds"', "recapture-headline", "recapture.headline"),
    ("order = 2", "ordre = 2", "recapture-option", "ordre"),
    ("order = 2", 'order = "two"', "recapture-option-value", "options"),
    ("order = 2", 'size_prior = "flat"', "recapture-option-value", "size_prior"),
    ('name = "three-lists"', 'name = "Three lists"', "study-name", "name"),
    ('title = "Three lists"\n', "", "toml-missing", "title"),
    ("[recapture.options]", "[recapture.option]", "toml-key", "recapture.option"),
]


@pytest.mark.parametrize(("old", "new", "code", "column"), CASES, ids=[case[2] for case in CASES])
def test_a_fault_is_said_where_it_is(
    folder: Path, old: str, new: str, code: str, column: str
) -> None:
    assert STUDY.count(old) == 1
    (folder / "study.toml").write_text(STUDY.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_any(folder)
    assert [(fault.code, fault.column) for fault in caught.value.faults] == [(code, column)]


def test_faults_of_the_table_are_reported_with_those_of_the_study(folder: Path) -> None:
    (folder / "study.toml").write_text(STUDY.replace("graphs", "grphs"), encoding="utf-8")
    (folder / "table.csv").write_text(TABLE.replace("0,1,0,49", "0,1,0,-49"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_any(folder)
    assert len({fault.file for fault in caught.value.faults}) == 2


def test_a_named_family_that_cannot_be_used_is_refused(folder: Path) -> None:
    text = STUDY.replace('"graphs", "loglinear-average"', '"two-list"').replace("order = 2", "")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        fit_families(load_size_study(folder))
    assert len(caught.value.faults) == 1
    assert "two-list" in str(caught.value)


def test_where_no_family_is_named_those_that_do_not_fit_say_why(folder: Path) -> None:
    text = STUDY.replace('families = ["graphs", "loglinear-average"]\n', "")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    found = fit_families(load_size_study(folder))
    assert "two-list" in found.refused
    assert "graphs" in found.estimates


def test_a_table_no_family_can_use_is_refused_with_every_reason() -> None:
    faults = Faults()
    faults.report("recapture-none", {"reasons": "graphs: too few lists."})
    assert "too few lists" in str(faults.found[0])


def test_each_kind_of_study_has_its_own_reader() -> None:
    kinds = {name: load_any(path).family for name, path in shipped_studies().items()}
    assert kinds["crack-2005"] == "synthesis"
    assert kinds["brighton-2000"] == "recapture"
    with pytest.raises(ResultError, match="load_size_study"):
        load_study("brighton-2000")
    with pytest.raises(ResultError, match="load_study"):
        load_size_study("crack-2005")
