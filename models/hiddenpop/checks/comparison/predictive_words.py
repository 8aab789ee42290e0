"""Posterior predictive checks of cells and margins, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hiddenpop.checks.comparison.predictive_cells import CELL, LIST
from hiddenpop.words import listing, people

__all__ = ["fit_words"]

ALPHA = 0.05
"""Below this an adjusted p-value is told."""


def fit_words(frame: pd.DataFrame) -> list[str]:
    """What the numbers of one family say, in words."""
    said = []
    cells = frame[frame["kind"] == CELL]
    inside = int(((cells["observed"] >= cells["low"]) & (cells["observed"] <= cells["high"])).sum())
    said.append(
        f"{inside} of {len(cells)} observed cells lie in their 95 % predictive intervals; as the "
        "fit used them, more than 95 % should."
    )
    wrong = frame[frame["p_holm"] < ALPHA].sort_values("p")
    said += [
        f"It does not give {_what(row)} again: {people(row['observed'])} were seen, "
        f"{people(row['expected'])} expected ({people(row['low'])} to {people(row['high'])})."
        for row in wrong.to_dict("records")
    ]
    left = cells["p_left_out"].notna()
    if left.any():
        far = cells[left & (cells["p_left_out_holm"] < ALPHA)]
        who = f" ({listing([str(x) for x in far['name']])})" if len(far) else ""
        said.append(
            f"From the other cells alone, {len(far)} of {int(left.sum())} cells{who} are predicted "
            f"wrong, after allowing for the number looked at. The people on no list are "
            "predicted from other cells, too."
        )
    return said


def _what(row: Mapping[Any, Any]) -> str:
    """A number in words."""
    if row["kind"] == CELL:
        return f"the people on {row['name']}"
    return f"the {'total of' if row['kind'] == LIST else 'overlap of'} {row['name']}"
