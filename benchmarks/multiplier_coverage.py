"""How often the 95 % intervals of the family `multiplier` hold the true number of people.

python benchmarks/multiplier_coverage.py writes docs/coverage-multiplier.md: 1,000 simulated data
sets for each scenario, drawn by `families.simulation.multiplier`, which puts people and
respondents into cells and knows nothing of the model's code. Each data set is analysed with what
made it modelled and, for comparison, ignored. The slow test tests/recovery/
test_multiplier_coverage.py runs the same scenarios against their limits.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import product, repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from hiddenpop.families.simulation.fitted_cells import pair_share
from hiddenpop.families.simulation.multiplier import RowTruth, Truth, simulate
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.priors import lognormal_from_interval
from hiddenpop.size import fit_table

__all__ = ["SCENARIOS", "SEED", "Analysis", "Result", "Scenario", "covered", "run", "yardstick"]

SEED = 20041231
REPLICATES = 1000
MANY = 10_000
"""Data sets of the yardstick, to which nothing is fitted."""

OUT = Path(__file__).resolve().parents[1] / "docs" / "coverage-multiplier.md"

SIZES, SHARES, SURVEYS = (600, 2000, 8000), (0.2, 0.35, 0.55), (150, 300, 600)
GRID = tuple(product(SIZES, SHARES, SURVEYS))
"""True N, share with the event, and respondents: each replicate takes the next of these 27."""

SECOND = (0.4, 0.15, 0.3)
"""Share with the second event where there are two."""

FACTOR, ODDS = 1.5, 1.5
"""Of the wrong figures, and of the survey that over-recruits."""

Change = Callable[[MultiplierTable], MultiplierTable]


class Limits(NamedTuple):
    """Between which the coverage must lie."""

    low: float
    high: float


SOUND = Limits(0.931, 0.967)
"""0.95, give or take two and a half Monte Carlo standard errors at 1,000 replicates."""


@dataclass(frozen=True)
class Analysis:
    """One way to analyse the data of a scenario.

    Attributes
    ----------
    change
        Made to the simulated table before it is fitted.
    options
        Fields of the family's priors.
    limits
        What is asked of the coverage; None where it is only shown.
    """

    name: str
    change: Change = lambda table: table
    options: dict[str, object] | None = None
    limits: Limits | None = None


@dataclass(frozen=True)
class Scenario:
    """How data come about, and how they are analysed.

    Attributes
    ----------
    truth
        From the number of the replicate and random numbers.
    """

    name: str
    text: str
    truth: Callable[[int, np.random.Generator], Truth]
    analyses: tuple[Analysis, ...]


class Result(NamedTuple):
    """What the replicates of one analysis gave.

    Attributes
    ----------
    inside
        Replicates whose 95 % interval holds N.
    below, above
        Replicates whose whole interval lies below, or above, N.
    bias
        Median of median / N.
    width
        Median of the interval's upper over its lower end.
    """

    replicates: int
    inside: int
    below: int
    above: int
    bias: float
    width: float

    @property
    def coverage(self) -> float:
        """Share of intervals that hold N."""
        return self.inside / self.replicates


def covered(scenario: Scenario, replicates: int = REPLICATES, seed: int = SEED) -> list[Result]:
    """Simulate, fit, and look for the truth, for each analysis of a scenario."""
    found = np.empty((len(scenario.analyses), replicates, 4))
    place = SCENARIOS.index(scenario)
    for number in range(replicates):
        rng = np.random.default_rng([seed, place, number])
        truth = scenario.truth(number, rng)
        table = simulate(truth, rng)
        for row, analysis in enumerate(scenario.analyses):
            options = analysis.options or {}
            size = fit_table(analysis.change(table), "multiplier", options=options).N(0.95)
            found[row, number] = size.low, size.median, size.high, truth.N
    return [_summary(*part.T) for part in found]


def _summary(low: np.ndarray, median: np.ndarray, high: np.ndarray, N: np.ndarray) -> Result:
    below, above = int(np.sum(high < N)), int(np.sum(low > N))
    return Result(
        len(N), len(N) - below - above, below, above,
        float(np.median(median / N)), float(np.median(high / low)),
    )  # fmt: skip


# Scenarios


def _one(number: int, *, effect: float = 1.0, **truth: float) -> Truth:
    """One benchmark and its survey."""
    N, share, asked = GRID[number % len(GRID)]
    rate = Rate(0.0, float(asked), effect, stated_effect=True)
    table = MultiplierTable.of(Benchmark.counted("benchmark", 0.0, rate))
    return Truth(table, (N,), (RowTruth(share, **truth),), {}, (1.0,), (0.0,))


def _two(number: int, odds_ratio: float) -> Truth:
    """Two benchmarks, and one survey that asked about both events."""
    N, share, asked = GRID[number % len(GRID)]
    other = SECOND[number // len(GRID) % len(SECOND)]
    rows = [
        Benchmark.counted(name, 0.0, Rate(0.0, float(asked), stated_effect=True), survey="survey")
        for name in ("first", "second")
    ]
    table = MultiplierTable.of(*rows, overlaps=(Overlap("first", "second", respondents=0.0),))
    return Truth(
        table, (N,), (RowTruth(share), RowTruth(other)), {(0, 1): odds_ratio}, (1.0,), (0.0,)
    )


def _each(**changes: object) -> Change:
    """The same attributes in every row."""

    def change(table: MultiplierTable) -> MultiplierTable:
        rows = tuple(replace(row, **changes) for row in table.rows)  # type: ignore[arg-type]
        return replace(table, rows=rows)

    return change


def _simple_sample(table: MultiplierTable) -> MultiplierTable:
    """The survey taken for a simple random sample."""
    rows = tuple(
        replace(row, rate=replace(row.rate, design_effect=1.0)) if row.rate else row
        for row in table.rows
    )
    return replace(table, rows=rows)


def _margins_only(table: MultiplierTable) -> MultiplierTable:
    """Nobody knows how many had both events."""
    return replace(table, overlaps=())


def _apart(table: MultiplierTable) -> MultiplierTable:
    """Two surveys, and events that have nothing to do with each other."""
    return _each(survey="")(_margins_only(table))


def _wrong(number: int, rng: np.random.Generator) -> Truth:
    return _one(number, factor=float(FACTOR ** rng.choice([-1, 1])))


def _drawn(stated: Interval, rng: np.random.Generator) -> float:
    """A factor or odds ratio from its prior."""
    return float(np.exp(rng.normal(*lognormal_from_interval(*stated))))


OVER_RECRUITED, MISCOUNTED = Interval(1.0, 2.25, 0.95), Interval(0.5, 2.0, 0.95)

BIASED = (
    Analysis(
        "modelled: odds ratio 1 to 2.25", _each(selection=OVER_RECRUITED), limits=Limits(0.9, 1.0)
    ),
    Analysis("ignored"),
)

WRONG = (
    Analysis("modelled: factor 1/2 to 2", _each(error=MISCOUNTED), limits=Limits(0.9, 1.0)),
    Analysis("ignored"),
)

DEFAULT_ODDS = Interval(1 / 3, 3.0, 0.95)

UNKNOWN = Analysis("default: odds ratio 1/3 to 3", _margins_only, limits=Limits(0.93, 1.0))
ASKED = Analysis("default, and respondents with both events known", limits=Limits(0.93, 1.0))
STATED = Analysis("stated: odds ratio 1 to 9", _margins_only, {"odds_ratio": (1.0, 9.0, 0.95)})
APART = Analysis("ignored: independent, two surveys", _apart, {"odds_ratio": (1.0, 1.0, 0.95)})
OVERLAP = (UNKNOWN, ASKED, APART)
STRONG = tuple(replace(one, limits=None) for one in (*OVERLAP, STATED))
"""At the very end of its prior an odds ratio of which nothing is known is not covered as often."""

SCENARIOS = (
    Scenario(
        "simple survey", "one count, one simple random sample",
        lambda number, _: _one(number), (Analysis("as it is", limits=SOUND),),
    ),
    Scenario(
        "design effect 4", "respondents in clusters with design effect 4",
        lambda number, _: _one(number, effect=4.0),
        (
            Analysis("modelled: design effect 4", limits=SOUND),
            Analysis("ignored: simple random sample", _simple_sample, limits=Limits(0.5, 0.8)),
        ),
    ),
    Scenario(
        "survey over-recruits", f"people of the benchmark join the survey at odds ratio {ODDS}",
        lambda number, _: _one(number, selection=ODDS),
        BIASED,
    ),
    Scenario(
        "survey over-recruits, drawn", "the odds ratio is drawn from the prior, 1 to 2.25 at 95 %",
        lambda number, rng: _one(number, selection=_drawn(OVER_RECRUITED, rng)), BIASED,
    ),
    Scenario(
        "wrong figures", f"the count is {FACTOR} times too high or too low, at random", _wrong,
        WRONG,
    ),
    Scenario(
        "wrong figures, drawn", "the factor is drawn from the prior, 1/2 to 2 at 95 %",
        lambda number, rng: _one(number, factor=_drawn(MISCOUNTED, rng)), WRONG,
    ),
    *(
        Scenario(
            f"two benchmarks, odds ratio {name}", "two counts of the same people, one survey",
            lambda number, _, ratio=ratio: _two(number, ratio), analyses,
        )
        for name, ratio, analyses in (("3", 3.0, STRONG), ("1", 1.0, OVERLAP),
                                      ("1/3", 1 / 3, OVERLAP))
    ),
    Scenario(
        "two benchmarks, odds ratio drawn", "it is drawn from the default prior, 1/3 to 3 at 95 %",
        lambda number, rng: _two(number, _drawn(DEFAULT_ODDS, rng)), OVERLAP,
    ),
)  # fmt: skip


# The page

HEAD = (
    "| Data | Analysis | Intervals with N | 95 % intervals that hold N | Entirely below | "
    "Entirely above | Median / N | Upper / lower end |"
)


def _covered(place: int, replicates: int, seed: int) -> list[Result]:
    return covered(SCENARIOS[place], replicates, seed)


def run(replicates: int, out: Path, seed: int = SEED, workers: int = 1) -> None:
    """Run everything and write the page."""
    lines = [HEAD, "|---|---|---:|---:|---:|---:|---:|---:|"]
    start = time.monotonic()
    places = range(len(SCENARIOS))
    with ProcessPoolExecutor(workers) as pool:
        everything = list(pool.map(_covered, places, repeat(replicates), repeat(seed)))
    for scenario, results in zip(SCENARIOS, everything, strict=True):
        for analysis, found in zip(scenario.analyses, results, strict=True):
            asked = f" (asked: {_asked(analysis.limits)})" if analysis.limits else ""
            lines.append(
                f"| {scenario.name} | {analysis.name} | {found.inside:,} of {found.replicates:,} "
                f"| {found.coverage:.1%}{asked} | {found.below / found.replicates:.1%} "
                f"| {found.above / found.replicates:.1%} | {found.bias:.3f} | {found.width:.2f} |"
            )
            print(lines[-1])
    print(f"{time.monotonic() - start:.0f} s")
    out.write_text(_page(lines, replicates, seed), encoding="utf-8")


def yardstick(scenario: Scenario, replicates: int, seed: int) -> tuple[float, float]:
    """Coverage of two intervals for two benchmarks that know the shares, by large-sample theory.

    The logs of both estimates are normal around log N, weighted by the inverse of their
    covariance: with that between the events, which depends on their odds ratio, and without.
    Nothing is fitted, so that it shows what 95 % intervals can reach on the very same data.
    """
    place = SCENARIOS.index(scenario)
    hits = np.zeros(2)
    for number in range(replicates):
        rng = np.random.default_rng([seed, place, number])
        truth = scenario.truth(number, rng)
        rows = simulate(truth, rng).rows
        asked = (rows[0].rate or Rate()).n or 0.0
        found = np.array([(row.rate or Rate()).x or 0.0 for row in rows])
        p = np.array([of.rate for of in truth.rows])
        gap = np.log([row.value for row in rows]) - np.log((found + 0.5) / (asked + 1))
        gap -= np.log(truth.N)
        both = pair_share(p[0], p[1], truth.odds_ratios[0, 1])
        apart = np.diag((1 - p) / p) * (1 / truth.N + 1 / asked)
        between = (both / p.prod() - 1) * (1 / truth.N + 1 / asked)
        for way, matrix in enumerate((apart + between * (1 - np.eye(2)), apart)):
            weight = np.linalg.solve(matrix, np.ones(2))
            # The estimate is gap @ weight / sum, its variance 1 / sum.
            hits[way] += abs(gap @ weight) < stats.norm.ppf(0.975) * np.sqrt(weight.sum())
    return float(hits[0] / replicates), float(hits[1] / replicates)


def _asked(limits: Limits) -> str:
    if limits.high == 1:
        return f"at least {100 * limits.low:g} %"
    return f"{100 * limits.low:g} to {100 * limits.high:g} %"


def _page(table: list[str], replicates: int, seed: int) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("hiddenpop", "numpy", "scipy"))
    texts = "\n".join(f"- {one.name}: {one.text}." for one in SCENARIOS)
    error = 100 * np.sqrt(0.95 * 0.05 / replicates)
    strong = next(one for one in SCENARIOS if one.analyses == STRONG)
    knows, ignores = yardstick(strong, replicates, seed)
    # A seed of its own, so that these data are not among them.
    always, never = yardstick(strong, MANY, seed + 1)
    # Twice the standard error that was believed.
    alone = f"{100 * (2 * stats.norm.cdf(stats.norm.ppf(0.975) / 2) - 1):.0f} %"
    return f"""# Coverage of benchmark multipliers

