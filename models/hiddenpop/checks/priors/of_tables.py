"""Answers of one family on one table under each of its priors changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_type_hints

import numpy as np
import pymc as pm

from hiddenpop.checks.priors.changes import FieldChange, field_changes, size_prior_changes
from hiddenpop.checks.priors.densities import evaluate, free_draws
from hiddenpop.checks.priors.tornado import (
    EXACT,
    LEFT_OUT,
    NO_PART,
    REFITTED,
    REFUSED,
    Answer,
    Change,
    answer_of,
)
from hiddenpop.families import FAMILIES
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table, refused

__all__ = ["size_changes", "stored_priors"]

FEW = 8
"""Draws at which two models are compared."""

SAME = 1e-6
"""Log densities whose differences vary by less than this are alike."""


def size_changes(estimate: SizeEstimate, level: float) -> Iterator[Change]:
    """Changes of a family's own priors, then of the prior on N."""
    priors = stored_priors(estimate)
    found = list(field_changes(priors))
    prior = getattr(priors, "size_prior", None)
    if isinstance(prior, SizePrior):
        other = size_prior_changes(
            prior, estimate.observed, estimate.N(level).high, estimate.data.residents
        )
        found += [FieldChange("size_prior", name, value) for name, value in other.items()]
    for change in found:
        yield Change(change.prior, change.change, _size_answer(estimate, priors, change, level))


def _size_answer(
    estimate: SizeEstimate, priors: Any, change: FieldChange, level: float  # noqa: ANN401
) -> Callable[[bool], Answer]:  # fmt: skip
    """How the answer under one change is found."""
    family = FAMILIES[estimate.family]

    def answer(may_sample: bool) -> Answer:
        options = {estimate.family: vars(priors) | {change.prior: change.value}}
        if refused(estimate.data, estimate.family, options) is not None:
            return Answer(REFUSED)
        if _alike(estimate, priors, replace(priors, **{change.prior: change.value})):
            return answer_of(NO_PART, estimate.N(level), estimate.verdict.passed)
        if not (family.exact or may_sample):
            return Answer(LEFT_OUT)
        sampling = Sampling(**json.loads(estimate.tree.attrs["sampling"]))
        refit = fit_table(
            estimate.data, estimate.family, options=options, sampling=sampling, check=False
        )
        how = EXACT if family.exact else REFITTED
        if family.exact and _same_distribution(estimate, refit):
            how = NO_PART
        return answer_of(how, refit.N(level), refit.verdict.passed)

    return answer


def stored_priors(estimate: SizeEstimate) -> Any:  # noqa: ANN401
    """The family's `Priors` as they are stored with the estimate."""
    kind = FAMILIES[estimate.family].module.Priors
    hints = get_type_hints(kind)
    stored = json.loads(estimate.tree.attrs["priors"])
    found: dict[str, Any] = {}
    for name, value in stored.items():
        if hints[name] is SizePrior:
            found[name] = SizePrior.parse(value)
        else:
            found[name] = tuple(value) if isinstance(value, list) else value
    return kind(**found)


def _alike(estimate: SizeEstimate, old: Any, new: Any) -> bool:  # noqa: ANN401
    """Whether a sampled family's model is the same under both priors, up to a constant.

    Found at a few draws of the main fit, which saves a compilation; False where it cannot be
    told.
    """
    module = FAMILIES[estimate.family].module
    if not hasattr(module, "build_model"):
        return False
    posterior = estimate.tree["posterior"].to_dataset()
    joint = []
    for priors in (old, new):
        model = module.build_model(estimate.data, priors)
        values = module.values(estimate.data, priors)
        sizes = {rv.name: _sizes(model, rv.name) for rv in model.free_RVs}
        if any(name not in posterior or posterior[name].shape[2:] != size
               for name, size in sizes.items()):  # fmt: skip
            return False
        few = {name: x[:FEW] for name, x in free_draws(model, posterior).items()}
        joint.append(evaluate(model, values, few).joint)
    return bool(np.ptp(joint[1] - joint[0]) < SAME)


def _sizes(model: pm.Model, name: str) -> tuple[int, ...]:
    """Shape of a variable, from its dimensions."""
    return tuple(len(model.coords[dim]) for dim in model.named_vars_to_dims.get(name, ()))


def _same_distribution(one: SizeEstimate, two: SizeEstimate) -> bool:
    """Whether two computed posteriors are the same."""
    before, after = one.distribution, two.distribution
    if before is None or after is None:
        return False
    return all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))
