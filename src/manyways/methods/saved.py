"""Methods from the JSON values that a lineage keeps of them. Nothing that these name is imported."""

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from manyways.checked_json import brief
from manyways.errors import ParameterError
from manyways.methods.chain import Chain
from manyways.methods.discovery import find_method
from manyways.methods.fields import hints
from manyways.methods.method import Method

Functions = Mapping[str, Callable[..., Any]]
"""Functions by the names that files have for them."""
NAMELESS = ("<lambda>", "<locals>")


def method_from_json(saved: Any, given: Mapping[str, Any] | None = None, functions: Functions | None = None) -> Method:
    """The method that `Method.to_json` wrote, with all its fields.

    Args:
        saved: The method as JSON values.
        given: Values in place of what was saved, by the field's place as `places` names it: `reward`, `base.reward`,
            `stages[1].reward`. A field that held a model must be among them.
        functions: Functions that it names, by these names; no other is imported on the word of a file.

    Raises:
        ParameterError: This version does not have such a method or field, or a value is not given.
    """
    return _Maker(given or {}, functions or {}).method(saved, "")


class _Maker:
    def __init__(self, given: Mapping[str, Any], functions: Functions) -> None:
        self._given, self._functions = given, functions

    def method(self, saved: Any, where: str) -> Method:
        kind = method_kind(saved, where)
        if kind is Chain:
            stages, shares = saved.get("stages"), saved.get("shares")
            if not isinstance(stages, list) or not isinstance(shares, list | None):
                raise ParameterError(f"A chain is saved with stages and shares, which are lists; got {brief(saved)}.")
            return Chain(stages=self._value(f"{where}stages", stages, False), shares=tuple(shares) if shares else None)
        names = [field.name for field in fields(kind)]
        if missing := [name for name in names if name not in saved]:
            raise ParameterError(
                f"{saved['name']} was saved by another version of Manyways: its field {missing[0]} is not known."
            )
        annotations = hints(kind)
        return kind(
            **{name: self._value(f"{where}{name}", saved[name], _may_hold_code(annotations[name])) for name in names}
        )

    def _value(self, place: str, value: Any, code: bool) -> Any:
        if place in self._given:
            return self._given[place]
        if isinstance(value, list):
            return tuple(self._value(f"{place}[{at}]", each, code) for at, each in enumerate(value))
        if isinstance(value, str) and code and not _is_folder(value):
            return find_function(value, place, self._functions)
        if not isinstance(value, Mapping):
            return value
        if "function" in value:
            return find_function(str(value["function"]), place, self._functions)
        if "model" in value:
            raise ParameterError(f"{place} was the model {value['model']}, which must be given.")
        return self.method(value, f"{place}.")


def method_kind(saved: Any, where: str = "") -> type[Method]:
    """The class of a saved method, the chain included.

    Raises:
        ParameterError: There is none of its name.
    """
    name = saved.get("name") if isinstance(saved, Mapping) else None
    if not isinstance(name, str):
        place = f"the field {where.removesuffix('.')}" if where else "a saved method"
        raise ParameterError(f"The JSON of {place} is that of no method: it has no name; got {brief(saved)}.")
    return Chain if name == Chain.method_name() else find_method(name)


def find_function(name: str, place: str, functions: Functions) -> Callable[..., Any]:
    """The one of `functions` that is called `name`, for the field `place`.

    Raises:
        ParameterError: There is none, or it has no name that could find it.
    """
    if name in functions:
        return functions[name]
    if any(word in name for word in NAMELESS):
        raise ParameterError(
            f"{place} is {name}, a function without a name that finds it again. Define it in a module."
        )
    raise ParameterError(
        f"{place} is the function {name!r}, which is not imported on the word of a file. Say which function it is: "
        f'functions={{"{name}": …}}.'
    )


def functions_in(saved: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """The functions that the JSON of a method names, those of methods within it included: (place, name).

    Raises:
        ParameterError: This version does not have such a method.
    """
    if not isinstance(saved, Mapping) or "name" not in saved:
        return
    kind = method_kind(saved, where)
    annotations = {} if kind is Chain else hints(kind)
    for key, value in saved.items():
        yield from _functions_of(value, f"{where}{key}", _may_hold_code(annotations.get(key)))


def _functions_of(value: Any, place: str, code: bool) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for at, each in enumerate(value):
            yield from _functions_of(each, f"{place}[{at}]", code)
    elif isinstance(value, str) and code and not _is_folder(value):
        yield place, value
    elif isinstance(value, Mapping) and "function" in value:
        yield place, str(value["function"])
    else:
        yield from functions_in(value, f"{place}.")


def _may_hold_code(annotation: Any) -> bool:
    """True if a field may hold a function, so that a text in it may be the name of one."""
    origin = get_origin(annotation)
    if annotation is Callable or origin is Callable:
        return True
    inner = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
    return origin in (Annotated, Union, types.UnionType, tuple) and any(map(_may_hold_code, inner))


def _is_folder(text: str) -> bool:
    """True if a text in a field that may hold a function is a folder instead, that of a model."""
    return 0 < len(text) < 4096 and "\0" not in text and Path(text).is_dir()


def places(saved: Any, what: str, where: str = "") -> Iterator[tuple[str, str]]:
    """The fields of a saved method and those within it that hold a `what`, function or model: (place, its name)."""
    items = saved.items() if isinstance(saved, Mapping) else enumerate(saved) if isinstance(saved, list) else ()
    for key, value in items:
        place = f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}" if where else key
        if isinstance(value, Mapping) and what in value:
            yield place, str(value[what])
        else:
            yield from places(value, what, place)
