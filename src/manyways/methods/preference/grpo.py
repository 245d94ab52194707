"""GRPO: of several answers to a prompt, say those more often that are better than the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageMethod, Rates
from manyways.methods.fields import Count, Interval, NotNegative, Positive
from manyways.methods.method import Ablations
from manyways.methods.needs import Prompts
from manyways.methods.preference._reward_names import check_reward, content_of
from manyways.methods.preference._rewards import likeness
from manyways.methods.preference._rollouts import RolloutLearner
from manyways.models.language.packing import Packed, answer_lengths, per_answer
from manyways.models.language_model import LanguageModel
from manyways.models.lineage import Lineage
from manyways.models.model import Model

Aggregation = Literal["grpo", "dr_grpo", "dapo"]
CLIP, HIGHER = 0.2, 0.28
"""How far a ratio is followed upwards: Schulman et al. 2017; DAPO (Yu et al. 2025)."""


def advantages(rewards: Tensor, scaled: bool) -> Tensor:
    """How much better each answer is than the others to its prompt, float32 [prompts, answers].

    (R − mean) / (std + 1e-4) over the answers to a prompt, std with Bessel's correction; R − mean where not `scaled`.
    """
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True) + 1e-4) if scaled else centred


def surrogate(ratios: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    """−min(r A, clip(r, 1 − low, 1 + high) A) of each token (Schulman et al. 2017); all [tokens]."""
    return -torch.min(ratios * advantages, ratios.clamp(1 - low, 1 + high) * advantages)


def divergence(said: Tensor, reference: Tensor) -> Tensor:
    """exp(Δ) − Δ − 1 with Δ = log π_ref − log π of each token: KL(π ‖ π_ref), unbiased and never negative."""
    delta = reference - said
    return delta.exp() - delta - 1


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
class GRPO(LanguageMethod[RolloutLearner]):
    """Learn from rewards: sample a group of answers to each prompt, and say those above the group's mean more often.

    There is no critic. The answers to a prompt share its pass, in sampling and in training. Validation rows play no
    part: what is given as their completion need not be what is rewarded.
    """

    reward: str | Callable[..., Any] | Model | None = None
    """Rewards answers: a function of prompts, completions and columns, as "package.module:function" too; a model that
    scores, or its folder; None gives 1 to answers that are the data's completion, and 0 to others."""
    batch_size: Count = 8
    """Prompts in a rollout."""
    group_size: Annotated[int, Interval("[2, inf)")] = 8
    """Answers to each prompt."""
    longest: Count = 128
    """The most tokens of an answer."""
    temperature: Positive = 1.0
    """Of sampling, and of the probabilities that are learned."""
    aggregation: Literal["grpo", "dr_grpo", "dapo"] = "grpo"
    """Means over answers of means over tokens; dr_grpo: sums over the longest possible, advantages not scaled (Liu et
    al. 2025); dapo: the mean over all tokens (Yu et al. 2025)."""
    clip_low: Annotated[float, Interval("[0, 1)")] = 0.2
    """How far below 1 a token's probability ratio to the rollout's is followed."""
    clip_high: NotNegative | None = None
    """How far above 1 it is followed; None: 0.28 for dapo, as there, else 0.2."""
    beta: NotNegative = 0.0
    """Weight of the KL divergence from the start; 0 needs no copy of it, nor does lora, whose start is frozen."""
    updates: Count = 1
    """Steps on each rollout."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay of the matrices."""

    needs: ClassVar = (Prompts,)
    gives: ClassVar = frozenset({"generate", "embed"})
    takes: ClassVar = frozenset({"generate"})
    requires_model: ClassVar = True
    rates: ClassVar = Rates(new=1e-4, pretrained=1e-6, adapters=1e-5)
    paper: ClassVar = "Shao et al., DeepSeekMath, 2024"
    example: ClassVar = "arithmetic"

    field_trials: ClassVar = {
        "clip_low": {"updates": 3, "clip_low": 0.0},
        "clip_high": {"updates": 3, "clip_high": 0.0},
        "longest": {"longest": 2},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_reward(self.reward)
        if self.lora_dropout > 0:
            raise ParameterError(
                f"GRPO.lora_dropout must be 0: with dropout another policy would be trained than the one that samples; "
                f"got {self.lora_dropout}."
            )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        # No model of a few steps is ever quite right, and of equal rewards nothing is learned.
        return cls(batch_size=4, group_size=4, longest=8, reward=f"{likeness.__module__}:{likeness.__name__}")

    def ablations(self, data: Data) -> Ablations:
        return {"rewards that differ": (replace(self, reward=None), data)}

    def to_json(self) -> dict[str, Any]:
        # A folder may hold another model tomorrow, and a run with it must not be taken for this one.
        content = content_of(self.reward)
        return super().to_json() | ({"reward_content": content} if content else {})

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        if self.reward is None and not data.has("completion"):
            return (
                "without a reward, answers are compared with completions, and no column has that role. Give a reward, "
                'reward="package.module:function", or name the column: completion="…".'
            )
        return None

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> RolloutLearner:
        return RolloutLearner(
            start, network, data, seed, self.reader(start), self.reward,
            (self.batch_size, self.group_size, self.longest), self.temperature, self.beta > 0,
        )  # fmt: skip

    def draw(self, learner: RolloutLearner, step: int, rng: torch.Generator) -> Batch:
        fresh = step % self.updates == 0
        if fresh:
            rows = learner.pick(learner.positions, self.batch_size, step // self.updates)
            with self.loss_context(learner):
                learner.roll_out(rows, rng)
        # Answers that are worth the same have no advantage, so that without a penalty nothing is learned from them.
        which = torch.ones_like(learner.unequal) if self.beta > 0 else learner.unequal
        return {"rows": which.nonzero()[:, 0], "packed": learner.packed(which), "which": which, "fresh": fresh}

    def micro_batch(self, learner: RolloutLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        which = torch.zeros_like(batch["which"])
        which[batch["rows"][part]] = True
        # The loss of a part is a share already: it is divided by the answers, or tokens, of the whole rollout.
        return 1.0, {"packed": learner.packed(which), "which": which, "fresh": batch["fresh"]}

    def loss(self, learner: RolloutLearner, batch: Batch) -> Loss:
        packed, which = batch["packed"], batch["which"]
        now = learner.log_probabilities(learner.network, packed)
        said = learner.said & which[:, None, None]
        if batch["fresh"]:
            learner.old[said] = now.detach()
        better = advantages(learner.rewards, self.aggregation != "dr_grpo")[which].flatten()[packed.owners]
        high = self.clip_high if self.clip_high is not None else HIGHER if self.aggregation == "dapo" else CLIP
        ratios = (now - learner.old[said]).exp()
        values = surrogate(ratios, better, self.clip_low, high)
        clipped = ((ratios < 1 - self.clip_low) & (better < 0)) | ((ratios > 1 + high) & (better > 0))
        answers, tokens = learner.rewards.numel(), int(learner.said.sum())
        parts = {
            "reward": learner.rewards.mean(),
            "reward_std": learner.rewards.std(1).mean(),
            "length": learner.said.sum() / answers,
            "clipped": clipped.sum() / tokens,
        }
        if self.beta > 0:
            penalty = divergence(now, learner.referred[said])
            values, parts["kl"] = values + self.beta * penalty, penalty.mean()
        return aggregate(values, packed, self.aggregation, self.longest, answers, tokens), parts

    def period(self) -> int:
        return self.updates

    def examples_per_step(self, learner: RolloutLearner) -> float:
        return self.batch_size / self.updates

    def parents(self, learner: RolloutLearner, model: Model | None) -> tuple[Model | Lineage, ...]:
        judge = learner.judge.found
        return (*super().parents(learner, model), *((judge,) if isinstance(judge, Model) else ()))
