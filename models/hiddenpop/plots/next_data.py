"""Figure of the value of the next data: how wide the interval would still be."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from hiddenpop.checks.next_data.table import helpful, of_headline
from hiddenpop.plots.style import COLOURS, GREY, TEXT, WIDE, new_figure, row_labels
from hiddenpop.words import capital

__all__ = ["next_data"]

ROW = 0.54
"""Height of a row in inches."""

LINE = 46
"""Characters of a label's line."""


def next_data(frame: pd.DataFrame, most: int = 12) -> Figure:
    """Bars of the width that the interval of log N would have, in % of today's.

    The thin lines are two Monte Carlo standard errors to either side; grey bars are of data that
    would hardly help (`helpful`). Of several families the first is shown, which is the headline.

    Parameters
    ----------
    frame
        From `checks.next_data.table`.
    most
        Most rows that are shown, the most useful ones.

    Raises
    ------
    ValueError
        If the frame is empty.
    """
    if frame.empty:
        raise ValueError("there are no further data to show")
    shown = of_headline(frame).head(most)
    figure, (axis,) = new_figure(WIDE, 0.9 + ROW * len(shown))
    places = list(range(len(shown)))
    width, useful = 100 * shown["width_ratio"].to_numpy(), helpful(shown).to_numpy()
    axis.barh(
        places, width, height=0.56, color=[COLOURS[0] if helps else GREY for helps in useful],
        alpha=0.75,
        xerr=200 * shown["mcse"].to_numpy(), error_kw={"linewidth": 1.0, "ecolor": "#333333"},
    )  # fmt: skip
    for y, (share, helps) in enumerate(zip(shown["narrower"], useful, strict=True)):
        axis.annotate(
            f"{100 * share:.0f} % narrower" if helps else "hardly narrower", (1.01, y),
            xycoords=("axes fraction", "data"), fontsize=TEXT - 1, va="center",
            color="black" if helps else GREY,
        )  # fmt: skip
    axis.axvline(100, color=GREY, linewidth=1.0)
    axis.set_xlim(0, max(105.0, 1.02 * float(width.max())))
    row_labels(axis, places, [_label(row["data"], row["about"]) for _, row in shown.iterrows()])
    axis.set_xlabel("Width of the interval of log N, % of today's", fontsize=TEXT)
    return figure


def _label(data: str, about: str) -> str:
    """What the data are, in two or three lines."""
    text = f"{capital(data)} ({about})" if about else capital(data)
    return textwrap.fill(text, LINE)
