"""Calibration of the evidence synthesis: nested areas, two groups, every kind of row but bounds.

Bounds are left out: what `families.simulation.synthesis` draws for them says more than the model
reads from them.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from calibrate.regime import Regime, Replicate
from calibrate.sampled import Quantities, sampled_replicate
from hiddenpop.families.simulation.synthesis import GUESS_DF, Truth, draw_truth, simulate
from hiddenpop.families.synthesis import Priors, build_model, values
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.priors import z_score

__all__ = ["nested", "synthesis_regimes", "synthesis_replicate"]

PRIORS = Priors(prevalence=(0.003, 0.02, 0.95), between_areas=0.4)
# Two chains are enough for ranks.
SLOW = Sampling(draws=400, tune=500, chains=2, target_accept=0.98)


@cache
def _fixtures() -> ModuleType:
    """tests/conftest.py, which builds data from short tables."""
    path = Path(__file__).resolve().parents[2] / "conftest.py"
    spec = importlib.util.spec_from_file_location("calibration_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def nested(towns: int) -> SynthesisData:
    """Towns in a country; every third has no evidence of its own."""
    areas = [("Land", "", 4_000_000)]
    areas += [(f"town {t}", "Land", 100_000 * (1 + t % 4)) for t in range(towns)]
    rows: list[dict[str, Any]] = [
        {"kind": "estimate", "group": "any", "value": 100, "low": 85, "high": 130, "level": 0.95},
        {"kind": "proportion", "group": "one", "of": "any", "value": 0, "n": 400,
         "design_effect": 2},
    ]  # fmt: skip
    for i, (name, *_) in enumerate(areas[1:]):
        about = {"area": name, "period": "2004" if i % 2 else "2005"}
        if i % 3 == 0:
            rows.append({"kind": "count", "group": "one", "value": 0, "rates": "known", **about})
        if i % 3 == 1:
            kind = "guess" if i % 4 else "range"
            rows.append({"kind": kind, "group": "any", "source": "off",
                         "value": 100 if i % 4 else np.nan, "low": 70, "high": 150, "level": 0.8,
                         "rates": "events", **about})  # fmt: skip
    found: SynthesisData = _fixtures().synthesis_data(
        areas, rows, cells=("one", "two"), unions={"any": ("one", "two")},
        shares={"known": (0.3, 0.6, 0.95)}, factors={"events": (0.8, 1.6, 0.95)},
        biases={"off": (0.6, 1.4, 0.95)},
    )  # fmt: skip
    return found


def synthesis_replicate(towns: int) -> Replicate:
    """One compilation for the country with so many towns."""
    data = nested(towns)

    def drawn(rng: np.random.Generator) -> tuple[Truth, SynthesisData]:
        truth = draw_truth(data, PRIORS, rng)
        return truth, simulate(truth, rng)

    return sampled_replicate(
        lambda: build_model(data, PRIORS), drawn, values, _quantities, first=SLOW
    )


def _quantities(
    tree: xr.DataTree, data: SynthesisData, truth: Truth, rng: np.random.Generator
) -> Quantities:
    del rng
    posterior = tree["posterior"]
    draws, known = {}, {}
    for area in (data.areas.names[0], data.areas.names[1], data.areas.names[-1]):
        for group in ("any", "one"):
            draws[f"users {area} {group}"] = posterior["users"].sel(area=area, union=group)
            known[f"users {area} {group}"] = truth.size(area, group)
    draws |= {
        "share": posterior["share"][..., 0],
        "factor": posterior["factor"][..., 0],
        "between_areas": posterior["scale"].sel(effect="between_areas"),
        "between_compositions": posterior["scale"].sel(effect="between_compositions"),
        "overdispersion": posterior["overdispersion"],
    }
    known |= {
        "share": float(truth.rates[0]),
        "factor": float(truth.rates[1]),
        "between_areas": truth.between_areas,
        "between_compositions": truth.between_compositions,
        "overdispersion": truth.overdispersion,
    }
    if "off" in set(data.evidence.rows["source"]):  # else it is no part of the model
        draws["bias"] = posterior["bias"].sel(source="off")
        known["bias"] = float(truth.bias[data.biases.names.index("off")])
    expected = posterior["without_bias"].to_numpy() * _bias(posterior, data)
    phi = posterior["overdispersion"].to_numpy()
    draws["log_likelihood"] = xr.DataArray(_log_likelihood(data, expected, phi))
    known["log_likelihood"] = float(
        _log_likelihood(data, truth.expected(), np.array(truth.overdispersion))
    )
    return Quantities({name: x.to_numpy() for name, x in draws.items()}, known)


def _bias(posterior: xr.DataTree, data: SynthesisData) -> np.ndarray:
    """Of each row's source, (chain, draw, evidence)."""
    sources = list(data.evidence.rows["source"])
    return np.asarray(
        posterior["bias"].sel(source=sources).transpose("chain", "draw", "source").to_numpy()
    )


def _log_likelihood(data: SynthesisData, expected: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Of all rows given what they should show, (...,), written apart from the model."""
    found = np.zeros(expected.shape[:-1])
    for i, (_, row) in enumerate(data.evidence.rows.iterrows()):
        found = found + _of_row(row, expected[..., i], phi)
    return np.asarray(found)


def _of_row(row: pd.Series[Any], expected: np.ndarray, phi: np.ndarray) -> np.ndarray:
    if row["kind"] == "count":
        size = 1 / phi**2
        return np.asarray(stats.nbinom.logpmf(row["value"], size, size / (size + expected)))
    if row["kind"] == "proportion":
        n, x = row["n"] / row["design_effect"], row["value"] / row["design_effect"]
        return np.asarray(x * np.log(expected) + (n - x) * np.log1p(-expected))
    low, high, z = np.log(row["low"]), np.log(row["high"]), z_score(row["level"])
    centre = (low + high) / 2 if np.isnan(row["value"]) else np.log(row["value"])
    below, above = (centre - low) / z, (high - centre) / z
    away = np.log(expected) - centre
    score = np.where(away < 0, away / below, away / above)
    return np.asarray(
        stats.t.logpdf(score, GUESS_DF) if row["kind"] == "guess" else stats.norm.logpdf(score)
    )


def synthesis_regimes() -> tuple[Regime, ...]:
    """One, three and eight areas inside a country."""
    return tuple(
        Regime("synthesis", f"{towns} areas", partial(synthesis_replicate, towns), quick, full,
               "a country, two groups, seven kinds of unknown")
        for towns, quick, full in ((1, 25, 100), (3, 100, 400), (8, 20, 60))
    )  # fmt: skip
