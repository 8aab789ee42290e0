"""An estimate: the posterior, what it was made from, and every number that is reported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hiddenpop.errors import ConvergenceError, ResultError
from hiddenpop.families import FAMILIES
from hiddenpop.files import whole
from hiddenpop.inference import Sampler, Verdict, judge, versions
from hiddenpop.inputs.study import Sampling, Study

__all__ = [
    "Comparison",
    "Estimate",
    "Summary",
    "build",
    "fit",
    "read_tree",
    "summarise",
]

QUICK_DRAWS, QUICK_TUNE = 250, 500


class Summary(NamedTuple):
    """A posterior in five numbers, on the natural scale.

    Attributes
    ----------
    median, mean
        The mean may be far above the median where the upper tail is long.
    low, high
        Equal-tailed interval.
    level
        Its probability.
    """

    median: float
    mean: float
    low: float
    high: float
    level: float


class Comparison(NamedTuple):
    """Two areas' prevalences against each other, from the joint posterior.

    Attributes
    ----------
    probability
        That the first area's prevalence is the higher one.
    ratio
        First over second.
    difference_per_1000
        First minus second, per 1,000 residents.
    """

    area: str
    other: str
    group: str
    probability: float
    ratio: Summary
    difference_per_1000: Summary


def summarise(draws: np.ndarray, level: float = 0.95) -> Summary:
    """Median, mean and equal-tailed interval of draws of any shape."""
    low, median, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Summary(float(median), float(np.mean(draws)), float(low), float(high), level)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A fitted study. It never changes after it is made.

    Attributes
    ----------
    tree
        Groups `posterior`, `sample_stats`, `constant_data`; its attributes carry seed,
        sampling, versions, priors and the sha256 of every input.
    data
        The study it was made from.
    family
        Name of the model family.
    sampler
        The compiled model, kept for variants; not saved.
    """

    tree: xr.DataTree
    data: Study
    family: str
    sampler: Sampler | None = field(default=None, repr=False)

    @cached_property
    def verdict(self) -> Verdict:
        """Which gates the fit passed."""
        return judge(self.tree)

    @property
    def model(self) -> pm.Model:
        """The PyMC model."""
        return self.sampler.model if self.sampler else build(self.data)

    @property
    def sampling(self) -> Sampling:
        """How it was sampled."""
        return Sampling(**json.loads(self.tree.attrs["sampling"]))

    @property
    def quick(self) -> bool:
        """Whether this was a quick run, whose numbers are for a look only."""
        return bool(self.tree.attrs["quick"])

    def draws(self, variable: str, **labels: str) -> np.ndarray:
        """All draws of a posterior variable at named coordinates, chains joined.

        Shape (sample, ...): the dimensions that are not fixed by `labels` follow.

        Raises
        ------
        KeyError
            If there is no such variable or label.
        """
        chosen = self.tree["posterior"][variable].sel(labels)
        rest = [dim for dim in chosen.dims if dim not in ("chain", "draw")]
        array = chosen.transpose("chain", "draw", *rest).to_numpy()
        return np.asarray(array.reshape(-1, *array.shape[2:]))

    def users(self, area: str, group: str, level: float = 0.95) -> Summary:
        """Number of users in a group and area."""
        return summarise(self.draws("users", area=area, union=group), level)

    def prevalence(self, area: str, group: str, level: float = 0.95) -> Summary:
        """Users per 1,000 residents at the target ages."""
        return summarise(1000 * self.draws("prevalence", area=area, union=group), level)

    def rate(self, name: str, level: float = 0.95) -> Summary:
        """Posterior of a share or factor."""
        if name in self.data.data.rates.shares:
            return summarise(self.draws("share", proportion=name), level)
        return summarise(self.draws("factor", multiplier=name), level)

    def compare(self, area: str, other: str, group: str, level: float = 0.95) -> Comparison:
        """Compare two areas' prevalences of a group draw by draw."""
        one = self.draws("prevalence", area=area, union=group)
        two = self.draws("prevalence", area=other, union=group)
        return Comparison(
            area, other, group, float(np.mean(one > two)), summarise(one / two, level),
            summarise(1000 * (one - two), level),
        )  # fmt: skip

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """One row for each reported area, group and quantity.

        Quantities: `N` (people) and `prevalence_per_1000` (of residents at the target
        ages). `mcse` is the Monte Carlo standard error of the median.
        """
        posterior = self.tree["posterior"].to_dataset()
        quantities = (("N", "users", 1.0), ("prevalence_per_1000", "prevalence", 1000.0))
        rows = []
        for area in self.data.report.areas:
            for group in self.data.report.groups:
                for quantity, variable, factor in quantities:
                    draws = factor * posterior[variable].sel(area=area, union=group).to_numpy()
                    error = float(az.mcse(draws, method="median"))
                    name = {"area": area, "group": group, "quantity": quantity}
                    rows.append(name | summarise(draws, level)._asdict() | {"mcse": error})
        return pd.DataFrame(rows)

    def save(self, path: Path) -> None:
        """Write the tree as netCDF, whole or not at all.

        Raises
        ------
        ResultError
            If it cannot be written (a full disk, a folder without permission).
        """
        with whole(path) as temporary:
            self.tree.to_netcdf(temporary, engine="h5netcdf")

    @classmethod
    def load(
        cls, path: Path, study: Study, input_sha256: Mapping[str, str] | None = None
    ) -> Estimate:
        """Read back a saved tree.

        Parameters
        ----------
        study
            The study that it was made from.
        input_sha256
            Hashes of the inputs that it was made from; default: those of `study`.

        Raises
        ------
        ResultError
            If the file is missing or damaged, or was made from other inputs.
        """
        tree = read_tree(path)
        expected = study.sha256 if input_sha256 is None else dict(input_sha256)
        if json.loads(tree.attrs["input_sha256"]) != expected:
            raise ResultError(
                f"{path} was made from other inputs than {study.folder}: "
                "run the study again, or load it with the inputs it was made from."
            )
        return cls(tree, study, str(tree.attrs["family"]))


