"""Benchmarks read from files and from the texts of a command line, and written again."""

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiddenpop.errors import InputError
from hiddenpop.inputs.clusters import read_clusters
from hiddenpop.inputs.multiplier_cells import COLUMNS
from hiddenpop.inputs.multiplier_counts import rounded
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.inputs.multipliers_csv import (
    benchmark_from,
    multiplier_from,
    multipliers_csv,
    read_multipliers,
)
from hiddenpop.inputs.switches import switched

__all__: list[str] = []

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "benchmarks-and-surveys.md"

EVERYTHING = """\
id,kind,count,interval,sample,percent,sample_design_effect,share,low,high,level,x,n,design,\
design_effect,quantiles,selection,overcount,undercount,error,survey,recruited,referred,new,\
x_referred,x_new,residents,source,note
treatment,,1981,,,,,,,,,144,603,rds,4,,1 to 2.5 at 0.95,0.01 to 0.1 at 0.9,,,street,streets,200,90,\
20,7,90000,"Services, 2004",as published
arrests,people,<5,,,,,0.55,0.52,0.60,0.95,,,,,,,,0.05 to 20 % at 95 %,,,,,,,,,,
prison,people,1-4,,,,,,,,,70,603,random,,,,,,0.67 to 1.5 at 0.95,street,,,,,,,,
deaths,events,17,,,,,,0.003,0.02,0.95,,,,,,,,,,,,,,,,,,
admissions,events,40,,,,,,,,,12,3450.5,random,,,,,,,,,,,,,,,
turnover,amount,1250.5,1e3 to 1.5e3 at 0.9,,,,,,,,,,,,"0.1: 400, 0.5: 900, 0.9: 4000",,,,,,,,,,,,,
household,survey,,,24197,0.2,1.5,,,,,30,90,,,,,,,,,,,,,,,,
police,figure,,350 to 400 at 80 %,,,,,,,,,,,,,,,,0.5 to 2 at 0.95,,,,,,,,,
experts,figure,900,600 to 1500 at 0.8,,,,,,,,,,,,,,,,,,,,,,,,,
"""


def written(text: str, folder: Path) -> Path:
    path = folder / "benchmarks.csv"
    path.write_text(text, encoding="utf-8")
    return path


def same(first: MultiplierTable, second: MultiplierTable) -> None:
    """Rows compare by their texts, in which a missing number is equal to itself."""
    assert repr(first.rows) == repr(second.rows)
    assert first.strata == second.strata
    np.testing.assert_array_equal(first.population, second.population)


@pytest.fixture
def everything(tmp_path: Path) -> dict[str, Benchmark]:
    """The rows of a table with every column, by id."""
    table = read_multipliers(written(EVERYTHING, tmp_path))
    assert table.strata == (("", ""),)
    assert table.population.tolist() == [90000]
    return {row.id: row for row in table.rows}


def test_a_count_with_a_survey_and_all_that_may_be_wrong_with_it(
    everything: dict[str, Benchmark],
) -> None:
    assert everything["treatment"] == Benchmark(
        "treatment",
        "people",
        1981,
        1981,
        1981,
        Rate(144, 603, 4, (), stated_effect=True),
        selection=Interval(1, 2.5, 0.95),
        overcount=Interval(0.01, 0.1, 0.9),
        survey="street",
        parts={"referred": (200, 20), "new": (90, 7)},
        source="Services, 2004",
    )


def test_an_interval_is_three_quantiles_and_a_suppressed_count_a_range(
    everything: dict[str, Benchmark],
) -> None:
    arrests = everything["arrests"]
    assert (arrests.value, arrests.least, arrests.most) == (2, 0, 4)
    assert arrests.rate == Rate(quantiles=((0.025, 0.52), (0.5, 0.55), (0.975, 0.6)))
    assert everything["prison"].least == 1
    assert everything["prison"].most == 4
    assert everything["prison"].rate == Rate(70, 603)


def test_a_percent_sign_after_the_upper_end_holds_for_both(
    everything: dict[str, Benchmark],
) -> None:
    undercount = everything["arrests"].undercount
    assert undercount is not None
    assert undercount == pytest.approx((0.0005, 0.2, 0.95))


def test_events_and_amounts_have_rates_per_person(everything: dict[str, Benchmark]) -> None:
    assert everything["deaths"].rate == Rate(quantiles=((0.025, 0.003), (0.975, 0.02)))
    assert everything["admissions"].rate == Rate(12, 3450.5)
    turnover = everything["turnover"]
    assert turnover.rate == Rate(quantiles=((0.1, 400), (0.5, 900), (0.9, 4000)))
    assert turnover.value == turnover.least == turnover.most == 1250.5
    assert turnover.interval == Interval(1e3, 1.5e3, 0.9)


