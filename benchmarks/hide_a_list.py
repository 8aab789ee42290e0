"""Hide each list of every shipped overlap table, and write what came out into its methods page.

Run by hand: python benchmarks/hide_a_list.py
Families that are computed exactly, with their defaults; some minutes on one core. Writes
the part of docs/methods/hide-a-list.md between its markers, and docs/img/hide-a-list.svg.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import pandas as pd

import hiddenpop as hp
from hiddenpop.checks.hidden_lists.hide_a_list import hidden_scores, hide_a_list
from hiddenpop.checks.hidden_lists.known_size import flag
from hiddenpop.datasets import find_dataset
from hiddenpop.plots.hide_a_list import hide_a_list as figure_of
from hiddenpop.words import listing, people, percent

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "methods" / "hide-a-list.md"
IMAGE = ROOT / "docs" / "img" / "hide-a-list.svg"
START, END = "<!-- written by benchmarks/hide_a_list.py -->", "<!-- end -->"

STUDIES = ("brighton-2000", "scotland-2006", "brussels-2019")
TABLES = {
    "uk-2013, five lists": ("uk-2013", "five-lists.csv", []),
    "uk-2013, six lists": ("uk-2013", "six-lists.csv", []),
    "kosovo-1999": ("kosovo-1999", "table.csv", []),
    "hiv-rome": ("hiv-rome", "table.csv", []),
    "spina-bifida-new-york": ("spina-bifida-new-york", "by-ethnicity.csv", ["ethnicity"]),
}
TWICE = "uk-2013, six lists"
"""The same people as the five lists: shown, and not counted a second time."""

FAMILIES = ("loglinear-average", "graphs", "heterogeneity", "combined", "two-list", "bounds")
SHOWN = 0.9
"""The interval in the table, which is the one that Hook & Regal reported."""

EACH = (
    "Each list: predicted people with the 90 % interval (`bounds`: its range at 95 %); a star "
    "where the known size is outside. A dash is a family that refuses; `failed` is a fit that did "
    "not pass its gates, which is not counted."
)

HOOK_REGAL = (
    "Hook & Regal (2000, abstract) found 16 to 25 % too few on average in 15 such subgroups of "
    "three studies with five lists, by log-linear models of four lists, and the 90 % interval of "
    "the method they found best held 13 of the 15 (87 %)."
)


def read(dataset: str, file: str, by: list[str]) -> hp.OverlapTable:
    """A shipped table; the last column counts people, and all others but `by` are lists."""
    path = find_dataset(dataset).folder / file
    header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
    return hp.read_overlap(path, [x for x in header[:-1] if x not in by], count=header[-1], by=by)


def tables() -> dict[str, hp.OverlapTable]:
    """Every shipped table of three lists or more; those of studies as the study reads them."""
    found = {name: hp.load_size_study(name).table for name in STUDIES}
    found |= {name: read(*where) for name, where in TABLES.items()}
    return {name: table for name, table in found.items() if isinstance(table, hp.OverlapTable)}


def cell(rows: pd.DataFrame) -> str:
    """Median and interval of one family for one list; a star where the truth is outside."""
    if rows.empty:
        return "–"
    row = rows.iloc[0]
    if not row["passed"]:
        return "failed"
    star = "" if row["covered"] else " *"
    return f"{people(row['median'])} ({people(row['low'])}–{people(row['high'])}){star}"


def by_list(frame: pd.DataFrame) -> list[str]:
    """The table with a row for each list."""
    lines = [f"| table | list | known | {' | '.join(FAMILIES)} |", "|---|---|" + "--:|" * 7]
    shown = frame[(frame["level"] == SHOWN) | frame["is_set"].fillna(value=False)]
    for row in frame.drop_duplicates(["table", "list"]).to_dict("records"):
        name, hidden, size = row["table"], row["list"], row["truth"]
        mine = shown[(shown["table"] == name) & (shown["list"] == hidden)]
        known = "a range" if pd.isna(size) else f"{size:,.0f}"
        cells = " | ".join(cell(mine[mine["family"] == family]) for family in FAMILIES)
        lines.append(f"| {name} | {hidden} | {known} | {cells} |")
    return lines


def common(frame: pd.DataFrame, families: tuple[str, ...]) -> pd.DataFrame:
    """Rows of the families for the lists that every one of them predicted."""
    keys = ["table", "stratum", "list"]
    mine = frame[frame["family"].isin(families)]
    able = mine[flag(mine, "passed")].groupby(keys)["family"].nunique()
    kept = able.index[able == len(families)]
    return mine[pd.MultiIndex.from_frame(mine[keys]).isin(kept)]


def pooled(frame: pd.DataFrame, families: tuple[str, ...]) -> list[str]:
    """Scores of families over the lists that all of them predicted."""
    shared = common(frame, families)
    number = len(shared.drop_duplicates(["table", "stratum", "list"]))
    every = len(frame[frame["truth"].notna()].drop_duplicates(["table", "stratum", "list"]))
    lines = [
        f"The {number} lists, of {every} of known size, that all of these families predict:", "",
        "| family | too low, geometric mean | mean of ratio - 1 | 50 % | 90 % | 95 % | log score |",
        "|---|" + "--:|" * 6,
    ]  # fmt: skip
    for family, rows in hidden_scores(shared).groupby("family", sort=False):
        held = {row["level"]: f"{row['coverage']:.0%}" for row in rows.to_dict("records")}
        one = rows.to_dict("records")[-1]
        score = one["mean_log_score"]
        lines.append(
            f"| {family!s} | {100 * one['underestimate']:.1f} % | {100 * one['mean_error']:+.1f} % "
            f"| {' | '.join(held.get(level, '–') for level in (0.5, 0.9, 0.95))} "
            f"| {'–' if pd.isna(score) else f'{score:.2f}'} |"
        )
    return lines


def in_words(frame: pd.DataFrame, families: tuple[str, ...]) -> str:
    """Our figures beside the published ones."""
    scores = hidden_scores(common(frame, families))
    at = scores[scores["level"] == SHOWN].to_dict("records")
    errors = sorted(-row["mean_error"] for row in at)
    held = [f"{row['covered']} by {row['family']}" for row in at]
    told = [row for row in common(frame, families).to_dict("records") if row["level"] == SHOWN]
    mine = [row for row in told if row["family"] == "combined"]
    above = [f"{row['list']} ({row['table']})" for row in mine if row["ratio"] > 1]
    return (
        f"{HOOK_REGAL} Here, over {len(mine)} lists with three others or more, the mean error is "
        f"{percent(errors[0])} to {percent(errors[-1])} too few, by family, and of the {len(mine)} "
        f"intervals of 90 % {listing(held)} hold the known size. Too many people are found by "
        f"`combined` for {listing(above) or 'no list'}."
    )


def predictions() -> pd.DataFrame:
    """Every list of every table, with its strata."""
    frames = []
    for name, table in tables().items():
        frames.append(hide_a_list(table, by_stratum=True).assign(table=name))
        print(f"{name}: {len(frames[-1])} rows", file=sys.stderr)
    return pd.concat(frames, ignore_index=True)


def write(every: pd.DataFrame) -> None:
    """Put the tables into the page, and the first study into its figure."""
    total, strata = (every[(every["stratum"] == "all") == whole] for whole in (True, False))
    counted = total[total["table"] != TWICE]
    three = counted[~counted["table"].isin(["brussels-2019", "spina-bifida-new-york"])]
    pairs = counted[counted["table"].isin(["brussels-2019", "spina-bifida-new-york"])]
    page = [
        START, in_words(three, FAMILIES[:4]), "",
        "Four lists or more, so that three or more are left.",
        *pooled(three, FAMILIES[:4]), "",
        "The same beside `bounds`.", *pooled(three, ("combined", "bounds")), "",
        "Three lists, so that two are left.", *pooled(pairs, FAMILIES[4:]), "",
        "Stratum by stratum, where tables have strata and four lists.",
        *pooled(strata[strata["table"].isin(STUDIES)], FAMILIES[:4]), "",
        EACH, "", *by_list(total), END,
    ]  # fmt: skip
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    PAGE.write_text(before + "\n".join(page) + after, encoding="utf-8")
    figure = figure_of(every[every["table"] == STUDIES[0]])
    if figure is not None:
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hide-a-list"}):
            figure.savefig(IMAGE, metadata={"Date": None})


if __name__ == "__main__":
    write(predictions())
