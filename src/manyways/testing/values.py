"""Values of hyper-parameters: allowed ones by their annotations, and other methods."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from manyways.methods.fields import Interval, Named, Written
from manyways.methods.method import Method


def options(annotation: Any) -> list[Any]:
    """The types that an annotation allows besides None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for option in get_args(annotation) if option is not type(None)]
    return [annotation]


def allowed_values(annotation: Any, now: Any) -> Iterator[Any]:
    """Values that a field of type `annotation` allows, among them such as differ from its value `now`."""
    if type(None) in get_args(annotation):
        yield None
    option = options(annotation)[0]
    origin = get_origin(option)
    if origin is Annotated:
        base, *extras = get_args(option)
        if written := [extra for extra in extras if isinstance(extra, Written)]:
            yield from (name for name in written[0].allowed if name != now)
            return
        inside = [extra for extra in extras if isinstance(extra, Interval)]
        for value in (0, 1, 2, 3, 0.125, 1e-7, 12345.678):
            fits = isinstance(value, int) or base is float
            if fits and value != now and all(value in extra for extra in inside):
                yield base(value)
    elif origin is Literal:
        yield from get_args(option)
    elif option is bool:
        yield not now
    elif option is str:
        yield from ("two-words and 'quotes'", "owner/some-name", "a, b >> c")
    elif origin is tuple:
        inner = list(allowed_values(get_args(option)[0], None))
        yield from ((), tuple(inner[:1]), tuple(inner))
    elif isinstance(option, type) and issubclass(option, Method):
        yield from other_methods()


def other_methods() -> list[Method]:
    """Methods with fields off their defaults, for fields that hold a method."""
    from manyways.methods.semi_supervised.fixmatch import FixMatch
    from manyways.methods.supervised.supervised import Supervised

    return [Supervised(label_smoothing=0.1), FixMatch(threshold=0.5, backbone="audio-net")]


def other_values(annotation: Any, now: Any) -> Iterator[Any]:
    """Allowed values of a field that are not the one it has, those near it first."""
    option = options(annotation)[0]
    base, inside = (get_args(option)[0], get_args(option)[1:]) if get_origin(option) is Annotated else (option, ())
    intervals = [extra for extra in inside if isinstance(extra, Interval)]
    if base in (int, float):
        yield from _other_numbers(base, intervals, now)
    elif get_origin(base) is Literal:
        yield from (value for value in get_args(base) if value != now)
    elif base is bool:
        yield not now
    elif isinstance(base, type) and issubclass(base, Method):
        yield from (method for method in other_methods() if method != now)
    for named in (extra for extra in inside if isinstance(extra, Named)):
        yield from (name for name in named.allowed if name != now)
    if now is not None and type(None) in get_args(annotation):
        yield None


def _other_numbers(base: type, intervals: list[Interval], now: Any) -> Iterator[Any]:
    if base is int:
        tried = [3, 2, 1] if now is None else [now - 1, now + 1, 1]
    else:
        tried = [0.5, 1e-3, 2.0] if now is None else [now / 2, (1 + now) / 2, now * 2, 0.25]
    for value in dict.fromkeys(map(base, tried)):
        if value != now and all(value in interval for interval in intervals):
            yield value
