"""Rates that link a target to what a source counts, and the biases of sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from hiddenpop.inputs.csvfile import read_cells
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.lines import Line, lines
from hiddenpop.inputs.ranges import RangeError, parse_range
from hiddenpop.inputs.schema import Schema, check_columns, filled, key, number, one_of, unique
from hiddenpop.inputs.terms import RATE_NAME
from hiddenpop.priors import (
    BetaPrior,
    LogNormalPrior,
    beta_from_interval,
    beta_from_survey,
    lognormal_from_interval,
)

__all__ = ["BIAS_COLUMNS", "RATE_COLUMNS", "Biases", "Rates", "biases_of", "rates_of",
           "read_biases", "read_rates"]  # fmt: skip

RATE_COLUMNS = (
    "name", "kind", "low", "high", "level", "x", "n", "design_effect", "selection", "ages",
    "scope", "source", "reason",
)  # fmt: skip
RATE_REQUIRED = ("name", "kind", "scope", "source", "reason")
RATE_SCHEMA: Schema = {
    "name": [filled("rate-name"), key()],
    "kind": [filled("rate-kind-empty"), one_of("rate-kind", ("share", "factor"))],
    "low": [number(above=0)],
    "high": [number(above=0)],
    "level": [number(level=True)],
    "x": [number(least=0)],
    "n": [number(above=0)],
    "design_effect": [number(least=1)],
    "selection": [key()],
    "ages": [key(dashes=False)],
    "reason": [filled("rate-reason")],
}

BIAS_COLUMNS = ("name", "low", "high", "level", "scope", "source", "reason")
BIAS_SCHEMA: Schema = {
    "name": [filled("bias-name"), key()],
    "low": [filled("bias-end-empty"), number(above=0)],
    "high": [filled("bias-end-empty"), number(above=0)],
    "level": [number(level=True)],
    "reason": [filled("bias-reason")],
}


@dataclass(frozen=True)
class Rates:
    """Priors of the rates, shares before factors.

    Attributes
    ----------
    shares
        Names of the proportions; Beta(alpha, beta) each, shape (share,).
    factors
        Names of the positive factors; log-normal with `mu`, `sigma`, shape (factor,).
    ages
        For each rate that turns the target's ages into others: which.
    table
        The table as given, for reports.
    selection
        For each share whose survey may over-recruit those with the event: the odds ratio psi.
        The survey informs p_s, and the share p has odds(p) = odds(p_s) / psi.
    """

    shares: tuple[str, ...]
    alpha: np.ndarray
    beta: np.ndarray
    factors: tuple[str, ...]
    mu: np.ndarray
    sigma: np.ndarray
    ages: dict[str, str]
    table: pd.DataFrame
    selection: dict[str, LogNormalPrior] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Shares, then factors: the order of the columns of any design."""
        return self.shares + self.factors

    def prior_quantiles(self, name: str, probabilities: Sequence[float]) -> np.ndarray:
        """Quantiles of the prior of a rate: of a share among all, not as its survey finds it."""
        if name in self.factors:
            at = self.factors.index(name)
            normal = stats.norm(self.mu[at], self.sigma[at]).ppf(list(probabilities))
            return np.asarray(np.exp(normal))
        found, log_psi, weights = self._selected(name)

        def below(logit: float, probability: float) -> float:
            # p is below x where p_s is below the share with psi times the odds of x.
            return float(weights @ found.cdf(special.expit(logit + log_psi)) - probability)

        logits = [optimize.brentq(below, -60, 60, args=(p,), xtol=1e-12) for p in probabilities]
        return np.asarray(special.expit(logits))

    def prior_mean(self, name: str) -> float:
        """Mean of the prior of a rate."""
        if name in self.factors:
            at = self.factors.index(name)
            return float(np.exp(self.mu[at] + self.sigma[at] ** 2 / 2))
        found, log_psi, weights = self._selected(name)
        middles = special.logit(found.ppf((np.arange(4000) + 0.5) / 4000))
        return float(special.expit(middles[:, None] - log_psi).mean(axis=0) @ weights)

    def _selected(self, name: str) -> tuple[stats.rv_continuous, np.ndarray, np.ndarray]:
        """Beta of a share as its survey finds it; logs of odds ratios, and their weights."""
        at = self.shares.index(name)
        mu, sigma = self.selection.get(name, LogNormalPrior(0.0, 0.0))
        nodes, weights = np.polynomial.hermite_e.hermegauss(61)
        return (
            stats.beta(self.alpha[at], self.beta[at]),
            mu + sigma * nodes,
            weights / weights.sum(),
        )


@dataclass(frozen=True)
class Biases:
    """Log-normal priors of reported / true by source; `sigma` 0 means a fixed factor.

    Attributes
    ----------
    names
        Sources, in the order of the table.
    mu, sigma
        Mean and sd of the log factor, shape (source,).
    table
        The table as given, for reports.
    """

    names: tuple[str, ...]
    mu: np.ndarray
    sigma: np.ndarray
    table: pd.DataFrame


def read_rates(path: Path, faults: Faults) -> Rates | None:
    """Read and check `rates.csv`; None after recording faults."""
    cells = read_cells(path, RATE_COLUMNS, RATE_REQUIRED, faults)
    return None if cells is None else rates_of(cells, path.name, faults)


