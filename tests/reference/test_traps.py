"""Traps that other software falls into, one test each; most stand again with their family.

Measured on dga 2.0.2, LCMCR 0.4.14, conting 1.7, CARE1 1.1.0, SparseMSE 2.0.1.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hiddenpop.errors import InputError
from hiddenpop.families import FAMILIES
from hiddenpop.families.averaging.selection import stepwise
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import SizeEstimate, fit_table

__all__: list[str] = []

Read = Callable[..., OverlapTable]


def fit(table: OverlapTable, family: str, **options: object) -> SizeEstimate:
    return fit_table(table, family, options=options, sampling=Sampling(seed=4))


def linked(rng: np.random.Generator) -> OverlapTable:
    """Lists 1 and 2 linked, list 3 free of both."""
    first = rng.random(4000) < 0.3
    second = rng.random(4000) < np.where(first, 0.6, 0.15)
    third = rng.random(4000) < 0.25
    seen = np.column_stack([first, second, third])
    rows, counts = np.unique(seen[seen.any(axis=1)], axis=0, return_counts=True)
    labels = ["".join("1" if mark else "0" for mark in row) for row in rows]
    return OverlapTable.from_counts(
        ("one", "two", "three"), dict(zip(labels, counts.tolist(), strict=True))
    )


@pytest.mark.parametrize("family", ["graphs", "loglinear-average"])
def test_labels_of_lists_are_never_reversed(family: str, rng: np.random.Generator) -> None:
    # dga, fed as its help says, names the link of lists 2 and 3 here.
    models = fit(linked(rng), family).models
    assert models is not None
    assert models.loc[0, "model"] == "[one two][three]"


def test_the_weight_of_the_saturated_graph_is_always_told(reference_table: Read) -> None:
    table = reference_table("kosovo")
    small, large = (fit(table, "graphs", delta=delta) for delta in (1 / 16, 1.0))
    assert float(small.tree.attrs["saturated_probability"]) < 1e-4
    assert float(large.tree.attrs["saturated_probability"]) == pytest.approx(0.976, abs=5e-4)
    # With it N is the prior's; left out, N hardly moves.
    inside = fit(table, "graphs", delta=1.0, saturated=True)
    assert inside.N().mean < 5_000 < 9_000 < large.N().mean
    assert any("98 %" in note for note in (*large.notes, *inside.notes))


def test_nothing_caps_the_size(reference_table: Read) -> None:
    # LCMCR drops draws above 21 times the observed, dga what lies beyond its grid, in silence.
    found = fit(reference_table("Ned_5"), "graphs")
    assert found.distribution is not None
    assert found.observed + found.distribution.unseen.max() > 21 * found.observed
    assert float(found.tree.attrs["tail"]) < 1e-6


@pytest.mark.parametrize("family", ["graphs", "loglinear-average", "heterogeneity"])
def test_the_number_reported_first_is_a_median(family: str, reference_table: Read) -> None:
    # Tails fall as powers of N, so that a mean need not exist.
    found = fit(reference_table("HIV"), family)
    exact, size = found.distribution, found.N()
    assert exact is not None
    below = np.cumsum(exact.probability)
    place = np.searchsorted(exact.unseen, size.median - found.observed)
    assert below[place] >= 0.5 - 1e-9
    assert size.mean > size.median


def test_a_suppressed_cell_may_be_zero(reference_table: Read) -> None:
    # conting draws such cells from 1 upwards.
    table = reference_table("spina_agg")
    cell = table.labels.index("111")
    low, high = table.low.copy(), table.high.copy()
    high[cell] = 12.0
    sizes = []
    for least in (0.0, 11.0):
        low[cell] = least
        hidden = replace(table, low=low.copy(), high=high)
        sizes.append(fit(hidden, "loglinear-average", estimator="sbh", order=2).N().median)
    assert sizes[0] != sizes[1]
    hidden = replace(table, low=np.where(np.arange(len(low)) == cell, 0.0, low), high=high)
    assert hidden.observed == table.observed - table.low[cell]


def test_a_fit_that_did_not_mix_cannot_pass_in_silence(reference_table: Read) -> None:
    # LCMCR and conting print neither R-hat nor effective sample size.
    module = FAMILIES["latent-class"].module
    tree = module.posterior(
        reference_table("spina_agg"), module.Priors(), Sampling(draws=40, tune=5, seed=1)
    )
    tree.attrs |= {"family": "latent-class"}
    verdict = SizeEstimate(tree, reference_table("spina_agg"), "latent-class").verdict
    assert not verdict.passed
    assert {gate.name for gate in verdict.gates} >= {"R-hat", "bulk effective sample size"}


def test_a_table_of_the_wrong_shape_is_refused_and_gives_no_zero(reference_table: Read) -> None:
    # CARE1 gives 0 or nan.
    with pytest.raises(InputError):
        fit(reference_table("kosovo"), "two-list")


def test_one_selected_model_stands_beside_others_far_away(reference_table: Read) -> None:
    # Stepwise selection lands at half of what every average of models gives.
    table = reference_table("UKdat_5")
    chosen = stepwise(table).fit.N
    others = [fit(table, name).N().median for name in ("loglinear-average", "graphs")]
    assert chosen < 0.6 * min(others)
    best = fit(table, "loglinear-average", best=True)
    assert best.notes[0].startswith("Conditional on the selected model")
