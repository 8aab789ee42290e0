"""Several families' answers to one question, as one: averaged or stacked.

Families fit a table about equally well and still disagree about the unseen, because each rests
on another assumption that the table cannot test (Aleshin-Guendel, Sadinle & Wakefield 2024). The
spread between them is part of what is not known, so it belongs in the interval.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy.optimize import minimize

from hiddenpop.families import FAMILIES
from hiddenpop.families.exact import Discrete, exact_tree
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.size_study import COMBINED
from hiddenpop.size import SizeEstimate, fit_table
from hiddenpop.words import capital, probability

__all__ = [
    "Spread",
    "best_mixture",
    "combine",
    "seen_shares",
    "spread",
    "stacking_weights",
]

FOLDS = 10

LEAST = 1e-12
"""People expected where a family expects none, as some do in a combination seen on nobody."""


class Spread(NamedTuple):
    """How much of the uncertainty is within families and how much between them.

    Attributes
    ----------
    lowest, highest
        Least and greatest median of N of the families.
    within, between
        Variance of log N inside families (weighted mean) and of its family means.
    """

    lowest: float
    highest: float
    within: float
    between: float

    @property
    def share_between(self) -> float:
        """Share of the variance of log N that is disagreement between families."""
        whole = self.within + self.between
        return self.between / whole if whole > 0 else 0.0


def combine(
    estimates: Mapping[str, SizeEstimate],
    weights: Mapping[str, float] | None = None,
    *,
    seed: int = 1,
    method: Literal["average", "stack"] = "average",
) -> SizeEstimate:
    """Mix the families' posteriors of N.

    Families that give a set of values and no posterior (`bounds`), and families whose fit
    failed its gates, are left out.

    Parameters
    ----------
    weights
        By family; equal by default, which says that no assumption is held more credible than
        another. The table itself cannot tell: all weights are a judgement.
    method
        What the weights are, for the record.

    Raises
    ------
    ValueError
        If fewer than two families are left, or weights are negative or all zero.
    """
    usable = {k: e for k, e in estimates.items() if not e.is_set and e.verdict.passed}
    if len(usable) < 2:
        raise ValueError("There are fewer than two families to combine.")
    given = np.array([1.0 if weights is None else weights.get(name, 0.0) for name in usable])
    if (given < 0).any() or given.sum() <= 0:
        raise ValueError("Weights must not be negative, and one at least must be positive.")
    share = given / given.sum()
    observed = max(estimate.observed for estimate in usable.values())
    parts = [_distribution(estimate, observed) for estimate in usable.values()]
    mixed = Discrete.from_draws(
        np.concatenate([part.unseen for part in parts]),
        np.concatenate([w * part.probability for w, part in zip(share, parts, strict=True)]),
    )
    found = spread(usable, dict(zip(usable, share, strict=True)))
    note = (
        f"{capital(probability(found.share_between))} of the variance of log N is disagreement "
        "between families; the table cannot settle it."
    )
    first = next(iter(usable.values()))
    tree = exact_tree(
        observed, mixed, seed=seed,
        assumption="That the truth lies with one of the families, each as likely as its weight.",
        notes=[note],
        models=_rows(usable, share),
        attrs={"method": method, "family": COMBINED, "seed": seed, "priors": "{}",
               "versions": first.tree.attrs["versions"],
               "sampling": first.tree.attrs["sampling"]},
    )  # fmt: skip
    return SizeEstimate(tree, first.data, COMBINED)


def spread(estimates: Mapping[str, SizeEstimate], weights: Mapping[str, float]) -> Spread:
    """Compare the disagreement between families with the uncertainty inside them."""
    share = np.array([weights[name] for name in estimates])
    moments = []
    for estimate in estimates.values():
        part = _distribution(estimate, estimate.observed)
        log_size = np.log(estimate.observed + part.unseen)
        mean = float(part.probability @ log_size)
        moments.append((mean, float(part.probability @ (log_size - mean) ** 2)))
    means, variances = np.array(moments).T
    medians = [estimate.N().median for estimate in estimates.values()]
    between = float(share @ (means - share @ means) ** 2)
    return Spread(min(medians), max(medians), float(share @ variances), between)


def _distribution(estimate: SizeEstimate, observed: float) -> Discrete:
    """The posterior of N minus `observed`."""
    exact = estimate.unseen_distribution
    return Discrete(exact.unseen + estimate.observed - observed, exact.probability)


def _rows(estimates: Mapping[str, SizeEstimate], share: np.ndarray) -> xr.Dataset:
    """The families as the models that were averaged."""
    sizes = [estimate.N() for estimate in estimates.values()]
    columns: dict[str, Any] = {"weight": ("model", share)}
    for name in ("median", "mean", "low", "high"):
        columns[name] = ("model", np.array([getattr(size, name) for size in sizes]))
    return xr.Dataset(columns, coords={"model": list(estimates)})


def stacking_weights(
    table: OverlapTable,
    families: Sequence[str],
    options: Mapping[str, Any],
    *,
    seed: int = 1,
    folds: int = FOLDS,
) -> dict[str, float]:
    """Weights that predict best on which lists people left out were seen.

    The people are split into folds; each family is fitted to all but one and predicts the
    histories of the rest; the weights maximise the log score of the mixture of predictions
    (Yao, Vehtari, Simpson & Gelman 2018, Bayesian Analysis 13:917, eq. 4).

    They reward the fit to people who were seen. Two families that fit alike may differ by any
    factor about the unseen, and stacking cannot choose between them.

    Raises
    ------
    InputError
        If a family cannot be used on the table.
    ValueError
        If the table is not of exact counts, or a family predicts no histories.
    """
    whole = table.total()
    if not whole.exact:
        raise ValueError("Stacking needs exact counts: people cannot be left out of a range.")
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(len(whole.low)), whole.low.astype(int))
    fold = rng.permutation(len(people)) % folds
    scores = []
    for one in range(folds):
        kept = np.bincount(people[fold != one], minlength=len(whole.low)).astype(float)
        held = np.bincount(people[fold == one], minlength=len(whole.low)).astype(float)
        training = replace(whole, low=kept, high=kept)
        scores.append(
            np.repeat(
                [_prediction(training, name, options) for name in families],
                held.astype(int),
                axis=1,
            )
        )
    density = np.concatenate(scores, axis=1)
    return dict(zip(families, best_mixture(density), strict=True))


def _prediction(table: OverlapTable, family: str, options: Mapping[str, Any]) -> np.ndarray:
    """Probability of each cell's history given that a person is seen, shape (cell,)."""
    if not FAMILIES[family].exact:
        raise ValueError(f"Stacking refits every family {FOLDS} times: '{family}' is sampled.")
    found = fit_table(table, family, options=dict(options), sampling=Sampling(), check=False)
    shares = seen_shares(found, table.labels)
    if shares is None:
        raise ValueError(f"The family '{family}' predicts no histories: it cannot be stacked.")
    return shares


