"""The page of the checks: what each found, in words, a figure and a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from hiddenpop.checks.conflict_words import conflict_sentences, source_sentences
from hiddenpop.checks.hide_a_list import hidden_scores
from hiddenpop.checks.hide_a_list import sentences as hidden_sentences
from hiddenpop.checks.power_scaling import power_sentences
from hiddenpop.checks.prior_sensitivity import tornado_sentences
from hiddenpop.estimate import Estimate
from hiddenpop.files import whole
from hiddenpop.inference import versions
from hiddenpop.plots.conflict import conflict
from hiddenpop.plots.hide_a_list import hide_a_list
from hiddenpop.plots.tornado import tornado
from hiddenpop.report.figures import Picture, as_uri
from hiddenpop.results import as_json, reseal
from hiddenpop.trust import Trust
from hiddenpop.words import plain, probability

__all__ = ["trust_page", "trust_words", "write_trust"]

PAGE = "trust.html"
LINK = f'<a href="{PAGE}">Checks of this result</a>'

PROBABILITIES = ("p", "p_holm", "conflict", "conflict_holm")

MOST_ROWS = 60
"""Rows of a table that are shown; the CSV has all."""

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
    left: int


class Asked(NamedTuple):
    """The question that a check answers, and how to read the answer."""

    title: str
    why: str


TITLES = {
    "conflict": Asked(
        "Does the evidence contradict itself?",
        (
            "Each number is left out in turn; what everything else says it should be is held "
            "against what it reports. A small p says that chance and the stated errors hardly "
            "explain the difference; p_holm allows for looking at many."
        ),
    ),
    "sources": Asked(
        "Which source pulls which way?",
        "All numbers of one source are left out together, because they share its bias.",
    ),
    "priors": Asked(
        "Would other priors have given another answer?",
        (
            "Each prior is made half and twice as wide. A change is flagged that moves the "
            "median by more than a quarter of its interval."
        ),
    ),
    "power": Asked(
        "Prior against evidence",
        (
            "How much the answer answers to a little more weight on the prior, or on the "
            "evidence, of a sampled fit."
        ),
    ),
    "hide-a-list": Asked(
        "Would the method have found a list whose size is known?",
        (
            "Each list is taken for the population: its size is known, and the other lists "
            "predict it. What fails here would fail on the population too; what holds here "
            "may still fail."
        ),
    ),
    "tipping": Asked(
        "What would have to be true for another answer?",
        (
            "The dependence of lists, bias of a survey or error of a count at which N is the "
            "size in the last column."
        ),
    ),
}


def trust_words(found: Trust) -> dict[str, list[str]]:
    """What each check found, in sentences."""
    return {name: _words(name, frame, found) for name, frame in found.parts.items()}


def trust_page(found: Trust) -> str:
    """Write the page: HTML that loads nothing from anywhere."""
    environment = Environment(
        loader=PackageLoader("hiddenpop.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("trust.html.j2").render(
        title=found.fits.data.title if isinstance(found.fits, Estimate) else found.fits.study.title,
        sections=[_section(name, frame, found) for name, frame in found.parts.items()],
        gates=_gates(found),
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
        {"family": family, "name": gate.name, "found": f"{gate.found:,.4g}",
         "allowed": gate.allowed, "passed": gate.passed}
        for family, verdict in verdicts.items() for gate in verdict.gates
    ]  # fmt: skip


def _section(name: str, frame: Frame, found: Trust) -> Section:
    title, why = TITLES[name]
    shown = hidden_scores(frame) if name == "hide-a-list" and len(frame) else frame
    shown = shown.loc[:, [c for c in shown if not _empty(shown[c])]]
    rows = [
        [_cell(str(c), row[c]) for c in shown] for row in shown.head(MOST_ROWS).to_dict("records")
    ]
    return Section(
        name, title, why, _words(name, frame, found), _picture(name, frame),
        [str(c).replace("_", " ") for c in shown], rows, max(0, len(shown) - MOST_ROWS),
    )  # fmt: skip


def _empty(column: pd.Series[Any]) -> bool:
    return bool(column.isna().all() or (column.astype(str) == "").all())


def _cell(name: str, value: object) -> str:
    """A value of a table, rounded for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return "" if value is None or value is pd.NA else str(value)
    if math.isnan(value):
        return ""
    return probability(value) if name in PROBABILITIES else plain(value, 3)


def _words(name: str, frame: Frame, found: Trust) -> list[str]:
    """What a check found, in sentences; by family where there are several."""
    if frame.empty:
        return ["There is nothing of this kind to check here."]
    say: dict[str, Callable[[Frame], list[str]]] = {
        "conflict": conflict_sentences, "sources": source_sentences,
        "priors": tornado_sentences, "power": power_sentences, "hide-a-list": hidden_sentences,
    }  # fmt: skip
    if name == "conflict" and not isinstance(found.fits, Estimate):
        return _benchmark_words(frame)
    if name not in say:
        return []
    if "family" not in frame or name == "hide-a-list":
        return say[name](frame)
    return [
        f"{family}: {sentence}"
        for family, part in frame.groupby("family", sort=False)
        for sentence in say[name](part)
    ]


def _benchmark_words(frame: Frame) -> list[str]:
    """Conflicts between benchmarks that are left after allowing for the number looked at."""
    strong = frame[frame["conflict_holm"] < 0.05]
    if strong.empty:
        least = frame.iloc[int(frame["conflict"].to_numpy().argmin())]
        p, after = probability(least["conflict"]), probability(least["conflict_holm"])
        said = (
            f"No benchmark contradicts the others: the least p is {p} ({least['benchmark']}), "
            f"{after} after allowing for {len(frame)}."
        )
        return [said]
    return [
        f"{row['benchmark']} alone gives {plain(row['alone'])}, the others "
        f"{plain(row['without'])}: p {probability(row['conflict'])}, "
        f"{probability(row['conflict_holm'])} after allowing for {len(frame)}."
        for row in strong.to_dict("records")
    ]


def _picture(name: str, frame: Frame) -> Picture | None:
    """The figure of a check; None where it has none."""
    draw: dict[str, Callable[[Frame], Figure | None]] = {
        "conflict": conflict, "sources": conflict, "priors": _tornado, "hide-a-list": hide_a_list,
    }  # fmt: skip
    if name not in draw or frame.empty or "benchmark" in frame:
        return None
    figure = draw[name](frame)
    if figure is None:
        return None
    title, why = TITLES[name]
    return Picture(name, as_uri(figure), f"{title} The table below has the numbers.", title, why)


def _tornado(frame: Frame) -> Figure | None:
    """Of the first family, where there are several."""
    first: Iterable[Any] = frame["family"].drop_duplicates().head(1) if "family" in frame else []
    for family in first:
        frame = frame[frame["family"] == family]
    return tornado(frame)
