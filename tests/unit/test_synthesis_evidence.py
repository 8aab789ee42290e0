"""What the evidence synthesis makes of each kind of evidence, without sampling."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pytensor.compile.mode import Mode
from scipy import special, stats

from hiddenpop.families.simulation.synthesis import Truth, draw_truth, simulate
from hiddenpop.families.synthesis import Priors, build_model, values
from hiddenpop.inputs.synthesis import SynthesisData

__all__: list[str] = []

Point = dict[str, dict[str, float]]
Look = Any  # of conftest.py, from which nothing can be imported
MakeLook = Callable[..., Any]
MakeData = Callable[..., SynthesisData]
MakePoint = Callable[..., Point]


def truth_at(data: SynthesisData, priors: Priors, point: Point, found: Mapping[str, Any]) -> Truth:
    """The simulator's view of a point of the model."""
    z, rows = point["z"], data.evidence.rows
    factor = np.exp(data.rates.mu + data.rates.sigma * z["factor: fatal"])
    odds_ratio = data.rates.selection["met"]
    psi = np.exp(odds_ratio.mu + odds_ratio.sigma * z["selection: met"])
    odds = point["share"]["met"] / (1 - point["share"]["met"]) / psi
    off = [z.get(f"bias: {name}", 0.0) for name in data.biases.names]
    return Truth(
        data, priors, found["residents"], found["N"],
        point["scale"]["between_areas"], point["scale"]["between_compositions"],
        priors.overdispersion * float(np.exp(0.75 * z["overdispersion: counts"])),
        np.append([point["share"]["known"], point["share"]["young"], odds / (1 + odds)], factor),
        np.exp(data.biases.mu + data.biases.sigma * np.array(off)),
        {(area, period): z.get(f"drift: {area} {period}", 0.0)
         for area, period in zip(rows["area"], rows["period"], strict=True)},
    )  # fmt: skip


# --- evidence ----------------------------------------------------------------------------------


def benchmark_log_likelihood(row: pd.Series, truth: Truth, expected: float) -> float:
    """Binomial out of the members, for each number that the source may have written."""
    data, power = (
        truth.data,
        truth.data.evidence.exponents[truth.data.evidence.ids.index(row["id"])],
    )
    chance = float(np.prod(truth.rates**power))
    bias = float(truth.bias[data.biases.names.index(row["source"])])
    members = expected / bias / chance
    ends = (row["value"],) * 2 if np.isnan(row["low"]) else (row["low"], row["high"])
    x = np.arange(ends[0], ends[1] + 1) / bias
    if members < x.max():
        return -np.inf
    ways = special.gammaln(members + 1) - special.gammaln(x + 1) - special.gammaln(members - x + 1)
    log_mass = ways + x * np.log(chance) + (members - x) * np.log(1 - chance)
    return float(special.logsumexp(log_mass) - np.log(bias))


def row_log_likelihood(row: pd.Series, expected: float, phi: float) -> float:
    """What the module's docstring says of one row, with scipy's distributions."""
    kind, design = row["kind"], row["design_effect"]
    if kind == "count":
        size, mean, count = 1 / phi**2, expected / design, row["value"] / design
        return float(stats.nbinom.logpmf(count, size, size / (size + mean)))
    if kind == "proportion":
        low, high = (row["low"], row["high"]) if np.isnan(row["value"]) else (row["value"],) * 2
        x = np.arange(low, high + 1)
        size = row["n"] / design
        return float(special.logsumexp(stats.binom.logpmf(x / design, size, expected)))
    z = stats.norm.ppf(0.5 + row["level"] / 2)
    if kind in ("lower", "upper"):
        has_interval = not np.isnan(row["low"])
        sd = np.log(row["high"] / row["low"]) / 2 / z if has_interval else Priors().bound_softness
        sign = 1 if kind == "lower" else -1
        return float(stats.norm.logcdf(sign * np.log(expected / row["value"]) / sd))
    centre = np.sqrt(row["low"] * row["high"]) if np.isnan(row["value"]) else row["value"]
    mean_sd = np.log(row["high"] / row["low"]) / 2 / z
    sds = [max(np.log(centre / row["low"]) / z, mean_sd / 10),
           max(np.log(row["high"] / centre) / z, mean_sd / 10)]  # fmt: skip
    sds = [np.sqrt(sd**2 + (design - 1) * mean_sd**2) for sd in sds]
    error = np.log(expected / centre)
    law = stats.t(4) if kind == "guess" else stats.norm
    return float(law.logpdf(error / sds[int(error > 0)]) + np.log(2 / (sds[0] + sds[1])))


