"""Every figure, and beside each the table of the numbers it shows.

Intervals follow ArviZ's convention: a thin line for the outer interval, a thick one for the
inner half. Figures are `matplotlib.figure.Figure`s of their own; none is left open in pyplot.
"""

from __future__ import annotations

from hiddenpop.plots.diagnostics import diagnostics, energy
from hiddenpop.plots.evidence import biases, evidence
from hiddenpop.plots.results import prevalence, prior_posterior, variants
from hiddenpop.plots.tables import (
    biases_table,
    evidence_table,
    prevalence_table,
    prior_draws,
    prior_posterior_table,
    variants_table,
)

__all__ = [
    "biases",
    "biases_table",
    "diagnostics",
    "energy",
    "evidence",
    "evidence_table",
    "prevalence",
    "prevalence_table",
    "prior_draws",
    "prior_posterior",
    "prior_posterior_table",
    "variants",
    "variants_table",
]
