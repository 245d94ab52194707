"""Small rows with labels that have a structure, a builder for each kind, for promises about all kinds of labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.kinds.boxes import BOXES
from manyways.data.kinds.span import SPAN
from manyways.data.read import read

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


def _text(rng: np.random.Generator) -> Data:
    sentences = _sentences(rng)
    return _labelled(
        _column("says", "text", [" ".join(words) for words in sentences]),
        _column("label", "text", [" ".join(_IN_GERMAN[word] for word in words) for words in sentences]),
    )


def _words(sentences: list[list[str]]) -> Column:
    return _column("words", "words", ["\t".join(words) for words in sentences])


def _tags(rng: np.random.Generator) -> Data:
    """People and things; every second sentence begins with a person of two words."""
    sentences = [["dr", *words] if row % 2 else words for row, words in enumerate(_sentences(rng))]
    tags = [
        "\t".join(["B-WHO"] + ["I-WHO"] * (row % 2) + ["O"] + ["B-THING"] * (len(words) - 2 - row % 2))
        for row, words in enumerate(sentences)
    ]
    return _labelled(
        _column("words", "words", ["\t".join(words) for words in sentences]), _column("label", "tags", tags)
    )


def _tree(rng: np.random.Generator) -> Data:
    """The verb is the root, and all others hang from it."""
    sentences = _sentences(rng)
    trees = ["\t".join(["2:subject", "0:root", *["2:object"] * (len(words) - 2)]) for words in sentences]
    return _labelled(
        _column("words", "words", ["\t".join(words) for words in sentences]), _column("label", "tree", trees)
    )


def _pictures(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Pictures of 16 pixels with one bright square or two, and the number of the square in each pixel."""
    masks = np.zeros((COUNT, 16, 16), np.int32)
    for row, mask in enumerate(masks):
        for number in range(1 + row % 2):
            top, left = rng.integers(0, 3) + 8 * number, rng.integers(0, 10)
            mask[top : top + 5, left : left + 5] = 1 + number
    pixels = rng.integers(0, 60, (COUNT, 1, 16, 16)) + 150 * (masks[:, None] > 0)
    return pixels.astype(np.uint8), masks


def _boxes(rng: np.random.Generator) -> Data:
    pixels, masks = _pictures(rng)
    boxes = [[["square", *_corners(mask == number)] for number in range(1, 1 + mask.max())] for mask in masks]
    return _labelled(Column("picture", "image", pixels), _column("label", "boxes", BOXES.labels("label", boxes)))


def _corners(inside: NDArray[np.bool_]) -> list[int]:
    """Left, top, right and bottom of the pixels `inside`."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def _mask(rng: np.random.Generator) -> Data:
    pixels, masks = _pictures(rng)
    return _labelled(Column("picture", "image", pixels), Column("label", "mask", (masks > 0).astype(np.uint8)))


def _instances(rng: np.random.Generator) -> Data:
    pixels, masks = _pictures(rng)
    return _labelled(Column("picture", "image", pixels), Column("label", "instances", masks))


def _span(rng: np.random.Generator) -> Data:
    """The first word answers the one question, the last the other."""
    sentences = _sentences(rng)
    first = rng.random(COUNT) < 0.5
    answers = [
        {"text": [words[0]], "start": [0]} if asks else {"text": [words[-1]], "start": [len(" ".join(words[:-1])) + 1]}
        for words, asks in zip(sentences, first, strict=True)
    ]
    return _labelled(
        _column("context", "text", [" ".join(words) for words in sentences]),
        _column("question", "text", ["who is it that sees" if asks else "what is it that is seen" for asks in first]),
        Column("label", "span", SPAN.labels("label", answers)),
    )


def _forecast(rng: np.random.Generator) -> Data:
    count = COUNT + 20
    days = (np.datetime64("2024-01-01") + np.arange(count)).astype(str).tolist()
    sales = np.sin(np.arange(count) * 2 * np.pi / 7) + rng.normal(0, 0.1, count)
    return read({"day": days, "sales": sales}, time="day", label="sales", horizon=3, history=8)


LABEL_KINDS: Mapping[str, Callable[[np.random.Generator], Data]] = {
    "label of tags": _tags,
    "label of tree": _tree,
    "label of text": _text,
    "label of boxes": _boxes,
    "label of mask": _mask,
    "label of instances": _instances,
    "label of span": _span,
    "label of forecast": _forecast,
}


def _labelled(*columns: Column) -> Data:
    """Data with the last column for the label."""
    roles = {"input": [column.name for column in columns[:-1]], "label": [columns[-1].name]}
    return Data.from_columns(columns, roles)


def _column(name: str, kind: str, values: Sequence[str]) -> Column:
    cells = np.empty(len(values), object)
    cells[:] = values
    return Column(name, kind, cells)


def rows_with_label(kind: str) -> Data:
    """Return 48 rows with a label of a kind; a fifth for testing, with some of the labels visible."""
    data = replace(LABEL_KINDS[kind](np.random.default_rng(0)), name=kind)
    return (data if len(data.test) else data.with_test(0.2)).with_labels(LABELLED)


def with_two_tasks(data: Data) -> Data:
    """Return `data` with a column of the role task, whose rows belong to two tasks in turn."""
    tasks = Column("task", "category", np.arange(len(data.part)) % 2)
    return replace(data, columns={**data.columns, "task": tasks}, roles={**data.roles, "task": ("task",)})
