"""The known size of each hidden list against what each family predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hiddenpop.checks.hidden_lists.known_size import TOTAL, flag
from hiddenpop.plots.style import (
    COLOURS,
    GREY,
    NARROW,
    TEXT,
    draw_intervals,
    log_axis,
    new_figure,
    row_labels,
)
from hiddenpop.words import Exact, people

__all__ = ["hide_a_list", "hide_a_list_table"]

INNER, OUTER = 0.5, 0.95
"""Intervals shown of a posterior; a set has its own."""

WIDEST = 20.0
"""Ends farther from the truth than this factor are cut off."""


def hide_a_list_table(frame: pd.DataFrame, stratum: str = TOTAL) -> pd.DataFrame:
    """What the figure shows: predicted over known size, one row for each list and family.

    Columns `list`, `truth`, `family`, `low`, `inner_low`, `median`, `inner_high`, `high` (all over
    the truth; inner ends are the median for a set), `covered` (by the outer interval), `is_set`.
    Fits that failed their gates are left out.
    """
    done = frame[(frame["stratum"] == stratum) & flag(frame, "passed")]
    outer = done[flag(done, "is_set") | (done["level"] == OUTER)]
    keys = ["list", "family"]
    inner = done[done["level"] == INNER].set_index(keys)[["low", "high"]]
    inner = inner.reindex(pd.MultiIndex.from_frame(outer[keys]))
    truth = outer["truth"].to_numpy()
    middle = outer["ratio"].to_numpy()
    ends = inner.to_numpy() / truth[:, None]
    ends = np.where(np.isnan(ends), middle[:, None], ends)
    return pd.DataFrame({
        "list": outer["list"].to_numpy(), "truth": truth, "family": outer["family"].to_numpy(),
        "low": outer["low"].to_numpy() / truth, "inner_low": ends[:, 0], "median": middle,
        "inner_high": ends[:, 1], "high": outer["high"].to_numpy() / truth,
        "covered": outer["covered"].to_numpy(dtype=bool),
        "is_set": outer["is_set"].to_numpy(dtype=bool),
    })  # fmt: skip


def hide_a_list(frame: pd.DataFrame, stratum: str = TOTAL) -> Figure | None:
    """Predicted over known size by list and family, ratio scale; None where nothing was predicted.

    Parameters
    ----------
    frame
        Of `checks.hidden_lists.hide_a_list.hide_a_list`.
    stratum
        Which of its strata.
    """
    table = hide_a_list_table(frame, stratum)
    if table.empty:
        return None
    labels: list[str] = []
    bold: list[bool] = []
    y: list[float] = []
    places = np.zeros(len(table))
    for index, row in enumerate(table.to_dict("records")):
        if index == 0 or row["list"] != table["list"].iloc[index - 1]:
            labels.append(f"{row['list']} ({people(Exact(row['truth']))} people)")
            bold.append(True)
            y.append(y[-1] + 1.3 if y else 0.0)
        labels.append(row["family"] + ("" if row["covered"] else ", missed"))
        bold.append(False)
        y.append(y[-1] + 0.8)
        places[index] = y[-1]
    figure, axes = new_figure(NARROW, 0.9 + 0.25 * len(y))
    axis = axes[0]
    axis.axvline(1.0, color=GREY, linewidth=1.0)
    shown = table[["low", "inner_low", "median", "inner_high", "high"]].clip(1 / WIDEST, WIDEST)
    for covered, colour in ((True, COLOURS[0]), (False, COLOURS[1])):
        for is_set in (False, True):
            mine = ((table["covered"] == covered) & (table["is_set"] == is_set)).to_numpy()
            numbers = list(shown[mine].to_numpy().T)
            if is_set:
                numbers = numbers[::2]
            if mine.any():
                draw_intervals(axis, places[mine], numbers, colour, hollow=is_set)
    log_axis(axis, min(0.5, 0.9 * shown["low"].min()), max(2.0, 1.1 * shown["high"].max()))
    axis.set_xlabel("predicted over known people, log scale", fontsize=TEXT)
    row_labels(axis, y, labels, bold)
    return figure
