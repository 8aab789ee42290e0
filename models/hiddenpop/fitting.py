"""One verb for both kinds of input: a study of evidence, or a table of who was seen where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, overload

from hiddenpop.estimate import Estimate
from hiddenpop.estimate import fit as fit_study
from hiddenpop.family_fits import check_options
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.study import Study
from hiddenpop.inputs.table import Table
from hiddenpop.size import SizeEstimate, fit_table

__all__ = ["fit"]


@overload
def fit(
    data: Study,
    *,
    seed: int | None = None,
    sampling: Sampling | None = None,
    check: bool = True,
    quick: bool = False,
) -> Estimate: ...


@overload
def fit(
    data: Table,
    *,
    family: str,
    seed: int | None = None,
    sampling: Sampling | None = None,
    check: bool = True,
    **options: Any,  # noqa: ANN401
) -> SizeEstimate: ...


def fit(
    data: Study | Table,
    *,
    family: str = "",
    seed: int | None = None,
    sampling: Sampling | None = None,
    check: bool = True,
    quick: bool = False,
    **options: Any,
) -> Estimate | SizeEstimate:
    """Fit a study, or one family to a table.

    For a study this is `hiddenpop.estimate.fit`; for a table `hiddenpop.size.fit_table` after
    the options were checked.

    Parameters
    ----------
    family
        Of a table: one of `hiddenpop families`; a study names its own.
    seed
        Instead of the study's own, or of 1.
    sampling
        Draws, warm-up and seed; instead of the study's own.
    check
        Raise if the gates are not passed.
    quick
        Of a study: a few draws, for a look; the result is marked.
    options
        Of a table: fields of the family's `Priors`.

    Raises
    ------
    InputError
        If an option has no meaning for the family, or the family cannot be used on the table.
    ConvergenceError
        If `check` and a gate failed; the error carries the estimate.
    """
    if isinstance(data, Study):
        return fit_study(data, seed=seed, sampling=sampling, quick=quick, check=check)
    sampling = sampling or Sampling()
    if seed is not None:
        sampling = replace(sampling, seed=seed)
    checked = check_options(options, (family,))
    return fit_table(data, family, options=checked, sampling=sampling, check=check)
