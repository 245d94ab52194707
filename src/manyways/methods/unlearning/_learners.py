"""Learners of approximate unlearning: a forget set and a retain set, of a classifier or a language model."""

from abc import abstractmethod
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.storage import RowNumbers
from manyways.methods.bases.language import copy_of
from manyways.models.language.adapters import has_adapters, merged
from manyways.models.language.attention import use_own_attention
from manyways.models.language.forward import answer_log_probabilities, plain
from manyways.models.language.packing import answer_lengths, pack
from manyways.models.language.probe import packs
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model, of_kind
from manyways.models.predictor import Predictor
from manyways.training.learner import LabelledLearner, Learner

ROWS_AT_ONCE = 128


class Unlearner(Learner):
    """A copy of a model, and which of its training rows it is to forget and to keep (positions among them).

    The network stays in evaluation: nothing is dropped, and statistics of batches stay as they are, so that it can be
    compared with the model that it was.

    Attributes:
        reference: Log-probabilities of the forget set by the model that it was, for methods that compare with it.
    """

    forget: RowNumbers
    retain: RowNumbers
    reference: Tensor

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.network.eval()
        return self

    @property
    def validation(self) -> Data | None:
        """None: the model that does best on rows set aside is the one that has forgotten nothing."""
        return None

    def _divide(self, data: Data, usable: Any) -> None:
        self.used = (data.part[data.rows] == TRAINING) & usable
        marked, there = data.training.forgotten, usable[data.part[data.rows] == TRAINING]
        self.forget, self.retain = np.flatnonzero(marked & there), np.flatnonzero(~marked & there)

    @abstractmethod
    def batch(self, positions: RowNumbers) -> Any:
        """The rows at `positions`, on the network's device."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Any) -> Tensor:
        """−log p of what each row says (its label, its tokens), in nats; squared errors of numbers. float32 [rows]."""

    def sizes(self, batch: Any) -> Tensor:
        """The number of labels or tokens of each row, float32 [rows]."""
        return torch.ones(1, device=self.device)

    def mean(self, network: nn.Module, batch: Any) -> Tensor:
        """The mean loss of what the rows say: of labels, or of tokens."""
        losses = self.losses(network, batch)
        return losses.sum() / self.sizes(batch).expand_as(losses).sum()

    @torch.no_grad()
    def row_losses(self, positions: RowNumbers, context: Any) -> Tensor:
        """The loss of every row at `positions` as the network is now, float32 [positions]."""
        with context:
            parts = [
                self.losses(self.network, self.batch(positions[at : at + ROWS_AT_ONCE])).float()
                for at in range(0, len(positions), ROWS_AT_ONCE)
            ]
        return torch.cat(parts)

    @abstractmethod
    def model(self) -> Model:
        """The model around the network."""


UnlearnerT = TypeVar("UnlearnerT", bound=Unlearner)


class RowUnlearner(Unlearner, LabelledLearner):
    """A classifier, or a model of numbers, with its rows as tensors."""

    def __init__(self, start: Predictor, data: Data, seed: int) -> None:
        network = start.copy_of_network().requires_grad_(True)
        LabelledLearner.__init__(self, network, data, start.inputs, start.label_target, seed)
        self.weigh(balanced=False)
        self._divide(data, data.labelled)

    def batch(self, positions: RowNumbers) -> Any:
        return {"inputs": self.take(positions), **self.labels_of(positions)}

    def mean(self, network: nn.Module, batch: Any) -> Tensor:
        """The mean loss of the labels, by their sample weights."""
        losses = self.losses(network, batch)
        return (losses * batch["weights"]).mean() if "weights" in batch else super().mean(network, batch)

    def losses(self, network: nn.Module, batch: Any) -> Tensor:
        return self.target.losses(network(batch["inputs"]), batch["labels"])

    def model(self) -> Model:
        return Predictor(network=self.network, inputs=self.encoding, target=self.target)


class TokenUnlearner(Unlearner):
    """A language model, with its rows as prompts and answers, or as texts of which every token is said."""

    def __init__(self, start: LanguageModel, data: Data, seed: int) -> None:
        network = merged(start.network) if has_adapters(start.network) else copy_of(start.network)
        use_own_attention(plain(network))
        super().__init__(network.requires_grad_(True), data, seed)
        self.start = start
        self.padding = int(start.tokenizer.pad_token_id)
        self.groups = start.reader().answers_or_text(data.training)
        self._divide(data, np.ones(len(data), bool))

    def batch(self, positions: RowNumbers) -> Any:
        groups = [self.groups[row] for row in positions]
        return pack(groups, self.padding, packs(self.network)).to(self.device)

    def losses(self, network: nn.Module, batch: Any) -> Tensor:
        return -answer_log_probabilities(network, batch)

    def sizes(self, batch: Any) -> Tensor:
        return answer_lengths(batch)

    def model(self) -> Model:
        start = self.start
        return LanguageModel(
            network=self.network, tokenizer=start.tokenizer, objective=start.objective, columns=start.columns
        )


def unlearner(model: Model | None, data: Data, seed: int) -> Unlearner:
    """The learner of a language model or of a model over rows.

    Raises:
        ModelError: `model` is neither.
    """
    if isinstance(model, LanguageModel):
        return TokenUnlearner(model, data, seed)
    return RowUnlearner(of_kind(Predictor, model), data, seed)
