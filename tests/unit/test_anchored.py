"""The anchored multiplier: its Beta update, its refusals, what it gives beside the answer."""

import tomllib
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from hiddenpop.families import anchored as family
from hiddenpop.families.exact import Discrete
from hiddenpop.inference import judge
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.inputs.settings import Sampling

__all__: list[str] = []

RESIDENTS = 700_000.0
ANCHOR = Benchmark(
    "literature", "figure", 14_000, 14_000, 14_000, interval=Interval(8_000, 22_000, 0.95)
)
TREATED = Benchmark.counted("treated", 3_000, Rate(x=120, n=500, design_effect=2.0))
TESTED = Benchmark.counted("tested", 5_000, Rate(x=160, n=500), survey="s")
SURVEY = Benchmark("survey", "survey", 40, 40, 40, sample=2_000, sample_effect=1.5)
TABLE = MultiplierTable.of(ANCHOR, TREATED, TESTED, population=RESIDENTS)


def table(*rows: Benchmark, **more: Any) -> MultiplierTable:  # noqa: ANN401
    return MultiplierTable.of(*rows, population=more.pop("population", RESIDENTS), **more)


REFUSED = {
    "anchored-strata": MultiplierTable(
        (ANCHOR, TREATED), strata=(("a", ""), ("b", "")), population=np.full(2, RESIDENTS)
    ),
    "anchored-residents": table(ANCHOR, TREATED, population=np.nan),
    "anchored-anchors": table(ANCHOR, replace(ANCHOR, id="other"), TREATED),
    "anchored-no-anchor": table(TREATED, TESTED),
    "anchored-nothing": table(ANCHOR),
    "anchored-kind": table(ANCHOR, replace(TREATED, kind="events")),
    "anchored-range": table(ANCHOR, replace(TREATED, most=3_010)),
    "anchored-bias": table(ANCHOR, replace(TREATED, overcount=Interval(0.01, 0.1, 0.95))),
    "anchored-rate": table(replace(ANCHOR, rate=Rate(x=5, n=10)), TREATED),
    "anchored-interval": table(replace(ANCHOR, interval=None), TREATED),
    "anchored-no-beta": table(replace(ANCHOR, interval=Interval(8_000, 8e5, 0.95)), TREATED),
    "anchored-share": table(ANCHOR, replace(TREATED, rate=Rate(quantiles=((0.5, 0.3),)))),
    "anchored-respondents": table(
        ANCHOR, replace(TREATED, rate=Rate(quantiles=((0.025, 0.2), (0.975, 0.3))))
    ),
    "anchored-zero": table(ANCHOR, Benchmark.counted("none", 0, Rate(x=5, n=50))),
    "anchored-above": table(ANCHOR, Benchmark.counted("rare", 3_000, Rate(x=0, n=500))),
}


def fit(data: MultiplierTable, **options: Any) -> Any:  # noqa: ANN401
    return family.posterior(data, family.Priors(**options), Sampling())


def size(found: Any) -> Discrete:  # noqa: ANN401
    group = found["distribution"]
    return Discrete(
        group["unseen"].to_numpy() + found.attrs["observed"], group["probability"].to_numpy()
    )


def test_the_posterior_adds_successes_and_failures() -> None:
    """Every number of the update, written out."""
    found = fit(TABLE)
    law = beta(found.attrs["alpha"], found.attrs["beta"])
    alpha = total = 0.0
    for count, a, b in ((3_000, 61, 191), (5_000, 161, 341)):
        middle, low, high = count / RESIDENTS / beta.ppf([0.5, 0.975, 0.025], a, b)
        people = middle * (1 - middle) / ((high - low) / (2 * 1.959963984540054)) ** 2
        alpha, total = alpha + middle * people, total + people
    anchor = np.array([found.attrs["alpha"] - alpha, found.attrs["beta"] - (total - alpha)])
    np.testing.assert_allclose(
        beta.ppf([0.025, 0.975], *anchor), [8_000 / RESIDENTS, 22_000 / RESIDENTS], rtol=1e-6
    )
    exact = RESIDENTS * law.ppf([0.025, 0.5, 0.975])
    np.testing.assert_allclose(size(found).quantile([0.025, 0.5, 0.975]), exact, atol=1)
    people = size(found)
    np.testing.assert_allclose(
        np.cumsum(people.probability), law.cdf((people.unseen + 0.5) / RESIDENTS), atol=1e-6
    )


