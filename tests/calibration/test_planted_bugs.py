"""The machinery passes what is right and fails what is wrong: faults planted on purpose.

Data sets are few enough for a minute. Each fault must leave the 99 % band by far, and the same
number of data sets without it must not.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from calibrate.exact import exact_replicate, lists, two_list_options
from calibrate.loglinear import cells, loglinear_replicate
from calibrate.regime import Replicate, around
from calibrate.store import seeded

from hiddenpop.checks.calibration.scores import calibration_table, draw_rank
from hiddenpop.families.loglinear import Priors
from hiddenpop.families.simulation.two_list import Truth, simulate
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inputs.overlap import OverlapTable

__all__: list[str] = []

SIZE = 2000
# A thing that is told precisely enough to show a fault of a fifth: N and the overlap are large,
# the odds ratio is nearly known.
SHARP = two_list_options(SIZE, 2.0) | {
    "odds_ratio": (0.8, 1.25, 0.95), "size_prior": SizePrior("lognormal", 2000, 20_000)
}  # fmt: skip


def ranks_of(run: Replicate, name: str, count: int) -> pd.DataFrame:
    rows = [row for k in range(count) for row in run(seeded("planted", name, k))]
    return pd.DataFrame(rows).assign(study="two-list", regime=name)


def table_of(run: Replicate, name: str, count: int = 150) -> pd.DataFrame:
    return calibration_table(ranks_of(run, name, count)).set_index("quantity")


def fifth_lost(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """A fifth of those on both lists are not recognised: 20 % of the scale of the overlap."""
    table = simulate(truth, rng)
    assert isinstance(table, OverlapTable)
    both = table.history.all(axis=1)
    low = np.where(both, np.floor(0.8 * table.low), table.low)
    return replace(table, low=low, high=low)


def swapped(truth: Truth, rng: np.random.Generator) -> OverlapTable:
    """The first list is stored as the second in the cell of those on the first alone."""
    table = simulate(truth, rng)
    assert isinstance(table, OverlapTable)
    history = table.history.copy()
    history[~history[:, 1]] = [True, True]
    one = replace(table, history=history)
    cells = {"11": 0.0, "01": 0.0}
    for label, count in zip(one.labels, one.low, strict=True):
        cells[label] += float(count)
    return OverlapTable.from_counts(table.lists, {**cells, "10": 0.0})


def test_without_a_fault_nothing_leaves_the_band() -> None:
    table = table_of(exact_replicate("two-list", lists(2), SHARP), "right")
    assert set(table.index) == {"N", "log_likelihood"}
    assert table["passed"].all(), table


def test_a_scale_that_is_a_fifth_off_is_caught() -> None:
    run = exact_replicate("two-list", lists(2), SHARP, simulate=fifth_lost)
    table = table_of(run, "scale")
    assert not table.loc["N", "passed"]
    # The posterior lies too high, so the truths low.
    assert table.loc["N", "mean"] < 0.4


def test_a_swapped_list_is_caught() -> None:
    run = exact_replicate("two-list", lists(2), SHARP, simulate=swapped)
    assert not table_of(run, "swapped", 60)["passed"].all()


@pytest.mark.slow
@pytest.mark.calibration
def test_a_prior_of_the_odds_ratio_a_fifth_off_is_caught() -> None:
    half = float(np.log(3.0))
    loose, wide = (
        SHARP | {"odds_ratio": (float(np.exp(-times * half)), float(np.exp(times * half)), 0.95)}
        for times in (1.0, 1.2)
    )
    run = exact_replicate("two-list", lists(2), loose, simulate_options=wide)
    right = exact_replicate("two-list", lists(2), loose)
    assert not table_of(run, "prior sd", 1500).loc["N", "passed"]
    assert table_of(right, "prior sd right", 1500)["passed"].all()


@pytest.mark.slow
@pytest.mark.calibration
def test_a_swapped_list_of_a_sampled_model_is_caught() -> None:
    """Log-linear, three lists: the model is told that the first list is the second."""
    template = OverlapTable.from_counts("abc", cells(3))
    priors = Priors(size_prior=around(300), list_beta=0.7)

    def crossed(data: OverlapTable) -> OverlapTable:
        return replace(data, history=data.history[:, [1, 0, 2]]).sorted()

    for told, passes in ((lambda data: data, True), (crossed, False)):
        run = loglinear_replicate(template, priors, told)
        frame = pd.DataFrame([row for k in range(60) for row in run(seeded("nuts", "planted", k))])
        table = calibration_table(frame.assign(study="loglinear", regime="three"))
        assert table["passed"].all() == passes, table
        if not passes:
            assert not table.set_index("quantity").loc["chance a", "passed"]


# --- sd= for sigma= ------------------------------------------------------------------------------


def normal_ranks(
    keyword: str, count: int, *, times: float = 1.0, noise: float = 1.0
) -> pd.DataFrame:
    """Ranks of a normal mean under a PyMC prior, whose scale is given by one keyword or another.

    The posterior by importance from draws of the model's own prior, without a sampler. The true
    scale is 3 `times`, that of the model 3.
    """
    import pymc as pm
    from pytensor.compile.mode import Mode

    with pm.Model():
        mean = pm.Normal("mean", 0.0, **{keyword: 3.0})
    prior = np.asarray(
        pm.draw(mean, draws=20_000, random_seed=1, mode=Mode("py", None)), dtype=float
    )
    rng, rows = np.random.default_rng(2), []
    for _ in range(count):
        truth = 3.0 * times * rng.normal()
        seen = truth + noise * rng.normal()
        weight = np.exp(-0.5 * ((seen - prior) / noise) ** 2)
        draws = rng.choice(prior, size=100, p=weight / weight.sum())
        rows.append({"study": "normal", "regime": keyword, "quantity": "mean",
                     "rank": draw_rank(truth, draws, rng)})  # fmt: skip
    return pd.DataFrame(rows)


def test_sd_for_sigma_is_caught() -> None:
    """PyMC swallows `sd=` and takes a scale of 1."""
    table = calibration_table(
        pd.concat([normal_ranks("sigma", 300), normal_ranks("sd", 300)])
    ).set_index("regime")
    assert table.loc["sigma", "passed"]
    assert not table.loc["sd", "passed"]
    assert table.loc["sd", "p_value"] < 1e-6


def test_a_sampled_prior_a_fifth_off_is_caught() -> None:
    table = calibration_table(normal_ranks("sigma", 1500, times=1.2, noise=10.0))
    assert not table["passed"].any()
    assert calibration_table(normal_ranks("sigma", 1500, noise=10.0))["passed"].all()
