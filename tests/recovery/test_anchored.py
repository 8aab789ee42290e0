"""The anchored multiplier: how often its interval holds the truth, when its story holds or not."""

import numpy as np
import pytest

from hiddenpop.families import anchored as family
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Rate
from hiddenpop.inputs.settings import Sampling

__all__: list[str] = []

REPLICATES = 1000
RESIDENTS, N = 700_000, 15_000
SHARES = (0.25, 0.35)
RESPONDENTS = 250
ANCHOR = Benchmark("anchor", "figure", N, N, N, interval=Interval(0.55 * N, 1.6 * N, 0.95))


def coverage(*, shared: bool, seed: int = 3) -> float:
    """Share of 95 % intervals that hold N.

    With `shared`, one survey asks after both events, and all who had the first had the second.
    """
    rng = np.random.default_rng(seed)
    inside = 0
    for _ in range(REPLICATES):
        if shared:
            who = rng.random(RESPONDENTS)
            found = [float((who < share).sum()) for share in SHARES]
        else:
            found = [float(rng.binomial(RESPONDENTS, share)) for share in SHARES]
        rows = [
            Benchmark.counted(f"m{x}", float(rng.binomial(N, share)), Rate(x=x, n=RESPONDENTS))
            for x, share in zip(found, SHARES, strict=True)
        ]
        data = MultiplierTable.of(ANCHOR, *rows, population=RESIDENTS)
        tree = family.posterior(data, family.Priors(), Sampling())
        group = tree["distribution"]
        cumulative = np.cumsum(group["probability"].to_numpy())
        ends = group["unseen"].to_numpy()[np.searchsorted(cumulative, [0.025, 0.975])]
        low, high = ends + tree.attrs["observed"]
        inside += low <= N <= high
    return inside / REPLICATES


@pytest.mark.slow
def test_independent_surveys() -> None:
    assert 0.931 <= coverage(shared=False) <= 0.967


@pytest.mark.slow
def test_one_survey_taken_for_two() -> None:
    """What the method cannot see: its interval is too narrow."""
    assert coverage(shared=True) < 0.92
