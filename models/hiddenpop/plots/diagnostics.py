"""Figures that show whether the chains agree; drawn by ArviZ."""

from __future__ import annotations

import arviz as az
import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from hiddenpop.estimate import Estimate
from hiddenpop.plots.style import COLOURS, NARROW, TEXT, WIDE, tidy
from hiddenpop.words import name_words

__all__ = ["diagnostics", "energy", "watched"]

MOST = 8
"""Largest number of panels."""

COLUMNS = 4

THIN = 4
"""Every how manieth draw a rank plot shows."""


def watched(estimate: Estimate) -> xr.Dataset:
    """The quantities looked at, named in words: headline prevalences, then hyperparameters."""
    posterior, report = estimate.tree["posterior"], estimate.data.report
    found = {
        area: posterior["prevalence"].sel(area=area, union=report.headline, drop=True)
        for area in report.areas
    }
    found |= {
        name_words(str(effect)): posterior["scale"].sel(effect=effect, drop=True)
        for effect in posterior["effect"].to_numpy()
    }
    return xr.Dataset(dict(list(found.items())[:MOST]))


def diagnostics(estimate: Estimate) -> Figure:
    """Rank plot of the quantities in `watched`: how the ranks of each chain depart from even.

    Chains that agree wander about 0. Source: Säilynoja et al. 2022 (Stat Comput 32:32).
    """
    chosen = watched(estimate)
    rows = -(-len(chosen.data_vars) // COLUMNS)
    drawn = az.plot_rank(
        xr.DataTree.from_dict({"posterior": chosen}),
        visuals={"title": {"fontsize": TEXT}, "xlabel": False},
        stats={"thin": {"factor": THIN}},
        thin=True,
        col_wrap=COLUMNS,
        color=list(COLOURS),
        figure_kwargs={"figsize": (WIDE, 1.6 * rows), "layout": "constrained"},
    )
    figure = _closed(drawn)
    # R-hat is the gate: the test that ArviZ prints in each panel would only raise false alarms.
    for text in [text for axis in figure.axes for text in axis.texts]:
        text.remove()
    return figure


def energy(estimate: Estimate) -> Figure:
    """Energy of the draws, and of the steps between them.

    Steps much narrower than the draws mean that the tails were explored slowly. Source:
    Betancourt 2016 (arXiv:1604.00695).
    """
    drawn = az.plot_energy(
        estimate.tree,
        show_bfmi=False,
        color=list(COLOURS),
        figure_kwargs={"figsize": (NARROW, 2.3), "layout": "constrained"},
    )
    figure = _closed(drawn)
    figure.axes[0].set_xlabel("Energy, from its mean", fontsize=TEXT)
    return figure


def _closed(drawn: az.PlotCollection) -> Figure:
    """Take the figure out of pyplot, which would keep it for ever, and give it our style."""
    figure: Figure = drawn.viz["figure"].item()
    plt.close(figure)
    for axis in figure.axes:
        tidy(axis)
    return figure
