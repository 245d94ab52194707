"""Samplers from text: `curriculum(by-length, difficulty=rarity, order=hard)`."""

import ast
import inspect
import re
from typing import Any

from manyways.errors import ParameterError, did_you_mean
from manyways.training.samplers.base import SAMPLERS, Sampler

_QUOTED_OR_DASH = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<=[A-Za-z])-(?=[A-Za-z])"""
"""A name's dash becomes an underscore; one inside quotes is part of a value."""


def make_sampler(given: str | Sampler) -> Sampler:
    """A new sampler, as text writes it or like the one given.

    Nothing is evaluated but constants: a word is a name, as if in quotes.

    Args:
        given: Name of a sampler, with fields in parentheses where it has any; or a sampler, which stays as it is.

    Raises:
        ParameterError: The text is no sampler, or a sampler does not take its fields.
    """
    text = sampler_text(given) if isinstance(given, Sampler) else given
    source = re.sub(_QUOTED_OR_DASH, lambda match: match[0] if len(match[0]) > 1 else "_", text.strip())
    try:
        node = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        node = None
    if isinstance(node, ast.Name):
        return SAMPLERS.find(node.id)()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _called(node, node.func.id, text)
    raise ParameterError(
        f"{text!r} is no sampler; write a name, such as epochs, or one with fields: curriculum(difficulty=length)."
    )


def sampler_text(given: str | Sampler) -> str:
    """A sampler as text, from which `make_sampler` makes it again; of text the same in its usual form."""
    return given.text if isinstance(given, Sampler) else make_sampler(given).text


def _called(node: ast.Call, name: str, text: str) -> Sampler:
    kind = SAMPLERS.find(name)
    values = [_value(each, text) for each in node.args]
    fields = {word.arg: _value(word.value, text) for word in node.keywords if word.arg}
    taken = inspect.signature(kind).parameters
    known = [each.name for each in taken.values() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    for field in fields:
        if field not in known:
            those = f"its fields are {', '.join(known)}" if known else "it has none"
            raise ParameterError(
                f"The sampler {kind.name!r} has no field {field!r}; {those}.{did_you_mean(field, known)}"
            )
    try:
        bound = inspect.signature(kind).bind(*values, **fields)
    except TypeError as error:
        raise ParameterError(f"The sampler {kind.name!r} in {text!r} does not fit its fields: {error}.") from error
    return kind(*bound.args, **bound.kwargs)


def _value(node: ast.expr, text: str) -> Any:
    """The value that a part of `text` writes: a constant, a word, a sampler as text, or several of these."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call):
        return ast.unparse(node)
    if isinstance(node, ast.List | ast.Tuple):
        return tuple(_value(each, text) for each in node.elts)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ParameterError(
            f"{ast.unparse(node)!r} in {text!r} is neither a constant nor a name; write fields as name=value: "
            "curriculum(order=hard)."
        ) from error
