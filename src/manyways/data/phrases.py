"""Phrases that messages are made of: counts and lists."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray


def count_of(number: int, noun: str) -> str:
    """`1 row`, `12,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(numbers: Collection[int] | NDArray[np.int64], most: int = 5) -> str:
    """The first of some numbers: `1, 4, 7, …`."""
    first = [f"{int(number)}" for number in list(numbers)[:most]]
    return ", ".join(first) + (", …" if len(numbers) > most else "")


def listed_names(names: Collection[str], most: int = 5) -> str:
    """The first of some names: `'a', 'b', …`."""
    return ", ".join(map(repr, list(names)[:most])) + (", …" if len(names) > most else "")
