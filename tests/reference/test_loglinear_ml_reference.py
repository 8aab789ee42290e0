"""Maximum likelihood against Rcapture, SparseMSE and MultipleSystemsEstimation.

Every record of values/loglinear_ml.json says table, version and settings. Numbers must agree to
six significant figures (relative 1e-6), with two allowances that are checked rather than taken:

- R's `glm` stops when the deviance changes by less than 1 in 10^8 and reports standard errors
  with the weights of the step before. Some of Rcapture's are therefore off by up to 1 in 6,000.
  Here `glm`'s steps are repeated: with its stopping rule they give Rcapture's standard errors,
  carried on they give ours.
- Rcapture's profile likelihood replaces factorials by Stirling's formula; `profile` does the
  same when asked.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hiddenpop.families.averaging import selection
from hiddenpop.families.averaging.bic import rank_models
from hiddenpop.families.averaging.single import (
    HETEROGENEITY,
    ModelFit,
    capture_model,
    fit_model,
    mt_bias_corrected,
)
from hiddenpop.inputs.overlap import OverlapTable
from hiddenpop.size import fit_table

__all__: list[str] = []

Record = dict[str, Any]
Reader = Callable[..., OverlapTable]

RECORDS: list[Record] = json.loads(
    (Path(__file__).parent / "values" / "loglinear_ml.json").read_text("utf-8")
)
RTOL = 1e-6
FEW = 1e-9
"""Deviances of saturated models are 0 but for rounding."""


def records(method: str) -> Any:  # noqa: ANN401
    some = [record for record in RECORDS if method in record["method"]]
    assert some
    return pytest.mark.parametrize("record", some, ids=[record["id"] for record in some])


def generators(short: str, lists: tuple[str, ...]) -> str:
    """From Rcapture's "[12,3]"."""
    terms = short.strip("[]").split(",")
    return "".join("[" + " ".join(lists[int(j) - 1] for j in term) + "]" for term in terms)


def glm(X: np.ndarray, counts: np.ndarray, *, settled: bool) -> float:
    """Standard error of the intercept after the steps of R's `glm`.

    With `settled` the steps go on until nothing moves.
    """
    mean = counts + 0.1
    deviance = np.inf
    for _ in range(25 if not settled else 100):
        weight = mean
        target = np.log(mean) + (counts - mean) / mean
        root = np.sqrt(weight)
        beta = np.linalg.lstsq(X * root[:, None], target * root, rcond=None)[0]
        mean = np.exp(X @ beta)
        before, ratio = deviance, np.where(counts > 0, counts, 1) / np.where(counts > 0, mean, 1)
        deviance = 2 * float((counts * np.log(ratio) - (counts - mean)).sum())
        if not settled and abs(deviance - before) / (abs(deviance) + 0.1) < 1e-8:
            break
    covariance = np.linalg.inv((X.T * (mean if settled else weight)) @ X)
    return float(np.sqrt(covariance[0, 0]))


def histories(data: OverlapTable) -> tuple[np.ndarray, np.ndarray]:
    """All combinations but none, shape (cell, list), and their counts."""
    codes = np.arange(1, 2 ** len(data.lists))
    return (codes[:, None] >> np.arange(len(data.lists)) & 1).astype(float), data.dense()[0][1:]


def columns_of(found: ModelFit, data: OverlapTable, kind: str = "") -> np.ndarray:
    """The columns of a fitted model that it has not put to minus infinity, or to 0."""
    seen, _ = histories(data)
    times = seen.sum(axis=1)
    made = {"1": np.ones(len(seen)), "lists": times}
    made |= {f"eta{k}": np.maximum(times - k + 1, 0) for k in range(3, len(data.lists) + 1)}
    made |= {name: column(times) for name, column in HETEROGENEITY.items()}
    for name in found.coefficients:
        if name not in made:
            made[name] = seen[:, [data.lists.index(part) for part in name.split(":")]].prod(axis=1)
    used = [name for name, value in found.coefficients.items() if value or not kind]
    return np.column_stack([made[name] for name in used])


