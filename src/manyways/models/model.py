"""Model: what was learned, what it can do, and which rows shaped it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from manyways.data.targets import Target
from manyways.errors import ModelError
from manyways.models.lineage import NO_LINEAGE, Lineage
from manyways.registry import Classes

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.encoding import InputEncoding
    from manyways.data.read import Source
    from manyways.models.predictor import Predictor
    from manyways.models.retrieval import Found

LONGEST = 128
"""Tokens of an answer, unless another number is asked for."""

DOERS = {
    "predict": "supervised", "embed": "simclr", "generate": "pretrain", "score": "reward-model", "adapt": "proto-net",
    "retrieve": "clip", "sample": "vae", "reconstruct": "vae", "density": "vae",
}  # fmt: skip
"""For each verb a method whose models can do it, for messages that say what to type."""
IN_WORDS = {"density": "say how probable a row is", "sample": "draw rows", "reconstruct": "put rows together again"}
"""Verbs that a message says in other words."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(ABC):
    """A fitted network and all that is needed to use it on data it has not seen.

    `gives` says what it can do. Each kind of model (`Predictor`, `LanguageModel`, …) is a file in `models/` and does
    its own verbs; the others raise a ModelError that says so.
    """

    kind: ClassVar[str]
    """What a saved model is called in its description."""
    network: nn.Module = field(repr=False)
    target: Target | None = None
    """What its outputs mean, where it predicts a label."""
    gives: frozenset[str] = frozenset()
    lineage: Lineage = NO_LINEAGE

    @property
    def parameters(self) -> int:
        """How many numbers the network holds: weights and fitted buffers."""
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
        """Scores on `source` by name (`manyways.metrics`)."""

    @abstractmethod
    def write(self, folder: Path) -> dict[str, Any]:
        """Write the network into `folder`, and give what `read` needs besides, as JSON values."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Model":
        """The model that `write` wrote. Raises ModelError where it does not fit."""

    @property
    def facts(self) -> dict[str, Any]:
        """What it states of itself in its lineage, as JSON values."""
        return {}

    @property
    def roles_read(self) -> dict[str, str]:
        """The columns that it reads besides its inputs, by their role."""
        return {}

    def able(self, words: frozenset[str]) -> frozenset[str]:
        """Which of `words`, all that its method may give, this model can do."""
        return words

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder of safetensors and JSON, all or nothing. Raises ModelError if it cannot be."""
        from manyways.models.saving import save_model

        return save_model(self, Path(folder))

    def as_predictor(self, data: "Data | None" = None) -> "Predictor":
        """The same network as a model over rows, for methods that start from features. Raises ModelError.

        data: the rows that they will be of, for a model that has not seen any yet.
        """
        self._cannot("embed")

    def encoding(self) -> "InputEncoding":
        """How the inputs of a model over rows are read. Raises ModelError for one that reads no rows."""
        return self.as_predictor().inputs

    @property
    def label_target(self) -> Target:
        """What its outputs mean. Raises ModelError where it predicts no label."""
        if self.target is None:
            raise ModelError(
                f"{self.lineage.title} gives {', '.join(sorted(self.gives))}, no predictions; chain a method that "
                f"learns from labels: {self.lineage.title} >> fine_tune."
            )
        return self.target

    @property
    def predicts(self) -> bool:
        """Whether it predicts a label, or several, so that it is scored on rows that have one."""
        return self.target is not None

    def predict(self, source: "Source") -> NDArray[Any]:
        """The label of each row: a class, a number, or the number of a cluster. Raises ModelError if it has none."""
        self._cannot("predict")

    def probabilities(self, source: "Source") -> NDArray[np.float32]:
        """The probability of each class, float32 [rows, classes] in the order of `target.classes`."""
        self._cannot("predict")

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The head's raw outputs, float32 [rows, outputs]: logits of classes, or the standardised number."""
        self._cannot("predict")

    def embed(self, source: "Source") -> NDArray[np.float32]:
        """The features of each row, float32 [rows, width]."""
        self._cannot("embed")

    def generate(
        self, prompts: str | Sequence[str], *, longest: int = LONGEST, temperature: float = 0.0,
        top_k: int | None = None, top_p: float | None = None, seed: int = 0,
    ) -> list[str]:  # fmt: skip
        """What the model says after each of `prompts`, up to its end token or `longest` tokens.

        temperature: 0 says the most probable token; 1 samples from the model's own distribution. top_k, top_p: sample
        only from the k most probable tokens, or from the fewest that hold a share p in (0, 1].
        """
        self._cannot("generate")

    def replies(self, conversations: Sequence[Sequence[Mapping[str, Any]]], **options: Any) -> list[str]:
        """The assistant's next turn in each of `conversations`, in the model's chat template; options of `generate`."""
        self._cannot("generate")

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> NDArray[np.float32]:
        """The reward of each completion to its prompt, float32 [prompts]; only differences of rewards mean anything."""
        self._cannot("score")

    def sample(self, count: int, *, seed: int = 0) -> "Data":
        """`count` rows like those that it learned from, as data with the same columns; the same seed, the same rows."""
        self._cannot("sample")

    def reconstruct(self, source: "Source") -> "Data":
        """Each row as the model sees it, as data with the columns that it learned from."""
        self._cannot("reconstruct")

    def log_likelihood(self, source: "Source") -> NDArray[np.float64]:
        """ln p(x) of each row in nats, float64 [rows]."""
        self._cannot("density")

    def adapt(self, support: "Source") -> "Predictor":
        """A model of the classes in `support`, which may be new, made of a few labelled rows of each."""
        self._cannot("adapt")

    def retrieve(self, queries: "Source", among: "Source", k: int = 10, *, by: str | None = None) -> "Found":
        """The rows of `among` that are nearest to each of `queries`, one input of a pair by the other."""
        self._cannot("retrieve")

    def classifier(
        self, classes: Sequence[str], template: str = "a picture of {}", label: str = "label"
    ) -> "Predictor":
        """A model that tells `classes` apart by their names, which it need never have seen."""
        self._cannot("retrieve")

    def margins(self, source: "Source") -> NDArray[np.float32]:
        """By how much each row's chosen answer is worth more to the model than the rejected one, float32 [rows]."""
        self._cannot("score")

    def _cannot(self, verb: str) -> NoReturn:
        raise ModelError(
            f"{self.lineage.title} gives {', '.join(sorted(self.gives))}: it cannot {IN_WORDS.get(verb, verb)}. "
            f"A method whose models can is {DOERS[verb]}."
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
