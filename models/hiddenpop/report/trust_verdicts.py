"""The opening of the page of checks: what is checked, and one line for each check."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import pandas as pd
from scipy import stats

from hiddenpop.checks.conflict.words import ALPHA
from hiddenpop.checks.hidden_lists.hide_a_list import hidden_scores
from hiddenpop.checks.influence import MAIN
from hiddenpop.checks.priors.power_scaling import FINE
from hiddenpop.checks.priors.tornado import LEFT_OUT, MOST_MOVED, NO_PART, REFUSED
from hiddenpop.checks.tipping.evidence import CROSSES
from hiddenpop.checks.tipping.words import size_words
from hiddenpop.estimate import Estimate
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.inputs.terms import RESIDENTS
from hiddenpop.trust import Trust
from hiddenpop.trust_parts import parts_of
from hiddenpop.words import (
    capital,
    factor,
    group_words,
    listing,
    name_words,
    people,
    percent,
    probability,
)

__all__ = [
    "GATES",
    "Verdict",
    "about",
    "gate_note",
    "headline",
    "named_rows",
    "subject",
    "verdicts",
]

GATES = "gates"

GOOD, DOUBT, BAD, NOT_CHECKED = "holds", "doubt", "fails", "not checked"


class Verdict(NamedTuple):
    """One line of the opening.

    Attributes
    ----------
    name
        Of the check, for a link; "" where there is no section.
    title
        What was asked.
    mark
        "holds", "doubt", "fails", "not checked", or "" where a check tells a number and no
        verdict.
    words
        What was found.
    """

    name: str
    title: str
    mark: str
    words: str


def subject(found: Trust) -> str:
    """What the headline counts, inside a sentence: "crack users in Ilkeston"."""
    if isinstance(found.fits, Estimate):
        shown = found.fits.data.report
        return f"{group_words(shown.headline)} in {name_words(shown.areas[0])}"
    return "the people of the study"


def about(found: Trust) -> str:
    """What the page is about: "Crack users in Ilkeston, 2005"."""
    if isinstance(found.fits, Estimate):
        return f"{capital(subject(found))}, {found.fits.data.data.target.period}"
    return found.fits.study.title


def headline(found: Trust) -> str:
    """The number whose trust is at stake, in a sentence."""
    if isinstance(found.fits, Estimate):
        shown = found.fits.data.report
        size = found.fits.users(shown.areas[0], shown.headline, found.level)
        by = ""
    else:
        one = found.fits.headline
        size = one.N(found.level)
        by = (
            ", the average of the families"
            if one.family == COMBINED
            else f", by the family “{name_words(one.family)}”"
        )
    return (
        f"{about(found)}: {people(size.median)} people ({percent(size.level)} interval "
        f"{people(size.low)} to {people(size.high)}){by}."
    )


def named_rows(frame: pd.DataFrame, found: Trust) -> pd.DataFrame:
    """The frame with its rows of evidence named by what they are about, in place of their ids.

    "London: opiate users, 2006/07"; rows that are about the same get their id as well.
    """
    if not {"id", "about"} & set(frame) or not isinstance(found.fits, Estimate):
        return frame
    targets = found.fits.data.data.targets
    named = {str(row["id"]): _row_words(row) for row in targets.to_dict("records")}
    twice = {name for name in named.values() if list(named.values()).count(name) > 1}
    for key, name in named.items():
        if name in twice:
            named[key] = f"{name} ({name_words(key)})"
    if "id" in frame:
        return frame.assign(id=[named.get(str(key), str(key)) for key in frame["id"]])
    words = {name_words(key): name for key, name in named.items()}
    return frame.assign(about=[words.get(str(text), text) for text in frame["about"]])


def _row_words(row: dict[Hashable, Any]) -> str:
    """Area, group and period of a row."""
    group = group_words(str(row["group"]))
    if row["of"] == RESIDENTS:
        group = f"share of residents who are {group}"
    elif row["of"]:
        group = f"{group} as a share of {group_words(str(row['of']))}"
    return f"{name_words(str(row['area']))}: {group}, {row['period']}"


def verdicts(found: Trust, titles: dict[str, str], said: dict[str, list[str]]) -> list[Verdict]:
    """A line for the gates, each check that was made, and each that was not.

    Parameters
    ----------
    titles
        The question that each check answers.
    said
        Sentences of each check that was made; the first stands for a check that has no line of
        its own here.
    """
    lines = [_gates(found)]
    for name, frame in found.parts.items():
        title = titles.get(name, capital(name_words(name)))
        if frame.empty:
            lines.append(Verdict(name, title, NOT_CHECKED, "There is nothing of this kind here."))
            continue
        mark, words = _LINES.get(name, _first)(named_rows(frame, found))
        lines.append(
            Verdict(name, title, mark, words or next(iter(said.get(name, [])), "See below."))
        )
    possible = parts_of(found.fits)
    for name, title in titles.items():
        if name not in found.parts:
            why = "It was not asked for." if name in possible else _reason(name, found)
            lines.append(Verdict("", title, NOT_CHECKED, why))
    return lines


def _reason(name: str, found: Trust) -> str:
    """Why a check is none of this result's."""
    if isinstance(found.fits, Estimate):
        return {
            "hide-a-list": "It needs a study of one table with three or more lists.",
            "families": "A synthesis of evidence has one model, not several families.",
        }.get(name, "It is not made for a synthesis of evidence.")
    return {
        "conflict": "One table without two or more benchmarks has nothing to contradict.",
        "sources": "One table is one source.",
        "hide-a-list": "It needs a table with three or more lists.",
    }.get(name, "It is not made for this kind of table.")


