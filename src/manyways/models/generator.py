"""Generator: a model that draws rows like those it learned from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.kinds import KINDS, TABLE
from manyways.data.specs import ImageSpec, TableSpec
from manyways.errors import ModelError, ParameterError
from manyways.models.generative.units import Units
from manyways.models.model import Model
from manyways.randomness import generator

ROWS_AT_ONCE = 512


@dataclass(frozen=True, eq=False, kw_only=True)
class Generator(Model):
    """A network that draws rows, how its rows are encoded, and what they are in the units of the data."""

    inputs: InputEncoding = field(repr=False)
    units: Units = field(repr=False)

    @property
    def spec(self) -> ImageSpec | TableSpec:
        """Spec of its rows as tensors."""
        return drawn(self.inputs)[1]

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    def as_rows(self, encoded: Sequence[Tensor], what: str, labels: Column | None = None) -> Data:
        """`encoded` rows, in pieces, as data with the columns that the model learned from, and with `labels`."""
        rows = torch.cat(list(encoded)).cpu().numpy()
        return as_data(rows, self.inputs, self.units, f"rows {what} by {self.lineage.title}", labels)


def as_data(
    encoded: NDArray[Any], inputs: InputEncoding, units: Units, name: str, labels: Column | None = None
) -> Data:
    """`encoded` rows of the one input in `inputs` as data of its columns, in their `units`, and with `labels`."""
    (modality,) = inputs.encoders
    columns = units.columns(inputs, {modality: encoded})
    roles = {"input": tuple(column.name for column in columns), "label": (labels.name,) if labels else ()}
    return Data.from_columns([*columns, *([labels] if labels else [])], roles, name=name)


def checked(count: int, seed: int) -> torch.Generator:
    """The generator for `count` rows.

    Raises:
        ParameterError: The count or the seed is no whole number in its range.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ParameterError(f"count must be a whole number in [1, inf); got {count!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ParameterError(f"seed must be a whole number in [0, 2**32); got {seed!r}.")
    return generator(seed)


def in_pieces(count: int, size: int = ROWS_AT_ONCE) -> Iterator[slice]:
    """The rows 0 … count − 1 in pieces of at most `size`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def modelled(data: Data) -> str | None:
    """The reason why a generator cannot draw inputs as in `data`, with what to type; None where it can."""
    kinds: dict[str, list[str]] = {}
    for column in data.inputs:
        kinds.setdefault(column.of.modality, []).append(column.name)
    for kind in kinds:
        if kind not in (TABLE, "image"):
            what = KINDS.find(kind).words[0] if kind in KINDS else kind
            other = " Text is drawn by language models: pretrain." if kind == "text" else ""
            return f"it draws images or rows of a table, and {kinds[kind][0]!r} is {what}. Leave it out: input=…{other}"
    if len(kinds) > 1 or len(kinds.get("image", ())) > 1:
        names = ", ".join(repr(name) for of_kind in kinds.values() for name in of_kind[:4])
        return f'it draws one column of images, or a table; the inputs are {names}. Name those of one kind: input="…".'
    return None


def drawn(inputs: InputEncoding) -> tuple[str, ImageSpec | TableSpec]:
    """The name and the form of the one input that a generator draws.

    Raises:
        ModelError: `inputs` are others than one column of images, or a table.
    """
    specs = inputs.specs
    name, spec = next(iter(specs.items()))
    if len(specs) > 1 or not isinstance(spec, ImageSpec | TableSpec):
        raise ModelError(f"A generator draws one column of images, or a table; got {', '.join(map(repr, specs))}.")
    return name, spec


def described(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Encoding and units of a saved generator."""
    return {"inputs": InputEncoding.from_json(saved["inputs"]), "units": Units.from_json(saved["units"])}


def dimensions(spec: ImageSpec | TableSpec) -> int:
    """Number of values of a row: pixels times channels, or numbers and categories."""
    if isinstance(spec, ImageSpec):
        return spec.channels * spec.height * spec.width
    return len(spec.groups)


def noise_of_rows(ids: NDArray[np.uint64], shape: tuple[int, ...], *seeds: int, uniform: bool = False) -> Tensor:
    """Gaussian noise, or uniform in [0, 1), for each row by its id and `seeds` alone, [rows, *shape]."""
    noise = torch.empty(len(ids), *shape)
    for at, (first, second) in enumerate(ids.tolist()):
        rng = generator(first, second, *seeds)
        noise[at] = torch.rand(shape, generator=rng) if uniform else torch.randn(shape, generator=rng)
    return noise
