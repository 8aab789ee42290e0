"""What somebody says of a number: a range at a level, or quantiles, read from a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from hiddenpop.inputs.faults import Fault, Faults
from hiddenpop.inputs.multipliers import Interval
from hiddenpop.inputs.numbers import LEVELS, as_number

__all__ = [
    "RangeError",
    "checked_quantiles",
    "checked_range",
    "interval_quantiles",
    "parse_quantiles",
    "parse_range",
]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_END = rf"{_NUMBER}(?:\s*%)?"
_RANGE = re.compile(
    rf"(?:between\s+)?(?P<low>{_END})\s*(?:to|and|-|–|—)\s*(?P<high>{_END})"
    r"(?P<rest>\s*(?:,\s*)?(?:at|@)\s*(?P<level>.*))?",
    re.ASCII | re.IGNORECASE,
)
_ALONE = re.compile(rf"(?:{_NUMBER}\s*:\s*)?{_END}(?:\s*(?:at|@).*)?", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"\d[ ,'’_\u00a0\u2009\u202f]\d", re.ASCII)
_TYPED = r"\d{1,3}(?:[ ,'’_\u00a0\u2009\u202f]\d{3})+(?!\d)|\d+,\d+"


class RangeError(ValueError):
    """A text that is no range or no quantiles; its message is a sentence for whoever wrote it.

    Attributes
    ----------
    fault
        The same with its code, without a place.
    """

    def __init__(self, code: str, values: Mapping[str, object]) -> None:
        faults = Faults()
        faults.report(code, values)
        self.fault: Fault = faults.found[0]
        super().__init__(f"{self.fault.what} {self.fault.why} {self.fault.fix}")


def parse_range(text: str) -> Interval:
    """Two ends and a level, such as "350 to 400 at 0.8" or "350-400 at 80 %".

    A per cent sign after the upper end holds for both: "52 to 60 % at 0.95" is a share.

    Raises
    ------
    RangeError
        A ValueError, if there are not two increasing numbers and a level.
    """
    said = text.strip()
    match = _RANGE.fullmatch(said)
    if match is None:
        raise _no_range(said)
    ends = match["low"], match["high"]
    if not match["level"]:
        raise RangeError("elicit-level-missing", {"text": f"{ends[0]} to {ends[1]}"})
    if "%" in ends[0] and "%" not in ends[1]:
        raise RangeError("elicit-percent", {"text": said})
    scale = 100.0 if "%" in ends[1] else 1.0
    low, high = (_value(end) / scale for end in ends)
    if not math.isfinite(low + high):
        raise RangeError("elicit-form", {"text": said})
    level = _share(match["level"])
    return checked_range(Interval(low, high, level), match["level"])


def checked_range(interval: Interval, level: str | None = None) -> Interval:
    """The same interval, if it says something; `level` is its level as it was written.

    Raises
    ------
    RangeError
        If the ends are not in order, or the level is none.
    """
    low, high, sure = interval
    if not low < high:
        raise RangeError("elicit-order", {"low": low, "high": high})
    if not LEVELS[0] <= sure <= LEVELS[1]:
        cell = f"{sure:g}" if level is None else level
        raise RangeError("elicit-level", {"cell": cell, "least": LEVELS[0], "most": LEVELS[1]})
    return interval


def parse_quantiles(text: str) -> tuple[tuple[float, float], ...]:
    """Pairs of probability and value, such as "0.1: 300, 0.5: 380, 0.9: 600".

    Probabilities and values may be percentages, with their sign. A semicolon separates pairs too.

    Raises
    ------
    RangeError
        A ValueError, if there are not two pairs that increase in both.
    """
    parts = [part.strip() for part in re.split("[,;]", text)]
    return checked_quantiles(tuple(_pair(part) for part in parts), text.strip())


def checked_quantiles(
    pairs: tuple[tuple[float, float], ...], text: str | None = None
) -> tuple[tuple[float, float], ...]:
    """The same pairs, if they are quantiles; `text` is how they were written.

    Raises
    ------
    RangeError
        If there are not two pairs that increase in both.
    """
    for probability, _ in pairs:
        if not 0 < probability < 1:
            raise RangeError("elicit-probability", {"probability": probability})
    if len(pairs) < 2:
        said = ", ".join(f"{p:g}: {x:g}" for p, x in pairs)
        raise RangeError("elicit-one-number", {"text": said if text is None else text})
    for (p, x), (q, y) in pairwise(pairs):
        if not p < q:
            raise RangeError("elicit-probabilities", {"first": p, "second": q})
        if not x < y:
            raise RangeError("elicit-values", {"first": x, "second": y, "p": p, "q": q})
    return pairs


def interval_quantiles(interval: Interval) -> tuple[tuple[float, float], ...]:
    """The two quantiles that a central interval stands for."""
    tail = (1 - interval.level) / 2
    return (tail, interval.low), (1 - tail, interval.high)


def _no_range(said: str) -> RangeError:
    """Why a text is no range."""
    if _GROUPED.search(said):
        typed = re.findall(_TYPED, said)
        return RangeError("elicit-separator", {"text": said, "cell": _first(typed, said)})
    code = "elicit-one-number" if _ALONE.fullmatch(said) else "elicit-form"
    return RangeError(code, {"text": said})


def _first(found: Iterable[str], otherwise: str) -> str:
    return next(iter(found), otherwise)


def _value(text: str) -> float:
    """The number before a per cent sign, if there is one."""
    return as_number(text.rstrip("% \t"))


def _share(text: str) -> float:
    """A number, or a percentage as the share that it is."""
    return _value(text) / (100.0 if text.rstrip().endswith("%") else 1.0)


def _pair(part: str) -> tuple[float, float]:
    """One quantile."""
    probability, colon, value = part.partition(":")
    found = _share(probability.strip()), _share(value.strip())
    if not colon or not math.isfinite(sum(found)):
        raise RangeError("elicit-pair", {"cell": part})
    return found
