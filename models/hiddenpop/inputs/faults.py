"""Faults in what users bring: collected, not raised one by one."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import NamedTuple

__all__ = ["Fault", "Faults", "Message", "choose", "messages"]

LONGEST = 400
"""Characters of a user's text that a message repeats at most."""


class Message(NamedTuple):
    """Words for one kind of fault, with `{names}` for what is known only when it happens."""

    what: str
    why: str
    fix: str


@cache
def messages() -> dict[str, Message]:
    """The words for every kind of fault, by code, from the files in `messages`.

    Each has a test in tests/unit/test_bad_input.py.
    """
    folder = files("hiddenpop.inputs").joinpath("messages")
    pages = [page for page in folder.iterdir() if page.name.endswith(".toml")]
    return {
        code: Message(**words)
        for page in pages
        for code, words in tomllib.loads(page.read_text(encoding="utf-8")).items()
    }


def choose(name: str, allowed: Collection[str]) -> str:
    """What to write in place of an unknown name: the nearest one, and the first twelve."""
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    more = " …" if len(allowed) > 12 else ""
    return f"{hint}Use one of: {', '.join(list(allowed)[:12])}{more}."


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input.

    Attributes
    ----------
    code
        Unique, stable name of the rule that was broken (for tests and scripts).
    what, why, fix
        What is wrong, why it matters, what to do.
    file, row, column
        Where. `row` is the line number in the file (the header is line 1), None for
        the file as a whole. In TOML files `column` is the path of the key.
    """

    code: str
    what: str
    why: str
    fix: str
    file: str = ""
    row: int | None = None
    column: str = ""

    @property
    def where(self) -> str:
        """File, line and column in one string, as far as known."""
        line = f"line {self.row}" if self.row is not None else ""
        word = "key" if self.file.endswith(".toml") else "column"
        column = f"{word} '{self.column}'" if self.column else ""
        return ", ".join(part for part in (self.file, line, column) if part)

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else ""
        return f"{head}{self.what} {self.why} {self.fix} [{self.code}]"


@dataclass
class Faults:
    """Gathers faults so that a user sees all of them at once.

    The only mutable object of the input room; it never leaves it.
    """

    found: list[Fault] = field(default_factory=list)

    def report(
        self,
        code: str,
        values: Mapping[str, object] | None = None,
        *,
        file: str = "",
        row: int | None = None,
        column: str = "",
    ) -> None:
        """Record a fault of a kind in `messages`, whose words `values` fill.

        Raises
        ------
        KeyError
            If there is no such code, or its words need a value that is not given.
        """
        shown = {
            name: _printable(value) if isinstance(value, str) else value
            for name, value in (values or {}).items()
        }
        what, why, fix = (part.format(**shown) for part in messages()[code])
        self.found.append(Fault(code, what, why, fix, _printable(file), row, _printable(column)))


def _printable(text: str) -> str:
    """Users' text on one line, invisible characters spelt out: a message is not a way in."""
    spelt = "".join(
        mark if mark.isprintable() else f"\\u{ord(mark):04x}" for mark in text[: LONGEST + 1]
    )
    return spelt if len(spelt) <= LONGEST else f"{spelt[:LONGEST]}…"
