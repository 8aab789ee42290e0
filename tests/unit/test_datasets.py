"""The shipped data sets can be read, and only as they were shipped."""

import shutil
from pathlib import Path

import pytest

import hiddenpop as hp
from hiddenpop import datasets


@pytest.mark.parametrize("name", list(datasets.shipped_datasets()))
def test_every_shipped_data_set_is_read(name: str) -> None:
    tables = hp.read_dataset(name)
    assert set(tables) == {path.stem for path in datasets.find_dataset(name).tables}
    assert tables
    assert all(len(table) > 0 for table in tables.values())
    assert datasets.find_dataset(name).summary


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "shipped"
    shutil.copytree(datasets._root(), root)
    monkeypatch.setattr(datasets, "_root", lambda: root)
    name = next(iter(datasets.shipped_datasets()))
    assert hp.read_dataset(name)
    table = datasets.find_dataset(name).tables[0]
    table.write_bytes(table.read_bytes() + b"1\n")
    with pytest.raises(hp.HiddenPopError, match="is not the file that was shipped") as caught:
        hp.read_dataset(name)
    assert str(table) in str(caught.value)


def test_an_unknown_name() -> None:
    with pytest.raises(hp.HiddenPopError, match=r"There is no data set 'atlantis'\. There are: "):
        hp.read_dataset("atlantis")
