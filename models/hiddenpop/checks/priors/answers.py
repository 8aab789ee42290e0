"""Answers of an evidence synthesis under each of its priors changed.

The constants of priors are part of the compiled model, so that a refit compiles anew; moved and
weighted draws of the main fit need no compiling.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import arviz as az
import numpy as np
import pymc as pm

from hiddenpop.checks.priors.densities import evaluate, free_draws
from hiddenpop.checks.priors.of_studies import StudyChange, study_changes
from hiddenpop.checks.priors.tornado import (
    LEFT_OUT,
    NO_PART,
    REFITTED,
    REWEIGHTED,
    Answer,
    Change,
    answer_of,
)
from hiddenpop.checks.reweighting import Weighted, weigh, weighted_quantile
from hiddenpop.estimate import Estimate, build, fit
from hiddenpop.families import FAMILIES
from hiddenpop.inference import Sampler

__all__ = ["answers"]

DRAWS, TUNE = 1000, 1500
"""A changed prior is looked at for how far it moves the result. A fit that fails its gates is
made again at the main fit's full length."""


class _Main(NamedTuple):
    """The main fit, as reweighting needs it.

    Attributes
    ----------
    free
        Draws of the random variables, (sample, ...).
    joint, users
        Log density and the answer of each draw, (sample,).
    efficiency
        Effective share of the draws.
    """

    estimate: Estimate
    area: str
    group: str
    level: float
    free: dict[str, np.ndarray]
    joint: np.ndarray
    users: np.ndarray
    efficiency: float


def answers(
    estimate: Estimate, area: str, group: str, level: float, only: Collection[str] | None = None
) -> Iterator[Change]:
    """Every change of a prior (of those in `only`), with how its answer is found."""
    model = estimate.model
    posterior = estimate.tree["posterior"].to_dataset()
    free = free_draws(model, posterior)
    values = FAMILIES[estimate.family].module.values(estimate.data.data)
    joint = evaluate(model, values, free).joint
    users = posterior["users"].sel(area=area, union=group).to_numpy()
    efficiency = min(1.0, float(az.ess(users, method="bulk")) / users.size)
    main = _Main(estimate, area, group, level, free, joint, users.reshape(-1), efficiency)
    for change in study_changes(estimate.data, model.coords["standard"]):
        if only is None or change.prior in only:
            yield Change(change.prior, change.change, _answer(main, change))


def _answer(main: _Main, change: StudyChange) -> Callable[[bool], Answer]:
    """How the answer under one change is found."""

    def answer(may_sample: bool) -> Answer:
        model = build(change.study)
        best = _best(main, change, model)
        if best is not None and best.even and np.allclose(best.draws, main.users, rtol=1e-9):
            whole = main.estimate.users(main.area, main.group, main.level)
            return answer_of(NO_PART, whole, main.estimate.verdict.passed)
        if best is not None and best.reliable:
            tails = np.array([(1 - main.level) / 2, 0.5, (1 + main.level) / 2])
            low, median, high = (float(x) for x in weighted_quantile(best, tails))
            passed = main.estimate.verdict.passed
            return Answer(REWEIGHTED, low, median, high, passed, best.k)
        k = float("nan") if best is None else best.k
        if not may_sample:
            return Answer(LEFT_OUT, k=k)
        refit = _refit(main, change, model)
        found = refit.users(main.area, main.group, main.level)
        return answer_of(REFITTED, found, refit.verdict.passed)._replace(k=k)

    return answer


def _best(main: _Main, change: StudyChange, model: pm.Model) -> Weighted | None:
    """Draws by the move whose weights are the most even; None if no draw can be moved."""
    values = FAMILIES[change.study.family].module.values(change.study.data)
    if {variable.name for variable in model.free_RVs} != set(main.free):
        return None
    area = list(model.coords["area"]).index(main.area)
    group = list(model.coords["union"]).index(main.group)
    moves = [move(main.free) for move in change.moves]
    # All moves at once, as most of the time goes into making the program.
    every = {name: np.concatenate([moved[name] for moved, _ in moves]) for name in main.free}
    parts = evaluate(model, values, every, ["users"])
    log_weights = parts.joint.reshape(len(moves), -1) - main.joint
    users = parts.wanted["users"][:, area, group].reshape(len(moves), -1)
    found = [
        weigh(x, weights + log_jacobian, main.efficiency)
        for x, weights, (_, log_jacobian) in zip(users, log_weights, moves, strict=True)
    ]
    return max(found, key=lambda one: (one.reliable, one.effective))


def _refit(main: _Main, change: StudyChange, model: pm.Model) -> Estimate:
    """Compile and sample the changed study; at full length if a gate fails."""
    sampler, sampling = Sampler(model), main.estimate.sampling
    short = replace(sampling, draws=min(DRAWS, sampling.draws), tune=min(TUNE, sampling.tune))
    fitted = fit(change.study, sampling=short, check=False, sampler=sampler)
    if not fitted.verdict.passed and short != sampling:
        fitted = fit(change.study, sampling=sampling, check=False, sampler=sampler)
    return fitted
