"""The decoders that a search and a loss ask: one of this library, or that of a checkpoint."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

StateT = TypeVar("StateT", bound="DecodingState")


@dataclass(eq=False)
class DecodingState(ABC):
    """All that the next step of rows × `beams` sequences depends on."""

    beams: int

    @abstractmethod
    def keep_rows(self, rows: Tensor) -> None:
        """Go on with `rows` alone (positions, int64), each with its beams."""

    @abstractmethod
    def keep_sequences(self, sequences: Tensor) -> None:
        """Let what was written be that of `sequences`, positions among rows × beams, in this order."""


class SequenceDecoder(nn.Module, ABC, Generic[StateT]):
    """A network that says what is written next, given a memory of what was read and what was written so far."""

    width: int
    """Features of a position of the memory."""
    vocabulary: int
    """Tokens that it reads and writes."""

    @abstractmethod
    def logits_after(self, ids: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Logits [rows, positions, vocabulary] of what follows `ids` [rows, positions] up to each position.

        Args:
            ids: Tokens, the first one the start.
            memory: The memory of what was read, [rows, tokens, width].
            mask: True where a row has a token, [rows, tokens]; None: everywhere.
        """

    @abstractmethod
    def losses(
        self, ids: Tensor, memory: Tensor, mask: Tensor | None, labels: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        """The cross-entropy of each of `labels` that is not negative, in one vector: label i follows `ids` up to i."""

    @abstractmethod
    def begin(self, memory: Tensor, mask: Tensor | None, beams: int = 1) -> StateT:
        """The state before the first token."""

    @abstractmethod
    def step(self, ids: Tensor, state: StateT) -> Tensor:
        """Logits [rows, beams, vocabulary] of what follows the tokens `ids` [rows, beams], which the state takes in."""
