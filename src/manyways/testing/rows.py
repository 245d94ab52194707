"""Small rows of every kind, for promises about all of them: a table, texts, images and sounds of three classes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.parts import TRAINING, VALIDATION
from manyways.testing.label_rows import LABEL_KINDS, rows_with_label, with_two_tasks

Codes = NDArray[np.int64]

COUNT, LABELLED, CLASSES = 96, 36, 3
_WORDS = (("goal", "team", "coach", "score"), ("bake", "salt", "oven", "bread"), ("star", "moon", "comet", "orbit"))
_FILLER = ("the", "a", "of", "and", "very", "today")


def _table(codes: Codes, rng: np.random.Generator) -> list[Column]:
    numbers = codes[:, None] + rng.normal(0, 0.5, (len(codes), 2))
    kinds = np.where(rng.random(len(codes)) < 0.8, codes, 0)
    return [
        Column("width", "number", numbers[:, 0]),
        Column("height", "number", 100 + 30 * numbers[:, 1]),
        Column("kind", "category", np.array(["red", "green", "blue"], object)[kinds]),
    ]


def _texts(codes: Codes, rng: np.random.Generator) -> list[Column]:
    texts = np.empty(len(codes), object)
    texts[:] = [" ".join(rng.permutation([*rng.choice(_WORDS[code], 2), *rng.choice(_FILLER, 3)])) for code in codes]
    return [Column("says", "text", texts)]


def _images(codes: Codes, rng: np.random.Generator) -> list[Column]:
    pixels = rng.integers(0, 60, (len(codes), 1, 8, 8), np.uint8)
    for at, code in enumerate(codes):
        pixels[at, 0, :, 2 * code : 2 * code + 3] += 150
    return [Column("picture", "image", pixels)]


def _sounds(codes: Codes, rng: np.random.Generator) -> list[Column]:
    time = np.arange(1000) / 8000
    waves = np.sin(2 * np.pi * np.array([300, 800, 2000])[codes][:, None] * time)
    waves += rng.normal(0, 0.2, waves.shape)
    return [Column("sound", "audio", (waves * 8000).astype(np.int16), 8000)]


KINDS: Mapping[str, Callable[[Codes, np.random.Generator], list[Column]]] = {
    "table": _table,
    "text": _texts,
    "image": _images,
    "sound": _sounds,
}


def rows_of_kind(kind: str) -> Data:
    """Return 96 rows of a kind, a fifth for testing, with some of the labels visible; or 48 with a label of a kind."""
    if kind in LABEL_KINDS:
        return rows_with_label(kind)
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.arange(COUNT) % CLASSES)
    inputs = KINDS[kind](codes, rng)
    label = Column("label", "category", np.array(["low", "middle", "high"], object)[codes])
    roles = {"input": [column.name for column in inputs], "label": ["label"]}
    return Data.from_columns([*inputs, label], roles, name=kind).with_test(0.2).with_labels(LABELLED, draw="stratified")


def dressed(data: Data) -> Iterator[Data]:
    """Yield `data` as it is, and with what some methods need besides: clients, tasks, marks, another label or input."""
    everything = np.arange(len(data.part))
    score = Column("points", "number", np.sin(everything) + 5)
    beside = Column("beside", "image", np.random.default_rng(1).integers(0, 256, (len(everything), 1, 8, 8), np.uint8))
    yield data
    yield data.with_clients(3, alpha=10.0)
    yield data.with_tasks(2) if data.classification else with_two_tasks(data)
    yield data.with_forgotten(np.arange(len(data)) % 4 == 0)
    place = Column("place", "category", np.array(["here", "there"], object)[everything % 2])
    for column, role in ((score, "label"), (beside, "input"), (place, "domain")):
        roles = {**data.roles, role: (*data.roles.get(role, ()), column.name)}
        yield replace(data, columns={**data.columns, column.name: column}, roles=roles)


def with_validation(data: Data) -> Data:
    """Return `data` with some of its training rows for validation, two in three of these with a label to be seen.

    Those with a visible label stay: of each class one must be learned from.
    """
    training = data.part[data.rows] == TRAINING
    rows = data.rows[training & ~data.labelled if data.has("label") else training][::2]
    part, visible = data.part.copy(), data.visible.copy()
    part[rows] = VALIDATION
    visible[rows[np.arange(len(rows)) % 3 > 0]] = True
    return replace(data, part=part, visible=visible)
