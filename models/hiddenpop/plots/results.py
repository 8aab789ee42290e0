"""Figures of results: prevalence by place, prior against posterior, variants."""

from __future__ import annotations

from collections.abc import Sequence

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hiddenpop.checks.influence import MAIN
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
from hiddenpop.plots.tables import prevalence_table, prior_draws, variants_table
from hiddenpop.words import capital, group_words, name_words

__all__ = ["prevalence", "prior_posterior", "variants"]

NUMBERS = ["low", "inner_low", "median", "inner_high", "high"]
FIELD = 0.28
"""Height of a row in inches."""

RIDGE = 1.5
"""Height of the highest density, in rows."""


def _unit(estimate: Estimate) -> str:
    return f"users per 1,000 residents aged {estimate.data.data.target.ages}"


def _headed(groups: Sequence[str], areas: Sequence[str]) -> tuple[list[str], list[bool]]:
    """Labels of rows: a heading for each group, then its areas."""
    labels, bold = [], []
    for group in groups:
        labels += [capital(group_words(group)), *areas]
        bold += [True, *[False] * len(areas)]
    return labels, bold


def prevalence(estimate: Estimate, level: float = 0.95) -> Figure:
    """Prevalence by group and area: medians, inner half and `level` intervals.

    Its numbers: `prevalence_table`.
    """
    report, table = estimate.data.report, prevalence_table(estimate, level)
    labels, bold = _headed(report.groups, report.areas)
    figure, (axis,) = new_figure(NARROW, 0.75 + FIELD * len(labels))
    for i, group in enumerate(report.groups):
        chosen = table[table["group"] == group]
        y = np.arange(len(chosen)) + i * (len(report.areas) + 1) + 1.0
        numbers = [chosen[name].to_numpy() for name in NUMBERS]
        draw_intervals(axis, y, numbers, COLOURS[i % len(COLOURS)])
    row_labels(axis, list(range(len(labels))), labels, bold)
    axis.set_xlim(0, None)
    axis.set_xlabel(capital(_unit(estimate)), fontsize=TEXT)
    return figure


def prior_posterior(estimate: Estimate, prior: xr.Dataset | None = None) -> Figure:
    """Densities of the reported prevalences before (grey) and after the evidence, log scale.

    `prior` are draws as `prior_draws` gives them, drawn anew by default. Numbers:
    `prior_posterior_table`.
    """
    prior = prior_draws(estimate) if prior is None else prior
    report = estimate.data.report
    labels, bold = _headed(report.groups, report.areas)
    figure, (axis,) = new_figure(NARROW, 0.75 + 1.15 * FIELD * len(labels))
    ends, at = [], 0
    for i, group in enumerate(report.groups):
        for j, area in enumerate(report.areas):
            at = i * (len(report.areas) + 1) + j + 1
            before = 1000 * prior["prevalence"].sel(area=area, union=group).to_numpy().ravel()
            after = 1000 * estimate.draws("prevalence", area=area, union=group)
            _ridge(axis, at, before, after, COLOURS[i % len(COLOURS)])
            ends += [np.quantile(before, [0.02, 0.98]), np.quantile(after, [0.001, 0.999])]
    log_axis(axis, min(low for low, _ in ends), max(high for _, high in ends))
    # Densities stand on their row's line, so the labels do too.
    row_labels(axis, list(range(len(labels))), labels, bold)
    axis.set_ylim(at + 0.4, -1.0)
    axis.set_xlabel(f"{capital(_unit(estimate))} (log scale)", fontsize=TEXT)
    return figure


def _ridge(axis: Axes, at: float, before: np.ndarray, after: np.ndarray, colour: str) -> None:
    """Two densities over log prevalence on one base line, equal areas."""
    grid, density, _ = az.kde(np.log(after))
    grid_before, density_before, _ = az.kde(np.log(before))
    scale = RIDGE * 0.6 / density.max()
    axis.fill_between(
        np.exp(grid_before)[::8], at, at - (scale * density_before)[::8], color=GREY, alpha=0.45,
        linewidth=0,
    )  # fmt: skip
    axis.plot(
        np.exp(grid_before)[::8], at - (scale * density_before)[::8], "#555555", linewidth=0.8
    )
    axis.fill_between(
        np.exp(grid)[::8], at, at - (scale * density)[::8], color=colour, alpha=0.65, linewidth=0
    )
    axis.axhline(at, color="#cccccc", linewidth=0.7)


def variants(
    frame: pd.DataFrame,
    group: str,
    quantity: str = "prevalence_per_1000",
    *,
    unit: str = "per 1,000 residents",
) -> Figure:
    """Results under each variant of the study, one panel an area, log scale.

    Parameters
    ----------
    frame
        From `checks.influence.vary`.
    group
        Which group's results.
    unit
        Of the quantity, for the axis.
    """
    table = variants_table(frame, group, quantity)
    areas, names = list(table["area"].unique()), list(table["variant"].unique())
    titles = table.drop_duplicates("variant").set_index("variant")["title"]
    labels = [_wrap(name_words(str(titles[name]))) for name in names]
    height = 0.33 if any("\n" in label for label in labels) else 0.25
    figure, axes = new_figure(WIDE, 1.0 + height * len(names), len(areas))
    low, high = table["low"].min(), table["high"].max()
    for axis, area in zip(axes, areas, strict=True):
        chosen = table[table["area"] == area].set_index("variant").loc[names]
        main = chosen.loc[MAIN]
        axis.axvspan(main["low"], main["high"], color="#eef3f7", linewidth=0)
        axis.axvline(main["median"], color=COLOURS[0], linewidth=0.8)
        y = np.arange(len(names))
        for own, colour in ((True, COLOURS[0]), (False, "#333333")):
            at = (chosen.index == MAIN) == own
            numbers = [chosen.loc[at, name].to_numpy() for name in ("low", "median", "high")]
            draw_intervals(axis, y[at], numbers, colour)
        log_axis(axis, low * 0.9, high * 1.1, ticks=4)
        axis.set_title(area, fontsize=TEXT, fontweight="bold")
    row_labels(axes[0], list(range(len(names))), labels, [name == MAIN for name in names])
    figure.supxlabel(f"{capital(group_words(group))} {unit} (log scale)", fontsize=TEXT)
    return figure


def _wrap(title: str, width: int = 44) -> str:
    """Break a long title into two lines at the space nearest its middle."""
    if len(title) <= width:
        return title
    spaces = [i for i, letter in enumerate(title) if letter == " "]
    middle = min(spaces, key=lambda i: abs(i - len(title) / 2), default=None)
    return title if middle is None else f"{title[:middle]}\n{title[middle + 1 :]}"
