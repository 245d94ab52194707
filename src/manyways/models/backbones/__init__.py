"""Networks from one encoded modality to features, found by name in the files of this folder."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from manyways.data.specs import ImageSpec, Spec
from manyways.errors import ModelError, ParameterError
from manyways.models.backbones.base import Backbone, ImageBackbone

__all__ = ["Backbone", "ImageBackbone", "backbones", "make_backbone", "rebuild_backbone"]

LARGEST_CONVNET_SIDE = 40
BY_KIND = {"table": "perceptron", "text": "text-transformer", "audio": "audio-net"}


@cache
def backbones() -> dict[str, type[Backbone]]:
    """Every backbone class by its name."""
    found: dict[str, type[Backbone]] = {}
    for entry in pkgutil.iter_modules(__path__):
        if entry.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{entry.name}")
        for _, member in inspect.getmembers(module, inspect.isclass):
            own = member.__module__ == module.__name__ and not inspect.isabstract(member)
            if own and issubclass(member, Backbone):
                if member.name in found:
                    raise TypeError(f"Two backbones are called {member.name!r}: {found[member.name]} and {member}.")
                found[member.name] = member
    return found


def make_backbone(name: str, spec: Spec, size: float = 1.0) -> Backbone:
    """A backbone for data like `spec`, with new weights drawn from torch's global generator.

    name: one of `backbones()`; "auto" picks by kind and resolution; a name with "/" or an existing folder is
    a pretrained checkpoint of the Hugging Face Hub or of the disk, whose weights are kept.
    size: multiplies the widths, > 0; 1.0 trains in seconds on a CPU.
    Raises ParameterError on an unknown name, a kind that the backbone cannot read, or a size out of range;
    ModelError when a checkpoint cannot be used.
    """
    if name == "auto":
        return backbones()[_automatic(spec)].for_spec(spec, size)
    if name not in backbones() and ("/" in name or Path(name).is_dir()):
        from manyways.models.backbones.pretrained import load_pretrained

        if size != 1.0:
            raise ParameterError(f"size must be 1.0 for the checkpoint {name!r}, which has its own; got {size}.")
        return load_pretrained(name, spec)
    return _named(name, ParameterError).for_spec(spec, size)


def rebuild_backbone(config: Mapping[str, Any]) -> Backbone:
    """The architecture that a backbone's `config` describes, with random weights, to load saved ones into.

    Raises ModelError when the config names no known backbone or does not fit it.
    """
    kind = _named(str(config.get("name", "")), ModelError)
    try:
        return kind.from_config(config)
    except TypeError as error:
        raise ModelError(f"The saved config of the backbone {kind.name!r} does not fit: {error}.") from error


def _automatic(spec: Spec) -> str:
    if isinstance(spec, ImageSpec):
        return "convnet" if max(spec.height, spec.width) <= LARGEST_CONVNET_SIDE else "resnet"
    return BY_KIND[spec.kind]


def _named(name: str, error: type[ParameterError] | type[ModelError]) -> type[Backbone]:
    known = backbones()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, ["auto", *known], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise error(
        f"There is no backbone {name!r}; allowed are auto, {', '.join(sorted(known))}, "
        f"the folder of a checkpoint or its Hub name (owner/name).{hint}"
    )
