"""Titles of entries: methods as they are typed, but each checkpoint by its name instead of its folder."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from manyways.methods.chain import Chain
from manyways.methods.method import Method
from manyways.methods.written import default, written

CHECKPOINT_FIELDS = ("backbone", "checkpoint")
HUB_CACHE = "models--"
"""Begins the folder that the Hub's cache keeps a checkpoint in: models--owner--name/snapshots/<revision>."""


def titles(methods: Mapping[str, Method]) -> dict[str, str]:
    """The title of each of `methods` by its name; two checkpoints of one name are told apart by their folders."""
    names = checkpoint_names(place for method in methods.values() for place in checkpoint_places(method.to_json()))
    return {text: _title(method, names) for text, method in methods.items()}


def checkpoint_names(places: Iterable[str]) -> dict[str, str]:
    """The name of the checkpoint at each of `places`: its last parts, as few as tell it from the others."""
    parts = {place: _parts(place) for place in places}
    names = {}
    for place, own in parts.items():
        others = [other for other in parts.values() if other != own]
        count = 1
        while count < len(own) and any(other[-count:] == own[-count:] for other in others):
            count += 1
        names[place] = "/".join(own[-count:])
    return names


def checkpoint_places(hyperparameters: Mapping[str, Any]) -> Iterator[str]:
    """The folders and Hub names of checkpoints in the saved fields of a method, those of nested methods included."""
    for name, value in hyperparameters.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Mapping):
                yield from checkpoint_places(each)
            elif isinstance(each, str):
                yield from (place for _, place in _named(name, each))


def _parts(place: str) -> tuple[str, ...]:
    parts = PurePath(place).parts
    for part in parts:
        if part.startswith(HUB_CACHE):
            return tuple(part.removeprefix(HUB_CACHE).split("--"))
    return tuple(part for part in parts if part not in ("/", "\\"))


def _named(field: str, value: str) -> Iterator[tuple[str, str]]:
    """(input, checkpoint) of those in the text of a field, which may give one for each input: "text=a/b,image=c/d"."""
    several = field in CHECKPOINT_FIELDS and "=" in value and "/" not in value.partition("=")[0]
    for part in value.split(",") if several else [value]:
        name, _, place = part.partition("=") if several else ("", "", part)
        if "/" in place or "\\" in place:
            yield name.strip(), place.strip()


def _title(method: Method, names: Mapping[str, str]) -> str:
    if not any(checkpoint_places(method.to_json())):
        return str(method)
    if isinstance(method, Chain):
        return " >> ".join(_title(stage, names) for stage in method.stages)
    checkpoints, others = [], []
    for field in fields(method):
        value = getattr(method, field.name)
        if value == default(field):
            continue
        found = list(_named(field.name, value)) if isinstance(value, str) else []
        if found and field.name in CHECKPOINT_FIELDS:
            checkpoints += [f"{key}={names[place]}" if key else names[place] for key, place in found]
        else:
            others.append(f"{field.name}={_short(value, names)}")
    if checkpoints:
        return f"{method.method_name()} ({', '.join([*checkpoints, *others])})"
    return f"{method.method_name()}({', '.join(others)})"


def _short(value: Any, names: Mapping[str, str]) -> str:
    """The value of a field as it is written, a method by its title and a checkpoint by its name."""
    if isinstance(value, Method):
        return _title(value, names)
    if isinstance(value, str):
        return names.get(value) or written(value)
    if isinstance(value, tuple) and any(isinstance(each, Method | str) for each in value):
        return f"({', '.join(_short(each, names) for each in value)})"
    return written(value)
