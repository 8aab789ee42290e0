"""Numbers and names in words."""

import pytest

from hiddenpop import words
from hiddenpop.estimate import Summary


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (36045.3, "36,000"),
        (147.8, "150"),
        (994.9, "990"),
        (995.1, "1,000"),
        (3.4, "3"),
        (0.2, "fewer than 1"),
        (0, "0"),
        (words.Exact(327466), "327,466"),
        (words.Exact(15000), "15,000"),
        (float("nan"), words.MISSING),
    ],
)
def test_people(value: float, text: str) -> None:
    assert words.people(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(6.0567, "6.1"), (9.98, "10"), (0.0834, "0.083"), (12.34, "12")]
)
def test_per_1000_has_its_unit(value: float, text: str) -> None:
    assert words.per1000(value) == f"{text} per 1,000"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.412, "41 %"), (0.00057, "0.057 %"), (0.9951, "99.5 %"), (1, "100 %"),
     (words.Exact(0.0082), "0.82 %")],
)  # fmt: skip
def test_percent(value: float, text: str) -> None:
    assert words.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "more than 99 %"), (0.0, "less than 1 %"), (0.546, "55 %")]
)
def test_no_probability_is_certain(value: float, text: str) -> None:
    assert words.probability(value) == text


def test_a_ratio_that_was_a_logarithm_rounds_as_itself() -> None:
    assert words.factor(0.37499999999999994) == "0.38"


def test_narrow_intervals_get_more_figures() -> None:
    assert words.triple(1.0649, 1.0299, 1.1001) == "1.06 (1.03 to 1.10)"
    assert words.triple(0.4123, 0.33, 0.49, share=True) == "41 % (33 % to 49 %)"


def test_interval() -> None:
    assert words.interval(Summary(1, 1, 82.3, 263, 0.95), words.people) == "82 to 260"


@pytest.mark.parametrize(
    ("group", "text"),
    [("opiate_or_crack", "opiate or crack users"), ("crack_only", "crack-only users"),
     ("both", "users of both"), ("users", "users"), ("injectors", "injectors")],
)  # fmt: skip
def test_groups(group: str, text: str) -> None:
    assert words.group_words(group) == text


def test_names() -> None:
    assert words.name_words("share_crack_15_44") == "share crack 15-44"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.listing(["a"]) == "a"
    assert words.capital("rest of England") == "Rest of England"
