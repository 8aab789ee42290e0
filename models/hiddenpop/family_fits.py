"""Every family that can estimate from one table, side by side and, for lists, combined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hiddenpop.combine import combine
from hiddenpop.errors import InputError
from hiddenpop.families import FAMILIES, families_of
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inference import Verdict
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import Margins
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.size_study import COMBINED, SizeStudy
from hiddenpop.inputs.table import Table, form_of
from hiddenpop.inputs.tree import Tree
from hiddenpop.size import SizeEstimate, fit_table, priors_of, refused

__all__ = ["FamilyFits", "check_options", "chosen_families", "default_families", "fit_families"]


@dataclass(frozen=True, eq=False)
class FamilyFits:
    """The estimates of several families from one table.

    Attributes
    ----------
    study
        The table and every setting.
    estimates
        By family, in the order asked for; `combined` last, where two or more have a posterior.
    refused
        For each family that could not be used, why and what would make it possible.
    alternatives
        The same families on the tables that the study's switches give, by the name of the
        switch and the family.
    """

    study: SizeStudy
    estimates: Mapping[str, SizeEstimate]
    refused: Mapping[str, str]
    alternatives: Mapping[str, Mapping[str, SizeEstimate]] = field(default_factory=dict)

    @property
    def data(self) -> Table:
        """What the families were fitted to."""
        return self.study.table

    @property
    def headline(self) -> SizeEstimate:
        """The estimate that the study gives as its answer."""
        chosen = self.estimates.get(self.study.headline)
        if self.study.headline == COMBINED and COMBINED not in self.estimates:
            return next(iter(self.estimates.values()))
        return chosen or list(self.estimates.values())[-1]

    @property
    def passed(self) -> bool:
        """Whether every family's gates passed."""
        return all(verdict.passed for verdict in self.verdicts.values())

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Gates by family, and by family and switch."""
        found = {name: estimate.verdict for name, estimate in self.estimates.items()}
        for switch, estimates in self.alternatives.items():
            found |= {f"{name}, {switch}": e.verdict for name, e in estimates.items()}
        return found

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """One row per family and quantity (`N`, `unseen`, `prevalence_per_1000`)."""
        rows = [estimate.table(level) for estimate in self.estimates.values()]
        return pd.concat(rows, ignore_index=True)


def default_families(table: Table) -> tuple[str, ...]:
    """Families to try where the user names none: those that are computed, not sampled.

    Published margins identify no dependence, so that only the sampled `loglinear` with its prior
    on dependence can say anything; several areas or years share what they know only in the
    sampled `multiplier-areas`.
    """
    if isinstance(table, Margins):
        return ("loglinear",)
    if isinstance(table, MultiplierTable):
        return ("multiplier",) if len(table.strata) == 1 else ("multiplier-areas",)
    return tuple(name for name, family in families_of(form_of(table)).items() if family.exact)


def chosen_families(study: SizeStudy) -> tuple[tuple[str, ...], bool]:
    """The families to fit, and whether the study names them, so that each must be usable."""
    if study.families == ("all",):
        return tuple(families_of(form_of(study.table))), False
    return study.families or default_families(study.table), bool(study.families)


def check_options(options: Mapping[str, Any], families: tuple[str, ...]) -> dict[str, Any]:
    """Options as the families' `Priors` take them.

    An option goes to every family that has it; options under a family's name ({"bounds":
    {"odds_ratio": [1, 5]}}) to that family alone.

    Raises
    ------
    InputError
        If a family is unknown, or an option belongs to none or has a value it does not know.
    """
    faults = Faults()
    allowed = [name for name, family in FAMILIES.items() if family.data != "evidence"]
    for name in families:
        if name not in allowed:
            values = {"name": name, "fix": choose(name, allowed)}
            faults.report("recapture-family", values, column="family")
    if faults.found:
        raise InputError(faults.found)
    every = {k: 0 for f in families for k in FAMILIES[f].module.Priors.__dataclass_fields__}
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name in families and isinstance(value, dict):
            known = FAMILIES[name].module.Priors.__dataclass_fields__
            found[name] = _converted(value, known, faults)
        else:
            found |= _converted({name: value}, every, faults)
    for family in families if not faults.found else ():
        try:
            priors_of(family, found)
        except (TypeError, ValueError) as error:
            reason = f"{family}: {str(error).rstrip('.')}"
            faults.report("recapture-option-value", {"reason": reason}, column="options")
    if faults.found:
        raise InputError(faults.found)
    return found


def _converted(
    options: Mapping[str, Any], known: Collection[str], faults: Faults
) -> dict[str, Any]:
    """Options as `Priors` take them, without those that are recorded as faults."""
    found = {}
    for name, value in options.items():
        if name not in known:
            values = {"name": name, "fix": choose(name, known)}
            faults.report("recapture-option", values, column=name)
            continue
        try:
            found[name] = _as_prior(name, value)
        except ValueError as error:
            faults.report("recapture-option-value", {"reason": str(error)}, column=name)
    return found


def _as_prior(name: str, value: object) -> object:
    """TOML has no tuples and no priors on N."""
    if name == "size_prior" and isinstance(value, str):
        return SizePrior.parse(value)
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict) and set(value) == {"low", "high", "level"}:
        return (value["low"], value["high"], value["level"])
    return value


def fit_families(
    study: SizeStudy,
    *,
    sampling: Sampling | None = None,
    on_step: Callable[[str], object] = str,
) -> FamilyFits:
    """Fit every family of a study, and combine them.

    Where the study names families, each of them must be usable; where it names none, those
    that are not usable are listed with the reason.

    Parameters
    ----------
    sampling
        Instead of the study's own.
    on_step
        Told the name of each family before it is fitted.

    Raises
    ------
    InputError
        If a family that was named cannot be used, or none can, or the threshold is not above
        the people seen.
    """
    sampling = sampling or study.sampling
    families, named = chosen_families(study)
    _check_threshold(study)
    options = check_options(study.options, families)
    reasons = _refusals(study.table, families, options)
    if len(reasons) == len(families) or (named and reasons):
        _raise(reasons, one_by_one=named)
    estimates: dict[str, SizeEstimate] = {}
    for name in families:
        if name not in reasons:
            on_step(name)
            estimates[name] = fit_table(
                study.table, name, options=options, sampling=sampling, check=False
            )
    alternatives = {
        switch: {
            name: fit_table(table, name, options=options, sampling=sampling, check=False)
            for name in estimates
            if refused(table, name, options) is None
        }
        for switch, table in study.alternatives.items()
    }
    on_step(COMBINED)
    if _combinable(study.table, estimates):
        estimates[COMBINED] = combine(estimates, seed=sampling.seed)
    words = {name: _words(*reason) for name, reason in reasons.items()}
    return FamilyFits(study, estimates, words, alternatives)


def _combinable(table: Table, estimates: Mapping[str, SizeEstimate]) -> bool:
    """Whether there are two answers that rest on different assumptions about the unseen.

    Families of multipliers share theirs, so that their average would be no third opinion.
    """
    usable = [e for e in estimates.values() if not e.is_set and e.verdict.passed]
    return len(usable) > 1 and not isinstance(table, MultiplierTable | Tree)


def _check_threshold(study: SizeStudy) -> None:
    """A size that N cannot be below tips nothing."""
    if study.threshold is not None and study.threshold <= study.table.observed:
        faults = Faults()
        values = {"value": study.threshold, "observed": study.table.observed}
        faults.report("recapture-threshold", values, column="threshold")
        raise InputError(faults.found)


type _Reason = tuple[str, Mapping[str, object]]


def _refusals(
    table: Table, families: tuple[str, ...], options: dict[str, Any]
) -> dict[str, _Reason]:
    """Code and values of each family's refusal."""
    found = {name: refused(table, name, options) for name in families}
    return {
        name: (refusal.code, {"family": name, **refusal.values})
        for name, refusal in found.items()
        if refusal is not None
    }


def _words(code: str, values: Mapping[str, object]) -> str:
    """A refusal as one text."""
    faults = Faults()
    faults.report(code, values)
    fault = faults.found[0]
    return f"{fault.what} {fault.why} {fault.fix}"


def _raise(reasons: Mapping[str, _Reason], *, one_by_one: bool) -> None:
    """Refuse: each family that was named, or all of them in one fault."""
    faults = Faults()
    if one_by_one:
        for code, values in reasons.values():
            faults.report(code, values)
    else:
        words = " ".join(f"{name}: {_words(*reason)}" for name, reason in reasons.items())
        faults.report("recapture-none", {"reasons": words})
    raise InputError(faults.found)
