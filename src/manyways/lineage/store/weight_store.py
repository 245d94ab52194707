"""Weights by the hash of their files: written whole or not at all, kept once however many models have them."""

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from manyways.checked_json import read
from manyways.errors import StoreError
from manyways.lineage.store.checked_values import digest
from manyways.permissions import private_folder, tighten

if TYPE_CHECKING:
    from manyways.models.lineage import Lineage
    from manyways.models.model import Model

DESCRIPTION = "description.json"
LEFT_BEHIND = 24 * 3600.0
"""Seconds after which a folder that was being written is taken for one whose process was killed."""


class WeightStore:
    """The folder `weights` of a store."""

    def __init__(self, store: Path) -> None:
        self.folder = store / "weights"

    def place(self, key: str) -> Path:
        """The folder of the weights with the hash `key`."""
        return self.folder / digest(key, "the hash of weights")[:2] / key

    @contextmanager
    def written(self, model: "Model") -> Iterator[tuple[str, Path]]:
        """The hash of `model`'s weights and a folder with them, which is gone afterwards unless it was settled.

        Raises StoreError where they cannot be written.
        """
        part = self.folder / f".{os.getpid()}.{secrets.token_hex(6)}.part"
        try:
            private_folder(private_folder(self.folder) / part.name)
            own = model.write(part)
            text = json.dumps({"kind": model.kind, **own})  # in its own order, which may decide what is learned next
            (part / DESCRIPTION).write_text(text, encoding="utf-8")
            key = folder_hash(tighten(part))
            for path in [*part.rglob("*"), part]:
                _to_disk(path)
            yield key, part
        except OSError as error:
            why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
            raise StoreError(f"Weights cannot be written to {self.folder}: {why}.") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def settle(self, key: str, part: Path) -> None:
        """Give the folder `part` its place; whoever calls this holds the database, so that no other process does."""
        place = self.place(key)
        if place.exists():
            return
        private_folder(place.parent)
        part.rename(place)
        _to_disk(place.parent)

    def load(self, key: str, gives: frozenset[str], lineage: "Lineage") -> "Model":
        """The model with the weights `key`. Raises StoreError where they are missing or have changed."""
        from manyways.models.model import MODELS

        if problem := self.problem(key):
            raise StoreError(problem)
        place = self.place(key)
        saved = read(place / DESCRIPTION, f"The description of the model in {place}", StoreError)
        return MODELS.find(saved.get("kind", str), StoreError).read(place, dict(saved.members), gives, lineage)

    def problem(self, key: str) -> str | None:
        """The problem of the weights `key`, in words; None if there is none."""
        place = self.place(key)
        if not place.is_dir():
            return f"{place} is missing; its model cannot be loaded. Copy the folder back, or forget the model."
        try:
            if folder_hash(place) == key:
                return None
        except OSError as error:
            return f"{place} cannot be read: {error}."
        return f"{place} has changed since it was written (its SHA-256 differs). Copy the folder back."

    def kind(self, key: str) -> str:
        """The kind of the model with the weights `key`, which are whole."""
        place = self.place(key)
        return read(place / DESCRIPTION, f"The description of the model in {place}", StoreError).get("kind", str)

    def kept(self) -> set[str]:
        """The hashes of all weights that lie here."""
        return {path.name for path in self.folder.glob("[0-9a-f][0-9a-f]/*") if path.is_dir()}

    def unfinished(self) -> list[Path]:
        """Folders that were being written when their process ended."""
        parts = []
        for path in self.folder.glob(".*.part"):
            with suppress(OSError, ValueError):  # it was finished just now
                pid = int(path.name.split(".")[1])
                if not _alive(pid) or time.time() - path.stat().st_mtime > LEFT_BEHIND:
                    parts.append(path)
        return parts

    def remove(self, keys: set[str]) -> None:
        """Delete the weights `keys`; whoever calls this holds the database."""
        for key in keys:
            shutil.rmtree(self.folder / key[:2] / key, ignore_errors=True)
        for above in self.folder.glob("[0-9a-f][0-9a-f]"):
            with suppress(OSError):  # others lie in it
                above.rmdir()


def folder_hash(folder: Path) -> str:
    """A SHA-256 of all files in `folder`, their names and what they hold."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = [[path.relative_to(folder).as_posix(), _file_hash(path)] for path in files]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def weights_hash(model: "Model", scratch: Path) -> str:
    """The hash that a store would keep the weights of `model` under; they are written into `scratch` and deleted."""
    with WeightStore(scratch).written(model) as (key, _):
        return key


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    """Make sure that `path`, a file or a folder, outlives the loss of power."""
    with suppress(PermissionError):  # Windows opens no folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there a signal of 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
