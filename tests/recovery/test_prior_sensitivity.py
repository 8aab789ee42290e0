"""Reweighted and refitted answers under changed priors agree, on a small study and a table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hiddenpop.checks.influence import MAIN
from hiddenpop.checks.priors.sensitivity import size_tornado, synthesis_tornado
from hiddenpop.checks.priors.tornado import NO_PART, REFITTED, REWEIGHTED
from hiddenpop.estimate import fit
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.inputs.settings import Sampling
from hiddenpop.size import fit_table
from hiddenpop.studies import load_study

__all__: list[str] = []

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

TINY = Path(__file__).parents[1] / "studies" / "tiny"
CHOSEN = ("prevalence", "between_areas", "rate in_treatment", "bias police", "overdispersion")


def test_weighted_draws_say_what_a_refit_says() -> None:
    study = load_study(TINY)
    long = replace(study.sampling, draws=3000, tune=1500)
    estimate = fit(study, sampling=long)
    frame = synthesis_tornado(estimate, only=CHOSEN)
    weighed = frame[frame["how"] == REWEIGHTED]
    assert len(weighed) >= 6
    assert frame["passed"].all()
    main = frame[frame["prior"] == MAIN].iloc[0]
    whole = np.log(main["high"] / main["low"])
    changed = {"between_areas": ("doubled", 1.0), "overdispersion": ("doubled", 0.24)}
    for prior, (change, value) in changed.items():
        again = fit(replace(study, priors={**study.priors, prior: value}), sampling=long)
        direct = again.users(study.report.areas[0], study.report.headline)
        row = frame[(frame["prior"] == prior) & (frame["change"] == change)].iloc[0]
        for name in ("low", "median", "high"):
            # A twentieth of the interval: twice the Monte Carlo error of a tail.
            apart = abs(np.log(row[name] / getattr(direct, name))) / whole
            assert apart < 0.05, (prior, name)


def test_a_sampled_family_is_refitted_where_a_prior_has_a_part() -> None:
    counts = {"100": 90.0, "010": 70.0, "001": 60.0, "110": 20.0, "101": 15.0, "011": 12.0,
              "111": 4.0}  # fmt: skip
    table = OverlapTable.from_counts(("A", "B", "C"), counts)
    sampling = Sampling(draws=1000, tune=1000, seed=3)
    frame = size_tornado(fit_table(table, "loglinear", sampling=sampling), max_refits=2)
    how = {(row.prior, row.change): row.how for row in frame.itertuples()}
    assert how["interaction_scale", "halved"] == how["interaction_scale", "doubled"] == REFITTED
    assert how["between", "halved"] == NO_PART
    rows = frame[frame["prior"] == "interaction_scale"].set_index("change")
    # The wider the prior on dependence, the less is known of those on no list.
    width = np.log(rows["high"] / rows["low"])
    assert width["doubled"] > width["halved"]
