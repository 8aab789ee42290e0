"""Put the table and the picture of a finished result into the README, so that none is typed.

python docs/make_readme.py results/crack-2005
"""

import argparse
import re
from pathlib import Path

import pandas as pd

import hiddenpop as hp
from hiddenpop import plots

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- generated from results/crack-2005 by docs/make_readme.py: begin -->"
END = "<!-- generated: end -->"


def row(area: str, group: str, table: pd.DataFrame) -> str:
    """One line of the table, rounded for people."""
    at = table[(table["area"] == area) & (table["group"] == group)].set_index("quantity")
    people, rate = at.loc["N"], at.loc["prevalence_per_1000"]
    return (
        f"| {area} | {group.replace('_', ' ')} | {people['median']:,.0f} "
        f"| {people['low']:,.0f} to {people['high']:,.0f} "
        f"| {rate['median']:.1f} | {rate['low']:.1f} to {rate['high']:.1f} |"
    )


def main(result: Path) -> None:
    """Rewrite the generated part of README.md and its picture."""
    study = hp.load_study(result / "study")
    estimate = hp.Estimate.load(result / "estimate.nc", study)
    if estimate.quick or not estimate.verdict.passed:
        raise SystemExit(f"{result} is a quick run or failed its gates: not for the README.")
    picture = ROOT / "docs" / "img" / "prevalence.svg"
    plots.prevalence(estimate).savefig(picture)
    table = estimate.table()
    target = study.data.target
    lines = [
        f"{study.title}: residents aged {target.ages} who use, medians and 95 % intervals.",
        "",
        "| area | group | users | 95 % interval | per 1,000 | 95 % interval |",
        "|---|---|--:|--:|--:|--:|",
        *(row(area, group, table) for area in study.report.areas for group in study.report.groups),
        "",
        f"![Prevalence by area and group]({picture.relative_to(ROOT)})",
    ]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    body = "\n".join([BEGIN, *lines, END])
    readme.write_text(pattern.sub(lambda _: body, text), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    main(parser.parse_args().result)
