"""What all commands share: answers, messages, progress, options that every command has."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

from hiddenpop.errors import ConvergenceError, HiddenPopError, InputError
from hiddenpop.words import percent, plain

if TYPE_CHECKING:
    from hiddenpop.family_fits import FamilyFits
    from hiddenpop.inference import Verdict
    from hiddenpop.inputs.size_study import SizeStudy

__all__ = [
    "AnywayOption",
    "JsonOption",
    "OutOption",
    "SeedOption",
    "answer",
    "command",
    "emit",
    "guarded",
    "list_rows",
    "options_from",
    "pairs",
    "parts",
    "progress",
    "run_sizes",
    "stopped",
    "talk",
]

talk = Console(stderr=True, highlight=False)
answer = Console(highlight=False)

AnywayOption = Annotated[
    bool,
    typer.Option("--anyway", help="Go on where gates failed; the report says so."),
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


OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder for a report and tables.")
]


def guarded[**P](command: Callable[P, int]) -> Callable[P, None]:
    """Turn errors that were raised on purpose into a message and exit code 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except InputError as error:
            count = len(error.faults)
            talk.print(f"[bold red]{count} fault{'' if count == 1 else 's'} in the input:[/]")
            for fault in error.faults:
                talk.print(f"- {fault}", markup=False, soft_wrap=True)
            code = 2
        except HiddenPopError as error:
            talk.print(str(error), markup=False, soft_wrap=True)
            code = 1 if isinstance(error, ConvergenceError) else 2
        raise typer.Exit(code)

    return run


@contextmanager
def progress(total: int) -> Iterator[Callable[..., None]]:
    """Show the step that is under way; yields a function to call before each step."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=talk, transient=True) as bar:
        task = bar.add_task("", total=total, completed=-1)

        def step(name: str, *, advance: bool = True) -> None:
            bar.update(task, description=name, advance=int(advance))

        yield step


def emit(payload: object, target: str | None) -> None:
    """Write JSON to a file or standard output, if it was asked for."""
    from hiddenpop.results import as_json, write_text

    if target == "-":
        sys.stdout.write(as_json(payload))
    elif target is not None:
        write_text(Path(target), as_json(payload))


def list_rows(rows: list[tuple[str, str]]) -> None:
    """Print names with a line of words each."""
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*row)
    answer.print(table)


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


def parts(text: str | None) -> tuple[str, ...]:
    """Texts between commas."""
    return tuple(part.strip() for part in text.split(",")) if text else ()


def pairs(texts: Iterable[str], name: str) -> dict[str, str]:
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
    for key, text in pairs(others or [], "--option").items():
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


def run_sizes(
    study: SizeStudy, folder: Path | None, json: str | None, command: str, *, anyway: bool = False
) -> int:
    """Fit every family of a study, write and show what came of it."""
    from hiddenpop.family_fits import chosen_families, fit_families
    from hiddenpop.size_results import size_summary, write_sizes

    with progress(len(chosen_families(study)[0]) + 1) as step:
        found = fit_families(study, on_step=step)
    headline = found.headline
    if not (headline.verdict.passed or anyway):
        raise ConvergenceError(stopped(headline.family, headline.verdict), headline)
    if folder is not None:
        write_sizes(folder, found, command, lambda text: talk.print(text, soft_wrap=True))
    emit(size_summary(found, command), json)
    if json != "-":
        answer.print(answer_table(found))
        for name, estimate in found.estimates.items():
            for text in (estimate.assumption, *estimate.notes):
                answer.print(f"{name}: {text}", markup=False, style="dim", soft_wrap=True)
        for name, reason in found.refused.items():
            answer.print(f"{name} was not used: {reason}", markup=False, soft_wrap=True)
    if folder is not None:
        talk.print(f"The report: {folder / 'report.html'}", soft_wrap=True)
    for name, verdict in found.verdicts.items():
        if not verdict.passed:
            talk.print(f"[bold red]{name} cannot be trusted:[/] {verdict}.", soft_wrap=True)
    return 0 if found.passed else 1


def stopped(name: str, verdict: Verdict) -> str:
    """What is said where gates failed, and nothing is written for that reason."""
    return (
        f"{name} failed its gates: {verdict}. Its numbers cannot be trusted, so that nothing was "
        "written. Give it more draws or a higher target_accept, or look for a part of the model "
        "that the evidence says nothing about; or say --anyway for a report that is marked."
    )


def answer_table(found: FamilyFits) -> Table:
    """One row per family (and area, where there are several), rounded for people."""
    table = Table(title=found.study.title, title_justify="left")
    lists, rate = found.study.family == "recapture", found.data.residents is not None
    heads = ["family", "N", "95 % interval"]
    heads += (["unseen", "seen"] if lists else []) + (["per 1,000"] if rate else [])
    for head in heads:
        table.add_column(head, justify="left" if head == "family" else "right")
    for name, estimate in found.estimates.items():
        size, unseen = estimate.N(), estimate.unseen()
        level = "" if size.level == 0.95 else f" ({percent(size.level)})"
        row = [
            name + ("" if estimate.verdict.passed else " [red](failed its gates)[/]"),
            f"{size.median:,.0f}",
            f"{size.low:,.0f} to {size.high:,.0f}{level}",
        ]
        if lists:
            row += [f"{unseen.median:,.0f}", percent(estimate.completeness["all lists"])]
        prevalence = estimate.prevalence()
        table.add_row(*row, *([] if prevalence is None else [plain(prevalence.median)]))
        strata = None if lists else estimate.strata()
        for part in [] if strata is None else strata.to_dict("records"):
            ends = f"{part['low']:,.0f} to {part['high']:,.0f}"
            own = [plain(part["per_1000"])] if rate and "per_1000" in part else [""] * rate
            table.add_row(f"  {part['stratum']}", f"{part['median']:,.0f}", ends, *own)
    return table
