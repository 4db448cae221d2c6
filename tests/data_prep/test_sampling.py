"""Balanced sets of patches."""
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import sampling
from layerwise.contracts import BoxCandidate, PixelCandidate
from layerwise.errors import InputError

VIEWS = tuple(f"view{i}" for i in range(120))


def candidates(positive: int, negative: int) -> list[BoxCandidate]:
    return [BoxCandidate("f", "g", f"c{i}", "f:1" if i < positive else "", int(i < positive),
                      0, 0, 9, 9, 0.5) for i in range(positive + negative)]


@given(positive=st.integers(1, 4), negative=st.integers(1, 4), size=st.integers(40, 700),
       multiple=st.integers(1, 32), seed=st.integers(0, 5))
def test_half_and_half_without_repeats(positive: int, negative: int, size: int, multiple: int,
                                       seed: int) -> None:
    pool = candidates(positive, negative)
    rows = sampling.balanced(pool, VIEWS, size, multiple, np.random.default_rng(seed))
    possible = 2 * min(size // 2, 120 * min(positive, negative))
    assert len(rows) == sampling.balanced_size(pool, 120, size, multiple) == \
        possible - possible % multiple
    positives = sum(row.candidate.label for row in rows)
    assert 0 <= len(rows) - 2 * positives <= 1
    assert len({(row.candidate.candidate, row.view) for row in rows}) == len(rows)


def test_the_order_is_random_and_reproducible() -> None:
    pool = candidates(5, 5)
    first, again, other = (sampling.balanced(pool, VIEWS, 400, 4, np.random.default_rng(seed))
                           for seed in (0, 0, 1))
    assert first == again != other
    labels = [row.candidate.label for row in first]
    assert 60 < sum(labels[:200]) < 140  # mixed, not one class after the other


def test_every_pair_is_used_when_all_are_asked_for() -> None:
    rows = sampling.balanced(candidates(1, 1), VIEWS, 240, 1, np.random.default_rng(0))
    assert {(row.candidate.label, row.view) for row in rows} == \
        {(label, view) for label in (0, 1) for view in VIEWS}


@pytest.mark.parametrize("positive, negative, size", [(0, 5, 100), (5, 0, 100), (5, 5, 31)])
def test_less_than_one_batch(positive: int, negative: int, size: int) -> None:
    with pytest.raises(InputError, match=f"{positive} positive, {negative} negative"):
        sampling.balanced_size(candidates(positive, negative), 120, size, 32)


def test_every_view_in_order() -> None:
    rows = sampling.every_view(candidates(1, 1), VIEWS[:3])
    assert [row.candidate.candidate for row in rows] == ["c0"] * 3 + ["c1"] * 3
    assert [row.view for row in rows[:3]] == [row.view for row in rows[3:]] == \
        ["view0", "view1", "view2"]


def pixels(*counts: int) -> list[PixelCandidate]:
    return [PixelCandidate("f", "g", f"{label}/{i}", "f:1" if label else "", label, i, 0)
            for label, count in enumerate(counts) for i in range(count)]


@given(counts=st.tuples(*[st.integers(1, 12)] * 3), views=st.integers(1, 4),
       size=st.integers(3, 150), seed=st.integers(0, 5))
def test_three_classes_in_thirds(counts: tuple[int, ...], views: int, size: int, seed: int) -> None:
    pool = pixels(*counts)
    rows = sampling.balanced(pool, VIEWS[:views], size, 3, np.random.default_rng(seed))
    share = min(size // 3, views * min(counts))
    assert Counter(row.candidate.label for row in rows) == dict.fromkeys(range(3), share)
    assert len({(row.candidate.candidate, row.view) for row in rows}) == 3 * share


def test_thirds_of_a_multiple_differ_by_one_at_most() -> None:
    rows = sampling.balanced(pixels(40, 40, 40), VIEWS[:1], 100, 32, np.random.default_rng(0))
    assert sorted(Counter(row.candidate.label for row in rows).values()) == [32, 32, 32]
    rows = sampling.balanced(pixels(27, 27, 27), VIEWS[:1], 100, 16, np.random.default_rng(0))
    assert sorted(Counter(row.candidate.label for row in rows).values()) == [26, 27, 27]
