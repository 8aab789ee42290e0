"""How far the answer moves if each prior is halved and doubled.

A headline that a prior moves by more than a quarter of its interval rests on that prior as much as
on the data, and is flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pandas as pd

from hiddenpop.checks.influence import MAIN
from hiddenpop.checks.priors.answers import answers
from hiddenpop.checks.priors.of_tables import size_changes
from hiddenpop.checks.priors.tornado import (
    COLUMNS,
    LEFT_OUT,
    MOST_MOVED,
    NO_PART,
    REFITTED,
    REFUSED,
    REWEIGHTED,
    Row,
    answer_of,
    collect,
)
from hiddenpop.estimate import Estimate
from hiddenpop.families import FAMILIES
from hiddenpop.size import SizeEstimate
from hiddenpop.words import factor, listing, name_words, percent, triple

__all__ = ["size_tornado", "synthesis_tornado", "tornado_sentences"]


def size_tornado(
    estimate: SizeEstimate,
    *,
    level: float = 0.95,
    max_refits: int | None = None,
    done: pd.DataFrame | None = None,
    on_step: Callable[[str], object] = str,
    on_row: Callable[[Row], object] = str,
) -> pd.DataFrame:
    """N of one family under each of its priors halved and doubled.

    Every scale and interval of the family's `Priors` (`prior_changes.field_changes`), and other
    priors on N in place of the one that was used (`size_prior_changes`). Computed families are
    computed again, sampled ones sampled again with the same seed.

    Parameters
    ----------
    level
        Of the intervals.
    max_refits
        Most fits that have to be sampled; later ones are `LEFT_OUT`. Default: all.
    done
        What an earlier call returned or handed to `on_row`: its rows are not computed again,
        unless they were left out or belong to another fit.
    on_step
        Told each change before its turn.
    on_row
        Given each new row, so that it can be kept.

    Returns
    -------
    pandas.DataFrame
        One row for the main fit (`prior` "main"), then one for each `prior` and `change`: `how`
        the answer was found, its `median`, `low`, `high`, `ratio` of its median to the main one,
        `moved` (|log ratio| over log(high / low) of the main fit), `ends` (the same of the
        end of the interval that moves farther), `flagged` (moved more than `MOST_MOVED`),
        `passed` (the gates of the fit) and `pareto_k` of weights. `how` is "exact",
        "refitted", "reweighted", "no part" (the prior has none in this result), "refused" (the
        family has no answer under it) or "left out"; the last two have no numbers. Empty for a
        result without priors: a set of values, or an average of families.
    """
    if estimate.is_set or estimate.family not in FAMILIES:
        return pd.DataFrame(columns=list(COLUMNS))
    main = answer_of(MAIN, estimate.N(level), estimate.verdict.passed)
    changes = size_changes(estimate, level)
    return collect(main, changes, max_refits, done, on_step, on_row)


def synthesis_tornado(
    estimate: Estimate,
    *,
    area: str | None = None,
    group: str | None = None,
    only: Collection[str] | None = None,
    level: float = 0.95,
    max_refits: int | None = None,
    done: pd.DataFrame | None = None,
    on_step: Callable[[str], object] = str,
    on_row: Callable[[Row], object] = str,
) -> pd.DataFrame:
    """Users in one group and area under each prior of a synthesis halved and doubled.

    Which priors: `study_priors.study_changes`. The draws of the main fit are moved and weighed
    where that can be relied upon (`reweighting`); elsewhere the study is compiled and sampled
    again with the changed prior.

    Parameters
    ----------
    area, group
        Default: the first area of the report, and its headline group.
    only
        Names of the priors to change. Default: all.
    level, max_refits, done, on_step, on_row
        As for `size_tornado`.

    Returns
    -------
    pandas.DataFrame
        The columns of `size_tornado`.
    """
    report = estimate.data.report
    chosen = (area or report.areas[0], group or report.headline)
    summary = estimate.users(*chosen, level=level)
    main = answer_of(MAIN, summary, estimate.verdict.passed)
    return collect(main, answers(estimate, *chosen, level, only), max_refits, done, on_step, on_row)


def tornado_sentences(frame: pd.DataFrame, about: str = "") -> list[str]:
    """What a tornado says, one sentence for each finding.

    Parameters
    ----------
    frame
        From `size_tornado` or `synthesis_tornado`.
    about
        What the answer counts, such as "Crack users in Ilkeston, 2005".

    Returns
    -------
    Nothing for an empty frame.
    """
    if frame.empty:
        return []
    main, changed = frame[frame["prior"] == MAIN].iloc[0], frame[frame["prior"] != MAIN]
    judged = changed[~changed["how"].isin([REFUSED, LEFT_OUT])]
    moving = judged[judged["how"] != NO_PART]
    before = triple(main["median"], main["low"], main["high"])
    start = f"{about}: with" if about else "With"
    found = [f"{start} the priors as they are the answer is {before}."]
    flagged = moving[moving["flagged"]].sort_values("moved", ascending=False)
    for _, row in flagged.iterrows():
        after = triple(row["median"], row["low"], row["high"])
        found.append(
            f"It rests on a prior: with {_changed(row)} it is {after}, "
            f"{factor(row['ratio'])} times as large, a move of {percent(row['moved'])} of its "
            "interval."
        )
    if moving.empty:
        found.append("No prior that could be changed has a part in it.")
    elif flagged.empty:
        most = moving.sort_values("moved").iloc[-1]
        number = moving["prior"].nunique()
        who = f"Of {number} priors, changed one at a time, none" if number > 1 else "No prior"
        found.append(
            f"{who} moves it by more than {percent(MOST_MOVED)} of its interval; the largest move, "
            f"{percent(most['moved'])} of it, is with {_changed(most)}."
        )
    return found + _of_ends(moving) + _reservations(main, changed, moving)


def _of_ends(moving: pd.DataFrame) -> list[str]:
    """Where the median stays and an end of the interval does not."""
    some = moving[~moving["flagged"].astype(bool) & (moving["ends"] > MOST_MOVED)]
    if some.empty:
        return []
    row = some.sort_values("ends").iloc[-1]
    after = triple(row["median"], row["low"], row["high"])
    others = some["prior"].nunique() - 1
    more = f"; so it is with {others} more" if others else ""
    return [f"How sure it is rests on a prior: with {_changed(row)} it is {after}{more}."]


def _changed(row: pd.Series[Any]) -> str:
    """A change in words."""
    prior, change = name_words(str(row["prior"])), str(row["change"])
    if prior == "size prior":
        return f"another prior on the size ({change})"
    return f'the prior "{prior}" {change}'


def _reservations(main: pd.Series[Any], changed: pd.DataFrame, moving: pd.DataFrame) -> list[str]:
    """How far the answers can be relied upon."""
    found = []
    if not main["passed"]:
        found.append("The main fit failed a gate, so that all of this is for a look only.")
    weighed, refitted = (int((moving["how"] == how).sum()) for how in (REWEIGHTED, REFITTED))
    if weighed:
        found.append(
            f"{weighed} of these answers are the draws of the main fit, weighted anew where that "
            f"can be relied upon; {refitted} are new fits."
        )
    failed = moving[~moving["passed"].astype(bool) & (moving["how"] != REWEIGHTED)]
    if len(failed):
        names = listing([_changed(row) for _, row in failed.iterrows()])
        found.append(f"The fits with these changes failed a gate and are for a look only: {names}.")
    for how, why in ((REFUSED, "the family gives no answer"), (LEFT_OUT, "no fit was made")):
        some = changed[changed["how"] == how]
        if len(some):
            names = listing([_changed(row) for _, row in some.iterrows()])
            found.append(f"Not judged, as {why}: {names}.")
    return found
