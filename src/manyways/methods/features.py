"""Frozen features: those of a model or a pretrained checkpoint, or the raw inputs where there is neither."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.columns import modalities
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import Spec, TextSpec
from manyways.data.storage import chunks_of
from manyways.errors import ParameterError
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.pretrained import checkpoint_tokenizers, kind_read, load_pretrained
from manyways.models.backbones.raw import fit_raw_backbone, plain_backbone
from manyways.models.frozen import behind, freeze, has_frozen, joined_features
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.network import Network, backbones_by_name, is_checkpoint
from manyways.models.predictor import Predictor
from manyways.models.saving import checkpoint_lineage

AUTO = "auto"

TOGETHER = 127
"""Rows that go through the network at a time where what it says of them must not depend on their number."""


@dataclass(frozen=True, eq=False)
class Features:
    """A network without a head, how its inputs are encoded, and whether unlabelled rows shaped it here.

    Attributes:
        parents: The model or the checkpoints that the network was made by.
        device: Device on which checkpoints read rows.
    """

    network: Network
    encoding: InputEncoding
    uses_all_rows: bool
    parents: tuple[Model | Lineage, ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        freeze(self.network)

    def of(self, data: Data) -> NDArray[np.float32]:
        """The features of the rows of `data`, float32 [rows, width]; those of checkpoints are computed once."""
        if has_frozen(self.network):
            joined = joined_features(self.network, self.encoding, data, self.device)
            return behind(self.network, joined, head=False)
        return Predictor(network=self.network, inputs=self.encoding).embed(data)

    def alone(self, data: Data) -> NDArray[np.float32]:
        """As `of`, but bitwise a function of each row alone, whichever rows are there with it.

        Which kernels a network picks depends on the size of the batch, and how far texts are read on the longest among
        them: so all batches are of one size, and each ends with a text of full length. Checkpoints read rows so anyway.
        """
        if has_frozen(self.network) and self.network.projection is None:
            return self.of(data)
        rows = self.encoding.encode(data)
        features = np.empty((len(rows), self.network.width), np.float32)
        with torch.inference_mode():
            for at in chunks_of(len(rows), TOGETHER):
                batch = rows.batch(np.resize(at, TOGETHER))
                full = {name: _with_longest(part, self.encoding.specs[name]) for name, part in batch.items()}
                features[at] = self.network.features(full)[: len(at)]
        return features


def _with_longest(rows: Tensor, spec: Spec) -> Tensor:
    other_than_padding = 0 if isinstance(spec, TextSpec) and spec.padding == 1 else 1
    return torch.cat([rows, torch.full_like(rows[:1], other_than_padding)])


def plain_features(
    data: Data, model: Model | None, *, counts: bool = False, backbone: str = AUTO, device: str = "cpu"
) -> Features:
    """The features of `model`, copied and without its head, or those of checkpoints; else the raw inputs.

    Of raw inputs nothing is learned: numbers are as they are, and words are hashed; `counts` counts them. backbone: a
    checkpoint, or one for each input; see `backbones_by_name`.
    """
    if model is not None:
        return start_features(data, model, 0, backbone, device)

    def raw(name: str, encoding: InputEncoding) -> Backbone:
        return plain_backbone(encoding.specs[name], counts=counts)

    return _features(data, backbone, device, raw, plain=True)


def start_features(data: Data, model: Model | None, seed: int, backbone: str = AUTO, device: str = "cpu") -> Features:
    """The features of `model`, copied and without its head, or those of checkpoints; else the raw inputs.

    Raw text is its latent semantics, which are learned from all training rows. backbone: as `plain_features` has it.
    """
    if model is not None:
        if backbone != AUTO:
            raise ParameterError(
                "backbone names a checkpoint to start from, and a model is there to start from already: leave one out. "
                f"Got backbone={backbone!r} and {model.lineage.title}."
            )
        start = model.as_predictor(data)
        network = start.copy_of_network()
        network.head = None
        return Features(network.eval(), start.inputs, uses_all_rows=False, parents=(model,), device=device)

    def raw(name: str, encoding: InputEncoding) -> Backbone:
        store = encoding.store(encoding.encoders[name], data)
        return fit_raw_backbone(encoding.specs[name], store, data.training.rows, seed)

    return _features(data, backbone, device, raw)


def _features(
    data: Data, backbone: str, device: str, raw: Callable[[str, InputEncoding], Backbone], *, plain: bool = False
) -> Features:
    """Features by the checkpoints in `backbone`, and of the inputs that none reads by `raw`."""
    checkpoints = checkpoints_of(backbone, data)
    tokenizers = checkpoint_tokenizers(checkpoints, data.inputs, whole=True)
    encoding = InputEncoding.fit(data, plain=plain, tokenizers=tokenizers)
    backbones = {
        name: load_pretrained(checkpoints[name], spec) if name in checkpoints else raw(name, encoding)
        for name, spec in encoding.specs.items()
    }
    learned = not plain and any(spec.kind == "text" for name, spec in encoding.specs.items() if name not in checkpoints)
    parents = tuple(map(checkpoint_lineage, dict.fromkeys(checkpoints.values())))
    return Features(Network(backbones).eval(), encoding, learned, parents, device)


def checkpoints_of(backbone: str, data: Data) -> dict[str, str]:
    """The checkpoint that reads an input of `data`, by the input's name; none where `backbone` is auto.

    Raises:
        ParameterError: It names something else, or a checkpoint that reads none of the inputs.
        ModelError: A checkpoint cannot be opened.
    """
    if backbone == AUTO:
        return {}
    groups = modalities(data.inputs)
    named = backbones_by_name(backbone, groups)
    if other := [each for each in (named.values() or [backbone]) if each != AUTO and not is_checkpoint(each)]:
        raise ParameterError(
            f"backbone must be a pretrained checkpoint, its folder or its Hub name (owner/name); got {other[0]!r}. "
            "Networks that are not pretrained are given to methods that train them: supervised(backbone=…)."
        )
    if named:
        return {name: each for name, each in named.items() if each != AUTO}
    kind = kind_read(backbone)
    reading = {name: backbone for name, columns in groups.items() if columns[0].kind == kind}
    if not reading:
        kinds = ", ".join(sorted({columns[0].of.modality for columns in groups.values()}))
        raise ParameterError(
            f"The checkpoint {backbone!r} reads {kind}, and {data.name} has none: its inputs are {kinds}. Leave "
            "backbone out, or name another."
        )
    return reading
