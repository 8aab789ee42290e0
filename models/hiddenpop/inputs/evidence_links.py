"""What a row of evidence refers to: area, group, period, ages, rates, source, population."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from hiddenpop.inputs import periods
from hiddenpop.inputs.areas import Areas
from hiddenpop.inputs.faults import choose
from hiddenpop.inputs.lines import Line
from hiddenpop.inputs.rates import Biases, Rates
from hiddenpop.inputs.terms import KINDS, RESIDENTS, UNSTATED, parse_rates

__all__ = ["Known", "check_links"]


@dataclass(frozen=True)
class Known:
    """What rows of evidence may refer to.

    Attributes
    ----------
    groups
        Disjoint groups and unions that a row may be about; empty if they have faults.
    ages, middle
        The target's ages ("" if unknown) and the middle of its period in decimal years.
    areas, rates, biases
        The other tables, None where they have faults of their own.
    """

    groups: tuple[str, ...]
    ages: str
    middle: float | None
    areas: Areas | None
    rates: Rates | None
    biases: Biases | None


def check_links(line: Line, known: Known) -> None:
    """Record what a row refers to but the study does not have."""
    if not line["kind"]:
        line.fault("evidence-kind-empty", "kind", kinds=", ".join(KINDS))
    if known.areas is not None:
        _check_name("evidence-area", line, "area", known.areas.names)
    if known.groups:
        _check_name("evidence-group", line, "group", known.groups)
        if line["of"]:
            _check_name("evidence-of", line, "of", (RESIDENTS, *known.groups))
    if known.biases is not None:
        _check_name("evidence-source", line, "source", known.biases.names)
    _check_period(line, known)
    if (powers := _powers(line)) is not None and known.rates is not None:
        _check_rates(line, powers, known.rates)
        if line["kind"] == "benchmark":
            _check_chance(line, powers, known.rates)
        if known.ages:
            _check_ages(line, powers, known.rates, known.ages)
        if known.areas is not None:
            _check_population(line, powers, known.rates, known.areas)


def _check_name(code: str, line: Line, column: str, allowed: tuple[str, ...]) -> None:
    """The cell is one of the names; what is invisible in it was reported before."""
    name = line[column]
    if name not in allowed and name.isprintable():
        line.fault(code, column, name=name, fix=choose(name, allowed))


def _check_period(line: Line, known: Known) -> None:
    period = line["period"]
    try:
        start, end = periods.span(period)
    except ValueError:
        if period == "":
            line.fault("evidence-period-empty", "period")
        elif not periods.is_mangled(period):
            line.fault("evidence-period", "period", period=period)
        return
    if start >= dt.datetime.now(tz=dt.UTC).year + 1:
        line.fault("evidence-period-future", "period", period=period)
    elif known.middle is not None and abs((start + end) / 2 - known.middle) > periods.FARTHEST:
        line.fault("evidence-period-far", "period", period=period,
                   years=abs((start + end) / 2 - known.middle), most=periods.FARTHEST)  # fmt: skip


def _powers(line: Line) -> dict[str, float] | None:
    """The product of rates, None after recording that it cannot be read."""
    try:
        return parse_rates(line["rates"])
    except ValueError:
        if line["rates"].isprintable():
            line.fault("evidence-rates-form", "rates", rates=line["rates"])
        return None


def _check_rates(line: Line, powers: dict[str, float], rates: Rates) -> None:
    for name in powers:
        if name not in rates.names:
            line.fault("evidence-rate-unknown", "rates", rate=name,
                       fix=choose(name, rates.names))  # fmt: skip


def _check_chance(line: Line, powers: dict[str, float], rates: Rates) -> None:
    """The rates of a benchmark make the chance that a member is counted: a product of shares."""
    if not powers:
        line.fault("evidence-benchmark-alone", "rates")
    for name, power in powers.items():
        if power <= 0:
            line.fault("evidence-benchmark-over", "rates", rate=name)
        elif name in rates.factors:
            line.fault("evidence-benchmark-factor", "rates", rate=name)


def _check_ages(line: Line, powers: dict[str, float], rates: Rates, target: str) -> None:
    """Ages are the target's, or one of the row's rates turns the target's ages into them."""
    ages = line["ages"]
    if ages == "":
        line.fault("evidence-ages-empty", "ages", unstated=UNSTATED)
    turned = {rates.ages[name] for name in powers if name in rates.ages}
    if (
        ages not in ("", target, UNSTATED, *turned)
        and not periods.is_mangled(ages)
        and set(powers) <= set(rates.names)
    ):
        line.fault("evidence-ages", "ages", ages=ages, target=target, unstated=UNSTATED)


def _check_population(line: Line, powers: dict[str, float], rates: Rates, areas: Areas) -> None:
    """A number of people that only shares rescale cannot exceed the residents."""
    if line["area"] not in areas.names or line["kind"] == "proportion":
        return
    given = [x for x in (line.number("value"), line.number("low")) if not math.isnan(x)]
    largest = max(given, default=0.0)
    if line["of"]:
        if largest > 1:
            line.fault("evidence-share-above-one", "value" if line["value"] else "low",
                       of=line["of"], share=largest)  # fmt: skip
        return
    if any(name not in rates.shares or power < 0 for name, power in powers.items()):
        return  # factors may turn people into money or events, of which there may be more
    people = areas.population[areas.index(line["area"])]
    if largest > people:
        line.fault("evidence-above-population", "value" if line["value"] else "low",
                   number=largest, area=line["area"], people=people)  # fmt: skip
