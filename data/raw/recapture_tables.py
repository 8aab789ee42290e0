"""Check the shipped overlap tables against the sums that their sources quote, and one another.

The tables were set out by hand from sources that are not kept here, so there is nothing to
convert again. What can be checked is arithmetic: people in all and on each list, strata that add
up to the whole, lists that were put together, totals that fix an overlap, and published figures
that stand in two places.

    python data/raw/recapture_tables.py        prints the sums, fails if one differs from its source
"""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["checks", "differences"]

SHIPPED = Path(__file__).parent.parent / "hiddenpop_data"

PEOPLE = "people"

QUOTED: dict[str, dict[str, int]] = {
    "brighton-2000/total.csv": {
        PEOPLE: 856, "treat": 193, "arrest": 82, "exchange": 631, "survey": 126,
    },
    "scotland-2006/by-region-gender-age.csv": {
        PEOPLE: 5670, "social_enquiry": 901, "hospital": 953, "misuse_database": 3504, "hcv": 827,
    },
    # The abstract of a talk says 269: see the data set's README.
    "brussels-2019/table.csv": {PEOPLE: 306},
    "uk-2013/six-lists.csv": {PEOPLE: 2744},
    "kosovo-1999/table.csv": {PEOPLE: 4400},
    "hiv-rome/table.csv": {PEOPLE: 1896},
    "spina-bifida-new-york/by-ethnicity.csv": {PEOPLE: 621},
    "bangkok-1991/table.csv": {PEOPLE: 5433, "methadone": 4064, "police": 1540},
    "bangkok-meth-2001/table.csv": {PEOPLE: 274},
    "illegal-immigrants-netherlands/table.csv": {PEOPLE: 1880},
}  # fmt: skip
"""Sums that the sources print (for Brighton's lists: that the repository's tables give)."""

PUBLISHED = {
    ("brighton-2000", 0): "idu_brighton",
    ("scotland-2006", 0): "scot06_4",
    ("scotland-2006", 1): "scot06_3",
    ("london-2001", 0): "hope_12b",
    ("london-2001", 1): "hope_ratio",
}
"""Published figures of studies, and their rows in uk-published-estimates."""


class Check(NamedTuple):
    """A sum, what the tables here give for it, and what it should be."""

    what: str
    found: object
    expected: object


def _rows(*parts: str) -> list[dict[str, str]]:
    """Rows of one shipped CSV."""
    with SHIPPED.joinpath(*parts).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _most(cell: str) -> int:
    """A count, or the upper end of one that is not known: 122 for `0-122`."""
    return int(cell.rpartition("-")[2])


def _people(rows: list[dict[str, str]], column: str = PEOPLE) -> int:
    """People in all, or on one list."""
    return sum(_most(row[PEOPLE]) for row in rows if column == PEOPLE or row[column] == "1")


def _quoted() -> list[Check]:
    return [
        Check(f"{table}, {column}", _people(_rows("datasets", table), column), expected)
        for table, sums in QUOTED.items()
        for column, expected in sums.items()
    ]


def _by_history(rows: list[dict[str, str]], columns: dict[str, tuple[str, ...]]) -> Counter[str]:
    """People by history; a list that was put together from several is marked if any of them is."""
    found: Counter[str] = Counter()
    for row in rows:
        marks = ["1" if any(row[part] == "1" for part in parts) else "0"
                 for parts in columns.values()]  # fmt: skip
        found["".join(marks)] += _most(row[PEOPLE])
    return found


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


def _added_up() -> list[Check]:
    """Tables that must give one another."""
    lists = _same("treat", "arrest", "exchange", "survey")
    strata = _rows("datasets", "brighton-2000", "by-sex-age.csv")
    whole = _rows("datasets", "brighton-2000", "total.csv")
    five = _same("local_authorities", "ngos", "police_and_nca", "government", "public")
    merged = five | {"police_and_nca": ("police", "nca")}
    return [
        Check("Brighton, strata together", _by_history(strata, lists), _by_history(whole, lists)),
        Check(
            "UK, police and National Crime Agency as one",
            _by_history(_rows("datasets", "uk-2013", "six-lists.csv"), merged),
            _by_history(_rows("datasets", "uk-2013", "five-lists.csv"), five),
        ),
    ]


def _differences_of_totals() -> list[Check]:
    """What follows from totals where the overlaps were not printed, or only one was."""
    margins = {row["what"]: int(row[PEOPLE]) for row in _rows("datasets", "london-2001",
                                                              "margins.csv")}  # fmt: skip
    distinct = margins.pop("distinct")
    bangkok = _by_history(_rows("datasets", "bangkok-1991", "table.csv"),
                          _same("methadone", "police"))  # fmt: skip
    scotland = _rows("datasets", "scotland-2006", "by-region-gender-age.csv")
    open_cells = [_most(row[PEOPLE]) for row in scotland if "-" in row[PEOPLE]]
    study = _study("london-2001")["table"]
    return [
        Check("London, people on two lists + 2 x on three", sum(margins.values()) - distinct, 507),
        Check("London, totals in the study", study["totals"], margins),
        Check("London, different people in the study", study["distinct"], distinct),
        Check("Bangkok 1991, both lists", bangkok, {"11": 171, "10": 4064 - 171, "01": 1540 - 171}),
        Check("Scotland, people on the hepatitis C list alone, at most", sum(open_cells), 684),
    ]


def _study(name: str) -> dict[str, Any]:
    path = SHIPPED / "studies" / name / "study.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _published() -> list[Check]:
    """Figures of other authors in a study are those of the table of published estimates."""
    rows = {row["id"]: row for row in _rows("datasets", "uk-published-estimates", "estimates.csv")}
    columns = {"N": "estimate", "low": "low", "high": "high", "level": "level"}
    return [
        Check(
            f"{study}, {row}",
            {key: float(_study(study)["published"][place][key])
             for key in columns if key in _study(study)["published"][place]},
            {key: float(rows[row][column]) for key, column in columns.items() if rows[row][column]},
        )
        for (study, place), row in PUBLISHED.items()
    ]  # fmt: skip


def checks() -> list[Check]:
    """Every sum with what it should be."""
    return _quoted() + _added_up() + _differences_of_totals() + _published()


def differences() -> list[str]:
    """Sentences about sums that are not what they should be; none is good."""
    return [
        f"{what}: the tables give {found}, the source {expected}"
        for what, found, expected in checks()
        if found != expected
    ]


if __name__ == "__main__":
    for what, found, _ in checks():
        print(f"{found if isinstance(found, int) else '':>6}  {what}")
    if faults := differences():
        raise SystemExit("\n".join(faults))
