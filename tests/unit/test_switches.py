"""Tables without referred people and with new cases only, and what this does to estimates."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pytest

from hiddenpop.errors import InputError
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.switches import incident, switched, without_referred

__all__: list[str] = []

LISTS = ("treat", "arrest")
COUNTS = {"10": 300, "01": 500, "11": 120}
TABLE = OverlapTable.from_counts(LISTS, COUNTS)


def overlap(counts: dict[str, float | tuple[float, float]]) -> OverlapTable:
    return OverlapTable.from_counts(LISTS, counts)


def counts_of(table: OverlapTable) -> dict[str, float]:
    assert (table.low == table.high).all()
    return dict(zip(table.labels, table.low.tolist(), strict=True))


def row(
    name: str, count: float, x: float | None = 100, **parts: tuple[float, float | None]
) -> Benchmark:
    made = Benchmark.counted(name, count, Rate(x, 600))
    return replace(made, rate=None if x is None else made.rate, parts=parts)


# What the switches do.


def test_people_who_were_sent_lose_the_list_that_received_them() -> None:
    table = without_referred(TABLE, overlap({"11": 70}), "arrest", "treat")
    assert counts_of(table) == {"10": 300, "01": 570, "11": 50}
    assert table.observed == TABLE.observed
    other_way = without_referred(TABLE, overlap({"11": 70}), "treat", "arrest")
    assert counts_of(other_way) == {"10": 370, "01": 500, "11": 50}


def test_other_lists_of_theirs_stay_and_new_histories_are_made() -> None:
    lists = ("treat", "arrest", "exchange")
    table = OverlapTable.from_counts(lists, {"111": 9, "110": 40, "010": 90, "001": 50, "100": 70})
    sent = OverlapTable.from_counts(lists, {"111": 4, "110": 10})
    found = without_referred(table, sent, "arrest", "treat")
    assert counts_of(found) == {"111": 5, "110": 30, "010": 100, "011": 4, "001": 50, "100": 70}
    order = [2, 0, 1]
    turned = without_referred(table.permuted(order), sent.permuted(order), "arrest", "treat")
    assert counts_of(turned.permuted([1, 2, 0])) == counts_of(found)


def test_strata_and_ranges_are_kept() -> None:
    text = (("female",), ("male",))
    both = [OverlapTable.from_counts(LISTS, c) for c in (COUNTS, {"10": (3, 9), "01": 5, "11": 8})]
    table = replace(
        both[0],
        factors=("sex",),
        strata=text,
        history=np.vstack([t.history for t in both]),
        stratum=np.repeat([0, 1], 3),
        low=np.concatenate([t.low for t in both]),
        high=np.concatenate([t.high for t in both]),
        structural=np.zeros(6, dtype=bool),
        population=np.array([1000.0, 900.0]),
    )
    sent = replace(
        table, low=np.where(table.code == 3, 2.0, 0), high=np.where(table.code == 3, 2, 0)
    )
    found = without_referred(table, sent, "treat", "arrest")
    np.testing.assert_array_equal(found.low, table.low + np.tile([2, 0, -2], 2))
    np.testing.assert_array_equal(found.high - found.low, table.high - table.low)
    np.testing.assert_array_equal(found.population, table.population)
    assert found.observed_by_stratum.tolist() == table.observed_by_stratum.tolist()


def test_new_cases_take_the_place_of_all() -> None:
    found = incident(TABLE, overlap({"10": 30, "01": 40, "11": 5}))
    assert counts_of(found) == {"10": 30, "01": 40, "11": 5}
    assert counts_of(incident(TABLE, TABLE)) == COUNTS


def test_benchmarks_without_referred_people_and_with_new_ones() -> None:
    both = row("treatment", 1981, 144, referred=(200, 20), new=(90, 7))
    other = row("arrests", 900, 80, new=(300, 30))
    pair = Overlap("treatment", "arrests", 30, 250, Interval(0.5, 4, 0.95))
    table = MultiplierTable.of(both, other, overlaps=(pair,), population=9e4)
    found = switched(table, "referred")
    assert found.rows == (
        replace(both, value=1781, least=1781, most=1781, rate=Rate(124, 600), parts={}),
        other,
    )
    # Who is in both was counted before anybody left.
    assert found.overlaps == (replace(pair, respondents=None, people=None),)
    new = switched(table, "new")
    assert [(r.value, r.rate) for r in new.rows] == [(90, Rate(7, 600)), (300, Rate(30, 600))]
    assert new.population.tolist() == [9e4]


def test_a_suppressed_count_stays_a_range_and_a_row_without_a_survey_changes_its_count() -> None:
    made = replace(row("a", 9, None, referred=(5, None)), least=7.0, most=11.0)
    other = row("b", 50)
    found = switched(MultiplierTable.of(made, other), "referred").rows
    assert (found[0].value, found[0].least, found[0].most) == (4, 2, 6)
    assert found[1] is other


def test_pairs_that_did_not_change_keep_their_numbers() -> None:
    rows = row("a", 90, referred=(5, 3)), row("b", 50), row("c", 60)
    pair = Overlap("b", "c", people=20)
    assert switched(MultiplierTable.of(*rows, overlaps=(pair,)), "referred").overlaps == (pair,)


# What they do to estimates.


def chapman(table: OverlapTable) -> float:
    counts = counts_of(table)
    first, second = counts["10"] + counts["11"], counts["01"] + counts["11"]
    return (first + 1) * (second + 1) / (counts["11"] + 1) - 1


class Draw(NamedTuple):
    """Two lists of simulated people: as they are, and who was sent."""

    table: OverlapTable
    sent: OverlapTable


def draw(rng: np.random.Generator, size: int, *, anyway: bool) -> Draw:
    """People one by one: `arrest` sends 30 % of its people to `treat`.

    With `anyway` those who would have come by themselves are sent as well and recorded as sent.
    """
    arrest, own = (rng.random(size) < share for share in (0.2, 0.25))
    sent = arrest & (rng.random(size) < 0.3)
    if not anyway:
        sent &= ~own
    treat = own | sent
    cells = {"10": treat & ~arrest, "01": arrest & ~treat, "11": arrest & treat}
    counts = {history: float(people.sum()) for history, people in cells.items()}
    return Draw(overlap(counts), overlap({"11": float(sent.sum())}))


def means(*, anyway: bool) -> tuple[float, float, float]:
    """Mean estimate with and without referred people over true size, and its Monte Carlo error."""
    rng, size = np.random.default_rng(11), 2000
    found = [draw(rng, size, anyway=anyway) for _ in range(300)]
    plain = np.array([chapman(one.table) for one in found]) / size
    without = np.array(
        [chapman(without_referred(*one, sender="arrest", receiver="treat")) for one in found]
    )
    without = without / size
    return plain.mean(), without.mean(), without.std(ddof=1) / np.sqrt(len(found))


def test_referred_people_bias_two_lists_downwards_and_the_switch_does_not() -> None:
    plain, without, error = means(anyway=False)
    # All overlap over chance overlap: p2 + 0.3 (1 - p2) of the arrested in place of p2.
    treated = 0.25 + 0.2 * 0.3 * 0.75
    assert plain == pytest.approx(treated / (0.25 + 0.3 * 0.75), rel=0.01)
    assert plain < 0.7
    assert without == pytest.approx(1, abs=4 * error)


def test_sending_people_who_would_have_come_makes_the_switch_overshoot() -> None:
    """The truth then lies between the two estimates, which is why both are shown."""
    plain, without, error = means(anyway=True)
    assert plain < 0.7
    assert without == pytest.approx((0.25 - 0.2 * 0.25 * 0.3) / (0.25 * 0.7), rel=0.01)
    assert without > 1 + 4 * error


def test_a_survey_among_those_who_were_sent_biases_a_multiplier_and_the_switch_does_not() -> None:
    """Respondents come from a needle exchange, which sends 40 % of its people to treatment."""
    rng, size, repeats = np.random.default_rng(3), 5000, 300
    plain, without = np.empty(repeats), np.empty(repeats)
    for k in range(repeats):
        exchange, own = (rng.random(size) < share for share in (0.3, 0.25))
        sent = exchange & ~own & (rng.random(size) < 0.4)
        asked = rng.choice(np.flatnonzero(exchange), 400, replace=False)
        count, x = (own | sent).sum(), (own | sent)[asked].sum()
        made = Benchmark.counted("treatment", float(count), Rate(float(x), 400))
        parts = {"referred": (float(sent.sum()), float(sent[asked].sum()))}
        table = MultiplierTable.of(replace(made, parts=parts))
        for found, one in ((plain, table), (without, switched(table, "referred"))):
            rate = one.rows[0].rate
            assert rate is not None
            assert rate.x is not None
            # (n + 1) / (x + 1) has the mean 1 / p but for terms in (1 - p)^n.
            found[k] = one.rows[0].value * 401 / (rate.x + 1) / size
    error = without.std(ddof=1) / np.sqrt(repeats)
    assert plain.mean() < 0.7
    assert without.mean() == pytest.approx(1, abs=4 * error)


# What they refuse.


class Bad(NamedTuple):
    """A switch that cannot be thrown, and the code of its fault."""

    code: str
    call: Callable[[], object]


def benchmarks(switch: str, *rows: Benchmark) -> Callable[[], object]:
    return lambda: switched(MultiplierTable.of(*rows), switch)  # type: ignore[arg-type]


def referred(
    counts: dict[str, float | tuple[float, float]],
    sender: str = "arrest",
    receiver: str = "treat",
    table: OverlapTable = TABLE,
) -> Callable[[], object]:
    return lambda: without_referred(table, overlap(counts), sender, receiver)


IMPOSSIBLE = replace(TABLE, structural=TABLE.code == 2, low=TABLE.low * (TABLE.code != 2),
                     high=TABLE.high * (TABLE.code != 2))  # fmt: skip
DEATHS = Benchmark("deaths", "events", 17, 17, 17, Rate(3, 400))
SPLIT = MultiplierTable(
    (row("a", 90, referred=(5, 3)), replace(row("a", 80), stratum=1)),
    strata=(("x", ""), ("y", "")),
    population=np.full(2, np.nan),
)

BAD = [
    Bad("switch-no-parts", benchmarks("referred", row("a", 90))),
    Bad("switch-some-rows", lambda: switched(SPLIT, "referred")),
    Bad("switch-new-missing", benchmarks("new", row("a", 90, new=(5, 3)), row("b", 90))),
    Bad("switch-new-kind", benchmarks("new", row("a", 90, new=(5, 3)), DEATHS)),
    Bad("switch-share", benchmarks("new", row("a", 90, new=(5, None)))),
    Bad("switch-nobody", benchmarks("referred", row("a", 90, referred=(90, 3)))),
    Bad("switch-no-respondent", benchmarks("new", row("a", 90, new=(5, 0)))),
    Bad("switch-list", referred({"11": 7}, receiver="treatment")),
    Bad("switch-same-list", referred({"11": 7}, receiver="arrest")),
    Bad("switch-range", referred({"11": (7, 9)})),
    Bad("switch-not-both", referred({"10": 7})),
    Bad("switch-above", referred({"11": 121})),
    Bad("switch-nobody-sent", referred({"11": 0})),
    Bad("switch-impossible", referred({"11": 7}, table=IMPOSSIBLE)),
    Bad("switch-new-above", lambda: incident(TABLE, overlap({"10": 301}))),
    Bad("lists-apart", referred({"11": 120})),
    Bad("list-nobody", lambda: incident(TABLE, overlap({"10": 30}))),
]


@pytest.mark.parametrize("bad", BAD, ids=[bad.code for bad in BAD])
def test_each_switch_that_cannot_be_thrown_gives_one_fault(bad: Bad) -> None:
    with pytest.raises(InputError) as caught:
        bad.call()
    (fault,) = caught.value.faults
    assert fault.code == bad.code
    assert re.fullmatch(r"[^\n]+\. [^\n]+\. [^\n]+ \[[a-z-]+\]", str(fault))


def test_every_code_has_a_case_and_its_own_words() -> None:
    page = files("hiddenpop.inputs").joinpath("messages", "switches.toml")
    words = tomllib.loads(page.read_text(encoding="utf-8"))
    assert {bad.code for bad in BAD} >= set(words)
    for part in ("what", "why"):
        assert max(Counter(said[part] for said in words.values()).values()) == 1


def test_words_and_tables_that_do_not_belong_are_errors_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no switch 'old'"):
        switched(MultiplierTable.of(row("a", 90)), "old")  # type: ignore[arg-type]
    other = OverlapTable.from_counts(("treat", "police"), COUNTS)
    with pytest.raises(ValueError, match="its own lists"):
        incident(TABLE, other)
    strata = replace(TABLE, factors=("sex",), strata=(("f",), ("m",)))
    with pytest.raises(ValueError, match="order"):
        incident(strata, replace(strata, strata=(("m",), ("f",))))
