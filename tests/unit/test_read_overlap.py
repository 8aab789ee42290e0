"""Good tables are read alike in every form, and large files as small ones."""

import csv
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hiddenpop.cli.made_study import Choice, made_study
from hiddenpop.errors import InputError
from hiddenpop.inputs import bytecells, tally
from hiddenpop.inputs.bytecells import NotPlain
from hiddenpop.inputs.columns import Sheet, open_sheet
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.margins_text import read_margins
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.overlap_csv import read_overlap
from hiddenpop.inputs.repeats_csv import read_repeats
from hiddenpop.inputs.table_source import TableSource

__all__: list[str] = []

LISTS = ("police", "treatment", "exchange")
COUNTS = {"100": 60, "010": 49, "001": 30, "110": 4, "101": 5, "011": 6, "111": 2}

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        (tmp_path / "table.csv").write_bytes(text.encode())
        return tmp_path / "table.csv"

    return put


def same(one: OverlapTable, other: OverlapTable) -> bool:
    fields = ("history", "stratum", "low", "high", "structural")
    return (
        (one.lists, one.factors, one.strata) == (other.lists, other.factors, other.strata)
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in fields)
        and np.array_equal(one.population, other.population)  # type: ignore[arg-type]
    )


def wide(counts: Mapping[str, object] = COUNTS, head: str = "police,treatment,exchange,n\n") -> str:
    return head + "".join(f"{','.join(text)},{count}\n" for text, count in counts.items())


def people(counts: Mapping[str, int] = COUNTS) -> list[str]:
    return [text for text, count in counts.items() for _ in range(count)]


EXPECTED = OverlapTable.from_counts(LISTS, COUNTS)


def test_counts_by_columns(write: Write) -> None:
    assert same(read_overlap(write(wide()), LISTS, count="n"), EXPECTED)


def test_the_order_of_rows_and_columns_changes_nothing(write: Write) -> None:
    text = wide(dict(reversed(COUNTS.items())))
    rows = [row.split(",")[::-1] for row in text.splitlines()]
    path = write("\n".join(",".join(row) for row in rows))
    assert same(read_overlap(path, LISTS, count="n"), EXPECTED)


def test_counts_by_histories(write: Write) -> None:
    path = write("h,n\n" + "".join(f"{text},{count}\n" for text, count in COUNTS.items()))
    assert same(read_overlap(path, LISTS, history="h", count="n"), EXPECTED)
    unnamed = read_overlap(path, history="h", count="n")
    assert unnamed.lists == ("list 1", "list 2", "list 3")
    assert np.array_equal(unnamed.low, EXPECTED.low)


def test_one_row_for_each_person(write: Write) -> None:
    rows = [f"P{i},{','.join(text)}" for i, text in enumerate(people())]
    path = write("\n".join(["id,police,treatment,exchange", *rows]))
    assert same(read_overlap(path, LISTS, person="id"), EXPECTED)
    assert same(read_overlap(path, LISTS, ignore=["id"]), EXPECTED)
    path = write("\n".join(["h", *people()]))
    assert same(read_overlap(path, LISTS, history="h"), EXPECTED)


def test_linked_registers(write: Write, rng: np.random.Generator) -> None:
    pairs = [
        f"P{i},{LISTS[j]}"
        for i, text in enumerate(people())
        for j, mark in enumerate(text)
        if mark == "1"
    ]
    pairs += pairs[:50]  # the same person on the same list twice
    rng.shuffle(pairs)
    path = write("\n".join(["id,list", *pairs]))
    found = read_overlap(path, LISTS, person="id", list_column="list")
    assert same(found, EXPECTED)
    unnamed = read_overlap(path, person="id", list_column="list")
    assert unnamed.lists == tuple(sorted(LISTS))
    assert same(unnamed.permuted([unnamed.lists.index(name) for name in LISTS]), EXPECTED)


