"""Reading a CSV file as text: every fault of form, before any fault of content."""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from pathlib import Path

import pandas as pd

from hiddenpop.inputs.faults import Faults

__all__ = ["read_cells", "read_text"]

Records = list[tuple[int, list[str]]]
"""Line on which each record starts, and its cells."""


def read_text(path: Path, faults: Faults) -> str | None:
    """Return the text of a UTF-8 file, or None after recording why it cannot be had."""
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
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        faults.report("file-encoding", {"byte": f"0x{raw[error.start]:02x}"}, file=name, row=row)
        return None


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
    records = _records(text, name, faults)
    if records is None or not _header_is_good(records[0][1], columns, required, name, faults):
        return None
    return _body(records[1:], records[0][1], columns, name, faults)


def _records(text: str, name: str, faults: Faults) -> Records | None:
    """Split the text into records; None where quotation marks do not pair up."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: Records = []
    # A record starts on the line after the last of the record before.
    start = 1
    try:
        for cells in reader:
            records.append((start, [cell.strip(" \t\r\n") for cell in cells]))
            start = reader.line_num + 1
    except csv.Error:
        faults.report("csv-quotes", file=name, row=start)
        return None
    return records


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
        code = _separator_fault(header)
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


def _separator_fault(header: list[str]) -> str:
    """Code of why a first line holds no known column."""
    marks = {";": "csv-semicolons", "\t": "csv-tabs"}
    found = (code for mark, code in marks.items() if len(header) == 1 and mark in header[0])
    return next(found, "header-missing")


def _body(
    records: Records, header: list[str], columns: tuple[str, ...], name: str, faults: Faults
) -> pd.DataFrame | None:
    """Turn the lines below the header into a frame of strings."""
    rows: dict[int, list[str]] = {}
    before = len(faults.found)
    for number, cells in records:
        if not any(cells):
            continue
        if len(cells) == len(header):
            rows[number] = cells
        elif cells[0].startswith("#"):
            faults.report("row-comment", file=name, row=number)
        else:
            counts = {"cells": len(cells), "header": len(header)}
            faults.report("row-length", counts, file=name, row=number)
    if len(faults.found) > before:
        return None
    if not rows:
        faults.report("table-no-rows", file=name)
        return None
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=header, dtype=str)
    return frame.reindex(columns=list(columns), fill_value="")
