"""The page: everything put together by the templates."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from hiddenpop.estimate import Estimate
from hiddenpop.families import FAMILIES
from hiddenpop.report.conflicts import conflicts
from hiddenpop.report.figures import pictures
from hiddenpop.report.inputs import (
    area_rows,
    bias_rows,
    component_rows,
    rate_rows,
    unused_rows,
    used_rows,
)
from hiddenpop.report.model import prior_rows, spans
from hiddenpop.report.results import comparisons, influence, results, shares, variant_rows
from hiddenpop.report.sentences import render_sentences
from hiddenpop.words import capital, group_words, name_words

__all__ = ["build_report"]


def build_report(
    estimate: Estimate,
    variants: pd.DataFrame | None,
    *,
    command: str,
    quick: bool | None = None,
) -> str:
    """Write the report of an estimate.

    Parameters
    ----------
    variants
        From `checks.influence.vary`; None leaves their section out, and says so.
    command
        What made this estimate, to be printed.
    quick
        Whether to mark the report as a quick look; default: as the estimate is.

    Returns
    -------
    One HTML page that loads nothing from anywhere. The same estimate gives the same text.

    Raises
    ------
    HiddenPopError
        If a sentence of the study cannot be filled in (`check_sentences`).
    """
    sentences = render_sentences(estimate, variants)
    environment = Environment(
        loader=PackageLoader("hiddenpop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    context = _results(estimate, variants) | _inputs(estimate) | _provenance(estimate, command)
    page = environment.get_template("report.html.j2").render(
        study=estimate.data,
        target=estimate.data.data.target,
        verdict=estimate.verdict,
        quick=estimate.quick if quick is None else quick,
        pictures=pictures(estimate, variants),
        **sentences,
        **context,
    )
    # A number and its sign stay on one line.
    return page.replace(" %", "\u00a0%")


def _results(estimate: Estimate, variants: pd.DataFrame | None) -> dict[str, Any]:
    report = estimate.data.report
    return {
        "headline": results(estimate, (report.headline,)),
        "headline_who": group_words(report.headline),
        "results": results(estimate),
        "comparisons": comparisons(estimate),
        "shares": shares(estimate),
        "conflicts": conflicts(estimate),
        "variants": None if variants is None else variant_rows(estimate, variants),
        "influence": [] if variants is None else influence(estimate, variants),
    }


def _inputs(estimate: Estimate) -> dict[str, Any]:
    unions = estimate.data.data.unions
    return {
        "groups": {group_words(group): [name_words(cell) for cell in unions[group]]
                   for group in estimate.data.report.groups if group in unions},
        "used": used_rows(estimate),
        "unused": unused_rows(estimate),
        "components": component_rows(estimate),
        "rates": rate_rows(estimate),
        "biases": bias_rows(estimate),
        "areas": area_rows(estimate),
        "priors": prior_rows(estimate),
        "spans": spans(estimate),
    }  # fmt: skip


def _provenance(estimate: Estimate, command: str) -> dict[str, Any]:
    attrs, sampling = estimate.tree.attrs, estimate.sampling
    return {
        "family": estimate.family,
        "family_summary": FAMILIES[estimate.family].summary,
        "gates": [
            {"name": capital(gate.name), "found": f"{gate.found:,.4g}", "allowed": gate.allowed,
             "passed": gate.passed}
            for gate in estimate.verdict.gates
        ],
        "command": command,
        "sampling": sampling,
        "sampler": attrs["sampler"],
        "versions": json.loads(attrs["versions"]),
        "sha256": json.loads(attrs["input_sha256"]),
    }  # fmt: skip
