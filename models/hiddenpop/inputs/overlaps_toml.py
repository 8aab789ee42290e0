"""What a `study.toml` says of pairs of benchmarks: [[table.overlaps]]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hiddenpop.inputs.multipliers import Interval, Overlap
from hiddenpop.inputs.toml import Section

__all__ = ["overlap_as_toml", "read_overlaps"]


def read_overlaps(sections: Sequence[Section]) -> tuple[Overlap, ...]:
    """Pairs of benchmarks; whether the rows exist is checked with the table.

    Each has `rows`, two ids, and one or more of `respondents` (with both events), `people`
    (counted in both) and `odds_ratio` = {low, high, level}.
    """
    return tuple(found for one in sections if (found := _overlap(one)) is not None)


def _overlap(section: Section) -> Overlap | None:
    rows = section.texts("rows")
    respondents, people = (section.number(key) for key in ("respondents", "people"))
    inner = section.section("odds_ratio", optional=True)
    ends = [inner.number(key, strict=True) for key in ("low", "high")]
    level = inner.number("level", most=1.0, strict=True)
    inner.done()
    section.done()
    if "odds_ratio" in section and (None in (*ends, level) or ends[0] > ends[1]):  # type: ignore[operator]
        section.fault("overlap-odds-ratio", "odds_ratio")
        return None
    if len(rows) != 2:
        section.fault("overlap-rows", "rows", number=len(rows))
        return None
    ratio = None if level is None else Interval(float(ends[0] or 0), float(ends[1] or 0), level)
    return Overlap(rows[0], rows[1], respondents, people, ratio)


def overlap_as_toml(pair: Overlap) -> dict[str, Any]:
    """A pair as `read_overlaps` reads it."""
    found: dict[str, Any] = {"rows": [pair.first, pair.second]}
    for key in ("respondents", "people"):
        if (value := getattr(pair, key)) is not None:
            found[key] = value
    if pair.odds_ratio is not None:
        found["odds_ratio"] = pair.odds_ratio._asdict()
    return found
