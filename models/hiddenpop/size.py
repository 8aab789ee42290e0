"""A population size estimated from one table: the posterior and every number reported from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hiddenpop.errors import ConvergenceError, InputError
from hiddenpop.estimate import Summary, summarise
from hiddenpop.families import FAMILIES, families_of
from hiddenpop.families.exact import Discrete
from hiddenpop.families.refusal import Refusal
from hiddenpop.inference import Sampler, Verdict, judge, versions
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.table import Table, form_of

__all__ = ["SizeEstimate", "fit_table", "priors_of", "refused"]


FORMS = {
    "evidence": "the evidence of a study",
    "overlap": "overlaps of lists",
    "repeats": "captures on one list",
    "benchmarks": "benchmarks",
    "tree": "the branches of a tree",
}
"""What families read, in words."""


@dataclass(frozen=True, eq=False)
class SizeEstimate:
    """A family fitted to a table. It never changes after it is made.

    Attributes
    ----------
    tree
        As `families.exact` describes; sampled families have `sample_stats` in place of
        `distribution`, and `N` and `unseen` may have a dim `stratum`.
    data
        What it was made from.
    family
        Name of the model family.
    """

    tree: xr.DataTree
    data: Table
    family: str
    sampler: Sampler | None = field(default=None, repr=False)

    @cached_property
    def verdict(self) -> Verdict:
        """Which gates the fit passed."""
        return judge(self.tree)

    @property
    def model(self) -> pm.Model | None:
        """The PyMC model; None for a family that needs none."""
        return self.sampler.model if self.sampler else None

    @property
    def observed(self) -> float:
        """People certainly seen."""
        return float(self.tree.attrs["observed"])

    @property
    def assumption(self) -> str:
        """What the estimate rests on and no data can test, in words."""
        return str(self.tree.attrs["assumption"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the number must know."""
        return tuple(json.loads(self.tree.attrs["notes"]))

    @cached_property
    def distribution(self) -> Discrete | None:
        """The posterior of the unseen itself, where the family computes it."""
        if "distribution" not in self.tree:
            return None
        group = self.tree["distribution"]
        return Discrete(group["unseen"].to_numpy(), group["probability"].to_numpy())

    @cached_property
    def unseen_distribution(self) -> Discrete:
        """The posterior of the unseen: computed, or made of the draws."""
        if self.distribution is not None:
            return self.distribution
        drawn = self.draws("unseen")
        return Discrete.from_draws(drawn, np.ones(len(drawn)))

    def draws(self, variable: str = "N") -> np.ndarray:
        """All draws, chains joined and strata (of the last period) added up, shape (sample,)."""
        values = self.tree["posterior"][variable]
        if "stratum" in values.dims and isinstance(self.data, MultiplierTable):
            values = values.isel(stratum=self.data.current)
        rest = [dim for dim in values.dims if dim not in ("chain", "draw")]
        return values.sum(rest).transpose("chain", "draw").to_numpy().reshape(-1)

    @property
    def is_set(self) -> bool:
        """Whether the family gives a set of values of N and no posterior."""
        return "set" in self.tree

    def unseen(self, level: float = 0.95) -> Summary:
        """People on no list (and the part of censored cells that was not certain).

        For a family that gives a set, its ends, its best value in place of the median, and no
        mean.
        """
        if self.is_set:
            ends = self.tree["set"]
            best, low, high = (float(ends[name]) for name in ("best", "low", "high"))
            return Summary(best, float("nan"), low, high, float(ends["level"]))
        exact = self.distribution
        if exact is None:
            return summarise(self.draws("unseen"), level)
        low, median, high = exact.quantile(np.array([(1 - level) / 2, 0.5, (1 + level) / 2]))
        return Summary(float(median), exact.mean, float(low), float(high), level)

    def N(self, level: float = 0.95) -> Summary:
        """Population size, people."""
        found = self.unseen(level)
        median, mean, low, high = (value + self.observed for value in found[:4])
        return Summary(median, mean, low, high, found.level)

    def prevalence(self, level: float = 0.95) -> Summary | None:
        """People per 1,000 residents, or None where residents are not known."""
        residents = self.data.residents
        if residents is None:
            return None
        found = self.N(level)
        median, mean, low, high = (1000 * value / residents for value in found[:4])
        return Summary(median, mean, low, high, found.level)

    def strata(self, level: float = 0.95) -> pd.DataFrame | None:
        """One row per stratum with N and, where known, the rate; None where there is only one."""
        if self.is_set or self.tree["posterior"]["N"].sizes.get("stratum", 1) == 1:
            return None
        values = self.tree["posterior"]["N"]
        rows = []
        for index, name in enumerate(values["stratum"].to_numpy()):
            found = summarise(values.isel(stratum=index).to_numpy(), level)
            row: dict[str, Any] = {"stratum": str(name)} | found._asdict()
            row["observed"] = float(self.data.observed_by_stratum[index])  # type: ignore[union-attr]
            known = self.data.population
            if known is not None and np.size(known) == values.sizes["stratum"]:
                residents = float(np.atleast_1d(known)[index])
                row |= {"residents": residents, "per_1000": 1000 * found.median / residents}
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def models(self) -> pd.DataFrame | None:
        """Models that were averaged, the heaviest first; None for a single model."""
        if "models" not in self.tree:
            return None
        frame = self.tree["models"].to_dataset().to_dataframe().reset_index(names="model")
        return frame.sort_values("weight", ascending=False, kind="stable", ignore_index=True)

    @property
    def fitted(self) -> pd.DataFrame | None:
        """Observed and expected cells; None where the family has none."""
        return self.group("fitted")

    @property
    def benchmarks(self) -> pd.DataFrame | None:
        """Of each benchmark: its plain multiplier, N from it alone, N without it, conflict."""
        return self.group("benchmarks")

    @property
    def trend(self) -> pd.DataFrame | None:
        """Of each area: ratio of the last period to the first, and P(increase)."""
        return self.group("trend")

    def group(self, name: str) -> pd.DataFrame | None:
        """A further table of the estimate, one row for each thing it is about; None without it."""
        if name not in self.tree:
            return None
        return self.tree[name].to_dataset().to_dataframe().reset_index()

    @property
    def completeness(self) -> dict[str, float]:
        """Share of the population that each list and all together saw, at the median of N."""
        median = self.N().median
        everybody = {"all lists": self.observed / median if median else 1.0}
        if isinstance(self.data, OverlapTable):
            totals = self.data.list_totals
        elif isinstance(self.data, Margins):
            totals = self.data.known[:-1]
        else:
            return everybody
        shares = zip(self.data.lists, totals, strict=True)
        return everybody | {name: float(total / median) for name, total in shares}

    @property
    def monte_carlo_error(self) -> float:
        """Monte Carlo standard error of the median of N, people; 0 where nothing is drawn."""
        if self.is_set:
            return 0.0
        exact = self.distribution
        if exact is None:
            chains = self.tree["posterior"].sizes["chain"]
            return float(az.mcse(self.draws().reshape(chains, -1), method="median"))
        if "importance_ess" not in self.tree.attrs:
            return 0.0
        # Quantile of a share p from m independent draws: half of them below, give or take
        # 0.5 / sqrt(m).
        off = 0.5 / np.sqrt(float(self.tree.attrs["importance_ess"]))
        low, high = exact.quantile(np.array([0.5 - off, min(0.5 + off, 1.0)]))
        return float(high - low) / 2

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """One row per quantity: N, unseen and, where residents are known, the rate.

        `mcse` is the Monte Carlo standard error of the median, in the unit of the row.
        """
        rows = {"N": self.N(level), "unseen": self.unseen(level)}
        rate = self.prevalence(level)
        rows |= {} if rate is None else {"prevalence_per_1000": rate}
        error = self.monte_carlo_error
        unit = 1.0 if self.data.residents is None else 1000 / self.data.residents
        return pd.DataFrame(
            [{"family": self.family, "quantity": key, "observed": self.observed}
             | row._asdict() | {"mcse": error * (unit if key.startswith("prev") else 1.0)}
             for key, row in rows.items()]
        )  # fmt: skip


