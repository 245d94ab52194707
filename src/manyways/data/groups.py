"""Groups: rows that belong together, such as those of one person, and lie on one side of every split."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.notation import is_missing
from manyways.data.roles import ROLES
from manyways.data.splits import shuffle_keys
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.data import Data

FEW = 1000
"""Groups up to which several orders are tried."""
ORDERS = 8
STRIDE = 1_000_003
"""Between the seeds of two orders."""


def grouping_roles(data: "Data") -> tuple[str, ...]:
    """The roles of `data` whose columns say which rows belong together."""
    return tuple(name for name in data.roles if ROLES.find(name).together)


def groups_of(data: "Data") -> NDArray[np.int64] | None:
    """The group of each of these rows, from 0; None where no column says which belong together.

    A row without a value is a group of its own. Where several columns say so, rows that any of them has together are.
    """
    names = [name for role in grouping_roles(data) for name in data.roles[role]]
    if not names:
        return None
    groups = _codes(data.take(names[0]))
    for name in names[1:]:
        groups = _joined(groups, _codes(data.take(name)))
    return groups


def dependent_groups(data: "Data") -> NDArray[np.int64] | None:
    """The group of each of these rows such that errors of different groups may be taken for independent; else None.

    These are the rows that belong together. Where labels reach into the time of later rows, as forecasts do, they are
    stretches of time as long as one label, with the rows of all series in them.
    """
    from manyways.data.times import moments

    groups = groups_of(data)
    if groups is not None or not (data.has("until") and data.has("time")) or not len(data):
        return groups
    times, ends = (moments(data.columns[data.roles[role][0]], data.rows) for role in ("time", "until"))
    order = np.argsort(times, kind="stable")
    times, ends = times[order], ends[order]
    begins = [0]
    while (later := int(np.searchsorted(times, max(ends[begins[-1]], times[begins[-1]])))) < len(times):
        begins.append(later if later > begins[-1] else int(np.searchsorted(times, times[later], side="right")))
        if begins[-1] >= len(times):
            begins.pop()
            break
    groups = np.empty(len(order), np.int64)
    groups[order] = np.searchsorted(np.array(begins), np.arange(len(order)), side="right") - 1
    return groups


def group_ids(ids: NDArray[np.uint64], groups: NDArray[np.int64] | None) -> NDArray[np.uint64]:
    """`ids` [rows, 2] with one id for all rows of a group, that of its rows in any order; as they are without groups.

    What is drawn by them keeps groups together.
    """
    if groups is None:
        return ids
    totals = np.zeros((int(groups.max(initial=-1)) + 1, 2), np.uint64)
    with np.errstate(over="ignore"):
        np.add.at(totals, groups, ids)
    return totals[groups]


def aside(data: "Data", share: float, seed: int) -> NDArray[np.bool_] | None:
    """A mask of about a `share` of these rows for a method to validate by, whole groups; None without groups.

    Without groups rows are drawn as a library draws them. None, too, where there is but one group.
    """
    groups = groups_of(data)
    if groups is None or not len(groups) or groups.max() == 0:
        return None
    strata = data.take(data.label.name) if data.classification else np.zeros(len(data), int)
    return np.asarray(allotted(groups, strata, (1 - share, share), seed, ids=data.ids, what=data.name) == 1)


def allotted(
    groups: NDArray[np.int64], strata: NDArray[Any], shares: Sequence[float], seed: int, *,
    ids: NDArray[np.uint64], what: str,
) -> NDArray[np.int64]:  # fmt: skip
    """The part [rows] of each row's group, so that every part has about its share of the rows and of each stratum.

    Groups are taken in an order that follows from their rows and the seed, each into the part that lacks most of what
    it holds (the chi-square distance from the shares grows least); of several orders the one that ends nearest counts.

    Raises:
        DataError: There are fewer groups than parts.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    count = int(groups.max(initial=-1)) + 1
    if count < len(shares):
        raise DataError(f"{what} has {count} groups of rows that belong together, too few for {len(shares)} parts.")
    _, codes = np.unique(strata.astype(str), return_inverse=True)
    table = np.zeros((count, int(codes.max(initial=0)) + 1))
    np.add.at(table, (groups, codes), 1.0)
    # A last column of all rows, as heavy as the others together, so that sizes are balanced, too.
    table = np.column_stack([table, table.shape[1] * table.sum(1)])
    wanted = np.outer(shares, table.sum(0))
    first = np.zeros(count, np.int64)
    first[groups] = np.arange(len(groups))
    own = group_ids(ids, groups)[first]
    tries = [
        _greedy(table, wanted, np.argsort(shuffle_keys(own, seed + STRIDE * number), kind="stable"))
        for number in range(ORDERS if count <= FEW else 1)
    ]
    return min(tries, key=lambda parts: _distance(table, wanted, parts))[groups]


def _greedy(table: NDArray[Any], wanted: NDArray[Any], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part of each group of `table` [groups, strata], where the parts should hold `wanted` [parts, strata]."""
    lacking, parts = wanted.copy(), np.empty(len(table), np.int64)
    for group in order:
        holds = table[group]
        part = int(np.argmin(((holds * holds - 2 * lacking * holds) / wanted).sum(1)))
        parts[group] = part
        lacking[part] -= holds
    sizes = np.bincount(parts, minlength=len(wanted))
    for empty in np.flatnonzero(sizes == 0):
        spare = [group for group in order if sizes[parts[group]] > 1]
        moved = min(spare, key=lambda group: table[group].sum())
        sizes[parts[moved]] -= 1
        sizes[empty], parts[moved] = 1, empty
    return parts


def _distance(table: NDArray[Any], wanted: NDArray[Any], parts: NDArray[np.int64]) -> float:
    held = np.zeros_like(wanted)
    np.add.at(held, parts, table)
    return float(((held - wanted) ** 2 / wanted).sum())


def _codes(values: NDArray[Any]) -> NDArray[np.int64]:
    lacking = is_missing(values)
    _, codes = np.unique(values.astype(str), return_inverse=True)
    codes = np.asarray(codes, np.int64).reshape(-1)
    codes[lacking] = len(values) + np.arange(int(lacking.sum()))
    return np.unique(codes, return_inverse=True)[1]


def _joined(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows together that share a group in `one` or in `other`, directly or by others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, count = int(one.max()) + 1, int(one.max()) + int(other.max()) + 2
    edges = coo_array((np.ones(len(one), np.int8), (one, first + other)), shape=(count, count))
    return np.unique(connected_components(edges, directed=False)[1][one], return_inverse=True)[1]
