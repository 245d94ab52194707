"""Splits of rows by their own ids and a seed."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.errors import DataError


def shuffle_keys(ids: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """A pseudo-random 64-bit key per row, a function of its id and `seed` alone (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        start = np.uint64(seed % 2**63) * np.uint64(0x9E3779B97F4A7C15)
        keys = ids[:, 0] ^ (ids[:, 1] * np.uint64(0xD1342543DE82EF95)) ^ start
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            keys = (keys ^ (keys >> np.uint64(shift))) * np.uint64(factor)
        return np.asarray(keys ^ (keys >> np.uint64(31)))


def stratified(
    strata: NDArray[Any], count: int, seed: int, *, ids: NDArray[np.uint64], what: str, fewest: int = 1
) -> NDArray[np.int64]:
    """Positions of `count` rows drawn in proportion to the strata, at least `fewest` of every stratum, sorted.

    Within a stratum the rows with the smallest keys are drawn; strata take turns by the method of Sainte-Laguë (1910).
    So more rows asked keep those drawn before, which largest remainders would not. Raises DataError where `count` is
    smaller than `fewest` per stratum asks for.
    """
    names, codes = np.unique(strata.astype(str), return_inverse=True)
    if count < fewest * len(names):
        raise DataError(
            f"{what} cannot cover {len(names)} classes with one row each; ask for at least {fewest * len(names)}."
        )
    order = np.lexsort((shuffle_keys(ids, seed), codes))
    sizes = np.bincount(codes, minlength=len(names))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    turn = np.where(rank < fewest, -1.0, (rank + 0.5) / np.repeat(sizes, sizes))
    return np.sort(order[np.argsort(turn, kind="stable")[:count]])


def parts_of(ids: NDArray[np.uint64], count: int, seed: int) -> NDArray[np.int64]:
    """The number of each row's part among `count`: by its own id and the seed alone, so that no other row matters."""
    return np.asarray((shuffle_keys(ids, seed) >> np.uint64(33)) * np.uint64(count) >> np.uint64(31), np.int64)


def classes_by_task(classes: Sequence[Any], count: int, seed: int | None) -> dict[Any, int]:
    """The task 1 … `count` of each class: as many to each as can be, or one more to the first.

    Classes are taken in their order; with a seed, in one that follows from it and their names.
    """
    ordered = list(classes)
    if seed is not None:
        ordered.sort(key=lambda name: hashlib.blake2b(f"{seed}:{name!r}".encode()).digest())
    parts = np.array_split(np.arange(len(ordered)), count)
    return {ordered[at]: task for task, part in enumerate(parts, 1) for at in part}


LABELS = 0x1ABE15
"""Added to the seed of a random draw of labels. Test rows are those of each class with the smallest keys, so by the
same keys the next smallest would be of the classes that gave away fewest."""
CLIENTS = 0xC11E47
"""Added to a seed, so that who holds a row tells nothing of which rows a split by the same seed draws."""


def dirichlet_clients(
    strata: NDArray[Any], count: int, alpha: float, seed: int, *, ids: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """The client of each row [rows] among `count`: of every stratum each has a share drawn from Dirichlet(alpha).

    A row's client follows from its id, its stratum and the seed; other rows do not matter.
    """
    names, codes = np.unique(strata.astype(str), return_inverse=True)
    chance = (shuffle_keys(ids, seed + CLIENTS) >> np.uint64(11)) * 2.0**-53
    clients = np.empty(len(codes), np.int64)
    for code, name in enumerate(names):
        stream = int.from_bytes(hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest())
        shares = np.random.default_rng(stream).dirichlet(np.full(count, alpha))
        rows = codes == code
        clients[rows] = np.minimum(np.searchsorted(shares.cumsum(), chance[rows], side="right"), count - 1)
    return clients
