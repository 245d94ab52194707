"""Tar archives, packed or not: read once from beginning to end, within limits, files alone."""

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, cast

from manyways.data.sources.limits import BLOCK, HIGHEST_RATIO, brief, decoding
from manyways.errors import DataError

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MEMORY = 128 << 20
"""Bytes that unpacking xz may take, which depend on what the archive claims; its highest usual level takes 65 MiB."""
AGAIN = "Download or pack it again."


def is_tar(path: Path) -> bool:
    """True if the name of a file ends as those of tar archives do."""
    return path.name.lower().endswith(ENDINGS)


def unpack(path: Path, into: Path, most_bytes: int, most_files: int, always: int) -> None:
    """Write the files in the archive at `path` into a folder.

    Args:
        path: The archive.
        into: The folder, which is made.
        most_bytes: Bytes that it may unpack to.
        most_files: Files that it may hold.
        always: Bytes that it may unpack to whatever its own size; beyond, 200 times its own.

    Raises:
        DataError: It is damaged, too large, or holds links, devices or names that point outside.
    """
    allowed = min(most_bytes, max(always, HIGHEST_RATIO * path.stat().st_size))
    total = files = 0
    with path.open("rb") as packed:
        stream = _plain(packed, path.name.lower())
        with decoding(str(path), AGAIN):
            archive = tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 16)  # noqa: SIM115
        with archive:
            while True:
                with decoding(str(path), AGAIN):
                    member = archive.next()
                if member is None:
                    return
                if member.isdir():
                    continue
                _check(member, path)
                files += 1
                target = into / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with decoding(f"{path}: {brief(member.name)}", AGAIN):
                    content = archive.extractfile(member)
                assert content is not None
                with target.open("wb") as file:
                    while True:
                        with decoding(f"{path}: {brief(member.name)}", AGAIN):
                            block = content.read(BLOCK)
                        if not block:
                            break
                        total += len(block)
                        if total > allowed or files > most_files:
                            raise DataError(
                                f"{path} unpacks to more than {allowed:,} bytes or {most_files:,} files, which is what "
                                "its own size allows. Unpack it yourself if you trust it, and read the folder."
                            )
                        file.write(block)


def _check(member: tarfile.TarInfo, path: Path) -> None:
    name = PurePosixPath(member.name.replace("\\", "/"))
    if not name.parts or name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
        raise DataError(
            f"{path} holds the member {brief(member.name)}, which points outside the archive; nothing was unpacked."
        )
    if not member.isreg():
        raise DataError(
            f"{path} holds {brief(member.name)}, which is no file but a link or a device. Unpack it yourself, and read "
            "the folder."
        )


def _plain(packed: IO[bytes], name: str) -> IO[bytes]:
    """The bytes of the archive itself."""
    if name.endswith((".gz", ".tgz")):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=packed))
    if name.endswith((".bz2", ".tbz2")):
        return cast("IO[bytes]", bz2.BZ2File(packed))
    if name.endswith((".xz", ".txz")):
        return cast("IO[bytes]", io.BufferedReader(_Xz(packed)))
    return packed


class _Xz(io.RawIOBase):
    """Bytes unpacked from xz, with a bound on the memory that the file may claim."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        while True:
            if self._unpacker.eof:
                rest = self._unpacker.unused_data or self._packed.read(1 << 16)
                if not rest.strip(b"\0"):
                    return 0
                self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
            else:
                rest = self._packed.read(1 << 16) if self._unpacker.needs_input else b""
                if not rest and self._unpacker.needs_input:
                    raise EOFError("it is cut short")
            if block := self._unpacker.decompress(rest, len(buffer)):
                buffer[: len(block)] = block
                return len(block)
