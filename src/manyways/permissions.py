"""Permissions: what holds rows, or was learned from them, is for its owner alone, whatever the umask."""

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER, FILE = 0o700, 0o600
OTHERS = 0o077
"""The bits of a mode that let anybody but the owner in."""


def private_folder(folder: Path) -> Path:
    """Return `folder` with mode 0700, made where it is missing; what is in it is left as it is.

    Missing folders above it are made as usual. Raises OSError where one cannot be made.
    """
    _make_above(folder)
    folder.mkdir(mode=FOLDER, exist_ok=True)
    _tighten_one(folder)
    return folder


def ensured_folder(folder: Path) -> Path:
    """Return `folder`, made with mode 0700 where it is missing; one that is there keeps its mode. Raises OSError."""
    return folder if folder.is_dir() else private_folder(folder)


def private_folder_inside(outer: Path, folder: Path) -> Path:
    """Return `folder`, which is `outer` or lies in it, with mode 0700, as all folders between them.

    Where `outer` was there and let others in, all that is in it is tightened first. Raises OSError as `private_folder`.
    """
    if outer.is_dir() and outer.stat().st_mode & OTHERS:
        tighten(outer)
    place = private_folder(outer)
    for name in folder.relative_to(outer).parts:
        place = private_folder(place / name)
    return place


def tighten(path: Path) -> Path:
    """Return `path`, which nobody but its owner may enter, read or write any more, nor anything in it.

    Links are not followed. What another user owns is left as it is, and so are folders that all may write to, as /tmp.
    """
    _tighten_one(path)
    if path.is_dir():
        for place, folders, files in os.walk(path):
            for name in (*folders, *files):
                _tighten_one(Path(place, name))
    return path


def _tighten_one(path: Path) -> None:
    if os.name == "nt":
        return
    with suppress(OSError):  # another process deleted it, or the file system knows no modes
        status = path.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & stat.S_ISVTX:
            return
        mode = stat.S_IMODE(status.st_mode)
        private = mode & ~OTHERS | (FOLDER if stat.S_ISDIR(status.st_mode) else FILE)
        if mode != private:
            path.chmod(private)


def _make_above(folder: Path) -> None:
    """Make what is missing above `folder`, so that its owner may enter it whatever the umask."""
    above = folder.parent
    if above.exists() or above == folder:
        return
    _make_above(above)
    above.mkdir(exist_ok=True)
    with suppress(OSError):
        above.chmod(above.stat().st_mode | FOLDER)
