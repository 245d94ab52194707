"""Masked language modelling: fill in hidden tokens."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from manyways.data.data import Data
from manyways.data.ragged import Ragged
from manyways.errors import DataError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageLearner, LanguageMethod, Rates
from manyways.methods.bases.sampled import Sampled
from manyways.methods.fields import Count, Interval, NotNegative, refuse_others
from manyways.methods.language.pretrain import new_model
from manyways.methods.needs import Text
from manyways.models.language.masking import Hidden, fill_in_loss, hide_tokens, padded
from manyways.models.language.rows import text_columns
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model


class TextLearner(LanguageLearner):
    """The training rows as texts, each by itself."""

    def __init__(self, start: LanguageModel, network: nn.Module, data: Data, seed: int) -> None:
        super().__init__(start, network, data, seed)
        reader = start.reader()
        self.rows: Ragged = reader.texts(data.training)
        self.positions = np.flatnonzero(self.rows.lengths > len(reader.prefix) + len(reader.suffix))
        if not len(self.positions):
            raise DataError(f"{data.name} has no text to learn from: all {len(self.rows)} training rows are empty.")

    @property
    def count(self) -> int:
        return len(self.rows)

    def lengths(self) -> list[NDArray[np.int64]]:
        return [self.rows.lengths]

    def words(self) -> list[list[int]]:
        return [self.rows[row].tolist() for row in range(len(self.rows))]


@dataclass(frozen=True, kw_only=True)
class MaskedLM(LanguageMethod[TextLearner], Sampled[TextLearner]):
    """Learn to fill in hidden tokens, from nothing or from a masked language model: features for what follows.

    Of the tokens that are hidden, 80% become a mask, 10% any other token, and 10% stay as they are.
    """

    tokenizer: Literal["words", "bytes", "characters"] = "words"
    """Tokens of a new model: byte-pair words trained on the text, bytes, or characters."""
    vocabulary: Annotated[int, Interval("[300, 100000]")] = 4096
    """Tokens that byte-pair encoding is trained to."""
    context: Annotated[int, Interval("[8, 8192]")] = 128
    """The most tokens of a text that a new model reads; what follows is cut."""
    size: Annotated[float, Interval("(0, 64]")] = 0.5
    """Multiplies the width of a new model; its depth grows with the root."""
    share: Annotated[float, Interval("(0, 1)")] = 0.15
    """Share of the tokens that are hidden."""
    batch_size: Count = 32
    """Texts in a batch."""
    weight_decay: NotNegative = 0.1
    """Decoupled weight decay of the matrices."""

    needs: ClassVar = (Text,)
    gives: ClassVar = frozenset({"fill", "embed"})
    takes: ClassVar = frozenset({"fill"})
    objective: ClassVar = "masked"
    rates: ClassVar = Rates(new=2e-3, pretrained=1e-4, adapters=3e-4)
    suggests: ClassVar = ("masked_lm >> fine_tune",)
    paper: ClassVar = "Devlin et al., BERT, NAACL 2019"
    example: ClassVar = "arithmetic"

    field_trials: ClassVar = {
        "vocabulary": {"tokenizer": "words", "vocabulary": 300},
        "too_long": {},
        **dict.fromkeys(("lora_alpha", "lora_dropout", "lora_modules"), "A trial starts from nothing to adapt."),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_others(
            self,
            too_long="is of methods that read rows whole, and here the end of a long text is cut",
        )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(tokenizer="characters", context=32, size=0.2, batch_size=4)

    def start_model(self, data: Data, model: Model | None) -> LanguageModel:
        if model is not None or self.checkpoint is not None:
            return replace(super().start_model(data, model), columns=text_columns(data))
        return new_model(self, data, self.objective)

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> TextLearner:
        learner = TextLearner(start, network, data, seed)
        self.put_sampler(learner)
        return learner

    def draw(self, learner: TextLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.positions, self.batch_size, step)
        whole = padded([learner.rows[row] for row in rows], learner.start.context, learner.tokenizer)
        return {"rows": rows, "hidden": hide_tokens(whole, learner.tokenizer, rng, self.share).to(learner.device)}

    def micro_batch(self, learner: TextLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        hidden: Hidden = batch["hidden"][part]
        return len(hidden.targets) / len(batch["hidden"].targets), {"hidden": hidden}

    def loss(self, learner: TextLearner, batch: Batch) -> Loss:
        hidden: Hidden = batch["hidden"]
        return fill_in_loss(learner.network, hidden, learner.tokenizer).mean(), {}