How often a 95 % interval of the family `multiplier` holds the true number of people, in data
simulated from a known truth. `python benchmarks/multiplier_coverage.py` writes this page; the
slow test `tests/recovery/test_multiplier_coverage.py` holds the same scenarios to the limits in
the table.

The data:

{texts}

True N is {", ".join(f"{N:,}" for N in SIZES)}, the share with the event
{", ".join(f"{p:g}" for p in SHARES)}, the respondents {", ".join(str(n) for n in SURVEYS)}: all
{len(GRID)} combinations in turn. A second event has shares of
{", ".join(f"{p:g}" for p in SECOND)}. N, the shares and, but where the table says drawn, the
biases are fixed values and not drawn from the priors, so that coverage is that of an interval
used on such data again and again.

{chr(10).join(table)}

{replicates:,} replicates each; the Monte Carlo standard error of a coverage of 95 % is
{error:.1f} points. Median / N and upper / lower end are medians over replicates. Seed {seed};
Python {platform.python_version()}, {versions}.

{
        TEXT.format(
            alone=alone,
            knows=f"{knows:.1%}",
            ignores=f"{ignores:.1%}",
            many=f"{MANY:,}",
            always=f"{always:.1%}",
            never=f"{never:.1%}",
        )
    }"""


TEXT = """What this shows:

