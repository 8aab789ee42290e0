"""The page of the checks: what each found, in words, a figure and a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from hiddenpop.checks.comparison.families import family_words
from hiddenpop.checks.comparison.leave_one_out import left_out_sentences
from hiddenpop.checks.comparison.left_out_people import people_words
from hiddenpop.checks.comparison.predictive_words import fit_words
from hiddenpop.checks.conflict.words import conflict_sentences, source_sentences
from hiddenpop.checks.hidden_lists.hide_a_list import sentences as hidden_sentences
from hiddenpop.checks.next_data.table import next_data_sentences
from hiddenpop.checks.priors.power_scaling import power_sentences
from hiddenpop.checks.priors.sensitivity import tornado_sentences
from hiddenpop.checks.tipping.tables import tipping_curves
from hiddenpop.checks.tipping.words import tipping_sentences
from hiddenpop.estimate import Estimate
from hiddenpop.files import whole
from hiddenpop.inference import versions
from hiddenpop.plots.comparison import families, predicted_cells
from hiddenpop.plots.conflict import conflict
from hiddenpop.plots.hide_a_list import hide_a_list
from hiddenpop.plots.next_data import next_data
from hiddenpop.plots.tipping import tipping
from hiddenpop.plots.tornado import tornado
from hiddenpop.report.figures import Picture, as_uri
from hiddenpop.report.trust_questions import CAPTIONS, TITLES, Asked, Caption
from hiddenpop.report.trust_tables import table_of
from hiddenpop.report.trust_verdicts import (
    about,
    gate_note,
    headline,
    named_rows,
    subject,
    verdicts,
)
from hiddenpop.results import as_json, reseal
from hiddenpop.trust import Trust
from hiddenpop.words import capital, name_words, plain, probability

__all__ = ["trust_page", "trust_words", "write_trust"]

PAGE = "trust.html"
LINK = f'<a href="{PAGE}">Checks of this result</a>'

BY_FAMILY = ("conflict", "priors", "power", "fit", "leave-one-out")
"""Checks whose sentences are about one family at a time."""

Frame = pd.DataFrame


class Section(NamedTuple):
    """A check on the page."""

    name: str
    title: str
    why: str
    sentences: list[str]
    picture: Picture | None
    head: list[str]
    rows: list[list[str]]
    note: str


def trust_words(found: Trust) -> dict[str, list[str]]:
    """What each check found, in sentences."""
    return {name: _words(name, frame, found) for name, frame in found.parts.items()}


def trust_page(found: Trust) -> str:
    """Write the page: HTML that loads nothing from anywhere."""
    said = trust_words(found)
    titles = {name: asked.title for name, asked in TITLES.items()}
    environment = Environment(
        loader=PackageLoader("hiddenpop.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("trust.html.j2").render(
        title=found.fits.data.title if isinstance(found.fits, Estimate) else found.fits.study.title,
        headline=headline(found),
        verdicts=verdicts(found, titles, said),
        sections=[_section(name, frame, found) for name, frame in found.parts.items()],
        gates=(gates := _gates(found)),
        gate_note=gate_note([gate["name"] for gate in gates]),
        folder=found.finished.folder.name,
        versions=versions(),
    )  # fmt: skip
    return page.replace(" %", "\u00a0%")


def write_trust(found: Trust) -> Path:
    """Add the page to the result, with a link from its report; returns its path.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    folder = found.finished.folder
    path, report = folder / PAGE, folder / "report.html"
    parts = {name: frame.to_dict("records") for name, frame in found.parts.items()}
    _write(path, trust_page(found))
    _write(folder / "trust.json", as_json({"threshold": found.threshold, "checks": parts}))
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    if LINK not in text:
        _write(report, text.replace("</nav>", f"{LINK}\n</nav>", 1))
    reseal(folder)
    return path


def _write(path: Path, text: str) -> None:
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _gates(found: Trust) -> list[dict[str, Any]]:
    """Gates of the fit, or of each family."""
    fits = found.fits
    verdicts = {"": fits.verdict} if isinstance(fits, Estimate) else fits.verdicts
    return [
        {"family": capital(name_words(family)), "name": gate.name, "found": f"{gate.found:,.4g}",
         "allowed": gate.allowed, "passed": gate.passed}
        for family, verdict in verdicts.items() for gate in verdict.gates
    ]  # fmt: skip


def _section(name: str, frame: Frame, found: Trust) -> Section:
    """A check on the page; one without a title of its own is named by its file."""
    title, why = TITLES.get(name, Asked(capital(name_words(name)), ""))
    head, rows, note = table_of(name, named_rows(frame, found))
    said = _words(name, frame, found)
    return Section(name, title, why, said, _picture(name, frame, found), head, rows, note)


