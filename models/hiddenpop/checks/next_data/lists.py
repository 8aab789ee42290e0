r"""Next data for lists: one more list, and totals that are linked.

A list of t people drawn from N, of whom n were seen before, finds m of them again:

    m ~ Hypergeometric(n, N - n, t)

if it is independent of the lists there are. Its length says nothing of N, as its chance of seeing
a person is unknown; so it is held fixed, and m is all that the list says. If those who were seen
before have other odds of being on it, by an odds ratio that is not known, m is Fisher's
non-central hypergeometric number, and says less.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.special import gammaln

from hiddenpop.checks.priors.of_tables import stored_priors
from hiddenpop.families.loglinear_terms import histories, interactions
from hiddenpop.families.maths.lattice import tables_with_margins
from hiddenpop.inputs.overlap import Margins
from hiddenpop.priors import lognormal_from_interval
from hiddenpop.size import SizeEstimate

__all__ = ["another_list", "linked_summaries", "seen_before", "seen_before_if_dependent"]

MOST_PEOPLE = 10**9
"""Largest populations that hypergeometric numbers can be drawn of."""

MOST_TABLES = 5000
"""With more tables than this their cells are drawn from a normal distribution."""

CHUNK = 2_000_000
"""Numbers held at once."""

NEWTON = 12
"""Steps of Newton's method, each of at most 1 in the log odds: a few are needed."""


def seen_before(
    size: np.ndarray, observed: float, length: int, rng: np.random.Generator
) -> np.ndarray:
    """People of a new independent list who are on the old lists, for each draw of N.

    Parameters
    ----------
    size
        Draws of N, people, (sample,); none below `observed`.
    length
        People on the new list, at most `observed`.
    """
    seen = round(observed)
    unseen = np.clip(np.round(size) - seen, 0, MOST_PEOPLE - seen - 1).astype(np.int64)
    return np.asarray(rng.hypergeometric(seen, unseen, length))


def seen_before_if_dependent(
    size: np.ndarray,
    observed: float,
    length: int,
    odds_ratio: tuple[float, float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """The same where having been seen multiplies the odds of being on the new list.

    By a factor that is log-normal with the central interval (low, high, level) and stays unknown.
    The number is drawn from the normal approximation of Fisher's non-central hypergeometric
    distribution (mean: the cells have that odds ratio; variance: one over the sum of their
    reciprocals; McCullagh & Nelder 1989, Generalized Linear Models, section 7.3.2), rounded.
    """
    mu, sigma = lognormal_from_interval(*odds_ratio)
    odds = np.exp(mu + sigma * rng.normal(size=len(size)))
    seen, unseen = observed, np.maximum(size - observed, 0.0)
    # odds = m (unseen - length + m) / ((seen - m) (length - m)): a quadratic in m.
    a, b = 1 - odds, unseen - length + odds * (seen + length)
    c = -odds * seen * length
    # The root that stays finite where the odds ratio is 1.
    mean = -2 * c / (b + np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0)))
    cells = np.array([mean, seen - mean, length - mean, unseen - length + mean])
    variance = 1 / (1 / np.maximum(cells, 1e-9)).sum(axis=0)
    drawn = np.round(mean + np.sqrt(variance) * rng.normal(size=len(size)))
    return np.asarray(np.clip(drawn, np.maximum(length - unseen, 0), min(seen, length)))


def another_list(typical: float, observed: float) -> list[tuple[str, int]]:
    """Lengths of a new list worth asking about, and their words; no longer than the people seen."""
    words = (("half as long as", 0.5), ("as long as", 1.0), ("twice as long as", 2.0))
    lengths = ((text, round(times * typical)) for text, times in words)
    return [(text, length) for text, length in lengths if 1 <= length <= observed]


