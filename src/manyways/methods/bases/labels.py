"""Methods on several labels: one network that they share, and how their losses or gradients go together."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Targets
from manyways.methods.bases.gradient import Batch, Loss, learner_class
from manyways.methods.bases.rows import EncodedMethod
from manyways.methods.fields import Count
from manyways.methods.needs import Input, SeveralLabels
from manyways.metrics import metric_of
from manyways.models.heads import Head, JointHead, LinearHead
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.networks import Networks
from manyways.training.learner import EncodedLearner, row_weights
from manyways.training.loop import autocast

JOINT_WIDTH, JOINT_DROPOUT = 128, 0.1


class LabelsLearner(EncodedLearner):
    """A learner of encoded rows with several labels, float32 [rows, code widths], NaN where a row lacks one."""

    network: Networks

    def __init__(self, network: Networks, data: Data, encoding: InputEncoding, targets: Targets, seed: int) -> None:
        super().__init__(network, data, encoding, seed)
        self.targets = targets
        self.labels = torch.from_numpy(targets.encode(self.training_data))
        self.labelled = np.flatnonzero(self.training_data.labelled)
        self.weights = row_weights(self.training_data)

    @property
    def validation(self) -> Data | None:
        """The validation rows that have a label."""
        rows = self.data.validation
        shown = rows.select(rows.labelled)
        return shown if len(shown) else None

    def labels_at(self, positions: NDArray[np.int64]) -> Tensor:
        """The labels at `positions`."""
        return self.labels[torch.from_numpy(positions)].to(self.device)

    def labels_of(self, positions: NDArray[np.int64]) -> dict[str, Tensor]:
        """The labels at `positions`, and their sample weights where rows weigh differently."""
        labels = {"labels": self.labels_at(positions)}
        if self.weights is not None:
            labels["weights"] = self.weights[torch.from_numpy(positions)].to(self.device)
        return labels


LabelsT = TypeVar("LabelsT", bound=LabelsLearner)


@dataclass(frozen=True, kw_only=True)
class LabelsMethod(EncodedMethod[LabelsT], Generic[LabelsT]):
    """Learns several labels at once, classes and numbers, each of which may be missing on some rows.

    A method says how their losses go together (`together`), or, in `gradients`, how their gradients of the shared
    weights do: see `combined_gradients`.
    """

    joint: Count | None = None
    """Width of a layer on top of all features, which the heads share. None: 128 for several inputs, none for one."""
    augment: bool = True
    """True if batches are seen through weak views."""

    needs: ClassVar = (Input, SeveralLabels)
    uses: ClassVar = ("weight",)
    gives: ClassVar = frozenset({"labels", "embed"})
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True

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

    def begin(self, data: Data, model: Model | None, seed: int) -> LabelsT:
        targets = Targets.fit(data)
        network, encoding, _ = self.start_backbones(data, model)
        networks = Networks(self.networks(network, targets))
        learner: LabelsT = learner_class(type(self), LabelsLearner)(networks, data, encoding, targets, seed)
        return learner

    def networks(self, network: Network, targets: Targets) -> list[Network]:
        """The networks that make the outputs of the labels in their order, with heads: here `network` for all."""
        network.head = self.label_head(network, targets.width)
        return [network]

    def label_head(self, network: Network, outputs: int) -> Head:
        """A new head for `outputs` on the features of `network`."""
        width = self.joint or (JOINT_WIDTH if len(network.names) > 1 else None)
        if width is None:
            return LinearHead(network.width, outputs)
        return JointHead(network.width, width, outputs, JOINT_DROPOUT)

    def draw(self, learner: LabelsT, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        inputs = learner.take(rows)
        return {
            "inputs": learner.views.weak(inputs, rng) if self.augment else inputs,
            **learner.labels_of(rows),
        }

    def together(self, learner: LabelsT, losses: dict[str, Tensor]) -> Tensor:
        """The loss that is descended, of the `losses` of the labels that rows of the batch have: here their sum."""
        return torch.stack(list(losses.values())).sum()

    def loss(self, learner: LabelsT, batch: Batch) -> Loss:
        losses = self._losses(learner, learner.network(batch["inputs"]), batch)
        return self.together(learner, losses), {metric_of("loss", name): loss for name, loss in losses.items()}

    def _losses(self, learner: LabelsT, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The loss of each label that some row of the batch has."""
        losses = {}
        labels, weights = batch["labels"], batch.get("weights")
        blocks = torch.split(outputs, learner.targets.widths, dim=1)
        for target, own, truth in zip(learner.targets.members, blocks, learner.targets.split(labels), strict=True):
            known = target.known(truth)
            if known.any():
                losses[target.name] = target.loss(own[known], truth[known], None if weights is None else weights[known])
        return losses

    def combined_gradients(
        self, learner: LabelsT, batch: Batch, combine: Callable[[Tensor], Tensor]
    ) -> dict[str, Tensor]:
        """As `gradients`, with the labels' gradients of the shared weights combined.

        Args:
            learner: The learner.
            batch: The batch.
            combine: A function that makes one gradient [weights] of those of the labels [labels, weights]. It is asked
                about shared weights alone: a row of the last layer belongs to one label.
        """
        with autocast(self.precision, learner.device):
            loss, parts = self.loss(learner, batch)
        (network,) = learner.network.members
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
        combined = torch.split(combine(flat), [parameter.numel() for parameter in shared])
        for parameter, gradient in zip(shared, combined, strict=True):
            parameter.grad = gradient.view_as(parameter)
        for at, parameter in enumerate(everything):
            if id(parameter) in own:
                parameter.grad = torch.stack([gradient[at] for gradient in gradients]).sum(0)
        return {name: part.detach() for name, part in {"loss": loss, **parts}.items()}

    def make_model(self, learner: LabelsT) -> Model:
        return LabelsPredictor(network=learner.network, inputs=learner.encoding, targets=learner.targets)

    def rows_reached(self, learner: LabelsT, steps: int) -> NDArray[np.bool_]:
        return super().rows_reached(learner, steps) & learner.data.labelled