def _words(name: str, frame: Frame, found: Trust) -> list[str]:
    """What a check found, in sentences; by family where there are several."""
    if frame.empty:
        return ["There is nothing of this kind to check here."]
    frame = named_rows(frame, found)
    named = about(found) if isinstance(found.fits, Estimate) else ""
    say: dict[str, Callable[[Frame], list[str]]] = {
        "conflict": lambda part: conflict_sentences(part, subject(found)),
        "sources": lambda part: source_sentences(part, subject(found)),
        "priors": lambda part: tornado_sentences(part, named),
        "tipping": lambda part: tipping_sentences(part, _who(found)),
        "power": power_sentences, "hide-a-list": hidden_sentences,
        "next-data": next_data_sentences, "leave-one-out": _left_out_words, "fit": fit_words,
        "families": family_words,
    }  # fmt: skip
    if name == "conflict" and not isinstance(found.fits, Estimate):
        return _benchmark_words(frame)
    if name not in say:
        return []
    if "family" not in frame or name not in BY_FAMILY:
        return say[name](frame)
    return [
        f"{capital(name_words(str(family)))}: {sentence}"
        for family, part in frame.groupby("family", sort=False)
        for sentence in say[name](part)
    ]


def _who(found: Trust) -> str:
    """What has a size, in a sentence."""
    return f"the number of {subject(found)}" if isinstance(found.fits, Estimate) else "N"


def _left_out_words(frame: Frame) -> list[str]:
    """Of people by family, or of the numbers of a study."""
    return people_words(frame) if "people" in frame else left_out_sentences(frame)


def _unit(found: Trust) -> str:
    """What a figure counts."""
    return capital(subject(found)) if isinstance(found.fits, Estimate) else "People"


def _benchmark_words(frame: Frame) -> list[str]:
    """Conflicts between benchmarks that are left after allowing for the number looked at."""
    strong = frame[frame["conflict_holm"] < 0.05]
    if strong.empty:
        least = frame.iloc[int(frame["conflict"].to_numpy().argmin())]
        p, after = probability(least["conflict"]), probability(least["conflict_holm"])
        said = (
            f"No benchmark contradicts the others: the least p is {p} "
            f"({name_words(least['benchmark'])}), {after} after allowing for {len(frame)}."
        )
        return [said]
    return [
        f"{capital(name_words(row['benchmark']))} alone gives {plain(row['alone'])}, the others "
        f"{plain(row['without'])}: p {probability(row['conflict'])}, "
        f"{probability(row['conflict_holm'])} after allowing for {len(frame)}."
        for row in strong.to_dict("records")
    ]


def _picture(name: str, frame: Frame, found: Trust) -> Picture | None:
    """The figure of a check; None where it has none."""
    draw: dict[str, Callable[[Frame], Figure | None]] = {
        "conflict": conflict, "sources": conflict, "priors": _tornado, "hide-a-list": hide_a_list,
        "next-data": next_data, "families": families, "fit": predicted_cells,
        "tipping": lambda part: _tipping(part, found),
    }  # fmt: skip
    if name not in draw or frame.empty or (name == "conflict" and "benchmark" in frame):
        return None
    figure = draw[name](named_rows(frame, found))
    if figure is None:
        return None
    title, text = CAPTIONS.get(name, Caption(*TITLES[name]))
    if name == "priors" and "family" in frame and frame["family"].nunique() > 1:
        text += f" Of the family {name_words(_most_moved(frame))}, which they move most."
    seen = f"{TITLES[name].title} The table below has the numbers."
    return Picture(name, as_uri(figure), seen, title.rstrip("?"), text)


def _tornado(frame: Frame) -> Figure | None:
    """Of the family that other priors move most, where there are several."""
    if "family" in frame:
        frame = frame[frame["family"] == _most_moved(frame)]
    return tornado(frame)


def _most_moved(frame: Frame) -> str:
    """The family with the greatest move of its answer."""
    moved = frame["moved"].astype(float).fillna(0.0).to_numpy()
    return str(frame["family"].iloc[int(moved.argmax())])


def _tipping(frame: Frame, found: Trust) -> Figure | None:
    """Curves of every assumption, and the sizes that were asked for."""
    sizes = [float(size) for size in frame["threshold"].drop_duplicates()]
    curves = tipping_curves(found.fits, frame)
    return tipping(curves, sizes, _unit(found)) if len(curves) else None
