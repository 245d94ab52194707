"""Randomness: functions of what is given and of nothing else."""

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.methods.supervised.supervised import Supervised
from manyways.randomness import _order, epoch_positions, generator, mix, seed_global
from manyways.training.learner import Learner

pytestmark = pytest.mark.quick


def steps_of(count: int, size: int, steps: int, seed: int = 0) -> list[list[int]]:
    """The positions of the first `steps` steps."""
    return [epoch_positions(count, size, step, seed).tolist() for step in range(steps)]


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 10), (7, 1), (64, 64), (5, 12), (1, 4), (100, 32)])
def test_every_row_comes_once_before_any_comes_again(count: int, size: int) -> None:
    steps = steps_of(count, size, 3 * count)
    assert {len(step) for step in steps} == {size}
    stream = [position for step in steps for position in step]
    for first in range(0, len(stream) - count + 1, count):
        assert sorted(stream[first : first + count]) == list(range(count))


def test_epochs_have_orders_of_their_own() -> None:
    first, second, third = steps_of(50, 50, 3)
    assert first != second
    assert second != third
    assert first != sorted(first)
    assert steps_of(50, 50, 1, seed=1) != [first]


def test_positions_are_a_function_of_seed_and_step_alone() -> None:
    """Asked for in any order, and after all that is kept is forgotten, they are those of a run from the start."""
    asked = steps_of(37, 8, 60)
    for step in (59, 3, 40, 3, 0):
        _order.cache_clear()
        assert epoch_positions(37, 8, step, 0).tolist() == asked[step]
    np.random.seed(3)  # noqa: NPY002  the global stream must not matter
    torch.manual_seed(3)
    assert steps_of(37, 8, 60) == asked


def test_positions_cannot_be_changed_for_those_who_ask_later() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_positions(20, 5, 0, 0)[0] = 7


def test_every_order_is_as_likely() -> None:
    """Each of four rows is first in about a quarter of 4,000 epochs: 1,000 ± 5 standard deviations of 27."""
    firsts = np.bincount([epoch_positions(4, 1, 4 * epoch, 11)[0] for epoch in range(4000)])
    assert abs(firsts - 1000).max() < 137


def test_streams_of_a_learner_differ_within_a_step() -> None:
    data = mw.read("wine")
    learner = Supervised().begin(data, None, 0)
    assert isinstance(learner, Learner)
    draws = [tuple(learner.pick(learner.everything, 16, 0, stream)) for stream in range(8)]
    assert len(set(draws)) == 8
    pool = np.array([5, 90, 17])
    assert sorted(learner.pick(pool, 3, 4)) == [5, 17, 90], "positions are those of the pool"


def test_mix_is_a_hash_of_all_its_numbers_in_their_order() -> None:
    numbers = [mix(a, b) for a in range(60) for b in range(60)]
    assert len(set(numbers)) == len(numbers)
    assert mix(1, 2) != mix(2, 1)
    assert mix(1) != mix(1, 0)
    assert all(0 <= number < 2**63 for number in numbers)
    bits = np.array([[number >> bit & 1 for bit in range(63)] for number in numbers]).mean(0)
    assert abs(bits - 0.5).max() < 0.05, "every bit is set in about half of them"


def test_mix_gives_the_same_in_every_process_and_version() -> None:
    """What it gives decides which batches a saved run goes on with; these values must never change."""
    assert mix(0) == 0xE220A8397B1DCDAF >> 1, "the first number of the published SplitMix64 from the seed 0"
    assert mix(1, 2, 3) == 3851293329796251419
    assert mix(2**32 - 1, 10**6) == 7348554291137590403


def test_generators_of_the_same_numbers_give_the_same_stream() -> None:
    first = torch.randn(5, generator=generator(3, 7))
    torch.randn(100)
    assert torch.equal(first, torch.randn(5, generator=generator(3, 7)))
    assert not torch.equal(first, torch.randn(5, generator=generator(3, 8)))
    assert not torch.equal(first, torch.randn(5, generator=generator(7, 3)))


def test_the_global_stream_is_seeded_as_torch_seeds_it() -> None:
    with torch.random.fork_rng():
        seed_global(12345, torch.device("cpu"))
        ours = torch.rand(4)
        torch.manual_seed(12345)
        assert torch.equal(ours, torch.rand(4))
