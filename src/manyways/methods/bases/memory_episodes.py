"""Sequences with labels that come one step late: an external memory binds a class to its name on the way."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases.episodes import EpisodeLearner, EpisodeMethod
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations
from manyways.models.few_shot.adapting import accuracy
from manyways.models.few_shot.episodes import batch_of
from manyways.models.few_shot.memory_head import Addressing, MemoryHead
from manyways.models.few_shot.remembering import Remembering, head_of
from manyways.models.memory_model import MemoryModel
from manyways.models.model import Model


@dataclass(frozen=True, kw_only=True)
class MemoryEpisodeMethod(EpisodeMethod[EpisodeLearner]):
    """Reads the rows of an episode as one sequence, and says the class of each before its label comes, with the next.

    Classes have names at random in every episode, so that the weights cannot know them: the first row of a class is
    answered by chance, and the others by what was written into an external memory. All `shots` and `queries` of an
    episode are in the sequence.
    """

    batch_size: Count = 16
    """Episodes in a batch."""
    hidden: Count = 200
    """Units of the controller, an LSTM."""
    slots: Annotated[int, Interval("[0, 65536]")] = 128
    """Slots of the memory; 0: none, the controller alone."""
    slot_width: Count = 40
    """Numbers in a slot."""
    reads: Annotated[int, Interval("[1, 64]")] = 4
    """Read heads."""

    addressing: ClassVar[Addressing]
    most_queries: ClassVar[int] = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.slots < self.reads:
            raise ParameterError(
                f"{self.method_name()}.slots must be as many as the read heads, {self.reads}, or 0 for no memory; got "
                f"{self.slots}."
            )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        ways = len(data.classes) if data.classification else None
        return cls(ways=ways, batch_size=2, hidden=16, slots=12, slot_width=8, reads=2)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its memory": (replace(self, slots=0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> EpisodeLearner:
        learner = super().begin(data, model, seed)
        width, ways = learner.network.width, learner.ways
        head = MemoryHead(width, ways, ways, self.hidden, self.slots, self.slot_width, self.reads, self.addressing)
        if isinstance(model, MemoryModel) and head_of(model.network).config == head.config:
            head.load_state_dict(head_of(model.network).state_dict())
        learner.network.put_head(head)
        return learner

    def draw(self, learner: EpisodeLearner, step: int, rng: torch.Generator) -> Batch:
        rows = self.shots + learner.queries
        drawn = learner.episodes.draw(self.batch_size, learner.ways, rows, rng)
        episodes = batch_of(learner.rows, drawn, learner.device)
        order = torch.rand(self.batch_size, learner.ways * rows, generator=rng).argsort(1).to(learner.device)
        which = torch.arange(self.batch_size, device=learner.device)[:, None]
        inputs = {name: tensor[which, order] for name, tensor in episodes["inputs"].items()}
        return {"inputs": inputs, "labels": episodes["labels"][which, order]}

    def loss(self, learner: EpisodeLearner, batch: Batch) -> Loss:
        labels = batch["labels"]
        rows = {name: tensor.flatten(0, 1) for name, tensor in batch["inputs"].items()}
        features = learner.network.features(rows).float().view(*labels.shape, -1)
        logits, _ = head_of(learner.network).follow(features, labels)
        return cross_entropy(logits.flatten(0, 1), labels.flatten()), {"accuracy": accuracy(logits, labels)}

    def make_model(self, learner: EpisodeLearner) -> Model:
        return MemoryModel(
            network=learner.network,
            inputs=learner.encoding,
            adaptation=Remembering(),
            ways=learner.ways,
            shots=self.shots,
            length=self.shots + learner.queries,
        )
