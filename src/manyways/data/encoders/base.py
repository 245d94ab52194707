"""Encoder: one or several columns as one tensor."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.specs import Spec
from manyways.data.storage import RowNumbers, Rows
from manyways.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Writing:
    """The tokens at the ends of what a sequence-to-sequence checkpoint writes.

    Attributes:
        start: What its decoder reads first.
        end: The token behind the last one.
        never: Tokens that it never writes.
        first: Tokens that every text begins with.
    """

    start: int
    end: int
    never: tuple[int, ...] = ()
    first: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class CheckpointTokenizer:
    """The tokenizer of a checkpoint.

    Attributes:
        tokenizer: It, without padding or truncation of its own.
        limit: The longest text that the checkpoint reads, in tokens.
        padding: The token that rows are padded with.
        mask: The token that stands for what is hidden.
        length: The number of tokens that every text is cut or padded to; None: as the training rows have it.
        writing: The tokens at the ends of what the checkpoint writes; None where it has no decoder.
    """

    tokenizer: "Tokenizer"
    limit: int
    padding: int
    mask: int
    length: int | None = None
    writing: Writing | None = None


class Encoder(ABC):
    """Encoding of one or several columns of a table as one tensor."""

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "Encoder":
        """The encoder of `columns` of one modality, fitted on `rows`.

        Args:
            columns: Numbers and categories together, or a column of another kind alone.
            rows: Those that may be learned from.
            known: The tokenizer of a checkpoint, for texts.
            plain: Learn only which categories occur: numbers stay as they are, words are hashed.
        """

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are encoded."""

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """The shape and kind of what `encode` gives."""

    @abstractmethod
    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[Any]:
        """The encoded `rows`, first axis rows."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs to make this encoder again."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Encoder":
        """The encoder that `to_json` wrote."""

    def decode(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """The values of each column that `encode` gives `values` for, or the nearest there are."""
        raise DataError(f"What is encoded of {self.kind} cannot be turned back into it.")

    @property
    def shared(self) -> dict[str, str]:
        """The columns whose values share features as they are too many, and how."""
        return {}

    def already_encoded(self, columns: list[Column]) -> bool:
        """True if the column's own values are what `encode` would give, so that nothing need be stored."""
        return False

    def store(self, columns: list[Column]) -> Rows | None:
        """All rows of `columns`, encoded, where the encoder has a denser way to keep them than an array; else None."""
        return None

    def key(self) -> str:
        """A hash of everything that decides what `encode` gives."""
        return hashlib.blake2b(json.dumps(self.to_json()).encode(), digest_size=16).hexdigest()
