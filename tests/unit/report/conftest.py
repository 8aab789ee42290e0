"""An estimate without a fit: draws from the prior of the tiny study, dressed as four chains."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hiddenpop as hp
from hiddenpop.checks.influence import MAIN, all_variants
from hiddenpop.estimate import build
from hiddenpop.families import FAMILIES
from hiddenpop.inference import Sampler

__all__: list[str] = []

CHAINS, DRAWS = 4, 500
TINY = Path(__file__).parents[2] / "studies" / "tiny"


@pytest.fixture(scope="session")
def estimate() -> hp.Estimate:
    """Good in the eyes of the gates: independent draws, no divergence."""
    study = hp.load_study(TINY)
    module = FAMILIES[study.family].module
    sampler = Sampler(build(study))
    drawn = sampler.prior(module.values(study.data), CHAINS * DRAWS, seed=11)
    chains = {
        name: (("chain", "draw", *x.dims[2:]), x.to_numpy().reshape(CHAINS, DRAWS, *x.shape[2:]))
        for name, x in drawn.data_vars.items()
    }
    labels = {name: x.to_numpy() for name, x in drawn.coords.items()}
    labels |= {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)}
    shape, rng = (CHAINS, DRAWS), np.random.default_rng(5)
    stats = {
        "diverging": np.zeros(shape, dtype=bool),
        "maxdepth_reached": np.zeros(shape, dtype=bool),
        "energy": rng.normal(size=shape),
    }
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(chains, coords=labels),
            "sample_stats": xr.Dataset({k: (("chain", "draw"), x) for k, x in stats.items()}),
        }
    )
    tree.attrs = {
        "sampler": "nutpie",
        "quick": 0,
        "sampling": json.dumps(asdict(study.sampling)),
        "priors": json.dumps(asdict(module.Priors(**study.priors))),
        "versions": json.dumps({"python": "3.12.0", "hiddenpop": "0.0"}),
        "input_sha256": json.dumps(study.sha256),
    }
    return hp.Estimate(tree, study, study.family, sampler)


@pytest.fixture(scope="session")
def variants(estimate: hp.Estimate) -> pd.DataFrame:
    """What `vary` returns, without its fits: each variant a little higher than the one before."""
    named = [(MAIN, "All evidence in use")]
    named += [(variant.name, variant.title) for variant in all_variants(estimate.data)]
    tables = []
    for step, (name, title) in enumerate(named):
        table = estimate.table()
        table[["median", "mean", "low", "high"]] *= 1 + 0.1 * step
        table.insert(0, "variant", name)
        table.insert(1, "title", title)
        tables.append(table.assign(rows=6, passed=step != 2))
    return pd.concat(tables, ignore_index=True)
