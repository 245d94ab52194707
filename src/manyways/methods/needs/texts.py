"""Needs of sentence encoders: texts and no other inputs, alone or in pairs."""

from manyways.data.data import Data
from manyways.data.presence import named
from manyways.methods.needs.base import Need
from manyways.methods.needs.inputs import Input


def _texts(data: Data) -> str | None:
    if reason := Input.check(data):
        return reason
    others = [column for column in data.inputs if column.kind != "text"]
    if not others:
        return None
    texts = [column.name for column in data.inputs if column.kind == "text"]
    names = texts[0] if len(texts) == 1 else tuple(texts)
    hint = (
        f"Name the texts alone: input={names!r}."
        if texts
        else f'If they are texts: kinds={{"{others[0].name}": "text"}}.'
    )
    return f"it needs texts and no other inputs, and {named(others)} holds none. {hint}"


def _pairs(data: Data) -> str | None:
    if reason := _texts(data):
        return reason
    if len(data.inputs) > 1:
        return None
    return (
        f"it needs two texts of each row, and there is one ({named(data.inputs)}). Name two columns: "
        f'input=("…", "…"), out of {", ".join(data.columns)}. From texts alone learns simcse.'
    )


def _in_order(data: Data) -> str | None:
    if data.has("text"):
        return None
    if reason := _texts(data):
        return reason.replace("it needs an input", "it needs running text or an input", 1)
    if len(data.inputs) == 1:
        return None
    return (
        f"it needs texts in order, and there are several inputs ({named(data.inputs)}). Name the one whose rows follow "
        f"each other: input={data.inputs[0].name!r}."
    )


Texts = Need("texts", "texts, and no other inputs", _texts)
TextPairs = Need("text-pairs", "two texts of each row, and no other inputs", _pairs, reads_labels=True)
TextInOrder = Need("text-in-order", "running text, or one input of texts in the order of the rows", _in_order)
