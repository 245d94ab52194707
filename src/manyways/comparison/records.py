"""Records: frozen dataclasses that hold JSON values only."""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

from manyways.errors import DataError
from manyways.whole import write_whole

__all__ = ["Record", "write_whole"]


class Record:
    """Base of all records: holds JSON values only; NaN and infinities become None when it is made.

    Raises DataError on a value that JSON cannot hold.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for each in fields(self):
            plain = _plain(getattr(self, each.name), f"{type(self).__name__}.{each.name}")
            object.__setattr__(self, each.name, plain)

    def to_json(self) -> dict[str, Any]:
        """This record as dicts, lists, strings, finite numbers, booleans and None."""
        return {each.name: _encode(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any], where: str = "results") -> Self:
        """The record that `to_json` wrote; keys it does not know are ignored.

        Raises DataError that names the place when a key is missing or a value has another type.
        """
        if not isinstance(saved, Mapping):
            raise DataError(f"{where} must be an object; got {type(saved).__name__}.")
        hints = typing.get_type_hints(cls)
        values = {}
        for member in fields(cls):
            if member.name in saved:
                values[member.name] = _decode(hints[member.name], saved[member.name], f"{where}.{member.name}")
            elif member.default is MISSING and member.default_factory is MISSING:
                raise DataError(f"{where} lacks the key {member.name!r}; found {', '.join(saved) or 'no keys'}.")
        return cls(**values)


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | Record):
        return value
    if isinstance(value, str):
        # A lone surrogate, as found in damaged text, cannot be written as UTF-8.
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return tuple(_plain(item, f"{where}[{at}]") for at, item in enumerate(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    raise DataError(f"{where} must be a value that JSON can hold; got {type(value).__name__}.")


def _encode(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    return value


def _decode(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint` of a record's field. Raises DataError where it has another type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return _decode_union(hint, value, where)
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_json(value, where)
    if origin is tuple and isinstance(value, list):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(value):
            pairs = enumerate(zip(kinds, value, strict=True))
            return tuple(_decode(kind, item, f"{where}[{at}]") for at, (kind, item) in pairs)
    if origin is dict and isinstance(value, Mapping):
        return {key: _decode(arguments[1], item, f"{where}[{key!r}]") for key, item in value.items()}
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is Any or type(value) is hint or (origin is Literal and value in arguments):
        return value
    raise DataError(f"{where} must be {_spelled(hint)}; got {_shortened(value)}.")


def _decode_union(hint: Any, value: Any, where: str) -> Any:
    if value is None and type(None) in typing.get_args(hint):
        return None
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    for option in options[:-1]:
        try:
            return _decode(option, value, where)
        except DataError:
            continue
    return _decode(options[-1], value, where)


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
