"""Beginning of a stream: at its first row, or where a model left it."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects, places_in
from manyways.data.data import Data, by_kind
from manyways.data.storage import RowNumbers, view_of
from manyways.data.targets import ClassTarget, NumberTarget, Target
from manyways.errors import DataError
from manyways.methods.features import start_features
from manyways.methods.online._inputs import Inputs, fresh_inputs, grown_inputs
from manyways.models.model import Model
from manyways.models.stream import StreamPredictor
from manyways.models.streams.head import StreamHead

TABLE = 4096
"""Whole numbers within a range of so many are looked up in a table."""


@dataclass(frozen=True, eq=False)
class Begun:
    """The state before the next row: how inputs become features, what the outputs mean, and the head."""

    inputs: Inputs
    target: Target
    head: StreamHead
    own_inputs: bool


@dataclass(frozen=True, eq=False)
class Growth:
    """The inputs and the label of a stream that goes on, and where among its outputs and features the old ones are."""

    inputs: Inputs
    target: Target
    outputs: NDArray[np.int64]
    columns: NDArray[np.int64]


class Beginner(Protocol):
    """A method as a stream begins by it."""

    def new_head(self, inputs: Inputs, target: Target, seed: int) -> StreamHead:
        """The head before the first row."""

    def grown_head(self, before: StreamHead, growth: Growth) -> StreamHead:
        """A head that goes on from `before`."""


def begin(data: Data, positions: RowNumbers, model: Model | None, method: Beginner, seed: int) -> Begun:
    """The stream of the rows at `positions`: the next of `model`'s where that is of a stream, a new one otherwise.

    A new one has the features of `model`, or the raw inputs. Raises DataError where rows do not go on with the
    stream: another label, other columns; ModelError where the method cannot go on from the model's head.
    """
    if isinstance(model, StreamPredictor):
        return _go_on(data, positions, model, method)
    if model is None:
        inputs = fresh_inputs(data, positions)
    else:
        frozen = start_features(data, model, seed)
        inputs = Inputs(frozen.encoding, frozen.network)
    target = _target(data.label.name, data.classes if data.classification else ())
    return Begun(inputs, target, method.new_head(inputs, target, seed), model is None)


def _go_on(data: Data, positions: RowNumbers, model: StreamPredictor, method: Beginner) -> Begun:
    assert model.target is not None
    target = _target(model.target.name, _more_classes(model.target, data))
    inputs, columns = grown_inputs(model, data, positions)
    classes = np.array([target.classes.index(known) for known in model.target.classes], np.int64)
    outputs = classes if target.classification else np.zeros(1, np.int64)
    head = method.grown_head(model.head, Growth(inputs, target, outputs, columns))
    return Begun(inputs, target, head, model.own_inputs)


def _target(name: str, classes: tuple[Any, ...]) -> Target:
    """The label `name`: one of `classes`, or a number in its own unit where there are none."""
    return ClassTarget(name, classes) if classes else NumberTarget(name)


def _more_classes(target: Target, data: Data) -> tuple[Any, ...]:
    """The model's classes and the new ones of `data`, in the order that `Data.classes` has."""
    name = data.label.name
    if name != target.name:
        raise DataError(
            f"The model predicts {target.name!r}, and the label of {data.name} is {name!r}. Rename the column, or name "
            f'the right one: label="{target.name}".'
        )
    if data.classification != target.classification:
        kinds = ("number", "category")
        was = kinds[target.classification]
        raise DataError(
            f"The label {name!r} was a {was} so far, and in {data.name} it is a {kinds[data.classification]}. Say what "
            f'it is: kinds={{"{name}": "{was}"}}.'
        )
    classes = as_objects(list(data.classes))
    fresh = classes[places_in(classes, target.classes) < 0].tolist()
    types, others = {type(known) for known in target.classes}, {type(new) for new in fresh}
    if target.classification and len(types) == 1 and others and others != types:
        (kind,) = types
        raise DataError(
            f"The classes of {name!r} were of the type {kind.__name__} so far ({target.classes[0]!r}), and in "
            f"{data.name} they are {', '.join(sorted(new.__name__ for new in others))} ({fresh[0]!r}). Write "
            "them alike."
        )
    if not target.classification:
        return ()
    return tuple(sorted({*target.classes, *fresh}, key=by_kind))


def labels_of(data: Data, positions: RowNumbers, target: Target) -> NDArray[np.int64] | NDArray[np.float64]:
    """Class codes int64, or numbers float64, of the rows at `positions`. Raises DataError for one that is infinite."""
    rows = data.select(positions)
    if target.classification:
        return _codes(rows, target)
    values = np.asarray(rows.take(target.name), np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(f"The label {target.name!r} is infinite in row {rows.rows[bad][0]} of {data.name}. Correct it.")
    return values


def _codes(rows: Data, target: Target) -> NDArray[np.int64]:
    """As `Target.encode`, which looks at every label as an object; whole numbers, which are sorted, are looked up."""
    values, known = view_of(rows.columns[target.name].values, rows.rows), np.asarray(target.classes)
    if values.dtype.kind in "iu" and known.dtype.kind in "iu" and len(values):
        lowest, highest = int(known[0]), int(known[-1])
        if highest - lowest < TABLE and lowest <= values.min() and values.max() <= highest:
            table = np.full(highest - lowest + 1, -1, np.int64)
            table[known - lowest] = np.arange(len(known))
            codes = np.asarray(table[values - lowest if lowest else values])
            sound = bool(codes.min() >= 0)
        else:
            codes = np.minimum(np.searchsorted(known, values), len(known) - 1)
            sound = np.array_equal(known[codes], values)
        if sound:
            return codes
    return np.asarray(target.encode(rows), np.int64)
