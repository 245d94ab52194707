"""Heads of estimators: what a fitted estimator of scikit-learn says of rows, as arrays."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.errors import ModelError
from manyways.models.heads import HEADS, Head

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = "Array | csr_matrix"
"""Features float64 [rows, width], dense or sparse."""

UNSEEN = 30.0
"""By how much, in nats, a class that no labelled row has is less probable than the least probable of the others."""
LEAST = 1e-300
"""Probabilities of 0 count as this where their logarithm is taken."""


class EstimatorHead(Head):
    """The answers of an estimator, float64: the logits of classes, or a number in the label's own unit.

    Attributes:
        codes: The class codes that it learned, int64 [learned]; empty where it says a number.
    """

    codes: Tensor

    def __init__(self, outputs: int, learned: int, **config: Any) -> None:
        super().__init__()
        self.outputs = outputs
        self.config = {"outputs": outputs, "learned": learned, **config}
        self.register_buffer("codes", torch.zeros(learned, dtype=torch.int64))

    @abstractmethod
    def decide(self, features: Matrix) -> Array:
        """Logits [rows, learned], or numbers [rows, 1]."""

    def answers(self, features: Matrix) -> Array:
        """Logits [rows, outputs] of all classes, or numbers [rows, 1]."""
        decided = self.decide(features)
        return self.spread(decided, decided.min(axis=1, keepdims=True) - UNSEEN)

    def probabilities(self, features: Matrix) -> Array:
        """The probability of each class [rows, outputs]."""
        from scipy.special import softmax

        return np.asarray(softmax(self.answers(features), axis=1))

    def spread(self, learned: Array, others: Array | float) -> Array:
        """Numbers [rows, learned] as those of all classes [rows, outputs]; `others` for those that no row had."""
        codes = self.codes.numpy()
        if not len(codes) or len(codes) == self.outputs:
            return learned
        if codes.min() < 0 or codes.max() >= self.outputs:
            raise ModelError(f"The head knows the class {codes.max()} of {self.outputs}; it is damaged.")
        everything = np.empty((len(learned), self.outputs))
        everything[:] = others
        everything[:, codes] = learned
        return everything

    def forward(self, features: Tensor) -> Tensor:
        return torch.from_numpy(self.answers(features.double().numpy()))


class ConstantHead(EstimatorHead):
    """The one class that all labelled rows have: a shard, or a client, may hold no other."""

    name = "constant"

    def __init__(self, outputs: int, learned: int = 1) -> None:
        super().__init__(outputs, learned)

    def decide(self, features: Matrix) -> Array:
        return np.zeros((features.shape[0], 1))


class OneVsRestHead(EstimatorHead):
    """A head for each class that a row may have or not (binary relevance): [rows, classes], logits of their own."""

    name = "one-vs-rest"

    def __init__(self, members: Sequence[EstimatorHead | Mapping[str, Any]]) -> None:
        heads = [each if isinstance(each, EstimatorHead) else _rebuilt(each) for each in members]
        super().__init__(len(heads), 0)
        self.config = {"members": [{"name": head.name, **head.config} for head in heads]}
        self.members = nn.ModuleList(heads)

    def decide(self, features: Matrix) -> Array:
        both = [head.answers(features) for head in self.members if isinstance(head, EstimatorHead)]
        return np.stack([logits[:, 1] - logits[:, 0] for logits in both], axis=1)

    def probabilities(self, features: Matrix) -> Array:
        both = [head.probabilities(features) for head in self.members if isinstance(head, EstimatorHead)]
        return np.stack([shares[:, 1] for shares in both], axis=1)


def _rebuilt(saved: Mapping[str, Any]) -> EstimatorHead:
    head = HEADS.rebuild(saved)
    if not isinstance(head, EstimatorHead):
        raise ModelError(f"A member of one-vs-rest must be the head of an estimator; got {head.name!r}.")
    return head


def put(head: nn.Module, **arrays: NDArray[Any]) -> None:
    """Put `arrays` into the buffers of `head` that are called so."""
    for name, values in arrays.items():
        getattr(head, name).copy_(torch.from_numpy(np.array(values)))


def log(probabilities: Array) -> Array:
    """The logarithm of probabilities, finite where they are 0."""
    return np.asarray(np.log(np.maximum(probabilities, LEAST)))
