"""Files and folders that are written whole or not at all, and are still there after a power cut."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from manyways.errors import DataError, ManywaysError

FULL = (errno.ENOSPC, errno.EDQUOT)
NAME_A_FILE = "Name a file in a writable folder."


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write `content` to `path`, text as UTF-8, so that readers see what was there before or all of it.

    Raises DataError when the folder is missing, cannot be written to, or the disk is full.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"Cannot write {path}: it is a folder. Add a file name to it.")
    data = content.encode("utf-8") if isinstance(content, str) else content
    with whole(path, DataError, f"Cannot write {path}", NAME_A_FILE, len(data)) as part:
        part.write_bytes(data)
    return path


@contextmanager
def whole(path: Path, error: type[ManywaysError], what: str, advice: str, needed: int | None = None) -> Iterator[Path]:
    """A name beside `path` to write a file or a folder to, which takes its place when the block ends.

    Whatever goes wrong, what lay at `path` before is as it was, and nothing else is left. Raises `error`, which begins
    with `what` and ends in `advice`, where the system refuses to write or the disk is full; `needed` is how many bytes
    there would be, as far as that is known.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        put(part, path)
    except ManywaysError:
        raise
    except Exception as fault:
        if not (isinstance(fault, OSError) or "os error" in str(fault)):  # libraries in Rust have errors of their own
            raise
        _remove(part)  # before the room that is left is looked at
        raise error(f"{what}: {why(fault, path, needed)}. {advice}") from fault
    finally:
        _remove(part)


def put(part: Path, path: Path) -> None:
    """Let `part`, a file or a folder, take the place of `path`, on the disk itself. Raises OSError."""
    if not part.is_dir():
        sync(part)
        part.replace(path)
    else:
        for place, _, names in os.walk(part):
            for name in names:
                sync(Path(place, name))
            sync(Path(place))
        _put_folder(part, path)
    sync(path.parent)


def discard(folder: Path) -> None:
    """Remove `folder`, which is never seen in part: what a kill leaves has another name, and goes the next time."""
    gone = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):  # it is not there
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def sync(path: Path) -> None:
    """Let the disk itself hold a file, or which files a folder has. Raises OSError where it cannot."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems know no such thing for folders
            raise
    finally:
        os.close(descriptor)


def is_full(fault: BaseException) -> bool:
    """True if `fault` says that a disk, or what one may use of it, is full."""
    if isinstance(fault, OSError) and fault.errno is not None:
        return fault.errno in FULL
    return any(f"os error {number}" in str(fault) for number in FULL)


def why(fault: BaseException, path: Path, needed: int | None = None) -> str:
    """The reason why `path` could not be written: of a full disk what was needed and is free, where it is known."""
    if not is_full(fault):
        return getattr(fault, "strerror", None) or " ".join(str(fault).split()) or type(fault).__name__
    facts = [] if needed is None else [f"{size(needed)} are needed"]
    with suppress(OSError):
        facts.append(f"{size(shutil.disk_usage(_above(path)).free)} are free")
    room = f" ({', '.join(facts)})" if facts else ""
    return f"the disk is full{room}; what was there before is as it was"


def size(count: int) -> str:
    """Bytes as people read them: 12.3 MB (10⁶ bytes)."""
    return f"{count:,} bytes" if count < 1_000_000 else f"{count / 1e6:,.1f} MB"


def _put_folder(part: Path, path: Path) -> None:
    """A folder cannot replace another at one blow: that one steps aside, and comes back where something goes wrong."""
    if not path.exists():
        part.rename(path)
        return
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
    path.rename(aside)
    try:
        part.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _remove(part: Path) -> None:
    with suppress(OSError):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _above(path: Path) -> Path:
    return next(parent for parent in path.absolute().parents if parent.exists())
