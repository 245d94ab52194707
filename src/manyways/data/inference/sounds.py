"""Sounds decoded with soundfile to mono int16 rows of one rate and length, in parallel."""

import io
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.inference.media import decoded, headers_of, items_key
from manyways.data.inference.table import TypedColumn
from manyways.data.sources.base import Item, Options
from manyways.data.sources.limits import reason
from manyways.data.sources.rows import load_note, save_note
from manyways.data.storage import cache_folder, open_rows, write_rows
from manyways.errors import DataError

HIGHEST_RATE = 16_000
LONGEST = 10.0
"""Samples per second and seconds that are kept at most unless asked otherwise."""

LOWEST, HIGHEST = 10, 1_000_000
"""Samples per second that a file may have: from those of slow sensors to those of ultrasound."""
CHANNELS = 1024
FINEST = 100_000
"""The largest number in a ratio of two rates; beyond it the nearest ratio is taken."""
BLOCK = 16 << 20


def decode(name: str, items: Sequence[Item], options: Options, where: str) -> tuple[TypedColumn, dict[int, str]]:
    """A column int16 [n, samples], and why rows could not be decoded (those rows are zero).

    Channels are averaged; the rate is `sample_rate` or the most common one, at most 16 kHz; each sound is cut
    or padded with zeros at its end to `seconds`, or to the 95th percentile of the lengths, at most 10 s. Rows
    are found again in the cache while names, sizes and times of the files stay. Raises DataError where
    soundfile is not installed or no sound can be decoded.
    """
    soundfile = _soundfile()
    key = items_key(items, "audio", options.sample_rate, options.seconds)
    if note := load_note(key):
        rows = open_rows(cache_folder() / f"{key}.rows", tuple(note["shape"]), np.int16)
        return TypedColumn(name, rows, "audio", note["rate"]), {int(row): why for row, why in note["bad"].items()}
    bad: dict[int, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = headers_of(items, partial(_header, soundfile), bad, pool, "sound", where).values()
        rate = options.sample_rate or min(HIGHEST_RATE, Counter(each for _, each in headers).most_common(1)[0][0])
        lengths = [frames / each for frames, each in headers]
        seconds = options.seconds or min(LONGEST, float(np.percentile(lengths, 95)))
        shape = (len(items), max(1, round(seconds * rate)))
        wave = partial(_wave, soundfile, rate=rate, samples=shape[1])
        chunks = decoded(items, wave, np.zeros(shape[1], np.int16), bad, pool)
        rows = write_rows(cache_folder() / f"{key}.rows", chunks, shape, np.int16)
    save_note(key, {"shape": shape, "rate": rate, "bad": bad})
    return TypedColumn(name, rows, "audio", rate), bad


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, its C library is not
        raise DataError(
            f"Reading sounds needs the package soundfile ({error}). Install it: pip install 'manyways[audio]'"
        ) from error
    return soundfile


def _handle(item: Item) -> Any:
    if item is None:
        raise OSError("there is no sound")
    if isinstance(item, Path) and not item.is_file():
        raise OSError("it is no file, but a folder, a pipe or a device" if item.exists() else "there is no such file")
    return io.BytesIO(item) if isinstance(item, bytes) else str(item)


def _header(soundfile: Any, item: Item) -> tuple[int, int] | str:
    """Frames and rate from the header alone, or why it cannot be read."""
    try:
        info = soundfile.info(_handle(item))
    except Exception as error:  # soundfile documents none of what it raises for bytes that nobody expected
        return reason(error)
    if info.frames <= 0:
        return "it has no samples"
    return _beyond(info.samplerate, info.channels) or (info.frames, info.samplerate)


def _beyond(rate: int, channels: int) -> str | None:
    """The fault in what a header claims; None where it can be."""
    if not LOWEST <= rate <= HIGHEST:
        return f"its header claims {rate:,} samples per second; allowed are {LOWEST:,} … {HIGHEST:,}"
    if not 1 <= channels <= CHANNELS:
        return f"its header claims {channels:,} channels; allowed are 1 … {CHANNELS}"
    return None


def _wave(soundfile: Any, item: Item, rate: int, samples: int) -> NDArray[np.int16] | str:
    """At most `samples` samples of one sound, mono at `rate`, or why it cannot be decoded."""
    try:
        with soundfile.SoundFile(_handle(item)) as file:
            own = file.samplerate
            if wrong := _beyond(own, file.channels):
                return wrong
            # A little more than is kept: the resampling filter looks ahead.
            mono = _mono(file, ceil(samples * own / rate) + own // 10)
    except Exception as error:
        return reason(error)
    if len(mono) == 0:
        return "it has no samples"
    if not np.isfinite(mono).all():
        return "it holds samples that are not finite"
    if own != rate:
        from scipy.signal import resample_poly

        # The filter is as long as these are large: a rate such as 999,983 Hz is met to ten digits.
        ratio = Fraction(rate, own)
        ratio = ratio if max(ratio.as_integer_ratio()) <= FINEST else ratio.limit_denominator(FINEST)
        mono = resample_poly(mono, ratio.numerator, ratio.denominator)
    wave: NDArray[np.int16] = np.clip(np.round(mono[:samples] * 32768), -32768, 32767).astype(np.int16)
    return wave


def _mono(file: Any, count: int) -> NDArray[np.float32]:
    """At most `count` frames, channels averaged, block by block: a header may claim more than there is."""
    blocks = []
    each = max(1, BLOCK // (4 * file.channels))
    while count > 0 and len(block := file.read(min(count, each), dtype="float32", always_2d=True)):
        blocks.append(block.mean(axis=1))
        count -= len(block)
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)
