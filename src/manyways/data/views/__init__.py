"""Random views of whole batches, with parameters of their own for every row.

A weak view changes what surely keeps the label, a strong one all that probably does, and a contrastive one
what an embedding should not depend on. All randomness comes from the generator passed in.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from manyways.data.presence import is_presence
from manyways.data.specs import Spec
from manyways.data.views.audio import AudioStrong, AudioWeak
from manyways.data.views.base import View
from manyways.data.views.images import ImageContrastive, ImageDihedral, ImagePhotometric, ImageStrong, ImageWeak
from manyways.data.views.tables import TableContrastive, TableStrong, TableWeak
from manyways.data.views.text import TextStrong, TextWeak
from manyways.data.views.words import WordsStrong, WordsWeak
from manyways.errors import DataError, ParameterError
from manyways.registry import Classes

__all__ = [
    "VIEWS",
    "AudioStrong",
    "AudioWeak",
    "ImageContrastive",
    "ImageDihedral",
    "ImagePhotometric",
    "ImageStrong",
    "ImageWeak",
    "TableContrastive",
    "TableStrong",
    "TableWeak",
    "TextStrong",
    "TextWeak",
    "View",
    "Views",
    "WordsStrong",
    "WordsWeak",
    "view_names",
    "view_of",
]


VIEWS: Classes[View] = Classes("views", View, "manyways.data.views")
"""Every view by its name: those of this folder, and of the entry-point group `manyways.views`."""
BUILT_IN = ("weak", "strong", "contrastive")
"""The views that inputs of every kind have, their own or the usual one."""
USUAL = {"contrastive": "strong", "strong": "weak"}
"""The view of a kind of input that has none of that name."""


def view_names() -> tuple[str, ...]:
    """The names of views, whatever the kind of input: weak, strong, contrastive and others."""
    return tuple(dict.fromkeys(name.partition("-")[2] for name in VIEWS))


def view_of(name: str, spec: Spec, **options: Any) -> View:
    """The view called `name` ("weak", "strong", "contrastive", …) of the inputs that `spec` describes.

    Contrastive views are SimCLR's for images, SCARF's for tables, else the strong ones; of a kind of input that has no
    view of that name it is the weak one.

    Args:
        name: The view, without the kind of input.
        spec: The inputs.
        **options: Fields of its dataclass.

    Raises:
        ParameterError: An option is unknown or out of range.
    """
    while (full := f"{spec.kind}-{name}") not in VIEWS and name != "weak":
        name = USUAL.get(name, "weak")
    kind = VIEWS.find(full)
    allowed = [field.name for field in fields(kind) if field.name != "spec"]  # type: ignore[arg-type]
    if unknown := sorted(set(options) - set(allowed)):
        raise ParameterError(
            f"{kind.__name__} has no option {', '.join(unknown)}; its options are {', '.join(allowed)}."
        )
    make: Callable[..., View] = kind
    return make(spec, **options)


class Views:
    """Views of all inputs of an example at once: each modality by the view of its kind.

    Which rows have a modality stays as it is.
    Raises DataError for an input that has no spec.
    """

    def __init__(self, specs: Mapping[str, Spec]) -> None:
        self.specs = dict(specs)
        self._views: dict[str, dict[str, View]] = {}

    def weak(self, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """The weak view of every input."""
        return self.see("weak", inputs, rng)

    def strong(self, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """The strong view of every input."""
        return self.see("strong", inputs, rng)

    def contrastive(self, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """The contrastive view of every input."""
        return self.see("contrastive", inputs, rng)

    def see(self, name: str, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """The view called `name` of every input; see `view_of`."""
        if name not in self._views:
            self._check(name)
            self._views[name] = {modality: view_of(name, spec) for modality, spec in self.specs.items()}
        return self._apply(self._views[name], inputs, rng)

    def without(self, modality: str) -> "Views":
        """Views of the other inputs."""
        return Views({name: spec for name, spec in self.specs.items() if name != modality})

    def moves(self, name: str) -> bool:
        """True if the view called `name` may move what lies in an image; see `View.moves`."""
        self._check(name)
        return any(view_of(name, spec).moves for spec in self.specs.values() if spec.kind == "image")

    def _check(self, name: str) -> None:
        """Raise ParameterError where a view beside the built-in ones is of no kind of these inputs."""
        kinds = sorted({spec.kind for spec in self.specs.values()})
        if name not in BUILT_IN and not any(f"{kind}-{name}" in VIEWS for kind in kinds):
            raise ParameterError(
                f"The view {name!r} is of other kinds of inputs than these ({', '.join(kinds)}). Take one of "
                f"{', '.join(BUILT_IN)}."
            )

    def _apply(
        self, views: Mapping[str, View], inputs: Mapping[str, Tensor], rng: torch.Generator
    ) -> dict[str, Tensor]:
        masks = {name: mask for name, mask in inputs.items() if is_presence(name)}
        if unknown := sorted(set(inputs) - set(views) - set(masks)):
            raise DataError(f"No spec describes the input {', '.join(unknown)}; described are {', '.join(views)}.")
        # The order of the specs, not of the inputs, decides who draws first.
        return {name: view(inputs[name], rng) for name, view in views.items() if name in inputs} | masks
