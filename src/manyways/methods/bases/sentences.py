"""Sentence encoders: one network embeds texts, and a loss says which of them lie near each other."""

import copy
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoders.text import TextEncoder
from manyways.data.encoding import InputEncoding
from manyways.errors import ModelError, ParameterError
from manyways.methods.bases.gradient import Batch, Loss, learner_class
from manyways.methods.bases.rows import EncodedMethod
from manyways.methods.fields import Count, Positive
from manyways.models.backbones.base import Backbone
from manyways.models.model import Model
from manyways.models.network import Network, is_checkpoint, make_network
from manyways.models.sentence_encoder import GIVES, SentenceEncoder
from manyways.models.sentence_folder import TEXT, open_checkpoint
from manyways.training.learner import RowLearner
from manyways.training.loop import autocast


class SentenceLearner(RowLearner):
    """A learner of encoded texts: each of the columns is read by one network."""

    def __init__(self, network: Network, data: Data, encoding: InputEncoding, seed: int) -> None:
        super().__init__(network, data, encoding, seed)
        self.columns = tuple(encoding.encoders)

    def features(self, texts: Tensor) -> Tensor:
        """The features of encoded texts, [texts, width], before scaling to length 1."""
        return self.network.features({TEXT: texts})


SentenceLearnerT = TypeVar("SentenceLearnerT", bound=SentenceLearner)


