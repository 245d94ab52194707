"""Multi-task learning: several labels of a row, by one network that they share."""

import copy
from collections.abc import Sequence
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
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.networks import Networks


def by_uncertainty(losses: Tensor, log_variances: Tensor, classes: Tensor) -> Tensor:
    """Losses [labels] weighted by what a model does not know of each label (Kendall, Gal & Cipolla 2018, section 3).

    log_variances: s = log σ² of each label, learned; classes: bool, which of them are cross-entropies. Σ L e^−s + s/2
    for classes, Σ L e^−s / 2 + s/2 for squared errors.
    """
    precisions = torch.where(classes, 1.0, 0.5) * (-log_variances).exp()
    return (precisions * losses + log_variances / 2).sum()


def without_conflicts(products: Tensor, orders: Sequence[Sequence[int]]) -> Tensor:
    """Weights [labels] of the labels' gradients whose sum is PCGrad's (Yu et al. 2020, algorithm 1).

    products: the inner products of the gradients [labels, labels]; orders: in which order each label's gradient looks
    at the others. Where two point against each other, the part of the one along the other is taken out.
    """
    kept = torch.eye(len(products), dtype=products.dtype, device=products.device)
    for own, others in enumerate(orders):
        for other in others:
            along = kept[own] @ products[:, other]
            if other != own and along < 0:
                kept[own, other] -= along / products[other, other]
    return kept.sum(0)


def conflict_free(gradients: Tensor) -> Tensor:
    """PCGrad's sum [weights] of the labels' gradients [labels, weights], which look at each other in random orders."""
    # From the global generator, which is a function of (seed, step) here.
    orders = [torch.randperm(len(gradients)).tolist() for _ in gradients]
    return without_conflicts((gradients @ gradients.T).cpu(), orders).to(gradients.device) @ gradients


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
