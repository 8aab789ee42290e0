"""Replicates in a CSV file that can be cut off at any byte and carried on."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["SEED", "Store", "seeded"]

SEED = 20041231


def seeded(study: str, regime: str, replicate: int) -> np.random.Generator:
    """Random numbers of a replicate: the same on every machine, whatever else is run."""
    text = hashlib.sha256(f"{study}\n{regime}".encode()).digest()
    return np.random.default_rng([SEED, int.from_bytes(text[:8], "big"), replicate])


class Store:
    """A table of replicates, each of one or more rows, appended whole by a single process.

    A replicate's rows each say how many they are (`rows`), so that one that was cut off is known
    and done again.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = ("study", "regime", "replicate", "rows", *columns)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._mend()

    def _mend(self) -> None:
        """Write the heading, or cut off a last replicate that was not finished."""
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines(keepends=True)
        heading = ",".join(self.columns) + "\n"
        if lines and lines[0] != heading:
            raise ValueError(f"{self.path} has other columns: it was made by another version")
        kept = "".join(_whole(lines)) or heading
        if kept != text:
            self.path.write_text(kept, "utf-8")

    def read(self) -> pd.DataFrame:
        """All replicates."""
        return pd.read_csv(self.path)

    def done(self) -> dict[tuple[str, str], set[int]]:
        """Replicates that are there, by study and regime."""
        found: dict[tuple[str, str], set[int]] = {}
        frame = self.read()
        for row in frame[["study", "regime", "replicate"]].drop_duplicates().itertuples():
            found.setdefault((str(row.study), str(row.regime)), set()).add(int(row.replicate))
        return found

    def append(
        self, study: str, regime: str, replicate: int, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Add a replicate in one write."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        about = {"study": study, "regime": regime, "replicate": replicate, "rows": len(rows)}
        for row in rows:
            writer.writerow(about | dict(row))
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())


def _whole(lines: list[str]) -> list[str]:
    """Lines without those of a last replicate that has fewer rows than it says."""
    if len(lines) < 2:
        return lines
    last = next(csv.reader(lines[-1:]))
    there = 0
    for fields in csv.reader(reversed(lines[1:])):
        if fields[:3] != last[:3]:
            break
        there += 1
    return lines if there >= int(last[3]) else lines[:-there]
