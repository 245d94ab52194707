"""Reference policy: the start's log-probability of every answer, computed once."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.methods.bases.language import LanguageLearner
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.packing import Group
from manyways.models.language.scoring import of_each_answer
from manyways.models.language_model import LanguageModel

UNKNOWN = float("nan")


class ReferenceLearner(LanguageLearner):
    """Prompts with their answers, and log p of each by the network as it was before the first step.

    groups: all with the same number of answers. reference: float32 [groups, answers].
    """

    reference: Tensor

    def __init__(
        self, start: LanguageModel, network: nn.Module, data: Data, seed: int, groups: Sequence[Group]
    ) -> None:
        super().__init__(start, network, data, seed)
        self.groups = groups
        self.positions = np.arange(len(groups), dtype=np.int64)
        self.register_buffer("reference", torch.full((len(groups), len(groups[0].answers)), UNKNOWN))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        # Dropout would move the policy away from the reference before it has learned anything; that of adapters does
        # not, for they say nothing at first.
        self.network.eval()
        for name, part in self.network.named_modules():
            if "lora_dropout" in name.split("."):
                part.train(mode)
        return self

    def ask_reference(self, context: Any) -> None:
        """Let the network, which is still the start, judge every answer in `context`, that of the loss."""
        with context:
            said = of_each_answer(self.network, self.groups, self.padding, answer_log_probabilities)
        self.reference.copy_(said.view_as(self.reference))

    def batch(self, rows: Any) -> dict[str, Any]:
        """The groups at `rows` packed, and the reference's log p of their answers, float32 [answers]."""
        reference = self.reference[torch.from_numpy(rows).to(self.reference.device)]
        packed = self.pack([self.groups[row] for row in rows])
        return {"rows": rows, "packed": packed, "reference": reference.flatten()}
