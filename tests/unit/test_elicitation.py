"""Priors from what experts say: closed forms, round trips, maximum entropy, words for bad input."""

from __future__ import annotations

import math
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pymc as pm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from hiddenpop.elicitation import Elicited, elicit
from hiddenpop.errors import HiddenPopError, InputError
from hiddenpop.families.maths.quantile_fit import SHAPES, Stated, fit_quantiles
from hiddenpop.inputs.multipliers import Interval
from hiddenpop.inputs.ranges import RangeError, parse_quantiles, parse_range
from hiddenpop.inputs.stated import DISTRIBUTIONS
from hiddenpop.plots.elicitation import density_figure, save_figure
from hiddenpop.priors import (
    beta_from_interval,
    logit_normal_from_interval,
    lognormal_from_interval,
)

__all__: list[str] = []

KINDS = [(kind, name) for kind, names in DISTRIBUTIONS.items() for name in names]
RANGES = {"count": "350 to 400 at 0.8", "size": "1200 to 5000 at 0.8",
          "share": "0.52 to 0.60 at 0.95", "factor": "0.7 to 1.5 at 0.9"}  # fmt: skip


# Texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("350 to 400 at 0.8", (350, 400, 0.8)),
        (" 350-400 at 80 % ", (350, 400, 0.8)),
        ("350–400 @ 80%", (350, 400, 0.8)),
        ("between 350 and 400, at .8", (350, 400, 0.8)),
        ("52 to 60 % at 0.95", (0.52, 0.6, 0.95)),
        ("52% to 60 % at 95%", (0.52, 0.6, 0.95)),
        ("1e3-2.5e3 at 0.5", (1000, 2500, 0.5)),
    ],
)
def test_ranges_are_read(text: str, expected: tuple[float, float, float]) -> None:
    assert parse_range(text) == pytest.approx(expected, rel=1e-15)


def test_quantiles_are_read() -> None:
    expected = ((0.1, 300.0), (0.5, 380.0), (0.9, 600.0))
    assert parse_quantiles("0.1: 300, 0.5: 380, 0.9: 600") == expected
    assert parse_quantiles("10 %:300; 50%: 380 ;90 %: 600") == expected
    assert parse_quantiles("0.5: 52 %, 0.9: 60 %") == ((0.5, 0.52), (0.9, 0.6))


@pytest.mark.parametrize(("kind", "text"), RANGES.items())
def test_the_text_to_paste_says_the_same(kind: str, text: str) -> None:
    first = elicit(text, kind)
    again = elicit(first.text, kind)
    assert again.parameters == first.parameters
    quantiles = elicit("0.2: 0.1, 0.5: 0.25, 0.9: 0.5", "share")
    assert elicit(quantiles.text, "share").parameters == quantiles.parameters


# Two numbers: closed forms


def test_log_normal_and_logit_normal_are_closed_forms() -> None:
    count, share = elicit("350 to 400 at 0.8", "count"), Interval(0.2, 0.4, 0.9)
    expected = lognormal_from_interval(350, 400, 0.8)
    assert tuple(count.parameters.values()) == pytest.approx(expected, rel=1e-12)
    normal = elicit(share, "share", "logit-normal")
    assert tuple(normal.parameters.values()) == pytest.approx(
        logit_normal_from_interval(*share), rel=1e-12
    )


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("ends", [(0.001, 0.5), (0.01, 0.99), (0.52, 0.6), (0.9, 0.91), (0.3, 0.7)])
def test_beta_is_that_of_the_models(ends: tuple[float, float], level: float) -> None:
    expected = beta_from_interval(*ends, level)
    found = elicit(Interval(*ends, level), "share")
    assert tuple(found.parameters.values()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("kind", "distribution"), KINDS)
def test_two_quantiles_are_met_and_mean_and_density_agree(kind: str, distribution: str) -> None:
    found = elicit(RANGES[kind], kind, distribution)
    for (p, asked), (_, reached) in zip(found.asked, found.reached, strict=True):
        assert reached == pytest.approx(asked, rel=1e-6)
        assert found.p_above(asked) == pytest.approx(1 - p, abs=1e-6)
    low, high = found.prior.ppf([1e-9, 1 - 1e-12])
    total, _ = integrate.quad(found.prior.pdf, low, high, limit=200)
    mean, _ = integrate.quad(lambda x: x * found.prior.pdf(x), low, high, limit=200)
    assert total == pytest.approx(1, abs=1e-7)
    assert mean == pytest.approx(found.mean, rel=1e-6)
    assert found.misfit == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("kind", "distribution"), KINDS)
