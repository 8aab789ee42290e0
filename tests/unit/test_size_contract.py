"""Every family that sizes a population from one table keeps the same contract."""

import json
import re
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pandas as pd
import pytest
from pytensor.compile.mode import Mode

from hiddenpop.families import FAMILIES, Family
from hiddenpop.inference import judge
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.table import Table
from hiddenpop.inputs.tree import Branch, Tree
from hiddenpop.size import SizeEstimate, fit_table, refused

__all__: list[str] = []

NAMES = [name for name, family in FAMILIES.items() if family.data != "evidence"]
COMPUTED = [name for name in NAMES if FAMILIES[name].exact]
SHORT = Sampling(draws=200, tune=200, chains=2, seed=7)

TWO = OverlapTable.from_counts(("a", "b"), {"10": 60, "01": 45, "11": 30}, population=5000)
THREE = OverlapTable.from_counts(
    ("a", "b", "c"),
    {"100": 60, "010": 49, "110": 14, "001": 70, "101": 12, "011": 16, "111": 7},
    population=5000,
)
REPEATS = RepeatTable(
    np.array([1, 2, 3, 4]), np.array([120.0, 40.0, 12.0, 3.0]), pd.DataFrame(index=range(4)), 5000.0
)
MARGINS = Margins(("a", "b", "c"), (93, 86, 105), 228)
BENCHMARKS = MultiplierTable.of(
    Benchmark.counted("treated", 400.0, Rate(x=40.0, n=200.0)),
    Benchmark("known before", "figure", 1800.0, 1800.0, 1800.0,
              interval=Interval(1000.0, 3200.0, 0.95)),
    population=50000.0,
)  # fmt: skip
TREE = Tree(
    (
        Branch("users", "treated", 40.0, 200.0, sample="survey", count=400.0),
        Branch("users", "arrested only", 30.0, 200.0, sample="survey", count=320.0),
    ),
    "users", 5000.0,
)  # fmt: skip
OF_KIND: dict[str, Table] = {"repeats": REPEATS, "benchmarks": BENCHMARKS, "tree": TREE}


def table_for(family: Family) -> Table:
    if family.data == "overlap":
        return TWO if family.name == "two-list" else THREE
    return OF_KIND[family.data]


@pytest.fixture(scope="module", params=NAMES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module", params=COMPUTED)
def fitted(request: pytest.FixtureRequest) -> SizeEstimate:
    family = FAMILIES[request.param]
    return fit_table(table_for(family), family.name, sampling=SHORT)


def test_priors_are_frozen_and_documented(family: Family) -> None:
    priors = family.module.Priors
    assert is_dataclass(priors)
    assert priors.__dataclass_params__.frozen
    for field in fields(priors):
        assert re.search(rf"^    ([a-z_0-9]+, )*{field.name}(, [a-z_0-9]+)*\n        \S",
                         priors.__doc__, re.MULTILINE), field.name  # fmt: skip
        json.dumps(getattr(priors(), field.name), default=str)


def test_data_of_another_kind_are_refused_in_words(family: Family) -> None:
    others = {**OF_KIND, "overlap": TWO}
    for kind, data in others.items():
        if kind == family.data:
            continue
        refusal = refused(data, family.name)
        assert refusal is not None, kind
        words = messages()[refusal.code]
        assert all(part.format(**{"family": family.name, **refusal.values}) for part in words)


def test_its_own_kind_of_table_is_not_refused(family: Family) -> None:
    assert family.module.refusal(table_for(family), family.module.Priors()) is None


def test_a_computed_posterior_has_the_common_names(fitted: SizeEstimate) -> None:
    tree = fitted.tree
    assert fitted.assumption.endswith(".")
    assert isinstance(fitted.notes, tuple)
    assert judge(tree).passed
    size = fitted.N()
    assert fitted.observed <= size.low <= size.median <= size.high
    if fitted.is_set:
        return
    assert {"N", "unseen"} <= set(tree["posterior"].data_vars)
    assert tree["posterior"]["N"].dims[:2] == ("chain", "draw")
    np.testing.assert_array_equal(
        tree["posterior"]["N"] - fitted.observed, tree["posterior"]["unseen"]
    )
    assert fitted.draws().min() >= fitted.observed
    exact = fitted.distribution
    assert exact is not None
    assert exact.probability.sum() == pytest.approx(1, abs=1e-9)
    assert np.all(np.diff(exact.unseen) > 0)
    # Draws are draws from the distribution: a tenth of a posterior sd at most, 4,000 draws.
    quartiles = np.quantile(fitted.draws("unseen"), [0.25, 0.75])
    np.testing.assert_allclose(quartiles, exact.quantile(np.array([0.25, 0.75])), rtol=0.12)


def test_the_same_seed_gives_the_same_draws(fitted: SizeEstimate) -> None:
    again = fit_table(fitted.data, fitted.family, sampling=SHORT)
    assert again.N() == fitted.N() or fitted.is_set
    if not fitted.is_set:
        np.testing.assert_array_equal(again.draws(), fitted.draws())


def test_reports_can_be_made_of_it(fitted: SizeEstimate) -> None:
    assert set(fitted.table()["quantity"]) == {"N", "unseen", "prevalence_per_1000"}
    assert fitted.completeness["all lists"] < 1
    models = fitted.models
    if models is not None:
        assert {"model", "weight", "median", "low", "high"} <= set(models)
        assert models["weight"].sum() == pytest.approx(1, abs=1e-6) or fitted.is_set
    cells = fitted.fitted
    if cells is not None:
        assert {"history", "observed", "expected"} <= set(cells)


@pytest.mark.parametrize("name", [name for name in COMPUTED if FAMILIES[name].data == "overlap"])
def test_the_order_and_names_of_lists_change_nothing(name: str) -> None:
    table = table_for(FAMILIES[name])
    assert isinstance(table, OverlapTable)
    order = list(range(len(table.lists)))[::-1]
    other = replace(table.permuted(order), lists=tuple(f"list {j}" for j in order))
    one, two = (fit_table(data, name, sampling=SHORT).N() for data in (table, other))
    # Importance sampling draws other numbers when the lists stand in another order.
    for number in ("median", "low", "high"):
        assert getattr(one, number) == pytest.approx(getattr(two, number), rel=0.01)


def test_simulated_data_are_of_the_same_kind(family: Family) -> None:
    data = table_for(family)
    rng = np.random.default_rng(3)
    truth = family.simulation.draw_truth(data, family.module.Priors(), rng)
    made = family.simulation.simulate(truth, rng)
    assert type(made) is type(data)
    assert truth.N >= made.observed > 0
    if isinstance(made, OverlapTable) and isinstance(data, OverlapTable):
        assert made.lists == data.lists
        assert made.strata == data.strata


def test_the_sampled_model_has_named_sizes_and_data() -> None:
    module = FAMILIES["loglinear"].module
    for data in (THREE, MARGINS):
        priors = module.Priors()
        model = module.build_model(data, priors)
        assert "N" in {variable.name for variable in model.deterministics}
        for variable in (*model.free_RVs, *model.deterministics):
            assert len(model.named_vars_to_dims.get(variable.name, ())) == variable.ndim, variable
        values = module.values(data, priors)
        assert set(values) == {variable.name for variable in model.data_vars}
        density = model.compile_logp(mode=Mode(linker="py", optimizer=None))
        assert np.isfinite(float(density(model.initial_point())))
