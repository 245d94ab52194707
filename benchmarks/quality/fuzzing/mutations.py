"""What is done to a valid file: bits, lengths, numbers, JSON values; within compressed and sealed forms, too."""

import copy
import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

BOUNDS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
"""Numbers that a header may claim."""
NUMBERS = (
    b"-1", b"0", b"65536", b"2147483648", b"4294967295", b"-9223372036854775809", b"18446744073709551616", b"1e999",
    b"-1e999", b"1e-999", b"NaN", b"Infinity", b"0.1e400", b"9" * 5000, b"1" + b"0" * 400, b"1_000", b"0x10", b"",
)  # fmt: skip
"""What stands in the place of a number in text."""
SNIPPETS = (
    b"\0", b"\r", b"\n", b'"', b"'", b",", b";", b"\t", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe",
    b"[" * 3000, b'{"a":' * 3000, b"\\ud800", b"\n" * 50, b" " * 5000, b"%s%n", b"../../x", b"\x1b]0;x\x07",
)  # fmt: skip
"""What is put into a text."""
VALUES: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: -1, lambda: 0, lambda: 1 << 31, lambda: 1 << 64, lambda: -(1 << 70),
    lambda: 10**4000, lambda: 0.5, lambda: 1e308, lambda: float("nan"), lambda: float("inf"), lambda: "",
    lambda: "x" * 5000, lambda: "\ud800", lambda: "../../etc/passwd", list, dict, lambda: [[]],
    lambda: {"a": None}, lambda: [0] * 3000, lambda: _nested(200), lambda: _nested(900),
)  # fmt: skip
"""What stands in the place of a JSON value."""
PNG = b"\x89PNG\r\n\x1a\n"


def mutated(content: bytes, name: str, rng: Random) -> bytes:
    """`content`, a file called `name`, with one to three things done to it: to its bytes, or to what they hold."""
    form = FORMS.get(name.lower().rpartition(".")[2]) if rng.random() < 0.7 else None
    if form is not None:
        try:
            return form(content, rng)
        except (ValueError, KeyError, struct.error, zlib.error, OSError, zipfile.BadZipFile, RecursionError):
            pass
    return in_bytes(content, rng)


