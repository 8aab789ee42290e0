"""Write our own results into an analysis' expected.json, beside the published figures.

python analyses/record.py crack-2005 results/crack-2005

Where the analysis' README has a place for results, their table is written there too.
"""

import argparse
import csv
import json
import re
from pathlib import Path
from typing import Any

from hiddenpop.words import people, plain

LABELS = ("area", "group", "family", "quantity")
NUMBERS = ("median", "low", "high", "mcse")
PLACE = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)


def main(name: str, result: Path) -> None:
    """Take the medians and intervals of a finished result over into expected.json."""
    folder = Path(__file__).parent / name
    target = folder / "expected.json"
    expected = json.loads(target.read_text(encoding="utf-8"))
    run = json.loads((result / "run.json").read_text(encoding="utf-8"))
    with (result / "estimates.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected["ours"] = {
        "seed": run["seed"],
        "sampling": run["sampling"],
        "versions": run["versions"],
        "tolerance_in_monte_carlo_errors": 4,
        "rows": [
            {key: row[key] for key in LABELS if key in row}
            | {key: float(row[key]) for key in NUMBERS}
            for row in rows
        ],
    }
    text = json.dumps(expected, indent=2, ensure_ascii=False) + "\n"
    target.write_text(text, encoding="utf-8")
    readme = folder / "README.md"
    page = readme.read_text(encoding="utf-8")
    if PLACE.search(page):
        table = "\n".join(lines(run))
        page = PLACE.sub(lambda found: f"{found[1]}{table}\n{found[2]}", page)
        readme.write_text(page, encoding="utf-8")


def lines(run: dict[str, Any]) -> list[str]:
    """The families of a capture-recapture result as a table, rounded as in the report."""
    rated = any(family["prevalence"] for family in run["families"])
    rate = " per 1,000 |" if rated else ""
    table = [f"| family | N | 95 % interval | on no list |{rate}",
             f"|---|--:|--:|--:|{'--:|' if rated else ''}"]  # fmt: skip
    for family in run["families"]:
        size, unseen, share = family["N"], family["unseen"], family["prevalence"]
        table.append(
            f"| {family['family']}{' (a set)' if family['is_set'] else ''} "
            f"| {people(size['median'])} | {people(size['low'])} to {people(size['high'])} "
            f"| {people(unseen['median'])} |" + (f" {plain(share['median'])} |" if share else "")
        )
    for one in run["published"]:
        ends = "" if one["low"] is None else f"{one['low']:,.0f} to {one['high']:,.0f}"
        empty = " |" if rated else ""
        table.append(f"| *{one['name']} (published)* | {one['N']:,.0f} | {ends} | |{empty}")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args()
    main(arguments.name, arguments.result)
