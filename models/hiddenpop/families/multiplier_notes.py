"""What is said of N from benchmarks: priors, biases, conflicts, in numbers that were computed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr
from scipy.stats import beta as beta_distribution

from hiddenpop.families.maths.benchmark_terms import is_share, misfit
from hiddenpop.families.maths.integer_sums import SLOW
from hiddenpop.families.maths.joint_layout import share_beta
from hiddenpop.families.multiplier_size import Evidence, SizePosterior
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable
from hiddenpop.words import percent

__all__ = ["assumption", "notes"]

DOUBT = 0.05
"""A conflict below this, after Bonferroni's correction for the rows looked at, is noted."""

BAD_FIT = 0.02
"""Distance on the logit or log scale from which a misfit of quantiles is noted."""


def assumption(data: MultiplierTable) -> str:
    """What the number rests on and no data can test."""
    kinds = {row.kind for row in data.rows}
    if kinds == {"figure"}:
        return (
            "Those who state figures err in either direction alike, by no more than the priors "
            "on their overconfidence and on the spread between them allow; no data can test this."
        )
    rates = "share or rate" if kinds - {"people", "survey"} else "share"
    return (
        f"Each {rates} is that of the target population itself, at the time and place of its "
        "count, but for the biases that were given; no data in the table can test this."
    )


def notes(
    data: MultiplierTable, evidence: Evidence, found: SizePosterior, table: xr.Dataset
) -> list[str]:
    """What a reader of the number must know, in numbers that were computed."""
    rows = list(evidence.rows.values())
    told = [_prior_note(evidence), *_plain_notes(table)]
    for row in rows:
        told += _rate_notes(row)
        told += _bias_notes(row)
    told += _figure_notes(evidence)
    told += _joint_notes(evidence)
    left = [row.id for row in data.rows if row.id not in evidence.rows]
    if left:
        told.append(f"Without a number and therefore left out: {_names(left)}.")
    if evidence.residents > 0:
        told.append(
            f"N is at most the {evidence.residents:,.0f} residents: the prior on N ends there."
        )
    if found.found.power < SLOW:
        told.append(
            f"The posterior falls so slowly, about as N to the power -{found.found.power:.2f}, "
            "that its mean is infinite or rests on numbers far beyond the interval: read the "
            "median and the interval."
        )
    return [*told, *_conflict_notes(table)]


def _prior_note(evidence: Evidence) -> str:
    priors = evidence.priors
    a, b = priors.share_a, priors.share_b
    share = "uniform" if a == b == 1 else f"Beta({a:g}, {b:g})"
    surveyed = any(
        row.kind == "people" if row.rate is None else is_share(row) and row.rate.x is not None
        for row in evidence.rows.values()
    )
    told = f"Prior on the size N: {_size_words(priors.size_prior)}."
    return f"{told} Prior on a share before its survey: {share}." if surveyed else told


def _size_words(prior: SizePrior) -> str:
    if prior.kind == "reciprocal":
        return "1/N, flat on the logarithm of N"
    if prior.kind == "uniform":
        return f"uniform up to {prior.one:,.0f}"
    if prior.kind == "lognormal":
        return f"log-normal with median {prior.one:,.0f} and 90th percentile {prior.two:,.0f}"
    return f"gamma-Poisson with shape {prior.one:g} and scale {prior.two:g}"


def _plain_notes(table: xr.Dataset) -> Iterator[str]:
    # With several rows the table of benchmarks says it for each.
    for name in table["benchmark"].to_numpy()[: 1 if table.sizes["benchmark"] == 1 else 0]:
        one = table.sel(benchmark=name)
        middle, low, high = (float(one[f"plain{end}"]) for end in ("", "_low", "_high"))
        if np.isfinite(middle):
            ends = f" ({low:,.0f} to {high:,.0f})" if np.isfinite([low, high]).all() else ""
            yield (
                f"The plain multiplier of '{name}', its number divided by its share or rate, "
                f"gives {middle:,.0f}{ends}."
            )


def _rate_notes(row: Benchmark) -> Iterator[str]:
    """Design effects, and distributions that miss stated quantiles."""
    rate = row.rate
    if row.kind == "survey":
        yield _effect_note(row.id, row.sample or 0.0, row.sample_effect, stated=False)
        if rate is None:
            yield f"The survey '{row.id}' is taken to find every member of the target it meets."
    if rate is None:
        if row.kind == "people":
            yield f"'{row.id}' has no survey of its share: it says little but that N is larger."
        return
    if rate.x is not None and rate.n is not None:
        yield _effect_note(row.id, rate.n, rate.design_effect, stated=rate.stated_effect)
    elif misfit(row) > BAD_FIT:
        yield _misfit_note(row)


