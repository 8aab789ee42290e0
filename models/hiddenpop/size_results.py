"""What stands in the result directory of a study of one table."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hiddenpop.checks.tipping.tables import benchmark_tipping, pair_tipping, xi_tipping
from hiddenpop.estimate import read_tree
from hiddenpop.family_fits import FamilyFits
from hiddenpop.files import whole
from hiddenpop.inference import versions
from hiddenpop.inputs.multipliers import MultiplierTable
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.size_study import SizeStudy
from hiddenpop.inputs.table import Table
from hiddenpop.inputs.tree import Tree
from hiddenpop.results import STUDY_COPY, seal, writing
from hiddenpop.size import SizeEstimate
from hiddenpop.studies import copy_files

__all__ = ["fill_sizes", "load_trees", "size_summary", "write_sizes"]

logger = logging.getLogger(__name__)

DRAWS = "estimate.nc"
GROUPS = ("benchmarks", "trend", "nodes")
"""Further groups of an estimate, one row for each benchmark, area or node."""

LIGHTEST = 1e-6
"""Models of less weight are counted in `run.json`, not listed."""


def size_summary(found: FamilyFits, command: str, level: float = 0.95) -> dict[str, Any]:
    """Everything a program would want of the estimates, at full precision."""
    study, headline = found.study, found.headline
    answer = _entry(headline, level)
    return {
        "study": study.name,
        "title": study.title,
        "quick": False,
        "table": _table(study.table),
        "headline": headline.family,
        **{key: answer[key] for key in ("family", "observed", "N", "unseen", "prevalence")},
        "families": [_entry(estimate, level) for estimate in found.estimates.values()],
        "alternatives": {
            switch: [_entry(estimate, level) for estimate in estimates.values()]
            for switch, estimates in found.alternatives.items()
        },
        "refused": dict(found.refused),
        "tipping": _tipping(found),
        "published": [vars(one) for one in study.published],
        "diagnostics": {"passed": found.passed},
        "command": command,
        "seed": int(headline.tree.attrs["seed"]),
        "sampling": json.loads(headline.tree.attrs["sampling"]),
        "options": {key: str(value) for key, value in study.options.items()},
        "versions": versions(),
        "input_sha256": study.sha256,
    }


def _table(table: Table) -> dict[str, Any]:
    """The table in short."""
    short: dict[str, Any] = {"observed": table.observed, "population": table.residents}
    if isinstance(table, OverlapTable):
        totals = dict(zip(table.lists, table.list_totals.tolist(), strict=True))
        return short | {"kind": "overlap", "list_totals": totals, "strata": len(table.strata),
                        "exact": table.exact}  # fmt: skip
    if isinstance(table, Margins):
        totals = dict(zip(table.lists, table.totals, strict=True))
        return short | {"kind": "margins", "list_totals": totals}
    if isinstance(table, MultiplierTable):
        return short | {"kind": "benchmarks", "rows": [row.id for row in table.rows],
                        "strata": [list(pair) for pair in table.strata]}  # fmt: skip
    if isinstance(table, Tree):
        return short | {"kind": "tree", "root": table.root, "branches": len(table.branches)}
    return short | {"kind": "repeats", "frequencies": table.frequencies.tolist()}


def _entry(estimate: SizeEstimate, level: float) -> dict[str, Any]:
    """One family."""
    rate, strata = estimate.prevalence(level), estimate.strata(level)
    return {
        "family": estimate.family,
        "observed": estimate.observed,
        "N": estimate.N(level)._asdict(),
        "unseen": estimate.unseen(level)._asdict(),
        "is_set": estimate.is_set,
        "prevalence": None if rate is None else rate._asdict(),
        "strata": None if strata is None else strata.to_dict("records"),
        "models": _models(estimate),
        **{
            name: None if frame is None else _records(frame)
            for name in GROUPS
            for frame in [estimate.group(name)]
        },
        "completeness": estimate.completeness,
        "assumption": estimate.assumption,
        "notes": list(estimate.notes),
        "diagnostics": {
            "passed": estimate.verdict.passed,
            "gates": [
                {"name": g.name, "found": g.found, "allowed": g.allowed, "passed": g.passed}
                for g in estimate.verdict.gates
            ],
        },
        "priors": json.loads(estimate.tree.attrs["priors"]),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: null in place of nan."""
    rows = frame.to_dict("records")
    return [
        {str(k): None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}
        for row in rows
    ]