def test_bounds_cut_off_and_the_quantiles_are_still_met(kind: str, distribution: str) -> None:
    bounds = {"count": (330, 450), "size": (800, 20_000), "share": (0.5, 0.65),
              "factor": (0.5, 2.5)}[kind]  # fmt: skip
    found = elicit(RANGES[kind], kind, distribution, bounds=bounds)
    assert [x for _, x in found.reached] == pytest.approx([x for _, x in found.asked], rel=1e-6)
    assert found.prior.ppf([0, 1]) == pytest.approx(bounds)
    assert found.prior.pdf(bounds[0] * 0.99) == 0
    total, _ = integrate.quad(found.prior.pdf, *bounds)
    mean, _ = integrate.quad(lambda x: x * found.prior.pdf(x), *bounds)
    assert total == pytest.approx(1, abs=1e-7)
    assert mean == pytest.approx(found.mean, rel=1e-6)
    assert any("not as this prior" in note for note in found.notes)


# Known truths come back


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    place=st.floats(-4, 4),
    spread=st.floats(0.05, 1.5),
    name=st.sampled_from(sorted(SHAPES)),
    tails=st.tuples(st.floats(0.02, 0.4), st.floats(0.6, 0.98)),
)
def test_a_known_prior_comes_back_from_its_quantiles(
    place: float, spread: float, name: str, tails: tuple[float, float]
) -> None:
    shape = SHAPES[name]
    truth = Stated(shape, shape.parameters_of(*shape.start(place, spread)))
    several = (tails[0], 0.5, tails[1])
    for chosen in (tails, several):
        pairs = [(p, float(truth.ppf(p))) for p in chosen]
        found, misfit = fit_quantiles(name, pairs)
        assert misfit < 1e-6
        assert found.parameters == pytest.approx(truth.parameters, rel=1e-4, abs=1e-6)


def test_three_quantiles_of_log_normal_are_a_regression_on_normal_scores() -> None:
    found = elicit("0.1: 300, 0.5: 380, 0.9: 600", "count", "log-normal")
    line = stats.linregress(stats.norm.ppf([0.1, 0.5, 0.9]), np.log([300, 380, 600]))
    assert found.parameters == pytest.approx({"mu": line.intercept, "sigma": line.slope})
    gaps = [abs(math.log(y / x)) for (_, x), (_, y) in zip(found.asked, found.reached, strict=True)]
    assert found.misfit == pytest.approx(math.exp(max(gaps)))
    assert any(f"{found.misfit:.3g}" in note for note in found.notes)


@pytest.mark.parametrize("name", ["gamma", "beta"])
def test_three_quantiles_are_at_the_least_squares(name: str) -> None:
    pairs = ((0.1, 0.1), (0.5, 0.25), (0.9, 0.7))
    found, _ = fit_quantiles(name, pairs)
    probability, value = np.array(pairs).T

    def squares(parameters: tuple[float, float]) -> float:
        natural = found.shape.natural
        gap = natural(Stated(found.shape, parameters).ppf(probability)) - natural(value)
        return float(gap @ gap)

    best = squares(found.parameters)
    first, second = found.parameters
    for change in (0.97, 1.03):
        assert squares((first * change, second)) > best
        assert squares((first, second * change)) > best


def test_the_distribution_that_misses_least_is_chosen() -> None:
    gamma = Stated(SHAPES["gamma"], (0.7, 0.01))
    pairs = tuple((p, float(gamma.ppf(p))) for p in (0.1, 0.5, 0.9))
    found = elicit(pairs, "count")
    assert [one.distribution for one in found.compared] == ["gamma", "log-normal"]
    assert found.misfit == pytest.approx(1, abs=1e-6)
    assert found.compared[1].misfit > 1.1
    assert elicit(pairs, "count", "log-normal").distribution == "log-normal"


# What it implies


def test_implied_numbers() -> None:
    found = elicit("350 to 400 at 0.8", "count", population=15_000, observed=240)
    told = found.summary
    median = math.sqrt(350 * 400)
    assert told["implies"]["median"] == pytest.approx(median)
    assert told["per_1000"]["median"] == pytest.approx(median / 15)
    assert told["ratio_to_observed"]["median"] == pytest.approx(median / 240)
    middle = told["implies"]["intervals"][1]
    assert (middle["level"], middle["low"], middle["high"]) == pytest.approx((0.8, 350, 400))
    mu, sigma = found.parameters.values()
    assert told["implies"]["mean"] == pytest.approx(math.exp(mu + sigma**2 / 2))
    assert elicit("100 to 300 at 0.5", "count", observed=200).p_above(200) == pytest.approx(
        stats.norm.sf(math.log(200 / math.sqrt(3e4)) / (math.log(3) / 2 / stats.norm.ppf(0.75)))
    )


