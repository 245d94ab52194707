"""What a method may need of the data, and how to say what is missing."""

from collections.abc import Callable, Iterable

from manyways.data.data import Data

NEEDS: dict[str, str] = {
    "input": "an input column",
    "label": "some rows with a label",
    "classes": "a label that is a category",
    "unlabelled": "rows without a label",
}
"""The words of `Method.needs` and what they mean."""


def lacking(needs: Iterable[str], data: Data) -> str | None:
    """The first need that `data` does not meet, with what to type instead; None if all are met."""
    for need in needs:
        if reason := _CHECKS[need](data):
            return reason
    return None


def _input(data: Data) -> str | None:
    if data.inputs:
        return None
    return f'an input is needed, and no column has that role. Name it: input="…" with one of {", ".join(data.columns)}.'


def _label(data: Data) -> str | None:
    if not data.has("label"):
        columns = ", ".join(data.columns)
        return f'labels are needed, and no column has that role. Name it: label="…" with one of {columns}.'
    if not data.training.labelled.any():
        return f"labels are needed, and no training row has one in {data.label.name!r}. Label some rows."
    return None


def _classes(data: Data) -> str | None:
    if reason := _label(data):
        return reason
    if data.classification:
        return None
    name = data.label.name
    return (
        f"classes are needed, and the label {name!r} is a number. If its values are classes: "
        f'kinds={{"{name}": "category"}}.'
    )


def _unlabelled(data: Data) -> str | None:
    if not data.has("label") or not data.training.labelled.all():
        return None
    return (
        "rows without a label are needed, and every training row has one. Add unlabelled rows, or hide labels: "
        "data.with_labels(40)."
    )


_CHECKS: dict[str, Callable[[Data], str | None]] = {
    "input": _input,
    "label": _label,
    "classes": _classes,
    "unlabelled": _unlabelled,
}