def check(found: ModelFit, expected: Record, data: OverlapTable, kind: str = "") -> None:
    assert found.code == 0
    assert pytest.approx(expected["abundance"], rel=RTOL) == found.N
    assert pytest.approx(expected["BIC"], rel=RTOL) == found.bic
    assert pytest.approx(expected["AIC"], rel=RTOL) == found.aic
    assert found.deviance == pytest.approx(expected["deviance"], rel=RTOL, abs=FEW)
    assert found.df == expected["df"]
    if found.se == pytest.approx(expected["stderr"], rel=RTOL):
        return
    _, counts = histories(data)
    assert not found.empty
    X, unseen = columns_of(found, data, kind), found.N - found.observed
    theirs = np.sqrt(unseen + (unseen * glm(X, counts, settled=False)) ** 2)
    assert theirs == pytest.approx(expected["stderr"], rel=RTOL)
    assert glm(X, counts, settled=True) == pytest.approx(found.se_log, rel=RTOL)


def check_profile(found: ModelFit, expected: Record) -> None:
    profile = found.profile(stirling=True)
    pairs = {"infCL": profile.low, "supCL": profile.high, "abundance": profile.best}
    for name, value in pairs.items():
        limit = expected[name]
        if isinstance(limit, str):
            # Rcapture looks no farther than three times the estimate.
            assert value > float(limit.removeprefix(">"))
        else:
            assert value == pytest.approx(limit, rel=RTOL), name
    # The exact factorials move the ends by less than the twelfth part of one person in n_0.
    exact = found.profile()
    unseen = max(profile.low - found.observed, 0.5)
    assert exact.low == pytest.approx(profile.low, abs=(profile.best - profile.low) / unseen)


@records("closedp.t")
def test_capture_models_of_rcapture(record: Record, reference_table: Reader) -> None:
    data = reference_table(record["dataset"])
    names = {"Poisson2": "Poisson", "Gamma3.5": "Gamma"}
    assert len(record["estimates"]) == 10
    for name, expected in record["estimates"].items():
        model, *rest = name.replace(" (LB)", "").split()
        kind = names.get(rest[0], rest[0]) if rest else None
        check(capture_model(data, model, kind), expected, data, kind or "")


@records("closedpMS.t")
def test_hierarchical_models_of_rcapture(record: Record, reference_table: Reader) -> None:
    data = reference_table(record["dataset"])
    for expected in record["top_bic"] + record["top_aic"]:
        check(fit_model(data, generators(expected["model"], data.lists)), expected, data)
    # All models at once put the same ones first.
    ranked = rank_models(data, record["settings"]["maxorder"], top=len(record["top_bic"]))
    for expected, row in zip(record["top_bic"], ranked.itertuples(), strict=True):
        assert row.bic == pytest.approx(expected["BIC"], rel=RTOL)
        assert pytest.approx(expected["abundance"], rel=RTOL) == row.N


@records("closedpCI.t")
def test_profile_intervals_of_rcapture(record: Record, reference_table: Reader) -> None:
    data, settings = reference_table(record["dataset"]), record["settings"]
    if "mX" in settings:
        found = fit_model(data, generators(settings["mX"], data.lists))
    elif "label" in settings:
        pairs = [f"c{j}:c{k}" for k in range(2, 5) for j in range(1, k)]
        found = fit_model(data, pairs if "^2" in settings["label"] else ["c1:c2"])
    else:
        found = capture_model(data, settings["m"], settings.get("h"))
    check(found, record["estimates"], data, settings.get("h", ""))
    check_profile(found, record["profile_ci"])


@records("closedp.bc")
def test_bias_corrected_mt_of_rcapture(record: Record, reference_table: Reader) -> None:
    N, se = mt_bias_corrected(reference_table(record["dataset"]))
    # R's uniroot stops within 1.2e-4 people.
    assert pytest.approx(record["estimates"]["abundance"], rel=RTOL) == N
    assert se == pytest.approx(record["estimates"]["stderr"], rel=RTOL)


