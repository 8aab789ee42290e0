"""One list: the numbers of singleRcapture 0.2.3 and of van der Heijden et al. 2003."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nbinom

from hiddenpop.families import one_list
from hiddenpop.families.maths.repeat_estimates import Estimate
from hiddenpop.families.maths.truncated_counts import (
    MODELS,
    gradient,
    log_likelihood,
    maximise,
    unseen_odds,
)
from hiddenpop.families.one_list_report import likelihood_estimates
from hiddenpop.families.repeat_design import Design, design_of
from hiddenpop.inputs.repeats import RepeatTable
from hiddenpop.inputs.settings import Sampling

__all__: list[str] = []

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "values" / "one_list.json").read_text(encoding="utf-8"))
SIX_FIGURES = 5e-6
"""Half a unit of the sixth figure of a number that begins with 1."""


def table_of(record: dict[str, Any]) -> RepeatTable:
    frame = pd.read_csv(HERE / "tables" / record["table"], comment="#")
    times, _, right = record["settings"]["formula"].partition(" ~ ")
    covariates = [] if right == "1" else right.split(" + ")
    count = frame["count" if "count" in frame else "freq"].to_numpy(float)
    return RepeatTable(frame[times].to_numpy(), count, frame[covariates])


@pytest.fixture(scope="module")
def fits() -> dict[tuple[str, str], tuple[Design, dict[str, Estimate]]]:
    found = {}
    for record in REFERENCE["records"]:
        key = (record["dataset"], record["settings"]["formula"])
        if key not in found:
            design = design_of(table_of(record))
            found[key] = (design, likelihood_estimates(design))
    return found


@pytest.mark.parametrize(
    "record", REFERENCE["records"],
    ids=lambda r: f"{r['dataset']}-{r['method']}-{r['settings']['formula'].count('+')}",
)  # fmt: skip
def test_maximum_likelihood_is_that_of_the_r_package(
    record: dict[str, Any], fits: dict[tuple[str, str], tuple[Design, dict[str, Estimate]]]
) -> None:
    design, by_name = fits[record["dataset"], record["settings"]["formula"]]
    made, numbers = by_name[record["method"]], record["estimates"]
    assert made.size == pytest.approx(numbers["point"], rel=SIX_FIGURES)
    assert made.log_likelihood == pytest.approx(record["logLik"], rel=SIX_FIGURES)
    assert made.aic == pytest.approx(record["AIC"], rel=SIX_FIGURES)
    assert made.bic == pytest.approx(record["BIC"], rel=SIX_FIGURES)
    columns = len(design.names)
    coefficients = np.concatenate([design.back @ made.theta[:columns], made.theta[columns:]])
    np.testing.assert_allclose(coefficients, list(record["coef"].values()), rtol=SIX_FIGURES)
    assert [*design.names] == list(record["coef"])[:columns]
    if record["method"] == "oiztgeom":
        return  # its variance is wrong: see below
    assert made.variance == pytest.approx(numbers["variance"], rel=SIX_FIGURES)
    np.testing.assert_allclose(made.normal(), numbers["ci_normal"], rtol=SIX_FIGURES)
    np.testing.assert_allclose(made.log_normal(), numbers["ci_lognormal"], rtol=SIX_FIGURES)


def test_the_variance_of_oiztgeom_lacks_a_factor_in_the_r_package() -> None:
    """Of one person's share of the unseen it takes the mean, p / (1 - p), for the variance.

    All its other distributions take p / (1 - p)^2, that of a geometric number.
    """
    (record,) = (r for r in REFERENCE["records"] if r["method"] == "oiztgeom")
    design = design_of(table_of(record))
    model, records = MODELS["oiztgeom"], design.records
    made = likelihood_estimates(design)["oiztgeom"]
    theta, information = maximise(log_likelihood(model, records), made.theta)
    slope = gradient(
        lambda t: np.asarray((1 + unseen_odds(model, t, records.design)) @ records.people), theta
    )
    delta = slope @ np.linalg.solve(information, slope)
    odds = unseen_odds(model, theta[None], records.design)[0]
    theirs = delta + records.people @ odds
    assert theirs == pytest.approx(record["estimates"]["variance"], rel=SIX_FIGURES)
    seen = 1 / (1 + odds)
    ours = delta + records.people @ nbinom.var(1, seen)
    assert made.variance == pytest.approx(ours, rel=1e-9)


def test_the_published_estimate_of_illegal_immigrants() -> None:
    """And that it stands beside the posterior, with the bounds, in the family's result."""
    published = REFERENCE["published"]
    (record,) = (
        r for r in REFERENCE["records"] if r["method"] == "ztpoisson" and "+" in str(r["settings"])
    )
    tree = one_list.posterior(table_of(record), one_list.Priors(), Sampling(seed=3))
    by_name = json.loads(tree["models"].attrs["maximum_likelihood"])
    made = by_name["ztpoisson"]
    assert round(made["N"]) == published["N"]
    assert [round(end) for end in made["normal"]] == [published["low"], published["high"]]
    rows = tree["models"].to_dataset().to_dataframe()
    assert rows.loc["chao", "median"] == pytest.approx(15983.8294, rel=SIX_FIGURES)
    assert rows.loc["zelterman", "median"] == pytest.approx(16129.3870, rel=SIX_FIGURES)
    # Shrinkage of 7 coefficients moves the posterior by far less than its width.
    poisson = rows.loc["ztpoisson"]
    assert poisson["low"] < published["N"] < poisson["high"]
    assert poisson["median"] == pytest.approx(published["N"], rel=0.06)
    # Rates vary: geometric carries the weight, and N is not the published lower bound.
    assert rows.loc["ztgeom", "weight"] > 0.999
    assert rows.loc["ztgeom", "low"] > published["N"]
    assert "ztnegbin" not in by_name
    assert any("has no maximum" in note for note in json.loads(tree.attrs["notes"]))
