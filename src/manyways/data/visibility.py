"""Visibility: which labels may be seen, which of them are guesses, and how many more may be revealed."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.options import check_whole
from manyways.data.parts import TEST
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.data import Data


class LabelMeter:
    """The labels that one fit has been shown, whatever data were made of those that it was given.

    A `Data` is never changed, so each copy has an allowance of its own; the meter is the one thing that all copies
    within a fit share, and it refuses what they would reveal together beyond the allowance.
    """

    def __init__(self, data: "Data", allowance: int) -> None:
        self._allowance = allowance
        self._visible = {row.tobytes() for row in data.all_ids[true_labels(data)]}
        self._revealed = 0

    def pay(self, ids: NDArray[np.uint64], name: str) -> None:
        """Take note that the labels of the rows `ids` are seen; a label that was seen before is free.

        Raises:
            DataError: They are more than may be revealed.
        """
        fresh = {row.tobytes() for row in ids} - self._visible
        if self._revealed + len(fresh) > self._allowance:
            raise DataError(
                f"{len(fresh)} more labels of {name} are asked for, and {self._revealed} of the {self._allowance} that "
                f"this training may reveal are spent. {INSTEAD}"
            )
        self._visible |= fresh
        self._revealed += len(fresh)


INSTEAD = "Ask for fewer (questions=…), or allow more: compare --labels N, data.with_labels(N, allowance=…)."


def true_labels(data: "Data") -> NDArray[np.bool_]:
    """True for each row of the whole table, but test rows, whose label may be seen and is no guess."""
    seen = data.visible if data.guessed is None else data.visible & ~data.guessed
    return np.asarray(seen & (data.part != TEST))


def with_allowance(data: "Data", count: int) -> "Data":
    """The same rows, of which `count` more labels may be revealed; `reveal` and an oracle's answers spend them.

    Raises:
        DataError: `count` is below 0, or above what is left of an allowance.
    """
    check_whole(allowance=count)
    if count < 0 or (data.allowance is not None and count > data.allowance):
        most = "" if data.allowance is None else f" to {data.allowance}, which is what is left"
        raise DataError(f"The allowance of labels must be a number from 0{most}; got {count}.")
    return replace(data, allowance=count)


def metered(data: "Data", allowance: int) -> "Data":
    """The same rows with the `allowance` that they have, or this one, and a meter that all made of them share."""
    allowance = allowance if data.allowance is None else data.allowance
    meter = data.meter or LabelMeter(data, allowance)
    return replace(data, allowance=allowance, meter=meter)


def paid(data: "Data", rows: NDArray[Any]) -> int | None:
    """The rest of the allowance of `data` when the labels of the table's `rows`, none of which is seen, are shown.

    Raises:
        DataError: They are more than may be revealed.
    """
    if data.allowance is None:
        return None
    rows = np.unique(rows)
    if len(rows) > data.allowance:
        raise DataError(
            f"{len(rows)} labels of {data.name} are to be revealed, and {data.allowance} more may be. {INSTEAD}"
        )
    if data.meter is not None:
        data.meter.pay(data.all_ids[rows], data.name)
    return data.allowance - len(rows)


def hide(data: "Data", which: NDArray[Any]) -> "Data":
    """The same rows with the labels at positions `which` hidden."""
    visible = data.visible.copy()
    visible[data.rows[which]] = False
    return replace(data, visible=visible)


def reveal(data: "Data", which: NDArray[Any]) -> "Data":
    """The same rows with the labels at positions `which` visible.

    Raises:
        DataError: The table holds no label for one of the rows, or a guess in its place, or no more may be revealed.
    """
    rows = data.rows[which]
    if (lost := ~data.select(which).known).any():
        raise DataError(
            f"{int(lost.sum())} of {len(rows)} rows to reveal have no label in {data.name}; give an oracle "
            "that answers for them: ActiveLearning(oracle=my_function)."
        )
    if data.guessed is not None and (guesses := data.guessed[rows]).any():
        raise DataError(
            f"{int(guesses.sum())} of {len(rows)} rows to reveal hold a guess in place of their label in {data.name}; "
            "reveal them in the data that the guesses were added to."
        )
    left = paid(data, rows[~data.visible[rows]])
    visible = data.visible.copy()
    visible[rows] = True
    return replace(data, visible=visible, allowance=left)


def with_label_values(data: "Data", which: NDArray[Any], labels: NDArray[Any], *, guessed: bool = False) -> "Data":
    """The labels at positions `which` set to `labels` and visible.

    Args:
        data: The rows.
        which: Positions of rows.
        labels: Their labels.
        guessed: True for a model's own guesses, False for the answers of an annotator, which spend the allowance.

    Raises:
        DataError: They are answers, and no more labels may be revealed.
    """
    rows, column = data.rows[which], data.label
    marks = np.zeros(len(data.visible), bool) if data.guessed is None else data.guessed.copy()
    left = data.allowance if guessed else paid(data, rows[~data.visible[rows] | marks[rows]])
    marks[rows] = guessed
    values = np.array(column.values[np.arange(len(column))], copy=True)
    if values.dtype.kind in "US":
        values = values.astype(object)
    values[rows] = column.of.shaped(column.of.labels(column.name, labels), column.values.shape[1:])
    absent = None if column.absent is None else column.absent.copy()
    if absent is not None:
        absent[rows] = False
    visible = data.visible.copy()
    visible[rows] = True
    columns = {**data.columns, column.name: replace(column, values=values, absent=absent)}
    return replace(
        data, columns=columns, visible=visible, guessed=marks if marks.any() else None, allowance=left, origin=None
    )  # fmt: skip
