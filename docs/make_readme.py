"""Put the table and the picture of a finished result into the README, so that none is typed.

python docs/make_readme.py results/crack-2005
"""

import argparse
import re
from pathlib import Path

import matplotlib as mpl
import pandas as pd

import hiddenpop as hp
from hiddenpop import plots
from hiddenpop.words import people, plain

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- generated from results/crack-2005 by docs/make_readme.py: begin -->"
END = "<!-- generated: end -->"


def row(area: str, group: str, table: pd.DataFrame) -> str:
    """One line of the table, rounded as in the report."""
    at = table[(table["area"] == area) & (table["group"] == group)].set_index("quantity")
    users, rate = at.loc["N"], at.loc["prevalence_per_1000"]
    return (
        f"| {area} | {group.replace('_', ' ')} | {people(users['median'])} "
        f"| {people(users['low'])} to {people(users['high'])} "
        f"| {plain(rate['median'])} | {plain(rate['low'])} to {plain(rate['high'])} |"
    )


def main(result: Path) -> None:
    """Rewrite the generated part of README.md and its picture."""
    study = hp.load_study(result / "study")
    estimate = hp.Estimate.load(result / "estimate.nc", study)
    if estimate.quick or not estimate.verdict.passed:
        raise SystemExit(f"{result} is a quick run or failed its gates: not for the README.")
    picture = ROOT / "docs" / "img" / "prevalence.svg"
    # The same result gives the same bytes: no date, no random names inside the drawing.
    with mpl.rc_context({"svg.hashsalt": "hiddenpop"}):
        plots.prevalence(estimate).savefig(picture, metadata={"Date": None})
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
