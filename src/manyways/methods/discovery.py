"""Methods are found: built-in ones by walking this folder, others by the entry-point group `manyways.methods`."""

import importlib
import warnings
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from manyways.errors import ParameterError, did_you_mean
from manyways.registry import modules_in, normal, points_of

if TYPE_CHECKING:
    from manyways.methods.method import Method

GROUP = "manyways.methods"
SHARED = ("bases", "needs")
"""Folders that hold no methods, but what they are made of."""


@cache
def modules() -> dict[str, str]:
    """The module of every method by its normalised name, without importing any."""
    known: dict[str, str] = {}
    for module in modules_in(GROUP):
        folder, _, file = module.removeprefix(f"{GROUP}.").rpartition(".")
        if folder and folder.partition(".")[0] not in SHARED:
            known[normal(file)] = module
    return known | {normal(point.name): point.module for point in points_of("methods")}


def find_method(name: str) -> "type[Method]":
    """The class of the method `name`. Raises ParameterError with the names there are."""
    known = modules()
    if normal(name) not in known:
        names = sorted(module.rpartition(".")[2].replace("_", "-") for module in known.values())
        raise ParameterError(
            f"There is no method {name!r}; methods are {', '.join(names)}.{did_you_mean(name.lower(), names)}"
        )
    from manyways.methods.method import Method  # only now: it loads torch, and a slip is answered at once

    module = _module(known[normal(name)], name)
    for member in vars(module).values():
        if (
            isinstance(member, type)
            and issubclass(member, Method)
            and member.__module__ == module.__name__
            and normal(member.__name__) == normal(name)
        ):
            return member
    raise ParameterError(f"{module.__name__} defines no method class named like {name!r}.")


def _module(path: str, name: str) -> ModuleType:
    """The module of a method. Raises ParameterError where it is another package's and cannot be loaded."""
    try:
        return importlib.import_module(path)
    except Exception as error:
        if path.startswith(f"{GROUP}."):
            raise
        raise ParameterError(
            f"The method {name!r} of the module {path} cannot be loaded: {type(error).__name__}: {error}. Upgrade the "
            "package that brings it, or uninstall it."
        ) from error


def all_methods() -> "dict[str, type[Method]]":
    """Every method by its name, sorted; those of other packages that cannot be loaded are left out with a warning."""
    kinds: list[type[Method]] = []
    for name, path in modules().items():
        try:
            kinds.append(find_method(name))
        except ParameterError as error:
            if path.startswith(f"{GROUP}."):
                raise
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    return {kind.method_name(): kind for kind in sorted(kinds, key=lambda kind: kind.method_name())}


def paradigm(kind: "type[Method]") -> str:
    """The paradigm of a method: the folder that it lies in, or the package that brings it."""
    inside = kind.__module__.removeprefix(f"{GROUP}.")
    name = inside.split(".")[0]
    return name.replace("_", "-") if inside != kind.__module__ else f"from {name}"