def _gates(found: Trust) -> Verdict:
    """Whether the computation did what it should, and what was overridden."""
    fits = found.fits
    passed = fits.verdict.passed if isinstance(fits, Estimate) else fits.passed
    every = [fits.verdict] if isinstance(fits, Estimate) else list(fits.verdicts.values())
    gates = [gate for verdict in every for gate in verdict.gates]
    failed = [f"{gate.name} {gate.found:,.4g} (allowed: {gate.allowed})"
              for gate in gates if not gate.passed]  # fmt: skip
    if failed:
        words = f"Failed: {'; '.join(failed)}. The checks were made all the same, as was asked."
    elif gates:
        words = f"All {len(gates)} gates passed." if len(gates) > 1 else "Its gate was passed."
    else:
        words = "Everything was computed exactly: there is no sampler to check."
    if changed := found.finished.changed_versions:
        names = [one.split(" was ")[0].replace("hiddenpop code", "this program") for one in changed]
        words += (
            f" The result was made by another version of {listing(names)} and was checked all the "
            "same, as was asked: refits may differ for that reason alone."
        )
    if isinstance(fits, Estimate) and fits.quick:
        words += " It was a quick run, for a look only."
    mark = BAD if not passed else DOUBT if found.finished.changed_versions else GOOD
    return Verdict(GATES, "Did the computation do what it should?", mark, words)


def gate_note(names: list[str]) -> str:
    """What the gates with these names ask."""
    said = []
    if "R-hat" in names:
        said.append(
            "A fit that is sampled explores what is possible step by step. The gates ask whether "
            "independent runs agree (R-hat near 1), whether they explored enough (effective sample "
            "size), and whether steps went wrong (divergent transitions)."
        )
    if "posterior beyond the grid" in names:
        said.append(
            "An answer that is computed on a grid of sizes must have hardly any probability beyond "
            "its end."
        )
    return " ".join(said)


type _Line = tuple[str, str]


def _first(frame: pd.DataFrame) -> _Line:  # noqa: ARG001
    """The first sentence of the check, without a verdict."""
    return "", ""


