"""The command `hiddenpop recapture`: from its options to a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hiddenpop.cli import table_options as options
from hiddenpop.cli.made_study import Choice, made_study
from hiddenpop.cli.shared import (
    AnywayOption,
    JsonOption,
    OutOption,
    SeedOption,
    command,
    options_from,
    pairs,
    parts,
    run_sizes,
)
from hiddenpop.errors import HiddenPopError

if TYPE_CHECKING:
    from hiddenpop.inputs.size_study import SizeStudy

__all__ = ["recapture", "study_from"]


def study_from(path: Path | None, table: options.TableOptions, choice: Choice) -> SizeStudy:
    """A study of the table that the options describe.

    Raises
    ------
    InputError
        With every fault of the table.
    HiddenPopError
        If the options contradict each other.
    """
    from hiddenpop.inputs.table_source import TableSource

    if (path is None) == (table.margins is None):
        raise HiddenPopError(
            "Give either a table or --margins with --distinct: an estimate comes from one of them."
        )
    choice.check()
    source = TableSource(
        None if path is None else path.name, parts(table.lists), table.count, table.history,
        table.person, table.list_column, table.times, parts(table.by), parts(table.covariates),
        pairs(table.suppressed or [], "--suppressed"), parts(table.impossible),
        parts(table.ignore), table.add_duplicates, parts(table.margins), table.distinct,
        referred=table.referred, referral=table.referral, new=table.new,
    )  # fmt: skip
    folder = Path() if path is None else path.parent
    name, title = ("margins", "Published margins") if path is None else (path.stem, path.name)
    words = (name, title, "How many people are on none of the lists?")
    return made_study(words, source, source.read(folder, choice.population), choice, folder)


def recapture(
    context: typer.Context,
    table: Annotated[
        Path | None, typer.Argument(help="A CSV of counts, of persons, or of linked registers.")
    ] = None,
    lists: options.LISTS = None,
    count: options.COUNT = None,
    history: options.HISTORY = None,
    person: options.PERSON = None,
    list_column: options.LIST_COLUMN = None,
    by: options.BY = None,
    ignore: options.IGNORE = None,
    suppressed: options.SUPPRESSED = None,
    impossible: options.IMPOSSIBLE = None,
    add_duplicates: options.DUPLICATES = False,
    times: options.TIMES = None,
    covariates: options.COVARIATES = None,
    margins: options.MARGINS = None,
    distinct: options.DISTINCT = None,
    referred: options.REFERRED = None,
    referral: options.REFERRAL = None,
    new: options.NEW = None,
    family: options.FAMILY = None,
    population: options.POPULATION = None,
    estimator: options.ESTIMATOR = None,
    order: options.ORDER = None,
    best: options.BEST = False,
    delta: options.DELTA = None,
    size_prior: options.SIZE_PRIOR = None,
    option: options.OPTION = None,
    draws: options.DRAWS = None,
    threshold: options.THRESHOLD = None,
    seed: SeedOption = None,
    json: JsonOption = None,
    anyway: AnywayOption = False,
    out: OutOption = None,
) -> int:
    """Estimate how many people are on none of the lists of one table."""
    read = options.TableOptions(
        lists, count, history, person, list_column, by, ignore, suppressed, impossible,
        add_duplicates, times, covariates, margins, distinct, referred, referral, new,
    )  # fmt: skip
    named = {"estimator": estimator, "order": order, "best": best, "delta": delta,
             "size_prior": size_prior}  # fmt: skip
    choice = Choice(family, options_from(named, option), population, seed, draws, threshold)
    study = study_from(table, read, choice)
    return run_sizes(study, out, json, command(context), anyway=anyway)
