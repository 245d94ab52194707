"""Reward models: learn a score of answers from pairs of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageLearner, LanguageMethod, Rates
from manyways.methods.fields import Count
from manyways.methods.needs import Pairs
from manyways.models.language.adapters import has_adapters, merged
from manyways.models.language.architectures import objective_of
from manyways.models.language.packing import Group
from manyways.models.language.scoring import answer_scores, scored, with_scalar_head
from manyways.models.language_model import LanguageModel, from_checkpoint
from manyways.models.model import Model


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """−log σ(r_chosen − r_rejected), the mean over pairs; scores float [pairs] (Bradley & Terry 1952)."""
    return -logsigmoid(chosen - rejected).mean()


class PairLearner(LanguageLearner):
    """Prompts, each with a chosen and a rejected answer."""

    def __init__(
        self, start: LanguageModel, network: nn.Module, data: Data, seed: int, groups: Sequence[Group]
    ) -> None:
        super().__init__(start, network, data, seed)
        self.groups = groups
        self.positions = np.arange(len(groups), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class RewardModel(LanguageMethod[PairLearner]):
    """Learn to score answers, so that the chosen one of each pair scores higher than the rejected one.

    The start's projection to the vocabulary gives way to one number, read off the last token of an answer. The model is
    saved as a sequence classifier of one label, which transformers loads.
    """

    batch_size: Count = 16
    """Pairs in a batch."""

    needs: ClassVar = (Pairs,)
    gives: ClassVar = frozenset({"score"})
    takes: ClassVar = frozenset({"generate", "score"})
    requires_model: ClassVar = True
    rates: ClassVar = Rates(new=1e-4, pretrained=1e-5, adapters=1e-4)
    objective: ClassVar = "reward"
    paper: ClassVar = "Stiennon et al., Learning to summarize from human feedback, NeurIPS 2020"
    example: ClassVar = "arithmetic"

    def start_model(self, data: Data, model: Model | None) -> LanguageModel:
        if model is None and self.checkpoint is not None:
            start = from_checkpoint(self.checkpoint, objective_of(self.checkpoint))
        else:
            start = super().start_model(data, model)
        if start.objective == self.objective:
            return start
        network = merged(start.network) if has_adapters(start.network) else start.network
        headed = with_scalar_head(network, int(start.tokenizer.pad_token_id))
        return replace(start, network=headed, objective=self.objective, base=None)

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> PairLearner:
        groups = scored(self.reader(start).pairs(data.training), int(start.tokenizer.pad_token_id))
        return PairLearner(start, network, data, seed, groups)

    def draw(self, learner: PairLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.positions, self.batch_size, step)
        return {"rows": rows, "packed": learner.pack([learner.groups[row] for row in rows])}

    def micro_batch(self, learner: PairLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        rows = batch["rows"][part]
        return len(rows) / len(batch["rows"]), {"packed": learner.pack([learner.groups[row] for row in rows])}

    def loss(self, learner: PairLearner, batch: Batch) -> Loss:
        scores = answer_scores(learner.network, batch["packed"])
        chosen, rejected = scores[0::2], scores[1::2]
        return bradley_terry_loss(chosen, rejected), {"accuracy": (chosen > rejected).float().mean()}