def test_a_rounded_percentage_is_a_range_of_respondents(everything: dict[str, Benchmark]) -> None:
    household = everything["household"]
    assert (household.least, household.most) == (37, 60)
    assert (household.sample, household.sample_effect) == (24197, 1.5)
    assert household.rate == Rate(30, 90)


def test_a_figure_may_be_an_interval_alone(everything: dict[str, Benchmark]) -> None:
    police = everything["police"]
    assert police.value == pytest.approx(math.sqrt(350 * 400), rel=1e-14)
    assert police.interval == Interval(350, 400, 0.8)
    assert police.rate is None
    assert everything["experts"].value == 900


def test_what_is_written_reads_back_as_the_same_table(tmp_path: Path) -> None:
    table = read_multipliers(written(EVERYTHING, tmp_path))
    again = read_multipliers(written(multipliers_csv(table), tmp_path))
    same(again, table)
    assert multipliers_csv(again) == multipliers_csv(table)


AREAS = """\
id,area,period,count,x,n,residents
treatment,Derby,2004/05,800,40,100,150000
treatment,Derby,2005/06,900,,,151000
treatment,Erewash,2004/05,,30,90,70000
treatment,Erewash,2005/06,,,,70500
arrests,Derby,2004/05,300,,,150000
arrests,Erewash,2004/05,90,20,100,
"""


def test_areas_without_a_survey_a_benchmark_or_either(tmp_path: Path) -> None:
    table = read_multipliers(written(AREAS, tmp_path))
    assert table.strata == (
        ("Derby", "2004/05"),
        ("Derby", "2005/06"),
        ("Erewash", "2004/05"),
        ("Erewash", "2005/06"),
    )
    assert table.population.tolist() == [150000, 151000, 70000, 70500]
    assert [row.stratum for row in table.rows] == [0, 1, 2, 3, 0, 2]
    empty = table.rows[3]
    assert math.isnan(empty.value)
    assert empty.rate is None
    assert table.observed_by_stratum.tolist() == [800, 900, 90, 0]
    same(read_multipliers(written(multipliers_csv(table), tmp_path)), table)


def test_residents_from_a_file(tmp_path: Path) -> None:
    text = "\n".join(line.rpartition(",")[0] for line in AREAS.splitlines()) + "\n"
    people = tmp_path / "residents.csv"
    people.write_text(
        "area,period,population\nErewash,2004/05,7\nErewash,2005/06,8\n"
        "Derby,2004/05,1500\nDerby,2005/06,1600\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="multiplier-above-residents"):
        read_multipliers(written(text, tmp_path), population=people)
    people.write_text(people.read_text().replace(",7", ",700").replace(",8", ",800"))
    table = read_multipliers(written(text, tmp_path), population=people)
    assert table.population.tolist() == [1500, 1600, 700, 800]


def test_one_number_of_residents_beside_the_same_in_the_table(tmp_path: Path) -> None:
    text = "id,count,x,n,residents\ntreatment,1981,144,603,90000\n"
    table = read_multipliers(written(text, tmp_path), population=90000)
    assert table.population.tolist() == [90000]
    one_year = "".join(f"{line}\n" for line in AREAS.splitlines() if "2005/06" not in line)
    table = read_multipliers(written(one_year, tmp_path), population="220000")
    assert table.residents == 220000


def test_overlaps_are_kept(tmp_path: Path) -> None:
    text = "id,count,x,n,survey\ntreatment,1981,144,603,a\narrests,900,100,603,a\n"
    pair = Overlap("arrests", "treatment", 30, 250, Interval(0.5, 4, 0.95))
    assert read_multipliers(written(text, tmp_path), overlaps=[pair]).overlaps == (pair,)


def test_nobody_in_the_survey_is_information_beside_another_bound(tmp_path: Path) -> None:
    text = "id,count,x,n\ntreatment,1981,144,603\nprison,12,0,603\n"
    assert read_multipliers(written(text, tmp_path)).rows[1].rate == Rate(0, 603)


def test_a_file_of_clusters_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "clusters.csv").write_text("cluster,x,n\na,4,10\nb,1,12\nc,7,15\n")
    text = "id,count,clusters\ntreatment,1981,clusters.csv\n"
    table = read_multipliers(written(text, tmp_path))
    rate = table.rows[0].rate
    assert rate is not None
    assert (rate.x, rate.n, rate.stated_effect) == (12, 37, True)
    assert rate.design_effect > 1
    (tmp_path / "clusters.csv").unlink()
    same(read_multipliers(written(multipliers_csv(table), tmp_path)), table)


