"""Pictures with annotations, whatever form these have: as a table of images and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from manyways.data.boxes import Box, spelled
from manyways.data.parts import TRAINING
from manyways.data.sources.base import MaskItem, Masks, Media, Options, Raw, RawColumn, RawTable
from manyways.errors import DataError

LARGEST = 256
"""Pixels of the longer side of pictures whose objects have places, unless `image_size` asks for more."""
LABEL, IMAGE = "label", "image"
BOXES, MASK, INSTANCES = "boxes", "mask", "instances"


@dataclass(frozen=True)
class Annotated:
    """A picture, and what is known of it.

    Attributes:
        name: What messages call it.
        image: Its file; None where there is none.
        boxes: Its boxes; None where nothing is known.
        mask: Its mask, where the label is one.
        size: Its height and width, as its annotation states them.
        part: Training, validation or test.
        problem: The reason why it cannot be used.
    """

    name: str
    image: Path | None
    boxes: Sequence[Box] | None = None
    mask: MaskItem = None
    size: tuple[int, int] | None = None
    part: int = TRAINING
    problem: str = ""


def labels_of(options: Options, allowed: Sequence[str], source: Path) -> dict[str, str]:
    """The labels that are wanted of `source`, and the kind of each: one, or several that are called by their kinds."""
    if options.labels and all(name in allowed for name in options.labels):
        return {name: name for name in options.labels}
    return {LABEL: kind_of(options, allowed, source)}


def kind_of(options: Options, allowed: Sequence[str], source: Path) -> str:
    """The kind of label that is wanted of `source`, the first of those `allowed` unless `kinds` says another.

    Raises:
        DataError: It is none of those.
    """
    wanted = options.kinds.get(LABEL, allowed[0])
    if wanted not in allowed:
        raise DataError(
            f"{source} holds annotated pictures, whose label can be of the kind {' or '.join(allowed)}; got "
            f"kinds={{{LABEL!r}: {wanted!r}}}."
        )
    return wanted


def raw_of(rows: Sequence[Annotated], kinds: Mapping[str, str], source: Path, notes: Mapping[str, str]) -> Raw:
    """`rows` as one table with the column `image`, and labels of those `kinds` by their names.

    Raises:
        DataError: There is no row, or none for training.
    """
    if not rows:
        raise DataError(f"{source} holds annotations of no picture.")
    rows = sorted(rows, key=lambda row: (row.part, row.name))
    if rows[0].part != TRAINING:
        raise DataError(f"{source} has no pictures for training: all of its lists and folders are of other parts.")
    bad = {number: row.problem for number, row in enumerate(rows) if row.problem}
    bad |= {
        number: "there is no such picture" for number, row in enumerate(rows) if row.image is None and not row.problem
    }
    media = Media([row.image for row in rows], LARGEST, [row.size for row in rows])
    values: dict[str, Any] = {
        name: [None if row.boxes is None else spelled(row.boxes) for row in rows]
        if kind == BOXES
        else Masks([row.mask for row in rows], IMAGE)
        for name, kind in kinds.items()
    }
    labels = [RawColumn(name, values[name], kind) for name, kind in kinds.items()]
    columns = [RawColumn(IMAGE, media, IMAGE), *labels]
    table = RawTable(
        columns,
        source.name,
        str(source),
        np.array([row.part for row in rows], np.uint8),
        rows=[row.name for row in rows],
        notes=notes,
        label=labels[0].name if len(labels) == 1 else None,
        bad=bad,
    )
    return Raw([(TRAINING, table)], source.name, str(source))


def with_problem(row: Annotated, error: Exception) -> Annotated:
    """The `row` with what is wrong with it, for the message that refuses it or the note that leaves it out."""
    return replace(row, problem=row.problem or str(error).rstrip("."))
