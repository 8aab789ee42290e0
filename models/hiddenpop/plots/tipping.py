"""Figure of tipping points: the answer along each assumption, and where it crosses a line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hiddenpop.plots.style import COLOURS, GREY, TEXT, WIDE, log_axis, tidy
from hiddenpop.words import people

__all__ = ["tipping"]

PANELS = 6
"""Most panels."""

LINES = len(COLOURS)
"""Most lines of one panel, as many as there are colours."""

HEIGHT = 2.7
"""Of a row of panels, in inches."""

FARTHEST = 30.0
"""Highest answer that is shown, over the highest threshold, and lowest below the lowest."""


def tipping(curves: pd.DataFrame, thresholds: list[float], unit: str = "People") -> Figure | None:
    """The answer along each assumption, both on log scales; None where there is no curve.

    Dashed lines are the thresholds, points the places where a curve crosses one.

    Parameters
    ----------
    curves
        Of `checks.tipping.tables.tipping_curves`; the first panels and lines are shown.
    thresholds
        People.
    unit
        What the vertical axis counts.
    """
    panels = curves["panel"].drop_duplicates().tolist()[:PANELS]
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDE, 0.4 + HEIGHT * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    heights = curves.loc[curves["panel"].isin(panels), ["median", "low", "high"]].to_numpy(float)
    low = max(np.nanmin(heights), min(thresholds) / FARTHEST)
    high = min(np.nanmax(heights), max(thresholds) * FARTHEST)
    for axis, panel in zip(axes, panels, strict=False):
        _panel(axis, curves[curves["panel"] == panel], thresholds)
        axis.set_xlabel(panel, fontsize=TEXT - 1)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[: len(panels) : columns]:
        axis.set_ylabel(f"{unit} (log scale)", fontsize=TEXT)
    _people_axis(axes[0], min(low, *thresholds) * 0.93, max(high, *thresholds) * 1.07)
    return figure


def _panel(axis: Axes, curves: pd.DataFrame, thresholds: list[float]) -> None:
    """One assumption: a line for each family or pair, or one line with its interval."""
    tidy(axis)
    lines = curves["line"].drop_duplicates().tolist()[:LINES]
    for name, colour in zip(lines, COLOURS, strict=False):
        line = curves[curves["line"] == name].sort_values("x")
        x, median = line["x"].to_numpy(float), line["median"].to_numpy(float)
        if line["low"].notna().all():
            axis.fill_between(x, line["low"], line["high"], color=colour, alpha=0.15, linewidth=0)
        few = len(x) < 10
        axis.plot(x, median, color=colour, linewidth=1.4, marker="." if few else "", label=name)
        for target in thresholds:
            places = _crossings(x, median, target)
            axis.plot(places, [target] * len(places), "o", color=colour, markersize=6.5,
                      markeredgecolor="white")  # fmt: skip
    for target in thresholds:
        axis.axhline(target, color="black", linewidth=0.9, linestyle="--")
    low, high = float(curves["x"].min()), float(curves["x"].max())
    log_axis(axis, low * 0.97, high * 1.03, ticks=5)
    if low < 1 < high:
        axis.axvline(1, color=GREY, linewidth=0.9)
    if len(lines) > 1:
        axis.legend(fontsize=TEXT - 2, framealpha=0.9, edgecolor="none")


def _crossings(x: np.ndarray, median: np.ndarray, target: float) -> np.ndarray:
    """Where a curve crosses a line, both on log scales."""
    gap = np.log(median / target)
    at = np.flatnonzero(np.sign(gap[:-1]) * np.sign(gap[1:]) <= 0)
    at = at[gap[at] != gap[at + 1]]
    share = gap[at] / (gap[at] - gap[at + 1])
    return np.asarray(np.exp(np.log(x[at]) + share * np.log(x[at + 1] / x[at])))


def _people_axis(axis: Axes, low: float, high: float) -> None:
    """Ticks such as 200, 500, 1,000."""
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,)):
        places = np.outer(decades, steps).ravel()
        places = places[(places >= low) & (places <= high)]
        if places.size <= 7:
            break
    axis.yaxis.set_major_locator(FixedLocator(places.tolist()))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: people(float(value))))
    axis.yaxis.set_minor_locator(NullLocator())
