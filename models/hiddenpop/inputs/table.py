"""The tables that the size of a population is estimated from."""

from __future__ import annotations

from typing import Literal

from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.tree import Tree

__all__ = ["Form", "Table", "form_of"]

type Table = OverlapTable | Margins | RepeatTable | MultiplierTable | Tree

Form = Literal["overlap", "repeats", "benchmarks", "tree"]
"""Overlaps of lists (or their margins), captures on one list, benchmarks, a tree."""


def form_of(table: Table) -> Form:
    """What a table holds; the families of a form read no other."""
    if isinstance(table, MultiplierTable):
        return "benchmarks"
    if isinstance(table, Tree):
        return "tree"
    return "repeats" if isinstance(table, RepeatTable) else "overlap"
