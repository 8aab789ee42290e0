"""Reading a tree from a CSV file, and writing it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from hiddenpop.errors import InputError
from hiddenpop.inputs.csvfile import read_cells
from hiddenpop.inputs.faults import Faults
from hiddenpop.inputs.lines import Line, lines
from hiddenpop.inputs.residents import one_number
from hiddenpop.inputs.schema import (
    Problem,
    Schema,
    check_columns,
    drop_totals,
    filled,
    key,
    number,
    one_of,
    unique,
)
from hiddenpop.inputs.tree import Branch, Tree

__all__ = ["read_tree", "tree_csv"]

COLUMNS = ("parent", "child", "x", "n", "design_effect", "sample", "count", "complete")
REQUIRED = ("parent", "child")
CLOSE = 1e-9
"""Relative difference of two sums of counts that is rounding."""


def read_tree(path: str | Path, *, population: float | str | None = None) -> Tree:
    """Read a tree: one row for each branch.

    Parameters
    ----------
    path
        CSV in UTF-8 with the columns `parent` and `child`, and as many of `x`, `n`,
        `design_effect`, `sample`, `count` and `complete` (yes or no) as are wanted.
    population
        Residents at the target's ages.

    Raises
    ------
    InputError
        With every fault found.
    """
    faults, file = Faults(), Path(path).name
    tree = _tree(Path(path), faults)
    residents = None
    if tree is not None:
        residents = one_number(population, tree.observed, file, faults)
    if faults.found or tree is None:
        raise InputError(faults.found)
    return Tree(tree.branches, tree.root, residents)


def tree_csv(tree: Tree) -> str:
    """Write a tree so that it reads back as the same tree (its population apart)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in tree.branches:
        effect = _text(one.design_effect) if one.sampled else ""
        complete = "" if one.complete is None else ("yes" if one.complete else "no")
        writer.writerow(
            [one.parent, one.child, _text(one.x), _text(one.n), effect, one.sample,
             _text(one.count), complete]
        )  # fmt: skip
    return text.getvalue()


def _text(value: float | None) -> str:
    """A number with all its digits; whole numbers as such."""
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))


def _tree(path: Path, faults: Faults) -> Tree | None:
    """The tree; None after recording faults."""
    cells = read_cells(path, COLUMNS, REQUIRED, faults)
    if cells is None:
        return None
    file = path.name
    for column in ("child", "parent"):
        cells = drop_totals(cells, (column,), "tree-total", file, faults)
    check_columns(cells, _schema(), file, faults)
    unique(cells, "child", "tree-child-twice", file, faults)
    table = lines(cells, file, faults)
    for line in table:
        _check_survey(line)
    if faults.found:
        return None
    root = _root(table, file, faults)
    if root is None or faults.found:
        return None
    tree = Tree(tuple(_branch(line) for line in table), root)
    _check_tree(tree, {line["child"]: line for line in table}, file, faults)
    return None if faults.found else tree


def _schema() -> Schema:
    return {
        "parent": [filled("tree-name-empty"), key(dashes=False)],
        "child": [filled("tree-name-empty"), key(dashes=False)],
        "x": [number(least=0)],
        "n": [number(least=0)],
        "design_effect": [number(above=0)],
        "sample": [key()],
        "count": [number(), _count],
        "complete": [one_of("tree-complete-word", ("yes", "no"))],
    }


def _count(cell: str) -> Problem | None:
    """The cell is empty or a whole number of people."""
    if cell == "":
        return None
    if float(cell) < 0:
        return Problem("tree-count-negative")
    return Problem("tree-count-fraction") if float(cell) % 1 else None


def _check_survey(line: Line) -> None:
    """Whether x, n, the design effect and the sample can stand together."""
    given = line.filled("x", "n")
    if len(given) == 1:
        missing = "n" if given == ["x"] else "x"
        line.fault("tree-survey-part", missing, given=given[0], missing=missing)
    elif given and line.number("n") == 0:
        line.fault("tree-n-zero", "n", child=line["child"])
    elif given and line.number("x") > line.number("n"):
        line.fault("tree-x-above-n", "x", x=line.number("x"), n=line.number("n"))
    for column in () if given else line.filled("design_effect", "sample"):
        line.fault("tree-survey-none", column, given=column)
    if line["design_effect"] and 0 < line.number("design_effect") < 1:
        line.fault("tree-design-low", "design_effect", effect=line.number("design_effect"))


