"""Bitmaps are looked through before they are read: whatever passes is a set of numbers in order, as many as stated."""

import random

import numpy as np
import pytest
from pyroaring import BitMap

from manyways.lineage.store.bitmaps import is_bitmap

pytestmark = pytest.mark.quick

SETS: dict[str, list[int]] = {
    "nothing": [],
    "one": [7],
    "a few": [3, 9, 70_000, 4_000_000_000],
    "sparse": list(range(0, 400_000, 150)),
    "dense": list(range(0, 140_000, 3)),
    "runs": list(range(100, 90_000)),
    "runs of few": [*range(100, 400), *range(70_000, 70_100)],
    "every kind": [*range(0, 60_000, 2), *range(65_536, 65_900), *range(200_000, 200_500, 7), *range(300_000, 390_000)],
}


def made_of(numbers: list[int], runs: bool) -> bytes:
    held = BitMap(numbers)
    if runs:
        held.run_optimize()
    bits: bytes = held.serialize()
    return bits


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("name", SETS)
def test_sets_are_known(name: str, runs: bool) -> None:
    bits = made_of(SETS[name], runs)
    assert is_bitmap(bits)
    assert not any(is_bitmap(part) for part in (bits + b"\0", bits[:-1], b"", b"\0" * len(bits)))


def test_what_passes_can_be_read() -> None:
    rng, passed = random.Random(0), 0
    for name, numbers in SETS.items():
        kinds = [made_of(numbers, runs) for runs in (False, True)]
        for _ in range(400):
            content = bytearray(rng.choice(kinds))
            near = rng.choice((len(content), min(64, len(content))))  # the head says how much follows
            for _ in range(rng.choice((1, 1, 2, 6))):
                content[rng.randrange(near)] ^= 1 << rng.randrange(8)
            if not is_bitmap(bytes(content)):
                continue
            passed += 1
            held = BitMap.deserialize(bytes(content))
            read = np.frombuffer(held.to_array(), np.uint32).astype(np.int64)
            assert len(read) == len(held), name
            assert (np.diff(read) > 0).all(), name
            assert held.intersection_cardinality(held) == len(read), name
    assert passed > 20
