"""The command `hiddenpop multiplier`: from its options, or a CSV, to a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from hiddenpop.inputs.multipliers import Overlap
    from hiddenpop.inputs.size_study import SizeStudy

__all__ = ["multiplier", "table_study"]

QUESTION = "How many people are there?"


def _option(name: str, text: str, metavar: str) -> Any:  # noqa: ANN401
    return typer.Option(name, help=text, metavar=metavar)


Range = str | None
RANGE = "'LOW to HIGH at LEVEL'"


def table_study(
    path: Path,
    form: str,
    choice: Choice,
    *,
    overlaps: tuple[Overlap, ...] = (),
    switches: Sequence[str] = (),
) -> SizeStudy:
    """A study of a CSV; `form` is "benchmarks", or "tree" for the branches of one.

    Raises
    ------
    InputError
        With every fault of the table.
    """
    from hiddenpop.inputs.table_source import TableSource

    given: dict[str, Any] = {form: path.name, "overlaps": overlaps, "switches": tuple(switches)}
    source = TableSource(**given)
    table = source.read(path.parent, choice.population)
    return made_study((path.stem, path.name, QUESTION), source, table, choice, path.parent)


def _single_study(texts: dict[str, Any], choice: Choice, switches: Sequence[str]) -> SizeStudy:
    """A study of the one benchmark that the options describe."""
    from hiddenpop.inputs.multipliers_csv import multiplier_from
    from hiddenpop.inputs.table_source import TableSource

    table = multiplier_from(texts.pop("benchmark"), population=choice.population, **texts)
    given: dict[str, Any] = {"benchmarks": "benchmark.csv", "switches": tuple(switches)}
    words = ("multiplier", "One benchmark and one share", QUESTION)
    return made_study(words, TableSource(**given), table, choice)


def _overlaps(ratios: list[str] | None, both: list[str] | None) -> tuple[Overlap, ...]:
    """Pairs such as 'treated,arrested=1 to 9 at 0.95' and 'treated,arrested=40'."""
    from hiddenpop.inputs.multipliers import Overlap
    from hiddenpop.inputs.ranges import parse_range

    found: dict[tuple[str, ...], Overlap] = {}
    for name, texts in (("--overlap", ratios), ("--both", both)):
        for pair, text in pairs(texts or [], name).items():
            ids = parts(pair)
            if len(ids) != 2:
                raise HiddenPopError(f"{name} {pair}={text}: name two benchmarks, as in A,B=...")
            try:
                known: dict[str, Any] = (
                    {"odds_ratio": parse_range(text)} if name == "--overlap"
                    else {"respondents": float(text)}
                )  # fmt: skip
            except ValueError as error:
                raise HiddenPopError(f"{name} {pair}={text}: {error}") from error
            before = found.get(ids, Overlap(*ids))
            found[ids] = dataclasses.replace(before, **known)
    return tuple(found.values())


def multiplier(
    context: typer.Context,
    table: Annotated[
        Path | None, typer.Argument(help="A CSV of benchmarks, one a row; none for a single one.")
    ] = None,
    tree: Annotated[
        Path | None,
        _option("--tree", "A CSV of the branches of a tree in place of benchmarks.", "FILE"),
    ] = None,
    benchmark: Annotated[
        str | None, _option("--benchmark", "People counted (treated, arrested ...).", "N")
    ] = None,
    share: Annotated[
        str | None, _option("--share", "Share of the target that was counted.", "P")
    ] = None,
    low: Annotated[str | None, _option("--low", "Lower end of the share's interval.", "P")] = None,
    high: Annotated[str | None, _option("--high", "Its upper end.", "P")] = None,
    level: Annotated[
        str | None, _option("--level", "Level of that interval; 0.95 if left out.", "L")
    ] = None,
    quantiles: Annotated[
        str | None,
        _option("--quantiles", "Share by an expert: '0.1: 0.4, 0.5: 0.55, 0.9: 0.7'.", "Q: P, ..."),
    ] = None,
    survey: Annotated[
        str | None,
        _option("--survey", "In place of a share: respondents who were counted, of all.", "X/N"),
    ] = None,
    design_effect: Annotated[
        str | None, _option("--deff", "Design effect of the survey; 1 if left out.", "D")
    ] = None,
    rds: Annotated[
        bool, typer.Option("--rds", help="The survey was respondent-driven: then --deff is needed.")
    ] = False,
    clusters: Annotated[
        str | None, _option("--clusters", "The survey by cluster: CSV with cluster, x, n.", "FILE")
    ] = None,
    kind: Annotated[
        str | None,
        _option("--kind", "What is counted: people (the default), events, amount.", "KIND"),
    ] = None,
    interval: Annotated[Range, _option("--interval", "Own error of an amount.", RANGE)] = None,
    selection: Annotated[
        Range,
        _option("--selection", "Odds ratio by which the survey over-recruits the counted.", RANGE),
    ] = None,
    overcount: Annotated[
        Range, _option("--overcount", "Share of the counted that is wrong or double.", RANGE)
    ] = None,
    undercount: Annotated[
        Range, _option("--undercount", "Share that is missing from the count.", RANGE)
    ] = None,
    error: Annotated[Range, _option("--error", "Reported / true, of the count.", RANGE)] = None,
    recruited: Annotated[
        str | None, _option("--recruited", "Where respondents were recruited.", "PLACE")
    ] = None,
    overlap: Annotated[
        list[str] | None,
        _option("--overlap", "Odds ratio between two benchmarks of a CSV.", f"A,B={RANGE}"),
    ] = None,
    both: Annotated[
        list[str] | None,
        _option("--both", "Respondents of their survey who had both events.", "A,B=N"),
    ] = None,
    switch: Annotated[
        list[str] | None,
        _option("--switch", "Estimate again without 'referred' people, or from 'new' cases.",
                "NAME"),
    ] = None,
    family: options.FAMILY = None,
    population: options.POPULATION = None,
    size_prior: options.SIZE_PRIOR = None,
    option: options.OPTION = None,
    draws: options.DRAWS = None,
    threshold: Annotated[
        float | None, _option("--threshold", "Say what would have to be true for this N.", "N")
    ] = None,
    seed: SeedOption = None,
    json: JsonOption = None,
    anyway: AnywayOption = False,
    out: OutOption = None,
) -> int:  # fmt: skip
    """Divide counts by the share of the target they hold: one benchmark, many, or a tree."""
    choice = Choice(
        family, options_from({"size_prior": size_prior}, option), population, seed, draws,
        threshold,
    )  # fmt: skip
    choice.check()
    texts = {"benchmark": benchmark, "share": share, "low": low, "high": high, "level": level,
             "quantiles": quantiles, "survey": survey, "design_effect": design_effect,
             "rds": rds, "clusters": clusters, "kind": kind, "interval": interval,
             "selection": selection, "overcount": overcount, "undercount": undercount,
             "error": error, "recruited": recruited}  # fmt: skip
    single = [name for name, text in texts.items() if text not in (None, False)]
    if [table, tree, benchmark].count(None) != 2 or (benchmark is None and single):
        raise HiddenPopError(
            "Give a CSV of benchmarks, or --tree, or a single benchmark with --benchmark and its "
            "options, and only one of these: an estimate comes from one of them."
        )
    switches = tuple(switch or ())
    if unknown := set(switches) - {"referred", "new"}:
        raise HiddenPopError(f"There is no switch '{min(unknown)}': write referred or new.")
    if benchmark is not None:
        study = _single_study(texts, choice, switches)
    elif table is not None:
        pairs_known = _overlaps(overlap, both)
        study = table_study(table, "benchmarks", choice, overlaps=pairs_known, switches=switches)
    else:
        study = table_study(tree or Path(), "tree", choice)
    return run_sizes(study, out, json, command(context), anyway=anyway)
