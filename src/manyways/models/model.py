"""Model: what was learned, what it can do, and which rows shaped it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from torch import nn

from manyways.data.targets import Target
from manyways.errors import ModelError, did_you_mean
from manyways.models.abilities import ABILITIES, ability_of
from manyways.models.evaluation import Evaluation
from manyways.models.lineage import NO_LINEAGE, Lineage
from manyways.registry import Classes

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.encoding import InputEncoding
    from manyways.data.read import Source
    from manyways.models.predictor import Predictor


class LacksAbilityError(ModelError, AttributeError):
    """A model cannot do what is asked: it has no such verb."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(ABC):
    """A fitted network and all that is needed to use it on data it has not seen.

    `gives` says what it can do: each kind of model (`Predictor`, `LanguageModel`, …) is a file in `models/` and has the
    verbs of its abilities (`models/abilities`: `Predicts`, `Embeds`, `Generates`, …). Others are refused by a
    ModelError that names a method whose models have them.
    """

    kind: ClassVar[str]
    """The name of this kind of model in the description of a saved one."""
    network: nn.Module = field(repr=False)
    target: Target | None = None
    """The target that its outputs are for, where it predicts a label."""
    gives: frozenset[str] = frozenset()
    lineage: Lineage = NO_LINEAGE

    @property
    def parameters(self) -> int:
        """The number of parameters of the network: weights and fitted buffers."""
        return sum(tensor.numel() for tensor in self.network.state_dict().values())

    @property
    @abstractmethod
    def metric(self) -> str | None:
        """The score of `evaluate` that says how good it is; None where it cannot be scored."""

    def metric_on(self, data: "Data") -> str | None:
        """The score that says how good it is on `data`: by its roles, where one kind of model has several."""
        return self.metric

    @abstractmethod
    def evaluate(self, source: "Source") -> dict[str, float]:
        """Scores on `source` by name (`manyways.metrics`).

        Args:
            source: A `Data`, or anything that `manyways.read` reads.

        Raises:
            DataError: The rows lack what the scores need, such as labels.
            ModelError: The model cannot be scored.
        """

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        """The scores of `evaluate`, and what each row contributes to `metric`, as far as the model can tell.

        Raises as `evaluate`.
        """
        return Evaluation(self.evaluate(source))

    @abstractmethod
    def write(self, folder: Path) -> dict[str, Any]:
        """Write the network into `folder`, and return what `read` needs besides, as JSON values."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Model":
        """The model that `write` wrote.

        Raises:
            ModelError: The description fits neither itself nor the weights.
        """

    @property
    def facts(self) -> dict[str, Any]:
        """Facts that it states of itself in its lineage, as JSON values."""
        return {}

    @property
    def roles_read(self) -> dict[str, str]:
        """The columns that it reads besides its inputs, by their role, and the options that it reads them with."""
        return {}

    def able(self, words: frozenset[str]) -> frozenset[str]:
        """The abilities among `words`, all that its method may give, that this model has."""
        return words

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder of safetensors and JSON, all or nothing.

        Raises:
            ModelError: The folder cannot be written, holds something else, or the disk is full.
        """
        from manyways.models.saving import save_model

        return save_model(self, Path(folder))

    def as_predictor(self, data: "Data | None" = None) -> "Predictor":
        """The same network as a model over rows, for methods that start from features.

        Args:
            data: Rows that the features will be of, for a model that has not seen any yet.

        Raises:
            ModelError: It has no features of rows.
        """
        self._cannot("embed")

    def encoding(self) -> "InputEncoding":
        """The encoding of the inputs of a model over rows.

        Raises:
            ModelError: It reads no rows.
        """
        return self.as_predictor().inputs

    @property
    def label_target(self) -> Target:
        """The target that its outputs are for.

        Raises:
            ModelError: It predicts no label.
        """
        if self.target is None:
            raise ModelError(
                f"{self.lineage.title} gives {', '.join(sorted(self.gives))}, no predictions; chain a method that "
                f"learns from labels: {self.lineage.title} >> fine_tune."
            )
        return self.target

    @property
    def predicts(self) -> bool:
        """True if it predicts a label, or several, so that it is scored on rows that have one."""
        return self.target is not None

    def __getattr__(self, name: str) -> Any:
        """Refuse a verb that this kind of model has not, with a method whose models have it: `models/abilities`."""
        if not name.startswith("_") and (ability := ability_of(name)):
            self._cannot(ability.name)
        raise AttributeError(f"{type(self).__name__} has no {name!r}.{did_you_mean(name, dir(type(self)))}")

    def _cannot(self, name: str) -> NoReturn:
        """Raise ModelError as this model lacks the ability `name`."""
        ability = ABILITIES.find(name)
        raise LacksAbilityError(
            f"{self.lineage.title} gives {', '.join(sorted(self.gives))}: it cannot {ability.meaning}. "
            f"A method whose models can is {ability.maker}."
        )


MODELS: Classes[Model] = Classes("models", Model, "manyways.models", attribute="kind")
"""Every kind of model by its name: those of this folder, and of the entry-point group `manyways.models`."""

ModelT = TypeVar("ModelT", bound=Model)


def of_kind(kind: type[ModelT], model: Model | None) -> ModelT:
    """`model` as one of `kind`, for methods that can start from no other.

    Raises:
        ModelError: It is none, or another kind of model.
    """
    if isinstance(model, kind):
        return model
    got = "no model" if model is None else f"{model.lineage.title}, a {type(model).__name__}"
    raise ModelError(f"The model to start from must be a {kind.__name__}; got {got}.")