- With what made the data modelled, intervals cover about as often as they say, or more often, but
  for two benchmarks at the end of a prior (below). More often where a bias prior is wider than
  the one bias that all replicates share: an odds ratio of 1.5 lies in the middle of its
  prior, and a factor of 1.5 well inside its.
- A design effect, a bias of the survey or a wrong figure that is ignored leaves intervals that
  are too narrow, too high or too low; no number in the output would show it.
- Ignoring a design effect of 4 would give {alone} if the survey were the only source of error; the
  count's own chance is not overdispersed, so that the interval holds N somewhat more often.
- Two benchmarks from one survey: the odds ratio between the events changes how much the second
  benchmark adds, less than a bias changes the level. With margins alone the data say nothing of
  it, and the default prior, as wide on either side of 1, gives about the interval of independent
  events: too narrow if the same people have both events, too wide if they seldom do, and right on
  average over the prior. An odds ratio of 3 is the upper end of that prior, and there the default
  covers less than the 93 % that were asked for. Who has reason to expect that the events go
  together states so, or gives the number of respondents with both.
- How lucky the data with an odds ratio of 3 are: an interval by large-sample theory that
  knows the shares and the odds ratio holds N in {knows} of them, and in {always} of {many} others;
  one that takes the events for independent in {ignores} and {never}. Read the rows of this
  scenario against the former.
- Nothing here tests a bias that nobody thought of.
"""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    run(given.replicates, given.out, given.seed, given.workers)


if __name__ == "__main__":
    main()
