"""P-values of many looks at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["adjusted", "holm"]


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values, in the given order; nan is not looked at and stays nan.

    The k-th smallest of m is multiplied by m + 1 - k; none is less than a smaller one's, none
    more than 1. Source: Holm 1979 (Scand J Stat 6:65).
    """
    found = np.array(p, dtype=float)
    looked = np.flatnonzero(~np.isnan(found))
    order = looked[np.argsort(found[looked], kind="stable")]
    scaled = found[order] * np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return found


def adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with p-values after Holm's adjustment over its rows.

    `p` gets `p_holm`; the `conflict` of `SizeEstimate.benchmarks` gets `conflict_holm`.

    Raises
    ------
    KeyError
        If the frame has neither column.
    """
    columns = [name for name in ("p", "conflict") if name in frame]
    if not columns:
        raise KeyError("no column 'p' or 'conflict' to adjust")
    return frame.assign(**{f"{name}_holm": holm(frame[name].to_numpy()) for name in columns})
