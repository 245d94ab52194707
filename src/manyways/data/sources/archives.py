"""Zip archives: unpacked once into the cache, with limits, then read as the folder they hold."""

import errno
import secrets
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from manyways.data.sources.base import Options, Table, plain_name
from manyways.data.sources.rows import key_of_file
from manyways.data.storage import cache_folder
from manyways.errors import DataError
from manyways.permissions import tighten

ORDER = 15
LARGEST = 64 << 30
"""Bytes that an archive may unpack to."""

MOST_FILES = 5_000_000
HIGHEST_RATIO = 200
"""Times its own size that an archive beyond 1 GiB may unpack to: real images and sounds stay far below."""


def accepts(source: Any) -> bool:
    """A file that ends in .zip."""
    return isinstance(source, Path) and source.is_file() and source.suffix.lower() == ".zip"


def load(source: Path, options: Options) -> Table:
    """What the archive's folder holds, read like any folder; a single folder at its top is looked into.

    Raises DataError for a damaged or encrypted archive, for members that point outside it, and for one that
    unpacks to more than 64 GiB, 5 million files, or 200 times its size (above 1 GiB).
    """
    from dataclasses import replace

    from manyways.data import sources

    folder = unpack(source)
    held = list(folder.iterdir())
    if len(held) == 1 and (held[0].is_dir() or held[0].is_file()):
        folder = held[0]
    try:
        table = sources.load(folder, options)
    except DataError as error:
        # The cache's own paths mean nothing to whoever gave the archive.
        raise DataError(str(error).replace(str(folder), str(source))) from error
    return replace(table, name=plain_name(source), source=str(source))


def unpack(path: Path) -> Path:
    """The folder in the cache with the members of the archive at `path`; a second call finds it."""
    folder = cache_folder() / f"{key_of_file(path)}.unpacked"
    if folder.is_dir():
        return folder
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        with zipfile.ZipFile(path) as archive:
            for member in _checked(archive, path):
                target = part / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
        part.mkdir(parents=True, exist_ok=True)
        tighten(part).replace(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is damaged: {error}. Download or pack it again.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(
                f"The disk is full: {cache_folder()} has no room for the files of {path.name}. Free some space, or set "
                "MANYWAYS_HOME to a folder on another disk."
            ) from error
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _checked(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0] or "\0" in member.filename:
            raise DataError(
                f"{path} holds the member {member.filename!r}, which points outside the archive; nothing was unpacked."
            )
        if member.flag_bits & 1:
            raise DataError(f"{path} is encrypted; unpack it yourself and read the folder.")
    size, packed = sum(member.file_size for member in members), path.stat().st_size
    if size > LARGEST or len(members) > MOST_FILES or (size > 1 << 30 and size > HIGHEST_RATIO * packed):
        raise DataError(
            f"{path} would unpack to {size:,} bytes in {len(members):,} files; allowed are {LARGEST:,} bytes, "
            f"{MOST_FILES:,} files and, above 1 GiB, {HIGHEST_RATIO} times its own {packed:,} bytes. Unpack it "
            "yourself if you trust it, and read the folder."
        )
    return [member for member in members if not member.filename.startswith("__MACOSX/")]
