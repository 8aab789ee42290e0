"""Figures of evidence: what sources report against what they should, and their biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hiddenpop.estimate import Estimate
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
from hiddenpop.plots.tables import BOUNDS, biases_table, evidence_table
from hiddenpop.words import name_words, plain

__all__ = ["biases", "evidence", "row_words"]

REACH = 8.0
"""Largest ratio on the axis of the evidence; what lies beyond is marked at its edge."""


def row_words(row: pd.Series[Any]) -> str:
    """What a row of evidence is about: "Derby: crack, 2005"."""
    group = name_words(row["group"])
    if row["of"] not in ("", "residents"):
        group += f" out of {name_words(row['of'])}"
    return f"{row['area']}: {group}, {row['period']}"


def evidence(estimate: Estimate, level: float = 0.95, *, narrow: bool = False) -> Figure:
    """Reported over expected without bias for each row of evidence, grouped by source.

    Points and lines: the reported number with its own error. Grey bars: what the model
    allows. Hollow: rows that did not count in this fit. Triangles: bounds, which hold on the
    side they point to. `narrow`: labels in two lines, for a phone. Numbers: `evidence_table`.
    """
    table = evidence_table(estimate, level).sort_values("source", kind="stable")
    order = list(dict.fromkeys(estimate.data.data.evidence.rows["source"]))
    labels: list[str] = []
    bold: list[bool] = []
    places: dict[str, int] = {}
    for source in order:
        labels.append(name_words(source))
        bold.append(True)
        for _, row in table[table["source"] == source].iterrows():
            places[row["id"]] = len(labels)
            label = row_words(row) + ("" if row["used"] else " (not used)")
            labels.append(label.replace(": ", ":\n") if narrow else label)
            bold.append(False)
    width, height = (NARROW, 0.34) if narrow else (WIDE, 0.215)
    figure, (axis,) = new_figure(width, 0.9 + height * len(labels))
    table = table.assign(y=table["id"].map(places))
    low, high = _reach(table)
    _model_bars(axis, table)
    _points(axis, table, low, high)
    axis.axvline(1, color="black", linewidth=0.9)
    log_axis(axis, low, high, ticks=5)
    row_labels(axis, list(range(len(labels))), labels, bold)
    axis.set_xlabel("Reported / expected\nfrom a source without bias (log scale)", fontsize=TEXT)
    return figure


def _reach(table: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis: all that is not a bound, but no farther than `REACH` either way."""
    near = table[~table["kind"].isin(BOUNDS)]
    if near.empty:
        near = table
    low = min(1 / 2, float((near["reported_low"] / near["model"]).min()) * 0.9)
    high = max(2.0, float((near["reported_high"] / near["model"]).max()) * 1.1)
    return max(low, 1 / REACH), min(high, REACH)


def _model_bars(axis: Axes, table: pd.DataFrame) -> None:
    low, high = table["model_low"] / table["model"], table["model_high"] / table["model"]
    axis.barh(table["y"], high - low, left=low, height=0.62, color=GREY, alpha=0.35, linewidth=0)


def _points(axis: Axes, table: pd.DataFrame, low: float, high: float) -> None:
    """Reported numbers; those beyond the axis stand at its edge with their ratio."""
    for used in (True, False):
        chosen = table[~table["kind"].isin(BOUNDS) & (table["used"] == used)]
        numbers = [chosen[name] / chosen["model"] for name in
                   ("reported_low", "reported", "reported_high")]  # fmt: skip
        draw_intervals(axis, chosen["y"], numbers, COLOURS[0 if used else 1], hollow=not used)
    for _, row in table.iterrows():
        ratio = row["ratio"]
        if row["kind"] in BOUNDS:
            marker = "<" if row["kind"] == "upper" else ">"
            axis.plot(np.clip(ratio, low * 1.06, high / 1.06), row["y"], marker,
                      color=COLOURS[2], markersize=8)  # fmt: skip
        if not low < ratio < high:
            side = "left" if ratio <= low else "right"
            at = low * 1.15 if ratio <= low else high / 1.15
            axis.text(at, row["y"], f"{plain(ratio)} ×", fontsize=TEXT, ha=side, va="center")


def biases(estimate: Estimate, level: float = 0.95) -> Figure:
    """Reported over true for each source that may be off: prior (grey) and posterior.

    Sources whose factor is fixed are left out. Numbers: `biases_table`.
    """
    table = biases_table(estimate, level)
    table = table[~table["fixed"]].reset_index(drop=True)
    figure, (axis,) = new_figure(NARROW, 0.9 + 0.42 * max(len(table), 1))
    if table.empty:
        axis.text(0.5, 0.5, "No source may be off", transform=axis.transAxes, ha="center")
        axis.set_axis_off()
        return figure
    y = table.index.to_numpy(float)
    axis.barh(
        y, table["prior_high"] - table["prior_low"], left=table["prior_low"], height=0.66,
        color=GREY, alpha=0.35, linewidth=0,
    )  # fmt: skip
    draw_intervals(axis, y, [table[name] for name in ("low", "median", "high")], COLOURS[0])
    axis.axvline(1, color="black", linewidth=0.9)
    ends = table[["prior_low", "low"]].min().min(), table[["prior_high", "high"]].max().max()
    log_axis(axis, float(ends[0]) * 0.9, float(ends[1]) * 1.1)
    row_labels(axis, y.tolist(), [name_words(name) for name in table["source"]])
    axis.set_xlabel("Reported / true (log scale)", fontsize=TEXT)
    return figure
