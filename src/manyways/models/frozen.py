"""Features of frozen checkpoints: computed once, kept on disk, and bitwise a function of each row alone."""

import hashlib
import json
from collections.abc import Iterator
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoders.base import Encoder
from manyways.data.encoding import InputEncoding
from manyways.data.row_cache import RowCache
from manyways.data.specs import Spec, TextSpec
from manyways.data.storage import RowNumbers, chunks_of
from manyways.models.backbones._layers import text_mask
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.pretrained import Pretrained
from manyways.models.network import Network
from manyways.models.running import check_gaps, run_rows

TOGETHER = 16
"""Rows in every batch, the last ones of a length among them: which kernels are picked depends on the shape."""
STEP = 8
"""Texts are padded to a multiple of so many tokens, so that a batch holds texts of about one length."""
KEPT_FROM = 32
"""Fewer rows than these are computed each time: a question of a few rows leaves no file behind."""
FORMAT = 1
"""Version of what is kept; another one computes anew."""


def freeze(network: Network) -> Network:
    """`network` with the weights of its checkpoints marked as those that nothing trains."""
    for part in network.parts:
        if isinstance(part, Pretrained):
            part.requires_grad_(False)
    return network


def is_frozen(part: Backbone) -> TypeGuard[Pretrained]:
    """True if `part` is of a checkpoint and nothing trains its weights."""
    return isinstance(part, Pretrained) and not any(weight.requires_grad for weight in part.parameters())


def has_frozen(network: Network) -> bool:
    """True if features of `network` can be read from what was computed before."""
    if network.may_lack or not any(map(is_frozen, network.parts)):
        return False
    return network.head is None or not network.head.reads_tokens


def joined_features(network: Network, encoding: InputEncoding, data: Data, device: str = "cpu") -> NDArray[np.float32]:
    """The features of the rows of `data` by the backbones of `network`, of which some are frozen, side by side.

    Raises:
        DataError: The rows lack an input, or what is computed cannot be kept.
    """
    check_gaps(encoding.absent(data), data, encoding, network)
    return np.concatenate(
        [
            frozen_features(part, encoding, name, data, device)
            if is_frozen(part)
            else _plain_features(name, part, encoding, data)
            for name, part in zip(network.names, network.parts, strict=True)
        ],
        axis=1,
    )


def _plain_features(name: str, part: Backbone, encoding: InputEncoding, data: Data) -> NDArray[np.float32]:
    alone, own = Network({name: part}), InputEncoding({name: encoding.encoders[name]})
    return run_rows(alone.features, part.width, alone, own, data)


def behind(network: Network, joined: NDArray[np.float32], *, head: bool) -> NDArray[np.float32]:
    """The outputs of `network` for the joined features of its backbones: of its projection, and of its `head`."""
    if network.projection is None and not head:
        return joined
    parts: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for rows in chunks_of(len(joined), 512):
            features = torch.from_numpy(joined[rows])
            features = features if network.projection is None else network.projection(features)
            parts.append((network.predict(features) if head else features).float().numpy())
    return np.concatenate(parts)


def frozen_features(
    part: Pretrained, encoding: InputEncoding, name: str, data: Data, device: str = "cpu"
) -> NDArray[np.float32]:
    """The features of the input `name` of `data` by a frozen `part`, [rows, width]: those kept, the others computed.

    Raises:
        DataError: The rows lack the column, or what is computed cannot be kept.
    """
    encoder, columns = encoding.encoders[name], encoding.columns_read(name, data)
    was = part.training
    cache = RowCache(_key(part, encoder, data), len(data.all_ids), part.width)

    def compute(rows: RowNumbers) -> NDArray[np.float32]:
        encoded = torch.from_numpy(encoder.encode(columns, rows))
        features = np.empty((len(rows), part.width), np.float32)
        with torch.inference_mode():  # in float32, as a model that was loaded computes them anew
            for places, batch in batches(encoded, encoder.spec):
                features[places] = part.untrimmed(batch.to(device)).float().cpu().numpy()[: len(places)]
        return features

    part.eval().to(device)
    try:
        return cache.rows(data.rows, compute)
    finally:
        part.train(was).to("cpu")


def _key(part: Pretrained, encoder: Encoder, data: Data) -> str:
    """A hash of all that decides the features of a table: its rows, how they are encoded, and every weight."""
    facts = [FORMAT, encoder.key(), part.config, TOGETHER, STEP]
    hasher = hashlib.blake2b(json.dumps(facts).encode(), digest_size=20)
    hasher.update(np.ascontiguousarray(data.all_ids).data)
    buffers = [("mean", part.mean), ("std", part.std)]
    for name, tensor in [*part.state_dict().items(), *buffers]:
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hasher.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def batches(rows: Tensor, spec: Spec) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Batches of `TOGETHER` rows, texts of one padded length, and the places of the rows in them.

    What a batch lacks are repetitions of its rows, so that all batches of a length have one shape. Texts either all
    fill it or none does: a network may take another way where nothing is padded.
    """
    lengths = np.zeros(len(rows), np.int64)
    if isinstance(spec, TextSpec):
        used = text_mask(rows.long(), spec.padding).sum(1).numpy()
        padded = np.minimum((used // STEP + 1) * STEP, spec.length)
        lengths = np.where(used < spec.length, padded, spec.length + 1)
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        for start in range(0, len(alike), TOGETHER):
            places = alike[start : start + TOGETHER]
            batch = rows[torch.from_numpy(np.resize(places, TOGETHER))]
            yield places, batch[:, :length] if isinstance(spec, TextSpec) else batch
