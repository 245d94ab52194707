"""Networks from one encoded modality to features, found by name in the files of this folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from manyways.data.specs import Spec
from manyways.errors import ParameterError, did_you_mean
from manyways.models.backbones.base import Backbone, ImageBackbone
from manyways.registry import Classes

__all__ = ["BACKBONES", "Backbone", "ImageBackbone", "make_backbone"]

BACKBONES: Classes[Backbone] = Classes("backbones", Backbone, "manyways.models.backbones")
"""Every backbone by its name: those of this folder, and of the entry-point group `manyways.backbones`."""


def make_backbone(name: str, spec: Spec, size: float = 1.0) -> Backbone:
    """A backbone for data like `spec`, with new weights drawn from torch's global generator.

    name: one of `BACKBONES`; "auto" picks by kind and resolution; a name with "/" or an existing folder is
    a pretrained checkpoint of the Hugging Face Hub or of the disk, whose weights are kept.
    size: multiplies the widths, > 0; 1.0 trains in seconds on a CPU.
    Raises ParameterError on an unknown name, a kind that the backbone cannot read, or a size out of range;
    ModelError when a checkpoint cannot be used.
    """
    if name == "auto":
        return BACKBONES.find(spec.backbone).for_spec(spec, size)
    if name not in BACKBONES and ("/" in name or Path(name).is_dir()):
        from manyways.models.backbones.pair_reader import load_pair
        from manyways.models.backbones.pretrained import load_pretrained
        from manyways.models.backbones.pretrained_words import load_words

        if size != 1.0:
            raise ParameterError(f"size must be 1.0 for the checkpoint {name!r}, which has its own; got {size}.")
        loaders: dict[str, Callable[[str, Spec], Backbone]] = {"pair": load_pair, "words": load_words}
        load = loaders.get(spec.kind, partial(load_pretrained, to_train=True))
        return load(name, spec)
    if name in BACKBONES:
        return BACKBONES.find(name).for_spec(spec, size)
    raise ParameterError(
        f"There is no backbone {name!r}; allowed are auto, {', '.join(sorted(BACKBONES))}, the folder of a checkpoint "
        f"or its Hub name (owner/name).{did_you_mean(name, ['auto', *BACKBONES])}"
    )