def test_a_survey_is_its_own_binomial() -> None:
    found = fit(table(SURVEY))
    assert found.attrs["alpha"] == pytest.approx(1 + 40 / 1.5)
    assert found.attrs["beta"] == pytest.approx(1 + 1960 / 1.5)


def test_respondents_may_be_the_effective_number() -> None:
    found, anchor = fit(table(ANCHOR, TREATED), effective="respondents"), fit(TABLE)
    rows = found["benchmarks"].to_dataset()
    assert float(rows["effective"].sel(benchmark="treated")) == pytest.approx(250)
    assert size(found).quantile(0.975) > size(anchor).quantile(0.975)


def test_the_anchor_pulls_and_the_multipliers_narrow() -> None:
    found = fit(TABLE)
    rows = found["benchmarks"].to_dataset()
    low, middle, high = size(found).quantile(np.array([0.025, 0.5, 0.975]))
    alone = rows["alone"]
    assert float(alone.min()) < middle < float(alone.max())
    for name in ("treated", "tested", "literature"):
        one = rows.sel(benchmark=name)
        assert high - low < float(one["alone_high"] - one["alone_low"])
    # Without the anchor the answer is that of the multipliers.
    assert float(rows["without"].sel(benchmark="literature")) == pytest.approx(15_250, rel=0.05)


def test_the_order_of_rows_changes_nothing() -> None:
    other = replace(TABLE, rows=TABLE.rows[::-1])
    one, two = fit(TABLE), fit(other)
    assert one.attrs == two.attrs
    np.testing.assert_array_equal(one["posterior"]["N"], two["posterior"]["N"])


def test_the_answer_keeps_the_contract_and_says_what_it_rests_on() -> None:
    pair = Overlap("treated", "tested")
    found = fit(table(ANCHOR, TREATED, TESTED, overlaps=(pair,)))
    assert judge(found).passed
    assert found.attrs["observed"] == 5_000
    assert float(found["posterior"]["N"].min()) >= 5_000
    for words in ("Beta(", "people examined", "independent"):
        assert words in found.attrs["notes"]
    assert "'literature'" in found.attrs["assumption"]


def test_what_was_counted_for_certain_cuts_the_beta_off() -> None:
    low = replace(ANCHOR, interval=Interval(3_000, 5_000, 0.95))
    found = fit(table(low, TESTED), effective="respondents")
    assert size(found).unseen.min() >= 5_000
    assert "cut off" in found.attrs["notes"]


@pytest.mark.parametrize("code", REFUSED)
def test_each_refusal_has_its_own_words(code: str) -> None:
    effective = "respondents" if code == "anchored-respondents" else "interval"
    refusal = family.refusal(REFUSED[code], family.Priors(effective=effective))
    assert refusal is not None
    assert refusal.code == code
    for words in messages()[code]:
        assert words.format(family="anchored", **refusal.values)


def test_every_refusal_is_tested_and_good_data_are_not_refused() -> None:
    page = files("hiddenpop.inputs").joinpath("messages").joinpath("anchored.toml")
    assert set(tomllib.loads(page.read_text(encoding="utf-8"))) == set(REFUSED)
    quantiles = Rate(quantiles=((0.025, 0.2), (0.5, 0.25), (0.975, 0.31)))
    for data in (TABLE, table(SURVEY, TREATED), table(ANCHOR, replace(TREATED, rate=quantiles))):
        assert family.refusal(data, family.Priors()) is None
        assert judge(fit(data)).passed


@pytest.mark.parametrize("options", [{"effective": "guess"}, {"a": 0.0}, {"b": np.inf}])
def test_impossible_choices_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        family.Priors(**options)


def test_simulated_tables_keep_the_rows_and_their_story(rng: np.random.Generator) -> None:
    data = table(ANCHOR, TREATED, TESTED, SURVEY)
    sizes, shares = [], []
    for _ in range(200):
        truth = family.draw_truth(data, family.Priors(), rng)
        made = family.simulate(truth, rng)
        assert [row.id for row in made.rows] == [row.id for row in data.rows]
        assert all(row.value <= truth.N for row in made.rows if row.kind == "people")
        sizes.append(truth.N)
        shares.append(made.rows[3].value / 2_000 / (truth.N / RESIDENTS))
    # The prior of N is the anchor, and the survey finds its prevalence.
    assert 8_000 < np.quantile(sizes, 0.1) < np.quantile(sizes, 0.9) < 22_000
    assert np.mean(shares) == pytest.approx(1, abs=0.06)