def test_strata_are_in_natural_order_in_every_form(write: Write) -> None:
    rows = [(age, text) for age in ("15-29", "5-14", "30+") for text in people()]
    expected = None
    counted = ["age,h,n", *(f"{age},{t},{n}" for age in ("15-29", "5-14", "30+")
                            for t, n in COUNTS.items())]  # fmt: skip
    expected = read_overlap(write("\n".join(counted)), LISTS, history="h", count="n", by=["age"])
    assert expected.strata == (("5-14",), ("15-29",), ("30+",))
    assert expected.observed_by_stratum.tolist() == [156.0] * 3
    path = write("\n".join(["age,h", *(",".join(row) for row in rows)]))
    assert same(read_overlap(path, LISTS, history="h", by=["age"]), expected)
    pairs = [
        f"{age},P{i},{LISTS[j]}"
        for i, (age, text) in enumerate(rows)
        for j, mark in enumerate(text)
        if mark == "1"
    ]
    path = write("\n".join(["age,id,list", *pairs]))
    linked = read_overlap(path, LISTS, person="id", list_column="list", by=["age"])
    assert same(linked, expected)


def test_remarks_spaces_quotes_and_blank_lines_do_not_count(write: Write) -> None:
    text = wide().replace("1,0,0,60", ' "1" ,0, 0 , 60 ').replace(' "1" ', '"1"')
    text = '# Source: made up, "quoted\n\n# second line\n' + text.replace("\n", "\r\n\r\n")
    assert same(read_overlap(write(text), LISTS, count="n"), EXPECTED)


def test_counts_that_are_not_known(write: Write) -> None:
    text = wide(
        COUNTS | {"110": "<5", "101": "*", "011": "unknown", "111": "1-7", "001": "impossible"}
    )
    rules = {"<5": "0-4", "*": "1-9"}
    table = read_overlap(write(text), LISTS, count="n", suppressed=rules)
    cells = zip(table.labels, table.low, table.high, strict=True)
    ends = {label: (low, high) for label, low, high in cells}
    assert ends == {
        "100": (60, 60), "010": (49, 49), "110": (0, 4), "001": (0, 0), "101": (1, 9),
        "011": (0, np.inf), "111": (1, 7),
    }  # fmt: skip
    assert table.structural.tolist() == [label == "001" for label in table.labels]
    assert not table.exact


def test_impossible_histories_are_marked_in_every_stratum(write: Write) -> None:
    counts = {text: 0 if text[:2] == "11" else count for text, count in COUNTS.items()}
    del counts["111"]
    text = wide(counts)
    table = read_overlap(write(text), LISTS, count="n", structural=["11*"])
    assert [table.labels[i] for i in np.flatnonzero(table.structural)] == ["110", "111"]
    assert table.observed == sum(counts.values())


def test_rows_of_one_history_are_added_up_only_when_asked(write: Write) -> None:
    split = wide(COUNTS | {"100": 50}) + "1,0,0,10\n"
    with pytest.raises(InputError, match="history-twice"):
        read_overlap(write(split), LISTS, count="n")
    found = read_overlap(write(split), LISTS, count="n", add_duplicates=True)
    assert same(found, EXPECTED)
    # Split by another column they stay apart only as long as the column is named.
    rows = [f"{half},{text},{n}" for half in "ab" for text, n in COUNTS.items()]
    path = write("\n".join(["half,h,n", *rows]))
    by = read_overlap(path, LISTS, history="h", count="n", by=["half"])
    assert np.array_equal(by.total().low, 2 * EXPECTED.low)


def test_residents(write: Write, tmp_path: Path) -> None:
    assert read_overlap(write(wide()), LISTS, count="n", population=1000).residents == 1000
    rows = [f"{sex},{text},{n}" for sex in ("male", "female") for text, n in COUNTS.items()]
    path = write("\n".join(["sex,h,n", *rows]))
    (tmp_path / "population.csv").write_text("population,sex\n900,male\n800,female\n")
    options: dict[str, Any] = {"history": "h", "count": "n", "by": ["sex"]}
    table = read_overlap(path, LISTS, **options, population=tmp_path / "population.csv")
    assert table.strata == (("female",), ("male",))
    assert table.population is not None
    assert table.population.tolist() == [800.0, 900.0]
    together = read_overlap(path, LISTS, **options, population="1700")
    assert together.residents == together.total().residents == 1700
    assert together.of_stratum(1).residents is None
    assert table.of_stratum(1).residents == 900


def test_totals_that_agree(write: Write) -> None:
    totals = {"police": 71, "exchange": 43}
    assert read_overlap(write(wide()), LISTS, count="n", totals=totals).observed == 156


