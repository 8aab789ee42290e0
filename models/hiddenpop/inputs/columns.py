"""Columns that the user names, held against the header of a file."""

from __future__ import annotations

import difflib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hiddenpop.inputs.csvfile import (
    Record,
    full_records,
    header_fault,
    read_raw,
    records,
    to_frame,
)
from hiddenpop.inputs.faults import Faults

__all__ = ["Named", "Sheet", "all_rows", "check_roles", "each_record", "open_sheet"]

COUNTS = ("count", "counts", "n", "freq", "frequency", "people", "persons", "number", "y", "cases")
"""Names that columns of counts go by."""


@dataclass(frozen=True)
class Sheet:
    """A file whose header was read.

    Attributes
    ----------
    raw
        Its bytes.
    start
        Byte and line at which the rows begin.
    """

    name: str
    raw: bytes
    header: list[str]
    start: tuple[int, int]


Named = Mapping[str, Sequence[str]]
"""The columns that each option names, such as {"--lists": ["police", "treatment"]}."""

_END = re.compile(rb"\r\n|\r|\n")

_MISSING = {"--lists": "list-column-missing", "--count": "count-column-missing"}


def open_sheet(path: Path, named: Named, faults: Faults) -> Sheet | None:
    """Read a file and its header, which lines that begin with '#' may precede.

    Returns None after recording why the columns that are `named` cannot be read.
    """
    raw = read_raw(path, faults)
    if raw is None:
        return None
    begin, line = 0, 1
    while begin < len(raw):
        mark = _END.search(raw, begin)
        end = mark.end() if mark else len(raw)
        text = raw[begin:end].strip()
        if text and not text.startswith((b"#", b'"#')):
            break
        begin, line = end, line + 1
    else:
        header = ",".join(column for columns in named.values() for column in columns)
        faults.report("table-empty", {"header": header}, file=path.name)
        return None
    before = len(faults.found)
    found = list(records([raw[begin:end].decode("utf-8")], path.name, faults, first=line))
    if len(faults.found) > before:
        return None
    sheet = Sheet(path.name, raw, found[0][1], (end, line + 1))
    _check_header(sheet, named, faults)
    return sheet if len(faults.found) == before else None


def all_rows(sheet: Sheet, faults: Faults) -> pd.DataFrame | None:
    """The rows of a sheet as strings, indexed by line; None after recording faults of form."""
    return to_frame(each_record(sheet, faults), sheet.header, sheet.name, faults)


def each_record(sheet: Sheet, faults: Faults) -> Iterator[Record]:
    """The rows of a sheet one by one; faults of form are recorded on the way."""
    stream = io.BytesIO(sheet.raw)
    stream.seek(sheet.start[0])
    lines = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    found = records(lines, sheet.name, faults, first=sheet.start[1])
    return full_records(found, len(sheet.header), sheet.name, faults, comment="table-comment")


def check_roles(named: Named, file: str, faults: Faults) -> None:
    """Record a fault for each column that has two roles."""
    roles: dict[str, list[str]] = {}
    for option, columns in named.items():
        # A list that is named twice is a fault of its own.
        for column in dict.fromkeys(columns) if option == "--lists" else columns:
            roles.setdefault(column, []).append(option)
    for column, given in roles.items():
        if len(given) > 1:
            values = {"name": column, "options": " and ".join(given)}
            faults.report("column-roles", values, file=file, column=column)


def _check_header(sheet: Sheet, named: Named, faults: Faults) -> None:
    """Record what is wrong with the header of a sheet."""
    header = sheet.header
    wanted = {column: option for option, columns in named.items() for column in columns}
    listed = ",".join(wanted)

    def fault(code: str, column: str = "", **values: object) -> None:
        row = sheet.start[1] - 1
        faults.report(code, values, file=sheet.name, row=row, column=column)

    if not set(header) & set(wanted):
        fault(header_fault(header), header=listed, found=",".join(header))
        return
    times = Counter(header)
    spare = [column for column in times if column and column not in wanted]
    for column, option in wanted.items():
        near = difflib.get_close_matches(column.lower(), [name.lower() for name in spare], n=1)
        if column in header:
            continue
        if near:
            found = next(name for name in spare if name.lower() == near[0])
            spare.remove(found)
            fault("named-column-misspelt", column, found=found, meant=column, option=option)
        else:
            code = _MISSING.get(option, "named-column-missing")
            fault(code, column, name=column, option=option, header=",".join(header))
    if "" in header:
        fault("column-blank", place=header.index("") + 1, columns=listed)
    for column, number in times.items():
        if column and number > 1:
            fault("column-twice", column, found=column, times=number)
    for column in spare:
        counts = column.casefold() in COUNTS and not named.get("--count")
        fault("count-unnamed" if counts else "column-unused", column, found=column)
