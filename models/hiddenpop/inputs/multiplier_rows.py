r"""Benchmarks of a multiplier table as the tables of an evidence synthesis.

    people    kind benchmark: C ~ Binomial(N, p), reported as C times the bias of its source
    events    kind count: Poisson, if the synthesis is fitted without over-dispersion
    amount    kind estimate, N x rate with a log-normal error
    survey    kind proportion of residents, N / residents x the share that a survey finds
    figure    kind estimate or guess, as the caller chooses
    share     a Beta, with the odds ratio of its selection; a rate per person is log-normal
    error, overcount, undercount
              the bias of a source of the row's own

Not exactly the same, because a synthesis has no other form for it: a product of an error and
Betas of over- and under-count becomes the log-normal with the same mean and sd of its logarithm,
and so does the gamma distribution of a rate from x events in n person-units. What has no
counterpart at all is refused (`as_synthesis`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import special, stats

from hiddenpop.errors import InputError
from hiddenpop.families.maths.quantile_fit import fit_quantiles
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.areas import areas_from_frame
from hiddenpop.inputs.evidence import EVIDENCE_COLUMNS, Known, evidence_of
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.inputs.rates import BIAS_COLUMNS, RATE_COLUMNS, biases_of, rates_of
from hiddenpop.inputs.synthesis import SynthesisData, Target
from hiddenpop.inputs.terms import RESIDENTS, UNSTATED
from hiddenpop.priors import beta_from_interval, lognormal_from_interval, z_score

__all__ = ["GROUP", "Experts", "as_synthesis", "synthesis_priors"]

Experts = Literal["estimate", "guess"]

GROUP = "members"
"""What the one group of the synthesis is called."""

AREA = "the area"
"""An area without a name."""

NO_PERIOD = "2000"
"""Stands for a period that is not given. All rows share it, so nothing drifts."""

MANY = 1e6
"""Residents for each member, where residents are not known: a logit is then a logarithm."""

LEVEL = 0.95
"""Of the intervals that distributions are written as."""

MADE = "a row of a table of benchmarks"

Cells = dict[str, str]


def as_synthesis(
    table: MultiplierTable,
    size_prior: SizePrior,
    *,
    experts: Experts | None = None,
    independent: bool = False,
) -> SynthesisData:
    """Write every benchmark as a row of evidence, with its rate and the bias of its source.

    Parameters
    ----------
    table
        One population, or several areas in one period, which become top areas. A row without a
        number is left out.
    size_prior
        Log-normal prior on the size, of all areas together. Where the residents of the one
        area are not known they are set to a million times its median; `synthesis_priors`
        gives the prior on prevalence that makes it so.
    experts
        What rows of kind `figure` become: `estimate`, normal errors as stated, which is the
        multiplier with an overconfidence of 1 and no spread between experts; or `guess`,
        Student-t errors. There is no default, as a synthesis has no overconfidence that experts
        share.
    independent
        Whether counts of the same people may be taken as independent given the size: an odds
        ratio of 1 between each two events.

    Returns
    -------
    SynthesisData
        Of one group; ids of rows are those of the benchmarks (with the area, if there are
        several).

    Raises
    ------
    ValueError
        For what a synthesis cannot say: a prior on the size that is not log-normal; several
        periods; a survey that several benchmarks share, or anything known of their overlap;
        several counts of the same people, unless `independent`; figures, unless `experts` says
        what they become; a range of events; an amount or a figure without an error; a share that
        is missing, or a single number; residents that are not known where a share of them was
        observed or there are several areas.
    InputError
        For rows that would be bad input to a study.
    """
    rows = [row for row in table.rows if np.isfinite([row.least, row.most]).all()]
    _check(table, rows, size_prior, experts, independent=independent)
    names = [area or AREA for area, _ in table.strata]
    period = table.strata[0][1] or NO_PERIOD
    target = Target("what members of the target have in common", UNSTATED, period)
    areas = areas_from_frame(_area_frame(names, table.population, size_prior, period))
    labels = {id(row): _label(row, names) for row in rows}
    shared = _Rates()
    evidence, biases = [], []
    for row in rows:
        label = labels[id(row)]
        evidence.append(
            {"id": label, "area": names[row.stratum], "group": GROUP, "period": period,
             "ages": UNSTATED, "rates": shared.name(row, label), "source": label,
             "definition": f"{row.kind}: {row.id}", "citation": row.source or "not given",
             "use": "yes"} | _numbers(row, experts)
        )  # fmt: skip
        biases.append({"name": label, "scope": MADE, "reason": MADE} | _bias(row))
    faults = Faults()
    made = rates_of(_frame(shared.cells, RATE_COLUMNS), "rates", faults)
    off = biases_of(_frame(biases, BIAS_COLUMNS), "biases", faults)
    known = Known((GROUP,), target.ages, target.middle, areas, made, off)
    found = evidence_of(_frame(evidence, EVIDENCE_COLUMNS), "evidence", known, frozenset(), faults)
    if made is None or off is None or found is None or faults.found:
        raise InputError(faults.found)
    return SynthesisData(target, areas, (GROUP,), {}, found, made, off, np.array(found.used))


def synthesis_priors(data: SynthesisData, size_prior: SizePrior) -> dict[str, Any]:
    """Priors of a synthesis of `as_synthesis` under which it is the multiplier's model.

    Returns
    -------
    dict
        Fields of `families.synthesis.Priors`: `prevalence` that makes the size log-normal as
        `size_prior` says (but for N beside the residents), and counts that are Poisson. With one
        area nothing else has a part in it.

    Raises
    ------
    ValueError
        If the prior is not log-normal, or reaches the number of residents.
    """
    _check_prior(size_prior)
    tops = [parent < 0 for parent in data.areas.parent]
    residents = float(data.areas.population[tops].sum())
    # The median and the 90th percentile, and the 10th which lies as far below on the log scale.
    low, high = size_prior.one**2 / size_prior.two / residents, size_prior.two / residents
    if high >= 1:
        raise ValueError(
            f"the 90th percentile of the prior on the size, {size_prior.two:g}, is no less than "
            f"the {residents:g} residents"
        )
    return {"prevalence": (low, high, 0.8), "overdispersion": 0.0}


def _check_prior(prior: SizePrior) -> None:
    if prior.kind != "lognormal":
        raise ValueError(
            f"a synthesis has a normal prior on the logit of prevalence, and {prior} is not "
            "log-normal: give lognormal:MEDIAN,P90"
        )


def _check(
    table: MultiplierTable,
    rows: list[Benchmark],
    prior: SizePrior,
    experts: Experts | None,
    *,
    independent: bool,
) -> None:
    """Refuse what a synthesis cannot say."""
    _check_prior(prior)
    if not rows:
        raise ValueError("no benchmark has a number")
    if len({period for _, period in table.strata}) > 1:
        raise ValueError("several periods are not carried over: a synthesis is about one")
    if len(table.strata) > 1 and not np.isfinite(table.population).all():
        raise ValueError("several areas need the residents of each: their prevalence is pooled")
    if any(row.kind == "figure" for row in rows) and experts is None:
        raise ValueError(
            "the overconfidence that experts share, and the spread between them, are not carried "
            "over: give experts='estimate' or experts='guess'"
        )
    _check_pairs(table, rows, independent=independent)
    for row in rows:
        _check_row(row, float(table.population[row.stratum]))


def _check_pairs(table: MultiplierTable, rows: list[Benchmark], *, independent: bool) -> None:
    """Refuse what links two benchmarks of one stratum beside the size."""
    for pair in table.overlaps:
        ends = pair.odds_ratio
        if pair.respondents is not None or pair.people is not None or (
            ends is not None and (ends.low, ends.high) != (1, 1)
        ):  # fmt: skip
            raise ValueError(
                f"the overlap of '{pair.first}' and '{pair.second}' is not carried over: rows of a "
                "synthesis are independent given the size"
            )
    for one, two in combinations(rows, 2):
        if one.stratum != two.stratum:
            continue
        if one.survey and one.survey == two.survey:
            raise ValueError(
                f"'{one.id}' and '{two.id}' share the respondents of '{one.survey}', which is not "
                "carried over: keep one of them"
            )
        if one.kind == two.kind == "people" and not independent:
            raise ValueError(
                f"'{one.id}' and '{two.id}' may count the same people, and how the two events go "
                "together is not carried over: give independent=True for an odds ratio of 1"
            )


def _check_row(row: Benchmark, residents: float) -> None:
    """Refuse a row for which a synthesis has no likelihood."""
    if row.kind in ("amount", "figure") and row.interval is None:
        raise ValueError(f"'{row.id}' has no error of its own: give its interval")
    if row.kind == "events" and row.least != row.most:
        raise ValueError(f"'{row.id}': a range of events is not carried over")
    if row.kind in ("people", "events", "amount") and row.rate is None:
        raise ValueError(f"'{row.id}' has no share or rate; those of other rows do not stand in")
    if row.kind == "survey" and not np.isfinite(residents):
        raise ValueError(f"'{row.id}' is a share of residents, whose number is not known")
    corrected = row.overcount is not None or row.undercount is not None
    if (row.kind == "figure" and corrected) or (
        row.kind == "survey" and (corrected or row.error is not None)
    ):
        raise ValueError(f"'{row.id}': rows of kind {row.kind} have no such correction")


def _label(row: Benchmark, names: list[str]) -> str:
    return row.id if len(names) == 1 else f"{row.id}, {names[row.stratum]}"


def _frame(rows: Iterable[Mapping[str, str]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Texts by line, as they are read from a file, with a header in line 1."""
    cells = [[row.get(column, "") for column in columns] for row in rows]
    frame = pd.DataFrame(cells, columns=list(columns), dtype=str)
    frame.index += 2
    return frame


