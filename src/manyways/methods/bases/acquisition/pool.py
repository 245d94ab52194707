"""Pool: the rows that active learning may ask about, and what is known of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import Target
from manyways.errors import ModelError
from manyways.methods.features import AUTO, start_features
from manyways.methods.method import Method
from manyways.methods.written import as_tuple
from manyways.models.model import Model
from manyways.models.network import is_checkpoint

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows to choose from, the model that is to learn their labels, and what it makes of them.

    Attributes:
        known: The whole data, with the labels that are known by now.
        candidates: The positions in it of the rows to choose from.
        base_model: The model that learned from these labels; None before anything was learned.
        start: The model that it started from, where there is one.
        train_members: Trains the members of a committee.
        backbone: Checkpoint whose features are looked at where no model has any.
        seed: Seed of what is drawn on the way.
        sample: Samples several answers of a language model to the prompt of each row.
    """

    known: Data
    candidates: NDArray[np.int64]
    base_model: Model | None = None
    start: Model | None = None
    train_members: Callable[[], Sequence[Model]] = field(default=list, repr=False)
    backbone: str = AUTO
    seed: int = 0
    sample: Callable[[], Sequence[Sequence[str]]] = field(default=list, repr=False)

    @cached_property
    def data(self) -> Data:
        """The rows to choose from."""
        return self.known.select(self.candidates)

    @cached_property
    def labelled(self) -> Data:
        """The training rows whose label is known."""
        training = self.known.training
        return training.select(training.labelled)

    @property
    def model(self) -> Model:
        """The model that learned from the labels.

        Raises:
            ModelError: Nothing was learned yet.
        """
        if self.base_model is None:
            raise ModelError("Nothing was learned yet, so there is no model to look at.")
        return self.base_model

    @property
    def target(self) -> Target:
        """The target of the model."""
        return self.model.label_target

    @cached_property
    def probabilities(self) -> Values:
        """The probabilities of the answers to the question of each row, [rows, questions, answers].

        Of one class of several there is one question; of a set of classes each is a question of its own.
        """
        return self.target.distributions(self.model.probabilities(self.data))

    @cached_property
    def predictions(self) -> Values:
        """The predicted number of each row, [rows]."""
        return np.asarray(self.model.predict(self.data), np.float64)

    @cached_property
    def members(self) -> Sequence[Model]:
        """The members of the committee, trained on other draws of the labels."""
        return self.train_members()

    @cached_property
    def member_probabilities(self) -> Values:
        """The probabilities of each member of the committee, [members, rows, questions, answers]."""
        return np.stack([self._in_own_order(each) for each in self.members])

    @cached_property
    def member_predictions(self) -> Values:
        """The number that each member predicts for each row, [members, rows]."""
        return np.stack([np.asarray(each.predict(self.data), np.float64) for each in self.members])

    @cached_property
    def answers(self) -> Sequence[Sequence[str]]:
        """Several answers of a language model to the prompt of each row, drawn at random: [rows][samples]."""
        return self.sample()

    @property
    def features(self) -> NDArray[np.float32]:
        """The features of each row, [rows, width]: those of the model, a checkpoint, or the raw inputs."""
        return self._all_features[: len(self.data)]

    @property
    def labelled_features(self) -> NDArray[np.float32]:
        """The features of each labelled row, [labelled, width]."""
        return self._all_features[len(self.data) :]

    @cached_property
    def _all_features(self) -> NDArray[np.float32]:
        rows = [each for each in (self.data, self.labelled) if len(each)]
        for model in (self.base_model, self.start):
            if model is not None and "embed" in model.gives:
                return np.concatenate([model.embed(each) for each in rows])
        features = start_features(self.known, None, self.seed, self.backbone)
        return np.concatenate([features.of(each) for each in rows])

    def _in_own_order(self, member: Model) -> Values:
        target = member.label_target
        if target.classes != self.target.classes:
            raise ModelError(
                f"The members of the committee know other classes than the model: {target.classes[:5]} … and "
                f"{self.target.classes[:5]} …"
            )
        return target.distributions(member.probabilities(self.data))


def checkpoint_of(base: Method) -> str:
    """The checkpoint that `base`, or a method in its fields, starts from; AUTO where there is none."""
    own = getattr(base, "backbone", AUTO)
    if own != AUTO and any(is_checkpoint(name.rpartition("=")[2].strip()) for name in str(own).split(",")):
        return str(own)
    inner = [getattr(base, spec.name) for spec in fields(base)]
    within = [checkpoint_of(each) for value in inner for each in as_tuple(value) if isinstance(each, Method)]
    return next((name for name in within if name != AUTO), AUTO)
