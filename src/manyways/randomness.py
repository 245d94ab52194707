"""Randomness as a function of (seed, step), so that a batch does not depend on what came before it."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray


def mix(*numbers: int) -> int:
    """A 63-bit hash of integers (SplitMix64, Steele et al. 2014)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & (2**64 - 1)
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        state ^= state >> 31
    return state >> 1


def generator(*numbers: int) -> torch.Generator:
    """A generator on the CPU whose stream is a function of `numbers`."""
    made = torch.Generator()
    made.manual_seed(mix(*numbers))
    return made


def seed_global(seed: int, device: torch.device) -> None:
    """Seed torch's global stream on `device`, from which dropout draws."""
    # torch.manual_seed formats a stack trace for every device not yet in use: a third of a small step's time.
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@lru_cache(maxsize=64)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    order = np.random.Generator(np.random.Philox(mix(seed, epoch, count))).permutation(count)
    order.setflags(write=False)  # it is kept, and handed out in pieces
    return order


def epoch_positions(count: int, size: int, step: int, seed: int) -> NDArray[np.int64]:
    """`size` positions below `count` for `step`: consecutive pieces of endless, ever new permutations.

    Every row comes once before any comes again. `count` and `size` at least 1.
    """
    return endless_positions(count, step * size, size, seed)


def endless_positions(count: int, first: int, size: int, seed: int) -> NDArray[np.int64]:
    """`size` positions below `count`, from the place `first` in endless, ever new permutations."""
    pieces: list[NDArray[np.int64]] = []
    while size > 0:
        epoch, at = divmod(first, count)
        piece = _order(count, seed, epoch)[at : at + size]
        pieces.append(piece)
        first, size = first + len(piece), size - len(piece)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