def _area_frame(
    names: list[str], population: np.ndarray, prior: SizePrior, period: str
) -> pd.DataFrame:
    """The areas, all at the top."""
    residents = np.where(np.isfinite(population), population, MANY * prior.one)
    return pd.DataFrame(
        {"name": names, "parent": "", "population": residents, "low": np.nan, "high": np.nan,
         "level": np.nan, "period": period, "ages": UNSTATED, "source": "not given"}
    )  # fmt: skip


def _text(number: float) -> str:
    """A number that reads back as the same."""
    whole = float(number).is_integer() and abs(number) < 1e15
    return str(int(number)) if whole else repr(float(number))


def _ends(interval: Interval | tuple[float, float, float]) -> Cells:
    return dict(zip(("low", "high", "level"), map(_text, interval), strict=True))


def _numbers(row: Benchmark, experts: Experts | None) -> Cells:
    """Kind of a row of evidence, and its numbers."""
    if row.kind in ("amount", "figure"):
        kind = experts if row.kind == "figure" and experts else "estimate"
        return {"kind": kind, "value": _text(row.value), **_ends(row.interval or (0, 0, 0))}
    ends = {"value": _text(row.least)}
    if row.least != row.most:
        ends = {"low": _text(row.least), "high": _text(row.most)}
    if row.kind == "survey":
        return {"kind": "proportion", "of": RESIDENTS, "n": _text(row.sample or 0),
                "design_effect": _text(row.sample_effect), **ends}  # fmt: skip
    return {"kind": "benchmark" if row.kind == "people" else "count", **ends}


