"""Cautions about a split: where it flatters, and what to type instead."""

import re
from collections.abc import Iterator

import numpy as np

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.groups import grouping_roles, groups_of
from manyways.data.notation import is_missing
from manyways.data.splitting import Rule

WORDS = frozenset({"time", "date", "datetime", "timestamp", "when", "day", "month", "year"})
"""Words in the name of a column that holds times."""
DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2}([ T][0-9:.+Z-]+)?)?")
LOOKED_AT = 1000
FLATTERS = "tests on rows between those that were learned from, which flatters where rows follow each other"


def split_cautions(rows: Data, rule: Rule) -> tuple[str, ...]:
    """Sentences on what the split of `rows` by `rule` cannot carry."""
    if rule == "own":
        return tuple(_shared_groups(rows))
    if rule != "random":
        return ()
    if rows.has("time"):
        (name,) = rows.roles["time"]
        return (f"Rows have a time ({name!r}), and a random split {FLATTERS}. Split by it: --split time.",)
    if (named := next(_times(rows), None)) is None:
        return ()
    advice = f"Split by it: --role time={named}."
    return (f"The column {named!r} looks like a time, and a random split {FLATTERS}. {advice}",)


def _times(rows: Data) -> Iterator[str]:
    """The columns without a role of their own that look like times."""
    for column in rows.inputs:
        if not column.of.decoded and _is_time(column):
            yield column.name
    yield from (name for name in rows.ignored if _words(name) & {"date", "datetime", "timestamp", "time"})


def _is_time(column: Column) -> bool:
    """True if the values are dates, or numbers that never fall under a name such as `day` or `timestamp`."""
    values = column.take(np.arange(min(len(column), LOOKED_AT)))
    if values.ndim != 1:
        return False
    if values.dtype.kind in "iuf":
        known = values[~is_missing(values)]
        return bool(_words(column.name) & WORDS and len(np.unique(known)) > 2 and (np.diff(known) >= 0).all())
    known = values[~is_missing(values)]
    return len(known) > 0 and all(DATE.fullmatch(str(value).strip()) for value in known.tolist())


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def _shared_groups(rows: Data) -> Iterator[str]:
    """A caution where test rows that the data has are of groups that have training rows, too."""
    groups = groups_of(rows)
    if groups is None or not len(rows.test):
        return
    part = rows.part[rows.rows]
    tested, learned = (np.unique(groups[which]) for which in (part == 2, part != 2))
    both = np.intersect1d(tested, learned)
    if len(both):
        (role, *_) = grouping_roles(rows)
        yield (
            f"{len(both):,} of the {len(tested):,} groups by {rows.roles[role][0]!r} in the test rows that the data "
            "has are among the training rows, too, so a model may know them. Leave out what says which rows are for "
            "testing (test=…, part=…), and groups stay together."
        )
