"""Hide a list: predict from the other lists how many people one list holds, which is known.

The people on list j are a population of known size n_j. Each other list, kept to people on j,
samples that population; the people of j on no other list play the unseen. A family fitted to this
table of L - 1 lists gives a posterior of its N, which is compared with n_j (Hook & Regal 2000, Am
J Epidemiol 152:771-779, "internal validity analysis"; Binette & Steorts 2022, J R Stat Soc A,
arXiv:2112.01594, "internal consistency").

It is a test of the methods on people like those listed. People on no list at all may differ from
them, and nothing here reaches those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.checks.hidden_lists.known_size import (
    TOTAL,
    average_against,
    estimate_against,
    flag,
    hidden_scores,
)
from hiddenpop.errors import InputError
from hiddenpop.families import families_of
from hiddenpop.families.refusal import Refusal
from hiddenpop.family_fits import check_options, default_families
from hiddenpop.inputs.faults import Fault, Faults, choose
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.size import SizeEstimate, fit_table, refused
from hiddenpop.words import listing, percent

__all__ = ["COLUMNS", "Hidden", "hidden", "hidden_scores", "hide_a_list", "sentences"]

LEAST = 3
"""Lists that a table must have: one to hide, and two to estimate from."""

CAUTION = (
    "The lists share people, so they are not independent trials; and people on no list may differ "
    "from those on one."
)

COLUMNS = (
    "stratum", "list", "family", "truth", "seen", "others", "level", "median", "low", "high",
    "covered", "ratio", "log_score", "interval_score", "passed", "is_set", "reason",
)  # fmt: skip

FLAGS = ("covered", "passed", "is_set")
NUMBERS = tuple(set(COLUMNS) - {"stratum", "list", "family", "reason", *FLAGS})


class Hidden(NamedTuple):
    """A list as a population of known size.

    Attributes
    ----------
    table
        The other lists, kept to the people on this one; residents are not known.
    size
        People on the list: what N of `table` is in truth.
    """

    table: OverlapTable
    size: float


def hidden(table: OverlapTable, name: str) -> Hidden:
    """Take one list for the population, and the others for the lists of it.

    Parameters
    ----------
    table
        At least three lists; strata stay.
    name
        The list.

    Raises
    ------
    InputError
        With fewer than three lists, with a name that is none of them, or if a cell of the list
        is known only as a range.
    """
    _check(table, (name,))
    place = table.lists.index(name)
    on = table.history[:, place]
    if np.any(table.low[on] < table.high[on]):
        raise InputError([Fault(
            "hide-ranges", f"List '{name}' has cells that are known only as a range.",
            "Its size is then not known, so that nothing can be compared with it.",
            "Hide another list, or read the table with exact counts.",
        )])  # fmt: skip
    others = np.delete(table.history, place, axis=1)
    kept = on & others.any(axis=1)
    restricted = replace(
        table, lists=tuple(x for x in table.lists if x != name), history=others[kept],
        stratum=table.stratum[kept], low=table.low[kept], high=table.high[kept],
        structural=table.structural[kept], population=None,
    )  # fmt: skip
    return Hidden(restricted.sorted(), float(table.low[on].sum()))


def hide_a_list(
    table: OverlapTable,
    families: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    sampling: Sampling | None = None,
    on_step: Callable[[str], object] | None = None,
    *,
    lists: Sequence[str] | None = None,
    by_stratum: bool = False,
) -> pd.DataFrame:
    """Predict the known size of each list from the others, by each family.

    Parameters
    ----------
    table
        At least three lists. Strata are added up.
    families
        `combined` stands for the average of the others among them. Default: those that are
        computed exactly, and their average.
    options
        As `fit_families` takes them; those of other families are left alone. A prior on N
        (`size_prior`) is about the population that is sought and not about the people on a list:
        1/N stands in its place here. Ranges of pairs of lists (`pairs` of `bounds`) are left out
        where they name the hidden one.
    sampling
        Seed, and draws for families that sample. Such families compile anew for each list.
    on_step
        Told list and family before each fit.
    lists
        Lists to hide; default: each in turn.
    by_stratum
        Whether to do the same in each stratum, after the total.

    Returns
    -------
    pandas.DataFrame
        One row for each stratum (`all` is the total), list, family and level:

        - `truth`, people on the list; `seen`, those of them on another list as well;
          `others`, the other lists that hold any of them: the rest are left out;
        - `median`, `low`, `high` (people), the central interval of probability `level`;
        - `covered`, whether the interval holds the truth; `ratio`, median over truth;
        - `log_score`, log posterior probability of the truth (`known_size.log_score`), and
          `interval_score` on the scale of log N (`known_size.interval_score`);
        - `passed`, whether the fit passed its gates;
        - `is_set`, whether the family gives a set of values: it has one row, at its own level,
          its best value for `median`, and no scores.

        A family that cannot be used has one row with a `reason` and no numbers of its own;
        `reason` is empty in all others.

    Raises
    ------
    InputError
        With fewer than three lists, or with a list, family or option that does not exist.
    """
    names = tuple(lists or table.lists)
    _check(table, names)
    chosen = tuple(families or (*default_families(table), COMBINED))
    check_options({}, tuple(family for family in chosen if family != COMBINED))
    given = check_options(options or {}, tuple(families_of("overlap")))
    parts = {TOTAL: table.total()}
    if by_stratum and table.factors:
        parts |= {s: table.of_stratum(i) for i, s in enumerate(table.stratum_names)}
    rows = []
    for stratum, part in parts.items():
        for name in names:

            def tell(family: str, step: str = f"{name}, {stratum}: ") -> None:
                if on_step:
                    on_step(step + family)

            found = _one_list(part, name, chosen, _about(name, given), sampling or Sampling(), tell)
            rows += [{"stratum": stratum, "list": name, "reason": ""} | row for row in found]
    return (
        pd.DataFrame(rows)
        .reindex(columns=list(COLUMNS))
        .astype(dict.fromkeys(NUMBERS, float) | dict.fromkeys(FLAGS, "boolean"))
    )


def _one_list(
    table: OverlapTable,
    name: str,
    families: tuple[str, ...],
    options: dict[str, Any],
    sampling: Sampling,
    tell: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """Rows of one list: estimates, and refusals."""
    try:
        part, size = hidden(table, name)
    except InputError as error:
        yield from ({"family": family, "reason": error.faults[0].what} for family in families)
        return
    part = _in_use(part)
    known = {"truth": size, "seen": part.observed, "others": len(part.lists)}
    if len(part.lists) < LEAST - 1:
        reason = f"Of the people on list '{name}', fewer than two other lists hold any."
        yield from ({"family": family, **known, "reason": reason} for family in families)
        return
    estimates: dict[str, SizeEstimate] = {}
    for family in families:
        if family == COMBINED:
            continue
        tell(family)
        if refusal := refused(part, family, options):
            yield {"family": family, **known, "reason": _words(family, refusal)}
            continue
        found = fit_table(part, family, options=options, sampling=sampling, check=False)
        estimates[family] = found
        yield from ({"family": family, **known, **row} for row in estimate_against(found, size))
    if COMBINED in families:
        none = [{"reason": "Fewer than two families gave a posterior."}]
        rows = average_against(estimates, size, sampling.seed) or none
        yield from ({"family": COMBINED, **known, **row} for row in rows)


def _in_use(table: OverlapTable) -> OverlapTable:
    """Without lists that hold nobody: they tell nothing of the unseen, and families refuse them."""
    used = table.history.T.astype(float) @ table.high > 0
    if used.all():
        return table
    kept = ~table.history[:, ~used].any(axis=1)
    lists = tuple(name for name, some in zip(table.lists, used, strict=True) if some)
    return replace(
        table, lists=lists, history=table.history[kept][:, used], stratum=table.stratum[kept],
        low=table.low[kept], high=table.high[kept], structural=table.structural[kept],
    )  # fmt: skip


def sentences(frame: pd.DataFrame) -> list[str]:
    """What hiding each list says of the families, in words, from all strata together."""
    frame = frame[frame["stratum"] == TOTAL]
    sets = set(frame.loc[flag(frame, "is_set"), "family"])
    said = []
    for family, rows in hidden_scores(frame).groupby("family", sort=False):
        row = rows.sort_values("level").iloc[-1]
        off, kind = float(row["underestimate"]), "range" if family in sets else "interval"
        said.append(
            f"{family}: the {percent(row['level'])} {kind} holds the known size of "
            f"{row['covered']} of {row['lists']} lists; its middle is on average "
            f"{percent(abs(off))} too {'low' if off > 0 else 'high'}."
        )
    if said:
        said.append(CAUTION)
    failed = frame[~flag(frame, "passed") & frame["level"].notna()]
    said += [
        f"{family}: the fit failed its gates for {listing(list(rows['list'].unique()))}."
        for family, rows in failed.groupby("family", sort=False)
    ]
    for reason, rows in frame[frame["level"].isna()].groupby("reason", sort=False):
        families, names = rows["family"].unique(), listing(list(rows["list"].unique()))
        nobody = len(families) == frame["family"].nunique()
        who = "No family could" if nobody else f"{listing(list(families))} could not"
        said.append(f"{who} predict {names}: {reason}")
    return said


def _about(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without what they say of the whole population, or of the hidden list."""
    kept: dict[str, Any] = {}
    for key, value in options.items():
        if key == "pairs":
            kept[key] = tuple(pair for pair in value if name not in pair[:2])
        elif key != "size_prior":
            kept[key] = _about(name, value) if isinstance(value, dict) else value
    return kept


def _check(table: OverlapTable, names: tuple[str, ...]) -> None:
    """Enough lists, and known ones."""
    if len(table.lists) < LEAST:
        raise InputError([Fault(
            "hide-lists", f"The table has {len(table.lists)} lists.",
            "One list is hidden, and its size is estimated from two others at least.",
            f"Bring a table of at least {LEAST} lists.",
        )])  # fmt: skip
    for name in names:
        if name not in table.lists:
            fix = choose(name, table.lists)
            what = f"There is no list '{name}'."
            raise InputError([Fault("hide-unknown", what, "It cannot be hidden.", fix)])


def _words(family: str, refusal: Refusal) -> str:
    """A refusal as one text."""
    faults = Faults()
    faults.report(refusal.code, {"family": family, **refusal.values})
    fault = faults.found[0]
    return f"{fault.what} {fault.why} {fault.fix}"
