"""What capture-recapture costs as lists, strata and people grow: tables and a picture.

Run by hand on a machine that does nothing else: python benchmarks/recapture_cost.py
Tables are synthetic: people are seen on each list independently. Every point is one call after
imports, in a process of its own with one thread for numpy; a family stops growing once a call
took more than 45 seconds (and is ended), or once it refuses. Writes docs/cost.md and its picture.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import hiddenpop as hp
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import fit_table

ROOT = Path(__file__).resolve().parents[1]
LISTS = (2, 3, 4, 5, 6, 8, 10, 15, 20)
STRATA = (1, 10, 100, 1_000, 10_000)
PEOPLE = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
LONGEST = 45.0

ABOUT = (
    "Seconds of one call on two shared cores, one thread for numpy, 500 draws and 500 to tune in "
    "four chains where a family samples. Tables are synthetic: independent lists that see 5 to "
    "25 % of the people. A dash is a family that does not take such a table, or had taken more "
    "than 45 seconds on it or a smaller one. `loglinear` includes compiling."
)

SHORT = Sampling(draws=500, tune=500, seed=1)

SHOWN = {
    "two-list": ("two-list", {}),
    "loglinear-average, BIC": ("loglinear-average", {}),
    "loglinear-average, SBH, pairs": ("loglinear-average", {"estimator": "sbh", "order": 2}),
    "graphs": ("graphs", {}),
    "heterogeneity": ("heterogeneity", {}),
    "latent-class": ("latent-class", {}),
    "bounds": ("bounds", {}),
    "loglinear": ("loglinear", {}),
}


def simulated(people: int, lists: int, strata: int, rng: np.random.Generator) -> pd.DataFrame:
    """One row per person seen: 0/1 columns and a stratum."""
    chance = rng.uniform(0.05, 0.25, lists)
    seen = rng.random((people, lists)) < chance
    frame = pd.DataFrame(seen.astype(np.int8), columns=[f"list{j}" for j in range(lists)])
    frame["area"] = rng.integers(strata, size=people)
    return frame[seen.any(axis=1)]


def table_of(frame: pd.DataFrame, strata: int) -> hp.OverlapTable:
    """The overlap table of simulated persons, by way of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        frame.to_csv(path, index=False)
        names = [name for name in frame if name != "area"]
        by, ignore = (["area"], []) if strata > 1 else ([], ["area"])
        return hp.read_overlap(path, names, by=by, ignore=ignore)


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call; nan where the family refuses."""
    start = time.perf_counter()
    try:
        call()
    except hp.InputError as error:
        print(f"    refused: {error.faults[0].code}", file=sys.stderr)
        return float("nan")
    return time.perf_counter() - start


def fit_in(
    pipe: Connection, table: hp.OverlapTable, family: str, options: dict[str, object]
) -> None:
    """Fit in another process, and send the seconds back."""
    pipe.send(timed(lambda: fit_table(table, family, options=options, sampling=SHORT, check=False)))


def bounded(table: hp.OverlapTable, family: str, options: dict[str, object]) -> float:
    """Seconds of a fit; nan where the family refuses or takes too long."""
    mine, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=fit_in, args=(theirs, table, family, options))
    child.start()
    # Imports of the new process take some seconds, which do not count.
    found = float(mine.recv()) if mine.poll(LONGEST + 8) else float("nan")
    child.terminate()
    child.join()
    return found


def against(sizes: tuple[int, ...], make: Callable[[int], hp.OverlapTable]) -> pd.DataFrame:
    """Seconds of each family (columns) against a size (rows)."""
    found: dict[str, dict[int, float]] = {name: {} for name in SHOWN}
    for size in sizes:
        table = make(size)
        for name, (family, options) in SHOWN.items():
            before = list(found[name].values())
            worked = [x for x in before if x == x]
            if worked and (max(worked) > LONGEST or before[-1] != before[-1]):
                continue

            found[name][size] = bounded(table, family, options)
            print(f"{size:>8} {name}: {found[name][size]:.3g} s", file=sys.stderr)
    return pd.DataFrame(found).reindex(list(sizes))


def reading(rng: np.random.Generator) -> pd.DataFrame:
    """Seconds to read and tabulate persons, without and with an id in each row."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        for people in PEOPLE:
            frame = simulated(4 * people, 4, 1, rng).head(people).drop(columns="area")
            names = list(frame)
            frame.to_csv(path, index=False)
            plain = timed(lambda names=names: hp.read_overlap(path, names))
            frame.insert(0, "id", np.arange(len(frame)) + 10**7)
            frame.to_csv(path, index=False)
            known = timed(lambda names=names: hp.read_overlap(path, names, person="id"))
            rows[len(frame)] = {"read persons": plain, "read persons with ids": known}
            print(f"{len(frame):>8} {rows[len(frame)]}", file=sys.stderr)
    return pd.DataFrame.from_dict(rows, orient="index")


def draw(parts: dict[str, pd.DataFrame]) -> None:
    """One panel per way to grow, seconds on a log scale."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axis, (what, frame) in zip(figure.subplots(1, 3), parts.items(), strict=True):
        for name in frame:
            axis.plot(frame.index, frame[name], "o-", markersize=3, linewidth=1.2, label=name)
        axis.set_yscale("log")
        if what != "lists":
            axis.set_xscale("log")
        axis.set_xlabel(what)
        axis.grid(color="#e4e4e4", linewidth=0.6)
        axis.legend(fontsize=6.5, frameon=False)
    figure.axes[0].set_ylabel("seconds")
    with mpl.rc_context({"svg.hashsalt": "hiddenpop"}):
        figure.savefig(ROOT / "docs" / "img" / "cost.svg", metadata={"Date": None})


def markdown(frame: pd.DataFrame, head: str) -> list[str]:
    """A frame of seconds as a Markdown table."""
    lines = [f"| {head} | " + " | ".join(frame.columns) + " |",
             "|--:|" + "--:|" * len(frame.columns)]  # fmt: skip
    for size, row in frame.iterrows():
        cells = ["–" if np.isnan(x) else f"{x:.2g}" for x in row]
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return lines


def write(lists: pd.DataFrame, strata: pd.DataFrame, people: pd.DataFrame) -> None:
    """Write the page and the picture."""
    draw({"lists": lists, "strata": strata, "people": people})
    text = [
        "# What capture-recapture costs",
        "",
        "<!-- written by benchmarks/recapture_cost.py -->",
        ABOUT,
        "",
        "![Seconds against lists, strata and people](img/cost.svg)",
        "",
        "## Lists (20,000 people)",
        "",
        *markdown(lists, "lists"),
        "",
        "## Strata (four lists, at least 20 people in each stratum)",
        "",
        "Families that ignore strata add them up.",
        "",
        *markdown(strata, "strata"),
        "",
        "## People (four lists; persons read from a file of one row each)",
        "",
        *markdown(people, "people"),
        "",
    ]
    (ROOT / "docs" / "cost.md").write_text("\n".join(text), encoding="utf-8")


def main() -> None:
    """Measure everything."""
    rng = np.random.default_rng(20)
    lists = against(LISTS, lambda n: table_of(simulated(20_000, n, 1, rng), 1))
    strata = against(STRATA, lambda n: table_of(simulated(max(20_000, 20 * n), 4, n, rng), n))
    people = against(PEOPLE[:-1], lambda n: table_of(simulated(n, 4, 1, rng), 1))
    write(lists, strata, people.join(reading(rng), how="outer"))


if __name__ == "__main__":
    # One thread, said before numpy starts its own: the process replaces itself once.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if not single.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | single)
    main()
