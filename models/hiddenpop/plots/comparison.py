"""Families side by side: their answers, and observed cells against predicted ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.plots.style import (
    COLOURS,
    GREY,
    NARROW,
    TEXT,
    WIDE,
    draw_intervals,
    log_axis,
    new_figure,
    row_labels,
)
from hiddenpop.words import plain

__all__ = ["families", "predicted_cells"]

MOST_CELLS = 24
"""Cells shown; where there are more, those that are predicted worst."""


def families(frame: pd.DataFrame) -> Figure:
    """Median and interval of N by family, log scale.

    Parameters
    ----------
    frame
        Of `checks.comparison.families.families_table`. The average of families is in another
        colour, sets are hollow; the line is the headline's median.
    """
    figure, axes = new_figure(NARROW, 1.0 + 0.32 * len(frame))
    axis = axes[0]
    headline = float((frame["median"] / frame["ratio"]).iloc[0])
    axis.axvline(headline, color=GREY, linewidth=1.0)
    y = np.arange(len(frame), dtype=float)
    ends = frame[["low", "median", "high"]].astype(float).clip(lower=0.5)
    finite = np.isfinite(ends["high"])
    highest = float(max(ends.loc[finite, "high"].max(), ends["median"].max())) * 1.1
    for place, row in enumerate(frame.to_dict("records")):
        numbers = [[float(x)] for x in ends.iloc[place].clip(upper=highest)]
        colour = COLOURS[1] if row["family"] == COMBINED else COLOURS[0]
        draw_intervals(axis, [y[place]], numbers, colour, hollow=bool(row["is_set"]))
    log_axis(axis, 0.9 * float(ends["low"].min()), highest, ticks=6)
    axis.set_xlabel("people (N), log scale; line: the headline", fontsize=TEXT)
    row_labels(axis, y.tolist(), [str(name) for name in frame["family"]])
    return figure


def predicted_cells(frame: pd.DataFrame) -> Figure | None:
    """Observed cells against the predictive intervals of each family, root scale.

    Parameters
    ----------
    frame
        Of `checks.comparison.predictive_cells.predictive_table`. Bars are what was seen; a
        family's interval is filled where its p after Holm is below .05. None without cells.
    """
    cells = frame[frame["kind"] == "cell"]
    if cells.empty:
        return None
    names = list(cells["name"].drop_duplicates())
    if len(names) > MOST_CELLS:
        worst = cells.groupby("name", sort=False)["p"].min().nsmallest(MOST_CELLS).index
        names = [name for name in names if name in set(worst)]
    kinds = list(cells["family"].drop_duplicates())
    step = 0.8 / max(len(kinds), 1)
    figure, axes = new_figure(WIDE, 1.3 + 0.17 * len(names) * (1 + len(kinds)))
    axis = axes[0]
    places = {name: float(i) for i, name in enumerate(names)}
    shown = cells[cells["name"].isin(places)]
    for i, family in enumerate(kinds):
        mine = shown[shown["family"] == family]
        y = mine["name"].map(places).to_numpy(dtype=float) + step * (i - (len(kinds) - 1) / 2)
        colour = COLOURS[i % len(COLOURS)]
        wrong = (mine["p_holm"] < 0.05).to_numpy()
        numbers = np.sqrt(mine[["low", "expected", "high"]].to_numpy(dtype=float).T)
        for alarm in (False, True):
            if (wrong == alarm).any():
                chosen = wrong == alarm
                draw_intervals(axis, y[chosen], list(numbers[:, chosen]), colour, hollow=not alarm)
        axis.plot([], [], color=colour, linewidth=1.4, label=family)
    seen = shown.drop_duplicates("name")
    middle = seen["name"].map(places).to_numpy(dtype=float)
    axis.vlines(np.sqrt(seen["observed"]), middle - 0.45, middle + 0.45, color="black",
                linewidth=1.6, label="observed")  # fmt: skip
    ticks = np.linspace(0, axis.get_xlim()[1], 6)
    axis.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axis.xaxis.set_major_formatter(FixedFormatter([plain(tick**2) for tick in ticks]))
    axis.set_xlabel("people in the cell, root scale", fontsize=TEXT)
    row_labels(axis, list(places.values()), names)
    figure.legend(loc="outside upper center", fontsize=TEXT - 1, frameon=False, ncols=3)
    return figure