def refused(table: Table, family: str, options: dict[str, Any] | None = None) -> Refusal | None:
    """Why a family cannot be used on a table; None where it can.

    Raises
    ------
    ValueError
        If an option has a value that the family does not know.
    """
    reads, given = FAMILIES[family].data, form_of(table)
    if reads != given:
        others = ", ".join(families_of(given))
        return Refusal(
            "family-form", {"reads": FORMS[reads], "given": FORMS[given], "others": others}
        )
    found: Refusal | None = FAMILIES[family].module.refusal(table, priors_of(family, options or {}))
    return found


def priors_of(family: str, options: dict[str, Any]) -> Any:  # noqa: ANN401
    """The family's `Priors` with those of the options that it has.

    Options under the family's own name ({"bounds": {"odds_ratio": ...}}) are for it alone.
    """
    kind = FAMILIES[family].module.Priors
    known = kind.__dataclass_fields__
    shared = {key: value for key, value in options.items() if key in known}
    return kind(**shared | options.get(family, {}))


def fit_table(
    table: Table,
    family: str,
    *,
    options: dict[str, Any] | None = None,
    sampling: Sampling | None = None,
    check: bool = True,
) -> SizeEstimate:
    """Fit one family to a table.

    Parameters
    ----------
    options
        Fields of the family's `Priors`; those of other families are left alone.
    sampling
        Seed, and draws for families that sample.
    check
        Raise if the gates are not passed.

    Raises
    ------
    InputError
        If the family cannot be used on this table; the fault says what would make it possible.
    ConvergenceError
        If `check` and a gate failed; the error carries the estimate.
    """
    sampling = sampling or Sampling()
    module, priors = FAMILIES[family].module, priors_of(family, options or {})
    if refusal := refused(table, family, options):
        faults = Faults()
        faults.report(refusal.code, {"family": family, **refusal.values})
        raise InputError(faults.found)
    sampler = None
    if not hasattr(module, "build_model"):
        tree: xr.DataTree = module.posterior(table, priors, sampling)
    else:
        sampler = Sampler(module.build_model(table, priors))
        tree = sampler.sample(module.values(table, priors), sampling)
        tree = module.finish(tree, table, priors, np.random.default_rng(sampling.seed))
    tree.attrs |= {
        "family": family,
        "seed": sampling.seed,
        "sampling": json.dumps(vars(sampling)),
        "priors": json.dumps(vars(priors), default=str),
        "versions": json.dumps(versions()),
    }
    estimate = SizeEstimate(tree, table, family, sampler)
    if check and not estimate.verdict.passed:
        raise ConvergenceError(
            f"The fit of family '{family}' failed its gates: {estimate.verdict}. Its numbers "
            "cannot be trusted. Give it more draws, or use a family that is computed exactly.",
            estimate,
        )
    return estimate
