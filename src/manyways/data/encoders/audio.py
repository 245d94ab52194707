"""Sound as int16 [samples], mono."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.specs import AudioSpec
from manyways.data.storage import RowNumbers
from manyways.errors import DataError


@dataclass(frozen=True)
class AudioEncoder(Encoder):
    """Passes sound of the right rate and length through; other sound is resampled, then cut or padded."""

    kind: ClassVar[str] = "audio"
    column: str
    audio: AudioSpec

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> AudioSpec:
        return self.audio

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "AudioEncoder":
        column = columns[0]
        return AudioEncoder(column.name, AudioSpec(_rate(column), column.values.shape[1]))

    def already_encoded(self, columns: list[Column]) -> bool:
        column = columns[0]
        return _rate(column) == self.audio.rate and column.values.shape[1] == self.audio.samples

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.int16]:
        from scipy.signal import resample_poly

        sound, rate = columns[0].take(rows), _rate(columns[0])
        if rate != self.audio.rate:
            common = gcd(rate, self.audio.rate)
            resampled = resample_poly(sound.astype(np.float32), self.audio.rate // common, rate // common, axis=1)
            sound = np.clip(np.round(resampled), -32768, 32767).astype(np.int16)
        out = np.zeros((len(sound), self.audio.samples), np.int16)
        length = min(sound.shape[1], self.audio.samples)
        out[:, :length] = sound[:, :length]
        return out

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "rate": self.audio.rate, "samples": self.audio.samples}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "AudioEncoder":
        return cls(saved["column"], AudioSpec(saved["rate"], saved["samples"]))


def _rate(column: Column) -> int:
    if column.kind != "audio" or column.rate is None:
        raise DataError(f"The column {column.name!r} holds {column.kind}, but the model was trained on sound.")
    return column.rate
