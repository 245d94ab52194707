"""Length bucketing: batches of rows of similar length, each row once an epoch."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from manyways.training.samplers import ByLength, Epochs

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
INPUTS = RNG.integers(3, 30, 200)
LABELS = np.maximum(2, INPUTS + RNG.integers(-4, 5, 200))
POOL = np.arange(5, 195)


def sampler(*lengths: Any) -> ByLength:
    made = ByLength()
    learner: Any = SimpleNamespace(lengths=lambda: list(lengths), count=200)
    made.look(learner)
    return made


@pytest.mark.parametrize("lengths", [(INPUTS,), (INPUTS, LABELS)])
def test_each_row_comes_once_in_an_epoch_and_the_order_changes(lengths: tuple[Any, ...]) -> None:
    made = sampler(*lengths)
    epochs = [np.concatenate([made.positions(POOL, 8, step, 3) for step in range(at, at + 23)]) for at in (0, 23)]
    for rows in epochs:
        assert sorted(rows.tolist()) == POOL.tolist()
    assert epochs[0].tolist() != epochs[1].tolist()


def test_rows_without_lengths_are_drawn_as_epochs_are() -> None:
    made = sampler()
    assert [made.positions(POOL, 8, step, 3).tolist() for step in range(30)] == [
        Epochs().positions(POOL, 8, step, 3).tolist() for step in range(30)
    ]


def test_a_step_is_the_same_whatever_was_asked_before() -> None:
    one, other = sampler(INPUTS, LABELS), sampler(INPUTS, LABELS)
    late = one.positions(POOL, 8, 40, 1)
    other.positions(POOL, 8, 3, 1)
    other.positions(POOL[::2].copy(), 8, 40, 1)
    assert other.positions(POOL, 8, 40, 1).tolist() == late.tolist()
    assert other.positions(POOL, 8, 40, 2).tolist() != late.tolist()


def test_batches_hold_rows_of_one_length_of_label_and_similar_inputs() -> None:
    made = sampler(INPUTS, LABELS)
    batches = [made.positions(POOL, 8, step, 0) for step in range(23)]
    assert np.mean([np.ptp(LABELS[rows]) for rows in batches]) < 2
    assert np.mean([np.ptp(INPUTS[rows]) for rows in batches]) < np.ptp(INPUTS) / 3
    firsts = [int(LABELS[rows[0]]) for rows in batches]
    assert firsts != sorted(firsts), "short and long ones come in random order"


def test_few_rows_are_drawn_as_epochs_are() -> None:
    rows = sampler(INPUTS).positions(POOL[:10], 8, 0, 0)
    assert len(set(rows.tolist())) == 8


def test_batches_by_length_hold_as_many_positions_and_every_row_once() -> None:
    rng = np.random.default_rng(0)
    lengths = np.concatenate([rng.integers(1, 40, 990), [200] * 10])
    by_length, pool = sampler(lengths), np.arange(1000)[::2]
    batches = [by_length.positions(pool, 20, step, 3) for step in range(25)]
    assert sorted(np.concatenate(batches).tolist()) == pool.tolist()
    held = [int(lengths[batch].sum()) for batch in batches]
    assert max(held) - min(held) <= 2 * 200
    assert np.ptp([len(batch) for batch in batches]) > 50
    spread = [np.ptp(lengths[batch]) for batch in batches]
    assert np.median(spread) <= 3
    again = [by_length.positions(pool, 20, step, 3).tolist() for step in (24, 3, 40, 3)]
    assert again[0] == batches[24].tolist()
    assert again[1] == again[3] == batches[3].tolist()
    assert again[2] not in [batch.tolist() for batch in batches]
