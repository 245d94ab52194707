"""Methods on several labels: one network that they share, and how their losses or gradients go together."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.storage import RowNumbers
from manyways.data.targets import StructuredTarget, Target, Targets
from manyways.methods.bases.gradient import Batch, Loss, learner_class
from manyways.methods.bases.rows import EncodedMethod
from manyways.methods.fields import Count, Interval
from manyways.methods.needs import Input, SeveralLabels
from manyways.metrics import metric_of
from manyways.models.heads import HEADS, Head, JointHead, LinearHead, StructuredHead
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.networks import Networks, Way
from manyways.training.average import AverageNetwork
from manyways.training.learner import EncodedLearner, row_weights, summed
from manyways.training.loop import autocast
from manyways.training.samplers import ByLength

JOINT_WIDTH, JOINT_DROPOUT = 128, 0.1
WEAK = "weak"


class LabelsLearner(EncodedLearner):
    """A learner of encoded rows with several labels, each as its target encodes it, unlabelled where a row lacks it."""

    network: Networks

    def __init__(self, network: Networks, data: Data, encoding: InputEncoding, targets: Targets, seed: int) -> None:
        super().__init__(network, data, encoding, seed)
        self.targets = targets
        self.labels = {name: torch.from_numpy(codes) for name, codes in targets.encode(self.training_data).items()}
        self.labelled = np.flatnonzero(self.training_data.labelled)
        self.weights = row_weights(self.training_data)
        self.average: AverageNetwork[Networks] | None = None

    @property
    def validation(self) -> Data | None:
        """The validation rows that have a label."""
        rows = self.data.validation
        shown = rows.select(rows.labelled)
        return shown if len(shown) else None

    @property
    def batch_size(self) -> int:
        return min(target.recipe.batch_size for target in self.targets.members)

    def lengths(self) -> list[NDArray[np.int64]]:
        of_labels = (target.lengths(self.labels[target.name].numpy()) for target in self.targets.members)
        return [*super().lengths(), *summed(of_labels)]

    def labels_at(self, positions: RowNumbers) -> dict[str, Tensor]:
        """The labels at `positions` by name."""
        rows = torch.from_numpy(positions)
        return {name: codes.index_select(0, rows).to(self.device) for name, codes in self.labels.items()}

    def see(self, view: str | None, positions: RowNumbers, rng: torch.Generator) -> Batch:
        """The batch of the rows at `positions`: inputs, seen through `view` unless it is None, labels, weights."""
        inputs, labels = self.take(positions), self.labels_at(positions)
        batch: Batch = {"known": {target.name: target.known(labels[target.name]) for target in self.targets.members}}
        if view is not None:
            inputs, labels = self.targets.seen(self.views, view, inputs, labels, rng)
        if self.weights is not None:
            batch["weights"] = self.weights[torch.from_numpy(positions)].to(self.device)
        return {"inputs": inputs, "labels": labels, **batch}


LabelsT = TypeVar("LabelsT", bound=LabelsLearner)


@dataclass(frozen=True, kw_only=True)
class LabelsMethod(EncodedMethod[LabelsT], Generic[LabelsT]):
    """Learns several labels of any kinds at once, each of which may be missing on some rows.

    A method says how their losses go together (`together`), or, in `gradients`, how their gradients of the shared
    weights do: see `combined_gradients`. A label's loss is the mean over the rows of the batch that have it.
    """

    joint: Count | None = None
    """Width of a layer on top of all features, which the heads of classes and numbers share. None: 128 for several
    inputs, none for one."""
    augment: bool = True
    """True if batches are seen through weak views; labels in space move with them."""
    average: Annotated[float, Interval("[0, 1)")] | None = None
    """Decay of the exponential moving average of the weights, which the model keeps; 0: the last weights. None: the
    longest that suits any of the labels."""

    needs: ClassVar = (Input, SeveralLabels)
    uses: ClassVar = ("weight",)
    gives: ClassVar = frozenset({"labels", "embed"})
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    field_trials: ClassVar = {"average": {"average": 0.9}}

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
        network, encoding = self.start_shared(data, model, targets)
        networks = self.networks(network, targets)
        learner: LabelsT = learner_class(type(self), LabelsLearner)(networks, data, encoding, targets, seed)
        recipe = targets.recipe(self.backbone)
        if recipe.sampler == ByLength.name:
            learner.sampler = ByLength()
            learner.sampler.look(learner)
        decay = recipe.average if self.average is None else self.average
        learner.average = AverageNetwork(networks, decay) if decay else None
        return learner

    def start_shared(self, data: Data, model: Model | None, targets: Targets) -> tuple[Network, InputEncoding]:
        """A copy of `model`'s network, or a new one, without a head, and the encoding of its inputs for all labels."""
        network, encoding, _ = self.start_backbones(data, model, targets)
        network.head = None
        return network, encoding

    def networks(self, network: Network, targets: Targets) -> Networks:
        """The networks that make the outputs of the labels, with heads: here `network` for all."""
        return self.sharing_one(network, targets)

    def sharing_one(self, network: Network, targets: Targets) -> Networks:
        """`network` with the heads of all labels: one for those of one vector a row, one for each other."""
        if targets.vectors:
            network.put_head(self.label_head(network, targets.width))
        ways: list[Way] = []
        heads: list[Head] = []
        start = 0
        for target in targets.members:
            if isinstance(target, StructuredTarget):
                ways.append(Way(target.name, 0, len(heads)))
                heads.append(self.structured_head(network, target))
            else:
                ways.append(Way(target.name, 0, None, start, start + target.width))
                start += target.width
        return Networks([network], ways, heads)

    def head_for(self, network: Network, target: Target) -> Head:
        """A new head for one label alone."""
        if isinstance(target, StructuredTarget):
            return self.structured_head(network, target)
        return self.label_head(network, target.width)

    def structured_head(self, network: Network, target: StructuredTarget) -> Head:
        """A new head for a label with a structure, on the tokens of `network`."""
        kind = HEADS.find(target.head)
        if issubclass(kind, StructuredHead):
            return kind.made_for(network, target)
        make: Callable[[int, int], Head] = kind
        return make(network.width_for(kind), target.width)

    def label_head(self, network: Network, outputs: int) -> Head:
        """A new head for `outputs` on the features of `network`."""
        width = self.joint or (JOINT_WIDTH if len(network.names) > 1 else None)
        if width is None:
            return LinearHead(network.width, outputs)
        return JointHead(network.width, width, outputs, JOINT_DROPOUT)

    def draw(self, learner: LabelsT, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        return learner.see(WEAK if self.augment else None, rows, rng)

    def together(self, learner: LabelsT, losses: dict[str, Tensor]) -> Tensor:
        """The loss that is descended, of the `losses` of the labels that rows of the batch have: here their sum."""
        return torch.stack(list(losses.values())).sum()

    def loss(self, learner: LabelsT, batch: Batch) -> Loss:
        losses = self.label_losses(learner, batch)
        return self.together(learner, losses), {metric_of("loss", name): loss for name, loss in losses.items()}

    def label_losses(self, learner: LabelsT, batch: Batch) -> dict[str, Tensor]:
        """The loss of each label that some row of the batch has, over those rows alone."""
        known = {name: rows for name, rows in batch["known"].items() if bool(rows.any())}
        outputs = learner.network(batch["inputs"], known)
        weights, losses = batch.get("weights"), {}
        for name, rows in known.items():
            target = learner.targets.of(name)
            losses[name] = target.loss(
                outputs[name], batch["labels"][name][rows], None if weights is None else weights[rows],
                target.recipe.label_smoothing,
            )  # fmt: skip
        return losses

    def after(self, learner: LabelsT, step: int) -> None:
        if learner.average is not None:
            learner.average.follow(learner.network, step)

    def combined_gradients(
        self, learner: LabelsT, batch: Batch, combine: Callable[[Tensor], Tensor]
    ) -> dict[str, Tensor]:
        """As `gradients`, with the labels' gradients of the shared weights combined.

        Args:
            learner: The learner.
            batch: The batch.
            combine: A function that makes one gradient [weights] of those of the labels [labels, weights]. It is asked
                about shared weights alone: heads, and rows of the last layer, are each of one label.
        """
        with autocast(self.precision, learner.device):
            loss, parts = self.loss(learner, batch)
        own = {id(parameter) for name in learner.targets.names for parameter in learner.network.own_parameters(name)}
        everything = [parameter for parameter in learner.network.parameters() if parameter.requires_grad]
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

    def finish(self, learner: LabelsT) -> Networks:
        """The networks that the model keeps."""
        return learner.network if learner.average is None else learner.average.network

    def make_model(self, learner: LabelsT) -> Model:
        return LabelsPredictor(network=self.finish(learner), inputs=learner.encoding, targets=learner.targets)

    def rows_reached(self, learner: LabelsT, steps: int) -> NDArray[np.bool_]:
        return super().rows_reached(learner, steps) & learner.data.labelled