def _bias(row: Benchmark) -> Cells:
    """Reported over true, log-normal with the mean and sd that the logarithm of r has.

    log(1 - u) with u ~ Beta(a, b) has mean digamma(b) - digamma(a + b) and variance
    trigamma(b) - trigamma(a + b) (Johnson, Kotz & Balakrishnan 1995, chapter 25).
    """
    mean = variance = 0.0
    if row.error is not None:
        factor = lognormal_from_interval(*row.error)
        mean, variance = factor.mu, factor.sigma**2
    for sign, interval in ((1, row.undercount), (-1, row.overcount)):
        if interval is not None:
            a, b = beta_from_interval(*interval)
            mean += sign * float(special.digamma(b) - special.digamma(a + b))
            variance += float(special.polygamma(1, b) - special.polygamma(1, a + b))
    if variance == 0:
        return {"low": _text(np.exp(mean)), "high": _text(np.exp(mean)), "source": MADE}
    return _lognormal(mean, float(np.sqrt(variance))) | {"source": MADE}


def _lognormal(mean: float, sd: float) -> Cells:
    """A log-normal distribution as its central interval."""
    half = z_score(LEVEL) * sd
    return _ends((float(np.exp(mean - half)), float(np.exp(mean + half)), LEVEL))


class _Rates:
    """Lines of the table of rates, one for each share; areas that share a survey share its rate."""

    def __init__(self) -> None:
        self.cells: list[Cells] = []
        self._of_survey: dict[tuple[str, str, Rate, Interval | None], str] = {}

    def name(self, row: Benchmark, label: str) -> str:
        """Name of the row's rate, "" if it has none."""
        if row.rate is None:
            return ""
        key = (row.survey, row.id, row.rate, row.selection)
        if row.survey and key in self._of_survey:
            return self._of_survey[key]
        name = self._free("rate_of_" + re.sub(r"\W", "_", label))
        selection = row.selection
        words = "" if selection is None else "{} to {} at {}".format(*map(_text, selection))
        prior = _share(row, row.rate) if _is_share(row, row.rate) else _factor(row, row.rate)
        self.cells.append(
            {"name": name, "selection": words, "scope": MADE, "source": row.source or "not given",
             "reason": MADE} | prior
        )  # fmt: skip
        self._of_survey[key] = name
        return name

    def _free(self, name: str) -> str:
        taken = {cells["name"] for cells in self.cells}
        return next(new for k in range(len(taken) + 1) if (new := name + "_" * k) not in taken)


