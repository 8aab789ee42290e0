"""Tables of overlapping lists in an evidence synthesis: densities, reading, faults, reports."""

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from pytensor.compile.mode import Mode
from scipy import stats
from scipy.special import expit

from hiddenpop.checks.influence import leave_one_source_out
from hiddenpop.errors import InputError
from hiddenpop.estimate import Estimate, build
from hiddenpop.families import loglinear_component
from hiddenpop.families.loglinear import Priors
from hiddenpop.families.synthesis import values
from hiddenpop.inference import Sampler
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.study import Study
from hiddenpop.report.inputs import component_rows
from hiddenpop.studies import copy_files, load_study

__all__: list[str] = []

TINY = Path(__file__).resolve().parents[1] / "studies" / "tiny"
PLAIN = Mode(linker="py", optimizer=None)

TABLE = OverlapTable.from_counts(
    "ABC", {"100": 25, "010": 18, "001": 12, "110": 7, "101": (0, np.inf), "011": 1, "111": 2}
)
TWO = OverlapTable.from_counts("AB", {"10": 60, "01": 49, "11": 4})
TOTALS = Margins(("A", "B", "C"), (7, 5, 4), 11)
MANY = Margins(("A", "B", "C"), (2905, 1188, 531), 4117)

# --- the likelihood against scipy ----------------------------------------------------------------


Compute = Callable[..., list[np.ndarray]]


def compiled(data: OverlapTable | Margins, priors: Priors) -> tuple[pm.Model, Compute]:
    """A model of the log of N and a table; log likelihood, its gradient and the log density."""
    with pm.Model(coords=loglinear_component.coords(data, priors, "t")) as model:
        log_size = pm.Flat("log_size")
        weight = pm.Data("weight", np.array(1.0), dims=())
        found = loglinear_component.component(data, priors, log_size, weight, "t")
        pm.Deterministic("found", found)
    (value,) = model.replace_rvs_by_values([model["found"]])
    outputs = [value, pt.grad(value, model.value_vars[0]), model.logp()]
    compute = model.compile_fn(
        outputs, inputs=model.value_vars, mode=PLAIN, on_unused_input="ignore"
    )
    return model, compute


