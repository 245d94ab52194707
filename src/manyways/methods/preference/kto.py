"""Kahneman–Tversky optimisation: learn from answers that were judged one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.errors import DataError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageMethod, Rates
from manyways.methods.fields import Count, NotNegative, Positive
from manyways.methods.needs import Judged
from manyways.methods.preference._reference import ReferenceLearner
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.judgements import judged
from manyways.models.language.packing import Answer, Group
from manyways.models.language_model import LanguageModel
from manyways.randomness import mix


def kto_loss(
    ratios: Tensor, good: Tensor, mismatched: Tensor, beta: float, desirable_weight: float, undesirable_weight: float
) -> Tensor:
    """λ_D (1 − σ(β(r − z))) of desirable and λ_U (1 − σ(β(z − r))) of undesirable answers, the mean over all.

    ratios r: float [answers], log π(y|x) − log π_ref(y|x). good: bool [answers]. mismatched: float [prompts], the same
    log-ratio of an answer to another prompt; z = max(0, its mean) stands for KL(π ‖ π_ref) and carries no gradient
    (Ethayarajh et al. 2024, equation 8).
    """
    z = mismatched.mean().clamp_min(0).detach()
    desired = desirable_weight * (1 - (beta * (ratios - z)).sigmoid())
    undesired = undesirable_weight * (1 - (beta * (z - ratios)).sigmoid())
    return torch.where(good, desired, undesired).mean()


class JudgedLearner(ReferenceLearner):
    """Prompts with their judged answers and, last, one to another prompt; good: bool [groups, judged answers]."""

    def __init__(
        self, start: LanguageModel, network: nn.Module, data: Data, seed: int, groups: Sequence[Group],
        good: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        super().__init__(start, network, data, seed, with_mismatched(groups, start.context, seed))
        self.good = torch.from_numpy(good)

    def batch(self, rows: Any) -> dict[str, Any]:
        return {**super().batch(rows), "good": self.good[torch.from_numpy(rows)].to(self.device)}


@dataclass(frozen=True, kw_only=True)
class KTO(LanguageMethod[JudgedLearner]):
    """Learn from answers that are judged desirable or not, each by itself, and stay near the start.

    Judgements are the boolean label of prompts with completions; of pairs the chosen answer is desirable and the
    rejected one is not. The divergence from the start is estimated on each prompt with the answer to another, the same
    one throughout, so that what the start says of them is computed once.
    """

    beta: Positive = 0.1
    """Weight of the divergence from the reference (β)."""
    desirable_weight: NotNegative = 1.0
    """Weight of desirable answers (λ_D); with the other so that weight times number is 1 to 1.5 times the other's."""
    undesirable_weight: NotNegative = 1.0
    """Weight of undesirable answers (λ_U)."""
    batch_size: Count = 16
    """Rows in a batch."""

    needs: ClassVar = (Judged,)
    gives: ClassVar = frozenset({"generate", "embed"})
    takes: ClassVar = frozenset({"generate"})
    requires_model: ClassVar = True
    rates: ClassVar = Rates(new=1e-4, pretrained=1e-6, adapters=1e-5)
    suggests: ClassVar = ("sft >> kto", "kto")
    paper: ClassVar = "Ethayarajh et al., Model alignment as prospect theoretic optimization, ICML 2024"
    example: ClassVar = "arithmetic"

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> JudgedLearner:
        reader = self.reader(start)
        if found := judged(data.training):
            shown, good = found
            kinds = [reader.answers(shown.select(good)), reader.answers(shown.select(~good))]
            flags = np.repeat([[True], [False]], [len(groups) for groups in kinds], axis=0)
            return JudgedLearner(start, network, data, seed, [*kinds[0], *kinds[1]], flags)
        pairs = reader.pairs(data.training)
        return JudgedLearner(start, network, data, seed, pairs, np.tile([True, False], (len(pairs), 1)))

    def rows_reached(self, learner: JudgedLearner, steps: int) -> NDArray[np.bool_]:
        reached, data = super().rows_reached(learner, steps), learner.data
        return reached & data.labelled if judged(data.training) else reached

    def prepare(self, learner: JudgedLearner) -> None:
        learner.ask_reference(self.loss_context(learner))

    def draw(self, learner: JudgedLearner, step: int, rng: torch.Generator) -> Batch:
        return learner.batch(learner.pick(learner.positions, self.batch_size, step))

    def micro_batch(self, learner: JudgedLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        # The divergence from the start is then estimated on the rows of each part.
        rows = batch["rows"][part]
        return len(rows) / len(batch["rows"]), learner.batch(rows)

    def loss(self, learner: JudgedLearner, batch: Batch) -> Loss:
        good = batch["good"]
        said = answer_log_probabilities(learner.network, batch["packed"])
        ratios = (said - batch["reference"]).view(len(good), -1)
        judged, mismatched = ratios[:, :-1], ratios[:, -1]
        loss = kto_loss(judged, good, mismatched, self.beta, self.desirable_weight, self.undesirable_weight)
        return loss, {"divergence": mismatched.detach().mean()}


def with_mismatched(groups: Sequence[Group], context: int, seed: int) -> list[Group]:
    """Every prompt with, behind its own answers, the first answer to another prompt, cut to the `context`.

    Prompts stand in a circle in the order of `seed`, and each takes the answer of the one before.
    """
    if len(groups) < 2:
        raise DataError(
            f"KTO compares each answer with one to another prompt, and there is {len(groups)} row to learn from; add "
            "others."
        )
    order = np.random.Generator(np.random.Philox(mix(seed, len(groups)))).permutation(len(groups))
    before = np.empty_like(order)
    before[order] = np.roll(order, 1)
    return [
        Group(group.prompt, (*group.answers, _cut(groups[other].answers[0], context - len(group.prompt))))
        for group, other in zip(groups, before.tolist(), strict=True)
    ]


def _cut(answer: Answer, room: int) -> Answer:
    return Answer(answer.ids[:room], None if answer.mask is None else answer.mask[:room])
