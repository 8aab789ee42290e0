"""From a table of benchmarks to the numbers that its model looks up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hiddenpop.families.multiplier_areas_design import (
    AREAS,
    CHANGE,
    EXPERTS,
    OWN_CHANGE,
    REPORTED,
    SHARE_CHANGE,
    SHARES,
    Design,
    Grid,
    Terms,
    key_of,
    label,
    linked,
    years,
)
from hiddenpop.families.multiplier_areas_rates import FORMS, Information, base, centre, informs
from hiddenpop.inputs.multipliers import KINDS, Benchmark, Interval, MultiplierTable
from hiddenpop.priors import (
    beta_from_interval,
    logit_normal_from_interval,
    lognormal_from_interval,
)

if TYPE_CHECKING:  # `families.multiplier_areas` calls this module
    from hiddenpop.families.multiplier_areas import Priors

__all__ = ["design_of"]

NARROWEST = 1e-3
"""Least sd of a log factor that is not taken for a fixed value, and half-width of a miscount."""


def design_of(data: MultiplierTable, priors: Priors) -> Design:
    """Look up every position that the model needs."""
    made = _Maker(data, priors)
    made.sizes()
    for name in data.benchmarks:
        made.shares(name)
    made.factors()
    made.rates()
    made.layout()
    return made.design()


class _Maker:
    """Gathers names and coefficients, one block after the other."""

    def __init__(self, data: MultiplierTable, priors: Priors) -> None:
        self.data, self.priors = data, priors
        self.time = years(data)
        self.areas = tuple(dict.fromkeys(area for area, _ in data.strata))
        self.base: dict[str, float] = {}
        self.normals: dict[str, str | float] = {}
        self.miscounts: dict[str, tuple[float, float]] = {}
        self.blocks: dict[str, dict[str, Terms]] = {
            name: {} for name in ("size", "known", "confidence", "greatest link",
                                  "greatest factor")
        }  # fmt: skip
        self.report: dict[str, dict[str, Terms]] = {name: {} for name in REPORTED}
        self.of_factor: dict[str, Terms] = {}
        self.greatest: tuple[Benchmark | None, ...] = ()
        self.grids: dict[str, Grid] = {}
        self.found: dict[str, tuple[Information, Terms]] = {}
        self.repeated: list[str] = []

    def sizes(self) -> None:
        """Log odds of being in the target (log of the size where residents are not known)."""
        several = len(self.areas) > 1
        self.base["level"] = _start_level(self.data, self.priors)
        common = self._walk("period", CHANGE, list(self.time))
        own = {}
        for area in self.areas:
            here = [t for t in self.time if (area, t) in self.data.strata]
            own[area] = self._walk(f"{area}, period", OWN_CHANGE, here) if several else {}
            effect = {f"area: {area}": 1.0} if several else {}
            self.normals |= dict.fromkeys(effect, AREAS)
            self.report["area"][area] = effect
        for period in self.time:
            self.report["period"][period] = common.get(period, {})
        for area, period in self.data.strata:
            terms = {"level": 1.0} | self.report["area"][area] | common.get(period, {})
            self.blocks["size"][label((area, period))] = terms | own[area].get(period, {})
        if not several:
            self.report["area"] = {}
        if len(self.time) == 1:
            self.report["period"] = {}

    def _walk(
        self, name: str, scale: str, here: Sequence[str], share: float = 1.0
    ) -> dict[str, Terms]:
        """Random walk over periods: 0 at the first, variance `share` of sd^2 for each year."""
        made: dict[str, Terms] = {}
        so_far: Terms = {}
        for before, period in pairwise(here):
            step = f"{name}: {period}"
            self.normals[step] = scale
            gap = max(self.time[period] - self.time[before], 1e-3)
            so_far = so_far | {step: float(np.sqrt(share * gap))}
            made[period] = so_far
        return made

    def shares(self, name: str) -> None:
        """Logit shares or log rates of one benchmark in every stratum."""
        data = self.data
        rows = [row for row in data.rows if row.id == name and linked(row)]
        if not rows:
            return
        centres = [centre(row, self.priors.share_a, self.priors.share_b)
                   for row in rows if row.rate is not None]  # fmt: skip
        mean = f"mean: {name}"
        self.base[mean] = float(np.median(centres))
        self.report["benchmark"][name] = {mean: 1.0}
        at = {data.strata[row.stratum] for row in rows}
        areas = [area for area in self.areas if any(area == a for a, _ in at)]
        several = len(areas) > 1
        split = 0.5 if several else 1.0
        here = [t for t in self.time if any(t == p for _, p in at)]
        common = self._walk(f"{name}, period", SHARE_CHANGE, here, split)
        own: dict[str, dict[str, Terms]] = {area: {} for area in areas}
        effect: dict[str, Terms] = {area: {} for area in areas}
        for area in areas if several else []:
            times = [t for t in here if (area, t) in at]
            own[area] = self._walk(f"{name}, {area}, period", SHARE_CHANGE, times, split)
            effect[area] = {f"{name}: {area}": 1.0}
            self.normals[f"{name}: {area}"] = SHARES
        for row in rows:
            area, period = data.strata[row.stratum]
            self.report["link"][key_of(data, row)] = (
                {mean: 1.0} | effect[area] | common.get(period, {}) | own[area].get(period, {})
            )
        prior = base(rows, self.priors.share_a, self.priors.share_b)
        if prior is not None:
            self.found[mean] = (prior, {mean: 1.0})

    def factors(self) -> None:
        """Log of reported / true for each row, and the overconfidence of figures.

        The same interval of the same benchmark is one unknown in all strata: an error of the
        source does not average out over areas.
        """
        for row in self.data.rows:
            terms: Terms = {}
            if row.error is not None:
                self._normal(terms, f"error of {row.id} {_text(row.error)}", row.error)
            for kind, sign in (("undercount", 1.0), ("overcount", -1.0)):
                interval = getattr(row, kind)
                if interval is None:
                    continue
                if interval.high - interval.low < NARROWEST:
                    middle = (interval.low + interval.high) / 2
                    terms[""] = terms.get("", 0.0) + sign * float(np.log1p(-middle))
                else:
                    name = f"{kind} of {row.id} {_text(interval)}"
                    alpha, beta = beta_from_interval(*interval)
                    self.miscounts[name] = (alpha, beta)
                    terms[name] = sign
            self.of_factor[key_of(self.data, row)] = terms
        if any(row.kind == "figure" for row in self.data.rows):
            self.normals[EXPERTS] = EXPERTS
            terms = {}
            self._normal(terms, "overconfidence", Interval(*self.priors.overconfidence))
            self.blocks["confidence"]["overconfidence"] = terms

    def rates(self) -> None:
        """What surveys and quantiles say of shares, each said once.

        One rate that is stated in several strata, as a national survey is, tells of their mean.
        """
        groups: dict[tuple[object, ...], list[Benchmark]] = {}
        for row in self.data.rows:
            if row.rate is not None:
                groups.setdefault((row.id, row.rate, row.survey, row.selection), []).append(row)
        for rows in groups.values():
            terms: Terms = {}
            for row in rows:
                for name, value in self.report["link"][key_of(self.data, row)].items():
                    terms[name] = terms.get(name, 0.0) + value / len(rows)
            first = rows[0]
            if first.selection is not None:
                name = f"selection for {first.id} {_text(first.selection)}"
                self._normal(terms, name, first.selection)
            if len(rows) > 1:
                self.repeated.append(first.id)
            mean = f"mean: {first.id}"
            if len(self.data.strata) == 1 and mean in self.found:
                # The prior of a single share is that of the survey's share, as in `multiplier`.
                self.found[mean] = (self.found[mean][0], terms)
            fact = informs(first, self.priors.share_a, self.priors.share_b)
            self.found[f"rate: {key_of(self.data, first)}"] = (fact, terms)

    def layout(self) -> None:
        """Greatest counts, and the other rows by kind and stratum."""
        data = self.data
        self.greatest = tuple(_greatest(data, s) for s in range(len(data.strata)))
        if any(self.greatest):
            for s, row in enumerate(self.greatest):
                self._place("greatest", f"{s}", row)
        if not any(self.blocks["greatest factor"].values()):
            self.blocks["greatest factor"] = {}
        for kind in KINDS:
            rows = [row for row in data.rows if row.kind == kind and np.isfinite(row.least)
                    and row is not self.greatest[row.stratum]]  # fmt: skip
            if rows:
                self._grid(kind, rows)

    def _grid(self, kind: str, rows: list[Benchmark]) -> None:
        """Lay out the rows of one kind."""
        # By name, so that the order of rows means nothing.
        own = [sorted((row for row in rows if row.stratum == s), key=lambda row: row.id)
               for s in range(len(self.data.strata))]  # fmt: skip
        slots = max(len(of_stratum) for of_stratum in own)
        cells = tuple((*of_stratum, *[None] * (slots - len(of_stratum))) for of_stratum in own)
        links = any(linked(row) for row in rows)
        factors = any(self.of_factor[key_of(self.data, row)] for row in rows)
        for block, wanted in (("link", links), ("factor", factors)):
            if wanted:
                self.blocks[f"{kind} {block}"] = {}
        for s, cell in enumerate(cells):
            for slot, row in enumerate(cell):
                self._place(kind, f"{s} {slot}", row)
        ranges = any(row.least < row.most for row in rows)
        self.grids[kind] = Grid(kind, cells, links, factors, ranges)

    def _place(self, kind: str, where: str, row: Benchmark | None) -> None:
        """Fill the place of one row in the blocks of its kind."""
        name = "" if row is None else key_of(self.data, row)
        for block, terms in (("link", self.report["link"]), ("factor", self.of_factor)):
            if f"{kind} {block}" in self.blocks:
                self.blocks[f"{kind} {block}"][where] = terms.get(name, {})

    def _normal(self, terms: Terms, name: str, interval: Interval) -> None:
        """Add a log-normal factor to `terms`: its mean, and a normal unless it is fixed."""
        mu, sigma = lognormal_from_interval(*interval)
        terms[""] = terms.get("", 0.0) + mu
        if sigma > NARROWEST:
            self.normals[name] = sigma
            terms[name] = 1.0

    def design(self) -> Design:
        """Put everything in order."""
        priors = self.priors
        scales = {AREAS: priors.between_areas, CHANGE: priors.change, OWN_CHANGE: priors.change,
                  SHARES: priors.between_shares, SHARE_CHANGE: priors.share_change,
                  EXPERTS: priors.between_experts}  # fmt: skip
        used = set(self.normals.values())
        # Sorted by form: each is computed for all at once.
        order = sorted(self.found, key=lambda name: FORMS.index(self.found[name][0].form))
        self.blocks["known"] = {name: self.found[name][1] for name in order}
        return Design(
            self.data, tuple(self.base), np.array(list(self.base.values())), self.normals,
            {name: scale for name, scale in scales.items() if name in used}, self.miscounts,
            self.blocks | self.report, self.greatest, self.grids,
            tuple(self.found[name][0] for name in order),
            tuple(dict.fromkeys(self.repeated)),
        )  # fmt: skip


def _greatest(data: MultiplierTable, stratum: int) -> Benchmark | None:
    """The row with the greatest count of people, errors apart; of equal ones the first by name."""
    counted = [row for row in data.rows if row.kind == "people" and np.isfinite(row.least)]
    found = [row for row in counted if row.stratum == stratum]

    def order(row: Benchmark) -> tuple[float, str]:
        error = float(np.sqrt(row.error.low * row.error.high)) if row.error else 1.0
        return -row.most / error, row.id

    return min(found, key=order) if found else None


def _text(interval: Interval) -> str:
    return f"{interval.low:g} to {interval.high:g}"


def _start_level(data: MultiplierTable, priors: Priors) -> float:
    """Where the level begins: expected counts in one stratum, log odds of several.

    With one stratum and a count of people the sampler moves ln(N p), which the count tells,
    rather than ln N: see `multiplier_areas`.
    """
    one = len(data.strata) == 1
    bounded = bool(np.isfinite(data.population).all())
    found = []
    for row in data.rows:
        if not np.isfinite(row.least) or row.most <= 0:
            continue
        people = (row.least + row.most) / 2 + 0.5
        if row.kind == "people" and one:
            return float(np.log(people) - (np.log(data.population[0]) if bounded else 0.0))
        if row.rate is not None and row.kind != "survey":
            share = centre(row, priors.share_a, priors.share_b)
            people /= np.exp(
                share if row.kind in ("events", "amount") else -np.logaddexp(0, -share)
            )
        if row.kind == "survey":
            people *= data.population[row.stratum] / (row.sample or 1.0)
        found.append(np.log(people) - (np.log(data.population[row.stratum]) if bounded else 0.0))
    if found:
        return float(min(np.median(found), -0.1)) if bounded else float(np.median(found))
    return logit_normal_from_interval(*priors.prevalence).mu
