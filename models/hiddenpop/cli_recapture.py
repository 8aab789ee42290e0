"""The command `hiddenpop recapture`: from its options to a study, and its answer as a table."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as RichTable

from hiddenpop.errors import HiddenPopError
from hiddenpop.words import percent, plain

if TYPE_CHECKING:
    from hiddenpop.family_fits import FamilyFits
    from hiddenpop.inputs.size_study import SizeStudy

__all__ = [
    "BEST",
    "BY",
    "COUNT",
    "COVARIATES",
    "DELTA",
    "DISTINCT",
    "DRAWS",
    "DUPLICATES",
    "ESTIMATOR",
    "FAMILY",
    "HISTORY",
    "IGNORE",
    "IMPOSSIBLE",
    "LISTS",
    "LIST_COLUMN",
    "MARGINS",
    "OPTION",
    "ORDER",
    "PERSON",
    "POPULATION",
    "SIZE_PRIOR",
    "SUPPRESSED",
    "THRESHOLD",
    "TIMES",
    "TableOptions",
    "answer_table",
    "command",
    "options_from",
    "study_from",
]

ALL = "all"


def _option(name: str, text: str, metavar: str) -> Any:  # noqa: ANN401
    return typer.Option(name, help=text, metavar=metavar)


COLUMNS = "A,B,..."
LISTS = Annotated[
    str | None,
    _option("--lists", "Columns that say 1 where a person was on the list, 0 where not; "
            "or names of the lists.", COLUMNS),
]  # fmt: skip
COUNT = Annotated[str | None, _option("--count", "Column with numbers of people.", "COLUMN")]
HISTORY = Annotated[
    str | None, _option("--history", "Column with capture histories such as 1010.", "COLUMN")
]
PERSON = Annotated[
    str | None, _option("--person", "Column with ids, where each row is a person.", "COLUMN")
]
LIST_COLUMN = Annotated[
    str | None,
    _option("--list-column", "Column with names of lists, where each row is a person on a list.",
            "COLUMN"),
]  # fmt: skip
BY = Annotated[str | None, _option("--by", "Columns that make strata.", COLUMNS)]
IGNORE = Annotated[str | None, _option("--ignore", "Columns to leave alone.", COLUMNS)]
SUPPRESSED = Annotated[
    list[str] | None,
    _option("--suppressed", "What a mark stands for: '<5=0-4' or '*=1-7'.", "MARK=LOW-HIGH"),
]
IMPOSSIBLE = Annotated[
    str | None, _option("--impossible", "Histories that could not occur.", "110,111,...")
]
DUPLICATES = Annotated[
    bool, typer.Option("--add-duplicates", help="Add up rows of the same history and stratum.")
]
TIMES = Annotated[
    str | None, _option("--times", "One list: column with how often a person was seen.", "COLUMN")
]
COVARIATES = Annotated[
    str | None, _option("--covariates", "One list: columns that this may depend on.", COLUMNS)
]
MARGINS = Annotated[
    str | None, _option("--margins", "Published totals of the lists, without a table.", "N,N,...")
]
DISTINCT = Annotated[
    str | None, _option("--distinct", "Different people on all lists together.", "N")
]
FAMILY = Annotated[
    list[str] | None,
    _option("--family", "Use this family (more than once for several; 'all' for every one that "
            "applies). Default: every family that is computed exactly.", "NAME"),
]  # fmt: skip
POPULATION = Annotated[
    float | None, _option("--population", "Residents at the target's ages.", "N")
]
ESTIMATOR = Annotated[
    str | None, _option("--estimator", "loglinear-average: weights from bic, sbh or uip.", "NAME")
]
ORDER = Annotated[
    int | None, _option("--order", "Most lists in an interaction: 2 for pairs only.", "K")
]
BEST = Annotated[
    bool, typer.Option("--best", help="Only the best model; its interval is conditional on it.")
]
DELTA = Annotated[
    float | None, _option("--delta", "graphs: prior count in each cell. Default 2^-lists.", "X")
]
SIZE_PRIOR = Annotated[
    str | None,
    _option("--size-prior", "1/N, uniform:MOST, lognormal:MEDIAN,P90 or gamma:SHAPE,SCALE.",
            "PRIOR"),
]  # fmt: skip
OPTION = Annotated[
    list[str] | None,
    _option(
        "--option",
        "Any other setting of a family: saturated=true, or bounds.odds_ratio=1,5.",
        "NAME=VALUE",
    ),
]
THRESHOLD = Annotated[
    float | None,
    _option("--threshold", "Say at which dependence between lists N would be this.", "N"),
]
DRAWS = Annotated[int | None, _option("--draws", "Draws of each chain, where one samples.", "N")]


@dataclass(frozen=True)
class TableOptions:
    """The options that say how a table is read, as typed."""

    lists: str | None = None
    count: str | None = None
    history: str | None = None
    person: str | None = None
    list_column: str | None = None
    by: str | None = None
    ignore: str | None = None
    suppressed: list[str] | None = None
    impossible: str | None = None
    add_duplicates: bool = False
    times: str | None = None
    covariates: str | None = None
    margins: str | None = None
    distinct: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()


def _pairs(texts: Iterable[str], name: str) -> dict[str, str]:
    """MARK=VALUE options; a mark may itself begin with '<='."""
    found = {}
    for text in texts:
        match = re.fullmatch(r"(.+?)=([^=]*)", text, re.DOTALL)
        if match is None:
            raise HiddenPopError(f"{name} {text}: write it as NAME=VALUE.")
        found[match[1]] = match[2]
    return found


def options_from(named: dict[str, Any], others: list[str] | None) -> dict[str, Any]:
    """Options of the families: those with a name of their own, and `--option NAME=VALUE`."""
    found = {key: value for key, value in named.items() if value not in (None, False)}
    for key, text in _pairs(others or [], "--option").items():
        family, _, name = key.rpartition(".")
        place = found.setdefault(family, {}) if family else found
        place[name] = _value(text)
    return found


def _value(text: str) -> object:
    """A number, true or false, a list of them, or a text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if "," in text:
        return [_value(part.strip()) for part in text.split(",")]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def command(context: typer.Context) -> str:
    """The command as it can be typed again; where the result goes does not belong to it."""
    words = ["hiddenpop", str(context.info_name)]
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if value in (None, False, (), []) or parameter.name in ("out", "json"):
            continue
        if parameter.param_type_name == "argument":
            words.append(Path(str(value)).name)
        elif value is True:
            words.append(parameter.opts[0])
        else:
            several = value if isinstance(value, list | tuple) else [value]
            words += [word for one in several for word in (parameter.opts[0], _typed(one))]
    return shlex.join(words)


