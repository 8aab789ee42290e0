"""Benchmarks over areas and periods without sampling: densities, people drawn, words, refusals."""

import json
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from pytensor.compile.mode import Mode
from scipy import special, stats

from hiddenpop.families import multiplier_areas as family
from hiddenpop.families import multiplier_areas_rows as rows_of
from hiddenpop.families.multiplier_areas import Priors
from hiddenpop.families.simulation.multiplier_areas import draw_truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inference import Sampler
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate

__all__: list[str] = []

PLAIN = Mode(linker="py", optimizer=None)
SURVEY = Rate(x=50, n=150, design_effect=2.0)
TREATED = Benchmark.counted("treated", 400, SURVEY)


def kind(name: str, value: float, rate: Rate | None = None, **more: object) -> Benchmark:
    """A row of another kind than people."""
    return Benchmark(f"{name} row", name, value, value, value, rate, **more)  # type: ignore[arg-type]


DEATHS = kind("events", 24, Rate(quantiles=((0.025, 0.01), (0.975, 0.03))))
SPENT = kind(
    "amount", 6e5, Rate(quantiles=((0.1, 500.0), (0.9, 1500.0))), interval=Interval(5e5, 8e5, 0.9)
)
HOUSEHOLDS = kind("survey", 40, Rate(x=20, n=50), sample=1000.0, sample_effect=2.0)
STATED = kind("figure", 900, interval=Interval(700, 1100, 0.8))