def test_each_kind_has_its_likelihood(
    seen: Look, example: SynthesisData, rng: np.random.Generator, random_point: MakePoint
) -> None:
    compared = set()
    for _ in range(10):
        point = random_point(seen.normals, rng)
        found = seen.at(**point)
        truth = truth_at(example, Priors(), point, found)
        rows = [row for _, row in example.evidence.rows.iterrows()]
        for row, mean, log_density in zip(rows, truth.expected(), found["pointwise"], strict=True):
            if row["kind"] == "benchmark":
                direct = benchmark_log_likelihood(row, truth, mean)
            else:
                direct = row_log_likelihood(row, mean, float(found["overdispersion"]))
            if (row["kind"] == "proportion" and mean >= 1) or direct < -500:
                continue  # 30 sds away, the t distribution that stands for a normal is too wide
            compared.add(row["id"])
            # A bracket of more than 25 whole numbers is an integral.
            close = {"rel": 3e-3, "abs": 1e-3} if row["id"] == "wide" else {"rel": 1e-5}
            assert log_density == pytest.approx(direct, **close), row["id"]
    assert compared == set(example.evidence.ids)


def test_expected_values_are_those_of_the_simulator(
    seen: Look, example: SynthesisData, rng: np.random.Generator, random_point: MakePoint
) -> None:
    point = random_point(seen.normals, rng)
    found = seen.at(**point)
    truth = truth_at(example, Priors(), point, found)
    bias = truth.bias[
        [example.biases.names.index(name) for name in example.evidence.rows["source"]]
    ]
    assert found["without_bias"] * bias == pytest.approx(truth.expected(), rel=1e-10)
    assert found["bias"][:2] == pytest.approx(truth.bias[:2])
    assert found["factor"] == pytest.approx(truth.rates[3:])
    assert found["share"] == pytest.approx(truth.rates[:3])


def test_counts_without_overdispersion_are_poisson(
    look: MakeLook, example: SynthesisData, rng: np.random.Generator, random_point: MakePoint
) -> None:
    priors = Priors(overdispersion=0)
    model = look(build_model(example, priors))
    point = random_point(model.normals, rng)
    found = model.at(**point)
    expected = truth_at(example, priors, point, found).expected()
    for i, row in enumerate(example.evidence.rows.itertuples()):
        if row.kind == "count":
            count, mean = row.value / row.design_effect, expected[i] / row.design_effect
            assert found["pointwise"][i] == pytest.approx(stats.poisson.logpmf(count, mean))


@pytest.mark.parametrize("phi", [1e-12, 1e-9, 1e-7, 1e-5])
def test_a_vanishing_overdispersion_is_none(
    make_data: MakeData, look: MakeLook, phi: float
) -> None:
    """Log gamma functions of 1 / phi**2 must not cancel to noise."""
    rows = [{"kind": "count", "value": value} for value in (6900, 7200)]
    data = make_data([("A", "", 1e6)], rows)
    z = np.log(phi / Priors().overdispersion) / 0.75
    found = look(build_model(data)).at({"overdispersion: counts": float(z)})
    direct = stats.poisson.logpmf([6900, 7200], found["N"][0, 0])
    assert found["pointwise"] == pytest.approx(direct, rel=1e-3)


def test_a_bracket_is_the_sum_of_its_numbers_beside_wider_ones(
    make_data: MakeData, look: MakeLook
) -> None:
    brackets = ({"low": 1, "high": 2}, {"low": 0, "high": 24}, {"value": 0})
    rows = [{"kind": "proportion", "of": "residents", "n": 1000} | ends for ends in brackets]
    found = look(build_model(make_data([("A", "", 1e6)], rows))).at()
    p = found["prevalence"][0, 0]
    direct = [stats.binom.pmf(x, 1000, p).sum() for x in (np.arange(1, 3), np.arange(25), 0)]
    assert np.exp(found["pointwise"]) == pytest.approx(direct, rel=1e-9)


