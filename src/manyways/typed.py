"""Import of what a person typed, from the current folder, too; what a file names is never imported."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from manyways.errors import ParameterError


def import_typed(module: str) -> ModuleType:
    """The module that a person named, in a command or in Python. Raises ImportError where there is none.

    Never called with a name that stands in a file: a receipt, a model's folder, a store.
    """
    with _here():
        return importlib.import_module(module)


def function_typed(text: str, what: str) -> Any:
    """The object that a person typed as "package.module:name", for `what`.

    Raises ParameterError where it is no such name, or cannot be imported.
    """
    module, _, name = text.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise ParameterError(f'{what} must be "package.module:function"; got {text!r}.')
    try:
        value: Any = import_typed(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise ParameterError(f"{what} is {text!r}, which cannot be imported: {error}.") from error
    return value


@contextmanager
def _here() -> Iterator[None]:
    """Modules in the current folder are found, too, after all others: a command's own path does not hold it."""
    here = os.getcwd()  # noqa: PTH109
    known = here in sys.path or "" in sys.path
    if not known:
        sys.path.append(here)
    try:
        yield
    finally:
        if not known:
            sys.path.remove(here)
