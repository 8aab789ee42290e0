"""From a table and the options of a command to a study."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiddenpop.errors import HiddenPopError

if TYPE_CHECKING:
    from hiddenpop.inputs.size_study import SizeStudy
    from hiddenpop.inputs.table import Table
    from hiddenpop.inputs.table_source import TableSource

__all__ = ["Choice", "made_study"]

ALL = "all"


@dataclass(frozen=True)
class Choice:
    """What is done with the table, as typed."""

    families: list[str] | None = None
    settings: dict[str, Any] | None = None
    population: float | None = None
    seed: int | None = None
    draws: int | None = None
    threshold: float | None = None

    def check(self) -> None:
        """Refuse a family that does not exist, before anything is read.

        Raises
        ------
        HiddenPopError
            If there is no such family.
        """
        from hiddenpop.families import FAMILIES
        from hiddenpop.inputs.faults import choose

        known = [name for name, family in FAMILIES.items() if family.data != "evidence"]
        for name in self.families or []:
            if name not in (*known, ALL):
                raise HiddenPopError(
                    f"There is no family '{name}' for such a table. {choose(name, [*known, ALL])}"
                )


def made_study(
    words: tuple[str, str, str],
    source: TableSource,
    table: Table,
    choice: Choice,
    folder: Path = Path(),
) -> SizeStudy:
    """A study with its canonical files; `words` are its name, title and question."""
    from hiddenpop.inputs.canonical import canonical
    from hiddenpop.inputs.settings import Sampling
    from hiddenpop.inputs.size_study import COMBINED, SizeStudy, SizeTarget

    given = {"seed": choice.seed, "draws": choice.draws}
    sampling = Sampling(**{key: value for key, value in given.items() if value is not None})
    families = tuple(choice.families or ())
    headline = families[0] if len(families) == 1 and families[0] != ALL else COMBINED
    name = re.sub(r"[^a-z0-9]+", "-", words[0].lower()).strip("-") or "table"
    return canonical(SizeStudy(
        name, words[1], words[2], SizeTarget(population=choice.population), source, table,
        families, headline, choice.settings or {}, sampling,
        source.alternatives(folder, table), choice.threshold,
    ))  # fmt: skip
