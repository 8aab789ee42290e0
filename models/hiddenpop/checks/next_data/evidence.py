r"""Next data for a synthesis: each number once more, and a linked study where the answer is needed.

A survey is done again with the bias of its source. Any other number comes once more from a source
without bias, with the error of the row alone: log-normal, Poisson or binomial as the row's own
(`predictive`), around what the row would report `without_bias`. What the row's rates (the share
that is treated, say) leave open stays open.
"""

from __future__ import annotations

import numpy as np

from hiddenpop.checks.conflict.predictive import BOUNDS, predictive_draws
from hiddenpop.checks.next_data.width import Asked
from hiddenpop.estimate import Estimate
from hiddenpop.words import name_words, percent, plain

__all__ = ["CHANCE", "linked_study", "next_evidence"]

CHANCE = 0.3
"""Of either list of the linked study to see a person: an example, and said to be one."""


def next_evidence(
    estimate: Estimate, area: str, group: str, rng: np.random.Generator
) -> list[Asked]:
    """Every row of evidence in use once more, bounds left out; then a linked study.

    Parameters
    ----------
    area, group
        Of the headline, where the linked study is done.
    """
    data, rows = estimate.data.data, estimate.data.data.evidence.rows
    asked_of = rows["n"].astype(float)
    asked = []
    for name, counts in zip(data.evidence.ids, data.included, strict=True):
        kind = str(rows.loc[name, "kind"])
        if not counts or kind in BOUNDS:
            continue
        drawn = predictive_draws(estimate, name, rng)
        if kind == "proportion":
            n = plain(float(asked_of[name]), 3)
            what = f"another survey of {n} people, with the same bias"
        else:
            what = "the same number once more, from a source without bias"
            drawn = drawn / estimate.draws("bias", source=str(rows.loc[name, "source"]))
        asked.append(Asked(what, name_words(name), drawn[:, None]))
    size = estimate.draws("users", area=area, union=group)
    what = f"a study of two linked lists, each of which sees {percent(CHANCE)} of the users"
    about = f"{name_words(group)}, {area}"
    return [*asked, Asked(what, about, linked_study(size, rng)[:, None])]


def linked_study(size: np.ndarray, rng: np.random.Generator, chance: float = CHANCE) -> np.ndarray:
    r"""Log of the N that two independent lists would give, for each draw of N.

    Log-normal around N with the variance of Lincoln-Petersen, by the delta method (Seber 1982,
    The Estimation of Animal Abundance, section 3.1):

        var log N_hat = (1 - c)^2 / (N c^2)

    for two lists that each see a person with chance c.
    """
    sd = (1 - chance) / (chance * np.sqrt(np.maximum(size, 1.0)))
    return np.asarray(np.log(size) + sd * rng.normal(size=len(size)))
