"""Specs of encoded inputs: all that a view or a backbone needs to know of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from manyways.errors import ModelError


@dataclass(frozen=True)
class ImageSpec:
    """Images as uint8 [channels, height, width], 1 (grey) or 3 (RGB) channels, sizes in pixels."""

    kind: ClassVar[str] = "image"
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class TableSpec:
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


@dataclass(frozen=True)
class TextSpec:
    """Token ids as int32 [length], ids below `vocabulary`; 0 padding, 1 unknown, 2 mask, 3 start."""

    kind: ClassVar[str] = "text"
    vocabulary: int
    length: int
    padding: int = 0
    mask: int = 2


@dataclass(frozen=True)
class AudioSpec:
    """Mono sound as int16 [samples] at `rate` samples per second."""

    kind: ClassVar[str] = "audio"
    rate: int
    samples: int


Spec = ImageSpec | TableSpec | TextSpec | AudioSpec
SPECS: dict[str, type[Spec]] = {spec.kind: spec for spec in (ImageSpec, TableSpec, TextSpec, AudioSpec)}


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """`spec` as plain JSON values; `spec_from_json` is the inverse."""
    return {"kind": spec.kind, **asdict(spec)}


def spec_from_json(saved: Mapping[str, Any]) -> Spec:
    """The spec that `spec_to_json` wrote. Raises ModelError on an unknown kind or wrong fields."""
    fields = dict(saved)
    kind = fields.pop("kind", None)
    if kind not in SPECS:
        raise ModelError(f"An input has the kind {kind!r}; allowed are {', '.join(SPECS)}.")
    if kind == "table":
        fields["groups"] = tuple((int(start), int(stop)) for start, stop in fields["groups"])
        fields["numeric"] = tuple(fields["numeric"])
        fields["together"] = tuple(fields.get("together", ()))
    try:
        return SPECS[kind](**fields)
    except TypeError as error:
        raise ModelError(f"The saved description of a {kind} input does not fit: {error}.") from error
