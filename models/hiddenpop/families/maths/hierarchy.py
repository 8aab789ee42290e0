"""Hierarchical models of a contingency table: which there are, their names and their columns.

A variable is a list (or a factor) with a number 0, 1, ...; a term is the set of variables that
interact, written as a bit mask: variable j adds 2^j, so that 1, 2, 4 are main effects and 3 is
the pair of the first two. A model is a set of terms. It is hierarchical if with each term it
holds every part of it (Bishop, Fienberg & Holland 1975, section 2.3); all models here hold all
main effects and, unless an order says otherwise, never the term of all variables together,
which a table without its all-zero cell cannot estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

__all__ = [
    "TooManyModelsError",
    "closure",
    "count_models",
    "design",
    "generators",
    "generators_order",
    "hierarchical_models",
    "hold",
    "model_name",
    "model_names",
    "model_row",
    "moves",
    "parse_generators",
    "sizes",
    "terms",
]

MOST_MODELS = 2_000_000
"""More models than this are not listed: they would fill the memory before they were fitted."""


class TooManyModelsError(ValueError):
    """There are more hierarchical models than may be listed."""


def sizes(masks: np.ndarray | Sequence[int]) -> np.ndarray:
    """How many variables each term has, shape (term,)."""
    return np.bitwise_count(np.asarray(masks, dtype=np.int64)).astype(np.int64)


@cache
def terms(n: int, order: int | None = None) -> np.ndarray:
    """Terms of 1 to `order` of `n` variables, main effects first; read-only, shape (term,).

    They stand by number of variables and then by mask, so that every part of a term stands
    before it. Without `order` all but the term of all variables.
    """
    most = _most(n, order)
    masks = np.arange(1, 2**n)
    masks = masks[sizes(masks) <= most]
    found = masks[np.lexsort((masks, sizes(masks)))]
    found.setflags(write=False)
    return found


@cache
def hierarchical_models(n: int, order: int | None = None, most: int = MOST_MODELS) -> np.ndarray:
    """All hierarchical models with all main effects; read-only, bool, shape (model, term).

    Columns are those of `terms(n, order)`. Model 0 has the main effects alone. There are 8,
    113 and 6,893 for 3, 4 and 5 variables, and 8, 64, 1,024 and 32,768 of order 2 for 3 to 6.

    Parameters
    ----------
    n
        Variables.
    order
        The most variables in a term; None for n - 1.
    most
        The most models that may be listed.

    Raises
    ------
    TooManyModelsError
        If there are more models than `most`.
    """
    masks = terms(n, order)
    bit = {int(mask): 1 << place for place, mask in enumerate(masks)}
    if len(masks) > 62:
        raise TooManyModelsError(f"{n} variables have too many hierarchical models to list")
    # A model is a whole number, one bit a term. A term can join those models that hold all its
    # largest parts; these hold the smaller ones, since terms come in order of size.
    models = np.array([sum(bit[1 << j] for j in range(n))], dtype=np.int64)
    for mask in masks[n:].tolist():
        needed = sum(bit[part] for part in _facets(mask))
        fits = models[(models & needed) == needed]
        if len(models) + len(fits) > most:
            raise TooManyModelsError(f"{n} variables have more than {most} hierarchical models")
        models = np.concatenate([models, fits | bit[mask]])
    found = (models[:, None] >> np.arange(len(masks)) & 1).astype(bool)
    found.setflags(write=False)
    return found


def count_models(n: int, order: int | None = None, most: int = MOST_MODELS) -> int | None:
    """How many hierarchical models there are, or None where there are more than `most`."""
    if order == 2:
        pairs = n * (n - 1) // 2
        return 2**pairs if 2**pairs <= most else None
    try:
        return len(hierarchical_models(n, order, most))
    except TooManyModelsError:
        return None


def moves(row: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Which terms can be added to a model, or taken from it, one at a time.

    Parameters
    ----------
    row
        A hierarchical model, bool, shape (term,).
    masks
        Terms of the columns, as `terms` returns them, shape (term,).

    Returns
    -------
    numpy.ndarray
        True where the model is hierarchical after that term alone is changed; never for main
        effects. Bool, shape (term,).
    """
    part = (masks[:, None] & masks) == masks[:, None]
    np.fill_diagonal(part, val=False)
    lacks = (part & ~row[:, None]).any(axis=0)
    needed = (part & row).any(axis=1)
    return np.asarray((sizes(masks) > 1) & np.where(row, ~needed, ~lacks))


