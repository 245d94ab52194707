"""MoCo: a query finds its key among those that a slowly moving encoder made before."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.two_views import TwoViews
from manyways.methods.fields import Count, Interval, Positive
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation
from manyways.models.backbones._layers import BatchNorm
from manyways.models.model import Model
from manyways.models.network import Inputs, Network
from manyways.randomness import generator
from manyways.training.average import MomentumEncoder
from manyways.training.learner import RowLearner

BATCHES_IN_QUEUE = 16


class Encoder(nn.Module):
    """A network, and the projector whose outputs are compared."""

    def __init__(self, network: Network, projector: nn.Sequential) -> None:
        super().__init__()
        self.network = network
        self.projector = projector

    def forward(self, inputs: Inputs) -> Tensor:
        projected: Tensor = self.projector(self.network.features(inputs))
        return projected


class MoCoLearner(RowLearner):
    """A learner of encoded rows, with what makes and keeps keys.

    Attributes:
        projector: The layers whose outputs are compared.
        predictor: Further layers of queries; of v2 none.
        key_encoder: The network and the projector that trail those of queries.
        queue: Keys of batches before, float32 [queue, width], of length 1.
        queue_rows: The position of the training row of each, int64 [queue].
        oldest: The place in the queue of the key that is replaced next.
    """

    projector: nn.Sequential
    predictor: nn.Module
    key_encoder: MomentumEncoder[Encoder]
    queue: Tensor
    queue_rows: Tensor
    oldest: Tensor
    newest: tuple[Tensor, Tensor] | None = None

    def encoder(self) -> Encoder:
        """The encoder of queries, without the predictor."""
        return Encoder(self.network, self.projector)


def queue_loss(query: Tensor, key: Tensor, queue: Tensor, same: Tensor, temperature: float) -> Tensor:
    """InfoNCE (He et al. 2020, equation 1): each query must pick out its key among it and those of the queue.

    Args:
        query: Queries [rows, width].
        key: Their keys [rows, width].
        queue: Other keys [queue, width], of length 1.
        same: Bool [rows, queue], True where a key of the queue is of the query's own row; it is left out.
        temperature: Divides the cosine similarities, > 0.
    """
    query, key = normalize(query.float(), dim=1), normalize(key.float(), dim=1)
    others = (query @ queue.T).masked_fill(same, float("-inf"))
    logits = torch.cat([(query * key).sum(1, keepdim=True), others], dim=1) / temperature
    return cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def batch_loss(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """InfoNCE among the keys of one batch, times 2 · temperature (Chen et al. 2021, algorithm 1)."""
    logits = normalize(query.float(), dim=1) @ normalize(key.float(), dim=1).T / temperature
    return 2 * temperature * cross_entropy(logits, torch.arange(len(logits), device=logits.device))


@dataclass(frozen=True, kw_only=True)
class MoCo(TwoViews[MoCoLearner]):
    """Momentum contrast: find the key of the same row, which a slowly moving encoder made, among those of others."""

    version: Literal["v2", "v3"] = "v2"
    """v2: other keys are those of batches before, in a queue. v3 (Chen et al. 2021): those of the same batch, without a
    queue; both views are query and key in turn, and a predictor stands behind the queries."""
    batch_size: Annotated[int, Interval("[2, inf)")] = 64
    """Rows in a batch; each is seen in two views. Papers take 256 and more; in minutes on a CPU steps count more."""
    temperature: Positive = 0.2
    """Divides the cosine similarities."""
    momentum: Annotated[float, Interval("[0, 1)")] = 0.99
    """Decay of the key encoder at first; it rises to 1 along half a cosine."""
    queue: Count | None = None
    """Keys in the queue. None: 16 batches, but no more than half of the rows, so that it holds no row twice."""
    projection: Count = 64
    """Width of the projection that is compared; it is dropped afterwards."""

    suggests: ClassVar = ("moco >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("features are learned first, beside a queue of other rows", 81)}
    paper: ClassVar = "He et al., Momentum contrast for unsupervised visual representation learning, CVPR 2020"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=32)

    def ablations(self, data: Data) -> Ablations:
        return {"differences of similarity": (replace(self, temperature=1e6), data)}

    def lacks_of(self, data: Data) -> str | None:
        reason = super().lacks_of(data)
        rows = len(data.training)
        if reason is None and self.queue is not None and self.queue > rows:
            return (
                f"its queue of {self.queue:,} keys is longer than the data, which have {rows:,} training rows, so that "
                "it would hold rows twice. Leave it out, queue=None: half of the rows at most."
            )
        return reason

    def begin(self, data: Data, model: Model | None, seed: int) -> MoCoLearner:
        learner = super().begin(data, model, seed)
        width, out = learner.network.width, self.projection
        if self.version == "v2":
            learner.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))
            learner.predictor = nn.Identity()
        else:
            learner.projector = perceptron(width, width, out)
            learner.predictor = perceptron(out, width, out)
        learner.key_encoder = MomentumEncoder(learner.encoder(), self.momentum)
        length = self.keys_in_queue(learner) if self.version == "v2" else 0
        learner.register_buffer("queue", torch.zeros(length, out))
        learner.register_buffer("queue_rows", torch.full((length,), -1))
        learner.register_buffer("oldest", torch.zeros((), dtype=torch.long))
        return learner

    @torch.no_grad()
    def prepare(self, learner: MoCoLearner) -> None:
        """Fill the queue with keys of rows, so that there are others to tell from in the first step.

        From random vectors all rows are told alike: then all keys become one, and there is no way back.
        """
        if not len(learner.queue):
            return
        rows = learner.pick(learner.everything, len(learner.queue), 0, stream=1)
        for step, start in enumerate(range(0, len(rows), self.batch_size)):
            some = slice(start, start + self.batch_size)
            views = learner.views.contrastive(learner.take(rows[some]), generator(learner.seed, step, 1))
            learner.queue[some] = normalize(learner.key_encoder.network(views).float(), dim=1)
        learner.queue_rows.copy_(torch.from_numpy(rows))

    def besides(self, learner: MoCoLearner) -> tuple[int, Callable[[], object]] | None:
        return (1, partial(self.prepare, learner)) if len(learner.queue) else None

    def keys_in_queue(self, learner: MoCoLearner) -> int:
        """The length of the queue."""
        return self.queue or max(1, min(BATCHES_IN_QUEUE * self.batch_size, len(learner.rows) // 2))

    def loss(self, learner: MoCoLearner, batch: Batch) -> Loss:
        both = batch["inputs"]
        if self.version == "v2":
            first, second = halves(both)
            query = self.compared(learner, first)
            with torch.no_grad():
                key = normalize(learner.key_encoder.network(second).float(), dim=1)
            same = batch["rows"][:, None] == learner.queue_rows
            learner.newest = (key, batch["rows"])
            return queue_loss(query, key, learner.queue, same, self.temperature), {}
        first, second = learner.predictor(self.compared(learner, both)).chunk(2)
        with torch.no_grad():
            key_of_first, key_of_second = learner.key_encoder.network(both).chunk(2)
        loss = batch_loss(first, key_of_second, self.temperature) + batch_loss(second, key_of_first, self.temperature)
        return loss, {}

    def compared(self, learner: MoCoLearner, inputs: Inputs) -> Tensor:
        """The projections of queries."""
        projections: Tensor = learner.encoder()(inputs)
        return projections

    @torch.no_grad()
    def after(self, learner: MoCoLearner, step: int) -> None:
        learner.key_encoder.follow(learner.encoder(), step, learner.steps)
        if learner.newest is None:
            return
        (keys, rows), learner.newest, length = learner.newest, None, len(learner.queue)
        keys, rows = keys[-length:], rows[-length:]
        places = (learner.oldest + torch.arange(len(keys), device=keys.device)) % length
        learner.queue[places], learner.queue_rows[places] = keys, rows
        learner.oldest.copy_((learner.oldest + len(keys)) % length)


def halves(inputs: Inputs) -> tuple[Inputs, Inputs]:
    """The first and the second views of a batch."""
    first = {name: x[: len(x) // 2] for name, x in inputs.items()}
    return first, {name: x[len(x) // 2 :] for name, x in inputs.items()}


def perceptron(width: int, hidden: int, out: int) -> nn.Sequential:
    """Two layers with batch normalisation, as MoCo v3's projector and predictor have."""
    return nn.Sequential(nn.Linear(width, hidden), BatchNorm(hidden), nn.ReLU(), nn.Linear(hidden, out), BatchNorm(out))
