"""Methods on rollouts: the network under training answers prompts, and what it said is rewarded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases._reward_names import check_reward, content_of
from manyways.methods.bases._rewards import likeness
from manyways.methods.bases._rollouts import RolloutLearner
from manyways.methods.bases.gradient import Batch, learner_class
from manyways.methods.bases.language import LanguageMethod, Rates
from manyways.methods.fields import Count, Interval, NotNegative, Positive
from manyways.methods.method import Ablations
from manyways.methods.needs import Prompts
from manyways.models.language_model import LanguageModel
from manyways.models.lineage import Lineage
from manyways.models.model import Model

__all__ = ["RolloutLearner", "RolloutMethod", "divergence"]

RolloutT = TypeVar("RolloutT", bound=RolloutLearner)


def divergence(log_probs: Tensor, reference: Tensor) -> Tensor:
    """exp(Δ) − Δ − 1 with Δ = log π_ref − log π of each token: KL(π ‖ π_ref), unbiased and never negative."""
    delta = reference - log_probs
    return delta.exp() - delta - 1


@dataclass(frozen=True, kw_only=True)
class RolloutMethod(LanguageMethod[RolloutT], Generic[RolloutT]):
    """Learns from rewards: samples a group of answers to each prompt, has them rewarded, and takes steps on them.

    The loss is a method's own. A batch has the answers that are learned from, `packed`, which prompts of the rollout
    they are to, `which`, and whether they were sampled for this step, `fresh`. The answers to a prompt share its pass,
    in sampling and in training. Validation rows play no part: what is given as their completion need not be what is
    rewarded.
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
    example: ClassVar = "arithmetic"

    field_trials: ClassVar = {"longest": {"longest": 2}}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_reward(self.reward)
        if self.lora_dropout > 0:
            raise ParameterError(
                f"{type(self).__name__}.lora_dropout must be 0: with dropout another policy would be trained than the "
                f"one that samples; got {self.lora_dropout}."
            )

    def ablations(self, data: Data) -> Ablations:
        return {"rewards that differ": (replace(self, reward=None), data)}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        # No model of a few steps is ever quite right, and of equal rewards nothing is learned.
        return cls(batch_size=4, group_size=4, longest=8, reward=f"{likeness.__module__}:{likeness.__name__}")

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

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> RolloutT:
        learner: RolloutT = learner_class(type(self), RolloutLearner)(
            start, network, data, seed, self.reader(start), self.reward,
            (self.batch_size, self.group_size, self.longest), self.temperature, self.beta > 0,
        )  # fmt: skip
        return learner

    def taught(self, learner: RolloutT) -> Tensor:
        """The prompts of the rollout whose answers are learned from, bool [prompts].

        Here all where there is a penalty; else those with answers of different rewards: of equal ones none is better.
        """
        return torch.ones_like(learner.unequal) if self.beta > 0 else learner.unequal

    def draw(self, learner: RolloutT, step: int, rng: torch.Generator) -> Batch:
        fresh = step % self.updates == 0
        if fresh:
            rows = learner.pick(learner.positions, self.batch_size, step // self.updates)
            with self.loss_context(learner):
                learner.roll_out(rows, rng)
        which = self.taught(learner)
        return {"rows": which.nonzero()[:, 0], "packed": learner.packed(which), "which": which, "fresh": fresh}

    def micro_batch(self, learner: RolloutT, batch: Batch, part: slice) -> tuple[float, Batch]:
        which = torch.zeros_like(batch["which"])
        which[batch["rows"][part]] = True
        # The loss of a part is a share already: it is divided by the answers, or tokens, of the whole rollout.
        return 1.0, {"packed": learner.packed(which), "which": which, "fresh": batch["fresh"]}

    def log_probs(self, learner: RolloutT, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens that are learned from, now and when they were sampled, float32 [tokens]."""
        now = learner.log_probabilities(learner.network, batch["packed"])
        places = self.places(learner, batch)
        if batch["fresh"]:
            learner.old[places] = now.detach()
        return now, learner.old[places]

    def places(self, learner: RolloutT, batch: Batch) -> Tensor:
        """The places of the rollout that hold the tokens of `batch`, bool [prompts, group, longest]."""
        which: Tensor = batch["which"]
        return learner.token_mask & which[:, None, None]

    def outcome(self, learner: RolloutT) -> dict[str, Tensor]:
        """The rewards and the length of the rollout's answers, as parts of the loss to show."""
        return {
            "reward": learner.rewards.mean(),
            "reward_std": learner.rewards.std(1).mean(),
            "length": learner.token_mask.sum() / learner.rewards.numel(),
        }

    def period(self) -> int:
        return self.updates

    def examples_per_step(self, learner: RolloutT) -> float:
        return self.batch_size / self.updates

    def parents(self, learner: RolloutT, model: Model | None) -> tuple[Model | Lineage, ...]:
        judge = learner.judge.resolved
        return (*super().parents(learner, model), *((judge,) if isinstance(judge, Model) else ()))
