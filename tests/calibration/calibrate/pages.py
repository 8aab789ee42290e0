"""Tables, figures and sentences from the replicates that are there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from hiddenpop.checks.calibration.scores import (
    LEVELS,
    calibration_sentences,
    calibration_table,
    coverage_table,
)
from hiddenpop.plots.calibration import coverage_figure, rank_figure

__all__ = ["COVERAGE_COLUMNS", "RANK_COLUMNS", "costs", "write_report"]

RANK_COLUMNS = ("status", "quantity", "rank", "truth", "seconds")
COVERAGE_COLUMNS = (
    "status", "family", "N", "observed", "median",
    *(f"{end}_{100 * level:.0f}" for level in LEVELS for end in ("low", "high")), "seconds",
)  # fmt: skip


def write_report(out: Path, ranks: pd.DataFrame, intervals: pd.DataFrame) -> bool:
    """Write every table and figure into `out`, and what they show into `summary.md`.

    `calibration_table.csv`, `coverage_table.csv`, `cost.csv`; `ranks-<study>.svg` and
    `coverage.svg`; all replicates as `ranks.parquet` and `coverage.parquet`.

    Returns
    -------
    bool
        Whether a quantity that has enough ranks to be judged left its band, or a data set could
        not be fitted.
    """
    said: list[str] = []
    failed = False
    for frame, name in ((ranks, "ranks"), (intervals, "coverage")):
        if not frame.empty:
            frame.to_parquet(out / f"{name}.parquet", index=False)
    if not ranks.empty:
        table = calibration_table(ranks)
        judged = table["p_value"].notna()
        failed = bool((judged & ~table["passed"]).any() or table["errors"].any())
        table.to_csv(out / "calibration_table.csv", index=False)
        said += [*calibration_sentences(table), *_unusual(ranks)]
        for study, part in ranks.groupby("study", sort=False):
            if part["rank"].notna().sum() > 1:
                _save(rank_figure(part), out / f"ranks-{str(study).replace(' ', '-')}.svg")
    known = intervals[intervals["family"] != "all"] if not intervals.empty else intervals
    if not known.empty:
        scores = coverage_table(known.rename(columns={"regime": "scenario"}))
        scores.to_csv(out / "coverage_table.csv", index=False)
        _save(coverage_figure(scores), out / "coverage.svg")
        said += _unusual(intervals, "family")
    if not (ranks.empty and intervals.empty):
        costs(ranks, intervals).to_csv(out / "cost.csv", index=False)
    (out / "summary.md").write_text("\n\n".join(said) + "\n", encoding="utf-8")
    return failed


def costs(*replicates: pd.DataFrame) -> pd.DataFrame:
    """Replicates, mean seconds of one and the sum in minutes of one core, by study and regime.

    Computing time of the fits, all threads together, without compiling.
    """
    every = pd.concat([frame for frame in replicates if not frame.empty])
    # Quantities of one fit share its seconds; families of one table have their own.
    names = ["study", "regime", "replicate"]
    each = every.assign(family=every.get("family", "")).fillna({"family": ""})
    one = each.groupby([*names, "family"], sort=False)["seconds"].first()
    fits = one.groupby(names, sort=False).sum()
    found = fits.groupby(["study", "regime"], sort=False).agg(["count", "mean", "sum"])
    found = found.rename(columns={"count": "replicates", "mean": "seconds", "sum": "minutes"})
    return found.assign(minutes=found["minutes"] / 60).reset_index()


def _unusual(frame: pd.DataFrame, by: str = "study") -> list[str]:
    """How many replicates were refused, in doubt or in error, by study or family."""
    first = frame.groupby([by, "regime", "replicate"], sort=False)["status"].first()
    rows = []
    for name, status in first.groupby(level=by, sort=False):
        # Failed gates by name: what each was found to be would make them all different.
        odd = (
            status[status != "ok"].str.replace(r" is \S+, allowed.*", "", regex=True).value_counts()
        )
        if len(odd):
            what = "; ".join(f"{count} {reason}" for reason, count in odd.items())
            rows.append(f"{name}: of {len(status)} data sets {what}.")
    return rows


def _save(figure: Figure, path: Path) -> None:
    # No date, so that the same numbers give the same file.
    figure.savefig(path, metadata={"Date": None})
