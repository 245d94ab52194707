"""Needs of inputs: one, several, two that belong together, images; and rows that lack one."""

from functools import reduce

import numpy as np

from manyways.data.columns import modalities
from manyways.data.data import Data
from manyways.data.kinds import TABLE
from manyways.data.parts import TEST
from manyways.data.presence import absent_by_modality, lacking_rows, named, said_of_rows
from manyways.methods.needs.base import Need


def lacking_inputs(data: Data, *, some_may_lack: bool) -> str | None:
    """The rows to learn from that lack an input, with what to type instead; None if none does.

    Args:
        data: The rows.
        some_may_lack: True if rows may lack inputs, as long as they have one.
    """
    learned_from = data.part[data.rows] != TEST
    rows_by_input = {name: rows[learned_from[rows]] for name, rows in lacking_rows(data).items()}
    rows_by_input = {name: rows for name, rows in rows_by_input.items() if len(rows)}
    groups = modalities(data.inputs)
    if some_may_lack and rows_by_input:
        empty = (
            reduce(np.intersect1d, rows_by_input.values())
            if len(rows_by_input) == len(groups)
            else np.empty(0, np.int64)
        )
        rows_by_input = dict.fromkeys(rows_by_input, empty) if len(empty) else {}
    if not rows_by_input:
        return None
    count = int(learned_from.sum())
    gaps = [
        f"{said_of_rows(rows, count)} have nothing in {named(groups[name])}" for name, rows in rows_by_input.items()
    ]
    fill = ', or put medians in place: bad_rows="fill"' if "table" in rows_by_input else ""
    others = "" if some_may_lack else " Fusion and supervised learn from what is there."
    return f'it needs an input of each row, and {"; ".join(gaps)}. Leave those rows out: bad_rows="skip"{fill}.{others}'


def lacking_values(data: Data) -> str | None:
    """The rows in which a number or a category is missing, with what to type instead; None if none is.

    A row that lacks its whole table, and has another input, is none of them.
    """
    columns = [column for column in data.inputs if column.of.modality == TABLE and column.gaps is not None]
    if not columns:
        return None
    groups = modalities(data.inputs)
    absent = absent_by_modality(groups).get(TABLE) if len(groups) > 1 else None
    some = [(column, column.gaps[data.rows]) for column in columns if column.gaps is not None]
    if absent is not None:
        some = [(column, gaps & ~absent[data.rows]) for column, gaps in some]
    some = [(column, gaps) for column, gaps in some if gaps.any()]
    if not some:
        return None
    rows = np.flatnonzero(reduce(np.logical_or, [gaps for _, gaps in some]))
    return (
        f"it needs a value in each cell, and {said_of_rows(rows, len(data))} lack one, in "
        f'{named(column for column, _ in some)}. Put medians in place: bad_rows="fill"; or leave those rows out: '
        'bad_rows="skip". Gradient-boosting, random-forest and linear learn from rows as they are.'
    )


def _input(data: Data) -> str | None:
    if data.inputs:
        return None
    names = ", ".join(data.columns)
    return f'it needs an input, and no column has that role. Name it: input="…" with one of {names}.'


def _inputs(data: Data) -> str | None:
    groups = modalities(data.inputs)
    if not groups:
        return _input(data)
    if len(groups) > 1:
        return None
    ((name, columns),) = groups.items()
    only = f"one table ({named(columns)})" if name == "table" else f"one ({named(columns)})"
    texts = [column for column, why in data.ignored.items() if "names each row" in why]
    hint = f' If {texts[0]!r} describes a row: kinds={{"{texts[0]}": "text"}}.' if texts else ""
    return f"it needs several inputs, such as images and text, and there is {only}.{hint} From one learns supervised."


def _paired(data: Data) -> str | None:
    groups = modalities(data.inputs)
    if len(groups) == 2:
        return None
    if reason := _inputs(data):
        return reason.replace("several inputs", "two inputs", 1)
    names = [columns[0].name for columns in groups.values()]
    return (
        f"it needs two inputs that belong together, and there are {len(groups)}: "
        f"{', '.join(named(columns) for columns in groups.values())}. Name two: input=({names[0]!r}, {names[1]!r})."
    )


def _images(data: Data) -> str | None:
    if reason := _input(data):
        return reason
    others = [column for column in data.inputs if column.kind != "image"]
    if not others:
        return None
    images = [column.name for column in data.inputs if column.kind == "image"]
    hint = f"Name the images alone: input={images[0]!r}." if images else "SimCLR learns from inputs of every kind."
    return f"it needs images and no other inputs, and {named(others)} holds none. {hint}"


def _sound(data: Data) -> str | None:
    if reason := _input(data):
        return reason
    sounds = [column.name for column in data.inputs if column.kind == "audio"]
    if len(sounds) == len(data.inputs) == 1:
        return None
    hint = f"Name one sound alone: input={sounds[0]!r}." if sounds else "SimCLR learns from inputs of every kind."
    return f"it needs sound and no other inputs, and the inputs are {named(data.inputs)}. {hint}"


Input = Need("input", "an input column", _input)
SeveralInputs = Need("inputs", "several inputs", _inputs)
Paired = Need("paired", "two inputs that belong together", _paired)
Images = Need("images", "images, and no other inputs", _images)
Sound = Need("sound", "sound, and no other inputs", _sound)
