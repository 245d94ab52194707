"""Gradient methods over language models: what they share."""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import ParameterError
from manyways.methods.bases.adapting import Adapting
from manyways.methods.bases.gradient import Batch, GradientMethod
from manyways.methods.fields import Count, Positive
from manyways.methods.method import Method
from manyways.models.language.adapters import has_adapters, merged
from manyways.models.language.attention import use_own_attention
from manyways.models.language.checkpointing import gradient_checkpointing
from manyways.models.language.forward import plain
from manyways.models.language.packing import Group, Packed, pack
from manyways.models.language.probe import packs
from manyways.models.language.rows import Reader, TooLong
from manyways.models.language_model import LanguageModel, from_checkpoint
from manyways.models.lineage import NO_LINEAGE, Lineage
from manyways.models.model import Model
from manyways.training.learner import Learner
from manyways.training.loop import autocast
from manyways.training.steps import ParameterGroup


@dataclass(frozen=True)
class Rates:
    """The highest learning rates of a model that began here, of all of a pretrained one, and of adapters beside it."""

    new: float
    pretrained: float
    adapters: float


class LanguageLearner(Learner):
    """A learner of tokens: the network, its tokenizer, and the training rows as tokens.

    A method keeps its rows as tokens in a subclass or in `rows`; they are not state.
    """

    def __init__(self, start: LanguageModel, network: nn.Module, data: Data, seed: int) -> None:
        super().__init__(network, data, seed)
        self.start = start
        self.tokenizer: Any = start.tokenizer
        self.leave_out_frozen()

    @property
    def row_of(self) -> RowNumbers:
        """The training row of each position that is drawn."""
        return np.arange(self.count)

    def values_of(self, column: str) -> NDArray[Any]:
        values: NDArray[Any] = self.data.training.take(column)[self.row_of]
        return values

    @property
    def padding(self) -> int:
        """The token that fills lines up."""
        return int(self.tokenizer.pad_token_id)

    def pack(self, groups: Sequence[Group]) -> Packed:
        """`groups` as one batch on the network's device, laid out as the network can read them."""
        return pack(groups, self.padding, packs(self.network)).to(self.device)


LanguageLearnerT = TypeVar("LanguageLearnerT", bound=LanguageLearner)


