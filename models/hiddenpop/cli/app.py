"""The command line. Answers go to standard output, everything else to standard error.

Exit codes: 0 done and all gates passed; 1 a gate failed or a replay differs (nothing is written
where the answer itself failed, unless told `--anyway`); 2 the input or the call cannot be used,
and nothing was written.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from hiddenpop.cli import table_options as options
from hiddenpop.cli.elicit import elicit_prior
from hiddenpop.cli.made_study import Choice
from hiddenpop.cli.multiplier import multiplier, table_study
from hiddenpop.cli.recapture import recapture, study_from
from hiddenpop.cli.shared import (
    AnywayOption,
    JsonOption,
    SeedOption,
    answer,
    emit,
    guarded,
    list_rows,
    progress,
    run_sizes,
    stopped,
    talk,
)
from hiddenpop.cli.trust import trust
from hiddenpop.errors import ConvergenceError, HiddenPopError, InputError

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
StudyArgument = Annotated[
    str, typer.Argument(help="A shipped study's name, a study folder, or a study.toml.")
]


@app.command(epilog="Example: hiddenpop run crack-2005 --out results/crack-2005")
@guarded
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
    anyway: AnywayOption = False,
) -> int:
    """Fit a study and write its report, tables and draws."""
    from hiddenpop.inputs.size_study import SizeStudy
    from hiddenpop.report.sentences import check_sentences
    from hiddenpop.studies import load_any

    loaded = load_any(study)
    command = _command(study, seed, quick, anyway)
    folder = Path("results") / loaded.name if out is None and json is None else out
    if isinstance(loaded, SizeStudy):
        if seed is not None:
            loaded = replace(loaded, sampling=replace(loaded.sampling, seed=seed))
        return run_sizes(loaded, folder, json, command, anyway=anyway)
    check_sentences(loaded)
    if folder is None:
        estimate = _fit(loaded, seed, quick)
        _stop_if_failed(estimate, anyway)
    else:
        estimate = _fit_and_write(loaded, folder, seed, quick, command, anyway)
    from hiddenpop.results import summary

    emit(summary(estimate, command), json)
    if json != "-":
        _show(estimate)
    if folder is not None:
        talk.print(f"The report: {folder / 'report.html'}", soft_wrap=True)
    return _verdict(estimate)


def _stop_if_failed(estimate: Estimate, anyway: bool) -> None:
    """A quick run is for a look: its few draws seldom pass, and it is marked as such."""
    if not (estimate.verdict.passed or anyway or estimate.quick):
        raise ConvergenceError(stopped(estimate.data.name, estimate.verdict), estimate)


def _command(study: str, seed: int | None, quick: bool, anyway: bool) -> str:
    """The command as it can be typed again; where the result goes does not belong to it."""
    words = ["hiddenpop", "run", study if not Path(study).exists() else Path(study).name]
    words += ["--seed", str(seed)] if seed is not None else []
    words += ["--quick"] if quick else []
    words += ["--anyway"] if anyway else []
    return shlex.join(words)


def _fit(loaded: Study, seed: int | None, quick: bool) -> Estimate:
    from hiddenpop.estimate import fit

    with progress(1) as step:
        step("compiling and sampling")
        return fit(loaded, seed=seed, quick=quick, check=False)


def _fit_and_write(
    loaded: Study, folder: Path, seed: int | None, quick: bool, command: str, anyway: bool
) -> Estimate:
    """Fit, vary and report inside a folder that only takes its place when all is done."""
    from hiddenpop.checks.influence import all_variants, vary
    from hiddenpop.estimate import build, fit
    from hiddenpop.inference import Sampler
    from hiddenpop.results import fill, writing

    def notice(text: str) -> None:
        talk.print(text, soft_wrap=True)

    chosen = () if quick else all_variants(loaded)
    with writing(folder, notice) as inside, progress(3 + len(chosen)) as step:
        step("compiling the model")
        sampler = Sampler(build(loaded))
        sampler.compile()
        step("sampling")
        estimate = fit(loaded, seed=seed, quick=quick, check=False, sampler=sampler)
        _stop_if_failed(estimate, anyway)
        variants = None
        if chosen:
            variants = vary(estimate, chosen, on_step=lambda name: step(f"variant: {name}"))
        step("drawing the report")
        fill(inside, estimate, variants, command)
    return estimate


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
    answer.print(table)


def _verdict(estimate: Estimate) -> int:
    """Say which gates failed; the exit code of a run."""
    if estimate.verdict.passed:
        return 0
    talk.print(f"[bold red]The fit cannot be trusted:[/] {estimate.verdict}.", soft_wrap=True)
    return 1


@app.command(epilog="Example: hiddenpop new my-town --from crack-2005")
@guarded
def new(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    source: Annotated[str, typer.Option("--from", metavar="STUDY", help="Study to copy.")],
    json: JsonOption = None,
) -> int:
    """Write an editable copy of a study: study.toml and every table it reads."""
    from hiddenpop.studies import copy_study

    files = copy_study(source, folder)
    emit({"folder": str(folder), "files": [file.name for file in files]}, json)
    if json != "-":
        answer.print(f"{folder}: {', '.join(file.name for file in files)}", soft_wrap=True)
        answer.print(f"Edit them, then: hiddenpop run {shlex.quote(str(folder))}", soft_wrap=True)
    return 0


app.command(
    epilog="Example: hiddenpop recapture brighton.csv --lists treat,arrest,exchange,survey "
    "--count people --population 117219"
)(guarded(recapture))
app.command(
    epilog="Example: hiddenpop multiplier --benchmark 1981 --share 0.55 --low 0.52 --high 0.60"
)(guarded(multiplier))
app.command("elicit", epilog="Example: hiddenpop elicit '350 to 400 at 0.8' --population 15000")(
    guarded(elicit_prior)
)
app.command(epilog="Example: hiddenpop trust results/crack-2005")(guarded(trust))


@app.command(epilog="Example: hiddenpop check my-town")
@guarded
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
    form: Annotated[
        str, typer.Option("--form", help="What a CSV holds: lists, benchmarks or tree.")
    ] = "lists",
    json: JsonOption = None,
) -> int:
    """Say all that is wrong with a study or a table, before any fit."""
    read = options.TableOptions(
        lists, count, history, person, list_column, by, ignore, suppressed, impossible,
        add_duplicates, times, covariates,
    )  # fmt: skip
    try:
        if study.endswith(".csv"):
            found = _about(_read_csv(Path(study), form, read, population))
        else:
            found = _checked(study)
    except InputError as error:
        faults = [
            {"code": f.code, "file": f.file, "row": f.row, "column": f.column,
             "what": f.what, "why": f.why, "fix": f.fix}
            for f in error.faults
        ]  # fmt: skip
        emit({"ok": False, "faults": faults}, json)
        raise
    emit({"ok": True, "faults": []}, json)
    if json != "-":
        answer.print(f"No fault found: {found}", soft_wrap=True)
    return 0


def _read_csv(
    path: Path, form: str, read: options.TableOptions, population: float | None
) -> SizeStudy:
    """A study of a CSV of one of the forms."""
    choice = Choice(population=population)
    if form == "lists":
        return study_from(path, read, choice)
    if form not in ("benchmarks", "tree"):
        raise HiddenPopError(f"There is no form '{form}': write lists, benchmarks or tree.")
    return table_study(path, form, choice)


def _checked(name: str) -> str:
    """What is in a study in which no fault was found."""
    from hiddenpop.inputs.size_study import SizeStudy
    from hiddenpop.report.sentences import check_sentences
    from hiddenpop.studies import load_any

    loaded = load_any(name)
    if isinstance(loaded, SizeStudy):
        return _about(loaded)
    check_sentences(loaded)
    evidence, components = loaded.data.evidence, len(loaded.data.components)
    tables = f"{components} tables of lists, " if components else ""
    return (
        f"{int(evidence.used.sum())} of {len(evidence.table)} rows of evidence are used, {tables}"
        f"{len(loaded.data.areas.names)} areas, {len(loaded.variants)} variants."
    )


def _about(study: SizeStudy) -> str:
    """What is in a table in which no fault was found."""
    from hiddenpop.inputs.multipliers import MultiplierTable
    from hiddenpop.inputs.repeats import RepeatTable
    from hiddenpop.inputs.tree import Tree

    table = study.table
    if isinstance(table, MultiplierTable):
        strata = len(table.strata)
        several = f", {strata} areas or periods" if strata > 1 else ""
        rows = "1 row" if len(table.rows) == 1 else f"{len(table.rows)} rows"
        return f"{rows} of benchmarks{several}."
    if isinstance(table, Tree):
        return f"{len(table.branches)} branches, {table.observed:,.0f} people counted."
    what = "one list" if isinstance(table, RepeatTable) else f"{len(table.lists)} lists"
    return f"{table.observed:,.0f} people seen on {what}."


@app.command(epilog="Example: hiddenpop replay results/crack-2005")
@guarded
def replay(
    folder: Annotated[Path, typer.Argument(help="A folder that `hiddenpop run` wrote.")],
    json: JsonOption = None,
) -> int:
    """Rerun a result: identical, within Monte Carlo error, or different, and why."""
    from hiddenpop.replay import replay as rerun

    with progress(1) as step:
        step("compiling and sampling")
        found = rerun(folder)
    payload = {"outcome": found.outcome, "largest_difference_in_monte_carlo_errors": found.largest,
               "reasons": list(found.reasons)}  # fmt: skip
    emit(payload, json)
    if json != "-":
        answer.print(found.outcome)
        for reason in found.reasons:
            answer.print(f"- {reason}", markup=False, soft_wrap=True)
    return 1 if found.outcome == "different" else 0


@app.command(epilog="Example: hiddenpop datasets bcs-last-year-use")
@guarded
def datasets(
    name: Annotated[str | None, typer.Argument(help="Show this one's README and place.")] = None,
    json: JsonOption = None,
) -> int:
    """List the data sets that come with the package."""
    from hiddenpop.datasets import find_dataset, shipped_datasets

    chosen = list(shipped_datasets().values()) if name is None else [find_dataset(name)]
    emit([{"name": one.name, "summary": one.summary, "folder": str(one.folder),
            "tables": [path.name for path in one.tables]} for one in chosen], json)  # fmt: skip
    if json == "-":
        return 0
    if name is not None:
        folder = chosen[0].folder
        answer.print((folder / "README.md").read_text(encoding="utf-8"), markup=False)
        answer.print(str(folder), soft_wrap=True)
    else:
        list_rows([(one.name, one.summary) for one in chosen])
    return 0


@app.command(epilog="Example: hiddenpop families")
@guarded
def families(json: JsonOption = None) -> int:
    """List the model families."""
    from hiddenpop.families import FAMILIES

    found = [(family.name, family.summary) for family in FAMILIES.values()]
    emit([{"name": name, "summary": text} for name, text in found], json)
    if json != "-":
        list_rows(found)
    return 0


@app.command(epilog="Example: hiddenpop studies")
@guarded
def studies(json: JsonOption = None) -> int:
    """List the studies that come with the package."""
    from hiddenpop.studies import load_any, shipped_studies

    found = [(name, load_any(path).title) for name, path in shipped_studies().items()]
    emit([{"name": name, "title": text} for name, text in found], json)
    if json != "-":
        list_rows(found)
    return 0


def main() -> None:
    """Entry point of the `hiddenpop` command."""
    app()