def seen_shares(
    estimate: SizeEstimate, labels: Sequence[str], among: Collection[str] | None = None
) -> np.ndarray | None:
    """Probability of histories given that a person is seen; None if the family predicts none.

    Parameters
    ----------
    labels
        Histories as `OverlapTable.labels` has them.
    among
        Given that the history is one of these; default: any that the family expects.

    Returns
    -------
    numpy.ndarray
        Shape (label,); never 0, as at least `LEAST` people are expected.
    """
    fitted = estimate.fitted
    if fitted is None:
        return None
    expected = dict(zip(fitted["history"], fitted["expected"], strict=True))
    whole = sum(x for label, x in expected.items() if among is None or label in among)
    mass = np.array([expected.get(label, 0.0) for label in labels])
    return np.asarray(np.maximum(mass, LEAST) / whole)


def best_mixture(density: np.ndarray, people: np.ndarray | None = None) -> np.ndarray:
    """Weights on the simplex that maximise the mean log of the mixture density.

    Parameters
    ----------
    density
        Of what was left out, under each family, shape (family, observation).
    people
        How often each observation was made, shape (observation,); default: once.
    """

    def loss(logits: np.ndarray) -> float:
        weights = np.exp(logits - logits.max())
        log_density = np.log(weights / weights.sum() @ density)
        return -float(np.average(log_density, weights=people))

    found = minimize(loss, np.zeros(len(density)), method="BFGS")
    weights = np.exp(found.x - found.x.max())
    return np.asarray(weights / weights.sum())
