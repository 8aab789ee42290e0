"""Log density of counts, surveys and their unknowns, given N."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import betaln

from hiddenpop.families.maths.joint_layout import Layout, Pair, Part, Row
from hiddenpop.families.maths.joint_pairs import covariance, log_both, log_margins, log_tilt

__all__ = ["JointTarget"]

REACH = 9.0
"""Prior standard deviations of a log odds ratio that are tabulated."""

LEAST = 1e-6
"""Variance of an event given the others below which they cannot go together."""

FAR = 4.0
"""Standard deviations from which a binomial count is no longer taken for normal."""


class _Known(NamedTuple):
    """One row at many points: true count, log of its factor, and the shares."""

    people: np.ndarray
    log_factor: np.ndarray
    p: np.ndarray
    q: np.ndarray
    survey_p: np.ndarray
    survey_q: np.ndarray


class JointTarget:
    """The density whose integral over all coordinates is the likelihood of N.

    Parameters
    ----------
    approximate
        Take the normal copula for two events too (three and more always have it).
    """

    def __init__(self, laid: Layout, *, approximate: bool = False) -> None:
        self.laid = laid
        self.copula = approximate or len(laid.rows) > 2
        self.surveys = _surveys(laid.rows)
        self._tilts = {
            place: _tabulated(laid.rows, pair)
            for place, pair in enumerate(laid.pairs)
            if _same_respondents(laid.rows, pair)
        }

    def __call__(self, z: np.ndarray, N: np.ndarray) -> np.ndarray:
        """Log density at points (..., coordinate) for N (...); -inf where it is impossible."""
        with np.errstate(all="ignore"):
            known = [_known(row, z, N) for row in self.laid.rows]
            total = np.sum(
                [_alone(row, of, z, N) for row, of in zip(self.laid.rows, known, strict=True)],
                axis=0,
            )
            log_psi = [pair.odds_ratio.value(z) for pair in self.laid.pairs]
            total = total + sum(pair.odds_ratio.log_prior(z) for pair in self.laid.pairs)
            total = total + self._counts_together(known, log_psi, N)
            total = total + self._surveys_together(known, log_psi)
        return np.where(np.isnan(total), -np.inf, total)

    def start(self, N: np.ndarray) -> np.ndarray:
        """A possible point for each N, shape (N, coordinate): centres of the priors, or near."""
        z = np.zeros((len(N), self.laid.size))
        with np.errstate(all="ignore"):
            for row in self.laid.rows:
                _begin(row, z, N)
        for pair in self.laid.pairs:
            _set(z, pair.odds_ratio, pair.odds_ratio.start)
        return z

    def _counts_together(
        self, known: list[_Known], log_psi: list[np.ndarray], N: np.ndarray
    ) -> np.ndarray:
        """What the counts say together, over what they say one by one."""
        total = np.zeros(np.shape(known[0].p))
        if self.copula:
            scores = [_score(of.people, N, of.p) for of in known]
            total = _log_copula(scores, self._correlation(known, log_psi, survey=False))
        for pair, psi in zip(self.laid.pairs, log_psi, strict=True):
            one, two = known[pair.first], known[pair.second]
            counts = (one.people, two.people, N)
            if pair.people is None and self.copula:
                continue
            tilt = log_tilt(*counts, psi)
            if not self.copula:
                total = total + log_margins(*counts, (one.p, one.q, two.p, two.q), psi) + tilt
            if pair.people is not None:
                # Wrong records are linked as often as right ones.
                factor = one.log_factor + two.log_factor
                both = pair.people * np.exp(-factor)
                total = total + log_both(both, *counts) + both * psi - tilt - factor
        return total

    def _surveys_together(self, known: list[_Known], log_psi: list[np.ndarray]) -> np.ndarray:
        """What a survey's answers on several events say together, over one by one."""
        total = np.zeros(np.shape(known[0].p))
        exact = not self.copula and 0 in self._tilts
        if not exact and self.surveys:
            matrix = self._correlation(known, log_psi, survey=True)
            for members in self.surveys:
                rows = [self.laid.rows[i] for i in members]
                scores = [
                    _score(np.asarray(row.found), np.asarray(row.asked), known[i].survey_p)
                    for i, row in zip(members, rows, strict=True)
                ]
                part = matrix[..., np.array(members)[:, None], np.array(members)]
                total = total + _log_copula(scores, part)
        for place, spline in self._tilts.items():
            pair, psi = self.laid.pairs[place], log_psi[place]
            tilt = spline(psi)
            if exact:
                one, two = known[pair.first], known[pair.second]
                shares = (one.survey_p, one.survey_q, two.survey_p, two.survey_q)
                total = total + log_margins(*_answers(self.laid.rows, pair), shares, psi) + tilt
            if pair.respondents is not None:
                total = total + pair.respondents * psi - tilt
        return total

    def _correlation(
        self, known: list[_Known], log_psi: list[np.ndarray], *, survey: bool
    ) -> np.ndarray:
        """Correlations between events, shape (..., row, row)."""
        shares = [(of.survey_p, of.survey_q) if survey else (of.p, of.q) for of in known]
        matrix = np.broadcast_to(np.eye(len(known)), (*shares[0][0].shape, *[len(known)] * 2))
        matrix = matrix.copy()
        for pair, psi in zip(self.laid.pairs, log_psi, strict=True):
            i, j = pair.first, pair.second
            (p1, q1), (p2, q2) = shares[i], shares[j]
            matrix[..., i, j] = covariance(p1, p2, psi) / np.sqrt(p1 * q1 * p2 * q2)
            matrix[..., j, i] = matrix[..., i, j]
        return matrix


