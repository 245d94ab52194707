"""Methods from text: `simclr >> fixmatch(threshold=0.9)`."""

import ast
import re
from typing import Any

from manyways.errors import ParameterError
from manyways.methods.discovery import find_method, modules
from manyways.methods.fields import fields_in_text
from manyways.methods.method import Method
from manyways.methods.ranges import RANGES
from manyways.registry import normal

_QUOTED_OR_DASH = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<=[A-Za-z])-(?=[A-Za-z])"""
"""A name's dash becomes an underscore; one inside quotes is part of a value."""


def parse_method(text: str) -> Method:
    """Parse a method: a name, fields in parentheses, `>>` between the stages of a chain.

    Nothing is evaluated but constants and names of methods.

    Args:
        text: The method as text, such as `simclr >> fixmatch(threshold=0.9)`.

    Raises:
        ParameterError: The text is no method, or a method does not take its fields.
    """
    method = _value(_tree(text), text)
    if not isinstance(method, Method):
        raise ParameterError(f"{text!r} is no method but the value {method!r}.")
    return method


def methods_in(text: str) -> list[str]:
    """The names of all methods that `text` writes, those in fields included; none is made."""
    return [node.id for node in ast.walk(_tree(text)) if isinstance(node, ast.Name)]


def _tree(text: str) -> ast.expr:
    source = re.sub(_QUOTED_OR_DASH, lambda found: found[0] if len(found[0]) > 1 else "_", text.strip())
    try:
        return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ParameterError(
            f"{text!r} is no method; write a name, a name with fields such as fixmatch(threshold=0.9), or a chain such "
            f"as 'simclr >> fixmatch'."
        ) from error


def make_method(name: str, options: dict[str, Any]) -> Method:
    """The method `name` with `options` as its fields.

    Raises:
        ParameterError: There is no such method, or it does not have such a field.
    """
    return find_method(name)(**options)


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift):
        before, after = _value(node.left, text), _value(node.right, text)
        if isinstance(before, Method) and isinstance(after, Method):
            return before >> after
    if isinstance(node, ast.Name):
        return make_method(node.id, {})
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _called(node, node.func.id, text)
    if isinstance(node, ast.List | ast.Tuple | ast.Dict):
        return _several(node, text)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise _no_value(node, text) from error


def _called(node: ast.Call, name: str, text: str) -> Any:
    """The method with fields that a call writes, or the text of a range."""
    if name in RANGES and not node.keywords:
        return ast.unparse(node)
    kind = find_method(name)
    as_text = fields_in_text(kind)
    options = {
        word.arg: _text(word.value) if word.arg in as_text else _value(word.value, text)
        for word in node.keywords
        if word.arg
    }
    if len(options) < len(node.keywords) or len(node.args) > (kind.in_text is not None):
        raise _no_value(node, text)
    return kind.from_text([_value(each, text) for each in node.args], options)


def _text(node: ast.expr) -> Any:
    """The text of a value that is read by its field: a sampler with fields; a constant as it is."""
    return node.value if isinstance(node, ast.Constant) else ast.unparse(node)


def _several(node: ast.List | ast.Tuple | ast.Dict, text: str) -> Any:
    """The values in a list, a tuple or a dictionary, methods among them."""
    if isinstance(node, ast.Dict):
        keys = [key for key in node.keys if key is not None]
        if len(keys) < len(node.keys):
            raise _no_value(node, text)
        return {_value(key, text): _value(value, text) for key, value in zip(keys, node.values, strict=True)}
    values = [_value(each, text) for each in node.elts]
    return values if isinstance(node, ast.List) else tuple(values)


def _no_value(node: ast.expr, text: str) -> ParameterError:
    return ParameterError(
        f"{ast.unparse(node)!r} in {text!r} is neither a constant nor a method; "
        "write fields as name=value: fixmatch(threshold=0.9)."
    )


def split_methods(text: str) -> list[str]:
    """The methods in a comma-separated list; commas inside parentheses separate fields, not methods."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [part.strip() for part in [*parts, current] if part.strip()]


def is_method_name(name: str) -> bool:
    """True if there is a method of that name."""
    return normal(name) in modules()
