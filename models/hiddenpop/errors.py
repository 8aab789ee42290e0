"""The errors a caller would catch, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hiddenpop.estimate import Estimate
    from hiddenpop.inputs.faults import Fault
    from hiddenpop.size import SizeEstimate

__all__ = ["ConvergenceError", "HiddenPopError", "InputError", "ResultError"]


class HiddenPopError(Exception):
    """Base of every error that hiddenpop raises on purpose."""


class InputError(HiddenPopError):
    """What the user brought cannot be used; all faults found are in `faults`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ConvergenceError(HiddenPopError):
    """A sampled fit failed its gates; the fit itself is in `estimate`, for a look."""

    def __init__(self, message: str, estimate: Estimate | SizeEstimate) -> None:
        self.estimate = estimate
        super().__init__(message)


class ResultError(HiddenPopError):
    """A result directory cannot be read or written as asked."""
