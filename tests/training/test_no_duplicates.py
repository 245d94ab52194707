"""Batches without duplicates: no two rows share an input, and a step is a function of seed and step alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.training.samplers import NoDuplicates

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
SIDES = np.stack([RNG.integers(0, 60, 200), 100 + RNG.integers(0, 150, 200)], axis=1)
SIDES[7, 1] = SIDES[90, 0]  # the partner of one is the anchor of another
POOL = np.arange(5, 195)


def sampler(sides: NDArray[np.int64] = SIDES) -> NoDuplicates:
    made = NoDuplicates()
    learner: Any = SimpleNamespace(identities=lambda: sides)
    made.look(learner)
    return made


def test_no_batch_holds_anything_twice_and_no_row_comes_twice_in_an_epoch() -> None:
    made = sampler()
    epoch = [made.positions(POOL, 16, step, 3) for step in range(11)]
    for batch in epoch:
        held = SIDES[batch]
        assert len(np.unique(held)) == held.size
    rows = np.concatenate(epoch)
    assert len(np.unique(rows)) == len(rows)
    assert set(rows.tolist()) <= set(POOL.tolist())
    assert len(rows) > 0.85 * len(POOL)


def test_where_nothing_repeats_batches_are_full_and_epochs_whole() -> None:
    made = sampler(np.arange(400).reshape(200, 2))
    epoch = [made.positions(POOL, 19, step, 3) for step in range(10)]
    assert {len(batch) for batch in epoch} == {19}
    assert sorted(np.concatenate(epoch).tolist()) == POOL.tolist()
    assert made.positions(POOL, 19, 10, 3).tolist() != epoch[0].tolist()


def test_a_step_is_the_same_whatever_was_asked_before() -> None:
    one, other = sampler(), sampler()
    late = one.positions(POOL, 8, 40, 1)
    other.positions(POOL, 8, 3, 1)
    other.positions(POOL[::2].copy(), 8, 40, 1)
    assert other.positions(POOL, 8, 40, 1).tolist() == late.tolist()
    assert other.positions(POOL, 8, 40, 2).tolist() != late.tolist()


def test_rows_that_are_all_alike_come_one_by_one() -> None:
    made = sampler(np.zeros((200, 2), np.int64))
    assert [len(made.positions(POOL, 16, step, 0)) for step in range(11)] == [1] * 11
