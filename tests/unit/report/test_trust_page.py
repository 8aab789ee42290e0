"""The page of checks: read by people who do not know its column names."""

import html
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.checks.comparison import families as comparison
from hiddenpop.checks.comparison import leave_one_out, left_out_people, predictive_cells
from hiddenpop.checks.multiple import adjusted
from hiddenpop.checks.next_data import table as next_data
from hiddenpop.checks.tipping.evidence import CROSSES, HARDLY, TIPPING_COLUMNS
from hiddenpop.finished import Finished
from hiddenpop.inference import versions
from hiddenpop.report import trust as page_of_checks
from hiddenpop.report.trust import trust_page, trust_words
from hiddenpop.report.trust_tables import table_of
from hiddenpop.trust import Trust
from hiddenpop.trust_parts import parts_of

__all__: list[str] = []

MakeTrust = Callable[..., Trust]


def conflict_frame() -> pd.DataFrame:
    """Two rows, of which one contradicts the rest."""
    rows = [
        ("shire_any", "study", "estimate", 4000, 2000, 1500, 2600, 2.0, 1.5, 2.7, 0.0004, 1.25),
        ("s_survey", "survey", "proportion", 0.0095, 0.01, 0.005, 0.02, 0.95, 0.5, 1.9, 0.8, 0.99),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=[
        "id", "source", "kind", "reported", "expected", "expected_low", "expected_high",
        "ratio", "ratio_low", "ratio_high", "p", "headline_ratio",
    ])  # fmt: skip
    return adjusted(frame.assign(p_error=0.0, passed=True))


def priors_frame() -> pd.DataFrame:
    """The answer as it is, a prior that moves it, and one without a part."""
    rows = [
        ("main", "", "main", 1000.0, 500.0, 2000.0, 1.0, 0.0, 0.0, False, True, np.nan),
        ("bias police", "halved", "reweighted", 990.0, 500.0, 1900.0, 0.99, 0.01, 0.04, False,
         True, 0.3),
        ("bias police", "doubled", "refitted", 1600.0, 700.0, 4000.0, 1.6, 0.34, 0.5, True, True,
         0.9),
        ("drift", "halved", "no part", 1000.0, 500.0, 2000.0, 1.0, 0.0, 0.0, False, True, np.nan),
    ]  # fmt: skip
    names = ["prior", "change", "how", "median", "low", "high", "ratio", "moved", "ends",
             "flagged", "passed", "pareto_k"]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def tipping_frame() -> pd.DataFrame:
    """A bias that crosses, a share that hardly matters."""
    points = [(0.5, 4000.0), (1.0, 2000.0), (2.0, 1000.0)]
    rows = [
        {"threshold": 4000.0, "kind": "bias", "name": "police", "finding": CROSSES, "value": x,
         "held": x, "median": n, "low": 0.7 * n, "high": 1.4 * n, "passed": True, "crossing": 0.5,
         "now": 1.0, "prior": 0.03, "posterior": 0.002, "correlation": -0.8}
        for x, n in points
    ]  # fmt: skip
    rows.append({"threshold": 4000.0, "kind": "share", "name": "in_treatment", "finding": HARDLY,
                 "now": 0.4, "correlation": 0.02})  # fmt: skip
    return pd.DataFrame(rows, columns=list(TIPPING_COLUMNS))


@pytest.fixture
def make_trust(estimate: hp.Estimate, tmp_path: Path) -> MakeTrust:
    """Checks of the tiny study, with the parts that are given."""

    def make(known: dict[str, str] | None = None, **parts: pd.DataFrame) -> Trust:
        run = {"versions": known or versions(), "study": "tiny"}
        found = Finished(tmp_path, run, estimate.data)
        named = {name.replace("_", "-"): frame for name, frame in parts.items()}
        return Trust(found, estimate, named, 4000.0)

    return make


