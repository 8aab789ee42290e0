"""The command `hiddenpop elicit`: from what somebody said to a prior and what it implies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from hiddenpop.cli.shared import JsonOption, answer, emit
from hiddenpop.words import percent, plain, probability

if TYPE_CHECKING:
    from hiddenpop.elicitation import Elicited

__all__ = ["elicit_prior"]


def elicit_prior(
    said: Annotated[
        str,
        typer.Argument(
            help="A range and how sure it is ('350 to 400 at 0.8'), or quantiles "
            "('0.1: 300, 0.5: 380, 0.9: 600')."
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(help="count or size (people), share (0 to 1) or factor (a ratio above 0)."),
    ] = "count",
    distribution: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="log-normal or gamma (count), beta or logit-normal (share), log-normal (factor).",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="exact meets the quantiles; maxent only the probability of the range (PreliZ)."
        ),
    ] = "exact",
    low: Annotated[float | None, typer.Option(help="The truth cannot be below this.")] = None,
    high: Annotated[float | None, typer.Option(help="The truth cannot be above this.")] = None,
    population: Annotated[
        float | None, typer.Option(metavar="N", help="Residents, for numbers per 1,000.")
    ] = None,
    observed: Annotated[
        float | None,
        typer.Option(metavar="N", help="A number in the same unit to compare with."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the prior, as .svg or .png.")
    ] = None,
    json: JsonOption = None,
) -> int:
    """Turn an expert's range or quantiles into a prior, and say what it implies."""
    from hiddenpop.elicitation import elicit

    bounds = None
    if low is not None or high is not None:
        bounds = (-float("inf") if low is None else low, float("inf") if high is None else high)
    found = elicit(
        said, kind, distribution, method=method, bounds=bounds, population=population,
        observed=observed,
    )  # fmt: skip
    if plot is not None:
        from hiddenpop.plots.elicitation import density_figure, save_figure

        save_figure(density_figure(found), plot)
    emit(found.summary, json)
    if json != "-":
        answer.print(_answer(found), soft_wrap=True)
    return 0


def _answer(found: Elicited) -> Group:
    """Tables and lines for a terminal."""
    lines = [Text(f"To paste: {found.text}"), Text(f"In PyMC:  {found.pymc()}")]
    notes = [Text(note, style="dim") for note in found.notes]
    return Group(_reached(found), _implied(found), *lines, *notes)


def _shown(found: Elicited, value: float) -> str:
    """A value in the user's units: people whole, others to four figures."""
    if found.kind in ("count", "size"):
        return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return f"{value:,.4g}"


def _reached(found: Elicited) -> Table:
    """What was asked for beside what the prior has."""
    table = Table(title=f"{found.kind}: {found.distribution}, {found.method}", title_justify="left")
    for head in ("probability below", "asked", "reached"):
        table.add_column(head, justify="right")
    for (p, asked), (_, reached) in zip(found.asked, found.reached, strict=True):
        table.add_row(f"{100 * p:.4g} %", _shown(found, asked), _shown(found, reached))
    return table


def _implied(found: Elicited) -> Table:
    """What the prior implies, in every unit that can be had."""
    from hiddenpop.elicitation import LEVELS

    table = Table(title="What it implies", title_justify="left")
    scales = [("in its own unit", 1.0)]
    if found.population is not None:
        scales.append(("per 1,000 residents", 1000 / found.population))
    if found.observed is not None:
        scales.append((f"over {_shown(found, found.observed)} observed", 1 / found.observed))
    table.add_column("")
    for head, _ in scales:
        table.add_column(head, justify="right")
    rows: list[tuple[str, tuple[float, ...]]] = [
        ("mean", (found.mean,)),
        ("median", (found.median,)),
        *((f"{percent(level)} interval", found.interval(level)[:2]) for level in LEVELS),
    ]

    def cell(values: tuple[float, ...], scale: float) -> str:
        if scale == 1.0:
            return " to ".join(_shown(found, value) for value in values)
        return " to ".join(plain(value * scale, 3) for value in values)

    for name, values in rows:
        table.add_row(name, *(cell(values, scale) for _, scale in scales))
    if found.observed is not None:
        above = probability(found.p_above(found.observed))
        table.add_row("above the observed", *["" for _ in scales[:-1]], above)
    return table