@dataclass(frozen=True, kw_only=True)
class LanguageMethod(Adapting, GradientMethod[LanguageLearnerT], Generic[LanguageLearnerT]):
    """A gradient method that trains a transformers network; it starts from a model before it or from a checkpoint."""

    checkpoint: str | None = None
    """Folder, .gguf file or Hub name of the language model to start from; None: the model before in the chain."""
    too_long: TooLong = "refuse"
    """Treatment of rows longer than the model's context: refuse all, cut the prompt's beginning, or skip them."""

    learning_rate: Positive | None = None  # type: ignore[assignment]  # only its default depends on the start
    """The highest learning rate of AdamW, reached after the warm-up; None: one that suits where training starts."""
    micro_batch_size: Count | None = None
    """Rows that go through the network at once; gradients add up over the batch. None: all of a batch at once."""
    gradient_checkpointing: bool = False
    """Compute layers again in the backward pass rather than keep them: less memory, about a third more time."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights; bfloat16 halves what frozen ones take, and needs lora: small updates would be lost in it."""

    field_trials: ClassVar = {
        "checkpoint": {"checkpoint": "no-such-folder"},
        "too_long": "No row of a trial is longer than the context.",
        "gradient_checkpointing": "It saves memory, and changes nothing else.",
    }
    objective: ClassVar[str] = "causal"
    """The objective of the network: causal, the next token; masked, hidden ones."""
    rates: ClassVar[Rates]
    """The highest learning rates by default."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype == "bfloat16" and self.lora is None:
            raise ParameterError(
                f"{type(self).__name__}.dtype must be 'float32' where all weights learn, whose updates are mostly too "
                "small for bfloat16; got 'bfloat16'. Let adapters learn, lora=8, or compute alone in it, "
                'precision="bfloat16".'
            )

    def needs_start(self) -> bool:
        # Adapters stand beside weights that have learned something.
        return (self.requires_model or self.lora is not None) and self.checkpoint is None

    def from_scratch(self) -> bool:
        return not self.needs_start() and self.checkpoint is None

    def at_a_checkpoint(self) -> Method | None:
        return replace(self, checkpoint="FOLDER")

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=4)

    def begin(self, data: Data, model: Model | None, seed: int) -> LanguageLearnerT:
        start = self.start_model(data, model)
        if has_adapters(start.network):
            network = merged(start.network)
        elif model is None:  # nobody else has it
            network = start.network
        else:
            network = copy_of(start.network)
        for parameter in network.requires_grad_(True).parameters():  # buffers hold frequencies, which need their digits
            parameter.data = parameter.data.to(getattr(torch, self.dtype))
        use_own_attention(plain(network))
        return self.make_learner(data, start, self.with_adapters(network, self.objective), seed)

    @abstractmethod
    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> LanguageLearnerT:
        """The learner, with the rows of `data` as tokens. `network` is a copy of `start`'s, to be trained."""

    def start_model(self, data: Data, model: Model | None) -> LanguageModel:
        """The language model to start from.

        Raises:
            ParameterError: Both `model` and `checkpoint` are given.
        """
        if model is not None and self.checkpoint is not None:
            raise ParameterError(
                f"{self.method_name()} starts from the model before it, so checkpoint must be None; got "
                f"{self.checkpoint!r}. Leave one of the two out."
            )
        if isinstance(model, LanguageModel):
            return model
        assert self.checkpoint is not None
        return from_checkpoint(self.checkpoint, self.objective, getattr(torch, self.dtype))

    def reader(self, start: LanguageModel) -> Reader:
        """The reader that turns rows into tokens."""
        return start.reader(self.too_long)

    def make_model(self, learner: LanguageLearnerT) -> Model:
        start, network = learner.start, learner.network
        beside_start = has_adapters(network) and not has_adapters(start.network)
        return LanguageModel(
            network=network, tokenizer=start.tokenizer, objective=self.objective, columns=start.columns,
            base=start.base if beside_start else None,
        )  # fmt: skip

    def parents(self, learner: LanguageLearnerT, model: Model | None) -> tuple[Model | Lineage, ...]:
        start = learner.start  # the model before, a checkpoint, or a network that nothing has been taught yet
        return (start,) if start.lineage is not NO_LINEAGE else ()

    def parameter_groups(self, learner: LanguageLearnerT) -> list[ParameterGroup]:
        return [ParameterGroup(list(learner.network.parameters()), self.highest_rate(learner))]

    def highest_rate(self, learner: LanguageLearnerT) -> float:
        """The learning rate that is reached after the warm-up: by default one that suits where training starts."""
        if self.learning_rate is not None:
            return self.learning_rate
        pretrained = any(stage.method.get("name") == "checkpoint" for stage in learner.start.lineage.stages())
        if not pretrained:
            return self.rates.new
        return self.rates.pretrained if self.lora is None else self.rates.adapters

    def facts(self, learner: LanguageLearnerT, steps: int) -> dict[str, Any]:
        return {} if self.learning_rate is not None else {"learning_rate": self.highest_rate(learner)}

    def loss_context(self, learner: LanguageLearnerT) -> AbstractContextManager[Any]:
        """The context of the loss."""
        context = ExitStack()
        context.enter_context(autocast(self.dtype if self.dtype != "float32" else self.precision, learner.device))
        if self.gradient_checkpointing:
            context.enter_context(gradient_checkpointing(learner.network))
        return context

    def gradients(self, learner: LanguageLearnerT, batch: Batch) -> dict[str, Tensor]:
        """As of any method, micro-batch after micro-batch: their gradients add up to those of the batch."""
        micro_batches = self.micro_batches(learner, batch)
        shares = sum(share for share, _ in micro_batches)
        whole: dict[str, Tensor] = {}
        for share, micro_batch in micro_batches:
            with self.loss_context(learner):
                loss, parts = self.loss(learner, micro_batch)
            (loss if share == 1 else share * loss).backward()  # type: ignore[no-untyped-call]
            for name, part in {"loss": loss * shares, **parts}.items():
                whole[name] = whole.get(name, 0) + share / shares * part.detach()
        return whole

    def micro_batches(self, learner: LanguageLearnerT, batch: Batch) -> Sequence[tuple[float, Batch]]:
        """The parts in which `batch` goes through the network, each with its share of the loss."""
        rows, size = len(batch["rows"]), self.micro_batch_size
        if size is None or rows <= size:
            return [(1.0, batch)]
        return [self.micro_batch(learner, batch, slice(at, at + size)) for at in range(0, rows, size)]

    @abstractmethod
    def micro_batch(self, learner: LanguageLearnerT, batch: Batch, part: slice) -> tuple[float, Batch]:
        """The share of the loss of the rows at `part` of `batch`, and the batch of them alone."""


def copy_of(network: nn.Module) -> nn.Module:
    """A copy to train: a model itself never changes."""
    import copy

    return copy.deepcopy(network).requires_grad_(True)
