"""Rows as tensors: encoders fitted once on the training rows, applied once to every row."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column, modalities
from manyways.data.encoders import ENCODERS, fit_encoder
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.presence import absent_by_modality, present, without_gaps
from manyways.data.specs import Spec
from manyways.data.storage import RowNumbers, Rows, cache_folder, chunks_of, open_rows, row_bytes, write_rows
from manyways.errors import DataError, ManywaysError, ModelError

if TYPE_CHECKING:
    import torch

    from manyways.data.data import Data

KEPT_IN_MEMORY = 1 << 20
"""Encodings of fewer bytes are made again rather than written: that is faster than opening a file."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """The rows of a `Data` as tensors, by modality; nothing is loaded before it is asked for.

    `absent` says of the modalities that some of the rows lack, which rows of the stores do.
    """

    stores: Mapping[str, Rows]
    rows: RowNumbers
    absent: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, positions: RowNumbers, device: "torch.device | str" = "cpu") -> "dict[str, torch.Tensor]":
        """The rows at `positions` as a batch on `device`; token ids widened to int64.

        Under the name `present(modality)` it says which rows have that modality, where some of all rows lack it; what
        such a row holds in its place means nothing.
        """
        import torch

        rows = self.rows[positions]
        batch = {}
        for name, store in self.stores.items():
            if isinstance(store, np.ndarray):
                batch[name] = torch.from_numpy(store.take(rows, axis=0))
                continue
            values = store[rows]
            # An axis of length 1 may have any stride, and convolutions choose their algorithm by strides: the plain
            # ones, as `take` gives them, make the result a function of the values alone.
            batch[name] = torch.from_numpy(values.reshape(-1)).view(values.shape)
        for name, absent in self.absent.items():
            batch[present(name)] = torch.from_numpy(~absent[rows])
        return {
            name: (tensor.long() if tensor.dtype == torch.int32 else tensor).to(device, non_blocking=True)
            for name, tensor in batch.items()
        }

    def select(self, positions: NDArray[Any]) -> "Encoded":
        """The rows at `positions` only."""
        return replace(self, rows=self.rows[positions])


@dataclass(frozen=True, eq=False)
class InputEncoding:
    """The encoding of inputs that a model knows: an encoder per modality."""

    encoders: Mapping[str, Encoder]

    @property
    def specs(self) -> dict[str, Spec]:
        """The spec of each modality's tensor."""
        return {name: encoder.spec for name, encoder in self.encoders.items()}

    @property
    def shared(self) -> dict[str, str]:
        """The columns whose categories are so many that they share features, and how."""
        return {name: said for encoder in self.encoders.values() for name, said in encoder.shared.items()}

    @staticmethod
    def fit(
        data: "Data", *, tokenizers: Mapping[str, CheckpointTokenizer] | None = None, plain: bool = False
    ) -> "InputEncoding":
        """Encoders for the inputs of `data`, fitted on its training rows.

        Numbers and categories become one modality, `table`; each text, image or audio column is its own.

        Args:
            data: Rows with input columns.
            tokenizers: Tokenizers of checkpoints by the columns that they read; the others are trained on the rows.
            plain: True to learn only which categories occur: numbers are left as they are, and words are hashed.

        Raises:
            DataError: Where there are no input columns or no training rows.
        """
        training = data.training
        if not data.inputs:
            raise DataError(f"{data.name} has no input column; columns are {', '.join(data.columns)}.")
        if not len(training):
            raise DataError(f"{data.name} has no training rows to learn from.")
        groups = modalities(data.inputs)
        known = tokenizers or {}
        return InputEncoding(
            {name: fit_encoder(each, training.rows, known.get(name), plain=plain) for name, each in groups.items()}
        )

    def encode(self, data: "Data") -> Encoded:
        """The rows of `data` as tensors. Raises DataError where a column is missing or of another kind."""
        stores = {name: self.store(encoder, data) for name, encoder in self.encoders.items()}
        return Encoded(stores, data.rows, self.absent(data))

    def absent(self, data: "Data") -> dict[str, NDArray[np.bool_]]:
        """Masks over the whole table of `data` of the rows that lack a modality, for those that one of its rows lacks.

        Raises DataError where a column is missing.
        """
        found = absent_by_modality({name: self.columns_of(each, data) for name, each in self.encoders.items()})
        return {name: mask for name, mask in found.items() if mask[data.rows].any()}

    def columns_read(self, name: str, data: "Data") -> list[Column]:
        """The columns of `data` that the encoder `name` encodes. Raises DataError where one is missing."""
        columns = self.columns_of(self.encoders[name], data)
        return without_gaps(columns) if len(self.encoders) > 1 else columns

    def columns_of(self, encoder: Encoder, data: "Data") -> list[Column]:
        """The columns of `data` that `encoder` reads. Raises DataError where one is missing."""
        if lost := [name for name in encoder.columns if name not in data.columns]:
            raise DataError(
                f"{data.name} lacks the input column{'s' if len(lost) > 1 else ''} {', '.join(map(repr, lost))} "
                f"that the model was trained on; its columns are {', '.join(data.columns)}.{_left_out(lost, data)}"
            )
        return [data.columns[name] for name in encoder.columns]

    def store(self, encoder: Encoder, data: "Data") -> Rows:
        """All rows of the table of `data`, encoded by one of the encoders. Raises DataError as `encode` does."""
        columns = self.columns_of(encoder, data)
        if len(self.encoders) > 1:
            columns = without_gaps(columns)
        if encoder.already_encoded(columns):
            return columns[0].values
        if (dense := encoder.store(columns)) is not None:
            return dense
        count = len(columns[0])
        shape, dtype = (count, *encoder.spec.shape), encoder.spec.dtype
        if int(np.prod(shape, dtype=np.int64)) * dtype.itemsize <= KEPT_IN_MEMORY:
            return encoder.encode(columns, np.arange(count))
        content = hashlib.blake2b(np.ascontiguousarray(data.all_ids).data, digest_size=16).hexdigest()
        path = cache_folder() / f"{content}-{encoder.key()}.rows"
        if path.exists():
            return open_rows(path, shape, dtype)
        # Numbers are encoded in float64, and an image may shrink: a row's own bytes count, too.
        each = sum(row_bytes(column.values) for column in columns) + 2 * int(np.prod(shape[1:])) * dtype.itemsize
        chunks = (encoder.encode(columns, rows) for rows in chunks_of(count, row_bytes=each))
        return write_rows(path, chunks, shape, dtype)

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs to make this encoding again."""
        return {name: {"kind": each.kind, **each.to_json()} for name, each in self.encoders.items()}

    @staticmethod
    def from_json(saved: Mapping[str, Any], order: Sequence[str] = ()) -> "InputEncoding":
        """The encoding that `to_json` wrote. Raises ModelError where it does not fit.

        order: names of inputs in the order that the network has them in, whatever the order they were written in:
        augmentation draws for one after the other, so it decides what is learned next.
        """
        encoders: dict[str, Encoder] = {}
        first = {name: saved[name] for name in order if name in saved}
        for name, fields in {**first, **saved}.items():
            try:
                encoders[name] = ENCODERS.find(fields["kind"]).from_json(fields)
            except (KeyError, TypeError, ValueError) as error:
                fault = str(error) if isinstance(error, ManywaysError) else f"{error!r}."
                raise ModelError(f"The saved encoder of {name!r} is damaged: {fault}") from error
        return InputEncoding(encoders)


def _left_out(lost: list[str], data: "Data") -> str:
    """The remedy for columns that were there and were left out when the rows were read."""
    gone = [name for name in lost if name in data.ignored]
    if not gone:
        return ""
    names = ", ".join(map(repr, gone))
    return (
        f" {names} {'was' if len(gone) == 1 else 'were'} left out when the rows were read: {data.ignored[gone[0]]}. "
        "Hand the model what you read them from, as it knows its columns, or say what they are: kinds={…}."
    )
