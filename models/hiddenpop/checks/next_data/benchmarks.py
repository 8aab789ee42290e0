r"""Next data for benchmarks: each survey once more.

The share or rate behind a benchmark is drawn for each draw of N (`next_data_rates`). A survey that
is done again then finds

    x ~ Binomial(n / D, p)     of a share,
    x ~ Poisson(n r / D)       of a rate per person.

Rows are taken one by one: that some people may be in two counts, which the family allows for in N,
is not allowed for again when a share is drawn.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from hiddenpop.checks.next_data.rates import Known, draw_rate
from hiddenpop.checks.next_data.width import Asked
from hiddenpop.families.maths.benchmark_terms import is_share
from hiddenpop.families.multiplier import Priors
from hiddenpop.families.multiplier_areas_design import key_of
from hiddenpop.families.multiplier_size import informative
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable
from hiddenpop.size import SizeEstimate
from hiddenpop.words import plain

__all__ = ["next_surveys", "next_surveys_of_areas"]


def next_surveys(
    table: MultiplierTable, size: np.ndarray, priors: Priors, rng: np.random.Generator
) -> list[Asked]:
    """Every survey of one population's benchmarks once more.

    A share or rate that is known by quantiles only is asked again in a survey that tells as much
    as they do.

    Parameters
    ----------
    size
        Draws of N, people, (sample,).
    priors
        Of the family multiplier.
    """
    residents = float(table.population[0])
    rows = [row for row in informative(table) if _usable(row)]
    surveys: dict[str, list[Benchmark]] = {}
    for row in rows:
        surveys.setdefault(_survey_of(row), []).append(row)
    drawn = {row.id: draw_rate(row, size, priors, residents, rng) for row in rows}
    asked = []
    for members in surveys.values():
        found = [_again(row, drawn[row.id], priors, rng) for row in members]
        names = ", ".join(row.id for row in members)
        asked.append(Asked(_words(members[0], priors), names, np.column_stack(found)))
    for row in informative(table):
        if row.kind == "survey" and row.sample:
            share = expit(drawn[row.id]) if row.id in drawn else 1.0
            chance = np.clip(share * size / residents, 0, 1)
            x = rng.binomial(max(round(row.sample / row.sample_effect), 1), chance)
            what = f"another survey of {plain(row.sample, 3)} residents"
            asked.append(Asked(what, row.id, x[:, None].astype(float)))
    return asked


def next_surveys_of_areas(estimate: SizeEstimate, rng: np.random.Generator) -> list[Asked]:
    """Every survey behind the benchmarks of several areas or years once more.

    The shares are those of the posterior of the family `multiplier-areas`. A survey that speaks
    for several strata measures the mean of their logits. Left out are surveys that over-recruit
    by an unknown odds ratio, of which the posterior keeps no draws.
    """
    table, posterior = estimate.data, estimate.tree["posterior"]
    if not isinstance(table, MultiplierTable) or "share" not in posterior:
        return []
    priors = Priors()
    groups: dict[tuple[object, ...], list[Benchmark]] = {}
    for row in informative(table):
        if _usable(row) and row.selection is None:
            groups.setdefault((row.id, row.rate, row.survey), []).append(row)
    asked = []
    for rows in groups.values():
        keys = [key_of(table, row) for row in rows]
        shares = posterior["share"].sel(link=keys).transpose("chain", "draw", "link").to_numpy()
        own = shares.reshape(-1, len(keys))
        theta = (logit(own) if is_share(rows[0]) else np.log(own)).mean(axis=1)
        names = rows[0].id if len(keys) == len(table.strata) > 1 else ", ".join(keys)
        found = _again(rows[0], theta, priors, rng)
        asked.append(Asked(_words(rows[0], priors), names, found[:, None]))
    return asked


def _survey_of(row: Benchmark) -> str:
    """Name of the survey behind a row; of its own where it has none."""
    named = row.survey and row.rate is not None and row.rate.n is not None
    return row.survey if named else f" {row.id}"


def _usable(row: Benchmark) -> bool:
    """Whether the rate is known with an error that a survey could have."""
    return row.rate is not None and (row.rate.n is not None or len(row.rate.quantiles) > 1)


def _words(row: Benchmark, priors: Priors) -> str:
    """The survey in words."""
    rate = row.rate
    if rate is not None and rate.n is not None:
        return f"another survey of {plain(rate.n, 3)} people" + (
            f" ({row.survey})" if row.survey else ""
        )
    if is_share(row):
        known = Known.of(row, priors)
        n = plain(known.one + known.two)
        return f"another survey that tells as much as the stated share, such as a sample of {n}"
    return "another study that tells as much as the stated rate"


def _again(
    row: Benchmark, theta: np.ndarray, priors: Priors, rng: np.random.Generator
) -> np.ndarray:
    """What the survey behind a row finds when it is done again."""
    known, rate = Known.of(row, priors), row.rate
    counted = rate is not None and rate.n is not None
    asked = rate.n / rate.design_effect if rate is not None and rate.n is not None else 0.0
    if known.share:
        asked = asked if counted else known.one + known.two
        return np.asarray(rng.binomial(max(round(asked), 1), expit(theta)), dtype=float)
    if counted:
        return np.asarray(rng.poisson(asked * np.exp(theta)), dtype=float)
    return np.asarray(theta + known.two * rng.normal(size=len(theta)))
