"""Gradient methods over rows that are encoded once: a `Network` with a backbone per modality."""

import re
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from manyways.data.columns import modalities
from manyways.data.data import Data
from manyways.data.encoding import Encoded, InputEncoding
from manyways.data.targets import Target, Targets, kind_of
from manyways.errors import DataError, ParameterError
from manyways.methods.bases.gradient import GradientMethod, learner_class
from manyways.methods.bases.sampled import AUTO, Sampled
from manyways.methods.fields import Interval
from manyways.methods.method import Learned
from manyways.methods.needs import Input, lacking
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.pretrained import Pretrained, checkpoint_tokenizers
from manyways.models.heads import Head, new_head
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.network import Network, backbones_by_name, is_checkpoint, make_network, reads_any
from manyways.models.predictor import Predictor
from manyways.models.saving import checkpoint_lineage
from manyways.models.structured import predictor_for
from manyways.training.budget import Budget
from manyways.training.learner import EncodedLearner, LabelledLearner, RowLearner
from manyways.training.run import Run
from manyways.training.samplers import SAMPLERS
from manyways.training.steps import ParameterGroup

EncodedT = TypeVar("EncodedT", bound=EncodedLearner)
RowLearnerT = TypeVar("RowLearnerT", bound=RowLearner)
LabelledLearnerT = TypeVar("LabelledLearnerT", bound=LabelledLearner)


PRETRAINED_RATE = 0.1
"""The multiple of the learning rate at which the weights of a pretrained checkpoint go on learning."""


