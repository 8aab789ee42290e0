"""The figures of the report: drawings inlined as SVG, captions, and texts in their place."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import arviz as az
import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from hiddenpop import plots
from hiddenpop.estimate import Estimate
from hiddenpop.report.results import variant_title
from hiddenpop.words import factor, group_words, listing, name_words, plain

__all__ = ["Picture", "pictures"]


class Picture(NamedTuple):
    """A figure of the report.

    Attributes
    ----------
    key
        Name in the page, for links.
    source
        A `data:` URI.
    narrow
        Another for phones, "" where one drawing serves both.
    text
        What the figure shows, for those who cannot see it.
    caption
        What it is and how to read it.
    wide
        Whether it scrolls on a phone rather than shrink.
    """

    key: str
    source: str
    text: str
    title: str
    caption: str
    wide: bool = False
    narrow: str = ""


def pictures(estimate: Estimate, variants: pd.DataFrame | None) -> dict[str, Picture]:
    """All figures by their key; the one of variants only where there are any."""
    prior = plots.prior_draws(estimate)
    found = [
        _prevalence(estimate),
        _prior_posterior(estimate, plots.prior_posterior(estimate, prior),
                         plots.prior_posterior_table(estimate, prior)),
        _evidence(estimate),
        _biases(estimate),
        _diagnostics(estimate),
        _energy(estimate),
    ]  # fmt: skip
    if variants is not None:
        found.append(_variants(estimate, variants))
    return {picture.key: picture for picture in found}


def as_uri(figure: Figure) -> str:
    """The figure as an SVG in a `data:` URI; the same figure gives the same text."""
    buffer = io.BytesIO()
    # Letters as outlines: every reader has them, and no label can be cut off.
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "hiddenpop"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _ages(estimate: Estimate) -> str:
    return f"per 1,000 residents aged {estimate.data.data.target.ages}"


def _triples(table: pd.DataFrame, label: str) -> str:
    """One phrase a row: "Derby 5.9 (3.4 to 9.4)"."""
    return "; ".join(_triple(row, label) for _, row in table.iterrows())


def _triple(row: pd.Series[Any], label: str) -> str:
    numbers = f"{plain(row['median'])} ({plain(row['low'])} to {plain(row['high'])})"
    return f"{row[label]} {numbers}"


def _by_group(table: pd.DataFrame, groups: tuple[str, ...]) -> Iterator[tuple[str, pd.DataFrame]]:
    for group in groups:
        yield group_words(group), table[table["group"] == group]


def _prevalence(estimate: Estimate) -> Picture:
    table, groups = plots.prevalence_table(estimate), estimate.data.report.groups
    parts = [f"{who}: {_triples(part, 'area')}" for who, part in _by_group(table, groups)]
    return Picture(
        "prevalence", as_uri(plots.prevalence(estimate)),
        f"Users {_ages(estimate)}, median and 95 % interval. {'. '.join(parts)}.",
        "Prevalence by place and group",
        f"Users {_ages(estimate)}. The dot is the median; the truth lies within the thick line "
        "with a probability of 50 %, within the thin line with 95 %. Where thin lines of two "
        "places overlap, their order may still be fairly sure: see the comparisons below.",
    )  # fmt: skip


def _prior_posterior(estimate: Estimate, figure: Figure, table: pd.DataFrame) -> Picture:
    headline = table[table["group"] == estimate.data.report.headline]
    parts = [
        f"{row['area']} {plain(row['prior_low'])} to {plain(row['prior_high'])} before, "
        f"{plain(row['low'])} to {plain(row['high'])} after"
        for _, row in headline.iterrows()
    ]
    narrow, wide = table["narrowing"].min(), table["narrowing"].max()
    return Picture(
        "prior-posterior", as_uri(figure),
        f"95 % intervals of {group_words(estimate.data.report.headline)} {_ages(estimate)}: "
        f"{'; '.join(parts)}.",
        "Before and after the evidence",
        "Grey: what the model held possible before it saw any evidence (prior). Coloured: what it "
        "holds possible now (posterior). Both curves enclose the same area, so that a low broad "
        "hill turning into a high narrow one is what was learned: on the log scale the intervals "
        f"are {factor(narrow)} to {factor(wide)} times narrower than they were.",
    )  # fmt: skip


def _evidence(estimate: Estimate) -> Picture:
    table = plots.evidence_table(estimate)
    inside = (table["reported_low"] <= table["model"]) & (table["model"] <= table["reported_high"])
    off = table[~inside & table["z"].notna()]
    parts = [f"{row['area']}, {name_words(row['group'])}, {row['period']} "
             f"({name_words(row['source'])}): {factor(row['ratio'])} times"
             for _, row in off.iterrows()]  # fmt: skip
    tail = f" Those that do not: {'; '.join(parts)}." if parts else ""
    return Picture(
        "evidence", as_uri(plots.evidence(estimate)),
        f"{len(table)} rows of evidence; for {int(inside.sum())} of them the interval of the "
        f"reported number holds what the model expects of a source without bias.{tail}",
        "Every piece of evidence against the model",
        "Each number as its source reported it, divided by what the model says an unbiased source "
        "would have reported: right of 1 the source says more, left of 1 less. The line is the "
        "number's own 95 % interval, the grey bar what the model leaves open. Points that sit "
        "together away from 1 show the bias of their source. Hollow orange rows are not part of "
        "the result; variants use them. A triangle is a bound, which holds if 1 lies on the side "
        "that it points to; a number beside a point at the edge is its ratio. Groups, places and "
        "periods are those of the source; its name stands above its rows.",
        narrow=as_uri(plots.evidence(estimate, narrow=True)),
    )  # fmt: skip


def _biases(estimate: Estimate) -> Picture:
    table = plots.biases_table(estimate)
    free = table[~table["fixed"]]
    fixed = [name_words(name) for name in table.loc[table["fixed"], "source"]]
    verb = "is" if len(fixed) == 1 else "are"
    tail = f" {listing(fixed)} {verb} held to have none." if fixed else ""
    named = free.assign(source=[name_words(name) for name in free["source"]])
    return Picture(
        "biases", as_uri(plots.biases(estimate)),
        f"Reported over true, posterior median and 95 % interval. {_triples(named, 'source')}.",
        "How far each source is off",
        "Reported over true for each source: 1 is right, 2 is twice too many. Grey: 95 % interval "
        "before the evidence; blue: median and 95 % interval after it. Where the blue line is as "
        "long as the grey bar, the evidence cannot tell how far the source is off." + tail,
    )  # fmt: skip


def _variants(estimate: Estimate, frame: pd.DataFrame) -> Picture:
    headline = estimate.data.report.headline
    table = plots.variants_table(frame, headline)
    named = table.assign(title=[variant_title(row) for _, row in table.iterrows()])
    parts = [
        f"{area}: {_triples(named[named['area'] == area], 'title')}"
        for area in named["area"].unique()
    ]
    figure = plots.variants(frame, headline, unit=_ages(estimate))
    return Picture(
        "variants", as_uri(figure),
        f"{group_words(headline)} {_ages(estimate)}, median and 95 % interval. "
        f"{'. '.join(parts)}.",
        "What rests on what",
        f"{group_words(headline).capitalize()} {_ages(estimate)} if the study is changed as "
        "named: dot and line are median and 95 % interval, the pale band and the blue line are "
        "the result with all evidence in use. A row far from the band is a choice on which the "
        "result depends; a longer line means that what was left out carried information.",
        True,
    )  # fmt: skip


def _diagnostics(estimate: Estimate) -> Picture:
    gates = [f"{gate.name} {gate.found:.4g} (allowed: {gate.allowed})"
             for gate in estimate.verdict.gates]  # fmt: skip
    return Picture(
        "ranks", as_uri(plots.diagnostics(estimate)),
        f"Rank plots of {estimate.sampling.chains} chains. The gates say: {'; '.join(gates)}.",
        "Whether the chains agree",
        "Each colour is one of the independent chains of draws; each panel a quantity (the rate "
        f"of {group_words(estimate.data.report.headline)} in a place, or one of the model's own "
        "scales). All draws are ranked together; a line says how far the ranks of one chain are "
        "from evenly spread. Lines that wander about the middle are good; one that stays far "
        "from it would mean that its chain saw something else than the others.",
        True,
    )  # fmt: skip


def _energy(estimate: Estimate) -> Picture:
    values = az.bfmi(estimate.tree["sample_stats"].to_dataset())
    bfmi = [float(x) for x in values["energy"].to_numpy().ravel()]
    return Picture(
        "energy", as_uri(plots.energy(estimate)),
        "Densities of the energy of draws and of steps between draws. Bayesian fraction of "
        f"missing information by chain: {listing([plain(x) for x in bfmi])}.",
        "Energy",
        "How widely the sampler ranged (marginal) and how far single steps took it (transition). "
        "Steps much narrower than the range would mean that tails were explored slowly. The "
        "fraction of missing information, which should be above 0.3, is at least "
        f"{plain(min(bfmi))} in every chain.",
    )  # fmt: skip