def _known(row: Row, z: np.ndarray, N: np.ndarray) -> _Known:
    zero = np.zeros(z.shape[:-1])
    factor = zero if row.error is None else row.error.value(z)
    if row.undercount is not None:
        factor = factor - np.logaddexp(0, row.undercount.value(z))
    if row.overcount is not None:
        factor = factor + np.logaddexp(0, row.overcount.value(z))
    count = row.count * np.exp(-factor)
    logit = z[..., row.column] + _logit(count, N)
    selected = logit if row.selection is None else logit + row.selection.value(z)
    return _Known(count, factor, _expit(logit), _expit(-logit), _expit(selected), _expit(-selected))


def _logit(count: np.ndarray, N: np.ndarray) -> np.ndarray:
    """Logit of the share that a count makes, finite for nobody and for everybody."""
    return np.asarray(np.log((count + 0.5) / (N - count + 0.5)))


def _expit(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _alone(row: Row, of: _Known, z: np.ndarray, N: np.ndarray) -> np.ndarray:
    """A row's count, its share and its biases, without the other rows."""
    count = of.people
    total = -np.log1p(N) - betaln(count + 1, N - count + 1) - of.log_factor
    total = total + count * np.log(of.p) + (N - count) * np.log(of.q)
    total = total + row.alpha * np.log(of.survey_p) + row.beta * np.log(of.survey_q)
    for part in (row.selection, row.error, row.undercount, row.overcount):
        if part is not None:
            total = total + part.log_prior(z)
    return np.asarray(np.where(count <= N, total, -np.inf))


def _score(count: np.ndarray, size: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Standardised binomial count, drawn in to the signed root of its deviance in the tails.

    Against exact tables of two events the former makes the copula two to four times as accurate
    as the latter, or as normal scores of the distribution function, but only within about four
    standard deviations: beyond, its square grows far too fast.
    """
    share = np.clip(count / size, 1e-300, 1 - 1e-16)
    apart = share * np.log(share / p) + (1 - share) * np.log((1 - share) / (1 - p))
    deviance = np.maximum(2 * size * apart, 0.0)
    root = np.sign(share - p) * np.sqrt(deviance)
    plain = (count - size * p) / np.sqrt(size * p * (1 - p))
    return np.asarray(root + (plain - root) * np.exp(-((deviance / FAR**2) ** 2)))


def _log_copula(scores: list[np.ndarray], matrix: np.ndarray) -> np.ndarray:
    """Log density of the normal copula; -inf where the odds ratios contradict each other.

    By Cholesky's factorisation, row by row over all points at once: a negative number under a
    root tells that no joint distribution has these correlations.
    """
    size = len(scores)
    root: dict[tuple[int, int], np.ndarray] = {}
    total = np.zeros(matrix.shape[:-2])
    turned: list[np.ndarray] = []
    for i in range(size):
        rest = np.asarray(scores[i], dtype=float)
        for j in range(i):
            inner = sum((root[i, k] * root[j, k] for k in range(j)), np.zeros(1))
            root[i, j] = (matrix[..., i, j] - inner) / root[j, j]
            rest = rest - root[i, j] * turned[j]
        left = matrix[..., i, i] - sum((root[i, k] ** 2 for k in range(i)), np.zeros(1))
        root[i, i] = np.sqrt(np.where(left > LEAST, left, np.nan))
        turned.append(rest / root[i, i])
        total = total - np.log(root[i, i]) - 0.5 * (turned[i] ** 2 - scores[i] ** 2)
    return np.asarray(total)


def _surveys(rows: Sequence[Row]) -> list[tuple[int, ...]]:
    """Rows that share respondents, where their numbers are known."""
    names = dict.fromkeys(row.survey for row in rows if row.survey and row.asked > 0)
    groups = [
        tuple(i for i, row in enumerate(rows) if row.survey == name and row.asked > 0)
        for name in names
    ]
    return [group for group in groups if len(group) > 1]


def _same_respondents(rows: Sequence[Row], pair: Pair) -> bool:
    one, two = rows[pair.first], rows[pair.second]
    return bool(one.survey and one.survey == two.survey and one.asked == two.asked)


def _answers(rows: Sequence[Row], pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    one, two = rows[pair.first], rows[pair.second]
    return np.asarray(one.found), np.asarray(two.found), np.asarray(one.asked)


def _tabulated(rows: Sequence[Row], pair: Pair) -> CubicSpline:
    """`log_tilt` of a survey as a function of the log odds ratio."""
    part = pair.odds_ratio
    half = REACH * max(part.two, 0.01)
    knots = np.linspace(part.start - half, part.start + half, 301)
    return CubicSpline(knots, log_tilt(*_answers(rows, pair), knots))


def _set(z: np.ndarray, part: Part | None, value: np.ndarray | float) -> None:
    if part is not None and part.column >= 0:
        z[:, part.column] = value


def _begin(row: Row, z: np.ndarray, N: np.ndarray) -> None:
    """Biases at their centres, but for what must give way for the true count to be below N."""
    for part in (row.selection, row.error, row.undercount, row.overcount):
        _set(z, part, part.start if part else 0.0)
    count = _known(row, z, N).people
    below = row.error is None and row.overcount is None
    least = row.count if below else 0.0
    goal = np.minimum(count, np.maximum(0.9 * N, (least + N) / 2))
    if not (goal < count).any():
        return
    if row.error is not None and row.error.column >= 0:
        z[:, row.error.column] += np.log(count / goal)
    elif row.overcount is not None and row.overcount.column >= 0:
        # 1 - overcount shrinks by the factor goal / count.
        kept = goal / count / (1 + np.exp(row.overcount.start))
        z[:, row.overcount.column] = np.log((1 - kept) / kept)
    elif row.undercount is not None and row.undercount.column >= 0:
        kept = np.minimum(row.count / goal, 1 - 1e-12)
        z[:, row.undercount.column] = np.log((1 - kept) / kept)
