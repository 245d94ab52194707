"""Fine-tuning: all layers of a model go on learning, from labels."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from manyways.data.data import Data
from manyways.data.targets import predictions
from manyways.errors import ParameterError
from manyways.methods.bases.adapting import Adapting
from manyways.methods.bases.from_labels import AveragedLearner, FromLabels
from manyways.methods.bases.rows import PRETRAINED_RATE
from manyways.methods.fields import Interval, Positive, Share
from manyways.methods.needs import AnyLabel, Input
from manyways.methods.recommendations import Recommendation
from manyways.models.backbones.pretrained import Pretrained
from manyways.models.language.adapters import without_inserted
from manyways.models.model import Model
from manyways.models.network import Network, is_checkpoint
from manyways.models.sequences.checkpoint import CheckpointDecoder
from manyways.training.average import AverageNetwork
from manyways.training.steps import ParameterGroup


@dataclass(frozen=True, kw_only=True)
class FineTune(Adapting, FromLabels):
    """Adapt all layers of a model, or of a pretrained checkpoint (`backbone=`), to the labelled rows.

    Lower layers may learn more slowly, and may stay frozen at first. With `lora`, pretrained backbones of transformers
    learn through adapters, which are added to their weights in the end.
    """

    learning_rate: Positive = 1e-3
    """The highest learning rate of the head and the topmost layers; a tenth of it where the head is pretrained, too."""
    layer_decay: Annotated[float, Interval("(0, 1]")] = 0.8
    """Each layer learns at this multiple of the rate of the one above (discriminative rates; 1: all the same)."""
    unfreeze: Share = 0.0
    """Share of the steps over which layers are unfrozen one by one from the top (gradual unfreezing; 0: at once)."""
    needs: ClassVar = (Input, AnyLabel)
    gives: ClassVar = predictions() | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    requires_model: ClassVar = True
    suggests: ClassVar = ()
    recommends: ClassVar = {
        "any": Recommendation("all weights of a trained network go on learning from the labels", 13),
    }
    paper: ClassVar = "Howard & Ruder, Universal language model fine-tuning, ACL 2018"

    field_trials: ClassVar = dict.fromkeys(
        ("lora_alpha", "lora_dropout", "lora_modules"), "Adapters are of pretrained backbones, which a trial has not."
    )

    def needs_start(self) -> bool:
        return not is_checkpoint(self.backbone)

    def begin(self, data: Data, model: Model | None, seed: int) -> AveragedLearner:
        learner = super().begin(data, model, seed)
        if self.lora is not None:
            modules = learner.network.modules()
            parts = [part for part in modules if isinstance(part, Pretrained | CheckpointDecoder)]
            bodies = [part.body if isinstance(part, Pretrained) else part.frozen() for part in parts]
            if not bodies:
                raise ParameterError(
                    f"FineTune.lora adapts pretrained backbones of transformers, and here is none; got {self.lora}. "
                    'Name one, backbone="FOLDER", or leave lora out.'
                )
            for body in bodies:
                self.insert_adapters(body)
            if learner.average is not None:  # that of the network with its adapters
                learner.average = AverageNetwork(learner.network, learner.average.decay)
            learner.leave_out_frozen()
        return learner

    def finish(self, learner: AveragedLearner) -> Network:
        network = super().finish(learner)
        return network if self.lora is None else without_inserted(network)

    def parameter_groups(self, learner: AveragedLearner) -> list[ParameterGroup]:
        groups = [[p for p in group if p.requires_grad] for group in learner.network.layer_groups()]
        from_top = [group for group in groups if group][::-1]
        head = learner.network.head
        rate = self.learning_rate * (PRETRAINED_RATE if head is not None and head.pretrained else 1)
        return [
            ParameterGroup(group, rate * self.layer_decay**depth, starts=self.unfreeze * depth / len(from_top))
            for depth, group in enumerate(from_top)
        ]
