"""Multi-task learning: several labels of a row, by one network that they share."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Targets
from manyways.errors import ParameterError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import EncodedMethod
from manyways.methods.fields import Count
from manyways.methods.needs import Input, SeveralLabels
from manyways.metrics import metric_of
from manyways.models.heads import Head, JointHead, LinearHead
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.networks import Networks
from manyways.training.learner import EncodedLearner
from manyways.training.loop import autocast

JOINT_WIDTH, JOINT_DROPOUT = 128, 0.1


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


class LabelsLearner(EncodedLearner):
    """A learner of encoded rows with several labels, float32 [rows, code widths], NaN where a row lacks one."""

    network: Networks

    def __init__(self, network: Networks, data: Data, encoding: InputEncoding, targets: Targets, seed: int) -> None:
        super().__init__(network, data, encoding, seed)
        self.targets = targets
        self.labels = torch.from_numpy(targets.encode(self.training_data))
        self.labelled = np.flatnonzero(self.training_data.labelled)
        self.log_variances = nn.Parameter(torch.zeros(len(targets.each)))

    @property
    def validation(self) -> Data | None:
        """The validation rows that have a label."""
        rows = self.data.validation
        shown = rows.select(rows.labelled)
        return shown if len(shown) else None

    def labels_at(self, positions: NDArray[np.int64]) -> Tensor:
        """The labels at `positions`."""
        return self.labels[torch.from_numpy(positions)].to(self.device)


@dataclass(frozen=True, kw_only=True)
class MultiTask(EncodedMethod[LabelsLearner]):
    """Learn several labels at once: classes and numbers, each of which may be missing on some rows.

    One network is shared, and ends in a head for each label (hard sharing, Caruana 1997); or each label has a network
    of its own, so that a step costs as many times more. `model.predict(rows)["colour"]` is one label of all rows,
    `model.only("colour")` the model of that label alone.
    """

    shared: bool = True
    """Whether the labels share a network; otherwise each has one of its own."""
    weighting: Literal["equal", "uncertainty", "pcgrad"] = "equal"
    """How the losses go together: as they are; by learned uncertainties (Kendall et al.); or with gradients of the
    shared weights that do not conflict (PCGrad)."""
    joint: Count | None = None
    """Width of a layer on top of all features, which the heads share. None: 128 for several inputs, none for one."""
    augment: bool = True
    """Whether batches are seen through weak views."""

    needs: ClassVar = (Input, SeveralLabels)
    gives: ClassVar = frozenset({"labels", "embed"})
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
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

    @classmethod
    def example_data(cls) -> Data:
        """Digits with three labels: the digit, whether it is even, on some rows, and its ink, a number, on others."""
        data = super().example_data()
        everything = np.arange(len(data.part))
        digits = data.label.take(everything)
        even = np.array(["even" if digit % 2 == 0 else "odd" for digit in digits], object)
        even[everything % 3 == 0] = None
        ink = data.columns["image"].take(everything).mean((1, 2, 3))
        ink[everything % 4 == 0] = np.nan
        columns = {"even": Column("even", "category", even), "ink": Column("ink", "number", ink)}
        roles = {**data.roles, "label": ("label", "even", "ink")}
        return replace(data, columns={**data.columns, **columns}, roles=roles)

    def begin(self, data: Data, model: Model | None, seed: int) -> LabelsLearner:
        targets = Targets.fit(data)
        network, encoding, _ = self.start_backbones(data, model)
        if self.shared:
            network.head = self._head(network, targets.width)
            networks = [network]
        else:
            networks = [copy.deepcopy(network) for _ in targets.each]
            for each, width in zip(networks, targets.widths, strict=True):
                each.head = self._head(each, width)
        learner = LabelsLearner(Networks(networks), data, encoding, targets, seed)
        learner.log_variances.requires_grad_(self.weighting == "uncertainty")
        return learner

    def _head(self, network: Network, outputs: int) -> Head:
        width = self.joint or (JOINT_WIDTH if len(network.names) > 1 else None)
        if width is None:
            return LinearHead(network.width, outputs)
        return JointHead(network.width, width, outputs, JOINT_DROPOUT)

    def draw(self, learner: LabelsLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        inputs = learner.take(rows)
        return {
            "inputs": learner.views.weak(inputs, rng) if self.augment else inputs,
            "labels": learner.labels_at(rows),
        }

    def loss(self, learner: LabelsLearner, batch: Batch) -> Loss:
        losses = self._losses(learner, learner.network(batch["inputs"]), batch["labels"])
        parts = {metric_of("loss", name): loss for name, loss in losses.items()}
        together = torch.stack(list(losses.values()))
        if self.weighting != "uncertainty":
            return together.sum(), parts
        asked = [at for at, name in enumerate(learner.targets.names) if name in losses]
        classes = torch.tensor([learner.targets.each[at].probabilistic for at in asked], device=together.device)
        return by_uncertainty(together, learner.log_variances[asked], classes), parts

    def _losses(self, learner: LabelsLearner, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss of each label that some row of the batch has."""
        losses = {}
        blocks = torch.split(outputs, learner.targets.widths, dim=1)
        for target, own, truth in zip(learner.targets.each, blocks, learner.targets.split(labels), strict=True):
            known = target.known(truth)
            if known.any():
                losses[target.name] = target.loss(own[known], truth[known])
        return losses

    def gradients(self, learner: LabelsLearner, batch: Batch) -> dict[str, Tensor]:
        if self.weighting != "pcgrad":
            values = super().gradients(learner, batch)
            for network in [] if self.shared else learner.network.each:  # as if each were trained alone
                super().clip_gradients(list(network.parameters()))
            return values
        with autocast(self.precision, learner.device):
            loss, parts = self.loss(learner, batch)
        (network,) = learner.network.each
        assert network.head is not None
        own = {id(parameter) for parameter in network.head.last.parameters()} if network.head.last else set()
        everything = [parameter for parameter in network.parameters() if parameter.requires_grad]
        shared = [parameter for parameter in everything if id(parameter) not in own]
        gradients = [
            torch.autograd.grad(part, everything, retain_graph=True, materialize_grads=True) for part in parts.values()
        ]
        flat = torch.stack([
            torch.cat([each.flatten() for each, parameter in zip(gradient, everything, strict=True)
                       if id(parameter) not in own])
            for gradient in gradients
        ])  # fmt: skip
        # From the global generator, which is a function of (seed, step) here.
        orders = [torch.randperm(len(flat)).tolist() for _ in gradients]
        combined = without_conflicts((flat @ flat.T).cpu(), orders).to(flat.device) @ flat
        for parameter, gradient in zip(shared, torch.split(combined, [each.numel() for each in shared]), strict=True):
            parameter.grad = gradient.view_as(parameter)
        for at, parameter in enumerate(everything):
            if id(parameter) in own:  # a row of the last layer belongs to one label: there is nothing to conflict
                parameter.grad = torch.stack([gradient[at] for gradient in gradients]).sum(0)
        return {name: part.detach() for name, part in {"loss": loss, **parts}.items()}

    def clip_gradients(self, parameters: list[nn.Parameter]) -> None:
        if self.shared:
            super().clip_gradients(parameters)

    def make_model(self, learner: LabelsLearner) -> Model:
        return LabelsPredictor(network=learner.network, inputs=learner.encoding, targets=learner.targets)

    def rows_reached(self, learner: LabelsLearner, steps: int) -> NDArray[np.bool_]:
        return super().rows_reached(learner, steps) & learner.data.labelled
