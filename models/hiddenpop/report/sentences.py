"""The study's own sentences, with the numbers that their expressions ask for.

Sentences are jinja2 templates in a sandbox: they come with a study, perhaps from a stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any, Never

import pandas as pd
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hiddenpop.errors import HiddenPopError
from hiddenpop.estimate import Estimate, Summary
from hiddenpop.inputs.numbers import as_number
from hiddenpop.inputs.settings import left_out_name
from hiddenpop.inputs.study import Study
from hiddenpop.words import Exact, people, per1000, percent

__all__ = ["PARTS", "check_sentences", "render_sentences"]

PARTS = ("rests_on", "limits", "next_data")
"""Keys of `[report]` that hold sentences."""

NUMBERS = ("value", "low", "high", "level", "n", "design_effect")

ROUGH = " (rough: this fit failed its checks)"
"""Behind a sentence that quotes a variant whose fit did not pass its gates."""

NOTHING = Summary(*[float("nan")] * 5)
"""What a result is before there is one."""


def check_sentences(study: Study) -> None:
    """Try every sentence of a study without a fit.

    Raises
    ------
    HiddenPopError
        With every sentence whose expression is damaged or names something unknown.
    """
    _render(study, None, None)


def render_sentences(estimate: Estimate, variants: pd.DataFrame | None) -> dict[str, list[str]]:
    """Plain text of the sentences under each key of `PARTS`.

    An expression may use `N(area, group)`, `rate(area, group)` (per 1,000 residents),
    `share(rate)` and `variant(name, area, group, quantity)` (per 1,000 unless asked), each
    with median, mean, low, high; `row(id)` with the row's own columns; `population(area)`;
    and the filters `people`, `per1000`, `percent`.

    Raises
    ------
    HiddenPopError
        As `check_sentences`.
    """
    return _render(estimate.data, estimate, variants)


def _render(
    study: Study, estimate: Estimate | None, variants: pd.DataFrame | None
) -> dict[str, list[str]]:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.filters |= {"people": people, "per1000": per1000, "percent": percent}
    rough: list[str] = []
    environment.globals = _functions(study, estimate, variants, rough.append)
    texts: dict[str, list[str]] = {}
    faults = []
    for part in PARTS:
        texts[part] = []
        for number, sentence in enumerate(getattr(study.report, part), start=1):
            rough.clear()
            try:
                text = environment.from_string(sentence).render()
                texts[part].append(text + ROUGH if rough else text)
            except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError,
                    ValueError) as error:  # fmt: skip
                faults.append(
                    f"study.toml, report.{part}, sentence {number}: {error}. The sentence is: "
                    f"“{sentence}”. Correct the expression in its double braces."
                )
    if faults:
        raise HiddenPopError("\n".join(faults))
    return texts


def _functions(
    study: Study,
    estimate: Estimate | None,
    variants: pd.DataFrame | None,
    on_rough: Callable[[str], None],
) -> dict[str, Any]:
    """What an expression may call; names are checked even where there is no result yet.

    `on_rough` is told the name of each quoted variant whose fit failed its gates.
    """
    data = study.data

    def N(area: str, group: str) -> Summary:
        _known("area", area, data.areas.names)
        _known("group", group, data.groups)
        return estimate.users(area, group) if estimate else NOTHING

    def rate(area: str, group: str) -> Summary:
        _known("area", area, data.areas.names)
        _known("group", group, data.groups)
        return estimate.prevalence(area, group) if estimate else NOTHING

    def share(name: str) -> Summary:
        _known("rate", name, data.rates.names)
        return estimate.rate(name) if estimate else NOTHING

    def population(area: str) -> Exact:
        _known("area", area, data.areas.names)
        return Exact(data.areas.population[data.areas.index(area)])

    named: dict[str, Callable[..., Any]] = {
        "N": N, "rate": rate, "share": share, "population": population,
        "row": _row(study), "variant": _variant(study, variants, on_rough),
    }  # fmt: skip
    return dict(named)


class Row(SimpleNamespace):
    """Filled columns of a row of evidence, as attributes."""

    def __getattr__(self, column: str) -> Never:
        """Only called for what is not there; jinja would name the class, not the row."""
        if column.startswith("_"):
            raise AttributeError(column)
        raise ValueError(f"row {self.id} has no column '{column}', or nothing in it")


def _row(study: Study) -> Callable[[str], Row]:
    """Filled columns of a row of evidence, used or not; its numbers are shown as published."""
    table = study.data.evidence.table.set_index("id")

    def row(name: str) -> Row:
        _known("row of evidence", name, table.index)
        cells = {column: text for column, text in table.loc[name].items() if text != ""}
        return Row(
            **{str(column): Exact(as_number(str(text))) if column in NUMBERS else text
               for column, text in ({"id": name} | cells).items()}
        )  # fmt: skip

    return row


def _variant(
    study: Study, frame: pd.DataFrame | None, on_rough: Callable[[str], None]
) -> Callable[..., Summary]:
    def variant(name: str, area: str, group: str, quantity: str = "prevalence_per_1000") -> Summary:
        _known("reported area", area, study.report.areas)
        _known("reported group", group, study.report.groups)
        _known("quantity", quantity, ("N", "prevalence_per_1000"))
        own = [one.name for one in study.variants]
        left_out = [left_out_name(source) for source in study.data.sources]
        _known("variant", name, own + left_out)
        if frame is None:
            return NOTHING
        at = (frame[["variant", "area", "group", "quantity"]] == [name, area, group, quantity]).all(
            axis=1
        )
        if not at.any():
            return NOTHING
        row = frame[at].iloc[0]
        if not row["passed"]:
            on_rough(name)
        return Summary(*(float(row[field]) for field in Summary._fields))

    return variant


def _known(kind: str, name: str, names: Collection[str]) -> None:
    if name not in set(names):
        raise ValueError(f"there is no {kind} '{name}'")
