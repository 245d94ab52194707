"""Dark experience replay: kept rows are learned again by the logits that the network had for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rehearsal import RehearsalLearner, RehearsalMethod, reservoir
from manyways.methods.bases.tasks_in_order import among
from manyways.methods.fields import Interval, NotNegative, Positive
from manyways.methods.method import Ablations
from manyways.methods.needs import Classes, Input, Task
from manyways.models.model import Model


class DERLearner(RehearsalLearner):
    """A continual learner with a memory of rows, and the logits that it had for them when they came by.

    logits: those of the row at each place, [places, classes]. seen: how many rows have come by.
    """

    logits: Tensor
    seen: Tensor


@dataclass(frozen=True, kw_only=True)
class DER(RehearsalMethod[DERLearner]):
    """Keep rows that come by, and hold the network to the logits that it had for them then (DER++).

    A third of a batch is new. α ‖z − z_kept‖² over a second third, drawn from the memory, keeps what the network took
    each of them for, the wrong classes included; β times the cross-entropy of the last third keeps their labels. The
    memory is a reservoir: every row that came by is in it with the same probability, those of the task under way, too.
    """

    learning_rate: Positive = 5e-4
    """Learning rate of AdamW, constant after the warm-up; lower than where nothing is held, as kept logits age."""
    logit_weight: NotNegative = 1.0
    """Weight of the mean squared distance between the logits of kept rows and those that were kept (α)."""
    label_weight: NotNegative = 1.0
    """Weight of the cross-entropy of kept rows (β); 0: by logits alone (DER)."""
    memory_share: Annotated[float, Interval("(0, 1)")] = 2 / 3
    """Share of a batch that is of the memory: half of it for the logits, and half for the labels."""

    needs: ClassVar = (Input, Classes, Task)
    gives: ClassVar = frozenset({"classify", "embed"})
    paper: ClassVar = "Buzzega et al., Dark experience for general continual learning, NeurIPS 2020"

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its logits": (replace(self, logit_weight=0.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> DERLearner:
        learner = super().begin(data, model, seed)
        learner.register_buffer("logits", torch.zeros(self.memory, learner.target.width))
        learner.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        return learner

    def draw(self, learner: DERLearner, step: int, rng: torch.Generator) -> Batch:
        """Rows of the task, rows of the memory whose logits are compared, and others whose labels are."""
        task, kept, count = learner.task_at(step), learner.kept, self.replayed(learner)
        of_logits, of_labels = (learner.pick(kept, count, step, stream) if count else kept for stream in (1, 2))
        rows = np.concatenate([self.choose(learner, task, step), of_logits, of_labels])
        order = np.argsort(kept)
        places = torch.from_numpy(order[np.searchsorted(kept, of_logits, sorter=order)])
        return {
            **learner.see("weak" if self.augment else None, rows, rng),
            "allowed": self.allowed(learner, rows, task).to(learner.device),
            "kept_logits": learner.logits[places.to(learner.device)],
            "replayed": count,
        }

    def replayed(self, learner: DERLearner) -> int:
        """The rows of a batch that are drawn from the memory for their logits, as many as for their labels."""
        size = self.rows_in_batch(learner)
        count = min(max(round(self.memory_share * size / 2), 1), (size - 1) // 2)
        return count if len(learner.kept) else 0

    def choose(self, learner: DERLearner, task: int, step: int) -> RowNumbers:
        """The rows of `task` that are new in `step`."""
        size = self.rows_in_batch(learner) - 2 * self.replayed(learner)
        return learner.pick(learner.tasks.rows[task], size, learner.since(step))

    def allowed(self, learner: DERLearner, rows: RowNumbers, task: int) -> Tensor:
        """Among all classes, those to come included, as the authors do; or among those of each row's task.

        Logits that are pushed down for classes to come are kept with a row, and hold them off it later.
        """
        if self.scenario == "task":
            return super().allowed(learner, rows, task)
        return torch.ones(len(rows), learner.target.width, dtype=torch.bool)

    def loss(self, learner: DERLearner, batch: Batch) -> Loss:
        outputs, count = learner.network(batch["inputs"]).float(), int(batch["replayed"])
        new = len(outputs) - 2 * count
        labels = self._of_labels(learner, outputs, batch, slice(0, new))
        if not count:
            return labels, {}
        logits = mse_loss(outputs[new : new + count], batch["kept_logits"])
        again = self._of_labels(learner, outputs, batch, slice(new + count, None))
        loss = labels + self.logit_weight * logits + self.label_weight * again
        return loss, {"labels": labels, "kept_logits": logits, "kept_labels": again}

    def _of_labels(self, learner: DERLearner, outputs: Tensor, batch: Mapping[str, Any], rows: slice) -> Tensor:
        given = {name: batch[name][rows] for name in ("labels", "weights") if name in batch}
        return learner.label_loss(among(outputs[rows], batch["allowed"][rows]), given)

    def after(self, learner: DERLearner, step: int) -> None:
        super().after(learner, step)
        self.keep(learner, self.choose(learner, learner.task_at(step), step), step)

    def keep(self, learner: DERLearner, rows: RowNumbers, step: int) -> None:
        """Let `rows`, which were new in `step`, come by the memory, with the logits that they have now."""
        before = learner.memory.cpu().numpy()
        rows = np.setdiff1d(rows, before)
        after = reservoir(before, int(learner.seen), rows, learner.keeping_rng(step))
        learner.seen += len(rows)
        places = torch.from_numpy(np.flatnonzero(after != before))
        if len(places):
            learner.memory.copy_(torch.from_numpy(after))
            learner.logits[places.to(learner.device)] = logits_of(learner, after[places.numpy()])


@torch.no_grad()
def logits_of(learner: DERLearner, rows: RowNumbers) -> Tensor:
    """The logits of the network in evaluation for the training rows at `rows`, float32 [rows, classes]."""
    network = learner.network.eval()
    logits: Tensor = network(learner.take(rows)).float()
    network.train()
    return logits
