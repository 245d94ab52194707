"""Needs of labels: one of any kind, a class or a number, a class, several columns, rows without one."""

from dataclasses import replace

import numpy as np

from manyways.data.data import Data
from manyways.data.kinds.basic import TEXT
from manyways.data.targets import TARGETS, kind_of
from manyways.data.targets.base import CONFIDENCE, CONSISTENCY, PSEUDO_LABELS
from manyways.data.targets.forecast import ForecastTarget
from manyways.methods.needs.base import Check, Need


def _any_label(data: Data) -> str | None:
    if not data.has("label"):
        columns = ", ".join(data.columns)
        return f'it needs labels, and no column has that role. Name it: label="…" with one of {columns}.'
    if len(data.labels) > 1:
        names = ", ".join(column.name for column in data.labels)
        return (
            f"it needs one label, and {len(data.labels)} columns have that role ({names}). Name one: "
            f'label="{data.labels[0].name}"; several at once learns multi-task.'
        )
    if not data.training.labelled.any():
        return f"it needs labels, and no training row has one in {data.label.name!r}. Label some rows."
    return None


def _label_column(data: Data) -> str | None:
    """As `_any_label`, of data none of whose labels may be seen yet."""
    return _any_label(replace(data, visible=np.ones(len(data.visible), bool)))


def _label(data: Data) -> str | None:
    if reason := _any_label(data):
        return reason
    if data.label.kind in ("category", "number"):
        return None
    return (
        f"it needs a class or a number for each row, and the label {data.label.name!r} is of the kind "
        f"{data.label.kind}. Of such labels learn supervised and fine-tune."
    )


def _row_label(data: Data) -> str | None:
    if reason := _any_label(data):
        return reason
    kind = kind_of(data)
    if not kind.structured:
        return None
    return (
        f"it needs a class, a number or a set of classes for each row, and the label {data.label.name!r} is of the "
        f"kind {kind.kind}. Of such labels learn supervised and fine-tune."
    )


def _numbers_or_classes(data: Data) -> str | None:
    if reason := _any_label(data):
        return reason
    return None if kind_of(data) is ForecastTarget else _row_label(data)


def _supporting(support: str, what: str) -> Check:
    """The check that the label is of a kind that supports `support`; `what` the method does, after "it"."""

    def check(data: Data) -> str | None:
        if reason := _any_label(data):
            return reason
        kind = kind_of(data)
        if support in kind.supports:
            return None
        if not kind.structured:
            return _classes(data)
        return (
            f"it {what}, which is not defined for the label {data.label.name!r} of the kind {kind.kind}. Of such "
            "labels learn supervised and fine-tune."
        )

    return check


def _labels(data: Data) -> str | None:
    several = len(data.labels) > 1
    if several and data.training.labelled.any():
        return None
    if several:
        names = ", ".join(column.name for column in data.labels)
        return f"it needs labels, and no training row has one in {names}. Label some rows."
    having = f"only {data.label.name!r} has" if data.labels else "no column has"
    one = " One alone learns supervised." if data.labels else ""
    return f'it needs several labels, and {having} that role. Name them: label=("…", "…").{one}'


def _classes(data: Data) -> str | None:
    if reason := _any_label(data):
        return reason
    if data.classification:
        return None
    structured = {kind.column_kind for kind in TARGETS.all().values() if kind.structured} - {TEXT.name}
    if data.label.kind in structured:  # a text may be the name of a class
        return (
            f"it needs classes, and the label {data.label.name!r} is of the kind {data.label.kind}. Of such labels "
            "learn supervised and fine-tune."
        )
    name = data.label.name
    what = "a number" if data.label.kind == "number" else f"of the kind {data.label.kind}"
    return (
        f"it needs classes, and the label {name!r} is {what}. If its values are classes: "
        f'kinds={{"{name}": "category"}}.'
    )


def _classes_or_structure(data: Data) -> str | None:
    if reason := _any_label(data):
        return reason
    return None if kind_of(data).structured else _classes(data)


def _unlabelled(data: Data) -> str | None:
    if not data.has("label") or not data.training.labelled.all():
        return None
    return (
        "it needs rows without a label, and every training row has one. Add unlabelled rows, or hide labels: "
        "data.with_labels(40)."
    )


AnyLabel = Need("label", "some rows with a label", _any_label, labelled=True)
LabelColumn = Need("label-column", "a column for labels", _label_column, labelled=True)
Label = Need("class-or-number", "some rows with a label", _label, labelled=True)
RowLabel = Need("row-label", "a class, a number or a set of classes on some rows", _row_label, labelled=True)
NumbersOrClasses = Need(
    "numbers-or-classes", "a class, a set of classes, a number or the next values of a series on some rows",
    _numbers_or_classes, labelled=True,
)  # fmt: skip
Consistency = Need(
    "consistency", "a label of which two predictions can be compared",
    _supporting(CONSISTENCY, "compares the outputs of two networks"), labelled=True,
)  # fmt: skip
PseudoLabels = Need(
    "pseudo-labels", "a label whose parts have probabilities",
    _supporting(PSEUDO_LABELS, "takes its surest guesses for labels"), labelled=True,
)  # fmt: skip
Confidence = Need(
    "confidence", "a label of which predictions are more or less sure",
    _supporting(CONFIDENCE, "asks how sure a prediction is"), labelled=True,
)  # fmt: skip
SeveralLabels = Need("labels", "several labels", _labels, labelled=True)
Classes = Need("classes", "a label that is a category", _classes, labelled=True)
ClassesOrStructure = Need(
    "classes-or-structure", "a label that is a category, or has a structure", _classes_or_structure, labelled=True
)
Unlabelled = Need("unlabelled", "rows without a label", _unlabelled)
