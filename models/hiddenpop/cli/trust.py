"""The command `hiddenpop trust`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hiddenpop.cli.shared import JsonOption, answer, emit, progress, talk

__all__ = ["trust"]


def trust(
    folder: Annotated[Path, typer.Argument(help="A folder that a run wrote.")],
    threshold: Annotated[
        float | None,
        typer.Option(metavar="N", help="Say what would have to be true for this size."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK", help="Only this check (more than once for several)."),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Also where gates failed, or another version made it."),
    ] = False,
    json: JsonOption = None,
) -> int:
    """Ask a result what a sceptical reader would ask; a stopped run goes on where it was."""
    from hiddenpop.finished import load_finished
    from hiddenpop.report.trust import trust_words, write_trust
    from hiddenpop.trust import trust as check
    from hiddenpop.trust_parts import parts_of

    result = load_finished(folder)
    with progress(len(only or parts_of(result.fits))) as step:
        shown: set[str] = set()

        def tell(text: str) -> None:
            name = text.partition(":")[0]
            step(text, advance=name not in shown)
            shown.add(name)

        found = check(
            result, threshold=threshold, only=only or (), anyway=anyway, on_step=tell
        )  # fmt: skip
    page = None if only else write_trust(found)
    emit({name: frame.to_dict("records") for name, frame in found.parts.items()}, json)
    if json != "-":
        for name, sentences in trust_words(found).items():
            answer.print(f"[bold]{name}[/]")
            for sentence in sentences:
                answer.print(f"- {sentence}", markup=False, soft_wrap=True)
    if page is not None:
        talk.print(f"The page: {page}", soft_wrap=True)
    return 0
