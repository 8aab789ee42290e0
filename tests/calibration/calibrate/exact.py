"""Calibration of the families that are computed: the rank of the true N in its posterior."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from calibrate.regime import SIZES, Regime, Replicate, Row, around
from hiddenpop.checks.calibration.scores import exact_ranks
from hiddenpop.families import FAMILIES
from hiddenpop.families.simulation.people import draw_size
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.tree import Branch, Tree
from hiddenpop.size import fit_table, priors_of, refused

__all__ = ["exact_regimes", "exact_replicate", "suppressed"]

Change = Callable[[Any, Any, np.random.Generator], Any]
"""Of a truth, given the priors and random numbers."""


def lists(count: int) -> OverlapTable:
    """A table whose counts are not used: only its lists are."""
    names = "abcdef"[:count]
    return OverlapTable.from_counts(names, {"1" * count: 1})


def suppressed(table: OverlapTable, least: int = 1, most: int = 7) -> OverlapTable:
    """Cells of few people as a range; cells of nobody stay known."""
    few = (table.low >= least) & (table.high <= most)
    return replace(table, low=np.where(few, least, table.low), high=np.where(few, most, table.high))


def exact_replicate(
    family: str,
    template: Any,  # noqa: ANN401 - any table
    options: dict[str, Any],
    *,
    change: Change | None = None,
    after: Callable[[Any], Any] | None = None,
    simulate_options: dict[str, Any] | None = None,
    simulate: Callable[..., Any] | None = None,
) -> Replicate:
    """A function that draws from the prior, simulates, fits and ranks.

    Parameters
    ----------
    change
        Of the truth, where the simulator's own draws are not those of the prior.
    after
        Of the data: suppression.
    simulate_options, simulate
        Priors of the simulator and a simulator in place of the family's, to plant a fault.
    """
    priors = priors_of(family, options)
    theirs = priors if simulate_options is None else priors_of(family, simulate_options)
    module = FAMILIES[family].simulation
    drawing = simulate or module.simulate

    def replicate(rng: np.random.Generator) -> list[Row]:
        truth = module.draw_truth(template, theirs, rng)
        if change is not None:
            truth = change(truth, theirs, rng)
        data = drawing(truth, rng)
        data = data if after is None else after(data)
        begin = time.process_time()
        row: Row = {"quantity": "N", "rank": np.nan, "truth": truth.N}
        if (refusal := refused(data, family, options)) is not None:
            return [row | {"status": refusal.code, "seconds": time.process_time() - begin}]
        sampling = Sampling(seed=int(rng.integers(2**31)))
        estimate = fit_table(data, family, options=options, sampling=sampling, check=False)
        assert estimate.distribution is not None
        ranks = exact_ranks(
            estimate.distribution, estimate.observed, priors.size_prior, truth.N, rng,
            likelihood="importance_ess" not in estimate.tree.attrs,
        )  # fmt: skip
        status = "ok" if estimate.verdict.passed else str(estimate.verdict)
        rest = {"status": status, "seconds": time.process_time() - begin}
        return [row | rest | {"quantity": name, "rank": rank} for name, rank in ranks.items()]

    return replicate


# --- priors that the simulators leave to the table ----------------------------------------------


def size_from_prior(truth: Any, priors: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401
    """N from its prior where a simulator draws it around the table's size."""
    return replace(truth, N=draw_size(lists(2), priors.size_prior, rng))


