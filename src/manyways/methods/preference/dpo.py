"""Direct preference optimisation: learn from pairs of answers, without a reward model."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageMethod, Rates
from manyways.methods.fields import Count, Interval, Positive
from manyways.methods.needs import Pairs
from manyways.methods.preference._reference import ReferenceLearner
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.packing import answer_lengths
from manyways.models.language_model import LanguageModel


def dpo_loss(chosen: Tensor, rejected: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """−(1−ε) log σ(βd) − ε log σ(−βd), the mean over pairs; d = chosen − rejected (Rafailov et al. 2023; ε: Mitchell).

    chosen, rejected: float [pairs], log-ratios log π(y|x) − log π_ref(y|x). Equal ones give log 2.
    """
    d = chosen - rejected
    return (-(1 - smoothing) * logsigmoid(beta * d) - smoothing * logsigmoid(-beta * d)).mean()


def ipo_loss(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """(d − 1/(2β))², the mean over pairs; d = chosen − rejected (Azar et al. 2024, equation 17, with β for τ).

    chosen, rejected: float [pairs], log-ratios per token of the answer. Equal ones give 1/(4β²).
    """
    return (chosen - rejected - 1 / (2 * beta)).square().mean()


@dataclass(frozen=True, kw_only=True)
class DPO(LanguageMethod[ReferenceLearner]):
    """Learn to prefer the chosen answer of each pair to the rejected one, and stay near the start.

    The start is the reference. What it says of every pair is computed once, before the first step; both answers share
    the pass over their prompt.
    """

    loss_type: Literal["sigmoid", "ipo"] = "sigmoid"
    """sigmoid: DPO's own. ipo: a squared distance per token, which does not push on without end (Azar et al. 2024)."""
    beta: Positive = 0.1
    """Weight of the divergence from the reference (β); for ipo the margin per token that is aimed at is 1/(2β)."""
    label_smoothing: Annotated[float, Interval("[0, 0.5)")] = 0.0
    """Share of pairs that are taken to be the wrong way round (ε); for sigmoid only."""
    batch_size: Count = 16
    """Pairs in a batch."""

    needs: ClassVar = (Pairs,)
    gives: ClassVar = frozenset({"generate", "embed"})
    takes: ClassVar = frozenset({"generate"})
    requires_model: ClassVar = True
    rates: ClassVar = Rates(new=1e-4, pretrained=1e-6, adapters=1e-5)
    suggests: ClassVar = ("sft >> dpo", "dpo")
    paper: ClassVar = "Rafailov et al., Direct preference optimization, NeurIPS 2023"
    example: ClassVar = "arithmetic"

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> ReferenceLearner:
        return ReferenceLearner(start, network, data, seed, self.reader(start).pairs(data.training))

    def prepare(self, learner: ReferenceLearner) -> None:
        learner.ask_reference(self.loss_context(learner))

    def draw(self, learner: ReferenceLearner, step: int, rng: torch.Generator) -> Batch:
        return learner.batch(learner.pick(learner.positions, self.batch_size, step))

    def micro_batch(self, learner: ReferenceLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        rows = batch["rows"][part]
        return len(rows) / len(batch["rows"]), learner.batch(rows)

    def loss(self, learner: ReferenceLearner, batch: Batch) -> Loss:
        packed = batch["packed"]
        ratios = answer_log_probabilities(learner.network, packed) - batch["reference"]
        if self.loss_type == "ipo":
            ratios = ratios / answer_lengths(packed)
        chosen, rejected = ratios[0::2], ratios[1::2]
        d = (chosen - rejected).detach()
        parts = {"accuracy": (d > 0).float().mean(), "margin": self.beta * d.mean()}
        if self.loss_type == "ipo":
            return ipo_loss(chosen, rejected, self.beta), parts
        return dpo_loss(chosen, rejected, self.beta, self.label_smoothing), parts
