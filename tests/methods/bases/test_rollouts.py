"""Siblings of GRPO in a few lines each: the loss on a rollout is theirs, the rest is the base's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rollouts import RolloutLearner, RolloutMethod
from manyways.methods.fields import Positive
from manyways.models.language.packing import per_answer
from manyways.models.language_model import LanguageModel
from manyways.randomness import generator


@dataclass(frozen=True, kw_only=True)
class RLOO(RolloutMethod[RolloutLearner]):
    """REINFORCE with the mean of the other answers as the baseline (Ahmadian et al., ACL 2024)."""

    def loss(self, learner: RolloutLearner, batch: Batch) -> Loss:
        now, _ = self.log_probs(learner, batch)
        rewards, group = learner.rewards, learner.rewards.shape[1]
        better = (rewards - (rewards.sum(1, keepdim=True) - rewards) / (group - 1))[batch["which"]].flatten()
        return -(better * per_answer(now, batch["packed"])).sum() / rewards.numel(), self.outcome(learner)


@dataclass(frozen=True, kw_only=True)
class OnlineDPO(RolloutMethod[RolloutLearner]):
    """DPO on the best and the worst of the answers that were just sampled (Guo et al. 2024)."""

    beta: Positive = 0.5

    def loss(self, learner: RolloutLearner, batch: Batch) -> Loss:
        now, _ = self.log_probs(learner, batch)
        ratios = per_answer(now - learner.referred[self.places(learner, batch)], batch["packed"])
        ratios, rewards = ratios.view(-1, self.group_size), learner.rewards[batch["which"]]
        best, worst = (ratios.gather(1, at[:, None]) for at in (rewards.argmax(1), rewards.argmin(1)))
        return -logsigmoid(self.beta * (best - worst)).mean(), self.outcome(learner)


def sevens(completions: Sequence[str]) -> list[float]:
    """How much of each completion is the digit 7."""
    return [said.count("7") / max(1, len(said)) for said in completions]


@pytest.fixture(scope="module")
def sums() -> Data:
    return mw.read("arithmetic").select(np.arange(240))


@pytest.fixture(scope="module")
def reader(sums: Data) -> LanguageModel:
    """A small model that has read sums for a moment."""
    model = mw.Pretrain(tokenizer="characters", context=32, size=0.2, batch_size=8).fit(sums, budget=30)
    assert isinstance(model, LanguageModel)
    return model


SMALL = {"batch_size": 4, "group_size": 4, "longest": 6, "reward": sevens}


def test_the_gradient_of_rloo_is_that_of_reinforce(sums: Data, reader: LanguageModel) -> None:
    """Answer by answer, each alone, with the mean of the three others taken off its reward."""
    method = RLOO(**SMALL)
    learner = method.begin(sums, reader, 0)
    learner.train()
    batch = method.draw(learner, 0, generator(1))
    weights = list(learner.network.parameters())
    ours = torch.autograd.grad(method.loss(learner, batch)[0], weights)
    total = torch.zeros(())
    for row, answers, rewards in zip(learner.prompt_rows.tolist(), learner.tokens, learner.rewards, strict=True):
        for at, answer in enumerate(answers):
            ids = [token for token in answer.tolist() if token >= 0]
            prompt = learner.prompts[row]
            logits = learner.network(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
            said = logits.log_softmax(1).gather(1, torch.tensor(ids)[:, None]).sum()
            others = [float(reward) for place, reward in enumerate(rewards) if place != at]
            total = total - (float(rewards[at]) - sum(others) / 3) * said / 16
    for one, two in zip(ours, torch.autograd.grad(total, weights), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", [RLOO(**SMALL), OnlineDPO(**SMALL), RLOO(**SMALL, updates=2)], ids=str)
def test_what_is_rewarded_is_said_more_often(
    method: RolloutMethod[RolloutLearner], sums: Data, reader: LanguageModel
) -> None:
    seen: list[float] = []
    run = mw.Run(listeners=[lambda event: seen.append(event.values["reward"]) if "reward" in event.values else None])
    replace(method, learning_rate=3e-3).fit(sums, reader, budget=60, run=run)
    assert seen[-1] > seen[0] + 0.2


@pytest.mark.quick
def test_a_sibling_is_checked_as_the_base_is() -> None:
    with pytest.raises(ParameterError, match=r"RLOO\.lora_dropout must be 0"):
        RLOO(lora=2, lora_dropout=0.1)
    with pytest.raises(ParameterError, match="is no such name, nor a folder"):
        RLOO(reward="sevens")
