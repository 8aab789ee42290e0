"""The run can be stopped and carried on; its parts are drawn from what they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import run as calibration_run
from calibrate.coverage import SCENARIOS, coverage_replicate, first_two
from calibrate.exact import lists, suppressed
from calibrate.loglinear import draw
from calibrate.pages import COVERAGE_COLUMNS, RANK_COLUMNS, costs, write_report
from calibrate.populations import Population, cell_shares, linked, sighted, table_of
from calibrate.regime import around
from calibrate.store import Store, seeded

from hiddenpop.families.loglinear import Priors

__all__: list[str] = []

ROW = {"status": "ok", "quantity": "N", "rank": 0.5, "truth": 10, "seconds": 0.1}


def test_random_numbers_belong_to_the_replicate() -> None:
    first = seeded("s", "r", 3).random()
    assert seeded("s", "r", 3).random() == first
    others = {seeded(*key).random() for key in (("s", "r", 4), ("s", "q", 3), ("sr", "", 3))}
    assert len(others | {first}) == 4


def test_a_table_that_was_cut_off_is_carried_on(tmp_path: Path) -> None:
    path = tmp_path / "ranks.csv"
    store = Store(path, RANK_COLUMNS)
    for replicate in range(3):
        store.append("s", "r", replicate, [ROW, ROW | {"quantity": "log_likelihood"}])
    whole = path.read_bytes()
    for cut in range(1, 60):
        path.write_bytes(whole[:-cut])
        again = Store(path, RANK_COLUMNS)
        done = again.done()[("s", "r")]
        assert done in ({0, 1}, {0, 1, 2} if cut == 0 else {0, 1})
        for replicate in {0, 1, 2} - done:
            again.append("s", "r", replicate, [ROW, ROW | {"quantity": "log_likelihood"}])
        frame = again.read()
        assert len(frame) == 6
        assert sorted(frame["quantity"].unique()) == ["N", "log_likelihood"]
        assert not frame.duplicated(["replicate", "quantity"]).any()


def test_a_table_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ranks.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="other columns"):
        Store(tmp_path / "ranks.csv", RANK_COLUMNS)


def test_every_regime_has_a_name_of_its_own_and_a_plan() -> None:
    found = calibration_run.regimes()
    assert {"two-list", "graphs", "loglinear", "synthesis", "coverage"} <= {k[0] for k in found}
    assert all(0 <= r.quick <= r.full and r.about for r in found.values())
    with pytest.raises(SystemExit, match="no study"):
        calibration_run.wanted(quick=True, only=["graph"])
    assert set(calibration_run.wanted(quick=True, only=["small"])) == {
        ("coverage", "small"), ("coverage slow", "small")
    }  # fmt: skip


def test_a_replicate_in_error_is_kept_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(rng: np.random.Generator) -> None:
        raise ArithmeticError("no mode")

    monkeypatch.setattr(calibration_run, "_made", lambda key: broken)
    ((replicate, rows),) = calibration_run.piece(("s", "r"), [7])
    assert replicate == 7
    assert rows[0]["status"] == "error: ArithmeticError: no mode"


def test_the_report_of_a_few_replicates(tmp_path: Path) -> None:
    ranks, intervals = (
        Store(tmp_path / "ranks.csv", RANK_COLUMNS),
        Store(tmp_path / "coverage.csv", COVERAGE_COLUMNS),
    )
    key = ("two-list", "N 300")
    for replicate, rows in calibration_run.piece(key, range(22)):
        ranks.append(*key, replicate, rows)
    intervals.append("coverage", "small", 0, coverage_replicate(SCENARIOS["small"][0])(
        seeded("coverage", "small", 0)))  # fmt: skip
    assert not write_report(tmp_path, ranks.read(), intervals.read())
    assert (tmp_path / "summary.md").read_text("utf-8").startswith("2 of 2 quantities")
    for name in ("calibration_table.csv", "coverage_table.csv", "cost.csv", "ranks.parquet",
                 "coverage.parquet", "ranks-two-list.svg", "coverage.svg"):  # fmt: skip
        assert (tmp_path / name).stat().st_size > 100, name
    assert len(pd.read_parquet(tmp_path / "ranks.parquet")) == len(ranks.read())
    bent = ranks.read().assign(rank=lambda frame: frame["rank"] ** 3)
    assert write_report(tmp_path, bent, intervals.read())
    assert "Not passed" in (tmp_path / "summary.md").read_text("utf-8")
    cost = costs(ranks.read(), intervals.read()).set_index("regime")
    assert cost.loc["N 300", "replicates"] == 22
    scores = pd.read_csv(tmp_path / "coverage_table.csv").set_index("family")
    assert scores.loc["graphs", "replicates"] == 1


# --- populations of the coverage study ---------------------------------------------------------


def test_links_keep_margins_and_make_the_odds_ratio() -> None:
    chances = (0.3, 0.25, 0.2)
    histories, shares = cell_shares(chances, {(0, 1): np.log(2.5), (0, 1, 2): 0.7})
    np.testing.assert_allclose(histories.T @ shares, chances, rtol=1e-9)
    cell = {tuple(map(int, h)): p for h, p in zip(histories, shares, strict=True)}

    def ratio(third: int) -> float:
        return (cell[1, 1, third] * cell[0, 0, third]
                / (cell[1, 0, third] * cell[0, 1, third]))  # fmt: skip

    assert ratio(0) == pytest.approx(2.5)
    assert ratio(1) == pytest.approx(2.5 * np.exp(0.7))


def test_visibility_and_referral_do_what_they_say(rng: np.random.Generator) -> None:
    many = 200_000
    plain = sighted(Population(N=many), rng)
    np.testing.assert_allclose(plain.mean(0), (0.30, 0.25, 0.20, 0.15), atol=0.005)
    assert abs(np.corrcoef(plain.T)[0, 1]) < 0.01
    assert np.corrcoef(sighted(Population(N=many, spread=1.0), rng).T)[0, 1] > 0.1
    sent = sighted(Population(N=many, referral=0.3), rng)
    assert sent[sent[:, 0], 1].mean() == pytest.approx(0.25 + 0.75 * 0.3, abs=0.01)
    assert sent[~sent[:, 0], 1].mean() == pytest.approx(0.25, abs=0.01)


def test_linkage_errors_split_and_join_people(rng: np.random.Generator) -> None:
    on = np.zeros((100_000, 2), dtype=bool)
    on[:, 0] = True
    on[:50_000, 1] = True
    assert len(linked(on, 0.0, 0.0, rng)) == 100_000
    split = linked(on, 0.05, 0.0, rng)
    assert split.sum() == on.sum()
    assert len(split) - len(on) == pytest.approx(2500, rel=0.1)
    joined = linked(on, 0.0, 0.01, rng)
    assert len(on) - len(joined) == pytest.approx(1000, rel=0.15)
    assert joined.any(axis=1).all()


def test_small_cells_are_hidden_as_ranges(rng: np.random.Generator) -> None:
    people = np.repeat([[1, 0], [0, 1], [1, 1]], [30, 7, 3], axis=0).astype(bool)
    table = table_of(people, 7)
    found = {name: (low, high) for name, low, high in
             zip(table.labels, table.low, table.high, strict=True)}  # fmt: skip
    assert found == {"10": (30, 30), "01": (1, 7), "11": (1, 7)}
    again = suppressed(table_of(people))
    np.testing.assert_array_equal(again.high, table.high)


def test_the_first_two_lists_alone() -> None:
    people = np.repeat([[1, 0, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]], [4, 3, 9, 2], axis=0)
    table = first_two(table_of(people.astype(bool)))
    assert dict(zip(table.labels, table.low, strict=True)) == {"10": 7, "11": 2}


def test_truths_of_the_sampled_model_come_from_its_priors() -> None:
    priors, rng = Priors(size_prior=around(500), list_beta=0.7), np.random.default_rng(4)
    drawn = [draw(lists(3), priors, rng) for _ in range(2000)]
    totals = np.array([one.mean.sum() for one in drawn])
    assert np.median(totals) == pytest.approx(500, rel=0.05)
    assert np.quantile(totals, 0.9) == pytest.approx(750, rel=0.05)
    sds = np.array([one.scales["interactions of 2 lists"] for one in drawn])
    assert np.median(sds) == pytest.approx(0.5, rel=0.08)
    assert np.std(np.log(sds)) == pytest.approx(0.75, rel=0.06)
