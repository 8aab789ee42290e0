"""Why benchmarks over areas cannot be pooled, or a single stratum not be sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.multiplier_areas_design import label
from hiddenpop.families.refusal import Refusal
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable

if TYPE_CHECKING:  # `families.multiplier_areas` calls this module
    from hiddenpop.families.multiplier_areas import Priors

__all__ = ["refused"]

MOST_STRATA = 400
"""More would take minutes to compile and sample."""


def refused(data: MultiplierTable, priors: Priors) -> Refusal | None:
    """As `families.multiplier_areas.refusal`."""
    if priors.size_prior.kind == "uniform":
        return Refusal("multiplier-areas-size-prior", {"prior": str(priors.size_prior)})
    if not any(np.isfinite(row.least) for row in data.rows):
        return Refusal("multiplier-areas-nothing")
    if len(data.strata) > 1 and (found := _several(data, priors)):
        return found
    for row in data.rows:
        if found := _row(data, row):
            return found
    return _rates(data) or (_one(data) if len(data.strata) == 1 else None)


def _several(data: MultiplierTable, priors: Priors) -> Refusal | None:
    """What pooling needs."""
    if priors.size_prior.kind != "reciprocal":
        return Refusal("multiplier-areas-size-pooled", {"prior": str(priors.size_prior)})
    if len(data.strata) > MOST_STRATA:
        return Refusal("multiplier-areas-many", {"strata": len(data.strata), "most": MOST_STRATA})
    missing = np.flatnonzero(~np.isfinite(data.population))
    if missing.size:
        first = label(data.strata[missing[0]])
        return Refusal("multiplier-areas-residents", {"count": len(missing), "stratum": first})
    for name in data.benchmarks:
        kinds = sorted({row.kind for row in data.rows if row.id == name})
        if len(kinds) > 1:
            return Refusal("multiplier-areas-kinds", {"id": name, "kinds": " and ".join(kinds)})
    return None


def _row(data: MultiplierTable, row: Benchmark) -> Refusal | None:
    """What one row needs."""
    residents = data.population[row.stratum]
    where = {"id": row.id, "stratum": label(data.strata[row.stratum]) or "all"}
    if row.rate is not None and len(row.rate.quantiles) == 1:
        return Refusal("multiplier-areas-rate", where)
    if row.kind == "survey" and not np.isfinite(residents):
        return Refusal("multiplier-areas-survey", where)
    if row.kind == "survey" and np.isfinite(row.least) and (row.sample or 0.0) < row.most:
        return Refusal("multiplier-areas-sample", where)
    if row.certain > residents:
        return Refusal(
            "multiplier-areas-above", where | {"count": row.certain, "residents": residents}
        )
    if row.kind in ("amount", "figure") and np.isfinite(row.least) and not row.value > 0:
        return Refusal("multiplier-areas-zero", where)
    return None


def _rates(data: MultiplierTable) -> Refusal | None:
    """Every benchmark with a share or rate has it somewhere."""
    for name in data.benchmarks:
        rows = [row for row in data.rows if row.id == name]
        needs = rows[0].kind in ("people", "events", "amount")
        if needs and not any(row.rate is not None for row in rows):
            return Refusal("multiplier-areas-share", {"id": name})
    return None


def _one(data: MultiplierTable) -> Refusal | None:
    """What `multiplier` does for a single stratum and this family does not."""
    counted = [row for row in data.rows if row.kind == "people" and np.isfinite(row.least)]
    if not any(row.most > 0 for row in data.rows if np.isfinite(row.least)):
        return Refusal("multiplier-areas-empty")
    if data.overlaps:
        pair = data.overlaps[0]
        return Refusal("multiplier-areas-overlap", {"first": pair.first, "second": pair.second})
    surveys = [row.survey for row in counted if row.survey]
    for name in surveys:
        if surveys.count(name) > 1:
            return Refusal("multiplier-areas-respondents", {"survey": name})
    return None
