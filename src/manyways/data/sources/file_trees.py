"""Files below a folder: hidden ones left out, links followed, but none that leads back above itself."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from manyways.data.phrases import count_of, listed_names

Identity = tuple[int, int]


def files_below(folder: Path) -> list[Path]:
    """Return the files at any depth below `folder`, by name within each folder.

    A linked folder is followed under the link's own name. A link to a folder that it lies in is left out: `loops_below`
    names those.
    """
    return list(walk(folder))


def walk(folder: Path) -> Iterator[Path]:
    """Yield what `files_below` returns, one by one."""
    return (Path(path) for path, is_file in _walk(str(folder), frozenset()) if is_file)


def loops_below(folder: Path) -> list[Path]:
    """Return the links below `folder` that lead to a folder above themselves."""
    return [Path(path) for path, is_file in _walk(str(folder), frozenset()) if not is_file]


def is_hidden(name: str) -> bool:
    """True for names that systems write beside the files of people."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _walk(folder: str, above: frozenset[Identity]) -> Iterator[tuple[str, bool]]:
    """Each file with True, each link back with False; `above` are the folders on the way to this one."""
    own = above | {_identity(folder)}
    with os.scandir(folder) as held:
        entries = sorted((entry for entry in held if not is_hidden(entry.name)), key=lambda entry: entry.name)
    for entry in entries:
        if not entry.is_dir():
            yield entry.path, True
        elif entry.is_symlink() and _identity(entry.path) in own:
            yield entry.path, False
        else:
            yield from _walk(entry.path, own)


def _identity(folder: str) -> Identity:
    stat = Path(folder).stat()
    return stat.st_dev, stat.st_ino


def unread(files: Iterable[Path], read: Iterable[Path], root: Path, what: str) -> dict[str, str]:
    """Say by ending how many of the `files` below `root` are not among those that were `read`, and what is lost.

    what: what was read, such as images. A folder of whose files none was read is named.
    """
    kept = set(read)
    left = [path for path in files if path not in kept]
    alive = {parent for path in kept for parent in path.parents}
    counts = Counter(path.suffix.lower() for path in left)
    reasons = {}
    for ending in sorted(counts):
        dead = {path.parent for path in left if path.suffix.lower() == ending and path.parent not in alive}
        lost = [each.relative_to(root).as_posix() for each in sorted(dead)]
        whole = f"; nothing is left of {listed_names(lost)}" if lost else ""
        reasons[f"*{ending}"] = f"{count_of(counts[ending], 'file')} cannot be read as {what}{whole}"
    return reasons
