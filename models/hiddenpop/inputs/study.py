"""A study: `study.toml` and the tables it names, checked together and frozen."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hiddenpop.errors import InputError
from hiddenpop.inputs import periods, study_checks
from hiddenpop.inputs.areas import Areas, read_areas
from hiddenpop.inputs.components import Component, check_components, read_components
from hiddenpop.inputs.csvfile import read_text
from hiddenpop.inputs.evidence import RESIDENTS, Evidence, Known, read_evidence
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.paths import find_study, table_paths
from hiddenpop.inputs.posteriors import check_posteriors, read_posteriors, with_posteriors
from hiddenpop.inputs.rates import Biases, Rates, read_biases, read_rates
from hiddenpop.inputs.settings import (
    PriorKind,
    Report,
    Sampling,
    Variant,
    read_priors,
    read_report,
    read_sampling,
    read_variant,
)
from hiddenpop.inputs.size_study import SIZE_STUDIES, SizeStudy, read_size_study
from hiddenpop.inputs.synthesis import SynthesisData, Target
from hiddenpop.inputs.toml import Section

__all__ = ["STUDY_NAME", "PriorKind", "Report", "Sampling", "Study", "Variant", "read_study"]

STUDY_NAME = r"[a-z0-9][a-z0-9-]*"
"""What may name a study: it becomes a folder and a command argument."""

FIRST_YEAR = 1800
"""Earliest reference period; there is no evidence to synthesise from before."""


@dataclass(frozen=True)
class Study:
    """A target, its inputs, a family, priors, a seed: everything a rerun needs.

    Attributes
    ----------
    priors
        As written; `families` turns them into the family's `Priors`.
    folder
        Where `study.toml` stands.
    sha256
        Hash of each file that was read, by its path inside the folder.
    """

    name: str
    title: str
    question: str
    family: str
    data: SynthesisData
    priors: dict[str, Any]
    sampling: Sampling
    report: Report
    variants: tuple[Variant, ...]
    folder: Path
    sha256: dict[str, str]


@dataclass(frozen=True)
class _Tables:
    """The tables of a study, None where they have faults or cannot be found."""

    areas: Areas | None
    rates: Rates | None
    biases: Biases | None
    evidence: Evidence | None


def read_study(
    path: Path,
    families: Mapping[str, Mapping[str, PriorKind]],
    sizing: Collection[str] = (),
) -> Study | SizeStudy:
    """Read a study folder, or its `study.toml`, and everything it names.

    Parameters
    ----------
    families
        For each known family of evidence, the priors it takes.
    sizing
        Names of the families that size a population from one table.

    Raises
    ------
    InputError
        With every fault found in any of the files.
    """
    faults = Faults()
    file = find_study(path, faults)
    top = _parse(file, faults) if file is not None else None
    study: Study | SizeStudy | None = None
    if top is not None and file is not None:
        if top.peek("family") in SIZE_STUDIES:
            study = read_size_study(top, file, sizing, faults)
        else:
            study = _study(top, file, families, faults)
    if study is None or faults.found:
        raise InputError(faults.found)
    return study


def _parse(file: Path, faults: Faults) -> Section | None:
    """The whole file as a section; None after recording that it is not TOML."""
    text = read_text(file, faults)
    if text is None:
        return None
    try:
        return Section(tomllib.loads(text), "", file.name, faults)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        row = int(place[1]) if place else text.count("\n") + 1
        reason = re.sub(r" \(at .*\)$", "", str(error))
        faults.report("toml-form", {"reason": reason}, file=file.name, row=row)
        return None


def _study(
    top: Section, file: Path, families: Mapping[str, Mapping[str, PriorKind]], faults: Faults
) -> Study | None:
    """Read each section, then the tables, so that all faults are seen at once."""
    name, title, question = (top.text(key) for key in ("name", "title", "question"))
    if name and not re.fullmatch(STUDY_NAME, name):
        top.fault("study-name", "name", name=name)
    family = top.text("family")
    if family and family not in families:
        top.fault(
            "study-family",
            "family",
            name=family,
            fix=choose(family, [*families, *SIZE_STUDIES]),
        )
    target = _target(top.section("target"))
    cells, unions = _groups(top.section("groups"))
    groups = tuple(dict.fromkeys((*unions, *cells))) if cells else ()
    priors_section = top.section("priors", optional=True)
    priors = read_priors(priors_section, families[family]) if family in families else {}
    sampling = read_sampling(top.section("sampling", optional=True))
    variants = tuple(read_variant(section, file.parent) for section in top.sections("variants"))
    posteriors = read_posteriors(top.section("posteriors", optional=True), file.parent)
    joined = top.sections("components")
    report = read_report(top.section("report"))
    paths = table_paths(top.section("tables"), file.parent)
    top.done()
    also = frozenset(row for variant in variants for row in variant.with_rows)
    tables = _tables(paths, target, groups, also, faults)
    if tables.evidence is not None:
        replaced = [*posteriors, *(one for variant in variants for one in variant.posteriors)]
        check_posteriors(replaced, tables.evidence, file.name, faults)
        paths |= {f"posterior of {one.row}": one.file for one in replaced}
        if not faults.found:
            evidence = with_posteriors(tables.evidence, posteriors)
            tables = replace(tables, evidence=evidence)
    known = Known(groups, target.ages, target.middle if target.period else None,
                  tables.areas, tables.rates, tables.biases)  # fmt: skip
    components = read_components(joined, file.parent, known, faults)
    check_components(top, components, tables.evidence)
    paths |= {f"table of {one.id}": one.path for one in components if one.path is not None}
    study_checks.check_report(top, report, groups, tables.areas, tables.rates)
    data = _data(tables, target, cells, unions, components)
    study_checks.check_variants(top, variants, tables.areas, tables.evidence, data, joined)
    if faults.found or data is None:
        return None
    return Study(name, title, question, family, data, priors, sampling, report, variants,
                 file.parent, _hashes([file, *paths.values()]))  # fmt: skip


def _hashes(files: list[Path]) -> dict[str, str]:
    """SHA-256 of each file by its path in the folder of the first."""
    folder = files[0].parent
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def _target(section: Section) -> Target:
    """The target as written; its period is "" after recording a fault in it."""
    behaviour, ages, period = (section.text(key) for key in ("behaviour", "ages", "period"))
    section.done()
    try:
        middle = periods.middle(period) if period else None
    except ValueError as error:
        section.fault("target-period", "period", reason=str(error))
        return Target(behaviour, ages, "")
    latest = dt.datetime.now(tz=dt.UTC).year + periods.FARTHEST
    if middle is not None and not FIRST_YEAR <= middle <= latest:
        section.fault("target-period-far", "period", period=period, first=FIRST_YEAR, last=latest)
        return Target(behaviour, ages, "")
    return Target(behaviour, ages, period)


def _groups(section: Section) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Disjoint groups and their unions."""
    cells = section.texts("cells")
    for cell in sorted({cell for cell in cells if cells.count(cell) > 1}):
        section.fault("groups-twice", "cells", name=cell)
    named = section.section("unions", optional=True)
    unions = {key: named.texts(key) for key in named}
    for union, members in unions.items():
        for member in dict.fromkeys(members):
            if member not in cells:
                named.fault("union-unknown", union, name=member, fix=choose(member, cells))
            elif members.count(member) > 1:
                named.fault("union-twice", union, name=member)
        if union in cells and members != (union,):
            named.fault("union-name", union, name=union)
    if RESIDENTS in (*cells, *unions):
        section.fault("groups-reserved", "cells", name=RESIDENTS)
    named.done()
    section.done()
    return cells, unions


