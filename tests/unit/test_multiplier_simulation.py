"""Simulated benchmarks: each kind of row has the distribution that the model gives it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hiddenpop.families.multiplier import Priors
from hiddenpop.families.simulation.fitted_cells import fitted_cells, pair_share
from hiddenpop.families.simulation.multiplier import (
    RowTruth,
    Truth,
    draw_truth,
    respondents,
    simulate,
)
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.size import fit_table

__all__: list[str] = []

DRAWS = 1000
KNOWN = Rate(quantiles=((0.025, 0.52), (0.975, 0.60)))


def truth(table: MultiplierTable, *rows: RowTruth, N: int = 1000, **more: object) -> Truth:
    made = Truth(table, (N,), rows, {}, (1.0,), (0.0,))
    return replace(made, **more)  # type: ignore[arg-type]


def drawn(of: Truth, rng: np.random.Generator, count: int = DRAWS) -> list[MultiplierTable]:
    return [simulate(of, rng) for _ in range(count)]


def values(tables: list[MultiplierTable], row: int = 0) -> np.ndarray:
    return np.array([table.rows[row].value for table in tables])


def found(tables: list[MultiplierTable], row: int = 0) -> np.ndarray:
    return np.array([(table.rows[row].rate or Rate()).x for table in tables], dtype=float)


def assert_moments(draws: np.ndarray, mean: float, variance: float) -> None:
    """Mean and variance within about four standard errors."""
    count = len(draws)
    assert np.mean(draws) == pytest.approx(mean, abs=4 * np.sqrt(variance / count))
    assert np.var(draws) == pytest.approx(variance, rel=4 * np.sqrt(3 / count))


def test_people_and_their_survey_are_binomial(rng: np.random.Generator) -> None:
    table = MultiplierTable.of(Benchmark.counted("a", 7, Rate(3, 200)))
    tables = drawn(truth(table, RowTruth(0.3)), rng)
    assert_moments(values(tables), 300, 210)
    assert_moments(found(tables), 60, 42)
    row = tables[0].rows[0]
    assert row.value == row.least == row.most
    # Given N and the share, what was counted and who was asked have nothing to do with each other.
    assert abs(np.corrcoef(values(tables), found(tables))[0, 1]) < 0.1


@pytest.mark.parametrize("effect", [2.0, 4.0])
def test_the_design_effect_multiplies_the_variance(effect: float, rng: np.random.Generator) -> None:
    cells = np.array([0.5, 0.2, 0.25, 0.05])
    drawn = np.array([
        np.bincount(respondents(cells, 240, effect, rng), minlength=4) for _ in range(DRAWS)
    ])  # fmt: skip
    for cell, p in zip(drawn.T, cells, strict=True):
        assert_moments(cell, 240 * p, effect * 240 * p * (1 - p))
    table = MultiplierTable.of(Benchmark.counted("a", 7, Rate(3, 240, effect)))
    tables = [simulate(truth(table, RowTruth(0.3)), rng) for _ in range(DRAWS)]
    assert_moments(found(tables), 72, effect * 240 * 0.21)
    assert_moments(values(tables), 300, 210)


def test_a_survey_that_over_recruits(rng: np.random.Generator) -> None:
    table = MultiplierTable.of(Benchmark.counted("a", 7, Rate(3, 200)))
    tables = drawn(truth(table, RowTruth(0.4, selection=1.5)), rng)
    # Odds 2/3 times 1.5.
    assert_moments(found(tables), 100, 50)
    assert_moments(values(tables), 400, 240)


def test_factors_multiply_the_count(rng: np.random.Generator) -> None:
    table = MultiplierTable.of(Benchmark.counted("a", 7, KNOWN))
    tables = drawn(truth(table, RowTruth(0.5, factor=1.5)), rng)
    assert_moments(values(tables), 750, 2.25 * 250)
    assert all(table.rows[0].rate == KNOWN for table in tables)


def test_factors_come_from_their_priors(rng: np.random.Generator) -> None:
    row = replace(
        Benchmark.counted("a", 500, KNOWN), error=Interval(0.5, 2, 0.95),
        overcount=Interval(0.05, 0.2, 0.95), undercount=Interval(0.01, 0.1, 0.95),
        selection=Interval(1, 2.25, 0.95),
    )  # fmt: skip
    of = [draw_truth(MultiplierTable.of(row), Priors(), rng).rows[0] for _ in range(DRAWS)]
    assert np.median([one.selection for one in of]) == pytest.approx(1.5, rel=0.04)
    # About 1 x 0.955 / 0.885.
    assert np.median([one.factor for one in of]) == pytest.approx(1.085, rel=0.06)
    shares = np.array([one.survey_rate for one in of])
    np.testing.assert_allclose(np.quantile(shares, [0.025, 0.975]), [0.52, 0.60], atol=0.007)
    first = of[0]
    odds = first.survey_rate / (1 - first.survey_rate) / (first.rate / (1 - first.rate))
    assert odds == pytest.approx(first.selection)


def test_two_events_of_the_same_people(rng: np.random.Generator) -> None:
    rows = [Benchmark.counted(name, 7, Rate(3, 300), survey="s") for name in "ab"]
    table = MultiplierTable.of(*rows, overlaps=(Overlap("b", "a", respondents=1, people=1),))
    of = truth(table, RowTruth(0.3), RowTruth(0.2), odds_ratios={(0, 1): 4.0})
    both = pair_share(0.3, 0.2, 4.0)
    assert both * (0.5 + both) == pytest.approx(4 * (0.3 - both) * (0.2 - both))
    tables = drawn(of, rng)
    linked = np.array([table.overlaps[0].people for table in tables], dtype=float)
    asked = np.array([table.overlaps[0].respondents for table in tables], dtype=float)
    assert_moments(linked, 1000 * both, 1000 * both * (1 - both))
    assert_moments(asked, 300 * both, 300 * both * (1 - both))
    wanted = (both - 0.06) / np.sqrt(0.21 * 0.16)
    for draws in (values, found):
        assert np.corrcoef(draws(tables, 0), draws(tables, 1))[0, 1] == pytest.approx(
            wanted, abs=0.11
        )


def test_events_in_separate_surveys_are_asked_apart(rng: np.random.Generator) -> None:
    rows = [Benchmark.counted(name, 7, Rate(3, 300), survey=name) for name in "ab"]
    of = truth(MultiplierTable.of(*rows), RowTruth(0.3), RowTruth(0.2), odds_ratios={(0, 1): 9.0})
    tables = drawn(of, rng)
    assert abs(np.corrcoef(found(tables, 0), found(tables, 1))[0, 1]) < 0.13
    assert np.corrcoef(values(tables, 0), values(tables, 1))[0, 1] > 0.3


def test_cells_of_three_events_have_the_margins_and_odds_ratios() -> None:
    shares, ratios = [0.3, 0.2, 0.45], {(0, 1): 3.0, (0, 2): 0.5, (1, 2): 1.0}
    cells = fitted_cells(shares, ratios)
    assert cells is not None
    assert cells.sum() == pytest.approx(1)
    for place, share in enumerate(shares):
        assert cells.take(1, axis=place).sum() == pytest.approx(share, abs=1e-9)
    for (i, j), ratio in ratios.items():
        two = cells.sum(axis=3 - i - j)
        assert two[1, 1] * two[0, 0] / two[0, 1] / two[1, 0] == pytest.approx(ratio, rel=1e-6)
    # If a goes with b and with c, these cannot exclude each other.
    assert fitted_cells([0.5] * 3, {(0, 1): 400.0, (0, 2): 400.0, (1, 2): 1 / 400}) is None


def test_events_and_their_rates(rng: np.random.Generator) -> None:
    rows = [
        Benchmark("counted", "events", 9, 9, 9, Rate(20, 4000.0, 3.0)),
        Benchmark("stated", "events", 9, 9, 9, Rate(quantiles=((0.1, 0.01), (0.9, 0.02)))),
    ]
    of = truth(MultiplierTable.of(*rows), RowTruth(0.02, factor=2.0), RowTruth(0.05))
    tables = drawn(of, rng)
    assert_moments(values(tables, 0), 40, 40)
    assert_moments(values(tables, 1), 50, 50)
    assert_moments(found(tables, 0), 80, 240)
    assert tables[0].rows[1].rate == rows[1].rate


def test_surveys_of_residents(rng: np.random.Generator) -> None:
    row = Benchmark("survey", "survey", 48, 37, 59, Rate(10, 40), sample=2000, sample_effect=2.0)
    of = truth(MultiplierTable.of(row, population=20000.0), RowTruth(0.5))
    tables = drawn(of, rng)
    # A fortieth of 2,000, in ranges of 23 numbers.
    assert np.mean(values(tables)) == pytest.approx(50, abs=1.5)
    assert {table.rows[0].most - table.rows[0].least for table in tables} <= {22.0, 13.0}
    assert all(table.rows[0].least <= table.rows[0].value <= table.rows[0].most
               for table in tables)  # fmt: skip
    assert_moments(found(tables), 20, 10)
    exact = replace(row, value=48, least=48, most=48)
    of = truth(MultiplierTable.of(exact, population=20000.0), RowTruth(0.5))
    assert_moments(values(drawn(of, rng)), 50, 2 * 2000 * 0.025 * 0.975)


def test_amounts_and_figures(rng: np.random.Generator) -> None:
    rows = [
        Benchmark("spent", "amount", 50, 50, 50, KNOWN, Interval(40, 62.5, 0.95)),
        Benchmark("said", "figure", 800, 800, 800, None, Interval(400, 1600, 0.95)),
        Benchmark("odd", "figure", 800, 800, 800, None, Interval(700, 1600, 0.95)),
    ]
    of = truth(MultiplierTable.of(*rows), RowTruth(3.0), RowTruth(factor=2.0), RowTruth(),
               overconfidence=(2.0,), between_experts=(0.3,))  # fmt: skip
    tables = drawn(of, rng)
    spent, said, odd = (np.log(values(tables, row)) for row in range(3))
    z = stats.norm.ppf(0.975)
    assert_moments(spent, np.log(3000), (np.log(1.25) / z) ** 2)
    assert_moments(said, np.log(2000), 0.3**2 + (2 * np.log(2) / z) ** 2)
    # The truth is on the longer side more often, so that the figure is more often too low.
    below, above = np.hypot(0.3, 2 * np.log([8 / 7, 2]) / z)
    assert np.mean(odd < np.log(1000)) == pytest.approx(above / (below + above), abs=0.06)
    first = tables[0].rows[0]
    assert first.interval is not None
    assert first.interval.low / first.value == pytest.approx(0.8)


def test_numbers_that_are_not_known_stay_so(rng: np.random.Generator) -> None:
    row = Benchmark("a", "people", np.nan, np.nan, np.nan, Rate(3, 20))
    suppressed = replace(Benchmark.counted("b", 2, Rate(3, 20)), value=2.5, least=1, most=4)
    table = simulate(truth(MultiplierTable.of(row, suppressed), RowTruth(0.3), RowTruth(0.01),
                           N=300), rng)  # fmt: skip
    assert np.isnan(table.rows[0].value)
    assert (table.rows[1].least - 1) % 4 == 0 or table.rows[1].least == 0


def test_sizes_come_from_their_prior(rng: np.random.Generator) -> None:
    table = MultiplierTable.of(Benchmark.counted("a", 500, KNOWN))
    prior = Priors(size_prior=SizePrior("lognormal", 2000.0, 5000.0))
    sizes = [draw_truth(table, prior, rng).N for _ in range(500)]
    assert np.median(sizes) == pytest.approx(2000, rel=0.15)
    # An improper prior: around the estimate of 500 / 0.56.
    sizes = [draw_truth(table, Priors(), rng).N for _ in range(200)]
    assert 500 < min(sizes) < max(sizes) < 1500
    held = replace(table, population=np.array([1000.0]))
    assert max(draw_truth(held, prior, rng).N for _ in range(200)) <= 1000


def test_strata_are_drawn_apart(rng: np.random.Generator) -> None:
    rows = tuple(Benchmark.counted("a", 100, Rate(20, 50), stratum=k) for k in range(2))
    table = MultiplierTable(rows, (), (("x", ""), ("y", "")), np.array([np.nan, np.nan]))
    of = Truth(table, (100, 5000), (RowTruth(0.5), RowTruth(0.5)), {}, (1.0,) * 2, (0.0,) * 2)
    assert of.N == 5100
    one = simulate(of, rng)
    assert one.rows[0].value < 100 < 2000 < one.rows[1].value
    assert draw_truth(table, Priors(), rng).sizes[1] > 0


def test_the_truth_is_uniform_among_its_posteriors(rng: np.random.Generator) -> None:
    """Everything from the priors: the truth has any rank in its posterior equally often."""
    rows = [
        Benchmark.counted("a", 7, Rate(3, 60), survey="s"),
        Benchmark.counted("b", 7, Rate(3, 60), survey="s"),
    ]
    table = MultiplierTable.of(*rows)
    size = SizePrior("lognormal", 300.0, 600.0)
    ranks = []
    while len(ranks) < 30:
        of = draw_truth(table, Priors(size_prior=size), rng)
        data = simulate(of, rng)
        estimate = fit_table(data, "multiplier", options={"size_prior": size})
        ranks.append(float(np.mean(estimate.draws() < of.N + rng.uniform(-0.5, 0.5))))
    assert stats.kstest(ranks, "uniform").pvalue > 0.001
