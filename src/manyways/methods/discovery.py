"""Methods are found: built-in ones by walking this folder, others by the entry-point group `manyways.methods`."""

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from manyways.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from manyways.methods.method import Method

GROUP = "manyways.methods"
BASES = "bases"
"""The folder that holds no methods, but what families of them share."""


def normal(name: str) -> str:
    """`name` without dashes, underscores and capitals: SelfTraining, self-training and self_training are one."""
    return name.replace("-", "").replace("_", "").lower()


@cache
def modules() -> dict[str, str]:
    """The module of every method by its normalised name, without importing any."""
    found: dict[str, str] = {}
    package = importlib.import_module(GROUP)
    for entry in pkgutil.iter_modules(package.__path__):
        if entry.ispkg and entry.name != BASES:
            folder = importlib.import_module(f"{GROUP}.{entry.name}")
            for file in pkgutil.iter_modules(folder.__path__):
                if not file.name.startswith("_"):
                    found[normal(file.name)] = f"{folder.__name__}.{file.name}"
    for point in entry_points(group=GROUP):
        found[normal(point.name)] = point.module
    return found


def find_method(name: str) -> "type[Method]":
    """The class of the method `name`. Raises ParameterError with the names there are."""
    known = modules()
    if normal(name) not in known:
        names = sorted(module.rpartition(".")[2].replace("_", "-") for module in known.values())
        raise ParameterError(
            f"There is no method {name!r}; methods are {', '.join(names)}.{did_you_mean(name.lower(), names)}"
        )
    from manyways.methods.method import Method  # only now: it loads torch, and a slip is answered at once

    module = importlib.import_module(known[normal(name)])
    for member in vars(module).values():
        if (
            isinstance(member, type)
            and issubclass(member, Method)
            and member.__module__ == module.__name__
            and normal(member.__name__) == normal(name)
        ):
            return member
    raise ParameterError(f"{module.__name__} defines no method class named like {name!r}.")


def all_methods() -> "dict[str, type[Method]]":
    """Every method by its name, sorted."""
    found = [find_method(name) for name in modules()]
    return {method.method_name(): method for method in sorted(found, key=lambda method: method.method_name())}


def paradigm(kind: "type[Method]") -> str:
    """What a method's way of learning is called: the folder it lies in, or the package that brings it."""
    inside = kind.__module__.removeprefix(f"{GROUP}.")
    name = inside.split(".")[0]
    return name.replace("_", "-") if inside != kind.__module__ else f"from {name}"
