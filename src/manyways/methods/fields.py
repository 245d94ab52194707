"""Hyper-parameters: their ranges stand in their types, and are checked in one place."""

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from math import isnan
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from manyways.errors import ParameterError, did_you_mean
from manyways.registry import Registry


@dataclass(frozen=True)
class Interval:
    """An interval as mathematics writes it: `Interval("[0, 1)")`."""

    text: str

    @property
    def bounds(self) -> tuple[float, float]:
        """The lower and the upper end."""
        low, high = self.text[1:-1].split(",")
        return float(low), float(high)

    def check(self, where: str, value: float) -> None:
        """Raise ParameterError where `value` of the field `where` lies outside."""
        if value not in self:
            raise ParameterError(f"{where} must be in {self.text}; got {value!r}.")

    def __contains__(self, value: float) -> bool:
        low, high = self.bounds
        return (low <= value if self.text[0] == "[" else low < value) and (
            value <= high if self.text[-1] == "]" else value < high
        )


@dataclass(frozen=True)
class Named:
    """The names in a registry, or those that a function gives, and some words besides: `Named(DECODERS, "auto")`."""

    names: Registry[Any] | Callable[[], Iterable[str]]
    besides: tuple[str, ...]

    def __init__(self, names: Registry[Any] | Callable[[], Iterable[str]], *besides: str) -> None:
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "besides", besides)

    @property
    def allowed(self) -> tuple[str, ...]:
        """Every value that a field may have."""
        return (*self.besides, *(self.names if isinstance(self.names, Registry) else self.names()))

    def check(self, where: str, value: object) -> None:
        """Raise ParameterError where `value` of the field `where` is none of them."""
        if value not in self.allowed:
            _refuse_word(where, self.allowed, value)


@dataclass(frozen=True)
class Written:
    """Values that are written as text of their own, such as samplers: their names, and a function that checks them.

    In the text of a method they may stand without quotes.

    Attributes:
        names: Returns the names that such a text may begin with.
        check_value: Returns a value as text; raises ParameterError where it is none.
    """

    names: Callable[[], Iterable[str]]
    check_value: Callable[[Any], str]

    @property
    def allowed(self) -> tuple[str, ...]:
        """The names that a value may begin with."""
        return tuple(self.names())

    def check(self, where: str, value: Any) -> None:
        """Raise ParameterError where `value` of the field `where` is none of them."""
        try:
            self.check_value(value)
        except ParameterError as error:
            if isinstance(value, str) and "(" not in value:
                _refuse_word(where, self.allowed, value)
            raise ParameterError(f"{where} {value!r}: {error}") from error


Share = Annotated[float, Interval("[0, 1]")]
Positive = Annotated[float, Interval("(0, inf)")]
NotNegative = Annotated[float, Interval("[0, inf)")]
Count = Annotated[int, Interval("[1, inf)")]
Finite = Annotated[float, Interval("(-inf, inf)")]


def hints(method: type) -> dict[str, Any]:
    """The annotations of a method's fields, ranges included."""
    return get_type_hints(method, include_extras=True)


def fields_in_text(method: type) -> frozenset[str]:
    """The fields of a method whose values are written as text of their own."""
    return frozenset(
        name for name, each in hints(method).items() if any(isinstance(extra, Written) for extra in get_args(each))
    )


def check_names(kind: Any, given: Iterable[str]) -> None:
    """Raise ParameterError for the first of the names `given` that is no field of the dataclass `kind`."""
    known = [field.name for field in fields(kind) if field.init]
    for name in given:
        if name not in known:
            raise ParameterError(
                f"{kind.__name__} has no field {name!r}; its fields are {', '.join(known)}.{did_you_mean(name, known)}"
            )


def refuse_others(method: Any, **why: str) -> None:
    """Raise ParameterError for the first of the named fields, which a base has and `method` lacks, that is set."""
    for field in fields(method):
        if field.name in why and getattr(method, field.name) != field.default:
            raise ParameterError(
                f"{type(method).__name__}.{field.name} {why[field.name]}: leave it out; got "
                f"{getattr(method, field.name)!r}."
            )


def check_fields(method: Any) -> None:
    """Raise ParameterError for the first field of a dataclass that is of a wrong type or out of its range."""
    annotations = hints(type(method))
    for field in fields(method):
        _check(f"{type(method).__name__}.{field.name}", annotations[field.name], getattr(method, field.name))


def _check(where: str, annotation: Any, value: Any) -> None:
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *extras = get_args(annotation)
        _check(where, base, value)
        for extra in extras:
            if isinstance(extra, Interval | Named | Written):
                extra.check(where, value)
    elif origin is Literal:
        if value not in get_args(annotation):
            _refuse_word(where, get_args(annotation), value)
    elif origin in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        if value is not None or len(options) == len(get_args(annotation)):
            _check_any(where, options, value)
    elif annotation in (int, float, bool, str):
        _check_plain(where, annotation, value)
    elif origin is tuple:
        _check_each(where, get_args(annotation)[0], value)
    elif origin is Callable:
        if not callable(value):
            raise ParameterError(f"{where} must be a function; got {value!r}.")
    elif isinstance(annotation, type) and not isinstance(value, annotation):
        raise ParameterError(f"{where} must be a {annotation.__name__}; got {value!r}.")


def _refuse_word(where: str, allowed: tuple[Any, ...], value: Any) -> NoReturn:
    raise ParameterError(
        f"{where} must be one of {', '.join(map(repr, allowed))}; got {value!r}."
        f"{did_you_mean(str(value), map(str, allowed))}"
    )


def _check_any(where: str, options: list[Any], value: Any) -> None:
    """For a union: `value` must be one of the `options`; where it is none, all that is allowed is said."""
    refused: list[str] = []
    for option in options:
        try:
            return _check(where, option, value)
        except ParameterError as error:
            refused.append(str(error))
    first, *others = refused
    allowed = [text.removeprefix(f"{where} must be ").partition("; got ")[0] for text in others]
    raise ParameterError(first.replace("; got ", "".join(f", or {words}" for words in allowed) + "; got ", 1))


def _check_each(where: str, annotation: Any, value: Any) -> None:
    """For a `tuple[annotation, ...]`."""
    if not isinstance(value, tuple):
        raise ParameterError(f"{where} must be a tuple of values, such as (a, b); got {value!r}.")
    for at, each in enumerate(value):
        _check(f"{where}[{at}]", annotation, each)


def _check_plain(where: str, expected: type, value: Any) -> None:
    numbers: Mapping[type, tuple[type, ...]] = {float: (int, float), int: (int,), bool: (bool,), str: (str,)}
    is_boolean = isinstance(value, bool)
    if not isinstance(value, numbers[expected]) or (is_boolean and expected is not bool):
        names = {float: "a number", int: "a whole number", bool: "True or False", str: "text"}
        raise ParameterError(f"{where} must be {names[expected]}; got {value!r}.")
    if isinstance(value, float) and isnan(value):
        raise ParameterError(f"{where} must be a number; got NaN.")
