"""Passages of text in their order: paragraphs or sentences of running text, or the rows of a column."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data

PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
SENTENCE = re.compile(r"(?<=[.!?…。])[\"'”’)\]]*\s+")


@dataclass(frozen=True, eq=False)
class Passages:
    """Passages of the rows of a data set.

    Attributes:
        texts: The passages, in their order.
        starts: The numbers of those that another follows, which is the next one, int64.
    """

    texts: list[str]
    starts: NDArray[np.int64]


def passages_of(data: Data) -> Passages:
    """The passages of the rows of `data`: of running text where there is some, else each text of its one input.

    Rows follow each other as they stand in the table they were read from; where some are left out, or belong to another
    group or subject, nothing follows.
    """
    order = np.argsort(data.rows, kind="stable")
    rows = data.rows[order]
    running = data.has("text")
    name = data.roles["text"][0] if running else data.inputs[0].name
    values = ["" if value is None else str(value) for value in data.columns[name].take(rows)]
    joined = (np.diff(rows) == 1) & _same_group(data, order)
    if not running:
        there = np.array([bool(text.strip()) for text in values])
        return Passages(values, np.flatnonzero(joined & there[:-1] & there[1:]))
    texts: list[str] = []
    starts: list[int] = []
    for at, value in enumerate(values):
        own = split(value)
        if at and own and texts and joined[at - 1]:
            starts.append(len(texts) - 1)
        starts += range(len(texts), len(texts) + len(own) - 1)
        texts += own
    return Passages(texts, np.array(starts, np.int64))


def split(text: str) -> list[str]:
    """The paragraphs of `text`, between empty lines; its sentences where it is one paragraph."""
    paragraphs = [part.strip() for part in PARAGRAPH.split(text) if part.strip()]
    if len(paragraphs) > 1:
        return paragraphs
    return [part.strip() for part in SENTENCE.split(text) if part.strip()]


def _same_group(data: Data, order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True where a row, in this `order`, is of the group and the subject of the one before; [rows − 1]."""
    same = np.ones(max(0, len(order) - 1), bool)
    for role in ("group", "subject"):
        for name in data.roles.get(role, ()):
            values = data.take(name)[order].astype(str)
            same &= values[1:] == values[:-1]
    return same
