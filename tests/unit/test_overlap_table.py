"""Overlap tables: one order of cells, totals, strata, and the file that reads back the same."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hiddenpop.inputs.canonical import canonical
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.size_study import SizeStudy, SizeTarget
from hiddenpop.inputs.table import Table
from hiddenpop.inputs.table_source import TableSource
from hiddenpop.studies import copy_files, load_size_study

__all__: list[str] = []


def stratified() -> OverlapTable:
    return OverlapTable(
        ("a", "b"),
        ("sex",),
        (("female",), ("male",)),
        np.array([[1, 0], [0, 1], [1, 1], [1, 0], [0, 1], [1, 1]], dtype=bool),
        np.array([0, 0, 0, 1, 1, 1]),
        np.array([5.0, 0.0, 0.0, 7.0, 3.0, 0.0]),
        np.array([5.0, 4.0, 0.0, 7.0, 3.0, np.inf]),
        np.array([False, False, True, False, False, False]),
    ).sorted()


def study(table: Table) -> SizeStudy:
    return SizeStudy(
        "a-table", "A table", "How many?", SizeTarget(), TableSource("x.csv"), table, (),
        "combined", {"size_prior": "1/N"}, Sampling(seed=5),
    )  # fmt: skip


def test_cells_stand_in_one_order() -> None:
    one = OverlapTable.from_counts(("a", "b"), {"11": 3, "10": 1, "01": 2})
    assert one.labels == ("10", "01", "11")
    np.testing.assert_array_equal(one.code, [1, 2, 3])
    np.testing.assert_array_equal(one.list_totals, [4, 5])
    assert one.permuted([1, 0]).lists == ("b", "a")
    np.testing.assert_array_equal(one.permuted([1, 0]).list_totals, [5, 4])


def test_a_table_on_which_nobody_is_has_its_lists() -> None:
    """Of 50 people on four lists that see few, a simulation may find none."""
    empty = OverlapTable.from_counts("abcd", {})
    assert empty.history.shape == (0, 4)
    assert empty.observed == 0
    np.testing.assert_array_equal(empty.list_totals, np.zeros(4))


def test_a_total_adds_strata_and_keeps_what_is_not_known() -> None:
    table = stratified()
    whole = table.total()
    assert whole.labels == ("10", "01", "11")
    np.testing.assert_array_equal(whole.low, [12, 3, 0])
    np.testing.assert_array_equal(whole.high, [12, 7, np.inf])
    # Impossible in one stratum only.
    np.testing.assert_array_equal(whole.structural, [False, False, False])
    assert table.of_stratum(0).structural.tolist() == [False, False, True]
    np.testing.assert_array_equal(table.observed_by_stratum, [5, 10])
    assert not table.exact


def test_an_array_of_all_combinations() -> None:
    table = OverlapTable.from_counts(("a", "b", "c"), {"100": 4, "011": 2})
    np.testing.assert_array_equal(table.dense(), [[np.nan, 4, 0, 0, 0, 0, 2, 0]])
    with pytest.raises(ValueError, match="15 lists"):
        OverlapTable.from_counts([f"l{j}" for j in range(15)], {"1" * 15: 1}).dense()


def test_margins_as_sums_of_cells() -> None:
    margins = Margins(("a", "b", "c"), (9, 8, 7), 18)
    cells = np.array([3, 2, 3, 4, 1, 1, 2])
    assert margins.sums.shape == (4, 7)
    by_hand = [3 + 3 + 1 + 2, 2 + 3 + 1 + 2, 4 + 1 + 1 + 2, cells.sum()]
    np.testing.assert_array_equal(margins.sums @ cells, by_hand)


@pytest.mark.parametrize(
    "table",
    [
        stratified(),
        Margins(("a", "b", "c"), (2905, 1188, 531), 4117),
        RepeatTable(np.array([1, 2]), np.array([5.0, 2.0]), pd.DataFrame({"sex": ["f", "m"]})),
    ],
    ids=["overlap", "margins", "repeats"],
)
def test_a_canonical_study_reads_back_the_same(table: Table, tmp_path: Path) -> None:
    made = canonical(study(table))
    copy_files(made, tmp_path)
    again = load_size_study(tmp_path)
    assert again.sha256 == made.sha256
    assert again.sampling == made.sampling
    assert dict(again.options) == {"size_prior": "1/N"}
    assert type(again.table) is type(table)
    assert canonical(again).files == made.files
    if isinstance(table, OverlapTable):
        assert isinstance(again.table, OverlapTable)
        assert again.table.labels == table.labels
        np.testing.assert_array_equal(again.table.low, table.low)
        np.testing.assert_array_equal(again.table.high, table.high)
        np.testing.assert_array_equal(again.table.structural, table.structural)
