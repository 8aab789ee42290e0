"""Figures of calibration: ranks against their simultaneous band, and coverage by scenario."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hiddenpop.checks.calibration.rank_bands import LEVEL, ecdf_band
from hiddenpop.plots.style import COLOURS, GREY, TEXT, WIDE, tidy
from hiddenpop.words import name_words

__all__ = ["coverage_figure", "rank_figure"]

COLUMNS = 3
LABEL = TEXT - 1.5


def rank_figure(ranks: pd.DataFrame, level: float = LEVEL) -> Figure:
    """Empirical distribution of ranks less the uniform one, a panel for each regime.

    Every quantity is a line; the grey region is where calibrated ranks lie at all points at
    once with probability `level`. A line below 0 at first and above it afterwards (like an S)
    is a posterior too wide, the reverse one too narrow; a line above 0 throughout has truths low
    in their posteriors, so that estimates are too high. Säilynoja, Bürkner & Vehtari 2022.

    Parameters
    ----------
    ranks
        As `checks.calibration.scores.calibration_table` reads them, of one study.

    Raises
    ------
    ValueError
        If no regime has two ranks.
    """
    known = ranks.dropna(subset="rank")
    groups = {
        f"{regime}": part
        for regime, part in known.groupby("regime", sort=False)
        if part.groupby("quantity").size().max() > 1
    }
    if not groups:
        raise ValueError("no regime has two ranks")
    rows = -(-len(groups) // COLUMNS)
    figure = Figure(figsize=(WIDE, 0.6 + 2.0 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
    quantities = list(dict.fromkeys(known["quantity"]))
    for panel, (regime, part) in zip(panels, groups.items(), strict=False):
        _panel(panel, part, quantities, level)
        panel.set_title(regime, fontsize=TEXT, loc="left")
        panel.tick_params(axis="x", labelbottom=True)
    for panel in panels[len(groups) :]:
        panel.set_axis_off()
    # A quantity may be part of some regimes only.
    known_lines = {
        label: handle
        for panel in panels
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(known_lines.values(), known_lines.keys(), loc="outside upper center", ncols=4,
                  fontsize=LABEL, frameon=False)  # fmt: skip
    figure.supxlabel("Rank of the truth", fontsize=TEXT)
    figure.supylabel("Distribution less uniform", fontsize=TEXT)
    return figure


def _panel(panel: Axes, part: pd.DataFrame, quantities: list[str], level: float) -> None:
    tidy(panel)
    sizes = part.groupby("quantity").size()
    band = ecdf_band(int(sizes.max()), level)
    z = np.concatenate([[0.0], band["z"], [1.0]])
    for edge in ("low", "high"):
        away = np.concatenate([[0.0], band[edge] - band["z"], [0.0]])
        panel.fill_between(z, away, 0, color="#dddddd", linewidth=0)
    panel.axhline(0, color=GREY, linewidth=0.8)
    for place, name in enumerate(quantities):
        values = np.sort(part.loc[part["quantity"] == name, "rank"].to_numpy(dtype=float))
        if len(values) < 2:
            continue
        height = np.searchsorted(values, z, side="right") / len(values)
        style = ("-", "--", ":")[place // len(COLOURS) % 3]
        panel.plot(
            z, height - z, style, color=COLOURS[place % len(COLOURS)], linewidth=1.1,
            label=name_words(name),
        )  # fmt: skip


def coverage_figure(scores: pd.DataFrame, level: str = "95") -> Figure:
    """Coverage of intervals, bias and width: families as points, a row for each scenario.

    Thin lines reach two Monte Carlo standard errors to either side.

    Parameters
    ----------
    scores
        Of `checks.calibration.scores.coverage_table` by `scenario` and `family`.
    level
        Of the intervals shown, in per cent: one of those of the table.
    """
    scenarios = list(dict.fromkeys(scores["scenario"]))
    families = list(dict.fromkeys(scores["family"]))
    each = max(0.62, 0.085 * len(families))
    figure = Figure(figsize=(WIDE, 1.3 + each * len(scenarios)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    shown = ((f"cover_{level}", f"{level} % intervals that hold N"),
             ("bias", "Mean log(median / N)"),
             (f"width_{level}", "Mean log(high / low)"))  # fmt: skip
    rows = np.arange(len(scenarios))
    for panel, (name, label) in zip(panels, shown, strict=True):
        tidy(panel)
        panel.set_xlabel(label, fontsize=LABEL)
        for place, family in enumerate(families):
            part = scores[scores["family"] == family].set_index("scenario").reindex(scenarios)
            y = rows + 0.7 * ((place + 0.5) / len(families) - 0.5)
            # No standard error from a single replicate: a point without a line.
            reach = np.tile(2 * part[f"mcse_{name}"].fillna(0.0).to_numpy(), (2, 1))
            if name.startswith("cover"):  # a share stays between 0 and 1
                value = part[name].to_numpy()
                reach = np.minimum(reach, np.array([value, 1 - value]))
            panel.errorbar(
                part[name], y, xerr=reach, fmt="o", markersize=3.5,
                color=COLOURS[place % len(COLOURS)], elinewidth=0.9, label=family,
                markerfacecolor="white" if place >= len(COLOURS) else None,
            )  # fmt: skip
    panels[0].axvline(float(level) / 100, color=GREY, linewidth=0.8)
    panels[1].axvline(0, color=GREY, linewidth=0.8)
    panels[0].set_yticks(rows, scenarios)
    panels[0].set_ylim(len(scenarios) - 0.4, -0.6)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=LABEL,
                  frameon=False)  # fmt: skip
    return figure
