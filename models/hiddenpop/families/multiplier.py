"""Benchmark multipliers of one population: the posterior of N, computed.

A benchmark counts members of the target with some event; a survey says which share of the target
has it. With a uniform prior on the share, 1/N on the size and no bias the posterior is
Beta-negative-binomial; everything else is summed over nodes (`maths.benchmark_rows`). Rows are
independent given N, but for counts of the same people (`maths.joint_events`) and figures, whose
authors share their overconfidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from hiddenpop.families.exact import exact_tree
from hiddenpop.families.multiplier_notes import assumption, notes
from hiddenpop.families.multiplier_report import benchmark_rows
from hiddenpop.families.multiplier_size import Evidence, SizePosterior, informative
from hiddenpop.families.refusal import Refusal
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable
from hiddenpop.inputs.settings import Sampling

__all__ = ["Priors", "posterior", "refusal", "size"]


@dataclass(frozen=True)
class Priors:
    """Priors of benchmark multipliers.

    Attributes
    ----------
    size_prior
        Prior on N. 1/N by default: flat on the logarithm of N, so that the benchmarks decide.
    share_a, share_b
        Beta(a, b) prior of a share before its survey. Positive. 1, 1: uniform. A share given by
        quantiles has no other prior than these.
    odds_ratio
        Low, high, level: central interval of the log-normal prior of the odds ratio between two
        events that the same people can have (arrested, treated), where the overlap has none of
        its own. A third to three at 95 %: among drug users both signs have been found, see the
        family two-list.
    overconfidence
        Low, high, level of the log-normal prior of the factor by which the sds of stated figures
        are too small. 1 to 4 at 95 %: intervals that were to hold the truth nine times in ten
        have held it about half the time (Lin & Bier 2008), which is a factor of 2.4.
    between_experts
        Scale of the half-normal prior of the sd between those who state figures, beyond their
        stated errors, on the log scale. 0.5: two of them may well differ by a factor of 2. It
        cannot be learnt from one figure, which it therefore widens as a whole.
    """

    size_prior: SizePrior = field(default_factory=SizePrior)
    share_a: float = 1.0
    share_b: float = 1.0
    odds_ratio: tuple[float, float, float] = (1 / 3, 3.0, 0.95)
    overconfidence: tuple[float, float, float] = (1.0, 4.0, 0.95)
    between_experts: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.share_a < np.inf and 0 < self.share_b < np.inf):
            raise ValueError(
                f"share_a is {self.share_a:g} and share_b is {self.share_b:g}; both must be "
                "positive numbers"
            )
        for name in ("odds_ratio", "overconfidence"):
            low, high, level = getattr(self, name)
            if not (0 < low <= high < np.inf and 0 < level < 1):
                raise ValueError(
                    f"{name} is {low:g}, {high:g}, {level:g}; it must be low, high, level with "
                    "0 < low <= high and a level between 0 and 1"
                )
        if not 0 <= self.between_experts < np.inf:
            raise ValueError(
                f"between_experts is {self.between_experts:g}; it must be 0 or a positive number"
            )


def refusal(data: MultiplierTable, priors: Priors) -> Refusal | None:
    """Why benchmarks cannot be multiplied here; None where they can."""
    if len(data.strata) > 1:
        return Refusal("multiplier-fit-strata", {"strata": len(data.strata)})
    rows = informative(data)
    if not rows:
        return Refusal("multiplier-fit-no-count", {"rows": len(data.rows)})
    if all(row.rate is None and row.kind == "people" for row in rows):
        return Refusal("multiplier-fit-no-share", {"id": rows[0].id})
    found = (_refused_row(row, data, priors) for row in rows)
    return next((one for one in found if one), None) or _refused_size(data, rows, priors)


def _refused_row(row: Benchmark, data: MultiplierTable, priors: Priors) -> Refusal | None:
    """What is missing in one row."""
    known = bool(data.population[0] > 0)
    bare = row.rate is None and row.kind in ("events", "amount")
    unsure = row.kind == "figure" and row.interval is None and priors.between_experts == 0
    positive = row.kind in ("amount", "figure") and row.value <= 0
    checks = (
        (bare, "multiplier-fit-no-rate"),
        (row.rate is not None and row.rate.x is None and len(row.rate.quantiles) < 2,
         "multiplier-fit-bare-share"),
        (row.kind == "survey" and not known, "multiplier-fit-no-residents"),
        (row.kind == "survey" and not (row.sample or 0) >= row.most, "multiplier-fit-sample"),
        (unsure, "multiplier-fit-sure-figure"),
        (positive, "multiplier-fit-not-positive"),
    )  # fmt: skip
    code = next((code for wrong, code in checks if wrong), None)
    return None if code is None else Refusal(code, {"id": row.id, "kind": row.kind})


def _refused_size(data: MultiplierTable, rows: list[Benchmark], priors: Priors) -> Refusal | None:
    """Sizes that contradict each other, or that nothing bounds."""
    observed, residents = data.observed, float(data.population[0])
    if residents < observed:
        return Refusal("multiplier-fit-residents", {"residents": residents, "observed": observed})
    if priors.size_prior.most < max(observed, 1):
        most = priors.size_prior.most
        return Refusal("multiplier-fit-prior", {"most": most, "observed": observed})
    unbounded = all(row.kind == "people" and _effective(row) + priors.share_a < 1 for row in rows)
    if unbounded and priors.size_prior.kind == "reciprocal" and not residents > 0:
        # The posterior falls as N to the power -(share_a + x + 1).
        return Refusal("multiplier-fit-unbounded", {"id": rows[0].id, "a": priors.share_a})
    return None


def _effective(row: Benchmark) -> float:
    """Respondents with the event, divided by the design effect; inf where quantiles were given."""
    rate = row.rate
    if rate is None:
        return 0.0
    return np.inf if rate.x is None else rate.x / rate.design_effect


def size(data: MultiplierTable, priors: Priors) -> SizePosterior:
    """The posterior of N alone, without what the family reports beside it: for many tables."""
    return Evidence(data, priors).posterior()


def posterior(data: MultiplierTable, priors: Priors, sampling: Sampling) -> xr.DataTree:
    """Posterior of the people beyond those counted for certain.

    Returns
    -------
    xarray.DataTree
        As `families.exact` describes, and a group `benchmarks` (`multiplier_report`). Root
        attributes: `tail`; `grid_error`, about the largest error of a cumulative probability
        from knots that are too far apart.
    """
    evidence = Evidence(data, priors)
    found = evidence.posterior()
    table = benchmark_rows(evidence, found)
    tree = exact_tree(
        found.observed,
        found.unseen,
        seed=sampling.seed,
        assumption=assumption(data),
        notes=notes(data, evidence, found, table),
        attrs={"tail": found.found.tail, "grid_error": found.error},
    )
    tree["benchmarks"] = xr.DataTree(table)
    return tree
