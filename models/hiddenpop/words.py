"""Numbers and names as people read them; files for machines keep full precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

__all__ = [
    "Exact",
    "capital",
    "factor",
    "group_words",
    "interval",
    "listing",
    "name_words",
    "people",
    "per1000",
    "percent",
    "plain",
    "probability",
    "triple",
]

FIGURES = 2
"""Significant figures of estimates in prose: their intervals allow no more."""

MISSING = "(not computed)"


class Exact(float):
    """A number somebody published: shown as it was, not rounded as an estimate is."""


class Ends(Protocol):
    """Anything with the two ends of an interval, such as `Summary`."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""


def plain(value: float, figures: int = FIGURES) -> str:
    """A number without exponent, rounded to significant figures: 6.06 is 6.1, 36,045 is 36,000.

    A number that was published (`Exact`) keeps all its digits.
    """
    if math.isnan(value):
        return MISSING
    if isinstance(value, Exact):
        return f"{value:,.10g}" if value < 1e9 else f"{value:,.0f}"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    value = float(f"{value:.12g}")  # 3,000 / 8,000 by way of logarithms is 0.375 again
    magnitude = int(f"{abs(value):.{figures - 1}e}".split("e")[1])
    return f"{round(value, figures - 1 - magnitude):,.{max(0, figures - 1 - magnitude)}f}"


def people(value: float) -> str:
    """A number of people: whole, and rounded to what an estimate can bear."""
    if isinstance(value, Exact) or math.isnan(value):
        return plain(value)
    if 0 < value < 0.5:
        return "fewer than 1"
    return plain(value) if value >= 10 else f"{value:.0f}"


def per1000(value: float) -> str:
    """A prevalence that is already a number per 1,000 residents, with its unit."""
    return plain(value) if math.isnan(value) else f"{plain(value)} per 1,000"


def percent(value: float, figures: int = FIGURES) -> str:
    """A share in 0..1 as a percentage."""
    if math.isnan(value):
        return MISSING
    if isinstance(value, Exact):
        return f"{100 * value:.10g} %"
    return f"{plain(100 * value, 3 if 0.99 < value < 1 else figures)} %"


def probability(value: float) -> str:
    """A probability as a percentage, never a certainty that draws cannot show."""
    if value < 0.01:
        return "less than 1 %"
    return percent(value) if value <= 0.99 else "more than 99 %"


def factor(value: float) -> str:
    """A ratio such as 1.5, or the factor by which a source is off."""
    return plain(value)


def interval(ends: Ends, words: Callable[[float], str] = plain) -> str:
    """The two ends of an interval in words, by the function that words its numbers."""
    return f"{words(ends.low)} to {words(ends.high)}"


def triple(median: float, low: float, high: float, share: bool = False) -> str:
    """A median and its interval, with more figures where the interval is narrow."""
    width = (high - low) / median if median > 0 else 1.0
    figures = FIGURES + max(0, math.floor(-math.log10(width))) if width > 0 else 4
    one, two, three = ((percent if share else plain)(x, figures) for x in (median, low, high))
    return f"{one} ({two} to {three})"


def name_words(name: str) -> str:
    """A key of a table as words: `share_crack_15_44` is "share crack 15-44"."""
    parts = name.replace("_", " ").split(" ")
    joined = parts[0]
    for before, part in pairwise(parts):
        joined += ("-" if before.isdigit() and part.isdigit() else " ") + part
    return joined


def group_words(group: str) -> str:
    """Who belongs to a group: `opiate_or_crack` is "opiate or crack users"."""
    words = name_words(group)
    if words in ("all", "any", "both"):
        return f"users of {words}"
    if "user" in words or words.startswith(("people", "inject")):
        return words
    return f"{words.replace(' only', '-only')} users"


def capital(text: str) -> str:
    """The text with its first letter a capital, the rest untouched."""
    return text[:1].upper() + text[1:]


def listing(items: list[str], last: str = "and") -> str:
    """Items in a row, as a sentence has them: "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