def _typed(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def study_from(
    path: Path | None,
    table: TableOptions,
    *,
    families: list[str] | None = None,
    population: float | None = None,
    options: dict[str, Any] | None = None,
    seed: int | None = None,
    draws: int | None = None,
    threshold: float | None = None,
) -> SizeStudy:
    """A study of the table that the options describe.

    Raises
    ------
    InputError
        With every fault of the table.
    HiddenPopError
        If the options contradict each other.
    """
    from hiddenpop.families import FAMILIES
    from hiddenpop.inputs.canonical import canonical
    from hiddenpop.inputs.faults import choose
    from hiddenpop.inputs.settings import Sampling
    from hiddenpop.inputs.size_study import (
        COMBINED,
        SizeStudy,
        SizeTarget,
        TableSource,
    )

    if (path is None) == (table.margins is None):
        raise HiddenPopError(
            "Give either a table or --margins with --distinct: an estimate comes from one of them."
        )
    known = [name for name, family in FAMILIES.items() if family.data != "evidence"]
    for name in families or []:
        if name not in (*known, ALL):
            raise HiddenPopError(f"There is no capture-recapture family '{name}'. "
                                 f"{choose(name, [*known, ALL])}")  # fmt: skip
    source = TableSource(
        None if path is None else path.name, _parts(table.lists), table.count, table.history,
        table.person, table.list_column, table.times, _parts(table.by), _parts(table.covariates),
        _pairs(table.suppressed or [], "--suppressed"), _parts(table.impossible),
        _parts(table.ignore), table.add_duplicates, _parts(table.margins), table.distinct,
    )  # fmt: skip
    read = source.read(Path() if path is None else path.parent, population)
    sampling = Sampling(**{k: v for k, v in (("seed", seed), ("draws", draws)) if v is not None})
    name = re.sub(r"[^a-z0-9]+", "-", ("margins" if path is None else path.stem).lower())
    title = "Published margins" if path is None else path.name
    chosen = tuple(families or ())
    headline = chosen[0] if len(chosen) == 1 and chosen[0] != ALL else COMBINED
    return canonical(SizeStudy(
        name.strip("-") or "table", title, "How many people are on none of the lists?",
        SizeTarget(population=population), source, read, chosen, headline,
        options or {}, sampling, threshold,
    ))  # fmt: skip


def answer_table(found: FamilyFits) -> RichTable:
    """One row per family, rounded for people."""
    table = RichTable(title=found.study.title, title_justify="left")
    rate = found.data.residents is not None
    heads = ["family", "N", "95 % interval", "unseen", "seen"] + (["per 1,000"] if rate else [])
    for head in heads:
        table.add_column(head, justify="left" if head == "family" else "right")
    for name, estimate in found.estimates.items():
        size, unseen = estimate.N(), estimate.unseen()
        level = "" if size.level == 0.95 else f" ({percent(size.level)})"
        row = [
            name + ("" if estimate.verdict.passed else " [red](failed its gates)[/]"),
            f"{size.median:,.0f}",
            f"{size.low:,.0f} to {size.high:,.0f}{level}",
            f"{unseen.median:,.0f}",
            percent(estimate.completeness["all lists"]),
        ]
        prevalence = estimate.prevalence()
        table.add_row(*row, *([] if prevalence is None else [plain(prevalence.median)]))
    return table