def test_a_short_list_may_lie_inside_another_by_chance(write: Write) -> None:
    text = "a,b,c,n\n1,0,0,60\n1,1,0,3\n0,0,1,30\n1,0,1,6\n"
    assert read_overlap(write(text), ["a", "b", "c"], count="n").observed == 99


def test_lists_that_are_nested_by_design_are_no_fault(write: Write) -> None:
    text = "a,b,c,n\n1,0,0,60\n1,1,0,30\n0,0,1,30\n1,0,1,6\n1,1,1,2\n"
    table = read_overlap(write(text), ["a", "b", "c"], count="n", structural=["01*"])
    assert table.structural.sum() == 2


def test_margins() -> None:
    margins = read_margins(["2905", 1188, 531.0], "4117", population=1e6)  # type: ignore[list-item]
    assert (margins.totals, margins.distinct) == ((2905, 1188, 531), 4117)
    assert margins.lists == ("list 1", "list 2", "list 3")
    assert margins.residents == 1e6


def test_repeats(write: Write) -> None:
    text = "# made up\nk,sex,age,n\n2,male,20,4\n1,male,20,30\n1,female,31.5,20\n3,female,20,0\n"
    path = write(text)
    table = read_repeats(path, "k", count="n", covariates=["sex", "age"], population=900)
    assert table.frequencies.tolist() == [0, 50, 4]
    assert table.observed == 54
    assert table.residents == 900
    assert isinstance(table.covariates["sex"].dtype, pd.CategoricalDtype)
    assert table.covariates["age"].tolist() == [31.5, 20.0, 20.0]
    rows = ["k,sex,age"] + ["2,male,20"] * 4 + ["1,male,20"] * 30 + ["1,female,31.5"] * 20
    persons = read_repeats(write("\n".join(rows)), "k", covariates=["sex", "age"])
    assert persons.times.tolist() == table.times.tolist()
    assert persons.count.tolist() == table.count.tolist()
    pd.testing.assert_frame_equal(persons.covariates, table.covariates)
    split = write("k,n\n1,20\n1,30\n2,4\n")
    assert read_repeats(split, "k", count="n", add_duplicates=True).count.tolist() == [50, 4]


def test_a_table_reads_back_as_it_was_written(write: Write) -> None:
    text = wide(COUNTS | {"110": "0-4", "011": "unknown", "001": "impossible"})
    table = read_overlap(write(text), LISTS, count="n")
    source = TableSource("wide.csv", LISTS, "n")
    study = made_study(("wide", "Wide", "How many?"), source, table, Choice())
    text = study.files["table.csv"].decode()
    again = read_overlap(write(text), study.source.lists, count=study.source.count)
    assert same(again, table)


# Large files: words of bytes against the csv module.


def sheet_of(text: str, tmp_path: Path) -> Sheet:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode())
    faults = Faults()
    named = {"--lists": text.partition("\n")[0].strip().replace('"', "").split(",")}
    sheet = open_sheet(path, named, faults)
    assert sheet is not None
    return sheet


def assert_same_tally(sheet: Sheet, columns: list[str], person: str | None) -> None:
    fast = tally.by_words(sheet, columns, person)
    slow = tally.by_records(sheet, columns, person, Faults())
    assert slow is not None
    pd.testing.assert_frame_equal(fast.kinds, slow.kinds, check_index_type=False)
    assert np.array_equal(fast.kind, slow.kind)
    assert np.array_equal(fast.line, slow.line)
    assert np.array_equal(fast.nameless, slow.nameless)
    if person:
        assert np.array_equal(fast.repeated(), slow.repeated())
        assert persons(fast) == persons(slow)


def persons(found: tally.Tally) -> set[frozenset[int]]:
    order, begins = found.persons()
    return {frozenset(part.tolist()) for part in np.split(order, begins[1:])}


