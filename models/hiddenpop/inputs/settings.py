"""Settings of a study that are not data: sampling, priors, variants, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hiddenpop.inputs.posteriors import PosteriorRow, read_posteriors, with_posteriors
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.inputs.toml import Section

__all__ = [
    "PriorKind",
    "Report",
    "Sampling",
    "Variant",
    "left_out_name",
    "read_priors",
    "read_report",
    "read_sampling",
    "read_variant",
]

PriorKind = Literal["interval", "positive", "nonnegative"]
"""What a prior in `study.toml` may be: {low, high, level} inside 0..1, or a number."""

CHANGES = ("only_sources", "without_sources", "with_rows", "without_rows")


@dataclass(frozen=True)
class Sampling:
    """How a model is sampled; everything a rerun needs.

    Attributes
    ----------
    draws, tune
        Kept and warm-up iterations of each chain.
    target_accept
        Mean acceptance that the step size is adapted to.
    """

    draws: int = 2000
    tune: int = 1500
    chains: int = 4
    target_accept: float = 0.99
    seed: int = 1


@dataclass(frozen=True)
class Variant:
    """The same study with something changed, to show what rests on it.

    Attributes
    ----------
    only_sources, without_sources
        Keep only, or leave out, all rows and components of these sources.
    with_rows, without_rows
        Switch rows of evidence or components on or off.
    population
        Other residents for named areas.
    posteriors
        Rows of evidence whose numbers come from a result instead.
    """

    name: str
    title: str
    only_sources: tuple[str, ...] = ()
    without_sources: tuple[str, ...] = ()
    with_rows: tuple[str, ...] = ()
    without_rows: tuple[str, ...] = ()
    population: tuple[tuple[str, float], ...] = ()
    posteriors: tuple[PosteriorRow, ...] = ()

    def chosen(self, data: SynthesisData) -> tuple[str, ...]:
        """Ids of the rows of evidence and components that count in this variant."""
        return tuple(
            name
            for name, used, source in zip(data.ids, data.used, data.targets["source"], strict=True)
            if (used or name in self.with_rows)
            and (not self.only_sources or source in self.only_sources)
            and source not in self.without_sources
            and name not in self.without_rows
        )

    def apply(self, data: SynthesisData) -> SynthesisData:
        """Return the data of this variant."""
        changed = data.including(self.chosen(data))
        changed = replace(changed, evidence=with_posteriors(changed.evidence, self.posteriors))
        return changed.with_population(dict(self.population)) if self.population else changed


def left_out_name(source: str) -> str:
    """Name of the automatic variant without a source; no other variant may have it."""
    return f"without-{source}"


@dataclass(frozen=True)
class Report:
    """What a report shows: areas, groups, comparisons, and the study's own sentences.

    Sentences may hold jinja2 expressions, so that no number in them is typed.

    Attributes
    ----------
    headline
        The group that the report is about first.
    shares
        Rates whose posterior is shown.
    compare
        Triples of an area, another one, and a group.
    """

    areas: tuple[str, ...]
    groups: tuple[str, ...]
    headline: str
    shares: tuple[str, ...]
    compare: tuple[tuple[str, str, str], ...]
    rests_on: tuple[str, ...]
    limits: tuple[str, ...]
    next_data: tuple[str, ...]


def read_priors(section: Section, known: Mapping[str, PriorKind]) -> dict[str, Any]:
    """Priors as written, (low, high, level) or a number; the rest keeps the family's defaults."""
    found: dict[str, Any] = {}
    for key, kind in known.items():
        value = (
            section.interval(key)
            if kind == "interval"
            else section.number(key, strict=kind == "positive")
        )
        if value is not None:
            found[key] = value
    section.done()
    return found


def read_sampling(section: Section) -> Sampling:
    """Sampling settings, defaults where none are given."""
    default = Sampling()
    accept = section.number("target_accept", most=1.0, strict=True)
    sampling = Sampling(
        draws=section.whole("draws", default.draws),
        tune=section.whole("tune", default.tune),
        chains=section.whole("chains", default.chains),
        target_accept=default.target_accept if accept is None else accept,
        seed=section.whole("seed", default.seed, least=0),
    )
    section.done()
    return sampling


def read_variant(section: Section, folder: Path) -> Variant:
    """One variant; whether its names exist is checked with the tables."""
    name, title = section.text("name"), section.text("title")
    changes = {key: section.texts(key, optional=True) for key in CHANGES}
    people = section.section("population", optional=True)
    population = tuple(
        (area, value) for area in people if (value := people.number(area, strict=True)) is not None
    )
    people.done()
    posteriors = read_posteriors(section.section("posteriors", optional=True), folder)
    section.done()
    others = ("population", "posteriors")
    if not any(changes.values()) and not any(key in section for key in others):
        section.fault("variant-empty", "name", name=name, keys=", ".join([*CHANGES, *others]))
    return Variant(name, title, population=population, posteriors=posteriors, **changes)


def read_report(section: Section) -> Report:
    """What the report shows; whether its names exist is checked with the tables."""
    areas, groups = section.texts("areas"), section.texts("groups")
    headline = section.text("headline")
    shares = section.texts("shares", optional=True)
    compare = tuple(_pair(pair) for pair in section.sections("compare"))
    words = {key: _sentences(section, key) for key in ("rests_on", "limits", "next_data")}
    section.done()
    return Report(areas, groups, headline, shares, compare, **words)


def _pair(section: Section) -> tuple[str, str, str]:
    area, other, group = (section.text(key) for key in ("area", "other", "group"))
    section.done()
    if area and area == other:
        section.fault("compare-same", "other", area=area)
    return area, other, group


def _sentences(section: Section, key: str) -> tuple[str, ...]:
    """Sentences whose expressions in double braces can at least be read."""
    from jinja2 import Environment, TemplateSyntaxError

    parser = Environment(autoescape=True)
    sentences = section.texts(key, optional=True)
    for place, sentence in enumerate(sentences, start=1):
        try:
            parser.parse(sentence)
        except TemplateSyntaxError as error:
            section.fault("report-template", key, place=place, reason=error.message or "unknown")
    return sentences
