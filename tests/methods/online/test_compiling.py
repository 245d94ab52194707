"""Machine code of the passes: kept where it can be, and not beyond a change."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from manyways.data.data import Data

pytestmark = pytest.mark.quick

Arrays = tuple[NDArray[Any], NDArray[Any]]
Table = Callable[..., Data]


def test_compiled_code_is_kept_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.dispatcher import Dispatcher

    from manyways.methods.online._compiling import kept

    def nowhere(self: Dispatcher) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(Dispatcher, "enable_caching", nowhere)
    double: Callable[[float], float] = kept(lambda number: 2 * number)
    assert double(3.0) == 6.0
    assert double.targetoptions["nogil"]  # type: ignore[attr-defined]


def test_compiled_code_is_kept_under_the_hash_of_all_that_it_is_made_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """numba looks at the file of a function alone, and would keep the machine code of what that no longer calls."""
    from manyways.methods.online import _compiling

    for source in Path(_compiling.__file__).parent.glob("*.py"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
        if re.search("^@(compiled|kept)$", source.read_text(), re.MULTILINE):
            assert source.name in _compiling.SOURCES
    before = _compiling.hash_of_sources()
    monkeypatch.setattr(_compiling, "__file__", str(tmp_path / "_compiling.py"))
    assert _compiling.hash_of_sources.__wrapped__() == before
    (tmp_path / "_row.py").write_text("changed")
    assert _compiling.hash_of_sources.__wrapped__() != before
