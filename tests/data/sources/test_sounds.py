"""Folders of sounds: rate, length, mixing, damage."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.inference import sounds
from manyways.errors import DataError

pytestmark = pytest.mark.quick

soundfile = pytest.importorskip("soundfile")


def tone(path: Path, seconds: float = 0.5, rate: int = 8000, hertz: float = 440, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate)
    return path


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    for name, hertz in {
        "low/1.wav": 220.0,
        "low/2.flac": 230.0,
        "high/1.ogg": 880.0,
        "high/2.wav": 900.0,
    }.items():
        tone(tmp_path / "notes" / name, hertz=hertz)
    return tmp_path / "notes"


def pitch(wave: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * rate / len(wave))


def test_a_folder_per_class(notes: Path) -> None:
    data = mw.read(notes)
    column = data.inputs[0]
    assert (column.name, column.kind, column.rate, column.values.shape) == ("audio", "audio", 8000, (4, 4000))
    assert column.values.dtype == np.int16
    assert data.take("label").tolist() == ["high", "high", "low", "low"]
    for wave, hertz in zip(data.take("audio"), [880, 900, 220, 230], strict=True):
        assert abs(pitch(wave, 8000) - hertz) < 4
        assert 15_000 < np.abs(wave).max() < 18_500


def test_16_bit_samples_come_through_unchanged(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32767, 1000, np.int16)
    for name in "ab":
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "1.wav", samples, 8000, subtype="PCM_16")
    assert np.array_equal(mw.read(tmp_path).take("audio")[1], samples)


def test_rate_and_length(notes: Path) -> None:
    tone(notes / "low" / "long.wav", seconds=2, hertz=300)
    tone(notes / "low" / "fast.wav", seconds=0.5, rate=44_100, hertz=300, channels=2)
    data = mw.read(notes, sample_rate=16_000, seconds=1)
    assert data.inputs[0].rate == 16_000
    waves = dict(zip(["1.ogg", "2.wav", "1.wav", "2.flac", "fast.wav", "long.wav"], data.take("audio"), strict=True))
    assert all(len(wave) == 16_000 for wave in waves.values())
    assert abs(pitch(waves["fast.wav"][:8000], 16_000) - 300) < 4
    assert abs(pitch(waves["long.wav"], 16_000) - 300) < 4
    assert not waves["fast.wav"][8100:].any()  # padded
    assert waves["long.wav"][-100:].any()  # cut


def test_defaults_are_capped(tmp_path: Path) -> None:
    for name in ("a/1.wav", "b/1.wav"):
        tone(tmp_path / name, seconds=11, rate=22_050)
    column = mw.read(tmp_path).inputs[0]
    assert (column.rate, column.values.shape[1]) == (16_000, 160_000)


def test_metadata_as_audiofolder(tmp_path: Path) -> None:
    tone(tmp_path / "x.wav", hertz=300)
    tone(tmp_path / "y.wav", hertz=600)
    (tmp_path / "metadata.csv").write_text("file_name,label\ny.wav,up\nx.wav,down\n")
    data = mw.read(tmp_path)
    assert data.columns["file_name"].kind == "audio"
    assert abs(pitch(data.take("file_name")[0], 8000) - 600) < 4


def test_test_rows_take_rate_and_length(notes: Path, tmp_path: Path) -> None:
    tone(tmp_path / "more" / "low" / "x.wav", seconds=3, rate=16_000)
    tone(tmp_path / "more" / "high" / "y.wav", seconds=3, rate=16_000)
    data = mw.read(notes, test=tmp_path / "more")
    assert data.part.tolist() == [0] * 4 + [2] * 2
    assert data.take("audio").shape == (6, 4000)
    assert abs(pitch(data.take("audio")[5], 8000) - 440) < 4


def test_undecodable_sounds(notes: Path) -> None:
    (notes / "low" / "broken.wav").write_bytes(b"RIFF nothing")
    soundfile.write(notes / "low" / "empty.wav", np.zeros(0), 8000)
    for _ in range(2):
        with pytest.raises(
            DataError,
            match=r"2 files cannot be decoded \(row 4: low/broken.wav: .*row 5: low/empty.wav: it has no",
        ):
            mw.read(notes)
    assert len(mw.read(notes, bad_rows="skip")) == 4


def test_the_second_read_decodes_nothing(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mw.read(notes).take("audio")
    monkeypatch.setattr(sounds, "_handle", lambda item: pytest.fail("a sound was opened again"))
    assert np.array_equal(mw.read(notes).take("audio"), first)


def test_without_soundfile(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(DataError, match=r"needs the package soundfile .*pip install 'manyways\[audio\]'"):
        mw.read(notes)
