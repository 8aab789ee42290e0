"""Why a family cannot be used on a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Refusal"]


class Refusal(NamedTuple):
    """A code of `inputs/messages`, and the values that its words need.

    The words say which assumption or data would make an honest estimate possible.
    """

    code: str
    values: Mapping[str, object] = {}