def test_a_benchmark_on_the_command_line() -> None:
    expected = Benchmark.counted(
        "benchmark", 1981, Rate(quantiles=((0.025, 0.52), (0.5, 0.55), (0.975, 0.6)))
    )
    assert benchmark_from("1981", share="0.55", low="0.52", high="0.60") == expected
    assert benchmark_from(benchmark=1981, share=0.55, low=0.52, high=0.6, level=None) == expected
    table = multiplier_from("1981", share="0.55", low="0.52", high="0.6", population="6e6")
    assert table.rows == (expected,)
    assert table.population.tolist() == [6e6]


@pytest.mark.parametrize("text", ["144/603", "144 / 603", "144 of 603", "144 out of 603"])
def test_a_survey_on_the_command_line(text: str) -> None:
    made = benchmark_from("1385", survey=text, design_effect="4", rds=True)
    assert made.rate == Rate(144, 603, 4, (), stated_effect=True)
    assert benchmark_from("1385", survey=text).rate == Rate(144, 603)


def test_other_kinds_and_clusters_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "clusters.csv"
    path.write_text("cluster,x,n\na,4,10\nb,1,12\nc,7,15\n")
    assert benchmark_from("1981", clusters=path) == benchmark_from("1981", clusters=str(path))
    found = multiplier_from(kind="survey", percent="0.2%", sample="24197", population=1e6)
    assert (found.rows[0].least, found.rows[0].most) == (37, 60)
    deaths = benchmark_from(17, kind="events", low="0.003", high="0.02")
    assert deaths.rate == Rate(quantiles=((0.025, 0.003), (0.975, 0.02)))
    figure = benchmark_from("", kind="figure", interval="350 to 400 at 0.8")
    assert figure.interval == Interval(350, 400, 0.8)


def test_a_survey_recruited_elsewhere_is_no_fault() -> None:
    row = benchmark_from("1981", survey="144/603", id="treatment", recruited="needle exchange")
    assert row.id == "treatment"


@given(st.integers(1, 40_000), st.integers(0, 3), st.data())
def test_rounded_percentages_hold_exactly_those_who_round_to_them(
    n: int, decimals: int, data: st.DataObject
) -> None:
    x = data.draw(st.integers(0, n))
    text = f"{100 * x / n:.{decimals}f}"
    ends = rounded(text, n)
    assert ends is not None
    least, most = ends
    assert least <= x <= most
    # Whoever lies outside by one is more than half a unit of the last digit away.
    unit = 10.0**-decimals
    for outside in (least - 1, most + 1):
        if 0 <= outside <= n:
            assert abs(100 * outside / n - float(text)) > unit / 2 * (1 - 1e-9)


def test_the_published_percentage_of_a_household_survey() -> None:
    assert rounded("0.2", 24197) == (37, 60)
    assert rounded("0.20", 24197) == (48, 49)
    assert rounded("0.0", 24197) == (0, 12)
    assert rounded("100", 10) == (10, 10)
    assert rounded("0.2", 100) is None
    with pytest.raises(ValueError, match="not a percentage"):
        rounded("few", 100)


FLOATS = st.floats(1e-4, 0.45)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**9),
    st.floats(1, 30),
    FLOATS,
    st.floats(0.01, 0.99).map(lambda level: round(level, 6)),
    st.floats(1e-3, 1e6),
)
def test_numbers_of_every_size_survive_being_written(
    count: int, effect: float, low: float, level: float, factor: float
) -> None:
    rows = (
        Benchmark.counted(
            "a",
            float(count),
            Rate(3.25, 700.5, effect, (), stated_effect=True),
            error=Interval(factor, factor * 1.5, level),
        ),
        Benchmark.counted("b", 7.0, Rate(quantiles=((0.1, low), (0.3, low * 1.5), (0.8, low * 2)))),
    )
    table = MultiplierTable.of(*rows, population=2e9)
    with TemporaryDirectory() as folder:
        again = read_multipliers(written(multipliers_csv(table), Path(folder)))
    same(again, replace(table, rows=rows))


def examples() -> list[str]:
    """The tables of the guide."""
    text = GUIDE.read_text(encoding="utf-8")
    return [part.split("```")[0] for part in text.split("```csv\n")[1:]]


@pytest.mark.parametrize("text", examples(), ids=lambda text: text.splitlines()[1])
def test_the_tables_of_the_guide_can_be_read(text: str, tmp_path: Path) -> None:
    path = written(text, tmp_path)
    if text.startswith("cluster,"):
        assert read_clusters(path).design_effect > 1
        return
    table = read_multipliers(path)
    if "referred" in text:
        assert switched(table, "referred").rows[0].value == 1581
        assert switched(table, "new").rows[1].value == 150


def test_the_guide_names_every_column() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [column for column in COLUMNS if f"`{column}`" not in text] == []
