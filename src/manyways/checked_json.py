"""JSON that anybody may have written: read within bounds, and held to the types that its reader needs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from manyways.errors import ManywaysError

Held = TypeVar("Held")

MOST_BYTES = 64 << 20
DEEPEST = 100

DAMAGED = "it is damaged or was written by something else"
TOO_DEEP = "is nested deeper than {} levels; nothing of Manyways writes such a file."

_NAMES: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
_ABSENT: Any = object()


@dataclass(frozen=True)
class Described:
    """A JSON object of a file, whose members are asked for by name and type.

    `where` says what the object is, for a person ("the receipt FILE", "entry 3 of `rows` in …"); `error` is the class
    of what is raised when a member is missing or of another type.
    """

    members: Mapping[str, Any]
    where: str
    error: type[ManywaysError]

    @overload
    def get(self, key: str, kind: type[Held]) -> Held: ...
    @overload
    def get(self, key: str, kind: type[Held], default: None) -> Held | None: ...
    @overload
    def get(self, key: str, kind: type[Held], default: Held) -> Held: ...
    def get(self, key: str, kind: type[Held], default: Any = _ABSENT) -> Any:
        """The member `key`, of type `kind`; `default` where it is absent or null, if one is given.

        A whole number is a number; true and false are neither. Raises `error` for another type.
        """
        value = self.members.get(key)
        if value is None and default is not _ABSENT:
            return default
        if key not in self.members:
            raise self.error(f"{self.where} lacks `{key}`, {_NAMES[kind]}; {DAMAGED}.")
        return checked(value, kind, f"`{key}` of {self.where}", self.error)

    def object(self, key: str) -> "Described":
        """The member `key`, an object."""
        return Described(self.get(key, dict), f"`{key}` of {self.where}", self.error)

    def objects(self, key: str) -> list["Described"]:
        """The member `key`, a list of objects."""
        where = f"`{key}` of {self.where}"
        entries = enumerate(self.get(key, list))
        return [described(each, f"entry {at} of {where}", self.error) for at, each in entries]

    def all(self, key: str, kind: type[Held]) -> list[Held]:
        """The member `key`, a list whose entries are of type `kind`."""
        where = f"`{key}` of {self.where}"
        return [
            checked(each, kind, f"entry {at} of {where}", self.error) for at, each in enumerate(self.get(key, list))
        ]


def checked(value: Any, kind: type[Held], where: str, error: type[ManywaysError]) -> Held:
    """`value`, if it is of type `kind` as JSON has it; raises `error` otherwise."""
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise error(f"{where} must be {_NAMES[kind]}, and is {brief(value)}; {DAMAGED}.")
    return float(value) if kind is float else value  # type: ignore[return-value]


def described(value: Any, where: str, error: type[ManywaysError]) -> Described:
    """`value` as an object of which members can be asked; raises `error` where it is something else."""
    return Described(checked(value, dict, where, error), where, error)


def brief(value: Any, most: int = 60) -> str:
    """A value of a file in a few characters, on one line, without what a terminal would act on."""
    text = json.dumps(value) if not isinstance(value, (list, dict)) else f"{type(value).__name__} of {len(value)}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def parse(text: str | bytes, where: str, error: type[ManywaysError], deepest: int = DEEPEST) -> Any:
    """The value of a JSON text; objects keep the order of their members.

    Raises `error`, naming `where`, for what is no JSON or no UTF-8, for nesting deeper than `deepest`, for whole
    numbers of more than 4,300 digits and for text with half of a surrogate pair, which no file could hold again.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(decoded)
        decoded.encode("utf-8")
    except RecursionError:
        raise error(f"{where} {TOO_DEEP.format(deepest)}") from None
    except ValueError as why:
        raise error(f"{where} is no JSON: {_one_line(why)}. It is damaged; take it from a backup.") from None
    _check(value, where, error, deepest)
    return value


def read(
    path: str | Path, where: str, error: type[ManywaysError], most: int = MOST_BYTES, deepest: int = DEEPEST
) -> Described:
    """The JSON object in a file, of at most `most` bytes, as `parse` reads it; raises `error` where there is none."""
    return described(parse(_bytes_of(path, where, error, most), where, error, deepest), where, error)


def read_objects(path: str | Path, where: str, error: type[ManywaysError]) -> list[Described]:
    """The objects in a file that holds a list of them, as `read` reads one; raises `error` where it holds none."""
    values = checked(parse(_bytes_of(path, where, error, MOST_BYTES), where, error), list, where, error)
    return [described(each, f"entry {at} of {where}", error) for at, each in enumerate(values)]


def _bytes_of(path: str | Path, where: str, error: type[ManywaysError], most: int) -> bytes:
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = file.read(most + 1)
    except OSError as why:
        raise error(f"{where} cannot be read: {why.strerror or _one_line(why)} ({path}).") from None
    if len(text) > most:
        raise error(f"{where} is larger than {most >> 20} MB ({path}); nothing of Manyways writes such a file.")
    return text


def _check(value: Any, where: str, error: type[ManywaysError], deepest: int) -> None:
    """Depth and surrogates, without recursion: the value may be as deep as Python's own parser goes."""
    ahead = [(value, 1)]
    while ahead:
        each, depth = ahead.pop()
        if depth > deepest:
            raise error(f"{where} {TOO_DEEP.format(deepest)}")
        if isinstance(each, str) and any("\ud800" <= letter <= "\udfff" for letter in each):
            raise error(f"{where} holds half of a surrogate pair, {brief(each)}, which is no text; it is damaged.")
        if isinstance(each, dict):
            ahead += [(part, depth + 1) for pair in each.items() for part in pair]
        elif isinstance(each, list):
            ahead += [(part, depth + 1) for part in each]


def _one_line(why: Exception) -> str:
    return " ".join(str(why).split()).rstrip(".")
