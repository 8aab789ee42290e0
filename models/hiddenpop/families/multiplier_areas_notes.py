"""What an estimate from benchmarks over areas and periods rests on, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.maths.benchmark_terms import misfit
from hiddenpop.families.multiplier_areas_design import Design
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.words import percent

if TYPE_CHECKING:  # `families.multiplier_areas` calls this module
    from hiddenpop.families.multiplier_areas import Priors

__all__ = ["assumption", "notes"]

NOTICED = 0.05
"""Misfit of quantiles, on the logit or log scale, above which a note says so."""


def assumption(data: MultiplierTable) -> str:
    """The one sentence that no data can test."""
    first = "Shares and rates are those of the target at the time and place of the count"
    if len(data.strata) == 1:
        return f"{first}, and given the size the numbers are independent of each other."
    return (
        f"{first}, and places or periods without numbers of their own are like the others but for "
        "differences of the size that the others show."
    )


def notes(design: Design, priors: Priors) -> list[str]:
    """Sentences that a reader must see."""
    return [
        *_whose(design.data), *_priors(design, priors), *_coverage(design), *_dependence(design)
    ]  # fmt: skip


def _whose(data: MultiplierTable) -> Iterator[str]:
    """Which strata the number is of, where they are not all."""
    if len(data.current) < len(data.strata):
        areas = "all areas together" if len(data.current) > 1 else "one area"
        yield f"N is that of the last period, {data.strata[data.current[0]][1]}, {areas}."


def _priors(design: Design, priors: Priors) -> Iterator[str]:
    beta = f"Beta({priors.share_a:g}, {priors.share_b:g})"
    flat = " (uniform)" if priors.share_a == priors.share_b == 1 else ""
    if not design.pooled:
        yield f"Prior on the size: {priors.size_prior}; on each share: {beta}{flat}."
        return
    low, high, level = priors.prevalence
    yield (
        f"Priors: the common prevalence lies between {low:.4g} and {high:.4g} of residents with "
        f"{percent(level)} probability; the mean share of each benchmark is {beta}{flat}; sds on "
        f"the logit scale are half-normal with scale {priors.between_areas:g} between areas, "
        f"{priors.between_shares:g} between shares, {priors.change:g} and {priors.share_change:g} "
        "for the change of prevalence and of shares in a year."
    )
    if len({area for area, _ in design.data.strata}) < 5 <= len(design.data.strata):
        yield (
            "Few areas say little of how much areas differ, and the prior on this sd matters: "
            "see between_areas and between_shares."
        )


def _coverage(design: Design) -> Iterator[str]:
    """What strata have of their own, and rates that are used once."""
    data = design.data
    if design.pooled:
        counted = {row.stratum for row in data.rows if np.isfinite(row.least)}
        informed = {row.stratum for row in data.rows if row.rate is not None
                    and row.id not in design.repeated}  # fmt: skip
        number = Counter((s in counted, s in informed) for s in range(len(data.strata)))
        words = {(True, True): "a count and a share of their own",
                 (True, False): "a count only", (False, True): "a share only",
                 (False, False): "neither"}  # fmt: skip
        having = ", ".join(f"{number[key]} have {text}" for key, text in words.items()
                           if number[key])  # fmt: skip
        yield f"Of {len(data.strata)} strata {having}; what one lacks is taken from the others."
    for name in design.repeated:
        yield (
            f"The same share of '{name}' is stated for several strata; it is taken as one survey "
            "of all of them, and counted once."
        )
    for row in data.rows:
        if (distance := misfit(row)) > NOTICED:
            yield (
                f"No distribution meets all quantiles of '{row.id}'; the one used misses them by "
                f"up to {distance:.2g} on the logit or log scale."
            )
    errors = sorted({row.id for row in data.rows for kind in ("error", "overcount", "undercount",
                                                              "selection")
                     if design.pooled and getattr(row, kind) is not None})  # fmt: skip
    if errors:
        yield (
            f"Errors of {', '.join(errors)} are the same in every stratum where the same interval "
            "is stated for them, so that they do not average out."
        )


def _dependence(design: Design) -> Iterator[str]:
    """Pairs of counts of the same people, which this family takes as independent."""
    data = design.data
    pairs = Counter(row.stratum for row in data.rows
                    if row.kind == "people" and np.isfinite(row.least))  # fmt: skip
    strata = sum(count > 1 for count in pairs.values())
    if strata:
        where = f" in {strata} strata" if design.pooled else ""
        yield (
            f"Several counts of people{where} are taken as independent given the size: that the "
            "same people are likelier, or less likely, to be in two of them is left out, and the "
            "interval may be too narrow. The family multiplier has an odds ratio for it, one "
            "stratum at a time."
        )
    surveys = Counter((row.survey, row.stratum) for row in data.rows
                      if row.survey and row.kind == "people")  # fmt: skip
    if any(count > 1 for count in surveys.values()):
        yield ("Shares from the same respondents are taken as independent of each other.")
    if data.overlaps:
        yield (
            f"What is known of {len(data.overlaps)} pairs of benchmarks together is not used with "
            "several strata."
        )
