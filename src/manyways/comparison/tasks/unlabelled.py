"""The base class of tasks that methods learn without labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from manyways.comparison.exhibits import Exhibit
from manyways.comparison.layouts import POINTS, has_space, hidden, scatter_of, spread
from manyways.comparison.tasks.base import Task
from manyways.data.data import Data

MOST_SCORED = 2000
"""Test rows that are scored at most, evenly spread, where all pairs of them are looked at."""
SCORED_ON_THE_WAY = 500


class Unlabelled(Task):
    """A task that is learned from rows alone: labels, where there are any, are hidden, and serve for scores alone.

    `of_labels` are those of its metrics that need the classes of test rows.
    """

    of_labels: frozenset[str] = frozenset()

    def allowed(self, data: Data) -> bool:
        return data.environment is None and has_space(data)

    def visible(self, data: Data) -> Data:
        return hidden(data)

    def metrics_on(self, data: Data) -> tuple[str, ...]:
        return tuple(metric for metric in self.metrics if has_classes(data) or metric not in self.of_labels)

    def learned_from(self, data: Data, visible: Data) -> str:
        count = len(data.training)
        return f"{count:,} {'row' if count == 1 else 'rows'} without labels"


def has_classes(data: Data) -> bool:
    """True if there is one label, a class, by which what was learned without it can be scored."""
    return len(data.labels) == 1 and data.classification


def scored_rows(data: Data, rows: int | None) -> Data:
    """The test rows that are scored: at most `MOST_SCORED`, and fewer of them while a model learns."""
    return spread(data.test, MOST_SCORED if rows is None else SCORED_ON_THE_WAY)


def labels_of(rows: Data) -> list[Any] | None:
    """The class of each of `rows`, None where it is not known; None where there are no classes."""
    if not has_classes(rows):
        return None
    return [label if known else None for label, known in zip(rows.take(rows.label.name), rows.known, strict=True)]


def scattered(
    title: str,
    note: str,
    test: Data,
    places: Any,
    groups: Sequence[Any] | None,
    by: str,
    classes: Sequence[Any] | None = None,
) -> Exhibit:
    """An exhibit of `places`, of the rows that `mapped_rows` gives of `test`."""
    return Exhibit(title, note, scatter=scatter_of(places, groups, by, mapped_rows(test), classes))


def mapped_rows(test: Data) -> Data:
    """The rows of `test` that a scatter shows."""
    return spread(test, POINTS)


def known_classes(rows: Data) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The classes of those of `rows` that have one, as text, and which they are."""
    known = rows.known
    return rows.take(rows.label.name)[known].astype(str), known
