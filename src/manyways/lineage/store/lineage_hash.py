"""Hashes of lineages, by which one is told from another, whatever the order of its rows."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

import numpy as np

from manyways.lineage.store.row_registry import Ids
from manyways.models.lineage import Lineage


def lineage_hash(lineage: Lineage) -> str:
    """A SHA-256 of all that a lineage says, but for the time that training took; the order of rows does not count."""
    return stage_hashes(lineage)[0]


def stage_hashes(lineage: Lineage) -> list[str]:
    """The `lineage_hash` of every stage, the latest first."""
    behind = [stage_hashes(parent) for parent in lineage.parents]
    said = replace(lineage, parents=()).to_json()
    facts = {name: value for name, value in said.items() if name not in ("seconds", "parents", "title", "rows")}
    facts["rows"] = _digest(lineage.rows)
    facts["parents"] = [hashes[0] for hashes in behind]
    own = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return [own, *chain.from_iterable(behind)]


def _digest(ids: Ids) -> list[int]:
    """Tells a set of ids, which are hashes, from another: their number, sum and exclusive or."""
    with np.errstate(over="ignore"):
        sums = ids.sum(axis=0, dtype=np.uint64).tolist()
    return [len(ids), *sums, *np.bitwise_xor.reduce(ids, axis=0).tolist()]


def nearest_parents(lineage: Lineage, known: Mapping[str, str]) -> list[str]:
    """The models in `known`, ids by lineage hash, that `lineage` was made from, the nearest ones alone."""
    hashes, nearest = stage_hashes(lineage), list[str]()
    ahead = list(_parents(lineage, 0))
    while ahead:
        parent, place = ahead.pop(0)
        if hashes[place] in known:
            nearest.append(known[hashes[place]])
        else:
            ahead = [*_parents(parent, place), *ahead]
    return nearest


def _parents(lineage: Lineage, place: int) -> Iterator[tuple[Lineage, int]]:
    """The parents of the stage at the place `place` among all, and their places."""
    place += 1
    for parent in lineage.parents:
        yield parent, place
        place += len(parent.stages())
