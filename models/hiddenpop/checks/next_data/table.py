"""What further data would be worth: how much narrower they would make the interval of N.

Future data are simulated from the posterior, and the interval after them is found by regression
(`next_data_width`), without a new fit. It is assumed that the model and today's posterior hold:
where they do not, new data may show it, and the interval may grow. What is given is the average
over what the data may show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.checks.next_data.benchmarks import next_surveys, next_surveys_of_areas
from hiddenpop.checks.next_data.evidence import next_evidence
from hiddenpop.checks.next_data.lists import (
    another_list,
    linked_summaries,
    seen_before,
    seen_before_if_dependent,
)
from hiddenpop.checks.next_data.tree import next_samples
from hiddenpop.checks.next_data.width import Asked, width_after
from hiddenpop.checks.priors.of_tables import stored_priors
from hiddenpop.estimate import Estimate
from hiddenpop.families.two_list import Priors as TwoLists
from hiddenpop.family_fits import FamilyFits
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.inputs.table import Table
from hiddenpop.inputs.tree import Tree
from hiddenpop.size import SizeEstimate
from hiddenpop.words import Exact, capital, listing, name_words, percent, plain

__all__ = ["COLUMNS", "helpful", "next_data", "next_data_sentences", "of_headline"]

COLUMNS = (
    "data", "about", "width_ratio", "mcse", "narrower", "low", "high", "now_low", "now_high",
    "level", "family",
)  # fmt: skip

EXACT_DRAWS = 20_000
"""Of a posterior that is computed, whose draws cost nothing."""

DEPENDENCE = TwoLists().odds_ratio
"""What is not known of the dependence of one more list: as the family two-list has it."""

LITTLE = 0.02
"""A narrowing below this, or below twice its Monte Carlo error, is called none."""

FIGURES = 3
"""Of the ends of intervals: with two a narrower interval often reads as the same one."""

MOST_SAID = 5
"""Data that get a sentence of their own."""


class _Answer(NamedTuple):
    """A posterior that data would narrow."""

    family: str
    size: np.ndarray
    asked: list[Asked]
    least: float


def next_data(
    fits: Estimate | FamilyFits,
    *,
    level: float = 0.95,
    seed: int = 1,
    on_step: Callable[[str], object] = str,
) -> pd.DataFrame:
    """How much narrower the interval of N would be with each kind of further data.

    - Lists (and published totals, and captures on one list): one more list, linked to and
      independent of those there are, half as long, as long and twice as long as the median of
      theirs; one as long that may depend on them by an unknown odds ratio; the linked table
      behind published totals, for the family `loglinear`.
    - Benchmarks: each survey behind a share or rate, and each survey of residents, once more; so
      with the samples of a tree.
    - Evidence: each number in use once more, of the headline's area and group; a study of two
      linked lists there.

    For an average of families also for each family behind it.

    Parameters
    ----------
    level
        Of the intervals.
    seed
        Of the simulated data.
    on_step
        Told each family before its turn.

    Returns
    -------
    pandas.DataFrame
        One row for each, the most useful first within a family, the headline's first: `data` and
        `about` (what they bear on) in words; `width_ratio`, width of the interval of log N after
        them over today's, averaged over what they may show, and its Monte Carlo standard error
        `mcse`; `narrower`, 1 - `width_ratio`; `low` and `high`, people, the interval if they show
        what is most expected; `now_low` and `now_high`, today's; `level`; `family`, empty for a
        synthesis. Empty where there is nothing that can be asked again.
    """
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng(seed)
    for answer in _answers(fits, rng, on_step):
        found = [_row(answer, asked, level) for asked in answer.asked]
        rows += sorted(found, key=lambda row: float(row["width_ratio"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(answer: _Answer, asked: Asked, level: float) -> dict[str, Any]:
    """One row of the frame."""
    width = width_after(answer.size, asked.found, level)
    return {
        "data": asked.what, "about": asked.about, "width_ratio": width.ratio, "mcse": width.mcse,
        "narrower": 1 - width.ratio, "low": max(width.low, answer.least), "high": width.high,
        "now_low": width.now_low, "now_high": width.now_high, "level": level,
        "family": answer.family,
    }  # fmt: skip


def _answers(
    fits: Estimate | FamilyFits, rng: np.random.Generator, on_step: Callable[[str], object]
) -> Iterator[_Answer]:
    """The headline, and the families behind an average."""
    if isinstance(fits, Estimate):
        report = fits.data.report
        area, group = report.areas[0], report.headline
        size = fits.draws("users", area=area, union=group)
        yield _Answer("", size, next_evidence(fits, area, group, rng), 0.0)
        return
    headline = fits.headline
    behind = fits.estimates.values() if headline.family == COMBINED else ()
    for estimate in (headline, *(one for one in behind if one.family != COMBINED)):
        if estimate.is_set:
            continue
        on_step(estimate.family)
        yield _Answer(estimate.family, *_asked(estimate, rng), estimate.observed)


def _draws(estimate: SizeEstimate, rng: np.random.Generator) -> np.ndarray:
    """Draws of N: many where the posterior is computed."""
    exact = estimate.distribution
    size = estimate.draws() if exact is None else exact.draw(EXACT_DRAWS, rng) + estimate.observed
    return np.maximum(size, 1.0)


def _asked(estimate: SizeEstimate, rng: np.random.Generator) -> tuple[np.ndarray, list[Asked]]:
    """Draws of N, and the data that its table can have more of."""
    table = estimate.data
    if isinstance(table, Tree):
        prior = stored_priors(estimate).size_prior
        return next_samples(table, prior, EXACT_DRAWS, rng)
    size = _draws(estimate, rng)
    if isinstance(table, MultiplierTable):
        if estimate.distribution is None:
            return size, next_surveys_of_areas(estimate, rng)
        return size, next_surveys(table, size, stored_priors(estimate), rng)
    found = _lists(table, size, rng)
    linked = linked_summaries(estimate, rng)
    if linked is not None and isinstance(table, Margins):
        what = "the overlaps behind the published totals"
        found.append(Asked(what, listing([name_words(name) for name in table.lists]), linked))
    return size, found


def _lists(table: Table, size: np.ndarray, rng: np.random.Generator) -> list[Asked]:
    """One more list, of several lengths."""
    those, them = "those there are", "them"
    if isinstance(table, OverlapTable):
        typical = float(np.median(table.list_totals))
    elif isinstance(table, Margins):
        typical = float(np.median(table.totals))
    elif isinstance(table, RepeatTable):
        typical, those, them = table.observed, "the one there is", "it"
    else:
        return []
    found = []
    for words, length in another_list(typical, table.observed):
        what = f"one more list, {words} {those} ({plain(Exact(length))} people), linked to {them}"
        again = seen_before(size, table.observed, length, rng)
        found.append(Asked(f"{what} and independent of {them}", "", again[:, None].astype(float)))
        if length == round(typical):
            again = seen_before_if_dependent(size, table.observed, length, DEPENDENCE, rng)
            low, high = (f"{end:.2g}" for end in DEPENDENCE[:2])
            what = f"{what} but dependent on {them}, by an unknown odds ratio of {low} to {high}"
            found.append(Asked(what, "", again[:, None]))
    return found


def of_headline(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the first family, the headline's; empty texts are texts, also when read from a file.

    A column of a file without any text comes back as numbers that are missing.
    """
    texts = {name: frame[name].astype(object).fillna("") for name in ("data", "about", "family")}
    filled = frame.assign(**texts)
    chosen: pd.DataFrame = filled[filled["family"] == filled["family"].iloc[0]]
    return chosen


