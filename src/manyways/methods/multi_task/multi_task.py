"""Multi-task learning: several labels of a row, by one network that they share."""

import copy
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Targets
from manyways.errors import ParameterError
from manyways.methods.bases.gradient import Batch
from manyways.methods.bases.labels import LabelsLearner, LabelsMethod
from manyways.methods.multi_task._combinations import by_uncertainty, conflict_free
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.networks import Networks


class MultiTaskLearner(LabelsLearner):
    """A learner of several labels with log σ² of each, which is learned where losses are weighted by uncertainty."""

    def __init__(self, network: Networks, data: Data, encoding: InputEncoding, targets: Targets, seed: int) -> None:
        super().__init__(network, data, encoding, targets, seed)
        self.log_variances = nn.Parameter(torch.zeros(len(targets.members)))


@dataclass(frozen=True, kw_only=True)
class MultiTask(LabelsMethod[MultiTaskLearner]):
    """Learn several labels at once: classes and numbers, each of which may be missing on some rows.

    One network is shared, and ends in a head for each label (hard sharing, Caruana 1997); or each label has a network
    of its own, so that a step costs as many times more. `model.predict(rows)["colour"]` is one label of all rows,
    `model.only("colour")` the model of that label alone.
    """

    shared: bool = True
    """True if the labels share a network; otherwise each has one of its own."""
    weighting: Literal["equal", "uncertainty", "pcgrad"] = "equal"
    """The way in which losses go together: as they are; by learned uncertainties (Kendall et al.); or with gradients of
    the shared weights that do not conflict (PCGrad)."""

    suggests: ClassVar = (
        "multi-task", "multi-task(weighting='uncertainty')", "multi-task(weighting='pcgrad')",
        "multi-task(shared=False)",
    )  # fmt: skip
    paper: ClassVar = (
        "Caruana, Multitask learning (1997); Kendall, Gal & Cipolla, CVPR 2018; Yu et al., Gradient surgery for "
        "multi-task learning, NeurIPS 2020"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.shared and self.weighting != "equal":
            raise ParameterError(
                f"MultiTask.weighting balances labels that share a network; with shared=False leave it out; got "
                f"{self.weighting!r}."
            )

    def begin(self, data: Data, model: Model | None, seed: int) -> MultiTaskLearner:
        learner = super().begin(data, model, seed)
        learner.log_variances.requires_grad_(self.weighting == "uncertainty")
        return learner

    def networks(self, network: Network, targets: Targets) -> list[Network]:
        if self.shared:
            return super().networks(network, targets)
        networks = [copy.deepcopy(network) for _ in targets.members]
        for each, width in zip(networks, targets.widths, strict=True):
            each.head = self.label_head(each, width)
        return networks

    def together(self, learner: MultiTaskLearner, losses: dict[str, Tensor]) -> Tensor:
        if self.weighting != "uncertainty":
            return super().together(learner, losses)
        stacked = torch.stack(list(losses.values()))
        asked = [at for at, name in enumerate(learner.targets.names) if name in losses]
        classes = torch.tensor([learner.targets.members[at].probabilistic for at in asked], device=stacked.device)
        return by_uncertainty(stacked, learner.log_variances[asked], classes)

    def gradients(self, learner: MultiTaskLearner, batch: Batch) -> dict[str, Tensor]:
        if self.weighting == "pcgrad":
            return self.combined_gradients(learner, batch, conflict_free)
        values = super().gradients(learner, batch)
        for network in [] if self.shared else learner.network.members:  # as if each were trained alone
            super().clip_gradients(list(network.parameters()))
        return values

    def clip_gradients(self, parameters: list[nn.Parameter]) -> None:
        if self.shared:
            super().clip_gradients(parameters)