def _tipping(found: FamilyFits) -> dict[str, Any] | None:
    """What would have to be true for N to be the threshold of the study."""
    threshold, data = found.study.threshold, found.data
    if threshold is None:
        return None
    if isinstance(data, MultiplierTable):
        frame = benchmark_tipping(data, threshold)
        return {"threshold": threshold, "benchmarks": _records(frame)}
    rows = {"threshold": threshold, "xi": xi_tipping(found, threshold).to_dict("records")}
    if isinstance(data, OverlapTable):
        rows["pairs"] = pair_tipping(data, threshold).to_dict("records")
    return rows


def _models(estimate: SizeEstimate) -> list[dict[str, Any]] | None:
    """The averaged models that carry weight, and what is not averaged (bounds)."""
    models = estimate.models
    if models is None:
        return None
    # Rows of a kind of their own (bounds, models that are shown only) carry no weight.
    heavy = models["weight"] > LIGHTEST
    own = models.get("kind", pd.Series("", index=models.index)).isin(("bound", "shown"))
    rows = models[heavy | own].head(100).to_dict("records")
    sizes = ("median", "mean", "low", "high")
    return [
        {"name": row["model"], "N": {key: row.get(key) for key in sizes}}
        | {str(key): value for key, value in row.items() if key not in ("model", *sizes)}
        for row in rows
    ]


def write_sizes(
    folder: Path,
    found: FamilyFits,
    command: str = "",
    notice: Callable[[str], None] = logger.warning,
) -> None:
    """Write a result directory: report, tables, posteriors, run.json and a copy of the study.

    Parameters
    ----------
    folder
        Takes the place of an earlier result of the same name; anything else is refused.
    command
        What a reader can type to get the same result.
    notice
        Told what is found of an earlier run that was stopped.

    Raises
    ------
    ResultError
        If the folder holds something that is not a result, or cannot be written.
    """
    with writing(folder, notice) as inside:
        fill_sizes(inside, found, command)


def fill_sizes(folder: Path, found: FamilyFits, command: str) -> None:
    """Write everything into an empty folder."""
    from hiddenpop.report.size import size_report

    (folder / "report.html").write_text(size_report(found, command), encoding="utf-8")
    found.table().to_csv(folder / "estimates.csv", index=False)
    models = [
        estimate.models.assign(family=name)
        for name, estimate in found.estimates.items()
        if estimate.models is not None
    ]
    if models:
        pd.concat(models, ignore_index=True).to_csv(folder / "models.csv", index=False)
    for name in GROUPS:
        frames = [
            frame.assign(family=estimate.family)
            for estimate in found.estimates.values()
            if (frame := estimate.group(name)) is not None
        ]
        if frames:
            pd.concat(frames, ignore_index=True).to_csv(folder / f"{name}.csv", index=False)
    trees = xr.DataTree.from_dict({name: e.tree for name, e in found.estimates.items()})
    with whole(folder / DRAWS) as temporary:
        trees.to_netcdf(temporary, engine="h5netcdf")
    copy_files(found.study, folder / STUDY_COPY)
    seal(folder, size_summary(found, command))


def load_trees(folder: Path, study: SizeStudy) -> dict[str, SizeEstimate]:
    """Read back the estimates of a result directory, by family.

    Raises
    ------
    ResultError
        If the file is missing or damaged.
    """
    trees = read_tree(folder / DRAWS)
    return {
        str(name): SizeEstimate(tree, study.table, str(name))
        for name, tree in trees.children.items()
    }
