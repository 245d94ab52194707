"""Methods from the JSON values that a lineage keeps of them."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from manyways.errors import ParameterError
from manyways.methods.chain import Chain
from manyways.methods.discovery import find_method
from manyways.methods.method import Method

NAMELESS = ("<lambda>", "<locals>")


def method_from_json(
    saved: Mapping[str, Any], given: Mapping[str, Any] | None = None, *, functions: bool = True
) -> Method:
    """The method that `Method.to_json` wrote, with all its fields.

    given: values in place of what was saved, by the field's place as `places` names it: `reward`, `base.reward`,
        `stages[1].reward`. A field that held a model must be among them.
    functions: whether functions that it names may be imported; False for JSON that somebody else wrote.
    Raises ParameterError for a method or a field that this version does not have, or a value that is not given.
    """
    return _method(saved, "", given or {}, functions)


def _method(saved: Mapping[str, Any], where: str, given: Mapping[str, Any], functions: bool) -> Method:
    def value(place: str, held: Any) -> Any:
        if place in given:
            return given[place]
        if isinstance(held, list):
            return tuple(value(f"{place}[{at}]", each) for at, each in enumerate(held))
        if not isinstance(held, Mapping):
            return held
        if "function" in held:
            return find_function(str(held["function"]), place, outside=functions)
        if "model" in held:
            raise ParameterError(f"{place} was the model {held['model']}, which must be given.")
        return _method(held, f"{place}.", given, functions)

    if saved["name"] == Chain.method_name():
        shares = saved["shares"]
        return Chain(stages=value(f"{where}stages", saved["stages"]), shares=tuple(shares) if shares else None)
    kind = find_method(str(saved["name"]))
    names = [field.name for field in fields(kind)]
    if missing := [name for name in names if name not in saved]:
        raise ParameterError(
            f"{saved['name']} was saved by another version of Manyways: its field {missing[0]} is not known."
        )
    return kind(**{name: value(f"{where}{name}", saved[name]) for name in names})


def find_function(name: str, place: str, *, outside: bool = True) -> Callable[..., Any]:
    """The function that is called `name` in full, for the field `place`.

    outside: whether it may lie outside of Manyways. Raises ParameterError where it has no name that finds it.
    """
    if any(word in name for word in NAMELESS):
        raise ParameterError(
            f"{place} is {name}, a function without a name that finds it again. Define it in a module."
        )
    if not outside and not name.startswith("manyways."):
        raise ParameterError(f"{place} is the function {name}, which is not imported on the word of a file.")
    parts = name.split(".")
    for at in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:at]))
        except ModuleNotFoundError:  # what stands before the last dot may be a class
            continue
        for part in parts[at:]:
            found = getattr(found, part, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
        break
    raise ParameterError(f"{place} is the function {name}, which is not to be found. Install its module.")


def places(saved: Any, what: str, where: str = "") -> Iterator[tuple[str, str]]:
    """The fields of a saved method and those within it that hold a `what`, function or model: (place, its name)."""
    items = saved.items() if isinstance(saved, Mapping) else enumerate(saved) if isinstance(saved, list) else ()
    for key, value in items:
        place = f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}" if where else key
        if isinstance(value, Mapping) and what in value:
            yield place, str(value[what])
        else:
            yield from places(value, what, place)
