"""Figures of capture-recapture: overlaps of lists, families side by side, cells against a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hiddenpop.families.sensitivity import xi_curve
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.plots.style import (
    COLOURS,
    GREY,
    NARROW,
    TEXT,
    draw_intervals,
    log_axis,
    new_figure,
    row_labels,
    tidy,
)
from hiddenpop.size import SizeEstimate
from hiddenpop.words import plain

__all__ = [
    "fitted_cells",
    "forest",
    "forest_table",
    "upset",
    "upset_table",
    "xi_figure",
    "xi_table",
]

MOST_BARS = 30
"""More combinations than this no eye compares; the rest is counted in the caption."""

MOST_MODELS = 5
"""Models shown below each family."""

LIGHT = 0.02
"""Models of less weight are not shown."""


def upset_table(table: OverlapTable) -> pd.DataFrame:
    """People by combination of lists, all strata together, the largest first.

    Columns `history`, `lists` (names joined by " + "), `low`, `high` (equal where the count is
    known), `structural`.
    """
    whole = table.total()
    names = np.array(whole.lists)
    frame = pd.DataFrame(
        {
            "history": whole.labels,
            "lists": [" + ".join(names[row]) for row in whole.history],
            "low": whole.low,
            "high": whole.high,
            "structural": whole.structural,
        }
    )
    return frame.sort_values(["low", "high"], ascending=False, kind="stable", ignore_index=True)


def upset(table: OverlapTable) -> Figure:
    """UpSet plot (Lex et al. 2014): bars of people by combination, dots for its lists."""
    frame = upset_table(table)
    frame = frame[(frame["high"] > 0) | frame["structural"]].head(MOST_BARS)
    marks = np.array([[mark == "1" for mark in text] for text in frame["history"]])
    figure = Figure(
        figsize=(max(NARROW, 1.9 + 0.27 * len(frame)), 2.6 + 0.26 * len(table.lists)),
        layout="constrained",
    )
    bars, dots = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 0.26 * len(table.lists)))
    x = np.arange(len(frame))
    tidy(bars)
    bars.grid(visible=False)
    bars.bar(x, frame["low"], color=COLOURS[0], width=0.7)
    finite = np.isfinite(frame["high"])
    extra = np.where(finite, frame["high"] - frame["low"], 0.0)
    bars.bar(x, extra, bottom=frame["low"], color="white", edgecolor=GREY, hatch="///", width=0.7)
    for place, low, high in zip(x, frame["low"], frame["high"], strict=True):
        known = f"{low:,.0f}" if low == high else "?" if np.isinf(high) else f"{low:.0f}–{high:.0f}"
        top = low if np.isinf(high) else high
        bars.annotate(
            known, (place, top), xytext=(0, 2), textcoords="offset points", ha="center",
            va="bottom", fontsize=TEXT - 2, rotation=0 if len(known) < 4 else 60,
        )  # fmt: skip
    bars.set_ylabel("people", fontsize=TEXT)
    bars.margins(y=0.18)
    _dots(dots, marks, [f"{name} ({n:,.0f})" for name, n in
                        zip(table.lists, table.list_totals, strict=True)])  # fmt: skip
    return figure


def _dots(axis: Axes, marks: np.ndarray, labels: list[str]) -> None:
    """A column of dots per combination, joined from its first list to its last."""
    tidy(axis)
    axis.grid(visible=False)
    axis.spines["bottom"].set_visible(False)
    x, y = np.meshgrid(np.arange(marks.shape[0]), np.arange(marks.shape[1]), indexing="ij")
    axis.plot(x[~marks], y[~marks], "o", color="#dddddd", markersize=6)
    axis.plot(x[marks], y[marks], "o", color=COLOURS[0], markersize=6)
    for place, row in enumerate(marks):
        on = np.flatnonzero(row)
        if on.size > 1:
            axis.plot([place, place], [on[0], on[-1]], color=COLOURS[0], linewidth=1.6)
    axis.set_yticks(range(len(labels)), labels, fontsize=TEXT)
    axis.set_xticks([])
    axis.set_ylim(len(labels) - 0.5, -0.5)


def forest_table(estimates: Mapping[str, SizeEstimate], level: float = 0.95) -> pd.DataFrame:
    """N of each family and, below it, of the heaviest models that it averages.

    Columns `label`, `family`, `weight` (nan for a family), `median`, `low`, `high`, `kind`
    ("family", "model", "set").
    """
    rows = []
    for name, estimate in estimates.items():
        size = estimate.N(level)
        kind = "set" if estimate.is_set else "family"
        rows.append({"label": name, "family": name, "weight": np.nan, "median": size.median,
                     "low": size.low, "high": size.high, "kind": kind})  # fmt: skip
        models = None if name == "combined" else estimate.models
        if models is None or len(models) < 2:
            continue
        shown = models[models["weight"] > LIGHT].head(MOST_MODELS)
        for _, model in shown.iterrows():
            rows.append({"label": str(model["model"]), "family": name, "weight": model["weight"],
                         "median": model["median"], "low": model["low"], "high": model["high"],
                         "kind": "model"})  # fmt: skip
    return pd.DataFrame(rows)


def forest(
    estimates: Mapping[str, SizeEstimate], published: Mapping[str, tuple[float, float, float]]
) -> Figure:
    """Families, their models below them, and published figures, on one log scale.

    `published` are estimate, low and high by name; nan where none was published.
    """
    frame = forest_table(estimates)
    labels: list[str] = []
    bold: list[bool] = []
    y: list[float] = []
    for _, row in frame.iterrows():
        heavy = row["kind"] != "model"
        tail = "" if heavy else f"  {row['weight']:.0%}"
        labels.append(_short(str(row["label"])) + tail)
        bold.append(heavy)
        y.append((y[-1] if y else 0.0) + (1.0 if heavy else 0.8))
    start = y[-1] + 1.0
    for number, name in enumerate(published):
        labels.append(_short(name))
        bold.append(True)
        y.append(start + number)
    figure, axes = new_figure(NARROW, 0.9 + 0.27 * len(y))
    axis = axes[0]
    colours = {"family": COLOURS[0], "model": GREY, "set": COLOURS[2]}
    for kind, colour in colours.items():
        mine = (frame["kind"] == kind).to_numpy()
        if mine.any():
            part = frame[mine]
            draw_intervals(
                axis, np.array(y)[: len(frame)][mine],
                [part["low"], part["median"], part["high"]], colour, hollow=kind == "set",
            )  # fmt: skip
    for number, (middle, low, high) in enumerate(published.values()):
        ends = [middle if np.isnan(x) else x for x in (low, high)]
        draw_intervals(axis, [start + number], [[ends[0]], [middle], [ends[1]]], COLOURS[1])
    numbers = np.concatenate(
        [frame[["low", "high"]].to_numpy().ravel(), np.ravel(list(published.values()))]
    )
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    log_axis(axis, 0.93 * numbers.min(), 1.07 * numbers.max(), ticks=5)
    axis.set_xlabel("people (N), log scale", fontsize=TEXT)
    row_labels(axis, y, labels, bold)
    return figure


def _short(text: str, most: int = 42) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def fitted_cells(estimates: Mapping[str, SizeEstimate]) -> Figure | None:
    """Observed cells against what each family expects, root scale; None without such families."""
    frames = {name: e.fitted for name, e in estimates.items() if e.fitted is not None}
    if not frames:
        return None
    figure, axes = new_figure(NARROW, 3.6)
    axis = axes[0]
    highest = 1.0
    for (name, frame), colour in zip(frames.items(), COLOURS * 2, strict=False):
        observed, expected = np.sqrt(frame["observed"]), np.sqrt(frame["expected"])
        axis.plot(expected, observed, "o", color=colour, markersize=4, alpha=0.7, label=name)
        highest = max(highest, float(np.nanmax(observed)), float(np.nanmax(expected)))
    axis.plot([0, highest], [0, highest], color=GREY, linewidth=1, zorder=0)
    for shift in (-1.0, 1.0):
        axis.plot([0, highest], [shift, highest + shift], color=GREY, linewidth=0.6, zorder=0,
                  linestyle=":")  # fmt: skip
    ticks = np.linspace(0, highest, 6)
    names = [plain(tick**2) for tick in ticks]
    axis.set_xticks(ticks, names)
    axis.set_yticks(ticks, names)
    axis.set_xlabel("people expected in a cell (root scale)", fontsize=TEXT)
    axis.set_ylabel("people observed", fontsize=TEXT)
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=TEXT - 1.5, frameon=False)
    return figure


def xi_table(estimate: SizeEstimate, widest: float = 4.0) -> pd.DataFrame:
    """N of an estimate with a posterior along xi, from 1 / `widest` to `widest`, as `xi_curve`."""
    exact = estimate.unseen_distribution
    return xi_curve(exact, estimate.observed, np.geomspace(1 / widest, widest, 41).tolist())


def xi_figure(curve: pd.DataFrame, threshold: float | None = None) -> Figure:
    """N along xi, with a threshold if there is one."""
    figure, axes = new_figure(NARROW, 3.0)
    axis = axes[0]
    axis.fill_between(curve["xi"], curve["low"], curve["high"], color=COLOURS[0], alpha=0.18,
                      linewidth=0)  # fmt: skip
    axis.plot(curve["xi"], curve["median"], color=COLOURS[0], linewidth=1.6)
    axis.axvline(1.0, color=GREY, linewidth=0.8)
    if threshold is not None:
        axis.axhline(threshold, color=COLOURS[1], linewidth=1.2, linestyle=":")
    log_axis(axis, float(curve["xi"].iloc[0]), float(curve["xi"].iloc[-1]))
    axis.set_yscale("log")
    low, high = float(curve["low"].min()), float(curve["high"].max())
    ticks = np.unique([float(f"{x:.1g}") for x in np.geomspace(low, high, 6)])
    axis.set_yticks(ticks, [plain(tick) for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("xi: odds of being on no list, relative to the assumption", fontsize=TEXT)
    axis.set_ylabel("people (N)", fontsize=TEXT)
    return figure
