"""The tables that come with the package, checked against their manifest when they are read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pandas as pd

from hiddenpop.errors import HiddenPopError

__all__ = ["Dataset", "find_dataset", "read_dataset", "shipped_datasets"]


@dataclass(frozen=True)
class Dataset:
    """A folder of tables with its README (provenance, licence, schema, known problems)."""

    name: str
    summary: str
    folder: Path

    @property
    def tables(self) -> tuple[Path, ...]:
        """The CSV files."""
        return tuple(sorted(self.folder.glob("*.csv")))


def _root() -> Path:
    return Path(str(resources.files("hiddenpop_data")))


def shipped_datasets() -> dict[str, Dataset]:
    """Data sets by name; the summary is the first sentence of each README."""
    found = {}
    for readme in sorted((_root() / "datasets").glob("*/README.md")):
        lines = [line.strip() for line in readme.read_text(encoding="utf-8").splitlines()]
        prose = [line for line in lines if line and not line.startswith("#")]
        found[readme.parent.name] = Dataset(readme.parent.name, prose[0], readme.parent)
    return found


def find_dataset(name: str) -> Dataset:
    """One data set.

    Raises
    ------
    HiddenPopError
        If there is none of this name.
    """
    shipped = shipped_datasets()
    if name not in shipped:
        raise HiddenPopError(f"There is no data set '{name}'. There are: {', '.join(shipped)}.")
    return shipped[name]


def read_dataset(name: str) -> dict[str, pd.DataFrame]:
    """Read the tables of a data set, by file name without `.csv`.

    Raises
    ------
    HiddenPopError
        If there is no such data set, or a file is not the one that was shipped.
    """
    dataset = find_dataset(name)
    manifest = json.loads((_root() / "manifest.json").read_text(encoding="utf-8"))["files"]
    tables = {}
    for path in dataset.tables:
        key = path.relative_to(_root()).as_posix()
        if manifest.get(key) != hashlib.sha256(path.read_bytes()).hexdigest():
            raise HiddenPopError(
                f"{path} is not the file that was shipped: its sha256 differs from the manifest. "
                "Install the package again, or work on a copy elsewhere."
            )
        tables[path.stem] = pd.read_csv(path)
    return tables
