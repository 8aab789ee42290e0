"""The model families, one file each, and the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Literal

from hiddenpop.inputs.settings import PriorKind
from hiddenpop.inputs.table import Form

__all__ = ["FAMILIES", "Family", "families_of"]


@dataclass(frozen=True)
class Family:
    """A family as the rest of the library sees it.

    Attributes
    ----------
    summary
        One line for lists.
    place
        Name of its module below `hiddenpop.families`; its namesake in `simulation` holds
        `draw_truth` and `simulate`, written apart from the model.
    data
        What it reads: the evidence of a study, or tables of one form.
    exact
        Whether its posterior is computed rather than sampled by Markov chains. A module with
        `build_model` is sampled by NUTS, any other by its own `posterior`.
    prior_kinds
        What the `study.toml` of a synthesis may set, and in which form.
    """

    name: str
    summary: str
    place: str
    data: Form | Literal["evidence"]
    exact: bool
    prior_kinds: Mapping[str, PriorKind] = field(default_factory=dict)

    @property
    def module(self) -> ModuleType:
        """Holds `Priors`, and `build_model` and `values`, or `posterior`."""
        return import_module(f"hiddenpop.families.{self.place}")

    @property
    def simulation(self) -> ModuleType:
        """Holds `draw_truth` and `simulate`."""
        return import_module(f"hiddenpop.families.simulation.{self.place}")


def _listed(*families: Family) -> dict[str, Family]:
    return {family.name: family for family in families}


FAMILIES: dict[str, Family] = _listed(
    Family(
        "synthesis",
        "Many numbers about nested areas and groups, with rates, biases and drift, "
        "in one joint posterior.",
        "synthesis", "evidence", False, import_module("hiddenpop.families.synthesis").PRIOR_KINDS,
    ),
    Family(
        "two-list",
        "Two lists: Lincoln-Petersen, Chapman, and the posterior with a prior on dependence.",
        "two_list", "overlap", True,
    ),
    Family(
        "loglinear-average",
        "All hierarchical log-linear models, averaged by BIC or under proper priors.",
        "loglinear_average", "overlap", True,
    ),
    Family(
        "graphs",
        "All decomposable graphs of dependence between 3 to 6 lists, averaged in closed form.",
        "graphs", "overlap", True,
    ),
    Family(
        "loglinear",
        "Log-linear model with strata, shrunken interactions, censored cells or margins only.",
        "loglinear", "overlap", False,
    ),
    Family(
        "latent-class",
        "Classes of people with their own chances of being seen (Dirichlet-process mixture).",
        "latent_class", "overlap", False,
    ),
    Family(
        "heterogeneity",
        "People differ in how visible they are (M_h, M_th), integrated by quadrature.",
        "heterogeneity", "overlap", True,
    ),
    Family(
        "bounds",
        "Every N that stated ranges of dependence between lists allow.",
        "bounds", "overlap", True,
    ),
    Family(
        "one-list",
        "How often people were seen on one list: zero-truncated counts and lower bounds.",
        "one_list", "repeats", True,
    ),
    Family(
        "multiplier",
        "Benchmarks and shares of one population, with survey design, biases and overlap: exact.",
        "multiplier", "benchmarks", True,
    ),
    Family(
        "multiplier-areas",
        "Benchmarks over areas and years: partially pooled shares and prevalence, and a trend.",
        "multiplier_areas", "benchmarks", False,
    ),
    Family(
        "anchored",
        "The anchored multiplier of Wesson et al. 2018, as published: Beta updates of prevalence.",
        "anchored", "benchmarks", True,
    ),
    Family(
        "tree",
        "A population split into branches with counted ends, with sampled branch probabilities.",
        "tree", "tree", True,
    ),
)  # fmt: skip


def families_of(data: Form) -> dict[str, Family]:
    """The families that read tables of one form."""
    return {name: family for name, family in FAMILIES.items() if family.data == data}
