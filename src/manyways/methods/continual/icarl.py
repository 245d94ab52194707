"""iCaRL: the nearest mean of exemplars, on features that are distilled from task to task."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize, one_hot

from manyways.data.data import Data
from manyways.data.storage import RowNumbers, chunks_of
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.last_teacher import LastTeacher
from manyways.methods.bases.rehearsal import RehearsalLearner, RehearsalMethod, taking_turns
from manyways.methods.bases.tasks_in_order import NEVER
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations
from manyways.methods.needs import Classes, Input, Task
from manyways.models.heads import Head
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.models.task_predictor import TaskPredictor

ROWS_AT_ONCE = 256
CANDIDATE_STREAM = 3


class NearestMeanHead(Head):
    """Minus the squared distance of a row's features to the mean of each class, both of length 1.

    means: of each class [outputs, width], 0 for a class that was not seen yet, which is never predicted.
    """

    name = "nearest-mean"
    means: Tensor

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.config = {"width": width, "outputs": outputs}
        self.register_buffer("means", torch.zeros(outputs, width))

    def forward(self, features: Tensor) -> Tensor:
        distances = torch.cdist(normalize(features.float(), dim=1), self.means).square()
        return torch.where(self.means.any(1), -distances, NEVER)


def herding(features: Tensor, count: int) -> NDArray[np.int64]:
    """The places of `count` of the `features` [rows, width] whose running mean stays nearest to the mean of all.

    The k-th is the one that brings the mean of the first k nearest to it, so that the first k are a choice of k.
    """
    mean, total = features.mean(0), torch.zeros_like(features[0])
    left, chosen = torch.ones(len(features), dtype=torch.bool, device=features.device), []
    for k in range(1, min(count, len(features)) + 1):
        distances = (mean - (total + features) / k).square().sum(1)
        place = int(torch.where(left, distances, torch.inf).argmin())
        chosen.append(place)
        left[place] = False
        total = total + features[place]
    return np.array(chosen, np.int64)


class ICaRLLearner(RehearsalLearner):
    """A continual learner with exemplars, and the network as it was when the last task ended."""

    teacher: LastTeacher


@dataclass(frozen=True, kw_only=True)
class ICaRL(RehearsalMethod[ICaRLLearner]):
    """Predict the class whose exemplars' mean feature is nearest, and keep features by exemplars and distillation.

    Each class is one output with a sigmoid. In a new task those of its own classes learn the labels, and those of the
    classes before what the network said when the last task ended, of new rows and of the exemplars. Exemplars are the
    rows whose mean lies nearest to that of their class (herding), as many of each class as fit. Probabilities are those
    of minus the squared distances, and so never far from even.
    """

    memory_share: Annotated[float, Interval("(0, 1)")] | None = None
    """Share of a batch that is of the exemplars, once a task has ended. None: as many as they are among all rows."""
    candidates: Count = 500
    """Rows of a class at most whose mean is sought, and of which its exemplars are picked, when its task has ended."""
    distill: bool = True
    """True if the outputs of earlier classes learn what the network of the last task said; else they learn labels."""

    field_trials: ClassVar = {"memory": {"memory": 12}}
    needs: ClassVar = (Input, Classes, Task)
    gives: ClassVar = frozenset({"classify", "embed"})
    paper: ClassVar = "Rebuffi et al., iCaRL: Incremental classifier and representation learning, CVPR 2017"

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its distillation": (replace(self, distill=False), data)}

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        if self.memory < len(data.classes):
            return (
                f"it keeps an exemplar of each class at least, and there are {len(data.classes)} classes for "
                f"memory={self.memory}. Keep more: memory={20 * len(data.classes)}."
            )
        return None

    def begin(self, data: Data, model: Model | None, seed: int) -> ICaRLLearner:
        learner = super().begin(data, model, seed)
        learner.teacher = LastTeacher(learner.network)
        return learner

    def draw(self, learner: ICaRLLearner, step: int, rng: torch.Generator) -> Batch:
        return {**super().draw(learner, step, rng), "task": learner.task_at(step)}

    def choose(self, learner: ICaRLLearner, task: int, step: int) -> RowNumbers:
        """Rows of `task`, and those exemplars that are their share."""
        own, kept, since = learner.tasks.rows[task], learner.kept, learner.since(step)
        if self.memory_share is None or not len(kept):
            return learner.pick(np.concatenate([own, kept]), self.batch_size, since)
        size = self.rows_in_batch(learner)
        count = min(max(round(self.memory_share * size), 1), size - 1)
        new = learner.pick(own, size - count, since)
        return np.concatenate([new, learner.pick(kept, count, since, stream=1)]) if count else new

    def loss(self, learner: ICaRLLearner, batch: Batch) -> Loss:
        outputs, task = learner.network(batch["inputs"]).float(), batch["task"]
        own = learner.own.to(learner.device)
        wanted = one_hot(batch["labels"], outputs.shape[1]).float()
        if self.distill:
            before = own[:task].any(0) & ~own[task]
            wanted = torch.where(before, learner.teacher(batch["inputs"]).sigmoid(), wanted)
        losses = binary_cross_entropy_with_logits(outputs, wanted, reduction="none")
        of_rows = (losses * batch["allowed"]).sum(1)
        weights = batch.get("weights")
        return (of_rows if weights is None else weights * of_rows).mean(), {}

    def end_of_task(self, learner: ICaRLLearner, task: int) -> None:
        learner.teacher.take_from(learner.network)
        labels = learner.labels.numpy()
        classes = np.flatnonzero(learner.own[task].numpy())
        kept = learner.kept
        quota = self.memory // int(learner.own[: task + 1].any(0).sum()) + 1
        others = kept[~np.isin(labels[kept], classes)]
        chosen = [self._exemplars(learner, task, code, quota) for code in classes.tolist()]
        pool = np.concatenate([others, *chosen])
        learner.memory.copy_(torch.from_numpy(taking_turns(pool, labels[pool], self.memory)))

    def _exemplars(self, learner: ICaRLLearner, task: int, code: int, quota: int) -> RowNumbers:
        rows = self._candidates(learner, task, code)
        return rows[herding(features_of(learner, learner.network, rows), quota)]

    def _candidates(self, learner: ICaRLLearner, task: int, code: int) -> RowNumbers:
        """Rows of a class of `task`, those that are exemplars from an earlier task among them."""
        labels, kept, rows = learner.labels.numpy(), learner.kept, learner.tasks.rows[task]
        new = rows[labels[rows] == code]
        drawn = learner.pick(new, min(self.candidates, len(new)), 0, CANDIDATE_STREAM)
        return np.union1d(drawn, kept[labels[kept] == code])

    def besides(self, learner: ICaRLLearner) -> tuple[int, Callable[[], object]]:
        return len(learner.tasks), lambda: self.end_of_task(learner, 0)

    def make_model(self, learner: ICaRLLearner) -> Model:
        network, target = self.finish(learner), learner.target
        if self.scenario == "task":
            return TaskPredictor(network=network, inputs=learner.encoding, target=target, tasks=learner.tasks)
        return Predictor(network=network, inputs=learner.encoding, target=target)

    def finish(self, learner: ICaRLLearner) -> Network:
        """The network with the means of the exemplars; of a class of the task under way, of candidates for them."""
        network, head = copy.deepcopy(learner.network), NearestMeanHead(learner.network.width, learner.target.width)
        labels, kept, begun = learner.labels.numpy(), learner.kept, int(learner.begun)
        for code in np.flatnonzero(learner.own[:begun].any(0).numpy()).tolist():
            rows = kept[labels[kept] == code]
            if not len(rows):
                rows = self._candidates(learner, begun - 1, code)
            head.means[code] = normalize(features_of(learner, network, rows).mean(0), dim=0)
        network.put_head(head.to(learner.device))
        return network


@torch.no_grad()
def features_of(learner: ICaRLLearner, network: Network, rows: RowNumbers) -> Tensor:
    """The features of the training rows at `rows`, each of length 1, float32 [rows, width]."""
    training = network.training
    network.eval()
    parts = [network.features(learner.take(rows[at])).float() for at in chunks_of(len(rows), ROWS_AT_ONCE)]
    network.train(training)
    return normalize(torch.cat(parts), dim=1)
