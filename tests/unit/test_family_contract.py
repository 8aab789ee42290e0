"""Every family keeps the same contract."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from pytensor.compile.mode import Mode

from hiddenpop.families import FAMILIES, Family
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.studies import load_study

TINY = Path(__file__).resolve().parents[1] / "studies" / "tiny"


@pytest.fixture(scope="module", params=["synthesis"])
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def data() -> SynthesisData:
    return load_study(TINY).data


def test_priors_are_frozen_and_documented(family: Family) -> None:
    priors = family.module.Priors
    assert is_dataclass(priors)
    assert priors.__dataclass_params__.frozen
    names = {field.name for field in fields(priors)}
    assert names == set(family.prior_kinds)
    for name in names:
        assert re.search(rf"^    {name}\n        \S", priors.__doc__, re.MULTILINE), name


def test_a_model_has_named_sizes_and_data(family: Family, data: SynthesisData) -> None:
    model = family.module.build_model(data, family.module.Priors())
    assert "N" in {variable.name for variable in model.deterministics}
    # Every dimension of every variable has a name.
    for variable in (*model.free_RVs, *model.deterministics):
        assert len(model.named_vars_to_dims.get(variable.name, ())) == variable.ndim, variable
    values = family.module.values(data)
    assert set(values) == {variable.name for variable in model.data_vars}
    for name, value in values.items():
        np.testing.assert_array_equal(model[name].get_value(), value)


def test_the_same_data_give_the_same_density(family: Family, data: SynthesisData) -> None:
    one, two = (family.module.build_model(data, family.module.Priors()) for _ in range(2))
    plainly = Mode(linker="py", optimizer=None)
    densities = [
        float(model.compile_logp(mode=plainly)(model.initial_point())) for model in (one, two)
    ]
    assert np.isfinite(densities[0])
    assert densities[0] == densities[1]
    assert one.named_vars.keys() == two.named_vars.keys()
    assert {k: len(v) for k, v in one.coords.items()} == {k: len(v) for k, v in two.coords.items()}


def test_simulated_data_fit_the_model(
    family: Family, data: SynthesisData, rng: np.random.Generator
) -> None:
    truth = family.simulation.draw_truth(data, family.module.Priors(), rng)
    simulated = family.simulation.simulate(truth, rng)
    before, after = family.module.values(data), family.module.values(simulated)
    assert before.keys() == after.keys()
    assert all(before[name].shape == after[name].shape for name in before)
    assert any(not np.array_equal(before[name], after[name], equal_nan=True) for name in before)
