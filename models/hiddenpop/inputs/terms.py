"""Words and products that rows of evidence are written in."""

from __future__ import annotations

import re

__all__ = ["KINDS", "RATE_NAME", "RESIDENTS", "UNSTATED", "parse_rates"]

KINDS = ("count", "benchmark", "estimate", "range", "proportion", "lower", "upper", "guess")
"""What a row of evidence can be; the kind decides the likelihood."""

RESIDENTS = "residents"
"""The denominator of shares of all residents, whatever they use."""

UNSTATED = "unstated"
"""Ages of a source that does not say whom it counts; taken as the target's."""

RATE_NAME = r"[A-Za-z_]\w*"
"""Pattern of a rate's name: letters, digits and underscores, so that products can be read."""


def parse_rates(text: str) -> dict[str, float]:
    """Powers of the rates in a product such as `a * b / c`; empty text gives none.

    Raises
    ------
    ValueError
        If the text is not names joined by `*` and `/`.
    """
    if not text.strip():
        return {}
    if not re.fullmatch(rf"(?:1|{RATE_NAME})(?:\s*[*/]\s*{RATE_NAME})*", text.strip()):
        raise ValueError(f"'{text}' is not a product of rates")
    powers: dict[str, float] = {}
    for sign, rate in re.findall(rf"([*/]?)\s*({RATE_NAME})", text):
        powers[rate] = powers.get(rate, 0.0) + (-1.0 if sign == "/" else 1.0)
    return powers
