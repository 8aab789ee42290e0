"""What a result rests on: the same study with sources, rows or residents changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from hiddenpop.estimate import Estimate, build
from hiddenpop.families import FAMILIES
from hiddenpop.inference import Sampler
from hiddenpop.inputs.settings import left_out_name
from hiddenpop.inputs.study import Study, Variant

__all__ = ["MAIN", "all_variants", "leave_one_source_out", "vary"]

DRAWS, TUNE = 1000, 800
"""A variant is looked at for how far it moves the result, not for its third digit. One that
fails its gates is fitted again at the main fit's full length."""

MAIN = "main"
"""Name of the unchanged study among the variants."""


def leave_one_source_out(study: Study) -> tuple[Variant, ...]:
    """A variant without each source in use."""
    sources = study.data.sources
    return tuple(
        Variant(left_out_name(source), f"Without {source}", without_sources=(source,))
        for source in sources
    )


def all_variants(study: Study) -> tuple[Variant, ...]:
    """The study's own variants, then the study without each source in turn."""
    return study.variants + leave_one_source_out(study)


def vary(
    estimate: Estimate,
    variants: tuple[Variant, ...] | None = None,
    *,
    level: float = 0.95,
    on_step: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Refit the study under each variant, without compiling again.

    Parameters
    ----------
    variants
        Default: `all_variants` of its study.
    on_step
        Called with the name of each variant before its turn.

    Returns
    -------
    pandas.DataFrame
        The columns of `Estimate.table` after `variant` and `title`, first for the main
        result, then for each variant; `rows` is how many rows of evidence and components
        it used, and `passed` whether its fit passed the gates.
    """
    chosen = all_variants(estimate.data) if variants is None else variants
    sampler = estimate.sampler or Sampler(build(estimate.data))
    main = Variant(MAIN, "All evidence in use")
    included = estimate.data.data.counted
    tables = [_labelled(estimate.table(level), main, included, estimate.verdict.passed)]
    for variant in chosen:
        if on_step:
            on_step(variant.name)
        tables.append(_variant(estimate, variant, sampler, level))
    return pd.concat(tables, ignore_index=True)


def _variant(estimate: Estimate, variant: Variant, sampler: Sampler, level: float) -> pd.DataFrame:
    """Fit one variant."""
    data = variant.apply(estimate.data.data)
    values = FAMILIES[estimate.family].module.values(data)
    study = replace(estimate.data, data=data)
    short = replace(estimate.sampling, draws=DRAWS, tune=TUNE)
    fitted = Estimate(sampler.sample(values, short), study, estimate.family, sampler)
    if not fitted.verdict.passed:
        long = sampler.sample(values, estimate.sampling)
        fitted = Estimate(long, study, estimate.family, sampler)
    return _labelled(fitted.table(level), variant, data.counted, fitted.verdict.passed)


def _labelled(
    table: pd.DataFrame, variant: Variant, included: np.ndarray, passed: bool
) -> pd.DataFrame:
    table.insert(0, "variant", variant.name)
    table.insert(1, "title", variant.title)
    return table.assign(rows=int(included.sum()), passed=passed)