def _effect_note(name: str, size: float, effect: float, *, stated: bool) -> str:
    if effect == 1 and not stated:
        return (
            f"No design effect was stated for the survey of '{name}': it was taken as a simple "
            "random sample."
        )
    return (
        f"The survey of '{name}' has a design effect of {effect:.3g}: its {size:,.0f} count as "
        f"{size / effect:,.0f} of a simple random sample."
    )


def _misfit_note(row: Benchmark) -> str:
    if row.rate is None:
        return ""
    given = ", ".join(f"{value:.4g}" for _, value in row.rate.quantiles)
    if not is_share(row):
        return (
            f"No log-normal rate has the quantiles stated for '{row.id}' ({given}); the nearest "
            f"is off by up to {np.expm1(misfit(row)):.1%}."
        )
    levels = [q for q, _ in row.rate.quantiles]
    near = beta_distribution.ppf(levels, *share_beta(row.rate, 1, 1))
    return (
        f"No Beta share has the quantiles stated for '{row.id}' ({given}); the nearest, which "
        f"was used, has {', '.join(f'{value:.4g}' for value in near)}."
    )


def _range(interval: Interval, *, share: bool = False) -> str:
    low, high, level = interval
    ends = f"{low:.3g} to {high:.3g}" + (" of them" if share else "")
    return f"{ends} ({percent(level)})"


def _bias_notes(row: Benchmark) -> Iterator[str]:
    if row.selection is not None:
        yield (
            f"The survey of '{row.id}' may over-recruit people with the event, by an odds ratio "
            f"of {_range(row.selection)}."
        )
    if row.undercount is not None:
        yield f"Missing from '{row.id}': {_range(row.undercount, share=True)}."
    if row.overcount is not None:
        yield (
            f"Counted in '{row.id}' twice, or not of the target: "
            f"{_range(row.overcount, share=True)}."
        )
    if row.error is not None:
        yield f"'{row.id}' may be off by a factor, reported / true, of {_range(row.error)}."


def _figure_notes(evidence: Evidence) -> Iterator[str]:
    figures = [row.id for row in evidence.rows.values() if row.kind == "figure"]
    if not figures:
        return
    doubt, spread = Interval(*evidence.priors.overconfidence), evidence.priors.between_experts
    if doubt.high == 1 and spread == 0:
        yield f"Stated figures ({_names(figures)}) are as good as their stated errors say."
        return
    yield (
        f"Stated figures ({_names(figures)}): the errors stated are taken to be too small by "
        f"a factor of {_range(doubt)}, and beyond them figures differ with an sd on the log "
        f"scale of up to about {2 * spread:.2g}."
    )


def _joint_notes(evidence: Evidence) -> Iterator[str]:
    people = [row.id for row in evidence.rows.values() if row.kind == "people"]
    if len(people) < 2:
        return
    known = [
        pair for pair in evidence.table.overlaps
        if pair.first in people and pair.second in people
    ]  # fmt: skip
    told = [
        f"{pair.first} and {pair.second}" for pair in known
        if pair.people is not None or pair.respondents is not None
    ]  # fmt: skip
    linked = f" How many are in both was counted for {'; '.join(told)}." if told else ""
    yield (
        f"The counts {_names(people)} may hold the same people: the odds ratio between two of "
        f"the events is {_range(Interval(*evidence.priors.odds_ratio))} beforehand, unless it "
        f"was given for the pair.{linked}"
    )


def _conflict_notes(table: xr.Dataset) -> Iterator[str]:
    """The row most at odds with the others: it puts these at odds with the rest too."""
    doubt, count = table["conflict"].to_numpy(), table.sizes["benchmark"]
    if np.isnan(doubt).all() or np.nanmin(doubt) * count >= DOUBT:
        return
    one = table.isel(benchmark=int(np.nanargmin(doubt)))
    name, least = str(one["benchmark"].item()), float(one["conflict"])
    also = [f"'{other}'" for other, p in zip(table["benchmark"].to_numpy(), doubt, strict=True)
            if p * count < DOUBT and other != name]  # fmt: skip
    more = f" So do {', '.join(also)}, each against the rest." if also else ""
    yield (
        f"'{name}' contradicts the others: alone it gives {float(one['alone']):,.0f}, the others "
        f"give {float(one['without']):,.0f} (p = {least:.2g}; {count} rows were looked at).{more} "
        "Something is wrong by more than was allowed for, and N from all of them together "
        "answers no question."
    )


def _names(ids: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in ids)
