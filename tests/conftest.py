"""Fixtures that build data for the evidence synthesis and look into its model without sampling.

pytest imports test files one by one (`--import-mode=importlib`), so what they share is here.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pytensor.compile.mode import Mode

from hiddenpop import priors
from hiddenpop.inputs import periods
from hiddenpop.inputs.areas import areas_from_frame
from hiddenpop.inputs.evidence import Evidence, parse_rates
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.rates import Biases, Rates
from hiddenpop.inputs.synthesis import SynthesisData, Target

__all__: list[str] = []

Interval = tuple[float, float, float]
NUMBERS = ("value", "low", "high", "level", "n")


def synthesis_data(
    areas: Sequence[tuple[Any, ...]],
    evidence: Sequence[Mapping[str, Any]],
    *,
    shares: Mapping[str, Interval] | None = None,
    factors: Mapping[str, Interval] | None = None,
    biases: Mapping[str, Interval] | None = None,
    selection: Mapping[str, Interval] | None = None,
    cells: tuple[str, ...] = ("users",),
    unions: Mapping[str, tuple[str, ...]] | None = None,
    period: str = "2005",
) -> SynthesisData:
    """Build data from short tables, without files and without their checks.

    `areas` are (name, parent, residents) or (name, parent, residents, low, high, level);
    rows of `evidence` need kind and numbers, the rest has defaults; a source "exact" without
    bias always exists; `selection` is of shares.
    """
    columns = ("name", "parent", "population", "low", "high", "level")
    table = pd.DataFrame(
        [(*row, *[np.nan] * (len(columns) - len(row))) for row in areas], columns=list(columns)
    )
    alphas = {name: priors.beta_from_interval(*ends) for name, ends in (shares or {}).items()}
    mus = {name: priors.lognormal_from_interval(*ends) for name, ends in (factors or {}).items()}
    rates = Rates(
        tuple(alphas),
        np.array([prior.alpha for prior in alphas.values()]),
        np.array([prior.beta for prior in alphas.values()]),
        tuple(mus),
        np.array([prior.mu for prior in mus.values()]),
        np.array([prior.sigma for prior in mus.values()]),
        {},
        pd.DataFrame(),
        {name: priors.lognormal_from_interval(*ends) for name, ends in (selection or {}).items()},
    )
    stated = {"exact": (1.0, 1.0, 0.95)} | dict(biases or {})
    errors = [priors.lognormal_from_interval(*ends) for ends in stated.values()]
    default = {
        "area": areas[0][0], "group": cells[0], "period": period, "ages": "15-64",
        "design_effect": 1.0, "of": "", "rates": "", "source": "exact", "use": "yes",
    } | dict.fromkeys(NUMBERS, np.nan)  # fmt: skip
    rows = pd.DataFrame([{"id": f"row{i}", **default, **row} for i, row in enumerate(evidence)])
    rows[list(NUMBERS)] = rows[list(NUMBERS)].astype(float)
    rows["middle"] = rows["period"].map(periods.middle)
    exponents = np.zeros((len(rows), len(rates.names)))
    for i, text in enumerate(rows["rates"]):
        for name, power in parse_rates(text).items():
            exponents[i, rates.names.index(name)] = power
    used = (rows["use"] == "yes").to_numpy()
    return SynthesisData(
        Target("use", "15-64", period),
        areas_from_frame(table),
        cells,
        dict(unions or {}),
        Evidence(tuple(rows["id"]), used, rows.set_index("id", drop=False), exponents, rows),
        rates,
        Biases(
            tuple(stated),
            np.array([error.mu for error in errors]),
            np.array([error.sigma for error in errors]),
            pd.DataFrame(),
        ),
        np.array(used),
    )


class Look:
    """A model's log density and deterministic variables at a point, by name and uncompiled."""

    def __init__(self, model: pm.Model) -> None:
        self.model = model
        self.normals = tuple(str(name) for name in model.coords["standard"])
        outputs = model.replace_rvs_by_values(model.deterministics)
        self._compute = model.compile_fn(
            [model.logp(), *outputs],
            inputs=model.value_vars,
            mode=Mode(linker="py", optimizer=None),
            on_unused_input="ignore",
        )

    def at(
        self,
        z: Mapping[str, float] | None = None,
        scale: Mapping[str, float] | None = None,
        share: Mapping[str, float] | None = None,
    ) -> dict[str, np.ndarray]:
        """Values at a point; normals not named are 0, scales and shares one half.

        Where a survey selects, the shares are those that surveys find.
        """
        coords = self.model.coords
        point = {"z": np.array([(z or {}).get(name, 0.0) for name in self.normals])}
        effects = [(scale or {}).get(str(name), 0.5) for name in coords["effect"]]
        point["scale_log__"] = np.log(effects)
        free = {variable.name for variable in self.model.free_RVs}
        for variable in free & {"share", "share_found"}:
            values = np.array([(share or {}).get(str(name), 0.5) for name in coords["proportion"]])
            point[f"{variable}_logodds__"] = np.log(values / (1 - values))
        names = ["logp", *(variable.name for variable in self.model.deterministics)]
        return dict(zip(names, self._compute(point), strict=True))


@pytest.fixture(scope="session")
def make_data() -> Callable[..., SynthesisData]:
    """`synthesis_data`."""
    return synthesis_data


@pytest.fixture(scope="session")
def look() -> type[Look]:
    """`Look`."""
    return Look


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20041231)


def reference_overlap(name: str, *, factors: bool = True) -> OverlapTable:
    """A table of tests/reference/tables; cells of status `upper_bound` may be anything below."""
    frame = pd.read_csv(Path(__file__).parent / "reference" / "tables" / f"{name}.csv", comment="#")
    rest = [column for column in frame if column not in ("count", "status")]
    lists = [column for column in rest if set(frame[column].unique()) <= {0, 1}]
    levels = [column for column in rest if column not in lists]
    keys = [tuple(map(str, row)) for row in frame[levels].itertuples(index=False, name=None)]
    strata = tuple(dict.fromkeys(keys))
    high = frame["count"].to_numpy(float)
    bound = np.zeros(len(frame), dtype=bool)
    if "status" in frame:
        bound = (frame["status"] == "upper_bound").to_numpy()
    table = OverlapTable(
        tuple(lists),
        tuple(levels),
        strata,
        frame[lists].to_numpy().astype(bool),
        np.array([strata.index(key) for key in keys]),
        np.where(bound, 0.0, high),
        high,
        np.zeros(len(frame), dtype=bool),
    ).sorted()
    return table if factors else table.total()


@pytest.fixture(scope="session")
def reference_table() -> Callable[..., OverlapTable]:
    """`reference_overlap`."""
    return reference_overlap
