"""Parts: the rows that a model learns from, is stopped by, and is tested on."""

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from manyways.data.options import check_number, check_whole
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.data import Data

TRAINING, VALIDATION, TEST = 0, 1, 2
PARTS = ("training", "validation", "test")


def with_part(data: "Data", part: int, share: float, seed: int = 0) -> "Data":
    """The same rows with a `share` of the training rows moved into `part`, stratified over their labels if any.

    Rows without a label stay where any has one.

    Raises:
        DataError: `share` is not in (0, 1), or no row would be left on one side.
    """
    from manyways.data.splits import stratified

    check_number(share=share)
    check_whole(seed=seed)
    if not 0 < share < 1:
        raise DataError(f"The share of {PARTS[part]} rows must be in (0, 1); got {share}.")
    labelled = data.has("label")
    candidates = np.flatnonzero((data.part[data.rows] == TRAINING) & (data.known if labelled else True))
    count = round(share * len(candidates))
    if count == 0 or count == len(candidates):
        kind = "labelled " if labelled else ""
        raise DataError(f"{data.name} has {len(candidates)} {kind}rows: too few for a {PARTS[part]} part.")
    by_class = labelled and data.classification
    strata = data.label.take(data.rows[candidates]) if by_class else np.zeros(len(candidates), int)
    chosen = candidates[stratified(strata, count, seed, ids=data.ids[candidates], what="a split", fewest=0)]
    moved = data.part.copy()
    moved[data.rows[chosen]] = part
    return replace(data, part=moved)


def with_test(data: "Data", share: float = 0.2, seed: int = 0) -> "Data":
    """The same rows with a `share` of the training rows set aside as test rows; see `with_part`."""
    return data.with_part(TEST, share, seed)


def with_test_classes(data: "Data", share: float = 0.2, seed: int = 0) -> "Data":
    """The same rows with those of a `share` of the classes as test rows: classes that a model never sees.

    One class is set aside at least, and two stay; rows without a label stay, too. The classes follow from their names
    and the seed.

    Raises:
        DataError: `share` is not in (0, 1), the labels are numbers, or there are fewer than three classes.
    """
    check_number(share=share)
    check_whole(seed=seed)
    if not 0 < share < 1:
        raise DataError(f"The share of test classes must be in (0, 1); got {share}.")
    if not data.classification or len(data.classes) < 3:
        what = f"{len(data.classes)} classes" if data.classification else "numbers, no classes"
        raise DataError(f"{data.name} has {what}; three are the least of which some can be set aside for testing.")
    count = min(max(1, round(share * len(data.classes))), len(data.classes) - 2)
    keys = {name: hashlib.blake2b(f"{seed}:{name!r}".encode()).digest() for name in data.classes}
    chosen = set(sorted(data.classes, key=keys.__getitem__)[:count])
    labels = data.take(data.label.name).tolist()
    rows = data.rows[(data.part[data.rows] == TRAINING) & np.array([label in chosen for label in labels], bool)]
    moved = data.part.copy()
    moved[rows] = TEST
    return replace(data, part=moved)


def with_validation(data: "Data", share: float = 0.1, seed: int = 0) -> "Data":
    """The same rows with a `share` of the training rows set aside for early stopping; see `with_part`."""
    return data.with_part(VALIDATION, share, seed)


def with_some_as_test(data: "Data", share: float = 0.2, seed: int = 0) -> "Data":
    """The same rows with a `share` as test rows: the last of those with a time and of pieces of a text, or drawn.

    Where rows have a time a model must tell the later ones, as it will have to when it is used.
    """
    if data.has("time"):
        return data.with_last_as_test(share)
    texts = data.roles.get("text", ())
    pieces = tuple(data.roles) == ("text",) and all(str(value).endswith("\n") for value in data.take(texts[0])[:2])
    return data.with_last_as_test(share) if pieces else data.with_test(share, seed)


def with_last_as_test(data: "Data", share: float = 0.1) -> "Data":
    """The same rows with the last `share` of the training rows, by their time or else in their order, as test rows.

    Raises:
        DataError: `share` is not in (0, 1), there are too few rows for it, or a time is missing or cannot be read.
    """
    from manyways.data.times import moments

    check_number(share=share)
    if not 0 < share < 1:
        raise DataError(f"The share of test rows must be in (0, 1); got {share}.")
    train = np.flatnonzero(data.part[data.rows] == TRAINING)
    count = round(share * len(train))
    if not 0 < count < len(train):
        raise DataError(
            f"{data.name} has {len(train)} training rows, so a share of {share} leaves nothing to test on or to "
            "learn from. Give rows to test on: test=…."
        )
    if data.has("time"):
        times = moments(data.columns[data.roles["time"][0]], data.rows[train])
        train = train[np.argsort(times, kind="stable")]
    moved = data.part.copy()
    moved[data.rows[train[-count:]]] = TEST
    return replace(data, part=moved)