def helpful(frame: pd.DataFrame) -> pd.Series[bool]:
    """Which data narrow the interval by more than `LITTLE`, and by more than chance."""
    return (frame["narrower"] > LITTLE) & (frame["narrower"] > 2 * frame["mcse"])


def next_data_sentences(frame: pd.DataFrame) -> list[str]:
    """What further data would do, the most useful first; of the first family.

    Parameters
    ----------
    frame
        From `next_data`.
    """
    if frame.empty:
        return []
    first = of_headline(frame)
    useful = helpful(first)
    found = [_sentence(row) for row in first[useful].head(MOST_SAID).to_dict("records")]
    if not found:
        found = ["None of the further data looked at would make the interval of N narrower."]
    elif not useful.all():
        count = int((~useful).sum())
        one = "One more kind of data was" if count == 1 else f"{count} more kinds of data were"
        found.append(f"{one} looked at that would hardly make it narrower.")
    return [*found, "This holds on average over what the data may show, if the model is right."]


def _sentence(row: dict[Any, Any]) -> str:
    """One row in words."""
    now = f"{plain(row['now_low'], FIGURES)} to {plain(row['now_high'], FIGURES)}"
    after = f"{plain(row['low'], FIGURES)} to {plain(row['high'], FIGURES)}"
    level, narrower = plain(100 * row["level"]), percent(row["narrower"])
    about = f" ({row['about']})" if row["about"] else ""
    return (
        f"{capital(row['data'])}{about} would make the {level} % interval of N {narrower} "
        f"narrower: typically {after} in place of {now}."
    )
