"""safetensors files larger than memory: read and written one tensor at a time."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from manyways.errors import ModelError
from manyways.whole import whole

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The names that the format has for types of numbers."""


@dataclass(frozen=True)
class TensorFacts:
    """Facts of a tensor in a file before it is read: the type of its numbers (a key of TYPES) and its shape."""

    kind: str
    shape: tuple[int, ...]

    @property
    def floating(self) -> bool:
        """True if its numbers are fractions, which can be averaged."""
        return TYPES[self.kind].is_floating_point

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return math.prod(self.shape) * TYPES[self.kind].itemsize


def read_facts(path: Path) -> dict[str, TensorFacts]:
    """The tensors in `path` by name.

    Raises:
        ModelError: It is no whole safetensors file.
    """
    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
            tensors = {
                name: TensorFacts(str(part.get_dtype()), tuple(part.get_shape())) for name, part in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no whole safetensors file ({error}); pickled weights are never loaded.") from error
    if strange := sorted(name for name, facts in tensors.items() if facts.kind not in TYPES):
        raise ModelError(
            f"{path} holds numbers of the type {tensors[strange[0]].kind} in {strange[0]!r}; types that can be read "
            f"are {', '.join(TYPES)}."
        )
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """The words that the file at `path` holds beside its tensors."""
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def read_tensor(path: Path, name: str) -> Tensor:
    """The tensor `name` in `path`, mapped, not copied: do not write to it."""
    # A file that stays open stays mapped, and what was read of it counts as this process's memory.
    with safe_open(path, "pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def write_tensors(
    path: Path,
    layout: Mapping[str, TensorFacts],
    make: Callable[[str], Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the tensors of `layout` to `path`, each as `make(name)` gives it: one at a time, and all or nothing.

    The format is 8 bytes with the length of the header (little-endian), the header as JSON, and the numbers one tensor
    after the other, without gaps.

    Raises:
        ModelError: The file cannot be written or the disk is full.
        ValueError: `make` gives another shape or type.
    """
    # The largest types come first, so that every tensor begins at a multiple of its numbers' size.
    order = sorted(layout, key=lambda name: -TYPES[layout[name].kind].itemsize)
    needed = sum(facts.size for facts in layout.values())
    what = f"{path} cannot be written"
    with whole(path, ModelError, what, "Give another folder.", needed) as part, part.open("wb") as file:
        file.write(_header(layout, order, metadata or {}))
        for name in order:
            tensor = make(name)
            given = (tensor.dtype, tuple(tensor.shape))
            if given != (TYPES[layout[name].kind], layout[name].shape):
                raise ValueError(f"{name} was announced as {layout[name]}; got {given}.")
            file.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            del tensor  # not to be held while the next one is made


def _header(layout: Mapping[str, TensorFacts], order: list[str], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name in order:
        facts = layout[name]
        entries[name] = {"dtype": facts.kind, "shape": facts.shape, "data_offsets": (at, at + facts.size)}
        at += facts.size
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
