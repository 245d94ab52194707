"""Heads: from features to outputs."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from manyways.data.targets.structured import StructuredTarget
from manyways.errors import ModelError
from manyways.registry import Classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from manyways.data.targets.base import Outputs, Target
    from manyways.models.backbones.tokens import Tokens
    from manyways.models.network import Network


class Head(nn.Module):
    """Features [rows, width] to outputs [rows, outputs]: logits of classes, or standardised numbers.

    A subclass has a `name`, found in `HEADS`, and a `config` of JSON values that its constructor takes.
    """

    name: ClassVar[str]
    config: dict[str, Any]
    width: int = 0
    """Features that it takes, where it can go on learning; 0 for a head that is fitted once."""
    reads_tokens: ClassVar[bool] = False
    """True if it reads the tokens of each input (`from_tokens`) in place of their pooled features."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """The outputs for `features`."""

    def from_tokens(self, tokens: "Mapping[str, Tokens]") -> "Outputs":
        """Return the outputs [rows, outputs] for the tokens of each input, where it `reads_tokens`."""
        raise NotImplementedError

    @property
    def pretrained(self) -> bool:
        """True if it holds weights of a pretrained checkpoint, which learn more slowly."""
        return False

    @classmethod
    def taken_from(cls, network: "Network") -> Self:
        """Take the head off `network` and return it.

        Raises:
            ModelError: It is of another kind.
        """
        head = network.head
        if not isinstance(head, cls):
            raise ModelError(f"The head of the model must be a {cls.__name__}; got {type(head).__name__}.")
        network.head = None
        return head

    @property
    def last(self) -> nn.Linear | None:
        """The layer that makes the outputs, a row of weights for each; None where they are made otherwise."""
        return None


HEADS: Classes[Head] = Classes("heads", Head, "manyways.models.heads", "manyways.models", "manyways.methods")
"""Every head by its name: those of this file, of models, of methods' files, and of the group `manyways.heads`."""


class StructuredHead(Head):
    """Tokens to what a label with a structure is predicted from: see `manyways.data.targets.structured`."""

    reads_tokens = True

    @classmethod
    @abstractmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        """A new head for `target` on the tokens of `network`.

        Raises:
            DataError: The inputs of the network have no tokens from which such a label is predicted.
        """

    def tie(self, network: "Network") -> None:
        """Share tensors with `network`, which has this head now: embeddings, where both read the same tokens."""

    def fits(self, network: "Network") -> bool:
        """True if it can go on learning from the tokens of `network`."""
        return self.width == network.token_width

    @abstractmethod
    def from_tokens(self, tokens: "Mapping[str, Tokens]") -> "Outputs":
        """The outputs for the tokens of each input, as the target of its kind defines them."""

    def forward(self, features: Tensor) -> Tensor:
        raise ModelError(f"The head {self.name!r} reads tokens, not features of whole rows.")


def new_head(network: "Network", target: "Target") -> Head:
    """A new head for `target` on the features, or the tokens, of `network`."""
    kind = HEADS.find(target.head)
    if isinstance(target, StructuredTarget) and issubclass(kind, StructuredHead):
        return kind.made_for(network, target)
    make: Callable[[int, int], Head] = kind
    return make(network.width_for(kind), target.width)


class LinearHead(Head):
    """One affine map."""

    name = "linear"

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.config = {"width": width, "outputs": outputs}
        self.width = width
        self.linear = nn.Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.linear(features)
        return outputs

    @property
    def last(self) -> nn.Linear:
        return self.linear


class NormalisedHead(Head):
    """One affine map, zero at first, of features by their own mean and deviation (layer normalisation, Ba et al. 2016).

    After a step of gradient descent from zero an output is a dot product with the features of the examples. Of features
    that are equally long the greatest is the nearest one; otherwise the longest features win.
    """

    name = "normalised"

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.config = {"width": width, "outputs": outputs}
        self.width = width
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.norm(features))
        return outputs

    @property
    def last(self) -> nn.Linear:
        return self.linear


class JointHead(Head):
    """A perceptron over the features of all inputs, so that what one means may depend on the others."""

    name = "joint"

    def __init__(self, width: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.config = {"width": width, "hidden": hidden, "outputs": outputs, "dropout": dropout}
        self.width = width
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.layers(features)
        return outputs

    @property
    def last(self) -> nn.Linear:
        layer = self.layers[-1]
        assert isinstance(layer, nn.Linear)
        return layer


class SimilarityHead(Head):
    """Similarity of features, projected to vectors of length 1, to the vector of each class, times a scale."""

    name = "similarity"
    projection: Tensor
    vectors: Tensor
    scale: Tensor

    def __init__(self, width: int, vector: int, classes: int) -> None:
        super().__init__()
        self.config = {"width": width, "vector": vector, "classes": classes}
        self.register_buffer("projection", torch.zeros(vector, width))
        self.register_buffer("vectors", torch.zeros(classes, vector))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * normalize((features @ self.projection.T).float(), dim=1) @ self.vectors.T
