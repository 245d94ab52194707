"""Ablations: data that have lost the signal which a method is defined by."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.storage import RowNumbers

if TYPE_CHECKING:
    from gymnasium import Env

    from manyways.data.environments import Environment
    from manyways.methods.needs import Need


def without_signal(needs: "Iterable[Need]", data: Data) -> dict[str, Data]:
    """Return `data` without the signal of each of the `needs` that has one, by what is missing.

    Rows stay what and where they are; only what belongs to which of them changes.
    """
    lost = {}
    for need in needs:
        what, without = ("its labels", _labels) if need.labelled else _SIGNALS.get(need.name, ("", None))
        if without is not None:
            lost[what] = without(data)
    return lost


def with_column(data: Data, column: Column) -> Data:
    """Return `data` with another column in the place of the one with its name; row ids stay."""
    return replace(data, columns={**data.columns, column.name: column})


def with_values(data: Data, name: str, rows: RowNumbers, values: Any) -> Data:
    """Return `data` with other `values` of the column `name` in `rows` of its table."""
    column = data.columns[name]
    changed = np.array(column.values[np.arange(len(column))], copy=True)
    changed[rows] = values
    return with_column(data, replace(column, values=changed))


def exchanged(data: Data, name: str, rows: RowNumbers, by: int = 1) -> Data:
    """Return `data` with the values of the column `name` rotated among `rows` of its table."""
    return with_values(data, name, rows, np.roll(data.columns[name].take(rows), by, axis=0))


def _training(data: Data) -> RowNumbers:
    rows: RowNumbers = data.rows[data.part[data.rows] == TRAINING]
    return rows


def _labels(data: Data) -> Data:
    rows = _training(data)
    for label in data.labels:
        data = exchanged(data, label.name, rows[data.visible[rows] & ~label.missing(rows)])
    return data


def _role(role: str, data: Data) -> Data:
    for name in data.roles.get(role, ()):
        data = exchanged(data, name, _training(data))
    return data


def _pairs(data: Data) -> Data:
    return replace(data, roles={**data.roles, "chosen": data.roles["rejected"], "rejected": data.roles["chosen"]})


def _judgements(data: Data) -> Data:
    return _labels(data) if data.has("label") else _pairs(data)


def _backwards(data: Data) -> Data:
    from manyways.models.language.rows import text_columns

    for name in text_columns(data):
        texts = data.columns[name].take(np.arange(len(data.part)))
        data = with_values(data, name, np.arange(len(texts)), _objects(text[::-1] for text in texts))
    return data


def _marks(data: Data) -> Data:
    return data.with_forgotten(np.roll(data.forgotten, 1))


def _last_input(data: Data) -> Data:
    return exchanged(data, data.roles["input"][-1], _training(data))


def _rewards(data: Data) -> Data:
    assert data.environment is not None
    environment = data.environment
    return replace(data, environment=replace(environment, spec=None, factory=partial(_other_rewards, environment)))


def _other_rewards(environment: "Environment") -> "Env[Any, Any]":
    from gymnasium.wrappers import TransformReward

    return TransformReward(environment.make_one(), lambda reward: 1 - float(reward))


def _objects(values: Iterable[str]) -> NDArray[Any]:
    texts = list(values)
    out = np.empty(len(texts), object)
    out[:] = texts
    return out


_SIGNALS: Mapping[str, tuple[str, Callable[[Data], Data]]] = {
    "client": ("its clients", partial(_role, "client")),
    "domain": ("its domains", partial(_role, "domain")),
    "forget": ("its rows to be forgotten", _marks),
    "inputs": ("inputs that belong together", _last_input),
    "paired": ("inputs that belong together", _last_input),
    "text": ("the order of its tokens", _backwards),
    "answers": ("answers to its prompts", partial(_role, "completion")),
    "pairs": ("its preferences", _pairs),
    "judged": ("its judgements", _judgements),
    "environment": ("its rewards", _rewards),
}
"""By the names of needs: what is missing, and data without it."""
