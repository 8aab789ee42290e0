"""Write our own results into an analysis' expected.json, beside the published figures.

python analyses/record.py crack-2005 results/crack-2005

An analysis of several studies takes the result of each, in the order of the places in its README.
Where the README has a place for results, their table is written there too.
"""

import argparse
import csv
import json
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from hiddenpop.words import people, plain, probability

LABELS = ("area", "group", "family", "quantity")
NUMBERS = ("median", "low", "high", "mcse")
PLACE = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)
EXACT = 1e-6
"""Relative difference allowed where nothing is drawn."""


def main(name: str, *results: Path) -> None:
    """Take the medians and intervals of finished results over into expected.json."""
    folder = Path(__file__).parent / name
    target = folder / "expected.json"
    expected = json.loads(target.read_text(encoding="utf-8"))
    runs = [json.loads((result / "run.json").read_text(encoding="utf-8")) for result in results]
    found = {run["study"]: ours(run, result) for run, result in zip(runs, results, strict=True)}
    expected["ours"] = found if len(found) > 1 else found[runs[0]["study"]]
    text = json.dumps(expected, indent=2, ensure_ascii=False) + "\n"
    target.write_text(text, encoding="utf-8")
    readme = folder / "README.md"
    page, places = readme.read_text(encoding="utf-8"), count()

    def filled(place: re.Match[str]) -> str:
        return f"{place[1]}{chr(10).join(lines(runs[next(places)]))}\n{place[2]}"

    if PLACE.search(page):
        readme.write_text(PLACE.sub(filled, page), encoding="utf-8")


def ours(run: dict[str, Any], result: Path) -> dict[str, Any]:
    """What one result holds."""
    with (result / "estimates.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    made = {
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
    if is_benchmarks(run):
        made["tolerance_relative"] = EXACT
        made["benchmarks"] = run["families"][0]["benchmarks"]
    return made


def is_benchmarks(run: dict[str, Any]) -> bool:
    """Whether the result is of benchmarks, none of which is a list of people seen."""
    return bool(run.get("table", {}).get("kind") == "benchmarks")


def lines(run: dict[str, Any]) -> list[str]:
    """The results as a table, rounded as in the report."""
    return benchmark_lines(run) if is_benchmarks(run) else list_lines(run)


def benchmark_lines(run: dict[str, Any]) -> list[str]:
    """A result of benchmarks: all together, then each of them alone and left out."""
    rows = [
        "| | N | 95 % interval | without it | plain | conflict |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for family in run["families"]:
        median, low, high = (_figures(family["N"][key]) for key in ("median", "low", "high"))
        rows.append(f"| {family['family']}, all rows | {median} | {low} to {high} | | | |")
        for one in family["benchmarks"] or []:
            median, low, high = (_figures(one[f"alone{end}"]) for end in ("", "_low", "_high"))
            chance = "" if one["conflict"] is None else probability(one["conflict"])
            rows.append(
                f"| {one['benchmark']} alone | {median} | {low} to {high} "
                f"| {_size(one, 'without')} | {_size(one, 'plain', _whole)} | {chance} |"
            )
    rows.extend(
        f"| *{one['name']} (published)* | {one['N']:,.0f} "
        f"| {one['low']:,.0f} to {one['high']:,.0f} | | | |"
        for one in run["published"]
    )
    return rows


def _figures(size: float) -> str:
    """Three figures, as one survey can tell sizes apart that two figures cannot."""
    return plain(size, 3) if size >= 100 else people(size)


def _whole(size: float) -> str:
    """All figures, for what is arithmetic and no estimate."""
    return f"{size:,.0f}"


def _size(one: dict[str, Any], name: str, words: Callable[[float], str] = _figures) -> str:
    """A size and its interval in one cell; empty where there is none."""
    if one[name] is None:
        return ""
    median, low, high = (words(one[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{median} ({low} to {high})"


def list_lines(run: dict[str, Any]) -> list[str]:
    """The families of a capture-recapture result."""
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
    parser.add_argument("result", type=Path, nargs="+")
    arguments = parser.parse_args()
    main(arguments.name, *arguments.result)
