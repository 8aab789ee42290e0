"""Figure of a stated prior: its density in the user's units, and the range that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hiddenpop.elicitation import Elicited
from hiddenpop.errors import HiddenPopError
from hiddenpop.files import whole
from hiddenpop.inputs.multipliers import Interval
from hiddenpop.plots.style import COLOURS, GREY, NARROW, TEXT, new_figure

__all__ = ["density_figure", "save_figure"]

AXES = {"count": "people", "size": "people", "share": "share", "factor": "factor"}

FORMATS = (".svg", ".png")


def density_figure(found: Elicited) -> Figure:
    """Density of a prior, with what was stated (shaded, dashed) and observed (dotted).

    The height carries no unit and has no scale: only areas mean something.
    """
    figure, axes = new_figure(NARROW, 2.9)
    axis = axes[0]
    x, height = found.density()
    axis.plot(x, height, color=COLOURS[0], linewidth=1.6)
    if isinstance(found.said, Interval):
        inside = (x >= found.said.low) & (x <= found.said.high)
        label = f"stated: {found.text}"
        axis.fill_between(x, height, where=inside.tolist(), color=COLOURS[0], alpha=0.18,
                          linewidth=0, label=label)  # fmt: skip
    for number, (p, value) in enumerate(found.asked):
        dashes = "stated quantiles" if number == 0 and len(found.asked) > 2 else None
        axis.axvline(value, color=GREY, linewidth=0.9, linestyle="--", label=dashes)
        axis.annotate(
            f"{p:.3g}", (value, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -2),
            textcoords="offset points", va="top", fontsize=TEXT - 2, color=GREY,
        )  # fmt: skip
    axis.axvline(found.median, color=COLOURS[0], linewidth=0.9, label="median of the prior")
    if found.observed is not None:
        axis.axvline(found.observed, color=COLOURS[1], linewidth=1.4, linestyle=":",
                     label="observed")  # fmt: skip
    axis.set_ylim(0, 1.18 * float(np.max(height[np.isfinite(height)])))
    axis.set_yticks([])
    axis.xaxis.set_major_formatter("{x:,.6g}")
    axis.set_xlabel(f"{AXES[found.kind]} ({found.distribution})", fontsize=TEXT)
    axis.legend(fontsize=TEXT - 1.5, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.2),
                ncols=2)  # fmt: skip
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as SVG or PNG.

    Raises
    ------
    HiddenPopError
        If the name ends otherwise, or (a ResultError) the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise HiddenPopError(f"{path}: figures are written as {' or '.join(FORMATS)}.")
    kind = path.suffix.lower().removeprefix(".")
    metadata = {"Date": None, "Creator": None} if kind == "svg" else None
    with whole(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=160, metadata=metadata)
