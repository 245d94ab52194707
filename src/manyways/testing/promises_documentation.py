"""Promises about words: who wrote the method down first, and what each hyper-parameter means."""

import ast
import inspect
import textwrap
from dataclasses import MISSING, fields

from manyways.methods.chain import Chain
from manyways.testing.trial import Trial, require, skip

LONGEST_LINE = 140


def says_what_it_is(trial: Trial) -> None:
    """The class says in one line what it does, and then more if it likes."""
    kind = type(trial.method)
    first, *more = (inspect.cleandoc(kind.__doc__ or "")).splitlines() or [""]
    require(bool(first) and not first.startswith(f"{kind.__name__}("), "the class has no docstring.")
    most = LONGEST_LINE
    require(len(first) <= most, f"the first line has {len(first)} characters; {most} are the most.")
    require(first.endswith((".", ":")), f"the first line is no sentence: {first!r}.")
    require(not more or not more[0], "the first line of the docstring is not followed by an empty one.")


def names_its_source(trial: Trial) -> None:
    """The class names who described the method, and when."""
    kind = type(trial.method)
    if kind is not Chain:
        has_year = any(character.isdigit() for character in kind.paper)
        require(has_year, f"paper is {kind.paper!r}; give authors, title, where and the year.")


def fields_are_documented(trial: Trial) -> None:
    """Every field has a default and a line that says what it means."""
    kind = type(trial.method)
    if kind is Chain:
        skip("the stages of a chain are tried by themselves")
    documented = _documented(kind)
    for field in fields(kind):
        bare = field.default is MISSING and field.default_factory is MISSING
        require(not bare, f"{field.name} has no default, so that {kind.__name__}() cannot be made.")
        text = documented.get(field.name, "")
        require(bool(text), f'{field.name} is not documented; write """what it means""" under it.')
        require(text.endswith("."), f"the documentation of {field.name} is no sentence: {text!r}.")


def _documented(kind: type) -> dict[str, str]:
    """The docstrings under the fields of a class and of those it inherits from, the nearest first."""
    docstrings: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if owner.__module__ == "builtins" or "__dataclass_fields__" not in vars(owner):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(definition, ast.ClassDef)
        for line, after in zip(definition.body, definition.body[1:], strict=False):
            if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                docstrings[line.target.id] = str(after.value.value).strip()
    return docstrings