def averaged(truth: Any, priors: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401
    """Of the log-linear average: N, and coefficients with a variance from its prior."""
    truth = size_from_prior(truth, priors, rng)
    sd = 1.0
    if priors.estimator == "sbh":
        sd = float(1 / np.sqrt(rng.gamma(priors.a / 2, 2 / priors.b)))
    drawn = tuple(float(sd * x) for x in rng.normal(size=len(truth.terms)))
    return replace(truth, coefficients=drawn)


def captures(truth: Any, priors: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401
    """Of one list: N and the rate, however small, from their priors."""
    truth = size_from_prior(truth, priors, rng)
    return replace(truth, log_mean=float(rng.normal(0, priors.intercept_sd)))


# --- regimes -----------------------------------------------------------------------------------

TWO_LISTS = (
    (50, 9.0, "an overlap of about 0"),
    (300, 11.0, "an overlap of about 2"),
    (2_000, 13.0, "an overlap of about 10"),
    (50_000, 21.0, "an overlap of about 100"),
)
"""N, and the odds against being on one list for those on the other: N / (1 + odds)^2 overlap."""


MAIN = 300
"""Size of the regime that gets most data sets."""


def counts(size: int, most: int = 1000, quick: int = 50) -> tuple[int, int]:
    """Replicates of the quick and of the full run: the main regime has more than the others."""
    return (100, most) if size == MAIN else (quick, 200)


def two_list_options(size: int, odds: float) -> dict[str, Any]:
    """Chances Beta(4, 4 odds)."""
    return {"a": 4.0, "b": 4.0 * odds, "size_prior": around(size)}


def exact_regimes() -> tuple[Regime, ...]:
    """All regimes of the computed families."""
    return (*_two_lists(), *_graphs(), *_averages(), *_other_lists(), *_without_lists())


def _regime(
    name: tuple[str, str],
    replicates: tuple[int, int],
    about: str,
    family: str,
    table: object,
    options: dict[str, Any],
    **more: object,
) -> Regime:
    make = partial(exact_replicate, family, table, options, **more)
    return Regime(*name, make, *replicates, about)


def _two_lists() -> list[Regime]:
    return [
        _regime(("two-list", f"N {size}"), (200, 1000), f"two lists with {about}",
                "two-list", lists(2), two_list_options(size, odds))
        for size, odds, about in TWO_LISTS
    ]  # fmt: skip


def _graphs() -> list[Regime]:
    about = "lists, Dirichlet cells with delta"
    three = [
        _regime(("graphs", f"N {size}"), (100, 1000), f"three {about} 1",
                "graphs", lists(3), {"delta": 1.0, "size_prior": around(size)})
        for size in SIZES
    ]  # fmt: skip
    four = _regime(("graphs", "four lists"), (50, 500), f"N about 2,000, four {about} 0.5",
                   "graphs", lists(4), {"delta": 0.5, "size_prior": around(2000)})  # fmt: skip
    return [*three, four]


def _averages() -> list[Regime]:
    family = "loglinear-average"
    uip = [
        _regime(("loglinear-average uip", f"N {size}"), counts(size), "three lists, eight models",
                family, lists(3), {"estimator": "uip", "size_prior": around(size)},
                change=averaged)
        for size in SIZES
    ]  # fmt: skip
    # The default variance is all but improper: nothing could be drawn from it.
    sbh = {"estimator": "sbh", "a": 6.0, "b": 2.0}
    study, about = "loglinear-average sbh", "variance InvGamma(3, 1)"
    learned = [
        _regime((study, f"N {size}"), counts(size), f"three lists, {about}",
                family, lists(3), sbh | {"size_prior": around(size)}, change=averaged)
        for size in (300, 2000)
    ]  # fmt: skip
    hidden = _regime((study, "suppressed"), (50, 500), "N about 300, 1 to 7 suppressed",
                     family, lists(3), sbh | {"size_prior": around(300)},
                     change=averaged, after=suppressed)  # fmt: skip
    return [*uip, *learned, hidden]


def _other_lists() -> list[Regime]:
    people = [
        _regime(("heterogeneity", f"N {size}"), counts(size, 600, 25), "four lists, all models",
                "heterogeneity", lists(4), {"size_prior": around(size)})
        for size in (50, 300, 2000)
    ]  # fmt: skip
    once = [
        _regime(("one-list", f"N {size}"), (60, 200) if size == MAIN else (30, 50),
                "Poisson and geometric captures", "one-list", captured(),
                {"size_prior": around(size)}, change=captures)
        for size in (300, 2000)
    ]  # fmt: skip
    return [*people, *once]


def _without_lists() -> list[Regime]:
    found = [
        _regime(("multiplier", name), (100, 1000), about,
                "multiplier", table, {"size_prior": around(2000)})
        for name, table, about in benchmarks()
    ]  # fmt: skip
    trees = [
        _regime(("tree", f"N {size}"), counts(size), "two counted branches, one survey",
                "tree", branches(), {"size_prior": around(size)})
        for size in (300, 2000)
    ]  # fmt: skip
    return [*found, *trees]


def captured() -> RepeatTable:
    """One list without covariates."""
    return RepeatTable(np.array([1, 2]), np.array([2.0, 1.0]), pd.DataFrame(index=range(2)))


def benchmarks() -> tuple[tuple[str, MultiplierTable, str], ...]:
    """Tables of benchmarks whose numbers are not used."""
    treated = Benchmark.counted("treated", 400, Rate(40, 200))
    arrested = Benchmark.counted("arrested", 300, Rate(60, 200), survey="s")
    expert = Benchmark(
        "expert", "figure", 2000.0, 2000.0, 2000.0, interval=Interval(1000.0, 4000.0, 0.95)
    )
    few = replace(treated, value=2.5, least=1.0, most=4.0, rate=Rate(3, 60))
    return (
        ("one benchmark", MultiplierTable.of(treated), "a count and a survey of 200"),
        ("two events of one survey", MultiplierTable.of(replace(treated, survey="s"), arrested),
         "with a prior on the odds ratio of the two events"),
        ("a figure beside", MultiplierTable.of(treated, expert), "an expert's number, too sure"),
        ("range", MultiplierTable.of(few), "a count known only to lie among four numbers"),
    )  # fmt: skip


def branches() -> Tree:
    """A tree whose numbers are not used."""
    return Tree(
        (
            Branch("users", "treated", 40.0, 200.0, sample="survey", count=400.0),
            Branch("users", "arrested only", 30.0, 200.0, sample="survey", count=320.0),
        ),
        "users", None,
    )  # fmt: skip
