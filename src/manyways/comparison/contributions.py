"""Contributions of test rows to a score, kept beside the outcome of a job as an array in NumPy's own format."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manyways.errors import DataError
from manyways.permissions import tighten
from manyways.whole import write_whole

NAME = "contributions.npy"


def write_contributions(values: NDArray[np.float64], folder: Path) -> None:
    """Write `values`, one for each test row or episode, into `folder`."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values, np.float64), allow_pickle=False)
    tighten(write_whole(folder / NAME, buffer.getvalue()))


def read_contributions(folder: Path) -> NDArray[np.float64]:
    """The array that `write_contributions` wrote into `folder`.

    Raises:
        DataError: There is none, or it is damaged.
    """
    path = folder / NAME
    try:
        # Mapped, so that a damaged head cannot ask for more memory than the file is large.
        mapped = np.lib.format.open_memmap(path, mode="r")
        if not (mapped.ndim == 1 and mapped.dtype == np.float64 and len(mapped)):
            raise ValueError("it holds something else")
        values = np.array(mapped)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(f"{path} cannot be read: it is damaged or was written by something else.") from error
    if np.isnan(values).all() or np.isinf(values).any():
        raise DataError(f"{path} holds no contributions of rows; it is damaged or was written by something else.")
    return values
