"""How every figure looks: sizes, colours, axes. Nothing global is changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import ArrayLike

__all__ = [
    "COLOURS",
    "GREY",
    "NARROW",
    "TEXT",
    "WIDE",
    "draw_intervals",
    "log_axis",
    "new_figure",
    "row_labels",
    "tidy",
]

NARROW = 5.4
"""Width in inches of figures that a phone shows whole: text stays readable at two thirds."""

WIDE = 7.8
"""Width in inches of figures with long labels, which scroll on a phone."""

TEXT = 9.5
"""Points of all text."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's, told apart by people with any colour vision."""

GREY = "#8c8c8c"

STEPS = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""Ticks in each decade, the finest first."""


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side that share both scales."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, sharex=True, sharey=True, squeeze=False)[0]
    for axis in axes:
        tidy(axis)
    return figure, list(axes)


def tidy(axis: Axes) -> None:
    """Only the frame that carries a scale, light vertical lines, text of one size."""
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=TEXT, length=3)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="#e4e4e4", linewidth=0.7)
    axis.set_axisbelow(True)


def log_axis(axis: Axes, low: float, high: float, ticks: int = 7) -> None:
    """A log scale from `low` to `high` with ticks such as 0.5, 1, 2 and at most `ticks` of them."""
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in STEPS:
        places = np.outer(decades, steps).ravel()
        places = places[(places >= low * 0.999) & (places <= high * 1.001)]
        if places.size <= ticks:
            break
    axis.xaxis.set_major_locator(FixedLocator(places.tolist()))
    axis.xaxis.set_major_formatter(FixedFormatter([f"{place:,.6g}" for place in places]))
    axis.xaxis.set_minor_locator(NullLocator())


def draw_intervals(
    axis: Axes,
    y: ArrayLike,
    numbers: Sequence[ArrayLike],
    colour: str,
    *,
    hollow: bool = False,
) -> None:
    """Medians with inner and outer interval.

    `numbers` are low, inner low, median, inner high, high; or low, median, high.
    """
    low, *inner, high = (np.asarray(x, float) for x in numbers)
    y = np.asarray(y, float)
    axis.hlines(y, low, high, color=colour, linewidth=1.4)
    if len(inner) == 3:
        axis.hlines(y, inner[0], inner[2], color=colour, linewidth=4)
    axis.plot(
        inner[len(inner) // 2], y, "o", markersize=5.5, markeredgecolor=colour,
        markerfacecolor="white" if hollow else colour, markeredgewidth=1.4, linestyle="none",
    )  # fmt: skip


def row_labels(
    axis: Axes, y: Sequence[float], labels: Sequence[str], bold: Sequence[bool] | None = None
) -> None:
    """Labels of the rows, headings in bold; the first row on top."""
    axis.set_yticks(list(y), list(labels))
    axis.set_ylim(max(y) + 0.7, min(y) - 0.7)
    for label, heavy in zip(axis.get_yticklabels(), bold or [False] * len(labels), strict=True):
        label.set_fontweight("bold" if heavy else "normal")
