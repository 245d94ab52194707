"""Zip and tar archives: unpacked once into the cache, with limits, then read as the folder they hold."""

import errno
import secrets
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from manyways.data.sources import tars
from manyways.data.sources.base import Options, Raw, plain_name
from manyways.data.sources.limits import BLOCK, HIGHEST_RATIO, brief, decoding
from manyways.data.sources.rows import key_of_file
from manyways.data.storage import cache_folder
from manyways.errors import DataError
from manyways.permissions import tighten

ORDER = 15
LARGEST = 64 << 30
"""Bytes that an archive may unpack to."""

UNPACKED = ".unpacked"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""Packing of members: by ways whose memory does not depend on what the archive claims."""
AGAIN = "Download or pack it again."
MOST_FILES = 5_000_000
ALWAYS = 1 << 30
"""Bytes that an archive may unpack to whatever its own size; beyond it 200 times its own."""


def accepts(source: Any) -> bool:
    """A file that ends in .zip, or as tar archives do: .tar, .tar.gz, .tgz, .tar.xz, .tar.bz2."""
    return isinstance(source, Path) and source.is_file() and (source.suffix.lower() == ".zip" or tars.is_tar(source))


def load(source: Path, options: Options) -> Raw:
    """The raw tables of the archive's folder, read like any folder; a single folder at its top is looked into.

    Raises DataError for a damaged or encrypted archive, for members that point outside it, and for one that
    unpacks to more than 64 GiB, 5 million files, or 200 times its size (above 1 GiB).
    """
    from dataclasses import replace

    from manyways.data import sources

    if any(parent.name.endswith(UNPACKED) for parent in source.parents):
        raise DataError(f"{source} is an archive within an archive; unpack it yourself, and read the folder.")
    folder = unpack(source)
    held = list(folder.iterdir())
    if len(held) == 1 and (held[0].is_dir() or held[0].is_file()):
        folder = held[0]
    # The cache's own paths mean nothing to whoever gave the archive.
    alias = (str(folder), str(source))
    with sources.renamed(alias):
        raw = sources.opened(folder, options)
    tables = ((part, replace(table, where=table.where.replace(*alias))) for part, table in raw.tables)
    return replace(raw, tables=tables, name=plain_name(source), source=str(source), alias=alias)


def unpack(path: Path) -> Path:
    """The folder in the cache with the members of the archive at `path`; a second call finds it."""
    folder = cache_folder() / f"{key_of_file(path)}{UNPACKED}"
    if folder.is_dir():
        return folder
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        if tars.is_tar(path):
            tars.unpack(path, part, LARGEST, MOST_FILES, ALWAYS)
        else:
            _unpack_zip(path, part)
        part.mkdir(parents=True, exist_ok=True)
        tighten(part).replace(folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(
                f"The disk is full: {cache_folder()} has no room for the files of {path.name}. Free some space, or set "
                "MANYWAYS_HOME to a folder on another disk."
            ) from error
        if not folder.is_dir():  # else another process was faster
            raise DataError(
                f"{path} cannot be unpacked: {error.strerror or error}. Unpack it yourself, and read the folder."
            ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _unpack_zip(path: Path, into: Path) -> None:
    with decoding(str(path), AGAIN):
        archive = zipfile.ZipFile(path)
    with archive:
        for member in _checked(archive, path):
            _unpack(archive, member, into, path)


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path, path: Path) -> None:
    where = f"{path}: {brief(member.filename)}"
    target = into / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with decoding(where, AGAIN):
        packed = archive.open(member)
    with packed, target.open("wb") as file:
        while True:
            with decoding(where, AGAIN):
                block = packed.read(BLOCK)
            if not block:
                return
            file.write(block)


def _checked(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if not name.parts or name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise DataError(
                f"{path} holds the member {brief(member.filename)}, which points outside the archive; nothing was "
                "unpacked."
            )
        if member.compress_type not in METHODS:
            raise DataError(
                f"{path} packs {brief(member.filename)} by method {member.compress_type}; allowed are none, Deflate "
                "and Bzip2. Unpack it yourself, and read the folder."
            )
        if member.flag_bits & 1:
            raise DataError(f"{path} is encrypted; unpack it yourself and read the folder.")
    size, packed = sum(member.file_size for member in members), path.stat().st_size
    if size > LARGEST or len(members) > MOST_FILES or (size > ALWAYS and size > HIGHEST_RATIO * packed):
        raise DataError(
            f"{path} would unpack to {size:,} bytes in {len(members):,} files; allowed are {LARGEST:,} bytes, "
            f"{MOST_FILES:,} files and, above {ALWAYS >> 20:,} MiB, {HIGHEST_RATIO} times its own {packed:,} bytes. "
            "Unpack it yourself if you trust it, and read the folder."
        )
    return [member for member in members if not member.filename.startswith("__MACOSX/")]
