"""Tables that are made row by row, and can be stopped and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from hiddenpop.checks.multiple import adjusted

__all__ = ["OnRow", "RowByRow"]

OnRow = Callable[[pd.DataFrame], None]
"""Takes all rows so far."""


class RowByRow:
    """Rows with a name, and perhaps a p-value, perhaps on top of those of an earlier run.

    Parameters
    ----------
    key
        Column of the names.
    columns
        Columns of the table; those that a row does not have are nan.
    names
        Names of all rows, in their order.
    done
        Rows of an earlier run; names that are not among `names` are dropped.
    on_row
        Called with all rows so far after each one that is added.
    """

    def __init__(
        self,
        key: str,
        columns: Sequence[str],
        names: Sequence[str],
        done: pd.DataFrame | None = None,
        on_row: OnRow | None = None,
    ) -> None:
        self._key, self._columns, self._names = key, list(columns), list(names)
        self._on_row = on_row
        rows = [] if done is None else done.to_dict("records")
        self._rows = {str(row[key]): {str(k): x for k, x in row.items()} for row in rows}

    def left(self) -> list[str]:
        """Names of the rows that are still to be made."""
        return [name for name in self._names if name not in self._rows]

    def add(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._rows[row[self._key]] = row
        if self._on_row:
            self._on_row(self.frame)

    @property
    def frame(self) -> pd.DataFrame:
        """Rows so far, in order; p-values, if there are any, adjusted over themselves."""
        rows = [self._rows[name] for name in self._names if name in self._rows]
        found = pd.DataFrame(rows, columns=self._columns)
        return adjusted(found) if "p" in found else found
