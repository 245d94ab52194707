"""Every member of a saved description in turn removed, or replaced by what it never is."""

import copy
import hashlib
import json
import resource
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import manyways as mw
from manyways.errors import ModelError

REMOVED = object()
STRANGE = (REMOVED, None, -1, 10**12, "x", [], {})
MOST_KB, MOST_SECONDS = 1 << 20, 20.0


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all members of a JSON value; of a list the first entry and the last stand for all."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield (*at, key)
            yield from places(held, (*at, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1} if value else ()):
            yield (*at, index)
            yield from places(value[index], (*at, index))


def changed(value: Any, at: tuple[Any, ...], other: Any) -> Any:
    """`value` with `other` in the place `at`, or without that member."""
    value = copy.deepcopy(value)
    held = value
    for key in at[:-1]:
        held = held[key]
    if other is REMOVED:
        del held[at[-1]]
    else:
        held[at[-1]] = other
    return value


def seal(folder: Path, saved: dict[str, Any]) -> None:
    """Write a description whose hash fits."""
    stated = hashlib.sha256(json.dumps(saved, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**saved, "hash": stated}))


def broken(folder: Path, only: str = "") -> list[str]:
    """What goes wrong otherwise than by a ModelError where the description in `folder` is damaged member by member."""
    saved = json.loads((folder / "model.json").read_text())
    del saved["hash"]
    wrong = []
    for at in places(saved):
        for other in STRANGE:
            if only and at[0] != only:
                continue
            seal(folder, changed(saved, at, other))
            said = "removed" if other is REMOVED else json.dumps(other)
            if trouble := trouble_with(folder):
                wrong.append(f"{'.'.join(map(str, at))} {said}: {trouble}")
    seal(folder, saved)
    return wrong


def trouble_with(folder: Path) -> str:
    """What is wrong with how `folder` is loaded, beside a ModelError of one line; empty where nothing is."""
    memory, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mw.load(folder)
    except ModelError as error:
        if "\n" in str(error) or len(str(error)) > 1_000:
            return f"not one line: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory > MOST_KB:
        return "took more than a gigabyte"
    return "took too long" if time.monotonic() - began > MOST_SECONDS else ""


GARBAGE = (b"", b"[]", b"null", b"\xff\xfe{", b'{"a":' * 5_000, b"[1,2", b'{"a": "\xed\xa0\x80"}')


def broken_file(folder: Path, name: str) -> list[str]:
    """As `broken`, for another JSON file of `folder`; of one with many members the first and the last stand for all."""
    path, wrong = folder / name, []
    sound = path.read_bytes()
    saved = json.loads(sound)
    found = list(places(saved))
    for at in found if len(found) <= 80 else found[:40] + found[-40:]:
        for other in STRANGE:
            path.write_text(json.dumps(changed(saved, at, other)))
            if trouble := trouble_with(folder):
                wrong.append(f"{'.'.join(map(str, at))} {'removed' if other is REMOVED else other}: {trouble}")
    for garbage in GARBAGE:
        path.write_bytes(garbage)
        if trouble := trouble_with(folder):
            wrong.append(f"{garbage[:20]!r}: {trouble}")
    path.write_bytes(sound)
    return wrong
