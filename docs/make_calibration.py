"""Put what a calibration run found into docs/calibration.md, so that none of it is typed.

python docs/make_calibration.py results/calibration

Copies the small tables into docs/calibration/ and the figures into docs/img/.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import pandas as pd

from hiddenpop.checks.calibration.scores import calibration_sentences
from hiddenpop.words import listing, plain, probability

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "calibration.md"
TABLES = ROOT / "docs" / "calibration"
IMAGES = ROOT / "docs" / "img"

RUN = "python tests/calibration/run.py"

INSIDE = {
    "independent": ("independence", "loglinear-average", "graphs"),
    "three of eight silent": (
        "multiplier-areas: an area with data", "multiplier-areas: an area without data",
    ),
}  # fmt: skip
"""Families whose assumption a scenario fulfils, by scenario: intervals should keep their level.
`two-list` is not among them: it allows for an unknown odds ratio, and is wide for that reason."""

PAIRS = ("one pair", "two pairs", "three pairs")
WIDE = "two-list"
"""The family that rests on a range of dependence instead of an assumption about it."""

BAD = 0.8
"""Coverage at 95 % below which a family is named."""

SHRINKING = ("loglinear-average", "loglinear-average sbh", "graphs", "combined", "loglinear")
"""Families that average over models or shrink towards few interactions."""

KEPT, LEAST = (0.931, 0.967), 0.90
"""Of 1,000 intervals at 95 %, what chance leaves; and what is asked under pairwise dependence."""


def between(name: str, body: list[str], text: str) -> str:
    """Replace a generated part of the page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{PAGE} has no part '{name}'.")
    return pattern.sub(lambda _: "\n".join([begin, "", *body, "", end]), text)


def figure(file: Path, only: str, caption: str) -> list[str]:
    """A figure with the command that remakes it."""
    return [f"![{caption}](img/{file.name})", "", f"`{RUN}{only}` makes this figure.", ""]


