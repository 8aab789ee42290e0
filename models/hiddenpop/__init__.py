"""Bayesian estimation of hidden drug-using populations.

import hiddenpop as hp

estimate = hp.fit(hp.load_study("crack-2005"))
estimate.table()

table = hp.read_overlap("brighton.csv", ["treat", "arrest", "survey"], count="people")
hp.fit(table, family="graphs").table()

treated = hp.Benchmark.counted("treated", 1385, hp.Rate(x=144, n=603, design_effect=4))
hp.fit(hp.MultiplierTable.of(treated), family="multiplier").table()
"""

from __future__ import annotations

from hiddenpop.checks.influence import vary
from hiddenpop.combine import combine, stacking_weights
from hiddenpop.datasets import read_dataset
from hiddenpop.elicitation import Elicited, elicit
from hiddenpop.errors import ConvergenceError, HiddenPopError, InputError, ResultError
from hiddenpop.estimate import Comparison, Estimate, Summary
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.family_fits import FamilyFits, fit_families
from hiddenpop.fitting import fit
from hiddenpop.inputs.margins_text import read_margins
from hiddenpop.inputs.multipliers import Benchmark, Interval, MultiplierTable, Overlap, Rate
from hiddenpop.inputs.multipliers_csv import read_multipliers
from hiddenpop.inputs.overlap import Margins, OverlapTable
from hiddenpop.inputs.overlap_csv import read_overlap
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.repeats_csv import read_repeats
from hiddenpop.inputs.size_study import SizeStudy
from hiddenpop.inputs.study import Sampling, Study, Variant
from hiddenpop.inputs.tree import Branch, Tree
from hiddenpop.inputs.tree_csv import read_tree
from hiddenpop.replay import Replay, replay
from hiddenpop.results import write_result
from hiddenpop.size import SizeEstimate
from hiddenpop.size_results import write_sizes
from hiddenpop.studies import load_size_study, load_study, shipped_studies

__all__ = [
    "Benchmark",
    "Branch",
    "Comparison",
    "ConvergenceError",
    "Elicited",
    "Estimate",
    "FamilyFits",
    "HiddenPopError",
    "InputError",
    "Interval",
    "Margins",
    "MultiplierTable",
    "Overlap",
    "OverlapTable",
    "Rate",
    "RepeatTable",
    "Replay",
    "ResultError",
    "Sampling",
    "SizeEstimate",
    "SizePrior",
    "SizeStudy",
    "Study",
    "Summary",
    "Tree",
    "Variant",
    "combine",
    "elicit",
    "fit",
    "fit_families",
    "load_size_study",
    "load_study",
    "read_dataset",
    "read_margins",
    "read_multipliers",
    "read_overlap",
    "read_repeats",
    "read_tree",
    "replay",
    "shipped_studies",
    "stacking_weights",
    "vary",
    "write_result",
    "write_sizes",
]