@dataclass(frozen=True, kw_only=True)
class SentenceMethod(EncodedMethod[SentenceLearnerT], Generic[SentenceLearnerT]):
    """A method that trains a `SentenceEncoder`: `draw` gives texts, and `contrast` compares their unit vectors.

    A batch holds the encoded "texts" that are embedded, and what else `contrast` reads.
    """

    learning_rate: Positive = 5e-4
    """The highest learning rate of AdamW; the weights of a checkpoint learn at a tenth of it."""
    temperature: Positive = 0.05
    """Divides the cosine similarities in the loss."""
    matryoshka: tuple[Count, ...] = ()
    """Numbers of the first features that are to be embeddings of their own (Matryoshka representation learning,
    Kusupati et al., NeurIPS 2022): the loss is summed over these and the whole width."""
    mini_batch_size: Count | None = None
    """Texts whose activations are kept at a time (GradCache, Gao et al. 2021): the gradient is that of the whole batch,
    of any size, for one more forward pass. None: all at once."""

    gives: ClassVar = GIVES
    takes: ClassVar = frozenset({"embed"})

    field_trials: ClassVar = {
        "matryoshka": {"matryoshka": (8,)},
        "mini_batch_size": {"mini_batch_size": 5},
    }

    @abstractmethod
    def contrast(self, vectors: Tensor, batch: Batch) -> Tensor:
        """The loss of the vectors of the texts of `batch`, float32 [texts, width] of length 1."""

    def begin(self, data: Data, model: Model | None, seed: int) -> SentenceLearnerT:
        """A learner of a copy of `model`'s network, of the checkpoint's, or of a new one."""
        names = tuple(column.name for column in data.inputs)
        part, encoder = self._reader(data, model, names)
        network = Network({TEXT: part}).requires_grad_(True)
        if wide := [size for size in self.matryoshka if size > network.width]:
            raise ParameterError(
                f"{type(self).__name__}.matryoshka must be at most {network.width}, the width of the network; got "
                f"{wide[0]}."
            )
        encoding = InputEncoding({name: replace(encoder, column=name) for name in names})
        learner: SentenceLearnerT = learner_class(type(self), SentenceLearner)(network, data, encoding, seed)
        return learner

    def _reader(self, data: Data, model: Model | None, names: tuple[str, ...]) -> tuple[Backbone, TextEncoder]:
        """The backbone that is trained, and the encoder of its texts."""
        if model is None:
            if "=" in self.backbone and not is_checkpoint(self.backbone):
                raise ParameterError(
                    f"{type(self).__name__} reads all texts with one network, so backbone names one; got "
                    f"{self.backbone!r}."
                )
            return open_checkpoint(self.backbone) if is_checkpoint(self.backbone) else self._new(data, names)
        self._refuse_another_network()
        return text_reader(model, data, type(self).__name__)

    def _new(self, data: Data, names: tuple[str, ...]) -> tuple[Backbone, TextEncoder]:
        """A new network, and an encoder fitted on the training rows of all columns."""
        rows = data.training.rows
        texts = np.concatenate([data.columns[name].take(rows) for name in names])
        column = Column(TEXT, "text", as_objects(texts.tolist()))
        encoder = TextEncoder.fit([column], np.arange(len(texts)))
        if not isinstance(encoder, TextEncoder):
            raise ModelError(f"Texts are read as tokens; {encoder.kind} has none.")
        network = make_network({TEXT: encoder.spec}, backbone=self.backbone, size=self.size)
        return network.parts[0], encoder

    def checkpoints(self, data: Data) -> dict[str, str]:
        return {TEXT: self.backbone} if is_checkpoint(self.backbone) else {}

    def embed(self, learner: SentenceLearnerT, texts: Tensor) -> Tensor:
        """The features of encoded texts, as they are trained."""
        return learner.features(texts)

    def loss(self, learner: SentenceLearnerT, batch: Batch) -> Loss:
        return self._loss_of(self.embed(learner, batch["texts"]), batch), {}

    def _loss_of(self, features: Tensor, batch: Batch) -> Tensor:
        """The sum of the losses of the whole features and of the first of them by `matryoshka`."""
        sizes = dict.fromkeys((*self.matryoshka, features.shape[1]))
        losses = [self.contrast(normalize(features[:, :size].float(), dim=1), batch) for size in sizes]
        return torch.stack(losses).sum()

    def gradients(self, learner: SentenceLearnerT, batch: Batch) -> dict[str, Tensor]:
        """The gradients of the loss; with `mini_batch_size` piece by piece, from those of all features (GradCache)."""
        texts = batch["texts"]
        if self.mini_batch_size is None or len(texts) <= self.mini_batch_size:
            return super().gradients(learner, batch)
        pieces = torch.split(texts, self.mini_batch_size)
        states, parts = [], []
        with torch.no_grad(), autocast(self.precision, learner.device):
            for piece in pieces:
                states.append(_random_state(learner.device))
                parts.append(self.embed(learner, piece))
        features = torch.cat(parts).float().requires_grad_(True)
        loss = self._loss_of(features, batch)
        (slopes,) = torch.autograd.grad(loss, features)
        for piece, state, slope in zip(pieces, states, torch.split(slopes, self.mini_batch_size), strict=True):
            with _replayed(state, learner.device), autocast(self.precision, learner.device):  # the same dropout
                again = self.embed(learner, piece)
            again.float().backward(slope)  # type: ignore[no-untyped-call]
        return {"loss": loss.detach()}

    def make_model(self, learner: SentenceLearnerT) -> Model:
        encoder = learner.encoding.encoders[learner.columns[0]]
        if not isinstance(encoder, TextEncoder):
            raise ModelError(f"Texts are read as tokens; {encoder.kind} has none.")
        return SentenceEncoder(
            network=learner.network, encoder=encoder, columns=learner.columns, matryoshka=self.matryoshka
        )


def text_reader(model: Model, data: Data, method: str) -> tuple[Backbone, TextEncoder]:
    """A copy of the part of `model` that reads text, and the encoder of its texts.

    Raises:
        ModelError: It reads none; the message names `method`.
    """
    if isinstance(model, SentenceEncoder):
        return copy.deepcopy(model.network.parts[0]), model.encoder
    begun = model.as_predictor(data)
    for name, part in zip(begun.network.names, begun.network.parts, strict=True):
        encoder = begun.inputs.encoders[name]
        if isinstance(encoder, TextEncoder):
            return copy.deepcopy(part), encoder
    kinds = ", ".join(spec.kind for spec in begun.inputs.specs.values())
    raise ModelError(f"{method} starts from a model that reads text, and {model.lineage.title} reads {kinds}.")


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


@contextmanager
def _replayed(state: Tensor, device: torch.device) -> Iterator[None]:
    """A context in which numbers are drawn as from `state` on; afterwards the generator goes on from where it was."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
        yield
