"""The shipped examples of multipliers: made by their script, with the published arithmetic."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from hiddenpop.errors import InputError
from hiddenpop.inputs.multipliers_csv import read_multipliers

__all__: list[str] = []

ROOT = Path(__file__).resolve().parents[2]
DATASETS = ROOT / "data" / "hiddenpop_data" / "datasets"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "data" / "raw" / "multiplier_tables.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_those_of_the_script(script: ModuleType) -> None:
    assert script.differences() == []
    folders = {Path(name).parent for name in script.TABLES}
    here = {path.relative_to(DATASETS).as_posix() for one in folders
            for path in (DATASETS / one).glob("*.csv")}  # fmt: skip
    assert here == set(script.TABLES)


def test_a_changed_table_is_noticed(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**row, "count": "1991"} for row in script.TABLES["bangkok-2004/benchmarks.csv"]]
    monkeypatch.setitem(script.TABLES, "bangkok-2004/benchmarks.csv", rows)
    assert script.differences()[0] == "bangkok-2004/benchmarks.csv differs from this script"


def test_every_number_has_its_source(script: ModuleType) -> None:
    for name in script.TABLES:
        table = pd.read_csv(DATASETS / name, dtype=str, keep_default_na=False)
        assert table["source"].str.contains("https://").all()
        readme = (DATASETS / name).parent.joinpath("README.md").read_text(encoding="utf-8")
        for column in table.columns:
            assert f"`{column}`" in readme


def test_bangkok_is_read_as_a_table_of_benchmarks() -> None:
    (row,) = read_multipliers(DATASETS / "bangkok-2004" / "benchmarks.csv").rows
    assert (row.kind, row.value) == ("people", 1981)
    assert row.rate is not None
    low, share, high = (value for _, value in row.rate.quantiles)
    assert [row.value / high, row.value / share, row.value / low] == pytest.approx(
        [3302, 3602, 3810], abs=0.5
    )


def test_hai_phong_needs_a_design_effect(tmp_path: Path) -> None:
    shipped = DATASETS / "hai-phong-2016" / "benchmarks.csv"
    with pytest.raises(InputError) as caught:
        read_multipliers(shipped)
    assert {fault.code for fault in caught.value.faults} == {"multiplier-rds"}
    copy = tmp_path / "benchmarks.csv"
    pd.read_csv(shipped, dtype=str).assign(design_effect="4").to_csv(copy, index=False)
    rows = read_multipliers(copy).rows
    assert [(row.value, row.rate.x, row.rate.n) for row in rows if row.rate is not None] == [
        (603, 144, 1385), (600, 152, 1385),
    ]  # fmt: skip
    assert {row.survey for row in rows} == {"rds-2016"}
    # What the README says of the published half widths: those of two simple random samples.
    for size, row, half in zip((5220, 4617), rows, (690, 570), strict=True):
        assert row.rate is not None
        assert row.rate.x is not None
        assert row.rate.n is not None
        sd = size * math.sqrt((1 - row.value / size) * (1 - row.rate.n / size) / row.rate.x)
        assert 1.96 * sd == pytest.approx(half, rel=0.01)
