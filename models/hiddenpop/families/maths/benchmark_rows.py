"""What one benchmark says of N: its log-likelihood at any numbers of people.

By kind of row, with r = error x (1 - undercount) / (1 - overcount) the factor reported / true:

- `people`: B ~ Binomial(B / r; N, p) / r, averaged over p and r;
- `events`: B ~ Poisson(N x rate x r), averaged over the rate and r;
- `amount`: log B normal around log(N x rate x r);
- `survey`: x/D out of sample/D with the share N x rate / residents (Kish 1965 for D).

Figures share unknowns and have a file of their own. Everything is a sum over weighted nodes; each
function says what its nodes are.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc, gammaincc, gammaln, polygamma, xlogy

from hiddenpop.families.maths.benchmark_counts import (
    INNER,
    BiasedShare,
    beta_binomial,
    biased_binomial,
)
from hiddenpop.families.maths.benchmark_factors import LogFactor, reported_over_true
from hiddenpop.families.maths.benchmark_terms import (
    RowLikelihood,
    around,
    log_rate,
    pairs,
    sides,
    step_of,
    summed,
    two_piece,
    whole_numbers,
)
from hiddenpop.families.maths.joint_layout import share_beta
from hiddenpop.inputs.multipliers import Benchmark
from hiddenpop.priors import lognormal_from_interval

__all__ = ["row_likelihood"]

PIECES = 100
"""Most pieces of a range of respondents."""

SMOOTH = 25
"""Part of a spread by which nodes are smoothed where no part of a row is normal."""


def row_likelihood(row: Benchmark, residents: float, a: float, b: float) -> RowLikelihood:
    """What one row, of any kind but `figure`, says of N.

    Parameters
    ----------
    residents
        Needed for a `survey`.
    a, b
        Beta prior of a share before the survey.
    """
    make = {"people": _people, "events": _events, "amount": _amount}
    if row.kind == "survey":
        return _survey(row, residents, a, b)
    return make[row.kind](row, a, b)


# People


def _people(row: Benchmark, a: float, b: float) -> RowLikelihood:
    """Nodes: numbers of a range, and true counts B / r."""
    alpha, beta = share_beta(row.rate, a, b) if row.rate is not None else (a, b)
    share, of_share = None, float(np.sqrt(polygamma(1, alpha) - polygamma(1, alpha + beta)))
    middle, centre = alpha / (alpha + beta), float(np.log(alpha / beta))
    if row.selection is not None:
        mu, sigma = lognormal_from_interval(*row.selection)
        share = BiasedShare.of(alpha, beta, mu, sigma)
        of_share, middle = share.sd / (1 + np.exp(centre - mu)), 1 / (1 + np.exp(mu - centre))
    counts, weights = whole_numbers(row.least, row.most)
    typical = max((row.least + row.most) / 2, 1.0)
    of_count = np.hypot(of_share, np.sqrt((1 - middle) / typical))
    factor = reported_over_true(row.undercount, row.overcount, row.error, step_of(of_count))
    factor = factor.resolved(step_of(of_count, factor.sd))
    counts, weights = _true_counts(counts, weights, factor, step_of(of_count))

    def terms(N: np.ndarray, C: np.ndarray) -> np.ndarray:
        if share is None:
            return beta_binomial(N, C, alpha, beta)
        return biased_binomial(N, C, share)

    certain = row.certain
    odds = 1 / max(typical, 1) + float(polygamma(1, alpha) + polygamma(1, beta))
    if row.selection is not None:
        odds += share.sd**2 if share is not None else 0.0
    return RowLikelihood(
        summed(terms, counts, weights, 1 if share is None else INNER), (row.id,), certain,
        max(typical / middle / np.exp(factor.mean), 1.0),
        float(np.sqrt(odds) if certain > 0 else np.hypot(of_count, factor.spread)),
        certain > 0, share is None and len(counts) == 1,
    )  # fmt: skip


def _true_counts(
    counts: np.ndarray, weights: np.ndarray, factor: LogFactor, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Reported numbers divided by the factor, and their weights with the Jacobian 1 / r.

    Nobody reported means that nobody was counted, whatever the factor.
    """
    if len(factor.nodes) == 1 and factor.nodes[0] == 0:
        return counts, weights
    none = counts == 0
    if none.all():
        return counts, weights
    ratio = LogFactor(-factor.nodes, factor.weights * np.exp(-factor.nodes))
    true = LogFactor(np.log(counts[~none]), weights[~none]).times(ratio, step)
    return (
        np.concatenate([counts[none], np.exp(true.nodes)]),
        np.concatenate([weights[none], true.weights]),
    )


# Events and amounts


