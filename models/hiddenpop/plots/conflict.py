"""Figure of conflicts: reported over expected from everything else, and which way each pulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hiddenpop.checks.conflict.predictive import BOUNDS
from hiddenpop.checks.conflict.words import ALPHA, p_words
from hiddenpop.plots.style import (
    COLOURS,
    GREY,
    TEXT,
    WIDE,
    draw_intervals,
    log_axis,
    row_labels,
    tidy,
)
from hiddenpop.words import name_words

__all__ = ["conflict"]

REACH = 20.0
"""Largest ratio on the axis; what lies beyond is cut at its edge."""

SURE, DOUBTFUL, STRONG = COLOURS[0], COLOURS[5], COLOURS[1]


def conflict(frame: pd.DataFrame) -> Figure:
    """Forest of a `conflict_table`, or of a `source_table`.

    Left: reported over expected from everything else with its interval, and p; orange where p is
    below .05, red where it still is after adjustment, triangles for bounds (they point to where
    they allow the truth to be), hollow where the fit failed its gates. Right: the headline with
    the row over that without it.
    """
    key = "id" if "id" in frame else "source"
    frame = frame.reset_index(drop=True)
    height = 1.1 + 0.26 * max(len(frame), 1)
    figure = Figure(figsize=(WIDE, height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1.1))
    for axis in (left, right):
        tidy(axis)
    _ratios(left, frame)
    _pulls(right, frame)
    row_labels(left, [float(y) for y in frame.index], [name_words(str(x)) for x in frame[key]])
    return figure


def _colour(row: pd.Series[Any]) -> str:
    if row["p_holm"] < ALPHA:
        return STRONG
    return DOUBTFUL if row["p"] < ALPHA else SURE


def _ratios(axis: Axes, frame: pd.DataFrame) -> None:
    shown = frame[frame["ratio"].notna()]
    ends = shown.loc[:, ["ratio_low", "ratio_high"]].clip(1 / REACH, REACH)
    low = min(0.5, float(ends["ratio_low"].min()) * 0.9) if len(shown) else 0.5
    high = max(2.0, float(ends["ratio_high"].max()) * 1.1) if len(shown) else 2.0
    for place, row in shown.iterrows():
        y, colour = float(str(place)), _colour(row)
        numbers = [np.clip([row[name]], low, high) for name in ("ratio_low", "ratio", "ratio_high")]
        if row.get("kind") in BOUNDS:
            marker = "<" if row["kind"] == "upper" else ">"
            axis.hlines([y], numbers[0], numbers[2], color=colour, linewidth=1.4)
            axis.plot(numbers[1], [y], marker, color=colour, markersize=8)
        else:
            draw_intervals(axis, [y], numbers, colour, hollow=not row["passed"])
        axis.annotate(
            f"p {p_words(row['p'])}", (1.01, y), xycoords=("axes fraction", "data"),
            fontsize=TEXT - 1, va="center", color=colour if row["p"] < ALPHA else GREY,
        )  # fmt: skip
    axis.axvline(1, color="black", linewidth=0.9)
    log_axis(axis, low, high, ticks=6)
    axis.set_xlabel("Reported / expected from everything else\n(log scale)", fontsize=TEXT)


def _pulls(axis: Axes, frame: pd.DataFrame) -> None:
    """Bars to the right pull the headline up."""
    change = 100 * (frame["headline_ratio"] - 1)
    colours = [COLOURS[2] if x > 0 else COLOURS[3] for x in change]
    axis.barh(frame.index, change, height=0.62, color=colours)
    axis.axvline(0, color="black", linewidth=0.9)
    widest = max(1.0, 1.15 * float(change.abs().max())) if len(frame) else 1.0
    axis.set_xlim(-widest, widest)
    axis.set_xlabel("Pull on the\nheadline, %", fontsize=TEXT)
