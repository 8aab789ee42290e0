"""The shipped studies of multipliers give what analyses/*/expected.json and README.md say.

The family is computed, not drawn, so that what was recorded is met to one in a million. Tables in
the READMEs hold whole people and are met to one person; counts of the same people are summed with
a tolerance of about one in a thousand, which is then what is allowed.
"""

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp

__all__: list[str] = []

ROOT = Path(__file__).resolve().parents[2]
ANALYSES = ROOT / "analyses"
STUDIES = {
    "bangkok-2004": "bangkok-2004",
    "derby-multipliers": "derby-multipliers",
    "ilkeston-multipliers": "derby-multipliers",
}
"""Analysis of each study."""

JOINT = 2e-3
"""Relative tolerance of sizes from counts of the same people."""


def expected(analysis: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (ANALYSES / analysis / "expected.json").read_text(encoding="utf-8")
    )
    return content


def recorded(study: str) -> dict[str, Any]:
    ours: dict[str, Any] = expected(STUDIES[study])["ours"]
    return ours if "rows" in ours else ours[study]


@cache
def fitted(study: str) -> hp.FamilyFits:
    return hp.fit_families(hp.load_size_study(study))


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def read_rows(analysis: str) -> list[tuple[str, list[float]]]:
    """Name and numbers of every row of the tables in an analysis' README."""
    text = (ANALYSES / analysis / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|")]  # fmt: skip
    return [
        (cells[0], [float(x.replace(",", "")) for x in re.findall(r"[\d,]+", " ".join(cells[1:]))])
        for cells in rows
    ]


def meets(analysis: str, table: pd.DataFrame, rel: float = 0.0) -> None:
    """Every row of a computed table stands in the README, to one person or the tolerance."""
    stand = read_rows(analysis)
    for row in table.to_dict("records"):
        found = [row["median"], row["low"], row["high"]]
        near = [numbers for name, numbers in stand if name == row["what"]]
        assert any(numbers == pytest.approx(found, rel=rel, abs=1) for numbers in near), (row, near)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_gives_the_recorded_sizes(study: str) -> None:
    found, ours = fitted(study), recorded(study)
    assert found.passed
    table = found.table().set_index(["family", "quantity"])
    assert len(table) == len(ours["rows"])
    for row in ours["rows"]:
        here = table.loc[(row["family"], row["quantity"])]
        for name in ("median", "low", "high"):
            assert here[name] == pytest.approx(row[name], rel=ours["tolerance_relative"]), row


@pytest.mark.parametrize("study", STUDIES)
def test_each_benchmark_says_what_was_recorded(study: str) -> None:
    ours, benchmarks = recorded(study), fitted(study).headline.benchmarks
    assert benchmarks is not None
    here = benchmarks.set_index("benchmark")
    assert list(here.index) == [row["benchmark"] for row in ours["benchmarks"]]
    for row in ours["benchmarks"]:
        for name in set(row) - {"benchmark"}:
            value = float("nan") if row[name] is None else row[name]
            near = pytest.approx(value, rel=ours["tolerance_relative"], nan_ok=True)
            assert here.loc[row["benchmark"], name] == near, (row["benchmark"], name)


def test_bangkok_by_the_published_method() -> None:
    run = module(ANALYSES / "bangkok-2004" / "run.py")
    table = run.plain_method(hp.load_size_study("bangkok-2004")).set_index("size")
    assert table["count over share"].round().to_dict() == {"low": 3302, "N": 3602, "high": 3810}
    # The published sizes are the count over shares that round to the printed ones.
    assert (table["share behind it"].round(2) == table["printed share"]).all()
    (row,) = recorded("bangkok-2004")["benchmarks"]
    plain = [row["plain_low"], row["plain"], row["plain_high"]]
    assert plain == pytest.approx(table["count over share"].to_list())


def test_bangkok_overlaps_what_was_published() -> None:
    first, _ = expected("bangkok-2004")["published"]
    size, (published,) = fitted("bangkok-2004").headline.N(), fitted("bangkok-2004").study.published
    assert (published.N, published.low, published.high) == (3595, 3296, 3810)
    assert (first["N"], first["low"], first["high"]) == (3595, 3296, 3810)
    assert size.low < published.N < size.high
    # The count is one draw of a binomial here, and exact there.
    assert size.high - size.low > first["high"] - first["low"]


def test_bangkok_by_other_readings() -> None:
    run = module(ANALYSES / "bangkok-2004" / "run.py")
    table = run.readings(hp.load_size_study("bangkok-2004"))
    meets("bangkok-2004", table)
    width = (table["high"] - table["low"]).to_list()
    assert width[1] < width[2] < width[3] < width[4]


def test_hai_phong_with_assumed_design_effects() -> None:
    run = module(ANALYSES / "bangkok-2004" / "run.py")
    meets("bangkok-2004", run.hai_phong(), JOINT)


@pytest.mark.parametrize("study", ["derby-multipliers", "ilkeston-multipliers"])
def test_rows_that_are_left_out(study: str) -> None:
    run = module(ANALYSES / "derby-multipliers" / "run.py")
    meets("derby-multipliers", run.further(hp.load_size_study(study)))


def test_the_places_beside_the_synthesis() -> None:
    synthesis = expected("crack-2005")["ours"]["rows"]
    for one in expected("derby-multipliers")["compare"]:
        (other,) = (
            row for row in synthesis
            if (row["area"], row["group"], row["quantity"]) == (one["area"], one["group"], "N")
        )  # fmt: skip
        size = fitted(one["study"]).headline.N()
        # Looser, as it knows less, and about the same people.
        assert size.low < other["low"] < other["high"] < size.high
        assert size.low < other["median"] < size.high


def test_deaths_at_the_ratio_of_england() -> None:
    script = module(ROOT / "data" / "raw" / "multiplier_studies.py")
    rows = script.EVIDENCE
    deaths = {name: float(row["value"]) for name, row in rows.items() if name.startswith("deaths_")}
    per_user = sum(deaths.values()) / float(rows["eng_ocu_0405"]["value"])
    town = script.share_of_borough().centre
    text = (ANALYSES / "derby-multipliers" / "README.md").read_text(encoding="utf-8")
    text = " ".join(text.split())
    assert f"{deaths['deaths_derby'] / per_user:,.0f} users" in text
    assert f"{deaths['deaths_erewash'] * town / per_user:,.0f} in Ilkeston" in text


def test_inputs_are_those_of_the_script_and_the_synthesis() -> None:
    script = module(ROOT / "data" / "raw" / "multiplier_studies.py")
    assert script.differences() == []
    for study, name in (("derby-multipliers", "Derby"), ("ilkeston-multipliers", "Ilkeston")):
        target = hp.load_size_study(study).target
        assert target.population == float(script.AREAS[name]["population"])


def test_products_against_draws() -> None:
    """The quantiles of products, by quadrature, against simulation of the same factors."""
    script = module(ROOT / "data" / "raw" / "multiplier_studies.py")
    rng = np.random.default_rng(7)
    draws = 400_000
    low, high = (np.log(float(script.RATES["poisonings_per_opiate_user_4y"][end]))
                 for end in ("low", "high"))  # fmt: skip
    rate = np.exp(rng.normal((low + high) / 2, (high - low) / 2 / script.Z, draws))

    def share(one: tuple[float, float]) -> np.ndarray:
        centre, sd = one
        logit = np.log(centre / (1 - centre)) + sd * rng.standard_normal(draws)
        return np.asarray(1 / (1 + np.exp(-logit)))

    deaths = rate * share(script.share_of_users("eng_opi_0405"))
    town = deaths / share(script.share_of_borough())
    found = script.derived()
    for drawn, name in (
        (deaths, "deaths per user"),
        (town, "Erewash's deaths per user in Ilkeston"),
    ):
        assert np.quantile(drawn, script.PROBABILITIES) == pytest.approx(found[name], rel=0.015)
