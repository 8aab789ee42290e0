"""A survey in clusters (towns, services, sessions): its share and its design effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from hiddenpop.errors import InputError
from hiddenpop.inputs.csvfile import read_cells
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.lines import Line, lines
from hiddenpop.inputs.multipliers import Rate
from hiddenpop.inputs.schema import Schema, check_columns, drop_totals, filled, key, number, unique

__all__ = ["Clusters", "clusters_of", "read_clusters"]

COLUMNS = ("cluster", "x", "n")
FEW = 30
"""Clusters below which a note says how much their small number adds."""

SCHEMA: Schema = {
    "cluster": [filled("clusters-name"), key()],
    "x": [filled("clusters-empty"), number(least=0)],
    "n": [filled("clusters-empty"), number(least=0)],
}


@dataclass(frozen=True, eq=False)
class Clusters:
    """Respondents by cluster.

    Attributes
    ----------
    x, n
        Respondents with the event, and all respondents; shape (cluster,), each n above 0.
    """

    x: np.ndarray
    n: np.ndarray

    @property
    def share(self) -> float:
        """Combined ratio estimate: all x over all n."""
        return float(self.x.sum() / self.n.sum())

    @property
    def variance(self) -> float:
        """Variance of `share` between clusters.

        With m clusters, share p and mean size n-bar: sum (x_i - p n_i)^2 / (m (m - 1) n-bar^2),
        without a finite population correction. Source: Cochran (1977), Sampling Techniques, 3rd
        ed., chapters 3 and 6 (a proportion from clusters of unequal size is a ratio estimate).
        """
        m = len(self.n)
        left = self.x - self.share * self.n
        return float(np.sum(left**2) / (m * (m - 1) * self.n.mean() ** 2))

    @property
    def raw_effect(self) -> float:
        """`variance` over that of a simple random sample, p (1 - p) / n (Kish 1965, chapter 8)."""
        p, n = self.share, float(self.n.sum())
        return self.variance * n / (p * (1 - p))

    @property
    def few_factor(self) -> float:
        """How much the small number of clusters adds to the variance.

        (t of m - 1 degrees of freedom / t of n - 1)^2 at 97.5 %: the variance itself is an
        estimate from m numbers. Source: Korn & Graubard (1998), Survey Methodology 24:193-201,
        the effective sample size adjusted for degrees of freedom.
        """
        few, many = stats.t.ppf(0.975, [len(self.n) - 1, self.n.sum() - 1])
        return float((few / many) ** 2)

    @property
    def design_effect(self) -> float:
        """Design effect to use: `raw_effect`, but at least 1, times `few_factor`.

        Below 1 the clusters were more alike than chance makes them, which is chance itself far
        more often than a gain; `notes` say when it was raised.
        """
        return max(self.raw_effect, 1.0) * self.few_factor

    @property
    def rate(self) -> Rate:
        """The survey as a rate with this design effect."""
        return Rate(float(self.x.sum()), float(self.n.sum()), self.design_effect, (), True)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the design effect must know."""
        m = len(self.n)
        said = [
            f"The design effect, {self.design_effect:.3g}, is that between the {m} clusters "
            f"({self.raw_effect:.3g}), times {self.few_factor:.3g} because they are only {m}."
            if m < FEW
            else f"The design effect, {self.design_effect:.3g}, is that between the {m} clusters."
        ]
        if self.raw_effect < 1:
            said.append(
                f"Between the clusters it is {self.raw_effect:.3g}, below 1, and 1 was used."
            )
        return tuple(said)


def read_clusters(path: str | Path) -> Rate:
    """Read a survey in clusters from a CSV with the columns cluster, x and n.

    Returns
    -------
    Rate with all x, all n, and the design effect between the clusters (`Clusters`).

    Raises
    ------
    InputError
        With every fault found; a single cluster is one.
    """
    faults = Faults()
    found = clusters_of(Path(path), faults)
    if found is None:
        raise InputError(faults.found)
    return found.rate


def clusters_of(path: Path, faults: Faults) -> Clusters | None:
    """Respondents by cluster; None after recording faults."""
    cells = read_cells(path, COLUMNS, COLUMNS, faults)
    if cells is None:
        return None
    before, file = len(faults.found), path.name
    cells = drop_totals(cells, ("cluster",), "clusters-total-row", file, faults)
    check_columns(cells, SCHEMA, file, faults)
    unique(cells, "cluster", "clusters-twice", file, faults)
    if len(faults.found) > before:
        return None
    table = lines(cells, file, faults)
    for line in table:
        _check(line)
    if len(faults.found) > before:
        return None
    x, n = (np.array([line.number(column) for line in table]) for column in ("x", "n"))
    _check_all(x, n, file, faults)
    return Clusters(x, n) if len(faults.found) == before else None


def _check(line: Line) -> None:
    x, n = line.number("x"), line.number("n")
    if n == 0:
        line.fault("clusters-nobody", "n", cluster=line["cluster"])
    elif x > n:
        line.fault("clusters-x-above-n", "x", x=x, n=n)
    elif x % 1 or n % 1:
        line.fault("clusters-fraction", "x" if x % 1 else "n", cluster=line["cluster"])


def _check_all(x: np.ndarray, n: np.ndarray, file: str, faults: Faults) -> None:
    """Record why the clusters together give no design effect."""
    if len(x) == 1:
        faults.report("clusters-one", {"n": n[0]}, file=file)
    elif math.isclose(x.sum(), 0) or math.isclose(x.sum(), n.sum()):
        values = {"x": x.sum(), "n": n.sum()}
        faults.report("clusters-all-alike", values, file=file, column="x")
