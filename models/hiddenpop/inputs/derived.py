"""Which numbers were computed from which: nothing may count twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hiddenpop.inputs.faults import choose
from hiddenpop.inputs.lines import Line

__all__ = ["ancestors", "check_derived"]


def check_derived(lines: Sequence[Line]) -> None:
    """Used rows share no ancestor and descend from no used row.

    `derived_from` holds ids separated by semicolons; an id must not hold one itself.
    """
    parents = {line["id"]: _ids(line["derived_from"]) for line in lines}
    used = {line["id"] for line in lines if line["use"] == "yes"}
    circled: set[str] = set()
    claimed: dict[str, str] = {}
    for line in lines:
        name = line["id"]
        if ";" in name:
            line.fault("evidence-id-form", "id", id=name)
        for parent in parents[name]:
            if parent not in parents:
                line.fault("evidence-derived-unknown", "derived_from", parent=parent,
                           fix=choose(parent, list(parents)))  # fmt: skip
        above = ancestors(name, parents)
        if name in above:
            if name not in circled:
                line.fault("evidence-derived-cycle", "derived_from", id=name)
            # One fault for a circle: the others of it are those that descend from each other.
            circled |= {other for other in above if name in ancestors(other, parents)}
        elif name in used:
            _check_claims(line, above, used, claimed)


def _check_claims(line: Line, above: set[str], used: set[str], claimed: dict[str, str]) -> None:
    """Record what this used row shares with used rows before it; claim its ancestors."""
    for name in sorted(above):
        if name in used:
            line.fault("evidence-double", "derived_from", id=line["id"], parent=name)
        elif name in claimed:
            line.fault("evidence-shared-root", "derived_from", id=line["id"],
                       other=claimed[name], root=name)  # fmt: skip
        claimed.setdefault(name, line["id"])


def ancestors(name: str, parents: Mapping[str, Sequence[str]]) -> set[str]:
    """All ids that `name` was computed from, directly or not; itself too if it is in a circle."""
    found: set[str] = set()
    waiting = list(parents.get(name, ()))
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting.extend(parents.get(here, ()))
    return found


def _ids(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())
