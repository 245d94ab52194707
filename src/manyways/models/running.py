"""Rows through a network, some at a time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.damaged import reason
from manyways.data.encoding import Encoded, InputEncoding
from manyways.data.presence import named, said_of_rows
from manyways.data.storage import chunks_of, row_bytes
from manyways.errors import DataError, ModelError
from manyways.models.network import Inputs
from manyways.models.reading import inputs_of

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source

ROWS_AT_ONCE = 512
OTHER = "The description of the model is that of another, or damaged."
BYTES_AT_ONCE = 2 << 20
"""Rows go through the network in batches of so many at most, and of so many bytes: activations are far larger."""


class Runs(Protocol):
    """A network over modalities, some of which rows may lack."""

    @property
    def may_lack(self) -> tuple[str, ...]: ...

    def state_dict(self) -> dict[str, Tensor]: ...


def run_rows(
    function: Callable[[Inputs], Tensor], width: int, network: Runs, encoding: InputEncoding, source: "Source"
) -> NDArray[np.float32]:
    """Outputs of `function`, a part of `network`, for the rows of `source`, float32 [rows, width].

    Raises:
        DataError: Rows lack an input that the network has never been without.
    """
    data = inputs_of(source, encoding)
    rows = encoding.encode(data)
    check_gaps(rows.absent, data, encoding, network)
    outputs = np.empty((len(rows), width), np.float32)  # filled in place: features may be all that fits into memory
    done = 0
    with torch.inference_mode():
        for batch in _batches(rows, network):
            with network_fault(encoding):
                part = np.asarray(function(batch).float().cpu().numpy())
            if part.shape[1:] != (width,):
                raise ModelError(
                    f"The network gives {part.shape[1:]} numbers a row, and {width} mean something. {OTHER}"
                )
            outputs[done : done + len(part)] = part
            done += len(part)
    return outputs


@contextmanager
def network_fault(encoding: InputEncoding) -> Iterator[None]:
    """Raise ModelError in place of what torch says of a network that cannot read rows as they are encoded for it."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError) as error:
        names = ", ".join(encoding.encoders)
        raise ModelError(f"The network cannot read {names} as encoded for it: {reason(error)}. {OTHER}") from error


def check_gaps(
    absent_rows: Mapping[str, NDArray[np.bool_]], data: "Data", encoding: InputEncoding, network: Runs
) -> None:
    """Raise DataError where rows of `data` lack an input that the network cannot do without.

    absent_rows: for the inputs that some lack, which rows of the whole table do.
    """
    for name, absent in absent_rows.items():
        if name not in network.may_lack:
            said = said_of_rows(np.flatnonzero(absent[data.rows]), len(data))
            columns = named(data.columns[each] for each in encoding.encoders[name].columns)
            raise DataError(
                f"{said} of {data.name} have nothing in {columns}, and every row that the model learned from had it. "
                'Leave them out, bad_rows="skip", or train a model that does without it: fusion, or supervised on rows '
                "some of which lack it."
            )


def _batches(rows: Encoded, network: Runs) -> Iterator[Inputs]:
    device = next(iter(network.state_dict().values()), torch.empty(0)).device
    each = sum(row_bytes(store) for store in rows.stores.values())
    for positions in chunks_of(len(rows), max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // max(1, each)))):
        yield rows.batch(positions, device)
