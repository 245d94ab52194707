"""Promises about hyper-parameters: each has a range, is checked, and can be written down and read again."""

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from typing import Annotated, Any, Literal, get_args, get_origin

from manyways.errors import ManywaysError, ParameterError
from manyways.methods.chain import Chain
from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method
from manyways.methods.fields import Interval, hints
from manyways.methods.method import Method
from manyways.testing.trial import Trial, require
from manyways.testing.values import allowed_values, options


def is_found_by_name(trial: Trial) -> None:
    """The method is found by its name, so that commands, chains in text and saved models know it."""
    kind, name = type(trial.method), trial.method.method_name()
    if kind is not Chain:
        require(
            all_methods().get(name) is kind,
            f"no method {name!r} is found; give your package an entry point in the group manyways.methods: "
            f'{name} = "{kind.__module__}". The class must be named like its file.',
        )


def is_frozen(trial: Trial) -> None:
    """A method cannot be changed once it is made."""
    for field in fields(trial.method):
        try:
            setattr(trial.method, field.name, getattr(trial.method, field.name))
        except FrozenInstanceError:
            continue
        require(False, f"{field.name} can be set; write @dataclass(frozen=True, kw_only=True).")


def numbers_have_a_range(trial: Trial) -> None:
    """Every field that is a number says which numbers are allowed."""
    for name, annotation in _fields(trial.method):
        plain = [part for part in options(annotation) if part in (int, float)]
        require(not plain, f'{name} is any number; annotate its range: Annotated[float, Interval("[0, 1)")].')


def values_out_of_range_are_refused(trial: Trial) -> None:
    """A value of a wrong type or out of range is refused: which field, what is allowed, what was given."""
    for name, annotation in _fields(trial.method):
        where = f"{type(trial.method).__name__}.{name}"
        for value, allowed in _wrong_values(annotation):
            try:
                replace(trial.method, **{name: value})
            except ParameterError as error:
                for part in (where, *allowed, repr(value)):
                    said = part in str(error) or (part == "nan" and "NaN" in str(error))
                    require(said, f"the refusal of {name}={value!r} does not say {part!r}: {error}")
                continue
            require(False, f"{name}={value!r} is accepted.")


def written_and_read_again(trial: Trial) -> None:
    """`parse_method(str(method))` is the method, and its JSON tells it from others, whatever its fields."""
    for variant in _variants(trial.method):
        read = parse_method(str(variant))
        require(read == variant, f"{variant} is read as {read}.")
        if variant != trial.method:
            text = json.dumps(variant.to_json())
            same = text == json.dumps(trial.method.to_json())
            require(not same, f"{variant} has the JSON of {trial.method}: {text}.")


def _fields(method: Method) -> list[tuple[str, Any]]:
    """Names and annotations; a chain's are checked with its stages."""
    if isinstance(method, Chain):
        return []
    annotations = hints(type(method))
    return [(field.name, annotations[field.name]) for field in fields(method)]


def _wrong_values(annotation: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Values that must be refused, each with what the message must say is allowed."""
    for option in options(annotation)[:1]:
        origin = get_origin(option)
        if origin is Annotated:
            base, *extras = get_args(option)
            for extra in extras:
                if isinstance(extra, Interval):
                    yield from ((value, (extra.text,)) for value in _outside(extra, base))
            yield from _wrong_values(base)
        elif origin is Literal:
            yield "no such word", tuple(map(repr, get_args(option)))
        elif option is int:
            yield from ((1.5, ("whole number",)), ("1", ("whole number",)), (True, ("whole number",)))
        elif option is float:
            yield from (("0.5", ("number",)), (True, ("number",)), (float("nan"), ("number",)))
        elif option is bool:
            yield from ((1, ("True or False",)), ("yes", ("True or False",)))
        elif option is str:
            yield 3, ("text",)
        elif isinstance(option, type) or origin is not None:
            yield 3, ()


def _outside(interval: Interval, kind: type) -> list[Any]:
    low, high = interval.bounds
    step = 1 if kind is int else 0.5
    ends = [low - step, high + step]
    ends += [low] if interval.text[0] == "(" else []
    ends += [high] if interval.text[-1] == ")" else []
    return [kind(end) for end in ends if abs(end) < float("inf")]


def _variants(method: Method) -> Iterator[Method]:
    """The method, and it with each field in turn at other values that are allowed."""
    yield method
    for name, annotation in _fields(method):
        for value in allowed_values(annotation, getattr(method, name)):
            try:
                yield replace(method, **{name: value})
            except ManywaysError:
                continue  # two fields that do not go together
