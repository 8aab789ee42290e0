"""Where to begin sampling the posterior of a count distribution."""

from __future__ import annotations

from itertools import product

import numpy as np

from hiddenpop.families.maths.truncated_counts import Model, Target, hessian, maximise

__all__ = ["places"]

SHARES = (-5.0, -3.0, -1.5, 0.0, 1.5)
DISPERSIONS = (-3.0, -1.5, 0.0, 1.5, 3.0)
"""Nodes of logit omega and log alpha along a ridge."""

SPACING = 1.2
"""Standard deviation of omega's and alpha's share of a component at a node."""

FAR = 12.0
"""Nodes whose log density is this far below the best are left out."""

type Place = tuple[np.ndarray, np.ndarray]


def places(target: Target, columns: int, model: Model) -> list[Place]:
    """Points of high density, each with an inverse covariance for proposals around it.

    The modes; for models with both omega and alpha, which can take each other's place along a
    bent ridge, the best coefficients for each node of a grid of these two as well.

    Parameters
    ----------
    target
        Log posterior of coefficients, then logit omega, then log alpha.
    columns
        Coefficients.

    Raises
    ------
    ArithmeticError
        If there is no mode.
    """
    found: list[Place] = []
    for share in (-2.0, 1.0) if model.inflation else (0.0,):
        start = np.zeros(columns + model.extra)
        start[0] = -1.0
        if model.inflation:
            start[columns] = share
        try:
            mode, information = maximise(target, start)
        except ArithmeticError:
            continue
        if all(np.abs(mode - other).max() > 0.01 for other, _ in found):
            found.append((mode, information))
    if not found:
        raise ArithmeticError(f"no mode of {model.name} was found")
    if model.extra == 2:
        found += _ridge(target, found[0][0][:columns])
    best = max(float(target(place[None])[0]) for place, _ in found)
    return [one for one in found if float(target(one[0][None])[0]) > best - FAR]


def _ridge(target: Target, start: np.ndarray) -> list[Place]:
    """The best coefficients for each node of omega and alpha.

    A component has the conditional covariance of the coefficients, moves them with omega and
    alpha as their conditional mode moves, and has `SPACING` for these two.
    """
    found = []
    columns = len(start)
    for node in product(SHARES, DISPERSIONS):
        ends = np.array(node)

        def given(beta: np.ndarray, ends: np.ndarray = ends) -> np.ndarray:
            return target(np.hstack([beta, np.tile(ends, (len(beta), 1))]))

        try:
            beta, information = maximise(given, start)
        except ArithmeticError:
            continue
        place = np.concatenate([beta, ends])
        full = -hessian(target, place)
        cross = full[:columns, columns:]
        moved = np.linalg.solve(information, cross)
        full[:columns, :columns] = information
        full[columns:, columns:] = cross.T @ moved + np.eye(2) / SPACING**2
        found.append((place, full))
    return found
