"""Mixture: shares of tasks, and rows that come in epochs of their task."""

import numpy as np
import pytest

from manyways.training.mixture import CYCLE, Mixture, shares_of

TASKS = np.repeat([0, 1, 2], [900, 90, 10])
EVERYTHING = np.arange(len(TASKS))


@pytest.mark.quick
def test_shares_are_those_of_the_paper() -> None:
    assert shares_of([900, 90, 10], "proportional") == pytest.approx([0.9, 0.09, 0.01])
    assert shares_of([900, 90, 10], "equal") == pytest.approx([1 / 3] * 3)
    roots = np.array([900, 90, 10]) ** 0.5
    assert shares_of([900, 90, 10], 2) == pytest.approx(roots / roots.sum())
    assert shares_of([900, 90, 10], 1.0) == pytest.approx([0.9, 0.09, 0.01])
    assert shares_of([900, 90, 10], "proportional", cap=90) == pytest.approx(np.array([90, 90, 10]) / 190)
    assert shares_of([900, 90, 10], 1e-6) == pytest.approx([1, 0, 0])
    assert shares_of([5, 5_000_000_000], 0.01).sum() == pytest.approx(1)


@pytest.mark.quick
@pytest.mark.parametrize("shares", [[0.9, 0.09, 0.01], [1 / 3] * 3, [0.7, 0.2, 0.1]])
def test_tasks_are_drawn_as_their_shares_say(shares: list[float]) -> None:
    """In every cycle to less than two rows, and in every stretch of it nearly so."""
    sampler = Mixture(TASKS, np.array(shares))
    drawn = np.concatenate([sampler.positions(EVERYTHING, 16, step, seed=3) for step in range(3 * CYCLE // 16)])
    tasks = TASKS[drawn]
    for cycle in tasks.reshape(3, CYCLE):
        assert np.abs(np.bincount(cycle, minlength=3) - CYCLE * np.array(shares)).max() < 2
    for stretch in tasks.reshape(-1, 256):
        assert np.abs(np.bincount(stretch, minlength=3) / 256 - np.array(shares)).max() < 0.03


@pytest.mark.quick
def test_every_row_of_a_task_comes_once_before_any_comes_again() -> None:
    sampler = Mixture(TASKS, shares_of([900, 90, 10], "equal"))
    drawn = np.concatenate([sampler.positions(EVERYTHING, 7, step, seed=0) for step in range(2 * CYCLE // 7)])
    for task, size in enumerate((900, 90, 10)):
        own = drawn[TASKS[drawn] == task]
        for start in range(0, len(own) - size, size):
            assert len(set(own[start : start + size].tolist())) == size
        if size < 200:
            assert (own[:size] != own[size : 2 * size]).any()  # another order


@pytest.mark.quick
def test_a_draw_is_a_function_of_seed_and_step() -> None:
    """Whatever was drawn before: a killed run goes on as it would have."""
    first, second = (Mixture(TASKS, shares_of([900, 90, 10], 3.0)) for _ in range(2))
    later = [first.positions(EVERYTHING, 16, step, seed=1) for step in range(900)]
    for step in (899, 3, 500):
        assert second.positions(EVERYTHING, 16, step, seed=1).tolist() == later[step].tolist()
    assert first.positions(EVERYTHING, 16, 3, seed=2).tolist() != later[3].tolist()


@pytest.mark.quick
def test_a_batch_of_any_size_and_a_pool_of_some_rows() -> None:
    sampler = Mixture(TASKS, np.array([0.2, 0.3, 0.5]))
    assert len(sampler.positions(EVERYTHING, 3 * CYCLE + 5, 0, seed=0)) == 3 * CYCLE + 5
    pool = np.concatenate([np.arange(0, 50), np.arange(995, 1000), [900]])
    drawn = sampler.positions(pool, 1000, 7, seed=0)
    assert set(drawn.tolist()) <= set(pool.tolist())
    assert np.bincount(TASKS[drawn]) / 1000 == pytest.approx([0.2, 0.3, 0.5], abs=0.02)
