"""Calibration of latent classes, whose sampler is the family's own."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np

from calibrate.exact import lists
from calibrate.regime import Regime, Replicate, Row, around
from calibrate.sampled import Quantities, ranked
from hiddenpop.families import latent_class as family
from hiddenpop.families.latent_class import Priors
from hiddenpop.families.simulation.latent_class import draw_truth, simulate
from hiddenpop.inference import judge
from hiddenpop.inputs.settings import Sampling

__all__ = ["latent_regimes", "latent_replicate"]

SHORT = Sampling(draws=300, tune=300)


def latent_replicate(count: int, priors: Priors) -> Replicate:
    """Ranks of N, alpha and the chance to be missed."""

    def replicate(rng: np.random.Generator) -> list[Row]:
        truth = draw_truth(lists(count), priors, rng)
        data = simulate(truth, rng)
        if (found := family.refusal(data, priors)) is not None:
            return [{"quantity": "N", "rank": np.nan, "status": found.code}]
        begin = time.process_time()
        sampling = replace(SHORT, seed=int(rng.integers(2**31 - 1)))
        tree = family.posterior(data, priors, sampling)
        missed = float(truth.shares @ np.prod(1 - truth.chances, axis=1))
        known = {"N": float(truth.N), "alpha": truth.alpha, "missed": missed}
        draws = {name: tree["posterior"][name].to_numpy() for name in known}
        verdict = judge(tree)
        status = "ok" if verdict.passed else str(verdict)
        return ranked(Quantities(draws, known), rng, status, time.process_time() - begin)

    return replicate


def latent_regimes() -> tuple[Regime, ...]:
    """Four lists. Twenty times as slow as others, so one size and few data sets."""
    # With the default prior most truths have one class, and alpha is next to 0.
    return tuple(
        Regime(
            "latent-class", f"N {size}",
            partial(
                latent_replicate, 4,
                Priors(classes=4, alpha_shape=2.0, alpha_rate=2.0, size_prior=around(size)),
            ),
            quick, full, "four lists, four classes",
        )
        for size, quick, full in ((300, 30, 60),)
    )  # fmt: skip
