"""Beginning of a stream: at its first row, or where a model left it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects, places_in
from manyways.data.data import Data, by_kind
from manyways.data.storage import RowNumbers
from manyways.data.targets import ClassTarget, NumberTarget, Target
from manyways.errors import DataError, ModelError
from manyways.methods.features import start_features
from manyways.methods.online._inputs import Inputs, fresh_inputs, grown_inputs
from manyways.models.model import Model
from manyways.models.stream import StreamHead, StreamPredictor

OF_DETECTOR = ("ticks", "width", "total", "spread", "lowest")


@dataclass(frozen=True, eq=False)
class Begun:
    """The state before the next row: how inputs become features, what the outputs mean, and the head."""

    inputs: Inputs
    target: Target
    head: StreamHead
    own_inputs: bool


def begin(
    data: Data, positions: RowNumbers, model: Model | None, *, standardise: bool, detector: str, seed: int
) -> Begun:
    """The stream of the rows at `positions`: the next of `model`'s where that is of a stream, a new one otherwise.

    A new one has the features of `model`, or the raw inputs. Raises DataError where rows do not go on with the
    stream: another label, other columns; ModelError where the model was learned with another `standardise`.
    """
    if isinstance(model, StreamPredictor):
        return _go_on(data, positions, model, standardise, detector)
    if model is None:
        inputs = fresh_inputs(data, positions)
    else:
        frozen = start_features(data, model, seed)
        inputs = Inputs(frozen.encoding, frozen.network)
    name, classes = data.label.name, data.classes if data.classification else ()
    outputs = max(1, len(classes))
    head = StreamHead(inputs.network.width, outputs, bool(classes), standardise, detector)
    return Begun(inputs, _target(name, classes), head, model is None)


def _go_on(data: Data, positions: RowNumbers, model: StreamPredictor, standardise: bool, detector: str) -> Begun:
    before, target = model.head, model.target
    assert target is not None
    if before.standardise != standardise:
        raise ModelError(
            f"OnlineSGD.standardise must be {before.standardise}, as it was for the rows that the model learned; got "
            f"{standardise}."
        )
    target = _target(target.name, _more_classes(target, data))
    inputs, columns = grown_inputs(model, data, positions)
    assert model.target is not None
    classes = np.array([target.classes.index(known) for known in model.target.classes], np.int64)
    outputs = classes if target.classification else np.zeros(1, np.int64)
    config = {**before.config, "width": inputs.network.width, "outputs": target.width, "detector": detector}
    head = StreamHead(**config)
    old, new = before.state, head.state
    new.mean[columns], new.variance[columns] = old.mean, old.variance
    new.weight[np.ix_(outputs, columns)] = old.weight
    new.bias[outputs], new.seen[outputs] = old.bias, old.seen
    new.counts[:], new.numbers[:] = old.counts, old.numbers
    for which in ("first", "second"):
        if (code := old.counts[which][0]) >= 0:
            new.counts[which] = outputs[code]
    head.drifts.copy_(before.drifts)
    head.curve.copy_(before.curve)
    if detector == before.detector:
        for name in ("levels", "totals", "spreads"):
            getattr(new, name)[...] = getattr(old, name)
    else:
        for name in OF_DETECTOR:
            new.numbers[name] = 0.0
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
    values, known = rows.take(target.name), np.asarray(target.classes)
    if values.dtype.kind in "iu" and known.dtype.kind in "iu":
        codes = np.minimum(np.searchsorted(known, values), len(known) - 1)
        if np.array_equal(known[codes], values):
            return codes
    return np.asarray(target.encode(rows), np.int64)
