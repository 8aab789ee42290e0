"""From draws of the model to whole people, trends and words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hiddenpop.families import multiplier_areas_model as parts
from hiddenpop.families import multiplier_areas_rows as rows_of
from hiddenpop.families.maths.between import draw_between
from hiddenpop.families.multiplier_areas_design import EXPERTS, Design, Grid, years
from hiddenpop.families.multiplier_areas_layout import design_of
from hiddenpop.families.multiplier_areas_notes import assumption, notes
from hiddenpop.families.multiplier_areas_rows import DRAWS
from hiddenpop.inputs.multipliers import Benchmark, MultiplierTable

if TYPE_CHECKING:  # `families.multiplier_areas` calls this module
    from hiddenpop.families.multiplier_areas import Priors

__all__ = ["finish"]

CANDIDATES = 40
"""Numbers of people proposed for each draw where more than the greatest count tells of them."""

ALL = "all areas"


def finish(
    tree: xr.DataTree, data: MultiplierTable, priors: Priors, rng: np.random.Generator
) -> xr.DataTree:
    """As `families.multiplier_areas.finish`."""
    design = design_of(data, priors)
    posterior = tree["posterior"].to_dataset()
    N = _people(design, posterior, priors, rng)
    posterior = posterior.drop_vars(["terms", "size", "term"])
    observed = data.observed_by_stratum
    N = np.maximum(N, observed)
    dims = ("chain", "draw", "stratum")
    posterior["N"], posterior["unseen"] = (dims, N), (dims, N - observed)
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    made = xr.DataTree.from_dict(groups | {"posterior": posterior})
    if len(years(data)) > 1:
        made["trend"] = xr.DataTree(_trend(data, N.reshape(-1, N.shape[-1])))
    made.attrs = {
        "observed": data.observed,
        "assumption": assumption(data),
        "notes": json.dumps(notes(design, priors)),
    }
    return made


def _people(
    design: Design, posterior: xr.Dataset, priors: Priors, rng: np.random.Generator
) -> np.ndarray:
    """Whole people of each stratum, (chain, draw, stratum)."""
    looked = posterior["terms"].to_numpy()
    chains = looked.shape[:2]
    looked = looked.reshape(-1, looked.shape[-1])
    size = posterior["size"].to_numpy().reshape(len(looked), -1)
    tau = np.zeros(len(looked))
    if EXPERTS in design.scales:
        at = list(design.scales).index(EXPERTS)
        tau = posterior["scale"].to_numpy().reshape(len(looked), -1)[:, at]
    given = parts.values(design, priors)
    found = [_stratum(design, given, s, (looked, size[:, s], tau), priors, rng)
             for s in range(len(design.data.strata))]  # fmt: skip
    return np.stack(found, axis=1).reshape(*chains, -1)


def _stratum(
    design: Design,
    given: dict[str, np.ndarray],
    s: int,
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
    priors: Priors,
    rng: np.random.Generator,
) -> np.ndarray:
    """Whole people of one stratum, (draw,): the greatest count and those beyond it."""
    looked, size, tau = drawn
    places = [(grid, slot) for grid in design.grids.values()
              for slot, row in enumerate(grid.cells[s]) if row is not None]  # fmt: skip
    plain = not places and priors.size_prior.kind == "reciprocal"
    proposals = 1 if plain else CANDIDATES
    N = _proposed(design, given, s, looked, size, proposals, rng)
    if plain:
        return np.rint(N[:, 0])
    weight = rows_of.size(DRAWS, N, priors.size_prior)
    for grid, slot in places:
        weight = weight + _log_row(design, given, grid, (s, slot), looked, N, tau)
    # Gumbel's trick: the largest of log weight + noise is a draw with these weights.
    best = np.argmax(weight + rng.gumbel(size=N.shape), axis=1)
    return np.asarray(np.rint(N[np.arange(len(N)), best]))


def _proposed(
    design: Design, given: dict[str, np.ndarray], s: int, looked: np.ndarray, size: np.ndarray,
    proposals: int, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """N given the greatest count and the parameters, (draw, proposal)."""
    row, shape = design.greatest[s], (len(looked), proposals)
    own: dict[str, np.ndarray] = {}
    residents = np.inf
    if design.bounded:
        residents = float(given["residents"][s])
        own["residents"] = given["residents"][s]
    at = None
    if row is not None:
        at = parts.Looked(*(
            looked[:, design.place(f"greatest {name}")][:, [s]] if design.blocks[f"greatest {name}"]
            else np.zeros((len(looked), 1)) for name in ("link", "factor")
        ))  # fmt: skip
        count = _counted(row, at, size[:, None], residents, shape, rng)
        own |= {"greatest_count": count, "greatest_weight": np.zeros(shape)}
    found = parts.others_of(
        DRAWS, own, np.array(1.0), np.broadcast_to(size[:, None], shape), at,
        ranges=False, factors=row is not None,
    )  # fmt: skip
    if not design.bounded:
        return np.asarray(found.count + rng.poisson(np.minimum(found.mean, 1e15)))
    left = np.rint(residents - found.count).astype(np.int64)
    chance = np.clip(1 - found.rest, 0.0, 1.0)
    return np.asarray(found.count + rng.binomial(left, chance))


def _counted(
    row: Benchmark, at: parts.Looked, size: np.ndarray, residents: float, shape: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """The greatest count as reported, (draw, proposal): drawn, where it is a range."""
    if row.least == row.most:
        return np.full(shape, row.least)
    log_mean = size - np.logaddexp(0, -at.link) + at.factor
    if np.isfinite(residents):
        log_mean = log_mean - np.logaddexp(0, size) + np.log(residents)
    mean = np.broadcast_to(np.exp(log_mean), shape)
    return draw_between(mean, np.array(row.least), np.array(row.most), rng)


def _log_row(
    design: Design, given: dict[str, np.ndarray], grid: Grid, where: tuple[int, int],
    looked: np.ndarray, N: np.ndarray, tau: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """What one number says of N, (draw, proposal)."""
    s, slot = where
    own = {name: x[s, slot] for name, x in given.items() if name.startswith(f"{grid.kind}_")}
    own |= {"linked": grid.linked[where], "shares": grid.shares[where]}
    if design.bounded:
        own["residents"] = given["residents"][s]
    if grid.ranges and grid.kind == "survey":
        own["survey_sample"] = np.full((1, 1), own["survey_sample"])
    place = s * grid.slots + slot
    blocks = {}
    for name, wanted in (("link", grid.links), ("factor", grid.factors)):
        here = looked[:, design.place(f"{grid.kind} {name}")][:, [place]] if wanted else None
        blocks[name] = np.zeros((len(looked), 1)) if here is None else here
    c = np.ones((len(looked), 1))
    if grid.kind == "figure":
        c = np.exp(looked[:, design.place("confidence")])
    return np.asarray(
        parts.log_rows(DRAWS, grid, own, parts.Looked(**blocks), N, (tau[:, None], c))
    )


def _trend(data: MultiplierTable, N: np.ndarray) -> xr.Dataset:
    """Last period against the first of each area that has two, and of all that have both.

    `N` is (draw, stratum).
    """
    time = years(data)
    areas = list(dict.fromkeys(area for area, _ in data.strata))
    at = {stratum: i for i, stratum in enumerate(data.strata)}
    ends: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for area in areas:
        here = [period for period in time if (area, period) in at]
        if len(here) > 1:
            ends[area] = (N[:, at[area, here[0]]], N[:, at[area, here[-1]]])
    first, *_, last = time
    both = [area for area in areas if (area, first) in at and (area, last) in at]
    if len(areas) > 1 and both:
        sums = tuple(sum(N[:, at[area, period]] for area in both) for period in (first, last))
        ends[ALL] = sums  # type: ignore[assignment]
    rows = [_compare(*pair) for pair in ends.values()]
    names = ("p_increase", "ratio", "ratio_low", "ratio_high")
    columns = np.array(rows).reshape(-1, len(names)).T
    return xr.Dataset(
        {name: ("area", column) for name, column in zip(names, columns, strict=True)},
        coords={"area": [name or ALL for name in ends]},
    )


def _compare(first: np.ndarray, last: np.ndarray) -> tuple[float, float, float, float]:
    """P(increase) (equal numbers count half), and the ratio with its 95 % interval."""
    up = float(np.mean(last > first) + np.mean(last == first) / 2)
    low, median, high = np.quantile(last / np.maximum(first, 1.0), [0.025, 0.5, 0.975])
    return up, float(median), float(low), float(high)
