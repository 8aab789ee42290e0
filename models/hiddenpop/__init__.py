"""Bayesian estimation of hidden drug-using populations.

import hiddenpop as hp

study = hp.load_study("crack-2005")
estimate = hp.fit(study)
estimate.table()
"""

from __future__ import annotations

from hiddenpop.checks.influence import vary
from hiddenpop.datasets import read_dataset
from hiddenpop.errors import ConvergenceError, HiddenPopError, InputError, ResultError
from hiddenpop.estimate import Comparison, Estimate, Summary, fit
from hiddenpop.inputs.study import Sampling, Study, Variant
from hiddenpop.replay import Replay, replay
from hiddenpop.results import write_result
from hiddenpop.studies import load_study, shipped_studies

__all__ = [
    "Comparison",
    "ConvergenceError",
    "Estimate",
    "HiddenPopError",
    "InputError",
    "Replay",
    "ResultError",
    "Sampling",
    "Study",
    "Summary",
    "Variant",
    "fit",
    "load_study",
    "read_dataset",
    "replay",
    "shipped_studies",
    "vary",
    "write_result",
]
