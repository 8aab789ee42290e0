"""All hierarchical models of a table fitted by maximum likelihood, or those that matter.

    BIC = -2 log likelihood + (terms of the model, intercept too) log(people observed)

The likelihood is Poisson with the factorials of the counts, so that the BIC is that of the R
package Rcapture (Rivest & Baillargeon 2007, J Stat Softw 19(5)); people, not cells, are what is
counted in the log. exp(-BIC/2) approximates the evidence under a prior worth one person (Kass &
Wasserman 1995, JASA 90:928; Raftery 1995, Sociological Methodology 25:111).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiddenpop.families.averaging import search
from hiddenpop.families.averaging.cells import Cells, cells_of
from hiddenpop.families.maths import hierarchy
from hiddenpop.families.maths.hierarchical_ml import Fits, fit_models
from hiddenpop.inputs.overlap import OverlapTable

__all__ = ["Fitted", "fit_all", "rank_models"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """All models of a table.

    Attributes
    ----------
    cells
        What they were fitted to.
    masks
        Terms, shape (term,).
    model
        Terms of each model, shape (model, term).
    fits
        Their estimates.
    order
        The most lists in one term; None for all but one.
    searched
        Whether the models were found by a random search rather than listed.
    """

    cells: Cells
    masks: np.ndarray
    model: np.ndarray
    fits: Fits
    order: int | None
    searched: bool

    @property
    def bic(self) -> np.ndarray:
        """BIC of each model, inf where there is no estimate, shape (model,)."""
        penalty = self.fits.parameters * np.log(self.cells.observed)
        return np.where(self.fits.code == 0, penalty - 2 * self.fits.log_likelihood, np.inf)

    @property
    def weight(self) -> np.ndarray:
        """Shares proportional to exp(-BIC/2), shape (model,)."""
        bic = self.bic
        share = np.exp(-0.5 * (bic - bic.min()))
        return np.asarray(share / share.sum())

    @property
    def names(self) -> list[str]:
        """Generators of each model in brackets."""
        return self.cells.model_names(self.model, self.masks)


def fit_all(
    cells: Cells,
    order: int | None = None,
    max_models: int = 32768,
    *,
    search_steps: int = 200,
    seed: int = 1,
) -> Fitted:
    """Fit every hierarchical model, or search for those that matter where there are too many.

    Parameters
    ----------
    order
        The most lists in one term; None for all but the term of all lists, or for 2 where
        those models are more than `max_models`, as they are from six lists on.
    max_models
        The most models that are listed.
    search_steps, seed
        Of the search.
    """
    lists = len(cells.place)
    if order is not None and order >= lists - 1:
        order = None
    if order is None and hierarchy.count_models(lists, None, max_models) is None:
        order = 2
    masks = cells.terms(order)
    if hierarchy.count_models(lists, order, max_models) is None:
        rng = np.random.default_rng(seed)
        model, fits = search.search(cells, masks, search_steps, rng)
        return Fitted(cells, masks, model, fits, order, searched=True)
    every = hierarchy.terms(lists, order)
    allowed = np.isin(every, masks)
    listed = hierarchy.hierarchical_models(lists, order, max_models)
    model = listed[~listed[:, ~allowed].any(axis=1)][:, allowed]
    fits = fit_models(cells.counts, cells.possible, masks, model)
    return Fitted(cells, masks, model, fits, order, searched=False)


def rank_models(table: OverlapTable, order: int | None = None, top: int = 20) -> pd.DataFrame:
    """The models with the smallest BIC, those without an estimate left out.

    Parameters
    ----------
    order
        As `fit_all`, which see.
    top
        How many.

    Returns
    -------
    pandas.DataFrame
        Columns model, N, se, bic, aic, parameters; the best first.
    """
    fitted = fit_all(cells_of(table), order)
    rows = np.argsort(fitted.bic, kind="stable")[:top]
    rows = rows[fitted.fits.code[rows] == 0]
    fits = Fits(*(values[rows] for values in fitted.fits))
    unseen = np.exp(fits.log_unseen)
    return pd.DataFrame(
        {
            "model": fitted.cells.model_names(fitted.model[rows], fitted.masks),
            "N": fitted.cells.observed + unseen,
            "se": np.sqrt(unseen + unseen**2 * fits.variance),
            "bic": fitted.bic[rows],
            "aic": 2 * fits.parameters - 2 * fits.log_likelihood,
            "parameters": fits.parameters,
        }
    )
