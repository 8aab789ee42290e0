"""The shipped overlap tables: their form, their sums, and the studies that are made of them."""

import importlib.util
import json
import tomllib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from hiddenpop.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
DATASETS = ROOT / "data" / "hiddenpop_data" / "datasets"
STUDIES = ROOT / "data" / "hiddenpop_data" / "studies"
REFERENCE = ROOT / "tests" / "reference" / "tables"

OVERLAP = {
    "brighton-2000/total.csv": (),
    "brighton-2000/by-sex-age.csv": ("sex", "age"),
    "scotland-2006/by-region-gender-age.csv": ("region", "gender", "age"),
    "brussels-2019/table.csv": (),
    "uk-2013/six-lists.csv": (),
    "uk-2013/five-lists.csv": (),
    "kosovo-1999/table.csv": (),
    "hiv-rome/table.csv": (),
    "spina-bifida-new-york/by-ethnicity.csv": ("ethnicity",),
    "bangkok-1991/table.csv": (),
}
"""Overlap tables and their factors; every other column but `people` is a list."""

SAME = {
    "scotland-2006/by-region-gender-age.csv": "ScotPWID",
    "uk-2013/six-lists.csv": "UKdat",
    "uk-2013/five-lists.csv": "UKdat_5",
    "kosovo-1999/table.csv": "kosovo",
    "hiv-rome/table.csv": "HIV",
    "spina-bifida-new-york/by-ethnicity.csv": "spina",
}
"""Tables that were exported from R apart from ours: same columns in the same order."""

STUDY_TABLES = {
    "brighton-2000": "by-sex-age.csv",
    "scotland-2006": "by-region-gender-age.csv",
    "brussels-2019": "table.csv",
    "london-2001": None,
}


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def study(name: str) -> dict[str, Any]:
    return tomllib.loads((STUDIES / name / "study.toml").read_text(encoding="utf-8"))


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "factors"), OVERLAP.items())
def test_overlap_tables_have_one_form(name: str, factors: tuple[str, ...]) -> None:
    table = read(DATASETS / name)
    lists = [column for column in table if column not in (*factors, "people")]
    assert len(lists) >= 2
    assert list(table.columns) == [*lists, *factors, "people"]
    assert set(table[lists].to_numpy().ravel()) == {"0", "1"}
    assert (table[lists] == "1").any(axis=1).all(), "nobody is counted on no list"
    assert not table.duplicated([*lists, *factors]).any()
    assert table["people"].str.fullmatch(r"\d+(-\d+)?").all()


def test_only_the_hepatitis_c_list_alone_is_an_upper_end() -> None:
    table = read(DATASETS / "scotland-2006" / "by-region-gender-age.csv")
    alone = (table[["social_enquiry", "hospital", "misuse_database"]] == "0").all(axis=1)
    open_cells = table["people"].str.startswith("0-")
    assert (alone == open_cells).all()
    assert open_cells.sum() == 8


def strata(table: pd.DataFrame, factors: list[str], count: str) -> Counter[frozenset[Any]]:
    """Each stratum as the set of its cells that hold anybody; without the names of levels."""
    lists = [column for column in table if column not in (*factors, count)]
    cells: dict[tuple[str, ...], set[tuple[str, int]]] = {}
    for row in table.to_dict("records"):
        most = int(row[count].rpartition("-")[2])
        if most:
            history = "".join(row[name] for name in lists)
            cells.setdefault(tuple(row[name] for name in factors), set()).add((history, most))
    return Counter(map(frozenset, cells.values()))


@pytest.mark.parametrize(("ours", "theirs"), SAME.items())
def test_counts_are_those_exported_from_r(ours: str, theirs: str) -> None:
    """Levels of factors have other names there, so that strata are compared by their cells."""
    mine = read(DATASETS / ours)
    reference = read(REFERENCE / f"{theirs}.csv").drop(columns="status", errors="ignore")
    factors = list(OVERLAP[ours])
    named = [reference.columns[mine.columns.get_loc(factor)] for factor in factors]
    assert strata(mine, factors, "people") == strata(reference, named, "count")


@pytest.mark.parametrize("name", ["bangkok-meth-2001", "illegal-immigrants-netherlands"])
def test_tables_of_one_list(name: str) -> None:
    table = pd.read_csv(DATASETS / name / "table.csv")
    assert {"times", "people"} <= set(table.columns)
    assert (table[["times", "people"]] >= 1).all(axis=None)
    assert not table.drop(columns="people").duplicated().any()


def test_one_list_counts() -> None:
    theirs = pd.read_csv(REFERENCE / "ill_freq.csv")
    ours = pd.read_csv(DATASETS / "illegal-immigrants-netherlands" / "table.csv")
    assert ours.to_numpy().tolist() == theirs.to_numpy().tolist()
    meth = pd.read_csv(DATASETS / "bangkok-meth-2001" / "table.csv")
    assert meth.groupby("times")["people"].sum().to_dict() == {1: 261, 2: 10, 3: 2, 4: 1}


def test_sums_are_those_of_the_sources() -> None:
    assert load(ROOT / "data" / "raw" / "recapture_tables.py").differences() == []


@pytest.mark.parametrize(("name", "table"), STUDY_TABLES.items())
def test_a_study_has_the_table_of_its_data_set(name: str, table: str | None) -> None:
    tables = {path.name for path in (STUDIES / name).glob("*.csv")}
    assert tables == ({table} if table else set())
    if table:
        copy, original = STUDIES / name / table, DATASETS / name / table
        assert copy.read_bytes() == original.read_bytes()


@pytest.mark.parametrize("name", STUDY_TABLES)
def test_a_study_names_what_its_table_holds(name: str) -> None:
    content = study(name)
    assert content["name"] == name
    assert content["family"] == "recapture"
    source, choice = content["table"], content["recapture"]
    if "file" in source:
        columns = list(read(STUDIES / name / source["file"]).columns)
        assert [*source["lists"], *source.get("by", []), source["count"]] == columns
    assert {FAMILIES[family].data for family in choice["families"]} == {"overlap"}
    assert choice["headline"] in (*choice["families"], "combined")


@pytest.mark.parametrize("name", STUDY_TABLES)
def test_an_analysis_expects_what_its_study_says_was_published(name: str) -> None:
    path = ROOT / "analyses" / name / "expected.json"
    expected = json.loads(path.read_text(encoding="utf-8"))
    assert expected["study"] == name
    for claim, published in zip(expected["published"], study(name)["published"], strict=True):
        assert claim["expect"] == "overlap"
        size = published["N"]
        assert (claim["N"], claim["low"], claim["high"]) == (
            size, published.get("low", size), published.get("high", size),
        )  # fmt: skip
