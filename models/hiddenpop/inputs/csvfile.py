"""Reading a CSV file as text: every fault of form, before any fault of content."""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from hiddenpop.inputs.faults import Faults

__all__ = [
    "Record",
    "full_records",
    "header_fault",
    "read_cells",
    "read_raw",
    "read_text",
    "records",
    "to_frame",
]

Record = tuple[int, list[str]]
"""Line on which a record starts, and its cells."""

MANY = 1000
"""After so many rows of wrong form the others are not looked at."""


def read_text(path: Path, faults: Faults) -> str | None:
    """Return the text of a UTF-8 file, or None after recording why it cannot be had."""
    raw = read_raw(path, faults)
    return None if raw is None else raw.decode("utf-8")


def read_raw(path: Path, faults: Faults) -> bytes | None:
    """Return the bytes of a UTF-8 file, or None after recording why they cannot be had."""
    name = path.name
    try:
        if not path.exists():
            faults.report("file-missing", {"folder": str(path.parent)}, file=name)
            return None
        if not path.is_file():
            faults.report("file-is-folder", file=name)
            return None
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        faults.report("file-unreadable", {"reason": reason}, file=name)
        return None
    if raw.startswith(b"\xef\xbb\xbf"):
        faults.report("file-bom", file=name)
        raw = raw[3:]
    for code, found in (
        ("file-utf16", raw.startswith((b"\xff\xfe", b"\xfe\xff"))),
        ("file-spreadsheet", raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))),
        ("file-binary", b"\x00" in raw),
    ):
        if found:
            faults.report(code, file=name)
            return None
    try:
        if not raw.isascii():
            raw.decode("utf-8")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        faults.report("file-encoding", {"byte": f"0x{raw[error.start]:02x}"}, file=name, row=row)
        return None
    return raw


def read_cells(
    path: Path, columns: tuple[str, ...], required: tuple[str, ...], faults: Faults
) -> pd.DataFrame | None:
    """Read a CSV as strings, indexed by line number, with exactly `columns`.

    Spaces and tabs around a cell do not count; blank lines carry nothing. Columns that may
    be left out are filled with empty strings. Returns None when the form is so broken that
    looking at the content would only repeat the fault.
    """
    text = read_text(path, faults)
    if text is None:
        return None
    name = path.name
    if not text.strip():
        faults.report("table-empty", {"header": ",".join(columns)}, file=name)
        return None
    before = len(faults.found)
    found = list(records(io.StringIO(text, newline=""), name, faults))
    if len(faults.found) > before:
        return None
    header = found[0][1]
    if not _header_is_good(header, columns, required, name, faults):
        return None
    frame = to_frame(full_records(found[1:], len(header), name, faults), header, name, faults)
    return None if frame is None else frame.reindex(columns=list(columns), fill_value="")


def records(
    stream: Iterable[str], name: str, faults: Faults, *, first: int = 1
) -> Iterator[Record]:
    """The records of a stream of lines; ends early where quotation marks do not pair up.

    `first` is the number of the stream's first line in the file.
    """
    reader = csv.reader(stream, strict=True)
    # A record starts on the line after the last of the record before.
    start = first
    try:
        for cells in reader:
            yield start, [cell.strip(" \t\r\n") for cell in cells]
            start = first + reader.line_num
    except csv.Error:
        faults.report("csv-quotes", file=name, row=start)


def _header_is_good(
    header: list[str],
    columns: tuple[str, ...],
    required: tuple[str, ...],
    name: str,
    faults: Faults,
) -> bool:
    """Record faults of the header line; say whether the body can be read under it."""
    before, listed = len(faults.found), ", ".join(columns)

    def fault(code: str, column: str = "", **values: object) -> None:
        faults.report(code, {"columns": listed, **values}, file=name, row=1, column=column)

    if not set(header) & set(columns):
        code = header_fault(header)
        fault(code, header=",".join(columns), found=",".join(header))
        return False
    missing = [column for column in required if column not in header]
    for column, times in Counter(header).items():
        near = difflib.get_close_matches(column.lower(), missing, n=1)
        if column == "":
            fault("column-blank", place=header.index("") + 1)
        elif column not in columns and near:
            missing.remove(near[0])
            fault("column-misspelt", column, found=column, meant=near[0])
        elif column not in columns:
            fault("column-unknown", column, found=column)
        elif times > 1:
            fault("column-twice", column, found=column, times=times)
    for column in missing:
        fault("column-missing", column, name=column)
    return len(faults.found) == before


def header_fault(header: list[str]) -> str:
    """Code of why a first line holds no known column."""
    marks = {";": "csv-semicolons", "\t": "csv-tabs"}
    found = (code for mark, code in marks.items() if len(header) == 1 and mark in header[0])
    return next(found, "header-missing")


def full_records(
    found: Iterable[Record], width: int, name: str, faults: Faults, *, comment: str | None = None
) -> Iterator[Record]:
    """Those records that are neither blank nor of wrong length, which is a fault.

    With `comment`, the code of a fault, no record may begin with '#', whatever its length.
    """
    wrong = 0
    for number, cells in found:
        if not any(cells):
            continue
        remark = cells[0].startswith("#")
        if len(cells) == width and not (remark and comment):
            yield number, cells
            continue
        wrong += 1
        if remark:
            faults.report(comment or "row-comment", file=name, row=number)
        else:
            counts = {"cells": len(cells), "header": width}
            faults.report("row-length", counts, file=name, row=number)
        if wrong == MANY:
            return


def to_frame(
    found: Iterable[Record], header: list[str], name: str, faults: Faults
) -> pd.DataFrame | None:
    """Records below the header as a frame of strings, None where there is none or a fault."""
    before = len(faults.found)
    rows = dict(found)
    if len(faults.found) > before:
        return None
    if not rows:
        faults.report("table-no-rows", file=name)
        return None
    return pd.DataFrame.from_dict(rows, orient="index", columns=header, dtype=str)
