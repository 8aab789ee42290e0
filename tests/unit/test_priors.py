"""Priors have the quantiles that people state, and periods their middles."""

import numpy as np
import pytest
from scipy import special, stats

from hiddenpop.inputs import periods
from hiddenpop.priors import (
    beta_from_interval,
    beta_from_survey,
    logit_normal_from_interval,
    lognormal_from_interval,
    z_score,
)

__all__: list[str] = []


@pytest.mark.parametrize(
    ("low", "high", "level"),
    [
        (0.15, 0.7, 0.95),
        (0.02, 0.4, 0.95),
        (0.75, 0.98, 0.95),
        (0.001, 0.004, 0.9),
        (0.9, 0.999, 0.5),
        (0.01, 0.99, 0.8),
        (0.499, 0.501, 0.95),
    ],
)
def test_beta_has_both_stated_quantiles(low: float, high: float, level: float) -> None:
    prior = beta_from_interval(low, high, level)
    tail = (1 - level) / 2
    ends = stats.beta.ppf([tail, 1 - tail], prior.alpha, prior.beta)
    assert ends == pytest.approx([low, high], rel=1e-5)


def test_a_beta_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no Beta distribution has 95%"):
        beta_from_interval(1e-300, 0.5, 0.95)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_lognormal_has_both_stated_quantiles(level: float) -> None:
    prior = lognormal_from_interval(0.6, 2.4, level)
    tail = (1 - level) / 2
    ends = stats.lognorm.ppf([tail, 1 - tail], s=prior.sigma, scale=np.exp(prior.mu))
    assert ends == pytest.approx([0.6, 2.4], rel=1e-12)


def test_an_interval_without_width_is_a_constant() -> None:
    assert lognormal_from_interval(1.0, 1.0, 0.95) == (0.0, 0.0)


def test_logit_normal_has_both_stated_quantiles() -> None:
    prior = logit_normal_from_interval(0.001, 0.05, 0.9)
    ends = special.expit(stats.norm.ppf([0.05, 0.95], prior.mu, prior.sigma))
    assert ends == pytest.approx([0.001, 0.05], rel=1e-12)


def test_survey_updates_a_uniform_prior() -> None:
    assert beta_from_survey(30, 100) == (31, 71)


def test_a_design_effect_of_four_tells_as_much_as_a_quarter_of_the_people() -> None:
    assert beta_from_survey(30, 100, 4) == beta_from_survey(7.5, 25)


def test_no_success_is_possible() -> None:
    assert beta_from_survey(0, 50) == (1, 51)


def test_z_score_is_the_half_width_in_sds() -> None:
    assert z_score(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert z_score(0.5) == pytest.approx(0.674490, abs=1e-6)


@pytest.mark.parametrize(
    ("period", "middle"),
    [
        ("2005", 2005.5),
        ("2004/05", 2004.75),
        ("2004-05", 2004.75),
        ("1999/00", 1999.75),
        ("2003-2006", 2005.0),
        ("2005-2005", 2005.5),
        (" 2005 ", 2005.5),
    ],
)
def test_middle_of_a_period(period: str, middle: float) -> None:
    assert periods.middle(period) == middle


@pytest.mark.parametrize("period", ["", "05", "2005/07", "2006-2003", "spring 2005", "2005-06-01-"])
def test_what_is_not_a_period_is_refused(period: str) -> None:
    with pytest.raises(ValueError, match=r"not|ends"):
        periods.middle(period)
