"""Images and sounds that claim much: refused before memory is taken, with the limit; large honest ones are read."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.data.inference import pixels
from manyways.errors import DataError

from .refusing import HUGE, refused, written

pytestmark = pytest.mark.quick

# --- images --------------------------------------------------------------------------------------


def png(width: int, height: int, pixels_: bytes = b"") -> bytes:
    def chunk(name: bytes, held: bytes) -> bytes:
        return struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels_)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(13_000, 13_000), (0x7FFFFFFF, 0x7FFFFFFF), (1, 0x7FFFFFFF)])
def test_images_that_claim_pixels(tmp_path: Path, width: int, height: int) -> None:
    for name in "ab":
        written(tmp_path / "d" / name / "1.png", png(width, height))
    refused(tmp_path / "d", "none of 2 images can be decoded; .*pixels")


def test_a_large_image_that_its_bytes_can_hold_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "ALWAYS", 1000)
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(rng.integers(0, 255, (60, 60, 3), np.uint8)).save(tmp_path / name / "1.png")
    Image.new("RGB", (600, 600)).save(tmp_path / "b" / "2.png")
    with pytest.raises(DataError, match=r"b/2\.png: it claims 600x600 pixels; its [\d,]+ bytes may hold [\d,]+\."):
        mw.read(tmp_path)
    assert len(mw.read(tmp_path, bad_rows="skip")) == 2


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "L", "RGB"])
def test_large_images_are_worked_at_in_strips(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 4095, (50, 40)).astype(np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 255, (50, 40, 4), np.uint8), "RGBA").convert(mode)
    more = {"transparency": 3} if mode == "P" else {}
    image.save(tmp_path / "1.png", **more)
    shape, white = (3, 50, 40), 4095.0 if mode == "I;16" else None
    whole = pixels.pixels_of(tmp_path / "1.png", shape, white)
    monkeypatch.setattr(pixels, "STRIP", 130)
    strips = pixels.pixels_of(tmp_path / "1.png", shape, white)
    assert isinstance(whole, np.ndarray)
    assert np.array_equal(whole, strips)
    assert whole.std() > 20


# --- sounds --------------------------------------------------------------------------------------


def wav(rate: int = 8000, channels: int = 1, data: bytes = b"\1\2" * 800, claim: int | None = None) -> bytes:
    size = len(data) if claim is None else claim
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * 2 & HUGE, channels * 2 & 0xFFFF, 16)
    return b"RIFF" + struct.pack("<I", 36 + size & HUGE) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size) + data


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (wav(rate=268_435_456), "claims 268,435,456 samples per second; allowed are 10 … 1,000,000"),
        (wav(rate=1), "claims 1 samples per second"),
        (wav(channels=65_535), "none of 2 sounds can be decoded"),
        (wav()[:20], "none of 2 sounds can be decoded"),
    ],
)
def test_sounds_that_claim_rates_and_channels(tmp_path: Path, content: bytes, match: str) -> None:
    pytest.importorskip("soundfile")
    for name in "ab":
        written(tmp_path / "d" / name / "1.wav", content)
    refused(tmp_path / "d", match)


def test_sounds_that_claim_length_or_odd_rates_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    written(tmp_path / "a" / "1.wav", wav(claim=0xFFFFFFF0))
    written(tmp_path / "b" / "1.wav", wav(rate=999_983, data=b"\0\x40" * 40_000))
    written(tmp_path / "b" / "2.wav", wav())
    waves = mw.read(tmp_path).take("audio")
    assert waves.shape == (3, 800)
    assert np.array_equal(waves[0], waves[2])
    assert np.abs(waves[1][100:220] - 16384).max() < 40, "a rate without a small ratio is resampled"
    assert not waves[1][330:].any()


def test_a_sound_whose_header_lies_about_its_length_takes_no_memory(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    flac = io.BytesIO()
    soundfile.write(flac, np.full(4000, 0.25), 8000, format="FLAC")
    held = bytearray(flac.getvalue())
    held[21] |= 0x0F  # 36 bits of the number of samples
    held[22:26] = b"\xff" * 4
    for name in "ab":
        written(tmp_path / "d" / name / "1.flac", bytes(held))
    refused(tmp_path / "d", r"2 of 2 rows cannot be used.*a/1\.flac")
