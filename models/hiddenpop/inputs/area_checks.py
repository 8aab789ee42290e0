"""What must hold between the rows of `areas.csv`."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pandas as pd

from hiddenpop.inputs import periods
from hiddenpop.inputs.faults import Faults, choose
from hiddenpop.inputs.lines import Line
from hiddenpop.priors import lognormal_from_interval

__all__ = ["MAX_SD", "REST", "check_lines", "check_nesting", "log_sd"]

REST = "rest of "
"""How the name of a derived remainder begins."""

MAX_SD = 3.0
"""Uncertain populations are log-normal, cut at this many sds, so that remainders stay positive."""


def log_sd(line: pd.Series) -> float:
    """Sd of the log population of a row, from its interval; 0 where it has none."""
    if np.isnan(line["low"]):
        return 0.0
    return lognormal_from_interval(line["low"], line["high"], line["level"]).sigma


def check_lines(lines: list[Line], ages: str, middle: float | None) -> None:
    """Names, parents, periods, ages, intervals and totals; populations need not be numbers yet.

    Parameters
    ----------
    ages
        The target's ages, "" if they are not known.
    middle
        Middle of the reference period in decimal years, None if it is not known.
    """
    for line in lines:
        if line["name"].startswith(REST):
            line.fault("area-rest", "name", name=line["name"])
        if ages and line["ages"] not in ("", ages) and not periods.is_mangled(line["ages"]):
            line.fault("area-ages", "ages", ages=line["ages"], target=ages)
        _check_period(line, middle)
        _check_interval(line)
    _check_parents(lines)
    _check_totals(lines)


def _check_period(line: Line, middle: float | None) -> None:
    try:
        years = periods.middle(line["period"])
    except ValueError:
        if line["period"] and not periods.is_mangled(line["period"]):
            line.fault("area-period", "period", period=line["period"])
        return
    if middle is not None and abs(years - middle) > periods.FARTHEST:
        line.fault("area-period-far", "period", years=abs(years - middle))


def _check_interval(line: Line) -> None:
    """Complete or absent, in order and around whole residents."""
    value, low, high = (line.number(column) for column in ("population", "low", "high"))
    interval = ("low", "high", "level")
    given = line.filled(*interval)
    if not math.isnan(value) and not value.is_integer():
        line.fault("area-fraction", "population", people=value)
    if given and len(given) < 3:
        missing = next(column for column in interval if column not in given)
        line.fault("area-interval-part", missing, given=" and ".join(given))
    elif low >= high or value < low or value > high:
        line.fault("area-interval-order", "low", low=low, value=value, high=high)


def _check_parents(lines: list[Line]) -> None:
    """Every parent is another area of the table, and nobody is inside itself."""
    parents = {line["name"]: line["parent"] for line in lines if line["name"]}
    known: set[str] = set()
    for line in lines:
        name, parent = line["name"], line["parent"]
        if parent and parent == name:
            line.fault("area-own-parent", "parent", name=name)
        elif parent and parent not in parents:
            line.fault("area-parent-unknown", "parent", parent=parent,
                       fix=choose(parent, list(parents)))  # fmt: skip
        elif name and name not in known:
            line_up = [name]
            while (here := parents.get(line_up[-1], "")) and here not in line_up:
                line_up.append(here)
            if here == name:
                known.update(line_up)
                line.fault("area-cycle", "parent", name=name, path=" in ".join([*line_up, name]))


def _check_totals(lines: list[Line]) -> None:
    """No area has exactly the residents of all its siblings (three or more in a family)."""
    families: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        families[line["parent"]].append(line)
    for family in families.values():
        people = [line.number("population") for line in family]
        for line, own in zip(family, people, strict=True):
            if len(family) > 2 and 2 * own == sum(people):
                line.fault("area-total-sum", "population", name=line["name"], people=own)


def check_nesting(table: pd.DataFrame, file: str, faults: Faults) -> None:
    """Children must fit into their parent, at the far ends of their intervals too.

    `table` is indexed by line, with numbers where numbers stand.
    """
    people = table["population"].to_numpy(dtype=float)
    # Cut long before it overflows: e^99 times anything does not fit into anything.
    reach = np.array([math.exp(min(MAX_SD * log_sd(line), 99)) for _, line in table.iterrows()])
    for i, (row, name) in enumerate(zip(table.index, table["name"], strict=True)):
        inside = (table["parent"] == name).to_numpy()
        if not inside.any():
            continue
        held = people[inside].sum()
        if held > people[i]:
            values = {"name": name, "inside": held, "people": people[i]}
            faults.report(
                "area-children-larger", values, file=file, row=int(row), column="population"
            )
        elif (
            max(reach[i], reach[inside].max()) > 1
            and (people * reach)[inside].sum() >= people[i] / reach[i]
        ):
            values = {"name": name, "sds": MAX_SD}
            faults.report(
                "area-children-may-exceed", values, file=file, row=int(row), column="population"
            )
