"""Classes of people with their own chances of being seen (Dirichlet-process mixture).

Within a class lists are independent; classes explain all dependence between lists. How many
classes there are is learnt from the table, up to a largest number. Source: Manrique-Vallier 2016
(Biometrics 72:1246), whose R package LCMCR fits the same model and whose defaults are kept, but
for two things: N has no upper limit (LCMCR stops at 21 times the observed), and chains are
tempered, because the posterior has several modes in tables of real lists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hiddenpop.families.maths.class_density import ClassModel, Factor
from hiddenpop.families.maths.class_sampler import ClassDraws, sample_classes
from hiddenpop.families.maths.unseen_number import UnseenNumber, draw_unseen
from hiddenpop.families.maths.valley import valley
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.simulation.latent_class import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.words import people, percent

if TYPE_CHECKING:
    pass

__all__ = ["Priors", "draw_truth", "posterior", "refusal", "simulate"]

LEAST_LISTS = 3

MOST_CLASSES = 50

FITTED_LISTS = 8
"""Up to so many lists the expected counts of all histories are reported."""

FITTED_DRAWS = 500

CAP = 21
"""LCMCR refuses N above this many times the observed."""

MODE_DRAWS = 400
"""Independent draws that chains are worth at least once they have passed their gates."""

CHUNK = 2_000_000

ASSUMPTION = (
    "People fall into classes, and inside a class lists are independent: classes explain all "
    "dependence between lists, and the people on no list belong to the classes that the people on "
    "some list show."
)


@dataclass(frozen=True)
class Priors:
    """Priors of the mixture. The chance of a class to be on a list is uniform from 0 to 1.

    Attributes
    ----------
    classes
        Largest number of classes; more than the table can use cost time and change nothing.
    alpha_shape, alpha_rate
        Gamma prior on alpha, the concentration of the Dirichlet process: the larger alpha, the
        more classes. At 0.25 and 0.25, the defaults of LCMCR, alpha has mean 1 and median 0.17,
        which favours few classes but rules out none.
    size_prior
        Prior on N.
    """

    classes: int = 10
    alpha_shape: float = 0.25
    alpha_rate: float = 0.25
    size_prior: SizePrior = field(default_factory=SizePrior)

    def __post_init__(self) -> None:
        if self.classes != int(self.classes) or not 2 <= self.classes <= MOST_CLASSES:
            raise ValueError(f"classes is {self.classes}; it must be from 2 to {MOST_CLASSES}")
        for name in ("alpha_shape", "alpha_rate"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name):g}; it must be a positive number")


def refusal(data: OverlapTable | Margins, priors: Priors) -> Refusal | None:
    """Why latent classes cannot be fitted to a table; None where they can."""
    if isinstance(data, Margins):
        return Refusal("latent-class-margins")
    if len(data.lists) < LEAST_LISTS:
        return Refusal("latent-class-lists", {"lists": len(data.lists), "least": LEAST_LISTS})
    return _refused_cells(data) or _refused_counts(data.total(), priors)


def _refused_cells(data: OverlapTable) -> Refusal | None:
    if data.structural.any():
        return Refusal("latent-class-structural", {"cells": int(data.structural.sum())})
    if np.isinf(data.high).any():
        return Refusal("latent-class-unknown", {"cells": int(np.isinf(data.high).sum())})
    if not data.exact:
        return Refusal("latent-class-ranges", {"cells": int(np.sum(data.low < data.high))})
    return None


def _refused_counts(data: OverlapTable, priors: Priors) -> Refusal | None:
    if data.list_totals.sum() == data.observed:
        return Refusal("latent-class-no-overlap", {"observed": data.observed})
    most = priors.size_prior.most
    if most < data.observed:
        return Refusal("latent-class-prior", {"most": most, "observed": data.observed})
    return None


def posterior(data: OverlapTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """Sample the posterior of N.

    `sampling.chains` independent ladders of tempered chains are warmed up for `tune` iterations
    and give `draws` draws each. Where R-hat or an effective sample size then fails its gate, the
    ladders run on, up to eight times as long, and draws are spread over all iterations, so that
    their number stays. `target_accept` is for other families.

    Returns
    -------
    xarray.DataTree
        Group `posterior`, dims (chain, draw): `N`, `unseen`, `alpha`, `missed` (p_0),
        `log_likelihood`, `classes_used` (classes that hold somebody, seen or not). Numbers of
        single classes are left out, because classes have no names. Group `fitted`; group `cells`:
        `expected`, 500 draws of the people of each cell given the people seen. Root
        attributes beside the common ones: `round_trips` (JSON: how often a state came down each
        ladder from the prior to the posterior) and `thin` (iterations for each draw).
    """
    table = _in_order(data.total())
    number = UnseenNumber(table.observed, priors.size_prior.log_density, priors.size_prior.most)
    model = _model(table, priors, number)

    def named(drawn: ClassDraws) -> xr.Dataset:
        rng = np.random.default_rng([sampling.seed, 1])
        variables = _variables(model, drawn, number, rng)
        return xr.Dataset(
            {name: (("chain", "draw"), values) for name, values in variables.items()},
            coords={"chain": np.arange(sampling.chains), "draw": np.arange(sampling.draws)},
        )

    drawn = sample_classes(
        model, sampling.chains, sampling.tune, sampling.draws,
        np.random.default_rng(sampling.seed), lambda drawn: _converged(named(drawn)),
    )  # fmt: skip
    found = named(drawn)
    tree = xr.DataTree.from_dict({"posterior": found} | _fitted(model, drawn, table, data.total()))
    tree.attrs = {
        "observed": table.observed, "assumption": ASSUMPTION,
        "notes": json.dumps(_notes(data, found)),
        "round_trips": json.dumps(drawn.round_trips.tolist()), "thin": drawn.thin,
    }  # fmt: skip
    return tree


def _converged(found: xr.Dataset) -> bool:
    """Whether more draws of the same chains are not needed."""
    from hiddenpop.inference import judge

    gates = judge(xr.DataTree.from_dict({"posterior": found})).gates
    # More draws make no more chains; and one chain alone has no R-hat.
    idle = {"chains"} if found.sizes["chain"] > 1 else {"chains", "R-hat"}
    return all(gate.passed for gate in gates if gate.name not in idle)


def _in_order(table: OverlapTable) -> OverlapTable:
    """The table with its lists in an order that follows from the counts alone.

    Random numbers then meet the same lists however a file orders or names them.
    """
    size = table.history.sum(axis=1)

    def key(place: int) -> tuple[float, list[tuple[int, float]]]:
        mine = table.history[:, place]
        rows = zip(size[mine].tolist(), table.low[mine].tolist(), strict=True)
        return float(table.list_totals[place]), sorted(rows)

    return table.permuted(sorted(range(len(table.lists)), key=key))


def _model(table: OverlapTable, priors: Priors, number: UnseenNumber) -> ClassModel:
    """The mixture on the histories that somebody had."""
    some = table.low > 0
    factor = None if priors.size_prior.kind == "reciprocal" else Factor(number.grid, number.sums)
    return ClassModel(
        table.history[some].astype(float), table.low[some], priors.classes,
        priors.alpha_shape, priors.alpha_rate, factor,
    )  # fmt: skip


def _variables(
    model: ClassModel, drawn: ClassDraws, number: UnseenNumber, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """What is reported of each draw, shape (chain, draw)."""
    shape = drawn.fit.shape
    logit = drawn.logit.reshape(-1, *drawn.logit.shape[2:])
    stick = drawn.stick.reshape(-1, drawn.stick.shape[2])
    odds, used = np.empty(len(logit)), np.empty(len(logit))
    unseen = np.empty(len(logit))
    size = model.classes * (len(model.counts) + 1)
    for piece in np.array_split(np.arange(len(logit)), 1 + len(logit) * size // CHUNK):
        parts = model.parts(logit[piece], stick[piece])
        odds[piece] = parts.missed / parts.seen
        unseen[piece] = _draw_unseen(model, odds[piece], number, rng)
        apart = parts.weight * np.exp(-parts.away)
        joint = np.concatenate([parts.joint, apart[:, :, None]], axis=2).transpose(0, 2, 1)
        counts = np.concatenate(
            [np.broadcast_to(model.counts, (len(piece), len(model.counts))), unseen[piece, None]],
            axis=1,
        )
        shares = joint / joint.sum(axis=2, keepdims=True)
        people_of = rng.multinomial(np.minimum(counts, 1e15).astype(np.int64), shares)
        used[piece] = people_of.any(axis=1).sum(axis=1)
    found = {
        "N": model.people + unseen, "unseen": unseen, "missed": odds / (1 + odds),
        "classes_used": used,
    }  # fmt: skip
    both = {name: values.reshape(shape) for name, values in found.items()}
    return both | {"alpha": drawn.alpha, "log_likelihood": drawn.fit}


def _draw_unseen(
    model: ClassModel, odds: np.ndarray, number: UnseenNumber, rng: np.random.Generator
) -> np.ndarray:
    """n_0 given the odds of being missed: NegBin(n, 1 - p_0) under 1/N."""
    if model.factor is not None:
        return number.draw(odds, rng)
    return draw_unseen(model.people, odds, rng)


def _fitted(
    model: ClassModel, drawn: ClassDraws, table: OverlapTable, shown: OverlapTable
) -> dict[str, xr.Dataset]:
    """Expected people of each history: draws, their mean and the ends that hold 95 % of them."""
    lists = len(table.lists)
    if lists <= FITTED_LISTS:
        history = ((np.arange(1, 2**lists)[:, None] >> np.arange(lists)) & 1).astype(bool)
        observed = shown.dense()[0, 1:]
    else:
        history, observed = shown.history, shown.low
    place = [shown.lists.index(name) for name in table.lists]
    logit = drawn.logit.reshape(-1, *drawn.logit.shape[2:])
    stick = drawn.stick.reshape(-1, drawn.stick.shape[2])
    some = np.unique(np.linspace(0, len(logit) - 1, FITTED_DRAWS).astype(int))
    parts = model.on(history[:, place].astype(float)).parts(logit[some], stick[some])
    cells = model.people * parts.cell / parts.seen[:, None]
    low, high = np.quantile(cells, [0.025, 0.975], axis=0)
    columns = {"observed": observed, "expected": cells.mean(axis=0), "low": low, "high": high}
    labels = {"history": ["".join("1" if mark else "0" for mark in row) for row in history]}
    fitted = {name: ("history", values) for name, values in columns.items()}
    return {
        "fitted": xr.Dataset(fitted, coords=labels),
        "cells": xr.Dataset({"expected": (("sample", "history"), cells)}, coords=labels),
    }


def _notes(data: OverlapTable, found: xr.Dataset) -> list[str]:
    """What a reader must know."""
    used = found["classes_used"].to_numpy()
    low, high = np.quantile(used, [0.025, 0.975])
    alone = float(np.mean(used == 1))
    notes = [
        (
            f"The table and those on no list take {low:.0f} to {high:.0f} classes (95 %); one "
            f"class alone, which means independent lists, has probability {percent(alone)}."
        )
    ]
    notes += _two_groups(found["N"].to_numpy())
    above = float(np.mean(found["N"].to_numpy() > CAP * data.observed))
    if above >= 1e-3:
        notes.append(
            f"{percent(above)} of the posterior lies above {people(CAP * data.observed)}, "
            f"{CAP} times the people seen: a class that lists hardly reach can be of any size. "
            "The R package LCMCR cuts N off there."
        )
    if data.factors:
        notes.append(
            f"The {len(data.strata)} strata were added up: differences between them are left to "
            "the classes."
        )
    return notes


def _two_groups(size: np.ndarray) -> list[str]:
    """Two ways to sort people into classes that give different N, where there are two."""
    split = valley(np.log(size), MODE_DRAWS)
    if split is None:
        return []
    lower = size < np.exp(split)
    share = float(lower.mean())
    one, two = (people(float(np.median(part))) for part in (size[lower], size[~lower]))
    text = (
        f"Two ways to divide people into classes fit: N is around {one} in one, with probability "
        f"{percent(share)}, and around {two} in the other. The median lies between them or in "
        "one of them; the interval spans both."
    )
    return [text]
