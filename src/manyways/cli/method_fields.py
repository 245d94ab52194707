"""The fields of a method as options: their ranges, defaults and the texts under them."""

import ast
import inspect
import textwrap
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, make_dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from tyro.conf import arg

from manyways.methods.expressions import parse_method
from manyways.methods.fields import Interval, Named, Written, hints
from manyways.methods.method import Method

PLAIN = {float: "number", int: "whole number", bool: "yes or no", str: "text"}


@dataclass(frozen=True)
class MethodField:
    """One field: its values in words, its default as it is typed, and what it is for.

    `type` is what tyro reads; None where no value can be typed, such as for a function.
    """

    name: str
    values: str
    default: Any
    text: str
    type: Any


def method_fields(kind: type[Method]) -> list[MethodField]:
    """The fields of the method `kind`, its own and inherited."""
    texts, annotations = field_texts(kind), hints(kind)
    described = []
    for member in fields(kind):
        values, read = _described(annotations[member.name])
        default = default_of(member)
        described.append(
            MethodField(
                member.name,
                values,
                str(default) if isinstance(default, Method) else default,
                texts.get(member.name, ""),
                read,
            )
        )
    return described


def field_texts(kind: type) -> dict[str, str]:
    """The docstring under each field of `kind` and the classes it builds on; none without source."""
    texts: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        try:
            source = textwrap.dedent(inspect.getsource(owner))
        except (OSError, TypeError):
            continue
        body = ast.parse(source).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for before, after in pairwise(statements):
            if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
                text = (
                    after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
                )
                texts[before.target.id] = " ".join(str(text).split())
    return texts


def default_of(spec: "Field[Any]") -> Any:
    """The default of a dataclass's field."""
    if spec.default_factory is not MISSING:
        return spec.default_factory()
    return spec.default


def options_class(kind: type[Method], taken: set[str]) -> type:
    """A dataclass with the fields of `kind` that can be typed and whose names are not `taken`."""
    options = []
    for member in method_fields(kind):
        if member.type is None or member.name in taken:
            continue
        text = f"{member.text} {member.values[0].upper()}{member.values[1:]}."
        options.append((member.name, Annotated[member.type, arg(help=text.strip())], field(default=member.default)))
    summary = " ".join((kind.__doc__ or "").split())
    return make_dataclass(f"{kind.__name__}Fields", options, frozen=True, namespace={"__doc__": summary})


def given_fields(kind: type[Method], options: Any) -> dict[str, Any]:
    """The fields in `options` that differ from the defaults of `kind`; methods are read from their text."""
    types_of, given = hints(kind), {}
    for option in fields(options):
        value = getattr(options, option.name)
        if value != option.default:
            given[option.name] = parse_method(value) if is_method(types_of[option.name]) and value else value
    return given


def is_method(annotation: Any) -> bool:
    """True if the values of `annotation` are methods."""
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return any(is_method(option) for option in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, Method)


def _described(annotation: Any) -> tuple[str, Any]:
    """The values of `annotation` in words, and the type that tyro reads them by, or None."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        words, read = _described(parts[0])
        named = [f"one of {', '.join(extra.allowed)}" for extra in parts[1:] if isinstance(extra, Named | Written)]
        ranges = [f"in {extra.text}" for extra in parts[1:] if isinstance(extra, Interval)]
        return " ".join([*(named or [words]), *ranges]), read
    if origin in (Union, types.UnionType):
        return _described_union(parts)
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}", annotation
    if is_method(annotation):
        return "a method", str
    if origin is tuple and parts[-1] is ...:
        words, read = _described(parts[0])
        return f"several of: {words}", None if read is None else annotation
    other = "values by name, as in {'name': …}" if origin is Mapping else "a function or object, in Python only"
    return PLAIN.get(annotation, other), annotation if annotation in PLAIN else None


def _described_union(parts: tuple[Any, ...]) -> tuple[str, Any]:
    options = [_described(part) for part in parts if part is not type(None)]
    if type(None) in parts:
        options.append(("None", type(None)))
    words = " or ".join(dict.fromkeys(word for word, _ in options))
    reads = [read for _, read in options if read is not None]  # what cannot be typed may still be named in text
    return words, Union[tuple(reads)] if set(reads) - {type(None)} else None  # noqa: UP007  made at run time