@pytest.mark.parametrize("seed", range(20))
def test_large_files_are_tallied_as_small_ones(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(bytecells, "SIZE", int(rng.integers(20, 400)))
    levels = ["male", "female", "männlich, alt", "", "not stated at all", "a b"]
    ids = ["", "7", "12345678", "123456789", "é" * 9, *(f"person-{i:012d}" for i in range(40))]
    rows = [
        [ids[rng.integers(len(ids))], "x" * int(rng.integers(0, 90)),
         *map(str, rng.integers(0, 2, 2)), levels[rng.integers(len(levels))]]
        for _ in range(200)
    ]  # fmt: skip
    end, style = [("\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL)][seed % 2]
    if seed % 3 == 0:
        rows = [[f" {cell}\t" if "," not in cell else cell for cell in row] for row in rows]
    path = tmp_path / "made.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator=end, quoting=style)
        writer.writerow(["id", "note", "a", "b", "sex"])
        for row in rows:
            writer.writerow(row)
            stream.write(end * int(rng.integers(0, 8) == 0))
    sheet = sheet_of(path.read_bytes().decode().rstrip("\r\n" if seed % 5 else ""), tmp_path)
    assert_same_tally(sheet, ["a", "b", "sex"], "id")
    assert_same_tally(sheet, ["sex", "a"], None)


@pytest.mark.parametrize(
    "body",
    [
        "1,0\n1\n",
        "1,0\n1,0,0\n",
        "1,0\n#1,0\n",
        "1,0\n,\n",
        "1,0\n  \n",
        "1,0\r1,1\n",
        '"1,0\n1,1\n',
        '"1\n",0\n',
        '1,"0" \n',
        '1,"0""1"\n',
        '1,a"0"\n',
        f"1,{'0' * 65}\n",
        "",
    ],
)
def test_what_is_not_plain_is_left_to_the_csv_module(body: str, tmp_path: Path) -> None:
    with pytest.raises(NotPlain):
        tally.by_words(sheet_of("a,b\n" + body, tmp_path), ["a", "b"], None)


def test_ids_that_share_a_mark_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"person-{i % 7:09d},{i % 2},{i % 3}\n" for i in range(20))
    sheet = sheet_of("id,a,b\n" + rows, tmp_path)
    own = tally.mixed
    # A single word has a mark of its own.
    monkeypatch.setattr(
        tally, "mixed", lambda words: own(words[:, :0] if words.shape[1] > 1 else words)
    )
    assert_same_tally(sheet, ["a", "b"], "id")


def test_large_and_small_files_give_one_table(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"P{i},{','.join(text)}" for i, text in enumerate(people())]
    path = write("\n".join(["id,police,treatment,exchange", *rows]))
    monkeypatch.setattr(tally, "LARGE", 0)
    assert same(read_overlap(path, LISTS, person="id"), EXPECTED)
    pairs = [
        f"P{i},{LISTS[j]}"
        for i, text in enumerate(people())
        for j, mark in enumerate(text)
        if mark == "1"
    ]
    path = write("\n".join(["id,list", *pairs]))
    assert same(read_overlap(path, LISTS, person="id", list_column="list"), EXPECTED)


def test_rows_on_no_list_alone_are_named_one_by_one(write: Write) -> None:
    with pytest.raises(InputError) as caught:
        read_overlap(write("a,b,n\n0,0,3\n0,0,\nTotal,,3\n"), ["a", "b"], count="n")
    found = [(fault.code, fault.row) for fault in caught.value.faults]
    assert found == [("total-row", 4), ("row-nobody", 2), ("row-nobody", 3)]


SCRIPT = """
import resource, sys, time
import pandera.pandas
from hiddenpop.inputs.overlap_csv import read_overlap

start = time.process_time()
table = read_overlap(sys.argv[1], ["a", "b", "c", "d"], person="id")
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(table.observed, time.process_time() - start, memory / 1024**2)
"""


@pytest.mark.slow
def test_ten_million_persons_in_twenty_seconds_and_four_gigabytes(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    rows = 10_000_000
    template = np.frombuffer(b"00000000,0,0,0,0\n", dtype=np.uint8)
    people = np.tile(template, (rows, 1))
    number = np.arange(rows)
    for digit in range(8):
        people[:, digit] += (number // 10 ** (7 - digit) % 10).astype(np.uint8)
    history = rng.integers(1, 16, rows)
    for place in range(4):
        people[:, 9 + 2 * place] += (history >> place & 1).astype(np.uint8)
    path = tmp_path / "people.csv"
    path.write_bytes(b"id,a,b,c,d\n" + people.tobytes())
    del people
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True
    )
    observed, seconds, gigabytes = map(float, done.stdout.split())
    path.unlink()
    assert observed == rows
    assert seconds < 20
    assert gigabytes < 4
