"""How N moves with the over-recruiting of a survey, which the survey itself cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hiddenpop.families.multiplier import Priors, size
from hiddenpop.inputs.multipliers import Interval, MultiplierTable

__all__ = ["selection_curve"]


def selection_curve(
    table: MultiplierTable,
    odds_ratios: Sequence[float],
    priors: Priors | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """N along the odds ratio by which the surveys over-recruit people with their event.

    Parameters
    ----------
    table
        One population. The odds ratio is that of every row of people with a share, in place of
        its own.
    odds_ratios
        Positive; 1 is no selection. Each is taken as known, so that an interval holds all doubt
        but that about the odds ratio.

    Returns
    -------
    pandas.DataFrame
        Columns odds_ratio, N (median), low, high.

    Raises
    ------
    ValueError
        If an odds ratio is not positive, or no row has a share that could be biased.
    """
    if not all(0 < value < np.inf for value in odds_ratios):
        raise ValueError("an odds ratio must be above 0")
    biased = [row.kind == "people" and row.rate is not None for row in table.rows]
    if not any(biased):
        raise ValueError("no row counts people with a share from a survey")
    levels = np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
    found = []
    for value in odds_ratios:
        fixed = Interval(float(value), float(value), 0.95)
        rows = tuple(
            replace(row, selection=fixed) if one else row
            for row, one in zip(table.rows, biased, strict=True)
        )
        low, median, high = size(replace(table, rows=rows), priors or Priors()).quantile(levels)
        found.append((value, median, low, high))
    return pd.DataFrame(found, columns=["odds_ratio", "N", "low", "high"])
