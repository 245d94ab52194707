"""Pre-training: say the next token of running text."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import DataError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageLearner, LanguageMethod, Rates
from manyways.methods.bases.sampled import Sampled
from manyways.methods.fields import Count, Interval, NotNegative, refuse_others
from manyways.methods.needs import Text
from manyways.models.language.architectures import new_network
from manyways.models.language.rows import strings, text_columns
from manyways.models.language.tokenizers import make_tokenizer
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model


class StreamLearner(LanguageLearner):
    """The training rows end to end as one stream of tokens."""

    def __init__(self, start: LanguageModel, network: nn.Module, data: Data, seed: int, context: int) -> None:
        super().__init__(start, network, data, seed)
        texts = start.reader().texts(data.training)
        self.stream, self._starts = texts.values, texts.starts
        if len(self.stream) < 2:
            raise DataError(f"{data.name} has {len(self.stream)} tokens to read; two are the least to learn from.")
        self.context = min(context, len(self.stream) - 1)
        self.windows = np.arange(max(1, (len(self.stream) - 1) // self.context), dtype=np.int64)

    @property
    def count(self) -> int:
        return len(self.windows)

    @property
    def row_of(self) -> RowNumbers:
        """The row of the first token of each window."""
        rows: RowNumbers = np.searchsorted(self._starts, self.windows * self.context, side="right") - 1
        return rows

    def words(self) -> list[list[int]]:
        return [self.stream[at * self.context : (at + 1) * self.context].tolist() for at in self.windows]

    def values_of(self, column: str) -> NDArray[Any]:
        """The mean of the numbers of the rows in each window; of other values that of the first."""
        values = self.data.training.take(column)
        if values.dtype.kind not in "iufb":
            return super().values_of(column)
        last = np.searchsorted(self._starts, (self.windows + 1) * self.context, side="left")
        return np.array([values[row:end].mean() for row, end in zip(self.row_of, last, strict=True)])


@dataclass(frozen=True, kw_only=True)
class Pretrain(LanguageMethod[StreamLearner], Sampled[StreamLearner]):
    """Learn to say the next token of running text, from nothing or, as domain adaptation, from a language model.

    A new model is a small Llama; `size` is the dial from which its shape follows. Rows are read end to end in windows
    of `context` tokens, each about once in an epoch, at offsets that change.
    """

    tokenizer: Literal["words", "bytes", "characters"] = "words"
    """Tokens of a new model: byte-pair words trained on the text, bytes, or characters."""
    vocabulary: Annotated[int, Interval("[300, 100000]")] = 4096
    """Tokens that byte-pair encoding is trained to."""
    context: Annotated[int, Interval("[8, 8192]")] = 256
    """Tokens of a window, and the most that a new model reads."""
    size: Annotated[float, Interval("(0, 64]")] = 1.0
    """Multiplies the width of a new model; its depth grows with the root."""
    batch_size: Count = 16
    """Windows in a batch."""
    weight_decay: NotNegative = 0.1
    """Decoupled weight decay of the matrices."""

    needs: ClassVar = (Text,)
    gives: ClassVar = frozenset({"generate", "embed"})
    takes: ClassVar = frozenset({"generate"})
    rates: ClassVar = Rates(new=2e-3, pretrained=1e-4, adapters=3e-4)
    suggests: ClassVar = ("pretrain",)
    paper: ClassVar = "Radford et al., Improving language understanding by generative pre-training (2018)"
    example: ClassVar = "arithmetic"

    field_trials: ClassVar = {
        "vocabulary": {"tokenizer": "words", "vocabulary": 300},
        "too_long": {},
        **dict.fromkeys(("lora_alpha", "lora_dropout", "lora_modules"), "A trial starts from nothing to adapt."),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_others(self, too_long="is of methods whose rows are read whole, and running text is read in windows")

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(tokenizer="characters", context=32, size=0.2, batch_size=4)

    def start_model(self, data: Data, model: Model | None) -> LanguageModel:
        columns = text_columns(data)
        if model is not None or self.checkpoint is not None:
            return replace(super().start_model(data, model), columns=columns)
        return new_model(self, data, self.objective)

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> StreamLearner:
        learner = StreamLearner(start, network, data, seed, min(self.context, start.context))
        self.put_sampler(learner)
        return learner

    def draw(self, learner: StreamLearner, step: int, rng: torch.Generator) -> Batch:
        starts = learner.pick(learner.windows, self.batch_size, step) * learner.context
        last = len(learner.stream) - learner.context - 1
        shifts = torch.randint(learner.context, (self.batch_size,), generator=rng).numpy()
        places = np.minimum(starts + shifts, last)[:, None] + np.arange(learner.context + 1)
        ids = torch.from_numpy(np.asarray(learner.stream[places.ravel()], np.int64)).view(places.shape)
        return {"rows": starts, "ids": ids.to(learner.device)}

    def micro_batch(self, learner: StreamLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        ids = batch["ids"][part]
        return len(ids) / len(batch["ids"]), {"ids": ids}

    def loss(self, learner: StreamLearner, batch: Batch) -> Loss:
        return next_token_loss(learner.network, batch["ids"]), {}


def new_model(method: Any, data: Data, objective: str) -> LanguageModel:
    """An untrained model for the text of `data`, with a tokenizer made from its training rows."""
    columns, training = text_columns(data), data.training
    texts = [text for name in columns for text in strings(training, name, np.arange(len(training)))]
    tokenizer = make_tokenizer(method.tokenizer, texts, method.vocabulary)
    network = new_network(objective, tokenizer, method.context, method.size)
    return LanguageModel(network=network, tokenizer=tokenizer, objective=objective, columns=columns)


def next_token_loss(network: Any, ids: torch.Tensor) -> torch.Tensor:
    """Mean nats of each token given those before it; ids int64 [rows, tokens]."""
    logits = network(input_ids=ids[:, :-1], use_cache=False).logits
    return cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