def point_of(model: pm.Model, size: float, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    point = {
        name: np.asarray(0.4 * rng.normal(size=np.shape(x)))
        for name, x in model.initial_point().items()
    }
    return point | {"log_size": np.array(np.log(size))}


def chances(
    totals: np.ndarray, size: float, apart: np.ndarray, links: dict[str, float], lists: int
) -> dict[str, float]:
    """Probability of each history, written again from the mathematics."""
    effect = np.log(totals + 0.5) - np.log(size - totals + 0.5) + apart
    weight = {}
    for history in product("01", repeat=lists):
        on = [j for j in range(lists) if history[j] == "1"]
        pairs = [links["".join("ABC"[j] for j in pair)]
                 for pair in ((i, j) for i in on for j in on if i < j)]  # fmt: skip
        weight["".join(history)] = float(np.exp(effect[on].sum() + sum(pairs)))
    total = sum(weight.values())
    return {history: x / total for history, x in weight.items()}


def test_a_table_has_the_multinomial_density() -> None:
    priors = Priors(interaction_sd=0.4)
    model, compute = compiled(TABLE, priors)
    point = point_of(model, size := 143.0)
    links = dict(zip(("AB", "AC", "BC"), np.sqrt(0.4) * point["t.z"], strict=True))
    p = chances(TABLE.list_totals, size, point["t.list_deviation"], links, 3)
    known = ["100", "010", "001", "110", "011", "111"]
    counts = [25, 18, 12, 7, 1, 2]
    # People of unknown histories are among those that nobody counted.
    exact = stats.multinomial.logpmf(
        [*counts, size - sum(counts)], int(size), [*(p[h] for h in known), p["000"] + p["101"]]
    )
    assert float(compute(point)[0]) == pytest.approx(exact, rel=1e-10)


def test_two_lists_have_the_odds_ratio_of_their_prior() -> None:
    model, compute = compiled(TWO, Priors(odds_ratio=(2.0, 2.0, 0.95)))
    point = point_of(model, size := 400.0)
    p = chances(TWO.list_totals, size, point["t.list_deviation"], {"AB": np.log(2)}, 2)
    exact = stats.multinomial.logpmf(
        [60, 49, 4, size - 113], int(size), [p["10"], p["01"], p["11"], p["00"]]
    )
    assert float(compute(point)[0]) == pytest.approx(exact, rel=1e-10)


def test_margins_have_the_sum_over_all_tables() -> None:
    model, compute = compiled(TOTALS, Priors(order=1))
    point = point_of(model, size := 30.0)
    totals = np.array(TOTALS.totals, dtype=float)
    none = dict.fromkeys(("AB", "AC", "BC"), 0.0)
    p = chances(totals, size, point["t.list_deviation"], none, 3)
    histories = ["100", "010", "001", "110", "101", "011", "111"]
    exact = 0.0
    for ab, ac, bc, abc in product(range(6), range(5), range(5), range(5)):
        cells = (7 - ab - ac - abc, 5 - ab - bc - abc, 4 - ac - bc - abc, ab, ac, bc, abc)
        if min(cells) >= 0 and sum(cells) == 11:
            chance = [*(p[h] for h in histories), p["000"]]
            exact += float(stats.multinomial.pmf([*cells, size - 11], int(size), chance))
    assert float(compute(point)[0]) == pytest.approx(np.log(exact), rel=1e-10)


@pytest.mark.parametrize("data", [TABLE, TWO, TOTALS, MANY], ids=["table", "two", "few", "many"])
def test_below_the_people_seen_the_density_falls_and_stays_finite(
    data: OverlapTable | Margins,
) -> None:
    model, compute = compiled(data, Priors())
    seen = data.observed
    found = [
        compute(point_of(model, size))[:2]
        for size in (0.001, 0.5 * seen, 0.99 * seen, seen, 1.01 * seen, 1e6 * seen)
    ]
    assert np.isfinite(found).all()
    below = np.array(found)[:4, 0]
    assert (np.diff(below) > 0).all()
    assert (np.array(found)[:3, 1] > 0).all()


def test_effects_of_lists_have_their_beta_prior_and_a_stand_in_without_weight() -> None:
    priors = Priors(order=1, list_beta=0.7)
    model, compute = compiled(TWO, priors)
    size, places = 300.0, (0.3, -1.0)
    effects, densities, free = [], [], []
    for place in places:
        point = point_of(model, size) | {"t.list_deviation": np.array([place, 0.2])}
        model["weight"].set_value(np.array(1.0))
        densities.append(float(compute(point)[2]))
        model["weight"].set_value(np.array(0.0))
        free.append(float(compute(point)[2]))
        effects.append(np.log(64.5) - np.log(size - 63.5) + place)
    p = expit(np.array(effects))
    expected = np.diff(0.7 * np.log(p * (1 - p)))
    assert np.diff(densities) == pytest.approx(expected)
    assert np.diff(free) == pytest.approx(np.diff(stats.norm.logpdf(places)))


# --- a study with a component -------------------------------------------------------------------

LISTS = """
[[components]]
id = "lists"
source = "study"
area = "Northtown"
group = "alpha"
rates = "known"
period = "2009/10"
definition = "people on two lists"
citation = "made up"
file = "lists.csv"
lists = ["clinic", "police"]
count = "people"
dependence = { odds_ratio = { low = 0.5, high = 5, level = 0.95 } }
"""
CSV = "clinic,police,people\n1,0,60\n0,1,49\n1,1,4\n"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    shutil.copytree(TINY, folder)
    (folder / "lists.csv").write_text(CSV, encoding="utf-8")
    return folder


def read(folder: Path, text: str = LISTS) -> Study:
    with (folder / "study.toml").open("a", encoding="utf-8") as file:
        file.write(text)
    return load_study(folder)


def test_a_component_joins_the_rows_of_evidence(tiny: Path) -> None:
    study = read(tiny)
    data = study.data
    assert data.ids[-1] == "lists"
    assert data.counted.tolist() == [*data.included.tolist(), True]
    assert data.exponents[-1].tolist() == [float(name == "known") for name in data.rates.names]
    assert data.targets.loc["lists", "middle"] == 2009.75
    assert "lists.csv" in study.sha256
    model = build(study)
    assert set(values(data)) == {variable.name for variable in model.data_vars}
    for variable in (*model.free_RVs, *model.deterministics):
        assert len(model.named_vars_to_dims.get(variable.name, ())) == variable.ndim, variable
    compute = model.compile_fn(
        model.replace_rvs_by_values(model.deterministics), inputs=model.value_vars, mode=PLAIN,
        on_unused_input="ignore",
    )  # fmt: skip
    names = [variable.name for variable in model.deterministics]
    found = dict(zip(names, compute(model.initial_point()), strict=True))
    assert found["pointwise"].shape == found["without_bias"].shape == (len(data.ids),)
    assert np.isfinite(found["pointwise"]).all()
    place = data.areas.index("Northtown"), data.groups.index("alpha")
    odds = np.exp(model.initial_point()["share_logodds__"])
    known = (odds / (1 + odds))[data.rates.shares.index("known")]
    assert found["without_bias"][-1] == pytest.approx(found["users"][place] * known)


def test_variants_treat_it_like_a_row(tiny: Path) -> None:
    text = (
        '\n[[variants]]\nname = "no-lists"\ntitle = "No"\nwithout_rows = ["lists"]\n'
        '\n[[variants]]\nname = "no-study"\ntitle = "No"\nwithout_sources = ["study"]\n'
    )
    study = read(tiny, LISTS + text)
    full = study.data.ids
    by_name = {one.name: one.apply(study.data).counted for one in study.variants}
    assert not by_name["no-lists"][-1]
    left = [name for name, yes in zip(full, by_name["no-study"], strict=True) if yes]
    assert "lists" not in left
    assert "shire_any" not in left
    assert by_name["no-police"][-1]
    assert {one.without_sources for one in leave_one_source_out(study)} == {
        ("study",), ("clinic",), ("survey",), ("police",)
    }  # fmt: skip


def test_an_unused_component_waits_for_a_variant(tiny: Path) -> None:
    lists = LISTS + 'use = "no"\nreason = "for a variant"\ninstead_of = ["shire_any"]\n'
    text = (
        '\n[[variants]]\nname = "lists"\ntitle = "L"\nwith_rows = ["lists"]\n'
        'without_rows = ["shire_any"]\n'
    )
    study = read(tiny, lists + text)
    assert not study.data.joined.any()
    assert study.variants[-1].apply(study.data).joined.all()


def test_a_copy_holds_the_table(tiny: Path, tmp_path: Path) -> None:
    study = read(tiny)
    copy_files(study, tmp_path / "copy")
    assert (tmp_path / "copy" / "lists.csv").read_text(encoding="utf-8") == CSV
    assert load_study(tmp_path / "copy").sha256 == study.sha256


def test_margins_need_no_file(tiny: Path) -> None:
    margins = LISTS.replace(
        'file = "lists.csv"\nlists = ["clinic", "police"]\ncount = "people"\n',
        "totals = { clinic = 64, police = 53 }\ndistinct = 113\n",
    )
    table = read(tiny, margins).data.components[0].table
    assert table == Margins(("clinic", "police"), (64, 53), 113)


def test_the_report_lists_it(tiny: Path) -> None:
    study = read(tiny)
    drawn = Sampler(build(study)).prior(values(study.data), 50, 1)
    tree = xr.DataTree.from_dict({"posterior": drawn})
    (row,) = component_rows(Estimate(tree, study, "synthesis"))
    assert row["lists"] == "clinic 64, police 53"
    assert row["observed"] == "113"
    assert row["about"] == "Northtown, alpha"
    assert row["odds_ratios"]
    assert row["unused"] == ""


# --- faults -------------------------------------------------------------------------------------

TABLE_LINES = 'file = "lists.csv"\nlists = ["clinic", "police"]\ncount = "people"\n'
SAME = 'instead_of = ["shire_any"]\n'

FAULTS: list[tuple[str, dict[str, str], str]] = [
    ("component-id", {'id = "lists"': 'id = "a.b"'}, "components[1].id"),
    ("component-twice", {'id = "lists"': 'id = "s_survey"'}, "components.s_survey"),
    ("component-area", {'"Northtown"': '"Easttown"'}, "components[1].area"),
    ("component-group", {'"alpha"': '"gamma"'}, "components[1].group"),
    ("component-source", {'"study"': '"nobody"'}, "components[1].source"),
    ("component-period", {"2009/10": "in 2009"}, "components[1].period"),
    ("component-period-far", {"2009/10": "1900"}, "components[1].period"),
    ("component-rates-form", {'"known"': '"known known"'}, "components[1].rates"),
    ("component-rate", {'"known"': '"unknown"'}, "components[1].rates"),
    ("component-ages", {"definition": 'ages = "18-40"\ndefinition'}, "components[1].ages"),
    ("component-use", {"definition": 'use = "maybe"\ndefinition'}, "components[1].use"),
    ("component-reason", {"definition": 'use = "no"\ndefinition'}, "components[1].reason"),
    ("component-no-table", {TABLE_LINES: ""}, "components[1].file"),
    ("component-two-tables", {"definition": "totals = {a = 3, b = 4}\ndefinition"},
     "components[1].totals"),
    ("component-count", {'count = "people"\n': ""}, "components[1].count"),
    ("component-by", {"definition": 'by = ["sex"]\ndefinition'}, "components[1].by"),
    ("component-odds-ratio", {"low = 0.5": "low = 6"}, "components[1].dependence.odds_ratio"),
    ("component-dependence", {"dependence = { ": "dependence = { interaction_sd = 0.3, "},
     "components[1].dependence"),
    ("component-instead", {"definition": 'instead_of = ["no_row"]\ndefinition'},
     "components.lists"),
    ("component-double", {"definition": SAME + "definition"}, "components.lists"),
    ("toml-key", {"definition": 'person = "id"\ndefinition'}, "components[1].person"),
    ("path-outside", {"lists.csv": "../lists.csv"}, "components[1].file"),
]  # fmt: skip


def faults_of(folder: Path, text: str) -> list[Any]:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    return list(caught.value.faults)


@pytest.mark.parametrize(("code", "changes", "column"), FAULTS, ids=[case[0] for case in FAULTS])
def test_each_fault_is_said_once_where_it_is(
    code: str, changes: dict[str, str], column: str, tiny: Path
) -> None:
    text = LISTS
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    (fault,) = faults_of(tiny, text)
    assert (fault.code, fault.file, fault.column) == (code, "study.toml", column)


def test_a_table_with_ranges_is_refused(tiny: Path) -> None:
    (tiny / "lists.csv").write_text(CSV.replace("49", "0-4"), encoding="utf-8")
    (fault,) = faults_of(tiny, LISTS)
    assert (fault.code, fault.file, fault.column) == (
        "component-brackets", "study.toml", "components.lists"
    )  # fmt: skip


def test_what_the_log_linear_model_refuses_is_refused(tiny: Path) -> None:
    text = LISTS.replace(TABLE_LINES, "totals = { a = 64, b = 53, c = 20 }\ndistinct = 113\n")
    (fault,) = faults_of(tiny, text.replace("dependence = { ", "dependence = { order = 3, "))
    assert (fault.code, fault.column) == ("loglinear-margins-order", "components.lists")


def test_a_table_by_strata_is_refused() -> None:
    table = OverlapTable(
        ("A", "B"), ("sex",), (("f",), ("m",)), np.array([[True, True]] * 2), np.arange(2),
        np.array([3.0, 4.0]), np.array([3.0, 4.0]), np.zeros(2, dtype=bool),
    )  # fmt: skip
    found = loglinear_component.refusal(table, Priors())
    assert found is not None
    assert found.code == "component-strata"
    assert "sex" in messages()[found.code].what.format(**found.values)


def test_faults_of_the_table_keep_their_file_and_row(tiny: Path) -> None:
    (tiny / "lists.csv").write_text(CSV.replace("49", "many"), encoding="utf-8")
    (fault,) = faults_of(tiny, LISTS)
    assert (fault.file, fault.row, fault.column) == ("lists.csv", 3, "people")


def test_a_variant_must_not_count_the_same_people_twice(tiny: Path) -> None:
    lists = LISTS + 'use = "no"\nreason = "for a variant"\n' + SAME
    text = '\n[[variants]]\nname = "both"\ntitle = "B"\nwith_rows = ["lists"]\n'
    (fault,) = faults_of(tiny, lists + text)
    assert (fault.code, fault.column) == ("component-double", "variants.both")


def test_every_code_has_a_case() -> None:
    codes = {code for code in messages() if code.startswith("component-")}
    cases = {case[0] for case in FAULTS} | {"component-brackets", "component-strata"}
    assert codes == {case for case in cases if case.startswith("component-")}
