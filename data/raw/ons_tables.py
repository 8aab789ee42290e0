"""Sum the originals of the two ONS data sets into the tables that are shipped.

    python data/raw/ons_tables.py FOLDER

FOLDER holds four files of https://github.com/danlewer/irid_trends, folder input_data:
la_pop_estimates.csv, pop_region_25nov2022.csv, drug_poisoning_registrations_by_LA.csv and
drug_poisoning_registrations.csv. The tables are written over the shipped ones.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["deaths", "opiate_share", "populations", "regions"]

Row = dict[str, str]

DATASETS = Path(__file__).parent.parent / "hiddenpop_data" / "datasets"
BANDS = {"15-44": (15, 44), "16-59": (16, 59), "15-64": (15, 64)}
YEARS = range(1999, 2021)
DISTRICTS = (
    "Amber Valley", "Bolsover", "Chesterfield", "Derbyshire Dales", "Erewash", "High Peak",
    "North East Derbyshire", "South Derbyshire",
)  # fmt: skip
INNER = (
    "Camden", "City of London", "Hackney", "Hammersmith and Fulham", "Haringey", "Islington",
    "Kensington and Chelsea", "Lambeth", "Lewisham", "Newham", "Southwark", "Tower Hamlets",
    "Wandsworth", "Westminster",
)  # fmt: skip
OUTER = (
    "Barking and Dagenham", "Barnet", "Bexley", "Brent", "Bromley", "Croydon", "Ealing",
    "Enfield", "Greenwich", "Harrow", "Havering", "Hillingdon", "Hounslow",
    "Kingston upon Thames", "Merton", "Redbridge", "Richmond upon Thames", "Sutton",
    "Waltham Forest",
)  # fmt: skip
AGGREGATES = {
    "Derbyshire county": DISTRICTS,
    "Derbyshire": ("Derby", *DISTRICTS),
    "London": (*INNER, *OUTER),
    "Inner London": INNER,
    "Outer London": OUTER,
}
COMPARATORS = ("Liverpool", "Nottingham", "Brighton and Hove", "Bristol, City of")
RENAMED = {
    "ENGLAND": "England",
    "EAST MIDLANDS": "East Midlands",
    "LONDON": "London",
    "Derbyshire": "Derbyshire county",
}


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _people(row: Row, ages: Iterable[int]) -> int:
    """Sum of single years of age; a dash (85 and over before 2001) counts as nobody."""
    cells = (row[f"Age {age}"].strip() for age in ages)
    return sum(int(cell) for cell in cells if cell not in ("", "-"))


def populations(path: Path) -> list[Row]:
    """Derby, the Derbyshire districts, the London authorities and their sums, by year."""
    wanted = {"Derby", *DISTRICTS, *INNER, *OUTER}
    counts: dict[tuple[str, int], dict[str, int]] = {}
    for row in _read(path):
        name, year = row["name"].strip(), int(row["year"])
        if name in wanted and year in YEARS:
            bands = {band: _people(row, range(a, b + 1)) for band, (a, b) in BANDS.items()}
            oldest = row["Aged 90+"].strip()
            everyone = _people(row, range(90)) + (int(oldest) if oldest != "-" else 0)
            counts[name, year] = {"all": everyone, **bands}
    for year in YEARS:
        for name, members in AGGREGATES.items():
            parts = [counts[member, year] for member in members]
            counts[name, year] = {key: sum(part[key] for part in parts) for key in parts[0]}
    rows = []
    for (name, year), count in counts.items():
        row = {"area": name, "year": str(year), **{key: str(n) for key, n in count.items()}}
        rows.append(row | ({"all": ""} if year < 2001 else {}))
    return rows


def regions(path: Path) -> list[Row]:
    """England (sum of the nine regions), East Midlands and London by year, 1996-2020."""
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in _read(path):
        age = row["Age"].removeprefix("Age ")
        for band, (first, last) in BANDS.items():
            if age.isdigit() and first <= int(age) <= last:
                for year in map(str, range(1996, 2021)):
                    counts["England", year, band] += int(row[year])
                    counts[row["region"], year, band] += int(row[year])
    return [
        {"area": area, "year": year, **{band: str(counts[area, year, band]) for band in BANDS}}
        for area in ("England", "East Midlands", "London")
        for year in map(str, range(1996, 2021))
    ]


def deaths(path: Path) -> list[Row]:
    """Registrations by area and year, one row each; the wide original turned long."""
    wanted = {*RENAMED, "Derby", *DISTRICTS, *INNER, *OUTER, *COMPARATORS}
    wanted |= {"Inner London", "Outer London"}
    return [
        {"area": RENAMED.get(name, name), "year": year, "deaths": row[year]}
        for row in _read(path)
        if (name := row["name"].strip()) in wanted
        for year in sorted(column for column in row if column.isdigit())
    ]


def opiate_share(path: Path) -> list[Row]:
    """All poisonings and those that mention any opiate, 2003 to 2006, three areas."""
    count = {
        (row["Usual residence name"], row["Year of death registration"], row["Substance"][:2]): row[
            "Deaths"
        ]
        for row in _read(path)
    }
    return [
        {
            "area": area,
            "year": year,
            "all_poisonings": count[area, year, "01"],
            "any_opiate": count[area, year, "02"],
        }
        for area in ("England", "East Midlands", "London")
        for year in ("2003", "2004", "2005", "2006")
    ]


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    originals = Path(sys.argv[1])
    people = DATASETS / "ons-population-1999-2020"
    dead = DATASETS / "ons-drug-poisoning-deaths"
    _write(people / "authorities.csv", populations(originals / "la_pop_estimates.csv"))
    _write(people / "regions.csv", regions(originals / "pop_region_25nov2022.csv"))
    _write(dead / "deaths.csv", deaths(originals / "drug_poisoning_registrations_by_LA.csv"))
    _write(dead / "opiate_share.csv", opiate_share(originals / "drug_poisoning_registrations.csv"))