def _events(row: Benchmark, a: float, b: float) -> RowLikelihood:
    """Nodes: the log mean of events for each person, but for a gamma rate of a single number.

    That is integrated in closed form: a negative binomial.
    """
    typical, rate = max((row.least + row.most) / 2, 1.0), row.rate
    of_number = 1 / np.sqrt(typical)
    closed = rate is not None and rate.x is not None and row.least == row.most
    of_rate, middle, shape, scale = 0.0, 0.0, 0.0, 1.0
    if closed and rate is not None:
        shape = 1 + (rate.x or 0.0) / rate.design_effect
        scale = (rate.n or 0.0) / rate.design_effect
        of_rate, middle = float(np.sqrt(polygamma(1, shape))), float(np.log(shape / scale))
    own = step_of(np.hypot(of_number, of_rate))
    factor = reported_over_true(row.undercount, row.overcount, row.error, own)
    if not closed:
        factor = factor.times(log_rate(rate, share=False, a=a, b=b, step=own), own)
    nodes = factor.resolved(step_of(np.hypot(of_number, of_rate), factor.sd))

    def terms(N: np.ndarray, node: np.ndarray) -> np.ndarray:
        if closed:
            return _negative_binomial(row.value, np.log(N) + node, shape, scale)
        return _poisson(row.least, row.most, np.log(N) + node)

    return RowLikelihood(
        summed(terms, nodes.nodes, nodes.weights), (row.id,), 0.0,
        max(typical / np.exp(middle + factor.mean), 1.0),
        float(np.sqrt(of_number**2 + of_rate**2 + factor.spread**2)),
        closed=len(nodes.nodes) == 1,
    )  # fmt: skip


def _poisson(least: float, most: float, log_mean: np.ndarray) -> np.ndarray:
    """Log probability of a Poisson number, or of one in a range.

    P(B >= k) is the regularised lower incomplete gamma function at k (Johnson, Kemp & Kotz 2005,
    section 4.12.2); the tail that is small is used, so that nothing cancels.
    """
    mean = np.exp(log_mean)
    if least == most:
        return np.asarray(least * log_mean - mean - gammaln(least + 1))
    up = gammainc(least, mean) if least > 0 else np.ones_like(mean)
    down = gammaincc(least, mean) if least > 0 else np.zeros_like(mean)
    share = np.where(
        mean < (least + most) / 2, up - gammainc(most + 1, mean), gammaincc(most + 1, mean) - down
    )
    return np.asarray(np.log(np.maximum(share, 0.0)))


def _negative_binomial(
    number: float, log_people: np.ndarray, shape: float, scale: float
) -> np.ndarray:
    """Log of Poisson(number; people x rate) averaged over rate ~ Gamma(shape, rate `scale`)."""
    log_all = np.logaddexp(log_people, np.log(scale))
    return np.asarray(
        gammaln(number + shape) - gammaln(shape) - gammaln(number + 1)
        + number * (log_people - log_all) + shape * (np.log(scale) - log_all)
    )  # fmt: skip


def _amount(row: Benchmark, a: float, b: float) -> RowLikelihood:
    """Nodes: shares and gamma rates; log-normal ones add to the variance."""
    factor, own = around(row, a, b)
    floor = 0.0
    if own == 0 and factor.sd == 0:
        # Without any normal part the nodes are smoothed: the variance grows by 0.16 %.
        floor = factor.spread / SMOOTH
        factor = around(row, a, b, extra=floor)[0]
    below, above = (np.sqrt(side**2 + factor.sd**2 + floor**2) for side in sides(row))
    value = np.log(row.value)

    def terms(N: np.ndarray, node: np.ndarray) -> np.ndarray:
        return two_piece(np.log(N) + node - value, below, above)

    return RowLikelihood(
        summed(terms, factor.nodes, factor.weights), (row.id,), 0.0,
        max(float(np.exp(value - factor.mean)), 1.0), float(np.hypot(own, factor.spread)),
        closed=len(factor.nodes) == 1,
    )  # fmt: skip


# Surveys of residents


def _survey(row: Benchmark, residents: float, a: float, b: float) -> RowLikelihood:
    """Nodes: the share that is found, and numbers of a range."""
    sample = float(row.sample or 0.0) / row.sample_effect
    numbers, ways = whole_numbers(row.least, row.most, PIECES)
    x = numbers / row.sample_effect
    typical = max(float(x.mean()), 1.0)
    found = log_rate(row.rate, share=True, a=a, b=b, step=step_of(1 / np.sqrt(typical)))
    log_choose = gammaln(sample + 1) - gammaln(x + 1) - gammaln(sample - x + 1)
    places = pairs(found.nodes, np.arange(len(x)))
    weights = (found.weights[:, None] * ways).ravel()

    def terms(N: np.ndarray, index: np.ndarray) -> np.ndarray:
        log_found, which = places[index].T
        at = which.astype(int)
        share = np.exp(log_found) * N / residents
        possible = share < 1 + 1e-12
        share = np.clip(share, 0.0, 1.0)
        value = log_choose[at] + xlogy(x[at], share) + xlogy(sample - x[at], 1 - share)
        return np.where(possible, value, -np.inf)

    return RowLikelihood(
        summed(terms, np.arange(len(places)), weights), (row.id,), 0.0,
        float(np.clip(residents * typical / sample / np.exp(found.mean), 1.0, residents)),
        float(np.hypot(1 / np.sqrt(typical), found.spread)), closed=len(places) == 1,
    )  # fmt: skip
