"""Samplers: which rows a step learns from."""

import numpy as np
import torch

from manyways.training.samplers import ByLength


def test_batches_by_length_hold_as_many_positions_and_every_row_once() -> None:
    rng = np.random.default_rng(0)
    sampler = ByLength()
    lengths = np.concatenate([rng.integers(1, 40, 990), [200] * 10])
    sampler.register_buffer("lengths", torch.from_numpy(lengths))
    pool = np.arange(1000)[::2]
    batches = [sampler.positions(pool, 20, step, 3) for step in range(25)]
    assert sorted(np.concatenate(batches).tolist()) == pool.tolist()
    held = [int(lengths[batch].sum()) for batch in batches]
    assert max(held) - min(held) <= 2 * 200
    assert np.ptp([len(batch) for batch in batches]) > 50
    spread = [np.ptp(lengths[batch]) for batch in batches]
    assert np.median(spread) <= 3
    again = [sampler.positions(pool, 20, step, 3).tolist() for step in (24, 3, 40, 3)]
    assert again[0] == batches[24].tolist()
    assert again[1] == again[3] == batches[3].tolist()
    assert again[2] not in [batch.tolist() for batch in batches]
