"""Random views of whole batches, with parameters of their own for every row.

A weak view changes what surely keeps the label, a strong one all that probably does, and a contrastive one
what an embedding should not depend on. All randomness comes from the generator passed in.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol

import torch
from torch import Tensor

from manyways.data.presence import is_presence
from manyways.data.specs import Spec
from manyways.data.views.audio import AudioStrong, AudioWeak
from manyways.data.views.images import ImageContrastive, ImageStrong, ImageWeak
from manyways.data.views.tables import TableStrong, TableWeak
from manyways.data.views.text import TextStrong, TextWeak
from manyways.errors import DataError, ParameterError

__all__ = [
    "AudioStrong",
    "AudioWeak",
    "ImageContrastive",
    "ImageStrong",
    "ImageWeak",
    "TableStrong",
    "TableWeak",
    "TextStrong",
    "TextWeak",
    "View",
    "Views",
    "contrastive_view",
    "strong_view",
    "weak_view",
]


class View(Protocol):
    """A random change of a batch: same rows, new values; the same state of `rng` gives the same bits."""

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor: ...


WEAK: dict[str, type[Any]] = {"image": ImageWeak, "table": TableWeak, "text": TextWeak, "audio": AudioWeak}
STRONG: dict[str, type[Any]] = {
    "image": ImageStrong,
    "table": TableStrong,
    "text": TextStrong,
    "audio": AudioStrong,
}


def weak_view(spec: Spec, **options: Any) -> View:
    """The weak view of the inputs that `spec` describes; `options` are the fields of its dataclass.

    Raises ParameterError on an unknown option or one out of range.
    """
    return _build(WEAK[spec.kind], spec, options)


def strong_view(spec: Spec, **options: Any) -> View:
    """The strong view of the inputs that `spec` describes; see `weak_view`."""
    return _build(STRONG[spec.kind], spec, options)


def contrastive_view(spec: Spec, **options: Any) -> View:
    """The view for contrastive learning: SimCLR's for images, SCARF's for tables, else the strong one."""
    if spec.kind == "image":
        return _build(ImageContrastive, spec, options)
    if spec.kind == "table":
        return _build(TableStrong, spec, {"corruption": 0.6, "noise": 0.0, **options})
    return strong_view(spec, **options)


def _build(kind: type[Any], spec: Spec, options: Mapping[str, Any]) -> View:
    allowed = [field.name for field in fields(kind) if field.name != "spec"]
    if unknown := sorted(set(options) - set(allowed)):
        raise ParameterError(
            f"{kind.__name__} has no option {', '.join(unknown)}; its options are {', '.join(allowed)}."
        )
    view: View = kind(spec, **options)
    return view


class Views:
    """Views of all inputs of an example at once: each modality by the view of its kind.

    Which rows have a modality stays as it is.
    Raises DataError for an input that has no spec.
    """

    def __init__(self, specs: Mapping[str, Spec]) -> None:
        self.specs = dict(specs)
        self._weak = {name: weak_view(spec) for name, spec in specs.items()}
        self._strong = {name: strong_view(spec) for name, spec in specs.items()}
        self._contrastive = {name: contrastive_view(spec) for name, spec in specs.items()}

    def weak(self, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """The weak view of every input."""
        return self._apply(self._weak, inputs, rng)

    def strong(self, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """The strong view of every input."""
        return self._apply(self._strong, inputs, rng)

    def contrastive(self, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """The contrastive view of every input."""
        return self._apply(self._contrastive, inputs, rng)

    def _apply(
        self, views: Mapping[str, View], inputs: Mapping[str, Tensor], rng: torch.Generator
    ) -> dict[str, Tensor]:
        masks = {name: mask for name, mask in inputs.items() if is_presence(name)}
        if unknown := sorted(set(inputs) - set(views) - set(masks)):
            raise DataError(f"No spec describes the input {', '.join(unknown)}; described are {', '.join(views)}.")
        # The order of the specs, not of the inputs, decides who draws first.
        return {name: view(inputs[name], rng) for name, view in views.items() if name in inputs} | masks
