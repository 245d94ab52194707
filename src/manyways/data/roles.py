"""Roles: what a column is for, and so how the data can be learned from."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from manyways.errors import DataError, ParameterError

ROLES: dict[str, str] = {
    "input": "what a model sees",
    "label": "what a model should say; may be missing on some rows",
    "task": "which task a row belongs to: multi-task, meta-learning, continual learning",
    "client": "who holds the row: federated learning",
    "time": "when the row came: online and continual learning",
    "subject": "whose data the row is: forgetting a person",
    "forget": "whether the row is to be forgotten: approximate unlearning",
    "difficulty": "how hard the row is: curriculum learning",
    "weight": "how much the row counts",
    "prompt": "what a language model is asked",
    "completion": "the answer to a prompt",
    "messages": "a conversation",
    "text": "running text to read",
    "chosen": "the preferred answer",
    "rejected": "the other answer",
}
"""Every role and what it is for."""

MANY = frozenset({"input", "label", "text"})
"""Roles that several columns may share; every other role belongs to one column."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` where a name close to `given` is allowed, else an empty string."""
    close = difflib.get_close_matches(given, list(allowed), 1, 0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_roles(columns: Iterable[str], roles: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """`roles` as tuples of column names, empty ones left out.

    Raises ParameterError for an unknown role, DataError for an unknown column, a column with two roles, or
    several columns in a role that takes one.
    """
    names = list(columns)
    checked: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for role, given in roles.items():
        if role not in ROLES:
            raise ParameterError(f"There is no role {role!r}; roles are {', '.join(ROLES)}.{did_you_mean(role, ROLES)}")
        for column in given:
            if column not in names:
                shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
                raise DataError(
                    f"There is no column {column!r} for the role {role}; columns are {shown}."
                    f"{did_you_mean(column, names)}"
                )
            if owner.setdefault(column, role) != role:
                raise DataError(f"The column {column!r} has two roles, {owner[column]} and {role}; give it one.")
        if len(given) > 1 and role not in MANY:
            raise DataError(f"The role {role} takes one column; got {', '.join(given)}.")
        if given:
            checked[role] = tuple(given)
    return checked
