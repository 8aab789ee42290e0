"""Write the shipped tables of multiplier examples from the numbers that their sources print.

The sources are abstracts that are not kept here. The numbers stand below as they were read, and
what can be checked is arithmetic: the published sizes against the benchmarks over the shares.

    python data/raw/multiplier_tables.py            writes the tables and prints the arithmetic
    python data/raw/multiplier_tables.py --check    fails if a table differs from what stands here
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["TABLES", "arithmetic", "differences"]

DATASETS = Path(__file__).parent.parent / "hiddenpop_data" / "datasets"

BANGKOK = "Drug and Alcohol Dependence 2007, https://daneshyari.com/en/article/1071718 (abstract)"
HAI_PHONG = (
    "Drug and Alcohol Dependence 2018;185:106-111, https://nyuscholars.nyu.edu/en/publications/"
    "using-dual-capturerecapture-studies-to-estimate-the-population-si (abstract)"
)
HICKMAN = (
    "Hickman et al 2004 J Epidemiol Community Health 58:766-71, "
    "https://pmc.ncbi.nlm.nih.gov/articles/PMC1732885 (abstract)"
)
HOPE = (
    "Hope, Hickman and Tilling 2005 Addiction 100:1701-8, "
    "https://doi.org/10.1111/j.1360-0443.2005.01244.x (abstract)"
)
VIVANCOS = (
    "Vivancos et al 2006 J Public Health 28:96-103, https://doi.org/10.1093/pubmed/fdl010 "
    "(abstract)"
)
HOLLAND = (
    "Holland et al 2006 J Public Health 28:88-95, https://doi.org/10.1093/pubmed/fdl009 (abstract)"
)

Row = dict[str, str]

PUBLISHED = ("what", "estimate", "low", "high", "level", "method", "source")
INPUTS = ("what", "place", "period", "ages", "value", "low", "high", "level", "n", "source")

TABLES: dict[str, list[Row]] = {
    "bangkok-2004/benchmarks.csv": [
        {
            "id": "treatment", "area": "Bangkok", "period": "2004", "kind": "people",
            "count": "1981", "share": "0.55", "low": "0.52", "high": "0.60", "level": "0.95",
            "survey": "rds-2004", "source": BANGKOK,
            "note": "attended a drug treatment clinic, October 2003 to March 2004",
        },
    ],
    "bangkok-2004/published.csv": [
        dict(zip(PUBLISHED, ("people who inject drugs", "3595", "3296", "3810", "0.95",
                             "benchmark over share", BANGKOK), strict=True)),
    ],
    "hai-phong-2016/benchmarks.csv": [
        {
            "id": "survey-2014", "area": "Hai Phong", "period": "2016", "kind": "people",
            "count": "603", "x": "144", "n": "1385", "design": "rds", "survey": "rds-2016",
            "source": HAI_PHONG, "note": "participants of the respondent-driven survey of 2014",
        },
        {
            "id": "lighters", "area": "Hai Phong", "period": "2016", "kind": "people",
            "count": "600", "x": "152", "n": "1385", "design": "rds", "survey": "rds-2016",
            "source": HAI_PHONG,
            "note": "received a cigarette lighter where drugs are used, a week before the survey",
        },
    ],
    "hai-phong-2016/published.csv": [
        dict(zip(PUBLISHED, row, strict=True))
        for row in (
            ("survey-2014", "5220", "4568", "5872", "0.95", "after adjustment", HAI_PHONG),
            ("lighters", "4617", "4090", "5143", "0.95", "after adjustment", HAI_PHONG),
            ("combined", "5000", "4000", "6000", "", "best estimate and range", HAI_PHONG),
        )
    ],
    "london-boroughs-2001/inputs.csv": [
        dict(zip(INPUTS, ("injectors", "12 London boroughs", "2000-2001", "15-44", "16700",
                          "13800", "21600", "0.95", "", HICKMAN), strict=True)),
    ],
    "london-boroughs-2001/published.csv": [
        dict(zip(PUBLISHED, row, strict=True))
        for row in (
            ("crack users", "23000", "", "", "", "injectors and the share that use crack", HOPE),
            ("crack users", "21000", "13000", "43000", "0.95", "capture-recapture", HOPE),
        )
    ],
    "norfolk-2003/inputs.csv": [
        dict(zip(INPUTS, row, strict=True))
        for row in (
            ("share of treatment clients dependent on crack or cocaine", "Norfolk", "2003", "",
             "0.31", "0.26", "0.37", "0.95", "306", VIVANCOS),
            ("prevalence of problem drug use", "Norfolk", "2002-2003", "15-54", "0.0205",
             "0.0166", "0.0256", "0.95", "", HOLLAND),
        )
    ],
}  # fmt: skip
"""Rows of each table, by its place among the data sets; a column left out is empty."""


class Sum(NamedTuple):
    """A size by the plain method, what was published, and how far apart they may be."""

    what: str
    found: float
    published: float
    within: float


def _text(rows: Iterable[Row]) -> str:
    """A table as CSV; its columns are those that any row has, in order of appearance."""
    rows = list(rows)
    buffer = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def arithmetic() -> list[Sum]:
    """Benchmark over share beside the published size. Bangkok's share was rounded to 2 digits."""
    (bangkok,) = TABLES["bangkok-2004/benchmarks.csv"]
    (size,) = TABLES["bangkok-2004/published.csv"]
    rounding = 0.005 / 0.52
    sums = [
        Sum(f"Bangkok, {there}", float(bangkok["count"]) / float(bangkok[here]),
            float(size[there]), rounding)
        for here, there in (("share", "estimate"), ("high", "low"), ("low", "high"))
    ]  # fmt: skip
    # Hai Phong's published sizes hold an adjustment whose size the abstract does not give.
    captures, sizes = (TABLES[f"hai-phong-2016/{name}.csv"] for name in ("benchmarks", "published"))
    for row, found in zip(captures, sizes, strict=False):
        plain = float(row["count"]) * float(row["n"]) / float(row["x"])
        sums.append(Sum(f"Hai Phong, {row['id']}", plain, float(found["estimate"]), 0.2))
    return sums


def differences() -> list[str]:
    """Sentences about tables and sums that are not what they should be; none is good."""
    found = [
        f"{name} differs from this script"
        for name, rows in TABLES.items()
        if not (DATASETS / name).exists()
        or (DATASETS / name).read_text(encoding="utf-8") != _text(rows)
    ]
    found += [
        f"{what}: {size:,.0f}, published {published:,.0f}"
        for what, size, published, within in arithmetic()
        if abs(size / published - 1) > within
    ]
    return found


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        for name, rows in TABLES.items():
            (DATASETS / name).parent.mkdir(exist_ok=True)
            (DATASETS / name).write_text(_text(rows), encoding="utf-8")
    for what, size, published, _ in arithmetic():
        print(f"{what}: {size:,.0f} by the plain method, published {published:,.0f}")
    if faults := differences():
        raise SystemExit("\n".join(faults))