@records("stepwise")
def test_stepwise_of_sparsemse(record: Record, reference_table: Reader) -> None:
    data = reference_table(record["dataset"])
    found = selection.stepwise(data, record["settings"]["pthresh"])
    expected = record["estimates"]
    for value, name in zip(
        (found.fit.wald[0], found.fit.N, found.fit.wald[1]), ("2.5%", "point est.", "97.5%"),
        strict=True,
    ):  # fmt: skip
        assert value == pytest.approx(expected[name], rel=RTOL)
    assert found.fit.aic == pytest.approx(record["aic"], rel=RTOL)
    empty = record["empty_overlaps"] or []
    assert set(found.fit.empty) == set([empty] if isinstance(empty, str) else empty)
    # The same pairs came in, in the same order; SparseMSE lists empty ones apart.
    order = [pair for pair in found.pairs if pair not in found.fit.empty]
    assert order == [term for term in record["model_terms"] if ":" in term]
    for name, value in record["coef"].items():
        mine = found.fit.coefficients["1" if name == "(Intercept)" else name]
        assert mine == pytest.approx(value, rel=RTOL, abs=1e-6)
    main, expected = fit_model(data, ""), record["main_effects"]
    assert pytest.approx(expected["point est."], rel=RTOL) == main.N
    seen, counts = histories(data)
    X, unseen = np.column_stack([np.ones(len(seen)), seen]), main.N - main.observed
    for settled, ends in (
        (True, main.wald), (False, (expected["2.5%"], expected["97.5%"]))
    ):  # fmt: skip
        factor = np.exp(1.959963984540054 * glm(X, counts, settled=settled))
        of_glm = main.observed + unseen / factor, main.observed + unseen * factor
        assert of_glm == pytest.approx(ends, rel=RTOL)
    pairs = [f"{a}:{b}" for k, b in enumerate(data.lists) for a in data.lists[:k]]
    assert fit_model(data, pairs).code == record["all_pairs_ierr"]


def with_bootstrap() -> Any:  # noqa: ANN401
    some = [record for record in RECORDS if record.get("bca")]
    return pytest.mark.parametrize("record", some, ids=[record["id"] for record in some])


@with_bootstrap()
def test_bca_intervals_of_sparsemse(record: Record, reference_table: Reader) -> None:
    """The acceleration is no random number; quantiles of 200 replicates are, theirs and ours.

    So 24 bootstraps of as many replicates as theirs show how far one is from another, and theirs
    must be within 4 standard deviations of their mean.
    """
    data, count = reference_table(record["dataset"]), record["settings"]["nboot"]
    runs = [selection.bootstrap(data, replicates=count, seed=seed) for seed in range(24)]
    assert runs[0].acceleration == pytest.approx(record["ahat"], rel=RTOL)
    ours = np.array([run.quantiles for run in runs])
    assert [f"{level:g}" for level in runs[0].levels] == list(record["bca"])
    theirs = np.array(list(record["bca"].values()))
    assert np.all(np.abs(theirs - ours.mean(0)) < 4 * ours.std(0, ddof=1))


@records("MultipleSystemsEstimation bic")
def test_the_best_model_by_bic_of_multiplesystemsestimation(
    record: Record, reference_table: Reader
) -> None:
    data = reference_table(record["dataset"])
    order = min(3, len(data.lists) - 1)
    expected = record["estimates"]
    found = selection.best_by_bic(data, order)
    assert found.name == fit_model(data, generators(expected["model"], data.lists)).name
    assert pytest.approx(expected["popest"], rel=RTOL) == found.N
    assert found.bic == pytest.approx(expected["BIC"], rel=RTOL)
    ranked = rank_models(data, order, top=len(record["top_models"]))
    for (size, bic, terms), row in zip(record["top_models"], ranked.itertuples(), strict=True):
        assert pytest.approx(size, rel=RTOL) == row.N
        assert row.bic == pytest.approx(bic, rel=RTOL)
        assert max(len(term.split()) for term in str(row.model)[1:-1].split("][")) == terms


@records("checkident")
def test_existence_codes_of_sparsemse(record: Record) -> None:
    settings = record["settings"]
    data = OverlapTable.from_counts(tuple(settings["lists"]), settings["counts"])
    assert {links: fit_model(data, links).code for links in record["codes"]} == record["codes"]


@pytest.mark.parametrize(
    ("name", "count"), [("HIV", 113), ("MadiganYork5", 6893), ("UKdat_5", 6893), ("Ned_5", 6893)]
)
def test_the_average_is_over_the_models_that_the_references_rank(
    name: str, count: int, reference_table: Reader
) -> None:
    estimate = fit_table(reference_table(name), "loglinear-average")
    models = estimate.models
    assert models is not None
    assert len(models) == count
    record = next(r for r in RECORDS if r["dataset"] == name and "closedpMS" in r["method"])
    bic = models.set_index("model")["bic"]
    for row in record["top_bic"]:
        named = fit_model(
            reference_table(name), generators(row["model"], reference_table(name).lists)
        ).name
        assert bic[named] == pytest.approx(row["BIC"], rel=RTOL)
    best = models.iloc[0]
    assert best["weight"] == pytest.approx(np.exp(-(bic - bic.min()) / 2).sum() ** -1, rel=1e-9)
