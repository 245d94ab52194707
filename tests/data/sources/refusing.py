"""Files that claim much, and how their refusal is told."""

import tracemalloc
from pathlib import Path

import pytest

import manyways as mw
from manyways.errors import DataError

HUGE = 0xFFFFFFFF


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def refused(path: Path, match: str, most: int = 64 << 20) -> None:
    """`read` refuses `path` in words that name it, and takes no more than `most` bytes of Python's memory for that."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=match) as caught:
            mw.read(path)
        assert path.name in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