def test_more_people_than_residents_are_noted() -> None:
    wide = elicit("100 to 9000 at 0.8", "count", population=15_000)
    assert any("more people than residents" in note for note in wide.notes)
    narrow = elicit("350 to 400 at 0.8", "count", population=15_000)
    assert not any("residents" in note for note in narrow.notes)


@pytest.mark.parametrize("distribution", sorted(SHAPES))
def test_the_pymc_line_is_the_prior(distribution: str) -> None:
    kind = next(kind for kind, name in KINDS if name == distribution)
    found = elicit(RANGES[kind], kind, distribution)
    with pm.Model():
        variable = eval(found.pymc("x"), {"pm": pm})  # noqa: S307
        points = [x for _, x in found.asked]
        density = pm.logp(variable, np.array(points)).eval(mode="FAST_COMPILE")
    assert np.exp(density) == pytest.approx(found.prior.pdf(points), rel=1e-4)
    bounded = elicit(RANGES[kind], kind, distribution, bounds=(-math.inf, points[1] * 1.6))
    line = bounded.pymc()
    assert line.startswith("pm.Truncated(")
    assert "lower" not in line


# Maximum entropy


def entropy(found: Elicited) -> float:
    return float(found.prior.shape.frozen(*found.prior.parameters).entropy())


@pytest.mark.parametrize(
    ("kind", "said"), [("count", "350 to 400 at 0.8"), ("share", "0.2 to 0.4 at 0.9")]
)
def test_maxent_keeps_the_mass_but_not_the_tails(kind: str, said: str) -> None:
    exact, loose = elicit(said, kind), elicit(said, kind, method="maxent")
    low, high, level = exact.said  # type: ignore[misc]
    for found in (exact, loose):
        inside = float(found.prior.cdf(high) - found.prior.cdf(low))
        assert inside == pytest.approx(level, abs=1e-4)
    tail = (1 - level) / 2  # type: ignore[operator]
    assert float(exact.prior.cdf(low)) == pytest.approx(tail, abs=1e-9)
    assert abs(float(loose.prior.cdf(low)) - tail) > 1e-3
    assert entropy(loose) > entropy(exact)


def test_maxent_pushes_a_wide_range_of_people_to_its_upper_end() -> None:
    """Why equal tails are the default: nobody who says 10 to 5,000 means a median of 1,839."""
    exact = elicit("10 to 5000 at 0.9", "count")
    loose = elicit("10 to 5000 at 0.9", "count", method="maxent")
    assert exact.median == pytest.approx(math.sqrt(50_000))
    assert loose.median > 1500
    assert float(loose.prior.cdf(10)) < 1e-6
    assert any("greatest entropy" in note for note in loose.notes)


# The figure


