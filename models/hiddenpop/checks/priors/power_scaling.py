"""Power scaling: how the answer reacts if the prior or the evidence is made a little stronger.

The prior, or the likelihood, is raised to a power next to 1 and the posterior follows by
importance weights; how fast it changes is the sensitivity (Kallioinen, Paananen, Bürkner & Vehtari
2024, Stat Comput 34:57). Sensitive to both: they may pull in different directions. To the prior
only: the evidence says little. Unlike halving and doubling, it looks next to the priors as they
are.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hiddenpop.checks.priors.densities import Parts, evaluate, free_draws, has_parents
from hiddenpop.checks.priors.of_tables import stored_priors
from hiddenpop.estimate import Estimate
from hiddenpop.families import FAMILIES
from hiddenpop.families.synthesis import EFFECTS
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.size import SizeEstimate
from hiddenpop.words import listing, name_words

__all__ = [
    "ALL_PRIORS",
    "CONFLICT",
    "FINE",
    "HEADLINE",
    "WEAK",
    "power_scaling",
    "power_sentences",
    "sense",
]

SENSITIVE = 0.05
"""Sensitivity from which a part counts, as in the source and in ArviZ."""

ALL_PRIORS = "all priors"
HEADLINE = "N"
FINE, WEAK, CONFLICT = "none", "weak evidence", "possible conflict"
VERDICTS = {
    "potential prior-data conflict": CONFLICT,
    "potential strong prior / weak likelihood": WEAK,
    "✓": FINE,
}
"""ArviZ's diagnoses, in our words."""

LIKELIHOODS = frozenset(
    {"log_likelihood", "brackets", "distinct_log_likelihood", "totals_log_likelihood", "counts"}
)
"""Terms of the families that are sampled from one table which hold data; other terms are priors."""


def power_scaling(
    estimate: Estimate | SizeEstimate, *, area: str | None = None, group: str | None = None
) -> pd.DataFrame:
    """Sensitivity of a sampled estimate to its priors and its evidence.

    The priors that are scaled are those of parameters; distributions of areas or interactions
    around a common level are part of the model.

    Parameters
    ----------
    area, group
        Of the headline of a synthesis. Default: the first area of the report and its headline
        group.

    Returns
    -------
    pandas.DataFrame
        One row for each `quantity` ("N", and "rate ..." of each share or factor of a synthesis)
        to `ALL_PRIORS` together, and of N to each `part` of them. `prior` and `likelihood` are
        the sensitivities to that part and to all evidence; `finding` is
        `CONFLICT`, `WEAK` or `FINE` (`SENSITIVE` is the limit). Empty for a family that is not
        sampled by gradients: it is computed again under other priors instead.
    """
    if isinstance(estimate, Estimate):
        tree = _of_synthesis(estimate, area, group)
    else:
        made = _of_table(estimate)
        if made is None:
            return pd.DataFrame(columns=["quantity", "part", "prior", "likelihood", "finding"])
        tree = made
    return sense(tree)


