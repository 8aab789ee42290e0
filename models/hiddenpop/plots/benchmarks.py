"""Figures of multipliers: what each benchmark says, areas over years, parts of a tree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hiddenpop.inputs import periods
from hiddenpop.inputs.multipliers import MultiplierTable
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
from hiddenpop.size import SizeEstimate
from hiddenpop.words import plain

__all__ = ["rows", "rows_table", "strata", "strata_table"]

Interval = tuple[float, float, float]
"""Middle, low, high."""

STYLES = {
    "together": (COLOURS[0], False),
    "alone": (GREY, False),
    "without": (GREY, True),
    "published": (COLOURS[1], False),
}
"""Colour of each kind of row, and whether its dot is hollow."""


def rows_table(
    estimates: Mapping[str, SizeEstimate], published: Mapping[str, Interval]
) -> pd.DataFrame:
    """N by each family, from each benchmark alone and without it, and as published.

    Columns `label`, `kind` (a key of `STYLES`), `middle`, `low`, `high`.
    """
    found = []
    for name, estimate in estimates.items():
        size = estimate.N()
        found.append((name, "together", size.median, size.low, size.high))
        frame = estimate.benchmarks
        if frame is None or len(frame) < 2:
            continue
        for _, row in frame.iterrows():
            for kind, words in (("alone", "alone"), ("without", "left out")):
                ends = (row[kind], row[f"{kind}_low"], row[f"{kind}_high"])
                if np.isfinite(ends).all():
                    found.append((f"{row['benchmark']}, {words}", kind, *ends))
    found += [(name, "published", *ends) for name, ends in published.items()]
    return pd.DataFrame(found, columns=["label", "kind", "middle", "low", "high"])


def rows(estimates: Mapping[str, SizeEstimate], published: Mapping[str, Interval]) -> Figure:
    """`rows_table` on one log scale."""
    frame = rows_table(estimates, published)
    y = np.arange(len(frame), dtype=float)
    figure, axes = new_figure(NARROW, 0.9 + 0.29 * len(frame))
    axis = axes[0]
    for kind, (colour, hollow) in STYLES.items():
        mine = (frame["kind"] == kind).to_numpy()
        if mine.any():
            middle = frame.loc[mine, "middle"]
            low, high = (frame.loc[mine, end].fillna(middle) for end in ("low", "high"))
            draw_intervals(axis, y[mine], [low, middle, high], colour, hollow=hollow)
    numbers = frame[["low", "middle", "high"]].to_numpy()
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    log_axis(axis, 0.93 * numbers.min(), 1.07 * numbers.max(), ticks=5)
    axis.set_xlabel("people (N), log scale", fontsize=TEXT)
    bold = frame["kind"].isin(["together", "published"]).tolist()
    row_labels(axis, y.tolist(), frame["label"].tolist(), bold)
    return figure


def strata_table(estimate: SizeEstimate) -> pd.DataFrame | None:
    """N (and, where residents are known, the rate) by area and period; None without strata.

    Columns of `SizeEstimate.strata`, and `area`, `period`, `middle` (of the period, years).
    """
    frame = estimate.strata()
    if frame is None or not isinstance(estimate.data, MultiplierTable):
        return None
    areas, years = zip(*estimate.data.strata, strict=True)
    middles = [periods.middle(year) if year else 0.0 for year in years]
    return frame.assign(area=areas, period=years, middle=middles)


def strata(estimate: SizeEstimate) -> Figure | None:
    """People by area; over the years, where there are several, a line for each area."""
    frame = strata_table(estimate)
    if frame is None:
        return None
    if frame["middle"].nunique() > 1:
        return _lines(frame)
    figure, axes = new_figure(NARROW, 0.9 + 0.29 * len(frame))
    y = np.arange(len(frame), dtype=float)
    draw_intervals(axes[0], y, [frame[key] for key in ("low", "median", "high")], COLOURS[0])
    log_axis(axes[0], 0.93 * frame["low"].clip(lower=0.5).min(), 1.07 * frame["high"].max(), 5)
    axes[0].set_xlabel("people (N), log scale", fontsize=TEXT)
    row_labels(axes[0], y.tolist(), frame["stratum"].tolist())
    return figure


def _lines(frame: pd.DataFrame) -> Figure:
    """Areas over years, medians joined, intervals beside each other."""
    figure, axes = new_figure(NARROW, 3.4)
    axis, areas = axes[0], list(dict.fromkeys(frame["area"]))
    gap = frame["middle"].drop_duplicates().sort_values().diff().min()
    for number, area in enumerate(areas):
        part = frame[frame["area"] == area].sort_values("middle")
        x = part["middle"] + (number - (len(areas) - 1) / 2) * 0.5 * gap / max(len(areas), 1)
        colour = COLOURS[number % len(COLOURS)]
        axis.vlines(x, part["low"], part["high"], color=colour, linewidth=1.2)
        axis.plot(x, part["median"], "-o", color=colour, markersize=4, linewidth=1,
                  label=str(area) or None)  # fmt: skip
    axis.set_yscale("log")
    low, high = float(frame["low"].clip(lower=0.5).min()), float(frame["high"].max())
    ticks = np.unique([float(f"{x:.1g}") for x in np.geomspace(low, high, 6)])
    axis.set_yticks(ticks, [plain(tick) for tick in ticks])
    axis.minorticks_off()
    ordered = frame.drop_duplicates("middle").sort_values("middle")
    axis.set_xticks(ordered["middle"].tolist(), ordered["period"].tolist(), fontsize=TEXT)
    axis.set_ylabel("people (N)", fontsize=TEXT)
    if len(areas) > 1:
        axis.legend(fontsize=TEXT - 1.5, frameon=False, ncols=2)
    return figure
