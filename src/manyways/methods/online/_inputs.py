"""The inputs of a stream as numbers, by rows that came before alone: nothing is taken from what is yet to come."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects, counts_of, places_in
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoders import fit_encoder
from manyways.data.encoders.base import Encoder
from manyways.data.encoders.categories import HASHES, ONE_HOT, CategoryCode
from manyways.data.encoders.table import NumberCode, TableEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.kinds import TABLE
from manyways.data.notation import is_missing
from manyways.data.storage import RowNumbers, view_of
from manyways.errors import DataError
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.raw import Flat, Spectrum
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.models.stream import StreamPredictor

Wide = Mapping[str, int]
Code = NumberCode | CategoryCode


@dataclass(frozen=True, eq=False)
class Inputs:
    """Features of rows: an encoding and a network without a head."""

    encoding: InputEncoding
    network: Network

    def of(self, data: Data, positions: RowNumbers) -> NDArray[np.float32]:
        """The features of the rows at `positions`, float32 [rows, width]. Raises DataError for a row with a NaN."""
        table = self.encoding.encoders.get("table")
        if not isinstance(table, TableEncoder) or not self._is_the_table():
            return Predictor(network=self.network, inputs=self.encoding).embed(data.select(positions))
        rows = data.rows[positions]
        try:
            return _encoded(table, data, rows)
        except DataError as error:
            _refuse_bad_row(table, data, rows)
            raise error

    def _is_the_table(self) -> bool:
        return len(self.encoding.encoders) == 1 and isinstance(self.network.backbones[0], Flat)


def _encoded(table: TableEncoder, data: Data, rows: RowNumbers) -> NDArray[np.float32]:
    """As `table.encode`, but rows that follow each other are not copied out of their columns first."""
    out, place = np.empty((len(rows), sum(code.width for code in table.codes)), np.float32), 0
    for code in table.codes:
        values, numeric = view_of(data.columns[code.column].values, rows), False
        if isinstance(code, NumberCode) and code.scale == (1.0,) and code.furthest is None:
            numeric = values.ndim == 1 and values.dtype.kind in "iuf"
            if numeric:
                np.subtract(values, code.mean[0], out=out[:, place], dtype=np.float64, casting="same_kind")
        if not numeric:
            out[:, place : place + code.width] = code.encode(values)
        place += code.width
    if not np.isfinite(out).all():  # the encoder refuses what is no number; a number past float32 is one all the same
        return table.encode([data.columns[name] for name in table.columns], rows)
    return out


def fresh_inputs(data: Data, positions: RowNumbers) -> Inputs:
    """The raw inputs of a stream that begins with the rows at `positions`: its numbers, and categories as they come.

    Numbers are taken less those of the first row, so that float32 holds what varies of a date or a price.
    """
    rows = data.rows[positions]
    encoders: dict[str, Encoder] = {}
    for name, columns in _groups(data).items():
        if name == "table":
            encoders[name] = TableEncoder(tuple(_code(column, rows) for column in columns))
        else:
            encoders[name] = fit_encoder(columns, rows)
    encoding = InputEncoding(encoders)
    return Inputs(encoding, _network(encoding))


def grown_inputs(model: StreamPredictor, data: Data, positions: RowNumbers) -> tuple[Inputs, NDArray[np.int64]]:
    """The inputs of `model` with the categories that come up in `data`, and where its features are among them.

    Raises DataError where the input columns of `data` are not those of the model.
    """
    _check_columns(model, data)
    before = model.inputs.encoders
    kept = np.arange(model.network.width)
    if not model.own_inputs or "table" not in before:
        return Inputs(model.inputs, _without_head(model)), kept
    encoders, moved, grown = dict(before), [], 0
    for name, encoder in before.items():
        codes: list[Code] = []
        if isinstance(encoder, TableEncoder):
            for code in encoder.codes:
                codes.append(_with_new(code, data.columns[code.column], data.rows[positions]))
                moved.append(grown + np.arange(code.width))
                grown += codes[-1].width
            encoders[name] = TableEncoder(tuple(codes))
        else:
            width = _backbone(encoder).width
            moved.append(grown + np.arange(width))
            grown += width
    if encoders == before:
        return Inputs(model.inputs, _without_head(model)), kept
    encoding = InputEncoding(encoders)
    return Inputs(encoding, _network(encoding)), np.concatenate(moved)


def attributes_of(inputs: Inputs) -> list[list[int]]:
    """The columns of categories among the features, as `Attributes.nominal` has them.

    The first features of a column are its categories in the order in which they came up; what is shared is behind.
    """
    nominal, start = [], 0
    for name, width in zip(inputs.network.names, inputs.network.widths, strict=True):
        encoder, place = inputs.encoding.encoders[name], start
        if isinstance(encoder, TableEncoder) and isinstance(inputs.network.backbones[0], Flat):
            for code in encoder.codes:
                if isinstance(code, CategoryCode):
                    nominal.append([place, code.width, len(code.categories)])
                place += code.width
        start += width
    return nominal


def _groups(data: Data) -> dict[str, list[Column]]:
    groups: dict[str, list[Column]] = {}
    for column in data.inputs:
        name = TABLE if column.of.modality == TABLE else column.name
        groups.setdefault(name, []).append(column)
    return groups


def _network(encoding: InputEncoding) -> Network:
    return Network({name: _backbone(encoder) for name, encoder in encoding.encoders.items()}).eval()


def _backbone(encoder: Encoder) -> Backbone:
    return (Spectrum if encoder.spec.kind == "audio" else Flat).for_spec(encoder.spec)


def _without_head(model: StreamPredictor) -> Network:
    network = model.copy_of_network()
    network.head = None
    return network.eval()


def _code(column: Column, rows: RowNumbers) -> Code:
    if column.kind == "category":
        return _arriving(CategoryCode(column.name, ()), column, rows)
    first = np.asarray(column.take(rows[:1]), np.float64).reshape(-1)
    shift = tuple(np.where(np.isfinite(first), first, 0.0).tolist())
    return NumberCode(column.name, shift, (1.0,) * len(shift), None)


def _with_new(code: Code, column: Column, rows: RowNumbers) -> Code:
    return code if isinstance(code, NumberCode) else _arriving(code, column, rows)


def _arriving(code: CategoryCode, column: Column, rows: RowNumbers) -> CategoryCode:
    """`code` with the categories of `rows`, in the order in which they come up.

    Those after the first 1,024 share features behind those of the others.
    In that order a category that comes up later changes nothing that was learned, wherever the stream is cut.
    """
    values = column.take(rows)
    arriving = as_objects(list(counts_of(values[~is_missing(values)])))
    found = (*code.known, *arriving[places_in(arriving, code.known) < 0].tolist())
    own = max(ONE_HOT, len(code.categories))
    return replace(code, categories=found[:own], shared=found[own:], buckets=ONE_HOT // HASHES * (len(found) > own))


def _check_columns(model: StreamPredictor, data: Data) -> None:
    known = {name: encoder for encoder in model.inputs.encoders.values() for name in encoder.columns}
    inputs = {column.name: column for column in data.inputs}
    if lost := [name for name in known if name not in inputs]:
        raise DataError(
            f"The stream's columns have changed: {data.name} lacks the input{'s' if len(lost) > 1 else ''} "
            f"{', '.join(map(repr, lost))} that the model learned from; its inputs are {', '.join(inputs)}. Bring them "
            "back, or begin a new stream: fit without the model."
        )
    if new := [name for name in inputs if name not in known]:
        kept = ", ".join(f'"{name}"' for name in known)
        raise DataError(
            f"The stream's columns have changed: {data.name} has the input{'s' if len(new) > 1 else ''} "
            f"{', '.join(map(repr, new))} that the model never saw. Leave them out, input=[{kept}], or begin a new "
            "stream: fit without the model."
        )
    if not model.own_inputs:
        return
    for name, encoder in known.items():
        kinds = {code.column: _kind(code) for code in encoder.codes} if isinstance(encoder, TableEncoder) else {}
        kind = kinds.get(name, encoder.kind)
        if inputs[name].kind != kind:
            raise DataError(
                f"The column {name!r} was a {kind} so far, and in {data.name} it is a {inputs[name].kind}. Say what it "
                f'is: kinds={{"{name}": "{kind}"}}.'
            )


def _kind(code: Code) -> str:
    return "number" if isinstance(code, NumberCode) else "category"


def _refuse_bad_row(table: TableEncoder, data: Data, rows: RowNumbers) -> None:
    """Raise DataError that names the first of `rows` with a number that is none, if there is one."""
    for code in table.codes:
        if isinstance(code, CategoryCode):
            continue
        values = data.columns[code.column].take(rows)
        if values.dtype.kind != "f":
            continue
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if bad.any():
            raise DataError(
                f"The column {code.column!r} is NaN or infinite in row {rows[bad][0]} of {data.name}; a stream is "
                'learned row by row, and cannot go past it. Read the data with bad_rows="skip" or bad_rows="fill".'
            )
