"""Roles: what a column is for, and so how the data can be learned from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from manyways.errors import DataError, did_you_mean
from manyways.registry import Registry


@dataclass(frozen=True)
class Role:
    """The use of a column: `read(path, label="species", client="hospital")`.

    Attributes:
        name: The word for it, which `read` and the commands take as an option.
        meaning: What such a column holds, in words.
        holds: The kind that its values have, whatever they look like: "text" or "category"; None: as they look.
        several: True if several columns may share it.
        together: True if rows that share its value belong together: no split has them on both sides.
        changes_learning: True if it changes how rows are learned from: a method that does not use it refuses the data.
    """

    name: str
    meaning: str
    holds: Literal["text", "category"] | None = None
    several: bool = False
    together: bool = False
    changes_learning: bool = False


ROLES: Registry[Role] = Registry("roles", Role, "manyways.data.roles")
"""Every role by its name: those of this file, and of the entry-point group `manyways.roles`."""

INPUT = Role("input", "what a model sees", several=True)
LABEL = Role("label", "what a model should say; may be missing on some rows", several=True)
TASK = Role("task", "which task a row belongs to: multi-task, meta-learning, continual learning", "category")
CLIENT = Role("client", "who holds the row: federated learning", "category")
TIME = Role("time", "when the row came: online and continual learning")
SUBJECT = Role("subject", "whose data the row is: forgetting a person, and splits by person", "category", together=True)
GROUP = Role("group", "which rows belong together: no split has them on both sides", "category", together=True)
FORGET = Role("forget", "whether the row is to be forgotten: approximate unlearning", "category")
DOMAIN = Role("domain", "where the row comes from: domain adaptation, from labelled domains to others", "category")
DIFFICULTY = Role("difficulty", "how hard the row is: curriculum learning", changes_learning=True)
UNTIL = Role("until", "when the row's label is known: what is learned by must be known before the test rows begin")
SERIES = Role("series", "which of several series the row forecasts", "category")
WEIGHT = Role("weight", "how much the row's label counts: its sample weight, 0 or more", changes_learning=True)
PROMPT = Role("prompt", "what a language model is asked", "text")
COMPLETION = Role("completion", "the answer to a prompt", "text")
MESSAGES = Role("messages", "a conversation", "text")
TEXT = Role("text", "running text to read", "text", several=True)
CHOSEN = Role("chosen", "the preferred answer", "text")
REJECTED = Role("rejected", "the other answer", "text")


def text_roles() -> tuple[str, ...]:
    """The roles whose columns hold text for language models."""
    return tuple(name for name, role in ROLES.all().items() if role.holds == "text")


def check_roles(columns: Iterable[str], roles: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """`roles` as tuples of column names, empty ones left out.

    Raises:
        ParameterError: A role is unknown.
        DataError: A column is unknown or has two roles, or several columns have a role that takes one.
    """
    names = list(columns)
    checked: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for role, given in roles.items():
        kind = ROLES.find(role)
        for column in given:
            if column not in names:
                shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
                raise DataError(
                    f"There is no column {column!r} for the role {role}; columns are {shown}."
                    f"{did_you_mean(column, names)}"
                )
            if owner.setdefault(column, role) != role:
                raise DataError(f"The column {column!r} has two roles, {owner[column]} and {role}; give it one.")
        if len(given) > 1 and not kind.several:
            raise DataError(f"The role {role} takes one column; got {', '.join(given)}.")
        if given:
            checked[kind.name] = tuple(given)
    return checked
