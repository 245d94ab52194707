"""Specs of encoded inputs: all that a view or a backbone needs to know of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.errors import ModelError
from manyways.registry import Classes


@dataclass(frozen=True)
class Spec(ABC):
    """The shape and the meaning of one encoded input.

    A further kind is a subclass in the file of its encoder, or in the entry-point group `manyways.specs`.

    Attributes:
        kind: The kind of input, a word that backbones and views name it by.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""

    @property
    @abstractmethod
    def backbone(self) -> str:
        """The name of the backbone that reads it where none is named."""

    def lengths(self, rows: NDArray[Any]) -> NDArray[np.int64] | None:
        """The number of positions that each of `rows` fills, int64 [rows]; None where all fill as many."""
        return None

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The spec of the fields that `spec_to_json` wrote. Raises TypeError where they do not fit."""
        return cls(**saved)


SPECS: Classes[Spec] = Classes("specs", Spec, "manyways.data.specs", "manyways.data.encoders", attribute="kind")
"""Every spec by its kind: those of this file, of encoders, and of the entry-point group `manyways.specs`."""

LARGEST_CONVNET_SIDE = 40


@dataclass(frozen=True)
class ImageSpec(Spec):
    """Images as uint8 [channels, height, width], 1 (grey) or 3 (RGB) channels, sizes in pixels."""

    kind: ClassVar[str] = "image"
    channels: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.height, self.width)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def backbone(self) -> str:
        return "convnet" if max(self.height, self.width) <= LARGEST_CONVNET_SIDE else "resnet"


@dataclass(frozen=True)
class TableSpec(Spec):
    """Number and category columns side by side as float32 [width].

    `groups` are half-open ranges; `numeric` lists those that are standardised numbers, all others are one-hot codes of
    categories. A source column is a group, but of many categories several: `together` says of each group which one is
    the first of its column; it is empty where each is alone.
    """

    kind: ClassVar[str] = "table"
    width: int
    groups: tuple[tuple[int, int], ...]
    numeric: tuple[int, ...]
    together: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.width,)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    def backbone(self) -> str:
        return "perceptron"

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        groups = tuple((int(start), int(stop)) for start, stop in saved["groups"])
        return cls(**{
            **saved, "groups": groups, "numeric": tuple(saved["numeric"]), "together": tuple(saved.get("together", ()))
        })  # fmt: skip


@dataclass(frozen=True)
class TextSpec(Spec):
    """Token ids as int32 [length], ids below `vocabulary`; 0 padding, 1 unknown, 2 mask, 3 start."""

    kind: ClassVar[str] = "text"
    vocabulary: int
    length: int
    padding: int = 0
    mask: int = 2

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int32)

    @property
    def backbone(self) -> str:
        return "text-transformer"

    def lengths(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray((rows != self.padding).sum(axis=1))


@dataclass(frozen=True)
class AudioSpec(Spec):
    """Mono sound as int16 [samples] at `rate` samples per second."""

    kind: ClassVar[str] = "audio"
    rate: int
    samples: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.samples,)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int16)

    @property
    def backbone(self) -> str:
        return "audio-net"


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """`spec` as plain JSON values; `spec_from_json` is the inverse."""
    return {"kind": spec.kind, **asdict(spec)}


def spec_from_json(saved: Mapping[str, Any]) -> Spec:
    """The spec that `spec_to_json` wrote. Raises ModelError on an unknown kind or wrong fields."""
    fields = {key: value for key, value in saved.items() if key != "kind"}
    kind = SPECS.find(saved.get("kind"), ModelError)
    try:
        return kind.from_json(fields)
    except (TypeError, KeyError) as error:
        raise ModelError(f"The saved description of a {kind.kind} input does not fit: {error}.") from error