def _root(table: list[Line], file: str, faults: Faults) -> str | None:
    """The node that is nobody's child, if there is exactly one and no node is its own parent."""
    above = {line["child"]: line["parent"] for line in table}
    for line in table:
        seen, node = {line["child"]}, line["parent"]
        while node in above and node not in seen:
            seen.add(node)
            node = above[node]
        if node == line["child"]:
            line.fault("tree-cycle", "child", child=line["child"])
            return None
    roots = list(dict.fromkeys(line["parent"] for line in table if line["parent"] not in above))
    if len(roots) > 1:
        faults.report("tree-roots", {"roots": ", ".join(roots)}, file=file, column="parent")
        return None
    return roots[0]


def _branch(line: Line) -> Branch:
    def value(column: str) -> float | None:
        return line.number(column) if line[column] else None

    return Branch(
        line["parent"], line["child"], value("x"), value("n"), value("design_effect") or 1.0,
        line["sample"], value("count"), {"yes": True, "no": False}.get(line["complete"]),
    )  # fmt: skip


def _check_tree(tree: Tree, rows: dict[str, Line], file: str, faults: Faults) -> None:
    """What only the branches of a parent together can show, and what only the whole tree can."""
    for parent in dict.fromkeys(branch.parent for branch in tree.branches):
        branches = tree.children(parent)
        _check_complete(tree, branches, rows)
        for name in dict.fromkeys(branch.sample for branch in branches if branch.sample):
            _check_sample([one for one in branches if one.sample == name], rows)
        if parent in rows:
            _check_counts(tree, rows[parent], rows)
    if not tree.counted_nodes():
        faults.report("tree-no-count", {"root": tree.root}, file=file, column="count")
    elif not any(branch.sampled for branch in tree.branches):
        faults.report("tree-no-survey", {"root": tree.root}, file=file, column="x")


def _check_complete(tree: Tree, branches: tuple[Branch, ...], rows: dict[str, Line]) -> None:
    said = {branch.complete for branch in branches} - {None}
    last = rows[branches[-1].child]
    if len(said) > 1:
        last.fault("tree-complete-split", "complete", parent=branches[0].parent)
    elif said == {True} and len(branches) == 1:
        last.fault("tree-complete-alone", "complete", parent=last["parent"], child=last["child"])
    if len(said) < 2 and tree.covers(branches[0].parent):
        _check_whole(tree, branches, last)


def _check_whole(tree: Tree, branches: tuple[Branch, ...], last: Line) -> None:
    """Children that cover their parent leave nobody over, in samples and in counts."""
    one = {branch.sample for branch in branches}
    total = sum(branch.x or 0 for branch in branches)
    alike = len(one) == 1 and one != {""} and all(branch.sampled for branch in branches)
    if alike and total < (branches[0].n or 0):
        last.fault(
            "tree-complete-sample", "complete", parent=last["parent"], x=total, n=branches[0].n
        )
    counts = [branch.count for branch in branches if branch.count is not None]
    own = next((b.count for b in tree.branches if b.child == last["parent"]), None)
    if own is not None and len(counts) == len(branches) and sum(counts) < own * (1 - CLOSE):
        values = {"parent": last["parent"], "people": own, "sum": sum(counts)}
        last.fault("tree-complete-counts", "count", **values)


def _check_sample(branches: list[Branch], rows: dict[str, Line]) -> None:
    """One sample has one size and one design effect, and holds everybody once."""
    first, last = branches[0], rows[branches[-1].child]
    for branch in branches[1:]:
        values = {"sample": first.sample, "first": first.child, "parent": first.parent}
        if branch.n != first.n:
            rows[branch.child].fault("tree-sample-n", "n", n=branch.n, other=first.n, **values)
        elif branch.design_effect != first.design_effect:
            rows[branch.child].fault("tree-sample-design", "design_effect", **values)
    found, n = sum(branch.x or 0 for branch in branches), first.n or 0
    sizes = Counter(branch.n for branch in branches)
    if len(sizes) == 1 and found > n:
        last.fault("tree-sample-sum", "x", sample=first.sample, x=found, n=n, parent=first.parent)


def _check_counts(tree: Tree, line: Line, rows: dict[str, Line]) -> None:
    """Nobody is in a part of a counted node who is not in that node."""
    parent = line["child"]
    own = next(branch.count for branch in tree.branches if branch.child == parent)
    if own is None:
        return
    above = [b for b in tree.children(parent) if _least(tree, b) > own]
    for branch in above:
        values = {"child": branch.child, "people": _least(tree, branch), "parent": parent,
                  "most": own}  # fmt: skip
        rows[branch.child].fault("tree-count-above", "count", **values)
    if not above and tree.counted_below(parent) > own:
        line.fault("tree-counts-above", "count", parent=parent, people=own,
                   sum=tree.counted_below(parent))  # fmt: skip


def _least(tree: Tree, branch: Branch) -> float:
    return branch.count if branch.count is not None else tree.counted_below(branch.child)