def in_bytes(content: bytes, rng: Random) -> bytes:
    """One to three changes of the bytes as they are."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = rng.choice(CHANGES)(content, rng)
    return content


def _flipped(content: bytes, rng: Random) -> bytes:
    held = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        if held:
            held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
    return bytes(held)


def _claimed(content: bytes, rng: Random) -> bytes:
    """A number of a header, most often near the beginning or the end, is another."""
    width, order = rng.choice((1, 2, 4, 4, 8)), rng.choice("<>")
    at = _place(len(content), rng)
    value = rng.choice(BOUNDS) & ((1 << 8 * width) - 1)
    number = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], value)
    return (content[:at] + number + content[at + width :])[: max(len(content), at + width)]


def _place(length: int, rng: Random) -> int:
    if not length:
        return 0
    near = min(length, 128)
    return rng.choice((rng.randrange(near), rng.randrange(length), length - 1 - rng.randrange(near)))


def _shortened(content: bytes, rng: Random) -> bytes:
    return content[: _place(len(content), rng)]


def _without(content: bytes, rng: Random) -> bytes:
    at = _place(len(content), rng)
    return content[:at] + content[at + rng.choice((1, 4, 16, 100)) :]


def _longer(content: bytes, rng: Random) -> bytes:
    at = _place(len(content), rng)
    more = rng.choice((rng.randbytes(rng.choice((1, 4, 100))), bytes(rng.choice((1, 8, 5000))), rng.choice(SNIPPETS)))
    return content[:at] + more + content[at:]


def _doubled(content: bytes, rng: Random) -> bytes:
    first = _place(len(content), rng)
    chunk = content[first : first + rng.choice((1, 8, 64, 1000))]
    at, times = _place(len(content), rng), rng.choice((1, 2, 100, 3000))
    return content[:at] + chunk * min(times, 1 + (1 << 20) // max(1, len(chunk))) + content[at:]


def _other_number(content: bytes, rng: Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", content))
    if not found:
        return _flipped(content, rng)
    one = rng.choice(found)
    return content[: one.start()] + rng.choice(NUMBERS) + content[one.end() :]


CHANGES = (_flipped, _flipped, _claimed, _claimed, _shortened, _without, _longer, _doubled, _other_number)


def in_json(content: bytes, rng: Random) -> bytes:
    """A value of a JSON text is another, twice, or gone."""
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 2))):
        value = _changed(value, rng)
    return json.dumps(value).encode()


def _changed(value: Any, rng: Random) -> Any:
    places: list[tuple[Any, Any]] = []
    ahead = [value]
    while ahead:
        each = ahead.pop()
        keys = list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        places += [(each, key) for key in keys]
        ahead += [each[key] for key in keys]
    if not places or rng.random() < 0.02:
        return rng.choice(VALUES)()
    holder, key = rng.choice(places)
    kind = rng.random()
    if kind < 0.15:
        del holder[key]
    elif kind < 0.25 and isinstance(holder, dict):
        holder[rng.choice(("", "\ud800", "x" * 300, f"{key} "))] = holder.pop(key)
    elif kind < 0.35:
        other, at = rng.choice(places)
        holder[key] = copy.deepcopy(other[at]) if at in other or (isinstance(other, list) and at < len(other)) else None
    else:
        holder[key] = rng.choice(VALUES)()
    return value


def in_json_lines(content: bytes, rng: Random) -> bytes:
    """A line of JSON Lines is changed as JSON."""
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = in_json(lines[at], rng)
    return b"\n".join(lines) + b"\n"


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def in_gzip(content: bytes, rng: Random) -> bytes:
    """What a gzip file holds is changed, and packed again."""
    return gzip.compress(in_bytes(gzip.decompress(content), rng), 1, mtime=0)


def in_zip(content: bytes, rng: Random) -> bytes:
    """A member of a zip archive is changed, and packed again with a right checksum; or its name is another."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    which, how = rng.randrange(len(members)), rng.random()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for at, (info, held) in enumerate(members):
            name, method = info.filename, info.compress_type
            if at == which and how < 0.15:
                name = rng.choice(
                    ("../x", "/x", "a" * 5000, "\ud83d", "", "a\nb", "C:\\x", members[0][0].filename, "a/")
                )
            inner = mutated(held, info.filename, rng) if at == which and how >= 0.15 else held
            archive.writestr(zipfile.ZipInfo(name or "x"), inner, method)
    return packed.getvalue()


def in_png(content: bytes, rng: Random) -> bytes:
    """A chunk of a PNG is changed, pixels also within their compression, and sealed again."""
    chunks, at = [], len(PNG)
    while at < len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += size + 12
    which = rng.randrange(len(chunks))
    name, held = chunks[which]
    if name == b"IDAT" and rng.random() < 0.5:
        held = zlib.compress(in_bytes(zlib.decompress(held), rng))
    else:
        held = in_bytes(held, rng)
    chunks[which] = (name, held)
    sealed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return PNG + b"".join(sealed)


def in_npy(content: bytes, rng: Random) -> bytes:
    """The text of an array's header is changed, and its length put right."""
    (size,) = struct.unpack("<H", content[8:10])
    header = in_bytes(content[10 : 10 + size].rstrip(), rng)[:60000] + b"\n"
    return content[:8] + struct.pack("<H", len(header)) + header + content[10 + size :]


def in_safetensors(content: bytes, rng: Random) -> bytes:
    """The JSON header of a tensor file is changed, and its length put right."""
    (size,) = struct.unpack("<Q", content[:8])
    header = in_json(content[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


FORMS: dict[str, Callable[[bytes, Random], bytes]] = {
    "json": in_json,
    "jsonl": in_json_lines,
    "gz": in_gzip,
    "zip": in_zip,
    "npz": in_zip,
    "npy": in_npy,
    "png": in_png,
    "safetensors": in_safetensors,
}
