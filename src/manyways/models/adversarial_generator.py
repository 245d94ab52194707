"""AdversarialGenerator: draws rows, and says nothing of how probable they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.targets import Target
from manyways.errors import ModelError, ParameterError
from manyways.models.generative.adversaries import GeneratorNetwork
from manyways.models.generator import Generator, checked, described, in_pieces
from manyways.models.lineage import Lineage
from manyways.models.rebuilding import filled
from manyways.models.weights import write_weights

if TYPE_CHECKING:
    from manyways.data.read import Source


@dataclass(frozen=True, eq=False, kw_only=True)
class AdversarialGenerator(Generator):
    """The generator of a generative adversarial network: it gives sample.

    Attributes:
        condition: The classes that it can be asked for; None where it was not told any.
    """

    kind: ClassVar[str] = "adversarial-generator"
    network: GeneratorNetwork = field(repr=False)
    condition: Target | None = None

    def sample(self, count: int, *, seed: int = 0, label: Any = None) -> Data:
        """`count` rows drawn from the model, as data with the columns that it learned from.

        label: the class of all of them, for a model that was told classes; by default each has one, which is drawn as
        frequently as in training, and given with it. Numbers stay within those of the training rows. The same seed
        draws the same rows.

        Raises:
            ParameterError: A class is none of those that it learned from.
        """
        rng = checked(count, seed)
        classes = self._classes(count, label, rng)
        latent = torch.randn(count, self.network.latent, generator=rng)
        parts = []
        with torch.inference_mode():
            for piece in in_pieces(count):
                of_class = None if classes is None else classes[piece].to(self.device)
                parts.append(self.network.encoded(self.network(latent[piece].to(self.device), of_class)))
        if classes is None or self.condition is None:
            return self.as_rows(parts, "drawn")
        labels = Column(self.condition.name, "category", self.condition.decode(classes.numpy()))
        return self.as_rows(parts, "drawn", labels)

    def _classes(self, count: int, label: Any, rng: torch.Generator) -> Tensor | None:
        if self.condition is None:
            if label is not None:
                raise ParameterError(
                    f"{self.lineage.title} was not told classes, so none can be asked for; got label={label!r}. Learn "
                    "with them: gan(conditional=True)."
                )
            return None
        if label is None:
            return torch.multinomial(self.network.shares.cpu(), count, replacement=True, generator=rng)
        if label not in self.condition.classes:
            known = ", ".join(map(repr, self.condition.classes[:10]))
            raise ParameterError(f"label must be one of {known}; got {label!r}.")
        return torch.full((count,), self.condition.classes.index(label))

    @property
    def metric(self) -> str | None:
        return None

    def evaluate(self, source: "Source") -> dict[str, float]:
        raise ModelError(
            f"{self.lineage.title} draws rows and says nothing of how probable they are, so that it has no score of "
            "its own. Hold what it draws against real rows: manyways compare DATA --metric frechet_distance."
        )

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {
            "network": self.network.config(),
            "inputs": self.inputs.to_json(),
            "units": self.units.to_json(),
            "condition": self.condition.to_json() if self.condition else None,
        }

    @classmethod
    def read(
        cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage
    ) -> "AdversarialGenerator":
        network = filled(lambda: GeneratorNetwork.rebuild(saved["network"]), folder)
        condition = Target.from_json(saved["condition"]) if saved["condition"] else None
        return cls(network=network, **described(saved), condition=condition, gives=gives, lineage=lineage)


def frequencies(codes: "np.ndarray[Any, Any]", classes: int) -> Tensor:
    """Frequency of each of `classes` among class codes, [classes]."""
    return torch.from_numpy(np.bincount(codes, minlength=classes) / len(codes)).float()
