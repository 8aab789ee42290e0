"""The design matrix of a table of repeated captures, and the prior that no coding can change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.families.maths.truncated_counts import Records
from hiddenpop.inputs.repeats import RepeatTable

__all__ = ["Design", "design_of", "prior_covariance"]


class Design(NamedTuple):
    """Design matrices of a table.

    Attributes
    ----------
    names
        Of the coefficients: the intercept, then column and level for text, column for numbers.
    raw
        Treatment contrasts (the first level in sorted order is the base) and numbers as they
        are, shape (record, column).
    back
        Takes coefficients of `records.design` to those of `raw`, shape (column, column).
    records
        People by times and covariates. Its design spans the same space as `raw` with columns
        of similar size, so that a year and a 0/1 can be fitted together.
    classes, people
        Each different row of that design, and how many people were seen in it.
    """

    names: tuple[str, ...]
    raw: np.ndarray
    back: np.ndarray
    records: Records
    classes: np.ndarray
    people: np.ndarray


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _columns(covariates: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and columns of the design with treatment contrasts, shape (row, column)."""
    names, columns = ["(Intercept)"], [np.ones(len(covariates))]
    for name, column in covariates.items():
        if _is_number(column):
            names.append(str(name))
            columns.append(column.to_numpy(dtype=float))
            continue
        text = column.astype(str).to_numpy()
        for level in np.unique(text)[1:]:
            names.append(f"{name}{level}")
            columns.append((text == level).astype(float))
    return tuple(names), np.array(columns).T


def design_of(data: RepeatTable) -> Design:
    """Design of a table; rows that say the same are joined, so that splitting changes nothing."""
    seen = data.count > 0
    names, columns = _columns(data.covariates.loc[seen])
    keys = np.column_stack([columns, data.times[seen]])
    rows, place = np.unique(keys, axis=0, return_inverse=True)
    count = np.bincount(place.ravel(), weights=data.count[seen])
    raw, times = rows[:, :-1], rows[:, -1].astype(int)
    back = _back(raw)
    classes, where = np.unique(raw, axis=0, return_inverse=True)
    return Design(
        names, raw, back, Records(times, count, raw @ back), classes @ back,
        np.bincount(where.ravel(), weights=count),
    )  # fmt: skip


def _back(raw: np.ndarray) -> np.ndarray:
    """Centre numbers and give them standard deviation 1; leave 0/1 columns alone."""
    back = np.eye(raw.shape[1])
    for j in range(1, raw.shape[1]):
        column = raw[:, j]
        if not np.isin(column, (0, 1)).all() and np.ptp(column) > 0:
            scale = float(column.std())
            back[j, j], back[0, j] = 1 / scale, -float(column.mean()) / scale
    return back


def prior_covariance(
    data: RepeatTable, design: Design, intercept_sd: float, coefficient_sd: float
) -> np.ndarray:
    """Prior covariance of the coefficients of `records.design`, shape (column, column).

    The log rate is a mean, plus one effect for each level of each text column (also the base),
    plus one for each number in standard deviations, all normal around 0. So it does not matter
    which level is the base, what levels are called, or in which unit a number stands. The
    covariance of the contrasts follows: if D u and X b are the same log rates, b = X^+ D u.
    """
    seen = data.count > 0
    count, frame = data.count[seen], data.covariates.loc[seen]
    effects, sds = [np.ones(len(frame))], [intercept_sd]
    for column in (frame[name] for name in frame):
        if _is_number(column):
            values = column.to_numpy(dtype=float)
            mean = np.average(values, weights=count)
            spread = np.sqrt(np.average((values - mean) ** 2, weights=count))
            effects.append((values - mean) / spread)
            sds.append(coefficient_sd)
            continue
        text = column.astype(str).to_numpy()
        for level in np.unique(text):
            effects.append((text == level).astype(float))
            sds.append(coefficient_sd)
    _, columns = _columns(frame)
    taken = np.linalg.pinv(columns @ design.back) @ np.array(effects).T
    return np.asarray((taken * np.array(sds) ** 2) @ taken.T)
