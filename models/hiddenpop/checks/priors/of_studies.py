"""Priors of an evidence synthesis with their spread halved and doubled, and how draws follow.

Draws of the main fit can stand for the changed one if they are moved and weighed
(`reweighting`). Three moves are offered: a quantity keeps its value, which is right where the
evidence knows it; it keeps its quantile under its prior, right where the evidence says nothing of
it; or it moves as it would if its posterior were normal and independent of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from hiddenpop.checks.priors.changes import FACTORS, field_changes, spread_beta
from hiddenpop.families import FAMILIES
from hiddenpop.families.loglinear import Priors as Dependence
from hiddenpop.families.synthesis import EFFECTS, OVERDISPERSION_SPREAD
from hiddenpop.inputs.rates import Rates
from hiddenpop.inputs.study import Study
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import BetaPrior, logit_normal_from_interval

__all__ = ["Free", "Move", "StudyChange", "study_changes"]

Free = Mapping[str, np.ndarray]
"""Draws of the random variables, (sample, ...)."""

Move = Callable[[Free], tuple[dict[str, np.ndarray], np.ndarray]]
"""From draws to moved draws and the log of the Jacobian, (sample,)."""


@dataclass(frozen=True)
class StudyChange:
    """A study with one prior changed.

    Attributes
    ----------
    prior
        A field of the family's `Priors`, or "rate ...", "bias ...", "selection ..." and a name,
        or "table ..." with a component and a field of its own.
    change
        "halved" or "doubled".
    study
        The changed study.
    moves
        Ways to move draws of the main fit.
    """

    prior: str
    change: str
    study: Study
    moves: tuple[Move, ...]


def study_changes(study: Study, normals: Sequence[str]) -> Iterator[StudyChange]:
    """Each prior of a study halved and doubled.

    A number is halved and doubled: the scale of an effect, the sd of what is known to some
    degree, the median of the over-dispersion. Of an interval, a rate and a bias it is the spread,
    around the same centre: the sd of the logit of a share (a Beta stays a Beta) and of the log of
    a factor, a bias or an odds ratio. What is fixed stays fixed.

    Parameters
    ----------
    normals
        Names of the model's standard normals, in the order of the draws `z`.
    """
    names = list(normals)
    yield from _own(study, names)
    yield from _rates(study, names)
    yield from _biases(study, names)
    yield from _tables(study)


def _own(study: Study, names: list[str]) -> Iterator[StudyChange]:
    """Fields of the family's own `Priors`."""
    family = FAMILIES[study.family]
    priors = family.module.Priors(**study.priors)
    shares = [name for name, kind in family.prior_kinds.items() if kind == "interval"]
    for field, change, value in field_changes(priors, shares):
        factor = FACTORS[change]
        changed = replace(study, priors={**study.priors, field: value})
        moves: tuple[Move, ...] = (_stay,)
        if field in EFFECTS:
            moves = (_stay, _scaled(EFFECTS.index(field), factor))
        elif field == "overdispersion":
            at = _at(names, "overdispersion: counts")
            moves = _moves(at, 1.0, np.log(factor) / OVERDISPERSION_SPREAD)
        elif field == "prevalence":
            before = logit_normal_from_interval(*priors.prevalence)
            after = logit_normal_from_interval(*value)
            shift = (after.mu - before.mu) / before.sigma
            moves = _moves(_at(names, "level: top"), after.sigma / before.sigma, shift)
        elif field == "composition":
            own = [f"composition: {i + 1}" for i in range(len(study.data.cells) - 1)]
            moves = _moves(_at(names, *own), factor)
        elif field == "drift":
            own = [name for name in names if name.startswith("drift: ")]
            moves = _moves(_at(names, *own), factor)
        yield StudyChange(field, change, changed, moves)


def _rates(study: Study, names: list[str]) -> Iterator[StudyChange]:
    """Shares, factors, and the selection of surveys."""
    rates = study.data.rates
    found: list[tuple[str, str, Rates, tuple[Move, ...]]] = []
    for change, factor in FACTORS.items():
        moves: tuple[Move, ...]
        for i, name in enumerate(rates.shares):
            old = BetaPrior(float(rates.alpha[i]), float(rates.beta[i]))
            new = spread_beta(old, factor)
            alpha, beta = _put(rates.alpha, i, new.alpha), _put(rates.beta, i, new.beta)
            moves = (_stay, _quantile(_share_name(study.data), i, old, new))
            found.append((f"rate {name}", change, replace(rates, alpha=alpha, beta=beta), moves))
        for i in np.flatnonzero(rates.sigma > 0).tolist():
            made = replace(rates, sigma=_put(rates.sigma, i, factor * rates.sigma[i]))
            moves = _moves(_at(names, f"factor: {rates.factors[i]}"), factor)
            found.append((f"rate {rates.factors[i]}", change, made, moves))
        for name, prior in rates.selection.items():
            if prior.sigma > 0:
                spread = {**rates.selection, name: prior._replace(sigma=factor * prior.sigma)}
                moves = _moves(_at(names, f"selection: {name}"), factor)
                made = replace(rates, selection=spread)
                found.append((f"selection {name}", change, made, moves))
    found.sort(key=lambda one: rates.names.index(one[0].split(" ", 1)[1]))
    for prior_name, change, made, moves in found:
        changed = replace(study, data=replace(study.data, rates=made))
        yield StudyChange(prior_name, change, changed, moves)