def read(page: str) -> str:
    """What a reader sees."""
    body = re.sub(r"<style>.*?</style>|<img[^>]*>", "", page, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", body).replace("\u00a0", " ")
    return re.sub(r"\s+", " ", html.unescape(text))


def test_a_page_in_plain_words(make_trust: MakeTrust) -> None:
    found = make_trust(
        conflict=conflict_frame(), priors=priors_frame(), tipping=tipping_frame(),
        something_new=pd.DataFrame({"row_id": ["a_b"], "median": [1234.5], "low": [1000.0],
                                    "high": [1500.0], "net_gain": [0.12345]}),
    )  # fmt: skip
    seen = read(trust_page(found))
    # Which number the page is about, at its top and in the sentences.
    assert "Users of any in Northtown, 2010:" in seen[:400]
    assert (
        "On the number of users of any in Northtown: “Shire: users of any, 2010” pulls it up"
        in seen
    )
    assert "Users of any in Northtown, 2010: with the priors as they are the answer is" in seen
    # The line of each check.
    for line in (
        "1 of 2 rows of evidence contradicts the rest at p below .05",
        "1 is left after allowing for 2 looked at",
        "The answer moves by more than 25 % of its interval with the prior “bias police”",
        "The likeliest single way to 4,000: the bias of “police” at 0.50 (prior probability of",
        "that or farther: 3.0 %)",
        "Not checked. It was not asked for.",
        "Not checked. It needs a study of one table with three or more lists.",
    ):  # fmt: skip
        assert line in seen, line
    # Tables: headings in words, intervals in one cell, no digits that mean nothing.
    for text in (
        "Expected by the rest (95 % interval)", "2,000 (1,500 to 2,600)", "p, allowing for 2",
        "< .001", "+25 %", "0.95 %", "As they are", "34 %, flagged",
        "Priors that have no part in an answer: Drift.", "Reported over true of police",
        "Prior probability of that or farther", "1,230 (1,000 to 1,500)", "Net gain", "0.123",
    ):  # fmt: skip
        assert text in seen, text
    for raw in ("p_holm", "headline_ratio", "shire_any", "expected_low", "pareto", "net_gain",
                "in_treatment", " nan ", "None is", "{"):  # fmt: skip
        assert raw not in seen, raw


def test_curves_are_drawn_of_what_would_have_to_be_true(make_trust: MakeTrust) -> None:
    page = trust_page(make_trust(tipping=tipping_frame()))
    assert 'id="figure-tipping"' in page
    said = trust_words(make_trust(tipping=tipping_frame()))["tipping"]
    assert said[0].startswith("The number of users of any in Northtown would be 4,000 if “police”")


def test_what_was_overridden_is_told(make_trust: MakeTrust) -> None:
    seen = read(trust_page(make_trust(conflict=conflict_frame())))
    assert "another version" not in seen
    seen = read(trust_page(make_trust(versions() | {"pymc": "1.2.3"}, conflict=conflict_frame())))
    assert "made by another version of pymc and was checked all the same, as was asked" in seen


def test_an_empty_check_says_so(make_trust: MakeTrust) -> None:
    seen = read(trust_page(make_trust(conflict=conflict_frame().head(0))))
    assert "Not checked. There is nothing of this kind here." in seen


def test_every_check_has_a_question_and_a_reading(make_trust: MakeTrust) -> None:
    titles = page_of_checks.TITLES
    possible = set(parts_of(make_trust().fits))
    assert possible <= set(titles)
    for asked in titles.values():
        assert asked.title.endswith("?")
        assert 1 <= len(re.findall(r"[.?:](?:\s|$)", asked.why)) <= 8


def test_ends_of_intervals_are_joined_and_flat_columns_left_out() -> None:
    frame = pd.DataFrame({
        "name": ["one", "two"], "gain": [0.1, 0.2], "gain_low": [0.05, 0.1],
        "gain_high": [0.2, 0.3], "low": [1.0, 2.0], "high": [3.0, 4.0], "empty": [np.nan, np.nan],
        "is_good": [True, False],
    })  # fmt: skip
    table = table_of("unknown", frame)
    assert table.head == ["Name", "Gain (interval)", "Interval", "Is good"]
    assert table.rows[0] == ["one", "0.100 (0.0500 to 0.200)", "1.00 to 3.00", "yes"]


WORDS = {
    "family": "loglinear-average", "kind": "list", "name": "treat & arrest", "id": "a_row",
    "source": "official_estimates", "cell": "treat only", "stratum": "all", "about": "",
    "data": "one more list",
}  # fmt: skip
FLAGS = ("passed", "refitted", "is_set", "predicts_cells")
COLUMNS = {
    "families": comparison.COLUMNS, "fit": predictive_cells.COLUMNS,
    "next-data": next_data.COLUMNS, "leave-one-out": leave_one_out.COLUMNS,
    "leave-one-out of people": left_out_people.COLUMNS,
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_other_checks_have_words(name: str) -> None:
    row = {key: WORDS.get(key, key in FLAGS or 0.25) for key in COLUMNS[name]}
    other = {key: np.nan if isinstance(x, float) else x for key, x in row.items()}
    known = {"now_low": 1.0, "now_high": 2.0, "narrower": 0.0, "people": 3.0}
    other |= {key: x for key, x in known.items() if key in other}
    table = table_of(name.partition(" of ")[0], pd.DataFrame([row, other]))
    assert not any("_" in head for head in table.head)
    assert len(table.head) >= 4
    cells = [cell for cells in table.rows for cell in cells]
    assert not {"nan", "None", "True", "False"} & set(cells)
    assert not any("_" in cell for cell in cells)


def test_long_tables_are_cut_and_say_so() -> None:
    frame = pd.concat([conflict_frame()] * 40, ignore_index=True)
    table = table_of("conflict", frame)
    assert len(table.rows) == 60
    assert table.note == "20 more rows are in the file."