def sense(tree: xr.DataTree) -> pd.DataFrame:
    """The frame of `power_scaling`, from a tree.

    Parameters
    ----------
    tree
        Groups `posterior` (the quantities), `log_prior` (a variable for each part) and
        `log_likelihood`, dims (chain, draw, ...).
    """
    parts = [str(name) for name in tree["log_prior"].data_vars]
    frames = []
    for part in [ALL_PRIORS, *parts]:
        names = parts if part == ALL_PRIORS else [part]
        if part != ALL_PRIORS and np.ptp(tree["log_prior"][part].to_numpy()) == 0:
            continue
        with _quiet():
            found = az.psense_summary(
                tree, var_names=None if part == ALL_PRIORS else [HEADLINE],
                prior_var_names=names, threshold=SENSITIVE, round_to=12,
            )  # fmt: skip
        frames.append(
            pd.DataFrame(
                {
                    "quantity": found.index.astype(str), "part": part,
                    "prior": found["prior"].to_numpy(dtype=float),
                    "likelihood": found["likelihood"].to_numpy(dtype=float),
                    "finding": [VERDICTS[text] for text in found["diagnosis"]],
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """ArviZ logs a pointer to its manual for each finding; we put them into words."""
    log = logging.getLogger("arviz_stats")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _of_synthesis(estimate: Estimate, area: str | None, group: str | None) -> xr.DataTree:
    """Headline, rates, log prior by part and log likelihood by row of a synthesis."""
    report, data, model = estimate.data.report, estimate.data.data, estimate.model
    posterior = estimate.tree["posterior"].to_dataset()
    values = FAMILIES[estimate.family].module.values(data)
    parts = evaluate(model, values, free_draws(model, posterior))
    chosen = {"area": area or report.areas[0], "union": group or report.headline}
    quantities = {"N": posterior["users"].sel(chosen, drop=True)}
    for variable, dim in (("share", "proportion"), ("factor", "multiplier")):
        for name in posterior[variable][dim].to_numpy() if variable in posterior else ():
            rate = posterior[variable].sel({dim: name}, drop=True)
            if float(rate.std()) > 0:
                quantities[f"rate {name}"] = rate
    counted = data.counted.astype(bool)
    likelihood = posterior["pointwise"].isel(evidence=np.flatnonzero(counted)).sum("evidence")
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(quantities),
            "log_prior": _dataset(_synthesis_priors(model, data, parts), posterior.sizes),
            "log_likelihood": xr.Dataset({"all rows": likelihood}),
        }
    )


def _synthesis_priors(model: pm.Model, data: SynthesisData, parts: Parts) -> dict[str, np.ndarray]:
    """Log density of each prior, (sample,), by the names of `study_priors`.

    Differences between areas are left out, whose prior is that of their scale; drift, a part of
    the model; and residents, which are data.
    """
    found: dict[str, np.ndarray] = {}
    contrasts = {f"composition: {i + 1}" for i in range(len(data.cells) - 1)}
    own = {"level: top": "prevalence", "overdispersion: counts": "overdispersion"}
    own |= dict.fromkeys(contrasts, "composition")
    for i, name in enumerate(map(str, model.coords["standard"])):
        kind, _, what = name.partition(": ")
        rest = kind in ("factor", "bias", "selection")
        part = own.get(name) or (f"{kind.replace('factor', 'rate')} {what}" if rest else "")
        if part:
            found[part] = found.get(part, 0.0) + parts.densities["z"][:, i]
    found |= {name: parts.densities["scale"][:, i] for i, name in enumerate(EFFECTS)}
    shares = parts.densities.get("share_found", parts.densities.get("share"))
    if shares is not None:
        found |= {f"rate {name}": shares[:, i] for i, name in enumerate(data.rates.shares)}
    above = has_parents(model)
    for variable, x in parts.densities.items():
        if "." in variable and variable not in above:
            found[f"table {variable}"] = x.reshape(len(x), -1).sum(1)
    lists = {name: x for name, x in parts.potentials.items() if name.endswith(".list_prior")}
    return found | {f"table {name}": x for name, x in lists.items()}


def _of_table(estimate: SizeEstimate) -> xr.DataTree | None:
    """N, log prior by part and log likelihood of a family sampled by gradients; else None."""
    family = FAMILIES.get(estimate.family)
    if family is None or not hasattr(family.module, "build_model"):
        return None
    priors = stored_priors(estimate)
    model = estimate.model or family.module.build_model(estimate.data, priors)
    values = family.module.values(estimate.data, priors)
    posterior = estimate.tree["posterior"].to_dataset()
    parts = evaluate(model, values, free_draws(model, posterior))
    above = has_parents(model)
    prior = {name: x.reshape(len(x), -1).sum(1) for name, x in parts.densities.items()
             if name not in above}  # fmt: skip
    prior |= {name: x for name, x in parts.potentials.items() if name not in LIKELIHOODS}
    told = {name: x for name, x in parts.potentials.items() if name in LIKELIHOODS}
    sizes = posterior.sizes
    N = {"N": estimate.draws().reshape(sizes["chain"], sizes["draw"])}
    return xr.DataTree.from_dict(
        {
            "posterior": _dataset(N, sizes),
            "log_prior": _dataset(prior, sizes),
            "log_likelihood": _dataset(told, sizes),
        }
    )


def _dataset(found: Mapping[str, np.ndarray], sizes: Mapping[Hashable, int]) -> xr.Dataset:
    """Variables of each draw, chains apart."""
    shape = (sizes["chain"], sizes["draw"])
    return xr.Dataset(
        {name: (("chain", "draw"), x.reshape(shape)) for name, x in found.items()},
        coords={"chain": np.arange(shape[0]), "draw": np.arange(shape[1])},
    )


def power_sentences(frame: pd.DataFrame) -> list[str]:
    """What power scaling says: of N, then of rates that the evidence says little of.

    Parameters
    ----------
    frame
        From `power_scaling`.
    """
    whole = frame[frame["part"] == ALL_PRIORS]
    found = [_of_headline(row, frame) for _, row in whole.iterrows() if row["quantity"] == HEADLINE]
    rates = whole[whole["quantity"] != HEADLINE]
    beginnings = {
        WEAK: "The evidence says little about these, which follow their priors:",
        CONFLICT: "Both their priors and the evidence matter to these, and may disagree:",
    }
    for finding, words in beginnings.items():
        names = [name_words(str(name)) for name in rates["quantity"][rates["finding"] == finding]]
        if names:
            found.append(f"{words} {listing(names)}.")
    return found


def _of_headline(row: pd.Series[Any], frame: pd.DataFrame) -> str:
    """What is found of N, and which priors it is most sensitive to."""
    numbers = (
        f"sensitivity {row['prior']:.2f} to the priors, {row['likelihood']:.2f} to the evidence"
    )
    said = {
        FINE: "Priors made a little stronger or weaker hardly move N",
        WEAK: "The evidence says little about N, which follows its priors",
        CONFLICT: "Both priors and evidence move N, and may pull it in different directions",
    }[str(row["finding"])]
    parts = frame[(frame["quantity"] == HEADLINE) & (frame["part"] != ALL_PRIORS)]
    if row["finding"] == FINE or len(parts) < 2:
        return f"{said} ({numbers})."
    most = parts.sort_values("prior", ascending=False)["part"].iloc[:3]
    names = listing([f'"{name_words(str(name))}"' for name in most])
    return f"{said} ({numbers}). It is most sensitive to the priors {names}."
