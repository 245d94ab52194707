"""Origin: the source of rows and the options it was read with, so that they can be read again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from manyways.data.columns import Column
from manyways.data.storage import chunks_of


@dataclass(frozen=True)
class Origin:
    """A source by its name, the options of `read`, and what added columns since; JSON values, no content of rows.

    What reading found out by itself (which column is the label, the size of images) stands among the options, and
    `columns` says the kind of each column and how its values are stored: rows read again are the same rows, even where
    others have left the source.
    """

    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    steps: Sequence[tuple[str, Mapping[str, Any]]] = ()

    def then(self, step: str, **arguments: Any) -> Self:
        """This origin, and a `step` after it."""
        return replace(self, steps=(*self.steps, (step, arguments)))

    def of_columns(self, columns: Iterable[Column]) -> Self:
        """This origin of other `columns`, which reading makes of those in the source."""
        return replace(self, columns={column.name: stored_as(column) for column in columns})

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs, as JSON values."""
        return {
            "source": self.source,
            "options": dict(self.options),
            "columns": {name: list(stored) for name, stored in self.columns.items()},
            "steps": [[step, dict(arguments)] for step, arguments in self.steps],
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The origin that `to_json` wrote."""
        steps = tuple((step, arguments) for step, arguments in saved["steps"])
        return cls(saved["source"], saved["options"], saved["columns"], steps)


def find_origin(
    source: Any, given: Mapping[str, Any], columns: Mapping[str, Column], roles: Mapping[str, Sequence[str]]
) -> Origin | None:
    """The origin of what was read from `source` with the options `given`; None for values in memory.

    given: the options that are no roles; columns and roles: what reading made of them.
    """
    named = {name: _named(given.get(name)) for name in ("test", "validation")}
    whole = _named(source)
    if whole is None or any(named[name] is None and given.get(name) is not None for name in named):
        return None
    options = {name: value for name, value in {**given, **named}.items() if value is not None}
    options |= {role: list(names) for role, names in roles.items()} | {"label": list(roles.get("label", ()))}
    options |= _sizes(columns.values())
    return Origin(whole, options, {name: stored_as(column) for name, column in columns.items()})


def stored_as(column: Column) -> tuple[str, str]:
    """The kind of `column`, and the type of its values: of objects whether they are words."""
    if column.values.dtype.kind != "O":
        return column.kind, column.values.dtype.name
    known = (value for rows in chunks_of(len(column)) for value in column.take(rows) if value is not None)
    return column.kind, "words" if isinstance(next(known, ""), str) else "object"


def _named(source: Any) -> str | None:
    """The name of `source` from any folder: a path in full, another name as it is; None where it has none."""
    if not isinstance(source, str | Path):
        return None
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else str(source)


def _sizes(columns: Collection[Column]) -> dict[str, Any]:
    """The size and white of images, and rate and length of sounds, where all columns have the same."""
    images = {tuple(map(int, column.values.shape[2:])) for column in columns if column.kind == "image"}
    sounds = {
        (column.rate, int(column.values.shape[1])) for column in columns if column.kind == "audio" and column.rate
    }
    whites = {column.white for column in columns if column.white is not None}
    options: dict[str, Any] = {"image_white": whites.pop()} if len(whites) == 1 else {}
    if len(images) == 1:
        options["image_size"] = list(images.pop())
    if len(sounds) == 1:
        rate, samples = sounds.pop()
        options |= {"sample_rate": rate, "seconds": samples / rate}
    return options