@dataclass(frozen=True, kw_only=True)
class EncodedMethod(GradientMethod[EncodedT], Generic[EncodedT]):
    """A gradient method that learns from rows as tensors: which inputs it reads, and through what networks."""

    backbone: str = "auto"
    """Network for the inputs: auto picks by their kind; a name, a checkpoint's folder, or its Hub name. Of several
    inputs each may have its own: 'image=resnet, caption=owner/name'."""
    size: Annotated[float, Interval("(0, 64]")] = 1.0
    """Multiplies the width of the network."""
    only: tuple[str, ...] = ()
    """Inputs to learn from, where others are there, too; by default all."""

    suited_backbone: ClassVar[str] = AUTO
    """The network that `auto` picks for inputs that it reads, where the method needs one of its own."""
    field_trials: ClassVar = {"backbone": {"backbone": "flat-perceptron"}, "only": {"only": ("no such input",)}}

    def lacks_of(self, data: Data) -> str | None:
        if not self.only or lacking((Input,), data):
            return super().lacks_of(data)
        try:
            return super().lacks_of(data.with_inputs(self.only))
        except DataError as error:
            return f"{self.method_name()}.only names what is not there. {error}"

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        joined = [label.name for label in data.labels if kind_of(data.with_label(label.name)).joins_inputs]
        apart = model is not None and (model.target is None or not model.target.joins_inputs)
        if joined and apart and model is not None:
            return (
                f"the label {joined[0]!r} is predicted from inputs that are read together, and {model.lineage.title} "
                "reads each by itself. Begin with supervised, or name a checkpoint: backbone=FOLDER."
            )
        return None

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        return super().learn(data.with_inputs(self.only) if self.only else data, model, budget, seed, run)

    def parameter_groups(self, learner: EncodedT) -> list[ParameterGroup]:
        """All parameters, those of pretrained checkpoints at a tenth of the rate: what they know is soon undone."""
        checkpoints: list[nn.Module] = [part for part in learner.network.modules() if isinstance(part, Pretrained)]
        checkpoints += [part for part in learner.network.modules() if isinstance(part, Head) and part.pretrained]
        known = {id(parameter) for part in checkpoints for parameter in part.parameters()}
        if not known:
            rates = {part.rate for part in learner.network.modules() if isinstance(part, Backbone)}
            factor = max(rates, default=1.0)
            return [replace(group, rate=factor * group.rate) for group in super().parameter_groups(learner)]
        new = [parameter for parameter in learner.parameters() if id(parameter) not in known]
        old = [parameter for parameter in learner.parameters() if id(parameter) in known]
        groups = [(new, self.learning_rate), (old, PRETRAINED_RATE * self.learning_rate)]
        return [ParameterGroup(parameters, rate) for parameters, rate in groups if parameters]

    def from_scratch(self) -> bool:
        return not (self.needs_start() or any(map(is_checkpoint, re.split("[=,]", self.backbone))))

    def going_on(self) -> Self:
        return replace(self, backbone="auto", size=1.0, only=())

    def start_backbones(
        self, data: Data, model: Model | None, target: Target | Targets | None = None
    ) -> tuple[Network, InputEncoding, Predictor | None]:
        """A copy of `model`'s network, or a new one without a head, the encoding of its inputs, and the model.

        target: What the network is to predict, which may have an encoding of the inputs, and backbones, of its own.
        """
        begun = model.as_predictor(data) if model else None
        if begun is None:
            tokenizers = checkpoint_tokenizers(self.checkpoints(data), data.inputs)
            encoding = target.encoding(data, tokenizers) if target else InputEncoding.fit(data, tokenizers=tokenizers)
            recipe = target.recipe(self.backbone) if isinstance(target, Targets) else target and target.recipe
            suits = recipe.backbone if recipe else self.suited_backbone
            backbone = suits if self.backbone == AUTO and reads_any(suits, encoding.specs) else self.backbone
            network = make_network(encoding.specs, backbone=backbone, size=self.size)
            rows = encoding.encode(data.training)
            network.measure(rows)
        else:
            self._refuse_another_network()
            network, encoding = begun.copy_of_network(), begun.inputs
            rows = encoding.encode(data.training)
        network.may_lack = self.may_lack(network, rows)
        return network.requires_grad_(True), encoding, begun

    def _refuse_another_network(self) -> None:
        """Raise ParameterError where fields ask for another network than the model's that it starts from."""
        if (self.backbone, self.size, self.only) != ("auto", 1.0, ()):
            raise ParameterError(
                f"{self.method_name()} starts from a model, so backbone, size and inputs are the model's; give them to "
                f"the first method of the chain. Got backbone={self.backbone!r}, size={self.size}, only={self.only}."
            )

    def parents(self, learner: EncodedT, model: Model | None) -> tuple[Model | Lineage, ...]:
        begun = () if model else tuple(map(checkpoint_lineage, self.checkpoints(learner.data).values()))
        return begun or super().parents(learner, model)

    def checkpoints(self, data: Data) -> dict[str, str]:
        """The checkpoint that reads an input of `data`, by its name."""
        names = modalities(data.inputs)
        chosen = backbones_by_name(self.backbone, names) or dict.fromkeys(names, self.backbone)
        return {name: each for name, each in chosen.items() if is_checkpoint(each)}

    def may_lack(self, network: Network, rows: Encoded) -> tuple[str, ...]:
        """The modalities without which the network learns to do: those that some of the training `rows` lack."""
        return tuple(name for name in network.names if name in {*network.may_lack, *rows.absent})


@dataclass(frozen=True, kw_only=True)
class RowMethod(EncodedMethod[RowLearnerT], Generic[RowLearnerT]):
    """A gradient method that learns from rows as tensors, without labels, and makes a `Predictor` that embeds.

    Its learner is of the class in brackets: `RowMethod[RowLearner]`, or a subclass that declares what else a method
    holds, such as a `projector`, which its `begin` adds.
    """

    def begin(self, data: Data, model: Model | None, seed: int) -> RowLearnerT:
        """A copy of `model`'s network or a new one, without a head. A method that holds more adds it here."""
        network, encoding, _ = self.start_backbones(data, model)
        network.head = None
        learner: RowLearnerT = learner_class(type(self), RowLearner)(network, data, encoding, seed)
        return learner

    def finish(self, learner: RowLearnerT) -> Network:
        """The network that the model keeps."""
        return learner.network

    def make_model(self, learner: RowLearnerT) -> Model:
        return Predictor(network=self.finish(learner), inputs=learner.encoding)


