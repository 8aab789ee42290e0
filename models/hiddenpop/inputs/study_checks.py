"""Names that `study.toml` uses must exist in the tables, and variants must change something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from hiddenpop.inputs.area_checks import check_nesting
from hiddenpop.inputs.areas import Areas
from hiddenpop.inputs.components import counted_twice
from hiddenpop.inputs.evidence import Evidence
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.rates import Rates
from hiddenpop.inputs.settings import Report, Variant, left_out_name
from hiddenpop.inputs.synthesis import SynthesisData
from hiddenpop.inputs.toml import Section

__all__ = ["check_report", "check_variants"]


def _known(
    top: Section, code: str, where: str, names: Iterable[str], allowed: Collection[str]
) -> bool:
    """Whether all names are allowed; a fault is recorded for each that is not."""
    unknown = [name for name in names if name and name not in allowed]
    for name in unknown:
        top.fault(code, where, name=name, fix=choose(name, allowed))
    return not unknown


def check_report(
    top: Section, report: Report, groups: tuple[str, ...], areas: Areas | None, rates: Rates | None
) -> None:
    """Areas, groups and shares that the report names; what is None or empty is not checked."""
    if areas is not None:
        _known(top, "report-area", "report.areas", report.areas, areas.names)
    if groups:
        _known(top, "report-group", "report.groups", report.groups, groups)
    if report.groups:
        _known(top, "report-headline", "report.headline", (report.headline,), report.groups)
    if rates is not None:
        _known(top, "report-share", "report.shares", report.shares, rates.names)
    for number, (area, other, group) in enumerate(report.compare, start=1):
        where = f"report.compare[{number}]"
        if areas is not None:
            _known(top, "compare-area", where, (area, other), areas.names)
        if groups:
            _known(top, "compare-group", where, (group,), groups)


def check_variants(
    top: Section,
    variants: tuple[Variant, ...],
    areas: Areas | None,
    evidence: Evidence | None,
    data: SynthesisData | None,
    components: Collection[Section] = (),
) -> None:
    """Each variant names what exists, changes something and leaves something.

    What is None is not checked; nor is the effect of a variant with unknown names. Of
    components, with faults or without, a variant may name the id and the source.
    """
    more = {key: {str(one.peek(key)) for one in components} for key in ("id", "source")}
    for name, times in Counter(variant.name for variant in variants if variant.name).items():
        if times > 1:
            top.fault("variant-twice", "variants", name=name, times=times)
    if data is not None:
        reserved = {left_out_name(source): source for source in data.sources}
        for name in sorted({variant.name for variant in variants} & set(reserved)):
            top.fault("variant-reserved", "variants", name=name, source=reserved[name])
    for variant in variants:
        sources = variant.only_sources + variant.without_sources
        rows = variant.with_rows + variant.without_rows
        where, known = f"variants.{variant.name}", True
        if evidence is not None:
            used = sorted({*evidence.rows["source"], *more["source"]})
            known &= _known(top, "variant-source", where, sources, used)
            ids = [*evidence.table["id"], *sorted(more["id"])]
            known &= _known(top, "variant-row", where, rows, ids)
        if areas is not None:
            named = list(areas.table["name"])
            known &= _known(top, "variant-area", where, dict(variant.population), named)
        if data is not None and known and (sources or rows or variant.population):
            _check_effect(top, where, variant, data)


def _check_effect(top: Section, where: str, variant: Variant, data: SynthesisData) -> None:
    """The variant, applied to checked data, changes something and leaves something."""
    rows, people = variant.chosen(data), dict(variant.population)
    usual = tuple(name for name, used in zip(data.ids, data.used, strict=True) if used)
    given = data.areas.table.set_index("name")["population"]
    if not rows:
        top.fault("variant-no-evidence", where, name=variant.name)
    elif variant.posteriors:
        return
    elif rows == usual and all(given[name] == value for name, value in people.items()):
        top.fault("variant-no-change", where, name=variant.name)
    if people and not _nests(data.areas, people):
        top.fault("variant-population", where, name=variant.name)
    for one in data.components:
        for row in counted_twice(one, rows, data.evidence) if one.id in rows else ():
            if not (one.use and row in usual):  # said of the study itself
                top.fault("component-double", where, name=one.id, row=row)


def _nests(areas: Areas, people: dict[str, float]) -> bool:
    """Whether areas with other residents still nest, with the same remainders."""
    scratch = Faults()
    changed = areas.with_population(people)
    check_nesting(changed.table, "", scratch)
    return not scratch.found and changed.names == areas.names
