"""Typed access to a TOML section that records what is missing, wrong or unknown."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Mapping

from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.numbers import LEVELS

__all__ = ["Section"]

ENDS = ("low", "high", "level")


class Section:
    """One table of a TOML file; remembers which keys were asked for, so that typos show.

    `content` is None for a section whose absence was recorded: nothing in it is missed
    again.
    """

    def __init__(
        self, content: Mapping[str, object] | None, path: str, file: str, faults: Faults
    ) -> None:
        self._absent = content is None
        self._content: Mapping[str, object] = content or {}
        self._path = path
        self._file = file
        self._faults = faults
        self._asked: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def fault(self, code: str, key: str, **values: object) -> None:
        """Record a fault at `key` of this section."""
        self._faults.report(code, values, file=self._file, column=self._join(key))

    def done(self) -> None:
        """Record a fault for each key that nobody asked for."""
        for key in self._content:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1)
                known = f"The keys here are {', '.join(self._asked)}."
                fix = f"Did you mean '{near[0]}'?" if near else known
                self.fault("toml-key", key, name=key, fix=fix)

    def _get[T](
        self, key: str, kind: type[T] | tuple[type[T], ...], word: str, *, optional: bool = True
    ) -> T | None:
        """Value of a key if it is of the right type, else None after recording a fault."""
        self._asked[key] = None
        if key not in self._content:
            if not optional and not self._absent:
                self.fault("toml-missing", key, name=key, word=word)
            return None
        value = self._content[key]
        # In Python, though not in TOML, true is a whole number.
        if isinstance(value, kind) and not isinstance(value, bool):
            return value
        self.fault("toml-type", key, value=repr(value), word=word)
        return None

    def text(self, key: str) -> str:
        """A non-empty string; empty after recording a fault."""
        value = self._get(key, str, "a text in quotes", optional=False)
        if value is None:
            return ""
        if not value.strip():
            self.fault("toml-empty", key, name=key)
        return value.strip()

    def texts(self, key: str, *, optional: bool = False) -> tuple[str, ...]:
        """A list of non-empty strings; an empty list only where it is optional."""
        value = self._get(key, list, "a list of texts", optional=optional)
        if value is None:
            return ()
        if not value and not optional:
            self.fault("toml-list-empty", key, name=key)
        items = tuple(item for item in value if isinstance(item, str) and item.strip())
        if len(items) < len(value):
            self.fault("toml-list", key, name=key)
        return items

    def number(
        self, key: str, *, least: float = 0.0, most: float = math.inf, strict: bool = False
    ) -> float | None:
        """An optional finite number inside limits (both excluded where `strict`)."""
        value = self._get(key, (int, float), "a number")
        if value is None:
            return None
        inside = least < value < most if strict else least <= value <= most
        if not inside or not math.isfinite(value):
            ends = f"{least:g} and {most:g}" if most < math.inf else f"{least:g}"
            word = "between" if most < math.inf else "greater than" if strict else "at least"
            self.fault("toml-range", key, value=value, limits=f"{word} {ends}")
            return None
        return float(value)

    def whole(self, key: str, default: int, *, least: int = 1) -> int:
        """An optional whole number."""
        value = self._get(key, int, "a whole number")
        if value is not None and value < least:
            self.fault("toml-count", key, name=key, value=value, least=least)
        return default if value is None else value

    def interval(self, key: str) -> tuple[float, float, float] | None:
        """{low, high, level} with 0 < low < high < 1 and a level inside `LEVELS`."""
        inner = self.section(key, optional=True)
        low, high = (inner.number(name, most=1.0, strict=True) for name in ENDS[:2])
        level = inner.number("level", least=LEVELS[0], most=LEVELS[1])
        missing = [name for name in ENDS if name not in inner]
        inner.done()
        if missing and key in self and isinstance(self._content[key], dict):
            self.fault("prior-interval-part", key, missing=" and ".join(missing))
        if low is None or high is None or level is None:
            return None
        if low >= high:
            self.fault("prior-interval-order", key, low=low, high=high)
            return None
        return low, high, level

    def section(self, key: str, *, optional: bool = False) -> Section:
        """A sub-table; where it is missing, an empty one in which nothing is missed."""
        value = self._get(key, dict, "a table", optional=optional)
        return Section(value, self._join(key), self._file, self._faults)

    def part(self, keys: Collection[str]) -> Section:
        """The same section with some of its keys only; here they count as asked for."""
        self._asked |= dict.fromkeys(keys)
        some = {key: value for key, value in self._content.items() if key in keys}
        return Section(some, self._path, self._file, self._faults)

    def peek(self, key: str) -> object:
        """What stands at a key, without asking for it."""
        return self._content.get(key)

    def table(self, key: str) -> Mapping[str, object]:
        """An optional sub-table as it stands, for whoever knows its keys better."""
        return self._get(key, dict, "a table") or {}

    def sections(self, key: str) -> tuple[Section, ...]:
        """An optional list of sub-tables."""
        value = self._get(key, list, "a list of tables") or []
        if not all(isinstance(item, dict) for item in value):
            self.fault("toml-tables", key, path=self._join(key))
            return ()
        return tuple(
            Section(item, f"{self._join(key)}[{number}]", self._file, self._faults)
            for number, item in enumerate(value, start=1)
        )

    def _join(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key
