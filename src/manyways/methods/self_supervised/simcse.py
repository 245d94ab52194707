"""SimCSE: a sentence encoder from texts alone, each seen twice through dropout."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import DataError, ParameterError
from manyways.methods.bases.gradient import Batch
from manyways.methods.bases.self_supervised import SelfSupervised, effective_rank, spread
from manyways.methods.bases.sentences import SentenceLearner, SentenceMethod
from manyways.methods.fields import Interval
from manyways.methods.method import Ablations
from manyways.methods.metric_learning.sentence_pairs import ranking_loss
from manyways.methods.needs import Input
from manyways.methods.needs.texts import Texts
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.models.sentence_folder import TEXT
from manyways.randomness import generator

LOOKED_AT = 256
"""Texts of which collapse and the pretext task are measured."""


class SimCSELearner(SentenceLearner):
    """A learner of texts, wherever they stand.

    Attributes:
        texts: The row and the column at which each distinct text stands first, int64 [texts, 2].
        pool: The numbers of the texts.
    """

    texts: RowNumbers
    pool: RowNumbers

    def encoded(self, numbers: RowNumbers) -> Tensor:
        """The encoded texts of these `numbers`, int64 [texts, tokens]."""
        rows, columns = self.texts[numbers].T
        texts = torch.empty(len(numbers), *self.rows.stores[self.columns[0]].shape[1:], dtype=torch.int64)
        for at, name in enumerate(self.columns):
            places = np.flatnonzero(columns == at)
            texts[torch.from_numpy(places)] = self.rows.select(rows[places]).batch(np.arange(len(places)))[name]
        return texts.to(self.device)


@dataclass(frozen=True, kw_only=True)
class SimCSE(SentenceMethod[SimCSELearner], SelfSupervised[SimCSELearner]):
    """Learn to embed texts without labels: a text is its own partner, seen twice through other dropout.

    It is told from all other texts of the batch. Every distinct text of the inputs is one, in whichever column it
    stands. Start from a checkpoint: from scratch it learns little more than which words texts share.
    """

    batch_size: Annotated[int, Interval("[2, inf)")] = 64
    """Texts in a batch; each is read twice."""
    learning_rate: Annotated[float, Interval("(0, inf)")] = 3e-4
    """The highest learning rate of AdamW; the weights of a checkpoint learn at a tenth of it."""
    dropout: Annotated[float, Interval("[0, 1)")] = 0.1
    """Share of the activations that dropout hides while it is trained: all that tells the two views apart."""

    needs: ClassVar = (Input, Texts)
    suggests: ClassVar = ("simcse >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("an encoder of texts learns from all of them first", 49)}
    paper: ClassVar = "Gao et al., SimCSE: Simple contrastive learning of sentence embeddings, EMNLP 2021"

    @classmethod
    def example_data(cls) -> Data:
        from manyways.methods.metric_learning.sentence_pairs import SentencePairs

        return SentencePairs.example_data()

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16, size=0.5)

    def ablations(self, data: Data) -> Ablations:
        return {"what tells its views apart": (replace(self, dropout=0.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> SimCSELearner:
        learner = super().begin(data, model, seed)
        numbers = learner.identities()
        _, first = np.unique(numbers.reshape(-1), return_index=True)
        learner.texts = np.stack(np.divmod(np.sort(first), numbers.shape[1]), axis=1)
        learner.pool = np.arange(len(learner.texts))
        if len(learner.pool) < 2:
            raise DataError(
                f"All training rows of {data.name} hold the same text, so that there is nothing to tell apart. Name "
                'another input: input="…".'
            )
        if not any(isinstance(part, nn.Dropout) for part in learner.network.modules()):
            raise ParameterError(
                "SimCSE sees a text twice through dropout, and this network has none. Name another one: backbone=…."
            )
        return learner

    def draw(self, learner: SimCSELearner, step: int, rng: torch.Generator) -> Batch:
        numbers = learner.pick(learner.pool, self.examples_per_step(learner), step)
        return {"texts": learner.encoded(numbers).repeat(2, 1)}

    def embed(self, learner: SimCSELearner, texts: Tensor) -> Tensor:
        with dropping(learner.network, self.dropout):
            return learner.features(texts)

    def contrast(self, vectors: Tensor, batch: Batch) -> Tensor:
        first, second = vectors.chunk(2)
        return ranking_loss(first, second, self.temperature)

    def pretext(self, learner: SimCSELearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """The share of texts that are nearest to themselves, both seen through dropout of their own."""
        texts = inputs[TEXT]
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
            learner.network.train()
            views = [normalize(self.embed(learner, texts).float(), dim=1) for _ in range(2)]
            learner.network.eval()
        again = (views[0] @ views[1].T).argmax(1).cpu() == torch.arange(len(texts))
        return {"accuracy": float(again.float().mean()), "chance": 1 / len(texts)}

    def scores_of(self, learner: SimCSELearner) -> dict[str, float]:
        """The scores of `pretext` on some of the texts, evenly spread, and how far their features are spread."""
        count = len(learner.pool)
        places = np.unique(np.linspace(0, count - 1, min(LOOKED_AT, count)).astype(np.int64))
        inputs = {TEXT: learner.encoded(places)}
        modes = {part: part.training for part in learner.modules()}
        learner.eval()
        with torch.no_grad():
            scores = dict(self.pretext(learner, inputs, generator(learner.seed, 7)))
            features = learner.features(inputs[TEXT]).float().cpu()
        for module, mode in modes.items():
            module.training = mode
        return {**scores, "spread": spread(features), "effective_rank": effective_rank(features)}

    def examples_per_step(self, learner: SimCSELearner) -> int:
        # Twice in a batch, a text would be its own stranger.
        return min(self.rows_in_batch(learner), len(learner.pool))


@contextmanager
def dropping(network: nn.Module, share: float) -> Iterator[None]:
    """A context in which the dropout of `network` hides `share` of its activations."""
    parts = [part for part in network.modules() if isinstance(part, nn.Dropout)]
    shares = [part.p for part in parts]
    for part in parts:
        part.p = share
    try:
        yield
    finally:
        for part, before in zip(parts, shares, strict=True):
            part.p = before
