"""Supervised fine-tuning: learn to give the answers that are shown."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageLearner, LanguageMethod, Rates
from manyways.methods.fields import Count
from manyways.methods.needs import Answers
from manyways.models.language.forward import token_log_probabilities
from manyways.models.language.packing import Group
from manyways.models.language_model import LanguageModel


class AnswerLearner(LanguageLearner):
    """The training rows as prompts with their answers."""

    def __init__(self, start: LanguageModel, network: nn.Module, data: Data, seed: int, groups: list[Group]) -> None:
        super().__init__(start, network, data, seed)
        self.groups = groups
        self.positions = np.arange(len(groups), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class SFT(LanguageMethod[AnswerLearner]):
    """Learn to say the answers of the data: completions to prompts, or the assistant's turns of conversations.

    The loss is on the answers only, the mean over all their tokens in the batch. Short rows share a line without seeing
    each other. Instruction tuning is this, on instructions.
    """

    batch_size: Count = 16
    """Rows in a batch."""

    needs: ClassVar = (Answers,)
    gives: ClassVar = frozenset({"generate", "embed"})
    takes: ClassVar = frozenset({"generate"})
    requires_model: ClassVar = True
    rates: ClassVar = Rates(new=2e-4, pretrained=2e-5, adapters=2e-4)
    suggests: ClassVar = ("sft",)
    paper: ClassVar = "Ouyang et al., Training language models to follow instructions, NeurIPS 2022"
    example: ClassVar = "arithmetic"

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> AnswerLearner:
        return AnswerLearner(start, network, data, seed, self.reader(start).answers(data.training))

    def draw(self, learner: AnswerLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.positions, self.batch_size, step)
        return {"rows": rows, "packed": learner.pack([learner.groups[row] for row in rows])}

    def micro_batch(self, learner: AnswerLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        packed = learner.pack([learner.groups[row] for row in batch["rows"][part]])
        return len(packed.targets) / len(batch["packed"].targets), {"packed": packed}

    def loss(self, learner: AnswerLearner, batch: Batch) -> Loss:
        return -token_log_probabilities(learner.network, batch["packed"]).mean(), {}