@dataclass(frozen=True, kw_only=True)
class PredictingMethod(EncodedMethod[LabelledLearnerT], Generic[LabelledLearnerT]):
    """A gradient method that learns a label from rows as tensors, and makes a `Predictor` of it.

    It draws rows in a way of its own; one that draws batches of labelled rows is a `LabelledMethod`.
    """

    uses_all_rows: ClassVar[bool] = False
    """True if unlabelled training rows shape the network, too."""

    def begin(self, data: Data, model: Model | None, seed: int) -> LabelledLearnerT:
        """A copy of `model`'s network or a new one, with the head it needs. A method that holds more adds it here."""
        target = self.make_target(data, model)
        network, encoding = self.start_network(data, model, target)
        return self.make_learner(network, data, encoding, target, seed)

    def make_learner(
        self, network: Network, data: Data, encoding: InputEncoding, target: Target, seed: int
    ) -> LabelledLearnerT:
        """A learner of the class in brackets."""
        learner: LabelledLearnerT = learner_class(type(self), LabelledLearner)(network, data, encoding, target, seed)
        return learner

    def finish(self, learner: LabelledLearnerT) -> Network:
        """The network that the model keeps."""
        return learner.network

    def make_model(self, learner: LabelledLearnerT) -> Model:
        return predictor_for(learner.target, self.finish(learner), learner.encoding)

    def rows_reached(self, learner: LabelledLearnerT, steps: int) -> NDArray[np.bool_]:
        return super().rows_reached(learner, steps) & (learner.data.labelled | self.uses_all_rows)

    def start_network(self, data: Data, model: Model | None, target: Target) -> tuple[Network, InputEncoding]:
        """A copy of `model`'s network, or a new one, with a head for `target`, and the encoding of its inputs."""
        network, encoding, begun = self.start_backbones(data, model, target)
        if not (begun and begun.target == target and network.head_fits and self.goes_on_with(network.head)):
            network.put_head(self.make_head(network, target))
        return network, encoding

    def make_target(self, data: Data, model: Model | None) -> Target:
        """The target; here that of the labels of `data`, which goes on with what that of `model` has learned."""
        target = Target.fit(data)
        begun = model.as_predictor(data) if model else None
        if begun is not None:
            return target if begun.target is None else target.continuing(begun.target)
        return target.read_by(checkpoint_tokenizers(self.checkpoints(data), data.inputs), data)

    def make_head(self, network: Network, target: Target) -> Head:
        """A new head for `target` on the features of `network`."""
        return new_head(network, target)

    def goes_on_with(self, head: Head | None) -> bool:
        """True if a head that learned the same target before may stay."""
        return True


@dataclass(frozen=True, kw_only=True)
class LabelledMethod(PredictingMethod[LabelledLearnerT], Sampled[LabelledLearnerT], Generic[LabelledLearnerT]):
    """A gradient method that draws batches of labelled rows, and makes a `Predictor` of their label.

    Its learner is of the class in brackets: `LabelledMethod[LabelledLearner]`, or a subclass that declares what else a
    method holds, such as a `teacher`, which its `begin` adds. Rows weigh as the column of the role weight says.
    """

    class_weight: Literal["balanced"] | None = None
    """Weights of the classes in the loss; balanced: each class weighs the same, however many its rows. None: as is."""
    uses: ClassVar[tuple[str, ...]] = ("weight",)

    def make_learner(
        self, network: Network, data: Data, encoding: InputEncoding, target: Target, seed: int
    ) -> LabelledLearnerT:
        """A learner of the class in brackets, with its sample weights and its sampler."""
        learner = super().make_learner(network, data, encoding, target, seed)
        learner.weigh(balanced=self.class_weight == "balanced")
        self.put_sampler(learner, SAMPLERS.find(target.recipe.sampler))
        return learner
