"""Published totals of lists and of different people, as given on a command line."""

from __future__ import annotations

from collections.abc import Sequence

from hiddenpop.errors import InputError
from hiddenpop.inputs.counts import count_rule
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.overlap import Margins
from hiddenpop.inputs.overlap_checks import NESTED, check_list_names
from hiddenpop.inputs.residents import one_number

__all__ = ["read_margins"]

DISTINCT = "distinct"


def read_margins(
    totals: Sequence[int | str],
    distinct: int | str,
    lists: Sequence[str] | None = None,
    population: float | str | None = None,
) -> Margins:
    """Check published margins.

    Parameters
    ----------
    totals
        People on each list, two at least.
    distinct
        Different people on all lists together.
    lists
        Names of the lists; numbered where left out.
    population
        Residents at the target's ages.

    Raises
    ------
    InputError
        With every fault found.
    """
    faults = Faults()
    names = tuple(lists or (f"list {place + 1}" for place in range(len(totals))))
    check_list_names(names, "", faults)
    if len(names) != len(totals):
        faults.report("margins-names", {"names": len(names), "totals": len(totals)})
    texts = [str(total).strip() for total in totals]
    together = str(distinct).strip()
    for column, text in (*zip(names, texts, strict=False), (DISTINCT, together)):
        if problem := count_rule({}, known=True)(text):
            faults.report(problem.code, {"cell": text, **dict(problem.values)}, column=column)
    if not faults.found:
        _check(names, [round(float(text)) for text in texts], round(float(together)), faults)
    residents = None
    if not faults.found:
        residents = one_number(population, float(together), "", faults)
    if faults.found:
        raise InputError(faults.found)
    people = tuple(round(float(text)) for text in texts)
    return Margins(names, people, round(float(together)), residents)


def _check(names: Sequence[str], people: Sequence[int], distinct: int, faults: Faults) -> None:
    """Record margins that contradict each other, or from which nothing follows."""
    for name, number in zip(names, people, strict=True):
        if number == 0:
            faults.report("margins-nobody", {"name": name}, column=name)
        elif number > distinct:
            values = {"name": name, "people": number, "distinct": distinct}
            faults.report("margins-less", values, column=DISTINCT)
    if faults.found:
        return
    values = {"sum": sum(people), "distinct": distinct}
    if distinct > sum(people):
        faults.report("margins-more", values, column=DISTINCT)
    elif distinct == sum(people):
        faults.report("margins-apart", values, column=DISTINCT)
    elif distinct == max(people) and sorted(people)[-2] >= NESTED:
        values = {"name": names[people.index(distinct)], "distinct": distinct}
        faults.report("margins-nested", values, column=DISTINCT)