def rates_of(cells: pd.DataFrame, file: str, faults: Faults) -> Rates | None:
    """Check the cells of a table of rates, texts by line and column; None after faults."""
    before = len(faults.found)
    check_columns(cells, RATE_SCHEMA, file, faults)
    unique(cells, "name", "rate-twice", file, faults)
    shares: dict[str, BetaPrior] = {}
    factors: dict[str, LogNormalPrior] = {}
    selection: dict[str, LogNormalPrior] = {}
    table = lines(cells, file, faults)
    for line in table:
        _check_rate(line)
    if len(faults.found) > before:
        return None
    for line in table:
        if line["kind"] == "factor":
            factors[line["name"]] = _lognormal(line)
        elif prior := _beta(line):
            shares[line["name"]] = prior
            if line["selection"]:
                selection[line["name"]] = lognormal_from_interval(*parse_range(line["selection"]))
    if len(faults.found) > before:
        return None
    return Rates(
        tuple(shares),
        np.array([prior.alpha for prior in shares.values()]),
        np.array([prior.beta for prior in shares.values()]),
        tuple(factors),
        np.array([prior.mu for prior in factors.values()]),
        np.array([prior.sigma for prior in factors.values()]),
        {line["name"]: line["ages"] for line in table if line["ages"]},
        cells,
        selection,
    )


def _lognormal(line: Line) -> LogNormalPrior:
    low, high, level = (line.number(column) for column in ("low", "high", "level"))
    return lognormal_from_interval(low, high, level if line["level"] else 0.95)


def _beta(line: Line) -> BetaPrior | None:
    """Prior of a share from survey data or an interval; None where no Beta has that interval."""
    if line["x"]:
        design = line.number("design_effect") if line["design_effect"] else 1.0
        return beta_from_survey(line.number("x"), line.number("n"), design)
    low, high, level = (line.number(column) for column in ("low", "high", "level"))
    try:
        return beta_from_interval(low, high, level)
    except ValueError:
        line.fault("rate-no-beta", "low", low=low, high=high, level=level)
        return None


def _check_rate(line: Line) -> None:
    """A usable name, and exactly one of interval and survey, complete and possible."""
    if line["name"] and line["name"].isprintable() and not re.fullmatch(RATE_NAME, line["name"]):
        line.fault("rate-name-form", "name", name=line["name"])
    interval, survey = line.filled("low", "high", "level"), line.filled("x", "n")
    if interval and survey:
        line.fault("rate-two-priors", interval[0])
    elif not interval and not survey:
        line.fault("rate-no-prior", "low")
    elif interval:
        _check_rate_interval(line, interval)
    else:
        _check_rate_survey(line, survey)
    if line["selection"]:
        _check_selection(line)


def _check_rate_interval(line: Line, given: list[str]) -> None:
    low, high = line.number("low"), line.number("high")
    if len(given) < 3:
        missing = next(column for column in ("low", "high", "level") if column not in given)
        line.fault("rate-interval-part", missing, given=" and ".join(given))
    if low >= high:
        line.fault("rate-interval-order", "low", low=low, high=high)
    if line["kind"] == "share" and max(low, high) >= 1:
        line.fault("rate-share-above-one", "high" if high >= 1 else "low", share=max(low, high))
    if line["design_effect"]:
        line.fault("rate-design-alone", "design_effect")


def _check_rate_survey(line: Line, given: list[str]) -> None:
    x, n = line.number("x"), line.number("n")
    if line["kind"] == "factor":
        line.fault("rate-factor-survey", "kind")
    if len(given) < 2:
        line.fault("rate-survey-part", "n" if given == ["x"] else "x", given=given[0])
    if x > n > 0:
        line.fault("rate-x-above-n", "x", x=x, n=n)


def _check_selection(line: Line) -> None:
    """The odds ratio of a share's survey: two ends above 0 and a level."""
    if line["kind"] == "factor":
        line.fault("rate-selection-factor", "selection")
        return
    try:
        low = parse_range(line["selection"]).low
    except RangeError:
        if line["selection"].isprintable():
            line.fault("rate-selection-form", "selection", text=line["selection"])
        return
    if low <= 0:
        line.fault("rate-selection-zero", "selection", low=low)


def read_biases(path: Path, faults: Faults) -> Biases | None:
    """Read and check `biases.csv`; None after recording faults."""
    cells = read_cells(path, BIAS_COLUMNS, BIAS_COLUMNS, faults)
    return None if cells is None else biases_of(cells, path.name, faults)


def biases_of(cells: pd.DataFrame, file: str, faults: Faults) -> Biases | None:
    """Check the cells of a table of biases, texts by line and column; None after faults."""
    before = len(faults.found)
    check_columns(cells, BIAS_SCHEMA, file, faults)
    unique(cells, "name", "bias-twice", file, faults)
    table = lines(cells, file, faults)
    for line in table:
        low, high = line.number("low"), line.number("high")
        if low > high:
            line.fault("bias-interval-order", "low", low=low, high=high)
        elif low < high and not line["level"]:
            line.fault("bias-level-empty", "level", low=low, high=high)
    if len(faults.found) > before:
        return None
    priors = [_lognormal(line) for line in table]
    return Biases(
        tuple(cells["name"]),
        np.array([prior.mu for prior in priors]),
        np.array([prior.sigma for prior in priors]),
        cells,
    )