def test_a_share_that_a_bias_pushes_above_one_stays_finite(
    make_data: MakeData, look: MakeLook
) -> None:
    row = {"kind": "proportion", "of": "users", "value": 20, "n": 20, "source": "off"}
    data = make_data([("A", "", 1000)], [row], biases={"off": (0.5, 2, 0.95)})
    found = look(build_model(data)).at(z={"bias: off": 3.0})
    assert found["bias"][1] > 1
    assert found["pointwise"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("members", [1, 300, 1980, 1981, 1982, 5000])
def test_a_benchmark_guides_a_sampler_that_has_too_few_members(
    make_data: MakeData, look: MakeLook, members: float
) -> None:
    """The density falls as members fall short of those counted, and has a finite slope."""
    row = {"kind": "benchmark", "value": 1981, "rates": "known"}
    data = make_data([("A", "", 1e6)], [row], shares={"known": (0.3, 0.7, 0.95)})
    model = build_model(data, Priors(prevalence=(0.0005, 0.005, 0.95)))
    z = (special.logit(members / 1e6) - special.logit([0.0005, 0.005]).mean()) / (
        np.diff(special.logit([0.0005, 0.005]))[0] / 2 / stats.norm.ppf(0.975)
    )
    seen, step = look(model), 1e-4
    found, more = (seen.at({"level: top": float(at)}) for at in (z, z + step))
    assert found["N"][0, 0] == pytest.approx(members)
    slope = (more["pointwise"][0] - found["pointwise"][0]) / step
    assert np.isfinite(slope)
    if members < 1981:
        assert slope > 5 * members
        assert found["pointwise"][0] < -10
    else:
        direct = special.gammaln(members + 1) - special.gammaln([1982, members - 1980]).sum()
        direct += members * np.log(0.5)
        assert found["pointwise"][0] == pytest.approx(direct, rel=1e-6)
    point = model.initial_point()
    point["z"][0] = z
    assert np.isfinite(model.compile_dlogp(mode=Mode(linker="py", optimizer=None))(point)).all()


def test_a_share_without_selection_is_as_the_survey_finds_it(
    make_data: MakeData, look: MakeLook
) -> None:
    row = {"kind": "benchmark", "value": 200, "rates": "met * known"}
    shares = {"known": (0.3, 0.7, 0.95), "met": (0.1, 0.4, 0.95)}
    ends = {"met": (1.0, 2.5, 0.95)}
    plain, off = (
        look(build_model(make_data([("A", "", 1e6)], [row], shares=shares, selection=one)))
        for one in (None, ends)
    )
    assert set(off.normals) - set(plain.normals) == {"selection: met"}
    middle = -np.log(2.5) / 2 / (np.log(2.5) / 2 / stats.norm.ppf(0.975))  # psi = 1
    same = off.at({"selection: met": middle}, share={"known": 0.4, "met": 0.3})
    usual = plain.at(share={"known": 0.4, "met": 0.3})
    assert same["share"] == pytest.approx([0.4, 0.3])
    assert same["pointwise"] == pytest.approx(usual["pointwise"])
    assert same["logp"] - usual["logp"] == pytest.approx(stats.norm.logpdf(middle))


def test_excluded_rows_add_nothing(look: MakeLook, seen: Look, example: SynthesisData) -> None:
    whole = seen.at()
    assert not example.included[-1]
    for name in ("level", "deaths", "rounded", "least", "listed"):
        kept = [row for row in example.evidence.ids if row not in (name, "unused")]
        found = look(build_model(example.including(kept))).at()
        i = example.evidence.ids.index(name)
        assert found["logp"] == pytest.approx(whole["logp"] - whole["pointwise"][i])
        assert found["pointwise"] == pytest.approx(whole["pointwise"])


def test_data_variables_serve_other_data(
    look: MakeLook, example: SynthesisData, rng: np.random.Generator, random_point: MakePoint
) -> None:
    changed = simulate(draw_truth(example, Priors(), rng), rng).including(["level", "survey"])
    changed = changed.with_population({"Town": 90_000})
    model = build_model(example)
    assert {variable.name for variable in model.data_vars} == set(values(example))
    for name, value in values(changed).items():
        assert model[name].get_value().shape == value.shape
        model[name].set_value(value)
    fresh = look(build_model(changed))
    point = random_point(fresh.normals, rng)
    assert look(model).at(**point)["logp"] == pytest.approx(fresh.at(**point)["logp"], rel=1e-12)