@pytest.mark.parametrize("said", ["350 to 400 at 0.8", "0.1: 300, 0.5: 380, 0.9: 600"])
def test_the_figure_marks_what_was_stated(said: str, tmp_path: Path) -> None:
    found = elicit(said, "count", observed=240)
    figure = density_figure(found)
    at = {line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"}
    assert at == {x for _, x in found.asked}
    for name in ("a.svg", "a.png"):
        save_figure(figure, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(HiddenPopError, match=r"\.svg or \.png"):
        save_figure(figure, tmp_path / "a.pdf")


def test_a_long_tail_does_not_press_the_density_together() -> None:
    x, height = elicit("10 to 5000 at 0.9", "count").density()
    assert 5000 < x[-1] < 20_000
    assert np.isfinite(height).all()


# Bad input

BAD: dict[str, tuple[object, ...]] = {
    "elicit-form": ("three hundred or so",),
    "elicit-separator": ("1,500 to 2,000 at 0.8",),
    "elicit-one-number": ("350",),
    "elicit-level-missing": ("350 to 400",),
    "elicit-level": ("350 to 400 at 80",),
    "elicit-percent": ("52 % to 0.6 at 0.8", "share"),
    "elicit-order": ("400 to 350 at 0.8",),
    "elicit-pair": ("0.1: 300, 380",),
    "elicit-probability": ("0: 300, 0.5: 380",),
    "elicit-probabilities": ("0.5: 300, 0.1: 380",),
    "elicit-values": ("0.1: 380, 0.5: 300",),
    "elicit-kind": ("350 to 400 at 0.8", "people"),
    "elicit-distribution": ("350 to 400 at 0.8", "count", "beta"),
    "elicit-method": ("350 to 400 at 0.8", "count", None, {"method": "max"}),
    "elicit-positive": ("-5 to 400 at 0.8",),
    "elicit-share": ("52 to 60 at 0.8", "share"),
    "elicit-bounds": ("350 to 400 at 0.8", "count", None, {"bounds": (360, 1000)}),
    "elicit-residents": ("0.2 to 0.3 at 0.8", "share", None, {"population": 1000}),
    "elicit-population": ("350 to 400 at 0.8", "count", None, {"population": 0}),
    "elicit-observed": ("0.2 to 0.3 at 0.8", "share", None, {"observed": 240}),
    "elicit-maxent": ("0.1: 300, 0.5: 380", "count", None, {"method": "maxent"}),
    "elicit-fit": ("0.5 to 0.999 at 0.05", "share"),
}


def faults(said: object, kind: str = "count", name: str | None = None, more: object = None) -> list:
    with pytest.raises(InputError) as caught:
        elicit(said, kind, name, **(more or {}))  # type: ignore[arg-type]
    return list(caught.value.faults)


@pytest.mark.parametrize(("code", "call"), BAD.items())
def test_each_kind_of_bad_input_has_one_message(code: str, call: tuple[object, ...]) -> None:
    (fault,) = faults(*call)  # type: ignore[arg-type]
    assert fault.code == code
    assert re.fullmatch(r"[^\n]+[.?] [^\n]+\. [^\n]+ \[[a-z0-9-]+\]", str(fault))


def test_every_message_has_a_case() -> None:
    page = files("hiddenpop.inputs").joinpath("messages", "elicit.toml")
    assert set(tomllib.loads(page.read_text(encoding="utf-8"))) == set(BAD)


def test_faults_are_reported_together_and_numbers_are_checked_like_texts() -> None:
    assert [one.code for one in faults("350 to 400", "people", None, {"method": "max"})] == [
        "elicit-level-missing", "elicit-method", "elicit-kind",
    ]  # fmt: skip
    assert [one.code for one in faults(Interval(400, 350, 0.8))] == ["elicit-order"]
    assert [one.code for one in faults(Interval(350, math.nan, 0.8))] == ["elicit-order"]
    assert [one.code for one in faults(Interval(350, 400, 1.0))] == ["elicit-level"]
    assert [one.code for one in faults(((0.5, 350.0),))] == ["elicit-one-number"]
    assert [one.code for one in faults(((0.1, 350.0), (0.5, 350.0)))] == ["elicit-values"]
    assert [one.code for one in faults("0 to 5 at 0.8", "factor")] == ["elicit-positive"]


@pytest.mark.parametrize("parse", [parse_range, parse_quantiles])
def test_parsers_raise_value_errors_with_a_sentence(parse: object) -> None:
    with pytest.raises(ValueError, match=r"\. .+\.") as caught:
        parse("about 350")  # type: ignore[operator]
    assert isinstance(caught.value, RangeError)


@pytest.mark.parametrize(("kind", "name"), KINDS)
@pytest.mark.parametrize("method", ["exact", "maxent"])
@pytest.mark.parametrize("level", [0.01, 0.9999])
def test_extremes_are_fitted_or_refused(kind: str, name: str, method: str, level: float) -> None:
    ends = (0.001, 0.999) if kind == "share" else (1, 1e6)
    refused = []
    try:
        found = elicit(Interval(*ends, level), kind, name, method=method)
    except InputError as error:
        refused = [fault.code for fault in error.faults]
    else:
        inside = float(np.diff(found.prior.cdf(ends))[0])
        assert inside == pytest.approx(level, abs=2e-4)
        assert math.isfinite(found.mean)
    assert refused in ([], ["elicit-fit"])
    assert not (refused and method == "exact" and level > 0.5)


def test_quantiles_near_a_bound_that_no_cut_distribution_has_are_refused() -> None:
    """Densities 0.62, 0.35, 0.18 per unit of log: convex, so that no cut normal has them."""
    more = {"bounds": (800, 20_000)}
    assert [one.code for one in faults("1200 to 5000 at 0.5", more=more)] == ["elicit-fit"]