def _tables(
    paths: Mapping[str, Path], target: Target, groups: tuple[str, ...], also: frozenset[str],
    faults: Faults,
) -> _Tables:  # fmt: skip
    """Read each table that has a path."""
    middle = target.middle if target.period else None
    areas = rates = biases = evidence = None
    if "areas" in paths:
        areas = read_areas(paths["areas"], target.ages, faults, middle=middle)
    if "rates" in paths:
        rates = read_rates(paths["rates"], faults)
    if "biases" in paths:
        biases = read_biases(paths["biases"], faults)
    if "evidence" in paths:
        known = Known(groups, target.ages, middle, areas, rates, biases)
        evidence = read_evidence(paths["evidence"], known, also, faults)
    return _Tables(areas, rates, biases, evidence)


def _data(
    tables: _Tables, target: Target, cells: tuple[str, ...], unions: dict[str, tuple[str, ...]],
    components: tuple[Component, ...],
) -> SynthesisData | None:  # fmt: skip
    """Everything together, None where something is missing."""
    areas, rates, biases, evidence = tables.areas, tables.rates, tables.biases, tables.evidence
    if areas is None or rates is None or biases is None or evidence is None:
        return None
    included = np.array(evidence.used)
    joined = np.array([one.use for one in components], dtype=bool)
    return SynthesisData(
        target, areas, cells, unions, evidence, rates, biases, included, components, joined
    )
