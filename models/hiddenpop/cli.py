"""The command line. Answers go to standard output, everything else to standard error.

Exit codes: 0 done and all gates passed; 1 done, but a gate failed or a replay differs;
2 the input or the call cannot be used, and nothing was written.
"""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from hiddenpop import cli_recapture as options
from hiddenpop.errors import HiddenPopError, InputError

if TYPE_CHECKING:
    from hiddenpop.estimate import Estimate
    from hiddenpop.inputs.size_study import SizeStudy
    from hiddenpop.inputs.study import Study

__all__ = ["app", "main"]

app = typer.Typer(
    help="Estimate how many people are in a population nobody can list.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_talk = Console(stderr=True, highlight=False)
_answer = Console(highlight=False)

StudyArgument = Annotated[
    str, typer.Argument(help="A shipped study's name, a study folder, or a study.toml.")
]
JsonOption = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="FILE|-", help="Write the answer as JSON; - is standard output."
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Instead of the study's own seed.")
]


def _guarded[**P](command: Callable[P, int]) -> Callable[P, None]:
    """Turn errors that were raised on purpose into a message and exit code 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except InputError as error:
            count = len(error.faults)
            _talk.print(f"[bold red]{count} fault{'' if count == 1 else 's'} in the input:[/]")
            for fault in error.faults:
                _talk.print(f"- {fault}", markup=False, soft_wrap=True)
            code = 2
        except HiddenPopError as error:
            _talk.print(str(error), markup=False, soft_wrap=True)
            code = 2
        raise typer.Exit(code)

    return run


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show the step that is under way; yields a function to call before each step."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_talk, transient=True) as progress:
        task = progress.add_task("", total=total, completed=-1)

        def step(name: str) -> None:
            progress.update(task, description=name, advance=1)

        yield step


def _emit(payload: object, target: str | None) -> None:
    """Write JSON to a file or standard output, if it was asked for."""
    from hiddenpop.results import as_json, write_text

    if target == "-":
        sys.stdout.write(as_json(payload))
    elif target is not None:
        write_text(Path(target), as_json(payload))


@app.command(epilog="Example: hiddenpop run crack-2005 --out results/crack-2005")
@_guarded
def run(
    study: StudyArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for report.html, estimates.csv, variants.csv, estimate.nc, run.json and "
            "study/ (all that was read). "
            "Default: results/NAME, or none if --json is given.",
        ),
    ] = None,
    json: JsonOption = None,
    seed: SeedOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few draws, no variants: for a look, not for use.")
    ] = False,
) -> int:
    """Fit a study and write its report, tables and draws."""
    from hiddenpop.inputs.size_study import SizeStudy
    from hiddenpop.report.sentences import check_sentences
    from hiddenpop.studies import load_any

    loaded = load_any(study)
    command = _command(study, seed, quick)
    folder = Path("results") / loaded.name if out is None and json is None else out
    if isinstance(loaded, SizeStudy):
        if seed is not None:
            loaded = replace(loaded, sampling=replace(loaded.sampling, seed=seed))
        return _recapture(loaded, folder, json, command)
    check_sentences(loaded)
    if folder is None:
        estimate = _fit(loaded, seed, quick)
    else:
        estimate = _fit_and_write(loaded, folder, seed, quick, command)
    from hiddenpop.results import summary

    _emit(summary(estimate, command), json)
    if json != "-":
        _show(estimate)
    if folder is not None:
        _talk.print(f"The report: {folder / 'report.html'}", soft_wrap=True)
    return _verdict(estimate)


def _command(study: str, seed: int | None, quick: bool) -> str:
    """The command as it can be typed again; where the result goes does not belong to it."""
    words = ["hiddenpop", "run", study if not Path(study).exists() else Path(study).name]
    words += ["--seed", str(seed)] if seed is not None else []
    words += ["--quick"] if quick else []
    return shlex.join(words)


def _fit(loaded: Study, seed: int | None, quick: bool) -> Estimate:
    from hiddenpop.estimate import fit

    with _progress(1) as step:
        step("compiling and sampling")
        return fit(loaded, seed=seed, quick=quick, check=False)


def _fit_and_write(
    loaded: Study, folder: Path, seed: int | None, quick: bool, command: str
) -> Estimate:
    """Fit, vary and report inside a folder that only takes its place when all is done."""
    from hiddenpop.checks.influence import all_variants, vary
    from hiddenpop.estimate import build, fit
    from hiddenpop.inference import Sampler
    from hiddenpop.results import fill, writing

    def notice(text: str) -> None:
        _talk.print(text, soft_wrap=True)

    chosen = () if quick else all_variants(loaded)
    with writing(folder, notice) as inside, _progress(3 + len(chosen)) as step:
        step("compiling the model")
        sampler = Sampler(build(loaded))
        sampler.compile()
        step("sampling")
        estimate = fit(loaded, seed=seed, quick=quick, check=False, sampler=sampler)
        variants = None
        if chosen:
            variants = vary(estimate, chosen, on_step=lambda name: step(f"variant: {name}"))
        step("drawing the report")
        fill(inside, estimate, variants, command)
    return estimate


def _recapture(study: SizeStudy, folder: Path | None, json: str | None, command: str) -> int:
    """Fit every family of a study, write and show what came of it."""
    from hiddenpop.family_fits import chosen_families, fit_families
    from hiddenpop.size_results import size_summary, write_sizes

    with _progress(len(chosen_families(study)[0]) + 1) as step:
        found = fit_families(study, on_step=step)
    if folder is not None:
        write_sizes(folder, found, command, lambda text: _talk.print(text, soft_wrap=True))
    _emit(size_summary(found, command), json)
    if json != "-":
        _answer.print(options.answer_table(found))
        for name, estimate in found.estimates.items():
            for text in (estimate.assumption, *estimate.notes):
                _answer.print(f"{name}: {text}", markup=False, style="dim", soft_wrap=True)
        for name, reason in found.refused.items():
            _answer.print(f"{name} was not used: {reason}", markup=False, soft_wrap=True)
    if folder is not None:
        _talk.print(f"The report: {folder / 'report.html'}", soft_wrap=True)
    for name, verdict in found.verdicts.items():
        if not verdict.passed:
            _talk.print(f"[bold red]{name} cannot be trusted:[/] {verdict}.", soft_wrap=True)
    return 0 if found.passed else 1


def _show(estimate: Estimate) -> None:
    """Print the main table, rounded for people."""
    title = f"{estimate.data.title}{' (quick run: not for use)' if estimate.quick else ''}"
    table = Table(title=title, title_justify="left")
    for column in ("area", "group", "users", "95 % interval", "per 1,000", "95 % interval"):
        table.add_column(column, justify="left" if column in ("area", "group") else "right")
    for area in estimate.data.report.areas:
        for group in estimate.data.report.groups:
            people, rate = estimate.users(area, group), estimate.prevalence(area, group)
            table.add_row(
                area,
                group.replace("_", " "),
                f"{people.median:,.0f}",
                f"{people.low:,.0f} to {people.high:,.0f}",
                f"{rate.median:.1f}",
                f"{rate.low:.1f} to {rate.high:.1f}",
            )
    _answer.print(table)


def _verdict(estimate: Estimate) -> int:
    """Say which gates failed; the exit code of a run."""
    if estimate.verdict.passed:
        return 0
    _talk.print(f"[bold red]The fit cannot be trusted:[/] {estimate.verdict}.", soft_wrap=True)
    return 1


@app.command(epilog="Example: hiddenpop new my-town --from crack-2005")
@_guarded
def new(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    source: Annotated[str, typer.Option("--from", metavar="STUDY", help="Study to copy.")],
    json: JsonOption = None,
) -> int:
    """Write an editable copy of a study: study.toml and every table it reads."""
    from hiddenpop.studies import copy_study

    files = copy_study(source, folder)
    _emit({"folder": str(folder), "files": [file.name for file in files]}, json)
    if json != "-":
        _answer.print(f"{folder}: {', '.join(file.name for file in files)}", soft_wrap=True)
        _answer.print(f"Edit them, then: hiddenpop run {shlex.quote(str(folder))}", soft_wrap=True)
    return 0


@app.command(
    epilog="Example: hiddenpop recapture brighton.csv --lists treat,arrest,exchange,survey "
    "--count people --population 117219"
)
@_guarded
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
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for a report and tables.")
    ] = None,
) -> int:
    """Estimate how many people are on none of the lists of one table."""
    read = options.TableOptions(
        lists, count, history, person, list_column, by, ignore, suppressed, impossible,
        add_duplicates, times, covariates, margins, distinct,
    )  # fmt: skip
    named = {"estimator": estimator, "order": order, "best": best, "delta": delta,
             "size_prior": size_prior}  # fmt: skip
    study = options.study_from(
        table, read, families=family, population=population,
        options=options.options_from(named, option), seed=seed, draws=draws,
        threshold=threshold,
    )  # fmt: skip
    return _recapture(study, out, json, options.command(context))


@app.command(epilog="Example: hiddenpop check my-town")
@_guarded
def check(
    study: Annotated[
        str, typer.Argument(help="A shipped study's name, a study folder, a study.toml or a CSV.")
    ],
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
    population: options.POPULATION = None,
    json: JsonOption = None,
) -> int:
    """Say all that is wrong with a study or an overlap table, before any fit."""
    read = options.TableOptions(
        lists, count, history, person, list_column, by, ignore, suppressed, impossible,
        add_duplicates, times, covariates,
    )  # fmt: skip
    try:
        if study.endswith(".csv"):
            found = _about(options.study_from(Path(study), read, population=population))
        else:
            found = _checked(study)
    except InputError as error:
        faults = [
            {"code": f.code, "file": f.file, "row": f.row, "column": f.column,
             "what": f.what, "why": f.why, "fix": f.fix}
            for f in error.faults
        ]  # fmt: skip
        _emit({"ok": False, "faults": faults}, json)
        raise
    _emit({"ok": True, "faults": []}, json)
    if json != "-":
        _answer.print(f"No fault found: {found}", soft_wrap=True)
    return 0


def _checked(name: str) -> str:
    """What is in a study in which no fault was found."""
    from hiddenpop.inputs.size_study import SizeStudy
    from hiddenpop.report.sentences import check_sentences
    from hiddenpop.studies import load_any

    loaded = load_any(name)
    if isinstance(loaded, SizeStudy):
        return _about(loaded)
    check_sentences(loaded)
    evidence = loaded.data.evidence
    return (
        f"{int(evidence.used.sum())} of {len(evidence.table)} rows of evidence are used, "
        f"{len(loaded.data.areas.names)} areas, {len(loaded.variants)} variants."
    )


def _about(study: SizeStudy) -> str:
    """What is in a table in which no fault was found."""
    from hiddenpop.inputs.repeats import RepeatTable

    table = study.table
    what = "one list" if isinstance(table, RepeatTable) else f"{len(table.lists)} lists"
    return f"{table.observed:,.0f} people seen on {what}."


@app.command(epilog="Example: hiddenpop replay results/crack-2005")
@_guarded
def replay(
    folder: Annotated[Path, typer.Argument(help="A folder that `hiddenpop run` wrote.")],
    json: JsonOption = None,
) -> int:
    """Rerun a result: identical, within Monte Carlo error, or different, and why."""
    from hiddenpop.replay import replay as rerun

    with _progress(1) as step:
        step("compiling and sampling")
        found = rerun(folder)
    payload = {"outcome": found.outcome, "largest_difference_in_monte_carlo_errors": found.largest,
               "reasons": list(found.reasons)}  # fmt: skip
    _emit(payload, json)
    if json != "-":
        _answer.print(found.outcome)
        for reason in found.reasons:
            _answer.print(f"- {reason}", markup=False, soft_wrap=True)
    return 1 if found.outcome == "different" else 0


@app.command(epilog="Example: hiddenpop datasets bcs-last-year-use")
@_guarded
def datasets(
    name: Annotated[str | None, typer.Argument(help="Show this one's README and place.")] = None,
    json: JsonOption = None,
) -> int:
    """List the data sets that come with the package."""
    from hiddenpop.datasets import find_dataset, shipped_datasets

    chosen = list(shipped_datasets().values()) if name is None else [find_dataset(name)]
    _emit([{"name": one.name, "summary": one.summary, "folder": str(one.folder),
            "tables": [path.name for path in one.tables]} for one in chosen], json)  # fmt: skip
    if json == "-":
        return 0
    if name is not None:
        folder = chosen[0].folder
        _answer.print((folder / "README.md").read_text(encoding="utf-8"), markup=False)
        _answer.print(str(folder), soft_wrap=True)
    else:
        _list([(one.name, one.summary) for one in chosen])
    return 0


@app.command(epilog="Example: hiddenpop families")
@_guarded
def families(json: JsonOption = None) -> int:
    """List the model families."""
    from hiddenpop.families import FAMILIES

    found = [(family.name, family.summary) for family in FAMILIES.values()]
    _emit([{"name": name, "summary": text} for name, text in found], json)
    if json != "-":
        _list(found)
    return 0


@app.command(epilog="Example: hiddenpop studies")
@_guarded
def studies(json: JsonOption = None) -> int:
    """List the studies that come with the package."""
    from hiddenpop.studies import load_any, shipped_studies

    found = [(name, load_any(path).title) for name, path in shipped_studies().items()]
    _emit([{"name": name, "title": text} for name, text in found], json)
    if json != "-":
        _list(found)
    return 0


def _list(rows: list[tuple[str, str]]) -> None:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*row)
    _answer.print(table)


def main() -> None:
    """Entry point of the `hiddenpop` command."""
    app()