def _conflicts(frame: pd.DataFrame) -> _Line:
    """Of rows, sources or benchmarks."""
    kind = next(key for key in ("benchmark", "id", "source") if key in frame)
    what = {"benchmark": "benchmarks", "id": "rows of evidence", "source": "sources"}[kind]
    p = "conflict" if kind == "benchmark" else "p"
    looked = int(frame[p].notna().sum())
    small = frame[frame[p] < ALPHA].sort_values(p)
    after = int((frame[f"{p}_holm"] < ALPHA).sum())
    if small.empty:
        return GOOD, f"None of {looked} {what} contradicts the rest."
    names = listing([f"“{name_words(str(x))}”" for x in small[kind].head(3)])
    more = f" and {len(small) - 3} more" if len(small) > 3 else ""
    verb = "contradicts" if len(small) == 1 else "contradict"
    words = (
        f"{len(small)} of {looked} {what} {verb} the rest at p below .05, where chance alone "
        f"would give {factor(ALPHA * looked)}: {names}{more}. {after or 'None'} "
        f"{'is' if after == 1 else 'are'} left after allowing for {looked} looked at."
    )
    chance = float(stats.binom.sf(len(small) - 1, looked, ALPHA))
    return (BAD if after else DOUBT if chance < ALPHA else GOOD), words


def _priors(frame: pd.DataFrame) -> _Line:
    judged = frame[(frame["prior"] != MAIN) & ~frame["how"].isin([NO_PART, REFUSED, LEFT_OUT])]
    every, flagged = judged["prior"].nunique(), judged[judged["flagged"].astype(str) == "True"]
    limit = percent(MOST_MOVED)
    if judged.empty:
        return GOOD, "No prior that could be changed has a part in the answer."
    if flagged.empty:
        most = percent(float(judged["moved"].max()))
        return GOOD, (
            f"Halved or doubled, none of {every} priors moves the answer by more than {limit} of "
            f"its interval; the largest move is {most}."
        )
    names = listing([f"“{name_words(str(x))}”" for x in flagged["prior"].unique()])
    return DOUBT, f"The answer moves by more than {limit} of its interval with the prior {names}."


def _power(frame: pd.DataFrame) -> _Line:
    some = frame[frame["finding"] != FINE]
    if some.empty:
        return GOOD, "Neither the answer nor a rate reacts to a slightly stronger prior."
    each = [
        f"{finding} for {listing([f'“{name_words(str(x))}”' for x in rows['quantity'].unique()])}"
        for finding, rows in some.groupby("finding", sort=False)
    ]
    return DOUBT, f"{capital('; '.join(each))}."


def _hidden(frame: pd.DataFrame) -> _Line:
    scores = hidden_scores(frame)
    if scores.empty:
        return NOT_CHECKED, "No family could predict a hidden list."
    widest = scores[scores["level"] == scores.groupby("family")["level"].transform("max")]
    each = [f"{row['covered']} of {row['lists']} ({name_words(row['family'])})"
            for row in widest.to_dict("records")]  # fmt: skip
    missed = (widest["covered"] < widest["lists"]).any()
    words = f"Lists whose known size lies within the interval that was predicted: {listing(each)}."
    return (DOUBT if missed else GOOD), words


def _tipping(frame: pd.DataFrame) -> _Line:
    """Of a synthesis, the likeliest way to each threshold."""
    if "finding" not in frame:
        return "", ""
    told = []
    for target, rows in frame.groupby("threshold", sort=False):
        some = rows[rows["finding"] == CROSSES].sort_values("prior", ascending=False)
        size = size_words(float(str(target)))
        if some.empty:
            told.append(f"No single bias or rate that was moved gives {size}.")
            continue
        row = some.iloc[0]
        value = percent(row["crossing"]) if row["kind"] == "share" else factor(row["crossing"])
        told.append(
            f"The likeliest single way to {size}: the {row['kind']} of “{name_words(row['name'])}” "
            f"at {value} (prior probability of that or farther: {probability(row['prior'])})."
        )
    return "", " ".join(told)


_LINES: dict[str, Callable[[pd.DataFrame], _Line]] = {
    "conflict": _conflicts, "sources": _conflicts, "priors": _priors, "power": _power,
    "hide-a-list": _hidden, "tipping": _tipping,
}  # fmt: skip