def linked_summaries(estimate: SizeEstimate, rng: np.random.Generator) -> np.ndarray | None:
    """What the overlaps behind published totals would show, for each draw of the posterior.

    The linked table is of the same people, so that it has the published totals: it is drawn
    given them, from the cell probabilities of each draw of the family `loglinear`.

    Returns
    -------
    Logs of the people on both of each two lists, and for three lists the log of the unseen
    without an interaction of all three (Fienberg 1972, Biometrika 59:591), (sample, summary);
    None for an estimate without draws of cells.
    """
    table = estimate.data
    if not isinstance(table, Margins) or "list_effect" not in estimate.tree["posterior"]:
        return None
    cells = _drawn(table, _log_odds(estimate, table), rng)
    on = table.histories
    pairs = list(combinations(range(len(table.lists)), 2))
    both = [cells @ (on[:, j] & on[:, k]) for j, k in pairs]
    found = [np.log(np.maximum(one, 0) + 0.5) for one in both]
    if len(table.lists) == 3:
        logs = np.log(np.maximum(cells, 0) + 0.5)
        odd = on.sum(axis=1) % 2 == 1
        found.append(logs[:, odd].sum(axis=1) - logs[:, ~odd].sum(axis=1))
    return np.column_stack(found)


def _log_odds(estimate: SizeEstimate, table: Margins) -> np.ndarray:
    """Log odds of each history against the all-zero one, (sample, history)."""
    posterior, priors = estimate.tree["posterior"], stored_priors(estimate)
    terms = interactions(table.lists, priors.most_lists)
    effects = _flat(posterior["list_effect"].to_numpy())
    if terms.names:
        if "interaction" in posterior:
            links = _flat(posterior["interaction"].to_numpy())
        else:  # fixed by its prior
            middle, _ = lognormal_from_interval(*priors.odds_ratio)
            links = np.full((len(effects), len(terms.names)), middle)
        effects = np.hstack([effects, links])
    columns = np.hstack([histories(len(table.lists)), terms.columns])[1:]
    return np.asarray(effects @ columns.T)


def _flat(draws: np.ndarray) -> np.ndarray:
    return draws.reshape(-1, draws.shape[-1])


def _drawn(table: Margins, log_odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells with the published totals, (sample, history)."""
    tables = tables_with_margins(table.totals, table.distinct, MOST_TABLES)
    if tables is None:
        return _normal_cells(table, log_odds, rng)
    ways = -gammaln(tables + 1).sum(axis=1)
    found = []
    for some in np.array_split(log_odds, 1 + len(log_odds) * len(tables) // CHUNK):
        # Gumbel numbers choose a table with its probability.
        chance = some @ tables.T + ways
        found.append(tables[np.argmax(chance + rng.gumbel(size=chance.shape), axis=1)])
    return np.concatenate(found).astype(float)


def _normal_cells(table: Margins, log_odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same where tables are many: multinomial cells, moved to the totals as normal ones would.

    Given the totals only the odds ratios matter, so that the shares are first brought to where
    the totals are what is expected of them (Newton's method on the lists' effects).
    """
    lists = table.histories.T.astype(float)
    goal = np.array(table.totals) / table.distinct
    for _ in range(NEWTON):
        pull = _pull(lists, _shares(log_odds), goal)
        log_odds = log_odds + np.clip(pull, -1, 1) @ lists
    shares = _shares(log_odds)
    drawn = rng.multinomial(table.distinct, shares).astype(float)
    mean = shares @ lists.T
    pull = _pull(lists, shares, goal - drawn @ lists.T / table.distinct + mean)
    moved = shares * (pull @ lists - (pull * mean).sum(axis=1, keepdims=True))
    return np.asarray(drawn + table.distinct * moved)


def _shares(log_odds: np.ndarray) -> np.ndarray:
    """Chances of the histories of those who were seen, (sample, history)."""
    found = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _pull(lists: np.ndarray, shares: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Changes of the lists' effects that bring the expected shares of lists to `goal`, linearly."""
    mean = shares @ lists.T
    spread = np.einsum("jh,sh,kh->sjk", lists, shares, lists) - mean[:, :, None] * mean[:, None]
    return np.asarray(np.linalg.solve(spread, (goal - mean)[:, :, None])[:, :, 0])
