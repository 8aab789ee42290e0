"""Figure of a tornado: the answer under each prior halved and doubled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hiddenpop.checks.influence import MAIN
from hiddenpop.checks.priors.tornado import LEFT_OUT, MOST_MOVED, NO_PART, REFUSED
from hiddenpop.plots.style import COLOURS, GREY, TEXT, WIDE, log_axis, new_figure, row_labels
from hiddenpop.words import capital, name_words

__all__ = ["tornado"]

ROW = 0.3
"""Height of a row in inches."""

MARKS = {"halved": "<", "doubled": ">"}
OTHER = "D"
"""Markers of changes; of any other than halved and doubled."""


def tornado(frame: pd.DataFrame, unit: str = "People", most: int = 20) -> Figure:
    """Medians under each changed prior around the main one, the widest swing on top, log scale.

    The band is the interval of the main fit, the dotted lines are a quarter of it away from the
    median. Flagged priors are coloured; hollow marks are of fits that failed a gate. Priors
    without a part in the answer are not shown.

    Parameters
    ----------
    frame
        From `checks.priors.sensitivity`.
    unit
        What the axis counts.
    most
        Most priors that are shown.

    Raises
    ------
    ValueError
        If the frame is empty.
    """
    if frame.empty:
        raise ValueError("there is no prior to show")
    main = frame[frame["prior"] == MAIN].iloc[0]
    shown = frame[(frame["prior"] != MAIN) & ~frame["how"].isin([NO_PART, REFUSED, LEFT_OUT])]
    swing = shown.groupby("prior", sort=False)["moved"].max()
    names = swing.sort_values(ascending=False, kind="stable").index.tolist()[:most]
    figure, (axis,) = new_figure(WIDE, 1.2 + ROW * max(len(names), 1))
    axis.axvspan(main["low"], main["high"], color="#eef3f7", linewidth=0)
    axis.axvline(main["median"], color=COLOURS[0], linewidth=1.2)
    for sign in (-1, 1):
        limit = main["median"] * (main["high"] / main["low"]) ** (sign * MOST_MOVED)
        axis.axvline(limit, color=GREY, linewidth=0.8, linestyle=":")
    for y, name in enumerate(names):
        rows = shown[shown["prior"] == name]
        colour = COLOURS[1] if rows["flagged"].any() else "#555555"
        ends = [*rows["median"], main["median"]]
        axis.hlines(y, min(ends), max(ends), color=colour, linewidth=5, alpha=0.45)
        for row in rows.itertuples():
            axis.plot(
                row.median, y, MARKS.get(str(row.change), OTHER), color=colour, markersize=6.5,
                markerfacecolor=colour if row.passed else "white",
            )  # fmt: skip
    every = np.array([main["low"], main["high"], *shown["median"]], dtype=float)
    log_axis(axis, every.min() * 0.93, every.max() * 1.07)
    if names:
        row_labels(axis, list(range(len(names))), [capital(name_words(name)) for name in names])
    else:
        axis.set_yticks([])
    axis.set_xlabel(f"{unit} (log scale; band: interval with the priors as they are)",
                    fontsize=TEXT)  # fmt: skip
    _legend(figure, shown)
    return figure


def _legend(figure: Figure, shown: pd.DataFrame) -> None:
    """What the marks mean, of those that are there."""
    words = {"halved": "prior halved", "doubled": "prior doubled"}
    marks = [(MARKS[key], words[key]) for key in MARKS if (shown["change"] == key).any()]
    if (~shown["change"].isin(list(MARKS))).any():
        marks.append((OTHER, "another prior"))
    handles = [Line2D([], [], marker=mark, color=GREY, linestyle="none", label=text)
               for mark, text in marks]  # fmt: skip
    if shown["flagged"].any():
        handles.append(Line2D([], [], color=COLOURS[1], linewidth=5, alpha=0.45,
                              label="moves more than a quarter of the interval"))  # fmt: skip
    if handles:
        figure.legend(
            handles=handles, loc="outside upper center", ncols=len(handles), frameon=False,
            fontsize=TEXT - 1,
        )  # fmt: skip
