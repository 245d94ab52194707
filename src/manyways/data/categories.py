"""Categories: when two values are the same one, however a file or a frame writes them."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.0*)?")
"""A whole number in text, perhaps with an empty fraction. One with a leading zero is a word: 01 is not 1."""
TRUTH = {"true": "1", "false": "0"}


def spelling(value: Any) -> str:
    """Return the canonical text of a category: values with one spelling are one category.

    1, 1.0, "1", "1.0" and True are 1, as no format keeps them apart; "True" and "true" are what True is. A leading zero
    makes a word ("01"), and so does a fraction that ends in zeros ("1.10"). Whole numbers of any size are exact. Spaces
    around a word do not count. A missing value, None or NaN, has the spelling of the empty text.
    """
    if isinstance(value, str):
        text = value.strip()
        if WHOLE.fullmatch(text):
            digits = text.partition(".")[0].lstrip("+")
            return "0" if digits == "-0" else digits
        return TRUTH.get(text.lower(), text)
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, float | np.floating):
        # A number in single precision is written by its own digits, not by those of the double that holds it.
        return str(int(value)) if float(value).is_integer() else "" if np.isnan(value) else str(value)
    return "" if value is None else str(value)


def places_in(values: NDArray[Any], categories: Sequence[Any]) -> NDArray[np.int64]:
    """Return where each of `values` [n] stands among `categories`, int64 [n]; -1 where it is none of them.

    A value that is written as one of them is that one; any other is the first with its spelling.
    """
    exact: dict[Any, int] = {}
    spelled: dict[str, int] = {}
    for place, category in enumerate(categories):
        exact.setdefault(category, place)
        if name := spelling(category):
            spelled.setdefault(name, place)

    def place_of(value: Any) -> int:
        found = exact.get(value)
        return spelled.get(spelling(value), -1) if found is None else found

    if values.dtype.kind in "biuf":
        distinct, which = np.unique(values, return_inverse=True)
        return np.fromiter(map(place_of, distinct), np.int64, len(distinct))[which]
    held = values.tolist()
    places = {value: place_of(value) for value in set(held)}
    return np.fromiter((places[value] for value in held), np.int64, len(held))


def counts_of(values: NDArray[Any]) -> dict[Any, int]:
    """Return how often each category occurs in `values` [n]; one that is written in several ways in its first way."""
    first: dict[str, Any] = {}
    counts: dict[Any, int] = {}
    for value, count in Counter(values.tolist()).items():
        name = first.setdefault(spelling(value), value)
        counts[name] = counts.get(name, 0) + count
    return counts


def in_one_spelling(values: NDArray[Any]) -> NDArray[Any]:
    """Return objects [n] with each category written in one way, that of its first row; missing ones stay as they are.

    The same array where they are so already.
    """
    first: dict[str, Any] = {}
    chosen = {
        value: first.setdefault(name, value) if (name := spelling(value)) else value
        for value in dict.fromkeys(values.tolist())
    }
    if all(value is name for value, name in chosen.items()):
        return values
    return as_objects([chosen[value] for value in values.tolist()])


def as_objects(values: Sequence[Any]) -> NDArray[Any]:
    """An object array of exactly these values."""
    # Lists among them would be taken for further axes.
    return np.fromiter(values, object, len(values))
