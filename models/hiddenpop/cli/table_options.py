"""The options that say how a table is read and what the families of capture-recapture are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

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
    "NEW",
    "OPTION",
    "ORDER",
    "PERSON",
    "POPULATION",
    "REFERRAL",
    "REFERRED",
    "SIZE_PRIOR",
    "SUPPRESSED",
    "THRESHOLD",
    "TIMES",
    "TableOptions",
]


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
REFERRED = Annotated[
    str | None,
    _option("--referred", "Column with how many of the people are on a list only because another "
            "sent them: estimate again without them.", "COLUMN"),
]  # fmt: skip
REFERRAL = Annotated[
    str | None, _option("--referral", "Which list sent them to which.", "SENDER>RECEIVER")
]
NEW = Annotated[
    str | None,
    _option("--new", "Column with the new cases among the people: estimate these too.", "COLUMN"),
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
    referred: str | None = None
    referral: str | None = None
    new: str | None = None