def _biases(study: Study, names: list[str]) -> Iterator[StudyChange]:
    """Sources whose bias is not fixed and that have evidence."""
    biases = study.data.biases
    for i, name in enumerate(biases.names):
        if biases.sigma[i] > 0 and f"bias: {name}" in names:
            for change, factor in FACTORS.items():
                made = replace(biases, sigma=_put(biases.sigma, i, factor * biases.sigma[i]))
                changed = replace(study, data=replace(study.data, biases=made))
                moves = _moves(_at(names, f"bias: {name}"), factor)
                yield StudyChange(f"bias {name}", change, changed, moves)


def _tables(study: Study) -> Iterator[StudyChange]:
    """Dependence of lists in each component that counts."""
    data = study.data
    for i, one in enumerate(data.components):
        for field, change, value in field_changes(Dependence(**one.dependence)):
            if data.joined[i]:
                other = replace(one, dependence={**one.dependence, field: value})
                components = (*data.components[:i], other, *data.components[i + 1 :])
                changed = replace(study, data=replace(data, components=components))
                yield StudyChange(f"table {one.id}: {field}", change, changed, (_stay,))


def _at(names: Sequence[str], *wanted: str) -> np.ndarray:
    return np.array([names.index(name) for name in wanted], dtype=int)


def _put(x: np.ndarray, i: int, value: float) -> np.ndarray:
    made = np.array(x, dtype=float)
    made[i] = value
    return made


def _share_name(data: SynthesisData) -> str:
    """The random variable of the shares: as surveys find them, where these select."""
    return "share_found" if data.rates.selection else "share"


def _stay(free: Free) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Random variables keep their values: of `z` these are quantiles, of others the quantity."""
    return dict(free), np.zeros(len(free["z"]))


def _normal(at: np.ndarray, factor: float, shift: float = 0.0) -> Move:
    """Quantities mean + sd z keep their values; the mean rises by `shift` sds."""

    def move(free: Free) -> tuple[dict[str, np.ndarray], np.ndarray]:
        z = free["z"].copy()
        z[:, at] = (z[:, at] - shift) / factor
        return {**free, "z": z}, np.full(len(z), -len(at) * np.log(factor))

    return move


def _matched(at: np.ndarray, factor: float, shift: float = 0.0) -> Move:
    """As `_normal`, but quantities move as normal posteriors would under the new prior.

    In old prior sds: the prior is N(0, 1), the posterior N(m, v), so that the evidence has
    precision 1/v - 1 and adds m/v; under the prior N(shift, factor^2) mean and variance follow.
    """

    def move(free: Free) -> tuple[dict[str, np.ndarray], np.ndarray]:
        z = free["z"].copy()
        mean, variance = z[:, at].mean(0), np.minimum(z[:, at].var(0), 1.0)
        after = 1 / (1 / variance - 1 + factor**-2)
        middle = after * (mean / variance + shift / factor**2)
        slope = np.sqrt(after / variance)
        z[:, at] = (middle + slope * (z[:, at] - mean) - shift) / factor
        return {**free, "z": z}, np.full(len(z), np.log(slope / factor).sum())

    return move


def _moves(at: np.ndarray, factor: float, shift: float = 0.0) -> tuple[Move, ...]:
    """All moves of quantities mean + sd z."""
    return _normal(at, factor, shift), _stay, _matched(at, factor, shift)


def _scaled(i: int, factor: float) -> Move:
    """A half-normal scale keeps its quantile."""

    def move(free: Free) -> tuple[dict[str, np.ndarray], np.ndarray]:
        scale = free["scale"].copy()
        scale[:, i] *= factor
        return {**free, "scale": scale}, np.full(len(scale), np.log(factor))

    return move


def _quantile(name: str, i: int, old: BetaPrior, new: BetaPrior) -> Move:
    """A share keeps its quantile."""

    def move(free: Free) -> tuple[dict[str, np.ndarray], np.ndarray]:
        share = free[name].copy()
        before = free[name][:, i]
        below = stats.beta(*old).cdf(before)
        # Each tail by its own end, as 1 - x has no digits next to 1.
        after = np.where(
            below < 0.5, stats.beta(*new).ppf(below),
            stats.beta(*new).isf(stats.beta(*old).sf(before)),
        )  # fmt: skip
        share[:, i] = after = np.clip(after, 1e-12, 1 - 1e-12)
        slope = stats.beta(*old).logpdf(before) - stats.beta(*new).logpdf(after)
        return {**free, name: share}, slope

    return move
