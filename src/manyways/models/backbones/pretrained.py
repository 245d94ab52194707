"""Pretrained checkpoints of the transformers library, from a folder or the Hugging Face Hub."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer
from manyways.data.specs import AudioSpec, ImageSpec, Spec, TextSpec
from manyways.errors import ModelError, ParameterError
from manyways.models.backbones import _checkpoints
from manyways.models.backbones._embedding import Embedding
from manyways.models.backbones._layers import is_vmapped, text_mask, trim_text
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.tokens import Tokens, of_map

KIND_OF_INPUT = {"input_ids": "text", "pixel_values": "image", "input_values": "audio"}
"""Names of the main input of transformers models, and the kind of data that each is."""

MERGED = (1, 2, 4, 8, 16, 32)
"""Numbers of patches side by side that one of the last hidden states of an image may stand for."""


PIECE = 16
"""Texts of about one length that are read together, where a batch holds longer and shorter ones."""
SPARED = 0.9
"""A batch is read in pieces where they have this share of its padded tokens, or less."""


class Pretrained(Backbone):
    """A model of the transformers library whose last hidden states are pooled: features [B, width].

    Text [B, L]: over the tokens up to the padding, as `embedding` says (by default their mean). Images [B, C, H, W]:
    resized to `size` (height, width), grey repeated to the channels of `mean`, standardised by `mean` and `std`,
    averaged over positions. Sound [B, T]: standardised per clip where `normalise`, averaged over frames. Of a model
    with an encoder and a decoder, the encoder is used. `architecture` is the transformers config as a dict;
    `checkpoint` where it was loaded from in this process, empty for one of a saved model.
    """

    name: ClassVar[str] = "pretrained"
    kinds: ClassVar[tuple[str, ...]] = ("text", "image", "audio")
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        kind: str,
        features: int,
        architecture: Mapping[str, Any],
        padding: int = 0,
        size: Sequence[int] = (),
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
        normalise: bool = False,
        embedding: Mapping[str, Any] | None = None,
        body: nn.Module | None = None,
    ) -> None:
        stated = {"embedding": dict(embedding)} if embedding else {}
        super().__init__(
            features,
            kind=kind,
            features=features,
            architecture=dict(architecture),
            padding=padding,
            size=list(size),
            mean=list(mean),
            std=list(std),
            normalise=normalise,
            **stated,
        )
        self.kind = kind
        self.padding = padding
        self.size = tuple(size)
        self.normalise = normalise
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.body = _checkpoints.build(architecture) if body is None else body
        self.embedding = Embedding(**(embedding or {}))
        self.checkpoint = ""

    @property
    def writes(self) -> bool:
        """True if it is the encoder of a checkpoint that has a decoder, too."""
        return bool(self.config["architecture"].get("is_encoder_decoder"))

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        raise ParameterError(
            f"The backbone {cls.name!r} needs a checkpoint: give its folder or Hub name (owner/name) instead."
        )

    @property
    def token_width(self) -> int:
        """Number of features per token: those of the last hidden states."""
        dense = self.embedding.description
        pooled = int(dense[0]["inputs"]) if dense else self.width
        return pooled // len(self.embedding.pooling)

    def pool(self, tokens: Tokens) -> Tensor:
        features: Tensor = self.embedding(tokens)
        return features

    def tokens(self, x: Tensor) -> Tokens:
        if self.kind == "text":
            return self._text_tokens(trim_text(x, self.padding).long())
        if self.kind == "image":
            state = self.body(pixel_values=self._pixels(x)).last_hidden_state
            return of_map(state) if state.ndim == 4 else Tokens(state, None, self._patches(state.shape[1]))
        state = self.body(input_values=self._wave(x)).last_hidden_state
        return of_map(state) if state.ndim == 4 else Tokens(state, None, (state.shape[1],))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind != "text" or x.device.type != "cpu" or is_vmapped(x):
            return super().forward(x)
        order, pieces = by_length(text_mask(x, self.padding).sum(1))
        if len(pieces) == 1:
            return super().forward(x)
        features: Tensor = torch.cat([super(Pretrained, self).forward(x[order[piece]]) for piece in pieces])
        return features[order.argsort()]

    def untrimmed(self, x: Tensor) -> Tensor:
        """Features of a batch whose texts are read as far as they are padded, so that its shape follows from `x`."""
        return self.pool(self._text_tokens(x.long()) if self.kind == "text" else self.tokens(x))

    def _text_tokens(self, ids: Tensor) -> Tokens:
        visible = text_mask(ids, self.padding)
        output = self.body(input_ids=ids, attention_mask=visible.long())
        return Tokens(output.last_hidden_state, visible, (ids.shape[1],))

    def _patches(self, positions: int) -> tuple[int, ...]:
        """Grid of the last hidden states of an image: its patches, which some architectures merge two by two.

        Before them may stand [CLS], a token for distillation and registers, which the config counts.
        """
        config = self.body.config
        side, summaries = getattr(config, "patch_size", None), 2 + getattr(config, "num_register_tokens", 0)
        sides = side if isinstance(side, list | tuple) else (side, side)
        for merged in MERGED if all(isinstance(each, int) for each in sides) else ():
            grid = tuple(-(-length // (each * merged)) for length, each in zip(self.size, sides, strict=True))
            if 0 <= positions - prod(grid) <= summaries:
                return grid
        return (positions,)

    def _pixels(self, x: Tensor) -> Tensor:
        pixels = x.to(self.mean.dtype) / 255 if x.dtype == torch.uint8 else x.to(self.mean.dtype)
        if pixels.shape[1] == 1:
            pixels = pixels.expand(-1, len(self.mean), -1, -1)
        if pixels.shape[2:] != self.size:
            pixels = F.interpolate(pixels, self.size, mode="bilinear", antialias=True)
        return (pixels - self.mean[:, None, None]) / self.std[:, None, None]

    def _wave(self, x: Tensor) -> Tensor:
        wave = x.float() / 32768 if x.dtype == torch.int16 else x.float()
        if not self.normalise:
            return wave
        centred = wave - wave.mean(dim=1, keepdim=True)
        return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-7).sqrt()

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters before the layers, of each layer, and after them; layers are the largest ModuleList."""
        lists = [item for item in self.body.named_modules() if isinstance(item[1], nn.ModuleList)]
        above = list(self.embedding.parameters())
        if not lists:
            return [group for group in (list(self.body.parameters()), above) if group]
        largest, layers = max(lists, key=lambda item: sum(p.numel() for p in item[1].parameters()))
        depth = len(largest.split("."))
        groups: list[list[nn.Parameter]] = [[] for _ in range(len(layers) + 2)]
        reached = False
        for parameter_name, parameter in self.body.named_parameters():
            inside = parameter_name.startswith(f"{largest}.")
            reached = reached or inside
            at = int(parameter_name.split(".")[depth]) + 1 if inside else -1 if reached else 0
            groups[at].append(parameter)
        return [group for group in (*groups, above) if group]