def grid(areas: int = 3, years: tuple[str, ...] = ("2019", "2020", "2022")) -> MultiplierTable:
    """Areas and years with every kind of row, and gaps."""
    rng = np.random.default_rng(5)
    strata = tuple(product([f"area {a}" for a in range(areas)], years))
    rows = []
    for s in range(len(strata)):
        rate = Rate(x=float(rng.integers(20, 60)), n=120.0) if s % 3 == 0 else None
        count = float(rng.integers(80, 400))
        if s == 4:
            rows.append(Benchmark("treated", "people", np.nan, np.nan, np.nan, SURVEY, stratum=s))
        elif s != 5:
            rows.append(Benchmark("treated", "people", count, count, count, rate, stratum=s))
        if s in (0, 2):
            arrested = Benchmark.counted("arrested", count / 2 // 1, Rate(x=9, n=80), stratum=s)
            rows.append(replace(arrested, error=Interval(0.7, 1.4, 0.95)))
        if s in (1, 3):
            rows.append(replace(DEATHS, stratum=s))
    rows += [replace(row, stratum=s) for row, s in ((SPENT, 0), (HOUSEHOLDS, 6), (STATED, 7))
             if s < len(strata)]  # fmt: skip
    return MultiplierTable(tuple(rows), (), strata, np.full(len(strata), 40_000.0))


def initial(model: pm.Model, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A point near the start."""
    return {name: np.asarray(value + 0.3 * rng.normal(size=value.shape))
            for name, value in model.initial_point().items()}  # fmt: skip


def log_density(model: pm.Model, point: dict[str, np.ndarray]) -> float:
    return float(model.compile_logp(mode=PLAIN)(point))


# --- one stratum: the density summed over every N ------------------------------------------------


def log_people(row: Benchmark, N: np.ndarray, p: float) -> np.ndarray:
    counts = np.arange(row.least, row.most + 1)
    return np.asarray(special.logsumexp(stats.binom.logpmf(counts[:, None], N, p), axis=0))


def log_shared(data: MultiplierTable, N: np.ndarray, link: dict[str, float]) -> np.ndarray:
    """Log likelihood of every row at whole numbers N, from scipy."""
    total = np.zeros(len(N))
    for row in data.rows:
        value = link.get(row.id, 0.0)
        p = special.expit(value) if row.id in link else 1.0
        if row.kind == "people":
            total += log_people(row, N, p)
        elif row.kind == "events":
            total += stats.poisson.logpmf(row.value, N * np.exp(value))
        elif row.kind == "survey":
            D = row.sample_effect
            x, n, q = row.value / D, (row.sample or 0.0) / D, N * p / data.population[0]
            ways = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
            total += ways + x * np.log(q) + (n - x) * np.log1p(-q)
        else:
            total += two_piece(row, np.log(N) + value)
    return total


def two_piece(row: Benchmark, log_mean: np.ndarray) -> np.ndarray:
    assert row.interval is not None
    z = stats.norm.ppf(0.5 + row.interval.level / 2)
    below = np.log(row.value / row.interval.low) / z
    above = np.log(row.interval.high / row.value) / z
    error = log_mean - np.log(row.value)
    sd = np.where(error < 0, below, above)
    return np.asarray(stats.norm.logpdf(error / sd) - np.log((below + above) / 2))


def log_rate(row: Benchmark, value: float) -> float:
    """Log density of a logit share or log rate, a uniform prior of the share included."""
    rate = row.rate
    assert rate is not None
    if rate.x is not None and rate.n is not None:
        a, b = 1 + rate.x / rate.design_effect, 1 + (rate.n - rate.x) / rate.design_effect
        return float(a * value - (a + b) * np.logaddexp(0, value))
    (p, low), (_, high) = rate.quantiles
    sd = np.log(high / low) / 2 / stats.norm.ppf(1 - p)
    return float(stats.norm.logpdf(value, np.log(low * high) / 2, sd))


RANGE = replace(TREATED, value=390.0, least=385.0, most=395.0)
WIDE = replace(TREATED, value=390.0, least=350.0, most=430.0)
ARRESTED = Benchmark.counted("arrested", 150, Rate(x=30, n=200))


@pytest.mark.parametrize(
    ("rows", "tolerance"),
    [
        ((TREATED,), 1e-9),
        ((RANGE,), 1e-6),
        ((WIDE,), 1e-6),
        ((Benchmark.counted("treated", 2, Rate(x=9, n=10)),), 1e-9),
        ((TREATED, ARRESTED), 1e-3),
        ((RANGE, ARRESTED), 1e-3),
        ((TREATED, DEATHS), 1e-3),
        ((TREATED, SPENT), 1e-3),
        ((TREATED, HOUSEHOLDS), 1e-3),
        ((HOUSEHOLDS,), 1e-3),
        ((DEATHS,), 1e-3),
    ],
)
@pytest.mark.parametrize("residents", [30_000.0, np.nan])
def test_density_is_the_sum_over_every_size(
    rows: tuple[Benchmark, ...], tolerance: float, residents: float, rng: np.random.Generator
) -> None:
    """The integral over the level of the model's density is the sum over N with p(N) = 1/N."""
    if any(row.kind == "survey" for row in rows) and not np.isfinite(residents):
        return
    data = MultiplierTable.of(*rows, population=residents)
    model = family.build_model(data)
    compute, start = model.compile_logp(mode=PLAIN), family.values(data)["start"]
    N = np.arange(1, 30_001)
    # Equal steps of 0.6 sd integrate a smooth peak to ten digits.
    levels = np.arange(-30, 31) * 0.6 / np.sqrt(rows[0].value / rows[0].sample_effect)
    if rows[0].kind == "amount":
        levels = np.arange(-30, 31) * 0.06
    names = [str(name).removeprefix("mean: ") for name in model.coords["number"]][1:]
    ours, plain = [], []
    for shift in rng.normal(size=(2, len(start))) * 0.15:
        values = [float(compute({"base": np.array([level, *shift[1:]])})) for level in levels]
        ours.append(special.logsumexp(values))
        link = dict(zip(names, start[1:] + shift[1:], strict=True))
        prior = sum(log_rate(row, link[row.id]) for row in rows if row.rate)
        plain.append(special.logsumexp(log_shared(data, N, link) - np.log(N)) + prior)
    assert np.diff(ours) == pytest.approx(np.diff(plain), rel=1e-9, abs=tolerance)


@pytest.mark.parametrize("text", ["lognormal:900,1500", "gamma:2,500"])
def test_other_priors_of_the_size(text: str) -> None:
    prior = SizePrior.parse(text)
    data = MultiplierTable.of(TREATED)
    compute = family.build_model(data, Priors(size_prior=prior)).compile_logp(mode=PLAIN)
    start = family.values(data)["start"]
    N = np.arange(400, 30_001)
    ours, plain = [], []
    for logit in (-1.0, 0.0, 0.8):
        values = [float(compute({"base": np.array([level, logit - start[1]])}))
                  for level in np.arange(-30, 31) * 0.03]  # fmt: skip
        ours.append(special.logsumexp(values))
        likelihood = log_people(TREATED, N, special.expit(logit)) + log_rate(TREATED, logit)
        plain.append(special.logsumexp(likelihood + prior.log_density(N)))
    assert np.diff(ours) == pytest.approx(np.diff(plain), abs=1e-3)


def test_points_sum_what_every_number_sums() -> None:
    least, most = np.array([[37.0], [5.0], [200.0]]), np.array([[60.0], [5.0], [600.0]])
    count, weight = rows_of.points(least, most)
    for mean in (30.0, 55.0, 210.0, 400.0):
        ours = special.logsumexp(stats.poisson.logpmf(0, mean) + count * np.log(mean)
                                 - special.gammaln(count + 1) + weight, axis=-1)[:, 0]  # fmt: skip
        for i in range(3):
            exact = special.logsumexp(stats.poisson.logpmf(np.arange(least[i, 0], most[i, 0] + 1),
                                                           mean))  # fmt: skip
            # Exactly where a posterior can be.
            assert ours[i] == pytest.approx(exact, abs=0.02 if exact > -10 else 0.03 * abs(exact))


# --- errors of counts ----------------------------------------------------------------------------


def test_errors_of_a_count_are_those_of_its_formula() -> None:
    """Binomial(B / r; N, p) / r, with r = error (1 - under) / (1 - over) and odds ratio psi."""
    row = replace(
        TREATED, error=Interval(0.8, 1.25, 0.95), undercount=Interval(0.05, 0.2, 0.95),
        overcount=Interval(0.02, 0.1, 0.95), selection=Interval(1.0, 2.0, 0.95),
    )  # fmt: skip
    data = MultiplierTable.of(row)
    model = family.build_model(data)
    compute, start = model.compile_logp(mode=PLAIN), family.values(data)["start"]
    logodds = {"undercount": -2.1, "overcount": -2.9}
    z = {"error": 0.4, "selection": -0.7}
    names = [str(name).split()[0] for name in model.coords["miscount"]]
    normals = [str(name).split()[0] for name in model.coords["normal"]]

    def ours(logit: float, error: float, level: float) -> float:
        z["error"] = error
        return float(compute({
            "base": np.array([level, logit - start[1]]),
            "z": np.array([z[name] for name in normals]),
            "miscounted_logodds__": np.array([logodds[name] for name in names]),
        }))  # fmt: skip

    share = {name: special.expit(value) for name, value in logodds.items()}
    sd = np.log(1.25 / 0.8) / 2 / stats.norm.ppf(0.975)

    def plain(logit: float, error: float, level: float) -> float:
        log_r = sd * error + np.log1p(-share["undercount"]) - np.log1p(-share["overcount"])
        true = 400 / np.exp(log_r)
        # N ~ Poisson and 1/N: counted Poisson(L p); the level is ln(L p).
        mean = level + start[0]
        found = true * mean - np.exp(mean) - special.gammaln(true + 1) - log_r
        log_psi = np.log(2) / 2 + np.log(2) / 2 / stats.norm.ppf(0.975) * z["selection"]
        at = logit + log_psi
        a, b = SURVEY.x / 2, (SURVEY.n - SURVEY.x) / 2  # type: ignore[operator]
        prior = at - 2 * np.logaddexp(0, at) + a * at - (a + b) * np.logaddexp(0, at)
        return float(found + prior - error**2 / 2)

    points = [(-0.5, 0.2, 0.0), (0.1, -1.0, 0.1), (-1.0, 1.5, -0.2)]
    for one, two in pairwise(points):
        assert ours(*two) - ours(*one) == pytest.approx(plain(*two) - plain(*one), abs=1e-8)


def test_an_error_of_one_source_is_the_same_in_all_areas() -> None:
    rate, error = Rate(x=30, n=100), Interval(0.5, 2.0, 0.95)
    rows = [replace(Benchmark.counted("seen", 50.0 + s, rate if s else Rate(x=9, n=40), stratum=s),
                    error=error) for s in range(4)]  # fmt: skip
    data = MultiplierTable(tuple(rows), (), tuple((f"a{s}", "") for s in range(4)), np.full(4, 9e3))
    names = [str(name) for name in family.build_model(data).coords["normal"]]
    assert sum(name.startswith("error of") for name in names) == 1
    # The same survey stated for three areas is counted once.
    assert sum(str(name).startswith("rate: ")
               for name in family.build_model(data).coords["known"]) == 2  # fmt: skip


# --- several strata ------------------------------------------------------------------------------


def test_pooled_log_odds_are_levels_effects_and_walks(rng: np.random.Generator) -> None:
    data = grid()
    model = family.build_model(data)
    point = initial(model, rng)
    names = [str(name) for name in model.coords["normal"]]
    z = dict(zip(names, point["z"], strict=True))
    scale = dict(zip(model.coords["effect"], np.exp(point["scale_log__"]), strict=True))
    values = model.compile_fn(
        model.replace_rvs_by_values([model["size"], model["share"]]), inputs=model.value_vars,
        mode=PLAIN, on_unused_input="ignore",
    )(point)  # fmt: skip
    level = family.values(data)["start"][0] + point["base"][0]
    step = scale["change over time"] * z["period: 2020"]
    later = step + scale["change over time"] * np.sqrt(2) * z["period: 2022"]
    own = scale["change within areas"]
    for s, (area, year) in enumerate(data.strata):
        walk = {"2019": 0.0, "2020": step, "2022": later}[year]
        ours = own * z[f"{area}, period: 2020"] if year != "2019" else 0.0
        ours += own * np.sqrt(2) * z[f"{area}, period: 2022"] if year == "2022" else 0.0
        expected = level + scale["between areas"] * z[f"area: {area}"] + walk + ours
        assert values[0][s] == pytest.approx(expected)
    assert np.all(values[1] > 0)


def test_the_order_of_rows_and_strata_changes_nothing(rng: np.random.Generator) -> None:
    data = grid()
    order = rng.permutation(len(data.strata))
    place = np.argsort(order)
    rows = [replace(row, stratum=int(place[row.stratum])) for row in data.rows]
    other = MultiplierTable(
        tuple(rows[i] for i in rng.permutation(len(rows))), (),
        tuple(data.strata[i] for i in order), data.population[order],
    )  # fmt: skip
    one, two = family.build_model(data), family.build_model(other)
    point = initial(one, rng)
    moved = {}
    for name, coord in (("base", "number"), ("z", "normal"), ("scale_log__", "effect")):
        if name in point:
            labels = [str(label) for label in one.coords[coord]]
            at = [labels.index(str(label)) for label in two.coords[coord]]
            start = [family.values(table)["start"] if name == "base" else 0.0
                     for table in (data, other)]  # fmt: skip
            moved[name] = (point[name] + start[0])[at] - start[1]
    assert log_density(two, moved) == pytest.approx(log_density(one, point), rel=1e-12)


def test_a_model_has_named_sizes_and_data() -> None:
    tables = [grid(), grid(areas=1), grid(years=("",)), MultiplierTable.of(TREATED),
              MultiplierTable.of(RANGE, DEATHS, SPENT, HOUSEHOLDS, STATED, population=9e4),
              ]  # fmt: skip
    for data in tables:
        model = family.build_model(data)
        for variable in (*model.free_RVs, *model.deterministics):
            assert len(model.named_vars_to_dims.get(variable.name, ())) == variable.ndim, variable
        values = family.values(data)
        assert set(values) == {variable.name for variable in model.data_vars}
        for name, value in values.items():
            np.testing.assert_array_equal(model[name].get_value(), value)
        assert np.isfinite(log_density(model, model.initial_point()))
        assert family.refusal(data, Priors()) is None


# --- people drawn --------------------------------------------------------------------------------


def drawn(data: MultiplierTable, priors: Priors, draws: int = 4000) -> xr.DataTree:
    """What `finish` makes of one point, `draws` times over."""
    model = family.build_model(data, priors)
    sampler = Sampler(model)
    point = {
        rv.name: (("chain", "draw", *model.named_vars_to_dims[rv.name]),
                  np.full((1, draws, *rv.shape.eval()), 0.3 if rv.name == "scale" else 0.0))
        for rv in model.free_RVs
    }  # fmt: skip
    if "miscounted" in point:
        point["miscounted"] = (point["miscounted"][0], point["miscounted"][1] + 0.1)
    values = family.values(data, priors)
    tree = xr.DataTree.from_dict({"posterior": sampler.complete(xr.Dataset(point), values)})
    return family.finish(tree, data, priors, np.random.default_rng(3))


def test_people_drawn_have_their_distribution() -> None:
    """One count, then a second: N given all else, from sums over every N."""
    for rows in ((TREATED,), (TREATED, ARRESTED), (WIDE,), (TREATED, DEATHS, STATED)):
        data = MultiplierTable.of(*rows)
        start = family.values(data)["start"]
        tree = drawn(data, Priors())
        found = tree["posterior"]["N"].to_numpy().ravel()
        N = np.arange(350, 6000)
        link = {row.id: start[1 + i] for i, row in enumerate(r for r in rows if r.rate)}
        p = special.expit(link["treated"])
        level = start[0] - np.log(p)
        mass = stats.poisson.logpmf(N, np.exp(level))
        plain = [row for row in rows if row.kind != "figure"]
        mass = mass + log_shared(MultiplierTable.of(*plain), N, link)
        if STATED in rows:
            log_c, tau = np.log(4) / 2, 0.3
            assert STATED.interval is not None
            z = stats.norm.ppf(0.9)
            sds = [np.hypot(tau, np.exp(log_c) * np.log(r) / z) for r in (900 / 700, 1100 / 900)]
            error = np.log(N) - np.log(900)
            mass = mass - 0.5 * (error / np.where(error < 0, *sds)) ** 2
        share = np.exp(mass - special.logsumexp(mass))
        mean = share @ N
        sd = np.sqrt(share @ (N - mean) ** 2)
        assert found.mean() == pytest.approx(mean, abs=4.5 * sd / np.sqrt(len(found)) + 0.05)
        assert found.std() == pytest.approx(sd, rel=0.06)


def test_people_are_whole_and_at_least_those_counted() -> None:
    data = grid()
    tree = drawn(data, Priors(), draws=200)
    N, unseen = (tree["posterior"][name].to_numpy() for name in ("N", "unseen"))
    np.testing.assert_array_equal(N, np.rint(N))
    assert np.all(unseen >= 0)
    np.testing.assert_array_equal(N - unseen, np.broadcast_to(data.observed_by_stratum, N.shape))
    assert np.all(data.population >= N)
    assert tree.attrs["observed"] == data.observed
    assert tree["posterior"]["stratum"].to_numpy()[0] == "area 0, 2019"
    trend = tree["trend"].to_dataset()
    assert [str(name) for name in trend["area"].to_numpy()] == [
        "area 0", "area 1", "area 2", "all areas"
    ]  # fmt: skip
    first = data.strata.index(("area 1", "2019"))
    last = data.strata.index(("area 1", "2022"))
    flat = N.reshape(-1, N.shape[-1])
    up = np.mean(flat[:, last] > flat[:, first]) + np.mean(flat[:, last] == flat[:, first]) / 2
    assert float(trend["p_increase"][1]) == pytest.approx(up)
    assert np.all(trend["ratio_low"] <= trend["ratio_high"])


def test_notes_state_priors_and_what_is_left_out() -> None:
    one = json.loads(drawn(MultiplierTable.of(TREATED, ARRESTED), Priors(), 50).attrs["notes"])
    assert any("1/N" in note and "uniform" in note for note in one)
    assert any("independent given the size" in note for note in one)
    tree = drawn(grid(), Priors(), 50)
    many = json.loads(tree.attrs["notes"])
    assert any("0.0001 and 0.2" in note for note in many)
    assert any("Of 9 strata" in note for note in many)
    assert any("do not average out" in note for note in many)
    assert tree.attrs["assumption"].endswith(".")


# --- refusals ------------------------------------------------------------------------------------

LATE = (("north", "2019"), ("south", "2019"))
PAIR = (TREATED, replace(TREATED, stratum=1, rate=Rate(x=9, n=50)))


@pytest.mark.parametrize(
    ("code", "data", "priors"),
    [
        ("size-prior", MultiplierTable.of(TREATED), Priors(size_prior=SizePrior("uniform", 1e4))),
        ("size-pooled", MultiplierTable(PAIR, (), LATE, np.full(2, 9e3)),
         Priors(size_prior=SizePrior("lognormal", 900, 2000))),
        ("nothing", MultiplierTable.of(replace(TREATED, value=np.nan, least=np.nan, most=np.nan)),
         Priors()),
        ("many", MultiplierTable(PAIR, (), tuple((f"a{i}", "") for i in range(500)),
                                 np.full(500, 9e3)), Priors()),
        ("residents", MultiplierTable(PAIR, (), LATE, np.array([9e3, np.nan])), Priors()),
        ("kinds", MultiplierTable((TREATED, replace(DEATHS, id="treated", stratum=1)), (), LATE,
                                  np.full(2, 9e3)), Priors()),
        ("rate", MultiplierTable.of(replace(TREATED, rate=Rate(quantiles=((0.5, 0.3),)))),
         Priors()),
        ("survey", MultiplierTable.of(HOUSEHOLDS), Priors()),
        ("sample", MultiplierTable.of(replace(HOUSEHOLDS, sample=None), population=9e3), Priors()),
        ("above", MultiplierTable.of(TREATED, population=300), Priors()),
        ("zero", MultiplierTable.of(kind("figure", 0.0)), Priors()),
        ("share", MultiplierTable.of(replace(TREATED, rate=None)), Priors()),
        ("empty", MultiplierTable.of(Benchmark.counted("treated", 0, SURVEY)), Priors()),
        ("overlap", MultiplierTable.of(TREATED, ARRESTED,
                                       overlaps=(Overlap("treated", "arrested", people=40),)),
         Priors()),
        ("respondents", MultiplierTable.of(replace(TREATED, survey="street"),
                                           replace(ARRESTED, survey="street")), Priors()),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused_in_words(code: str, data: object, priors: Priors) -> None:
    refused = family.refusal(data, priors)
    assert refused is not None
    assert refused.code == f"multiplier-areas-{code}"
    words = messages()[refused.code]
    values = {"family": "multiplier-areas", **refused.values}
    assert all(part.format(**values).endswith((".", "!")) for part in words)


@pytest.mark.parametrize(
    "wrong",
    [
        {"share_a": 0.0}, {"between_areas": -1.0}, {"change": np.inf}, {"share_change": 0.0},
        {"prevalence": (0.2, 0.1, 0.95)}, {"prevalence": (0.1, 1.2, 0.95)},
        {"overconfidence": (0.0, 2.0, 0.95)}, {"overconfidence": (1.0, 2.0, 1.5)},
    ],
)  # fmt: skip
def test_priors_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Priors(**wrong)


# --- the simulator -------------------------------------------------------------------------------


def test_simulated_tables_have_the_same_shape(rng: np.random.Generator) -> None:
    data = grid()
    priors = Priors(prevalence=(0.01, 0.03, 0.95))
    truth = draw_truth(data, priors, rng)
    made = simulate(truth, rng)
    before, after = family.values(data, priors), family.values(made, priors)
    assert {name: x.shape for name, x in before.items()} == {
        name: x.shape for name, x in after.items()
    }
    assert truth.N >= made.observed > 0
    assert family.refusal(made, priors) is None


def test_simulated_counts_have_their_means(rng: np.random.Generator) -> None:
    data = MultiplierTable.of(TREATED, HOUSEHOLDS, DEATHS, population=40_000)
    truth = draw_truth(data, Priors(), rng)
    many = [simulate(truth, rng).rows for _ in range(300)]
    for i, row in enumerate(data.rows):
        p = truth.rates[row.id, "", ""]
        mean = truth.sizes[0] * p
        if row.kind == "survey":
            mean *= 1000 / 40_000
        found = np.array([rows[i].value for rows in many])
        assert found.mean() == pytest.approx(mean, abs=5 * found.std() / np.sqrt(300))
