"""Roles of columns, and parts of rows: those that are named, and those that follow from what is there."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.inference.columns import useless
from manyways.data.inference.table import Table
from manyways.data.kinds import Kind
from manyways.data.phrases import count_of
from manyways.data.roles import text_roles
from manyways.data.sources.base import PART_WORDS
from manyways.data.storage import loaded
from manyways.errors import DataError, did_you_mean


def parts_of(table: Table, part: str | None, given: Mapping[str, tuple[str, ...]]) -> tuple[Table, NDArray[np.uint8]]:
    """The table without its part column, and the part of each row."""
    if part is None:
        return table, table.part if table.part is not None else np.zeros(len(table), np.uint8)
    if role := next((role for role, names in given.items() if part in names), None):
        raise DataError(f"The column {part!r} is both part and {role}; give it one of them.")
    if part not in table.columns:
        raise DataError(
            f"There is no column {part!r} for part; columns are {', '.join(table.columns)}."
            f"{did_you_mean(part, table.columns)}"
        )
    words = loaded(table.columns[part].values)
    codes = np.array([PART_WORDS.get(str(word).strip().lower(), -1) for word in words.tolist()])
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise DataError(
            f"The column {part!r} names no part in {count_of(int((codes < 0).sum()), 'row')}, first {words[row]!r} in "
            f"row {row} (rows count from 0); allowed are {', '.join(PART_WORDS)}."
        )
    rest = {name: column for name, column in table.columns.items() if name != part}
    return replace(table, columns=rest), codes.astype(np.uint8)


def roles_of(
    table: Table,
    given: Mapping[str, tuple[str, ...]],
    ignored: dict[str, str],
    stated: Iterable[str],
    kinds: Mapping[str, Kind],
    *,
    may_lack_input: bool = False,
) -> dict[str, tuple[str, ...]]:
    """All roles, with the label and the inputs that nobody named; columns left out are added to `ignored`.

    stated: the columns whose kind was asked for, which must be there; kinds: all kinds that are known. may_lack_input:
    True where labels alone are enough to learn from, as of a series.
    """
    roles = dict(given)
    wanted = {**{f"the role {role}": names for role, names in given.items()}, "kinds": tuple(stated)}
    for what, names in wanted.items():
        if lost := [name for name in names if name not in table.columns]:
            hint = f" It is left out: {ignored[lost[0]]}." if lost[0] in ignored else ""
            if table.headless:
                hint += f" Note that {table.headless}; if it names the columns, pass header=True."
            shown = ", ".join(list(table.columns)[:20]) + (", …" if len(table.columns) > 20 else "")
            raise DataError(
                f"{table.source} has no column {lost[0]!r} for {what}; columns are {shown}.{hint}"
                f"{did_you_mean(lost[0], table.columns)}"
            )
    taken = {name for names in roles.values() for name in names}
    label = table.label or "label"
    if "label" not in roles and label in table.columns and label not in taken:
        roles["label"] = (label,)
        taken.add(label)
    if "input" not in roles and not any(role in roles for role in text_roles()):
        roles |= {role: (role,) for role in _named_after_roles(table.columns, taken, "label" in roles)}
        taken = {name for names in roles.values() for name in names}
    rest = [name for name in table.columns if name not in taken]
    if "input" in roles or any(role in roles for role in text_roles()):
        ignored.update(dict.fromkeys(rest, "no role was given to it"))
    else:
        found = {name: useless(table.columns[name], kinds.get(name)) for name in rest}
        reasons = {name: reason for name, reason in found.items() if reason}
        ignored.update(reasons)
        roles["input"] = tuple(name for name in rest if name not in reasons)
    if not may_lack_input and not any(roles.get(role) for role in ("input", *text_roles())):
        why = "; ".join(f"{name}: {reason}" for name, reason in ignored.items()) or "every column has another role"
        raise DataError(f'{table.source} has no column to learn from ({why}). Name one: input="…".')
    return {role: names for role, names in roles.items() if names}


def _named_after_roles(columns: Iterable[str], taken: set[str], labelled: bool) -> tuple[str, ...]:
    """The text roles that the names of `columns` say, as the field's data sets name them."""
    free = set(columns) - taken
    roles: set[str] = {"messages", "prompt"} & free
    for together in ({"prompt", "completion"}, {"chosen", "rejected"}):
        roles |= together if together <= free else set()
    # A column called text beside a label is what a classifier reads.
    if "text" in free and not labelled and (roles or free == {"text"}):
        roles.add("text")
    return tuple(role for role in text_roles() if role in roles)