def by_length(lengths: Tensor) -> tuple[Tensor, list[slice]]:
    """The order of rows by their `lengths` in tokens, and the pieces of it that are read one by one.

    Each is padded to its own longest row; a batch stays whole where that would spare little.
    """
    order = lengths.argsort(stable=True)
    ends = [*range(PIECE, len(order) - PIECE // 2, PIECE), len(order)]
    pieces = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False) if start < end]
    longest = lengths[order[[end - 1 for end in ends]]] if len(order) else lengths
    padded = sum(int(most) * (piece.stop - piece.start) for most, piece in zip(longest, pieces, strict=True))
    whole = int(lengths.max()) * len(order) if len(order) else 0
    return order, pieces if padded < SPARED * whole else [slice(0, len(order))]


def load_pretrained(checkpoint: str, spec: Spec, *, to_train: bool = False) -> Pretrained:
    """The checkpoint's model with its weights, for data like `spec`; a folder never touches the network.

    One that is `to_train` does not scale embeddings to length 1: that is for comparing them, and a new head on them
    would begin with outputs next to 0.

    Raises:
        ModelError: The checkpoint cannot be loaded without pickle or remote code, reads another kind of data, has too
            small a vocabulary, or hears at another sample rate.
    """
    encoder, checkpoint = _checkpoints.opened(checkpoint)
    body, architecture = _checkpoints.load(checkpoint)
    kind = KIND_OF_INPUT.get(body.main_input_name, body.main_input_name)
    if kind != spec.kind:
        raise ModelError(f"{checkpoint!r} reads {kind}; this input is {spec.kind}. Choose another backbone.")
    settings: dict[str, Any] = {}
    example: Tensor
    embedding = Embedding()
    if isinstance(spec, TextSpec):
        if encoder is not None:
            layers = [layer for _, layer in encoder.dense]
            embedding = Embedding(encoder.pooling, layers, encoder.unit_length and not to_train)
            _checkpoints.fill_dense(embedding.dense, encoder, checkpoint)
            settings["embedding"] = embedding.config
        settings["padding"] = spec.padding
        example = torch.full((1, 2), min(1, spec.vocabulary - 1))
        known = body.get_input_embeddings().num_embeddings
        if spec.vocabulary > known:
            raise ModelError(
                f"{checkpoint!r} knows {known} tokens and the data was encoded with {spec.vocabulary}: "
                "encode it with the checkpoint's own tokenizer."
            )
    elif isinstance(spec, ImageSpec):
        settings |= _checkpoints.image_settings(checkpoint, architecture)
        example = torch.zeros(1, spec.channels, spec.height, spec.width)
        if spec.channels not in (1, len(settings["mean"])):
            raise ModelError(f"{checkpoint!r} reads {len(settings['mean'])} channels; got {spec.channels}.")
    elif isinstance(spec, AudioSpec):
        rate, settings["normalise"] = _checkpoints.audio_settings(checkpoint)
        example = torch.zeros(1, max(spec.samples, rate))
        if spec.rate != rate:
            raise ModelError(f"{checkpoint!r} hears {rate} samples per second; the data has {spec.rate}. Resample it.")
    else:
        raise ModelError(f"{checkpoint!r} cannot read {spec.kind} inputs.")
    probe = Pretrained(kind=kind, features=1, architecture=architecture, body=body, **settings)
    probe.embedding = embedding
    with torch.no_grad():
        features = probe.eval()(example).shape[1]
    made = Pretrained(kind=kind, features=features, architecture=architecture, body=body.train(), **settings)
    made.embedding = embedding.train()
    made.checkpoint = checkpoint
    return made


def checkpoint_tokenizers(
    checkpoints: Mapping[str, str], columns: Iterable[Column], *, whole: bool = False
) -> dict[str, CheckpointTokenizer]:
    """The tokenizers of those `checkpoints`, by column, that read a text among `columns`.

    whole: True to read each text as far as the checkpoint can, however long the training rows are.
    """
    texts = [column.name for column in columns if column.kind in ("text", "words")]
    found = {name: _checkpoints.load_tokenizer(checkpoints[name]) for name in texts if name in checkpoints}
    return {name: replace(each, length=each.limit) if whole else each for name, each in found.items()}


def kind_read(checkpoint: str) -> str:
    """The kind of data that a checkpoint reads: text, image, audio, or the name of another input.

    Raises:
        ModelError: It cannot be opened.
    """
    name = _checkpoints.input_name(_checkpoints.opened(checkpoint)[1])
    return KIND_OF_INPUT.get(name, name)
