r"""The share or rate behind a benchmark, given the size: draws of what its survey measures.

Given N, its posterior is what is known of it before, times the probability of the number that was
reported. It is drawn by importance sampling around the normal approximation of that product:
for each draw of N some candidates, with errors and miscounts of the number and the survey's
over-recruiting from their priors, of which one is kept by its weight (sampling importance
resampling: Rubin 1987, JASA 82:543). The likelihoods are those of the family multiplier
(`maths.benchmark_rows`), but that a range of counts stands for its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logit, polygamma, xlog1py, xlogy

from hiddenpop.families.maths.benchmark_terms import fitted, is_share, sides
from hiddenpop.families.maths.joint_layout import share_beta
from hiddenpop.families.multiplier import Priors
from hiddenpop.inputs.multipliers import Benchmark, Interval
from hiddenpop.priors import beta_from_interval, lognormal_from_interval

__all__ = ["Known", "draw_rate"]

PARTICLES = 60
"""Candidates for the share of each draw of N, of which one is kept."""

WIDER = 1.2
"""Sd of candidates over that of the normal approximation: tails are the ones to be covered."""

CHUNK = 2_000_000
"""Numbers held at once."""

LEAST_SIDE = 1e-6
"""Sds below this are none."""


@dataclass(frozen=True)
class Known:
    """What is known of a share or rate before its count.

    Attributes
    ----------
    share
        Whether it is a share, whose scale is the logit; that of a rate is the logarithm.
    one, two
        Parameters: alpha and beta, shape and rate, or mean and sd of the logarithm.
    form
        "beta", "gamma" or "normal".
    """

    share: bool
    one: float
    two: float
    form: str

    @classmethod
    def of(cls, row: Benchmark, priors: Priors) -> Known:
        """Of the rate of a row.

        Raises
        ------
        ValueError
            If it has none.
        """
        rate = row.rate
        if rate is None:
            raise ValueError(f"'{row.id}' has no rate")
        if is_share(row):
            return cls(True, *share_beta(rate, priors.share_a, priors.share_b), "beta")
        if rate.x is not None and rate.n is not None:
            return cls(False, 1 + rate.x / rate.design_effect, rate.n / rate.design_effect, "gamma")
        return cls(False, *fitted("log-normal", rate.quantiles)[:2], "normal")

    @property
    def normal(self) -> tuple[float, float]:
        """Mean and sd, log scale for rates and logit scale for shares."""
        if self.form == "beta":
            sd = np.sqrt(polygamma(1, self.one) + polygamma(1, self.two))
            return float(polygamma(0, self.one) - polygamma(0, self.two)), float(sd)
        if self.form == "gamma":
            middle = polygamma(0, self.one) - np.log(self.two)
            return float(middle), float(np.sqrt(polygamma(1, self.one)))
        return self.one, self.two

    def log_density(self, at: np.ndarray) -> np.ndarray:
        """Of the log or logit, up to a constant."""
        if self.form == "beta":
            return np.asarray(-self.one * np.logaddexp(0, -at) - self.two * np.logaddexp(0, at))
        if self.form == "gamma":
            return np.asarray(self.one * at - self.two * np.exp(at))
        return np.asarray(-0.5 * ((at - self.one) / max(self.two, LEAST_SIDE)) ** 2)


def draw_rate(
    row: Benchmark, size: np.ndarray, priors: Priors, residents: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the logit of the share (log of the rate) that the survey of a row measures, given N.

    Parameters
    ----------
    size
        People, (sample,).
    residents
        For a survey of residents; nan where not known.

    Returns
    -------
    Shape (sample,): one draw for each N.
    """
    pieces = np.array_split(np.asarray(size, float), 1 + len(size) * PARTICLES // CHUNK)
    return np.concatenate([_drawn(row, piece, priors, residents, rng) for piece in pieces])


def _drawn(
    row: Benchmark, size: np.ndarray, priors: Priors, residents: float, rng: np.random.Generator
) -> np.ndarray:
    known = Known.of(row, priors)
    shape = (len(size), PARTICLES)
    ratio = _log_reported_over_true(row, shape, rng)
    odds = np.zeros(shape)
    if row.selection is not None:
        mu, sigma = lognormal_from_interval(*row.selection)
        odds = mu + sigma * rng.normal(size=shape)
    expert = _figure_error(row, priors, shape, rng)
    log_size = np.log(size)[:, None]
    centre, sd = _implied(row, known, log_size + ratio, odds, residents, expert)
    before = known.normal
    weight = 1 / max(before[1], LEAST_SIDE) ** 2 + 1 / sd**2
    mean = (before[0] / max(before[1], LEAST_SIDE) ** 2 + centre / sd**2) / weight
    spread = WIDER / np.sqrt(weight)
    z = rng.normal(size=shape)
    theta = mean + spread * z
    log_weight = known.log_density(theta) + np.log(spread) + 0.5 * z**2
    log_rate = -np.logaddexp(0, odds - theta) if known.share else theta
    log_weight = log_weight + _log_likelihood(row, log_rate, log_size, ratio, residents, expert)
    log_weight = np.where(np.isfinite(log_weight), log_weight, -np.inf)
    # Gumbel numbers choose a candidate with its weight.
    chosen = np.argmax(log_weight + rng.gumbel(size=shape), axis=1)
    return np.asarray(theta[np.arange(len(size)), chosen])


def _log_reported_over_true(
    row: Benchmark, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Log of error x (1 - undercount) / (1 - overcount), from their priors."""
    found = np.zeros(shape)
    if row.error is not None:
        mu, sigma = lognormal_from_interval(*row.error)
        found = found + mu + sigma * rng.normal(size=shape)
    for sign, part in ((1, row.undercount), (-1, row.overcount)):
        if part is not None:
            found = found + sign * np.log1p(-_share_of(part, shape, rng))
    return found


def _share_of(part: Interval, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    if part.high - part.low < LEAST_SIDE:
        return np.full(shape, (part.low + part.high) / 2)
    return np.asarray(rng.beta(*beta_from_interval(*part), size=shape))


def _figure_error(
    row: Benchmark, priors: Priors, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sds below and above of the logarithm of a sum or a figure."""
    below, above = sides(row) if row.kind in ("amount", "figure") else (0.0, 0.0)
    times, tau = np.ones(shape), np.zeros(shape)
    if row.kind == "figure":
        mu, sigma = lognormal_from_interval(*priors.overconfidence)
        times = np.exp(mu + sigma * rng.normal(size=shape))
        tau = priors.between_experts * np.abs(rng.normal(size=shape))
    return (
        np.maximum(np.hypot(times * below, tau), LEAST_SIDE),
        np.maximum(np.hypot(times * above, tau), LEAST_SIDE),
    )


def _implied(
    row: Benchmark,
    known: Known,
    log_members: np.ndarray,
    odds: np.ndarray,
    residents: float,
    expert: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """About where the number puts the log or logit of the rate, and with which sd."""
    number = max((row.least + row.most) / 2, 0.5)
    if row.kind == "survey":
        sample = row.sample or 1.0
        log_rate = np.log(number / sample * residents) - log_members
        sd = np.full(log_members.shape, np.sqrt(row.sample_effect / number))
    else:
        log_rate = np.log(number) - log_members
        sd = np.full(log_members.shape, 1 / np.sqrt(number))
        if row.kind in ("amount", "figure"):
            sd = np.maximum(*expert)
    if not known.share:
        return log_rate, sd
    share = np.clip(np.exp(log_rate), 1e-9, 0.98)
    if row.kind == "people":
        sd = sd * np.sqrt(1 - share)
    return logit(share) + odds, sd / (1 - share)


def _log_likelihood(
    row: Benchmark,
    log_rate: np.ndarray,
    log_size: np.ndarray,
    ratio: np.ndarray,
    residents: float,
    expert: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Log probability of the number of a row, up to what is the same for every candidate."""
    number = (row.least + row.most) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        if row.kind == "people":
            size, true = np.exp(log_size), number * np.exp(-ratio)
            ways = -gammaln(true + 1) - gammaln(size - true + 1)
            found = ways + true * log_rate + xlog1py(size - true, -np.exp(log_rate))
            return np.asarray(np.where(true <= size + 0.5, found - ratio, -np.inf))
        if row.kind == "events":
            log_mean = log_size + ratio + log_rate
            return np.asarray(number * log_mean - np.exp(log_mean))
        if row.kind == "survey":
            x, n = number / row.sample_effect, (row.sample or 0.0) / row.sample_effect
            share = np.exp(log_rate + log_size) / residents
            found = xlogy(x, share) + xlog1py(n - x, -share)
            return np.asarray(np.where(share <= 1, found, -np.inf))
        gap = log_size + ratio + log_rate - np.log(number)
        below, above = expert
        sd = np.where(gap < 0, below, above)
        return np.asarray(-0.5 * (gap / sd) ** 2 - np.log(below + above))
