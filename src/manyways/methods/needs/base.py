"""Need: one thing that a method needs of the data, and what to type where it is missing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from manyways.data.data import Data
from manyways.data.roles import ROLES
from manyways.registry import Registry

Check = Callable[[Data], str | None]
"""Returns why data does not meet a need, with what to type instead; None if it does."""


@dataclass(frozen=True)
class Need:
    """A requirement on the data: `FixMatch.needs = (Input, Classes, Unlabelled)`.

    A method's file may define its own, as a value at its top level.

    Attributes:
        name: The word for it in tables and results.
        meaning: What the data must have, as the object of a sentence: "a client column".
        check: Returns why data does not meet it, with what to type instead; None if it does.
        of_rows: False for what an environment has, and not rows of a table.
        labelled: True if only rows with labels meet it.
        reads_labels: True if rows with labels may meet it, so that their sample weights matter.
    """

    name: str
    meaning: str
    check: Check
    of_rows: bool = True
    labelled: bool = False
    reads_labels: bool = False

    def __str__(self) -> str:
        return self.name


NEEDS: Registry[Need] = Registry("needs", Need, "manyways.methods.needs", "manyways.methods")
"""Every need by its name: those of this folder, of the methods' files, and of the group `manyways.needs`."""


def lacking(needs: Iterable[Need], data: Data) -> str | None:
    """The first of `needs` that `data` does not meet, with what to type instead; None if all are met."""
    wanted = tuple(needs)
    if data.environment is not None and any(need.of_rows for need in wanted):
        where = f"{data.name} is an environment, which has none"
        return f"it learns from rows, and {where}. Learn there by acting, with ppo."
    if wanted and not data.columns and data.environment is None:
        return f"it needs {' and '.join(need.meaning for need in wanted)}, and no data is given. Name it: fit(data)."
    return next((reason for need in wanted if (reason := need.check(data))), None)


def unused(used: Iterable[str], data: Data) -> str | None:
    """The first role of `data` that changes how labels are learned from, and is not among the `used` ones.

    Returns:
        Why a method that uses no more roles cannot learn from `data`, with what to type instead; None if it can.
    """
    for role in data.roles:
        if ROLES.find(role).changes_learning and role not in used:
            (name,) = data.roles[role]
            return (
                f"it does not use the role {role}, which the column {name!r} has. Read the data without that role, and "
                "name the inputs: input=[…]."
            )
    return None


def column_with_role(role: str, meaning: str) -> Check:
    """The check that a column has the role `role`; `meaning` as in `Need`."""

    def check(data: Data) -> str | None:
        if data.has(role):
            return None
        return (
            f'it needs {meaning}, and no column has the role {role}. Name it: {role}="…" with one of '
            f"{columns_of(data)}."
        )

    return check


def columns_of(data: Data) -> str:
    """The names of all columns, for messages."""
    return ", ".join(data.columns) or "no columns"
