"""People on lists for the coverage study: dependent, heterogeneous, referred, badly linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Population", "cell_shares", "linked", "sighted", "table_of"]

Links = Mapping[tuple[int, ...], float]

ROUNDS = 500


@dataclass(frozen=True)
class Population:
    """How people come to be on lists; whatever is not said is independence.

    Attributes
    ----------
    N
        People.
    chances
        Of everybody together to be on each list.
    links
        By lists, log odds ratios of a log-linear model (of three lists, the ratio of odds
        ratios). Chances of the lists stay as they are.
    spread
        Sd of visibility on the logit scale, common to all lists.
    referral
        Chance that who is on the first list is sent to the second.
    missed, false
        Share of a person's further records that are taken for another person, and of people
        whose first record is taken for one of somebody else.
    most_hidden
        Cells of 1 to so many people are suppressed; 0 for none.
    """

    N: int = 2000
    chances: tuple[float, ...] = (0.30, 0.25, 0.20, 0.15)
    links: Links = field(default_factory=dict)
    spread: float = 0.0
    referral: float = 0.0
    missed: float = 0.0
    false: float = 0.0
    most_hidden: int = 0

    def draw(self, rng: np.random.Generator) -> OverlapTable:
        """The table that a study of this population would have."""
        on = linked(sighted(self, rng), self.missed, self.false, rng)
        return table_of(on, self.most_hidden)


def sighted(of: Population, rng: np.random.Generator) -> np.ndarray:
    """Who is on which list, bool (person, list)."""
    if of.spread:
        logit = np.log(of.chances) - np.log1p(-np.array(of.chances))
        visible = of.spread * rng.normal(size=(of.N, 1))
        on = rng.random((of.N, len(of.chances))) < 1 / (1 + np.exp(-(logit + visible)))
    else:
        histories, shares = cell_shares(of.chances, of.links)
        on = histories[rng.choice(len(shares), size=of.N, p=shares)]
    if of.referral:
        on[:, 1] |= on[:, 0] & (rng.random(of.N) < of.referral)
    return np.asarray(on)


def cell_shares(chances: tuple[float, ...], links: Links) -> tuple[np.ndarray, np.ndarray]:
    """Histories, bool (cell, list), and their shares: the one table with these margins and links.

    By iterative proportional fitting, which leaves odds ratios as they are.

    Raises
    ------
    RuntimeError
        If that does not converge.
    """
    histories = np.array(list(product((False, True), repeat=len(chances))))
    shares = np.ones(len(histories))
    for chosen, value in links.items():
        shares = shares * np.where(histories[:, list(chosen)].all(axis=1), np.exp(value), 1.0)
    for _ in range(ROUNDS):
        for j, chance in enumerate(chances):
            inside = shares[histories[:, j]].sum() / shares.sum()
            shares = shares * np.where(
                histories[:, j], chance / inside, (1 - chance) / (1 - inside)
            )
        shares /= shares.sum()
        if np.allclose(histories.T @ shares, chances, rtol=1e-10, atol=0):
            return histories, shares
    raise RuntimeError("iterative proportional fitting did not converge")


def linked(on: np.ndarray, missed: float, false: float, rng: np.random.Generator) -> np.ndarray:
    """Records after linkage, one row a person that the study believes in."""
    people = on[on.any(axis=1)]
    if missed:
        # Each record beyond a person's first may fail to be linked to it.
        first = np.cumsum(people, axis=1) > 1
        lost = people & first & (rng.random(people.shape) < missed)
        who, where = np.nonzero(lost)
        alone = np.zeros((len(who), people.shape[1]), dtype=bool)
        alone[np.arange(len(who)), where] = True
        people = np.concatenate([people & ~lost, alone])
    if false:
        wrong = rng.random(len(people)) < false
        gone, left = people[wrong], people[~wrong]
        onto = rng.integers(len(left), size=len(gone))
        np.logical_or.at(left, onto, gone)
        people = left
    return people


def table_of(people: np.ndarray, most_hidden: int = 0) -> OverlapTable:
    """The overlap table of the people seen."""
    histories, counts = np.unique(people, axis=0, return_counts=True)
    cells: dict[str, float | tuple[float, float]] = {
        "".join("1" if mark else "0" for mark in history): (
            (1.0, float(most_hidden)) if count <= most_hidden else float(count)
        )
        for history, count in zip(histories, counts, strict=True)
    }
    return OverlapTable.from_counts("abcdefgh"[: people.shape[1]], cells)
