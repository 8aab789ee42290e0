"""Hierarchical models: how many there are, which, and what they are called."""

import time
from itertools import product

import numpy as np
import pytest

from hiddenpop.families.maths import hierarchy as h

__all__: list[str] = []

NAMES = ("LA", "NG", "GO", "NCA list", "NCA")


@pytest.mark.parametrize(
    ("n", "order", "count"),
    [(3, None, 8), (4, None, 113), (5, None, 6893), (1, None, 1), (2, None, 1), (2, 2, 2),
     (3, 2, 8), (4, 2, 64), (5, 2, 1024), (6, 2, 32768), (4, 1, 1), (3, 3, 9), (4, 9, 114)],
)  # fmt: skip
def test_there_are_as_many_as_published(n: int, order: int | None, count: int) -> None:
    models = h.hierarchical_models(n, order)
    assert models.shape == (count, len(h.terms(n, order)))
    assert len(np.unique(models, axis=0)) == count
    assert h.count_models(n, order) == count


def test_they_are_the_sets_that_hold_all_parts_of_their_terms() -> None:
    terms = h.terms(4).tolist()
    found = {tuple(row) for row in h.hierarchical_models(4).tolist()}
    expected = set()
    for chosen in product((False, True), repeat=len(terms) - 4):
        row = (True,) * 4 + chosen
        model = {term for term, used in zip(terms, row, strict=True) if used}
        if all(part in model for term in model for part in range(1, term) if part & term == part):
            expected.add(row)
    assert found == expected


def test_five_lists_take_less_than_a_second() -> None:
    h.hierarchical_models.cache_clear()
    start = time.process_time()
    h.hierarchical_models(5)
    assert time.process_time() - start < 1


def test_too_many_models_are_not_listed() -> None:
    assert h.count_models(7, 2) is None
    assert h.count_models(6) is None
    assert h.count_models(5, None, 1000) is None
    with pytest.raises(h.TooManyModelsError, match="more than 100"):
        h.hierarchical_models(5, None, 100)
    with pytest.raises(h.TooManyModelsError, match="too many"):
        h.hierarchical_models(7)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one variable"):
        h.terms(0)
    with pytest.raises(ValueError, match="at least 1"):
        h.terms(3, 0)


def test_every_part_of_a_term_stands_before_it() -> None:
    terms = h.terms(5).tolist()
    assert terms[:5] == [1, 2, 4, 8, 16]
    assert 31 not in terms
    for place, term in enumerate(terms):
        assert all(part & term != part for part in terms[place + 1 :])


def test_moves_are_those_that_stay_hierarchical() -> None:
    terms, models = h.terms(4), h.hierarchical_models(4)
    known = {tuple(row) for row in models.tolist()}
    for row in models[::7]:
        can = h.moves(row, terms)
        for place in range(len(terms)):
            changed = row.copy()
            changed[place] ^= True
            assert can[place] == (tuple(changed.tolist()) in known)


def test_a_model_is_named_by_its_largest_terms() -> None:
    masks = h.closure([0b0011, 0b0100])
    assert masks == (1, 2, 4, 3)
    assert h.generators(masks) == (3, 4)
    assert h.model_name(masks, NAMES) == "[LA NG][GO]"
    assert h.model_name(h.closure([7, 8, 16]), NAMES) == "[LA NG GO][NCA list][NCA]"


def test_names_can_be_read_again() -> None:
    terms, models = h.terms(5), h.hierarchical_models(5)
    some = models[::37]
    names = h.model_names(some, terms, NAMES)
    for row, name in zip(some, names, strict=True):
        assert name == h.model_name(terms[row].tolist(), NAMES)
        assert set(h.parse_generators(name, NAMES)) == set(terms[row].tolist())
        np.testing.assert_array_equal(h.model_row(h.parse_generators(name, NAMES), terms), row)


def test_an_unknown_list_in_a_name_is_said() -> None:
    with pytest.raises(ValueError, match=r"'XX' in .* is none of LA, NG"):
        h.parse_generators("[LA XX]", NAMES)
    with pytest.raises(ValueError, match="not among those"):
        h.model_row([7], h.terms(3, 2))


def test_main_effects_that_stand_in_no_bracket_are_added() -> None:
    assert h.parse_generators("[LA NG]", NAMES[:3]) == (1, 2, 4, 3)


def test_columns_are_corner_coded() -> None:
    cells = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=bool)
    np.testing.assert_array_equal(
        h.design(cells, [0, 1, 2, 3]), [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]]
    )
