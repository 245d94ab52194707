"""CLIP: what belongs together lies near each other, learned from pairs without any label."""

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.repeats import same_numbers
from manyways.errors import DataError, ParameterError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import EncodedMethod
from manyways.methods.fields import Count, Interval, Positive
from manyways.methods.needs import Input, Paired
from manyways.models.dual_encoder import DualEncoder
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.two_towers import TwoTowers
from manyways.training.learner import EncodedLearner

WIDTH = 128
LARGEST_SCALE = 100.0
"""The largest factor of similarities (Radford et al. 2021): more makes training unstable."""
TEMPERATURES = {"softmax": 0.07, "sigmoid": 0.1}
FIRST_BIAS = -10.0
"""SigLIP's: nearly all pairs of a batch do not belong together."""


def pair_loss(a: Tensor, b: Tensor, scale: Tensor, same: Tensor | None = None) -> Tensor:
    """The symmetric InfoNCE of CLIP (Radford et al. 2021, figure 3): each picks out its partner, both ways.

    a, b: vectors of length 1 [N, width], row i of both a pair; scale: one over the temperature; same: bool [N, N],
    whether aᵢ and bⱼ belong together, too: those are left out where they are no partners, for they are no strangers.
    """
    logits = scale * a @ b.T
    partners = torch.arange(len(a), device=a.device)
    if same is not None:
        others = torch.eye(len(a), dtype=torch.bool, device=a.device).logical_not()
        logits = logits.masked_fill(same & others, float("-inf"))
    return (cross_entropy(logits, partners) + cross_entropy(logits.T, partners)) / 2


def sigmoid_pair_loss(a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, same: Tensor | None = None) -> Tensor:
    """SigLIP's loss (Zhai et al. 2023, equation 1): does each of N² pairs belong together? Summed, over N.

    a, b, scale as for `pair_loss`; bias: added to every similarity; same: bool [N, N], which belong together, by
    default partners alone.
    """
    together = torch.eye(len(a), dtype=torch.bool, device=a.device) if same is None else same
    signs = 2 * together.to(a.dtype) - 1
    return -logsigmoid(signs * (scale * a @ b.T + bias)).sum() / len(a)


class PairLearner(EncodedLearner):
    """A learner of encoded pairs; `same` numbers what is the same on each side, int64 [rows]."""

    network: TwoTowers

    def __init__(self, network: TwoTowers, data: Data, encoding: InputEncoding, seed: int) -> None:
        super().__init__(network, data, encoding, seed)
        found = {name: same_numbers(self.rows.stores[name], self.rows.rows) for name in network.names}
        self.same = {name: torch.from_numpy(numbers) for name, numbers in found.items()}

    @property
    def validation(self) -> Data | None:
        """The validation pairs, where there are some to tell apart."""
        rows = self.data.validation
        return rows if len(rows) > 1 else None


@dataclass(frozen=True, kw_only=True)
class CLIP(EncodedMethod[PairLearner]):
    """Learn from pairs without labels: pictures with texts, sounds with pictures, or any two inputs of a row.

    A network for each input puts it into one space, where partners lie nearer than strangers. The model finds one by
    the other (`model.retrieve`), tells classes apart by their names (`model.classifier`, or `clip >> zero-shot`), and
    is a start for methods that learn from labels. What comes several times in a batch, such as one name of two
    pictures, is never counted as a stranger to itself.
    """

    batch_size: Annotated[int, Interval("[2, inf)")] = 256
    """Pairs in a batch: each is told from all others in it."""
    contrast: Literal["softmax", "sigmoid"] = "softmax"
    """CLIP's own loss, which picks out partners, or SigLIP's, which asks of every two whether they are a pair."""
    width: Count = WIDTH
    """Width of the common space."""
    temperature: Positive | None = None
    """First divisor of similarities; it is learned. None: 0.07 for softmax, 0.1 for sigmoid."""
    augment: bool = True
    """True to see both inputs through weak views."""

    needs: ClassVar = (Input, Paired)
    gives: ClassVar = frozenset({"retrieve", "embed"})
    takes: ClassVar = frozenset({"retrieve"})
    suggests: ClassVar = ("clip", "clip(contrast='sigmoid')", "clip >> fine-tune")
    example: ClassVar = "digit-halves"
    paper: ClassVar = (
        "Radford et al., Learning transferable visual models from natural language supervision, ICML 2021; Zhai et "
        "al., Sigmoid loss for language image pre-training, ICCV 2023"
    )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=32)

    def begin(self, data: Data, model: Model | None, seed: int) -> PairLearner:
        if isinstance(model, DualEncoder):
            network, encoding = self._going_on(model.network), model.inputs
        else:
            both, encoding, _ = self.start_backbones(data, None)
            towers = {name: Network({name: part}) for name, part in zip(both.names, both.parts, strict=True)}
            temperature = self.temperature or TEMPERATURES[self.contrast]
            network = TwoTowers(towers, self.width, 1 / temperature, self._first_bias)
        learner = PairLearner(network, data, encoding, seed)
        for name, numbers in learner.same.items():
            if len(numbers) < 2 or bool((numbers == numbers[0]).all()):
                raise DataError(
                    f"All {len(numbers):,} training rows of {data.name} hold the same in {name!r}, so that there is "
                    "nothing to tell apart. Name another input: input=…."
                )
        return learner

    @property
    def _first_bias(self) -> float | None:
        return FIRST_BIAS if self.contrast == "sigmoid" else None

    def _going_on(self, begun: TwoTowers) -> TwoTowers:
        """A copy of a network that has learned from pairs, with the bias that the loss asks for."""
        self._refuse_another_network()
        if self.width not in (WIDTH, begun.width):
            raise ParameterError(f"CLIP.width is the model's that it starts from, {begun.width}; got {self.width}.")
        network = copy.deepcopy(begun).requires_grad_(True)
        if self.temperature is not None:
            with torch.no_grad():
                network.log_scale.fill_(-math.log(self.temperature))
        if (network.bias is None) != (self._first_bias is None):
            network.set_bias(self._first_bias)
        return network

    def draw(self, learner: PairLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.everything, self.examples_per_step(learner), step)
        inputs, positions = learner.take(rows), torch.from_numpy(rows)
        same = [numbers[positions].to(learner.device) for numbers in learner.same.values()]
        return {
            "inputs": learner.views.weak(inputs, rng) if self.augment else inputs,
            "same": torch.stack([each[:, None] == each for each in same]).any(0),
        }

    def loss(self, learner: PairLearner, batch: Batch) -> Loss:
        network, inputs = learner.network, batch["inputs"]
        a, b = (network.vectors(name, inputs) for name in network.names)
        scale = network.log_scale.exp()
        if network.bias is None:
            loss = pair_loss(a, b, scale, batch["same"])
        else:
            loss = sigmoid_pair_loss(a, b, scale, network.bias, batch["same"])
        return loss, {"temperature": 1 / scale}

    @torch.no_grad()
    def after(self, learner: PairLearner, step: int) -> None:
        if learner.network.bias is None:
            learner.network.log_scale.clamp_(max=math.log(LARGEST_SCALE))

    def make_model(self, learner: PairLearner) -> Model:
        return DualEncoder(network=learner.network, inputs=learner.encoding)

    def examples_per_step(self, learner: PairLearner) -> int:
        return min(
            self.rows_in_batch(learner), max(2, len(learner.rows))
        )  # twice in a batch, a pair would be its own stranger
