"""The tables that capture-recapture estimates are made from."""

from __future__ import annotations

from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable

__all__ = ["Table"]

type Table = OverlapTable | Margins | RepeatTable
