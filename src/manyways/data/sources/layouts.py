"""Layouts of folders, seen from a sketch of them: which folders there are, and what the first files in each are."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from manyways.data.parts import TRAINING
from manyways.data.sources.base import PART_WORDS
from manyways.data.sources.file_trees import files_below, is_hidden
from manyways.data.sources.media import IMAGES

DEEPEST = 4
MOST_FOLDERS, MOST_ENTRIES = 64, 256
"""Folders within one folder, and entries of one, that a sketch looks at."""


@dataclass(frozen=True)
class Place:
    """A folder: its path, and the first files directly in it."""

    path: Path
    files: tuple[str, ...]

    def holds(self, *endings: str) -> bool:
        """True if one of its files ends so."""
        return any(name.lower().endswith(endings) for name in self.files)

    @property
    def holds_images(self) -> bool:
        """True if one of its files is a picture by its ending."""
        return any(Path(name).suffix.lower() in IMAGES for name in self.files)


def sketch(folder: Path) -> list[Place]:
    """The folders below `folder` and itself, so far as they are looked at: a few in each, not deep."""
    return list(_places(folder, DEEPEST))


def _places(folder: Path, deepest: int) -> Iterator[Place]:
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= MOST_ENTRIES and len(folders) >= MOST_FOLDERS:
                    break
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif len(files) < MOST_ENTRIES:
                    files.append(entry.name)
    except OSError:  # whoever reads the folder says that it cannot be
        return
    yield Place(folder, tuple(sorted(files)))
    if deepest:
        for name in sorted(folders)[:MOST_FOLDERS]:
            yield from _places(folder / name, deepest - 1)


class Pictures:
    """The pictures below a folder, looked up by the names that annotations have for them."""

    def __init__(self, root: Path, accept: Callable[[Path], bool] = lambda path: True) -> None:
        self.root = root
        self.files = [path for path in files_below(root) if path.suffix.lower() in IMAGES and accept(path)]
        self._by_name: dict[str, list[Path]] = {}
        for path in self.files:
            for key in {path.name, path.stem}:
                self._by_name.setdefault(key, []).append(path)

    def find(self, name: str, beside: Path) -> Path | None:
        """The picture `name`, with its ending or without: of several the nearest to the folder `beside`; None: none.

        Only the last part of a name counts, since annotations name folders of other machines.
        """
        last = name.replace("\\", "/").rsplit("/", 1)[-1]
        candidates = self._by_name.get(last) or self._by_name.get(last.rsplit(".", 1)[0], [])
        return max(candidates, key=lambda path: _shared(path, beside, name), default=None)


def _shared(path: Path, beside: Path, name: str) -> tuple[int, int]:
    """The number of folders that a path shares with its own `name`, and with the way to the folder `beside`."""
    own = [*reversed(name.replace("\\", "/").split("/"))]
    ends = sum(1 for _ in _while_equal([*reversed(path.parts)], own))
    return ends, sum(1 for _ in _while_equal(path.parts, beside.parts))


def _while_equal(first: "tuple[str, ...] | list[str]", second: "tuple[str, ...] | list[str]") -> Iterator[str]:
    for one, other in zip(first, second, strict=False):
        if one != other:
            return
        yield one


def part_in(path: Path, root: Path) -> int:
    """The part that a folder between `root` and `path`, or its own name, speaks of: train2017, valid; else training."""
    for word in path.relative_to(root).parts:
        tokens = word.lower().replace("-", " ").replace("_", " ").replace(".", " ").split()
        for token in tokens:
            if (part := PART_WORDS.get(token.rstrip("0123456789"))) is not None:
                return part
    return TRAINING
