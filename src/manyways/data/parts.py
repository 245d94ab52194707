"""Parts: the rows that a model learns from, is stopped by, and is tested on."""

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.options import check_number, check_whole
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.data import Data

TRAINING, VALIDATION, TEST = 0, 1, 2
PARTS = ("training", "validation", "test")


def with_part(data: "Data", part: int, share: float, seed: int = 0) -> "Data":
    """The same rows with a `share` of the training rows moved into `part`, stratified over their labels if any.

    Rows without a label stay where any has one. Rows of one group or subject go together, those without a label too.

    Raises:
        DataError: `share` is not in (0, 1), or no row would be left on one side.
    """
    from manyways.data.groups import allotted, groups_of
    from manyways.data.splits import stratified

    check_number(share=share)
    check_whole(seed=seed)
    if not 0 < share < 1:
        raise DataError(f"The share of {PARTS[part]} rows must be in (0, 1); got {share}.")
    if data.has("until"):  # rows drawn at random would lie in the future of others
        return _last_in_time(data, share, part)
    candidates, strata = candidates_of(data)
    count = round(share * len(candidates))
    if count == 0 or count == len(candidates):
        kind = "labelled " if data.has("label") else ""
        raise DataError(f"{data.name} has {len(candidates)} {kind}rows: too few for a {PARTS[part]} part.")
    groups = groups_of(data)
    if groups is None:
        ids = data.ids[candidates]
        return moved(data, candidates[stratified(strata, count, seed, ids=ids, what="a split", fewest=0)], part)
    parts = allotted(
        groups[candidates], strata, (1 - share, share), seed, ids=data.ids[candidates], what=data.name
    )  # fmt: skip
    return moved(data, _whole_groups(data, groups, candidates[parts == 1]), part)


def candidates_of(data: "Data") -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The positions of the training rows that can be set aside, those with a label if any has one, and their strata."""
    labelled = data.has("label")
    candidates = np.flatnonzero((data.part[data.rows] == TRAINING) & (data.known if labelled else True))
    by_class = labelled and data.classification
    return candidates, data.label.take(data.rows[candidates]) if by_class else np.zeros(len(candidates), int)


def moved(data: "Data", which: NDArray[np.int64], part: int) -> "Data":
    """The same rows with those at positions `which` in `part`."""
    parts = data.part.copy()
    parts[data.rows[which]] = part
    return replace(data, part=parts)


def _whole_groups(data: "Data", groups: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of all training rows whose group has a row at `which`."""
    return np.flatnonzero(np.isin(groups, groups[which]) & (data.part[data.rows] == TRAINING))


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
    of_them = (data.part[data.rows] == TRAINING) & np.array([label in chosen for label in labels], bool)
    return moved(data, np.flatnonzero(of_them), TEST)


def with_validation(data: "Data", share: float = 0.1, seed: int = 0) -> "Data":
    """The same rows with a `share` of the training rows set aside for early stopping; see `with_part`."""
    return data.with_part(VALIDATION, share, seed)


def with_some_as_test(data: "Data", share: float = 0.2, seed: int = 0) -> "Data":
    """The same rows with a `share` as test rows: the last of those with a time and of pieces of a text, or drawn.

    Where rows have a time a model must tell the later ones, as it will have to when it is used.
    """
    return data.with_last_as_test(share) if data.has("time") or in_pieces(data) else data.with_test(share, seed)


def in_pieces(data: "Data") -> bool:
    """True if the rows are consecutive pieces of running text."""
    texts = data.roles.get("text", ())
    return tuple(data.roles) == ("text",) and all(str(value).endswith("\n") for value in data.take(texts[0])[:2])


def with_last_as_test(data: "Data", share: float = 0.1) -> "Data":
    """The same rows with the last `share` of the training rows, by their time or else in their order, as test rows.

    Rows of one group or subject go together: the last are then those of the groups that began last.

    Raises:
        DataError: `share` is not in (0, 1), there are too few rows for it, or a time is missing or cannot be read.
    """
    check_number(share=share)
    if not 0 < share < 1:
        raise DataError(f"The share of test rows must be in (0, 1); got {share}.")
    return _last_in_time(data, share, TEST)


def _last_in_time(data: "Data", share: float, part: int) -> "Data":
    """The same rows with the last `share` of the training rows in `part`, without those that reach into it."""
    train, units = in_time(data)
    count = round(share * len(train))
    if not 0 < count < len(train) or len(units) < 2:
        raise DataError(
            f"{data.name} has {len(train)} training rows, so a share of {share} leaves nothing to test on or to "
            f"learn from. Give {PARTS[part]} rows: {PARTS[part]}=…."
        )
    begins = units[int(np.argmin(np.abs(units - (len(train) - count))[1:])) + 1]
    return known_before(moved(data, train[begins:], part), part)


def known_before(data: "Data", part: int) -> "Data":
    """The same rows without those to learn from, or to stop by, whose label is known only after `part` has begun.

    Where no column says until when labels reach, all stay (purging: López de Prado, Advances in financial machine
    learning, 2018).
    """
    from manyways.data.times import moments

    own = data.part[data.rows]
    if not data.has("until") or not (own == part).any():
        return data
    until, time = (data.columns[data.roles[role][0]] for role in ("until", "time"))
    begins = moments(time, data.rows[own == part]).min()
    earlier = own != part if part == TEST else own == TRAINING
    late = np.flatnonzero(earlier)[moments(until, data.rows[earlier]) > begins]
    kept = np.ones(len(own), bool)
    kept[late] = False
    if not (kept & (own == TRAINING)).any():
        raise DataError(
            f"No row of {data.name} is left to learn from: the labels of all are known only after the "
            f"{PARTS[part]} rows begin. Take a smaller share, or forecasts of a smaller horizon."
        )
    return data if kept.all() else replace(data, rows=data.rows[kept])


def in_time(data: "Data") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions of the training rows in the order of their time, or as they come, and where a split may be.

    A split may be before every row, or where rows belong together before each group: then groups lie one after the
    other, in the order in which they began.
    """
    from manyways.data.groups import groups_of
    from manyways.data.times import moments

    train = np.flatnonzero(data.part[data.rows] == TRAINING)
    times = np.arange(len(train))
    if data.has("time"):
        times = moments(data.columns[data.roles["time"][0]], data.rows[train])
        order = np.argsort(times, kind="stable")
        train, times = train[order], times[order]
    groups = groups_of(data)
    if groups is None and data.has("until"):  # series run side by side: one moment is on one side
        return train, np.flatnonzero(np.diff(times, prepend=times[:1] - 1))
    if groups is None:
        return train, np.arange(len(train))
    _, firsts, codes = np.unique(groups[train], return_index=True, return_inverse=True)
    train = train[np.argsort(firsts[codes], kind="stable")]
    return train, np.flatnonzero(np.diff(groups[train], prepend=-1))
