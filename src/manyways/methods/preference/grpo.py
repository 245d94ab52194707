"""GRPO: of several answers to a prompt, say those more often that are better than the others."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rollouts import RolloutLearner, RolloutMethod, divergence
from manyways.methods.fields import Interval, NotNegative
from manyways.models.language.packing import Packed, answer_lengths, per_answer

Aggregation = Literal["grpo", "dr_grpo", "dapo"]
CLIP, HIGHER = 0.2, 0.28
"""Upper clips of the probability ratio: Schulman et al. 2017; DAPO (Yu et al. 2025)."""


def advantages(rewards: Tensor, scaled: bool) -> Tensor:
    """The advantage of each answer over the others to its prompt, float32 [prompts, answers].

    (R − mean) / (std + 1e-4) over the answers to a prompt, std with Bessel's correction; R − mean where not `scaled`.
    """
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True) + 1e-4) if scaled else centred


def surrogate(ratios: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    """−min(r A, clip(r, 1 − low, 1 + high) A) of each token (Schulman et al. 2017); all [tokens]."""
    return -torch.min(ratios * advantages, ratios.clamp(1 - low, 1 + high) * advantages)


def aggregate(
    values: Tensor, batch: Packed, how: Aggregation, longest: int, answers: int | None = None, tokens: int | None = None
) -> Tensor:
    """One number of `values` [said tokens].

    grpo: the mean over the tokens of each answer, then over answers. dr_grpo: the sum / (answers · longest).
    dapo: the mean over all tokens. answers, tokens: how many there are, where `batch` leaves out some of value 0.
    """
    answers = batch.answers if answers is None else answers
    if how == "grpo":
        return (per_answer(values, batch) / answer_lengths(batch)).sum() / answers
    return values.sum() / (answers * longest if how == "dr_grpo" else tokens or len(values))


@dataclass(frozen=True, kw_only=True)
class GRPO(RolloutMethod[RolloutLearner]):
    """Learn from rewards: sample a group of answers to each prompt, and say those above the group's mean more often.

    There is no critic. The answers to a prompt share its pass, in sampling and in training. Validation rows play no
    part: what is given as their completion need not be what is rewarded.
    """

    aggregation: Literal["grpo", "dr_grpo", "dapo"] = "grpo"
    """Means over answers of means over tokens; dr_grpo: sums over the longest possible, advantages not scaled (Liu et
    al. 2025); dapo: the mean over all tokens (Yu et al. 2025)."""
    clip_low: Annotated[float, Interval("[0, 1)")] = 0.2
    """Lower clip: how far below 1 a token's probability ratio to the rollout's is followed."""
    clip_high: NotNegative | None = None
    """Upper clip: how far above 1 it is followed; None: 0.28 for dapo, as there, else 0.2."""
    paper: ClassVar = "Shao et al., DeepSeekMath, 2024"

    field_trials: ClassVar = {
        "clip_low": {"updates": 3, "clip_low": 0.0},
        "clip_high": {"updates": 3, "clip_high": 0.0},
    }

    def loss(self, learner: RolloutLearner, batch: Batch) -> Loss:
        packed, which = batch["packed"], batch["which"]
        now, old = self.log_probs(learner, batch)
        better = advantages(learner.rewards, self.aggregation != "dr_grpo")[which].flatten()[packed.owners]
        high = self.clip_high if self.clip_high is not None else HIGHER if self.aggregation == "dapo" else CLIP
        ratios = (now - old).exp()
        values = surrogate(ratios, better, self.clip_low, high)
        clipped = ((ratios < 1 - self.clip_low) & (better < 0)) | ((ratios > 1 + high) & (better > 0))
        answers, tokens = learner.rewards.numel(), int(learner.token_mask.sum())
        parts = {**self.outcome(learner), "clipped": clipped.sum() / tokens}
        if self.beta > 0:
            penalty = divergence(now, learner.referred[self.places(learner, batch)])
            values, parts["kl"] = values + self.beta * penalty, penalty.mean()
        return aggregate(values, packed, self.aggregation, self.longest, answers, tokens), parts
