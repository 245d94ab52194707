"""Functions of a stream's rows as machine code, compiled once and kept on disk."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numpy.typing import NDArray

Array = NDArray[Any]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
SOURCES = (
    "_compiling.py", "_row.py", "_detectors.py", "_passes.py", "_random.py", "_leaves.py", "_splits.py",
    "_tree_passes.py", "_neighbour_passes.py",
)  # fmt: skip
"""The files beside this one whose functions are compiled into each other."""


def compiled(function: FunctionT) -> FunctionT:
    """`function` as machine code that lets other threads run.

    Sums are not reassociated, so that what is learned is a function of the rows and their order, bit by bit, wherever a
    stream is cut.
    """
    return cast("FunctionT", numba.njit(nogil=True, error_model="numpy")(function))


def kept(function: FunctionT) -> FunctionT:
    """`compiled`, and kept on disk where numba finds a place for it: beside this file, or in the user's own cache.

    Those are places of code, as trustworthy as this file; what numba keeps there are pickles, so it must not be a
    MANYWAYS_HOME that is shared with others. numba looks for changes in the file of the function alone, and keeps it by
    its qualified name: that ends in a hash of all files whose functions it calls.
    """
    function.__qualname__ = f"{function.__qualname__}-{hash_of_sources()}"
    made: Any = compiled(function)
    with suppress(RuntimeError):  # no place that can be written: it is compiled anew in every process
        made.enable_caching()
    return cast("FunctionT", made)


@cache
def hash_of_sources() -> str:
    """Of the text of all compiled functions."""
    found = hashlib.sha256()
    for name in SOURCES:
        found.update(Path(__file__).with_name(name).read_bytes())
    return found.hexdigest()[:16]