def closure(masks: Iterable[int]) -> tuple[int, ...]:
    """Terms and all their parts, without the empty one, by number of variables and mask."""
    found: set[int] = set()
    for mask in masks:
        part = int(mask)
        while part:
            found.add(part)
            part = (part - 1) & int(mask)
    return tuple(sorted(found, key=lambda mask: (mask.bit_count(), mask)))


def generators(masks: Iterable[int]) -> tuple[int, ...]:
    """Terms that are a part of no other term: they name a hierarchical model."""
    every = [int(mask) for mask in masks]
    largest = [a for a in every if not any(a != b and a & b == a for b in every)]
    return tuple(largest[k] for k in generators_order(largest))


def model_name(masks: Iterable[int], names: Sequence[str]) -> str:
    """Generators in brackets: "[LA NG][GO]"."""
    return "".join(
        "[" + " ".join(names[j] for j in _members(mask)) + "]" for mask in generators(masks)
    )


def model_names(rows: np.ndarray, masks: np.ndarray, names: Sequence[str]) -> list[str]:
    """Names of many models, bool, shape (model, term), as `model_name` has them."""
    order = np.array(generators_order(masks))
    within = hold(masks, masks).T & ~np.eye(len(masks), dtype=bool)
    largest = rows & ~(rows.astype(np.float32) @ within.T.astype(np.float32) > 0)
    texts = ["[" + " ".join(names[j] for j in _members(int(masks[k]))) + "]" for k in order]
    return ["".join(texts[k] for k in np.flatnonzero(row)) for row in largest[:, order]]


def generators_order(masks: Sequence[int] | np.ndarray) -> list[int]:
    """Places of terms in the order in which a name has them: large ones first, then by list."""
    found = [int(mask) for mask in masks]
    return sorted(range(len(found)), key=lambda k: (-found[k].bit_count(), _members(found[k])))


def parse_generators(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """Terms of the hierarchical model with the generators of a text such as "[LA NG][GO]".

    Main effects of variables that stand in no bracket are added. A name that holds a space is
    read as long as it is written as in `names`.

    Raises
    ------
    ValueError
        If a bracket holds something that is not among `names`.
    """
    found = [1 << j for j in range(len(names))]
    for inside in text.replace("[", "").split("]")[:-1]:
        rest, mask = inside.strip(), 0
        while rest:
            fits = [j for j, name in enumerate(names) if (rest + " ").startswith(name + " ")]
            if not fits:
                raise ValueError(f"'{rest}' in '{text}' is none of {', '.join(names)}")
            best = max(fits, key=lambda j: len(names[j]))
            mask |= 1 << best
            rest = rest[len(names[best]) :].strip()
        found.append(mask)
    return closure(mask for mask in found if mask)


def model_row(masks: Iterable[int], columns: np.ndarray) -> np.ndarray:
    """A model as a row of `hierarchical_models`: its terms with all their parts.

    Raises
    ------
    ValueError
        If a term is not among the columns.
    """
    wanted = closure(masks)
    if missing := set(wanted) - set(columns.tolist()):
        raise ValueError(f"terms {sorted(missing)} are not among those that are allowed")
    return np.isin(columns, wanted)


def design(cells: np.ndarray, masks: Sequence[int] | np.ndarray) -> np.ndarray:
    """Corner coding: 1 where a cell holds all variables of a term, shape (cell, term).

    Parameters
    ----------
    cells
        Histories, bool, shape (cell, variable).
    masks
        Terms; 0 is the intercept.
    """
    codes = cells.astype(np.int64) @ (1 << np.arange(cells.shape[1]))
    return hold(codes, masks).astype(float)


def hold(codes: np.ndarray, masks: Sequence[int] | np.ndarray) -> np.ndarray:
    """Whether a cell, written as a mask itself, holds all variables of a term, bool.

    Shape (cell, term).
    """
    wanted = np.asarray(masks, dtype=np.int64)
    return np.asarray((np.asarray(codes)[:, None] & wanted) == wanted)


def _most(n: int, order: int | None) -> int:
    if n < 1:
        raise ValueError("a model needs at least one variable")
    if order is not None and order < 1:
        raise ValueError("the order of a model is at least 1")
    return max(n - 1, 1) if order is None else min(order, n)


def _members(mask: int) -> tuple[int, ...]:
    return tuple(j for j in range(mask.bit_length()) if mask >> j & 1)


def _facets(mask: int) -> tuple[int, ...]:
    return tuple(mask & ~(1 << j) for j in _members(mask))
