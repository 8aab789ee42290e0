"""Whether draws fall into two groups with few between them."""

from __future__ import annotations

import numpy as np

__all__ = ["valley"]

BINS = 200
LEAST_SHARE = 0.05
DEEP = 0.6
"""A valley is at most this high, as a share of the lower of the two hills beside it."""


def valley(values: np.ndarray, effective: float) -> float | None:
    """Where the density of draws is lowest between two hills; None where there is one hill.

    The density is a histogram smoothed by a normal kernel of Silverman's (1986, eq. 3.31) width.

    Parameters
    ----------
    values
        Draws, on a scale on which hills have similar widths (log N), any shape.
    effective
        How many independent draws they are worth.
    """
    flat = np.ravel(values)
    low, high = np.quantile(flat, [0.005, 0.995])
    if not high > low:
        return None
    quarter, rest = np.quantile(flat, [0.25, 0.75])
    spread = min(float(flat.std()), (rest - quarter) / 1.34) or float(flat.std())
    width = 0.9 * spread * max(effective, 1.0) ** -0.2
    counts, edges = np.histogram(flat, BINS, (low, high))
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.exp(-0.5 * ((middle[:, None] - middle) / width) ** 2) @ counts
    hills = np.minimum(
        np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    )  # fmt: skip
    below = np.cumsum(counts) / counts.sum()
    inside = (below > LEAST_SHARE) & (below < 1 - LEAST_SHARE)
    depth = np.where(inside, density / hills, 1.0)
    place = int(np.argmin(depth))
    return float(middle[place]) if depth[place] < DEEP else None