def rank_part(table: pd.DataFrame, folder: Path) -> list[str]:
    """What the ranks say, a row for each regime, and the figures."""
    lines = [*calibration_sentences(table), ""]
    lines += [
        "| study | regime | data sets | quantities | least p after Holm | of | inside |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for (study, regime), part in table.groupby(["study", "regime"], sort=False):
        judged = part.dropna(subset="p_holm")
        least = part.iloc[0] if judged.empty else judged.loc[judged["p_holm"].idxmin()]
        lines.append(
            f"| {study} | {regime} | {part['replicates'].max():,} | {len(part)} "
            f"| {probability(least['p_holm'])} | {least['quantity']} "
            f"| {'yes' if part['passed'].all() else '**no**'} |"
        )
    lines.append("")
    for study in table["study"].drop_duplicates():
        file = folder / f"ranks-{study.replace(' ', '-')}.svg"
        if file.exists():
            shutil.copy(file, IMAGES / file.name)
            lines += figure(file, f" --only '{study}'", f"Ranks of {study}")
    return lines


def verdicts(scores: pd.DataFrame) -> list[str]:
    """Whether families do what is asked of them, scenario by scenario, in sentences."""
    indexed = scores.set_index(["scenario", "family"])
    at, errors = indexed["cover_95"].dropna(), indexed["mcse_cover_95"]
    said = [_inside(scenario, families, at, errors) for scenario, families in INSIDE.items()]
    below = [
        f"{family} {percent(at[scenario, family])} ({scenario})"
        for scenario in PAIRS for family in SHRINKING
        if (scenario, family) in at.index and at[scenario, family] < LEAST
    ]  # fmt: skip
    asked = (
        f"Families that average over models or shrink should hold N in at least {LEAST:.0%} "
        "under dependence of pairs: "
    )
    said.append(asked + ("all do." if not below else f"not so {listing(below)}."))
    known = at.index.get_level_values("scenario")
    said += [_three_way(name, at) for name in ("three-way", "three-way, three lists")
             if name in known]  # fmt: skip
    bad = [f"{family} {percent(x)} ({scenario})" for (scenario, family), x in at.items() if x < BAD]
    said.append(f"Coverage below {BAD:.0%}: {listing(bad)}.")
    return said


def _inside(
    scenario: str, families: tuple[str, ...], at: pd.Series, errors: pd.Series
) -> str:  # fmt: skip
    """Whether families whose assumption holds keep their level, give or take chance."""
    shares = {f: at[scenario, f] for f in families if (scenario, f) in at.index}
    out = [
        f for f, x in shares.items()
        if not KEPT[0] <= x <= KEPT[1] and abs(x - 0.95) > 2.6 * errors[scenario, f]
    ]  # fmt: skip
    parts = [f"{f} {percent(x)}" for f, x in shares.items()]
    tail = "all do, or miss it by what chance explains" if not out else f"{listing(out)} do not"
    return (
        f"Where the truth is in the model ({scenario}), 95 % intervals should hold N in "
        f"{100 * KEPT[0]:.1f} to {100 * KEPT[1]:.1f} % of 1,000 data sets: "
        f"{listing(parts)}; {tail}."
    )


def _three_way(scenario: str, at: pd.Series) -> str:
    found = at.xs(scenario, level="scenario").sort_values()
    wide = f"; {WIDE}, which allows for a range of dependence, {percent(found[WIDE])}"
    found = found.drop(WIDE)
    return (
        f"Under dependence of three lists at once ({scenario}) the assumption of no family that "
        f"uses all lists holds: coverage goes from {percent(found.iloc[0])} ({found.index[0]}) to "
        f"{percent(found.iloc[-1])} ({found.index[-1]}){wide}. Nothing in a table speaks about "
        "the interaction of all its lists; the tipping points of `hiddenpop trust` say how strong "
        "the dependence would have to be."
    )


def percent(share: float) -> str:
    """A share with one digit."""
    return f"{100 * share:.1f} %"


def coverage_part(scores: pd.DataFrame, folder: Path) -> list[str]:
    """Coverage at 95 %, bias and width by scenario and family."""
    lines = [*(f"- {said}" for said in verdicts(scores)), ""]
    lines += [
        ("| scenario | family | data sets | none | 50 % | 90 % | 95 % (± 2 se) | median / N "
         "| high / low |"),
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for row in scores.to_dict("records"):
        if not row["replicates"]:
            lines.append(f"| {row['scenario']} | {row['family']} | 0 | {row['left_out']} |||||| ")
            continue
        lines.append(
            f"| {row['scenario']} | {row['family']} | {row['replicates']:,} "
            f"| {row['left_out']} | {100 * row['cover_50']:.0f} | {100 * row['cover_90']:.1f} "
            f"| {100 * row['cover_95']:.1f} (± {200 * row['mcse_cover_95']:.1f}) "
            f"| {factor(row['bias'])} | {factor(row['width_95'])} |"
        )
    file = folder / "coverage.svg"
    shutil.copy(file, IMAGES / "coverage.svg")
    return [
        *lines, "",
        (
            "*none*: data sets that the family refuses or whose fit failed. *median / N*: "
            "geometric mean of the median over the truth. *high / low*: of the 95 % interval."
        ),
        "",
        *figure(IMAGES / "coverage.svg", "", "Coverage, bias and width"),
    ]  # fmt: skip


def factor(log: float) -> str:
    """A log ratio as a factor."""
    return f"{2.718281828459045**log:.2f}"


def cost_part(cost: pd.DataFrame, sittings: list[dict[str, object]]) -> list[str]:
    """What it took, with what."""
    hours = cost["minutes"].sum() / 60
    last = sittings[-1]
    versions = dict(last["versions"])  # type: ignore[call-overload]
    dear = cost.groupby("study")["minutes"].sum().sort_values(ascending=False).head(4)
    parts = [f"{study} {plain(minutes, 2)}" for study, minutes in dear.items()]
    codes = {dict(s["versions"])["hiddenpop code"] for s in sittings}  # type: ignore[call-overload]
    return [
        f"Fits took {hours:.1f} hours of one core, compiling and drawing data not counted; most "
        f"minutes went to {listing(parts)}. Sittings of the run that left these tables: "
        f"{len(sittings)}, the last begun {last['begun']}; seed {last['seed']}. Versions: "
        + ", ".join(f"{name} {value}" for name, value in versions.items())
        + ("." if len(codes) == 1 else "; earlier sittings ran other code of this package "
           f"({listing(sorted(codes - {versions['hiddenpop code']}))})."),
    ]  # fmt: skip


def main(folder: Path) -> None:
    """Rewrite the generated parts of the page."""
    TABLES.mkdir(exist_ok=True)
    for name in ("calibration_table.csv", "coverage_table.csv", "cost.csv", "run.json"):
        shutil.copy(folder / name, TABLES / name)
    for name in ("calibration_table.csv", "coverage_table.csv", "cost.csv"):
        frame = pd.read_csv(TABLES / name)
        frame.to_csv(TABLES / name, index=False, float_format="%.5g")
    sittings = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    ranks = pd.read_csv(folder / "calibration_table.csv")
    scores = pd.read_csv(folder / "coverage_table.csv")
    text = between("ranks", rank_part(ranks, folder), text)
    text = between("coverage", coverage_part(scores, folder), text)
    text = between("cost", cost_part(pd.read_csv(folder / "cost.csv"), sittings), text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("result", type=Path)
    main(parser.parse_args().result)
