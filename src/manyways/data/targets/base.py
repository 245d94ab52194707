"""The base class of kinds of labels: how a label is read, encoded, predicted, lost, decoded, scored and shown."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import described
from manyways.data.data import Data
from manyways.data.notation import is_missing
from manyways.errors import DataError, ModelError
from manyways.registry import Classes

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from manyways.data.encoders.base import CheckpointTokenizer
    from manyways.data.encoding import InputEncoding
    from manyways.data.views import Views

Outputs = Any
"""The outputs of a head for a batch: a tensor [rows, width]; of a label with a structure as its kind defines."""

CONSISTENCY, DISTILLATION, PSEUDO_LABELS, CONFIDENCE = "consistency", "distillation", "pseudo-labels", "confidence"
"""Questions that methods may ask of a kind of label: two networks' outputs compared, a student's with a teacher's,
guesses that become labels, and the confidence of a prediction."""
EVERYTHING = frozenset({CONSISTENCY, DISTILLATION, PSEUDO_LABELS, CONFIDENCE})


@dataclass(frozen=True)
class Recipe:
    """Settings that suit a kind of label, where a method's fields leave them open.

    Attributes:
        batch_size: Rows in a batch.
        sampler: Sampler of a step's rows.
        average: Decay of the exponential moving average of the weights, which the model keeps; None: the last weights.
        label_smoothing: Share of a class that is spread over all.
        backbone: Network for the inputs; auto: by their kind.
    """

    batch_size: int = 64
    sampler: str = "epochs"
    average: float | None = None
    label_smoothing: float = 0.0
    backbone: str = "auto"


@dataclass(frozen=True, eq=False)
class Review:
    """Predictions of a label looked at row by row.

    Attributes:
        rows: The rows with the worst mistakes, the worst first, int64.
        truth: What each of them has, as it is shown: words, or numbers.
        predicted: What was predicted.
        confidence: The model's probability of what it predicted; None where it has none.
        classes: The words of the confusion matrix, where there is one.
        confusion: Rows by true class and predicted class, int [classes, classes].
        pairs: True and predicted numbers of some rows, spread evenly, for a scatter plot.
    """

    rows: NDArray[np.int64]
    truth: list[str | float]
    predicted: list[str | float]
    confidence: list[float | None]
    classes: tuple[str, ...] = ()
    confusion: NDArray[np.int64] | None = None
    pairs: tuple[tuple[float, float], ...] = field(default=())


@dataclass(frozen=True)
class Target(ABC):
    """One label column of one kind, fitted on the training rows.

    A kind is a file in this folder, or a class in another package's entry point of the group `manyways.targets`. Its
    labels, encoded, are an array [rows] or [rows, …]; what a network says of them are outputs [rows, width].

    Attributes:
        kind: The name of the kind.
        column_kind: The kind of column that holds such labels; see `manyways.data.kinds`.
        gives: What a model that predicts it can do, in one word.
        task: The name of the task of a comparison.
        metrics: Scores, the usual one first.
        activation: What turns outputs into predictions: "softmax", "sigmoid" (each output alone) or "identity".
        head: The head that makes its outputs, a name in `manyways.models.heads.HEADS`.
        structured: True if its outputs are no vector a row: see `manyways.data.targets.structured`.
        joins_inputs: True if it is predicted from inputs that are read together, so that a model which read them apart
            is no start.
        references: Methods that look at no input and stand in every comparison of such labels, with their titles; those
            of a label of one vector of outputs a row are the comparison's own.
        recipe: Settings that suit it.
        supports: The words for what methods may ask of it, such as `CONSISTENCY`.
        name: The label column.
    """

    kind: ClassVar[str]
    column_kind: ClassVar[str]
    gives: ClassVar[str]
    task: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    activation: ClassVar[str]
    head: ClassVar[str] = "linear"
    structured: ClassVar[bool] = False
    joins_inputs: ClassVar[bool] = False
    references: ClassVar[Mapping[str, str]] = {}
    recipe: ClassVar[Recipe] = Recipe()
    supports: ClassVar[frozenset[str]] = EVERYTHING
    lies_in: ClassVar[str] = ""
    """The kind of what it lies in, "picture", where several such labels of a row must move together; else nothing."""

    name: str

    @property
    @abstractmethod
    def width(self) -> int:
        """Outputs that a network needs."""

    @property
    def classes(self) -> Sequence[Any]:
        """The classes that a row may be of, where there are some."""
        return ()

    @property
    def metric(self) -> str:
        """The usual one of its `metrics`: the first, unless its labels ask for another."""
        return self.metrics[0]

    @classmethod
    def metric_for(cls, data: Data) -> tuple[str, str] | None:
        """Another metric than the first that labels such as those of `data` are scored by, and the reason."""
        return None

    @property
    def classification(self) -> bool:
        """True if a row has one of several classes."""
        return False

    @property
    def probabilistic(self) -> bool:
        """True if outputs are turned into probabilities."""
        return self.activation != "identity"

    @staticmethod
    def fit(data: Data) -> "Target":
        """The target of the label of `data`, by the kind of its column.

        Raises:
            DataError: No training row has a label, or the labels tell nothing apart.
        """
        training = data.training
        name = data.label.name
        if not training.labelled.any():
            raise DataError(
                f"No training row of {data.name} has a label in the column {name!r}; label some rows, or use a "
                "method that needs none, such as SimCLR or KMeans."
            )
        return kind_of(data).fitted(data)

    @classmethod
    @abstractmethod
    def fitted(cls, data: Data) -> Self:
        """As `fit`, of a label of this kind."""

    def read_by(self, tokenizers: "Mapping[str, CheckpointTokenizer]", data: Data) -> "Target":
        """The target where checkpoints read inputs of `data`, by the tokenizers of these: itself.

        A kind that a checkpoint brings weights for takes what these know.
        """
        return self

    def continuing(self, earlier: "Target") -> "Target":
        """The target of a network that has learned `earlier` and goes on with this one: itself.

        A kind whose codes depend on what was fitted, such as tokens, keeps those that the network knows.
        """
        return self

    def encoding(self, data: Data, tokenizers: "Mapping[str, CheckpointTokenizer] | None" = None) -> "InputEncoding":
        """The encoding of the inputs of `data` from which it is predicted, fitted on the training rows.

        Args:
            data: Rows with input columns.
            tokenizers: Tokenizers of checkpoints by the columns that they read.

        Raises:
            DataError: It cannot be predicted from such inputs.
        """
        from manyways.data.encoding import InputEncoding

        return InputEncoding.fit(data, tokenizers=tokenizers)

    @property
    def encodes_inputs(self) -> bool:
        """True if it has an `encoding` of the inputs of its own, so that several such labels may not go together."""
        return type(self).encoding is not Target.encoding

    def seen(
        self, views: "Views", name: str, inputs: "Mapping[str, Tensor]", labels: "Tensor", rng: "torch.Generator"
    ) -> "tuple[dict[str, Tensor], Tensor]":
        """The view `name` of a batch, its inputs and its encoded labels, which a label in space moves with."""
        return views.see(name, inputs, rng), labels

    def unmoved(
        self, views: "Views", name: str, inputs: "Mapping[str, Tensor]", rng: "torch.Generator"
    ) -> "dict[str, Tensor]":
        """The view `name` of inputs of which two can be compared position by position: nothing changes its place."""
        return views.see(name, inputs, rng)

    def lengths(self, codes: NDArray[Any]) -> NDArray[np.int64] | None:
        """The number of positions that each encoded label fills, int64 [rows]; None where all fill as many."""
        return None

    def encode(self, data: Data, *, hidden: bool = False) -> NDArray[Any]:
        """Labels as numbers, the first axis rows; `unlabelled` where a row has none.

        Args:
            data: The rows.
            hidden: True to include the labels that are not visible, for scores on the test rows.

        Raises:
            DataError: A label is none that the target knows; or there are labels, but not in the target's column.
        """
        if self.name not in data.columns:
            if hidden or data.labelled.any():
                raise DataError(
                    f"The model predicts {self.name!r}, and {data.name} has no column of that name; its columns are "
                    f"{', '.join(data.columns)}. Rename the label column to {self.name!r}."
                )
            return self.unlabelled(len(data))
        values = data.take(self.name)
        known = ~is_missing(values)
        seen = known if hidden else data.labelled & known
        codes = self.unlabelled(len(values))
        codes[seen] = self.codes_of(values[seen], data.select(seen))
        return codes

    @abstractmethod
    def unlabelled(self, count: int) -> NDArray[Any]:
        """The codes of `count` rows without a label."""

    @abstractmethod
    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        """The codes of labels that are there; `rows` for messages. Raises DataError for one that it does not know."""

    @abstractmethod
    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Labels as the data has them, of their codes."""

    @abstractmethod
    def best(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The codes that outputs [rows, width] predict."""

    def most_probable(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        """The codes of the most probable labels, of probabilities [rows, width]."""
        return self.best(probabilities if self.activation == "softmax" else probabilities - 0.5)

    def predict(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Labels as the data has them, of a network's outputs [rows, width]."""
        return self.decode(self.best(outputs))

    @abstractmethod
    def scores(self, outputs: NDArray[Any], codes: NDArray[Any]) -> dict[str, float]:
        """The `metrics` by name, of outputs [rows, width] for rows that all have a label."""

    def pseudo_values(self, metric: str, outputs: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.float64] | None:
        """Pseudo-values [rows] of `metric`, as `scores` has it: their mean is the score, their spread its error.

        None where there are none, as of metrics that it does not know; see `manyways.pseudo_values`.
        """
        return None

    @abstractmethod
    def review(self, outputs: NDArray[Any], codes: NDArray[Any], most: int, spread: int) -> Review:
        """At most `most` of the worst mistakes, and `spread` pairs, of outputs [rows, width] for labelled rows."""

    # What follows is of tensors, in training.

    @abstractmethod
    def known(self, labels: "Tensor") -> "Tensor":
        """True for each row that has a label, bool [rows]."""

    @abstractmethod
    def losses(self, outputs: Outputs, labels: "Tensor", smoothing: float = 0.0) -> "Tensor":
        """The loss of each row [...], of outputs [..., width] and its label.

        Args:
            outputs: What the network says.
            labels: Encoded labels.
            smoothing: The share of a class that is spread over all (label smoothing, Szegedy et al. 2016).
        """

    def loss(
        self, outputs: Outputs, labels: "Tensor", weights: "Tensor | None" = None, smoothing: float = 0.0
    ) -> "Tensor":
        """The mean loss of rows that have a label; with sample `weights` [rows] the mean of the weighted losses."""
        losses = self.losses(outputs, labels, smoothing)
        return losses.mean() if weights is None else (weights * losses).mean()

    def constant(self, labels: "Tensor", weights: "Tensor | None" = None) -> "Tensor":
        """The outputs [width], the same for all rows, with the least loss on encoded labels that are all known."""
        import torch

        best = torch.zeros(self.width, requires_grad=True)
        optimizer = torch.optim.LBFGS([best], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> float:
            optimizer.zero_grad()
            value = self.loss(best.expand(len(labels), -1), labels, weights)
            value.backward()  # type: ignore[no-untyped-call]
            return float(value.detach())

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        return best.detach()

    @abstractmethod
    def consistency_loss(self, student: Outputs, teacher: Outputs) -> "Tensor":
        """The disagreement of two networks' outputs [rows, width], the teacher's fixed: a squared difference."""

    @abstractmethod
    def distillation_loss(self, student: Outputs, teacher: Outputs, temperature: float) -> "Tensor":
        """The loss of a student's outputs [rows, width] against its teacher's (Hinton et al. 2015)."""

    def require_probabilities(self) -> None:
        """Raise ModelError where outputs are no probabilities of anything."""
        if not self.probabilistic:
            raise ModelError(
                f"The model predicts the {self.kind} {self.name!r}, which has no probabilities; use predict."
            )

    def probabilities(self, outputs: "Tensor") -> "Tensor":
        """The probability of each class [rows, width], float32. Raises ModelError where it has none."""
        self.require_probabilities()
        return outputs.float().softmax(-1) if self.activation == "softmax" else outputs.float().sigmoid()

    def distributions(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities of answers, [rows, questions, answers]; one class of several is one question."""
        self.require_probabilities()
        shares = probabilities.astype(np.float64)
        return shares[:, None] if self.activation == "softmax" else np.stack([shares, 1 - shares], axis=2)

    # What follows is of pseudo-labels and class balance; kinds with probabilities have it.

    def answers(self, probabilities: "Tensor") -> "Tensor":
        """As `distributions`, of a tensor: [rows, questions, answers]."""
        self.require_probabilities()
        if self.activation == "softmax":
            return probabilities[:, None]
        import torch

        return torch.stack([probabilities, 1 - probabilities], dim=2)

    def pseudo_labels(self, probabilities: "Tensor", threshold: "float | Tensor") -> "Tensor":
        """The most probable labels, encoded; unlabelled where their probability is below `threshold`.

        Args:
            probabilities: Probabilities [rows, width].
            threshold: One for all, or one for each question of each row, [rows, questions].
        """
        raise ModelError(f"{self.name!r} has no probabilities, and so no pseudo-labels.")

    def where_known(self, labels: "Tensor", known: "Tensor") -> "Tensor":
        """Encoded labels, with some label in place of those that are not `known`, of which losses can be taken."""
        return labels.where(known, 0)

    def shares(self, labels: "Tensor") -> "Tensor":
        """The shares of the classes among encoded labels, [width]."""
        raise ModelError(f"{self.name!r} has no classes.")

    def aligned(self, probabilities: "Tensor", wanted: "Tensor", guessed: "Tensor") -> "Tensor":
        """Probabilities [rows, width] aligned to the shares `wanted`, where they are those of `guessed` on average."""
        raise ModelError(f"{self.name!r} has no classes.")

    def class_weights(self, labels: "Tensor") -> "Tensor":
        """Balanced weights [rows] of encoded labels: rows of each class weigh as much together as those of another."""
        raise ModelError(f"{self.name!r} is no class, so class_weight must be None.")

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` makes it again from, its `kind` among them."""

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "Target":
        """The target that `to_json` wrote. Raises ModelError for anything else."""
        given = described(saved, "the target", ModelError)
        return TARGETS.find(given.get("kind", str), ModelError).read(saved)

    @classmethod
    @abstractmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        """As `from_json`, of this kind."""


TARGETS: Classes[Target] = Classes("targets", Target, "manyways.data.targets", attribute="kind")
"""Every kind of label by its name: those of this folder, and of the entry-point group `manyways.targets`."""


def kind_of(data: Data) -> type[Target]:
    """The kind of the label of `data`. Raises DataError where no kind of label is held by such columns."""
    column = data.label
    for kind in TARGETS.all().values():
        if kind.column_kind == column.kind:
            return kind
    kinds = ", ".join(kind.column_kind for kind in TARGETS.all().values())
    raise DataError(
        f"The label {column.name!r} of {data.name} is of the kind {column.kind}; labels are of the kinds {kinds}. Say "
        f'what it holds: kinds={{"{column.name}": "category"}}.'
    )


def predictions(*, supporting: str | None = None, structured: bool = True) -> frozenset[str]:
    """The abilities of models that predict a label, one for each kind of label.

    Args:
        supporting: The word for what the kinds must support, such as `CONFIDENCE`; None: nothing.
        structured: False for labels of one vector of outputs a row alone: classes, numbers, sets.
    """
    kinds = TARGETS.all().values()
    return frozenset(
        kind.gives
        for kind in kinds
        if (supporting is None or supporting in kind.supports) and (structured or not kind.structured)
    )


def check_labels(data: Data) -> None:
    """Raise DataError, before anything is trained, where the labels of `data` cannot be learned from and scored by.

    As `Target.fit`, and where test rows have a class that no training row has; each of several labels.
    """
    for label in data.labels:
        one = data.with_label(label.name)
        Target.fit(one).encode(one.test, hidden=True)