def read_tree(path: Path) -> xr.DataTree:
    """Read a saved tree whole.

    Raises
    ------
    ResultError
        If the file is missing or damaged.
    """
    try:
        tree: xr.DataTree = az.from_netcdf(path)
        tree.load()
        tree.close()
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read ({error}).") from error
    return tree


def build(study: Study) -> pm.Model:
    """Build the model of a study, with its priors."""
    module = FAMILIES[study.family].module
    model: pm.Model = module.build_model(study.data, module.Priors(**study.priors))
    return model


def fit(
    study: Study,
    *,
    seed: int | None = None,
    sampling: Sampling | None = None,
    quick: bool = False,
    check: bool = True,
    sampler: Sampler | None = None,
) -> Estimate:
    """Fit a study.

    Parameters
    ----------
    seed
        Instead of the study's own.
    sampling
        Instead of the study's own.
    quick
        A few draws, for a look; the result is marked.
    check
        Raise if the gates are not passed.
    sampler
        A sampler of the same study, to save compiling.

    Raises
    ------
    ConvergenceError
        If `check` and a gate failed; the error carries the estimate.
    """
    sampling = study.sampling if sampling is None else sampling
    if seed is not None:
        sampling = replace(sampling, seed=seed)
    if quick:
        sampling = replace(sampling, draws=QUICK_DRAWS, tune=QUICK_TUNE)
    sampler = sampler or Sampler(build(study))
    values: Mapping[str, np.ndarray] = FAMILIES[study.family].module.values(study.data)
    tree = sampler.sample(values, sampling)
    tree.attrs = _provenance(study, sampling, quick)
    estimate = Estimate(tree, study, study.family, sampler)
    if check and not estimate.verdict.passed:
        raise ConvergenceError(
            f"The fit of '{study.name}' failed its gates: {estimate.verdict}. Its numbers cannot "
            "be trusted. Give it more draws or a higher target_accept, or look for a part of the "
            "model that the evidence says nothing about.",
            estimate,
        )
    return estimate


def _provenance(study: Study, sampling: Sampling, quick: bool) -> dict[str, Any]:
    """Everything a rerun needs, as netCDF attributes."""
    return {
        "study": study.name,
        "family": study.family,
        "seed": sampling.seed,
        "sampler": "nutpie",
        "sampling": json.dumps(asdict(sampling)),
        "quick": int(quick),
        "priors": json.dumps(asdict(FAMILIES[study.family].module.Priors(**study.priors))),
        "versions": json.dumps(versions()),
        "input_sha256": json.dumps(study.sha256),
    }
