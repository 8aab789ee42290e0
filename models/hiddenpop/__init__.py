"""Bayesian estimation of hidden drug-using populations.

import hiddenpop as hp

estimate = hp.fit(hp.load_study("crack-2005"))
estimate.table()

table = hp.read_overlap("brighton.csv", ["treat", "arrest", "survey"], count="people")
hp.fit(table, family="graphs").table()
"""

from __future__ import annotations

from hiddenpop.checks.influence import vary
from hiddenpop.combine import combine, stacking_weights
from hiddenpop.datasets import read_dataset
from hiddenpop.errors import ConvergenceError, HiddenPopError, InputError, ResultError
from hiddenpop.estimate import Comparison, Estimate, Summary
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.fitting import fit
from hiddenpop.inputs.margins_text import read_margins
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.overlap_csv import read_overlap
from hiddenpop.inputs.recapture_study import RecaptureStudy
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.repeats_csv import read_repeats
from hiddenpop.inputs.study import Sampling, Study, Variant
from hiddenpop.recapture import Recapture, recapture
from hiddenpop.recapture_results import write_recapture
from hiddenpop.replay import Replay, replay
from hiddenpop.results import write_result
from hiddenpop.size import SizeEstimate
from hiddenpop.studies import load_recapture, load_study, shipped_studies

__all__ = [
    "Comparison",
    "ConvergenceError",
    "Estimate",
    "HiddenPopError",
    "InputError",
    "Margins",
    "OverlapTable",
    "Recapture",
    "RecaptureStudy",
    "RepeatTable",
    "Replay",
    "ResultError",
    "Sampling",
    "SizeEstimate",
    "SizePrior",
    "Study",
    "Summary",
    "Variant",
    "combine",
    "fit",
    "load_recapture",
    "load_study",
    "read_dataset",
    "read_margins",
    "read_overlap",
    "read_repeats",
    "recapture",
    "replay",
    "shipped_studies",
    "stacking_weights",
    "vary",
    "write_recapture",
    "write_result",
]
