"""Small rows with labels that have a structure, a builder for each kind, for promises about all kinds of labels."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.boxes import Box, spelled
from manyways.data.columns import Column
from manyways.data.data import Data

COUNT, LABELLED = 48, 20
_NAMES, _DOES, _THINGS = ("ann", "bob", "cid"), ("sees", "wants", "finds"), ("dog", "tree", "lamp", "boat")
_IN_GERMAN = {
    "ann": "Anna", "bob": "Robert", "cid": "Zid", "sees": "sieht", "wants": "will", "finds": "findet",
    "dog": "Hund", "tree": "Baum", "lamp": "Lampe", "boat": "Boot",
}  # fmt: skip


def _sentences(rng: np.random.Generator) -> list[list[str]]:
    """A name, a verb, and one thing or two."""
    return [
        [str(rng.choice(_NAMES)), str(rng.choice(_DOES)), *map(str, rng.choice(_THINGS, 1 + row % 2, replace=False))]
        for row in range(COUNT)
    ]


def _text(rng: np.random.Generator) -> list[Column]:
    sentences = _sentences(rng)
    return [
        _column("says", "text", [" ".join(words) for words in sentences]),
        _column("label", "text", [" ".join(_IN_GERMAN[word] for word in words) for words in sentences]),
    ]


def _tags(rng: np.random.Generator) -> list[Column]:
    """Who is a person, and what a thing; every second sentence begins with a person of two words."""
    sentences = [["dr", *words] if row % 2 else words for row, words in enumerate(_sentences(rng))]
    tags = [
        "\t".join(["B-WHO"] + ["I-WHO"] * (row % 2) + ["O"] + ["B-THING"] * (len(words) - 2 - row % 2))
        for row, words in enumerate(sentences)
    ]
    return [_column("words", "words", ["\t".join(words) for words in sentences]), _column("label", "tags", tags)]


def _tree(rng: np.random.Generator) -> list[Column]:
    """The verb is the root, and all others hang from it."""
    sentences = _sentences(rng)
    trees = ["\t".join(["2:subject", "0:root", *["2:object"] * (len(words) - 2)]) for words in sentences]
    return [_column("words", "words", ["\t".join(words) for words in sentences]), _column("label", "tree", trees)]


def _squares(rng: np.random.Generator) -> tuple[Column, NDArray[np.int32], list[list[tuple[int, int, int]]]]:
    """Pictures with a bright square or two, the squares numbered in masks, and their left, top and side."""
    pixels = rng.integers(0, 60, (COUNT, 1, 16, 16), np.uint8)
    numbers = np.zeros((COUNT, 16, 16), np.int32)
    places = []
    for row in range(COUNT):
        lefts = (int(rng.integers(0, 3)), int(rng.integers(9, 12)))[: 1 + row % 2]
        places.append([(left, int(rng.integers(0, 10)), 6 - 2 * at) for at, left in enumerate(lefts)])
        for number, (left, top, side) in enumerate(places[-1], 1):
            pixels[row, 0, top : top + side, left : left + side] += 150
            numbers[row, top : top + side, left : left + side] = number
    return Column("picture", "image", pixels), numbers, places


def _boxes(rng: np.random.Generator) -> list[Column]:
    """The left squares are large, the right ones small."""
    picture, _, places = _squares(rng)
    rows = [
        [Box(("large", "small")[at], left, top, left + side, top + side) for at, (left, top, side) in enumerate(row)]
        for row in places
    ]
    return [picture, _column("label", "boxes", list(map(spelled, rows)))]


def _mask(rng: np.random.Generator) -> list[Column]:
    picture, numbers, _ = _squares(rng)
    return [picture, Column("label", "mask", (numbers > 0).astype(np.uint8))]


def _instances(rng: np.random.Generator) -> list[Column]:
    picture, numbers, _ = _squares(rng)
    return [picture, Column("label", "instances", numbers)]


LABEL_KINDS: Mapping[str, Callable[[np.random.Generator], list[Column]]] = {
    "label of boxes": _boxes, "label of instances": _instances, "label of masks": _mask, "label of tags": _tags,
    "label of text": _text, "label of tree": _tree,
}  # fmt: skip


def _column(name: str, kind: str, values: list[str]) -> Column:
    cells = np.empty(len(values), object)
    cells[:] = values
    return Column(name, kind, cells)


def rows_with_label(kind: str) -> Data:
    """Return 48 rows with a label of a kind, the last column; a fifth for testing, with some of the labels visible."""
    columns = LABEL_KINDS[kind](np.random.default_rng(0))
    roles = {"input": [column.name for column in columns[:-1]], "label": [columns[-1].name]}
    data = Data.from_columns(columns, roles, name=kind).with_test(0.2)
    return data.with_labels(LABELLED)


def with_two_tasks(data: Data) -> Data:
    """Return `data` with a column of the role task, whose rows belong to two tasks in turn."""
    tasks = Column("task", "category", np.arange(len(data.part)) % 2)
    return replace(data, columns={**data.columns, "task": tasks}, roles={**data.roles, "task": ("task",)})
