"""Gradient methods: draw, loss and after, trained by the one loop."""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.errors import ParameterError
from manyways.methods.fields import Count, Interval, NotNegative, Positive, Share
from manyways.methods.method import Learned, Method
from manyways.models.heads import LinearHead
from manyways.models.model import Model
from manyways.models.network import Network, is_checkpoint, make_network
from manyways.training.budget import Budget
from manyways.training.learner import Learner
from manyways.training.loop import autocast, train
from manyways.training.randomness import mix
from manyways.training.run import Run

Batch = dict[str, Any]
Loss = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that share a multiple `scale` of the learning rate, frozen until the share `starts` of the steps."""

    parameters: list[nn.Parameter]
    scale: float = 1.0
    starts: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GradientMethod(Method):
    """A method that is three functions: `draw` a batch, its `loss`, and what moves `after` the gradient step."""

    backbone: str = "auto"
    """Network for the inputs: auto picks by their kind; a name, a checkpoint's folder, or its Hub name."""
    size: Annotated[float, Interval("(0, 64]")] = 1.0
    """Multiplies the width of the network."""
    batch_size: Count = 64
    """Rows in a batch."""
    learning_rate: Positive = 2e-3
    """The highest learning rate of AdamW, reached after the warm-up."""
    weight_decay: NotNegative = 0.01
    """Decoupled weight decay of the matrices."""
    beta2: Annotated[float, Interval("[0, 1)")] = 0.99
    """How slowly AdamW's second moment forgets; 0.999 for very long runs."""
    warmup: Share = 0.05
    """Share of the steps in which the learning rate rises."""
    clip: Positive | None = 1.0
    """Largest norm of the gradient; None does not clip."""
    patience: Count = 5
    """Looks at the validation rows without a better score before training stops; there are 20 in a run."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the loss; auto takes bfloat16 where the hardware has matrix units for it."""

    predicts: ClassVar[bool] = True
    """Whether the network ends in a head for the label."""
    uses_all_rows: ClassVar[bool] = False
    """Whether unlabelled training rows shape the network, too."""

    def begin(self, data: Data, model: Model | None, seed: int) -> Learner:
        """The learner before the first step: a copy of `model`'s network or a new one, with the head it needs.

        A method that holds more (a teacher, a projector) adds it here.
        """
        target = Target.fit(data) if self.predicts else None
        network, encoding = self.start_network(data, model, target)
        return Learner(network, data, encoding, target, seed)

    @abstractmethod
    def draw(self, learner: Learner, step: int, rng: torch.Generator) -> Batch:
        """The batch of `step`: a function of (seed, step) alone; all randomness from `rng`."""

    @abstractmethod
    def loss(self, learner: Learner, batch: Batch) -> Loss:
        """A scalar, and its named parts for those who watch."""

    def after(self, learner: Learner, step: int) -> None:
        """What moves without a gradient."""

    def finish(self, learner: Learner) -> Network:
        """The network that the model keeps."""
        return learner.network

    def parameter_groups(self, learner: Learner) -> list[ParameterGroup]:
        """What is optimised, and how fast."""
        return [ParameterGroup(list(learner.parameters()))]

    def examples_per_step(self, learner: Learner) -> int:
        """How many rows `draw` takes, for budgets in examples."""
        return self.batch_size

    def autocast(self, device: torch.device) -> Any:
        """The context of the loss."""
        return autocast(self.precision, device)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        """Train a learner by the one loop; see `Method.fit`."""
        with torch.random.fork_rng():  # the caller's random stream is an argument, too: leave it as it was
            torch.manual_seed(mix(seed, 0))
            learner = self.begin(data, model, seed).to(run.pick_device())
            used = (data.part[data.rows] == 0) & (data.labelled | self.uses_all_rows)

            def learned(steps: int, seconds: float) -> Learned:
                network = copy.deepcopy(self.finish(learner)).requires_grad_(True).cpu()
                parents = (model,) if model else ()
                return Learned(network, learner.encoding, learner.target, used, parents, steps, seconds)

            identity = self.identity(data, model, budget, seed)
            done = train(
                self,
                learner,
                budget,
                seed,
                run,
                identity,
                lambda: self.as_model(learned(0, 0), data, budget, seed),
            )
            return learned(done.step, done.seconds)

    def start_network(self, data: Data, model: Model | None, target: Target | None) -> tuple[Network, InputEncoding]:
        """A copy of `model`'s network, or a new one, with a head for `target`, and the encoding of its inputs."""
        if model is None:
            checkpoint = self.backbone if is_checkpoint(self.backbone) else None
            encoding = InputEncoding.fit(data, checkpoint=checkpoint)
            network = make_network(encoding.specs, backbone=self.backbone, size=self.size)
            if checkpoint is None:
                network.measure(encoding.encode(data.training))
        else:
            if (self.backbone, self.size) != ("auto", 1.0):
                raise ParameterError(
                    f"{self.method_name()} starts from a model, so backbone and size are the model's; give them to the "
                    f"first method of the chain. Got backbone={self.backbone!r}, size={self.size}."
                )
            network, encoding = model.copy_of_network(), model.inputs
        if target is None:
            network.head = None
        elif model is None or model.target != target or not isinstance(network.head, LinearHead):
            network.head = LinearHead(network.width, target.width)
        return network.requires_grad_(True), encoding