def _is_share(row: Benchmark, rate: Rate) -> bool:
    """Whether a rate is a share: of a figure, if it is from a survey or stays below 1."""
    if row.kind == "figure":
        return rate.x is not None or all(value < 1 for _, value in rate.quantiles)
    return row.kind in ("people", "survey")


def _share(row: Benchmark, rate: Rate) -> Cells:
    """A Beta: from the survey, from its interval, or through more quantiles."""
    if rate.x is not None and rate.n is not None:
        return {"kind": "share", "x": _text(rate.x), "n": _text(rate.n),
                "design_effect": _text(rate.design_effect)}  # fmt: skip
    pairs = _pairs(row, rate)
    if len(pairs) == 2 and np.isclose(pairs[0][0] + pairs[1][0], 1, rtol=0, atol=1e-12):
        level = pairs[1][0] - pairs[0][0]
        return {"kind": "share", **_ends((pairs[0][1], pairs[1][1], level))}
    a, b = fit_quantiles("beta", pairs)[0].parameters
    tail = (1 - LEVEL) / 2
    low, high = stats.beta.ppf([tail, 1 - tail], a, b)
    return {"kind": "share", **_ends((float(low), float(high), LEVEL))}


def _factor(row: Benchmark, rate: Rate) -> Cells:
    """A log-normal: as near to the quantiles as it can be, or for Gamma(1 + x/D, n/D)."""
    if rate.x is not None and rate.n is not None:
        shape, exposure = 1 + rate.x / rate.design_effect, rate.n / rate.design_effect
        mean = float(special.digamma(shape) - np.log(exposure))
        return {"kind": "factor", **_lognormal(mean, float(np.sqrt(special.polygamma(1, shape))))}
    mean, sd = fit_quantiles("log-normal", _pairs(row, rate))[0].parameters
    return {"kind": "factor", **_lognormal(mean, sd)}


def _pairs(row: Benchmark, rate: Rate) -> tuple[tuple[float, float], ...]:
    if len(rate.quantiles) < 2:
        raise ValueError(f"'{row.id}': a single number is no distribution; give two quantiles")
    return rate.quantiles
